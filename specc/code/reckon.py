"""What an expression of plain numbers and lists gives in Python, reckoned over its nodes: no text is run."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from specc.code.tree import (
    Attribute,
    Binary,
    BoolOp,
    Call,
    Compare,
    Conditional,
    Expression,
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

Names: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Names], Any]

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_PURE = (abs, enumerate, float, int, len, list, max, min, range, reversed, round, sorted, sum, tuple, zip)
_FUNCTIONS: dict[str, Callable[..., Any]] = {each.__name__: each for each in _PURE}
_UNARY: dict[str, Callable[[Any], Any]] = {"-": operator.neg, "+": operator.pos, "not": operator.not_}


def python_function(name: str) -> Expression | None:
    """How Python calls a function on numbers that every spec knows by this name: `len`, `math.floor`; None if it has none."""
    if name in _FUNCTIONS:
        return Name(name)
    return Attribute(Name("math"), name) if callable(getattr(math, name, None)) else None


def reckoned(node: Expression, names: Mapping[str, Any]) -> Any:
    """The value of an expression where these names are known; ValueError for nodes that are no arithmetic on numbers.

    Whatever Python raises for the arithmetic itself (TypeError, ZeroDivisionError …) comes through.

    >>> reckoned(ListOf(binary("*", Name("k"), Name("n")), Name("k"), call("range", 3)), {"n": 2})
    [0, 2, 4]
    """
    return _rule(node)(dict(names))


def _rule(node: Expression) -> Rule:
    match node:
        case Literal(given):
            return lambda names: given
        case Name(name):
            return lambda names: names[name]
        case Binary(sign, left, right) if sign in _BINARY:
            run, first, second = _BINARY[sign], _rule(left), _rule(right)
            return lambda names: run(first(names), second(names))
        case Unary(sign, operand) if sign in _UNARY:
            turn, inner = _UNARY[sign], _rule(operand)
            return lambda names: turn(inner(names))
        case Compare(left, ((sign, right),)) if sign in _COMPARE:
            ask, one, other = _COMPARE[sign], _rule(left), _rule(right)
            return lambda names: ask(one(names), other(names))
        case BoolOp(sign, values):
            rules = [_rule(each) for each in values]
            if sign == "and":
                return lambda names: all(rule(names) for rule in rules)
            return lambda names: any(rule(names) for rule in rules)
        case Conditional(test, then, otherwise):
            asked, chosen, rest = _rule(test), _rule(then), _rule(otherwise)
            return lambda names: chosen(names) if asked(names) else rest(names)
        case Call():
            return _call(node)
        case Index(value, Slice() as part):
            whole, ends = _rule(value), [None if each is None else _rule(each) for each in _ends(part)]
            return lambda names: whole(names)[slice(*(None if end is None else end(names) for end in ends))]
        case Index(value, item):
            many, at = _rule(value), _rule(item)
            return lambda names: many(names)[at(names)]
        case List(items):
            return _items(items)
        case ListOf():
            return _list_of(node)
    raise ValueError(f"a {type(node).__name__} is not reckoned")


def _ends(part: Slice) -> tuple[Expression | None, ...]:
    return part.start, part.stop, part.step


def _call(node: Call) -> Rule:
    match node.function:
        case Name(name) if name in _FUNCTIONS:
            run: Any = _FUNCTIONS[name]
        case Attribute(Name("math"), name) if callable(function := getattr(math, name, None)):
            run = function
        case _:
            raise ValueError("only functions of Python on numbers are reckoned")
    given = [_rule(each) for each in node.arguments]
    keywords = [(name, _rule(each)) for name, each in node.keywords]
    return lambda names: run(*(rule(names) for rule in given), **{name: rule(names) for name, rule in keywords})


def _items(items: tuple[Expression, ...]) -> Rule:
    rules = [(isinstance(each, Starred), _rule(each.value if isinstance(each, Starred) else each)) for each in items]

    def run(names: Names) -> list[Any]:
        found: list[Any] = []
        for spread, rule in rules:
            if spread:
                found.extend(rule(names))
            else:
                found.append(rule(names))
        return found

    return run


def _list_of(node: ListOf) -> Rule:
    element = _rule(node.element)
    loops = [_loop(each) for each in (Loop(node.target, node.iterable, node.condition), *node.inner)]

    def fill(at: int, names: Names, found: list[Any]) -> None:
        if at == len(loops):
            found.append(element(names))
            return
        targets, iterable, condition = loops[at]
        for item in iterable(names):
            if len(targets) == 1:
                names[targets[0]] = item
            else:
                names.update(zip(targets, item, strict=True))
            if condition is None or condition(names):
                fill(at + 1, names, found)

    def run(names: Names) -> list[Any]:
        found: list[Any] = []
        fill(0, dict(names), found)
        return found

    return run


def _loop(loop: Loop) -> tuple[list[str], Rule, Rule | None]:
    targets = loop.target.items if isinstance(loop.target, Tuple) else (loop.target,)
    names = [each.name for each in targets if isinstance(each, Name)]
    if len(names) < len(targets):
        raise ValueError("a loop binds names")
    return names, _rule(loop.iterable), None if loop.condition is None else _rule(loop.condition)
