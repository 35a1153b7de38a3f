"""Expressions to values. Whatever needs a new step in the model is asked of a `Placer`; without one it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from specc.catalogue import registry
from specc.catalogue.arguments import Initial
from specc.model.elaborate import arithmetic, calls
from specc.model.elaborate.members import member
from specc.model.elaborate.problem import Silent, exhausted, problem, suggestion
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import (
    LAYERS,
    LOST,
    MISSING,
    Builtin,
    GroupLayer,
    Label,
    Later,
    OpName,
    Scope,
    Sizes,
    TensorList,
    TensorRef,
    WeightRef,
    Word,
)
from specc.sizes.conditions import Predicate
from specc.syntax import tree
from specc.text.source import Span


class Budget:
    """What the networks of one file may unroll into, all together."""

    def __init__(self, evaluations: int = 2_000_000, steps: int = 60_000) -> None:
        self.evaluations = self.most_evaluations = evaluations
        self.steps = self.most_steps = steps

    @property
    def spent(self) -> int:
        """The work that was done, in evaluations; a step counts as twenty."""
        return self.most_evaluations - self.evaluations + 20 * (self.most_steps - self.steps)


class Placer(Protocol):
    """Places what an expression asks of the model: steps on tensors, and decisions about sizes."""

    def operator(self, sign: str, left: Any, right: Any, node: tree.Expr) -> TensorRef: ...
    def slice(self, tensor: TensorRef, node: tree.Index, scope: Scope) -> TensorRef: ...
    def apply(self, layer: Any, node: tree.Expr) -> Any: ...
    def chain(self, node: tree.Chain, scope: Scope) -> Any: ...
    def weight(self, weight: WeightRef, node: tree.Expr) -> TensorRef: ...
    def decide(self, predicate: Predicate, span: Span) -> bool: ...


class Evaluator:
    """Evaluates expressions in a scope. `words` are the bare words that the argument at hand knows."""

    def __init__(self, placer: Placer | None = None, budget: Budget | None = None) -> None:
        self.placer = placer
        self.budget = budget or Budget()
        self.running: list[int] = []

    def spend(self, amount: int, span: Span) -> None:
        """Count work against the budget, so that every spec ends."""
        self.budget.evaluations -= amount
        if self.budget.evaluations < 0:
            raise exhausted(span, f"this spec unrolls into more than {self.budget.most_evaluations:,} evaluations")

    def weigh(self, value: Any, span: Span) -> Any:
        """The same value, its size counted: lists that hold lists, and long texts."""
        if isinstance(value, str) and len(value) > 100:
            self.spend(len(value), span)
        elif isinstance(value, tuple) and value:
            self.spend(_items(value, self.budget.evaluations + 1), span)
        return value

    def evaluate(self, node: tree.Expr, scope: Scope, words: tuple[str, ...] = ()) -> Any:
        """The value of an expression; raises SpecError."""
        self.spend(1, node.span)
        return _RULES[type(node)](self, node, scope, words)

    def condition(self, node: tree.Expr, scope: Scope) -> bool:
        """A condition that must be decided for all admissible sizes."""
        value = self.evaluate(node, scope)
        if isinstance(value, Predicate):
            return self._placer(node).decide(value, node.span)
        if not isinstance(value, bool):
            raise problem("not-a-condition", node.span, f"a condition must be true or false; this is {say(value)}")
        return value

    def _placer(self, node: tree.Expr) -> Placer:
        if self.placer is None:
            raise problem("tensor-not-allowed", node.span, "tensors cannot be computed here, only plain values")
        return self.placer

    # ------------------------------------------------------------------------------------------- plain things
    def _constant(self, node: Any, scope: Scope, words: tuple[str, ...]) -> Any:
        return node.value

    def _name(self, node: tree.Name, scope: Scope, words: tuple[str, ...]) -> Any:
        if node.name in words:
            return None if node.name == "none" else Word(node.name, node.span)
        return self.bound(self.look_up(node.name, scope, node.span, words), node.span)

    def look_up(self, name: str, scope: Scope, span: Span, words: tuple[str, ...] = ()) -> Any:
        """What a name is bound to, ops and functions known to all included; raises `unknown-name`."""
        if not name:
            raise Silent  # stands for what was not understood in parsing
        found = scope.find(name)
        if found is not MISSING:
            return found
        kind = registry.op(name)
        if kind is not None:
            return OpName(kind)
        if name in arithmetic.FUNCTIONS:
            return Builtin(name, arithmetic.FUNCTIONS[name])
        known = [*scope.all_names(), *arithmetic.FUNCTIONS, *registry.names()]
        help = suggestion(name, words) or suggestion(name, known)
        raise problem("unknown-name", span, f"`{name}` is not known here", help)

    def bound(self, found: Any, span: Span) -> Any:
        """The value behind a binding: a `let` is evaluated, a label is its tensor."""
        if found is LOST:
            raise Silent
        if isinstance(found, Later):
            return self._later(found, span)
        if isinstance(found, Label):
            if found.tensor is None:
                raise problem("no-tensor", span, "this label names no tensor")
            return found.tensor
        return found

    def _later(self, found: Later, span: Span) -> Any:
        if found.busy:
            raise problem("recursive-let", span, "this `let` needs its own value", "a `let` may not refer to itself")
        if found.value is MISSING:
            found.busy = True
            try:
                found.value = self.evaluate(found.node, found.scope)
            finally:
                found.busy = False
        return found.value

    def _list(self, node: tree.List, scope: Scope, words: tuple[str, ...]) -> tuple[Any, ...]:
        found: list[Any] = []
        for item in node.items:
            if isinstance(item, tree.Star):
                found += self.sequence(item.value, scope)
            else:
                found.append(self.evaluate(item, scope, words))
        return tuple(self.weigh(tuple(found), node.span))

    def _star(self, node: tree.Star, scope: Scope, words: tuple[str, ...]) -> Any:
        raise problem("misplaced-star", node.span, "`*` may only stand inside a list")

    def sequence(self, node: tree.Expr, scope: Scope) -> tuple[Any, ...]:
        """The items of a list; the branches of a `parallel` count as one."""
        value = self.evaluate(node, scope)
        if isinstance(value, TensorList):
            return value.items
        if not isinstance(value, tuple | range):
            raise problem("not-a-list", node.span, f"a list is needed here; this is {say(value)}")
        self.spend(len(value), node.span)
        return tuple(value)

    def _comprehension(self, node: tree.Comprehension, scope: Scope, words: tuple[str, ...]) -> tuple[Any, ...]:
        found = []
        for item in self.sequence(node.source, scope):
            inner = Scope(scope)
            bind_names(inner, node.names, item, node.source.span)
            if node.condition is None or self.condition(node.condition, inner):
                if isinstance(node.item, tree.Star):
                    made = self.sequence(node.item.value, inner)
                else:
                    made = (self.evaluate(node.item, inner, words),)
                found += [self.weigh(each, node.span) for each in made]
        return tuple(found)

    # -------------------------------------------------------------------------------------------- operators
    def _binary(self, node: tree.Binary, scope: Scope, words: tuple[str, ...]) -> Any:
        left = self.evaluate(node.left, scope)
        if node.operator in ("and", "or") and isinstance(left, bool) and left == (node.operator == "or"):
            return left
        right = self.evaluate(node.right, scope)
        return self.combine(node.operator, left, right, node)

    def combine(self, sign: str, left: Any, right: Any, node: tree.Expr) -> Any:
        """`left sign right` for values and tensors."""
        left, right = self._operand(left, node), self._operand(right, node)
        if isinstance(left, TensorRef) or isinstance(right, TensorRef):
            return self._placer(node).operator(sign, left, right, node)
        return self.weigh(arithmetic.binary(sign, left, right, node.span), node.span)

    def _operand(self, value: Any, node: tree.Expr) -> Any:
        if isinstance(value, WeightRef):
            return self._placer(node).weight(value, node)
        if isinstance(value, LAYERS) and self.placer is not None:
            return self.placer.apply(value, node)
        return value

    def _unary(self, node: tree.Unary, scope: Scope, words: tuple[str, ...]) -> Any:
        value = self._operand(self.evaluate(node.value, scope), node)
        if isinstance(value, TensorRef):
            return self._placer(node).operator(node.operator, value, None, node)
        return arithmetic.unary(node.operator, value, node.span)

    def _choice(self, node: tree.Choice, scope: Scope, words: tuple[str, ...]) -> Any:
        chosen = node.chosen if self.condition(node.condition, scope) else node.other
        return self.evaluate(chosen, scope, words)

    # --------------------------------------------------------------------------------------- reaching inside
    def _attribute(self, node: tree.Attribute, scope: Scope, words: tuple[str, ...]) -> Any:
        return self.bound(self.reach(node, scope), node.span)

    def reach(self, node: tree.Expr, scope: Scope) -> Any:
        """The binding behind a name or a dotted path: labels keep their modules."""
        if isinstance(node, tree.Name):
            return self.look_up(node.name, scope, node.span)
        if not isinstance(node, tree.Attribute):
            return self.evaluate(node, scope)
        return member(self.reach(node.value, scope), node)

    def _index(self, node: tree.Index, scope: Scope, words: tuple[str, ...]) -> Any:
        value = self._operand(self.evaluate(node.value, scope), node)
        if isinstance(value, TensorRef):
            return self._placer(node).slice(value, node, scope)
        many = value.items if isinstance(value, TensorList) else value
        if not isinstance(many, tuple | range | str) or isinstance(many, Word):
            raise problem("not-a-list", node.value.span, f"only lists and tensors have items; this is {say(value)}")
        if len(node.items) != 1:
            raise problem("bad-index", node.span, "a list takes one index")
        item = node.items[0]
        if isinstance(item, tree.Slice):
            ends = (None if each is None else self.whole(each, scope) for each in (item.start, item.stop, item.step))
            if item.step is not None and self.whole(item.step, scope) == 0:
                raise problem("bad-index", item.step.span, "the step of a slice is not 0")
            part: Any = many[slice(*ends)]
            if isinstance(value, TensorList):
                return TensorList(part)
            return Sizes(part) if isinstance(value, Sizes) else part
        at = self.whole(item, scope)
        if not -len(many) <= at < len(many):
            raise problem("bad-index", item.span, f"there is no item {at} in a list of {len(many)}")
        return many[at]

    def whole(self, node: tree.Expr, scope: Scope) -> int:
        """A whole number that is known now."""
        value = self.evaluate(node, scope)
        if isinstance(value, bool) or not isinstance(value, int):
            raise problem("not-a-number", node.span, f"a whole number is needed here; this is {say(value)}")
        return value

    # ------------------------------------------------------------------------------------------------ layers
    def _call(self, node: tree.Call, scope: Scope, words: tuple[str, ...]) -> Any:
        if isinstance(node.function, tree.Name) and node.function.name in words:
            return self._worded(node, scope)
        return calls.call(self, node, scope)

    def _worded(self, node: tree.Call, scope: Scope) -> Initial:
        """A word with arguments, as `init=normal(std=0.01)`."""
        assert isinstance(node.function, tree.Name)
        given = tuple((each.name, self.evaluate(each.value, scope)) for each in node.arguments)
        for argument, (_, value) in zip(node.arguments, given, strict=True):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise problem("bad-argument", argument.span, f"a number is needed here; this is {say(value)}")
        return Initial(node.function.name, given)

    def _group(self, node: tree.Group | tree.Parallel, scope: Scope, words: tuple[str, ...]) -> GroupLayer:
        return GroupLayer(node, scope)

    def _chain(self, node: tree.Chain, scope: Scope, words: tuple[str, ...]) -> Any:
        return self._placer(node).chain(node, scope)


def _items(value: tuple[Any, ...], most: int) -> int:
    """How many items a list holds, those of lists inside included; counting ends beyond `most`."""
    count, waiting = 0, [value]
    while waiting and count <= most:
        each = waiting.pop()
        count += len(each)
        waiting += [item for item in each if isinstance(item, tuple)]
    return count


def bind_names(scope: Scope, names: tuple[str, ...], item: Any, span: Span) -> None:
    """Bind loop names to one item, unpacking it where there are several names."""
    if len(names) == 1:
        scope.names[names[0]] = item
        return
    if not isinstance(item, tuple) or len(item) != len(names):
        raise problem("cannot-unpack", span, f"each item must have {len(names)} parts for {', '.join(names)}")
    scope.names.update(zip(names, item, strict=True))


_RULES: dict[type, Callable[..., Any]] = {
    tree.Number: Evaluator._constant,
    tree.Text: Evaluator._constant,
    tree.Truth: Evaluator._constant,
    tree.Name: Evaluator._name,
    tree.List: Evaluator._list,
    tree.Star: Evaluator._star,
    tree.Comprehension: Evaluator._comprehension,
    tree.Binary: Evaluator._binary,
    tree.Unary: Evaluator._unary,
    tree.Choice: Evaluator._choice,
    tree.Attribute: Evaluator._attribute,
    tree.Index: Evaluator._index,
    tree.Call: Evaluator._call,
    tree.Group: Evaluator._group,
    tree.Parallel: Evaluator._group,
    tree.Chain: Evaluator._chain,
}
