"""Short ways to write nodes.

    call("nn.Conv2d", 3, 64, 7, stride=2)       nn.Conv2d(3, 64, 7, stride=2)
    method("x", "flatten", 1)                   x.flatten(1)
    index("x", slice(None), slice(1, None))     x[:, 1:]
    binary("*", 4, Name("growth"))              4 * growth

Where a node is wanted for a function, an object or a target, a text is a dotted name; among arguments it is a string.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from types import EllipsisType
from typing import Any

from specc.code.tree import (
    Assign,
    Attribute,
    Binary,
    Call,
    Compare,
    Dict,
    Expression,
    Index,
    List,
    Literal,
    Name,
    Slice,
    Tuple,
    Unary,
)


def dotted(path: str | Expression) -> Expression:
    """`dotted("nn.Conv2d")`; a node stays what it is."""
    if isinstance(path, Expression):
        return path
    parts = path.split(".")
    if not all(part.isidentifier() for part in parts):
        raise ValueError(f"{path!r} is not a dotted name")
    node: Expression = Name(parts[0])
    for part in parts[1:]:
        node = Attribute(node, part)
    return node


def value(given: Any) -> Expression:
    """The expression for a Python value: a number, text, truth value, None, `...`, slice, list, tuple or dict of such.

    What carries its expression (`Traced`, a tensor of the backend) gives that, and a size becomes its formula.
    """
    if isinstance(given, Expression):
        return given
    if isinstance(node := getattr(given, "node", None), Expression):
        return node
    if isinstance(given, float) and given - given != 0:
        text = call("float", str(abs(given)))
        return Unary("-", text) if given < 0 else text
    if given is None or isinstance(given, int | float | str | EllipsisType):
        return Literal(given)
    if isinstance(given, slice):
        parts = (None if part is None else value(part) for part in (given.start, given.stop, given.step))
        return Slice(*parts)
    if isinstance(given, dict):
        return Dict(tuple((str(key), value(item)) for key, item in given.items()))
    if isinstance(given, list | tuple):
        return (List if isinstance(given, list) else Tuple)(tuple(map(value, given)))
    if hasattr(given, "symbols"):
        return formula(str(given))
    raise TypeError(f"a {type(given).__name__} has no Python source")


def call(function: str | Expression, *arguments: Any, **keywords: Any) -> Call:
    """`call("nn.Conv2d", 3, 64, 7, stride=2)`."""
    given = tuple((name, value(argument)) for name, argument in keywords.items())
    return Call(dotted(function), tuple(map(value, arguments)), given)


def method(target: str | Expression, name: str, *arguments: Any, **keywords: Any) -> Call:
    """`method("x", "flatten", 1)` is `x.flatten(1)`."""
    return call(Attribute(dotted(target), name), *arguments, **keywords)


def index(target: str | Expression, *items: Any) -> Index:
    """`index("x", slice(None), 0)` is `x[:, 0]`."""
    return Index(dotted(target), value(items[0] if len(items) == 1 else items))


def binary(operator: str, first: Any, *rest: Any) -> Expression:
    """`binary("+", a, b, c)` is `a + b + c`; one operand stays alone."""
    return reduce(lambda left, right: Binary(operator, left, value(right)), rest, value(first))


def compare(first: Any, operator: str, second: Any) -> Compare:
    """`compare(Name("x"), "<", 3)` is `x < 3`."""
    return Compare(value(first), ((operator, value(second)),))


def assign(target: str | Expression | Sequence[str | Expression], given: Any) -> Assign:
    """`assign("self.conv", …)`; with several targets the value is unpacked: `a, b = …`."""
    if isinstance(target, str | Expression):
        return Assign((dotted(target),), value(given))
    return Assign((Tuple(tuple(map(dotted, target))),), value(given))


def formula(text: str) -> Expression:
    """The nodes of arithmetic written as text: names, numbers, `+ - * / // % **`, brackets and calls such as `min`."""
    import ast

    signs = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Mod": "%", "Pow": "**", "USub": "-"}

    def read(tree: ast.expr) -> Expression:
        match tree:
            case ast.BinOp(left, operator, right) if type(operator).__name__ in signs:
                return Binary(signs[type(operator).__name__], read(left), read(right))
            case ast.UnaryOp(operator, operand) if type(operator).__name__ in signs:
                return Unary(signs[type(operator).__name__], read(operand))
            case ast.Call(function, arguments, []):
                return Call(read(function), tuple(map(read, arguments)))
            case ast.Name(name):
                return Name(name)
            case ast.Constant(int() | float() as number):
                return Literal(number)
        raise ValueError(f"{text!r} is not arithmetic")

    return read(ast.parse(text, mode="eval").body)
