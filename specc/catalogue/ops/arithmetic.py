"""Arithmetic and comparisons between tensors, or between a tensor and a number, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from specc.catalogue.arguments import KeywordOnly, Real, optional
from specc.catalogue.axes import broadcast, broadcast_rules
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Dtype, Op, Rule, TensorType
from specc.catalogue.ops.cases import between
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
    dtypes: ClassVar[tuple[Dtype, ...]] = ("float", "int", "bool")
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
        return self.written(*self.with_number([aligned(t, each, rank) for each in x], value))

    def with_number(self, sides: list[Any], made: Callable[[float], Any]) -> list[Any]:
        """Both sides in their order, where one of them is a number that is yet to be made."""
        left = [] if self.left is None else [made(self.left)]
        return [*left, *sides, *([] if self.right is None else [made(self.right)])]

    def written(self, left: Expression, right: Expression) -> Expression:
        """The operation in Python, where most signs are the same."""
        return Binary(self.operator, left, right)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        kinds = [each.type for each in x]
        dtype, rank = self.works_in(*kinds), max(each.rank for each in kinds)
        sides = [aligned_onnx(g, each, rank, dtype) for each in x]
        found: OnnxValue = g.node(self.node, *self.with_number(sides, lambda number: g.constant(number, dtype)))
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
        *between("+"),
        Case("a + input", "[4, 6, 6] -> [4, 6, 6]", given="a: relu"),
        Case("x + y", "[4, H, W]; int [4, H, W] -> [4, H, W]"),
        Case("x + y", "[4, 5]; [] -> [4, 5]"),
        Case("input + 0.5", "[T] -> [T]"),
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
        *between("-"),
        Case("1 - input", "[4, 6] -> [4, 6]"),
        Case("1 - input", "bool [T] -> int [T]"),
        Case("x - y", "[4, 6]; bool [4, 6] -> [4, 6]"),
        Case("input - 0.5", "[2, 3, 4, 5] -> [2, 3, 4, 5]"),
        Wrong("input - input[1:]", "[4]", "shape-mismatch"),
    )

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        """PyTorch subtracts no true and false: they are made numbers first."""
        rank = max(each.type.rank for each in x)
        sides = [aligned(t, each, rank) for each in x]
        sides = [method(n, "long") if each.type.dtype == "bool" else n for n, each in zip(sides, x, strict=True)]
        return self.written(*self.with_number(sides, value))


class Multiply(Arithmetic):
    """The product, element by element."""

    name = "multiply"
    operator = "*"
    node = "Mul"
    cases = (
        *between("*"),
        Case("1.7159 * input", "[6, 28, 28] -> [6, 28, 28]"),
        Case("x * y", "[4, T]; bool [1, T] -> [4, T]"),
        Case("gate * input", "[6, H, W] -> [6, H, W]", given="gate: mean(input, axis=[1, 2], keep=true)"),
        Wrong("input * input[:3]", "[4, 6, 6]", "shape-mismatch"),
    )


class Divide(Arithmetic):
    """The quotient, element by element; whole numbers give reals."""

    name = "divide"
    operator = "/"
    node = "Div"
    cases = (
        *between("/"),
        Case("input / 2", "[4, 6] -> [4, 6]"),
        Case("input / 2", "int [4, 6] -> [4, 6]"),
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
        *between("**"),
        Case("input ** 2", "[4, 6] -> [4, 6]"),
        Case("input ** 2", "int [4, W] -> int [4, W]"),
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


class Order(Comparison):
    """One of smaller and larger; false comes before true."""

    def works_in(self, *x: TensorType) -> Dtype:
        found = super().works_in(*x)
        return "int" if found == "bool" else found


class Less(Order):
    """Whether the left element is smaller."""

    name = "less"
    operator = "<"
    node = "Less"
    cases = (
        *between("<", made="bool"),
        Case("input < 0.5", "[4, 6] -> bool [4, 6]"),
        Wrong("input < input[:3]", "[4]", "shape-mismatch"),
    )


class LessEqual(Order):
    """Whether the left element is smaller or equal."""

    name = "less_equal"
    operator = "<="
    node = "LessOrEqual"
    cases = (
        *between("<=", made="bool"),
        Case("input <= 0.5", "[4, 6] -> bool [4, 6]"),
        Wrong("input <= input[:3]", "[4]", "shape-mismatch"),
    )


class Greater(Order):
    """Whether the left element is larger."""

    name = "greater"
    operator = ">"
    node = "Greater"
    cases = (
        *between(">", made="bool"),
        Case("0 > input", "[4, 6, 6] -> bool [4, 6, 6]"),
        Wrong("input > input[:3]", "[4]", "shape-mismatch"),
    )


class GreaterEqual(Order):
    """Whether the left element is larger or equal."""

    name = "greater_equal"
    operator = ">="
    node = "GreaterOrEqual"
    cases = (
        *between(">=", made="bool"),
        Case("input >= 0", "[H] -> bool [H]"),
        Wrong("input >= input[:3]", "[4]", "shape-mismatch"),
    )


class Equal(Comparison):
    """Whether both elements are equal."""

    name = "equal"
    operator = "=="
    node = "Equal"
    cases = (
        *between("==", made="bool"),
        Case("input == 0", "[4, 6] -> bool [4, 6]"),
        Wrong("input == input[:3]", "[4]", "shape-mismatch"),
    )


class NotEqual(Comparison):
    """Whether the elements differ."""

    name = "not_equal"
    operator = "!="
    node = "Equal"
    cases = (
        *between("!=", made="bool"),
        Case("input != 0", "[4, 6] -> bool [4, 6]"),
        Wrong("input != input[:3]", "[4]", "shape-mismatch"),
    )

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        found: OnnxValue = g.node("Not", super().onnx(g, *x, **named))
        return found
