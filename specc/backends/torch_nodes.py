"""Reading and changing Python nodes: the names in them, their length, and putting expressions in the place of names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from specc.code.nodes import Binary, Expression, Literal, Name, Unary, formula
from specc.code.printer import print_expression
from specc.code.traced import Traced, TracedFloat
from specc.sizes.dim import Dim, Size, symbol
from specc.text.record import Record

LONGEST = 4  # names and numbers in an expression that stands for one number


def names(node: Any) -> Iterator[str]:
    """The bare names in a node, each as often as it occurs: `nn.Conv2d(3, width, 3)` has nn and width."""
    if isinstance(node, Name):
        yield node.name
        return
    for each in _below(node):
        yield from names(each)


def times(node: Any, part: Expression) -> int:
    """How often one node occurs in another."""
    if node == part:
        return 1
    return sum(times(each, part) for each in _below(node))


def _below(node: Any) -> Iterator[Any]:
    """What a node or a tuple of nodes is made of."""
    if isinstance(node, tuple):
        yield from node
    elif isinstance(node, Record):
        yield from (getattr(node, name) for name in node.FIELDS)


def put_in_place(node: Any, part: Expression, by: Expression) -> Any:
    """The node with one expression in the place of another."""
    if node == part:
        return by
    if isinstance(node, tuple):
        return tuple(put_in_place(each, part, by) for each in node)
    if not isinstance(node, Record):
        return node
    return type(node)(*(put_in_place(getattr(node, name), part, by) for name in node.FIELDS))


def replaced(node: Any, by: Mapping[str, Expression]) -> Any:
    """The node with expressions in the place of names."""
    if isinstance(node, Name):
        return by.get(node.name, node)
    if isinstance(node, tuple):
        return tuple(replaced(each, by) for each in node)
    if not isinstance(node, Record):
        return node
    return type(node)(*(replaced(getattr(node, name), by) for name in node.FIELDS))


def width(node: Expression) -> int:
    """How long it is on one line."""
    return len(print_expression(node))


class TracedTuple(tuple[Any, ...]):
    """A list of numbers in every use, with the name it goes by."""

    node: Expression

    @classmethod
    def of(cls, items: tuple[Any, ...], node: Expression) -> TracedTuple:
        found = cls(items)
        found.node = node
        return found


def simplified(number: Traced | TracedFloat) -> Any:
    """The number with the shorter of its own expression and the normal form; plain where both are too long to read.

    `2 * growth + growth` becomes `3 * growth`.
    """
    node = _simplified(number.node)
    if isinstance(number, int):
        return int(number) if node is None else Traced(number, node)
    return float(number) if node is None else TracedFloat(number, node)


@cache
def _simplified(node: Expression) -> Expression | None:
    if _leaves(node) > 1:
        try:
            size = _size(node)
        except (ArithmeticError, TypeError):
            size = None
        if isinstance(size, Dim):
            normal = formula(str(size))
            said = list(names(node))
            again = len(set(said)) < len(said)
            node = normal if _leaves(normal) < _leaves(node) + again else node
    return node if _leaves(node) <= LONGEST else None


def _size(node: Expression) -> Size | None:
    """The same as a polynomial; None if it is none."""
    if isinstance(node, Name):
        return symbol(node.name)
    if isinstance(node, Literal) and isinstance(node.value, int):
        return node.value
    if isinstance(node, Unary) and node.operator == "-":
        inner = _size(node.operand)
        return None if inner is None else -inner
    if isinstance(node, Binary) and node.operator in ("+", "-", "*", "//"):
        left, right = _size(node.left), _size(node.right)
        if left is None or right is None:
            return None
        match node.operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "//":
                return left // right
    return None


def _leaves(node: Any) -> int:
    return 1 if isinstance(node, Name | Literal) else sum(map(_leaves, _below(node)))
