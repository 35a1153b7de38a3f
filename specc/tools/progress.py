"""Training shown in the terminal: a bar with rate and time left, and a line for each epoch that was the best so far."""

from __future__ import annotations

import sys
import time
from textwrap import wrap
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from specc.train.events import EpochDone, Event, Finished, Noted, Started, Stepped, Took

WIDTH = 80
QUIET = 30.0  # seconds after which an epoch gets a line though it was not the best


class Shown:
    """Listens to training and shows it on stderr; without a terminal, a line at a time."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._epochs = 0
        self._said = 0.0

    def __enter__(self) -> Shown:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar down."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def report(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Took):
            self._say(f"weights: {event.sentence}")
        elif isinstance(event, Noted):
            self._say(f"data: {event.sentence}")
        elif isinstance(event, Started):
            self._started(event)
        elif isinstance(event, Stepped):
            self._stepped(event)
        elif isinstance(event, EpochDone):
            self._epoch(event)
        else:
            self._finished(event)

    def _started(self, event: Started) -> None:
        training, validation, test = event.parts
        self._say(
            f"{event.network}: {event.parameters:,} parameters on {event.device} in {event.how}, run {event.folder}"
        )
        self._say(f"{training} samples to train, {validation} to validate, {test} to test")
        if validation:
            self._say("of each epoch: training / validation")
        self._epochs, self._said = event.epochs, time.monotonic()
        if not sys.stderr.isatty():
            return
        columns = (
            TextColumn("{task.description}"), BarColumn(bar_width=None), TaskProgressColumn(),
            _Rate(training / max(event.steps, 1)), TextColumn("left"), TimeRemainingColumn(compact=True),
        )  # fmt: skip
        self._progress = Progress(*columns, console=self._console, transient=True, expand=True)
        self._progress.start()
        self._task = self._progress.add_task(
            f"epoch {event.done + 1}/{event.epochs}", total=event.batches, completed=event.done * event.steps
        )

    def _stepped(self, event: Stepped) -> None:
        if self._progress is not None and self._task is not None:
            done = (event.epoch - 1) * event.steps + event.step
            said = f"epoch {event.epoch}/{self._epochs}  loss {event.loss:.4g}"
            self._progress.update(self._task, completed=done, description=said)

    def _epoch(self, event: EpochDone) -> None:
        """A line for the best epochs and the last, and where nothing was said for a while."""
        now = time.monotonic()
        if event.best or event.epoch == event.epochs or now - self._said > QUIET:
            self._said = now
            self._say(epoch_line(event))

    def _finished(self, event: Finished) -> None:
        self.close()
        figures = ", ".join(f"{name} {value:.4f}" for name, value in event.test.items())
        ended = {"epochs": "done", "early": "stopped early"}.get(event.reason, event.reason)
        self._say(f"{ended} after {event.epoch} epochs in {event.seconds:.0f} s; best was epoch {event.best_epoch}")
        if figures:
            self._say(f"test: {figures}")
        for each in event.verdict:
            self._say("\n".join(wrap(each, WIDTH, subsequent_indent="  ", break_long_words=False)))

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)


class _Rate(ProgressColumn):
    """Samples a second, from the batches of late; validation between them counts as time."""

    def __init__(self, batch: float) -> None:
        super().__init__()
        self.batch = batch

    def render(self, task: Task) -> Text:
        return Text(f"{self.batch * task.speed:,.0f}/s" if task.speed else "")


def epoch_line(event: EpochDone) -> str:
    """An epoch in a line: of every figure training / validation, the rate, and whether it is the best so far.

    >>> epoch_line(EpochDone(3, 20, {"epoch": 3, "rate": 0.01, "train.loss": 0.5, "validation.loss": 0.25}, True))
    'epoch  3/20  loss 0.5 / 0.25  rate 0.01  best'
    """
    figures: dict[str, list[str]] = {}
    for column, value in event.row.items():
        _, dot, name = column.partition(".")
        if dot:
            figures.setdefault(name, []).append(f"{value:.4g}")
    said = [f"epoch {event.epoch:>{len(str(event.epochs))}}/{event.epochs}"]
    said += [f"{name} {' / '.join(values)}" for name, values in figures.items()]
    if "rate" in event.row:
        said.append(f"rate {event.row['rate']:.3g}")
    return "  ".join([*said, *(["best"] if event.best else [])])
