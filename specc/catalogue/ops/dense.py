"""Dense layers: every feature from every feature of the last axis, rows for whole numbers, and products of tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from specc.catalogue.arguments import Count, Flag, KeywordOnly, Positive, optional
from specc.catalogue.axes import apart, broadcast, broadcast_rules, equal, same, shape
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Op, Reach, Rule, TensorType, WeightedOp, WeightSpec
from specc.code.nodes import Binary, call, method
from specc.sizes.dim import Size, product

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression


class Linear(WeightedOp):
    """x W + b along the last axis."""

    name = "linear"
    takes = "* f"
    batchless = True
    layout = "last"
    cases = (
        Case("linear(10)", "[84] -> [10]", params=850, macs=840),
        Case("linear(5, bias=false)", "[K] -> [5]", params="5*K", macs="5*K"),
        Case("linear(8)", "[T, 4] -> [T, 8]", params=40, macs="32*T"),
        Case("linear(8, transposed=true)", "[3, T, 4] -> [3, T, 8]", params=40, macs="96*T"),
        Case("flatten -> linear(2)", "[4, 6, 6] -> [2]", params=290),
        Wrong("linear(0)", "[4]", "bad-argument", at="features"),
        Wrong("conv(8, 1) -> linear(10)", "[3, 8, 8]", "linear-after-window"),
    )

    features: Positive
    """How many features it makes of the last axis."""
    _: KeywordOnly
    bias: Flag = True
    """Whether a learned number is added to each feature."""
    transposed: Flag = False
    """Whether the weight is stored [in, out], as in GPT-2, and not [out, in]."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if x[0].layout == "first" and x[0].rank >= 2:
            message = f"the channels of {shape(x[0].shape)} are on axis 0, and `{self.name}` works on the last axis"
            help = f"flatten or rearrange it first; for every place alike write conv({self.features}, 1)"
            raise Misfit("linear-after-window", message, help)
        return ()

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return x[0].to(*x[0].shape[:-1], self.features, layout="last")

    def weights(self, *x: TensorType, **named: TensorType) -> Mapping[str, WeightSpec]:
        taken: Size = x[0].last
        sizes = (taken, self.features) if self.transposed else (self.features, taken)
        found = {"weight": WeightSpec(sizes, fan_in=taken)}
        return found | ({"bias": WeightSpec((self.features,), fan_in=taken, decays=False)} if self.bias else {})

    def macs(self, *x: TensorType, y: TensorType, **named: TensorType) -> Size:
        return product(x[0].shape) * self.features

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return EVERYTHING if x[0].rank == 1 else None

    def module(self, *x: TensorType, **named: TensorType) -> Expression | None:
        words = {} if self.bias else {"bias": False}
        return call("TransposedLinear" if self.transposed else "nn.Linear", x[0].last, self.features, **words)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        if self.transposed:
            t.support("transposed_linear")
        return t.run(*x)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        bias = [g.weight("bias")] if self.bias else []
        if x[0].type.rank == 1 and x[0].type.batched:
            return g.node("Gemm", x[0], g.weight("weight"), *bias, transB=int(not self.transposed))  # type: ignore[no-any-return]
        found: OnnxValue = g.node("MatMul", x[0], self._kernel(g, x[0].type))
        return g.node("Add", found, *bias) if bias else found

    def _kernel(self, g: OnnxGraph, x: TensorType) -> OnnxValue:
        """The weight as [in, out]."""
        if self.transposed:
            return g.weight("weight")
        kind = TensorType((x.last, self.features), batched=False)
        return g.node("Transpose", g.weight("weight"), perm=[1, 0], type=kind)  # type: ignore[no-any-return]


