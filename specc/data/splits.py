"""Which samples train, validate and test, and in which order: functions of a seed, the count and the labels alone.

Only numpy's raw bit stream is used (PCG64 seeded by SeedSequence, both promised to stay as they are), so a split is the
same on every machine and with every version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specc.data.shares import DEFAULT, PARTS, fractions, part_sizes
from specc.data.sources import DataProblem

__all__ = [
    "DEFAULT",
    "PARTS",
    "Indices",
    "Split",
    "fold",
    "folds",
    "fractions",
    "grouped",
    "order",
    "part_sizes",
    "split",
]
Indices = NDArray[np.int64]

_SPLIT, _ORDER, _FOLDS = 1, 2, 3  # keep the streams of one seed apart


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Indices of the samples in each part, ascending; together every sample once."""

    train: Indices
    validation: Indices
    test: Indices

    @property
    def sha256(self) -> str:
        """The same for two splits exactly when they are the same."""
        digest = hashlib.sha256()
        for name in PARTS:
            part: Indices = getattr(self, name)
            digest.update(f"{name} {len(part)}\n".encode())
            digest.update(part.astype("<i8").tobytes())
        return digest.hexdigest()


def split(count: int, parts: Sequence[float] = DEFAULT, seed: int = 0, labels: NDArray[Any] | None = None) -> Split:
    """Part `count` samples at random into train, validation and test of the sizes nearest to the fractions.

    With `labels` (a class number per sample) every class is spread over the parts in proportion, as evenly as whole
    samples allow.

    Raises:
        DataProblem: a part with a fraction above 0 would be empty.

    Example:
        split(1797, (0.8, 0.1, 0.1), seed=0, labels=digits)   1437, 180 and 180 samples
    """
    sizes = part_sizes(count, parts)
    ranked = _spread(count, _check_labels(count, labels), (seed, _SPLIT))
    bounds = np.cumsum(sizes)[:-1]
    train, validation, test = (np.sort(each) for each in np.split(ranked, bounds))
    return Split(train, validation, test)


def grouped(
    parts: Sequence[float], groups: Sequence[object], seed: int = 0, labels: NDArray[Any] | None = None
) -> Split:
    """Part the samples so that those of one group (a value per sample) stay together.

    The parts are as near to the fractions as whole groups allow, with `labels` in every class.

    Raises:
        DataProblem: a part with a fraction above 0 would be empty.

    Example:
        grouped((0.8, 0.1, 0.1), ["anna", "anna", "ben", …])
    """
    count = len(groups)
    units = _units(count, groups)
    wanted = [part for part in parts if part > 0]
    if len(units) < len(wanted):
        raise DataProblem(f"{len(wanted)} parts need as many groups, and there are {len(units)}", "name fewer parts")
    which = _dealt(units, wanted, _check_labels(count, labels), (seed, _SPLIT))
    numbers = iter(range(len(wanted)))
    empty = np.zeros(0, dtype=np.int64)
    found = [np.flatnonzero(which == next(numbers)) if part > 0 else empty for part in parts]
    for name, part, each in zip(PARTS, parts, found, strict=True):
        if part > 0 and not len(each):
            raise DataProblem(
                f"{name}={part:g} of {len(units)} groups leaves none", f"use a larger fraction for {name}"
            )
    return Split(*found)


def folds(
    count: int,
    number: int,
    seed: int = 0,
    *,
    labels: NDArray[Any] | None = None,
    groups: Sequence[object] | None = None,
    validation: float = 0.0,
) -> tuple[Split, ...]:
    """Cross-validation: every sample is in the test part of exactly one of `number` splits.

    `labels` spreads classes evenly over the folds. `groups` (a value per sample) keeps samples of one group in one
    part; folds are then as even as the groups allow. `validation` is taken from what a fold trains on, by the same
    rules.

    Raises:
        DataProblem: fewer than two folds, fewer samples or groups than folds, or an empty part.
    """
    if number < 2:
        raise DataProblem(f"kfold needs at least 2 folds, not {number}", "5 or 10 are usual")
    classes = _check_labels(count, labels)
    units = _units(count, groups)
    if len(units) < number:
        what = "samples" if groups is None else "groups"
        raise DataProblem(f"{number} folds need as many {what}, and there are {len(units)}", "use fewer folds")
    which = _dealt(units, [1.0] * number, classes, (seed, _FOLDS)) if groups is not None else None
    ranked = _shuffled(count, (seed, _FOLDS))
    if classes is not None:  # class after class, so that dealing deals each class out evenly
        ranked = ranked[np.argsort(classes[ranked], kind="stable")]
    tests = [np.sort(ranked[at::number]) if which is None else np.flatnonzero(which == at) for at in range(number)]
    return tuple(
        fold(count, test, classes, groups, validation, number, seed) for number, test in enumerate(tests, start=1)
    )


def order(seed: int, epoch: int, count: int) -> Indices:
    """The order of `count` samples in an epoch: a permutation, int64 [count], whatever the batch size."""
    return _shuffled(count, (seed, _ORDER, epoch))


