"""Activations: what a layer makes of each number, and softmax, what it makes of a whole axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from specc.catalogue.arguments import Axis, Flag, KeywordOnly, PositiveReal, Real, choice
from specc.catalogue.axes import UNSAID, chosen_axis, reach_along
from specc.catalogue.entry import Case, Wrong
from specc.catalogue.op import Op, Reach, TensorType, WeightedOp, WeightSpec
from specc.catalogue.ops.cases import at_every_rank
from specc.code.nodes import call

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression


class Activation(Op):
    """A function of each number, with a module and a function in PyTorch and a node in ONNX."""

    batchless = True
    makes = "activations"
    layer: ClassVar[str] = ""
    function: ClassVar[str] = ""
    node: ClassVar[str] = ""

    def places(self) -> tuple[Any, ...]:
        """PyTorch's arguments by position that are not at their default."""
        return ()

    def words(self) -> Mapping[str, Any]:
        """PyTorch's arguments by name that are not at their default."""
        return {}

    def attributes(self) -> Mapping[str, Any]:
        """ONNX's attributes."""
        return {}

    def module(self, *x: TensorType, **named: TensorType) -> Expression | None:
        return call(self.layer, *self.places(), **self.words())

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return t.function(self.function, *x, *self.places(), **self.words())

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        found: OnnxValue = g.node(self.node, *x, **self.attributes())
        return found


class Relu(Activation):
    """max(x, 0)."""

    name = "relu"
    layer, function, node = "nn.ReLU", "F.relu", "Relu"
    cases = at_every_rank("relu")


class Relu6(Activation):
    """min(max(x, 0), 6) (Howard et al. 2017)."""

    name = "relu6"
    layer, function, node = "nn.ReLU6", "F.relu6", "Clip"
    cases = at_every_rank("relu6")

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        found: OnnxValue = g.node(self.node, *x, g.constant(0.0), g.constant(6.0))
        return found


class LeakyRelu(Activation):
    """x above 0, slope * x below (Maas et al. 2013)."""

    name = "leaky_relu"
    layer, function, node = "nn.LeakyReLU", "F.leaky_relu", "LeakyRelu"
    cases = (*at_every_rank("leaky_relu"), Case("leaky_relu(0.2)", "[4, H, W] -> [4, H, W]"))

    slope: Real = 0.01
    """The slope below 0."""

    def places(self) -> tuple[Any, ...]:
        return () if self.slope == 0.01 else (self.slope,)

    def attributes(self) -> Mapping[str, Any]:
        return {"alpha": float(self.slope)}


class Elu(Activation):
    """x above 0, alpha * (exp(x) - 1) below (Clevert et al. 2016)."""

    name = "elu"
    layer, function, node = "nn.ELU", "F.elu", "Elu"
    cases = (*at_every_rank("elu"), Case("elu(0.5)", "[4, H, W] -> [4, H, W]"))

    alpha: Real = 1
    """What it tends to far below 0, negated."""

    def places(self) -> tuple[Any, ...]:
        return () if self.alpha == 1 else (self.alpha,)

    def attributes(self) -> Mapping[str, Any]:
        return {"alpha": float(self.alpha)}


class Gelu(Activation):
    """x times the chance that a standard normal number is below x (Hendrycks and Gimpel 2016)."""

    name = "gelu"
    layer, function, node = "nn.GELU", "F.gelu", "Gelu"
    cases = (*at_every_rank("gelu"), Case("gelu(approximate=true)", "[4, H, W] -> [4, H, W]"))

    _: KeywordOnly
    approximate: Flag = False
    """The form with tanh, as in GPT-2."""

    def words(self) -> Mapping[str, Any]:
        return {"approximate": "tanh"} if self.approximate else {}

    attributes = words


class Silu(Activation):
    """x * sigmoid(x), also called swish (Ramachandran et al. 2017)."""

    name = "silu"
    layer, function = "nn.SiLU", "F.silu"
    cases = at_every_rank("silu")

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        found: OnnxValue = g.node("Mul", *x, g.node("Sigmoid", *x))
        return found


class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    name = "sigmoid"
    makes = "probability"
    undone = True
    layer, function, node = "nn.Sigmoid", "torch.sigmoid", "Sigmoid"
    cases = at_every_rank("sigmoid")


class Tanh(Activation):
    """The hyperbolic tangent."""

    name = "tanh"
    layer, function, node = "nn.Tanh", "torch.tanh", "Tanh"
    cases = at_every_rank("tanh")


class Hardswish(Activation):
    """x * min(max(x + 3, 0), 6) / 6 (Howard et al. 2019)."""

    name = "hardswish"
    layer, function, node = "nn.Hardswish", "F.hardswish", "HardSwish"
    cases = at_every_rank("hardswish")


class Hardsigmoid(Activation):
    """min(max(x + 3, 0), 6) / 6."""

    name = "hardsigmoid"
    makes = "probability"
    layer, function, node = "nn.Hardsigmoid", "F.hardsigmoid", "HardSigmoid"
    cases = at_every_rank("hardsigmoid")

    def attributes(self) -> Mapping[str, Any]:
        return {"alpha": 1 / 6, "beta": 0.5}


