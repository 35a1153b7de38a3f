"""A text as rows for the formatter: the lines of the author with the roles of their tokens and their indentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from specc.syntax import tree
from specc.syntax.lines import logical
from specc.syntax.machine import Machine
from specc.syntax.scan import Token, scan
from specc.syntax.tables import Rule, tables
from specc.text.diagnostics import Bag
from specc.text.source import Source

_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Piece:
    """One token as it is printed; `role` is the rule of the grammar that it belongs to, `column` where it stood."""

    text: str
    role: str
    start: int
    column: int


@dataclass(slots=True)
class Row:
    """One line. `level` is its indentation in steps of four, `body` tells the braces apart in which it stands.

    `fresh` says that a declaration, statement or setting begins here; `blank` that an empty line goes before.
    """

    pieces: list[Piece] = field(default_factory=list)
    comment: str = ""
    comment_column: int = 0
    level: int = 0
    body: int = -1
    fresh: bool = False
    blank: bool = False


class _Roles(Machine):
    """Reads tokens and notes for each the rule that it belongs to."""

    def __init__(self, tokens: list[Token], text: str) -> None:
        super().__init__(tables(), tokens, text, "file", lambda rule, children, start, end: None)
        self.roles: dict[int, str] = {}

    def _complete(self, rule: Rule) -> None:
        for value in self.values[len(self.values) - rule.size :]:
            if isinstance(value, Token):
                typed = rule.name == "parameter" and rule.size == 5
                self.roles[value.start] = "typed_parameter" if typed else rule.name or rule.origin
        del self.states[len(self.states) - rule.size :]
        del self.values[len(self.values) - rule.size :]
        self.values.append(None)


@dataclass(slots=True)
class _Places:
    """Offsets at which something of a kind begins."""

    fresh: set[int] = field(default_factory=set)
    structural: set[int] = field(default_factory=set)
    outer_expects: set[int] = field(default_factory=set)
    signatures: set[int] = field(default_factory=set)


def rows(source: Source, file: tree.File) -> list[Row]:
    """The rows of a text that parses to `file` without a mistake."""
    grammar = tables()
    tokens = logical(source, scan(source, grammar, Bag()), grammar, Bag())
    end = len(source.text)
    reader = _Roles([*tokens, Token(grammar.terminal("$END"), end, end, "")], source.text)
    reader.run(lambda machine, kind: False)
    places = _places(file)
    stack: list[tuple[str, int, int]] = []
    result: list[Row] = []
    for row in _physical(source, reader.roles):
        if row.pieces:
            _indent(row, stack, places)
            if _joins(row, result, stack):
                result[-1].pieces += row.pieces
                result[-1].comment, result[-1].comment_column = row.comment, row.comment_column
            else:
                result.append(row)
            _brackets(result[-1], row.pieces, stack, places)
        else:
            row.level = stack[-1][1] + 1 if stack else 0
            result.append(row)
    return result


def _physical(source: Source, roles: dict[int, str]) -> Iterator[Row]:
    """The author's lines that are not empty."""
    lines: dict[int, Row] = {}
    comments = re.compile(r"#[^\n]*")
    scanner = tables().scanner
    ends = [tables().terminal(each) for each in ("BLANK", "CONTINUATION", "_NEWLINE")]
    at = 0
    for match in scanner.finditer(source.text):
        kind = tables().groups[match.lastindex or 0]
        if kind in ends:
            found = [(match.start() + each.start(), each[0]) for each in comments.finditer(match[0])]
        else:
            found = [(match.start(), match[0])]
        for at, text in found:
            number, column = source.position(at)
            row = lines.setdefault(number, Row())
            if text.startswith("#"):
                row.comment, row.comment_column = text.rstrip(), column - 1
            else:
                row.pieces.append(Piece(text, roles.get(at, ""), at, column - 1))
    last = 0
    for number, row in sorted(lines.items()):
        row.blank = bool(last) and number > last + 1
        last = number
        yield row


def _indent(row: Row, stack: list[tuple[str, int, int]], places: _Places) -> None:
    """Sets level, body and freshness of a row from the brackets that are open before it."""
    first = row.pieces[0]
    braces = [each for each in stack if each[0] == "{"]
    row.body = braces[-1][2] if braces else -1
    base = braces[-1][1] + 1 if braces else 0
    closers = 0
    while closers < len(row.pieces) and row.pieces[closers].text in _CLOSE:
        closers += 1
    row.fresh = first.start in places.fresh
    if closers:
        row.level = stack[-closers][1]
        row.body = ([each[2] for each in stack[:-closers] if each[0] == "{"] or [-1])[-1]
    elif stack and stack[-1][0] != "{":
        row.level = stack[-1][1] + 1
    elif row.fresh or first.start in places.outer_expects or (first.text == "else" and first.role == "if"):
        row.level = base
    else:
        row.level = base + (2 if first.start in places.signatures else 1)


def _joins(row: Row, before: list[Row], stack: list[tuple[str, int, int]]) -> bool:
    """Whether an `else` goes behind the `}` of the line before."""
    first = row.pieces[0]
    if not before or first.text != "else" or first.role != "if":
        return False
    last = before[-1]
    return bool(last.pieces) and last.pieces[-1].text == "}" and not last.comment


def _brackets(row: Row, pieces: list[Piece], stack: list[tuple[str, int, int]], places: _Places) -> None:
    """Opens and closes the brackets of a row."""
    braces = [each for each in stack if each[0] == "{"]
    base = braces[-1][1] + 1 if braces else 0
    for piece in pieces:
        if piece.text in _OPEN:
            level = base if piece.start in places.structural and row.pieces[0].text not in _CLOSE else row.level
            stack.append((piece.text, level, piece.start))
        elif piece.text in _CLOSE:
            stack.pop()


def _places(file: tree.File) -> _Places:
    found = _Places()
    waiting: list[Any] = [file]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tree.File):
            found.fresh.update(each.span.start for each in node.declarations)
        elif isinstance(node, tree.Body):
            found.fresh.update(each.span.start for each in node.statements)
        elif isinstance(node, tree.Section):
            found.fresh.update(each.span.start for each in node.settings)
        elif isinstance(node, (tree.Network, tree.Alias)):
            found.outer_expects.update(each.span.start for each in node.expects)
        elif isinstance(node, tree.Signature):
            found.signatures.add(node.span.start)
        if isinstance(node, (tree.Network, tree.Block, tree.If, tree.For, tree.Repeat)):
            found.structural.add(node.body.span.start)
        if isinstance(node, tree.If) and node.other is not None and not _else_if(node.other):
            found.structural.add(node.other.span.start)
        for name in node.FIELDS:
            value = getattr(node, name)
            waiting += [value] if isinstance(value, tree.Node) else []
            waiting += [each for each in value if isinstance(each, tree.Node)] if isinstance(value, tuple) else []
    return found


def _else_if(body: tree.Body) -> bool:
    return len(body.statements) == 1 and body.span == body.statements[0].span
