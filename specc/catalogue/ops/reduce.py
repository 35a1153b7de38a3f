"""Reductions: one number from many along axes, and the smaller, the larger or the sum of several tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from specc.catalogue.arguments import Axis, AxisList, Flag, KeywordOnly, Real, optional
from specc.catalogue.axes import UNSAID, broadcast, broadcast_rules, chosen_axis, positions, reach_along
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Dtype, Op, Reach, Rule, TensorType
from specc.catalogue.ops.arithmetic import aligned, aligned_onnx, widest
from specc.code.nodes import Binary, method
from specc.sizes.dim import Dim, maximum, minimum

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression


class Reduction(Op):
    """Along some axes, or all of them (never over the batch)."""

    batchless = True
    dtypes: ClassVar[tuple[Dtype, ...]] = ("float", "int")
    method: ClassVar[str] = ""  # of PyTorch's tensors
    node: ClassVar[str] = ""  # ONNX's name

    _: KeywordOnly
    axis: optional(AxisList, "all") = None  # type: ignore[valid-type]
    """The axes to reduce: one, a list, or all of them."""
    keep: Flag = False
    """Whether the reduced axes stay, with size 1."""

    def reduced_dtype(self, x: TensorType) -> Dtype:
        return x.dtype

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if x[0].rank == 0:
            raise Misfit("wrong-rank", f"`{self.name}` runs along axes, and this tensor has none: its shape is []")
        return ()

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        axes = positions(self.axis, x[0].rank)
        dtype = self.reduced_dtype(x[0])
        if self.keep:
            return x[0].to(*(1 if at in axes else size for at, size in enumerate(x[0].shape)), dtype=dtype)
        return x[0].to(*(size for at, size in enumerate(x[0].shape) if at not in axes), dtype=dtype, layout="")

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return reach_along(*positions(self.axis, x[0].rank))

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        words: dict[str, Any] = {"keepdim": True} if self.keep else {}
        dims = tuple(x[0].dim(axis) for axis in positions(self.axis, x[0].type.rank))
        if self.axis is not None or x[0].type.batched or self.keep:
            words = {"dim": dims[0] if len(dims) == 1 else dims, **words}
        return method(x[0].node, self.method, **words)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        dims = [x[0].dim(axis) for axis in positions(self.axis, x[0].type.rank)]
        value = aligned_onnx(g, x[0], 0, self.reduced_dtype(x[0].type))
        found: OnnxValue = g.node(self.node, value, g.constant(dims, "int"), keepdims=int(self.keep))
        return found


class Mean(Reduction):
    """The mean along axes."""

    name = "mean"
    dtypes = ("float",)
    method, node = "mean", "ReduceMean"
    cases = (
        Case("mean", "[4, 6] -> []"),
        Case("mean(axis=[1, 2])", "[4, H, W] -> [4]"),
        Case("mean(axis=[height, width], keep=true)", "[4, H, W] -> [4, 1, 1]"),
        Case("mean(axis=-1)", "[2, 3, 4, 5] -> [2, 3, 4]"),
        Wrong("mean(axis=width)", "[4, 6]", "no-such-axis", at="axis"),
        Wrong("mean -> mean", "[4, 6]", "wrong-rank"),
        Wrong("mean(axis=[0, -2])", "[4, 6]", "repeated-axis", at="axis"),
    )


class Sum(Reduction):
    """The sum along axes, or of several tensors: `sum(convs)`."""

    name = "sum"
    value = sum
    inputs = (1, None)
    one_is_itself = True
    mixes = True
    dtypes = ("float", "int", "bool")
    method, node = "sum", "ReduceSum"
    cases = (
        Case("sum", "[4] -> []"),
        Case("sum(axis=0)", "[4, H, W] -> [H, W]"),
        Case("sum(axis=[0, 1], keep=true)", "[4, 6] -> [1, 1]"),
        Case("sum(input, a, input)", "[4, H, W] -> [4, H, W]", given="a: relu"),
        Case("sum(x, y, z)", "[4, H, W]; int [1, H, W]; [4, 1, W] -> [4, H, W]"),
        Case("sum(x, y)", "[4, 5]; [] -> [4, 5]"),
        Case("sum(axis=width)", "bool [4, H, 5] -> int [4, H]"),
        Wrong("sum(input, input[1:])", "[4, 6]", "shape-mismatch"),
        Wrong("sum(axis=2)", "[4, 6]", "no-such-axis", at="axis"),
    )

    def reduced_dtype(self, x: TensorType) -> Dtype:
        return "int" if x.dtype == "bool" else x.dtype

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if len(x) > 1:
            _only_elementwise(self)
            if widest(*x) == "bool":
                raise Misfit("wrong-dtype", "a sum needs numbers; these are true or false", "use and, or, not")
            yield from broadcast_rules(*x)
        else:
            yield from super().rules(*x)

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return super().gives(*x) if len(x) == 1 else replace(broadcast(*x), dtype=widest(*x))

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return super().reach(*x) if len(x) == 1 else None

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        if len(x) == 1:
            return super().torch(t, *x)
        first, *others = (aligned(t, each, max(each.type.rank for each in x)) for each in x)
        for other in others:
            first = Binary("+", first, other)
        return first

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        if len(x) == 1:
            return super().onnx(g, *x)
        rank, dtype = max(each.type.rank for each in x), widest(*(each.type for each in x))
        first, *others = (aligned_onnx(g, each, rank, dtype) for each in x)
        for other in others:
            first = g.node("Add", first, other, type=broadcast(first.type, other.type))
        return first


class Extreme(Reduction):
    """The largest or smallest along axes, or of two tensors, or of a tensor and a number."""

    inputs = (1, 2)
    mixes = True
    function: ClassVar[str] = ""  # PyTorch's, of two tensors
    bound: ClassVar[str] = ""  # the argument of PyTorch's clamp
    pair: ClassVar[str] = ""  # ONNX's name for two tensors

    other: optional(Real) = None  # type: ignore[valid-type]
    """A number to compare each element with."""

    def works_in(self, *x: TensorType) -> Dtype:
        return "float" if isinstance(self.other, float) else widest(*x)

    def reduces(self, count: int) -> bool:
        return count == 1 and self.other is None

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if not self.reduces(len(x)):
            _only_elementwise(self)
            if len(x) == 2 and self.other is not None:
                raise Misfit("bad-argument", f"`{self.name}` compares two at a time", argument="other")
            yield from broadcast_rules(*x)
        else:
            yield from super().rules(*x)

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return super().gives(*x) if self.reduces(len(x)) else replace(broadcast(*x), dtype=self.works_in(*x))

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return super().reach(*x) if self.reduces(len(x)) else None

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        if self.reduces(len(x)):
            return super().torch(t, *x)
        if self.other is not None:
            return method(x[0].node, "clamp", **{self.bound: self.other})
        return t.function(self.function, *(aligned(t, each, max(each.type.rank for each in x)) for each in x))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        if self.reduces(len(x)):
            return super().onnx(g, *x)
        kinds = [each.type for each in x]
        rank, dtype = max(each.rank for each in kinds), self.works_in(*kinds)
        sides = [aligned_onnx(g, each, rank, dtype) for each in x]
        if self.other is not None:
            sides.append(g.constant(self.other, dtype))
        found: OnnxValue = g.node(self.pair, *sides)
        return found


def _only_elementwise(op: Any) -> None:
    for argument in ("axis", "keep"):
        if getattr(op, argument) is not op.fields[argument].default:
            help = f"reduce each first, or leave `{argument}` out to compare element by element"
            raise Misfit("bad-argument", f"`{argument}` goes with one tensor", help, argument=argument)


def _plain(known: Any, unknown: Any) -> Any:
    """The function on numbers and sizes, given one by one or as a list."""

    def run(*values: Any) -> Any:
        items = values[0] if len(values) == 1 and isinstance(values[0], tuple | range) else values
        return unknown(*items) if any(isinstance(each, Dim) for each in items) else known(items)

    return staticmethod(run)


class Max(Extreme):
    """The largest along axes, or of two tensors element by element."""

    name = "max"
    value = _plain(max, maximum)
    method, node = "amax", "ReduceMax"
    function, bound, pair = "torch.maximum", "min", "Max"
    cases = (
        Case("max", "[4, 6] -> []"),
        Case("max(axis=0)", "[4, H, W] -> [H, W]"),
        Case("max(a, input)", "[4, 6, 6] -> [4, 6, 6]", given="a: tanh"),
        Case("max(input, 0)", "[4] -> [4]"),
        Case("max(x, y)", "[4, L]; [] -> [4, L]"),
        Wrong("max(x, y) -> max(axis=0) -> max", "[4]; []", "wrong-rank"),
        Wrong("max(input, input, axis=0)", "[4, 6]", "bad-argument", at="axis"),
        Wrong("max(input, input[1:])", "[4, 6]", "shape-mismatch"),
    )


class Min(Extreme):
    """The smallest along axes, or of two tensors element by element."""

    name = "min"
    value = _plain(min, minimum)
    method, node = "amin", "ReduceMin"
    function, bound, pair = "torch.minimum", "max", "Min"
    cases = (
        Case("min(axis=-1, keep=true)", "[4, 6] -> [4, 1]"),
        Case("min(a, input)", "[4, H, W] -> [4, H, W]", given="a: tanh"),
        Case("min(input, 0.5)", "[2, 3, 4, 5] -> [2, 3, 4, 5]"),
        Wrong("min(input, input[1:])", "[4, 6]", "shape-mismatch"),
    )


class Place(Op):
    """Where along an axis the extreme stands, as a whole number."""

    takes = "c *"
    batchless = True
    layout = ""
    dtypes = ("float", "int")
    method: ClassVar[str] = ""
    node: ClassVar[str] = ""

    _: KeywordOnly
    axis: Axis = UNSAID
    """The axis that is searched and dropped; 0 is the channels."""

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        axis = chosen_axis(self.name, self.axis, x[0])
        return x[0].to(*x[0].shape[:axis], *x[0].shape[axis + 1 :], dtype="int", layout="")

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return reach_along(chosen_axis(self.name, self.axis, x[0]))

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return method(x[0].node, self.method, dim=x[0].dim(chosen_axis(self.name, self.axis, x[0].type)))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        axis = x[0].dim(chosen_axis(self.name, self.axis, x[0].type))
        found: OnnxValue = g.node(self.node, x[0], axis=axis, keepdims=0)
        return found


class Argmax(Place):
    """Where along an axis the largest number stands; the first of several."""

    name = "argmax"
    method, node = "argmax", "ArgMax"
    cases = (
        Case("argmax", "[10] -> int []"),
        Case("argmax", "[4, H, W] -> int [H, W]"),
        Case("argmax(axis=-1)", "[T, 8] -> int [T]"),
        Wrong("linear(4) -> argmax", "[3, 8]", "softmax-axis"),
    )


class Argmin(Place):
    """Where along an axis the smallest number stands; the first of several."""

    name = "argmin"
    method, node = "argmin", "ArgMin"
    cases = (
        Case("argmin", "[10] -> int []"),
        Case("argmin(axis=length)", "[4, L] -> int [4]"),
        Case("argmin", "int [4, H, W] -> int [H, W]"),
        Wrong("argmin(axis=1)", "[4]", "no-such-axis", at="axis"),
    )
