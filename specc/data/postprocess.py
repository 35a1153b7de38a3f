"""From what an output gives to the classes that it says: probabilities above a threshold, regions that are large enough.

Outputs are [batch, …] with the classes along `axis`, or without such an axis where there is only yes and no; what is
made of them are class numbers, 0 being the background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specc.data.extras import ndimage

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Threshold:
    """Yes where the probability is above `x`; the most probable class but 0 where it is above `x`, 0 elsewhere."""

    x: float

    def classes(self, output: Array, axis: int | None) -> Array:
        if axis is None:
            return (output > self.x).astype(np.int64)
        beside = output.take(np.arange(1, output.shape[axis]), axis)
        if not beside.shape[axis]:
            return np.zeros(beside.max(axis, initial=0).shape, np.int64)
        found: Array = np.where(beside.max(axis) > self.x, beside.argmax(axis) + 1, 0)
        return found.astype(np.int64)


@dataclass(frozen=True, slots=True)
class LargestRegions:
    """Of every class but 0, the connected regions with at least `share` times the places of its largest."""

    share: float
    connectivity: str = "full"

    def kept(self, classes: Array) -> Array:
        """One sample, a class number per place."""
        image = ndimage()
        near = image.generate_binary_structure(classes.ndim, classes.ndim if self.connectivity == "full" else 1)
        found = classes.copy()
        for each in np.unique(classes[classes > 0]):
            regions, _ = image.label(classes == each, near)
            sizes = np.bincount(regions.ravel())
            sizes[0] = 0
            small = sizes < self.share * sizes.max()
            small[0] = False
            found[small[regions]] = 0
        return found


@dataclass(frozen=True, slots=True)
class Postprocess:
    """The steps of a spec in their order: a threshold, if there is one, is the first."""

    steps: tuple[Threshold | LargestRegions, ...]

    def apply(
        self,
        output: Array,
        axis: int | None,
        yes: float = 0.5,
        sizes: Sequence[int] | None = None,
        outside: Array | None = None,
    ) -> Array:
        """The class numbers of a batch, in the shape [batch, *sizes], else in that of the output without its classes.

        Without a threshold, yes is what is above `yes`, and of several classes the largest number is said. Places that
        are `outside`, as a smaller sample was padded, are background.
        """
        if self.steps and isinstance(self.steps[0], Threshold):
            classes = self.steps[0].classes(output, axis)
        else:
            classes = (output > yes).astype(np.int64) if axis is None else output.argmax(axis).astype(np.int64)
        if sizes is not None:
            classes = classes.reshape(len(classes), *sizes)
        if outside is not None:
            classes = np.where(outside, 0, classes)
        return self.kept(classes)

    def kept(self, classes: Array) -> Array:
        """What the steps behind a threshold leave of the class numbers of a batch."""
        for step in self.steps:
            if isinstance(step, LargestRegions):
                classes = np.stack([step.kept(each) for each in classes])
        return classes
