"""Which `train` or `export` section belongs to a network."""

from __future__ import annotations

from typing import Literal

from specc.model.elaborate.files import Unit
from specc.model.elaborate.problem import suggestion
from specc.syntax import tree
from specc.text.diagnostics import Bag, Diagnostic


def section_of(unit: Unit, kind: Literal["train", "export"], network: str, phase: str, bag: Bag) -> tree.Section | None:
    """The section of that kind and phase that belongs to a network; one without `for` belongs to the last network."""
    found: tree.Section | None = None
    last = next(reversed(unit.networks), "")
    for section in unit.sections:
        if section.network and section.network not in unit.networks:
            message = f"there is no network `{section.network}`"
            bag.add(Diagnostic("unknown-network", section.span, message, suggestion(section.network, unit.networks)))
        belongs = section.network == network if section.network else kind == "export" or network == last
        if section.kind != kind or section.phase != phase or not belongs:
            continue
        if found is not None and bool(found.network) == bool(section.network):
            message = f"there are two `{kind}` sections for `{network}`"
            bag.add(
                Diagnostic(
                    "duplicate-section", section.span, message, "make one of them, or name a phase: `train tune { … }`"
                )
            )
        if found is None or section.network:
            found = section
    return found
