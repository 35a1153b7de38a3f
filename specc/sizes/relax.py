"""A quick, safe answer to whether a size is ever negative: floors are held between two straight lines."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TypeAlias

from specc.sizes.normal import Dim, Size
from specc.sizes.terms import Atom, Floor

Polynomial: TypeAlias = dict[tuple[tuple[str, int], ...], Fraction]  # in what each symbol is beyond its least value


def never_negative(size: Size, least: Mapping[str, int]) -> bool:
    """Whether a size is 0 or more wherever each symbol is at least as large as `least` says (1 without a word).

    True is proved; False only says that it was not seen. It costs little: no search, no cases.

    >>> never_negative(symbol("H") - 2 * (symbol("H") // 2), {})
    True
    """
    low = _bounds(size, least)[0]
    return low is not None and _positive(low)


_Bounds: TypeAlias = tuple[Polynomial | None, Polynomial | None]


def _bounds(size: Size, least: Mapping[str, int]) -> _Bounds:
    """Polynomials below and above a size; None where none is known."""
    if not isinstance(size, Dim):
        return {(): Fraction(size)}, {(): Fraction(size)}
    low: Polynomial | None = {}
    high: Polynomial | None = {}
    for monomial, factor in size.terms.items():
        below, above = _product(monomial, least)
        if factor < 0:
            below, above = above, below
        low = None if low is None or below is None else _sum(low, below, factor)
        high = None if high is None or above is None else _sum(high, above, factor)
    return low, high


def _product(monomial: tuple[tuple[Atom, int], ...], least: Mapping[str, int]) -> _Bounds:
    """Around a product of atoms, each of them 0 or more."""
    low: Polynomial = {(): Fraction(1)}
    high: Polynomial = {(): Fraction(1)}
    for atom, power in monomial:
        below, above = _atom(atom, least)
        if below is None or above is None:
            return None, None
        for _ in range(power):
            low, high = _times(low, below), _times(high, above)
    return low, high


def _atom(atom: Atom, least: Mapping[str, int]) -> _Bounds:
    """Around one atom; None where it may be negative or is no symbol and no floor by a number."""
    if isinstance(atom, str):
        beyond: Polynomial = {((atom, 1),): Fraction(1), (): Fraction(least.get(atom, 1))}
        return beyond, beyond
    if not isinstance(atom, Floor) or isinstance(atom.bottom, Dim):
        return None, None
    below, above = _bounds(atom.top, least)
    if below is None or above is None:
        return None, None
    low = _sum({(): Fraction(1 - atom.bottom, atom.bottom)}, below, Fraction(1, atom.bottom))
    high = _sum({}, above, Fraction(1, atom.bottom))
    if any(factor < 0 for monomial, factor in low.items() if monomial) or low.get((), Fraction(0)) <= -1:
        return None, None
    return (low if low.get((), Fraction(0)) >= 0 else {(): Fraction(0)}), high


def _sum(one: Polynomial, other: Polynomial, factor: int | Fraction) -> Polynomial:
    found = dict(one)
    for monomial, value in other.items():
        found[monomial] = found.get(monomial, Fraction(0)) + factor * value
    return found


def _times(one: Polynomial, other: Polynomial) -> Polynomial:
    found: Polynomial = {}
    for left, a in one.items():
        for right, b in other.items():
            powers = dict(left)
            for name, power in right:
                powers[name] = powers.get(name, 0) + power
            key = tuple(sorted(powers.items()))
            found[key] = found.get(key, Fraction(0)) + a * b
    return found


def _positive(size: Polynomial) -> bool:
    return all(factor >= 0 for factor in size.values())
