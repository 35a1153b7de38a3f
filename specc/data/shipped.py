"""The real data sets that come with the installation: compressed tables and an index of their facts in `bundled/`."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from specc.data.sources import DataFacts, DataProblem, Dataset

_FOLDER = Path(__file__).parent / "bundled"


@dataclass(frozen=True, slots=True)
class Shipped:
    """One of the shipped data sets by its name. `shipped_names()` lists them; `bundled/README.md` says what they hold.

    Pixels are divided by 16, so they lie in 0..1; every other column is as the file has it. `classes` keeps the samples
    of these alone, numbered anew in that order.

    Example:
        Shipped("iris").describe().input_shapes  ->  {"features": (4,)}
    """

    name: str
    classes: tuple[int, ...] = ()

    def describe(self) -> DataFacts:
        whole = self._whole()
        if not self.classes:
            return whole
        if max(self.classes) >= len(whole.class_names):
            message = f"{self.name} has no class {max(self.classes)}"
            raise DataProblem(message, f"its classes are numbered from 0 to {len(whole.class_names) - 1}")
        names = tuple(whole.class_names[each] for each in self.classes)
        counts = _entry(self.name)["counts"]
        return replace(whole, classes=len(names), class_names=names, count=sum(counts[each] for each in self.classes))

    def _whole(self) -> DataFacts:
        entry = _entry(self.name)
        classes = tuple(entry["classes"])
        return DataFacts(
            input_shapes={entry["input"]: tuple(entry["shape"])},
            dtypes={entry["input"]: "float32"},
            target="class" if classes else "real",
            target_shape=() if classes else (1,),
            classes=len(classes) or None,
            class_names=classes,
            count=entry["count"],
            names=tuple(entry["names"]),
        )

    def load(self) -> Dataset:
        import csv
        import gzip

        import numpy as np

        from specc.data.memory import MemoryDataset

        entry, facts = _entry(self.name), self._whole()
        file = _FOLDER / f"{self.name}.csv.gz"
        with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
            rows = csv.reader(text)
            next(rows)
            table = np.array([[float(cell) for cell in row] for row in rows], dtype=np.float64)
        if len(table) != facts.count:
            raise DataProblem(
                f"{len(table)} samples where {facts.count} belong", "the installation is damaged: install again", file
            )
        inputs = (table[:, :-1] / entry["divide"]).astype(np.float32).reshape(-1, *entry["shape"])
        target = table[:, -1].astype(np.int64) if facts.classes else table[:, -1:].astype(np.float32)
        if self.classes:
            kept = np.isin(target, self.classes)
            order = np.zeros(len(facts.class_names), np.int64)
            order[list(self.classes)] = np.arange(len(self.classes))
            inputs, target = inputs[kept], order[target[kept]]
        return MemoryDataset(self.describe(), {entry["input"]: inputs}, target)


def shipped_names() -> tuple[str, ...]:
    """The names of the shipped data sets."""
    return tuple(_index())


@cache
def _index() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_FOLDER / "index.json").read_text(encoding="utf-8"))
    return found


def _entry(name: str) -> dict[str, Any]:
    if name not in _index():
        raise DataProblem(f"{name!r} is not among the data sets that come along", f"they are {', '.join(_index())}")
    entry: dict[str, Any] = _index()[name]
    return entry
