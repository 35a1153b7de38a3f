"""Python source as frozen values: expressions, statements and a module."""

from __future__ import annotations

from types import EllipsisType

from specc.text.record import Record


class Expression(Record):
    """Something with a value."""


class Name(Expression):
    name: str


class Literal(Expression):
    """A number, a string, a truth value, None or `...`."""

    value: int | float | str | bool | EllipsisType | None


class Attribute(Expression):
    value: Expression
    name: str


class Call(Expression):
    function: Expression
    arguments: tuple[Expression, ...] = ()
    keywords: tuple[tuple[str, Expression], ...] = ()


class Index(Expression):
    """`value[item]`; a Tuple is written without brackets of its own."""

    value: Expression
    item: Expression


class Slice(Expression):
    """`start:stop:step`, only as an Index's item or in the Tuple that is it."""

    start: Expression | None = None
    stop: Expression | None = None
    step: Expression | None = None


class Starred(Expression):
    """`*value` among arguments and in lists and tuples."""

    value: Expression


class Tuple(Expression):
    items: tuple[Expression, ...]


class List(Expression):
    items: tuple[Expression, ...]


class Dict(Expression):
    items: tuple[tuple[str, Expression], ...]


class Loop(Record):
    """`for target in iterable if condition`, a further loop of a `ListOf`."""

    target: Expression
    iterable: Expression
    condition: Expression | None = None


class ListOf(Expression):
    """`[element for target in iterable if condition]`; `inner` are the loops that follow, the innermost last."""

    element: Expression
    target: Expression
    iterable: Expression
    condition: Expression | None = None
    inner: tuple[Loop, ...] = ()


class Unary(Expression):
    """`-`, `+`, `~` or `not`."""

    operator: str
    operand: Expression


class Binary(Expression):
    """An arithmetic or bitwise operator between two operands; nest to the left for `a + b + c`."""

    operator: str
    left: Expression
    right: Expression


class Compare(Expression):
    """`first < second`, and chains of it."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]


class BoolOp(Expression):
    """`and` or `or` between at least two values."""

    operator: str
    values: tuple[Expression, ...]


class Conditional(Expression):
    """`then if test else otherwise`."""

    test: Expression
    then: Expression
    otherwise: Expression


class FString(Expression):
    """Texts and the expressions between them, which hold no strings and no dicts."""

    parts: tuple[str | Expression, ...]


class Statement(Record):
    """A line or a block of a program."""


Body = tuple[Statement, ...]


class ExpressionStatement(Statement):
    value: Expression


class Assign(Statement):
    """`a = b = value`; with an annotation there is one target, and the value may be missing."""

    targets: tuple[Expression, ...]
    value: Expression | None
    annotation: Expression | None = None


class Return(Statement):
    value: Expression | None = None


class Raise(Statement):
    exception: Expression
    cause: Expression | None = None


class Assert(Statement):
    test: Expression
    message: Expression | None = None


class If(Statement):
    """An If that is all of `otherwise` is written `elif`."""

    test: Expression
    body: Body
    otherwise: Body = ()


class For(Statement):
    target: Expression
    iterable: Expression
    body: Body


class With(Statement):
    """Each context with the target after its `as`, or None."""

    items: tuple[tuple[Expression, Expression | None], ...]
    body: Body


class Parameter(Record):
    name: str
    annotation: Expression | None = None
    default: Expression | None = None


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


class ClassDef(Statement):
    name: str
    bases: tuple[Expression, ...]
    body: Body
    docstring: str = ""
    decorators: tuple[Expression, ...] = ()


class Import(Statement):
    """`import module as alias`; "" is no alias."""

    module: str
    alias: str = ""


class ImportFrom(Statement):
    """`from module import name as alias, …`."""

    module: str
    names: tuple[tuple[str, str], ...]


class Table(Statement):
    """`NAME = [1, 2, 3, …]`, many numbers to a line; `# fmt: skip` keeps a formatter from giving each a line."""

    name: str
    numbers: tuple[int | float | bool, ...]


class Comment(Statement):
    """A comment on lines of its own, before the statement that follows; the text has no `#`."""

    text: str


class Blank(Statement):
    """An empty line between two statements; where Python's style wants more, there are more."""


class Module(Record):
    docstring: str
    body: Body
