"""What commands that run an exported file share: on which device, with how many threads, and how far they are."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from specc.deploy.given import Broken, Sample
from specc.deploy.providers import DEVICES
from specc.deploy.runtime import Predictor


def options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        help="auto takes a GPU if it can; with the others anything else is an error",
    )
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="threads of the CPU")
    parser.add_argument(
        "--engines", metavar="DIR", help="where TensorRT keeps what it built (default: the user's cache)"
    )


def opened(args: Namespace) -> Predictor:
    """The file that the command is about, ready to run; says where `auto` could not take the GPU."""
    predictor = Predictor(args.model, args.device, threads=args.threads, engines=args.engines)
    if predictor.notice:
        print(predictor.notice, file=sys.stderr)
    return predictor


class Running:
    """Shows how many of `count` files are done, and the windows of the one at hand, where somebody sees it."""

    def __init__(self, count: int, windows: bool, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        seen = sys.stderr.isatty() and not quiet and (count > 1 or windows)
        self._progress = Progress(*columns, console=self._console, transient=True, disable=not seen)
        self._files = self._progress.add_task("files", total=count)
        self._windows = self._progress.add_task("windows", total=None, visible=windows)

    def __enter__(self) -> Running:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def files(self, found: Iterable[Sample | Broken]) -> Iterator[Sample | Broken]:
        """The same samples; a file is done when the next one begins."""
        last: object = None
        for each in found:
            file = each.files if isinstance(each, Sample) and each.files else each.source
            if last is not None and file != last:
                self._progress.advance(self._files)
            last = file
            yield each

    def windows(self, done: int, count: int) -> None:
        """`done` of `count` windows of a sample."""
        self._progress.update(self._windows, completed=done, total=count)

    def say(self, line: str) -> None:
        """A line above the bars."""
        self._console.print(line, markup=False, soft_wrap=True)
