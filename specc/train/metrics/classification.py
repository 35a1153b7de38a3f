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


class Rates(Confusion):
    """A figure of each class, from how many answers say it (found), how many should (there) and how many do both."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        super().__init__(entry, reading)
        self.entry = entry

    def measure(self, both: torch.Tensor, found: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """The figure; 0 where nothing is divided by nothing."""
        raise NotImplementedError

    def value(self) -> float:
        if self.sums is None:
            return float("nan")
        both, found, there = self._counts()
        if self.entry.average == "micro":
            return float(self.measure(both.sum(), found.sum(), there.sum()))
        figures = self.measure(both, found, there)
        if self.entry.average == "binary":
            return float(figures[-1])
        if self.entry.average == "weighted":
            return float((figures * there).sum() / there.sum())
        return float(figures[found + there > 0].mean())

    def more(self) -> dict[str, float]:
        if self.sums is None or not self.entry.each:
            return {}
        figures = self.measure(*self._counts()).tolist()
        return {str(at + (not self.entry.background)): each for at, each in enumerate(figures)}

    def _counts(self) -> list[torch.Tensor]:
        """What is both, found and there of each class that counts."""
        counts = self.counts.double()
        every = counts.diagonal(), counts.sum(0), counts.sum(1)
        return [each if self.entry.background else each[1:] for each in every]


class Precision(Rates):
    """The share of what is found that is there."""

    def measure(self, both: torch.Tensor, found: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        return both / found.clamp(min=1)


class Recall(Rates):
    """The share of what is there that is found."""

    def measure(self, both: torch.Tensor, found: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        return both / there.clamp(min=1)


class F1(Rates):
    """2PR / (P + R), which is twice what is both over found and there together."""

    def measure(self, both: torch.Tensor, found: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        return 2 * both / (found + there).clamp(min=1)
