"""The way back from a pool: values put where the maxima lay, or spread over windows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from specc.catalogue.arguments import KeywordOnly, Window, choice, optional
from specc.catalogue.axes import apart, equal, spell
from specc.catalogue.axes import shape as spelled
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Op, Reach, Rule, TensorType
from specc.catalogue.ops.kernels import given
from specc.catalogue.ops.padded import onnx_pad
from specc.catalogue.ops.padding import Sizes
from specc.catalogue.ops.places import whole
from specc.catalogue.ops.upconv import Counts
from specc.catalogue.ops.windows import entries
from specc.catalogue.run_time import formula, new_shape_onnx
from specc.code.nodes import Expression, call, index, method, value
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, Size, product

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue

NEAREST, ZEROS = "nearest", "zeros"


class Unpool(Op):
    """A pool undone: each value goes to the place that the maximum came from, and 0 to the others (Zeiler and Fergus
    2014; SegNet, Badrinarayanan et al. 2017): `pool1: maxpool(2)`, later `unpool(pool1.indices, 2)`. Without indices,
    `unpool(2, fill=nearest)` copies each value over its window; `fill=zeros` puts it into the window's first place
    (Dosovitskiy et al. 2015)."""

    name = "unpool"
    takes = "c *s"
    layout = "first"
    inputs = (1, 2)
    dtypes = ("int", "float")  # of the indices and of the values

    kernel: Window
    """Size of the window: one number for all axes, or a list with one per axis."""
    _: KeywordOnly
    stride: optional(Window, "kernel") = None  # type: ignore[valid-type]
    """How far the window moved; by default its own size."""
    padding: Counts = 0
    """The padding of the pool, which is not there in the output: one number for all axes, or a list with one per axis."""
    size: optional(Sizes) = None  # type: ignore[valid-type]
    """The spatial sizes of the output, less than a stride away from `(n - 1) * stride + kernel - 2 * padding`, which is
    the default: one for all axes, or a list (`size=image.spatial`)."""
    fill: optional(Annotated[str, choice(NEAREST, ZEROS)]) = None  # type: ignore[valid-type]
    """Without indices: copy the value over the window (`nearest`), or zeros around it (`zeros`)."""

    cases = (
        Case("unpool(pool.indices, 2)", "[4, 8, 6] -> [4, 8, 6]", given="pool: maxpool(2)"),
        Case("unpool(pool.indices, 2)", "[4, L] -> [4, L]", given="pool: maxpool(2)"),
        Case("unpool(pool.indices, 2)", "[2, D, 4, W] -> [2, D, 4, W]", given="pool: maxpool(2)"),
        Case("unpool(pool.indices, 2, size=input.spatial)", "[3, H, 7] -> [3, H, 7]", given="pool: maxpool(2, fit=down)"),
        Case("unpool(pool.indices, 2, size=input.spatial)", "[3, 5, 6, 7] -> [3, 5, 6, 7]", given="pool: maxpool(2, fit=down)"),
        Case("unpool(pool.indices, 3, stride=2, padding=1)", "[3, 9, 7] -> [3, 9, 7]", given="pool: maxpool(3, stride=2, padding=1)"),
        Case("unpool(pool.indices, 3, stride=2, size=[8])", "[3, 8] -> [3, 8]", given="pool: maxpool(3, stride=2, padding=1)"),
        Case("unpool(pool.indices, 3, stride=[2, 3])", "[3, 7, 9] -> [3, 7, 9]", given="pool: maxpool(3, stride=[2, 3])"),
        Case("conv(3, 1) -> unpool(pool.indices, 2)", "[3, 8, W] -> [3, 8, W]", 12, given="pool: maxpool(2)"),
        Case("unpool(pool.indices * 1, 2)", "[3, 8, W] -> [3, 8, W]", given="pool: maxpool(2)"),
        Case("unpool(pool.indices // 2 * 2, 2)", "[3, 8] -> [3, 8]", given="pool: maxpool(2)"),
        Case("unpool(2, fill=nearest)", "[3, H, W] -> [3, 2*H, 2*W]"),
        Case("unpool([2, 3], fill=nearest)", "[3, 4, 5] -> [3, 8, 15]"),
        Case("unpool(3, fill=nearest)", "[3, L] -> [3, 3*L]"),
        Case("unpool([1, 2, 2], fill=nearest)", "[3, 2, 4, W] -> [3, 2, 8, 2*W]"),
        Case("unpool(2, fill=zeros)", "[3, H, W] -> [3, 2*H, 2*W]"),
        Case("unpool([1, 3], fill=zeros)", "[3, 4, 5] -> [3, 4, 15]"),
        Case("unpool(2, fill=zeros)", "[3, L] -> [3, 2*L]"),
        Case("unpool(2, fill=zeros)", "[3, D, 4, 5] -> [3, 2*D, 8, 10]"),
        Wrong("unpool(2)", "[3, 8, 8]", "missing-input"),
        Wrong("unpool(x, y, 2, fill=zeros)", "[3, 4];int [3, 4]", "too-many-inputs"),
        Wrong("unpool(x, y, 2)", "[3, 4];[3, 4]", "wrong-dtype"),
        Wrong("unpool(x, y, 2)", "[3, 4];int [3, 5]", "shape-mismatch"),
        Wrong("unpool(x, y, 2, size=10)", "[3, 4];int [3, 4]", "shape-mismatch", at="size"),
        Wrong("unpool(x, y, 2, size=[8, 8])", "[3, 4];int [3, 4]", "bad-argument", at="size"),
        Wrong("unpool(2, fill=zeros, size=9)", "[3, 4]", "bad-argument", at="size"),
        Wrong("unpool(2, fill=zeros, stride=3)", "[3, 4]", "bad-argument", at="stride"),
        Wrong("unpool(x, y, 2, padding=2)", "[3, 2];int [3, 2]", "window-too-large", at="padding"),
        Wrong("unpool(2, fill=nearest)", "[3]", "wrong-rank"),
    )  # fmt: skip

    def tensors(self) -> tuple[int, int | None]:
        return (2, 2) if self.fill is None else (1, 1)

    def _kernel(self, x: TensorType) -> tuple[int, ...]:
        return entries(self.kernel, len(x.spatial), "kernel")

    def _strides(self, x: TensorType) -> tuple[int, ...]:
        return self._kernel(x) if self.stride is None else entries(self.stride, len(x.spatial), "stride")

    def _usual(self, x: TensorType) -> tuple[Size, ...]:
        """The spatial sizes where none are given."""
        pads = entries(self.padding, len(x.spatial), "padding")
        each = zip(x.spatial, self._kernel(x), self._strides(x), pads, strict=True)
        return tuple((n - 1) * stride + kernel - 2 * pad for n, kernel, stride, pad in each)

    def _sizes(self, x: TensorType) -> tuple[Size, ...]:
        return self._usual(x) if self.size is None else entries(self.size, len(x.spatial), "size")

    def rules(self, x: TensorType, indices: TensorType | None = None) -> Iterable[Rule]:  # type: ignore[override]
        if x.dtype != "float":
            raise Misfit("wrong-dtype", f"`{self.name}` takes float numbers; this input has {x.dtype}", port=0)
        for argument in ("stride", "padding", "size"):
            if self.fill is not None and getattr(self, argument) not in (None, 0):
                message = f"without indices every window lies beside the next, so there is no `{argument}`"
                raise Misfit("bad-argument", message, "leave it out", argument=argument)
        if indices is not None:
            yield from self._index_rules(x, indices)
        for n, usual, stride, at in zip(
            self._sizes(x), self._usual(x), self._strides(x), range(1, x.rank), strict=True
        ):
            if self.padding and (isinstance(n, Dim) or n < 1):
                message = f"the padding leaves nothing of {spell(at, x.rank)}, which would be {n}"
                predicate = Compare(n, ">=", 1) if isinstance(n, Dim) else False
                yield Rule(predicate, Misfit("window-too-large", message, argument="padding"))
            if self.size is None or n == usual:
                continue
            message = f"{spell(at, x.rank)} {n} is not within {stride - 1} of {usual}, which these windows make"
            misfit = Misfit("shape-mismatch", message, argument="size")
            for difference in (n - usual, usual - n):
                if isinstance(difference, Dim):
                    yield Rule(Compare(difference, "<", stride), misfit)
                elif difference >= stride:
                    raise misfit

    def _index_rules(self, x: TensorType, indices: TensorType) -> Iterable[Rule]:
        if indices.dtype != "int":
            help = "give it the indices of a pool: `unpool(pool1.indices, 2)`"
            raise Misfit("wrong-dtype", "the indices must be whole numbers; these are float", help, port=1)
        if indices.rank != x.rank:
            message = f"the indices have shape {spelled(indices.shape)}, the values {spelled(x.shape)}"
            raise Misfit("shape-mismatch", message, port=1)
        for at, (one, other) in enumerate(zip(x.shape, indices.shape, strict=True)):
            message = f"{spell(at, x.rank)} is {other} in the indices and {one} in the values ({apart(one, other)})"
            yield from equal(one, other, Misfit("shape-mismatch", message, port=1))
        for at, (made, place) in enumerate(zip(self._sizes(x), indices.places, strict=False), 1):
            message = (
                f"{spell(at, x.rank)} {made} comes out, and the indices are places of {place} ({apart(made, place)})"
            )
            help = "give the sizes that the pool had before it: `size=image.spatial`"
            yield from equal(made, place, Misfit("shape-mismatch", message, help, port=1))

    def gives(self, x: TensorType, indices: TensorType | None = None) -> TensorType:  # type: ignore[override]
        return x.to(x.channels, *self._sizes(x))

    def reach(self, x: TensorType, indices: TensorType | None = None) -> tuple[Reach, ...] | str:  # type: ignore[override]
        if self.size is not None:
            return EVERYTHING
        each = zip(self._kernel(x), self._strides(x), strict=True)
        return tuple(Reach(1 if self.fill else kernel, up=stride) for kernel, stride in each)

    # ----------------------------------------------------------------------------------------------- PyTorch
    def module(self, x: TensorType, indices: TensorType | None = None) -> Expression | None:  # type: ignore[override]
        return call("nn.Upsample", scale_factor=value(self.kernel)) if self.fill == NEAREST else None

    def torch(self, t: TorchContext, x: TorchValue, indices: TorchValue | None = None) -> Expression:  # type: ignore[override]
        if self.fill == NEAREST:
            return t.function("F.interpolate", x, scale_factor=value(self.kernel))
        if self.fill == ZEROS:
            return self._spread(t, x)
        assert indices is not None
        moves = {} if self.stride in (None, self.kernel) else {"stride": value(self.stride)}
        moves |= given(x.type.rank - 1, padding=(self.padding, 0))
        sizes = {} if self.size is None else {"output_size": [formula(t, n, x) for n in self._sizes(x.type)]}
        return t.function(f"F.max_unpool{x.type.rank - 1}d", x, indices.node, value(self.kernel), **moves, **sizes)

    def _spread(self, t: TorchContext, x: TorchValue) -> Expression:
        """`F.pad(x[:, :, :, None, :, None], (0, 1, 0, 0, 0, 1)).flatten(4, 5).flatten(2, 3)`."""
        kernel, first = self._kernel(x.type), x.dim(1)
        places = [each for _ in kernel for each in (slice(None), None)]
        pads = [side for size in reversed(kernel) for side in (0, size - 1, 0, 0)][:-2]
        found = t.function("F.pad", index(x.node, *[slice(None)] * first, *places), tuple(pads))
        for at in reversed(range(len(kernel))):
            found = method(found, "flatten", first + 2 * at, first + 2 * at + 1)
        return found

    # -------------------------------------------------------------------------------------------------- ONNX
    def onnx(self, g: OnnxGraph, x: OnnxValue, indices: OnnxValue | None = None) -> OnnxValue:  # type: ignore[override]
        kernel, made = self._kernel(x.type), g.types[0]
        if self.fill == NEAREST:
            return self._copied(g, x, kernel)
        if self.fill == ZEROS:
            return self._alone(g, x, kernel)
        assert indices is not None
        known = whole(g, indices)
        usual = zip(self._usual(x.type), made.spatial, strict=True)
        if known is not None and known[1].shape == made.shape and all(g.equal(n, wanted) for n, wanted in usual):
            pads = entries(self.padding, len(kernel), "padding") * 2
            words: dict[str, Any] = {"kernel_shape": list(kernel), "strides": list(self._strides(x.type))}
            return g.node("MaxUnpool", x, known[0], **words, pads=list(pads) if any(pads) else None)  # type: ignore[no-any-return]
        flat = made.to(made.channels, product(made.spatial))
        zeros = g.node("ConstantOfShape", g.shape(*flat.shape), type=flat)
        values, places = (_in_a_row(g, each) for each in (x, indices))
        filled = g.node("ScatterElements", zeros, places, values, axis=x.dim(1), type=flat)
        return filled if made.rank == 2 else g.node("Reshape", filled, new_shape_onnx(g, x, made.shape))  # type: ignore[no-any-return]

    def _copied(self, g: OnnxGraph, x: OnnxValue, kernel: tuple[int, ...]) -> OnnxValue:
        scales = g.constant([1.0] * x.dim(1) + [float(size) for size in kernel])
        words: dict[str, Any] = {"mode": "nearest", "nearest_mode": "floor"}
        return g.node("Resize", x, "", scales, **words, coordinate_transformation_mode="asymmetric")  # type: ignore[no-any-return]

    def _alone(self, g: OnnxGraph, x: OnnxValue, kernel: tuple[int, ...]) -> OnnxValue:
        """Each value on an axis of its own, which is padded, then the axes joined."""
        axes = g.constant([x.dim(2 * at) for at in range(1, len(kernel) + 1)], "int")
        parted = x.type.to(x.type.channels, *(n for size in x.type.spatial for n in (size, 1)))
        found = g.node("Unsqueeze", x, axes, type=parted)
        widths = [side for size in kernel for side in ((0, 0), (0, size - 1))]
        return g.node("Reshape", onnx_pad(g, found, widths), new_shape_onnx(g, x, g.types[0].shape))  # type: ignore[no-any-return]


def _in_a_row(g: OnnxGraph, x: OnnxValue) -> OnnxValue:
    if x.type.rank == 2:
        return x
    flat = x.type.to(x.type.channels, product(x.type.spatial))
    shape = g.constant([0] * x.dim(1) + [-1], "int")
    return g.node("Reshape", x, shape, type=flat)  # type: ignore[no-any-return]
