"""The rows of a run as TensorBoard shows them, where it is installed; it is loaded once the first epoch is done."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from specc.train.events import EpochDone, Event, Finished, Started

FOLDER = "tensorboard"
NOT_SHOWN = "epoch"


def installed() -> bool:
    """Whether TensorBoard is there; nothing of it is loaded."""
    return find_spec("tensorboard") is not None


class Boards:
    """Listens to training and writes every row into `tensorboard/` of the run's folder, by the epoch: `loss/train` beside
    `loss/validation`, the learning rate as `rate`, and the figures of the test part at the best epoch.

    What is written is on the disk at the end of each epoch. A run that goes on tells TensorBoard to forget the epochs
    that lie behind its checkpoint, as those rows of metrics.csv are dropped too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self.done = 0
        self._writer: Any = None

    def saw(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, Started):
            self.done = event.done
        elif isinstance(event, EpochDone):
            figures = {name: value for name, value in event.row.items() if name != NOT_SHOWN}
            self._write({_tag(name): value for name, value in figures.items()}, event.epoch)
        elif isinstance(event, Finished):
            if event.test:
                self._write({f"{name}/test": value for name, value in event.test.items()}, event.best_epoch)
            self.close()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, figures: dict[str, float], epoch: int) -> None:
        if self._writer is None:
            made = import_module("torch.utils.tensorboard")
            self._writer = made.SummaryWriter(str(self.folder), purge_step=self.done + 1)
        for tag, value in figures.items():
            self._writer.add_scalar(tag, value, epoch)
        self._writer.flush()


def _tag(column: str) -> str:
    """`validation.loss` as `loss/validation`, so that what belongs together lies together."""
    part, dot, name = column.partition(".")
    return f"{name}/{part}" if dot else column
