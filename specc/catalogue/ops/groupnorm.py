"""Normalisation of each sample over the places of a channel, or of a group of channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from specc.catalogue.arguments import Flag, KeywordOnly, Positive, PositiveReal, Rate
from specc.catalogue.axes import shape as spelled
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Rule, TensorType, WeightedOp, WeightSpec
from specc.catalogue.ops.constants import filled
from specc.catalogue.run_time import new_shape_onnx
from specc.code.nodes import Expression, call, value
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, Size, product

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue


def more_than_one(count: Size, misfit: Misfit) -> Iterator[Rule]:
    """A single number has no variance."""
    if isinstance(count, Dim) or count < 2:
        yield Rule(Compare(count, ">=", 2) if isinstance(count, Dim) else False, misfit)


def scale_and_shift(channels: Size) -> dict[str, WeightSpec]:
    return {
        "weight": WeightSpec((channels,), init="ones", decays=False),
        "bias": WeightSpec((channels,), init="zeros", decays=False),
    }


class GroupNorm(WeightedOp):
    """The channels of each group, over all places, to mean 0 and variance 1 (Wu and He, arXiv:1803.08494).

    With one group it is layer normalisation over everything; then each channel is scaled and shifted by learned
    numbers.
    """

    name = "groupnorm"
    takes = "c *"

    groups: Positive
    """Into how many groups the channels are split."""
    _: KeywordOnly
    eps: PositiveReal = 1e-5
    """What is added to the variance before the root."""
    affine: Flag = True
    """Whether each channel is then scaled and shifted by learned numbers."""

    cases = (
        Case("groupnorm(2)", "[8, 6, 6] -> [8, 6, 6]", 16, 0),
        Case("groupnorm(4)", "[8] -> [8]", 16),
        Case("groupnorm(1, eps=1e-3)", "[8, L] -> [8, L]", 16),
        Case("groupnorm(3)", "[6, H, W] -> [6, H, W]", 12),
        Case("groupnorm(3, affine=false)", "[6, D, H, W] -> [6, D, H, W]", 0),
        Case("groupnorm(8)", "[8, H, 4] -> [8, H, 4]", 16),
        Case("groupnorm(4, affine=false)", "[4, 3, L] -> [4, 3, L]", 0),
        Case("groupnorm(2)", "[C, 4] -> [C, 4]", "2*C"),
        Case("groupnorm(2, affine=false)", "[C, L] -> [C, L]", 0),
        Wrong("groupnorm(3)", "[8, 4, 4]", "groups-do-not-divide", at="groups"),
        Wrong("groupnorm(8)", "[8]", "bad-argument", at="groups"),
        Wrong("groupnorm(0)", "[8, 4]", "bad-argument", at="groups"),
    )

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        channels = x[0].channels
        rest = channels % self.groups
        if isinstance(rest, Dim) or rest:
            near = [str(n) for n in range(1, 65) if isinstance(channels, int) and channels % n == 0]
            help = f"numbers that divide: {', '.join(near[:8])}" if near else ""
            message = f"{channels} channels do not split into {self.groups} groups"
            misfit = Misfit("groups-do-not-divide", message, help, argument="groups")
            yield Rule(Compare(rest, "==", 0) if isinstance(rest, Dim) else False, misfit)
        message = f"a group of a sample of shape {spelled(x[0].shape)} has a single number, which becomes 0"
        misfit = Misfit("bad-argument", message, "take fewer groups", argument="groups")
        yield from more_than_one(self._each(x[0]), misfit)

    def _each(self, x: TensorType) -> Size:
        """How many numbers a group has."""
        return x.channels // self.groups * product(x.spatial)

    def weights(self, *x: TensorType, **named: TensorType) -> Mapping[str, WeightSpec]:
        return scale_and_shift(x[0].channels) if self.affine else {}

    def reach(self, *x: TensorType) -> str | None:
        return EVERYTHING

    def module(self, *x: TensorType, **named: TensorType) -> Expression | None:
        if not self.affine and isinstance(x[0].channels, Dim):
            return None
        named_ = {} if self.affine else {"affine": False}
        return call("nn.GroupNorm", value(self.groups), value(x[0].channels), **self._words(), **named_)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return t.run(*x) if self.affine else t.function("F.group_norm", x[0], value(self.groups), **self._words())

    def _words(self) -> dict[str, Any]:
        return {} if self.eps == 1e-5 else {"eps": self.eps}

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        # onnxruntime subtracts the squares of means in GroupNormalization: far from 0 nothing is left of a variance
        kind, whole = x[0].type, self.groups == x[0].type.channels and x[0].type.rank > 1
        ones, zeros = (filled(g, [self.groups], number) for number in (1.0, 0.0))
        words: dict[str, Any] = {"epsilon": float(self.eps)}
        if whole:
            weights = (g.weight("weight"), g.weight("bias")) if self.affine else (ones, zeros)
            return g.node("InstanceNormalization", x[0], *weights, **words)  # type: ignore[no-any-return]
        flat = kind.to(self.groups, self._each(kind))
        grouped = g.node("Reshape", x[0], g.constant([0, self.groups, -1], "int"), type=flat)
        normal = g.node("InstanceNormalization", grouped, ones, zeros, **words, type=flat)
        found = g.node("Reshape", normal, new_shape_onnx(g, x[0], kind.shape), type=kind)
        if not self.affine:
            return found  # type: ignore[no-any-return]
        scale, shift = g.weight("weight"), g.weight("bias")
        if kind.spatial:
            spread = g.constant([1 + at for at in range(len(kind.spatial))], "int")
            each = TensorType((kind.channels, *(1 for _ in kind.spatial)), batched=False)
            scale, shift = (g.node("Unsqueeze", weight, spread, type=each) for weight in (scale, shift))
        return g.node("Add", g.node("Mul", found, scale, type=kind), shift)  # type: ignore[no-any-return]


class InstanceNorm(WeightedOp):
    """Each channel of each sample, over its places, to mean 0 and variance 1 (Ulyanov et al., arXiv:1607.08022)."""

    name = "instancenorm"
    takes = "c *s"

    _: KeywordOnly
    eps: PositiveReal = 1e-5
    """What is added to the variance before the root."""
    momentum: Rate = 0.1
    """The share of the newest batch in the tracked mean and variance."""
    affine: Flag = False
    """Whether each channel is then scaled and shifted by learned numbers."""
    track: Flag = False
    """Whether mean and variance are tracked over training and used in inference; if not, each sample has its own."""

    cases = (
        Case("instancenorm", "[8, 6, 6] -> [8, 6, 6]", 0, 0),
        Case("instancenorm(affine=true)", "[8, L] -> [8, L]", 16),
        Case("instancenorm(affine=true, eps=1e-3)", "[3, H, W] -> [3, H, W]", 6),
        Case("instancenorm", "[C, H, W] -> [C, H, W]", 0),
        Case("instancenorm(affine=true)", "[C, 4] -> [C, 4]", "2*C"),
        Case("instancenorm(track=true)", "[3, H, W] -> [3, H, W]", 0),
        Case("instancenorm(affine=true, track=true, momentum=0.01)", "[3, D, H, W] -> [3, D, H, W]", 6),
        Case("instancenorm", "[3, 2, H, W] -> [3, 2, H, W]", 0),
        Wrong("instancenorm", "[8]", "wrong-rank"),
        Wrong("instancenorm", "[8, 1, 1]", "bad-argument"),
        Wrong("instancenorm(eps=0)", "[8, 4]", "bad-argument", at="eps"),
    )

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        message = f"a channel of a sample of shape {spelled(x[0].shape)} has a single number, which becomes 0"
        help = "normalise over groups of channels, or over the batch"
        yield from more_than_one(product(x[0].spatial), Misfit("bad-argument", message, help))

    def weights(self, *x: TensorType, **named: TensorType) -> Mapping[str, WeightSpec]:
        c = (x[0].channels,)
        found = scale_and_shift(x[0].channels) if self.affine else {}
        if self.track:
            found["running_mean"] = WeightSpec(c, "buffer", init="zeros", decays=False)
            found["running_var"] = WeightSpec(c, "buffer", init="ones", decays=False)
            found["num_batches_tracked"] = WeightSpec((), "buffer", "int", init="zeros", decays=False)
        return found

    def reach(self, *x: TensorType) -> str | None:
        return None if self.track else EVERYTHING

    def module(self, *x: TensorType, **named: TensorType) -> Expression | None:
        if not self.affine and not self.track and isinstance(x[0].channels, Dim):
            return None
        words = self._words()
        words |= {} if self.momentum == 0.1 else {"momentum": self.momentum}
        words |= {"affine": True} if self.affine else {}
        words |= {"track_running_stats": True} if self.track else {}
        return call(f"nn.InstanceNorm{len(x[0].spatial)}d", value(x[0].channels), **words)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        if self.affine or self.track:
            return t.run(*x)
        return t.function("F.instance_norm", x[0], **self._words())

    def _words(self) -> dict[str, Any]:
        return {} if self.eps == 1e-5 else {"eps": self.eps}

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        channels = [x[0].type.channels]
        if self.affine:
            weights = [g.weight("weight"), g.weight("bias")]
        else:
            weights = [filled(g, channels, 1.0), filled(g, channels, 0.0)]
        kind = "InstanceNormalization"
        if self.track:
            kind = "BatchNormalization"
            weights += [g.weight("running_mean"), g.weight("running_var")]
        return g.node(kind, x[0], *weights, epsilon=float(self.eps))  # type: ignore[no-any-return]
