"""Shares of the samples as whole numbers of them: plain arithmetic that `check` does too."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from specc.data.sources import DataProblem

PARTS = ("train", "validation", "test")
SKIPPED = "skipped"  # the part of samples that are in none
DEFAULT = (0.8, 0.1, 0.1)


def fractions(
    train: float | None = None, validation: float | None = None, test: float | None = None
) -> tuple[float, float, float]:
    """The three fractions, what is not said filled in: 0.1 for validation and test, what remains for training.

    Example:
        fractions(validation=0.2)  ->  (0.7, 0.2, 0.1)
    """
    held = [DEFAULT[at + 1] if each is None else each for at, each in enumerate((validation, test))]
    rest = Fraction(1) - _exact(held[0]) - _exact(held[1])
    if train is not None and validation is None and test is None:
        held = [float((1 - _exact(train)) / 2)] * 2
        rest = _exact(train)
    elif train is not None and (validation is None or test is None):
        at = 0 if validation is None else 1
        held[at] = float(1 - _exact(train) - _exact(held[1 - at]))
        rest = _exact(train)
    parts = (float(rest) if train is None else train, held[0], held[1])
    if any(part < 0 for part in parts) or not _whole(parts):
        said = ", ".join(f"{name}={part:g}" for name, part in zip(PARTS, parts, strict=True))
        raise DataProblem(f"the parts do not make a whole: {said}", "fractions are at least 0 and add up to 1")
    return parts


def part_sizes(count: int, parts: Sequence[float]) -> tuple[int, ...]:
    """Whole numbers that add up to `count`: rounded down, then one more where the remainder is largest."""
    if not _whole(parts):
        raise DataProblem(f"the parts {list(parts)} do not add up to 1", "fractions add up to 1")
    total = sum(map(_exact, parts), Fraction(0))
    exact = [_exact(part) / total * count for part in parts]
    sizes = [int(each) for each in exact]
    order = sorted(range(len(sizes)), key=lambda at: (sizes[at] - exact[at], at))
    for at in order[: count - sum(sizes)]:
        sizes[at] += 1
    names = PARTS if len(parts) == len(PARTS) else tuple(f"part {at + 1}" for at in range(len(parts)))
    for name, part, size in zip(names, parts, sizes, strict=True):
        if part > 0 and size == 0:
            raise DataProblem(
                f"{name}={part:g} of {count} samples leaves none", f"use more samples, or a larger fraction for {name}"
            )
    return tuple(sizes)


def _whole(parts: Sequence[float]) -> bool:
    return abs(sum(map(_exact, parts), Fraction(-1))) <= Fraction(1, 10**6)


def _exact(part: float) -> Fraction:
    """The fraction that was written: 0.1 is one tenth."""
    return Fraction(str(part))
