"""The command line: finds the command, loads only that one, and turns what it raises into exit codes.

0 all is well; 1 the spec has errors or a proof fails; 2 wrong use, or a file or device is missing; 3 a fault of specc
itself; 130 interrupted.
"""

from __future__ import annotations

import gc
import sys
from argparse import ArgumentParser, HelpFormatter
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "check": "prove shapes, claims and settings; print the report",
    "fmt": "write the one canonical form",
    "compile": "write the PyTorch module",
    "train": "compile and train; writes a run folder",
    "evaluate": "metrics of a run on its test split",
    "export": "write ONNX and prove it equal to the PyTorch",
    "predict": "run an exported network on files",
    "bench": "latency and throughput of an exported network",
    "verify": "replay the proof of an exported network",
    "explain": "what an error code, an op or a setting means",
    "specs": "the bundled networks",
    "new": "start a spec of your own",
    "doctor": "what is installed, what the GPU can do",
    "import": "read ONNX or prototxt into a spec",
}

OBJECTS = 50_000  # new objects before the collector looks at them


class Failure(Exception):
    """Ends the command with this exit code; the message, if any, goes to stderr, with the `slug` to explain it by."""

    def __init__(self, code: int, message: str = "", help: str = "", slug: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help
        self.slug = slug


def program() -> int:
    """`specc` as a process of its own: `main`, with the collector of cycles rarely at work, since torch makes a million
    objects as it loads, none of which is garbage (it took a fifth of the time from the start to the first step)."""
    gc.set_threshold(OBJECTS)
    return main()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(given)
        sys.stdout.flush()
        return code
    except Failure as failure:
        say(failure)
        return failure.code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    except Exception as error:
        return _fault(error)


def _run(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if given else 2
    if given[0] in ("-V", "--version"):
        from specc import __version__

        print(f"specc {__version__}")
        return 0
    name = given[0]
    if name not in COMMANDS:
        from specc.model.elaborate.problem import suggestion

        raise Failure(2, f"there is no command `{name}`", suggestion(name, COMMANDS) or "specc --help lists them")
    command = import_module(f"specc.tools.commands.{name}_")
    parser = ArgumentParser(prog=f"specc {name}", description=command.__doc__, formatter_class=_eighty_columns)
    command.arguments(parser)
    return int(command.run(parser.parse_args(given[1:])))


def _eighty_columns(prog: str) -> HelpFormatter:
    return HelpFormatter(prog, width=80)


def usage() -> str:
    """The page of `specc --help`."""
    width = max(map(len, COMMANDS))
    lines = ["usage: specc COMMAND …", "", "a compiler for neural networks", ""]
    lines += [f"  {name:<{width}}  {says}" for name, says in COMMANDS.items()]
    return "\n".join([*lines, "", "specc COMMAND --help says more about one."])


def say(failure: Failure) -> None:
    """The message and the help to stderr."""
    if failure.message:
        head = f"error[{failure.slug}]" if failure.slug else "error"
        print(f"{head}: {failure.message}", file=sys.stderr)
    if failure.help:
        print(f"help: {failure.help}", file=sys.stderr)


def _fault(error: Exception) -> int:
    """A fault of specc itself: the one case with a traceback, and where to report it."""
    from traceback import print_exception

    print_exception(error)
    print(
        "\nThis is a fault of specc itself, not of your spec. Please report it with the text above and the spec.",
        file=sys.stderr,
    )
    return 3


if __name__ == "__main__":
    sys.exit(main())
