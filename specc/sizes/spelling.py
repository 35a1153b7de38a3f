"""How a size is written and read: the same text in a .net file, in Python and in a report."""

from __future__ import annotations

import re
from collections.abc import Callable

from specc.sizes.extremes import maximum, minimum
from specc.sizes.normal import Dim, Size, of_atom, terms_of
from specc.sizes.terms import Floor, Monomial, SizeTooLarge, Terms, order_of_term

MOST_NESTING = 100
_TOKEN = re.compile(r"\s*(?:(\d[\d_]*)|([^\W\d]\w*)|(\*\*|//|[-+*%(),])|(\S))")


def text(size: Size) -> str:
    """The canonical spelling: `5*k + 11`, `(H + 1)//2`, `2*(H//8)`, `H % 2`."""
    return str(size)


def parse(text: str) -> Size:
    """The size that a text spells, with `+ - * ** // %`, brackets, `min` and `max`; ValueError for anything else.

    >>> parse("(8*H + 3)//4")
    Dim(2*H)
    """
    reader = _Reader(text)
    try:
        size = reader.sum()
        reader.expect("")
    except (ZeroDivisionError, SizeTooLarge) as fault:
        raise ValueError(f"{text!r} is not a size: {fault}") from None
    return size


def spell(size: Dim) -> str:
    """The terms of a size by falling degree, remainders written with `%`."""
    remainders, terms = _remainders(size)
    pieces = [(order_of_term(m), _spell_product(m, abs(factor)), factor) for m, factor in terms.items()]
    pieces += [((-1, name), name if abs(f) == 1 else f"{abs(f)}*({name})", f) for name, f in remainders]
    pieces.sort(key=lambda piece: piece[0])
    result = ""
    for _, piece, factor in pieces:
        if not result:
            result = piece if factor > 0 else "-" + _bracket_quotient(piece)
        else:
            result += f" + {piece}" if factor > 0 else f" - {piece}"
    return result


def spell_floor(floor: Floor) -> str:
    return f"{_spell_top(floor.top)}//{_spell_bottom(floor.bottom)}"


def _spell_top(size: Size) -> str:
    top = str(size)
    plain = isinstance(size, int) or (len(size.terms) == 1 and "%" not in top)
    return top if plain and not top.startswith("-") else f"({top})"


def _spell_bottom(size: Size) -> str:
    bottom = str(size)
    return bottom if isinstance(size, int) or bottom.isidentifier() else f"({bottom})"


def _spell_product(monomial: Monomial, factor: int) -> str:
    if not monomial:
        return str(factor)
    alone = len(monomial) == 1 and factor == 1 and monomial[0][1] == 1
    pieces = [] if factor == 1 else [str(factor)]
    for atom, power in monomial:
        base = f"({atom})" if isinstance(atom, Floor) and not alone else str(atom)
        pieces.append(base if power == 1 else f"{base}**{power}")
    return "*".join(pieces)


def _bracket_quotient(piece: str) -> str:
    """`-x//2` would be read as `(-x)//2`."""
    depth = 0
    for sign in piece:
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and sign in "/%":
            return f"({piece})"
    return piece


def _remainders(size: Dim) -> tuple[list[tuple[str, int]], Terms]:
    """Find `k*x - k*n*(x//n)`, which is `k*(x % n)`; give those and the terms that are left."""
    terms, found = dict(size.terms), []
    for monomial in sorted(size.terms, key=order_of_term):
        for floor, power in monomial:
            if power == 1 and isinstance(floor, Floor) and monomial in terms:
                rest = tuple(factor for factor in monomial if factor[0] != floor)
                found += _take_remainder(terms, monomial, floor, rest)
    return found, terms


def _take_remainder(terms: Terms, monomial: Monomial, floor: Floor, rest: Monomial) -> list[tuple[str, int]]:
    for top, bottom in _readings(floor, terms):
        lead = terms_of(bottom)
        if len(lead) != 1:
            continue
        ((unknown, number),) = lead.items()
        times, over = divmod(-terms[monomial], number)
        parts = {part: factor for part, factor in terms_of(top).items() if part}
        if over or rest != unknown or any(terms.get(part) != times * factor for part, factor in parts.items()):
            continue
        if not parts and () not in terms:
            continue
        for part in (*parts, monomial):
            del terms[part]
        constant = terms.pop((), 0) - times * terms_of(top).get((), 0)
        if constant:
            terms[()] = constant
        return [(f"{_spell_factor(top)} % {_spell_bottom(bottom)}", times)]
    return []


def _readings(floor: Floor, terms: Terms) -> list[tuple[Size, Size]]:
    """`x//6` as it is, and as `(x//2)//3` where `x//2` may be among the terms."""
    readings = [(floor.top, floor.bottom)]
    if isinstance(floor.bottom, int) and isinstance(floor.top, Dim):
        inner = {
            atom.bottom for m in terms for atom, _ in m if isinstance(atom, Floor) and isinstance(atom.bottom, int)
        }
        whole = sorted(size for size in inner if isinstance(size, int) and size < floor.bottom)
        readings += [(floor.top // size, floor.bottom // size) for size in whole if floor.bottom % size == 0]
    return readings


def _spell_factor(size: Size) -> str:
    top = str(size)
    return f"({top})" if "//" in top else _spell_top(size)


class _Reader:
    """A recursive descent over one text, one method for each level of the grammar."""

    def __init__(self, text: str) -> None:
        self.source = text
        self.tokens = [match.group(match.lastindex or 0) for match in _TOKEN.finditer(text)]
        self.place = 0
        self.depth = 0

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.place += 1
        return token

    def expect(self, token: str) -> None:
        if self.take() != token:
            self.place -= 1
            raise self.fault()

    def fault(self) -> ValueError:
        return ValueError(f"{self.source!r} is not a size: {self.peek() or 'its end'!r} is not expected there")

    def sum(self) -> Size:
        result = self.product()
        while self.peek() in ("+", "-"):
            result = result + self.product() if self.take() == "+" else result - self.product()
        return result

    def product(self) -> Size:
        result = self.signed()
        while self.peek() in ("*", "//", "%"):
            sign = self.take()
            other = self.signed()
            result = result * other if sign == "*" else result // other if sign == "//" else result % other
        return result

    def signed(self) -> Size:
        negative = False
        while self.peek() in ("-", "+"):
            negative ^= self.take() == "-"
        size = self.power()
        return -size if negative else size

    def power(self) -> Size:
        base = self.atom()
        if self.peek() != "**":
            return base
        self.take()
        exponent = self.atom()
        if not isinstance(exponent, int) or exponent > 64:
            raise ValueError(f"{self.source!r} is not a size: a power is a whole number up to 64")
        result: Size = base**exponent
        return result

    def atom(self) -> Size:
        token = self.take()
        if token[:1].isdigit():
            return int(token)
        if token == "(":
            return self.bracket(self.sum)
        if token in ("min", "max") and self.peek() == "(":
            self.take()
            return self.bracket(lambda: self.extreme(token))
        if token.isidentifier():
            return of_atom(token)
        self.place -= 1
        raise self.fault()

    def bracket(self, inner: Callable[[], Size]) -> Size:
        self.depth += 1
        if self.depth > MOST_NESTING:
            raise ValueError(f"a size is nested more than {MOST_NESTING} deep")
        size = inner()
        self.expect(")")
        self.depth -= 1
        return size

    def extreme(self, kind: str) -> Size:
        parts = [self.sum()]
        while self.peek() == ",":
            self.take()
            parts.append(self.sum())
        return minimum(*parts) if kind == "min" else maximum(*parts)
