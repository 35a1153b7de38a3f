"""Raising a diagnostic from inside elaboration, with suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from specc.text.diagnostics import Diagnostic, Fix, Note, SpecError
from specc.text.source import Span

LONGEST = 60


class Exhausted(SpecError):
    """What is over the budget ends the elaboration: the rest would only be over it too."""


class Silent(Exception):
    """What cannot be worked out because of an error that was said already: one mistake, one message."""


def problem(
    code: str,
    span: Span,
    message: str,
    help: str = "",
    notes: tuple[Note, ...] = (),
    fixes: tuple[Fix, ...] = (),
) -> SpecError:
    """The error to raise: one fact, and what to type instead."""
    return SpecError(Diagnostic(code, span, message, help, notes, fixes))


def exhausted(span: Span, message: str, help: str = "use smaller ranges and repeats") -> Exhausted:
    """The error for a spec that unrolls into too much."""
    return Exhausted(Diagnostic("expansion-too-large", span, message, help))


def nearest(name: str, names: Iterable[str]) -> str:
    """The known name that was probably meant; "" if none is near."""
    if len(name) > LONGEST:
        return ""
    known = sorted(set(names))
    lowered = {each.lower(): each for each in known}
    found = get_close_matches(name.lower(), lowered, 1, 0.6)
    return lowered[found[0]] if found else ""


def suggestion(name: str, names: Iterable[str]) -> str:
    """Help for a name that is not known: the near one, or the few there are."""
    known = sorted(set(names))
    near = nearest(name, known)
    if near:
        return f"did you mean `{near}`?"
    if 0 < len(known) <= 8:
        return "known here: " + ", ".join(f"`{each}`" for each in known)
    return ""
