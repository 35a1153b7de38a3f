"""Documents that can be laid out in several ways, and the choice among them for a width.

The five ideas of Wadler's and Lindig's printers (text, line, group, indent, choice by what a group does), with the
measuring rules of `ruff format`, so that what comes out is what that formatter would leave alone.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias


class Brackets:
    """Optional brackets around an expression; whether they show is settled while printing."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A line break in a group that does not fit, else `flat`. With None it always breaks."""

    flat: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Laid out flat if that fits, else with its lines broken.

    `name` lets other documents ask what became of it. With `within`, it is a group only if that one is broken.
    """

    document: Document
    name: Brackets | None = None
    within: Brackets | None = None
    broken: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Indent:
    """Four columns more after each line break; with `group`, only if that group is broken."""

    document: Document
    group: Brackets | None = None


@dataclass(frozen=True, slots=True, eq=False)
class IfBroken:
    """One document or another, by whether the group (by default the enclosing one) is broken."""

    broken: Document
    flat: Document = ""
    group: Brackets | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Loose:
    """May break over lines while the group `unless_broken` still counts as flat."""

    document: Document
    unless_broken: Brackets


@dataclass(frozen=True, slots=True, eq=False)
class Bracketable:
    """Gets brackets if it then fits and would not without them."""

    document: Document
    name: Brackets


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The first that fits, else the last."""

    documents: tuple[Document, ...]


Document: TypeAlias = "str | tuple[Document, ...] | Line | Group | Indent | IfBroken | Loose | Bracketable | Choice"

SOFT = Line("")
SPACE = Line(" ")
HARD = Line(None)
STEP = 4


def soft_block(document: Document) -> Document:
    """The document on indented lines of its own, where it breaks."""
    return (Indent((SOFT, document)), SOFT)


def render(document: Document, width: int, indent: int = 0) -> str:
    """The text of a document whose first line starts in column `indent` (which is not written)."""
    text = flat_text(document)
    if indent + text_width(text) <= width:
        return text
    return _Printer(width, indent).print(document)


def flat_text(document: Document) -> str:
    """All on one line."""
    if isinstance(document, str):
        return document
    if isinstance(document, tuple):
        return "".join(map(flat_text, document))
    if isinstance(document, Line):
        return document.flat or ""
    if isinstance(document, IfBroken):
        return flat_text(document.flat)
    return flat_text(document.documents[0] if isinstance(document, Choice) else document.document)


