"""What expressions ask of the model: operators and slices on tensors, layers used as operands, weights as tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specc.catalogue import registry
from specc.catalogue.op import Op, TensorType
from specc.model.elaborate import lines
from specc.model.elaborate.calls import make
from specc.model.elaborate.problem import problem
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import OpLayer, Scope, TensorList, TensorRef, WeightRef
from specc.sizes.conditions import Predicate
from specc.sizes.dim import Dim
from specc.syntax import tree
from specc.text.source import Span

if TYPE_CHECKING:
    from specc.model.elaborate.expand import Walk

SLICE = "[]"
NEGATION = "-x"
SIZE = "n"


class Operators:
    """The `Placer` of a walk."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk

    def operator(self, sign: str, left: Any, right: Any, node: tree.Expr) -> TensorRef:
        """`left sign right` where at least one is a tensor; `right` is None for a sign in front."""
        self._open(node)
        kind = registry.operator(NEGATION if right is None and sign == "-" else sign)
        assert kind is not None, sign  # every sign of the grammar is an op's
        values, tensors = {}, []
        for name, each in (("left", left), ("right", right)):
            if isinstance(each, TensorRef):
                tensors.append(each)
            elif isinstance(each, TensorList):
                raise problem(
                    "not-a-tensor", node.span, "a list of tensors; `concat`, `sum` or an index makes one of it"
                )
            elif isinstance(each, int | float) and not isinstance(each, bool):
                values[name] = each
            elif isinstance(each, Dim):
                tensors.append(self._size_tensor(each, node))
            elif each is not None:
                raise problem("not-a-number", node.span, f"`{sign}` joins tensors and numbers; this is {say(each)}")
        return self._place(kind, values, tuple(tensors), node)

    def _size_tensor(self, size: Dim, node: tree.Expr) -> TensorRef:
        """A size that is not known yet as a tensor of one whole number."""
        kind = registry.operator(SIZE)
        assert kind is not None
        layer = OpLayer(kind, make(kind, {"size": size}, (), {}, {}, node), (), {}, node, {}, self.walk.body.scope)
        return lines.place_operator(self.walk, layer, ())

    def _open(self, node: tree.Expr) -> None:
        """Outside of any body, as behind `network Name =`, there is no place for a step."""
        if not self.walk.bodies:
            raise problem("tensor-not-allowed", node.span, "tensors cannot be computed here, only plain values")

    def _place(
        self,
        kind: type[Op],
        values: dict[str, Any],
        tensors: tuple[TensorRef, ...],
        node: tree.Expr,
        scope: Scope | None = None,
    ) -> TensorRef:
        op = make(kind, values, (), {}, {}, node)
        layer = OpLayer(kind, op, tensors, {}, node, self._operands(node, values), scope or self.walk.body.scope)
        return lines.place_operator(self.walk, layer, tensors)

    def _operands(self, node: tree.Expr, values: dict[str, Any]) -> dict[str, tree.Expr]:
        if not isinstance(node, tree.Binary):
            return {}
        return {name: each for name, each in (("left", node.left), ("right", node.right)) if name in values}

    def slice(self, tensor: TensorRef, node: tree.Index, scope: Scope) -> TensorRef:
        """`x[0]` drops an axis, `x[:H, 1:]` keeps it."""
        self._open(node)
        kind = registry.operator(SLICE)
        assert kind is not None
        parts = []
        for item in node.items:
            if isinstance(item, tree.Slice):
                ends = (
                    None if each is None else self._size(each, scope) for each in (item.start, item.stop, item.step)
                )
                parts.append(tuple(ends))
            else:
                parts.append(self._size(item, scope))
        return self._place(kind, {"items": tuple(parts)}, (tensor,), node, scope)

    def _size(self, node: tree.Expr, scope: Scope) -> Any:
        from specc.sizes.dim import Dim

        value = self.walk.evaluator.evaluate(node, scope)
        if isinstance(value, bool) or not isinstance(value, int | Dim):
            raise problem("not-a-number", node.span, f"an index is a whole number or a size; this is {say(value)}")
        return value

    def apply(self, layer: Any, node: tree.Expr) -> Any:
        """A layer with its tensors given, used as an operand: placed in the body at hand."""
        self._open(node)
        return lines.operand(self.walk, layer, node)

    def chain(self, node: tree.Chain, scope: Scope) -> Any:
        """A chain inside an expression: a tensor where it begins with one, else a recipe."""
        return lines.inner_chain(self.walk, node, scope)

    def weight(self, weight: WeightRef, node: tree.Expr) -> TensorRef:
        """The tensor of a weight that belongs to another layer."""
        key = weight.module.key(weight.name)
        found = self.walk.declared.get(key)
        if found is None:
            spec = weight.module.weights[weight.name]
            kind = TensorType(spec.shape, spec.dtype, batched=False)
            found = self.walk.declared[key] = self.walk.builder.value(kind, node.span, key=key)
        return found

    def decide(self, predicate: Predicate, span: Span) -> bool:
        return self.walk.builder.decide(predicate, span)
