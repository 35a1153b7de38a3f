"""The exact set of numbers for which a predicate on one symbol holds.

With `H = L*q + r` every floor becomes a polynomial in q, one for each residue r of 1 … L; its signs give the set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import gcd, lcm

from specc.sizes.dim import Dim, Size, bounds
from specc.sizes.numbers import ALL_NUMBERS, EVERY, MOST_PERIOD, NO_NUMBERS, Numbers, OverBudget, Row
from specc.sizes.predicates import (
    ALWAYS,
    NEVER,
    All,
    Any,
    Compare,
    Operator,
    Predicate,
    compare,
    extreme_in,
    holds,
    negate,
    put_in_place_of,
)
from specc.sizes.signs import sign_runs
from specc.sizes.terms import Floor

MOST_CASES = 64

SIGNS: dict[Operator, tuple[int, ...]] = {
    "==": (0,),
    "!=": (-1, 1),
    "<": (-1,),
    "<=": (-1, 0),
    ">": (1,),
    ">=": (0, 1),
}
_MIRRORED: dict[Operator, Operator] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def numbers_of(predicate: Predicate) -> Numbers:
    """The numbers that may stand for the one symbol of a predicate; OverBudget where that cannot be worked out."""
    match predicate:
        case Compare(left, op, right):
            difference = left - right
            if isinstance(difference, int):
                return ALL_NUMBERS if compare(left, op, right) == ALWAYS else NO_NUMBERS
            return _numbers_where(difference, op)
        case All(parts):
            return _fold(parts, ALL_NUMBERS, Numbers.__and__)
        case Any(parts):
            return _fold(parts, NO_NUMBERS, Numbers.__or__)
        case _:
            return numbers_of(negate(predicate.part))


def _fold(parts: tuple[Predicate, ...], start: Numbers, join: Callable[[Numbers, Numbers], Numbers]) -> Numbers:
    result = start
    for numbers in dict.fromkeys(numbers_of(part) for part in parts):
        result = join(result, numbers)
    return result


def split_extremes(difference: Size, op: Operator) -> Predicate:
    """`difference op 0` without `min` and `max`: one case for each part that may be the extreme one."""
    found = extreme_in(difference)
    if found is None:
        return compare(difference, op, 0)
    if len(found.parts) > MOST_CASES:
        raise OverBudget(f"{found.kind} of {len(found.parts)} sizes has too many cases")
    cases: list[Predicate] = []
    for chosen in found.parts:
        wins = [compare(chosen, "<=" if found.kind == "min" else ">=", other) for other in found.parts]
        case = split_extremes(put_in_place_of(difference, found, chosen), op)
        if NEVER not in (*wins, case):
            cases.append(All((*wins, case)))
    return Any(tuple(cases))


@lru_cache(maxsize=2048)
def _numbers_where(difference: Dim, op: Operator) -> Numbers:
    least, most = bounds(difference)
    known = {sign for sign in (-1, 0, 1) if may_have(sign, least, most)}
    if known.issubset(SIGNS[op]):
        return ALL_NUMBERS
    if known.isdisjoint(SIGNS[op]):
        return NO_NUMBERS
    if extreme_in(difference) is not None:
        return numbers_of(split_extremes(difference, op))
    divided = _unknown_divisor(difference)
    if divided is not None:
        return _numbers_by_trial(difference, op, divided)
    period, _ = period_of(difference)
    columns = columns_of(difference, period)
    if len(columns) == 1:
        rows = [EVERY if (value > 0) - (value < 0) in SIGNS[op] else () for value in columns[0]]
    elif len(columns) == 2 and len(set(columns[1])) == 1 and columns[1][0]:
        rows = _rows_of_line(columns[0], columns[1][0], op, period)
    else:
        rows = [
            _row(factors, op, residue, period) for residue, factors in enumerate(zip(*columns, strict=True), start=1)
        ]
    return Numbers(period, (rows[-1], *rows[:-1])).regular()


def _unknown_divisor(size: Size) -> Floor | None:
    """A floor whose divisor is not known, an inner one first."""
    if isinstance(size, int):
        return None
    for monomial in size.terms:
        for atom, _ in monomial:
            if isinstance(atom, Floor):
                inner = _unknown_divisor(atom.top) or _unknown_divisor(atom.bottom)
                if inner or isinstance(atom.bottom, Dim):
                    return inner or atom
    return None


def _numbers_by_trial(difference: Dim, op: Operator, floor: Floor) -> Numbers:
    """Where a quotient such as `100 // H` ends up constant, try all sizes before that."""
    for value in (0, -1):
        over = floor.top - floor.bottom * value
        missing = ~numbers_of(All((compare(over, ">=", 0), compare(over, "<", floor.bottom)))).regular()
        if missing.endless():
            continue
        last = missing.last(missing.settles()) or 0
        if last > MOST_PERIOD:
            break
        (name,) = difference.symbols
        plain = compare(difference, op, 0)
        tried = [number for number in range(1, last + 1) if holds(plain, {name: number})]
        rest = numbers_of(compare(put_in_place_of(difference, floor, value), op, 0))
        found = Numbers(1, (tuple((number, number) for number in tried),))
        return (found | (rest & Numbers(1, (((last + 1, None),),)))).regular()
    raise OverBudget(f"{floor} changes for too many sizes")


def may_have(sign: int, least: int | None, most: int | None) -> bool:
    if sign == 0:
        return (least is None or least <= 0) and (most is None or most >= 0)
    return (most is None or most > 0) if sign > 0 else (least is None or least < 0)


def _row(factors: tuple[int, ...], op: Operator, residue: int, period: int) -> Row:
    return tuple(
        (start * period + residue, None if end is None else end * period + residue)
        for start, end, sign in sign_runs(factors)
        if sign in SIGNS[op]
    )


def _rows_of_line(values: Sequence[int], slope: int, op: Operator, period: int) -> list[Row]:
    """Rows for `value + slope*q op 0`, q >= 0, for residues 1 … period: by far the most common case."""
    if slope < 0:
        values, slope, op = [-value for value in values], -slope, _MIRRORED[op]
    rows: list[Row] = []
    for residue, value in enumerate(values, start=1):
        below = -value // slope  # the last q at which the line is not above 0
        touches = below * slope == -value
        before = (below - touches) * period + residue
        after = (below + 1) * period + residue
        if op in (">=", ">"):
            start = before + period if op == ">=" else after
            rows.append(EVERY if start <= period else ((start, None),))
        elif op in ("<=", "<"):
            end = after - period if op == "<=" else before
            rows.append(((1, end),) if end >= residue else ())
        elif op == "==":
            rows.append(((after - period, after - period),) if touches and below >= 0 else ())
        elif not touches or below < 0:
            rows.append(EVERY)
        else:
            rows.append(((1, before), (after, None)) if below else ((after, None),))
    return rows


# ------------------------------------------------------------------------------------------- substitution, by column
def period_of(size: Size) -> tuple[int, int | None]:
    """The period after which no floor is left, and by how much a linear size of one symbol grows over it.

    For more than one symbol the period serves each of them.
    """
    if isinstance(size, int):
        return 1, 0
    period = 1
    growth: int | None = 0 if len(size.symbols) == 1 else None
    for monomial, factor in size.terms.items():
        for atom, power in monomial:
            length, more = (1, 1) if isinstance(atom, str) else _period_of_floor(atom, size)
            both = lcm(period, length)
            if growth is None or more is None or power > 1 or len(monomial) > 1:
                growth = None
            else:
                growth = growth * (both // period) + factor * more * (both // length)
            period = both
    if period > MOST_PERIOD:
        raise OverBudget(f"remainders repeat only after {period}, which is over the budget of {MOST_PERIOD}")
    return period, growth


def _period_of_floor(atom: object, size: Dim) -> tuple[int, int | None]:
    if not isinstance(atom, Floor) or not isinstance(atom.bottom, int):
        raise OverBudget(f"{size} is divided by an unknown size")
    period, growth = period_of(atom.top)
    if growth is None:
        return period * atom.bottom, None
    common = gcd(atom.bottom, growth)
    return period * (atom.bottom // common), growth // common


def columns_of(size: Size, period: int) -> list[list[int]]:
    """Factors of the polynomial in q that `H = period*q + r` makes of the size: by power, then for r = 1 … period."""
    if isinstance(size, int):
        return [[size] * period]
    total: list[list[int]] = [[0] * period]
    for monomial, factor in size.terms.items():
        piece = [[factor] * period]
        for atom, power in monomial:
            column = _columns_of_floor(atom, period) if isinstance(atom, Floor) else _symbol(period)
            for _ in range(power):
                piece = _multiply(piece, column)
        total = _add(total, piece)
    return total


def _symbol(period: int) -> list[list[int]]:
    return [list(range(1, period + 1)), [period] * period]


def _columns_of_floor(floor: Floor, period: int) -> list[list[int]]:
    bottom = floor.bottom
    assert isinstance(bottom, int)
    return [[value // bottom for value in column] for column in columns_of(floor.top, period)]


def _multiply(one: list[list[int]], two: list[list[int]]) -> list[list[int]]:
    if len(one) == 1 and len(set(one[0])) == 1:
        factor = one[0][0]
        return two if factor == 1 else [[factor * value for value in column] for column in two]
    result = [[0] * len(one[0]) for _ in range(len(one) + len(two) - 1)]
    for i, left in enumerate(one):
        for j, right in enumerate(two):
            result[i + j] = [sum_ + a * b for sum_, a, b in zip(result[i + j], left, right, strict=True)]
    return result


def _add(one: list[list[int]], two: list[list[int]]) -> list[list[int]]:
    if len(one) < len(two):
        one, two = two, one
    added = [[a + b for a, b in zip(left, right, strict=True)] for left, right in zip(one, two, strict=False)]
    return added + one[len(two) :]
