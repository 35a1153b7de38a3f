"""Parts of a tensor: split into pieces along an axis, or sliced by indices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from specc.catalogue.arguments import SIZE, Axis, KeywordOnly, Kind, Shape, either, items, optional, whole
from specc.catalogue.axes import apart, position, spell
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Op, Rule, TensorType
from specc.catalogue.run_time import END, formula, sizes_onnx
from specc.code.nodes import index, method
from specc.sizes.conditions import ALWAYS, compare
from specc.sizes.dim import Dim, Size, bounds

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression

_PARTS = Kind("a whole number from 2 on, or a list of sizes", either(whole(2), items(SIZE, 2)), symbolic=True)
_END = either({"type": "none"}, SIZE)
_SPAN = {"type": "tuple", "items_schema": [_END, _END, either({"type": "none"}, whole())]}
_ITEMS = Kind("an index or a slice per axis", items(either(SIZE, _SPAN), 1), symbolic=True)


class Split(Op):
    """The tensor cut along an axis into equal parts, or into parts of given sizes."""

    name = "split"
    takes = "c *"
    batchless = True
    dtypes = ("float", "int", "bool")
    cases = (
        Case("split(2)", "[4, H, W] -> [2, H, W]; [2, H, W]"),
        Case("split([1, 3])", "[4] -> [1]; [3]"),
        Case("split(3, axis=-1)", "[T, 6] -> [T, 2]; [T, 2]; [T, 2]"),
        Case("split(sizes=[2, input.width - 2], axis=width)", "[4, 6, 8] -> [4, 6, 2]; [4, 6, 6]"),
        Wrong("split(3)", "[4, 6]", "shape-mismatch", at="parts"),
        Wrong("split([2, 3])", "[4, 6]", "shape-mismatch", at="parts"),
        Wrong("split(1)", "[4, 6]", "bad-argument", at="parts"),
    )

    parts: optional(Annotated[Any, _PARTS]) = None  # type: ignore[valid-type]
    """Into how many equal parts, or the size of each."""
    _: KeywordOnly
    sizes: optional(Shape) = None  # type: ignore[valid-type]
    """The size of each part."""
    axis: Axis = 0
    """The axis that is cut; 0 is the channels."""

    def given(self) -> tuple[str, int | tuple[Size, ...]]:
        """The argument that says how to cut, and what it says."""
        if (self.parts is None) == (self.sizes is None):
            raise Misfit("missing-argument", f"`{self.name}` needs either a number of parts or their sizes", "split(2)")
        return ("parts", self.parts) if self.sizes is None else ("sizes", self.sizes)

    def cut(self, x: TensorType) -> tuple[Size, ...]:
        """The size of each part."""
        _, given = self.given()
        if isinstance(given, tuple):
            return given
        return (x.shape[position(self.axis, x.rank)] // given,) * given

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        at = position(self.axis, x[0].rank)
        size, where = x[0].shape[at], spell(at, x[0].rank)
        argument, given = self.given()
        if not isinstance(given, tuple):
            message = f"{where} is {size}, which is no multiple of {given}"
            yield from _need(size % given, "==", 0, Misfit("shape-mismatch", message, argument=argument))
            return
        for each in given:
            yield from _need(
                each, ">=", 1, Misfit("bad-argument", f"a part cannot have size {each}", argument=argument)
            )
        total = sum(given[1:], start=given[0])
        message = f"the parts add up to {total}, {where} is {size} ({apart(size, total)})"
        yield from _need(total, "==", size, Misfit("shape-mismatch", message, argument=argument))

    def gives(self, *x: TensorType, **named: TensorType) -> tuple[TensorType, ...]:
        at, shape = position(self.axis, x[0].rank), x[0].shape
        return tuple(x[0].to(*shape[:at], size, *shape[at + 1 :]) for size in self.cut(x[0]))

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        dim = x[0].dim(position(self.axis, x[0].type.rank))
        _, given = self.given()
        if not isinstance(given, tuple):
            return method(x[0].node, "chunk", given, dim=dim)
        return method(x[0].node, "split", [formula(t, size, x[0]) for size in given], dim=dim)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> tuple[OnnxValue, ...]:
        axis = x[0].dim(position(self.axis, x[0].type.rank))
        _, given = self.given()
        if isinstance(given, tuple):
            return g.node("Split", x[0], sizes_onnx(g, given), outputs=len(given), axis=axis)  # type: ignore[no-any-return]
        return g.node("Split", x[0], outputs=given, axis=axis, num_outputs=int(given))  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is taken of one axis: from `start` up to `stop`, every `step`th; `drops` for an index. `raw` is as written."""

    start: Size
    stop: Size
    drops: bool
    raw: Any
    step: int = 1

    @property
    def size(self) -> Size:
        """How many places that are."""
        return (self.stop - self.start + self.step - 1) // self.step


