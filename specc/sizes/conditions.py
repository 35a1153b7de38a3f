"""When sizes agree: what the rest of specc asks about sizes. The solver behind it is loaded at the first question.

Most networks have known sizes and never ask one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specc.sizes.answers import Answer, Condition, Proved, Refuted, Sometimes, Undecided
from specc.sizes.predicates import (
    ALWAYS,
    NEVER,
    All,
    Any,
    Compare,
    Not,
    Predicate,
    both,
    compare,
    conjuncts,
    describe,
    either,
    holds,
    negate,
    substitute_in,
    symbols_in,
)


def decide(question: Predicate, facts: Sequence[Predicate] = ()) -> Answer:
    """Whether the question is true for all sizes, for none or for some that meet the facts.

    >>> decide(compare(symbol("H") % 2, "==", 0), [compare(symbol("H") % 4, "==", 0)])
    Proved()
    """
    from specc.sizes import decision

    return decision.decide(question, facts)


def admissible(predicates: Sequence[Predicate], facts: Sequence[Predicate] = ()) -> list[Condition]:
    """The exact set of sizes for which all predicates and facts hold, by independent symbols.

    A symbol without a condition may be any size from 1 on.
    """
    if not predicates and not facts:
        return []
    from specc.sizes import admission

    return admission.admissible(predicates, facts)


def admits(conditions: Sequence[Condition | Predicate], sizes: Mapping[str, int]) -> bool:
    """Whether these sizes meet all of them."""
    return all(holds(each.predicate if isinstance(each, Condition) else each, sizes) for each in conditions)


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
    from specc.sizes import admission

    return admission.examples(predicates, facts, count, largest, symbols)


def nearest(
    predicates: Sequence[Predicate], facts: Sequence[Predicate], sizes: Mapping[str, int]
) -> dict[str, tuple[int | None, int | None]]:
    """For each symbol the nearest admissible size not above and not below the given one.

    Symbols that depend on one another are looked at one at a time, the others kept as given; None where there is none.
    """
    from specc.sizes import admission

    return admission.nearest(predicates, facts, sizes)


__all__ = [
    "ALWAYS",
    "NEVER",
    "All",
    "Answer",
    "Any",
    "Compare",
    "Condition",
    "Not",
    "Predicate",
    "Proved",
    "Refuted",
    "Sometimes",
    "Undecided",
    "admissible",
    "admits",
    "both",
    "compare",
    "conjuncts",
    "decide",
    "describe",
    "either",
    "examples",
    "holds",
    "nearest",
    "negate",
    "substitute_in",
    "symbols_in",
]
