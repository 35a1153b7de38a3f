"""Comparisons of several symbols that only their remainders decide, written as one condition for each symbol."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from specc.sizes.infeasible import residue_cases, truth
from specc.sizes.normal import of_atom
from specc.sizes.numbers import OverBudget
from specc.sizes.predicates import ALWAYS, Compare, Predicate, both, compare, either, symbols_in


@lru_cache(maxsize=1024)
def separate(piece: Predicate) -> Predicate:
    """A comparison of several symbols as one predicate for each, if only their remainders decide it."""
    if not isinstance(piece, Compare) or len(symbols_in(piece)) < 2:
        return piece
    difference = piece.left - piece.right
    if isinstance(difference, int) or truth(difference, piece.op) is not None:
        return piece
    try:
        cases = residue_cases(difference)
    except OverBudget:
        return piece
    if cases is None:
        return piece
    periods, choices = cases
    good: list[tuple[int, ...]] = []
    for residues, size in choices:
        decided = truth(size, piece.op)
        if decided is None:
            return piece
        if decided:
            good.append(residues)
    allowed = [sorted(set(column)) for column in zip(*good, strict=True)]
    if not good or len(good) != _count(allowed):
        return piece
    return both(_remainder(name, period, kept) for (name, period), kept in zip(periods, allowed, strict=True))


def _count(columns: Sequence[Sequence[int]]) -> int:
    count = 1
    for column in columns:
        count *= len(column)
    return count


def _remainder(name: str, period: int, residues: Sequence[int]) -> Predicate:
    kept = {residue % period for residue in residues}
    least = next(
        divisor
        for divisor in range(1, period + 1)
        if period % divisor == 0 and all((residue + divisor) % period in kept for residue in kept)
    )
    if least == 1:
        return ALWAYS
    return either(compare(of_atom(name) % least, "==", residue) for residue in sorted({r % least for r in kept}))
