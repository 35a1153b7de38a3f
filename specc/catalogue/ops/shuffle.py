"""Numbers moved between channels and space, or between groups of channels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from specc.catalogue.arguments import Positive
from specc.catalogue.axes import spell
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Op, Reach, Rule, TensorType
from specc.catalogue.run_time import new_shape, new_shape_onnx
from specc.code.nodes import call, method
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, Size

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression


class _Shuffle(Op):
    """Axes split into `parts`, taken in another `order`, and joined to the output's shape."""

    takes = "c *s"
    layout = "first"
    batchless = True
    moves = True
    dtypes = ("float", "int", "bool")
    torch_name: ClassVar[str] = ""  # PixelShuffle
    function: ClassVar[str] = ""  # pixel_shuffle

    @property
    def number(self) -> int:
        """The one argument."""
        raise NotImplementedError

    def plan(self, x: TensorType) -> tuple[tuple[Size, ...], tuple[int, ...]]:
        """The sizes of the parts, and the order in which they stand in the output."""
        raise NotImplementedError

    def named(self, x: TensorType) -> bool:
        """Whether PyTorch's own function takes this input."""
        return x.rank == 3

    def module(self, *x: TensorType, **named: TensorType) -> Expression | None:
        return call(f"nn.{self.torch_name}", self.number) if self.named(x[0]) else None

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        if self.named(x[0].type):
            return t.function(f"F.{self.function}", x[0], self.number)
        parts, order = self.plan(x[0].type)
        batch = [0] if x[0].type.batched else []
        found = method(x[0].node, "reshape", *new_shape(t, x[0], parts))
        found = method(found, "permute", *batch, *(at + len(batch) for at in order))
        return method(found, "reshape", *new_shape(t, x[0], t.types[0].shape))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        kind = x[0].type
        parts, order = self.plan(kind)
        batch = [0] if kind.batched else []
        found = g.node("Reshape", x[0], new_shape_onnx(g, x[0], parts), type=kind.to(*parts))
        moved = kind.to(*(parts[at] for at in order))
        found = g.node("Transpose", found, perm=[*batch, *(at + len(batch) for at in order)], type=moved)
        return g.node("Reshape", found, new_shape_onnx(g, found, g.types[0].shape))  # type: ignore[no-any-return]


