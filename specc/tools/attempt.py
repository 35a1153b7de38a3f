"""One training of a sweep, from its beginning or from where it was left; as a process of its own it is run by name."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path

from specc.data.files import FileProblem
from specc.data.function import python_allowed
from specc.data.sources import DataProblem
from specc.tools.progress import Shown
from specc.tools.work import Work, options
from specc.train.events import Event, Started
from specc.train.interrupt import interruptible
from specc.train.problem import TrainProblem
from specc.train.runs import LAST, Run
from specc.train.sweep import FAILED, FINISHED, RUNNING, SweepBook
from specc.train.training import train

PROBLEMS = (TrainProblem, DataProblem, FileProblem)


def attempt(
    book: SweepBook,
    at: int,
    work: Work,
    report: Callable[[Event], None],
    stop: Callable[[], bool],
    begun: Callable[[str], None],
) -> tuple[str, str]:
    """Train one, or go on with what there is of it; its status, and why if it failed. `begun` is told its run."""

    def listen(event: Event) -> None:
        if isinstance(event, Started):
            begun(event.folder.name)
        report(event)

    training = book.trainings[at]
    try:
        folder = _unfinished(book.run(training)) if training.run and training.status != FAILED else None
        found = train(
            None if folder else book.compile(training), out_root=book.folder.parent, project=book.project, resume=folder,
            phase=book.phase, device=work.device, report=listen, stop=stop, wishes=book.wishes,
            workers=work.workers, tensorboard=work.tensorboard,
        )  # fmt: skip
    except PROBLEMS as problem:
        return FAILED, str(problem)
    except (RuntimeError, MemoryError) as error:  # of PyTorch: too little memory, for one
        return FAILED, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return (RUNNING if found.interrupted else FINISHED), ""


def _unfinished(folder: Path) -> Path | None:
    """The run, if it can be gone on with."""
    try:
        Run.load(folder)
    except TrainProblem:
        return None
    return folder if (folder / LAST).is_dir() else None


def main(argv: Sequence[str]) -> int:
    """A process of its own, told the book, the place in it and the words of a `Work`.

    It says on stdout, a line of JSON each, which run is its and how it ended. It stops at the next batch when it is told
    to, and when the process that began it is gone.
    """
    parent = os.getppid()
    parser = ArgumentParser()
    parser.add_argument("book", type=Path)
    parser.add_argument("at", type=int)
    options(parser)
    args = parser.parse_args(argv)

    def say(**changes: str) -> None:
        print(json.dumps(changes), flush=True)

    with python_allowed(args.allow_python), interruptible() as asked, Shown() as shown:
        status, message = attempt(
            SweepBook.load(args.book), args.at, Work.of(args), shown.report, lambda: asked() or os.getppid() != parent,
            lambda run: say(run=run, status=RUNNING, message=""),
        )  # fmt: skip
    say(status=status, message=message)
    if message:
        print(f"failed: {message}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
