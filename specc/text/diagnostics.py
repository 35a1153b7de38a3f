"""What a diagnostic is: a fact about a place, notes at other places, and what to type instead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from specc.text.record import Record, changed
from specc.text.source import Span

Severity = Literal["error", "warning", "note"]
LONGEST = 1000
_RANK = {"error": 0, "warning": 1, "note": 2}


class Note(Record):
    """A second place that helps to understand the first."""

    span: Span
    text: str


class Fix(Record):
    """A change of the text that was worked out and checked again by the compiler."""

    span: Span
    replacement: str
    text: str


class Diagnostic(Record):
    """One mistake: its code, where it is, the fact in one sentence, and help that says what to type.

    `span` is None for what has no place in a text (a file that cannot be read).
    """

    code: str
    span: Span | None
    message: str
    help: str = ""
    notes: tuple[Note, ...] = ()
    fixes: tuple[Fix, ...] = ()
    severity: Severity = "error"
    file: str = ""

    @property
    def order(self) -> tuple[object, ...]:
        """The total order in which diagnostics are shown."""
        name = self.span.source.name if self.span else self.file
        place = (self.span.start, self.span.end) if self.span else (0, 0)
        return (name, *place, _RANK[self.severity], self.code, self.message)


class SpecError(Exception):
    """Carries one diagnostic up to where it can be put in the bag."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass
class Bag:
    """The diagnostics of one compilation; the same fault at the same place is kept once, as it was first said.

    A block that is used twice, or a template behind two aliases, would else say the same mistake again and again.
    """

    limit: int = 100
    _found: dict[tuple[object, ...], Diagnostic] = field(default_factory=dict)
    _places: set[tuple[object, ...]] = field(default_factory=set)

    _silent: set[tuple[str, int]] = field(default_factory=set)

    def silence(self, diagnostic: Diagnostic) -> None:
        """Keep out what else is found in this one's line, which was not understood and may mean anything."""
        if diagnostic.span is not None:
            self._silent.add((diagnostic.span.source.name, diagnostic.span.line))

    def add(self, diagnostic: Diagnostic) -> None:
        if len(diagnostic.message) > LONGEST:
            diagnostic = changed(diagnostic, message=diagnostic.message[:LONGEST] + " …")
        span = diagnostic.span
        if self._silent and span and (span.source.name, span.line) in self._silent:
            return
        place = (diagnostic.code, span.source.name, span.start, span.end) if span else diagnostic.order
        if place not in self._places and len(self._found) < self.limit:
            self._places.add(place)
            self._found.setdefault(diagnostic.order, diagnostic)

    @property
    def full(self) -> bool:
        """Whether it takes no more: whoever reads so many will not read on."""
        return len(self._found) >= self.limit

    @property
    def failed(self) -> bool:
        return any(each.severity == "error" for each in self._found.values())

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._found[key] for key in sorted(self._found, key=repr_key))

    def __len__(self) -> int:
        return len(self._found)


def repr_key(order: tuple[object, ...]) -> tuple[str, int, int, int, str, str]:
    """The order as one comparable tuple."""
    name, start, end, rank, code, message = order
    return (str(name), int(str(start)), int(str(end)), int(str(rank)), str(code), str(message))
