"""Places of a tensor chosen by whole numbers that are themselves a tensor.

Two ways, as everywhere: `gather` looks rows up in a table, `table[index]`, so the index may have any shape; `take_along`
picks, for each place of an index with the axes of x, one of the places along one axis. Whole numbers that name no place
are an error when the network runs, in PyTorch as in ONNX.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from specc.catalogue.arguments import Axis, KeywordOnly
from specc.catalogue.axes import apart, equal, position, shape, spell
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Op, Reach, Rule, TensorType
from specc.code.nodes import Attribute, index, method

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression


class Indexed(Op):
    """One whose second input holds whole numbers."""

    inputs = (2, 2)
    batchless = True
    layout = ""
    dtypes = ("float", "int", "bool")

    _: KeywordOnly
    axis: Axis = 0
    """The axis whose places the whole numbers name, from 0."""

    def whole(self, at: TensorType) -> None:
        """Raises where the index has no whole numbers."""
        if at.dtype != "int":
            message = f"the index of `{self.name}` holds whole numbers; this input has {at.dtype}"
            raise Misfit("wrong-dtype", message, "cast(int) makes whole numbers", port=1)

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return EVERYTHING


class Gather(Indexed):
    """Rows of a table by their numbers: `gather(table, index)` is `table[index]`, with an index of any shape.

    The axes of the index stand in the result where the axis of the table stood: a table [R, C] and an index [Q, K] give
    [Q, K, C]. A table without a batch serves each sample alike, and so does an index without one; where both have a
    batch, each sample's index picks from that sample's own table.
    """

    name = "gather"
    mixes = True
    cases = (
        Case("gather(table, input)", "int [T] -> [T, 6]", params=30, given="parameter table: [5, 6], init=normal"),
        Case("gather(table, input)", "int [2, T] -> [2, T]", params=5, given="parameter table: [5], init=normal"),
        Case("gather(table, input, axis=1)", "int [2, T] -> [6, 2, T, 3]", params=90,
             given="parameter table: [6, 5, 3], init=normal"),
        Case("gather(table, input % 2, axis=-1)", "int [] -> [6]", params=12, given="parameter table: [6, 2], init=normal"),
        Case("gather(input, constant([0, 2, 2]))", "[3, H, W] -> [3, H, W]"),
        Case("gather(input, constant([[1, 0]]), axis=1)", "[3, 4, W] -> [3, 1, 2, W]"),
        Case("gather(input, arange(input.length) // 2, axis=length)", "[4, T] -> [4, T]"),
        Case("gather(input, constant(1))", "[2, 3, 4, 5] -> [3, 4, 5]"),
        Case("gather(x, y)", "[4, C]; int [K] -> [K, C]"),
        Case("gather(x, y)", "[4]; int [Q, K] -> [Q, K]"),
        Case("gather(x, y)", "[4, 2, C]; int [] -> [2, C]"),
        Case("gather(x, y, axis=1)", "[C, 4]; int [Q, 3] -> [C, Q, 3]"),
        Case("gather(x, y, axis=1)", "int [2, 4, C]; int [K] -> int [2, K, C]"),
        Case("gather(x, y, axis=-1)", "[2, 3, 5, 4]; int [K] -> [2, 3, 5, K]"),
        Case("gather(constant([1.5, 2.5]), constant([1, 0]))", "[4] -> [2]"),
        Wrong("gather(input, input)", "[4]", "wrong-dtype"),
        Wrong("gather(input, arange(2), axis=2)", "[4, 6]", "no-such-axis", at="axis"),
    )  # fmt: skip

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        self.whole(x[1])
        position(self.axis, x[0].rank)
        return ()

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        table, at = x
        axis = position(self.axis, table.rank)
        sizes = (*table.shape[:axis], *at.shape, *table.shape[axis + 1 :])
        return TensorType(sizes, table.dtype, table.batched or at.batched)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        table, at = x
        axis, count = position(self.axis, table.type.rank), at.type.rank
        every = [slice(None)] * axis
        if not at.type.batched:
            return index(table.node, *([slice(None)] if table.type.batched else []), *every, at.node)
        if not table.type.batched:
            return _moved(index(table.node, *every, at.node), axis, 0, 1)
        rows = t.function("torch.arange", index(Attribute(at.node, "shape"), 0), device=Attribute(at.node, "device"))
        samples = method(rows, "reshape", -1, *[1] * count) if count else rows
        return _moved(index(table.node, samples, *every, at.node), count if axis else 0, 1, axis + 1)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        table, at = x
        axis, count = position(self.axis, table.type.rank), at.type.rank
        kind = g.types[0]
        if not at.type.batched:
            return g.node("Gather", table, at, axis=table.dim(axis))  # type: ignore[no-any-return]
        if not table.type.batched:
            if axis == 0:
                return g.node("Gather", table, at, axis=0)  # type: ignore[no-any-return]
            around = (*table.type.shape[:axis], *table.type.shape[axis + 1 :])
            order = [axis, *range(axis), *range(axis + 1, table.type.rank)]
            table = g.node("Transpose", table, perm=order, type=table.type.to(table.type.shape[axis], *around))
            if not count:
                return g.node("Gather", table, at, axis=0)  # type: ignore[no-any-return]
            found = g.node("Gather", table, at, axis=0, type=kind.to(*at.type.shape, *around))
            order = [0, *range(count + 1, count + 1 + axis), *range(1, count + 1)]
            return g.node("Transpose", found, perm=[*order, *range(count + 1 + axis, kind.rank + 1)])  # type: ignore[no-any-return]
        if axis:
            sizes = (table.type.shape[axis], *table.type.shape[:axis], *table.type.shape[axis + 1 :])
            order = [0, axis + 1, *range(1, axis + 1), *range(axis + 2, table.type.rank + 1)]
            table = g.node("Transpose", table, perm=order, type=table.type.to(*sizes))
        places = g.node("Unsqueeze", at, g.constant([count + 1], "int"), type=at.type.to(*at.type.shape, 1))
        rows = at.type.to(*at.type.shape, *table.type.shape[1:], dtype=table.type.dtype)
        if not axis:
            return g.node("GatherND", table, places, batch_dims=1)  # type: ignore[no-any-return]
        found = g.node("GatherND", table, places, batch_dims=1, type=rows)
        order = [0, *range(count + 1, count + 1 + axis), *range(1, count + 1), *range(count + 1 + axis, rows.rank + 1)]
        return g.node("Transpose", found, perm=order)  # type: ignore[no-any-return]


def _moved(node: Expression, count: int, first: int, to: int) -> Expression:
    """`count` axes from `first` on moved behind those that stand before `to`."""
    if count == 0:
        return node
    if count == 1:
        return method(node, "movedim", first, to)
    return method(node, "movedim", tuple(range(first, first + count)), tuple(range(to, to + count)))


class TakeAlong(Indexed):
    """For each place of the index one place of x along an axis (torch.take_along_dim).

    `y[i, j] = x[index[i, j], j]` for axis 0. The index has the axes of x; all but that one have the same size. With the
    places of the largest values it gives these values, with an argsort the sorted tensor.
    """

    name = "take_along"
    cases = (
        Case("take_along(x, y)", "[4]; int [K] -> [K]"),
        Case("take_along(x, y)", "[4, T]; int [2, T] -> [2, T]"),
        Case("take_along(x, y, axis=-1)", "[T, 4]; int [T, 2] -> [T, 2]"),
        Case("take_along(x, y, axis=height)", "[2, 4, W]; int [2, 3, W] -> [2, 3, W]"),
        Case("take_along(x, y, axis=width)", "[2, H, 4]; int [2, H, 3] -> [2, H, 3]"),
        Case("take_along(x, y, axis=1)", "int [2, 4, 3, W]; int [2, 5, 3, W] -> int [2, 5, 3, W]"),
        Case("take_along(input, constant([[1, 0, 1]]))", "[2, 3] -> [1, 3]"),
        Case("take_along(input, argmax(input) -> unsqueeze(0))", "[4, H, W] -> [1, H, W]"),
        Wrong("take_along(input, input)", "[4]", "wrong-dtype"),
        Wrong("take_along(input, arange(4))", "[4, 6]", "shape-mismatch"),
        Wrong("take_along(x, y)", "[4, 6];int [2, 5]", "shape-mismatch"),
        Wrong("take_along(x, y, axis=2)", "[4, 6];int [4, 6]", "no-such-axis", at="axis"),
    )

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        self.whole(x[1])
        axis = position(self.axis, x[0].rank)
        if x[0].rank != x[1].rank:
            message = f"the index has shape {shape(x[1].shape)}, x has {shape(x[0].shape)}: the ranks differ"
            yield Rule(False, Misfit("shape-mismatch", message, "gather takes an index of any shape", port=1))
            return
        for at, (size, other) in enumerate(zip(x[0].shape, x[1].shape, strict=True)):
            if at != axis:
                message = f"{spell(at, x[0].rank)} is {other} in the index and {size} in x ({apart(size, other)})"
                yield from equal(size, other, Misfit("shape-mismatch", message, port=1))

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        axis = position(self.axis, x[0].rank)
        sizes: list[Any] = [*x[0].shape]
        sizes[axis] = x[1].shape[axis]
        return replace(x[0], shape=tuple(sizes), batched=any(each.batched for each in x))

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        dim = x[0].dim(position(self.axis, x[0].type.rank))
        return t.function("torch.take_along_dim", x[0], x[1], dim=dim)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        dim = x[0].dim(position(self.axis, x[0].type.rank))
        return g.node("GatherElements", *x, axis=dim)  # type: ignore[no-any-return]
