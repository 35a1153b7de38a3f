"""Pools over moving windows, and over all places at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from specc.catalogue.arguments import Flag, KeywordOnly, Pads, Window, choice, optional
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Op, Reach, Rule, TensorType
from specc.catalogue.ops.fitting import window_rules
from specc.catalogue.ops.kernels import given, together
from specc.catalogue.ops.padded import NEGATIVE_INFINITY, closing, closing_widths, onnx_pad, torch_pad
from specc.catalogue.ops.places import POOL, unpadded, within_channel
from specc.catalogue.ops.windows import Axis, axes_of
from specc.code.nodes import Binary, Expression, call, value
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue

STRIDE = optional(Window, "kernel")
FIT = Annotated[str, choice("exact", "down", "up")]


class _Pool(Op):
    """A pool over moving windows."""

    takes = "c *s"
    layout = "first"
    fits_up: ClassVar[bool] = True
    torch_name: ClassVar[str] = ""  # MaxPool
    function: ClassVar[str] = ""  # max_pool

    kernel: Any
    stride: Any
    padding: Any
    dilation: Any = 1
    fit: Any

    def rules(self, x: TensorType) -> Iterable[Rule]:  # type: ignore[override]
        for axis in axes_of(self, x):
            most = max(axis.pads)
            if most >= axis.extent:
                message = f"`padding` {most} is not smaller than the window, which is {axis.extent} long"
                raise Misfit("bad-argument", message, "a window must see some of the input", argument="padding")
            if axis.dilation > 1 and most and (isinstance(axis.size, Dim) or axis.size < axis.dilation):
                predicate = Compare(axis.size, ">=", axis.dilation) if isinstance(axis.size, Dim) else False
                message = f"{axis.size} {axis.adjective}, dilation {axis.dilation}: a window would see padding only"
                yield Rule(predicate, Misfit("window-too-large", message, argument="dilation"))
        yield from window_rules(self, x)

    def gives(self, x: TensorType) -> TensorType:  # type: ignore[override]
        return x.to(x.channels, *(axis.out for axis in axes_of(self, x)))

    def reach(self, x: TensorType) -> tuple[Reach, ...]:  # type: ignore[override]
        return tuple(Reach(axis.extent, axis.stride) for axis in axes_of(self, x))

    def _native(self, axes: tuple[Axis, ...]) -> bool:
        """Whether PyTorch's own module takes this padding."""
        return all(axis.before == axis.after and axis.pads[0] <= axis.kernel // 2 for axis in axes)

    def _arguments(self, axes: tuple[Axis, ...]) -> dict[str, Expression]:
        rank = len(axes)
        moves = {} if self.stride is None or self.stride == self.kernel else {"stride": value(self.stride)}
        named = moves | given(
            rank, padding=(together(tuple(axis.before for axis in axes)), 0), dilation=(self.dilation, 1)
        )
        return named | ({"ceil_mode": value(True)} if self.fit == "up" else {})

    def module(self, x: TensorType) -> Expression | None:  # type: ignore[override]
        axes = axes_of(self, x)
        if not self._native(axes):
            return None
        return call(f"nn.{self.torch_name}{len(axes)}d", value(self.kernel), **self._arguments(axes))

    def torch(self, t: TorchContext, x: TorchValue) -> Expression:  # type: ignore[override]
        axes = axes_of(self, x.type)
        if not self._native(axes):
            return self._padded_first(t, x, axes)
        named = self._arguments(axes) | ({"return_indices": value(True)} if len(t.types) > 1 else {})
        return t.function(f"F.{self.function}{len(axes)}d", x, value(self.kernel), **named)

    def _padded_first(self, t: TorchContext, x: TorchValue, axes: tuple[Axis, ...]) -> Expression:
        raise NotImplementedError

    def _unpadded(self, t: TorchContext, padded: Expression, rank: int, ceil: bool) -> Expression:
        named = given(rank, dilation=(self.dilation, 1))
        named |= {} if self.stride is None or self.stride == self.kernel else {"stride": value(self.stride)}
        named |= {"ceil_mode": value(True)} if ceil else {}
        return t.function(f"F.{self.function}{rank}d", padded, value(self.kernel), **named)

    def _attributes(self, axes: tuple[Axis, ...]) -> dict[str, Any]:
        return {
            "kernel_shape": [axis.kernel for axis in axes],
            "strides": [axis.stride for axis in axes],
            "pads": [*(axis.before for axis in axes), *(axis.after for axis in axes)],
            "ceil_mode": int(self.fit == "up"),
        }


class MaxPool(_Pool):
    """The largest value in each window; padding never counts. `.indices` says where each lay, for `unpool`: its place
    within the channel, counted in row order."""

    name = "maxpool"
    further = ("indices",)
    torch_name = "MaxPool"
    function = "max_pool"

    kernel: Window
    """Size of the window: one number for all axes, or a list with one per axis."""
    _: KeywordOnly
    stride: STRIDE = None  # type: ignore[valid-type]
    """How far the window moves; by default its own size."""
    padding: Pads = 0
    """Places around the input that never win: a number, or per axis a number or `[before, after]`."""
    dilation: Window = 1
    """Distance between the places that one window sees."""
    fit: FIT = "exact"
    """Where the last window would leave out input: refuse (`exact`), leave it out (`down`), or add a window that hangs
    over the end (`up`)."""

    cases = (
        Case("maxpool(2)", "[4, 8, 6] -> [4, 4, 3]"),
        Case("maxpool(2)", "[4, H, W] -> [4, H//2, W//2]"),
        Case("maxpool(3, stride=2, padding=1)", "[64, 112, 112] -> [64, 56, 56]"),
        Case("maxpool(3, stride=2)", "[4, 11] -> [4, 5]"),
        Case("maxpool([1, 2, 2])", "[4, 5, 6, 8] -> [4, 5, 3, 4]"),
        Case("maxpool(2, fit=down)", "[4, 7, 9] -> [4, 3, 4]"),
        Case("maxpool(2, fit=up)", "[4, 7, 9] -> [4, 4, 5]"),
        Case("maxpool(3, stride=2, fit=up)", "[4, H, 8] -> [4, H//2, 4]"),
        Case("maxpool(3, stride=1, padding=1, dilation=2, fit=up)", "[2, 7, L] -> [2, 5, L - 2]"),
        Case("maxpool(3, stride=1, padding=[[0, 2], 1])", "[2, 5, 6] -> [2, 5, 6]"),
        Case("maxpool(2, stride=3, padding=[[0, 1]], fit=up)", "[2, L] -> [2, (L + 2)//3]"),
        Case("maxpool(2)", "[4, 8, 6] -> [4, 4, 3]; int [4, 4, 3]"),
        Case(
            "maxpool(3, stride=2, padding=1)",
            "[3, H, W] -> [3, (H + 1)//2, (W + 1)//2]; int [3, (H + 1)//2, (W + 1)//2]",
        ),
        Case("maxpool(2, fit=up)", "[3, 5, 7, 6] -> [3, 3, 4, 3]; int [3, 3, 4, 3]"),
        Case("maxpool(3, stride=1, padding=[[0, 2], 1])", "[2, 5, W] -> [2, 5, W]; int [2, 5, W]"),
        Case("maxpool(3, stride=2, padding=[[2, 0]])", "[2, 9] -> [2, 5]; int [2, 5]"),
        Case("maxpool(2, stride=3, padding=[[0, 1]], fit=up)", "[2, L] -> [2, (L + 2)//3]; int [2, (L + 2)//3]"),
        Wrong("maxpool(2)", "[4, 7, 8]", "window-does-not-fit"),
        Wrong("maxpool(3, stride=3)", "[4, 7, 7]", "window-does-not-fit"),
        Wrong("maxpool(5)", "[4, 4, 4]", "window-too-large", at="kernel"),
        Wrong("maxpool(3, padding=3)", "[4, 9, 9]", "bad-argument", at="padding"),
        Wrong("maxpool(3, fit=sideways)", "[4, 9, 9]", "unknown-name", at="fit"),
    )

    def gives(self, x: TensorType) -> tuple[TensorType, ...]:  # type: ignore[override]
        made = super().gives(x)
        return made, replace(made.to(*made.shape, dtype="int"), places=x.spatial)

    def _padded_first(self, t: TorchContext, x: TorchValue, axes: tuple[Axis, ...]) -> Expression:
        widths = closing_widths(t, x, axes)
        if len(t.types) > 1:
            t.support("padded_max_pool")
            flat = tuple(side for pair in reversed(list(widths)) for side in pair)
            stride = self.kernel if self.stride is None else self.stride
            return call(
                "padded_max_pool", x.node, flat, self.kernel, stride, **given(len(axes), dilation=(self.dilation, 1))
            )
        return self._unpadded(t, torch_pad(t, x, widths, NEGATIVE_INFINITY), len(axes), ceil=False)

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue | tuple[OnnxValue, ...]:  # type: ignore[override]
        axes, plain = axes_of(self, x.type), x.type
        attributes = self._attributes(axes) | {"dilations": [axis.dilation for axis in axes]}
        if any(axis.unclear or max(axis.pads) >= axis.kernel for axis in axes):
            # ONNX is unclear about windows behind the input; onnxruntime refuses pads as long as a dilated kernel
            x = onnx_pad(g, x, [(axis.before, closing(axis)) for axis in axes], NEGATIVE_INFINITY)
            attributes |= {"pads": [0] * (2 * len(axes)), "ceil_mode": 0}
        if len(g.types) == 1:
            return g.node(POOL, x, **attributes)  # type: ignore[no-any-return]
        largest, flat = g.node(POOL, x, **attributes, outputs=2)
        places = within_channel(g, flat, x.type)
        if x.type is not plain:
            places = unpadded(g, places, plain, x.type, [axis.pads[0] for axis in axes])
        return largest, places


class AvgPool(_Pool):
    """The mean of each window."""

    name = "avgpool"
    torch_name = "AvgPool"
    function = "avg_pool"

    kernel: Window
    """Size of the window: one number for all axes, or a list with one per axis."""
    _: KeywordOnly
    stride: STRIDE = None  # type: ignore[valid-type]
    """How far the window moves; by default its own size."""
    padding: Pads = 0
    """Zeros around the input: a number, or per axis a number or `[before, after]`."""
    count_padding: Flag = True
    """Whether the zeros of the padding count as places; what hangs over it with `fit=up` never does."""
    fit: FIT = "exact"
    """Where the last window would leave out input: refuse (`exact`), leave it out (`down`), or add a window that hangs
    over the end (`up`)."""

    cases = (
        Case("avgpool(2)", "[4, 8, 6] -> [4, 4, 3]"),
        Case("avgpool(2)", "[4, L] -> [4, L//2]"),
        Case("avgpool(3, stride=2, padding=1)", "[4, 7, 7] -> [4, 4, 4]"),
        Case("avgpool(3, stride=1, padding=1, count_padding=false)", "[4, H, W] -> [4, H, W]"),
        Case("avgpool(2, stride=[1, 2, 2])", "[4, 5, 6, 8] -> [4, 4, 3, 4]"),
        Case("avgpool(3, stride=2, padding=1, fit=up)", "[4, 8, W] -> [4, 5, W//2 + 1]"),
        Case("avgpool(3, stride=2, padding=1, count_padding=false, fit=up)", "[4, 8, 8] -> [4, 5, 5]"),
        Case("avgpool(3, stride=1, padding=[[0, 2], 1])", "[2, 5, 6] -> [2, 5, 6]"),
        Case("avgpool(3, stride=2, padding=[[0, 2]], count_padding=false, fit=up)", "[2, 8] -> [2, 4]"),
        Case("avgpool(2, stride=3, padding=[[0, 1]], fit=up)", "[2, L] -> [2, (L + 2)//3]"),
        Wrong("avgpool(3, stride=1, padding=1)", "[4, 2, 9, 9]", "window-too-large", at="kernel"),
        Wrong("avgpool(3)", "[4, 7, 9]", "window-does-not-fit"),
        Wrong("avgpool([2, 2])", "[4, 8]", "bad-argument", at="kernel"),
        Wrong("avgpool(2)", "[8]", "wrong-rank"),
    )

    def rules(self, x: TensorType) -> Iterable[Rule]:  # type: ignore[override]
        yield from super().rules(x)
        for axis in axes_of(self, x) if len(x.spatial) == 3 else ():  # PyTorch's avg_pool3d wants it, padding or not
            if isinstance(axis.size, Dim) or axis.size < axis.kernel:
                predicate = Compare(axis.size, ">=", axis.kernel) if isinstance(axis.size, Dim) else False
                message = (
                    f"{axis.size} {axis.adjective} without padding: in 3-D a window of {axis.kernel} must fit in that"
                )
                yield Rule(predicate, Misfit("window-too-large", message, argument="kernel"))

    def _arguments(self, axes: tuple[Axis, ...]) -> dict[str, Expression]:
        padded = any(axis.before for axis in axes)
        return super()._arguments(axes) | (
            {"count_include_pad": value(False)} if padded and not self.count_padding else {}
        )

    def _padded_first(self, t: TorchContext, x: TorchValue, axes: tuple[Axis, ...]) -> Expression:
        widths = closing_widths(t, x, axes, most=True)
        rank, ceil = len(axes), self.fit == "up"
        pooled = self._unpadded(t, torch_pad(t, x, widths), rank, ceil)
        if self.count_padding:
            return pooled
        ones = torch_pad(t, t.function("torch.ones_like", x), widths)
        return Binary("/", pooled, self._unpadded(t, ones, rank, ceil))

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        axes = axes_of(self, x.type)
        attributes = self._attributes(axes)
        if any(axis.unclear for axis in axes):
            return self._by_shares(g, x, axes, attributes | {"pads": [0] * (2 * len(axes)), "ceil_mode": 0})
        found: OnnxValue = g.node("AveragePool", x, **attributes, count_include_pad=int(self.count_padding))
        return found

    def _by_shares(self, g: OnnxGraph, x: OnnxValue, axes: tuple[Axis, ...], attributes: dict[str, Any]) -> OnnxValue:
        """The mean with zeros where a window hangs over, divided by the share of its places that count."""
        widths = [(axis.before, closing(axis, most=True)) for axis in axes]
        over = [(0, closing(axis) - most) for axis, (_, most) in zip(axes, widths, strict=True)]
        ones = g.node(
            "Expand",
            g.constant(1.0),
            g.node("Shape", x, type=TensorType((x.dim(x.type.rank),), "int", False)),
            type=x.type,
        )
        counted = onnx_pad(g, ones, widths, float(self.count_padding))
        sums, shares = (
            g.node("AveragePool", onnx_pad(g, each, over), **attributes, type=g.types[0])
            for each in (onnx_pad(g, x, widths), counted)
        )
        return g.node("Div", sums, shares)  # type: ignore[no-any-return]


class _GlobalPool(Op):
    """A pool over all places at once, which drops their axes."""

    takes = "c *s"
    layout = ""
    kind: ClassVar[str] = ""  # AdaptiveAvgPool
    function: ClassVar[str] = ""
    node: ClassVar[str] = ""

    def gives(self, x: TensorType) -> TensorType:  # type: ignore[override]
        return x.to(x.channels)

    def reach(self, x: TensorType) -> str:  # type: ignore[override]
        return EVERYTHING

    def module(self, x: TensorType) -> Expression:  # type: ignore[override]
        return call("nn.Sequential", call(f"nn.{self.kind}{len(x.spatial)}d", 1), call("nn.Flatten"))

    def torch(self, t: TorchContext, x: TorchValue) -> Expression:  # type: ignore[override]
        dims = tuple(x.dim(axis) for axis in range(1, x.type.rank))
        return t.function(self.function, x, dim=dims if len(dims) > 1 else dims[0])

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        axes = g.constant([x.dim(axis) for axis in range(1, x.type.rank)], "int")
        found: OnnxValue = g.node(self.node, x, axes, keepdims=0)
        return found


class GlobalAvgPool(_GlobalPool):
    """The mean of each channel over all places; the spatial axes are gone."""

    name = "global_avgpool"
    kind = "AdaptiveAvgPool"
    function = "torch.mean"
    node = "ReduceMean"
    cases = (
        Case("global_avgpool", "[512, 7, 7] -> [512]"),
        Case("global_avgpool", "[8, H, W] -> [8]"),
        Case("global_avgpool", "[8, L] -> [8]"),
        Case("global_avgpool", "[8, 2, 3, 4] -> [8]"),
        Wrong("global_avgpool", "[8]", "wrong-rank"),
    )


class GlobalMaxPool(_GlobalPool):
    """The largest value of each channel over all places; the spatial axes are gone."""

    name = "global_maxpool"
    kind = "AdaptiveMaxPool"
    function = "torch.amax"
    node = "ReduceMax"
    cases = (
        Case("global_maxpool", "[8, 7, 5] -> [8]"),
        Case("global_maxpool", "[8, L] -> [8]"),
        Case("global_maxpool", "[8, 2, H, W] -> [8]"),
        Wrong("global_maxpool(2)", "[8, 4]", "too-many-arguments"),
    )
