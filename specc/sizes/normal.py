"""The normal form of a size that is not known yet: a sum of products of symbols, floors and extremes."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any, NoReturn, TypeAlias

from specc.sizes.terms import (
    Atom,
    Floor,
    Monomial,
    SizeTooLarge,
    Terms,
    add,
    divide,
    multiply,
    order_of_term,
    shared_symbols,
    without,
)

MOST_POWER = 64
MOST_TEXT = 50_000


class Dim:
    """A size with at least one unknown in it, as a polynomial in normal form.

    `==` compares normal forms and never decides truth (`specc.sizes.conditions` does); a `Dim` is no truth value and
    has no order. Operations that lose the last unknown give a plain `int`: `symbol("H") - symbol("H") == 0`.
    """

    __slots__ = ("_hash", "_symbols", "_text", "terms")
    terms: Terms
    _hash: int
    _symbols: frozenset[str]
    _text: str

    def __init__(self, terms: Terms) -> None:
        """Wrap terms that are in normal form already: no zero coefficient, at least one unknown."""
        _set_terms(self, terms)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Dim cannot be changed")

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Dim) and self.terms == other.terms)

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            _set_hash(self, hash(frozenset(self.terms.items())))
            return self._hash

    def __bool__(self) -> NoReturn:
        raise TypeError(f"the size {self} is not known, so it is neither true nor false")

    def __add__(self, other: Size) -> Size:
        if isinstance(other, int):
            return self._plus(other) if other else self
        return from_terms(add(self.terms, other.terms, 1)) if isinstance(other, Dim) else NotImplemented

    __radd__ = __add__

    def _plus(self, number: int) -> Dim:
        terms = dict(self.terms)
        number += terms.pop((), 0)
        if number:
            terms[()] = number
        return Dim(terms)

    def __neg__(self) -> Dim:
        return Dim({monomial: -factor for monomial, factor in self.terms.items()})

    def __pos__(self) -> Dim:
        return self

    def __sub__(self, other: Size) -> Size:
        if isinstance(other, int):
            return self._plus(-other) if other else self
        return from_terms(add(self.terms, other.terms, -1)) if isinstance(other, Dim) else NotImplemented

    def __rsub__(self, other: int) -> Size:
        return -self + other if isinstance(other, int) else NotImplemented

    def __mul__(self, other: Size) -> Size:
        if isinstance(other, int):
            return Dim({monomial: factor * other for monomial, factor in self.terms.items()}) if other else 0
        return from_terms(multiply(self.terms, other.terms)) if isinstance(other, Dim) else NotImplemented

    __rmul__ = __mul__

    def __pow__(self, exponent: int) -> Size:
        if not isinstance(exponent, int):
            return NotImplemented
        if exponent < 0:
            raise ValueError("a size has no negative powers")
        if exponent > MOST_POWER:
            raise SizeTooLarge(f"the power {exponent} of a size that is not known is over the budget of {MOST_POWER}")
        result: Size = 1
        for _ in range(exponent):
            result = result * self
        return result

    def __floordiv__(self, divisor: Size) -> Size:
        if isinstance(divisor, int):
            return floor_by_number(self, divisor)
        return floor_by_dim(self, divisor) if isinstance(divisor, Dim) else NotImplemented

    def __rfloordiv__(self, dividend: int) -> Size:
        return floor_by_dim(dividend, self) if isinstance(dividend, int) else NotImplemented

    def __mod__(self, divisor: Size) -> Size:
        if not isinstance(divisor, (int, Dim)):
            return NotImplemented
        return self - (self // divisor) * divisor

    def __rmod__(self, dividend: int) -> Size:
        return dividend - (dividend // self) * self if isinstance(dividend, int) else NotImplemented

    def __str__(self) -> str:
        try:
            return self._text
        except AttributeError:
            from specc.sizes.spelling import spell

            text = spell(self)
            if len(text) > MOST_TEXT:
                raise SizeTooLarge(f"a size came to more than {MOST_TEXT} characters") from None
            _set_text(self, text)
            return self._text

    def __repr__(self) -> str:
        return f"Dim({self})"

    def __reduce__(self) -> tuple[Callable[[str], Size], tuple[str]]:
        from specc.sizes.spelling import parse

        return parse, (str(self),)

    @property
    def symbols(self) -> frozenset[str]:
        """Names of the unknowns."""
        try:
            return self._symbols
        except AttributeError:
            atoms = {atom for monomial in self.terms for atom, _ in monomial}
            _set_symbols(self, frozenset().union(*(symbols_of(atom) for atom in atoms)))
            return self._symbols


_set_terms: Callable[[Dim, Any], None] = Dim.__dict__["terms"].__set__
_set_hash: Callable[[Dim, Any], None] = Dim.__dict__["_hash"].__set__
_set_text: Callable[[Dim, Any], None] = Dim.__dict__["_text"].__set__
_set_symbols: Callable[[Dim, Any], None] = Dim.__dict__["_symbols"].__set__

Size: TypeAlias = int | Dim


def of_atom(atom: Atom) -> Dim:
    return Dim({((atom, 1),): 1})


def symbols_of(atom: Atom) -> frozenset[str]:
    if isinstance(atom, str):
        return frozenset((atom,))
    parts = (atom.top, atom.bottom) if isinstance(atom, Floor) else atom.parts
    return frozenset().union(*(part.symbols for part in parts if isinstance(part, Dim)))


def from_terms(terms: Terms) -> Size:
    """The size with these terms, which are not zero."""
    return terms.get((), 0) if not terms or (len(terms) == 1 and () in terms) else Dim(terms)


def terms_of(size: Size) -> Terms:
    if isinstance(size, Dim):
        return size.terms
    return {(): size} if size else {}


# ------------------------------------------------------------------------------------------------------- division
def floor_by_number(size: Dim, divisor: int) -> Size:
    """`size // divisor` with everything that divides exactly taken out of the floor."""
    if divisor == 0:
        raise ZeroDivisionError("a size cannot be divided by zero")
    if divisor < 0:
        size, divisor = -size, -divisor
    if divisor == 1:
        return size
    whole: Terms = {}
    rest: Terms = {}
    constant = 0
    for monomial, factor in size.terms.items():
        times = factor // divisor if factor > 0 or not monomial else -(-factor // divisor)
        left = factor - times * divisor
        if times:
            whole[monomial] = times
        if not monomial:
            constant = left
        elif left:
            rest[monomial] = left
    common = gcd(divisor, *rest.values())
    if common == divisor:
        return from_terms(whole)
    if common > 1:
        rest = {monomial: factor // common for monomial, factor in rest.items()}
    floor = _floor_of_rest(rest, constant // common, divisor // common)
    return floor + from_terms(whole) if whole else floor


def _floor_of_rest(rest: Terms, constant: int, divisor: int) -> Size:
    nested = [monomial for monomial in rest if any(isinstance(atom, Floor) for atom, _ in monomial)]
    if len(nested) == 1 and abs(rest[nested[0]]) == 1 and len(nested[0]) == 1:
        floor, power = nested[0][0]
        if power == 1 and isinstance(floor, Floor) and isinstance(floor.bottom, int):
            return _flatten_floor(rest, constant, divisor, nested[0], floor.top, floor.bottom)
    sign = 1
    if rest[_leading(rest)] < 0:
        # floor(-x / n) == -floor((x + n - 1) / n)
        sign, constant = -1, divisor - 1 - constant
        rest = {monomial: -factor for monomial, factor in rest.items()}
    outside, inside = divmod(constant, divisor)
    if inside:
        rest[()] = inside
    terms: Terms = {((Floor(Dim(rest), divisor), 1),): sign}
    if outside:
        terms[()] = sign * outside
    return Dim(terms)


def _leading(terms: Terms) -> Monomial:
    return next(iter(terms)) if len(terms) == 1 else min(terms, key=order_of_term)


def _flatten_floor(rest: Terms, constant: int, divisor: int, nested: Monomial, top: Size, bottom: int) -> Size:
    """`(x//m + y) // n` is `(x + m*y) // (m*n)`, and `-(x//m)` is `(-x + m - 1) // m`."""
    others = from_terms({monomial: factor for monomial, factor in rest.items() if monomial != nested}) + constant
    lifted = top if rest[nested] == 1 else -top + (bottom - 1)
    return (lifted + others * bottom) // (divisor * bottom)


def floor_by_dim(dividend: Size, divisor: Dim) -> Size:
    """`dividend // divisor`: by polynomial division first, so what divides exactly needs no floor."""
    quotient, top = divide(terms_of(dividend), divisor.terms)
    if not top:
        return from_terms(quotient)
    bottom = divisor.terms
    common = gcd(*top.values(), *bottom.values())
    if bottom[_leading(bottom)] < 0:
        common = -common
    shared = shared_symbols([*top, *bottom])
    top, bottom = ({without(m, shared): factor // common for m, factor in side.items()} for side in (top, bottom))
    above, below = from_terms(top), from_terms(bottom)
    floor = above // below if shared else of_atom(Floor(above, below))
    return from_terms(quotient) + floor
