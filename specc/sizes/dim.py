"""Sizes that may be unknown, as values: what the rest of specc imports to reckon with shapes, counts and costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from specc.sizes.extremes import bounds, maximum, minimum
from specc.sizes.normal import Dim, Size, of_atom
from specc.sizes.spelling import parse, text
from specc.sizes.terms import Atom, Floor, SizeTooLarge


def symbol(name: str) -> Dim:
    """The unknown of that name, a whole number of at least 1."""
    if not name.isidentifier():
        raise ValueError(f"{name!r} cannot name a size")
    return of_atom(name)


def ceil_div(a: Size, b: Size) -> Size:
    """`a / b` rounded up: `ceil_div(7, 2) == 4`, `text(ceil_div(H, 2)) == "(H + 1)//2"`."""
    if isinstance(a, int) and isinstance(b, int):
        return -(-a // b)
    return -(-a // b) if isinstance(b, Dim) else (a + (b - 1)) // b if b > 0 else (-a - b - 1) // -b


def product(sizes: Iterable[Size]) -> Size:
    """All sizes multiplied; 1 for none."""
    result: Size = 1
    for size in sizes:
        result = result * size
    return result


def symbols(size: Size) -> frozenset[str]:
    """Names of the unknowns in a size."""
    return frozenset() if isinstance(size, int) else size.symbols


def substitute(size: Size, sizes: Mapping[str, Size]) -> Size:
    """The size with symbols replaced: `substitute(H // 2 + W, {"H": 8}) == W + 4`."""
    if isinstance(size, int) or size.symbols.isdisjoint(sizes):
        return size
    result: Size = 0
    for monomial, factor in size.terms.items():
        piece: Size = factor
        for atom, power in monomial:
            piece = piece * _substitute_atom(atom, sizes) ** power
        result = result + piece
    return result


def evaluate(size: Size, sizes: Mapping[str, int]) -> int:
    """What a size comes to; KeyError for a symbol without a value, ZeroDivisionError where a divisor is 0."""
    if isinstance(size, int):
        return size
    total = 0
    for monomial, factor in size.terms.items():
        for atom, power in monomial:
            factor *= _evaluate_atom(atom, sizes) ** power
        total += factor
    return total


def _substitute_atom(atom: Atom, sizes: Mapping[str, Size]) -> Size:
    if isinstance(atom, str):
        given = sizes.get(atom)
        return of_atom(atom) if given is None else given
    if isinstance(atom, Floor):
        return substitute(atom.top, sizes) // substitute(atom.bottom, sizes)
    parts = [substitute(part, sizes) for part in atom.parts]
    return minimum(*parts) if atom.kind == "min" else maximum(*parts)


def _evaluate_atom(atom: Atom, sizes: Mapping[str, int]) -> int:
    if isinstance(atom, str):
        return sizes[atom]
    if isinstance(atom, Floor):
        return evaluate(atom.top, sizes) // evaluate(atom.bottom, sizes)
    parts = [evaluate(part, sizes) for part in atom.parts]
    return min(parts) if atom.kind == "min" else max(parts)


__all__ = [
    "Dim",
    "Size",
    "SizeTooLarge",
    "bounds",
    "ceil_div",
    "evaluate",
    "maximum",
    "minimum",
    "parse",
    "product",
    "substitute",
    "symbol",
    "symbols",
    "text",
]
