"""The numbers of a buffer as Python makes them: the comprehension of the spec, once more in Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from specc.backends.torch_names import RESERVED_TENSORS, unused
from specc.backends.torch_nodes import names
from specc.catalogue import registry
from specc.code.names import identifier
from specc.code.nodes import (
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
    value,
)
from specc.code.reckon import python_function
from specc.model.elaborate import arithmetic
from specc.model.elaborate.evaluate import Evaluator
from specc.model.elaborate.scope import MISSING, Function, Label, Later, Scope
from specc.model.graph import Frame
from specc.syntax import tree
from specc.text.diagnostics import SpecError
from specc.text.record import Record

LARGEST = 60  # names and numbers in what is written for a buffer: more is no easier to read than its numbers
SHORT = 8  # so many numbers stand in a list where it is used
_COMPARE = frozenset({"==", "!=", "<", "<=", ">", ">="})


class Unsaid(Exception):
    """Python has no such expression, or none that is worth reading."""


class Said(Record):
    """A name of the spec bound to what is written for it."""

    node: Expression


@dataclass
class Speaker:
    """Turns expressions of the spec into those of Python. Names become loop names, numbers or words of the class.

    `apart` are lists that stand on lines of their own before the buffer, by their names: `let`s of the spec that are
    used inside of loops. `taken` are names that mean something else where the expression will stand.
    """

    taken: frozenset[str] = frozenset()
    givers: Mapping[int, Frame] = field(default_factory=dict)
    apart: dict[str, Expression] = field(default_factory=dict)
    divides: bool = False
    _live: list[str] = field(default_factory=list)
    _kept: dict[int, tuple[Any, Expression]] = field(default_factory=dict)

    def whole(self, node: tree.Expr, scope: Scope) -> Expression:
        """What is written for all of a buffer; raises Unsaid."""
        before = dict(self.apart)
        self.divides = False
        try:
            found = self._unfolded(node, scope)
            if leaves((found, *(each for name, each in self.apart.items() if name not in before))) > LARGEST:
                raise Unsaid
        except (SpecError, RecursionError, Unsaid) as error:
            self.forget(before)
            raise Unsaid from error
        return found

    def forget(self, before: Mapping[str, Expression]) -> None:
        """Go back to these lists on lines of their own."""
        for name in set(self.apart) - set(before):
            del self.apart[name]
        self._kept.clear()
        self._live.clear()

    def _unfolded(self, node: tree.Expr, scope: Scope) -> Expression:
        """A `let` that is the whole list stands here and not on a line of its own."""
        while isinstance(node, tree.Name):
            found, home = _found(node.name, scope)
            if isinstance(found, Later):
                node, scope = found.node, found.scope
            elif (given := self._given(node.name, home)) is not None:
                node, scope = given
            else:
                break
        return self.said(node, scope)

    def _given(self, name: str, home: Scope | None) -> tuple[tree.Expr, Scope] | None:
        """The argument behind a parameter of a block, and the scope in which it was written."""
        frame = self.givers.get(id(home))
        if frame is None or frame.caller is None or name not in frame.expressions:
            return None
        return frame.expressions[name], frame.caller

    # ------------------------------------------------------------------------------------------- one expression
    def said(self, node: tree.Expr, scope: Scope) -> Expression:
        match node:
            case tree.Number(value=number) | tree.Truth(value=number):
                return Literal(number)
            case tree.Name():
                return self._name(node, scope)
            case tree.Attribute():
                return _written(Evaluator(None).evaluate(node, scope))
            case tree.Unary():
                return _unary(node, self.said(node.value, scope))
            case tree.Binary():
                return self._binary(node, self.said(node.left, scope), self.said(node.right, scope))
            case tree.Choice():
                return _choice(*(self.said(each, scope) for each in (node.condition, node.chosen, node.other)))
            case tree.Index():
                return self._index(node, scope)
            case tree.Call():
                return self._call(node, scope)
            case tree.List():
                return _shorter(List(tuple(self._item(each, scope) for each in node.items)))
            case tree.Comprehension():
                return self._comprehension(node, scope)
        raise Unsaid

    def _name(self, node: tree.Name, scope: Scope) -> Expression:
        found, home = _found(node.name, scope)
        if isinstance(found, Said):
            return found.node
        if isinstance(found, Later):
            return self._once(found, node.name, found.node, found.scope)
        if isinstance(found, tuple | range) and len(found) > SHORT:
            given = self._given(node.name, home)
            if given is None:
                raise Unsaid
            return self._once(found, node.name, *given)
        return _written(found)

    def _once(self, of: Any, name: str, node: tree.Expr, scope: Scope) -> Expression:
        """What a name stands for: a number where it is used, a list under its own name."""
        if id(of) not in self._kept:
            self._kept[id(of)] = (of, self._named(name, self.said(node, scope)))
        return self._kept[id(of)][1]

    def _named(self, name: str, node: Expression) -> Expression:
        """A list of more than a few numbers gets a line and a name, unless it depends on a loop around it."""
        long = isinstance(node, ListOf) or (isinstance(node, List | Binary) and _lists(node) and leaves(node) > SHORT)
        if not long or not set(self._live).isdisjoint(names(node)):
            return node
        free = self._free(name)
        self.apart[free] = node
        return Name(free)

    def _free(self, name: str, further: Iterable[str] = ()) -> str:
        wanted = identifier(name)
        return unused(wanted, {*self.taken, *RESERVED_TENSORS, *self._live, *self.apart, *further})

    def _item(self, node: tree.Expr, scope: Scope) -> Expression:
        if isinstance(node, tree.Star):
            return Starred(self.said(node.value, scope))
        return self.said(node, scope)

    def _index(self, node: tree.Index, scope: Scope) -> Expression:
        (item,) = node.items if len(node.items) == 1 else (None,)
        if item is None:
            raise Unsaid
        many = self.said(node.value, scope)
        if isinstance(item, tree.Slice):
            ends = (None if each is None else self.said(each, scope) for each in (item.start, item.stop, item.step))
            return Index(many, Slice(*ends))
        at = self.said(item, scope)
        number = _number(at)
        if isinstance(many, List) and isinstance(number, int) and -len(many.items) <= number < len(many.items):
            if not any(isinstance(each, Starred) for each in many.items):
                return many.items[number]
        return Index(many, at)

    # ------------------------------------------------------------------------------------------------ operators
    def _binary(self, node: tree.Binary, left: Expression, right: Expression) -> Expression:
        sign, a, b = node.operator, _number(left), _number(right)
        if a is not None and b is not None:
            return _written(arithmetic.binary(sign, a, b, node.span))
        if sign in _COMPARE:
            return Compare(left, ((sign, right),))
        if sign in ("and", "or"):
            values = [part for each in (left, right) for part in _parts(each, sign)]
            return BoolOp(sign, tuple(values))
        self.divides = self.divides or sign == "/"
        return _joined(sign, left, right)

    # ---------------------------------------------------------------------------------------------------- calls
    def _call(self, node: tree.Call, scope: Scope) -> Expression:
        if not isinstance(node.function, tree.Name):
            raise Unsaid
        name = node.function.name
        found, _ = _found(name, scope)
        if isinstance(found, Function):
            return self._inlined(found, node, scope)
        op = registry.op(name)
        known = name in arithmetic.FUNCTIONS or (op is not None and op.value is not None)
        function = python_function(name) if known and (found is MISSING or isinstance(found, Label)) else None
        if function is None:
            raise Unsaid
        given = tuple(self.said(each.value, scope) for each in node.arguments if not each.name)
        named = tuple((each.name, self.said(each.value, scope)) for each in node.arguments if each.name)
        made = Call(function, given, named)
        if given and not named and all(_number(each) is not None for each in given):
            plainly = Evaluator(None).evaluate(_with_numbers(node, given), Scope())
            if isinstance(plainly, int | float):
                return Literal(plainly)
        return made

    def _inlined(self, function: Function, node: tree.Call, scope: Scope) -> Expression:
        """What a `let` with parameters gives, with the arguments in its place."""
        parameters = function.node.parameters or ()
        inner = Scope(function.scope, "call")
        for at, argument in enumerate(node.arguments):
            name = argument.name or parameters[at].name
            inner.names[name] = Said(self._named(name, self.said(argument.value, scope)))
        for each in parameters:
            if each.name not in inner.names:
                if each.default is None:
                    raise Unsaid
                inner.names[each.name] = Said(self.said(each.default, function.scope))
        return self.said(function.node.value, inner)

    # -------------------------------------------------------------------------------------------- comprehensions
    def _comprehension(self, node: tree.Comprehension, scope: Scope) -> Expression:
        source = self.said(node.source, scope)
        inner = Scope(scope)
        own: list[str] = []
        for name in node.names:
            own.append(self._free(name, own))
            inner.names[name] = Said(Name(own[-1]))
        self._live += own
        condition = None if node.condition is None else self.said(node.condition, inner)
        target: Expression = Name(own[0]) if len(own) == 1 else Tuple(tuple(map(Name, own)))
        if isinstance(node.item, tree.Star):
            found = _flat(self.said(node.item.value, inner), Loop(target, source, condition), self._free("each"))
        else:
            found = ListOf(self.said(node.item, inner), target, source, condition)
        del self._live[-len(own) :]
        return found


def leaves(node: Any) -> int:
    """How many names and numbers there are in a node."""
    if isinstance(node, Name | Literal):
        return 1
    if isinstance(node, tuple):
        return sum(map(leaves, node))
    return sum(leaves(getattr(node, each)) for each in node.FIELDS) if isinstance(node, Record) else 0


def _found(name: str, scope: Scope) -> tuple[Any, Scope | None]:
    """What a name is bound to, and where."""
    at: Scope | None = scope
    while at is not None:
        if name in at.names:
            return at.names[name], at
        at = at.parent
    return MISSING, None


def _written(given: Any) -> Expression:
    """A number or a short list of numbers, or the words that stand for one."""
    if isinstance(given, bool | int | float):
        return value(given)
    if isinstance(getattr(given, "node", None), Expression):
        return value(given)
    if isinstance(given, tuple) and len(given) <= SHORT:
        return List(tuple(map(_written, given)))
    raise Unsaid


def _number(node: Expression) -> int | float | bool | None:
    """The number that a node is."""
    return node.value if isinstance(node, Literal) and isinstance(node.value, int | float) else None


def _lists(node: Expression) -> bool:
    """Whether it gives a list: `[0] * 90`, `[1] + others`."""
    if isinstance(node, Binary):
        return _lists(node.left) or _lists(node.right)
    return isinstance(node, List | ListOf)


def _shorter(node: List) -> List:
    """A list of many numbers is better written as one, many to a line."""
    if sum(_number(each) is not None for each in node.items) > 2 * SHORT:
        raise Unsaid
    return node


def _unary(node: tree.Unary, operand: Expression) -> Expression:
    number = _number(operand)
    if number is not None:
        return _written(arithmetic.unary(node.operator, number, node.span))
    return Unary(node.operator, operand)


def _choice(test: Expression, then: Expression, otherwise: Expression) -> Expression:
    known = _number(test)
    return Conditional(test, then, otherwise) if known is None else then if known else otherwise


def _parts(node: Expression, sign: str) -> tuple[Expression, ...]:
    return node.values if isinstance(node, BoolOp) and node.operator == sign else (node,)


def _joined(sign: str, left: Expression, right: Expression) -> Expression:
    """`left sign right`, whole numbers that are added drawn together: `q + 7 - 1` is `q + 6`."""
    if sign not in ("+", "-") or not isinstance(by := _number(right), int) or isinstance(by, bool):
        return Binary(sign, left, right)
    if isinstance(left, Binary) and left.operator in ("+", "-"):
        inner = _number(left.right)
        if isinstance(inner, int) and not isinstance(inner, bool):
            total = (inner if left.operator == "+" else -inner) + (by if sign == "+" else -by)
            return _joined("+", left.left, Literal(total)) if total else left.left
    if by < 0:
        return Binary("-" if sign == "+" else "+", left, Literal(-by))
    return Binary(sign, left, right) if by else left


def _with_numbers(node: tree.Call, given: tuple[Expression, ...]) -> tree.Call:
    numbers = (tree.Number(each.span, _number(one)) for each, one in zip(node.arguments, given, strict=True))  # type: ignore[arg-type]
    return tree.Call(node.span, node.function, tuple(tree.Argument(each.span, "", each) for each in numbers))


def _flat(inner: Expression, loop: Loop, name: str) -> ListOf:
    """A list for every item, one behind the other: `[each for row in rows for each in row]`."""
    if isinstance(inner, ListOf):
        following = (Loop(inner.target, inner.iterable, inner.condition), *inner.inner)
        return ListOf(inner.element, loop.target, loop.iterable, loop.condition, following)
    return ListOf(Name(name), loop.target, loop.iterable, loop.condition, (Loop(Name(name), inner),))