def text_width(text: str) -> int:
    """Columns: wide East Asian characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


class _Measure(Enum):
    """How far it is measured whether something fits: to the first line break, all lines, or past long lines too."""

    FIRST = 1
    ALL = 2
    OVERFLOW = 3


class _Task(NamedTuple):
    document: Document
    indent: int
    flat: bool
    measure: _Measure = _Measure.FIRST


class _Printer:
    def __init__(self, width: int, indent: int) -> None:
        self.width = width
        self.indent = indent
        self.column = indent
        self.written: list[str] = []
        self.tasks: list[_Task] = []
        self.flat: dict[Brackets, bool] = {}
        self.measured = False

    def print(self, document: Document) -> str:
        self.tasks = [_Task(document, self.indent, False)]
        while self.tasks:
            self.step(self.tasks.pop())
        return "".join(self.written)

    def step(self, task: _Task) -> None:
        document = task.document
        if isinstance(document, str):
            self.written.append(document)
            self.column += text_width(document)
        elif isinstance(document, Line):
            self.line(document, task)
        elif isinstance(document, Group):
            self.group(document, task)
        elif isinstance(document, Bracketable):
            self.bracketable(document, task)
        elif isinstance(document, Choice):
            self.choice(document, task)
        elif isinstance(document, Loose):
            if self.flat[document.unless_broken]:
                self.measured = False
            self.tasks.append(task._replace(document=document.document))
        else:
            self.tasks.extend(self.parts(task))

    def line(self, line: Line, task: _Task) -> None:
        if task.flat and line.flat is not None:
            self.written.append(line.flat)
            self.column += len(line.flat)
        else:
            self.written.append("\n" + " " * task.indent)
            self.column = task.indent

    def group(self, group: Group, task: _Task) -> None:
        inner = task._replace(document=group.document)
        if group.within is None or not self.flat[group.within]:
            inner = inner._replace(flat=not group.broken and self.fits_flat(inner, group.name))
        if group.name is not None:
            self.flat[group.name] = inner.flat
        self.tasks.append(inner)

    def bracketable(self, document: Bracketable, task: _Task) -> None:
        inner = task._replace(document=document.document)
        if self.fits_flat(inner, document.name):
            self.tasks.append(inner._replace(flat=True))
            return
        self.flat[document.name] = False
        bracketed = task._replace(document=("(", Indent((HARD, document.document)), HARD, ")"))
        if self.fits(bracketed._replace(measure=_Measure.ALL)):
            self.tasks.append(bracketed._replace(flat=False))
            return
        self.flat[document.name] = True
        self.tasks.append(inner._replace(flat=True))

    def choice(self, choice: Choice, task: _Task) -> None:
        if task.flat and self.measured:
            self.tasks.append(task._replace(document=choice.documents[0]))
            return
        self.measured = True
        for document in choice.documents[:-1]:
            flat = task._replace(document=document, flat=True, measure=_Measure.FIRST)
            if self.fits(flat):
                self.tasks.append(flat._replace(measure=task.measure))
                return
        self.tasks.append(task._replace(document=choice.documents[-1], flat=False))

    def fits_flat(self, task: _Task, name: Brackets | None) -> bool:
        """Whether it fits on one line, unless a group around it has already found so."""
        if task.flat and self.measured:
            return True
        self.measured = True
        if name is not None:
            self.flat[name] = True
        return self.fits(task._replace(flat=True))

    def parts(self, task: _Task) -> list[_Task]:
        """What a sequence, an Indent or an IfBroken consists of, last part first."""
        document = task.document
        if isinstance(document, tuple):
            return [task._replace(document=part) for part in reversed(document)]
        if isinstance(document, Indent):
            deeper = document.group is None or not self.flat[document.group]
            return [task._replace(document=document.document, indent=task.indent + STEP * deeper)]
        assert isinstance(document, IfBroken)
        flat = task.flat if document.group is None else self.flat[document.group]
        return [task._replace(document=document.flat if flat else document.broken)]

    def fits(self, task: _Task) -> bool:
        """Whether the task, and what follows it up to the next line break, stays within the width."""
        ahead, rest, column = [task], len(self.tasks), self.column
        while ahead or rest:
            if ahead:
                task = ahead.pop()
            else:
                rest -= 1
                task = self.tasks[rest]
            document = task.document
            if isinstance(document, Line):
                if task.flat and document.flat is not None:
                    document = document.flat
                elif task.flat or task.measure is _Measure.FIRST:
                    return True
                else:
                    column = task.indent
            if isinstance(document, str):
                column += text_width(document)
                if column > self.width and task.measure is not _Measure.OVERFLOW:
                    return False
            elif not isinstance(document, Line):
                ahead.extend(self.measured_parts(document, task))
        return True

    def measured_parts(self, document: Document, task: _Task) -> list[_Task]:
        """What to measure for a document, last part first."""
        if isinstance(document, Group):
            grouped = document.within is None or not self.flat[document.within]
            inner = task._replace(document=document.document, flat=task.flat and not (grouped and document.broken))
            if document.name is not None:
                self.flat[document.name] = inner.flat
            return [inner]
        if isinstance(document, Bracketable):
            self.flat[document.name] = task.flat
            return [task._replace(document=document.document)]
        if isinstance(document, Loose):
            if task.flat and self.flat[document.unless_broken]:
                return [_Task(document.document, task.indent, False, _Measure.OVERFLOW)]
            return [task._replace(document=document.document)]
        if isinstance(document, Choice):
            if task.flat:
                return [task._replace(document=document.documents[0], measure=_Measure.FIRST)]
            return [task._replace(document=document.documents[-1])]
        return self.parts(task)
