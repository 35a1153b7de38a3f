"""Sizes written more shortly where the admissible sizes are known: `2*(H//8)` is `H//4` if H is a multiple of 8."""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd, prod

from specc.sizes.conditions import Condition
from specc.sizes.dim import Dim, Size, product, substitute, symbol

_QUOTIENT = "quotient_of_"


class Simplifier:
    """Rewrites sizes under conditions of the form "a multiple of P"; equal for every admissible size.

    >>> from specc.sizes.conditions import Compare, admissible
    >>> H = symbol("H")
    >>> str(Simplifier(admissible([Compare(H % 8, "==", 0)]))(2 * (H // 8)))
    'H//4'
    """

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self.periods = {
            each.symbols[0]: each.period
            for each in conditions
            if len(each.symbols) == 1
            and each.decided
            and each.residues == (0,)
            and (each.period or 1) > 1
            and not each.also
        }
        self._known: dict[Dim, Size] = {}

    def __call__(self, size: Size) -> Size:
        if isinstance(size, int) or size.symbols.isdisjoint(self.periods):
            return size
        found = self._known.get(size)
        if found is None:
            shorter = self._rewritten(size)
            found = self._known[size] = shorter if len(str(shorter)) < len(str(size)) else size
        return found

    def _rewritten(self, size: Dim) -> Size:
        quotients = {name: period * symbol(_QUOTIENT + name) for name, period in self.periods.items() if period}
        back = {_QUOTIENT + name: symbol(name) // period for name, period in self.periods.items() if period}
        inside = substitute(size, quotients)
        if isinstance(inside, int):
            return inside
        total: Size = 0
        for monomial, factor in inside.terms.items():
            names: list[str] = []
            rest: Size = 1
            for atom, power in monomial:
                if isinstance(atom, str) and atom.startswith(_QUOTIENT):
                    names += [atom.removeprefix(_QUOTIENT)] * power
                else:
                    rest = rest * Dim({((atom, power),): 1})
            total = total + self._term(factor, names) * substitute(rest, back)
        return total

    def _term(self, factor: int, names: list[str]) -> Size:
        """`factor` times the quotients of these symbols, in terms of the symbols themselves."""
        periods = [self.periods[name] or 1 for name in names]
        for divisor in _divisors(gcd(*periods) if periods else 1):
            scale = prod(period // divisor for period in periods)
            if factor % scale == 0:
                return factor // scale * product(symbol(name) // divisor for name in names)
        found: Size = 1
        for name, period in zip(names, periods, strict=True):
            shared = gcd(factor, period)
            factor //= shared
            found = found * (symbol(name) // (period // shared))
        return factor * found


def _divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]
