"""Which training samples make which batch of an epoch: functions of the seed and the epoch alone."""

from __future__ import annotations

from dataclasses import dataclass

from specc.data.splits import Indices, order


@dataclass(frozen=True, slots=True, eq=False)
class Batching:
    """Training samples, given by index, in batches of `size`."""

    train: Indices
    size: int
    seed: int

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(cuts(len(self.train), self.size))

    def epoch(self, epoch: int) -> list[Indices]:
        """The batches of an epoch in their order."""
        return cut(self.train[order(self.seed, epoch, len(self.train))], self.size)


def cut(indices: Indices, size: int) -> list[Indices]:
    """Samples in batches, in their order; a single one that would be left over joins the batch before it."""
    return [indices[start:end] for start, end in cuts(len(indices), size)]


def cuts(count: int, size: int) -> list[tuple[int, int]]:
    """Where batches start and end."""
    found = [(start, min(start + size, count)) for start in range(0, count, size)]
    if size > 1 and len(found) > 1 and found[-1][1] - found[-1][0] == 1:
        found[-2:] = [(found[-2][0], count)]
    return found
