"""A size in terms of other sizes: what a tensor of size `H//4` still tells of `(H + 4)//8`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from specc.sizes.dim import Dim, Size, maximum, minimum, symbol
from specc.sizes.terms import Atom, Floor


def express(size: Size, known: Mapping[str, Dim]) -> Size | None:
    """The size as a formula of the names of known sizes; None if none is found.

    >>> from specc.sizes.dim import parse
    >>> str(express(parse("(H + 4)//8"), {"n": parse("H//4")}))
    '(n + 1)//2'
    """
    if isinstance(size, int):
        return size
    for name, each in known.items():
        over = size - each
        if isinstance(over, int):
            return symbol(name) + over
    total: Size = 0
    for monomial, factor in size.terms.items():
        piece: Size = factor
        for atom, power in monomial:
            found = _atom(atom, known)
            if found is None:
                return None
            piece = piece * found**power
        total = total + piece
    return total


def told(sizes: Iterable[Dim], known: Iterable[Size]) -> bool:
    """Whether all of these sizes can be worked out from those that are known."""
    axes = {f"axis{at}": size for at, size in enumerate(known) if isinstance(size, Dim)}
    return all(express(size, axes) is not None for size in sizes)


def unknown(values: Iterable[Any]) -> set[Dim]:
    """The unknown sizes among values of any kind, also in lists and under names."""
    found: set[Dim] = set()
    for each in values:
        if isinstance(each, Dim):
            found.add(each)
        elif isinstance(each, tuple | Mapping):
            found |= unknown(each.values() if isinstance(each, Mapping) else each)
    return found


def _atom(atom: Atom, known: Mapping[str, Dim]) -> Size | None:
    for name, each in known.items():
        solved = _solved(each, name)
        if solved is not None and solved[0] == atom:
            return solved[1]
    if isinstance(atom, str):
        return None
    if isinstance(atom, Floor):
        return _floor(atom, known)
    parts = [express(part, known) for part in atom.parts]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    return minimum(*found) if atom.kind == "min" else maximum(*found)


def _floor(atom: Floor, known: Mapping[str, Dim]) -> Size | None:
    top, bottom = express(atom.top, known), express(atom.bottom, known)
    if top is not None and bottom is not None:
        return top // bottom
    for name, each in known.items():  # a // (b * c) is a // b // c
        solved = _solved(each, name)
        if solved is None or not isinstance(solved[0], Floor):
            continue
        inner, whole = solved[0], solved[1]
        step = inner.bottom
        if not isinstance(step, int) or not isinstance(atom.bottom, int) or atom.bottom % step:
            continue
        over = atom.top - inner.top
        if isinstance(over, int) and over % step == 0:
            return (whole + over // step) // (atom.bottom // step)
    return None


def _solved(size: Dim, name: str) -> tuple[Atom, Size] | None:
    """The only atom of a size and what it comes to: `2*(H//4) + 1`, called n, gives `H//4` and `(n - 1)//2`."""
    rest = {monomial: factor for monomial, factor in size.terms.items() if monomial}
    if len(rest) != 1:
        return None
    ((monomial, factor),) = rest.items()
    if len(monomial) != 1 or monomial[0][1] != 1:
        return None
    over: Size = symbol(name) - size.terms.get((), 0)
    return monomial[0][0], over if factor == 1 else over // factor
