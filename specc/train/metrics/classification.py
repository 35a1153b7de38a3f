"""Metrics of answers that say a class: what share is right, and which class was taken for which."""

from __future__ import annotations

from typing import Any

import torch

from specc.train.metrics.meter import Reading, Share, Spacings, Sums


class Accuracy(Share):
    """The share of right answers."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        self.reading = reading

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        counted = self.reading.counted(output, target)
        right = (self.reading.classes(output, target) == target) & counted
        self.take(torch.stack((right.sum(), counted.sum())))


class TopK(Share):
    """The share of answers whose class is among the k most probable."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        self.reading, self.k = reading, entry.k

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        axis = self.reading.axis
        if axis is None:  # of two classes both are among the first two
            hits = (
                self.reading.classes(output, target) == target
                if self.k < 2
                else torch.ones_like(target, dtype=torch.bool)
            )
        else:
            best = output.topk(min(self.k, output.shape[axis]), dim=axis).indices
            hits = (best == target.unsqueeze(axis)).any(axis)
        counted = self.reading.counted(output, target)
        self.take(torch.stack(((hits & counted).sum(), counted.sum())))


class Confusion(Sums):
    """How often class i (row) was taken for class j (column)."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        self.reading = reading

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        number = self.reading.number(output)
        counted = self.reading.counted(output, target)
        pairs = (target * number + self.reading.classes(output, target))[counted]
        self.take(torch.bincount(pairs.flatten(), minlength=number * number).view(number, number))

    @property
    def counts(self) -> torch.Tensor:
        """The table; 0 by 0 where nothing was seen."""
        return torch.zeros(0, 0, dtype=torch.int64) if self.sums is None else self.sums.cpu()

    def value(self) -> float:
        """The accuracy that the table holds."""
        return float(self.counts.diagonal().sum() / self.counts.sum())


class F1(Confusion):
    """The mean over the classes that occur of 2PR / (P + R)."""

    def value(self) -> float:
        hits = self.counts.diagonal().double()
        both = (self.counts.sum(0) + self.counts.sum(1)).double()
        return float((2 * hits / both)[both > 0].mean())
