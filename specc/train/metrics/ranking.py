"""The area under the ROC curve, exactly, from the ranks of all scores."""

from __future__ import annotations

from typing import Any

import torch

from specc.train.metrics.meter import Reading, Spacings, State


class AreaUnderCurve:
    """How often a score of what is of a class lies above one of what is not."""

    def __init__(self, entry: Any, reading: Reading) -> None:
        self.reading, self.each = reading, entry.each
        self.parts: list[tuple[torch.Tensor, torch.Tensor]] = []

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        axis = self.reading.axis
        scores = output.view_as(target).unsqueeze(-1) if axis is None else output.movedim(axis, -1)
        counted = self.reading.counted(output, target).flatten()
        rows = scores.reshape(-1, scores.shape[-1])[counted]
        self.parts.append((rows.float().cpu(), target.flatten()[counted].int().cpu()))

    def state(self) -> State:
        if not self.parts:
            return {}
        scores, classes = (torch.cat(each) for each in zip(*self.parts, strict=True))
        self.parts = [(scores, classes)]
        return {"scores": scores, "classes": classes}

    def absorb(self, state: State) -> None:
        if state:
            self.parts.append((state["scores"], state["classes"]))

    def value(self) -> float:
        return float(self._areas().nanmean())

    def more(self) -> dict[str, float]:
        """A column per class, where they are asked for."""
        areas = self._areas().tolist()
        return {str(at): area for at, area in enumerate(areas)} if self.each and len(areas) > 1 else {}

    def _areas(self) -> torch.Tensor:
        """The area of each class, or of yes alone; NaN where a class is never there, or always."""
        state = self.state()
        if not state:
            return torch.full((1,), torch.nan)
        scores, classes = state["scores"], state["classes"]
        yes = [1] if self.reading.axis is None else range(scores.shape[1])
        return torch.tensor([area(scores[:, at], classes == each) for at, each in enumerate(yes)], dtype=torch.float64)


def area(scores: torch.Tensor, right: torch.Tensor) -> float:
    """The share of pairs of one that is right and one that is not in which the first has the higher score; NaN where
    there are no such pairs."""
    there = int(right.sum())
    pairs = there * (len(right) - there)
    if not pairs:
        return float("nan")
    _, place, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    ranks = counts.cumsum(0).double() - (counts.double() - 1) / 2  # the mean rank of those that are equal
    return float((ranks[place[right]].sum() - there * (there + 1) / 2) / pairs)
