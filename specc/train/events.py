"""What training says while it runs; whoever listens decides how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Took:
    """A sentence about the weights that training starts from."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A sentence about the data that whoever reads the figures should know."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Started:
    """`done` whole epochs of `epochs` lie behind it; `parts` are the samples that train, validate and test. An epoch has
    so many `steps`, all of training so many `batches`; `how` is the precision, and what else is done for speed."""

    network: str
    folder: Path
    device: str
    parameters: int
    parts: tuple[int, int, int]
    epochs: int
    done: int
    steps: int
    batches: int
    how: str


@dataclass(frozen=True, slots=True)
class Stepped:
    """A batch of an epoch is done; both count from 1. `loss` is the mean over the epoch so far."""

    epoch: int
    step: int
    steps: int
    loss: float


@dataclass(frozen=True, slots=True)
class EpochDone:
    """A row of metrics.csv; `best` says that no epoch was better so far."""

    epoch: int
    epochs: int
    row: Mapping[str, float]
    best: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """The figures of the test part with the best weights; `reason` is why training ended, `verdict` lines of text."""

    folder: Path
    epoch: int
    best_epoch: int
    reason: str
    test: Mapping[str, float]
    seconds: float
    verdict: tuple[str, ...] = ()


Event = Took | Noted | Started | Stepped | EpochDone | Finished
Report = Callable[[Event], None]


def silent(event: Event) -> None:
    """For those who do not listen."""
