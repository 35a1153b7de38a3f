"""What is left to chance in training, and does nothing afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specc.catalogue.arguments import Rate
from specc.catalogue.entry import Case, Wrong
from specc.catalogue.op import Op, TensorType
from specc.code.nodes import Expression, call

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue


class Dropout(Op):
    """In training each value becomes 0 with this probability, and the others are scaled up; nothing in inference."""

    name = "dropout"

    rate: Rate = 0.5
    """The probability of a 0."""

    cases = (
        Case("dropout", "[4096] -> [4096]"),
        Case("dropout(0.1)", "[8, H, W] -> [8, H, W]"),
        Case("dropout(0)", "[5, 6] -> [5, 6]"),
        Wrong("dropout(1)", "[8]", "bad-argument", at="rate"),
        Wrong("dropout(0.1, 0.2)", "[8]", "too-many-arguments"),
    )

    def module(self, x: TensorType) -> Expression:  # type: ignore[override]
        return call("nn.Dropout", *([] if self.rate == 0.5 else [self.rate]))

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
        Wrong("channel_dropout(0.5)", "[8]", "wrong-rank"),
    )

    def module(self, x: TensorType) -> Expression:  # type: ignore[override]
        return call(f"nn.Dropout{len(x.spatial)}d", *([] if self.rate == 0.5 else [self.rate]))

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        return g.node("Identity", x)  # type: ignore[no-any-return]
