"""What can be said about sizes: comparisons, joined by and, or and not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

from specc.sizes.dim import Dim, Size, evaluate, maximum, minimum, substitute, symbols
from specc.sizes.normal import of_atom
from specc.sizes.terms import Atom, Extreme, Floor
from specc.text.record import Record

Operator: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]

_OPPOSITE: Final[dict[Operator, Operator]] = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


class Compare(Record):
    """`left op right`, kept as it was written."""

    left: Size
    op: Operator
    right: Size


class All(Record):
    """Every part holds; without parts, always."""

    parts: tuple[Predicate, ...]


class Any(Record):
    """At least one part holds; without parts, never."""

    parts: tuple[Predicate, ...]


class Not(Record):
    """The part does not hold."""

    part: Predicate


Predicate: TypeAlias = Compare | All | Any | Not
ALWAYS: Final = All(())
NEVER: Final = Any(())


def compare(left: Size, op: Operator, right: Size) -> Predicate:
    """`left op right`; ALWAYS or NEVER where the difference is a known number."""
    difference = left - right
    if isinstance(difference, Dim):
        return Compare(left, op, right)
    return ALWAYS if _compare_numbers(difference, op, 0) else NEVER


def negate(predicate: Predicate) -> Predicate:
    """The opposite, with every `not` worked into the comparisons."""
    match predicate:
        case Compare(left, op, right):
            return without_not(Compare(left, _OPPOSITE[op], right))
        case All(parts):
            return either(negate(part) for part in parts)
        case Any(parts):
            return both(negate(part) for part in parts)
        case Not(part):
            return without_not(part)


def without_not(predicate: Predicate) -> Predicate:
    """The same predicate with every `not` worked into the comparisons, and those of numbers decided."""
    match predicate:
        case Compare(left, op, right):
            return predicate if symbols_in(predicate) else compare(left, op, right)
        case All(parts):
            return both(without_not(part) for part in parts)
        case Any(parts):
            return either(without_not(part) for part in parts)
        case Not(part):
            return negate(part)


def holds(predicate: Predicate, sizes: Mapping[str, int]) -> bool:
    """Whether it is true for these sizes; a comparison that would divide by zero is not."""
    match predicate:
        case Compare(left, op, right):
            try:
                return _compare_numbers(evaluate(left, sizes), op, evaluate(right, sizes))
            except ZeroDivisionError:
                return False
        case All(parts):
            return all(holds(part, sizes) for part in parts)
        case Any(parts):
            return any(holds(part, sizes) for part in parts)
        case Not(part):
            return holds(negate(part), sizes)


def substitute_in(predicate: Predicate, sizes: Mapping[str, Size]) -> Predicate:
    """The predicate with symbols replaced; comparisons of numbers become ALWAYS or NEVER."""
    match predicate:
        case Compare(left, op, right):
            try:
                return compare(substitute(left, sizes), op, substitute(right, sizes))
            except ZeroDivisionError:
                return NEVER
        case All(parts):
            return both(substitute_in(part, sizes) for part in parts)
        case Any(parts):
            return either(substitute_in(part, sizes) for part in parts)
        case Not(part):
            return substitute_in(negate(part), sizes)


def both(parts: Iterable[Predicate]) -> Predicate:
    """The conjunction, flat, without repetition and without what is always or never true."""
    flat = tuple(dict.fromkeys(inner for part in parts for inner in conjuncts(part)))
    return NEVER if NEVER in flat else flat[0] if len(flat) == 1 else All(flat)


def either(parts: Iterable[Predicate]) -> Predicate:
    """The disjunction, flat, without repetition and without what is always or never true."""
    flat = tuple(dict.fromkeys(inner for part in parts for inner in _disjuncts(part)))
    return ALWAYS if ALWAYS in flat else flat[0] if len(flat) == 1 else Any(flat)


def conjuncts(predicate: Predicate) -> Iterator[Predicate]:
    if isinstance(predicate, All):
        for part in predicate.parts:
            yield from conjuncts(part)
    else:
        yield predicate


def _disjuncts(predicate: Predicate) -> Iterator[Predicate]:
    if isinstance(predicate, Any):
        for part in predicate.parts:
            yield from _disjuncts(part)
    else:
        yield predicate


def symbols_in(predicate: Predicate) -> frozenset[str]:
    """Names of the unknowns it speaks of."""
    match predicate:
        case Compare(left, _, right):
            return symbols(left) | symbols(right)
        case All(parts) | Any(parts):
            return frozenset().union(*map(symbols_in, parts))
        case Not(part):
            return symbols_in(part)


def describe(predicate: Predicate) -> str:
    """The predicate as one writes it after `where`: `H % 2 == 0 and H >= 8`."""
    match predicate:
        case Compare(left, op, right):
            return f"{left} {op} {right}"
        case All(parts):
            return " and ".join(_bracket(part, (Any,)) for part in parts) if parts else "true"
        case Any(parts):
            return " or ".join(_bracket(part, (All,)) for part in parts) if parts else "false"
        case Not(part):
            return f"not {_bracket(part, (All, Any, Compare))}"


def _bracket(part: Predicate, kinds: tuple[type, ...]) -> str:
    return f"({describe(part)})" if isinstance(part, kinds) else describe(part)


def _compare_numbers(left: int, op: Operator, right: int) -> bool:
    match op:
        case "==":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case ">=":
            return left >= right


# --------------------------------------------------------------------------------------------------- min and max
def extreme_in(size: Size) -> Extreme | None:
    """Some `min` or `max` within a size, also inside its floors."""
    if isinstance(size, int):
        return None
    for monomial in size.terms:
        for atom, _ in monomial:
            if isinstance(atom, Extreme):
                return atom
            found = (extreme_in(atom.top) or extreme_in(atom.bottom)) if isinstance(atom, Floor) else None
            if found:
                return found
    return None


def put_in_place_of(size: Size, atom: Atom, by: Size) -> Size:
    """The size with one atom replaced wherever it occurs."""
    if isinstance(size, int):
        return size
    result: Size = 0
    for monomial, factor in size.terms.items():
        piece: Size = factor
        for part, power in monomial:
            piece = piece * _put_in_atom(part, atom, by) ** power
        result = result + piece
    return result


def _put_in_atom(part: Atom, atom: Atom, by: Size) -> Size:
    if part == atom:
        return by
    if isinstance(part, Floor):
        return put_in_place_of(part.top, atom, by) // put_in_place_of(part.bottom, atom, by)
    if isinstance(part, Extreme):
        parts = [put_in_place_of(inner, atom, by) for inner in part.parts]
        return minimum(*parts) if part.kind == "min" else maximum(*parts)
    return of_atom(part)
