"""How large tensors are and how far their numbers lie apart: variances, and vectors made one long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from specc.catalogue.arguments import Axis, Count, KeywordOnly, PositiveReal
from specc.catalogue.axes import position, positions, reach_along
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Op, Reach, Rule, TensorType
from specc.catalogue.ops.reduce import Reduction
from specc.catalogue.run_time import sizes_onnx
from specc.code.nodes import method
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, Size, product

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression

FLOAT = 1


class Variance(Reduction):
    """The variance along axes: the sum of squared distances from the mean, divided by their number less `correction`.

    With `correction=1`, the default as in PyTorch, it is the unbiased estimate from a sample; with `correction=0` the
    variance of just these numbers, which normalisation layers use. Its root is the standard deviation.
    """

    name = "var"
    dtypes = ("float",)
    cases = (
        Case("var", "[4, 6] -> []"),
        Case("var", "[L] -> []"),
        Case("var(axis=[1, 2])", "[4, H, W] -> [4]"),
        Case("var(axis=[height, width], keep=true, correction=0)", "[4, H, W] -> [4, 1, 1]"),
        Case("var(axis=-1)", "[2, 3, 4, 5] -> [2, 3, 4]"),
        Case("var(axis=0, keep=true, correction=2)", "[3, L] -> [1, L]"),
        Case("var(correction=0)", "[2, 1, T, 4] -> []"),
        Case("var(axis=1, correction=0)", "[2, 1] -> [2]"),
        Wrong("var", "[1]", "bad-argument"),
        Wrong("var(axis=0, correction=3)", "[3, 4]", "bad-argument", at="correction"),
        Wrong("var(axis=width)", "[4, 6]", "no-such-axis", at="axis"),
        Wrong("var(correction=-1)", "[4, 6]", "bad-argument", at="correction"),
    )

    correction: Count = 1
    """What is taken off the number of elements before dividing by it."""

    def _count(self, x: TensorType) -> Size:
        return product(x.shape[axis] for axis in positions(self.axis, x.rank))

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        yield from super().rules(*x)
        count = self._count(x[0])
        if isinstance(count, Dim) or count <= self.correction:
            said = f"{count} number{'' if count == 1 else 's'}"
            message = f"`{self.name}` of {said} with a correction of {self.correction} divides by nothing"
            help = "say correction=0 for the variance of just these numbers"
            misfit = Misfit("bad-argument", message, help, argument="" if self.correction == 1 else "correction")
            wanted = self.correction + 1
            if not isinstance(count, Dim) or wanted > 1:
                yield Rule(Compare(count, ">=", wanted) if isinstance(count, Dim) else False, misfit)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        words: dict[str, Any] = {} if self.correction == 1 else {"correction": self.correction}
        words |= {"keepdim": True} if self.keep else {}
        dims = tuple(x[0].dim(axis) for axis in positions(self.axis, x[0].type.rank))
        if self.axis is not None or x[0].type.batched or self.keep:
            words = {"dim": dims[0] if len(dims) == 1 else dims, **words}
        return method(x[0].node, "var", **words)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        kind, axes = x[0].type, positions(self.axis, x[0].type.rank)
        dims = g.constant([x[0].dim(axis) for axis in axes], "int")
        one = kind.to(*(1 if axis in axes else size for axis, size in enumerate(kind.shape)))
        apart = g.node("Sub", x[0], g.node("ReduceMean", x[0], dims, keepdims=1, type=one), type=kind)
        squares = g.node("Mul", apart, apart, type=kind)
        if not self.correction:
            return g.node("ReduceMean", squares, dims, keepdims=int(self.keep))  # type: ignore[no-any-return]
        left = self._count(kind) - self.correction
        if isinstance(left, Dim):
            number = TensorType((1,), "float", batched=False)
            over = g.node("Cast", sizes_onnx(g, [left]), to=FLOAT, type=number)
            if not g.types[0].rank and not g.types[0].batched:
                over = g.node("Squeeze", over, type=TensorType((), batched=False))
        else:
            over = g.constant(float(left))
        total = g.node("ReduceSum", squares, dims, keepdims=int(self.keep), type=g.types[0])
        return g.node("Div", total, over)  # type: ignore[no-any-return]


class Unit(Op):
    """Vectors along an axis divided by their Euclidean length: `x / max(length, eps)`.

    A vector of zeros stays one. The products of such vectors are cosines.
    """

    name = "unit"
    takes = "c *"
    batchless = True
    cases = (
        Case("unit(axis=0)", "[6] -> [6]"),
        Case("unit(axis=-1)", "[T, 8] -> [T, 8]"),
        Case("unit(axis=channels)", "[4, H, W] -> [4, H, W]"),
        Case("unit(axis=1, eps=0.5)", "[4, L] -> [4, L]"),
        Case("unit(axis=depth)", "[2, D, 4, W] -> [2, D, 4, W]"),
        Case("relu -> unit(axis=0)", "[2, L] -> [2, L]"),
        Wrong("unit", "[4, 6]", "missing-argument"),
        Wrong("unit(axis=2)", "[4, 6]", "no-such-axis", at="axis"),
        Wrong("unit(axis=0, eps=0)", "[4, 6]", "bad-argument", at="eps"),
    )

    _: KeywordOnly
    axis: Axis
    """The axis along which the vectors lie; 0 is the channels."""
    eps: PositiveReal = 1e-12
    """The least length that is divided by."""

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        position(self.axis, x[0].rank)
        return x[0]

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return reach_along(position(self.axis, x[0].rank))

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        words = {} if self.eps == 1e-12 else {"eps": self.eps}
        return t.function("F.normalize", x[0], dim=x[0].dim(position(self.axis, x[0].type.rank)), **words)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        kind, axis = x[0].type, position(self.axis, x[0].type.rank)
        one = kind.to(*(1 if at == axis else size for at, size in enumerate(kind.shape)))
        length = g.node("ReduceL2", x[0], g.constant([x[0].dim(axis)], "int"), keepdims=1, type=one)
        return g.node("Div", x[0], g.node("Max", length, g.constant(float(self.eps)), type=one))  # type: ignore[no-any-return]
