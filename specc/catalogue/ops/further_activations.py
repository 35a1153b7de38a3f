"""Activations that are rarer: self-normalising ones, shrinking ones, and those with bounds or steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from specc.catalogue.arguments import NonNegative, PositiveReal, Real
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Rule, TensorType
from specc.catalogue.ops.activations import Activation
from specc.catalogue.ops.cases import at_every_rank

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue


class Selu(Activation):
    """scale * elu(x, alpha) with the two numbers that keep mean 0 and variance 1 from layer to layer (Klambauer et al.
    2017)."""

    name = "selu"
    layer, function, node = "nn.SELU", "F.selu", "Selu"
    cases = at_every_rank("selu")


class Celu(Activation):
    """x above 0, alpha * (exp(x / alpha) - 1) below: elu without a kink at 0 (Barron 2017)."""

    name = "celu"
    layer, function, node = "nn.CELU", "F.celu", "Celu"
    cases = (
        *at_every_rank("celu"),
        Case("celu(0.5)", "[4, H, W] -> [4, H, W]"),
        Wrong("celu(0)", "[4]", "bad-argument", at="alpha"),
    )

    alpha: PositiveReal = 1
    """What it tends to far below 0, negated."""

    def places(self) -> tuple[Any, ...]:
        return () if self.alpha == 1 else (self.alpha,)

    def attributes(self) -> Mapping[str, Any]:
        return {"alpha": float(self.alpha)}


class Softsign(Activation):
    """x / (1 + abs(x)) (Glorot and Bengio 2010)."""

    name = "softsign"
    layer, function, node = "nn.Softsign", "F.softsign", "Softsign"
    cases = at_every_rank("softsign")


class Logsigmoid(Activation):
    """log(1 / (1 + exp(-x))), without the rounding of doing both."""

    name = "logsigmoid"
    layer, function, node = "nn.LogSigmoid", "F.logsigmoid", "Softplus"
    cases = at_every_rank("logsigmoid")

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        found: OnnxValue = g.node("Neg", g.node(self.node, g.node("Neg", *x)))
        return found


class Hardtanh(Activation):
    """min(max(x, low), high) (Collobert 2004)."""

    name = "hardtanh"
    layer, function, node = "nn.Hardtanh", "F.hardtanh", "Clip"
    cases = (
        *at_every_rank("hardtanh"),
        Case("hardtanh(-0.25, 0.5)", "[4, H, W] -> [4, H, W]"),
        Case("hardtanh(high=0.5)", "[4, L] -> [4, L]"),
        Wrong("hardtanh(0.5, 0.25)", "[4]", "bad-argument", at="high"),
    )

    low: Real = -1
    """The least that it gives."""
    high: Real = 1
    """The most that it gives."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if self.high <= self.low:
            message = f"`high` must be above `low`; they are {self.high} and {self.low}"
            raise Misfit("bad-argument", message, argument="high" if self.high != 1 else "low")
        return ()

    def places(self) -> tuple[Any, ...]:
        return () if (self.low, self.high) == (-1, 1) else (self.low, self.high)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        found: OnnxValue = g.node(self.node, *x, g.constant(float(self.low)), g.constant(float(self.high)))
        return found


class Shrink(Activation):
    """0 around 0."""

    node = "Shrink"

    bound: NonNegative = 0.5
    """How far from 0 the numbers are that become 0."""

    def places(self) -> tuple[Any, ...]:
        return () if self.bound == 0.5 else (self.bound,)


class Softshrink(Shrink):
    """x moved towards 0 by the bound, and 0 where it is no further away (Donoho 1995)."""

    name = "softshrink"
    layer, function = "nn.Softshrink", "F.softshrink"
    cases = (
        *at_every_rank("softshrink"),
        Case("softshrink(0.25)", "[4, H, W] -> [4, H, W]"),
        Wrong("softshrink(-1)", "[4]", "bad-argument", at="bound"),
    )

    def attributes(self) -> Mapping[str, Any]:
        return {"lambd": float(self.bound), "bias": float(self.bound)}


class Hardshrink(Shrink):
    """x, but 0 where it is no further from 0 than the bound (Donoho and Johnstone 1994)."""

    name = "hardshrink"
    layer, function = "nn.Hardshrink", "F.hardshrink"
    cases = (
        *at_every_rank("hardshrink"),
        Case("hardshrink(0.25)", "[4, H, W] -> [4, H, W]"),
        Wrong("hardshrink(-1)", "[4]", "bad-argument", at="bound"),
    )

    def attributes(self) -> Mapping[str, Any]:
        return {"lambd": float(self.bound)}


class Tanhshrink(Activation):
    """x - tanh(x)."""

    name = "tanhshrink"
    layer, function, node = "nn.Tanhshrink", "F.tanhshrink", "Tanh"
    cases = at_every_rank("tanhshrink")

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        found: OnnxValue = g.node("Sub", *x, g.node(self.node, *x))
        return found


class Threshold(Activation):
    """x where it is above a bound, else another number."""

    name = "threshold"
    layer, function = "nn.Threshold", "F.threshold"
    cases = (
        *at_every_rank("threshold(0.25)"),
        Case("threshold(-0.5, 2)", "[4, H, W] -> [4, H, W]"),
        Wrong("threshold", "[4]", "missing-argument"),
    )

    above: Real
    """Numbers above this stay."""
    other: Real = 0
    """What the others become."""

    def places(self) -> tuple[Any, ...]:
        return (self.above, self.other)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        if self.other == 0 and self.above >= 0:
            return g.node("ThresholdedRelu", *x, alpha=float(self.above))  # type: ignore[no-any-return]
        kind = x[0].type.to(*x[0].type.shape, dtype="bool")
        below = g.node("LessOrEqual", *x, g.constant(float(self.above)), type=kind)
        return g.node("Where", below, g.constant(float(self.other)), *x)  # type: ignore[no-any-return]
