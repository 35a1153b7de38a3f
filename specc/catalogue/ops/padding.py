"""Making a tensor larger at its sides, or smaller."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, cast

from specc.catalogue.arguments import (
    SIZE,
    AxisList,
    KeywordOnly,
    Kind,
    Real,
    TensorArgument,
    choice,
    either,
    items,
    optional,
)
from specc.catalogue.axes import positions
from specc.catalogue.axes import shape as spelled
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Op, Rule, TensorType
from specc.catalogue.ops.padded import at_run_time, onnx_pad, torch_pad
from specc.catalogue.ops.windows import pair
from specc.catalogue.run_time import formula, sizes_onnx
from specc.code.nodes import Expression, Slice, Unary, binary, index, value
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, Size, symbol

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue

_BOTH = {"type": "tuple", "items_schema": [SIZE, SIZE]}
Widths = Annotated[
    Any,
    Kind(
        "a size, or a list with a size or [before, after] per axis",
        either(SIZE, items(either(SIZE, _BOTH), 1)),
        symbolic=True,
    ),
]
Sizes = Annotated[Any, Kind("a size, or a list with one per spatial axis", either(SIZE, items(SIZE, 1)), symbolic=True)]
MODES = {  # in PyTorch, in ONNX
    "zeros": ("constant", "constant"),
    "reflect": ("reflect", "reflect"),
    "replicate": ("replicate", "edge"),
    "circular": ("circular", "wrap"),
}
_MOST = {"reflect": (1, "to mirror beside its edge"), "circular": (0, "to take from its other end")}


class Pad(Op):
    """Places added around the input: by so many, or up to the next multiple."""

    name = "pad"
    takes = "c *"
    dtypes = ("float", "int")

    widths: optional(Widths) = None  # type: ignore[valid-type]
    """How many places: one number for every side, or per axis a number or `[before, after]`."""
    _: KeywordOnly
    axes: optional(AxisList, "spatial") = None  # type: ignore[valid-type]
    """The axes that grow; by default all after the channels."""
    multiple: optional(Sizes) = None  # type: ignore[valid-type]
    """Make each size a multiple of this; half of what is missing goes before, an odd rest behind; `crop` undoes it."""
    mode: Annotated[str, choice(*MODES)] = "zeros"
    """What stands there: a constant, the input mirrored at its edge place, its edge place again, or the input from its
    other end on (`circular`)."""
    value_: Real = 0
    """The constant of `mode=zeros`."""

    cases = (
        Case("pad(1)", "[3, 5, 6] -> [3, 7, 8]"),
        Case("pad(2, value=1.5)", "[3, L] -> [3, L + 4]"),
        Case("pad([1, [0, 2]])", "[3, 5, 6] -> [3, 7, 8]"),
        Case("pad([[1, 0], 0, [0, 3]])", "[3, 5, 6, 7] -> [3, 6, 6, 10]"),
        Case("pad([0, 1], axes=[channels, width])", "[3, 5, 6] -> [3, 5, 8]"),
        Case("pad([[0, 2]], axes=0)", "[5] -> [7]"),
        Case("pad([[1, 2]], axes=-1, value=-1)", "[4, 5, 6] -> [4, 5, 9]"),
        Case("pad(multiple=16)", "[6, 25, 19, 32] -> [6, 32, 32, 32]"),
        Case("pad(multiple=4)", "[3, H, W] -> [3, 4*((H + 3)//4), 4*((W + 3)//4)]"),
        Case("pad(1, multiple=[2, 3])", "[3, 5, 6] -> [3, 8, 9]"),
        Case("pad(2, mode=reflect)", "[3, 5, 6] -> [3, 9, 10]"),
        Case("pad([0, [1, 2]], mode=reflect)", "[3, H, 6] -> [3, H, 9]"),
        Case("pad(multiple=8, mode=replicate)", "[3, 5, W] -> [3, 8, 8*((W + 7)//8)]"),
        Case("pad([1, 2, 3], mode=replicate)", "[3, 5, 6, 2] -> [3, 7, 10, 8]"),
        Case("pad([[2, 1]], mode=circular)", "[3, L] -> [3, L + 3]"),
        Case("pad([2, [0, 3]], mode=circular)", "[3, 5, 3] -> [3, 9, 6]"),
        Case("pad(1, mode=circular) -> conv(2, 3)", "[3, H, W] -> [2, H, W]", 56),
        Case("pad([1, 2, 0], mode=circular)", "[3, 5, H, 2] -> [3, 7, H + 4, 2]"),
        Case("pad(H)", "[3, H] -> [3, 3*H]"),
        Wrong("pad", "[3, 5]", "missing-argument"),
        Wrong("pad(1)", "[5]", "no-such-axis"),
        Wrong("pad([1, 2])", "[3, 5]", "bad-argument", at="widths"),
        Wrong("pad(-1)", "[3, 5]", "bad-argument", at="widths"),
        Wrong("pad(5, mode=reflect)", "[3, 5, 9]", "pad-too-wide", at="widths"),
        Wrong("pad(6, mode=circular)", "[3, 5, 9]", "pad-too-wide", at="widths"),
        Wrong("pad(1, axes=channels, mode=reflect)", "[3, 5]", "unsupported-argument", at="axes"),
        Wrong("pad(1, mode=replicate, value=2)", "[3, 5]", "bad-argument", at="value"),
        Wrong("pad(1, axes=depth)", "[3, 5]", "no-such-axis", at="axes"),
        Wrong("pad(multiple=0)", "[3, 5]", "bad-argument", at="multiple"),
    )

    @property
    def _constant(self) -> float:
        return cast(float, self.value)  # on the class, `value` is what an op does to plain numbers

    def _axes(self, x: TensorType) -> tuple[int, ...]:
        if self.axes is not None:
            return positions(self.axes, x.rank, "axes")
        if x.rank < 2:
            raise Misfit("no-such-axis", f"a tensor of shape {spelled(x.shape)} has no spatial axes", "say axes=0")
        return tuple(range(1, x.rank))

    def _sides(self, x: TensorType) -> tuple[tuple[Size, Size], ...]:
        """Before and after, for every axis of the input."""
        axes = self._axes(x)
        widths = _entries(0 if self.widths is None else self.widths, axes, "widths")
        multiples = _entries(1 if self.multiple is None else self.multiple, axes, "multiple")
        found: list[tuple[Size, Size]] = [(0, 0)] * x.rank
        for axis, width, multiple in zip(axes, widths, multiples, strict=True):
            before, after = pair(width)
            missing = -(x.shape[axis] + before + after) % multiple if multiple != 1 else 0
            found[axis] = (before + missing // 2, after + (missing - missing // 2))
        return tuple(found)

    def rules(self, x: TensorType) -> Iterable[Rule]:  # type: ignore[override]
        self._refuse_arguments(x)
        for axis, sides in enumerate(self._sides(x)):
            for side in sides:
                if self.widths is not None and (isinstance(side, Dim) or side < 0):
                    predicate = Compare(side, ">=", 0) if isinstance(side, Dim) else False
                    yield Rule(predicate, _refusal(f"a padding of {side} is less than nothing", "widths"))
                if self.mode in _MOST and side != 0:
                    yield from _taken(x.shape[axis], side, *_MOST[self.mode])

    def _refuse_arguments(self, x: TensorType) -> None:
        if self.widths is None and self.multiple is None:
            raise Misfit(
                "missing-argument", "`pad` needs its widths, or a multiple", "write `pad(1)` or `pad(multiple=16)`"
            )
        for each in _entries(1 if self.multiple is None else self.multiple, self._axes(x), "multiple"):
            if isinstance(each, int) and each < 1:
                raise _refusal("`multiple` must be a whole number from 1 on", "multiple")
        if self.mode == "zeros":
            return
        if self._constant != 0:
            raise _refusal(f"`value` is the constant of mode=zeros; with mode={self.mode} there is none", "value")
        if 0 in self._axes(x) or x.rank not in (2, 3, 4) or x.dtype != "float":
            message = f"mode={self.mode} is for the 1 to 3 axes after the channels, and for float numbers"
            raise Misfit("unsupported-argument", message, argument="axes" if self.axes is not None else "mode")

    def gives(self, x: TensorType) -> TensorType:  # type: ignore[override]
        return x.to(*(n + before + after for n, (before, after) in zip(x.shape, self._sides(x), strict=True)))

    def torch(self, t: TorchContext, x: TorchValue) -> Expression:  # type: ignore[override]
        axes = self._axes(x.type)
        given = dict(zip(axes, _entries(0 if self.widths is None else self.widths, axes, "widths"), strict=True))
        multiples = dict(
            zip(axes, _entries(1 if self.multiple is None else self.multiple, axes, "multiple"), strict=True)
        )
        widths: list[tuple[Any, Any]] = []
        for axis, (before, after) in enumerate(self._sides(x.type)):
            if axis not in axes or (isinstance(before, int) and isinstance(after, int)):
                widths.append((before, after))
            elif multiples[axis] == 1:
                widths.append((formula(t, before, x), formula(t, after, x)))
            else:
                written = [each if isinstance(each, int) else formula(t, each, x) for each in pair(given[axis])]
                multiple = multiples[axis] if isinstance(multiples[axis], int) else formula(t, multiples[axis], x)
                widths.append(_rounded(t.size(x, axis), written[0], written[1], multiple))
        if self.mode == "zeros":
            return torch_pad(t, x, widths, self._constant)
        return torch_pad(t, x, widths[1:], mode=MODES[self.mode][0])

    def onnx(self, g: OnnxGraph, x: OnnxValue) -> OnnxValue:  # type: ignore[override]
        sides = self._sides(x.type)
        first = next((axis for axis, each in enumerate(sides) if each != (0, 0)), 0)
        return onnx_pad(g, x, sides[first:], self._constant, first=first, mode=MODES[self.mode][1])


def _rounded(size: Expression, before: Any, after: Any, multiple: Any) -> tuple[Expression, Expression]:
    """Before and after, with half of what is missing to the next multiple each."""
    missing = binary("%", Unary("-", _plus(_plus(size, before), after)), multiple)
    halves = binary("//", missing, 2), binary("//", binary("+", missing, 1), 2)
    return _plus(halves[0], before), _plus(halves[1], after)


def _plus(node: Expression, more: Any) -> Expression:
    return node if isinstance(more, int) and more == 0 else binary("+", node, more)


def _entries(given: Any, axes: tuple[int, ...], argument: str) -> tuple[Any, ...]:
    if not isinstance(given, tuple):
        return (given,) * len(axes)
    if len(given) != len(axes):
        wanted = "1 axis" if len(axes) == 1 else f"{len(axes)} axes"
        raise _refusal(f"`{argument}` has {len(given)} entries for {wanted}", argument)
    return given


def _refusal(message: str, argument: str) -> Misfit:
    return Misfit("bad-argument", message, argument=argument)


def _taken(size: Size, side: Size, fewer: int, says: str) -> Iterable[Rule]:
    if isinstance(size, Dim) or isinstance(side, Dim) or side > size - fewer:
        known = not isinstance(size, Dim) and not isinstance(side, Dim)
        message = f"a size of {size} has no {side} places {says}"
        misfit = Misfit("pad-too-wide", message, "mode=replicate has no such bound", argument="widths")
        yield Rule(False if known else Compare(side, "<=", size - fewer), misfit)


class Crop(Op):
    """The middle of the input, as large as asked for; of an odd rest the larger half is cut off behind."""

    name = "crop"
    takes = "c *s"
    dtypes = ("float", "int", "bool")

    _: KeywordOnly
    like: TensorArgument = None
    """A tensor with the spatial sizes that are wanted."""
    size: optional(Sizes) = None  # type: ignore[valid-type]
    """The sizes that are wanted: one for all spatial axes, or a list with one per axis."""

    cases = (
        Case("crop(size=4)", "[3, 7, 8] -> [3, 4, 4]"),
        Case("crop(size=[2, 5])", "[3, 7, W] -> [3, 2, 5]"),
        Case("crop(input, like=small)", "[3, 9] -> [3, 4]", given="small: maxpool(2, fit=down)"),
        Case("crop(like=input)", "[3, H, W] -> [3, H, W]", given="pad(multiple=8)"),
        Case("crop(size=[1, 2, 3])", "[3, 4, 5, 6] -> [3, 1, 2, 3]"),
        Wrong("crop(size=9)", "[3, 7, 8]", "crop-too-large", at="size"),
        Wrong("crop(size=[1, 2])", "[3, 7]", "bad-argument", at="size"),
        Wrong("crop", "[3, 7]", "missing-argument"),
        Wrong("crop(size=0)", "[3, 7]", "bad-argument", at="size"),
    )

    def _sizes(self, x: TensorType, like: TensorType | None) -> tuple[Size, ...]:
        if like is not None:
            if like.rank != x.rank:
                message = (
                    f"a tensor of shape {spelled(like.shape)} does not say how to crop one of shape {spelled(x.shape)}"
                )
                raise Misfit("wrong-rank", message, argument="like")
            return like.spatial
        return _entries(self.size, tuple(range(1, x.rank)), "size")

    def rules(self, x: TensorType, like: TensorType | None = None) -> Iterable[Rule]:  # type: ignore[override]
        if (like is None) == (self.size is None):
            code = "missing-argument" if like is None else "bad-argument"
            raise Misfit(code, "`crop` needs either `like` or `size`", "write `crop(like=x)` or `crop(size=32)`")
        at = "like" if like is not None else "size"
        for n, m in zip(x.spatial, self._sizes(x, like), strict=True):
            if isinstance(m, int) and m < 1:
                raise _refusal("`size` must be a whole number from 1 on", at)
            if n == m or (isinstance(n, int) and isinstance(m, int) and n >= m):
                continue
            known = isinstance(n, int) and isinstance(m, int)
            misfit = Misfit("crop-too-large", f"a size of {m} cannot be cut out of {n}", argument=at)
            yield Rule(False if known else Compare(n, ">=", m), misfit)

    def gives(self, x: TensorType, like: TensorType | None = None) -> TensorType:  # type: ignore[override]
        return x.to(x.channels, *self._sizes(x, like))

    def torch(self, t: TorchContext, x: TorchValue, like: TorchValue | None = None) -> Expression:  # type: ignore[override]
        n, m = symbol("n"), symbol("m")
        parts: list[Any] = [slice(None)] * (x.dim(0) + 1)
        for axis, (have, want) in enumerate(
            zip(x.type.spatial, self._sizes(x.type, like.type if like is not None else None), strict=True), 1
        ):
            if have == want:
                parts.append(slice(None))
                continue
            names = {"n": t.size(x, axis), "m": t.size(like, axis) if like is not None else value(want)}
            start = ((n if isinstance(have, Dim) else have) - (m if isinstance(want, Dim) else want)) // 2
            stop = start + (m if isinstance(want, Dim) else want)
            parts.append(Slice(None if start == 0 else at_run_time(start, names), at_run_time(stop, names)))
        while parts and parts[-1] == slice(None):
            parts.pop()
        return index(x.node, *parts) if parts else x.node

    def onnx(self, g: OnnxGraph, x: OnnxValue, like: OnnxValue | None = None) -> OnnxValue:  # type: ignore[override]
        sizes = self._sizes(x.type, like.type if like is not None else None)
        starts = [(have - want) // 2 for have, want in zip(x.type.spatial, sizes, strict=True)]
        stops = [start + want for start, want in zip(starts, sizes, strict=True)]
        axes = g.constant([x.dim(axis) for axis in range(1, x.type.rank)], "int")
        found: OnnxValue = g.node("Slice", x, sizes_onnx(g, starts), sizes_onnx(g, stops), axes)
        return found
