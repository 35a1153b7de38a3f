"""How far apart the places of a sample lie, before and after `prepare`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from specc.data.prepare import Crop, FittedStep, Pad, Prepared, Resize
from specc.data.sources import Dataset

Grid = tuple[tuple[int, float], ...]  # the size along each axis of the places, and how far apart they lie


@runtime_checkable
class Spaced(Protocol):
    """A data set that knows how far apart places lie in it."""

    def places(self, index: int) -> tuple[int, ...]:
        """The size of a sample along each axis of its places."""
        ...

    def spacing(self, index: int) -> tuple[float, ...] | None:
        """The distance between places along each axis, in millimetres; None where nothing says it."""
        ...


def spacing(dataset: Dataset, index: int, prepared: Prepared | None) -> tuple[float, ...]:
    """The distance between the places of a sample's target along each axis, after the steps that move it; 1 if not said."""
    apart = dataset.spacing(index) if isinstance(dataset, Spaced) else None
    if apart is None:
        return (1.0,) * len(dataset.facts.target_shape)
    assert isinstance(dataset, Spaced)
    grid: Grid = tuple(zip(dataset.places(index), apart, strict=True))
    for step in prepared.steps if prepared is not None else ():
        grid = _after(step, grid)
    return tuple(each for _, each in grid)


def _after(step: FittedStep, grid: Grid) -> Grid:
    """What a step makes of the places; one that moves nothing leaves them as they are."""
    if isinstance(step, Resize | Crop):
        sizes = step.size * (len(grid) if len(step.size) == 1 else 1)
        stretched = isinstance(step, Resize)
        return tuple(
            (to, apart * have / to if stretched else apart) for (have, apart), to in zip(grid, sizes, strict=True)
        )
    if isinstance(step, Pad):
        sides = tuple(zip(step.before, step.after, strict=True)) * (len(grid) if len(step.before) == 1 else 1)
        return tuple((have + sum(both), apart) for (have, apart), both in zip(grid, sides, strict=True))
    return grid