class Bilinear(WeightedOp):
    """x W y + b along the last axes of two tensors: every feature from every pair of features.

    It counts one multiply-add per weight and place, as a dense layer does.
    """

    name = "bilinear"
    takes = "* f"
    inputs = (2, 2)
    batchless = True
    layout = "last"
    cases = (
        Case("bilinear(x, y, 5)", "[3]; [4] -> [5]", params=65, macs=60),
        Case("bilinear(x, y, 2)", "[T, 3]; [T, 4] -> [T, 2]", params=26, macs="24*T"),
        Case("bilinear(x, y, 2, bias=false)", "[6, T, 3]; [6, T, 4] -> [6, T, 2]", params=24),
        Case("bilinear(input, input, 3)", "[2, 3, T, 4] -> [2, 3, T, 3]", params=51),
        Case("bilinear(x, y, 2)", "[T, F]; [T, 4] -> [T, 2]", params="8*F + 2"),
        Case("bilinear(x, k, 2)", "[2, 3] -> [2, 2]", 34, given="input as x; parameter p: [2, 4]; k: 2 * p"),
        Wrong("bilinear(x, y, 2)", "[5, 3]; [6, 4]", "shape-mismatch"),
        Wrong("bilinear(x, y, 2)", "[5, 3]; [4]", "shape-mismatch"),
        Wrong("bilinear(input, input, 0)", "[5]", "bad-argument", at="features"),
    )

    features: Positive
    """How many features it makes."""
    _: KeywordOnly
    bias: Flag = True
    """Whether a learned number is added to each feature."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        return same(x[0], x[1], 1, but=x[0].rank - 1)

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return replace(x[0].to(*x[0].shape[:-1], self.features), batched=x[0].batched or x[1].batched)

    def weights(self, *x: TensorType, **named: TensorType) -> Mapping[str, WeightSpec]:
        taken = x[0].last
        found = {"weight": WeightSpec((self.features, taken, x[1].last), fan_in=taken)}
        return found | ({"bias": WeightSpec((self.features,), fan_in=taken, decays=False)} if self.bias else {})

    def macs(self, *x: TensorType, y: TensorType, **named: TensorType) -> Size:
        return product(y.shape) * x[0].last * x[1].last

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return EVERYTHING if x[0].rank == 1 else None

    def module(self, *x: TensorType, **named: TensorType) -> Expression | None:
        words = {} if self.bias else {"bias": False}
        return call("nn.Bilinear", x[0].last, x[1].last, self.features, **words)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        letters = "".join(chr(ord("m") + at) for at in range(x[0].type.rank - 1 + x[0].type.batched))
        equation = f"{letters}i,kij,{letters}j->{letters}k"
        found: OnnxValue = g.node("Einsum", x[0], g.weight("weight"), x[1], equation=equation)
        return g.node("Add", found, g.weight("bias")) if self.bias else found


class Embedding(WeightedOp):
    """A learned row of numbers for each whole number; the rows stand on a new last axis."""

    name = "embedding"
    takes = "*"
    batchless = True
    layout = "last"
    dtypes = ("int",)
    cases = (
        Case("argmax(axis=0) -> embedding(100, 8)", "[5, T] -> [T, 8]", params=800),
        Case("argmax(axis=0) -> embedding(10, 4, padding=0)", "[10] -> [4]", params=40),
        Case("embedding(10, 4)", "int [T] -> [T, 4]", params=40),
        Case("embedding(10, 4)", "int [3, T] -> [3, T, 4]", params=40),
        Case("embedding(10, 4)", "int [3, H, W] -> [3, H, W, 4]", params=40),
        Wrong("embedding(10, 4)", "[10]", "wrong-dtype"),
        Wrong("argmax -> embedding(10, 4, padding=10)", "[5]", "bad-argument", at="padding"),
    )

    count: Positive
    """How many whole numbers there are, from 0 to count - 1."""
    features: Positive
    """How many numbers a row has."""
    _: KeywordOnly
    padding: optional(Count) = None  # type: ignore[valid-type]
    """The whole number that stands for no word: its row is zero and is not trained."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if self.padding is not None and self.padding >= self.count:
            message = f"`padding` must be below the {self.count} numbers there are; this is {self.padding}"
            raise Misfit("bad-argument", message, argument="padding")
        return ()

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return x[0].to(*x[0].shape, self.features, dtype="float", layout="last")

    def weights(self, *x: TensorType, **named: TensorType) -> Mapping[str, WeightSpec]:
        return {"weight": WeightSpec((self.count, self.features), init="normal", fan_in=self.count)}

    def module(self, *x: TensorType, **named: TensorType) -> Expression | None:
        words = {} if self.padding is None else {"padding_idx": self.padding}
        return call("nn.Embedding", self.count, self.features, **words)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        return g.node("Gather", g.weight("weight"), x[0], axis=0)  # type: ignore[no-any-return]


