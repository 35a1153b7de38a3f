"""What a meter is, the one that a metric's setting names, and how an output is read by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from specc.catalogue.axes import position
from specc.data.named import implementation
from specc.model.graph import Model
from specc.model.heads import Head, head
from specc.model.program import Program

State = dict[str, torch.Tensor]
Spacings = Sequence[tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Reading:
    """How an output is read: `axis` is that of the classes with the batch, None where there are only yes and no;
    `yes` is the number above which it says yes. `ignore` is a class number that counts for nothing. Of an output that
    is class numbers already, `decided` says how many classes there are."""

    axis: int | None
    yes: float = 0.5
    ignore: int | None = None
    decided: int = 0

    def number(self, output: torch.Tensor) -> int:
        """How many classes there are."""
        if self.decided:
            return self.decided
        return 2 if self.axis is None else output.shape[self.axis]

    def classes(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The class that each answer says, in the shape of the target."""
        if self.decided:
            return output.view_as(target)
        if self.axis is None:
            return (output > self.yes).view_as(target).long()
        return output.argmax(self.axis).view_as(target)

    def counted(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Where the target counts: it is a class (the 255 of a mask is none), and not the one to ignore."""
        known = (target >= 0) & (target < self.number(output))
        return known if self.ignore is None else known & (target != self.ignore)


class Taker(Protocol):
    """Something that looks at every answer on the way over the data."""

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        """Take in a batch; `spacing` is how far apart the places of each sample lie along its axes, 1 if not said."""
        ...


class Meter(Taker, Protocol):
    """One metric on its way over the data.

    `state` is all that it has gathered, as tensors of any shape, and `absorb` takes in that of another meter, which saw
    other samples: samples keep their order where the others came after. A meter that has seen nothing has no state.
    """

    def state(self) -> State: ...
    def absorb(self, state: State) -> None: ...

    def value(self) -> float:
        """The figure over all that was seen; NaN where there is none."""
        ...

    def more(self) -> dict[str, float]:
        """Figures that stand beside it, each in a column with its name behind that of the metric."""
        ...


def meter(entry: Any, reading: Reading) -> Meter:
    """The meter that a metric's setting names."""
    found: Meter = implementation(entry.runs)(entry, reading)
    return found


def reading(model: Model, program: Program, output: str) -> Reading:
    """How an output is read, from its head and the losses that are held against it."""
    found = head(model, output)
    if found.type.dtype != "float":
        return Reading(None, decided=_said(model, found))
    losses = [each.loss.entry for each in program.terms if each.loss is not None and each.output == output]
    compares = next((found.compares(each) for each in losses), "")
    ignore = next((each.ignore for each in losses if getattr(each, "ignore", None) is not None), None)
    if compares == "score" or found.makes == "sign":
        return Reading(None, 0.0, ignore)
    if compares == "probability" or found.makes == "probability":
        return Reading(None, 0.5 if found.makes else 0.0, ignore)
    said = next((each.axis for each in losses if "axis" in each.fields), None)
    axis = found.axis() if said is None else found.axis(said)
    return Reading(axis + 1, ignore=ignore)


def _said(model: Model, found: Head) -> int:
    """Among how many classes an output chooses that is a class number, the place of the largest or smallest score."""
    if found.step is not None and hasattr(found.step.op, "axis"):
        given = model.type(found.step.inputs[0])
        number = given.shape[position(found.step.op.axis, given.rank)]
        if isinstance(number, int):
            return number
    return 2


class Sums:
    """A meter whose state is one tensor of sums, which lies where the outputs are until it is asked for."""

    sums: torch.Tensor | None = None

    def more(self) -> dict[str, float]:
        return {}

    def take(self, found: torch.Tensor) -> None:
        self.sums = found if self.sums is None else self.sums + found

    def state(self) -> State:
        return {} if self.sums is None else {"sums": self.sums}

    def absorb(self, state: State) -> None:
        if state:
            self.take(state["sums"] if self.sums is None else state["sums"].to(self.sums.device))


class Share(Sums):
    """A meter of a sum and of how much it is a sum of."""

    def value(self) -> float:
        if self.sums is None:
            return float("nan")
        total, count = self.sums.tolist()
        return float(total / count) if count else float("nan")


class Rows:
    """A meter whose state is one tensor with a row per sample and an entry per class."""

    def __init__(self) -> None:
        self.parts: list[torch.Tensor] = []

    def take(self, rows: torch.Tensor) -> None:
        self.parts.append(rows)

    def rows(self) -> torch.Tensor:
        """All of them; without an entry where nothing was seen."""
        if len(self.parts) > 1:
            self.parts = [torch.cat([each.cpu() for each in self.parts])]
        return self.parts[0].cpu() if self.parts else torch.zeros(0)

    def state(self) -> State:
        return {"rows": self.rows()} if self.parts else {}

    def absorb(self, state: State) -> None:
        if state:
            self.take(state["rows"])

    @staticmethod
    def mean(figures: torch.Tensor) -> float:
        """The mean over the classes of each sample, then over the samples; NaN is left out."""
        return float(figures.nanmean(1).nanmean()) if figures.numel() else float("nan")

    @staticmethod
    def by_class(figures: torch.Tensor, first: int) -> dict[str, float]:
        """The mean over the samples for each class, from class number `first` on, where there is more than one."""
        means = figures.nanmean(0).tolist() if figures.shape[1] > 1 else ()
        return {str(first + at): mean for at, mean in enumerate(means)}