class PixelShuffle(_Shuffle):
    """Each group of `factor` to the power of the spatial axes channels becomes one that is `factor` times as large in
    every direction (Shi et al. 2016, sub-pixel convolution): `c (a b)` at a place become a block of places."""

    name = "pixel_shuffle"
    torch_name = "PixelShuffle"
    function = "pixel_shuffle"
    cases = (
        Case("pixel_shuffle(2)", "[12, H, W] -> [3, 2*H, 2*W]"),
        Case("pixel_shuffle(3)", "[18, 4, 5] -> [2, 12, 15]"),
        Case("pixel_shuffle(2)", "[6, L] -> [3, 2*L]"),
        Case("pixel_shuffle(2)", "[8, D, 3, W] -> [1, 2*D, 6, 2*W]"),
        Wrong("pixel_shuffle(2)", "[6, 4, 4]", "shape-mismatch", at="factor"),
        Wrong("pixel_shuffle(0)", "[6, 4, 4]", "bad-argument", at="factor"),
        Wrong("pixel_shuffle(2)", "[4]", "wrong-rank"),
    )

    factor: Positive
    """How many times as large each spatial axis becomes."""

    @property
    def number(self) -> int:
        return self.factor

    def _block(self, x: TensorType) -> int:
        found: int = self.factor ** len(x.spatial)
        return found

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        block = self._block(x[0])
        yield from _divides(x[0].channels, block, f"{x[0].channels} channels are no multiple of {block}", "factor")

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return x[0].to(x[0].channels // self._block(x[0]), *(size * self.factor for size in x[0].spatial))

    def reach(self, *x: TensorType) -> tuple[Reach, ...]:
        return tuple(Reach(up=self.factor) for _ in x[0].spatial)

    def plan(self, x: TensorType) -> tuple[tuple[Size, ...], tuple[int, ...]]:
        count = len(x.spatial)
        parts = (x.channels // self._block(x), *[self.factor] * count, *x.spatial)
        return parts, (0, *(at for axis in range(1, count + 1) for at in (count + axis, axis)))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        if x[0].type.rank == 3 and x[0].type.batched and x[0].type.dtype == "float":
            return g.node("DepthToSpace", x[0], blocksize=self.factor, mode="CRD")  # type: ignore[no-any-return]
        return super().onnx(g, *x, **named)


class PixelUnshuffle(_Shuffle):
    """Each block of `factor` places in every direction becomes one place with as many more channels: `pixel_shuffle`
    undone."""

    name = "pixel_unshuffle"
    torch_name = "PixelUnshuffle"
    function = "pixel_unshuffle"
    cases = (
        Case("pixel_unshuffle(2)", "[3, H, W] -> [12, H//2, W//2]"),
        Case("pixel_unshuffle(2)", "[1, 6, W] -> [4, 3, W//2]"),
        Case("pixel_unshuffle(3)", "[2, 12, 15] -> [18, 4, 5]"),
        Case("pixel_unshuffle(2)", "[3, L] -> [6, L//2]"),
        Case("pixel_unshuffle(2)", "[1, D, 6, W] -> [8, D//2, 3, W//2]"),
        Wrong("pixel_unshuffle(2)", "[3, 5, 4]", "shape-mismatch", at="factor"),
        Wrong("pixel_unshuffle(0)", "[3, 4, 4]", "bad-argument", at="factor"),
    )

    factor: Positive
    """How many times as small each spatial axis becomes."""

    @property
    def number(self) -> int:
        return self.factor

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        for at, size in enumerate(x[0].spatial, 1):
            message = f"{spell(at, x[0].rank)} is {size}, which is no multiple of {self.factor}"
            yield from _divides(size, self.factor, message, "factor")

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        block = self.factor ** len(x[0].spatial)
        return x[0].to(x[0].channels * block, *(size // self.factor for size in x[0].spatial))

    def reach(self, *x: TensorType) -> tuple[Reach, ...]:
        return tuple(Reach(self.factor, down=self.factor) for _ in x[0].spatial)

    def plan(self, x: TensorType) -> tuple[tuple[Size, ...], tuple[int, ...]]:
        count = len(x.spatial)
        parts = (x.channels, *(n for size in x.spatial for n in (size // self.factor, self.factor)))
        return parts, (0, *range(2, 2 * count + 1, 2), *range(1, 2 * count + 1, 2))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        kind = x[0].type
        if kind.rank == 3 and kind.batched and kind.channels == 1 and kind.dtype == "float":
            return g.node("SpaceToDepth", x[0], blocksize=self.factor)  # type: ignore[no-any-return]
        return super().onnx(g, *x, **named)


class ChannelShuffle(_Shuffle):
    """The channels of `groups` groups dealt out anew, one of each in turn (Zhang et al. 2018, ShuffleNet)."""

    name = "channel_shuffle"
    torch_name = "ChannelShuffle"
    function = "channel_shuffle"
    cases = (
        Case("channel_shuffle(2)", "[6, H, W] -> [6, H, W]"),
        Case("channel_shuffle(3)", "[6, 4, 5] -> [6, 4, 5]"),
        Case("channel_shuffle(3)", "[6, L] -> [6, L]"),
        Case("channel_shuffle(2)", "[4, 2, H, 3] -> [4, 2, H, 3]"),
        Wrong("channel_shuffle(4)", "[6, 4, 4]", "groups-do-not-divide", at="groups"),
    )

    groups: Positive
    """Into how many groups the channels are split."""

    @property
    def number(self) -> int:
        return self.groups

    def named(self, x: TensorType) -> bool:
        return x.batched

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        message = f"{x[0].channels} channels do not split into {self.groups} groups"
        yield from _divides(x[0].channels, self.groups, message, "groups", "groups-do-not-divide")

    def plan(self, x: TensorType) -> tuple[tuple[Size, ...], tuple[int, ...]]:
        parts = (self.groups, x.channels // self.groups, *x.spatial)
        return parts, (1, 0, *range(2, len(parts)))


def _divides(size: Size, by: int, message: str, argument: str, code: str = "shape-mismatch") -> Iterable[Rule]:
    rest = size % by
    if isinstance(rest, Dim) or rest != 0:
        predicate = Compare(rest, "==", 0) if isinstance(rest, Dim) else False
        yield Rule(predicate, Misfit(code, message, argument=argument))