class OneHot(Op):
    """For each whole number a row with 1 at its place and 0 elsewhere; the rows stand on a new last axis."""

    name = "one_hot"
    takes = "*"
    batchless = True
    layout = "last"
    dtypes = ("int",)
    cases = (
        Case("one_hot(5)", "int [T] -> [T, 5]"),
        Case("one_hot(4)", "int [] -> [4]"),
        Case("one_hot(4)", "int [3, H, W] -> [3, H, W, 4]"),
        Case("argmax(axis=0) -> one_hot(6)", "[6, 2, T] -> [2, T, 6]"),
        Wrong("one_hot(0)", "int [3]", "bad-argument", at="count"),
        Wrong("one_hot(4)", "[3]", "wrong-dtype"),
    )

    count: Positive
    """How many whole numbers there are, from 0 to count - 1."""

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return x[0].to(*x[0].shape, self.count, dtype="float")

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return method(t.function("F.one_hot", x[0], self.count), "float")

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        sizes, values = g.constant(int(self.count), "int"), g.constant([0.0, 1.0])
        if x[0].type.rank or x[0].type.batched:
            return g.node("OneHot", x[0], sizes, values, axis=-1)  # type: ignore[no-any-return]
        first = g.constant([0], "int")  # ONNX wants an axis
        one = g.node("Unsqueeze", x[0], first, type=x[0].type.to(1))
        found = g.node("OneHot", one, sizes, values, axis=-1, type=g.types[0].to(1, self.count))
        return g.node("Squeeze", found, first)  # type: ignore[no-any-return]


class Matmul(Op):
    """The matrix product over the last two axes; the axes before them are broadcast."""

    name = "matmul"
    takes = "* f"
    inputs = (2, 2)
    mixes = True
    batchless = True
    layout = "last"
    cases = (
        Case("matmul(input, input)", "[4, 4] -> [4, 4]", macs=64),
        Case("matmul(input, transpose(input, -1, -2))", "[2, T, 8] -> [2, T, T]", macs="16*T**2"),
        Case("matmul(x, y)", "[T, 4]; [4, 3] -> [T, 3]", macs="12*T"),
        Case("matmul(x, y)", "[2, 3, T, 4]; [1, 3, 4, 5] -> [2, 3, T, 5]", macs="120*T"),
        Case("matmul(input, w)", "[6] -> [4]", params=24, macs=24, given="parameter w: [6, 4], init=normal"),
        Wrong("matmul(input, input)", "[4, 5]", "shape-mismatch"),
        Wrong("matmul(input, input[0])", "[2, 4, 4]", "shape-mismatch"),
        Wrong("matmul(input, input)", "[4]", "shape-mismatch"),
    )

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        a, b = x
        vectors = a.rank == 1 and a.batched and b.rank == 2 and not b.batched  # one row per sample
        if not vectors and not _matrices(a, b):
            message = f"`{self.name}` does not take shapes {shape(a.shape)} and {shape(b.shape)}"
            yield Rule(False, Misfit("shape-mismatch", message, "both need two axes or more, and equally many", port=1))
            return
        inner, other = a.shape[-1], b.shape[-2]
        message = f"the last axis of input 1 is {inner}, the second last of input 2 is {other} ({apart(inner, other)})"
        yield from equal(inner, other, Misfit("shape-mismatch", message, port=1))
        yield from broadcast_rules(*_leading(a, b))

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        a, b = x
        rows = a.shape[-2:-1]
        return replace(a, shape=(*broadcast(*_leading(a, b)).shape, *rows, b.last), batched=a.batched or b.batched)

    def macs(self, *x: TensorType, y: TensorType, **named: TensorType) -> Size:
        return product(y.shape) * x[0].last

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return EVERYTHING

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return Binary("@", x[0].node, x[1].node)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        return g.node("MatMul", *x)  # type: ignore[no-any-return]


def _matrices(a: TensorType, b: TensorType) -> bool:
    """Whether both hold matrices that meet as PyTorch lines shapes up, from the last axis, the batch in front."""
    if a.rank < 2 or b.rank < 2:
        return False
    if a.batched == b.batched:
        return a.rank == b.rank
    return a.rank >= b.rank if a.batched else b.rank >= a.rank


def _leading(a: TensorType, b: TensorType) -> tuple[TensorType, TensorType]:
    """The axes before the matrices, the shorter shape filled up with 1."""
    most = max(a.rank, b.rank) - 2
    one, other = ((*(1 for _ in range(most - len(each.shape[:-2]))), *each.shape[:-2]) for each in (a, b))
    return replace(a, shape=one), replace(b, shape=other)
