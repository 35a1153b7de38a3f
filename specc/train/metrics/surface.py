"""Metrics of masks that compare surfaces: distances from each to the other, in millimetres where the spacing is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from specc.data.extras import ndimage
from specc.train.metrics.meter import Reading, Rows, Spacings

Array = NDArray[Any]
MEASURED, MISSED, EMPTY = 0, 1, 2  # there are both surfaces, one of them, none


class SurfaceDistance(Rows):
    """A row per sample: for each class but 0 its distance, or the diagonal where a surface is missing, and which."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        super().__init__()
        self.reading, self.entry = reading, entry

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        if not len(target):
            return
        counted = self.reading.counted(output, target)
        said = torch.where(counted, self.reading.classes(output, target), 0).cpu().numpy()
        there = torch.where(counted, target, 0).cpu().numpy()
        rows = []
        for at in range(len(there)):
            apart = tuple(spacing[at]) if spacing is not None else (1.0,) * (there.ndim - 1)
            classes = range(1, self.reading.number(output))
            rows.append([self._row(said[at] == each, there[at] == each, apart) for each in classes])
        self.take(torch.tensor(rows, dtype=torch.float64).view(len(rows), -1, 2))

    def _row(self, said: Array, there: Array, spacing: tuple[float, ...]) -> tuple[float, int]:
        if said.any() and there.any():
            return self.measure(*distances(said, there, spacing)), MEASURED
        sides = zip(said.shape, spacing, strict=True)
        diagonal = math.hypot(*((size - 1) * apart for size, apart in sides))
        return (diagonal, MISSED) if said.any() or there.any() else (math.nan, EMPTY)

    def measure(self, one: Array, other: Array) -> float:
        """The figure from the distances of each surface's places to the other surface."""
        raise NotImplementedError

    def value(self) -> float:
        return self.mean(self._figures())

    def more(self) -> dict[str, float]:
        rows = self.rows()
        if not len(rows):
            return {}
        counts = {name: float((rows[..., 1] == how).sum()) for name, how in (("empty", EMPTY), ("missed", MISSED))}
        return self.by_class(self._figures(), 1) | counts

    def _figures(self) -> torch.Tensor:
        rows = self.rows()
        if not len(rows):
            return torch.zeros(0, 0)
        left = (
            rows[..., 1] == MISSED if self.entry.missed == "skip" else torch.zeros_like(rows[..., 1], dtype=torch.bool)
        )
        return torch.where(left, torch.nan, rows[..., 0])


class Hausdorff(SurfaceDistance):
    """The larger of the two largest distances, or of two percentiles."""

    def measure(self, one: Array, other: Array) -> float:
        return max(float(np.percentile(each, self.entry.percentile)) for each in (one, other))


class AverageSurfaceDistance(SurfaceDistance):
    """The mean over the places of both surfaces."""

    def measure(self, one: Array, other: Array) -> float:
        return float(np.concatenate((one, other)).mean())


def distances(one: Array, other: Array, spacing: tuple[float, ...]) -> tuple[Array, Array]:
    """The distance of every place of the surface of each mask to the nearest place of the other's surface."""
    image = ndimage()
    around = image.find_objects((one | other).astype(np.int8))[0]  # surfaces lie within it
    surfaces = [mask & ~image.binary_erosion(mask) for mask in (one[around], other[around])]
    fields = [image.distance_transform_edt(~each, sampling=spacing) for each in surfaces]
    return fields[1][surfaces[0]], fields[0][surfaces[1]]
