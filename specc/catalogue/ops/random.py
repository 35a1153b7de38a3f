"""What is left to chance in training, and does nothing afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from specc.catalogue.arguments import KeywordOnly, NonNegative, Rate, TensorArgument
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Op, Rule, TensorType
from specc.code.nodes import Attribute, Expression, Name, call, value

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue

TRAINING = Attribute(Name("self"), "training")


class Dropout(Op):
    """In training each value becomes 0 with this probability, and the others are scaled up; nothing in inference."""

    name = "dropout"

    rate: Rate = 0.5
    """The probability of a 0."""

    cases = (
        Case("dropout", "[4096] -> [4096]"),
        Case("dropout(0.1)", "[8, H, W] -> [8, H, W]"),
        Case("dropout(0)", "[5, 6] -> [5, 6]"),
        Case("input + dropout(a, 0.1)", "[4, L] -> [4, L]", given="a: relu"),
        Wrong("dropout(1)", "[8]", "bad-argument", at="rate"),
        Wrong("dropout(0.1, 0.2)", "[8]", "too-many-arguments"),
    )

    def module(self, x: TensorType) -> Expression:  # type: ignore[override]
        return call("nn.Dropout", *([] if self.rate == 0.5 else [self.rate]))

    def inline(self, t: TorchContext, x: TorchValue) -> Expression:  # type: ignore[override]
        return t.function("F.dropout", x, value(self.rate), TRAINING)

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        return g.node("Identity", x)  # type: ignore[no-any-return]


class ChannelDropout(Op):
    """In training each channel as a whole becomes 0 with this probability; nothing in inference."""

    name = "channel_dropout"
    takes = "c *s"

    rate: Rate
    """The probability that a channel is dropped."""

    cases = (
        Case("channel_dropout(0.2)", "[8, L] -> [8, L]"),
        Case("channel_dropout(0.5)", "[8, 4, 4] -> [8, 4, 4]"),
        Case("channel_dropout(0.5)", "[8, 2, 4, 4] -> [8, 2, 4, 4]"),
        Case("input + channel_dropout(a, 0.1)", "[4, H, W] -> [4, H, W]", given="a: relu"),
        Wrong("channel_dropout(0.5)", "[8]", "wrong-rank"),
    )

    def module(self, x: TensorType) -> Expression:  # type: ignore[override]
        return call(f"nn.Dropout{len(x.spatial)}d", *([] if self.rate == 0.5 else [self.rate]))

    def inline(self, t: TorchContext, x: TorchValue) -> Expression:  # type: ignore[override]
        return t.function(f"F.dropout{len(x.type.spatial)}d", x, value(self.rate), TRAINING)

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        return g.node("Identity", x)  # type: ignore[no-any-return]


class StochasticDepth(Op):
    """In training each sample as a whole becomes 0 with this probability, and the others are scaled up (Huang et al.,
    arXiv:1603.09382); nothing in inference.

    It goes on what is added to a shortcut, so that in training some samples pass the layers by.
    """

    name = "stochastic_depth"

    rate: Rate
    """The probability that a sample is dropped."""

    cases = (
        Case("stochastic_depth(0.2)", "[8] -> [8]"),
        Case("stochastic_depth(0.5)", "[T, 8] -> [T, 8]"),
        Case("stochastic_depth(0)", "[8, H, W] -> [8, H, W]"),
        Case("input + stochastic_depth(a, 0.3)", "[2, D, 3, 4] -> [2, D, 3, 4]", given="a: relu"),
        Wrong("stochastic_depth(1)", "[8]", "bad-argument", at="rate"),
        Wrong("stochastic_depth", "[8]", "missing-argument"),
    )

    def module(self, x: TensorType) -> Expression:  # type: ignore[override]
        return call("StochasticDepth", value(self.rate))

    def inline(self, t: TorchContext, x: TorchValue) -> Expression:  # type: ignore[override]
        return t.function("stochastic_depth", x, value(self.rate), TRAINING)

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        return g.node("Identity", x)  # type: ignore[no-any-return]


class Noise(Op):
    """Normal noise around 0 in the shape of a tensor, new in each step of training; zeros in inference."""

    name = "noise"
    inputs = (0, 0)
    takes = ""
    batchless = True

    std: NonNegative = 1
    """Its standard deviation."""
    _: KeywordOnly
    like: TensorArgument = None
    """The tensor whose shape it has."""

    cases = (
        Case("noise(like=input)", "[8] -> [8]"),
        Case("noise(0.5, like=input)", "[T, 8] -> [T, 8]"),
        Case("input + noise(0.1, like=input)", "[4, H, W] -> [4, H, W]"),
        Case("noise(like=input)", "[2, D, 3, 4] -> [2, D, 3, 4]"),
        Wrong("noise", "[8]", "missing-argument"),
        Wrong("noise(-1, like=input)", "[8]", "bad-argument", at="std"),
        Wrong("noise(like=3)", "[8]", "bad-argument", at="like"),
    )

    def rules(self, like: TensorType | None = None) -> Iterable[Rule]:  # type: ignore[override]
        if like is None:
            message = f"`{self.name}` needs a tensor whose shape it has"
            raise Misfit("missing-argument", message, f"write `{self.name}(like=x)`")
        if like.dtype != "float":
            raise Misfit(
                "wrong-dtype", f"`{self.name}` is real numbers; this tensor holds {like.dtype}", argument="like"
            )
        return ()

    def gives(self, like: TensorType) -> TensorType:  # type: ignore[override]
        return like

    def torch(self, t: TorchContext, like: TorchValue) -> Expression:  # type: ignore[override]
        return t.function("noise", like, value(self.std), TRAINING)

    def onnx(self, g: OnnxGraph, like: OnnxValue) -> OnnxValue:  # type: ignore[override]
        return g.node("Expand", g.constant(0.0), g.shape(*like.type.shape))  # type: ignore[no-any-return]
