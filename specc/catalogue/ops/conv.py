"""Convolution in one, two and three dimensions, also with a table of the channels that are joined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING, Annotated, Any

from specc.catalogue.arguments import Flag, KeywordOnly, Padding, Positive, Table, Window, choice, optional
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Reach, Rule, TensorType, WeightedOp, WeightSpec
from specc.catalogue.ops import windows
from specc.catalogue.ops.fitting import window_rules
from specc.catalogue.ops.kernels import bias_of, given, group_rules, together
from specc.catalogue.ops.padded import onnx_pad, torch_pad
from specc.catalogue.ops.weight_norm import WEIGHT_NORM, normed_onnx, weight_normed
from specc.catalogue.ops.windows import Axis, axes_of
from specc.code.nodes import Expression, call, value
from specc.sizes.dim import Dim, Size, product

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue


class Conv(WeightedOp):
    """Convolution over every axis after the channels (cross-correlation, as in PyTorch)."""

    name = "conv"
    for_channels = True
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
    """Zeros around the input: a number, `[before, after]` per axis, `same` (the output has size `ceil(n / stride)`, an
    odd rest is behind), `valid` (none), `full` (the dilated kernel less 1 on each side), `causal` (all before)."""
    dilation: Window = 1
    """Distance between the places that one window sees."""
    groups: Positive = 1
    """Parts into which the channels are split; each part of the output sees one part of the input."""
    bias: Flag = True
    """Whether a learned number is added to each channel."""
    table: optional(Table) = None  # type: ignore[valid-type]
    """For each output channel the list of input channels that it sees; one kernel is stored per link."""
    weight_norm: Flag = False
    """Whether the kernel of each output channel is stored as its length and its direction (Salimans and Kingma,
    arXiv:1602.07868). They start as in PyTorch whatever the setting `init` says; weight decay acts on the lengths."""
    fit: Annotated[str, choice("exact", "down")] = "exact"
    """What to do where the last window would leave out input: refuse (`exact`), or leave it out (`down`)."""

    cases = (
        Case("conv(64, 7, stride=2, padding=3, bias=false)", "[3, 224, 224] -> [64, 112, 112]", 9_408, 118_013_952),
        Case("conv(8, 3, padding=1)", "[4, H, W] -> [8, H, W]", 296, "288*H*W"),
        Case("conv(8, 3)", "[4, 9] -> [8, 7]", 104, 672),
        Case("conv(6, 3, padding=same)", "[2, 5, 6, 7] -> [6, 5, 6, 7]", 330, 68_040),
        Case("conv(4, [1, 4], padding=same)", "[3, 5, 9] -> [4, 5, 9]", 52),
        Case("conv(4, 3, stride=2, padding=same)", "[3, 7, 8] -> [4, 4, 4]", 112),
        Case("conv(4, 3, stride=2, padding=same, bias=false)", "[3, H, W] -> [4, (H + 1)//2, (W + 1)//2]", 108),
        Case("conv(4, 2, stride=3, padding=same)", "[3, L] -> [4, (L + 2)//3]", 28),
        Case("conv(4, 3, stride=2, dilation=2, padding=same)", "[3, L] -> [4, (L + 1)//2]", 40),
        Case("conv(4, 3, padding=valid)", "[3, H, W] -> [4, H - 2, W - 2]", 112),
        Case("conv(4, 3, padding=full, dilation=2)", "[3, H, 6] -> [4, H + 4, 10]", 112),
        Case("conv(4, 3, padding=causal, dilation=2)", "[3, L] -> [4, L]", 40),
        Case("conv(4, 3, padding=[[0, 2], 1])", "[3, 6, 6] -> [4, 6, 6]", 112),
        Case("conv(6, 3, groups=3, padding=1)", "[3, 6, 6] -> [6, 6, 6]", 60, 1_944),
        Case("conv(8, 3, groups=4)", "[4, 6, 6, 6] -> [8, 4, 4, 4]", 224),
        Case("conv(3, 2, table=[[0, 1], [1], [0, 1, 2]])", "[3, 5, 5] -> [3, 4, 4]", 27, 384),
        Case("conv(2, 3, padding=1, table=[[2], [0, 3]], bias=false)", "[4, L] -> [2, L]", 9, "9*L"),
        Case("conv(8, 3, stride=3, fit=down)", "[4, 7, 7] -> [8, 2, 2]", 296),
        Case("conv(8, 1, stride=2)", "[4, 7, 8] -> [8, 4, 4]", 40),
        Wrong("conv(8, 9)", "[3, 4, 4]", "window-too-large", at="kernel"),
        Wrong("conv(8, 3, dilation=4)", "[3, 8]", "window-too-large", at="kernel"),
        Wrong("conv(8, 3, stride=3)", "[3, 7, 7]", "window-does-not-fit"),
        Wrong("conv(8, 3, padding=causal, stride=2)", "[3, 4]", "window-does-not-fit"),
        Wrong("conv(8, 3, groups=2)", "[3, 7, 7]", "groups-do-not-divide", at="groups"),
        Wrong("conv(9, 3, groups=2)", "[4, 7, 7]", "groups-do-not-divide", at="groups"),
        Wrong("conv(8, [3, 3])", "[3, 7]", "bad-argument", at="kernel"),
        Case("conv(4, 3, weight_norm=true)", "[3, L] -> [4, L - 2]", 44, "36*L - 72"),
        Case("conv(6, 3, groups=3, padding=1, bias=false, weight_norm=true)", "[3, 6, 6] -> [6, 6, 6]", 60),
        Case("conv(4, 3, stride=2, padding=same, weight_norm=true)", "[3, H, W] -> [4, (H + 1)//2, (W + 1)//2]", 116),
        Case("conv(2, 2, weight_norm=true)", "[C, 3, 4, 5] -> [2, 2, 3, 4]", "16*C + 4"),
        Wrong("conv(2, 3, table=[[0], [1]], weight_norm=true)", "[3, 7]", "unsupported-argument", at="weight_norm"),
        Wrong("conv(2, 3, init=he, weight_norm=true)", "[3, 7]", "unsupported-argument", at="init"),
        Wrong("conv(3, 3, table=[[0], [1]])", "[3, 7]", "bad-argument", at="table"),
        Wrong("conv(2, 3, table=[[0], [3]])", "[3, 7]", "bad-argument", at="table"),
        Wrong("conv(2, 3, table=[[0], [1, 1]])", "[3, 7]", "bad-argument", at="table"),
        Wrong("conv(2, 3, table=[[0], [1]])", "[C, 7]", "bad-argument", at="table"),
        Wrong("conv(8, 3)", "[12]", "wrong-rank"),
        Wrong("conv(8, 0)", "[3, 7]", "bad-argument", at="kernel"),
    )

    def rules(self, x: TensorType) -> Iterable[Rule]:  # type: ignore[override]
        if self.weight_norm and self.table is not None:
            message = "with a `table` each link has a kernel of its own, which `weight_norm` does not know"
            raise Misfit("unsupported-argument", message, "leave out one of the two", argument="weight_norm")
        if self.weight_norm and self.init is not None:
            message = "with `weight_norm` the kernel is two weights, a length and a direction, and `init` is for one"
            raise Misfit("unsupported-argument", message, "leave out one of the two", argument="init")
        yield from group_rules(self.groups, x.channels, self.channels)
        if self.table is not None:
            yield from self._table_rules(x.channels)
        yield from window_rules(self, x)

    def _table_rules(self, channels: Size) -> Iterable[Rule]:
        def refuse(message: str, help: str = "") -> Misfit:
            return Misfit("bad-argument", message, help, argument="table")

        if self.groups != 1:
            raise refuse("a `table` says which channels are joined, so `groups` cannot", "leave out one of the two")
        if len(self.table) != self.channels:
            raise refuse(
                f"`table` has {len(self.table)} lists for {self.channels} channels", "give one per output channel"
            )
        twice = next((row for row in self.table if len(set(row)) != len(row)), None)
        if twice is not None:
            raise refuse(f"`table` names an input channel twice in {list(twice)}")
        last = max(max(row) for row in self.table)
        if isinstance(channels, Dim):
            raise refuse(f"a `table` needs to know how many channels there are; here there are {channels}")
        if channels <= last:
            message = f"`table` names input channel {last}, and there are {channels}"
            yield Rule(False, refuse(message, "channels are counted from 0"))

    def gives(self, x: TensorType) -> TensorType:  # type: ignore[override]
        return x.to(self.channels, *(axis.out for axis in axes_of(self, x)))

    def weights(self, x: TensorType) -> Mapping[str, WeightSpec]:  # type: ignore[override]
        kernel = windows.kernel_of(self, len(x.spatial))
        each = prod(kernel)
        if self.table is None:
            fan_in = x.channels // self.groups * each
            found = {"weight": WeightSpec((self.channels, x.channels // self.groups, *kernel), fan_in=fan_in)}
        else:
            fan_in = max(len(row) for row in self.table) * each
            found = {"weight": WeightSpec((self._links, *kernel), fan_in=fan_in)}
        bias = bias_of(self.bias, self.channels, fan_in)
        return bias | weight_normed(found["weight"]) if self.weight_norm else found | bias

    @property
    def _links(self) -> int:
        return sum(len(row) for row in self.table)

    def macs(self, x: TensorType, *, y: TensorType) -> Size:  # type: ignore[override]
        links = self.channels * (x.channels // self.groups) if self.table is None else self._links
        return links * prod(windows.kernel_of(self, len(x.spatial))) * product(y.spatial)

    def reach(self, x: TensorType) -> tuple[Reach, ...]:  # type: ignore[override]
        return tuple(Reach(axis.extent, axis.stride) for axis in axes_of(self, x))

    def module(self, x: TensorType) -> Expression:  # type: ignore[override]
        axes, rank = axes_of(self, x), len(x.spatial)
        named = given(rank, stride=(self.stride, 1), padding=(self._own_padding(axes), 0), dilation=(self.dilation, 1))
        named |= {} if self.groups == 1 else {"groups": value(self.groups)}
        named |= {} if self.bias else {"bias": value(False)}
        kernel = windows.kernel_of(self, rank)
        if self.table is not None:
            return call("TableConv", value(x.channels), value(self.table), kernel, **named)
        if not all(axis.known for axis in axes):
            plain = call("SameConv", value(x.channels), value(self.channels), kernel, **named)
            return call(WEIGHT_NORM, plain) if self.weight_norm else plain
        plain = call(f"nn.Conv{rank}d", value(x.channels), value(self.channels), value(self.kernel), **named)
        return call(WEIGHT_NORM, plain) if self.weight_norm else plain

    def _own_padding(self, axes: tuple[Axis, ...]) -> Any:
        """The padding as PyTorch's module takes it; 0 where the input is padded before it."""
        if self._named_same(axes):
            return "same"
        if self._pads_first(axes) or not all(axis.known for axis in axes):
            return 0
        return self.padding if isinstance(self.padding, int) else together(tuple(axis.before for axis in axes))

    def _named_same(self, axes: tuple[Axis, ...]) -> bool:
        """Whether the module takes the word itself: PyTorch's only where it moves by 1."""
        return self.padding == "same" and (self.table is not None or all(axis.stride == 1 for axis in axes))

    def _pads_first(self, axes: tuple[Axis, ...]) -> bool:
        """Whether the padding differs before and after, so that the input is padded on its own."""
        return all(axis.known for axis in axes) and any(axis.before != axis.after for axis in axes)

    def torch(self, t: TorchContext, x: TorchValue) -> Expression:  # type: ignore[override]
        axes = axes_of(self, x.type)
        if self.table is not None:
            t.support("table_conv")
        elif not all(axis.known for axis in axes):
            t.support("same_conv")
        if self._named_same(axes) or not self._pads_first(axes):
            return t.run(x)
        return t.run(torch_pad(t, x, [axis.pads for axis in axes]))

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        axes = axes_of(self, x.type)
        weights = [self._kernel(g, x.type)]
        weights += [g.weight("bias")] if self.bias else []
        attributes: dict[str, Any] = {
            "kernel_shape": [axis.kernel for axis in axes],
            "strides": [axis.stride for axis in axes],
            "dilations": [axis.dilation for axis in axes],
            "group": self.groups,
        }
        if all(axis.known for axis in axes):
            attributes["pads"] = [*(axis.before for axis in axes), *(axis.after for axis in axes)]
        elif all(axis.fit == "same" and axis.dilation == 1 and axis.kernel >= axis.stride for axis in axes):
            attributes["auto_pad"] = "SAME_UPPER"  # onnxruntime refuses it for dilations and is wrong for gaps
        else:
            x = onnx_pad(g, x, [(axis.before, axis.after) for axis in axes])
        found: OnnxValue = g.node("Conv", x, *weights, **attributes)
        return found

    def _kernel(self, g: OnnxGraph, x: TensorType) -> OnnxValue:
        if self.table is not None:
            return self._dense(g, x)
        return normed_onnx(g, self.weights(x)) if self.weight_norm else g.weight("weight")

    def _dense(self, g: OnnxGraph, x: TensorType) -> OnnxValue:
        """The kernel of an ordinary convolution, with zeros where the table has no link."""
        assert self.table is not None
        rows = [at for at, row in enumerate(self.table) for _ in row]
        columns = [channel for row in self.table for channel in row]
        shape = (self.channels, x.channels, *windows.kernel_of(self, len(x.spatial)))

        def compute(weights: Mapping[str, Any]) -> Any:
            dense = weights["weight"][:1].repeat(prod(shape[:2]), 0).reshape(shape)
            dense[:] = 0
            dense[rows, columns] = weights["weight"]
            return dense

        return g.new_weight("weight_dense", WeightSpec(shape), compute)
