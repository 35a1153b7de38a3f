"""Resizing by interpolation: to a size, by a factor, or to the size of another tensor."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from struct import pack, unpack
from typing import TYPE_CHECKING, Annotated, Any

from specc.catalogue.arguments import Flag, KeywordOnly, Kind, TensorArgument, choice, either, items, optional, real
from specc.catalogue.axes import shape as spelled
from specc.catalogue.axes import spell
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Op, Reach, Rule, TensorType
from specc.catalogue.ops.padding import Sizes
from specc.catalogue.ops.windows import entries
from specc.catalogue.run_time import formula, sizes_onnx
from specc.code.nodes import Attribute, Expression, call, index, value
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, Size

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue

Factors = Annotated[
    Any,
    Kind("a number above 0, or a list with one per spatial axis", either(real(gt=0), items(real(gt=0), 1, 3))),
]
NEAREST, LINEAR, CUBIC = "nearest", "linear", "cubic"
TRIED = 4096  # places or sizes up to which rounding is compared where a size is not known


class Interpolate(Op):
    """The input at another resolution, as `F.interpolate` computes it: `interpolate(scale=2)`, `interpolate(size=[64,
    64], mode=linear)`, `interpolate(like=skip)`. A factor is itself the distance of the places that are read, as in
    PyTorch, and the size is `floor(n * scale)`. Nothing is smoothed before it is made smaller."""

    name = "interpolate"
    takes = "c *s"
    layout = "first"

    _: KeywordOnly
    size: optional(Sizes) = None  # type: ignore[valid-type]
    """The sizes that are wanted: one for all spatial axes, or a list with one per axis."""
    scale: optional(Factors) = None  # type: ignore[valid-type]
    """The factor of each size: one for all spatial axes, or a list with one per axis."""
    like: TensorArgument = None
    """A tensor with the spatial sizes that are wanted."""
    mode: Annotated[str, choice(NEAREST, LINEAR, CUBIC)] = NEAREST
    """The place at or before, straight lines between the places around (in 2-D bilinear, in 3-D trilinear), or cubic
    convolution (2-D only; Keys 1981, with a = -0.75)."""
    align_corners: Flag = False
    """Whether the first and last places lie upon each other, instead of the outer edges."""

    cases = (
        Case("interpolate(scale=2)", "[3, H, W] -> [3, 2*H, 2*W]"),
        Case("interpolate(scale=[2, 3])", "[3, 4, 5] -> [3, 8, 15]"),
        Case("interpolate(scale=0.5)", "[3, L] -> [3, L//2]"),
        Case("interpolate(scale=[1, 2, 1.5])", "[3, 2, 3, W] -> [3, 2, 6, 3*W//2]"),
        Case("interpolate(size=[7, 5])", "[3, 4, 9] -> [3, 7, 5]"),
        Case("interpolate(size=20)", "[3, 14] -> [3, 20]"),
        Case("interpolate(size=[input.height, 2 * input.height])", "[3, H, W] -> [3, H, 2*H]"),
        Case("interpolate(input, like=small)", "[3, H, W] -> [3, H//2, W//2]", given="small: maxpool(2)"),
        Case("interpolate(like=input, mode=linear)", "[3, H, 7] -> [3, H, 7]", given="maxpool(2, fit=down)"),
        Case("interpolate(scale=2, mode=linear)", "[3, H, W] -> [3, 2*H, 2*W]"),
        Case("interpolate(scale=2, mode=linear, align_corners=true)", "[3, H, W] -> [3, 2*H, 2*W]"),
        Case("interpolate(scale=1.3, mode=linear)", "[3, 7, 10] -> [3, 9, 13]"),
        Case("interpolate(scale=0.7)", "[3, 7, 10] -> [3, 4, 7]"),
        Case("interpolate(scale=0.75)", "[3, 7, W] -> [3, 5, 3*W//4]"),
        Case("interpolate(scale=1.2, mode=linear)", "[3, 4, 10] -> [3, 4, 12]"),
        Case("interpolate(scale=1.2, mode=cubic)", "[3, 4, 10] -> [3, 4, 12]"),
        Case("interpolate(scale=1.2)", "[3, 4, 3] -> [3, 4, 3]"),
        Case("interpolate(scale=1.6, mode=linear)", "[3, 5, W] -> [3, 8, 8*W//5]"),
        Case("interpolate(scale=2.5, mode=linear, align_corners=true)", "[3, H, 3] -> [3, 5*H//2, 7]"),
        Case("interpolate(scale=4, mode=linear)", "[3, L] -> [3, 4*L]"),
        Case("interpolate(size=[6, 5, 9], mode=linear)", "[3, 4, 5, W] -> [3, 6, 5, 9]"),
        Case("interpolate(size=[1, 4], mode=linear, align_corners=true)", "[3, 4, 5] -> [3, 1, 4]"),
        Case("interpolate(scale=2, mode=cubic)", "[3, H, W] -> [3, 2*H, 2*W]"),
        Case("interpolate(size=[9, 3], mode=cubic, align_corners=true)", "[3, 5, W] -> [3, 9, 3]"),
        Case("interpolate(size=[4, 5])", "[3, 4, 5] -> [3, 4, 5]"),
        Wrong("interpolate", "[3, 4, 5]", "missing-argument"),
        Wrong("interpolate(size=4, scale=2)", "[3, 4, 5]", "bad-argument", at="scale"),
        Wrong("interpolate(scale=0)", "[3, 4, 5]", "bad-argument", at="scale"),
        Wrong("interpolate(scale=0.2)", "[3, 4, 5]", "bad-argument", at="scale"),
        Wrong("interpolate(scale=0.123456789)", "[3, L]", "bad-argument", at="scale"),
        Wrong("interpolate(scale=[2, 2])", "[3, 4]", "bad-argument", at="scale"),
        Wrong("interpolate(size=0)", "[3, 4, 5]", "bad-argument", at="size"),
        Wrong("interpolate(scale=2, mode=cubic)", "[3, 4]", "unsupported-argument", at="mode"),
        Wrong("interpolate(scale=2, align_corners=true)", "[3, 4]", "bad-argument", at="align_corners"),
        Wrong("interpolate(scale=2, mode=area)", "[3, 4]", "unknown-name", at="mode"),
        Wrong("interpolate(scale=2)", "[3]", "wrong-rank"),
    )

    # ------------------------------------------------------------------------------------------------- shapes
    def _factors(self, x: TensorType) -> tuple[Any, ...]:
        return entries(self.scale, len(x.spatial), "scale")

    def _sizes(self, x: TensorType, like: TensorType | None) -> tuple[Size, ...]:
        if like is not None:
            if like.rank != x.rank:
                message = f"a tensor of shape {spelled(like.shape)} gives no sizes to one of shape {spelled(x.shape)}"
                raise Misfit("wrong-rank", message, argument="like")
            return like.spatial
        if self.scale is not None:
            return tuple(_scaled(n, factor) for n, factor in zip(x.spatial, self._factors(x), strict=True))
        return entries(self.size, len(x.spatial), "size")

    def rules(self, x: TensorType, like: TensorType | None = None) -> Iterable[Rule]:  # type: ignore[override]
        said = [name for name, each in (("size", self.size), ("scale", self.scale), ("like", like)) if each is not None]
        help = "write `interpolate(scale=2)`, `interpolate(size=[64, 64])` or `interpolate(like=x)`"
        if not said:
            raise Misfit("missing-argument", f"`{self.name}` needs a size, a scale or a tensor to be like", help)
        if len(said) > 1:
            raise Misfit("bad-argument", f"`{said[0]}` says what the size is already", help, argument=said[1])
        if self.mode == CUBIC and x.rank != 3:
            message = f"mode={CUBIC} is for images: [channels, height, width]"
            raise Misfit("unsupported-argument", message, f"write mode={LINEAR}", argument="mode")
        if self.mode == NEAREST and self.align_corners:
            message = f"with mode={NEAREST} no corners can be aligned"
            raise Misfit("bad-argument", message, f"say mode={LINEAR}", argument="align_corners")
        for at, size in enumerate(self._sizes(x, like), 1):
            message = f"{spell(at, x.rank)} would be {size}; a size is at least 1"
            misfit = Misfit("bad-argument", message, argument=said[0])
            if isinstance(size, Dim):
                yield Rule(Compare(size, ">=", 1), misfit)
            elif size < 1:
                raise misfit

    def gives(self, x: TensorType, like: TensorType | None = None) -> TensorType:  # type: ignore[override]
        return x.to(x.channels, *self._sizes(x, like))

    def reach(self, x: TensorType, like: TensorType | None = None) -> tuple[Reach, ...] | str:  # type: ignore[override]
        if self.scale is None or self.align_corners:
            return EVERYTHING
        between = {NEAREST: 0, LINEAR: 1, CUBIC: 3}[self.mode]
        found = []
        for factor in map(Fraction, self._factors(x)):
            if 1 not in (factor.numerator, factor.denominator):
                return EVERYTHING
            up, down = factor.numerator, factor.denominator
            found.append(Reach(1 if factor == 1 else between * up + 1, down, up))
        return tuple(found)

    # ------------------------------------------------------------------------------------------------ PyTorch
    def _words(self, rank: int) -> dict[str, Expression]:
        modes = {NEAREST: NEAREST, LINEAR: ("linear", "bilinear", "trilinear")[rank - 1], CUBIC: "bicubic"}
        found = {} if self.mode == NEAREST else {"mode": value(modes[self.mode])}
        return found | ({"align_corners": value(True)} if self.align_corners else {})

    def module(self, x: TensorType, like: TensorType | None = None) -> Expression | None:  # type: ignore[override]
        rank = len(x.spatial)
        if self.scale is not None:
            return call("nn.Upsample", scale_factor=value(self.scale), **self._words(rank))
        if like is not None or any(isinstance(n, Dim) for n in self._sizes(x, like)):
            return None
        return call("nn.Upsample", value(self.size), **self._words(rank))

    def torch(self, t: TorchContext, x: TorchValue, like: TorchValue | None = None) -> Expression:  # type: ignore[override]
        rank = len(x.type.spatial)
        if self.scale is not None:
            return t.function("F.interpolate", x, scale_factor=value(self.scale), **self._words(rank))
        wanted: Any
        if like is not None:
            wanted = index(Attribute(like.node, "shape"), slice(like.dim(1), None))
        elif isinstance(self.size, int):
            wanted = value(self.size)
        else:
            wanted = tuple(formula(t, n, x) for n in self._sizes(x.type, None))
        return t.function("F.interpolate", x, wanted, **self._words(rank))

    # --------------------------------------------------------------------------------------------------- ONNX
    def onnx(self, g: OnnxGraph, x: OnnxValue, like: OnnxValue | None = None) -> OnnxValue:  # type: ignore[override]
        sizes = g.types[0].spatial
        if sizes == x.type.spatial:
            if self.mode == CUBIC and self.scale is not None and set(self._factors(x.type)) != {1}:
                message = f"at a scale of {self.scale} the size stays, and ONNX then copies, which PyTorch does not"
                raise Misfit("not-in-onnx", message, "say the `size`")
            return g.node("Identity", x)  # type: ignore[no-any-return]
        if self.mode == NEAREST and not self._rounds_alike(x.type, sizes):
            return self._gathered(g, x, sizes)
        words: dict[str, Any] = {"mode": self.mode}
        if self.mode == NEAREST:
            words |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        elif self.align_corners:
            words |= {"coordinate_transformation_mode": "align_corners"}
        if self.mode == CUBIC:
            words |= {"cubic_coeff_a": -0.75}
        if self.scale is not None and not self.align_corners:
            scales = g.constant([1.0] * x.dim(1) + self._ratios(x.type, sizes))
            return g.node("Resize", x, "", scales, **words)  # type: ignore[no-any-return]
        axes = [x.dim(at) for at in range(1, x.type.rank)]
        if like is not None and any(isinstance(n, Dim) for n in sizes):
            kind = TensorType((len(axes),), "int", batched=False)
            wanted = g.node("Shape", like, start=like.dim(1), type=kind)
        else:
            wanted = sizes_onnx(g, sizes)
        return g.node("Resize", x, "", "", wanted, axes=axes, **words)  # type: ignore[no-any-return]

    def _ratios(self, x: TensorType, sizes: tuple[Size, ...]) -> list[float]:
        """The factors in single precision, such that ONNX comes to the same sizes."""
        each = zip(x.spatial, sizes, self._factors(x), strict=True)
        return [_ratio(n, made, factor, self.mode != CUBIC) for n, made, factor in each]

    def _rounds_alike(self, x: TensorType, sizes: tuple[Size, ...]) -> bool:
        """Whether ONNX's division and PyTorch's multiplication by the inverse come upon the same places."""
        factors = (None,) * len(sizes) if self.scale is None else self._factors(x)
        for n, made, factor in zip(x.spatial, sizes, factors, strict=True):
            if isinstance(n, int) and isinstance(made, int):
                ratio = _single(made / n) if factor is None else _ratio(n, made, factor)
                if [min(int(_single(at / ratio)), n - 1) for at in range(made)] != _places(n, made, factor):
                    return False
            elif factor is not None:
                ratio, inverse = _ratio(n, made, factor), _single(1 / factor)
                if any(int(_single(at / ratio)) != int(_single(at * inverse)) for at in range(TRIED)) and factor != 2:
                    message = f"at a scale of {factor} ONNX and PyTorch round to different places"
                    raise Misfit("not-in-onnx", message, "bind the sizes with --size")
        return True

    def _gathered(self, g: OnnxGraph, x: OnnxValue, sizes: tuple[Size, ...]) -> OnnxValue:
        """The places that PyTorch takes, axis by axis."""
        factors = (None,) * len(sizes) if self.scale is None else self._factors(x.type)
        shape = list(x.type.shape)
        for at, (made, factor) in enumerate(zip(sizes, factors, strict=True), 1):
            n = shape[at]
            if not isinstance(n, int) or not isinstance(made, int):
                raise Misfit("not-in-onnx", "ONNX and PyTorch round to different places", "bind the sizes with --size")
            if n != made:
                shape[at] = made
                places = g.constant(_places(n, made, factor), "int")
                x = g.node("Gather", x, places, axis=x.dim(at), type=x.type.to(*shape))
        return x


def _scaled(n: Size, factor: float) -> Size:
    """The size that PyTorch gives: `floor(n * factor)` in double precision."""
    if isinstance(factor, int):
        return n * factor
    if not isinstance(n, Dim):
        return int(n * factor)
    ratio = Fraction(factor).limit_denominator(1000)
    whole = range(0, TRIED, ratio.denominator)
    if float(ratio) != factor or any(int(each * factor) != each * ratio for each in whole):
        message = f"{n} times {factor} is no plain ratio of an unknown size"
        raise Misfit("bad-argument", message, "say the `size`, as a formula", argument="scale")
    return n * ratio.numerator // ratio.denominator


def _places(n: int, made: int, factor: float | None) -> list[int]:
    """The places that PyTorch's nearest neighbour reads, reckoned in single precision as it does."""
    if made == n:
        return [*range(n)]
    if made == 2 * n:
        return [at // 2 for at in range(made)]
    ratio = _single(_single(n) / _single(made) if factor is None else 1 / factor)
    return [min(int(_single(at * ratio)), n - 1) for at in range(made)]


def _ratio(n: Size, made: Size, factor: float, copies: bool = True) -> float:
    """The factor, or its neighbour in single precision, with which `floor(n * factor)` is the size that is made.

    Where the size stays, PyTorch `copies`, whatever the factor (but for cubic convolution).
    """
    near = _single(factor)
    if n == made and copies:
        return 1.0
    if isinstance(n, Dim):
        if 1 < factor < 1.5:
            message = f"at a scale of {factor} small sizes stay as they are, which PyTorch copies and ONNX does not"
            raise Misfit("not-in-onnx", message, "say the `size`, or bind the sizes with --size")
        whole = Fraction(factor).limit_denominator(1000)
        return near if near >= whole else _beside(near, 1)  # above it, lest a whole number be missed
    for ratio in (near, _beside(near, 1), _beside(near, -1)):
        if int(n * ratio) == int(_single(n * ratio)) == made:
            return ratio
    raise Misfit("not-in-onnx", f"{n} times {factor} is {made} in PyTorch and another size in ONNX", "say the `size`")


def _beside(number: float, step: int) -> float:
    """The next number in single precision, above or below."""
    return float(unpack("f", pack("i", unpack("i", pack("f", number))[0] + step))[0])


def _single(number: float) -> float:
    """The nearest number in single precision."""
    return float(unpack("f", pack("f", number))[0])
