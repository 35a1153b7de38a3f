"""Where Python needs brackets: a tree with exactly those that keep its meaning."""

from __future__ import annotations

import math

from specc.code.tree import (
    Attribute,
    Binary,
    BoolOp,
    Call,
    Compare,
    Conditional,
    Dict,
    Expression,
    FString,
    Index,
    List,
    ListOf,
    Literal,
    Loop,
    Name,
    Slice,
    Starred,
    Tuple,
    Unary,
)

_ANY, _OR, _AND, _NOT, _COMPARE, _BITS, _SIGN, _POWER, _PRIMARY = 1, 2, 3, 4, 5, 6, 12, 13, 15
_BINARY = {"|": 6, "^": 7, "&": 8, "<<": 9, ">>": 9, "+": 10, "-": 10}
_BINARY |= dict.fromkeys(("*", "/", "//", "%", "@"), 11) | {"**": _POWER}


class Bracketed(Expression):
    """An expression in brackets."""

    inner: Expression


def bracketed(node: Expression) -> Expression:
    """The expression with a `Bracketed` wherever Python or its style wants one; a negative number becomes a Unary."""
    match node:
        case Name() | FString():
            return node
        case Literal(int() | float() as number) if not isinstance(number, bool) and math.copysign(1, number) < 0:
            return Unary("-", Literal(-number))
        case Literal():
            return node
        case Attribute(value, name):
            return Attribute(_object(value), name)
        case Call(function, arguments, keywords):
            return Call(_at_least(function, _PRIMARY), _all(arguments), tuple((k, _any(v)) for k, v in keywords))
        case Index(value, item):
            return Index(_at_least(value, _PRIMARY), _any(item))
        case Slice(start, stop, step):
            return Slice(*(None if part is None else _any(part) for part in (start, stop, step)))
        case Starred(value):
            return Starred(_at_least(value, _BITS))
        case Tuple(items):
            return Tuple(_all(items))
        case List(items):
            return List(_all(items))
        case Dict(pairs):
            return Dict(tuple((key, _any(item)) for key, item in pairs))
        case _:
            return _operation(node)


def _operation(node: Expression) -> Expression:
    match node:
        case ListOf(element, target, iterable, condition, inner):
            first, *others = map(_loop, (Loop(target, iterable, condition), *inner))
            return ListOf(_any(element), first.target, first.iterable, first.condition, tuple(others))
        case Unary("not", operand):
            return Unary("not", _at_least(operand, _NOT, but=_POWER))
        case Unary(sign, operand):
            return Unary(sign, _at_least(operand, _SIGN, but=_POWER))
        case Binary("**", left, right):
            return Binary("**", _at_least(left, _POWER + 1), _at_least(right, _SIGN))
        case Binary(sign, left, right):
            return Binary(sign, _at_least(left, _BINARY[sign]), _at_least(right, _BINARY[sign] + 1))
        case Compare(first, rest):
            return Compare(_at_least(first, _BITS), tuple((sign, _at_least(x, _BITS)) for sign, x in rest))
        case BoolOp(sign, values):
            return BoolOp(sign, tuple(_at_least(x, _precedence(node) + 1) for x in values))
        case Conditional(test, then, otherwise):
            return Conditional(_at_least(test, _OR), _at_least(then, _OR), _any(otherwise))
    raise TypeError(f"{type(node).__name__} is not an expression of Python")


def _loop(loop: Loop) -> Loop:
    kept = None if loop.condition is None else _at_least(loop.condition, _OR)
    return Loop(loop.target, _at_least(loop.iterable, _OR), kept)


def _at_least(node: Expression, precedence: int, but: int = 0) -> Expression:
    """The expression, in brackets if it binds less than that (or exactly as `but`)."""
    inner = bracketed(node)
    found = _precedence(inner)
    return Bracketed(inner) if found < precedence or found == but else inner


def _any(node: Expression) -> Expression:
    return _at_least(node, _ANY)


def _all(nodes: tuple[Expression, ...]) -> tuple[Expression, ...]:
    return tuple(map(_any, nodes))


def _object(node: Expression) -> Expression:
    """What stands before a dot: `(1).real`."""
    inner = _at_least(node, _PRIMARY)
    number = isinstance(inner, Literal) and isinstance(inner.value, int | float) and not isinstance(inner.value, bool)
    return Bracketed(inner) if number else inner


def _precedence(node: Expression) -> int:
    match node:
        case Conditional():
            return _ANY
        case BoolOp(sign):
            return _OR if sign == "or" else _AND
        case Compare():
            return _COMPARE
        case Unary(sign):
            return _NOT if sign == "not" else _SIGN
        case Binary(sign):
            return _BINARY[sign]
    return _PRIMARY