class Slice(Op):
    """`x[0]` is one place of an axis, which is dropped; `x[:H, 1:]` a stretch of each. Negative: from the end.

    `x[:, ::2]` takes every second place, the first among them: of 5 places 3.
    """

    name = "slice"
    operator = "[]"
    takes = "c *"
    batchless = True
    dtypes = ("float", "int", "bool")
    cases = (
        Case("input[0]", "[4, H, W] -> [H, W]"),
        Case("input[-1]", "[4] -> []"),
        Case("input[1:, :2]", "[4, 6] -> [3, 2]"),
        Case("input[:, 1:-1, 0]", "[4, 6, W] -> [4, 4]"),
        Case("input[:, :input.length // 2]", "[4, L] -> [4, L//2]"),
        Case("input[:, ::2]", "[4, L] -> [4, (L + 1)//2]"),
        Case("input[1::3]", "[7] -> [2]"),
        Case("input[:, 1::2, ::2]", "[4, H, W] -> [4, H//2, (W + 1)//2]"),
        Case("input[:, 1:input.length - 1:3]", "[2, L] -> [2, L//3]"),
        Case("input[-1, :-1:2]", "[2, 8, W] -> [4, W]"),
        Case("input[::1]", "[5] -> [5]"),
        Case("input[:, input.length // 2:]", "[4, L] -> [4, L - L//2]"),
        Wrong("input[4]", "[4, 6]", "index-out-of-range"),
        Wrong("input[:, 2:8]", "[4, 6]", "index-out-of-range"),
        Wrong("input[3:1]", "[4, 6]", "index-out-of-range"),
        Wrong("input[::0]", "[4, 6]", "bad-argument"),
        Wrong("input[::-1]", "[4, 6]", "bad-argument"),
        Wrong("input[0, 0, 0]", "[4, 6]", "index-out-of-range"),
    )

    items: Annotated[Any, _ITEMS]
    """Per axis a whole number or size, or start, stop and step (none: the end of the axis, and 1)."""

    def stretches(self, x: TensorType) -> list[Stretch]:
        found = []
        for size, item in zip(x.shape, self.items, strict=False):
            if isinstance(item, tuple):
                start = 0 if item[0] is None else _from_start(item[0], size)
                stop = size if item[1] is None else _from_start(item[1], size)
                found.append(Stretch(start, stop, False, item, 1 if item[2] is None else item[2]))
            else:
                at = _from_start(item, size)
                found.append(Stretch(at, at + 1, True, item))
        return found

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if len(self.items) > x[0].rank:
            raise Misfit("index-out-of-range", f"{len(self.items)} indices for a tensor with {x[0].rank} axes")
        for at, each in enumerate(self.stretches(x[0])):
            size, where = x[0].shape[at], spell(at, x[0].rank)
            if each.drops:
                misfit = Misfit("index-out-of-range", f"there is no place {each.raw} on {where}, whose size is {size}")
                nothing = misfit
            else:
                if each.step < 1:
                    message = f"the step of a slice is a whole number from 1 on; this is {each.step}"
                    raise Misfit("bad-argument", message, "flip turns an axis round" if each.step == -1 else "")
                written = ":".join("" if end is None else str(end) for end in each.raw[:2])
                misfit = Misfit("index-out-of-range", f"{written} goes beyond {where}, whose size is {size}")
                nothing = Misfit("index-out-of-range", f"{written} leaves nothing of {where}, whose size is {size}")
            yield from _need(each.start, ">=", 0, misfit)
            yield from _need(each.stop, "<=", size, misfit)
            yield from _need(each.start, "<", each.stop, nothing)

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        taken = self.stretches(x[0])
        kept = tuple(each.size for each in taken if not each.drops)
        dropped = any(each.drops for each in taken)
        return x[0].to(*kept, *x[0].shape[len(taken) :], layout="" if dropped else None)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        def spelled(end: Any) -> Any:
            return None if end is None else formula(t, end, x[0])

        batch = [slice(None)] if x[0].type.batched else []
        parts = [slice(*map(spelled, each)) if isinstance(each, tuple) else spelled(each) for each in self.items]
        return index(x[0].node, *batch, *parts)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        taken = self.stretches(x[0].type)
        wanted = [
            (at, each) for at, each in enumerate(taken) if each.drops or each.raw[:2] != (None, None) or each.step > 1
        ]
        if not wanted:
            return g.node("Identity", x[0])  # type: ignore[no-any-return]
        if len(wanted) == 1 and wanted[0][1].drops and isinstance(place := _first(wanted[0][1]), int):
            return g.node("Gather", x[0], g.constant(place, "int"), axis=x[0].dim(wanted[0][0]))  # type: ignore[no-any-return]
        axes = g.constant([x[0].dim(at) for at, _ in wanted], "int")
        starts = sizes_onnx(g, [_first(each) for _, each in wanted])
        stops = sizes_onnx(g, [_end(each) for _, each in wanted])
        dropped = [x[0].dim(at) for at, each in wanted if each.drops]
        kept = [each.size for each in taken]
        kind = x[0].type.to(*kept, *x[0].type.shape[len(taken) :]) if dropped else None
        steps = [each.step for _, each in wanted]
        jumps = [g.constant(steps, "int")] if max(steps) > 1 else []
        found: OnnxValue = g.node("Slice", x[0], starts, stops, axes, *jumps, type=kind)
        return g.node("Squeeze", found, g.constant(dropped, "int")) if dropped else found


def _from_start(at: Size, size: Size) -> Size:
    """The place counted from the start: what can only be negative is counted from the end."""
    most = bounds(at)[1]
    return size + at if most is not None and most < 0 else at


def _first(each: Stretch) -> Size:
    """Where ONNX starts, which counts negative numbers from the end as well."""
    raw = each.raw if each.drops else 0 if each.raw[0] is None else each.raw[0]
    return raw if isinstance(raw, int) else each.start


def _end(each: Stretch) -> Size:
    if each.drops:
        return each.stop if not isinstance(each.raw, int) else END if each.raw == -1 else each.raw + 1
    raw = END if each.raw[1] is None else each.raw[1]
    return raw if isinstance(raw, int) else each.stop


def _need(left: Size, sign: Any, right: Size, misfit: Misfit) -> Iterator[Rule]:
    predicate = compare(left, sign, right)
    if predicate != ALWAYS:
        yield Rule(predicate if isinstance(left - right, Dim) else False, misfit)
