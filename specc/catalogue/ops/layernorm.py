"""Normalisation of each sample along axes of its own: to mean 0 and variance 1, or to a mean square of 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from specc.catalogue.arguments import AxisList, Flag, KeywordOnly, PositiveReal
from specc.catalogue.axes import Unsaid, positions, reach_along
from specc.catalogue.axes import shape as spelled
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Reach, Rule, TensorType, WeightedOp, WeightSpec
from specc.catalogue.ops.constants import filled
from specc.code.nodes import Expression, call, method, value
from specc.sizes.dim import Dim, Size

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue

LAST = Unsaid(-1)


class AlongAxes(WeightedOp):
    """One that normalises along axes of each sample; its weights have the sizes of these axes."""

    takes = "c *"
    batchless = True

    _: KeywordOnly
    axis: AxisList = LAST
    """The axes over which it normalises: one, or a list; 0 is the channels."""
    eps: PositiveReal = 1e-5
    """What is added before the root."""
    affine: Flag = True
    """Whether the result is scaled by learned numbers (and shifted, where there is a bias)."""

    def _axes(self, x: TensorType) -> tuple[int, ...]:
        return positions(self.axis, x.rank)

    def _sizes(self, x: TensorType) -> tuple[Size, ...]:
        return tuple(x.shape[axis] for axis in self._axes(x))

    def _ends(self, x: TensorType) -> tuple[int, ...]:
        """The last axes, as many as are normalised: where PyTorch has them."""
        return tuple(range(x.rank - len(self._axes(x)), x.rank))

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if isinstance(self.axis, Unsaid) and x[0].layout == "first" and x[0].rank >= 2:
            message = f"the channels of {spelled(x[0].shape)} are on axis 0, and `{self.name}` works on the last axis"
            raise Misfit("linear-after-window", message, "say axis=0, or flatten or rearrange it first")
        if not self._axes(x[0]):
            raise Misfit("bad-argument", f"`{self.name}` needs an axis to work along", argument="axis")
        return ()

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        axes = self._axes(x[0])
        if axes == (x[0].rank - 1,) and x[0].layout != "first":
            return None  # one place at a time, its features on the last axis
        return reach_along(*axes)

    def weights(self, *x: TensorType, **named: TensorType) -> Mapping[str, WeightSpec]:
        return {"weight": WeightSpec(self._sizes(x[0]), init="ones", decays=False)} if self.affine else {}

    def arguments(self) -> dict[str, Any]:
        """What PyTorch's module and its function both take."""
        return {} if self.eps == 1e-5 else {"eps": self.eps}

    def built(self, layer: str, x: TensorType, **words: Any) -> Expression | None:
        sizes = self._sizes(x)
        unknown = any(isinstance(size, Dim) for size in sizes)
        if not self.affine and (unknown or self._axes(x) != self._ends(x)):
            return None  # a function then says it all
        return call(layer, value(sizes[0] if len(sizes) == 1 else sizes), **self.arguments(), **words)

    def at_the_end(self, t: TorchContext, function: str, x: TorchValue) -> Expression:
        """The module, or without weights the function, on the input with the normalised axes last."""
        axes, ends = self._axes(x.type), self._ends(x.type)
        moved: Any = x
        here = tuple(x.dim(axis) for axis in axes)
        there = tuple(axis - x.type.rank for axis in ends)
        if axes != ends:
            moved = method(x.node, "movedim", *(each[0] if len(each) == 1 else each for each in (here, there)))
        if self.affine:
            found = t.run(moved)
        else:
            found = t.function(function, moved, tuple(t.size(x, axis) for axis in axes), **self.arguments())
        if axes != ends:
            found = method(found, "movedim", *(each[0] if len(each) == 1 else each for each in (there, here)))
        return found


