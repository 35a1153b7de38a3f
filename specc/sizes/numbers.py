"""Sets of whole numbers from 1 on that repeat with a period beyond some point: exact and closed under and, or, not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import lcm
from typing import TypeAlias

MOST_PERIOD = 4096

Row: TypeAlias = tuple[tuple[int, int | None], ...]  # ascending intervals, both ends included; None is without end
EVERY: Row = ((1, None),)


class OverBudget(Exception):
    """A question that would take more work than it is given; the text says why."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """n belongs when it lies in an interval of `rows[n % period]`."""

    period: int
    rows: tuple[Row, ...]

    def __and__(self, other: Numbers) -> Numbers:
        return self._merge(other, _meet)

    def __or__(self, other: Numbers) -> Numbers:
        return self._merge(other, lambda one, two: _gaps(_meet(_gaps(one), _gaps(two))))

    def __invert__(self) -> Numbers:
        return Numbers(self.period, tuple(map(_gaps, self.rows)))

    def _merge(self, other: Numbers, of: Callable[[Row, Row], Row]) -> Numbers:
        period = lcm(self.period, other.period)
        if period > MOST_PERIOD:
            raise OverBudget(f"remainders repeat only after {period}, which is over the budget of {MOST_PERIOD}")
        mine = self.rows * (period // self.period)
        theirs = other.rows * (period // other.period)
        return Numbers(period, tuple(of(one, two) for one, two in zip(mine, theirs, strict=True)))

    def __contains__(self, number: int) -> bool:
        row = self.rows[number % self.period]
        return number >= 1 and any(low <= number and (high is None or number <= high) for low, high in row)

    def first(self, start: int = 1) -> int | None:
        """The least member that is not below `start`."""
        best: int | None = None
        for residue, row in enumerate(self.rows):
            for low, high in row:
                number = max(low, start, 1)
                number += (residue - number) % self.period
                if high is None or number <= high:
                    best = number if best is None or number < best else best
                    break
        return best

    def last(self, end: int) -> int | None:
        """The greatest member that is not above `end`."""
        best: int | None = None
        for residue, row in enumerate(self.rows):
            for low, high in reversed(row):
                number = end if high is None or high > end else high
                number -= (number - residue) % self.period
                if number >= max(low, 1):
                    best = number if best is None or number > best else best
                    break
        return best

    def members(self, start: int = 1) -> Iterator[int]:
        """All members from `start` on, ascending."""
        number = self.first(start)
        while number is not None:
            yield number
            number = self.first(number + 1)

    def endless(self) -> tuple[int, ...]:
        """Residues that belong from some point on."""
        return tuple(residue for residue, row in enumerate(self.rows) if row and row[-1][1] is None)

    def settles(self) -> int:
        """The least n such that from n on only the residue decides."""
        point = 1
        for residue, row in enumerate(self.rows):
            if not row:
                continue
            low, high = row[-1]
            edge = low if high is None else high + 1
            # The last number of this class before the edge is the last irregular one.
            last = edge - 1 - (edge - 1 - residue) % self.period
            point = max(point, last + 1)
        return point

    def regular(self) -> Numbers:
        """The same set with intervals cut to the members of their class, and joined where nothing lies between."""
        rows = tuple(_trim(row, residue, self.period) for residue, row in enumerate(self.rows))
        if all(row is EVERY for row in rows):
            return ALL_NUMBERS
        return Numbers(self.period, rows) if any(rows) else NO_NUMBERS


ALL_NUMBERS = Numbers(1, (EVERY,))
NO_NUMBERS = Numbers(1, ((),))


def _meet(one: Row, two: Row) -> Row:
    if not one or not two or one is two:
        return one and two
    if one == EVERY:
        return two
    if two == EVERY:
        return one
    found = []
    for low, high in one:
        for start, end in two:
            least = max(low, start)
            most = end if high is None else high if end is None else min(high, end)
            if most is None or least <= most:
                found.append((least, most))
    return tuple(found)


def _gaps(row: Row) -> Row:
    if not row:
        return EVERY
    if row is EVERY:
        return ()
    found: list[tuple[int, int | None]] = []
    start = 1
    for low, high in row:
        if low > start:
            found.append((start, low - 1))
        if high is None:
            return tuple(found)
        start = high + 1
    found.append((start, None))
    return tuple(found)


def _trim(row: Row, residue: int, period: int) -> Row:
    if not row or row is EVERY:
        return row
    found: list[tuple[int, int | None]] = []
    for low, high in row:
        least = max(low, 1)
        least += (residue - least) % period
        most = None if high is None else high - (high - residue) % period
        if most is not None and most < least:
            continue
        if found and found[-1][1] is not None and least - found[-1][1] <= period:
            least = found.pop()[0]
        found.append((least, most))
    return EVERY if found and found[0][0] <= period and found[0][1] is None else tuple(found)
