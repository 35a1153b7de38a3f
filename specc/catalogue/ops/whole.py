"""Division of whole numbers with remainder, element by element: `//` and `%`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Rule, TensorType
from specc.catalogue.ops.arithmetic import Elementwise, aligned_onnx

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue


class Whole(Elementwise):
    """One between whole numbers."""

    dtypes = ("int",)

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if self.works_in(*x) != "int":
            number = self.left if self.left is not None else self.right
            message = f"`{self.operator}` between tensors goes with whole numbers, not with {number}"
            raise Misfit("wrong-dtype", message, "cast(int) makes whole numbers")
        if self.right == 0:
            raise Misfit("division-by-zero", f"`{self.operator}` by zero")
        yield from super().rules(*x, **named)

    def sides(self, g: OnnxGraph, *x: OnnxValue) -> list[OnnxValue]:
        """Both sides, stretched where one holds one number per sample."""
        rank = max(each.type.rank for each in x)
        return self.with_number(
            [aligned_onnx(g, each, rank, "int") for each in x], lambda number: g.constant(number, "int")
        )


class FloorDivide(Whole):
    """The quotient of whole numbers, rounded down: `-7 // 2` is -4."""

    name = "floor_divide"
    operator = "//"
    cases = (
        Case("x // (y + 1)", "int [L]; int [L] -> int [L]"),
        Case("(x - 2) // (2 * y - 5)", "int [4, L]; int [1, L] -> int [4, L]"),
        Case("(input - 2) // 2", "int [4, H, W] -> int [4, H, W]"),
        Case("(1 - input) // -2", "int [2, D, 4, W] -> int [2, D, 4, W]"),
        Case("7 // (input + 1)", "int [T] -> int [T]"),
        Case("arange(12) // 4", "[4] -> int [12]"),
        Wrong("input // 2", "[4]", "wrong-dtype"),
        Wrong("input // 2.5", "int [4]", "wrong-dtype"),
        Wrong("input // 0", "int [4]", "division-by-zero"),
        Wrong("input // input[:3]", "int [4]", "shape-mismatch"),
    )

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        """Div rounds towards 0: the remainder, which has the divisor's sign, is taken off first."""
        left, right = self.sides(g, *x)
        kind = replace(left.type, shape=g.types[0].shape, batched=g.types[0].batched)
        rest = g.node("Mod", left, right, type=kind)
        return g.node("Div", g.node("Sub", left, rest, type=kind), right)  # type: ignore[no-any-return]


class Remainder(Whole):
    """What the division of whole numbers leaves; it has the sign of the divisor: `-7 % 2` is 1."""

    name = "remainder"
    operator = "%"
    cases = (
        Case("x % (y + 1)", "int [L]; int [L] -> int [L]"),
        Case("(x - 2) % (2 * y - 5)", "int [4, L]; int [1, L] -> int [4, L]"),
        Case("(input - 2) % 2", "int [4, H, W] -> int [4, H, W]"),
        Case("(1 - input) % -3", "int [2, D, 4, W] -> int [2, D, 4, W]"),
        Case("arange(12) % 4", "[4] -> int [12]"),
        Wrong("input % 2", "[4]", "wrong-dtype"),
        Wrong("input % 0", "int [4]", "division-by-zero"),
        Wrong("input % input[:3]", "int [4]", "shape-mismatch"),
    )

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        return g.node("Mod", *self.sides(g, *x))  # type: ignore[no-any-return]
