"""Convolution whose weights are not shared: every place has its own kernels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product as places_of
from math import prod
from typing import TYPE_CHECKING, Annotated

from specc.catalogue.arguments import Flag, KeywordOnly, Padding, Positive, Window, choice
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Reach, Rule, TensorType, WeightedOp, WeightSpec
from specc.catalogue.ops.fitting import window_rules
from specc.catalogue.ops.padded import onnx_pad
from specc.catalogue.ops.windows import Axis, axes_of, kernel_of, stride_of
from specc.code.nodes import Expression, call, value
from specc.sizes.dim import Dim, Size, product

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue


class LocalConv(WeightedOp):
    """Convolution with other kernels, and another bias, at every place (LeCun 1989; Taigman et al. 2014, DeepFace): as
    many parameters as windows * channels * (input channels * kernel places + 1). The input's size is part of it."""

    name = "local_conv"
    takes = "c *s"
    layout = "first"

    channels: Positive
    """How many channels it makes."""
    kernel: Window
    """Size of the window: one number for all axes, or a list with one per axis."""
    _: KeywordOnly
    stride: Window = 1
    """How far the window moves."""
    padding: Padding = 0
    """Zeros around the input: a number, `[before, after]` per axis, `same`, `valid`, `full` or `causal` as for `conv`."""
    bias: Flag = True
    """Whether a learned number is added to each channel at each place."""
    fit: Annotated[str, choice("exact", "down")] = "exact"
    """What to do where the last window would leave out input: refuse (`exact`), or leave it out (`down`)."""

    cases = (
        Case("local_conv(4, 3)", "[3, 5, 6] -> [4, 3, 4]", 1_344, 1_296),
        Case("local_conv(2, 3, padding=same, bias=false)", "[3, 7] -> [2, 7]", 126, 126),
        Case("local_conv(2, [1, 2], stride=[2, 1], padding=[[1, 0], 1])", "[1, 5, 4] -> [2, 3, 5]", 90, 60),
        Case("local_conv(2, 2, stride=2)", "[1, 4, 2, 6] -> [2, 2, 1, 3]", 108, 96),
        Case("local_conv(2, 3, stride=2, fit=down)", "[2, 6] -> [2, 2]", 28, 24),
        Case("local_conv(4, 2)", "[2, L] -> [4, L - 1]", "20*L - 20", "16*L - 16"),
        Case("local_conv(2, 3, stride=2, padding=same)", "[2, H, 5] -> [2, (H + 1)//2, 3]", "114*((H + 1)//2)"),
        Wrong("local_conv(8, 9)", "[3, 4, 4]", "window-too-large", at="kernel"),
        Wrong("local_conv(8, 3, stride=3)", "[3, 7, 7]", "window-does-not-fit"),
        Wrong("local_conv(8, [3, 3])", "[3, 7]", "bad-argument", at="kernel"),
        Wrong("local_conv(8, 3)", "[12]", "wrong-rank"),
        Wrong("local_conv(8)", "[3, 7]", "missing-argument"),
    )

    def rules(self, x: TensorType) -> Iterable[Rule]:  # type: ignore[override]
        return window_rules(self, x)

    def _out(self, x: TensorType) -> tuple[Size, ...]:
        return tuple(axis.out for axis in axes_of(self, x))

    def gives(self, x: TensorType) -> TensorType:  # type: ignore[override]
        return x.to(self.channels, *self._out(x))

    def weights(self, x: TensorType) -> Mapping[str, WeightSpec]:  # type: ignore[override]
        kernel, out = kernel_of(self, len(x.spatial)), self._out(x)
        fan_in = x.channels * prod(kernel)
        found = {"weight": WeightSpec((*out, self.channels, x.channels, *kernel), fan_in=fan_in)}
        if self.bias:
            found["bias"] = WeightSpec((self.channels, *out), fan_in=fan_in, decays=False)
        return found

    def macs(self, x: TensorType, *, y: TensorType) -> Size:  # type: ignore[override]
        return product(y.shape) * x.channels * prod(kernel_of(self, len(x.spatial)))

    def reach(self, x: TensorType) -> tuple[Reach, ...]:  # type: ignore[override]
        return tuple(Reach(axis.extent, axis.stride) for axis in axes_of(self, x))

    def module(self, x: TensorType) -> Expression:  # type: ignore[override]
        axes, rank = axes_of(self, x), len(x.spatial)
        pads = tuple(side for axis in reversed(axes) for side in (axis.before, axis.after))
        named = {"pads": value(pads)} if any(pads) else {}
        named |= {} if self.bias else {"bias": value(False)}
        sizes = value(x.channels), value(self.channels), value(self._out(x))
        return call("LocalConv", *sizes, kernel_of(self, rank), stride_of(self, rank), **named)

    def torch(self, t: TorchContext, x: TorchValue) -> Expression:  # type: ignore[override]
        t.support("local_conv")
        return t.run(x)

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        """The places of every window gathered, then one product for each window."""
        axes, made = axes_of(self, x.type), g.types[0]
        if any(isinstance(size, Dim) for size in (*x.type.shape, *made.shape)):
            raise Misfit("not-in-onnx", f"`{self.name}` needs to know the size of its input", "bind it with --size")
        pads = [(axis.before, axis.after) for axis in axes]
        if any(map(any, pads)):
            x = onnx_pad(g, x, pads)
        spread = x.type.to(x.type.channels, product(x.type.spatial))
        flat = x if len(axes) == 1 else g.node("Reshape", x, g.constant([0, 0, -1], "int"), type=spread)
        places = _places(axes)
        windows, window = len(places), len(places[0])
        seen = x.type.to(x.type.channels, windows, window)
        gathered = g.node("Gather", flat, g.constant(places, "int"), axis=2, type=seen)
        shape = (windows, self.channels, x.type.channels, window)
        weight = g.new_weight("weight_by_window", WeightSpec(shape), lambda given: given["weight"].reshape(shape))
        wide = made.to(self.channels, windows)
        found = g.node("Einsum", gathered, weight, equation="nclk,lock->nol", type=wide)
        if len(axes) > 1:
            found = g.node("Reshape", found, g.constant([0, *made.shape], "int"))
        return g.node("Add", found, g.weight("bias")) if self.bias else found  # type: ignore[no-any-return]


def _places(axes: tuple[Axis, ...]) -> list[list[int]]:
    """For each window in row order the places that it sees, in row order of the padded input."""
    out, padded = _known(axis.out for axis in axes), _known(axis.padded for axis in axes)
    starts = [[at * axis.stride for at in range(count)] for axis, count in zip(axes, out, strict=True)]
    steps = [range(axis.kernel) for axis in axes]
    lengths = [prod(padded[at + 1 :]) for at in range(len(axes))]

    def flat(start: tuple[int, ...], step: tuple[int, ...]) -> int:
        return sum((a + b) * length for a, b, length in zip(start, step, lengths, strict=True))

    return [[flat(start, step) for step in places_of(*steps)] for start in places_of(*starts)]


def _known(sizes: Iterable[Size]) -> list[int]:
    return [size for size in sizes if isinstance(size, int)]
