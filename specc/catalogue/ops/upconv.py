"""Transposed convolution in one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING, Annotated, Any

from specc.catalogue.arguments import Flag, KeywordOnly, Kind, Pads, Positive, Window, either, items, whole
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Reach, Rule, TensorType, WeightedOp, WeightSpec
from specc.catalogue.ops import windows
from specc.catalogue.ops.kernels import bias_of, given, group_rules, together
from specc.catalogue.ops.padded import onnx_pad
from specc.catalogue.ops.windows import Axis, axes_of
from specc.code.nodes import Expression, call, value
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, Size, product

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue

Counts = Annotated[
    int | tuple[int, ...],
    Kind("a whole number from 0 on, or a list with one per axis", either(whole(0), items(whole(0), 1, 3))),
]


class UpConv(WeightedOp):
    """Transposed convolution: every input place spreads a window over the output, `stride` places apart."""

    name = "upconv"
    takes = "c *s"
    layout = "first"

    channels: Positive
    """How many channels it makes."""
    kernel: Window
    """Size of the window."""
    _: KeywordOnly
    stride: Window = 1
    """How many output places one input place is apart from the next."""
    padding: Pads = 0
    """Places cut off on each side of the output."""
    output_padding: Counts = 0
    """Places added at the end of the output; smaller than the stride or the dilation."""
    dilation: Window = 1
    """Distance between the places that one window reaches."""
    groups: Positive = 1
    """Parts into which the channels are split."""
    bias: Flag = True
    """Whether a learned number is added to each channel."""

    cases = (
        Case("upconv(64, 2, stride=2)", "[128, 28, 28] -> [64, 56, 56]", 32_832, 25_690_112),
        Case("upconv(4, 2, stride=2)", "[8, D, H, W] -> [4, 2*D, 2*H, 2*W]", 260, "256*D*H*W"),
        Case("upconv(4, 3, stride=2, padding=1, output_padding=1)", "[3, H, W] -> [4, 2*H, 2*W]", 112, "108*H*W"),
        Case("upconv(4, 4, stride=2, padding=1, bias=false)", "[3, L] -> [4, 2*L]", 48),
        Case("upconv(4, 3, dilation=2, groups=2)", "[2, 5, 6] -> [4, 9, 10]", 40),
        Case("upconv(2, 3, stride=2, padding=[[0, 1], 1])", "[3, 5, 4] -> [2, 10, 7]", 56),
        Case("upconv(4, 2, dilation=3, output_padding=2)", "[3, 5] -> [4, 10]", 28),
        Wrong("upconv(4, 2, stride=2, output_padding=2)", "[3, 5, 5]", "bad-argument", at="output_padding"),
        Wrong("upconv(4, 2, padding=4)", "[3, 5, 5]", "window-too-large", at="padding"),
        Wrong("upconv(4, 2, groups=2)", "[3, 5, 5]", "groups-do-not-divide", at="groups"),
    )

    def _added(self, x: TensorType) -> tuple[int, ...]:
        return windows.entries(self.output_padding, len(x.spatial), "output_padding")

    def _sizes(self, x: TensorType) -> list[Size]:
        return [_spread(axis) + more for axis, more in zip(axes_of(self, x), self._added(x), strict=True)]

    def rules(self, x: TensorType) -> Iterable[Rule]:  # type: ignore[override]
        yield from group_rules(self.groups, x.channels, self.channels)
        for axis, more in zip(axes_of(self, x), self._added(x), strict=True):
            most = max(axis.stride, axis.dilation)
            if more >= most:
                message = (
                    f"`output_padding` is {more}; it must be smaller than {most}, the larger of stride and dilation"
                )
                raise Misfit("bad-argument", message, argument="output_padding")
            cut, size = sum(axis.pads), _spread(axis)
            if cut >= axis.extent and (isinstance(size, Dim) or size < 1):
                predicate = Compare(size, ">=", 1) if isinstance(size, Dim) else False
                message = f"a padding of {cut} leaves nothing of the output, which has size {size + cut} without it"
                yield Rule(predicate, Misfit("window-too-large", message, argument="padding"))

    def gives(self, x: TensorType) -> TensorType:  # type: ignore[override]
        return x.to(self.channels, *self._sizes(x))

    def weights(self, x: TensorType) -> Mapping[str, WeightSpec]:  # type: ignore[override]
        kernel = windows.kernel_of(self, len(x.spatial))
        fan_in = self.channels // self.groups * prod(kernel)  # PyTorch takes it from the second axis, here too
        found = {"weight": WeightSpec((x.channels, self.channels // self.groups, *kernel), fan_in=fan_in)}
        return found | bias_of(self.bias, self.channels, fan_in)

    def macs(self, x: TensorType, *, y: TensorType) -> Size:  # type: ignore[override]
        kernel = windows.kernel_of(self, len(x.spatial))
        return x.channels * (self.channels // self.groups) * prod(kernel) * product(x.spatial)

    def reach(self, x: TensorType) -> tuple[Reach, ...]:  # type: ignore[override]
        return tuple(Reach(axis.extent, up=axis.stride) for axis in axes_of(self, x))

    def module(self, x: TensorType) -> Expression:  # type: ignore[override]
        rank = len(x.spatial)
        named = given(
            rank,
            stride=(self.stride, 1),
            padding=(self._own_padding(x), 0),
            output_padding=(self.output_padding, 0),
            groups=(self.groups, 1),
        )
        named |= {} if self.bias else {"bias": value(False)}
        named |= given(rank, dilation=(self.dilation, 1))
        return call(f"nn.ConvTranspose{rank}d", value(x.channels), value(self.channels), value(self.kernel), **named)

    def _own_padding(self, x: TensorType) -> Any:
        if isinstance(self.padding, int):
            return self.padding
        return together(tuple(min(axis.pads) for axis in axes_of(self, x)))

    def torch(self, t: TorchContext, x: TorchValue) -> Expression:  # type: ignore[override]
        axes = axes_of(self, x.type)
        if all(axis.before == axis.after for axis in axes):
            return t.run(x)
        least = [min(axis.pads) for axis in axes]
        cut = [
            side for axis, m in zip(axes[::-1], least[::-1], strict=True) for side in (m - axis.before, m - axis.after)
        ]
        return t.function("F.pad", t.run(x), tuple(cut))

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        axes = axes_of(self, x.type)
        added = self._added(x.type)
        # what is added is first taken from what would be cut off
        kept = [min(more, axis.pads[1]) for more, axis in zip(added, axes, strict=True)]
        added = tuple(more - keep for more, keep in zip(added, kept, strict=True))
        late = any(more >= axis.stride for more, axis in zip(added, axes, strict=True))  # more than onnxruntime adds
        attributes: dict[str, Any] = {
            "kernel_shape": [axis.kernel for axis in axes],
            "strides": [axis.stride for axis in axes],
            "pads": [
                *(axis.before for axis in axes),
                *(axis.pads[1] - keep for axis, keep in zip(axes, kept, strict=True)),
            ],
            "dilations": [axis.dilation for axis in axes],
            "group": self.groups,
        }
        if not late:
            bias = [g.weight("bias")] if self.bias else []
            return g.node("ConvTranspose", x, g.weight("weight"), *bias, **attributes, output_padding=list(added))  # type: ignore[no-any-return]
        made = g.types[0]
        short = made.to(made.channels, *(n - more for n, more in zip(made.spatial, added, strict=True)))
        spread = g.node("ConvTranspose", x, g.weight("weight"), **attributes, type=short)
        padded = onnx_pad(g, spread, [(0, more) for more in added])
        if not self.bias:
            return padded
        flat = TensorType((made.channels, *(1 for _ in axes)), batched=False)
        places = g.constant([1 + at for at in range(len(axes))], "int")
        return g.node("Add", padded, g.node("Unsqueeze", g.weight("bias"), places, type=flat))  # type: ignore[no-any-return]


def _spread(axis: Axis) -> Size:
    """What the windows cover of the output, without what is cut off."""
    return (axis.size - 1) * axis.stride + axis.extent - sum(axis.pads)
