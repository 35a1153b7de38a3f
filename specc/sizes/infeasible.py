"""Whether comparisons of several symbols exclude one another, by residues, signs and elimination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import gcd
from typing import TypeAlias

from specc.sizes.dim import Dim, Size, bounds, substitute
from specc.sizes.normal import of_atom
from specc.sizes.numbers import OverBudget
from specc.sizes.predicates import Compare, Operator, extreme_in
from specc.sizes.single import SIGNS, may_have, period_of
from specc.sizes.terms import Floor

MOST_RESIDUES = 1024
MOST_ROWS = 200

Periods: TypeAlias = list[tuple[str, int]]
Inequality: TypeAlias = tuple[dict[str, int], int]  # factors and constant of a sum that is at least 0


def truth(difference: Size, op: Operator) -> bool | None:
    """Whether `difference op 0` for all sizes from 1 on (True), for none (False), or not so easily told (None)."""
    least, most = bounds(difference)
    if isinstance(difference, Dim) and (least is None or most is None):
        shifted = _shifted_bounds(difference)
        least, most = least if least is not None else shifted[0], most if most is not None else shifted[1]
    known = {sign for sign in (-1, 0, 1) if may_have(sign, least, most)}
    if op in ("==", "!=") and isinstance(difference, Dim) and _divides_not(difference):
        known.discard(0)
    if known.issubset(SIGNS[op]):
        return True
    return False if known.isdisjoint(SIGNS[op]) else None


def cannot_hold(comparisons: Sequence[Compare]) -> bool:
    """Whether it can be shown that no sizes from 1 on meet all comparisons; none has `min` or `max`."""
    differences = [(piece.left - piece.right, piece.op) for piece in comparisons]
    try:
        cases = _cases([difference for difference, _ in differences])
        return all(
            any(truth(size, op) is False for size, (_, op) in zip(sizes, differences, strict=True))
            or _contradict([(size, op) for size, (_, op) in zip(sizes, differences, strict=True)])
            for _, sizes in cases[1]
        )
    except OverBudget:
        return False


def residue_cases(difference: Dim) -> tuple[Periods, Iterator[tuple[tuple[int, ...], Size]]] | None:
    """Periods of the symbols, and for each choice of residues the size without floors; None if it has no floor."""
    if extreme_in(difference) is not None:
        return None
    periods, cases = _cases([difference])
    if all(period == 1 for _, period in periods):
        return None
    return periods, ((residues, sizes[0]) for residues, sizes in cases)


def _cases(differences: Sequence[Size]) -> tuple[Periods, Iterator[tuple[tuple[int, ...], list[Size]]]]:
    names = sorted(frozenset().union(*(size.symbols for size in differences if isinstance(size, Dim))))
    floored = frozenset().union(*map(_floored, differences))
    length = 1
    for size in differences:
        period, _ = period_of(size)
        length = length * period // gcd(length, period)
    periods = [(name, length if name in floored else 1) for name in names]
    cases = length ** len(floored) * len(differences)
    if cases > MOST_RESIDUES:
        raise OverBudget(f"{cases} cases of remainders are over the budget of {MOST_RESIDUES}")
    return periods, _each_case(differences, periods)


def _each_case(differences: Sequence[Size], periods: Periods) -> Iterator[tuple[tuple[int, ...], list[Size]]]:
    for residues in product(*(range(1, period + 1) for _, period in periods)):
        # The same name then stands for the quotient, which is again at least 1.
        put: dict[str, Size] = {
            name: of_atom(name) * period + (residue - period)
            for (name, period), residue in zip(periods, residues, strict=True)
            if period > 1
        }
        yield residues, [substitute(size, put) for size in differences]


def _floored(size: Size) -> frozenset[str]:
    """Symbols that stand under a floor."""
    if isinstance(size, int):
        return frozenset()
    floors = {atom for monomial in size.terms for atom, _ in monomial if isinstance(atom, Floor)}
    return frozenset().union(*(floor.top.symbols for floor in floors if isinstance(floor.top, Dim)))


def _shifted_bounds(size: Dim) -> tuple[int | None, int | None]:
    """Bounds of a polynomial from its factors after `H = H' + 1`, where `H'` is at least 0."""
    if any(not isinstance(atom, str) for monomial in size.terms for atom, _ in monomial):
        return None, None
    shifted = substitute(size, {name: of_atom(name) + 1 for name in size.symbols})
    if isinstance(shifted, int):
        return shifted, shifted
    constant = shifted.terms.get((), 0)
    factors = [factor for monomial, factor in shifted.terms.items() if monomial]
    return constant if min(factors) >= 0 else None, constant if max(factors) <= 0 else None


def _divides_not(size: Dim) -> bool:
    """Whether it cannot be 0 because its constant is no multiple of what divides all the rest."""
    common = gcd(*(factor for monomial, factor in size.terms.items() if monomial))
    return size.terms.get((), 0) % common != 0


# -------------------------------------------------------------------------------------------------------- elimination
def _contradict(comparisons: Sequence[tuple[Size, Operator]]) -> bool:
    """Fourier and Motzkin: whether the linear ones among the comparisons have no solution."""
    rows: list[Inequality] = []
    for size, op in comparisons:
        linear = _linear(size)
        if linear is None:
            continue
        factors, constant = linear
        if op in (">=", ">", "=="):
            rows.append((factors, constant - (op == ">")))
        if op in ("<=", "<", "=="):
            rows.append(({name: -factor for name, factor in factors.items()}, -constant - (op == "<")))
    names = sorted({name for factors, _ in rows for name in factors})
    rows += [({name: 1}, -1) for name in names]
    for name in names:
        rows = _without_symbol(rows, name)
        if len(rows) > MOST_ROWS:
            return False
    return any(constant < 0 for factors, constant in rows if not factors)


def _without_symbol(rows: list[Inequality], name: str) -> list[Inequality]:
    lower = [row for row in rows if row[0].get(name, 0) > 0]
    upper = [row for row in rows if row[0].get(name, 0) < 0]
    kept = [row for row in rows if not row[0].get(name, 0)]
    for low, least in lower:
        for high, most in upper:
            up, down = -high[name], low[name]
            names = sorted({*low, *high} - {name})
            factors = {other: low.get(other, 0) * up + high.get(other, 0) * down for other in names}
            factors = {other: factor for other, factor in factors.items() if factor}
            kept.append(_tight(factors, least * up + most * down))
    return kept


def _tight(factors: dict[str, int], constant: int) -> Inequality:
    """Divide by what divides all factors; whole numbers let the constant be rounded down."""
    common = gcd(*factors.values())
    return (
        ({name: factor // common for name, factor in factors.items()}, constant // common) if common else ({}, constant)
    )


def _linear(size: Size) -> Inequality | None:
    if isinstance(size, int):
        return {}, size
    factors: dict[str, int] = {}
    for monomial, factor in size.terms.items():
        if not monomial:
            continue
        atom, power = monomial[0]
        if len(monomial) > 1 or power > 1 or not isinstance(atom, str):
            return None
        factors[atom] = factor
    return factors, size.terms.get((), 0)
