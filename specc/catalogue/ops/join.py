"""Putting tensors together: along an axis they have, or along a new one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from specc.catalogue.arguments import Axis, KeywordOnly
from specc.catalogue.axes import position, same
from specc.catalogue.entry import Case, Wrong
from specc.catalogue.op import Layout, Op, Rule, TensorType
from specc.sizes.dim import Size

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression


def _alike(*x: TensorType) -> tuple[bool, Layout]:
    """Whether there is a batch, and the layout that the inputs have."""
    layout: Layout = next((each.layout for each in x if each.layout), "")
    return any(each.batched for each in x), layout


class Concat(Op):
    """The inputs one behind the other along an axis; they agree in all other axes."""

    name = "concat"
    takes = "c *"
    inputs = (1, None)
    batchless = True
    dtypes = ("float", "int", "bool")
    cases = (
        Case("concat(input, input)", "[4] -> [8]"),
        Case("concat(a, input)", "[4, H, W] -> [12, H, W]", given="a: concat(input, input)"),
        Case("concat(input, input, axis=-1)", "[4, 6] -> [4, 12]"),
        Case("concat(input, input, axis=width)", "[2, 3, 4, W] -> [2, 3, 4, 2*W]"),
        Wrong("concat(input, input[:, 1:])", "[4, 6]", "shape-mismatch"),
        Wrong("concat(input, input[0])", "[4, 6]", "shape-mismatch"),
        Wrong("concat(input, input, axis=2)", "[4, 6]", "no-such-axis", at="axis"),
    )

    _: KeywordOnly
    axis: Axis = 0
    """The axis along which they are put together; 0 is the channels."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        axis = position(self.axis, x[0].rank)
        for port, other in enumerate(x[1:], 1):
            yield from same(x[0], other, port, but=axis)

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        axis = position(self.axis, x[0].rank)
        batched, layout = _alike(*x)
        shape = list(x[0].shape)
        shape[axis] = sum((each.shape[axis] for each in x[1:]), start=x[0].shape[axis])
        return TensorType(tuple(shape), x[0].dtype, batched, layout)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return t.function("torch.cat", [*x], dim=x[0].dim(position(self.axis, x[0].type.rank)))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        found: OnnxValue = g.node("Concat", *x, axis=x[0].dim(position(self.axis, x[0].type.rank)))
        return found


class Stack(Op):
    """The inputs, all of one shape, side by side along a new axis."""

    name = "stack"
    inputs = (1, None)
    batchless = True
    layout = ""
    dtypes = ("float", "int", "bool")
    cases = (
        Case("stack(input, input)", "[4, 6] -> [2, 4, 6]"),
        Case("stack(input, input, axis=-1)", "[4, W] -> [4, W, 2]"),
        Case("stack(x, y, z)", "[T]; [T]; [T] -> [3, T]"),
        Case("stack(x, y, axis=1)", "[3, H, W]; [3, H, W] -> [3, 2, H, W]"),
        Wrong("stack(input, input[:2])", "[4, 6]", "shape-mismatch"),
    )

    _: KeywordOnly
    axis: Axis = 0
    """Where the new axis stands in the result."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        for port, other in enumerate(x[1:], 1):
            yield from same(x[0], other, port)

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        axis = position(self.axis, x[0].rank + 1)
        shape: list[Size] = list(x[0].shape)
        shape.insert(axis, len(x))
        return TensorType(tuple(shape), x[0].dtype, _alike(*x)[0])

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return t.function("torch.stack", [*x], dim=x[0].dim(position(self.axis, x[0].type.rank + 1)))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        axis = position(self.axis, x[0].type.rank + 1)
        dim = x[0].dim(axis)
        shape: list[Size] = list(x[0].type.shape)
        shape.insert(axis, 1)
        slots = [
            g.node("Unsqueeze", each, g.constant([dim], "int"), type=replace(each.type, shape=tuple(shape)))
            for each in x
        ]
        found: OnnxValue = g.node("Concat", *slots, axis=dim)
        return found