def fold(
    count: int,
    test: Indices,
    labels: Indices | None,
    groups: Sequence[object] | None,
    validation: float,
    number: int,
    seed: int,
) -> Split:
    """The fold of that number (from 1), whose test part is given: the rest trains, but for a share of validation."""
    key = (seed, _FOLDS, number)
    rest = np.setdiff1d(np.arange(count, dtype=np.int64), test)
    held = np.zeros(0, dtype=np.int64)
    if validation > 0:
        wanted = part_sizes(len(rest), (1 - validation, validation, 0.0))[1]
        inner = None if labels is None else labels[rest]
        if groups is None:
            # From the end of the spread, as `split` takes its later parts.
            held = np.sort(rest[_spread(len(rest), inner, key)[len(rest) - wanted :]])
        else:
            held = _whole_groups(rest, _units(len(rest), [groups[int(at)] for at in rest]), wanted, key)
    train = np.setdiff1d(rest, held)
    if not len(train):
        raise DataProblem("validation leaves nothing to train on", "use a smaller fraction, or more groups")
    return Split(train, held, test)


def _whole_groups(rest: Indices, units: list[Indices], wanted: int, key: tuple[int, ...]) -> Indices:
    """Whole groups in a random order until `wanted` samples are reached, as near as groups allow."""
    taken: list[Indices] = []
    reached = 0
    for at in _shuffled(len(units), key):
        size = len(units[int(at)])
        if taken and abs(reached + size - wanted) > abs(reached - wanted):
            continue
        taken.append(units[int(at)])
        reached += size
        if reached >= wanted:
            break
    return np.sort(rest[np.concatenate(taken)])


def _dealt(units: list[Indices], shares: Sequence[float], labels: Indices | None, key: tuple[int, ...]) -> Indices:
    """The part of every sample: the largest groups first, each to the part that it leaves nearest to its share.

    The last groups fill the parts that are still empty.
    """
    count = sum(len(unit) for unit in units)
    width = 1 if labels is None else int(labels.max()) + 1
    kinds = np.zeros(count, dtype=np.int64) if labels is None else labels
    held = np.zeros((len(shares), width))
    weight = np.array(shares, dtype=np.float64)[:, None] / sum(shares) * len(shares)
    share = np.maximum(np.bincount(kinds, minlength=width) / len(shares), 1e-9) * weight
    which = np.zeros(count, dtype=np.int64)
    shuffled = [units[int(at)] for at in _shuffled(len(units), key)]
    for left, unit in zip(range(len(units), 0, -1), sorted(shuffled, key=len, reverse=True), strict=True):
        adds = np.bincount(kinds[unit], minlength=width)
        # Filling classes least full first; an empty part always costs least among equals.
        cost = (weight * (((held + adds) / share) ** 2 - (held / share) ** 2)).sum(axis=1)
        cost += 1e-6 * (held / weight).sum(axis=1)
        empty = held.sum(axis=1) == 0
        part = int(np.argmin(np.where(empty, cost, np.inf) if left <= empty.sum() else cost))
        held[part] += adds
        which[unit] = part
    return which


def _units(count: int, groups: Sequence[object] | None) -> list[Indices]:
    """The samples of each group, in the order in which groups appear; without groups every sample is its own."""
    if groups is None:
        return [np.array([at], dtype=np.int64) for at in range(count)]
    if len(groups) != count:
        raise DataProblem(f"there are {len(groups)} group values for {count} samples", "give one a sample")
    members: dict[object, list[int]] = {}
    for at, group in enumerate(groups):
        members.setdefault(group, []).append(at)
    return [np.array(each, dtype=np.int64) for each in members.values()]


def _spread(count: int, labels: Indices | None, key: tuple[int, ...]) -> Indices:
    """A random order in which every stretch has each class in proportion; without labels just a random order."""
    shuffled = _shuffled(count, key)
    if labels is None:
        return shuffled
    sizes = np.unique(labels, return_counts=True)[1]
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    starts = np.cumsum(sizes) - sizes
    place = np.empty(count)
    place[by_class] = (np.arange(count) - np.repeat(starts, sizes) + 0.5) / np.repeat(sizes, sizes)
    return shuffled[np.argsort(place[shuffled], kind="stable")]


def _shuffled(count: int, key: tuple[int, ...]) -> Indices:
    if any(part < 0 for part in key):
        raise DataProblem("a seed is 0 or more", "use a whole number from 0")
    raw = np.random.PCG64(np.random.SeedSequence(key)).random_raw(count)
    return np.argsort(raw, kind="stable").astype(np.int64)


def _check_labels(count: int, labels: NDArray[Any] | None) -> Indices | None:
    if labels is None:
        return None
    if labels.shape != (count,):
        raise DataProblem(f"there are {labels.size} labels for {count} samples", "give one a sample")
    return labels.astype(np.int64)
