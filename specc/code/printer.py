"""Nodes as the text of a Python module, laid out as `ruff format` leaves it."""

from __future__ import annotations

import inspect
import textwrap

from specc.code.document import STEP, Document, flat_text, render
from specc.code.layout import OUTSIDE, layout, literal
from specc.code.precedence import bracketed
from specc.code.statements import condition, decorator, statement
from specc.code.tree import (
    Blank,
    Body,
    ClassDef,
    Comment,
    Expression,
    For,
    FunctionDef,
    If,
    Import,
    ImportFrom,
    Literal,
    Module,
    Statement,
    Table,
    With,
)

WIDTH = 88


def print_module(module: Module, width: int = WIDTH) -> str:
    """The whole text, ending with a line break; "" for a module with nothing in it."""
    writer = _Writer(width)
    if module.docstring:
        writer.docstring(module.docstring)
    writer.suite(module.body, apart=bool(module.docstring))
    return "".join(f"{line}\n" for line in writer.lines)


def print_body(body: Body, width: int = WIDTH) -> str:
    """Statements as they stand at the top of a module."""
    return print_module(Module("", body), width)


def print_expression(node: Expression) -> str:
    """An expression on one line, however long."""
    return flat_text(layout(bracketed(node), OUTSIDE))


class _Writer:
    """The lines so far, and the column where blocks stand."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.indent = 0
        self.lines: list[str] = []

    def write(self, document: Document) -> None:
        self.lines.append(" " * self.indent + render(document, self.width, self.indent))

    def suite(self, body: Body, apart: bool = False) -> None:
        """Statements below each other, with the empty lines between them that Python's style wants.

        `apart`: a docstring is above, and wants an empty line below it.
        """
        previous: Statement | None = None
        for place, node in enumerate(body):
            if isinstance(node, Blank):
                continue
            if previous is not None or apart:
                blank = place > 0 and isinstance(body[place - 1], Blank)
                self.lines.extend([""] * self.gap(previous, node, _owner(body, place), blank))
            self.statement(node)
            previous = node

    def gap(self, previous: Statement | None, node: Statement, owner: Statement | None, blank: bool) -> int:
        """Empty lines between two statements; `previous` is None after a docstring.

        `owner` is what `node` belongs to: itself, or for a comment the next statement, None at the end.
        """
        definition = 1 if self.indent else 2
        if isinstance(previous, Comment):
            return definition if blank and _is_definition(owner) and not isinstance(node, Comment) else int(blank)
        if _is_definition(owner) or _ends_with_definition(previous):
            return definition
        if previous is None:
            return 1
        if _is_import(previous) and not _is_import(node):
            return 1
        return int(blank)

    def statement(self, node: Statement) -> None:
        match node:
            case Comment(text):
                for line in text.splitlines() or [""]:
                    self.lines.append(f"{' ' * self.indent}# {line}".rstrip())
            case FunctionDef() | ClassDef():
                for wrapper in node.decorators:
                    self.write(decorator(wrapper))
                self.write(statement(node))
                self.block(node.body, node.docstring, isinstance(node, ClassDef))
            case Table():
                self.table(node)
            case If():
                self.write(statement(node))
                self.branches(node)
            case For() | With():
                self.write(statement(node))
                self.inner(node.body)
            case _:
                self.write(statement(node))

    def table(self, node: Table) -> None:
        margin = " " * self.indent
        self.lines.append(f"{margin}{node.name} = [")
        texts = " ".join(f"{literal(Literal(each))}," for each in node.numbers)
        inner = margin + " " * STEP
        self.lines.extend(
            textwrap.wrap(texts, self.width, initial_indent=inner, subsequent_indent=inner, break_on_hyphens=False)
        )
        self.lines.append(f"{margin}]  # fmt: skip")

    def branches(self, node: If) -> None:
        self.inner(node.body)
        if not node.otherwise:
            return
        if _ends_with_definition(_last(node.body)):
            self.lines.append("")
        match node.otherwise:
            case (If() as other,):
                self.write(condition("elif", other.test))
                self.branches(other)
            case _:
                self.write("else:")
                self.inner(node.otherwise)

    def inner(self, body: Body) -> None:
        """The body of an `if`, `for` or `with`, from whose first line a definition keeps away."""
        if _is_definition(next((node for node in body if not isinstance(node, Blank)), None)):
            self.lines.append("")
        self.block(body)

    def block(self, body: Body, docstring: str = "", is_class: bool = False) -> None:
        self.indent += STEP
        if docstring:
            self.docstring(docstring)
        apart = is_class or (bool(body) and (isinstance(body[0], Blank) or _is_definition(_owner(body, 0))))
        self.suite(body, apart=bool(docstring) and apart)
        if not docstring and _last(body) is None:
            self.write("pass")
        self.indent -= STEP

    def docstring(self, text: str) -> None:
        """On one line, or with the closing quotes on a line of their own."""
        clean = inspect.cleandoc(text).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
        lines = [line.rstrip() for line in clean.splitlines()]
        margin = " " * self.indent
        if len(lines) == 1:
            end = f'{lines[0][:-1]}\\"' if lines[0].endswith('"') and not lines[0].endswith('\\"') else lines[0]
            self.lines.append(f'{margin}"""{end}"""')
            return
        self.lines.append(f'{margin}"""{lines[0]}')
        self.lines.extend(f"{margin}{line}" if line else "" for line in lines[1:])
        self.lines.append(f'{margin}"""')


def _owner(body: Body, place: int) -> Statement | None:
    """The statement itself; for a comment, the statement below it."""
    while place < len(body) and isinstance(body[place], Comment | Blank):
        place += 1
    return body[place] if place < len(body) else None


def _is_definition(node: Statement | None) -> bool:
    return isinstance(node, FunctionDef | ClassDef)


def _is_import(node: Statement) -> bool:
    return isinstance(node, Import | ImportFrom)


def _last(body: Body) -> Statement | None:
    return next((node for node in reversed(body) if not isinstance(node, Comment | Blank)), None)


def _ends_with_definition(node: Statement | None) -> bool:
    match node:
        case If(_, body, otherwise):
            return _ends_with_definition(_last(otherwise or body))
        case For(_, _, body) | With(_, body):
            return _ends_with_definition(_last(body))
    return _is_definition(node)
