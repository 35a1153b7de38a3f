"""The state of one body while it is unrolled: its module, its labels, its numbering, and the tensor that flows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

from specc.model.elaborate.problem import problem
from specc.model.elaborate.scope import Label, Scope, TensorList, TensorRef
from specc.model.graph import Frame, Module
from specc.syntax import tree
from specc.text.diagnostics import Note
from specc.text.source import Span

Flow = TensorRef | TensorList | None


@dataclass(eq=False)
class Body:
    """Where the lines of one body put their modules, labels and result."""

    module: Module
    frame: Frame
    scope: Scope
    record: bool
    reserved: frozenset[str]
    flow: Flow = None
    labels: dict[str, Label] = field(default_factory=dict)
    taken: dict[str, Span | None] = field(default_factory=dict)
    holders: set[str] = field(default_factory=set)  # what stands before a dot of a label
    counts: dict[str, int] = field(default_factory=dict)
    numbers: int = 0
    parallel: bool = False
    branches: list[TensorRef | TensorList] = field(default_factory=list)
    network: bool = False

    def path(self, name: str) -> str:
        return f"{self.module.path}.{name}" if self.module.path else name

    def counted(self, word: str) -> str:
        """The next free `<word><n>`."""
        while True:
            self.counts[word] = self.counts.get(word, 0) + 1
            name = f"{word}{self.counts[word]}"
            if name not in self.reserved and name not in self.taken and name not in self.holders:
                self.taken[name] = None
                return name

    def next_name(self, word: str) -> str:
        """What an unlabelled layer is called here: its number, or its op's name with one."""
        if self.record:
            return self.counted(word)
        self.numbers += 1
        return str(self.numbers - 1)

    def take(self, name: str, span: Span) -> None:
        """Claim a label; the same one twice is an error, and so is one that is also a container's."""
        parts = name.split(".")
        above = [".".join(parts[:at]) for at in range(1, len(parts))]
        if name in self.holders or any(each in self.taken for each in above):
            clash = next((each for each in above if each in self.taken), name)
            message = f"`{clash}` is a layer here and, in another label, what holds layers"
            raise problem("duplicate-label", span, message, "call one of them something else")
        self.holders.update(above)
        if name in self.taken:
            first = self.taken[name]
            notes = (Note(first, "first used here"),) if first not in (None, span) else ()
            message = f"the label `{name}` is used twice in this body"
            if first == span:
                message = f"the label `{name}` comes again in every round of the loop"
            raise problem(
                "duplicate-label", span, message, 'give each its own, or number them in a loop: "name{i}"', notes
            )
        self.taken[name] = span

    def child(self, name: str, kind: Any, record: bool) -> Module:
        """A new module in this body; what stands before a dot in its name holds it, and others of that name."""
        above = self.module
        *holders, own = name.split(".")
        for at, each in enumerate(holders, 1):
            path = self.path(".".join(holders[:at]))
            inner = next((child for child in above.children if child.name == each), None)
            if inner is None:
                inner = Module(each, path, "parallel", record=False)
                above.children.append(inner)
            above = inner
        if holders and not own.isdecimal():
            above.record = True
        found = Module(own, self.path(name), kind, record)
        above.children.append(found)
        return found


def snake(name: str) -> str:
    """A block's name as a module's: `ConvBN` is conv_bn, `InvertedResidual` inverted_residual."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return spaced.lower()


class Shapes:
    """Whether a body is a record, and which labels its text holds; worked out once for each body."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[bool, frozenset[str], tree.Body]] = {}

    def of(self, body: tree.Body) -> tuple[bool, frozenset[str]]:
        if id(body) not in self._found:
            labels: list[str] = []
            record = False
            for each in _flat(body):
                found = _labels(each)
                record = record or found is not None
                labels += found or ()
            self._found[id(body)] = (record, frozenset(labels), body)
        record, names, _ = self._found[id(body)]
        return record, names


def _flat(body: tree.Body) -> Iterator[tree.Statement]:
    for each in body.statements:
        yield each
        if isinstance(each, tree.If):
            yield from _flat(each.body)
            if each.other is not None:
                yield from _flat(each.other)
        elif isinstance(each, tree.Repeat | tree.For):
            yield from _flat(each.body)


@singledispatch
def _labels(statement: Any) -> list[str] | None:
    """The plain labels of a statement; None if it has no label at all."""
    return None


@_labels.register
def _(statement: tree.Line) -> list[str] | None:
    if not statement.labels and not statement.output:
        return None
    return [each.parts[0] for each in statement.labels if len(each.parts) == 1 and isinstance(each.parts[0], str)]


@_labels.register
def _(statement: tree.Weight) -> list[str] | None:
    return [statement.name]
