"""Polynomials as plain dictionaries from monomials to whole numbers, and the atoms that monomials are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from specc.sizes.normal import Size

MOST_TERMS = 4096


class SizeTooLarge(ArithmeticError):
    """A formula grew past what anyone can read: more than 4096 terms, or a power above 64."""


@dataclass(frozen=True, slots=True)
class Floor:
    """`top // bottom`, as far as it cannot be written without the floor. A whole-number bottom is at least 2."""

    top: Size
    bottom: Size

    def __str__(self) -> str:
        from specc.sizes.spelling import spell_floor

        return spell_floor(self)


@dataclass(frozen=True, slots=True)
class Extreme:
    """`min(…)` or `max(…)` of at least two sizes, sorted by their spelling."""

    kind: Literal["min", "max"]
    parts: tuple[Size, ...]

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(map(str, self.parts))})"


Atom: TypeAlias = str | Floor | Extreme
Monomial: TypeAlias = tuple[tuple[Atom, int], ...]
Terms: TypeAlias = dict[Monomial, int]


def add(left: Terms, right: Terms, sign: int) -> Terms:
    """`left + sign * right`."""
    terms = dict(left)
    for monomial, factor in right.items():
        total = terms.get(monomial, 0) + sign * factor
        if total:
            terms[monomial] = total
        else:
            terms.pop(monomial, None)
    return terms


def multiply(left: Terms, right: Terms) -> Terms:
    terms: Terms = {}
    for one, factor in left.items():
        for other, times in right.items():
            monomial = join(one, other)
            terms[monomial] = terms.get(monomial, 0) + factor * times
        if len(terms) > MOST_TERMS:
            raise SizeTooLarge(f"a size came to more than {MOST_TERMS} terms")
    return {monomial: factor for monomial, factor in terms.items() if factor}


def join(one: Monomial, other: Monomial) -> Monomial:
    """The product of two monomials."""
    if not one or not other:
        return one or other
    powers = dict(one)
    for atom, power in other:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=_order_of_factor)) if len(powers) > 1 else tuple(powers.items())


def _order_of_factor(factor: tuple[Atom, int]) -> tuple[bool, str]:
    return not isinstance(factor[0], str), str(factor[0])


def order_of_term(monomial: Monomial) -> tuple[int, str]:
    """Terms stand by falling degree, then by spelling; the constant is last."""
    return -sum(power for _, power in monomial), "*".join(f"{atom}**{power}" for atom, power in monomial)


def divide(dividend: Terms, divisor: Terms) -> tuple[Terms, Terms]:
    """Quotient and rest; the rest is empty when the divisor divides exactly."""
    found = {atom for monomial in [*dividend, *divisor] for atom, _ in monomial}
    atoms = sorted(found, key=lambda atom: _order_of_factor((atom, 1)))

    def rank(monomial: Monomial) -> tuple[int, ...]:
        powers = dict(monomial)
        return (sum(powers.values()), *(powers.get(atom, 0) for atom in atoms))

    lead = max(divisor, key=rank)
    factor = divisor[lead]
    quotient: Terms = {}
    rest = dividend
    for _ in range(MOST_TERMS):
        fits = [monomial for monomial, times in rest.items() if times % factor == 0 and _contains(monomial, lead)]
        if not fits:
            break
        best = max(fits, key=rank)
        step = {without(best, dict(lead)): rest[best] // factor}
        quotient = add(quotient, step, 1)
        rest = add(rest, multiply(step, divisor), -1)
    return quotient, rest


def _contains(monomial: Monomial, lead: Monomial) -> bool:
    powers = dict(monomial)
    return all(powers.get(atom, 0) >= power for atom, power in lead)


def without(monomial: Monomial, powers: dict[Atom, int]) -> Monomial:
    return tuple((atom, power - powers.get(atom, 0)) for atom, power in monomial if power > powers.get(atom, 0))


def shared_symbols(monomials: list[Monomial]) -> dict[Atom, int]:
    """Symbols that divide every monomial; symbols are at least 1, so they cancel."""
    first, *others = (dict(monomial) for monomial in monomials)
    shared = {a: min([p, *(other.get(a, 0) for other in others)]) for a, p in first.items() if isinstance(a, str)}
    return {atom: power for atom, power in shared.items() if power}
