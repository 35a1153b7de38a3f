"""A question about sizes and its answer: for all of them, for none, for some, or not within the budget."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from specc.sizes.answers import Answer, Proved, Refuted, Sometimes, Undecided
from specc.sizes.infeasible import truth
from specc.sizes.joint import example, parts_of
from specc.sizes.numbers import ALL_NUMBERS, Numbers, OverBudget
from specc.sizes.predicates import ALWAYS, Compare, Predicate, both, describe, negate, symbols_in, without_not
from specc.sizes.single import numbers_of


def decide(question: Predicate, facts: Sequence[Predicate] = ()) -> Answer:
    """Whether the question is true for all sizes, for none or for some that meet the facts.

    >>> decide(compare(symbol("H") % 2, "==", 0), [compare(symbol("H") % 4, "==", 0)])
    Proved()
    """
    question = without_not(question)
    if question == ALWAYS or (isinstance(question, Compare) and truth(question.left - question.right, question.op)):
        return Proved()
    try:
        alone = _decide_alone(question, tuple(facts))
        if alone is not None:
            return alone
        no = example((*facts, negate(question)))
        yes = example((*facts, question))
    except OverBudget as over:
        return Undecided(str(over))
    if yes is None and no is None:
        return Undecided(f"no sizes meet {describe(both(facts))}")
    names = sorted(symbols_in(question).union(*map(symbols_in, facts)))
    if no is None or yes is None:
        return Proved() if no is None else Refuted(_filled(no, names))
    return Sometimes(_filled(yes, names), _filled(no, names))


def _decide_alone(question: Predicate, facts: tuple[Predicate, ...]) -> Answer | None:
    """The short way for one symbol that no fact ties to another; None where that is not so."""
    names = symbols_in(question)
    if len(names) != 1:
        return None
    (name,) = names
    under = _under(facts, name)
    if under is None:
        return None
    allowed, others = under
    found = numbers_of(question)
    yes, no = (allowed & found).first(), (allowed & ~found).first()
    if no is None:
        return Proved()
    without = dict(sorted({**others, name: no}.items()))
    return Refuted(without) if yes is None else Sometimes(dict(sorted({**others, name: yes}.items())), without)


@lru_cache(maxsize=256)
def _under(facts: tuple[Predicate, ...], name: str) -> tuple[Numbers, dict[str, int]] | None:
    """What the facts leave for a symbol, and sizes for the other symbols they speak of."""
    try:
        others = example(facts)
    except OverBudget:
        return None
    if others is None:
        return None
    others = _filled(others, sorted({other for fact in facts for other in symbols_in(fact)}))
    for part in parts_of(facts):
        if name in part.symbols:
            return None if part.open or part.defined else (part.free[name], others)
    return ALL_NUMBERS, others


def _filled(sizes: dict[str, int], names: Sequence[str]) -> dict[str, int]:
    return {name: sizes.get(name, 1) for name in names}
