"""What a training is carried out on and with: options of the command line that every training of a sweep is given as they are."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace
from dataclasses import dataclass, fields

from specc.tools import common


@dataclass(frozen=True, slots=True)
class Work:
    """The values of `options`, by the names that argparse gives them."""

    device: str = "auto"
    workers: int | None = None
    tensorboard: bool = True
    allow_python: bool = False

    @classmethod
    def of(cls, args: Namespace) -> Work:
        """What a command line says."""
        return cls(**{each.name: getattr(args, each.name) for each in fields(cls)})

    @property
    def words(self) -> list[str]:
        """The command line that says it."""
        found = []
        for option in options(ArgumentParser()):
            value = getattr(self, option.dest)
            if value != option.default:
                found += [option.option_strings[0], *([] if option.nargs == 0 else [str(value)])]
        return found


def options(parser: ArgumentParser) -> list[Action]:
    """Declare them."""
    return [
        parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto"),
        parser.add_argument(
            "--no-tensorboard",
            action="store_false",
            dest="tensorboard",
            help="no logs for TensorBoard, though it is installed",
        ),
        common.workers_option(parser),
        common.python_option(parser),
    ]
