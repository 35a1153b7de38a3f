"""The windows of an image as columns, and the way back (im2col and col2im)."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import TYPE_CHECKING, Annotated, Any

from specc.catalogue.arguments import KeywordOnly, Window, choice
from specc.catalogue.axes import apart, equal
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Op, Rule, TensorType
from specc.catalogue.ops.fitting import window_rules
from specc.catalogue.ops.kernels import given
from specc.catalogue.ops.padding import Sizes
from specc.catalogue.ops.upconv import Counts
from specc.catalogue.ops.windows import axes_of, entries, kernel_of
from specc.catalogue.run_time import formula, sizes_onnx
from specc.code.nodes import Expression, call, value
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, product

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue


class _Patches(Op):
    """What both directions share: PyTorch's arguments."""

    kernel: Any
    stride: Any
    padding: Any
    dilation: Any

    def _words(self) -> dict[str, Expression]:
        return given(2, dilation=(self.dilation, 1), padding=(self.padding, 0), stride=(self.stride, 1))

    def reach(self, *x: TensorType) -> str:
        return EVERYTHING


class Unfold(_Patches):
    """Each window of an image [C, H, W] as a column of C times the kernel's places: [C * k * k, windows] (im2col). The
    places of one channel lie together, the windows are in row order, as in `nn.Unfold`."""

    name = "unfold"
    takes = "c h w"
    layout = ""

    kernel: Window
    """Size of the window: one number for both axes, or a list with one per axis."""
    _: KeywordOnly
    stride: Window = 1
    """How far the window moves."""
    padding: Counts = 0
    """Zeros on each side: one number for both axes, or a list with one per axis."""
    dilation: Window = 1
    """Distance between the places that one window sees."""
    fit: Annotated[str, choice("exact", "down")] = "exact"
    """What to do where the last window would leave out input: refuse (`exact`), or leave it out (`down`)."""

    cases = (
        Case("unfold(3)", "[2, 5, 6] -> [18, 12]"),
        Case("unfold([2, 3], padding=[1, 0])", "[3, H, W] -> [18, H*W + W - 2*H - 2]"),
        Case("unfold(2, stride=2)", "[1, 6, W] -> [4, 3*(W//2)]"),
        Case("unfold(3, dilation=2, padding=2, stride=[1, 2], fit=down)", "[2, 5, 8] -> [18, 20]"),
        Case("unfold(1)", "[3, 4, 5] -> [3, 20]"),
        Wrong("unfold(9)", "[3, 4, 5]", "window-too-large", at="kernel"),
        Wrong("unfold(3, stride=3)", "[3, 7, 7]", "window-does-not-fit"),
        Wrong("unfold(3)", "[3, 9]", "wrong-rank"),
        Wrong("unfold([3, 3, 3])", "[3, 9, 9]", "bad-argument", at="kernel"),
    )

    def rules(self, x: TensorType) -> Iterable[Rule]:  # type: ignore[override]
        return window_rules(self, x)

    def gives(self, x: TensorType) -> TensorType:  # type: ignore[override]
        return x.to(x.channels * prod(kernel_of(self, 2)), product(axis.out for axis in axes_of(self, x)))

    def module(self, x: TensorType) -> Expression:  # type: ignore[override]
        return call("nn.Unfold", value(self.kernel), **self._words())

    def torch(self, t: TorchContext, x: TorchValue) -> Expression:  # type: ignore[override]
        return t.function("F.unfold", x, value(self.kernel), **self._words())

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        """A convolution of each channel with kernels that are 1 at one place."""
        axes, channels = axes_of(self, x.type), x.type.channels
        if isinstance(channels, Dim):
            raise Misfit("not-in-onnx", f"`{self.name}` needs to know how many channels there are")
        kernel = kernel_of(self, 2)
        places = prod(kernel)
        ones = [[float(at == place) for at in range(places)] for place in range(places)]
        rows = [[[row[start : start + kernel[1]] for start in range(0, places, kernel[1])]] for row in ones]
        words: dict[str, Any] = {
            "kernel_shape": [*kernel],
            "strides": [axis.stride for axis in axes],
            "dilations": [axis.dilation for axis in axes],
            "pads": [*(axis.before for axis in axes), *(axis.after for axis in axes)],
            "group": int(channels),
        }
        made = x.type.to(channels * places, *(axis.out for axis in axes))
        found = g.node("Conv", x, g.constant(rows * int(channels)), **words, type=made)
        return g.node("Reshape", found, g.constant([0, 0, -1], "int"))  # type: ignore[no-any-return]


