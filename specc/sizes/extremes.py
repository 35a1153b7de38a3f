"""How small and how large a size can be, and the smaller or larger of several sizes."""

from __future__ import annotations

from typing import Literal, TypeAlias

from specc.sizes.normal import Size, of_atom
from specc.sizes.terms import Atom, Extreme, Floor

Bounds: TypeAlias = tuple[int | None, int | None]  # least and most; None where there is no bound, or none is known


def bounds(size: Size) -> Bounds:
    """A safe lower and upper bound when every symbol is at least 1: `bounds(H + 3) == (4, None)`."""
    if isinstance(size, int):
        return size, size
    least: int | None = 0
    most: int | None = 0
    for monomial, factor in size.terms.items():
        low, high = _scale(_product_bounds(monomial), factor)
        least = None if least is None or low is None else least + low
        most = None if most is None or high is None else most + high
        if least is None and most is None:
            break
    return least, most


def minimum(*sizes: Size) -> Size:
    """The smallest of the sizes, worked out as far as the unknowns allow: `minimum(H, H + 2) == H`."""
    if all(isinstance(size, int) for size in sizes):
        return min(sizes)  # type: ignore[type-var]
    return _extreme("min", sizes)


def maximum(*sizes: Size) -> Size:
    """The largest of the sizes, worked out as far as the unknowns allow: `maximum(H, 0) == H`."""
    if all(isinstance(size, int) for size in sizes):
        return max(sizes)  # type: ignore[type-var]
    return _extreme("max", sizes)


def _extreme(kind: Literal["min", "max"], sizes: tuple[Size, ...]) -> Size:
    parts: list[Size] = []
    for size in dict.fromkeys(_flatten(kind, sizes)):
        if any(_never_beyond(kind, kept, size) for kept in parts):
            continue
        parts = [kept for kept in parts if not _never_beyond(kind, size, kept)]
        parts.append(size)
    if len(parts) == 1:
        return parts[0]
    return of_atom(Extreme(kind, tuple(sorted(parts, key=lambda part: (isinstance(part, int), str(part))))))


def _flatten(kind: str, sizes: tuple[Size, ...]) -> list[Size]:
    flat: list[Size] = []
    for size in sizes:
        inner = _sole_atom(size)
        flat += inner.parts if isinstance(inner, Extreme) and inner.kind == kind else (size,)
    return flat


def _sole_atom(size: Size) -> Atom | None:
    if isinstance(size, int) or len(size.terms) != 1:
        return None
    (monomial, factor), *_ = size.terms.items()
    return monomial[0][0] if factor == 1 and len(monomial) == 1 and monomial[0][1] == 1 else None


def _never_beyond(kind: str, one: Size, other: Size) -> bool:
    """Whether `one` wins over `other` for all sizes."""
    inner = _sole_atom(other)
    if isinstance(inner, Extreme) and inner.kind != kind and one in inner.parts:
        return True
    least = bounds(other - one if kind == "min" else one - other)[0]
    return least is not None and least >= 0


def _scale(interval: Bounds, factor: int) -> Bounds:
    low, high = interval
    if factor < 0:
        low, high = high, low
    return None if low is None else low * factor, None if high is None else high * factor


def _product_bounds(monomial: tuple[tuple[Atom, int], ...]) -> Bounds:
    if len(monomial) == 1 and monomial[0][1] == 1:
        return _atom_bounds(monomial[0][0])
    least = 1
    most: int | None = 1
    for atom, power in monomial:
        low, high = _atom_bounds(atom)
        if low is None or low < 0:
            return None, None
        least *= low**power
        most = None if most is None or high is None else most * high**power
    return least, most


def _atom_bounds(atom: Atom) -> Bounds:
    if isinstance(atom, str):
        return 1, None
    if isinstance(atom, Extreme):
        lows, highs = zip(*map(bounds, atom.parts), strict=True)
        return (_least(lows), _any_of(min, highs)) if atom.kind == "min" else (_any_of(max, lows), _most(highs))
    return _floor_bounds(atom)


def _floor_bounds(floor: Floor) -> Bounds:
    low, high = bounds(floor.top)
    if isinstance(floor.bottom, int):
        return None if low is None else low // floor.bottom, None if high is None else high // floor.bottom
    smallest, largest = bounds(floor.bottom)
    if low is None or low < 0 or smallest is None or smallest < 1:
        return None, None
    return (0 if largest is None else low // largest), (None if high is None else high // smallest)


def _least(values: tuple[int | None, ...]) -> int | None:
    known = [value for value in values if value is not None]
    return min(known) if len(known) == len(values) else None


def _most(values: tuple[int | None, ...]) -> int | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def _any_of(choose: object, values: tuple[int | None, ...]) -> int | None:
    known = [value for value in values if value is not None]
    return (min(known) if choose is min else max(known)) if known else None
