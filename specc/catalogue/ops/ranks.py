"""Along an axis: running sums, the largest few, and all of it in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from specc.catalogue.arguments import Axis, Flag, KeywordOnly, Positive
from specc.catalogue.axes import position, reach_along, spell
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Dtype, Op, Reach, Rule, TensorType
from specc.code.nodes import Attribute, method
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression


class _Along(Op):
    """Something along one axis."""

    takes = "c *"
    batchless = True
    dtypes: ClassVar[tuple[Dtype, ...]] = ("float", "int")

    axis: Any

    def at(self, x: TensorType) -> int:
        return position(self.axis, x.rank)

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        self.at(x[0])
        return ()

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return reach_along(self.at(x[0]))


class CumulativeSum(_Along):
    """The running sum along an axis: each element and all before it."""

    name = "cumsum"
    cases = (
        Case("cumsum", "[5] -> [5]"),
        Case("cumsum(axis=0)", "[4, T] -> [4, T]"),
        Case("cumsum(axis=height)", "[4, H, W] -> [4, H, W]"),
        Case("cumsum", "int [2, 3, T] -> int [2, 3, T]"),
        Wrong("cumsum(axis=2)", "[4, 5]", "no-such-axis", at="axis"),
    )

    _: KeywordOnly
    axis: Axis = -1
    """The axis along which it runs."""

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return method(x[0].node, "cumsum", dim=x[0].dim(self.at(x[0].type)))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        axis = g.constant(x[0].dim(self.at(x[0].type)), "int")
        return g.node("CumSum", x[0], axis)  # type: ignore[no-any-return]


class TopK(_Along):
    """The k largest along an axis, the largest first; `.indices` are the places where they stand."""

    name = "topk"
    further = ("indices",)
    cases = (
        Case("topk(3)", "[10] -> [3]"),
        Case("topk(2, axis=0)", "[4, T] -> [2, T]"),
        Case("topk(2)", "[4, T] -> [4, 2]"),
        Case("topk(1, axis=height, largest=false)", "[4, H, W] -> [4, 1, W]"),
        Case("topk(2, axis=1)", "[2, 3, 4, 5] -> [2, 2, 4, 5]"),
        Wrong("topk(6)", "[5]", "bad-argument", at="k"),
        Wrong("topk(0)", "[5]", "bad-argument", at="k"),
        Wrong("topk(1, axis=1)", "[5]", "no-such-axis", at="axis"),
    )

    k: Positive
    """How many are kept."""
    _: KeywordOnly
    axis: Axis = -1
    """The axis that is searched."""
    largest: Flag = True
    """Whether the largest are wanted, and not the smallest."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        at = self.at(x[0])
        size = x[0].shape[at]
        if isinstance(size, Dim) or size < self.k:
            message = f"{spell(at, x[0].rank)} is {size}, which has no {self.k} elements"
            yield Rule(Compare(size, ">=", self.k) if isinstance(size, Dim) else False, _refused(message))

    def gives(self, *x: TensorType, **named: TensorType) -> tuple[TensorType, TensorType]:
        at = self.at(x[0])
        found = x[0].to(*x[0].shape[:at], self.k, *x[0].shape[at + 1 :])
        return found, found.to(*found.shape, dtype="int")

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        words: dict[str, Any] = {} if self.largest else {"largest": False}
        found = method(x[0].node, "topk", self.k, dim=x[0].dim(self.at(x[0].type)), **words)
        return found if len(t.types) > 1 else Attribute(found, "values")

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> tuple[OnnxValue, ...]:
        axis = x[0].dim(self.at(x[0].type))
        count = g.constant([int(self.k)], "int")
        return g.node("TopK", x[0], count, axis=axis, largest=int(self.largest), type=self.gives(x[0].type))  # type: ignore[no-any-return]


class Sort(_Along):
    """All along an axis in ascending order; `.indices` are the places where they stood."""

    name = "sort"
    further = ("indices",)
    cases = (
        Case("sort", "[5] -> [5]"),
        Case("sort(descending=true)", "[4, T] -> [4, T]"),
        Case("sort(axis=channels)", "[4, H, W] -> [4, H, W]"),
        Case("sort(axis=1)", "[2, T, 3, 4] -> [2, T, 3, 4]"),
        Wrong("sort(axis=1)", "[5]", "no-such-axis", at="axis"),
    )

    _: KeywordOnly
    axis: Axis = -1
    """The axis that is put in order."""
    descending: Flag = False
    """Whether the largest comes first."""

    def gives(self, *x: TensorType, **named: TensorType) -> tuple[TensorType, TensorType]:
        return x[0], x[0].to(*x[0].shape, dtype="int")

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        words: dict[str, Any] = {"descending": True} if self.descending else {}
        found = method(x[0].node, "sort", dim=x[0].dim(self.at(x[0].type)), stable=True, **words)
        return found if len(t.types) > 1 else Attribute(found, "values")

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> tuple[OnnxValue, ...]:
        """The first as many as there are, which ONNX gives in order; of equal ones the first comes first."""
        axis = x[0].dim(self.at(x[0].type))
        one = TensorType((1,), "int", batched=False)
        size = x[0].type.shape[self.at(x[0].type)]
        count = g.constant([size], "int") if not isinstance(size, Dim) else None
        if count is None:
            count = g.node("Shape", x[0], start=axis, end=axis + 1, type=one)
        return g.node("TopK", x[0], count, axis=axis, largest=int(self.descending), type=self.gives(x[0].type))  # type: ignore[no-any-return]


def _refused(message: str) -> Misfit:
    return Misfit("bad-argument", message, argument="k")
