"""Metrics of masks that compare areas: Dice and intersection over union, sample by sample and class by class."""

from __future__ import annotations

from typing import Any

import torch

from specc.train.metrics.meter import Reading, Rows, Spacings


class Overlap(Rows):
    """A row per sample: for each class the places that are found and there, those found, and those there."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        super().__init__()
        self.reading, self.entry = reading, entry

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        number, count = self.reading.number(output), len(target)
        counted = self.reading.counted(output, target)
        pairs = target * number + self.reading.classes(output, target)
        pairs += torch.arange(count, device=target.device).view(-1, *[1] * (target.dim() - 1)) * number**2
        table = torch.bincount(pairs[counted], minlength=count * number**2).view(count, number, number)
        self.take(torch.stack((table.diagonal(dim1=1, dim2=2), table.sum(1), table.sum(2)), dim=-1))

    def measure(self, both: torch.Tensor, found: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """The figure from the three counts; NaN where all are 0."""
        raise NotImplementedError

    def value(self) -> float:
        return self.mean(self._figures())

    def more(self) -> dict[str, float]:
        figures = self._figures()
        if not len(figures):
            return {}
        found = self.by_class(figures, 0 if self.entry.background else 1)
        return found | {"empty": float(self._empty().sum())} if self.entry.over == "sample" else found

    def _counts(self) -> torch.Tensor:
        """[samples, classes, 3] of the classes that count; one sample where all count together."""
        rows = self.rows()
        if not len(rows):
            return torch.zeros(0, 0, 3)
        rows = rows if self.entry.background else rows[:, 1:]
        return rows.sum(0, keepdim=True) if self.entry.over == "data" else rows

    def _empty(self) -> torch.Tensor:
        return self._counts()[..., 1:].sum(-1) == 0

    def _figures(self) -> torch.Tensor:
        figures = self.measure(*self._counts().double().unbind(-1))
        return torch.where(self._empty(), 1.0, figures) if self.entry.empty == "one" else figures


class Dice(Overlap):
    """2 |A and B| / (|A| + |B|)."""

    def measure(self, both: torch.Tensor, found: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        return 2 * both / (found + there)


class IntersectionOverUnion(Overlap):
    """|A and B| / |A or B|."""

    def measure(self, both: torch.Tensor, found: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        return both / (found + there - both)
