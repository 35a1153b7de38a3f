"""Python source as frozen values: expressions, statements and a module."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType


class Expression:
    """Something with a value."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Name(Expression):
    name: str


@dataclass(frozen=True, slots=True)
class Literal(Expression):
    """A number, a string, a truth value, None or `...`."""

    value: int | float | str | bool | EllipsisType | None


@dataclass(frozen=True, slots=True)
class Attribute(Expression):
    value: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Call(Expression):
    function: Expression
    arguments: tuple[Expression, ...] = ()
    keywords: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True, slots=True)
class Index(Expression):
    """`value[item]`; a Tuple is written without brackets of its own."""

    value: Expression
    item: Expression


@dataclass(frozen=True, slots=True)
class Slice(Expression):
    """`start:stop:step`, only as an Index's item or in the Tuple that is it."""

    start: Expression | None = None
    stop: Expression | None = None
    step: Expression | None = None


@dataclass(frozen=True, slots=True)
class Starred(Expression):
    """`*value` among arguments and in lists and tuples."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Tuple(Expression):
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class List(Expression):
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Dict(Expression):
    items: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class ListOf(Expression):
    """`[element for target in iterable if condition]`."""

    element: Expression
    target: Expression
    iterable: Expression
    condition: Expression | None = None


@dataclass(frozen=True, slots=True)
class Unary(Expression):
    """`-`, `+`, `~` or `not`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    """An arithmetic or bitwise operator between two operands; nest to the left for `a + b + c`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Compare(Expression):
    """`first < second`, and chains of it."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class BoolOp(Expression):
    """`and` or `or` between at least two values."""

    operator: str
    values: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Conditional(Expression):
    """`then if test else otherwise`."""

    test: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class FString(Expression):
    """Texts and the expressions between them, which hold no strings and no dicts."""

    parts: tuple[str | Expression, ...]


class Statement:
    """A line or a block of a program."""

    __slots__ = ()


Body = tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class ExpressionStatement(Statement):
    value: Expression


@dataclass(frozen=True, slots=True)
class Assign(Statement):
    """`a = b = value`; with an annotation there is one target, and the value may be missing."""

    targets: tuple[Expression, ...]
    value: Expression | None
    annotation: Expression | None = None


@dataclass(frozen=True, slots=True)
class Return(Statement):
    value: Expression | None = None


@dataclass(frozen=True, slots=True)
class Raise(Statement):
    exception: Expression
    cause: Expression | None = None


@dataclass(frozen=True, slots=True)
class Assert(Statement):
    test: Expression
    message: Expression | None = None


@dataclass(frozen=True, slots=True)
class If(Statement):
    """An If that is all of `otherwise` is written `elif`."""

    test: Expression
    body: Body
    otherwise: Body = ()


@dataclass(frozen=True, slots=True)
class For(Statement):
    target: Expression
    iterable: Expression
    body: Body


@dataclass(frozen=True, slots=True)
class With(Statement):
    """Each context with the target after its `as`, or None."""

    items: tuple[tuple[Expression, Expression | None], ...]
    body: Body


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    annotation: Expression | None = None
    default: Expression | None = None


@dataclass(frozen=True, slots=True)
class FunctionDef(Statement):
    """`variadic` is the parameter after a `*`; `keyword_only` follow it, or a bare `*`."""

    name: str
    parameters: tuple[Parameter, ...]
    body: Body
    returns: Expression | None = None
    docstring: str = ""
    variadic: Parameter | None = None
    keyword_only: tuple[Parameter, ...] = ()
    decorators: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassDef(Statement):
    name: str
    bases: tuple[Expression, ...]
    body: Body
    docstring: str = ""
    decorators: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Import(Statement):
    """`import module as alias`; "" is no alias."""

    module: str
    alias: str = ""


@dataclass(frozen=True, slots=True)
class ImportFrom(Statement):
    """`from module import name as alias, …`."""

    module: str
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Comment(Statement):
    """A comment on lines of its own, before the statement that follows; the text has no `#`."""

    text: str


@dataclass(frozen=True, slots=True)
class Blank(Statement):
    """An empty line between two statements; where Python's style wants more, there are more."""


@dataclass(frozen=True, slots=True)
class Module:
    docstring: str
    body: Body
