"""Where a polynomial in one whole number q >= 0 is negative, zero or positive, exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import comb
from typing import TypeAlias

Run: TypeAlias = tuple[int, int | None, int]  # first q, last q (None: without end), sign


def sign_runs(factors: Sequence[int]) -> list[Run]:
    """Runs of equal sign of `factors[0] + factors[1]*q + factors[2]*q**2 …`, in order from q = 0.

    Between two changes of sign of its differences a polynomial is monotone, so each of its own changes is found by
    halving: no bound on the roots is needed.
    """
    factors = _trimmed(factors)
    if len(factors) == 1:
        return [(0, None, _sign(factors[0]))]
    steps = sign_runs(_differences(factors))
    runs: list[Run] = []
    for start, end, step in steps:
        # Within the run, value(q + 1) - value(q) has the sign `step` for q = start … end.
        for first, last, sign in _monotone_runs(factors, start, None if end is None else end + 1, step):
            begin = first if not runs else (runs[-1][1] or 0) + 1
            if last is not None and last < begin:
                continue
            if runs and runs[-1][2] == sign:
                begin = runs.pop()[0]
            runs.append((begin, last, sign))
    return runs


def _monotone_runs(factors: list[int], start: int, end: int | None, step: int) -> Iterator[Run]:
    if step == 0:
        yield start, end, _sign(_value(factors, start))
        return
    edges = [start]
    for reached in (lambda value: value * step >= 0, lambda value: value * step > 0):
        edge = _first(factors, edges[-1], end, reached)
        if edge is None:
            break
        edges.append(edge)
    for one, two in pairwise(edges):
        if two > one:
            yield one, two - 1, _sign(_value(factors, one))
    yield edges[-1], end, _sign(_value(factors, edges[-1]))


def _first(factors: list[int], start: int, end: int | None, reached: Callable[[int], bool]) -> int | None:
    """The first q in start … end for which it is reached, given that it stays so."""
    width = 1
    while end is None and not reached(_value(factors, start + width)):
        width *= 2
    last = start + width if end is None else end
    if not reached(_value(factors, last)):
        return None
    low = start
    while low < last:
        middle = (low + last) // 2
        if reached(_value(factors, middle)):
            last = middle
        else:
            low = middle + 1
    return low


def _differences(factors: list[int]) -> list[int]:
    """Factors of `value(q + 1) - value(q)`."""
    return [sum(factors[n] * comb(n, k) for n in range(k + 1, len(factors))) for k in range(len(factors) - 1)]


def _value(factors: list[int], q: int) -> int:
    result = 0
    for factor in reversed(factors):
        result = result * q + factor
    return result


def _trimmed(factors: Sequence[int]) -> list[int]:
    kept = list(factors)
    while len(kept) > 1 and kept[-1] == 0:
        kept.pop()
    return kept


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
