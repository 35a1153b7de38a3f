"""Metrics over a whole part of the data, batch by batch, on whatever device the outputs are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch

from specc.data.named import implementation
from specc.model.graph import Model
from specc.model.heads import head
from specc.model.program import Program


@dataclass(frozen=True, slots=True)
class Reading:
    """How an output is read: `axis` is that of the classes with the batch, None where there are only yes and no;
    `yes` is the number above which it says yes."""

    axis: int | None
    yes: float = 0.5

    def classes(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The class that each answer says, in the shape of the target."""
        if self.axis is None:
            return (output > self.yes).view_as(target).long()
        return output.argmax(self.axis).view_as(target)


class Meter(Protocol):
    """One metric on its way over the data."""

    def add(self, output: torch.Tensor, target: torch.Tensor) -> None: ...
    def value(self) -> float: ...


def meter(entry: Any, reading: Reading) -> Meter:
    """The meter that a metric's setting names."""
    found: Meter = implementation(entry.runs)(entry, reading)
    return found


def reading(model: Model, program: Program, output: str) -> Reading:
    """How an output is read, from its head and the loss that is held against it."""
    found = head(model, output)
    losses = [each.loss.entry for each in program.terms if each.loss is not None and each.output == output]
    compares = next((found.compares(each) for each in losses), "")
    if compares == "score" or found.makes == "sign":
        return Reading(None, 0.0)
    if compares == "probability" or found.makes == "probability":
        return Reading(None, 0.5 if found.makes else 0.0)
    said = next((each.axis for each in losses if "axis" in each.fields), None)
    axis = found.axis() if said is None else found.axis(said)
    return Reading(axis + 1)


class Accuracy:
    """The share of right answers; targets of `ignored` count for nothing."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        self.reading = reading
        self.right, self.count = 0, 0

    def add(self, output: torch.Tensor, target: torch.Tensor) -> None:
        counted = _counted(output, target, self.reading)
        self.right += int(((self.reading.classes(output, target) == target) & counted).sum())
        self.count += int(counted.sum())

    def value(self) -> float:
        return self.right / self.count if self.count else float("nan")


class TopK:
    """The share of answers whose class is among the k most probable."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        self.reading, self.k = reading, entry.k
        self.right, self.count = 0, 0

    def add(self, output: torch.Tensor, target: torch.Tensor) -> None:
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
        counted = _counted(output, target, self.reading)
        self.right += int((hits & counted).sum())
        self.count += int(counted.sum())

    def value(self) -> float:
        return self.right / self.count if self.count else float("nan")


class Confusion:
    """How often class i (row) was taken for class j (column)."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        self.reading = reading
        self.counts = torch.zeros(0, 0, dtype=torch.int64)

    def add(self, output: torch.Tensor, target: torch.Tensor) -> None:
        number = 2 if self.reading.axis is None else output.shape[self.reading.axis]
        counted = _counted(output, target, self.reading)
        pairs = (target * number + self.reading.classes(output, target))[counted]
        found = torch.bincount(pairs.flatten().cpu(), minlength=number * number).view(number, number)
        self.counts = found if not self.counts.numel() else self.counts + found

    def value(self) -> float:
        """The accuracy that the table holds."""
        return float(self.counts.diagonal().sum() / self.counts.sum())


class F1(Confusion):
    """The mean over the classes that occur of 2PR / (P + R)."""

    def value(self) -> float:
        hits = self.counts.diagonal().double()
        both = (self.counts.sum(0) + self.counts.sum(1)).double()
        return float((2 * hits / both)[both > 0].mean())


class SquaredError:
    """The mean of the squared differences."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        self.total, self.count = 0.0, 0

    def add(self, output: torch.Tensor, target: torch.Tensor) -> None:
        self.total += float(self.measure(output.double() - target.view_as(output).double()).sum())
        self.count += output.numel()

    def measure(self, difference: torch.Tensor) -> torch.Tensor:
        return difference.square()

    def value(self) -> float:
        return self.total / self.count if self.count else float("nan")


class AbsoluteError(SquaredError):
    """The mean of the absolute differences."""

    def measure(self, difference: torch.Tensor) -> torch.Tensor:
        return difference.abs()


class R2:
    """1 minus squared error over variance, per number of the output, then the mean; 0 where nothing varies."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        self.count = 0
        self.sums: list[torch.Tensor] = []

    def add(self, output: torch.Tensor, target: torch.Tensor) -> None:
        y, x = (each.reshape(len(each), -1).double().cpu() for each in (target, output))
        if not self.sums:
            self.shift = y[0]  # keeps the sums of squares small beside the variance
        y, x = y - self.shift, x - self.shift
        found = [(y - x).square().sum(0), y.sum(0), y.square().sum(0)]
        self.sums = [a + b for a, b in zip(self.sums, found, strict=True)] if self.sums else found
        self.count += len(y)

    def value(self) -> float:
        if not self.sums:
            return float("nan")
        error, total, squares = self.sums
        spread = squares - total.square() / self.count
        return float(torch.where(spread > 0, 1 - error / spread.clamp(min=1e-300), torch.zeros_like(spread)).mean())


def _counted(output: torch.Tensor, target: torch.Tensor, reading: Reading) -> torch.Tensor:
    """Targets that are a class; a number that is none (`ignore=255`) counts for nothing."""
    number = 2 if reading.axis is None else output.shape[reading.axis]
    return (target >= 0) & (target < number)
