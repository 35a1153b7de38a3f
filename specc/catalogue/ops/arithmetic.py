"""Arithmetic and comparisons between tensors, or between a tensor and a number, with broadcasting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from specc.catalogue.arguments import KeywordOnly, Real, optional
from specc.catalogue.axes import broadcast, broadcast_rules
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Dtype, Op, Rule, TensorType
from specc.code.nodes import Binary, compare, method, value

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression

_WIDTH: dict[Dtype, int] = {"bool": 0, "int": 1, "float": 2}
_ONNX_TYPE: dict[Dtype, int] = {"float": 1, "int": 7, "bool": 9}


def widest(*x: TensorType) -> Dtype:
    """The element type that holds them all, as PyTorch promotes: bool, then int, then float."""
    return max((each.dtype for each in x), key=lambda dtype: _WIDTH[dtype])


def aligned(t: TorchContext, x: TorchValue, rank: int) -> Expression:
    """The operand; one number per sample gets axes of size 1, so that it meets each sample of the other."""
    if rank == 0 or x.type.rank or not x.type.batched:
        return x.node
    return method(x.node, "reshape", -1, *[1] * rank)


def aligned_onnx(g: OnnxGraph, x: OnnxValue, rank: int, dtype: Dtype) -> OnnxValue:
    """The same in ONNX, and cast to the element type at hand."""
    kind = x.type
    if kind.dtype != dtype:
        kind = replace(kind, dtype=dtype)
        x = g.node("Cast", x, type=kind, to=_ONNX_TYPE[dtype])
    if rank == 0 or kind.rank or not kind.batched:
        return x
    axes = g.constant([*range(1, rank + 1)], "int")
    return g.node("Unsqueeze", x, axes, type=replace(kind, shape=(1,) * rank))  # type: ignore[no-any-return]


class Elementwise(Op):
    """An operator between two tensors, or a tensor and a number."""

    inputs = (1, 2)
    mixes = True
    batchless = True
    dtypes = ("float", "int", "bool")
    node: ClassVar[str] = ""  # ONNX's name

    _: KeywordOnly
    left: optional(Real) = None  # type: ignore[valid-type]
    """The number on the left of the sign, where the left side is no tensor."""
    right: optional(Real) = None  # type: ignore[valid-type]
    """The number on the right of the sign, where the right side is no tensor."""

    def works_in(self, *x: TensorType) -> Dtype:
        """The element type that both sides are brought to before the operation."""
        found = widest(*x)
        number = self.left if self.left is not None else self.right
        if number is None or found == "float":
            return found
        return "float" if isinstance(number, float) else "int"

    def makes_type(self, *x: TensorType) -> Dtype:
        return self.works_in(*x)

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if len(x) + (self.left is not None) + (self.right is not None) != 2:
            raise Misfit("missing-operand", f"`{self.operator}` needs two sides")
        yield from broadcast_rules(*x)

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return replace(broadcast(*x), dtype=self.makes_type(*x))

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        rank = max(each.type.rank for each in x)
        sides = [aligned(t, each, rank) for each in x]
        if self.left is not None:
            sides.insert(0, value(self.left))
        if self.right is not None:
            sides.append(value(self.right))
        return self.written(*sides)

    def written(self, left: Expression, right: Expression) -> Expression:
        """The operation in Python, where most signs are the same."""
        return Binary(self.operator, left, right)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        kinds = [each.type for each in x]
        dtype, rank = self.works_in(*kinds), max(each.rank for each in kinds)
        sides = [aligned_onnx(g, each, rank, dtype) for each in x]
        if self.left is not None:
            sides.insert(0, g.constant(self.left, dtype))
        if self.right is not None:
            sides.append(g.constant(self.right, dtype))
        found: OnnxValue = g.node(self.node, *sides)
        return found


class Arithmetic(Elementwise):
    """One that makes numbers, so bool tensors alone will not do."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if self.works_in(*x) == "bool":
            raise Misfit("wrong-dtype", f"`{self.operator}` needs numbers; these are true or false", "use and, or, not")
        yield from super().rules(*x, **named)


