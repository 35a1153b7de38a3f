"""Adaptive pools: as many windows as are asked for, spread over whatever size there is."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from specc.catalogue.arguments import Window
from specc.catalogue.entry import Case, Wrong
from specc.catalogue.op import EVERYTHING, Op, Reach, TensorType
from specc.catalogue.ops.windows import entries
from specc.code.nodes import Expression, call, value
from specc.sizes.dim import Dim, Size

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue

INT = "int"


class _AdaptivePool(Op):
    """Window i of `size` reaches from `floor(i n / size)` to `ceil((i + 1) n / size)`, as in PyTorch."""

    takes = "c *s"
    layout = "first"
    kind: ClassVar[str] = ""
    function: ClassVar[str] = ""
    node: ClassVar[str] = ""
    reduction: ClassVar[str] = ""

    size: Window
    """How many windows: one number for all axes, or a list with one per axis."""

    def gives(self, x: TensorType) -> TensorType:  # type: ignore[override]
        return x.to(x.channels, *entries(self.size, len(x.spatial), "size"))

    def reach(self, x: TensorType) -> tuple[Reach, ...] | str:  # type: ignore[override]
        found = [_even(n, size) for n, size in zip(x.spatial, entries(self.size, len(x.spatial), "size"), strict=True)]
        return EVERYTHING if None in found else tuple(Reach(*each) for each in found if each)

    def module(self, x: TensorType) -> Expression:  # type: ignore[override]
        return call(f"nn.{self.kind}{len(x.spatial)}d", value(self.size))

    def torch(self, t: TorchContext, x: TorchValue) -> Expression:  # type: ignore[override]
        return t.function(f"F.{self.function}{len(x.type.spatial)}d", x, value(self.size))

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        sizes = entries(self.size, len(x.type.spatial), "size")
        if all(size == 1 for size in sizes):
            axes = g.constant([x.dim(axis) for axis in range(1, x.type.rank)], INT)
            return g.node(self.reduction, x, axes, keepdims=1)  # type: ignore[no-any-return]
        even = [_even(n, size) for n, size in zip(x.type.spatial, sizes, strict=True)]
        if None not in even:
            kernels, strides = zip(*(each for each in even if each), strict=True)
            return g.node(self.node, x, kernel_shape=list(kernels), strides=list(strides))  # type: ignore[no-any-return]
        for axis, size in enumerate(sizes, 1):
            if x.type.shape[axis] != size:
                x = self._one_axis(g, x, axis, size)
        return x

    def _one_axis(self, g: OnnxGraph, x: OnnxValue, axis: int, size: int) -> OnnxValue:
        """Gather the places of each window side by side, the last repeated, and reduce over them."""
        n, before, after = x.type.shape[axis], x.type.shape[:axis], x.type.shape[axis + 1 :]
        windows = _known(g, n, size) if isinstance(n, int) else _computed(g, x, axis, size)
        longest, places, shares = windows
        wide = x.type.to(*before, size, longest, *after)
        found = g.node("Gather", x, places, axis=x.dim(axis), type=wide)
        if self.reduction == "ReduceMean":
            ones = g.constant([2 + at for at in range(len(after))], INT)
            shape = (size, longest, *(1 for _ in after))
            spread = g.node("Unsqueeze", shares, ones, type=_plain(shape, "float")) if after else shares
            found = g.node("Mul", found, spread, type=wide)
        kind = "ReduceSum" if self.reduction == "ReduceMean" else self.reduction
        return g.node(  # type: ignore[no-any-return]
            kind, found, g.constant([x.dim(axis) + 1], INT), keepdims=0, type=x.type.to(*before, size, *after)
        )


def _even(n: Size, size: int) -> tuple[int, int] | None:
    """Kernel and stride, if the windows are all alike and equally far apart."""
    if isinstance(n, Dim):
        return None
    if n % size == 0:
        return n // size, n // size
    if size > n or size > 4096:
        return None
    starts, stops = _bounds(n, size)
    lengths = {stop - start for start, stop in zip(starts, stops, strict=True)}
    steps = {b - a for a, b in pairwise(starts)}
    fits = len(lengths) == len(steps) == 1 and starts[-1] + max(lengths) == n
    return (lengths.pop(), steps.pop()) if fits else None


def _bounds(n: int, size: int) -> tuple[list[int], list[int]]:
    return [at * n // size for at in range(size)], [-(-(at + 1) * n // size) for at in range(size)]


def _plain(shape: tuple[Size, ...], dtype: Any = INT) -> TensorType:
    return TensorType(shape, dtype, batched=False)


def _known(g: OnnxGraph, n: int, size: int) -> tuple[Size, OnnxValue, OnnxValue]:
    """The longest window, the places of each (size x longest), and the share of each place in the mean."""
    starts, stops = _bounds(n, size)
    longest = max(stop - start for start, stop in zip(starts, stops, strict=True))
    both = list(zip(starts, stops, strict=True))
    places = [[min(start + step, stop - 1) for step in range(longest)] for start, stop in both]
    shares = [[1 / (stop - start) if start + step < stop else 0.0 for step in range(longest)] for start, stop in both]
    return longest, g.constant(places, INT), g.constant(shares)


def _computed(g: OnnxGraph, x: OnnxValue, axis: int, size: int) -> tuple[Size, OnnxValue, OnnxValue]:
    """The same, worked out in the graph from the size at run time."""
    longest = x.type.shape[axis] // size + 2  # no window is longer
    column, row, full = _plain((size, 1)), _plain((longest,)), _plain((size, longest))
    n = g.node("Shape", x, start=x.dim(axis), end=x.dim(axis) + 1, type=_plain((1,)))
    count, one = g.constant([size], INT), g.constant([1], INT)
    starts = g.node("Mul", g.constant([[at] for at in range(size)], INT), n, type=column)
    stops = g.node("Add", g.node("Add", starts, n, type=column), g.constant([size - 1], INT), type=column)
    starts = g.node("Div", starts, count, type=column)
    stops = g.node("Div", stops, count, type=column)
    most = g.node("Add", g.node("Div", n, count, type=_plain((1,))), g.constant([2], INT), type=_plain((1,)))
    limit = g.node("Squeeze", most, g.constant([0], INT), type=_plain(()))
    steps = g.node("Range", g.constant(0, INT), limit, g.constant(1, INT), type=row)
    reached = g.node("Add", starts, steps, type=full)
    places = g.node("Min", reached, g.node("Sub", stops, one, type=column), type=full)
    inside = g.node(
        "Cast", g.node("Less", reached, stops, type=_plain(full.shape, "bool")), to=1, type=_plain(full.shape, "float")
    )
    lengths = g.node("Cast", g.node("Sub", stops, starts, type=column), to=1, type=_plain(column.shape, "float"))
    return longest, places, g.node("Div", inside, lengths, type=_plain(full.shape, "float"))


class AdaptiveAvgPool(_AdaptivePool):
    """Means over `size` windows per axis; the axes stay."""

    name = "adaptive_avgpool"
    kind = "AdaptiveAvgPool"
    function = "adaptive_avg_pool"
    node = "AveragePool"
    reduction = "ReduceMean"
    cases = (
        Case("adaptive_avgpool(1)", "[8, H, W] -> [8, 1, 1]"),
        Case("adaptive_avgpool(7)", "[8, 14, 14] -> [8, 7, 7]"),
        Case("adaptive_avgpool(6)", "[8, 13, 13] -> [8, 6, 6]"),
        Case("adaptive_avgpool(3)", "[8, 7, 8] -> [8, 3, 3]"),
        Case("adaptive_avgpool([2, 5])", "[8, H, 3] -> [8, 2, 5]"),
        Case("adaptive_avgpool(4)", "[8, L] -> [8, 4]"),
        Case("adaptive_avgpool([1, 2, 3])", "[2, 5, 6, 7] -> [2, 1, 2, 3]"),
        Wrong("adaptive_avgpool([1, 2])", "[8, 9]", "bad-argument", at="size"),
        Wrong("adaptive_avgpool", "[8, 9]", "missing-argument"),
    )


class AdaptiveMaxPool(_AdaptivePool):
    """The largest values in `size` windows per axis; the axes stay."""

    name = "adaptive_maxpool"
    kind = "AdaptiveMaxPool"
    function = "adaptive_max_pool"
    node = "MaxPool"
    reduction = "ReduceMax"
    cases = (
        Case("adaptive_maxpool(1)", "[8, L] -> [8, 1]"),
        Case("adaptive_maxpool(7)", "[8, 14, 21] -> [8, 7, 7]"),
        Case("adaptive_maxpool(3)", "[8, 8, W] -> [8, 3, 3]"),
        Case("adaptive_maxpool([2, 3, 4])", "[2, 5, 6, 7] -> [2, 2, 3, 4]"),
        Wrong("adaptive_maxpool(0)", "[8, 9]", "bad-argument", at="size"),
    )
