"""Normalisation of channels: over the batch and all places, and over neighbouring channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from specc.catalogue.arguments import Flag, KeywordOnly, Positive, PositiveReal, Rate, Real
from specc.catalogue.axes import shape as spelled
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Op, Rule, TensorType, WeightedOp, WeightSpec
from specc.catalogue.ops.padded import onnx_pad
from specc.code.nodes import Expression, call, method, value
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, product

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue


class BatchNorm(WeightedOp):
    """Each channel to mean 0 and variance 1 over the batch and all places (Ioffe and Szegedy, arXiv:1502.03167).

    Training uses the statistics of the batch; inference those that were tracked, unless `track=false`.
    """

    name = "batchnorm"
    takes = "c *"

    _: KeywordOnly
    eps: PositiveReal = 1e-5
    """What is added to the variance before the root."""
    momentum: Rate = 0.1
    """The share of the newest batch in the tracked mean and variance."""
    affine: Flag = True
    """Whether each channel is then scaled and shifted by learned numbers."""
    track: Flag = True
    """Whether mean and variance are tracked for inference; if not, it too uses those of the batch at hand."""

    cases = (
        Case("batchnorm", "[64, 56, 56] -> [64, 56, 56]", 128, 0),
        Case("batchnorm", "[8] -> [8]", 16),
        Case("batchnorm(eps=1e-3, momentum=0.01)", "[8, L] -> [8, L]", 16),
        Case("batchnorm", "[8, D, H, W] -> [8, D, H, W]", 16),
        Case("batchnorm(affine=false)", "[8, 4, 4] -> [8, 4, 4]", 0),
        Case("batchnorm(track=false)", "[8, H, 4] -> [8, H, 4]", 16),
        Case("batchnorm(affine=false, track=false)", "[8, L] -> [8, L]", 0),
        Case("batchnorm", "[C, 4] -> [C, 4]", "2*C"),
        Wrong("batchnorm", "[2, 3, 4, 5, 6]", "wrong-rank"),
        Wrong("batchnorm(eps=0)", "[4]", "bad-argument", at="eps"),
        Wrong("batchnorm(track=false)", "[8]", "bad-argument", at="track"),
        Wrong("batchnorm(track=false)", "[8, 1, 1]", "bad-argument", at="track"),
    )

    def rules(self, x: TensorType) -> Iterable[Rule]:  # type: ignore[override]
        if x.rank > 4:
            raise Misfit(
                "wrong-rank", f"`{self.name}` takes up to 3 spatial axes; this tensor has shape {spelled(x.shape)}"
            )
        places = product(x.spatial)
        if not self.track and (isinstance(places, Dim) or places < 2):
            message = f"without tracking, one sample of shape {spelled(x.shape)} has a single number per channel"
            misfit = Misfit("bad-argument", message, "leave `track=false` out", argument="track")
            yield Rule(Compare(places, ">=", 2) if isinstance(places, Dim) else False, misfit)

    def weights(self, x: TensorType) -> Mapping[str, WeightSpec]:  # type: ignore[override]
        c = (x.channels,)
        found: dict[str, WeightSpec] = {}
        if self.affine:
            found["weight"] = WeightSpec(c, init="ones", decays=False)
            found["bias"] = WeightSpec(c, init="zeros", decays=False)
        if self.track:
            found["running_mean"] = WeightSpec(c, "buffer", init="zeros", decays=False)
            found["running_var"] = WeightSpec(c, "buffer", init="ones", decays=False)
            found["num_batches_tracked"] = WeightSpec((), "buffer", "int", init="zeros", decays=False)
        return found

    def reach(self, x: TensorType) -> str | None:  # type: ignore[override]
        return None if self.track else EVERYTHING

    def module(self, x: TensorType) -> Expression:  # type: ignore[override]
        named = {} if self.eps == 1e-5 else {"eps": self.eps}
        named |= {} if self.momentum == 0.1 else {"momentum": self.momentum}
        named |= {} if self.affine else {"affine": False}
        named |= {} if self.track else {"track_running_stats": False}
        return call(f"nn.BatchNorm{max(1, x.rank - 1)}d", value(x.channels), **named)

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        if not self.track:
            return self._of_batch(g, x)
        count = x.type.channels
        ones, zeros = ([1.0] * count, [0.0] * count) if isinstance(count, int) else ([], [])
        scale, shift = (g.weight("weight"), g.weight("bias")) if self.affine else (g.constant(ones), g.constant(zeros))
        mean, variance = g.weight("running_mean"), g.weight("running_var")
        found: OnnxValue = g.node("BatchNormalization", x, scale, shift, mean, variance, epsilon=float(self.eps))
        return found

    def _of_batch(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:
        """With the mean and the variance of the batch at hand."""
        kind = x.type
        each = TensorType((1, kind.channels, *(1 for _ in kind.spatial)), batched=False)
        axes = g.constant([0, *(x.dim(axis) for axis in range(1, kind.rank))], "int")
        apart = x
        for _ in range(2):  # again, for what a mean in float32 leaves, which a small variance would blow up
            apart = g.node("Sub", apart, g.node("ReduceMean", apart, axes, keepdims=1, type=each), type=kind)
        variance = g.node("ReduceMean", g.node("Mul", apart, apart, type=kind), axes, keepdims=1, type=each)
        root = g.node("Sqrt", g.node("Add", variance, g.constant(float(self.eps)), type=each), type=each)
        if not self.affine:
            return g.node("Div", apart, root)  # type: ignore[no-any-return]
        spread = g.constant([1 + at for at in range(len(kind.spatial))], "int")
        flat = TensorType((kind.channels, *(1 for _ in kind.spatial)), batched=False)
        scale, shift = g.weight("weight"), g.weight("bias")
        if kind.spatial:
            scale, shift = (g.node("Unsqueeze", each, spread, type=flat) for each in (scale, shift))
        return g.node("Add", g.node("Mul", g.node("Div", apart, root, type=kind), scale, type=kind), shift)  # type: ignore[no-any-return]


class LocalResponseNorm(Op):
    """Each value divided by a power of the squares in the neighbouring channels (Krizhevsky et al., 2012, section 3.3).

    `x / (k + alpha / size * sum of squares) ** beta`, as in PyTorch; the paper's alpha is `alpha / size` here.
    """

    name = "lrn"
    takes = "c *s"

    size: Positive
    """How many neighbouring channels count, itself included; of an even number one more before than after."""
    _: KeywordOnly
    alpha: Real = 1e-4
    """The weight of the mean of squares."""
    beta: PositiveReal = 0.75
    """The power."""
    k: Real = 1.0
    """What is added to the mean of squares."""

    cases = (
        Case("lrn(5)", "[96, 27, 27] -> [96, 27, 27]"),
        Case("lrn(5, alpha=0.5, beta=0.5, k=2)", "[8, H, W] -> [8, H, W]"),
        Case("lrn(4, alpha=1)", "[8, 3, 3] -> [8, 3, 3]"),
        Case("lrn(3, alpha=1)", "[8, L] -> [8, L]"),
        Case("lrn(2, alpha=1)", "[4, 2, 3, 4] -> [4, 2, 3, 4]"),
        Case("lrn(9, alpha=1)", "[4, 3, 3] -> [4, 3, 3]"),
        Wrong("lrn(5)", "[8]", "wrong-rank"),
        Wrong("lrn(0)", "[8, 4]", "bad-argument", at="size"),
        Wrong("lrn(3, beta=0)", "[8, 4]", "bad-argument", at="beta"),
    )

    def module(self, x: TensorType) -> Expression | None:  # type: ignore[override]
        return None if x.rank == 4 else call("nn.LocalResponseNorm", self.size, **self._named())

    def torch(self, t: TorchContext, x: TorchValue) -> Expression:  # type: ignore[override]
        # PyTorch views volumes, and they may be permuted
        whole = method(x.node, "contiguous") if x.type.rank == 4 else x
        return t.function("F.local_response_norm", whole, self.size, **self._named())

    def _named(self) -> dict[str, Any]:
        given = {"alpha": (self.alpha, 1e-4), "beta": (self.beta, 0.75), "k": (self.k, 1.0)}
        return {name: now for name, (now, default) in given.items() if now != default}

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        if self.size % 2 == 1 and x.type.rank == 3:  # ONNX puts the odd neighbour behind, and onnxruntime wants images
            return g.node(  # type: ignore[no-any-return]
                "LRN", x, size=self.size, alpha=float(self.alpha), beta=float(self.beta), bias=float(self.k)
            )
        kind, dim = x.type, x.dim(0)
        before, after = self.size // 2, (self.size - 1) // 2
        axis = g.constant([dim], "int")
        squares = g.node("Mul", x, x, type=kind)
        padded = onnx_pad(g, squares, [(before, after)], first=0)
        parts = []
        for step in range(self.size):
            stop = g.constant([step - self.size + 1 or 2**31], "int")
            parts.append(g.node("Slice", padded, g.constant([step], "int"), stop, axis, type=kind))
        total = g.node("Sum", *parts, type=kind)
        scaled = g.node("Mul", total, g.constant(float(self.alpha) / self.size), type=kind)
        base = g.node("Add", scaled, g.constant(float(self.k)), type=kind)
        return g.node("Div", x, g.node("Pow", base, g.constant(float(self.beta)), type=kind))  # type: ignore[no-any-return]