class Fold(_Patches):
    """`unfold` undone: columns [C * k * k, windows] put back where their windows lay in an image [C, *size], and added
    up where windows overlap (col2im), as in `nn.Fold`."""

    name = "fold"
    takes = "c l"
    layout = "first"

    size: Sizes
    """The height and width of the image: one number, or a list with both."""
    kernel: Window
    """Size of the window: one number for both axes, or a list with one per axis."""
    _: KeywordOnly
    stride: Window = 1
    """How far the window moves."""
    padding: Counts = 0
    """What is cut off on each side: one number for both axes, or a list with one per axis."""
    dilation: Window = 1
    """Distance between the places that one window reaches."""

    cases = (
        Case("fold([5, 6], 3)", "[18, 12] -> [2, 5, 6]"),
        Case("fold(x.spatial, 2, stride=2)", "[3, H, W] -> [3, H, W]", given="x: input; unfold(2, stride=2)"),
        Case("fold([4, 7], [2, 3], padding=[1, 0])", "[C, 25] -> [C//6, 4, 7]"),
        Case("fold([5, 8], 3, dilation=2, padding=2, stride=[1, 2])", "[18, 20] -> [2, 5, 8]"),
        Wrong("fold([5, 6], 3)", "[17, 12]", "shape-mismatch", at="kernel"),
        Wrong("fold([5, 7], 3)", "[18, 12]", "shape-mismatch", at="size"),
        Wrong("fold([2, 7], 3)", "[18, 12]", "window-too-large", at="kernel"),
        Wrong("fold(3)", "[18, 12]", "missing-argument"),
    )  # fmt: skip

    fit = "down"

    def _image(self, x: TensorType) -> TensorType:
        return x.to(x.channels // prod(kernel_of(self, 2)), *entries(self.size, 2, "size"))

    def rules(self, x: TensorType) -> Iterable[Rule]:  # type: ignore[override]
        image, places = self._image(x), prod(kernel_of(self, 2))
        rest = x.channels % places
        if isinstance(rest, Dim) or rest != 0:
            message = f"columns of {x.channels} numbers do not split into windows of {places}"
            predicate = Compare(rest, "==", 0) if isinstance(rest, Dim) else False
            yield Rule(predicate, Misfit("shape-mismatch", message, argument="kernel"))
        yield from window_rules(self, image)
        count = product(axis.out for axis in axes_of(self, image))
        message = f"there are {x.last} columns, and {count} windows in that image ({apart(x.last, count)})"
        yield from equal(x.last, count, Misfit("shape-mismatch", message, argument="size"))

    def gives(self, x: TensorType) -> TensorType:  # type: ignore[override]
        return self._image(x)

    def module(self, x: TensorType) -> Expression | None:  # type: ignore[override]
        sizes = entries(self.size, 2, "size")
        if any(isinstance(n, Dim) for n in sizes):
            return None
        return call("nn.Fold", value(sizes), value(self.kernel), **self._words())

    def torch(self, t: TorchContext, x: TorchValue) -> Expression:  # type: ignore[override]
        sizes = tuple(formula(t, n, x) for n in entries(self.size, 2, "size"))
        return t.function("F.fold", x, sizes, value(self.kernel), **self._words())

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        axes = axes_of(self, self._image(x.type))
        words: dict[str, Any] = {
            "strides": [axis.stride for axis in axes],
            "dilations": [axis.dilation for axis in axes],
            "pads": [*(axis.before for axis in axes), *(axis.after for axis in axes)],
        }
        block = g.constant([*kernel_of(self, 2)], "int")
        return g.node("Col2Im", x, sizes_onnx(g, entries(self.size, 2, "size")), block, **words)  # type: ignore[no-any-return]
