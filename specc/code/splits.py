"""Questions about an expression that decide where it may go over several lines, answered as `ruff format` does."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from specc.code.precedence import Bracketed
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
    Name,
    Slice,
    Starred,
    Tuple,
    Unary,
)


class Need(Enum):
    """When a statement's expression gets brackets: if it takes several lines, if they make it fit, or never."""

    MULTILINE = 1
    BEST_FIT = 2
    NEVER = 3


LOOSENESS = {"**": 2, "~": 3} | dict.fromkeys(("*", "/", "//", "%", "@"), 4) | {"+": 5, "-": 5, "<<": 6, ">>": 6}
LOOSENESS |= {"&": 7, "^": 8, "|": 9}
LOOSE_COMPARE, LOOSE_BOOL, _LOOSE_CONDITIONAL = 10, 11, 12
_LOOSE_ATTRIBUTE = 1


def need(node: Expression) -> Need:
    """How a statement treats the expression that it ends with."""
    match node:
        case Binary() | Compare() | BoolOp() | Conditional() | Starred() | Slice():
            return Need.MULTILINE
        case Call() | Attribute() | Index() if is_fluent(node):
            return Need.MULTILINE
        case Call(inner) | Attribute(inner) | Index(inner) | Unary(_, inner):
            return Need.NEVER if isinstance(inner, Bracketed) else need(inner)
        case Name() | Literal() | FString():
            return Need.BEST_FIT
    return Need.NEVER


def is_fluent(node: Expression) -> bool:
    """Whether a chain is laid out one method a line: at least two of its dots follow a call or an index."""
    dots = 0
    while True:
        match node:
            case Attribute(Bracketed()):
                return dots + 1 >= 2
            case Attribute(value):
                dots += isinstance(value, Call | Index)
                node = value
            case Call(Bracketed()) | Index(Bracketed()):
                return dots >= 2
            case Call(value) | Index(value):
                node = value
            case _:
                return dots >= 2


def is_splittable(node: Expression) -> bool:
    """Whether an annotation has places where it could break."""
    match node:
        case Compare() | Binary() | BoolOp() | Conditional() | Index() | ListOf() | Bracketed():
            return True
        case Tuple(items) | List(items) | Dict(items):
            return bool(items)
        case Call(function, arguments, keywords):
            return bool(arguments or keywords) or isinstance(function, Bracketed)
        case Unary(_, inner) | Starred(inner) | Attribute(inner):
            return is_splittable(inner)
    return False


def has_own_brackets(node: Expression) -> bool:
    """Whether brackets, also empty ones, are part of it: a call, a list."""
    return isinstance(node, Call | Index | List | Tuple | Dict | ListOf)


def has_brackets(node: Expression) -> bool:
    """Whether it ends with brackets, its own or around it."""
    return has_own_brackets(node) or isinstance(node, Bracketed)


def can_omit_brackets(node: Expression) -> bool:
    """Whether breaking inside the brackets it starts or ends with is better than brackets around all of it."""
    seen = _Survey()
    seen.look_into(node)
    if not seen.brackets or seen.count > 1:
        return False
    if seen.loosest <= _LOOSE_ATTRIBUTE:
        return True
    return any(end is not None and _can_break_at(end) for end in (seen.last, seen.first))


def _can_break_at(node: Expression) -> bool:
    match node:
        case Index():
            return False
        case List(items) | Tuple(items) | Dict(items):
            return bool(items)
        case Call(_, arguments, keywords):
            return bool(arguments or keywords)
    return has_brackets(node)


class _Survey:
    """The loosest operator outside of brackets, how often it stands there, and what stands first and last."""

    def __init__(self) -> None:
        self.loosest = 0
        self.count = 0
        self.brackets = False
        self.last: Expression | None = None
        self.first: Expression | None = None
        self.started = False

    def look_at(self, node: Expression) -> None:
        self.last = node
        if isinstance(node, Bracketed):
            self.brackets = True
        else:
            self.look_into(node)
        self.start(node)

    def start(self, node: Expression | None) -> None:
        if not self.started:
            self.first, self.started = node, True

    def look_into(self, node: Expression) -> None:
        match node:
            case Dict() | List() | ListOf() | Tuple():
                self.brackets = True
            case Call(inner) | Index(inner):
                self.brackets = True
                self.look_at(inner)
                self.last = node
            case Attribute(inner):
                self.look_at(inner)
                if has_brackets(inner):
                    self.operators(_LOOSE_ATTRIBUTE)
                self.last = node
            case _:
                self.operation(node)

    def operation(self, node: Expression) -> None:
        match node:
            case BoolOp(_, values):
                self.operators(LOOSE_BOOL, len(values) - 1)
            case Binary(sign):
                self.operators(LOOSENESS[sign])
            case Compare(_, rest):
                self.operators(LOOSE_COMPARE, len(rest))
            case Conditional():
                self.operators(_LOOSE_CONDITIONAL, 2)
            case Unary("~"):
                self.operators(LOOSENESS["~"])
                self.start(None)
            case Unary() | Starred():
                self.start(None)
        for inner in _operands(node):
            self.look_at(inner)

    def operators(self, looseness: int, count: int = 1) -> None:
        if looseness > self.loosest:
            self.loosest, self.count = looseness, count
        elif looseness == self.loosest:
            self.count += count


def _operands(node: Expression) -> Iterator[Expression]:
    """In the order of the source."""
    match node:
        case BoolOp(_, values):
            yield from values
        case Binary(_, left, right):
            yield from (left, right)
        case Compare(first, rest):
            yield first
            yield from (operand for _, operand in rest)
        case Conditional(test, then, otherwise):
            yield from (then, test, otherwise)
        case Unary(_, operand) | Starred(operand):
            yield operand
