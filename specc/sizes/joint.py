"""Predicates that bind several symbols: taken apart where they can be, searched and refuted where they cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product

from specc.sizes.dim import Size, evaluate, substitute, symbols
from specc.sizes.infeasible import cannot_hold, truth
from specc.sizes.normal import of_atom, terms_of
from specc.sizes.numbers import ALL_NUMBERS, Numbers, OverBudget
from specc.sizes.predicates import (
    NEVER,
    Any,
    Compare,
    Predicate,
    both,
    compare,
    conjuncts,
    holds,
    substitute_in,
    symbols_in,
    without_not,
)
from specc.sizes.separate import separate
from specc.sizes.single import numbers_of, split_extremes

FEW_TRIALS = 32
MOST_TRIALS = 1000
MOST_SOLVED = 32
MOST_BRANCHES = 64


@dataclass(frozen=True, slots=True)
class Part:
    """Symbols that depend on one another and on no others, and what is known of them."""

    symbols: tuple[str, ...]
    predicates: tuple[Predicate, ...]
    defined: Mapping[str, Size] = field(default_factory=dict)  # what a symbol must be, in terms of later ones
    free: Mapping[str, Numbers] = field(default_factory=dict)  # symbols on their own
    open: tuple[Predicate, ...] = ()  # what still binds several, or is over the budget
    why: str = ""


def parts_of(predicates: Iterable[Predicate]) -> list[Part]:
    """The conjunction of the predicates, split by independent symbols, in the order of their names."""
    flat = both(without_not(predicate) for predicate in predicates)
    separated = dict.fromkeys(inner for part in conjuncts(flat) for inner in conjuncts(separate(part)))
    pieces = [piece for piece in separated if _truth_of(piece) is not True]
    known = _from_least(pieces)
    pieces = [piece for piece in pieces if not known.get(piece)]
    groups: dict[frozenset[str], list[Predicate]] = {}
    for piece in pieces:
        names, members = symbols_in(piece), [piece]
        for other in [other for other in groups if other & names] if names else []:
            names |= other
            members = groups.pop(other) + members
        groups.setdefault(names, []).extend(members)
    order = {piece: index for index, piece in enumerate(pieces)}
    split = sorted(groups.items(), key=lambda group: sorted(group[0]))
    return [_solve(tuple(sorted(names)), tuple(sorted(found, key=order.__getitem__))) for names, found in split]


def _from_least(pieces: Sequence[Predicate]) -> dict[Predicate, bool | None]:
    """Comparisons of several symbols, and what follows for them from the least that each symbol may be by itself."""
    several = [piece for piece in pieces if isinstance(piece, Compare) and len(symbols_in(piece)) > 1]
    if not several or len(several) == len(pieces):
        return {}
    names = {name for piece in several for name in symbols_in(piece)}
    least = {name: _alone(name, pieces).first() or 1 for name in names}
    put = {name: of_atom(name) + (size - 1) for name, size in least.items() if size > 1}
    return {piece: truth(substitute(piece.left - piece.right, put), piece.op) for piece in several}


def example(predicates: Iterable[Predicate]) -> dict[str, int] | None:
    """Small sizes for which all predicates hold; None where there are none; OverBudget where neither is found."""
    sizes: dict[str, int] = {}
    fault: OverBudget | None = None
    for part in parts_of(predicates):
        try:
            found = next(members(part), None)
        except OverBudget as over:
            fault = over
            continue
        if found is None:
            return None
        sizes |= found
    if fault:
        raise fault
    return sizes


def members(part: Part, largest: int | None = None) -> Iterator[dict[str, int]]:
    """Sizes for the symbols of a part, small ones first; OverBudget where none is found and none is ruled out."""
    names = sorted({*part.free, *(name for piece in part.open for name in symbols_in(piece))})
    if any(numbers.first() is None for numbers in part.free.values()) or NEVER in part.open:
        return
    known = {name: part.free.get(name) or _alone(name, part.open) for name in names}
    few = _trials(known, FEW_TRIALS)
    if part.open and not any(_fits(part, sizes) for sizes in few) and _ruled_out(_all_of(part)):
        return
    found = False
    for sizes in _candidates(part, known):
        found = True
        for name, size in reversed(list(part.defined.items())):
            sizes[name] = evaluate(size, sizes)
        if largest is None or max(sizes.values(), default=0) <= largest:
            yield sizes
        elif len(part.symbols) == 1:
            return
    if not found:
        raise OverBudget(part.why or f"sizes of {' and '.join(names)} for it were neither found nor ruled out")


def _candidates(part: Part, known: Mapping[str, Numbers]) -> Iterator[dict[str, int]]:
    """Sizes that fit: from a grid of small ones, or else by solving for one symbol with the others given."""
    found = False
    for sizes in _trials(known, MOST_TRIALS):
        if _fits(part, sizes):
            found = True
            yield sizes
    if found or len(known) < 2:
        return
    for name in known:
        others = {other: numbers for other, numbers in known.items() if other != name}
        for given in islice(_trials(others, MOST_SOLVED), MOST_SOLVED):
            try:
                numbers = known[name] & numbers_of(both(substitute_in(piece, given) for piece in part.open))
            except OverBudget:
                continue
            size = numbers.first()
            if size is not None:
                yield {**given, name: size}


def _fits(part: Part, sizes: Mapping[str, int]) -> bool:
    return all(holds(piece, sizes) for piece in part.open)


def _trials(known: Mapping[str, Numbers], most: int) -> Iterator[dict[str, int]]:
    if len(known) <= 1:
        for name, numbers in known.items():
            yield from ({name: number} for number in islice(numbers.members(), most))
        if not known:
            yield {}
        return
    each = max(2, int((most / 2) ** (1 / len(known))))
    choices = []
    for numbers in known.values():
        small = list(islice(numbers.members(), each))
        big = [number for number in map(numbers.first, (2**n for n in range(5, 5 + each // 2))) if number]
        choices.append(sorted({*small, *big}))
    # Squares of growing side, so that small sizes come first and nothing is made before it is wanted.
    for side in range(max(map(len, choices))):
        edges = [range(min(side, len(choice) - 1) + 1) for choice in choices]
        for places in product(*edges):
            if max(places) == side:
                yield {name: choice[place] for name, choice, place in zip(known, choices, places, strict=True)}


def _alone(name: str, pieces: Iterable[Predicate]) -> Numbers:
    """What the pieces that speak of this symbol alone leave for it."""
    numbers = ALL_NUMBERS
    for piece in pieces:
        if symbols_in(piece) == {name}:
            try:
                numbers = numbers & numbers_of(piece)
            except OverBudget:
                continue
    return numbers


# ------------------------------------------------------------------------------------------------------- taking apart
def _truth_of(piece: Predicate) -> bool | None:
    return truth(piece.left - piece.right, piece.op) if isinstance(piece, Compare) else None


def _solve(names: tuple[str, ...], pieces: tuple[Predicate, ...]) -> Part:
    if len(names) == 1:
        try:
            return Part(names, pieces, free={names[0]: numbers_of(both(pieces)).regular()})
        except OverBudget as over:
            return Part(names, pieces, open=pieces, why=str(over))
    if any(_truth_of(piece) is False for piece in pieces) or False in _from_least(pieces).values():
        return Part(names, pieces, open=(NEVER,))
    defined, rest = _eliminate(pieces)
    if not defined:
        return _with_free(names, pieces, tuple(conjuncts(rest)))
    inner = parts_of([rest])
    free = {name: n for part in inner if part.defined or not part.open for name, n in part.free.items()}
    more = {name: size for part in inner for name, size in part.defined.items()}
    left = tuple(piece for part in inner if part.open for piece in _all_of(part))
    spoken = {name for piece in left for name in symbols_in(piece)}
    for name in names:
        if name not in spoken and name not in defined and name not in more:
            free.setdefault(name, ALL_NUMBERS)
    why = next((part.why for part in inner if part.why), "")
    return Part(names, pieces, {**defined, **more}, dict(sorted(free.items())), left, why)


def _with_free(names: tuple[str, ...], pieces: tuple[Predicate, ...], rest: tuple[Predicate, ...]) -> Part:
    """Symbols bound together, of which the pieces that speak of one alone are told apart."""
    free: dict[str, Numbers] = {}
    bound = [piece for piece in rest if len(symbols_in(piece)) != 1]
    for name in names:
        own = [piece for piece in rest if symbols_in(piece) == {name}]
        try:
            if own:
                free[name] = numbers_of(both(own)).regular()
        except OverBudget:
            bound += own
    return Part(names, pieces, free=free, open=tuple(bound))


def _eliminate(pieces: Sequence[Predicate]) -> tuple[dict[str, Size], Predicate]:
    """Solve equations for a symbol that stands in them by itself, and put the result into the rest."""
    defined: dict[str, Size] = {}
    rest = list(pieces)
    while True:
        for piece in rest:
            solved = _solved(piece)
            if solved:
                break
        else:
            return defined, both(rest)
        name, top, factor = solved
        size = top // factor
        defined[name] = size
        rest = [compare(top % factor, "==", 0), compare(size, ">=", 1)] + [
            substitute_in(other, {name: size}) for other in rest if other is not piece
        ]
        rest = [*conjuncts(both(rest))]


def _solved(piece: Predicate) -> tuple[str, Size, int] | None:
    """Name, top and factor of `factor * name == top`, where top does not speak of the name; the simplest choice."""
    if not isinstance(piece, Compare) or piece.op != "==" or isinstance(piece.left - piece.right, int):
        return None
    difference = piece.left - piece.right
    choices = []
    for monomial, factor in terms_of(difference).items():
        name = monomial[0][0] if len(monomial) == 1 and monomial[0][1] == 1 else None
        if not isinstance(name, str):
            continue
        top = of_atom(name) * factor - difference
        if name not in symbols(top):
            top, factor = (top, factor) if factor > 0 else (-top, -factor)
            choices.append((factor, str(top).count("-"), name, top))
    if not choices:
        return None
    factor, _, name, top = min(choices, key=lambda choice: choice[:3])
    return name, top, factor


# --------------------------------------------------------------------------------------------------------- ruling out
def _ruled_out(pieces: Sequence[Predicate]) -> bool:
    """Whether the pieces can be shown to exclude one another."""
    branches = _branches(pieces)
    if branches is None:
        return False
    return all(_branch_ruled_out(branch, pieces) for branch in branches)


def _branch_ruled_out(branch: tuple[Predicate, ...], before: Sequence[Predicate]) -> bool:
    if NEVER in branch:
        return True
    if set(branch) != set(before):
        return any(_part_ruled_out(part) for part in parts_of(branch))
    return cannot_hold([piece for piece in branch if isinstance(piece, Compare)])


def _part_ruled_out(part: Part) -> bool:
    empty = any(numbers.first() is None for numbers in part.free.values())
    return empty or NEVER in part.open or _ruled_out(_all_of(part))


def _all_of(part: Part) -> tuple[Predicate, ...]:
    """What is open and what its symbols must be by themselves, together."""
    return part.open if part.defined else part.predicates


def _branches(pieces: Sequence[Predicate]) -> list[tuple[Predicate, ...]] | None:
    """The conjunction as alternatives of plain comparisons, without `min`, `max` and `!=`; None over the budget."""
    branches: list[tuple[Predicate, ...]] = [()]
    for piece in pieces:
        try:
            cases = list(_cases(piece))
        except OverBudget:
            return None
        branches = [(*branch, *conjuncts(case)) for branch in branches for case in cases]
        if len(branches) > MOST_BRANCHES:
            return None
    return branches


def _cases(piece: Predicate) -> Iterator[Predicate]:
    if isinstance(piece, Any):
        for part in piece.parts:
            yield from _cases(part)
    elif isinstance(piece, Compare):
        plain = split_extremes(piece.left - piece.right, piece.op)
        if isinstance(plain, Any) and plain.parts:
            for part in plain.parts:
                yield from _cases(part)
        elif piece.op == "!=" and len(symbols_in(piece)) > 1:
            yield compare(piece.left, "<", piece.right)
            yield compare(piece.left, ">", piece.right)
        else:
            yield piece if isinstance(plain, Compare) else plain
    else:
        branches = _branches(tuple(conjuncts(piece)))
        if branches is None:
            raise OverBudget("too many cases")
        yield from (both(branch) for branch in branches)
