"""Numbers that remember the expression they came from: `4 * growth` reckons as 128 and is printed as it was written."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from specc.code.build import value
from specc.code.tree import Binary, Expression, Literal, Unary

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_METHODS = {"+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod", "**": "pow"}


class Traced(int):
    """An int in every comparison, with the expression that `value` prints for it.

    >>> print_expression(value(4 * Traced(32, Name("growth"))))
    '4 * growth'
    """

    node: Expression

    def __new__(cls, number: int, node: Expression) -> Traced:
        self = super().__new__(cls, number)
        self.node = node
        return self

    def __neg__(self) -> Traced:
        return Traced(-int(self), _negative(self.node))

    def __pos__(self) -> Traced:
        return self


class TracedFloat(float):
    """A float in every comparison, with its expression."""

    node: Expression

    def __new__(cls, number: float, node: Expression) -> TracedFloat:
        self = super().__new__(cls, number)
        self.node = node
        return self

    def __neg__(self) -> TracedFloat:
        return TracedFloat(-float(self), _negative(self.node))

    def __pos__(self) -> TracedFloat:
        return self


def traced(number: Any, node: Expression) -> Any:
    """The number with its expression; whatever is no plain number (True, a text, a Dim) stays as it is."""
    if isinstance(number, bool) or isinstance(node, Literal):
        return number
    if isinstance(number, int):
        return Traced(int(number), node)
    return TracedFloat(float(number), node) if isinstance(number, float) else number


def _reckon(sign: str, left: Any, right: Any) -> Any:
    number = _ARITHMETIC[sign](_plain(left), _plain(right))
    return traced(number, _combine(sign, value(left), value(right), number))


def _plain(number: Any) -> Any:
    return int(number) if isinstance(number, int) else float(number)


def _combine(sign: str, left: Expression, right: Expression, number: Any) -> Expression:
    """`left sign right`, without what changes nothing and with whole-number constants drawn together."""
    a, b = _constant(left), _constant(right)
    if isinstance(number, int) and ((sign == "*" and 0 in (a, b)) or (sign, b) in {("%", 1), ("**", 0)}):
        return Literal(number)
    if (b == 0 and sign in "+-") or (b == 1 and (sign in ("*", "**") or (sign == "//" and isinstance(number, int)))):
        return left
    if (a == 0 and sign == "+") or (a == 1 and sign == "*"):
        return right
    if b is not None and isinstance(number, int) and isinstance(left, Binary):
        if sign == "//" and left.operator == "*" and (less := _divided(left, b)) is not None:
            return less
        inner = _constant(left.right)
        if inner is not None and sign == left.operator == "*":
            return _combine("*", left.left, Literal(inner * b), number)
        if inner is not None and sign in "+-" and left.operator in ("+", "-"):
            total = (inner if left.operator == "+" else -inner) + (b if sign == "+" else -b)
            return _shifted(left.left, total)
    if b is not None and sign in "+-":
        return _shifted(left, b if sign == "+" else -b)
    return Binary(sign, left, right)


def _divided(product: Binary, by: int) -> Expression | None:
    """`4 * growth // 2` as `2 * growth`; None where the division is not exact."""
    first, last = _constant(product.left), _constant(product.right)
    if by and first is not None and first % by == 0:
        return product.right if first == by else Binary("*", Literal(first // by), product.right)
    if by and last is not None and last % by == 0:
        return product.left if last == by else Binary("*", product.left, Literal(last // by))
    return None


def _constant(node: Expression) -> int | None:
    if isinstance(node, Literal) and isinstance(node.value, int) and not isinstance(node.value, bool):
        return node.value
    return None


def _shifted(node: Expression, by: int) -> Expression:
    return node if by == 0 else Binary("+" if by > 0 else "-", node, Literal(abs(by)))


def _negative(node: Expression) -> Expression:
    return node.operand if isinstance(node, Unary) and node.operator == "-" else Unary("-", node)


def _give_arithmetic(kind: type) -> None:
    """Every operator in both directions; what is no number is left to the other side."""
    for sign, name in _METHODS.items():

        def forth(self: Any, other: Any, sign: str = sign) -> Any:
            return _reckon(sign, self, other) if isinstance(other, int | float) else NotImplemented

        def back(self: Any, other: Any, sign: str = sign) -> Any:
            return _reckon(sign, other, self) if isinstance(other, int | float) else NotImplemented

        setattr(kind, f"__{name}__", forth)
        setattr(kind, f"__r{name}__", back)


_give_arithmetic(Traced)
_give_arithmetic(TracedFloat)
