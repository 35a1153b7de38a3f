"""The exact set of sizes that a network admits: by independent symbols, in words, with examples and nearest members."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from specc.sizes.answers import Condition
from specc.sizes.dim import Size
from specc.sizes.joint import Part, example, members, parts_of
from specc.sizes.numbers import ALL_NUMBERS, Numbers, OverBudget
from specc.sizes.predicates import (
    ALWAYS,
    Predicate,
    both,
    conjuncts,
    describe,
    negate,
    substitute_in,
    symbols_in,
    without_not,
)
from specc.sizes.single import numbers_of
from specc.sizes.wording import summarise, word

MOST_SAID = 120


def admissible(predicates: Sequence[Predicate], facts: Sequence[Predicate] = ()) -> list[Condition]:
    """The exact set of sizes for which all predicates and facts hold: symbol by symbol, and what binds several.

    A symbol without a condition may be any size from 1 on.
    """
    pieces = [[*conjuncts(without_not(predicate))] for predicate in predicates]
    wanted = _Needed(facts)
    conditions = []
    for part in parts_of((*predicates, *facts)):
        if part.free and not part.defined and not part.open and all(n == ALL_NUMBERS for n in part.free.values()):
            continue
        for each, about in _told_apart(part):
            causes = [
                index
                for index, conjunction in enumerate(pieces)
                if any(about(names) for piece in conjunction if (names := wanted(piece)) is not None)
            ]
            conditions.append(_condition(each, tuple(causes)))
    return conditions


def examples(
    predicates: Sequence[Predicate],
    facts: Sequence[Predicate] = (),
    count: int = 3,
    largest: int = 1024,
    symbols: Sequence[str] = (),
) -> list[dict[str, int]]:
    """Small members of the admissible set, all different, the smallest first; none where none is known.

    `symbols` names further ones that no predicate speaks of.
    """
    parts = parts_of((*predicates, *facts))
    choices = [_small_members(part, count, largest) for part in parts]
    spoken = {name for part in parts for name in part.symbols}
    loose = sorted({*symbols, *(n for each in (*predicates, *facts) for n in symbols_in(each))} - spoken)
    choices += [[{name: size} for size in range(1, min(count + 1, largest) + 1)] for name in loose]
    if not all(choices):
        return []
    found: list[dict[str, int]] = []
    # Independent symbols take different places of their lists, so that sizes differ from one another as well.
    for turn in range(sum(map(len, choices)) + 1):
        places = [0 if turn == 0 else turn + shift for shift in range(len(choices))]
        picked = [choice[place % len(choice)] for choice, place in zip(choices, places, strict=True)]
        sizes = dict(sorted((name, size) for each in picked for name, size in each.items()))
        if sizes not in found:
            found.append(sizes)
    return sorted(found[:count], key=lambda each: (max(each.values(), default=0), list(each.values())))


def nearest(
    predicates: Sequence[Predicate], facts: Sequence[Predicate], sizes: Mapping[str, int]
) -> dict[str, tuple[int | None, int | None]]:
    """For each symbol the nearest admissible size not above and not below the given one.

    Symbols that depend on one another are looked at one at a time, the others kept as given; None where there is none.
    """
    found: dict[str, tuple[int | None, int | None]] = {}
    for part in parts_of((*predicates, *facts)):
        for name in part.symbols:
            if name not in sizes:
                continue
            others = {other: size for other, size in sizes.items() if other != name}
            pieces = [substitute_in(piece, others) for piece in part.predicates]
            try:
                numbers = numbers_of(both(pieces))
            except OverBudget:
                found[name] = (None, None)
                continue
            found[name] = numbers.last(sizes[name]), numbers.first(sizes[name])
    return found


# --------------------------------------------------------------------------------------------------------------- parts
class _Needed:
    """Tells which symbols a piece restricts beyond the facts; None for one that holds anyway."""

    def __init__(self, facts: Sequence[Predicate]) -> None:
        self.facts = facts
        self.known: dict[Predicate, frozenset[str] | None] = {}
        self.alone: dict[str, Numbers | None] = {}
        for part in parts_of(facts):
            for name in part.symbols:
                self.alone[name] = part.free[name] if len(part.symbols) == 1 and not part.open else None

    def __call__(self, piece: Predicate) -> frozenset[str] | None:
        if piece not in self.known:
            self.known[piece] = symbols_in(piece) if self.restricts(piece) else None
        return self.known[piece]

    def restricts(self, piece: Predicate) -> bool:
        names = symbols_in(piece)
        if len(names) == 1:
            facts = self.alone.get(next(iter(names)), ALL_NUMBERS)
            if facts is not None:
                try:
                    numbers = numbers_of(piece)
                    return numbers is not ALL_NUMBERS and (facts & ~numbers).first() is not None
                except OverBudget:
                    return True
        try:
            return example((*self.facts, negate(piece))) is not None
        except OverBudget:
            return True


def _told_apart(part: Part) -> list[tuple[Part, Callable[[frozenset[str]], bool]]]:
    """What symbols bound together must be each by itself, then what binds them; and which pieces each speaks of."""
    names = frozenset(part.symbols)
    if part.defined or not part.open or not part.free or _is_empty(part):
        return [(part, lambda spoken: not spoken or bool(spoken & names))]
    found: list[tuple[Part, Callable[[frozenset[str]], bool]]] = [
        (Part((name,), tuple(_about(part, name)), free={name: numbers}), frozenset({name}).__eq__)
        for name, numbers in part.free.items()
        if numbers != ALL_NUMBERS
    ]
    joint = tuple(piece for piece in part.predicates if len(symbols_in(piece)) > 1)
    rest = tuple(piece for name in names - {*part.free} for piece in _about(part, name))
    bound = Part(part.symbols, (*joint, *rest), open=part.open, why=part.why)
    return [*found, (bound, lambda spoken: len(spoken) != 1 or not spoken <= {*part.free})]


def _is_empty(part: Part) -> bool:
    try:
        return next(members(part), None) is None
    except OverBudget:
        return True


def _condition(part: Part, causes: tuple[int, ...]) -> Condition:
    predicate = both(part.predicates)
    try:
        empty = next(members(part), None) is None
    except OverBudget as over:
        text = f"whether {describe(predicate)} could not be decided: {over}"
        return Condition(part.symbols, text, predicate, decided=False, causes=causes)
    if empty:
        return Condition(part.symbols, _no_size(part.symbols), predicate, empty=True, causes=causes)
    if len(part.symbols) > 1 or part.open:
        text = ", and ".join(_joint_clauses(part))
        return Condition(part.symbols, text, predicate, decided=not part.why, causes=causes)
    name = part.symbols[0]
    summary = summarise(part.free[name])
    return Condition(
        part.symbols,
        word(name, summary) or _at_length(name, part.free[name], predicate),
        predicate,
        summary.period,
        summary.residues,
        summary.at_least,
        summary.at_most,
        summary.also,
        summary.excluded,
        causes=causes,
    )


def _no_size(names: tuple[str, ...]) -> str:
    if not names:
        return "no size will do"
    return f"no size of {names[0]} will do" if len(names) == 1 else f"no sizes of {_and(names)} will do"


def _joint_clauses(part: Part) -> Iterator[str]:
    equal: dict[Size, list[str]] = {}
    for name, size in part.defined.items():
        equal.setdefault(size, []).append(name)
    for size, names in equal.items():
        if str(size) in part.symbols:
            yield f"{_and(sorted((*names, str(size))))} are equal"
        else:
            yield f"{_and(names)} {'is' if len(names) == 1 else 'are'} {size}"
    for name, numbers in part.free.items():
        if numbers != ALL_NUMBERS:
            yield word(name, summarise(numbers)) or _at_length(name, numbers, both(_about(part, name)))
    if part.open:
        yield describe(both(part.open))


def _about(part: Part, name: str) -> list[Predicate]:
    return [piece for piece in part.predicates if symbols_in(piece) == {name}]


def _at_length(name: str, numbers: Numbers, predicate: Predicate) -> str:
    """A set too irregular for a sentence: the predicate, or some sizes and how many there are."""
    said = describe(predicate)
    if predicate != ALWAYS and len(said) <= MOST_SAID and symbols_in(predicate) == {name}:
        return said
    some = ", ".join(map(str, islice(numbers.members(), 6)))
    share = f" ({len(numbers.endless())} of every {numbers.period} sizes)" if numbers.endless() else ""
    return f"{name} is one of {some}, …{share}"


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _small_members(part: Part, count: int, largest: int) -> list[dict[str, int]]:
    try:
        return list(islice(members(part, largest), count + 1))
    except OverBudget:
        return []
