"""Samples that are all in memory, and the checks every array must pass before it counts as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specc.data.sources import DataFacts, DataProblem, Dataset

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class MemoryDataset:
    """Inputs and targets as arrays, the samples along axis 0."""

    facts: DataFacts
    inputs: dict[str, Array]
    target: Array

    def __len__(self) -> int:
        return len(self.target)

    def sample(self, index: int) -> tuple[dict[str, Array], Array]:
        return {name: np.asarray(each[index]) for name, each in self.inputs.items()}, np.asarray(self.target[index])

    def arrays(self) -> tuple[dict[str, Array], Array] | None:
        return dict(self.inputs), self.target

    def labels(self) -> Array | None:
        return self.target if self.facts.target == "class" else None

    def fitted(self, train: Array) -> Dataset:
        return self

    def encoding(self) -> dict[str, Any] | None:
        return None


def finite(name: str, values: Array, file: Path) -> Array:
    """The same values as float32, or whole numbers as they are; NaN and infinity are refused by sample number."""
    if values.dtype.kind in "iub":
        return values
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32, copy=False)
    good = np.isfinite(narrow)
    if good.all():
        return narrow
    where = np.argwhere(~good)[0].tolist()
    raise DataProblem(
        f"{name}: sample {where[0]} holds {values[tuple(where)]}, which is not a number that float32 can hold",
        "remove or replace missing values before training",
        file,
    )