class Softplus(Activation):
    """log(1 + exp(beta * x)) / beta (Dugas et al. 2001)."""

    name = "softplus"
    layer, function, node = "nn.Softplus", "F.softplus", "Softplus"
    cases = (*at_every_rank("softplus"), Case("softplus(beta=2.5)", "[4, H, W] -> [4, H, W]"))

    _: KeywordOnly
    beta: PositiveReal = 1
    """How sharp the bend at 0 is; the larger, the closer to relu."""

    def words(self) -> Mapping[str, Any]:
        return {} if self.beta == 1 else {"beta": self.beta}

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        if self.beta == 1:
            return super().onnx(g, *x)
        beta = g.constant(float(self.beta))
        found: OnnxValue = g.node("Div", g.node(self.node, g.node("Mul", *x, beta)), beta)
        return found


class Mish(Activation):
    """x * tanh(softplus(x)) (Misra 2019)."""

    name = "mish"
    layer, function, node = "nn.Mish", "F.mish", "Mish"
    cases = at_every_rank("mish")


class Identity(Activation):
    """The tensor as it is."""

    name = "identity"
    makes, moves = "", True
    dtypes = ("float", "int", "bool")
    layer, node = "nn.Identity", "Identity"
    cases = at_every_rank("identity")

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return x[0].node


class Softmax(Activation):
    """exp(x) divided by its sum along an axis: numbers from 0 to 1 that add up to 1."""

    name = "softmax"
    makes = "probabilities"
    undone = True
    layer, function, node = "nn.Softmax", "F.softmax", "Softmax"
    cases: ClassVar[tuple[Case | Wrong, ...]] = (
        Case("softmax", "[10] -> [10]"),
        Case("softmax", "[4, H, W] -> [4, H, W]"),
        Case("softmax(axis=-1)", "[T, 8] -> [T, 8]"),
        Case("softmax(axis=depth)", "[2, D, 4, 5] -> [2, D, 4, 5]"),
        Wrong("linear(4) -> softmax", "[3, 8]", "softmax-axis"),
        Wrong("softmax(axis=2)", "[3, 8]", "no-such-axis", at="axis"),
    )

    _: KeywordOnly
    axis: Axis = UNSAID
    """The axis along which the numbers add up to 1; 0 is the channels."""

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        chosen_axis(self.name, self.axis, x[0])
        return x[0]

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return reach_along(chosen_axis(self.name, self.axis, x[0]))

    def module(self, *x: TensorType, **named: TensorType) -> Expression | None:
        return call(self.layer, dim=chosen_axis(self.name, self.axis, x[0]) + x[0].batched)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return t.function(self.function, x[0], dim=x[0].dim(chosen_axis(self.name, self.axis, x[0].type)))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        found: OnnxValue = g.node(self.node, *x, axis=x[0].dim(chosen_axis(self.name, self.axis, x[0].type)))
        return found


class LogSoftmax(Softmax):
    """The logarithm of softmax, without the rounding of doing both."""

    name = "log_softmax"
    makes = "log-probabilities"
    layer, function, node = "nn.LogSoftmax", "F.log_softmax", "LogSoftmax"
    cases = (
        Case("log_softmax", "[10] -> [10]"),
        Case("log_softmax(axis=channels)", "[4, H, W] -> [4, H, W]"),
        Case("log_softmax(axis=-1)", "[2, 3, 4, W] -> [2, 3, 4, W]"),
        Wrong("linear(4) -> log_softmax", "[3, 8]", "softmax-axis"),
    )


class Prelu(WeightedOp):
    """x above 0, a learned slope times x below (He et al. 2015)."""

    name = "prelu"
    takes = "c *"
    cases = (
        Case("prelu", "[4, 6, 6] -> [4, 6, 6]", params=1),
        Case("prelu(per=channel)", "[4, H, W] -> [4, H, W]", params=4),
        Case("prelu(per=channel, start=0.1)", "[8] -> [8]", params=8),
        Case("prelu(per=channel)", "[C, L] -> [C, L]", params="C"),
        Case("prelu(per=channel)", "[2, 3, H, W] -> [2, 3, H, W]", params=2),
        Wrong('prelu(per="pixel")', "[4, 6]", "bad-argument", at="per"),
    )

    _: KeywordOnly
    per: Annotated[str, choice("all", "channel")] = "all"
    """One slope for all numbers, or one per channel."""
    start: Real = 0.25
    """What the slopes are before training."""

    def weights(self, *x: TensorType, **named: TensorType) -> Mapping[str, WeightSpec]:
        count = x[0].channels if self.per == "channel" else 1
        return {"weight": WeightSpec((count,), init="constant", decays=False, arguments=(("", self.start),))}

    def module(self, *x: TensorType, **named: TensorType) -> Expression | None:
        places = () if self.per == "all" else (x[0].channels,)
        return call("nn.PReLU", *places, **({} if self.start == 0.25 else {"init": self.start}))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        slope = g.weight("weight")
        spatial = [*range(1, x[0].type.rank)]
        if self.per == "channel" and spatial:
            kind = slope.type.to(*slope.type.shape, *(1 for _ in spatial))
            slope = g.node("Unsqueeze", slope, g.constant(spatial, "int"), type=kind)
        found: OnnxValue = g.node("PRelu", x[0], slope)
        return found
