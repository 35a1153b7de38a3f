"""What can come of a question about sizes: the kinds of answer, and a condition as the report has it."""

from __future__ import annotations

from typing import TypeAlias

from specc.sizes.predicates import Predicate
from specc.text.record import Record


class Proved(Record):
    """True for all admissible sizes."""


class Refuted(Record):
    """False for all admissible sizes, such as these."""

    example: dict[str, int]


class Sometimes(Record):
    """True for some admissible sizes and false for others."""

    yes: dict[str, int]
    no: dict[str, int]


class Undecided(Record):
    """Over the budget, or the facts exclude one another; `why` says which."""

    why: str


Answer: TypeAlias = Proved | Refuted | Sometimes | Undecided


class Condition(Record):
    """What one symbol, or several that depend on one another, must meet.

    `period`, `residues` and the bounds describe one symbol alone; the sizes `also` belong besides, those `excluded` do
    not. `causes` are the places of the predicates that ask for it.
    """

    symbols: tuple[str, ...]
    text: str
    predicate: Predicate
    period: int | None = None
    residues: tuple[int, ...] | None = None
    at_least: int | None = None
    at_most: int | None = None
    also: tuple[int, ...] = ()
    excluded: tuple[int, ...] = ()
    decided: bool = True
    empty: bool = False
    causes: tuple[int, ...] = ()
