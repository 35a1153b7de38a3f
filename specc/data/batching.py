"""Which training samples make which batch of an epoch: functions of the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from specc.data.splits import Indices, order

_DRAWN, _BATCHES = 6, 7  # keep the streams of one seed apart, and from those of the splits


@dataclass(frozen=True, slots=True, eq=False)
class Batching:
    """Training samples, given by index, in batches of `size`.

    With `kinds`, a number for each of all samples, the samples of a batch are of one kind. With `labels`, the class of
    each of all samples, every class is drawn equally often, with replacement; a sample that is drawn again in an epoch
    has a number of its own: `count` more than before.
    """

    train: Indices
    size: int
    seed: int
    kinds: Indices | None = None
    labels: Indices | None = None

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(cut(self.train, self.size, self.kinds))

    def epoch(self, epoch: int) -> list[Indices]:
        """The batches of an epoch in their order."""
        if self.labels is not None:
            return cut(self._drawn(self.labels, epoch), self.size)
        found = cut(self.train[order(self.seed, epoch, len(self.train))], self.size, self.kinds)
        if self.kinds is None:
            return found
        return [found[int(at)] for at in np.argsort(_raw(len(found), (self.seed, _BATCHES, epoch)), kind="stable")]

    def _drawn(self, labels: Indices, epoch: int) -> Indices:
        """As many samples as there are, of each class as many as of any other, but for one more of some."""
        own = labels[self.train]
        classes = np.unique(own)
        number = len(self.train)
        raw = _raw(2 * number + len(classes), (self.seed, _DRAWN, epoch))
        first = np.argsort(raw[2 * number :], kind="stable")
        wanted = np.full(len(classes), number // len(classes))
        wanted[first[: number % len(classes)]] += 1
        found, start = [], 0
        for kind, many in zip(classes, wanted, strict=True):
            members = self.train[own == kind]
            at = (raw[start : start + many] % np.uint64(len(members))).astype(np.int64)
            found.append(members[at])
            start += many
        mixed = np.concatenate(found)[np.argsort(raw[number : 2 * number], kind="stable")]
        return mixed + len(labels) * _again(mixed)


def _again(values: Indices) -> Indices:
    """How often each value stood before, from the front on."""
    by_value = np.argsort(values, kind="stable")
    ordered = values[by_value]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    counts = np.diff(np.r_[starts, len(values)])
    found = np.empty(len(values), dtype=np.int64)
    found[by_value] = np.arange(len(values)) - np.repeat(starts, counts)
    return found


def _raw(count: int, key: tuple[int, ...]) -> np.ndarray:
    return np.random.PCG64(np.random.SeedSequence(key)).random_raw(count)


def alike(sizes: Sequence[Sequence[int]], width: int) -> Indices:
    """A number for each sample, the same where sizes, rounded up to a multiple of `width`, are the same."""
    rounded = -(-np.asarray(sizes, dtype=np.int64) // width)
    return np.unique(rounded, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def cut(indices: Indices, size: int, kinds: Indices | None = None) -> list[Indices]:
    """Samples in batches, in their order; a single one that would be left over joins the batch before it.

    With `kinds` each batch is of one kind, the kinds in their order.
    """
    if kinds is None:
        return [indices[start:end] for start, end in cuts(len(indices), size)]
    own = kinds[indices]
    return [each for kind in np.unique(own) for each in cut(indices[own == kind], size)]


def cuts(count: int, size: int) -> list[tuple[int, int]]:
    """Where batches start and end."""
    found = [(start, min(start + size, count)) for start in range(0, count, size)]
    if size > 1 and len(found) > 1 and found[-1][1] - found[-1][0] == 1:
        found[-2:] = [(found[-2][0], count)]
    return found