class Add(Arithmetic):
    """The sum, element by element."""

    name = "add"
    operator = "+"
    node = "Add"
    cases = (
        Case("a + input", "[4, 6, 6] -> [4, 6, 6]", given="a: relu"),
        Case("a + 1", "[4] -> [4]", given="a: relu"),
        Case("a + input", "[4, H, W] -> [4, H, W]", given="a: relu"),
        Case("a + global_avgpool(input)[0]", "[4, 6, 6] -> [4, 6, 6]", given="a: relu"),
        Wrong("input + input[:2]", "[4, 6]", "shape-mismatch"),
        Wrong("input + input[0]", "[4, 6]", "shape-mismatch"),
    )


class Subtract(Arithmetic):
    """The difference, element by element."""

    name = "subtract"
    operator = "-"
    node = "Sub"
    cases = (
        Case("1 - input", "[4, 6] -> [4, 6]"),
        Case("input - 0.5", "[2, 3, 4, 5] -> [2, 3, 4, 5]"),
        Wrong("input - input[1:]", "[4]", "shape-mismatch"),
    )


class Multiply(Arithmetic):
    """The product, element by element."""

    name = "multiply"
    operator = "*"
    node = "Mul"
    cases = (
        Case("1.7159 * input", "[6, 28, 28] -> [6, 28, 28]"),
        Case("gate * input", "[6, H, W] -> [6, H, W]", given="gate: mean(input, axis=[1, 2], keep=true)"),
        Wrong("input * input[:3]", "[4, 6, 6]", "shape-mismatch"),
    )


class Divide(Arithmetic):
    """The quotient, element by element; whole numbers give reals."""

    name = "divide"
    operator = "/"
    node = "Div"
    cases = (
        Case("input / 2", "[4, 6] -> [4, 6]"),
        Case("1 / input", "[T] -> [T]"),
        Wrong("input / input[:3]", "[4]", "shape-mismatch"),
    )

    def works_in(self, *x: TensorType) -> Dtype:
        return "bool" if widest(*x) == super().works_in(*x) == "bool" else "float"


class Power(Arithmetic):
    """The power, element by element."""

    name = "power"
    operator = "**"
    node = "Pow"
    cases = (
        Case("input ** 2", "[4, 6] -> [4, 6]"),
        Case("2.0 ** input", "[4, 6, 6] -> [4, 6, 6]"),
        Wrong("input ** input[:3]", "[4]", "shape-mismatch"),
    )

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if self.works_in(*x) == "int" and self.right is not None and self.right < 0:
            raise Misfit("bad-argument", f"whole numbers have no power {self.right}", f"write {self.right}.0 for reals")
        yield from super().rules(*x, **named)


class Comparison(Elementwise):
    """A question answered true or false for each element."""

    def makes_type(self, *x: TensorType) -> Dtype:
        return "bool"

    def written(self, left: Expression, right: Expression) -> Expression:
        return compare(left, self.operator, right)


class Less(Comparison):
    """Whether the left element is smaller."""

    name = "less"
    operator = "<"
    node = "Less"
    cases = (Case("input < 0.5", "[4, 6] -> [4, 6]"), Wrong("input < input[:3]", "[4]", "shape-mismatch"))


class LessEqual(Comparison):
    """Whether the left element is smaller or equal."""

    name = "less_equal"
    operator = "<="
    node = "LessOrEqual"
    cases = (Case("input <= 0.5", "[4, 6] -> [4, 6]"), Wrong("input <= input[:3]", "[4]", "shape-mismatch"))


class Greater(Comparison):
    """Whether the left element is larger."""

    name = "greater"
    operator = ">"
    node = "Greater"
    cases = (Case("0 > input", "[4, 6, 6] -> [4, 6, 6]"), Wrong("input > input[:3]", "[4]", "shape-mismatch"))


class GreaterEqual(Comparison):
    """Whether the left element is larger or equal."""

    name = "greater_equal"
    operator = ">="
    node = "GreaterOrEqual"
    cases = (Case("input >= 0", "[H] -> [H]"), Wrong("input >= input[:3]", "[4]", "shape-mismatch"))


class Equal(Comparison):
    """Whether both elements are equal."""

    name = "equal"
    operator = "=="
    node = "Equal"
    cases = (Case("input == 0", "[4, 6] -> [4, 6]"), Wrong("input == input[:3]", "[4]", "shape-mismatch"))


class NotEqual(Comparison):
    """Whether the elements differ."""

    name = "not_equal"
    operator = "!="
    node = "Equal"
    cases = (Case("input != 0", "[4, 6] -> [4, 6]"), Wrong("input != input[:3]", "[4]", "shape-mismatch"))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        found: OnnxValue = g.node("Not", super().onnx(g, *x, **named))
        return found
