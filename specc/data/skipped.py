"""Samples that cannot be used: all of them named before training starts, or left out where the spec says so."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from specc.data.sources import BrokenFile, DataProblem, Dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[Any]

Bad = Literal["stop", "skip"]

_SHOWN = 5
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Skipped:
    """Samples that are left out: how each is called, by its index in the whole listing, and what is wrong with them.

    The others keep their index, so what chance does to them does not depend on who is left out.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    why: str = ""

    def notes(self, count: int) -> tuple[str, ...]:
        """A sentence about them, of `count` samples in all; none where nothing is left out."""
        if not self.names:
            return ()
        are = "is" if len(self.names) == 1 else "are"
        said = f"{len(self.names):,} of {count:,} samples {are} left out, because {self.why}"
        return (f"{said}: {few(list(self.names.values()))}",)


def skipped(dataset: Dataset) -> Skipped:
    """What a data set leaves out."""
    found: Skipped = getattr(dataset, "skipped", Skipped())
    return found


def kept(dataset: Dataset) -> Indices:
    """The indices of the samples that are there, int64 and ascending."""
    import numpy as np

    left = np.fromiter(skipped(dataset).names, np.int64)
    return np.setdiff1d(np.arange(len(dataset), dtype=np.int64), left)


def standing(dataset: Dataset) -> Indices:
    """Every index; in the place of one that is left out, that of a sample that is there."""
    import numpy as np

    found = np.arange(len(dataset), dtype=np.int64)
    there = kept(dataset)
    found[np.fromiter(skipped(dataset).names, np.int64)] = there[0]
    return found


def unusable(count: int, read: Callable[[int], object]) -> dict[int, DataProblem]:
    """What is wrong with samples when they are read, by index, in order; several are read at a time."""
    workers = min(_THREADS, os.cpu_count() or 1, count)

    def problems(first: int) -> dict[int, DataProblem]:
        found = {}
        for at in range(first, count, workers):
            try:
                read(at)
            except DataProblem as problem:
                found[at] = problem
        return found

    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(problems, range(workers)))
    return dict(sorted((at, each) for part in parts for at, each in part.items()))


def left_out(problems: Mapping[int, DataProblem], names: Sequence[str], bad: Bad) -> Skipped:
    """The samples whose files cannot be read, where they are to be skipped; whatever else is wrong is raised, all in one."""
    broken = {at for at, each in problems.items() if isinstance(each, BrokenFile)}
    wrong = [each for at, each in problems.items() if bad == "stop" or at not in broken]
    if not wrong and len(broken) < len(names):
        return Skipped({at: names[at] for at in problems}, "they cannot be read")
    wrong = wrong or list(problems.values())
    first = wrong[0]
    or_skip = ", or leave out what cannot be read: broken=skip"
    help = first.help + (or_skip if bad == "stop" and broken else "")
    if len(wrong) == 1:
        raise type(first)(first.message, help, first.file, first.row)
    said = f"{len(wrong):,} of {len(names):,} samples cannot be used"
    raise (BrokenFile if broken else DataProblem)(f"{said}: {few([str(each) for each in wrong], '; ')}", help)


def few(texts: Sequence[str], between: str = ", ") -> str:
    """The first of many texts, and how many more there are."""
    more = f"{between}and {len(texts) - _SHOWN:,} more" if len(texts) > _SHOWN else ""
    return between.join(texts[:_SHOWN]) + more
