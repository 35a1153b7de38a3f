"""One of two tensors element by element, and tensors of another element type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from specc.catalogue.arguments import Real, choice, optional
from specc.catalogue.axes import broadcast, broadcast_rules
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Dtype, Op, Rule, TensorType
from specc.catalogue.ops.arithmetic import aligned, aligned_onnx, widest
from specc.catalogue.ops.cases import at_every_rank
from specc.code.nodes import method

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression

METHODS = {"float": "float", "int": "long", "bool": "bool"}


class Select(Op):
    """Where the mask is true the second tensor, elsewhere the third or a number: `select(mask, x, -1e9)` (torch.where)."""

    name = "select"
    inputs = (2, 3)
    mixes = True
    batchless = True
    dtypes = ("float", "int", "bool")
    cases = (
        Case("select(x > 0, x, y)", "[T]; [T] -> [T]"),
        Case("select(x, y, z)", "bool [4, 1]; [4, T]; [1, T] -> [4, T]"),
        Case("select(input > 0, input, 0)", "[4, H, W] -> [4, H, W]"),
        Case("select(input > 0, input, 0)", "[2, 3, 4, W] -> [2, 3, 4, W]"),
        Case("select(x, y, 0.5)", "bool [T]; int [T] -> [T]"),
        Case("select(x, y, z)", "bool [T]; int [T]; [T] -> [T]"),
        Case("select(x, y, 7)", "bool [T]; int [T] -> int [T]"),
        Case("select(x, y, 0)", "bool [4, T]; [] -> [4, T]"),
        Case("input > 0.5 -> select(input, other=-1e9)", "[4, 6] -> [4, 6]"),
        Case("select(x, y, z)", "bool [4, 1]; bool [4, T]; bool [1, T] -> bool [4, T]"),
        Case("select(arange(4) > 1, input, 0)", "[4] -> [4]"),
        Wrong("select(input, input, 0)", "[4]", "wrong-dtype"),
        Wrong("select(input > 0, input)", "[4]", "missing-operand"),
        Wrong("select(input > 0, input, input[:2])", "[4]", "shape-mismatch"),
    )

    other: optional(Real) = None  # type: ignore[valid-type]
    """The number where the mask is false, if that is no tensor."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if x[0].dtype != "bool":
            message = f"`{self.name}` needs true and false first; this input has {x[0].dtype} numbers"
            raise Misfit("wrong-dtype", message, "such as x > 0", port=0)
        if len(x) + (self.other is not None) != 3:
            raise Misfit(
                "missing-operand", f"`{self.name}` takes a mask, what stands where it is true, and what elsewhere"
            )
        yield from broadcast_rules(*x)

    def makes_type(self, *x: TensorType) -> Dtype:
        found = widest(*x[1:])
        if self.other is None or found == "float":
            return found
        return "float" if isinstance(self.other, float) else "int"

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return replace(broadcast(*x), dtype=self.makes_type(*x))

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        rank = max(each.type.rank for each in x)
        sides = [aligned(t, each, rank) for each in x]
        if x[1].type.dtype == "bool" and self.other is not None:
            sides[1] = method(sides[1], METHODS[self.makes_type(*(each.type for each in x))])
        return t.function("torch.where", *sides, *([] if self.other is None else [self.other]))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        rank, dtype = max(each.type.rank for each in x), self.makes_type(*(each.type for each in x))
        sides = [aligned_onnx(g, each, rank, dtype if at else "bool") for at, each in enumerate(x)]
        if dtype == "bool":
            return self._logic(g, *sides)
        other = [] if self.other is None else [g.constant(self.other, dtype)]
        return g.node("Where", *sides, *other)  # type: ignore[no-any-return]

    def _logic(self, g: OnnxGraph, mask: OnnxValue, one: OnnxValue, other: OnnxValue) -> OnnxValue:
        """Between true and false, where onnxruntime has no Where."""
        here = g.node("And", mask, one, type=broadcast(mask.type, one.type))
        not_mask = g.node("Not", mask, type=mask.type)
        there = g.node("And", not_mask, other, type=broadcast(mask.type, other.type))
        return g.node("Or", here, there)  # type: ignore[no-any-return]


class Cast(Op):
    """The same elements as reals, as whole numbers (towards 0), or as true and false (true unless 0)."""

    name = "cast"
    batchless = True
    dtypes = ("float", "int", "bool")
    cases = (
        *at_every_rank("cast(float)"),
        Case("cast(int)", "[4, T] -> int [4, T]"),
        Case("3 * input -> cast(int)", "[4, T] -> int [4, T]"),
        Case("cast(bool)", "int [T] -> bool [T]"),
        Case("cast(int)", "bool [T] -> int [T]"),
        Case("cast(float)", "int [2, H, W] -> [2, H, W]"),
        Case("cast(arange(input.features), float)", "[T] -> [T]"),
        Wrong("cast(double)", "[4]", "unknown-name"),
        Wrong("cast(3)", "[4]", "bad-argument", at="to"),
    )

    to: Annotated[Any, choice("float", "int", "bool")]
    """The element type of the result."""

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return replace(x[0], dtype=self.to)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return method(x[0].node, METHODS[self.to]) if x[0].type.dtype != self.to else x[0].node

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        found = aligned_onnx(g, x[0], 0, self.to)
        return found if found is not x[0] else g.node("Identity", found)
