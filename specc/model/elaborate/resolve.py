"""What the elements of a chain are, before any of them is placed: tensors, layers, modules used again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from specc.catalogue import registry
from specc.catalogue.op import Op
from specc.model.elaborate import calls
from specc.model.elaborate.functions import function_call
from specc.model.elaborate.problem import problem
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import (
    LAYERS,
    MISSING,
    Again,
    BlockValue,
    ChainLayer,
    Function,
    GroupLayer,
    Label,
    OpLayer,
    OpName,
    Scope,
    TensorList,
    TensorRef,
    WeightRef,
)
from specc.syntax import tree

if TYPE_CHECKING:
    from specc.model.elaborate.expand import Walk


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a chain. `module` is true where it makes a module, and so takes a number."""

    value: Any
    node: tree.Expr
    module: bool


def resolve(walk: Walk, node: tree.Expr, scope: Scope, given: Any = None) -> list[Element]:
    """The elements of a line. `given` is the value of `node` if it was evaluated already."""
    parts = node.elements if isinstance(node, tree.Chain) else (node,)
    found: list[Element] = []
    for part in parts:
        value = given if given is not None else _value(walk, part, scope, first=not found)
        values = value.elements if isinstance(value, ChainLayer) else (value,)
        for each in values:
            found.append(Element(each, part, _makes_module(each, first=not found)))
    return found


def _value(walk: Walk, node: tree.Expr, scope: Scope, first: bool) -> Any:
    if isinstance(node, tree.Choice):
        chosen = node.chosen if walk.evaluator.condition(node.condition, scope) else node.other
        return _value(walk, chosen, scope, first)
    if isinstance(node, tree.Name):
        return _name(walk, node, scope, first)
    if isinstance(node, tree.Attribute) and not first:
        bound = walk.evaluator.reach(node, scope)
        if isinstance(bound, Label) and bound.module is not None:
            return Again(bound, node)
    return _layer(walk, walk.evaluator.evaluate(node, scope), node, scope)


def _name(walk: Walk, node: tree.Name, scope: Scope, first: bool) -> Any:
    bound = scope.find(node.name)
    kind = registry.op(node.name)
    if isinstance(bound, Label):
        if kind is not None:
            raise problem(
                "ambiguous-name", node.span, f"`{node.name}` is a label here and an operator",
                f"write `{node.name}()` for the operator, or call the label something else",
            )  # fmt: skip
        if first:
            return walk.evaluator.bound(bound, node.span)
        if bound.module is None:
            raise problem("not-a-layer", node.span, f"`{node.name}` is a tensor, not a layer")
        return Again(bound, node)
    if bound is MISSING and kind is not None:
        return calls.op_call(walk.evaluator, kind, node, scope)
    return _layer(walk, walk.evaluator.evaluate(node, scope), node, scope)


def _layer(walk: Walk, value: Any, node: tree.Expr, scope: Scope) -> Any:
    """A value as an element of a chain."""
    if isinstance(value, OpName):
        return calls.op_call(walk.evaluator, value.kind, node, scope)
    if isinstance(value, BlockValue):
        if value.node is None:
            return BlockValue(value.definition, value.home, value.given, value.expressions, value.tensors, node, scope)
        return value
    if isinstance(value, Function):
        return _layer(walk, function_call(walk.evaluator, value, tree.Call(node.span, node, ()), scope), node, scope)
    if isinstance(value, WeightRef):
        return walk.evaluator._operand(value, node)
    if isinstance(value, (TensorRef, TensorList, *LAYERS)):
        return value
    value = calls.applied(walk.evaluator, value, node)
    if isinstance(value, tuple) and value and all(isinstance(each, TensorRef) for each in value):
        return TensorList(value)
    raise problem("not-a-layer", node.span, f"a layer or a tensor is needed here; this is {say(value)}")


def _makes_module(value: Any, first: bool) -> bool:
    if isinstance(value, TensorRef | TensorList | Again):
        return False
    if isinstance(value, BlockValue | GroupLayer):
        return True
    assert isinstance(value, OpLayer)
    weightless = value.kind.weights is Op.weights
    least = value.op.tensors()[0]
    explicit = first and (len(value.tensors) >= max(least, 1) or least == 0)
    return not (weightless and explicit)
