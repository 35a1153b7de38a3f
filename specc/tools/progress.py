"""Training shown in the terminal: a bar with rate and time left, and a line for each epoch that was the best so far."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from specc.train.events import EpochDone, Event, Finished, Noted, Started, Stepped, Took


class Shown:
    """Listens to training and shows it on stderr; without a terminal, a line at a time."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._steps = 0
        self._epochs = 0
        self._folder = ""

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
        self._steps, self._epochs = event.steps, event.epochs
        if not sys.stderr.isatty():
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._progress.start()
        self._task = self._progress.add_task("training", total=event.batches, completed=event.done * event.steps)

    def _stepped(self, event: Stepped) -> None:
        if self._progress is not None and self._task is not None:
            done = (event.epoch - 1) * event.steps + event.step
            self._progress.update(self._task, completed=done, description=f"epoch {event.epoch}  loss {event.loss:.4f}")

    def _epoch(self, event: EpochDone) -> None:
        figures = "  ".join(f"{name} {value:.4f}" for name, value in event.row.items() if name != "epoch")
        mark = "  best" if event.best else ""
        if event.best or event.epoch == event.epochs:
            self._say(f"epoch {event.epoch:>{len(str(event.epochs))}}/{event.epochs}  {figures}{mark}")

    def _finished(self, event: Finished) -> None:
        self.close()
        figures = ", ".join(f"{name} {value:.4f}" for name, value in event.test.items())
        ended = {"epochs": "done", "early": "stopped early"}.get(event.reason, event.reason)
        self._say(f"{ended} after {event.epoch} epochs in {event.seconds:.0f} s; best was epoch {event.best_epoch}")
        if figures:
            self._say(f"test: {figures}")
        for each in event.verdict:
            self._say(each)

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)
