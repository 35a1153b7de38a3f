"""Long recordings cut into windows, each a sample; those of one recording stay in one part of the split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.data.sources import DataFacts, DataProblem, Dataset, Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_IN_MEMORY = 2**30  # bytes of windows up to which all of them are made at once


@dataclass(frozen=True, slots=True)
class Cutting:
    """Windows of `size` places along `axis` of a sample, one every `stride` places; what is left at the end is in none.

    Without `axis` it is the one after the channels, or the only one of an input that has no other.
    """

    size: int
    stride: int
    axis: int | None = None

    def of(self, facts: DataFacts, file: Path) -> Plan:
        """How recordings of these facts are cut; raises DataProblem where they cannot be."""
        axes = {name: self._axis(name, shape, file) for name, shape in facts.input_shapes.items() if shape}
        lengths = {name: facts.input_shapes[name][axis] or 0 for name, axis in axes.items()}
        if len(set(lengths.values())) != 1:
            said = ", ".join(f"{name} has {length}" for name, length in lengths.items()) or "no input has an axis"
            raise DataProblem(f"the inputs have no length in common that windows could be cut of: {said}", "", file)
        length = next(iter(lengths.values()))
        if self.size > length:
            message = f"windows of {self.size} are longer than the recordings, which have {length} places"
            raise DataProblem(message, f"windows={length} or less", file)
        return Plan(self, length, axes, self._target_axis(facts, max(axes.values()), length, file))

    def _axis(self, name: str, shape: Shape, file: Path) -> int:
        axis = min(1, len(shape) - 1) if self.axis is None else self.axis
        if axis >= len(shape):
            message = f"input {name} has {len(shape)} axes in a sample, and windows are to be cut along axis {axis}"
            raise DataProblem(message, f"axis={len(shape) - 1} is its last", file)
        return axis

    def _target_axis(self, facts: DataFacts, axis: int, length: int, file: Path) -> int | None:
        """The axis along which the target is cut too; None where it belongs to the whole recording."""
        shape = facts.target_shape
        if facts.target == "class" or (facts.target == "real" and shape != (length,)):
            return None
        at = {"real": 0, "classes": max(axis - 1, 0), "image": axis}[facts.target]
        if at >= len(shape) or shape[at] != length:
            message = f"the target is {list(shape)} where the recordings have {length} places"
            raise DataProblem(message, "give it an entry per place, or one per recording", file)
        return at


@dataclass(frozen=True, slots=True)
class Plan:
    """The cutting of recordings of `length`: the axis of each input that has one, and of the target if it is cut too."""

    cutting: Cutting
    length: int
    axes: Mapping[str, int]
    target: int | None

    @property
    def starts(self) -> range:
        """Where the windows of a recording begin."""
        return range(0, self.length - self.cutting.size + 1, self.cutting.stride)

    def facts(self, facts: DataFacts) -> DataFacts:
        """The facts of the windows, from those of the recordings."""
        shapes = {name: self._shape(shape, self.axes.get(name)) for name, shape in facts.input_shapes.items()}
        target, count = self._shape(facts.target_shape, self.target), facts.count * len(self.starts)
        return replace(facts, input_shapes=shapes, target_shape=target, count=count)

    def names(self, count: int) -> list[str]:
        """How the windows of so many recordings are called: 3:128 is that of recording 3 which begins at place 128."""
        return [f"{recording}:{start}" for recording in range(count) for start in self.starts]

    def one(self, values: Array, axis: int | None, start: int) -> Array:
        """A window of a recording; what has no such axis belongs to every one."""
        places = slice(start, start + self.cutting.size)
        return values if axis is None else values[(slice(None),) * axis + (places,)]

    def all(self, values: Array, axis: int | None) -> Array:
        """The windows of recordings along axis 0."""
        import numpy as np

        if axis is None:
            return np.repeat(values, len(self.starts), axis=0)
        found = np.stack([self.one(values, axis + 1, start) for start in self.starts], axis=1)
        return found.reshape(-1, *found.shape[2:])

    def _shape(self, shape: Shape, axis: int | None) -> Shape:
        return shape if axis is None else (*shape[:axis], self.cutting.size, *shape[axis + 1 :])


@dataclass(frozen=True, slots=True)
class WindowDataset:
    """The windows of recordings, in their order."""

    facts: DataFacts
    recordings: Dataset
    plan: Plan

    def __len__(self) -> int:
        return self.facts.count

    def sample(self, index: int) -> tuple[dict[str, Array], Array]:
        recording, at = divmod(index, len(self.plan.starts))
        start = self.plan.starts[at]
        inputs, target = self.recordings.sample(recording)
        found = {name: self.plan.one(each, self.plan.axes.get(name), start) for name, each in inputs.items()}
        return found, self.plan.one(target, self.plan.target, start)

    def arrays(self) -> tuple[dict[str, Array], Array] | None:
        found = self.recordings.arrays()
        inputs, target = self.sample(0)
        if found is None or sum(each.nbytes for each in (*inputs.values(), target)) * len(self) > _IN_MEMORY:
            return None
        cut = {name: self.plan.all(each, self.plan.axes.get(name)) for name, each in found[0].items()}
        return cut, self.plan.all(found[1], self.plan.target)

    def labels(self) -> Array | None:
        found = self.recordings.labels()
        return None if found is None else self.plan.all(found, None)

    def together(self) -> list[object]:
        """What the samples that stay in one part of the split have in common: the recording that they are of."""
        return [f"recording {at}" for at in range(len(self.recordings)) for _ in self.plan.starts]

    def fitted(self, train: Array) -> Dataset:
        return self

    def encoding(self) -> dict[str, Any] | None:
        return None