class LayerNorm(AlongAxes):
    """Along axes of each sample to mean 0 and variance 1 (Ba, Kiros and Hinton, arXiv:1607.06450).

    By default along the last axis, as for the features of tokens; `axis=0` is along the channels of each place
    (Liu et al., arXiv:2201.03545), and a list is along several axes at once.
    """

    name = "layernorm"
    cases = (
        Case("layernorm", "[6] -> [6]", 12),
        Case("layernorm", "[T, 8] -> [T, 8]", 16, 0),
        Case("layernorm(eps=1e-6, bias=false)", "[2, T, 5] -> [2, T, 5]", 5),
        Case("layernorm(axis=0)", "[4, L] -> [4, L]", 8),
        Case("layernorm(axis=0, eps=1e-6)", "[6, H, W] -> [6, H, W]", 12),
        Case("layernorm(axis=0, affine=false)", "[6, D, H, W] -> [6, D, H, W]", 0),
        Case("layernorm(axis=channels, bias=false)", "[3, D, 4, W] -> [3, D, 4, W]", 3),
        Case("layernorm(axis=[1, 2])", "[C, 4, 5] -> [C, 4, 5]", 40),
        Case("layernorm(axis=[0, 1, 2])", "[3, 4, 5] -> [3, 4, 5]", 120),
        Case("layernorm(axis=[height, channels])", "[3, 4, W] -> [3, 4, W]", 24),
        Case("layernorm(axis=[0, -1])", "[3, H, 4] -> [3, H, 4]", 24),
        Case("layernorm(axis=[0, -1], affine=false)", "[3, H, W] -> [3, H, W]", 0),
        Case("layernorm(affine=false)", "[T, F] -> [T, F]", 0),
        Case("layernorm(axis=[1, 2], affine=false)", "[3, H, W] -> [3, H, W]", 0),
        Case("layernorm", "[T, F] -> [T, F]", "2*F"),
        Wrong("conv(8, 1) -> layernorm", "[3, 8, 8]", "linear-after-window"),
        Wrong("layernorm(axis=2)", "[3, 8]", "no-such-axis", at="axis"),
        Wrong("layernorm(axis=[0, -2])", "[3, 8]", "repeated-axis", at="axis"),
        Wrong("layernorm(axis=[])", "[3, 8]", "bad-argument", at="axis"),
        Wrong("layernorm(eps=0)", "[8]", "bad-argument", at="eps"),
    )

    bias: Flag = True
    """Whether there is a learned shift beside the learned scale."""

    def weights(self, *x: TensorType, **named: TensorType) -> Mapping[str, WeightSpec]:
        found = dict(super().weights(*x))
        if self.affine and self.bias:
            found["bias"] = WeightSpec(self._sizes(x[0]), init="zeros", decays=False)
        return found

    def module(self, *x: TensorType, **named: TensorType) -> Expression | None:
        words = {} if self.affine else {"elementwise_affine": False}
        return self.built("nn.LayerNorm", x[0], **words, **({} if self.bias or not self.affine else {"bias": False}))

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return self.at_the_end(t, "F.layer_norm", x[0])

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        kind, axes, ends = x[0].type, self._axes(x[0].type), self._ends(x[0].type)
        scale = g.weight("weight") if self.affine else filled(g, self._sizes(kind), 1.0)
        shift = [g.weight("bias")] if self.affine and self.bias else []
        words: dict[str, Any] = {"axis": -len(axes), "epsilon": float(self.eps)}
        if axes == ends:
            return g.node("LayerNormalization", x[0], scale, *shift, **words)  # type: ignore[no-any-return]
        order = [*(axis for axis in range(kind.rank) if axis not in axes), *axes]
        batch = [0] if kind.batched else []
        turned = kind.to(*(kind.shape[axis] for axis in order))
        moved = g.node("Transpose", x[0], perm=[*batch, *(x[0].dim(axis) for axis in order)], type=turned)
        found = g.node("LayerNormalization", moved, scale, *shift, **words, type=turned)
        back = [x[0].dim(order.index(axis)) for axis in range(kind.rank)]
        return g.node("Transpose", found, perm=[*batch, *back])  # type: ignore[no-any-return]


class RMSNorm(AlongAxes):
    """Along axes of each sample divided by the root of the mean square (Zhang and Sennrich, arXiv:1910.07467)."""

    name = "rmsnorm"
    cases = (
        Case("rmsnorm", "[6] -> [6]", 6),
        Case("rmsnorm", "[T, 8] -> [T, 8]", 8, 0),
        Case("rmsnorm(eps=1e-6)", "[2, T, 5] -> [2, T, 5]", 5),
        Case("rmsnorm(axis=0)", "[4, L] -> [4, L]", 4),
        Case("rmsnorm(axis=0)", "[6, H, W] -> [6, H, W]", 6),
        Case("rmsnorm(axis=0, affine=false)", "[6, D, H, W] -> [6, D, H, W]", 0),
        Case("rmsnorm(axis=[1, 2])", "[C, 4, 5] -> [C, 4, 5]", 20),
        Case("rmsnorm(axis=[0, -1])", "[3, H, 4] -> [3, H, 4]", 12),
        Case("rmsnorm(affine=false)", "[T, F] -> [T, F]", 0),
        Case("rmsnorm(axis=0)", "[C, L] -> [C, L]", "C"),
        Wrong("conv(8, 1) -> rmsnorm", "[3, 8, 8]", "linear-after-window"),
        Wrong("rmsnorm(axis=width)", "[3, 8]", "no-such-axis", at="axis"),
        Wrong("rmsnorm(bias=true)", "[8]", "unknown-argument"),
    )

    def arguments(self) -> dict[str, Any]:
        return {"eps": self.eps}  # PyTorch's default is the least difference of the element type

    def module(self, *x: TensorType, **named: TensorType) -> Expression | None:
        return self.built("nn.RMSNorm", x[0], **({} if self.affine else {"elementwise_affine": False}))

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return self.at_the_end(t, "F.rms_norm", x[0])

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        kind, axes = x[0].type, self._axes(x[0].type)
        one = kind.to(*(1 if axis in axes else size for axis, size in enumerate(kind.shape)))
        dims = g.constant([x[0].dim(axis) for axis in axes], "int")
        squares = g.node("Mul", x[0], x[0], type=kind)
        mean = g.node("ReduceMean", squares, dims, keepdims=1, type=one)
        root = g.node("Sqrt", g.node("Add", mean, g.constant(float(self.eps)), type=one), type=one)
        if not self.affine:
            return g.node("Div", x[0], root)  # type: ignore[no-any-return]
        scale = g.weight("weight")
        between = [axis - axes[0] for axis in range(axes[0], kind.rank) if axis not in axes]
        if between:
            sizes = (kind.shape[axis] if axis in axes else 1 for axis in range(axes[0], kind.rank))
            spread = TensorType(tuple(sizes), batched=False)
            scale = g.node("Unsqueeze", scale, g.constant(between, "int"), type=spread)
        return g.node("Mul", g.node("Div", x[0], root, type=kind), scale)  # type: ignore[no-any-return]
