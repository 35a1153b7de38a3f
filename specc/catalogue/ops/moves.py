"""The places of an axis in another order, or several times: rolled, turned round, repeated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from specc.catalogue.arguments import (
    SIZE,
    Axis,
    AxisList,
    KeywordOnly,
    Kind,
    SizeArgument,
    either,
    items,
)  # fmt: skip
from specc.catalogue.axes import position, positions
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Dtype, Op, Reach, Rule, TensorType
from specc.catalogue.run_time import END, formula, sizes_onnx
from specc.code.nodes import method
from specc.sizes.conditions import ALWAYS, compare
from specc.sizes.dim import Dim, Size, bounds

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression

ANY: tuple[Dtype, ...] = ("float", "int", "bool")
BEFORE_ALL = -END - 1  # "down to the first, which is taken too" for ONNX's Slice with a step back
_SHIFTS = Kind("a whole number or size, or a list with one per axis", either(SIZE, items(SIZE, 1)), symbolic=True)


class Roll(Op):
    """The places of axes moved on by so many; what goes over the end comes in at the start (torch.roll).

    Swin's shifted windows are `roll([-3, -3], axes=[height, width])` (Liu et al. 2021, arXiv:2103.14030, section 3.2).
    """

    name = "roll"
    takes = "c *"
    batchless = True
    dtypes = ANY
    cases = (
        Case("roll(1, axes=0)", "[5] -> [5]"),
        Case("roll(-2, axes=length)", "[4, T] -> [4, T]"),
        Case("roll(3, axes=-1)", "[4, T] -> [4, T]"),
        Case("roll([-3, -3], axes=[height, width])", "[2, 14, 14] -> [2, 14, 14]"),
        Case("roll([-1, 2], axes=[1, 2])", "[2, H, W] -> [2, H, W]"),
        Case("roll(0, axes=0)", "[4, 6] -> [4, 6]"),
        Case("roll([0, 5], axes=[0, 1])", "[4, 3] -> [4, 3]"),
        Case("roll(input.width // 2, axes=width)", "[1, 4, W] -> [1, 4, W]"),
        Case("roll([1, 0, -1], axes=[1, 2, 3])", "[2, D, 4, W] -> [2, D, 4, W]"),
        Case("pad([[0, 2]], axes=length) -> roll(-2, axes=length)", "[4, T] -> [4, T + 2]"),
        Wrong("roll([1, 2], axes=0)", "[4, 6]", "bad-argument", at="shifts"),
        Wrong("roll(1, axes=width)", "[4, 6]", "no-such-axis", at="axes"),
        Wrong("roll([1, 2], axes=[0, 0])", "[4, 6]", "repeated-axis", at="axes"),
        Wrong("roll(0.5, axes=0)", "[4, 6]", "bad-argument", at="shifts"),
    )

    shifts: Annotated[Any, _SHIFTS]
    """By how many places, towards the end; a negative number goes towards the start. One, or one per axis."""
    _: KeywordOnly
    axes: AxisList
    """The axis that is rolled, or several."""

    def plan(self, x: TensorType) -> list[tuple[int, Size]]:
        """Axes with their shifts, as they are written."""
        axes = [self.axes] if isinstance(self.axes, int | str) else list(self.axes)
        positions(axes, x.rank, "axes")
        shifts = self.shifts if isinstance(self.shifts, tuple) else (self.shifts,)
        if len(shifts) != len(axes):
            message = f"`shifts` must have one number for each of the {len(axes)} axes; this has {len(shifts)}"
            raise Misfit("bad-argument", message, argument="shifts")
        return [(position(axis, x.rank, "axes"), shift) for axis, shift in zip(axes, shifts, strict=True)]

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        self.plan(x[0])
        return ()

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return EVERYTHING

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        plan = [(axis, shift) for axis, shift in self.plan(x[0].type) if isinstance(shift, Dim) or shift]
        shifts = tuple(formula(t, shift, x[0]) for _, shift in plan)
        dims = tuple(x[0].dim(axis) for axis, _ in plan)
        if not plan:
            return x[0].node
        if len(plan) == 1:
            return method(x[0].node, "roll", shifts[0], dims[0])
        return method(x[0].node, "roll", shifts, dims)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        found = x[0]
        for axis, shift in self.plan(x[0].type):
            at = _start(x[0].type.shape[axis], shift)
            if at == 0:
                continue
            size, dim = x[0].type.shape[axis], g.constant([x[0].dim(axis)], "int")
            cut, kept = sizes_onnx(g, [at]), at if isinstance(at, Dim) or at > 0 else size + at
            types = [
                x[0].type.to(*x[0].type.shape[:axis], each, *x[0].type.shape[axis + 1 :])
                for each in (size - kept, kept)
            ]
            behind = g.node("Slice", found, cut, g.constant([END], "int"), dim, type=types[0])
            before = g.node("Slice", found, g.constant([0], "int"), cut, dim, type=types[1])
            found = g.node("Concat", behind, before, axis=x[0].dim(axis))
        return found if found is not x[0] else g.node("Identity", found)


def _start(size: Size, shift: Size) -> Size:
    """The place that comes to the start; negative where it is counted from the end, and so needs no reckoning."""
    if not isinstance(size, Dim) and not isinstance(shift, Dim):
        return -shift % size
    least = bounds(size)[0]
    if not isinstance(shift, Dim) and (shift == 0 or (least is not None and abs(shift) <= least)):
        return -shift
    return -shift % size


class Flip(Op):
    """The places of axes in reverse order (torch.flip)."""

    name = "flip"
    takes = "c *"
    batchless = True
    dtypes = ANY
    cases = (
        Case("flip(0)", "[5] -> [5]"),
        Case("flip(length)", "[4, T] -> [4, T]"),
        Case("flip([height, width])", "[2, H, W] -> [2, H, W]"),
        Case("flip(axes=-1)", "[2, 3, 4, W] -> [2, 3, 4, W]"),
        Wrong("flip(2)", "[4, 6]", "no-such-axis", at="axes"),
        Wrong("flip([0, 0])", "[4, 6]", "repeated-axis", at="axes"),
    )

    axes: AxisList
    """The axis that is turned round, or several."""

    def dims(self, x: TorchValue | OnnxValue) -> list[int]:
        return [x.dim(axis) for axis in positions(self.axes, x.type.rank, "axes")]

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        positions(self.axes, x[0].rank, "axes")
        return ()

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return EVERYTHING

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return method(x[0].node, "flip", *self.dims(x[0]))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        dims = self.dims(x[0])
        starts, ends, steps = ([number] * len(dims) for number in (-1, BEFORE_ALL, -1))
        numbers = (g.constant(each, "int") for each in (starts, ends, dims, steps))
        return g.node("Slice", x[0], *numbers)  # type: ignore[no-any-return]


class Tile(Op):
    """The tensor several times, one behind the other along an axis: a, b becomes a, b, a, b."""

    name = "tile"
    takes = "c *"
    batchless = True
    dtypes = ANY
    cases = (
        Case("tile(2, axis=0)", "[3] -> [6]"),
        Case("tile(3, axis=-1)", "[4, T] -> [4, 3*T]"),
        Case("tile(2, axis=height)", "[1, H, W] -> [1, 2*H, W]"),
        Case("tile(input.length, axis=0)", "[2, T] -> [2*T, T]"),
        Case("tile(1, axis=0)", "[2, 3, 4, 5] -> [2, 3, 4, 5]"),
        Wrong("tile(0, axis=0)", "[4, 6]", "bad-argument", at="times"),
        Wrong("tile(2, axis=2)", "[4, 6]", "no-such-axis", at="axis"),
    )

    times: SizeArgument
    """How often."""
    _: KeywordOnly
    axis: Axis
    """The axis along which."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        predicate = compare(self.times, ">=", 1)
        if predicate != ALWAYS:
            misfit = Misfit("bad-argument", f"`times` must be from 1 on; this is {self.times}", argument="times")
            yield Rule(predicate if isinstance(self.times, Dim) else False, misfit)

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        at = position(self.axis, x[0].rank)
        return x[0].to(*x[0].shape[:at], self.times * x[0].shape[at], *x[0].shape[at + 1 :])

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return EVERYTHING

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        dim = x[0].dim(position(self.axis, x[0].type.rank))
        rank = x[0].type.rank + x[0].type.batched
        return method(x[0].node, "repeat", *(formula(t, self.times, x[0]) if at == dim else 1 for at in range(rank)))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        axis, kind = position(self.axis, x[0].type.rank), x[0].type
        if isinstance(self.times, Dim):
            ones = [1] * (x[0].dim(axis))
            after = [1] * (kind.rank - axis - 1)
            parts = [
                *([g.constant(ones, "int")] if ones else []),
                sizes_onnx(g, [self.times]),
                *([g.constant(after, "int")] if after else []),
            ]
            whole = TensorType((kind.rank + kind.batched,), "int", batched=False)
            repeats: Any = parts[0] if len(parts) == 1 else g.node("Concat", *parts, axis=0, type=whole)
        else:
            repeats = g.constant([self.times if at == axis else 1 for at in range(-kind.batched, kind.rank)], "int")
        return g.node("Tile", x[0], repeats)  # type: ignore[no-any-return]
