"""What a report shows of a network's answers, gathered while its figures are measured."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from specc.train.feed import Feed
from specc.train.loader import Indices
from specc.train.measure import measure
from specc.train.metrics.classification import Confusion
from specc.train.metrics.meter import Spacings, reading
from specc.train.program import Code

POINTS = 500


@dataclass(frozen=True, slots=True)
class Shown:
    """What a report shows of the answers: a table of classes, or pairs of target and output."""

    confusion: tuple[tuple[int, ...], ...] = ()
    pairs: tuple[tuple[float, float], ...] = ()


def figures(code: Code, feed: Feed, indices: Indices) -> tuple[dict[str, float], Shown | None]:
    """Loss and metrics over some samples, and what a report shows of the answers to the first of them."""
    watched = next(((each.output, each) for each in code.measures), None)
    if watched is None:
        return measure(code, feed, indices), None
    if "class" in feed.dataset.facts.target:
        table = Confusion(None, reading(code.model, code.program, watched[0]))
        found = measure(code, feed, indices, {"confusion": (watched[0], table)})
        return found, Shown(confusion=tuple(tuple(row) for row in table.counts.tolist()))
    pairs = _Pairs()
    found = measure(code, feed, indices, {"pairs": (watched[0], pairs)})
    return found, Shown(pairs=tuple(pairs.found))


class _Pairs:
    """The first numbers of target and output."""

    def __init__(self) -> None:
        self.found: list[tuple[float, float]] = []

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        room = POINTS - len(self.found)
        if room > 0:
            both = zip(target.flatten()[:room].tolist(), output.flatten()[:room].tolist(), strict=True)
            self.found += list(both)
