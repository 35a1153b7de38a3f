"""Functions of one element, and logic between true and false."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from specc.catalogue.axes import broadcast, broadcast_rules
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Op, Rule, TensorType
from specc.catalogue.ops.arithmetic import aligned, aligned_onnx
from specc.catalogue.ops.cases import at_every_rank, between
from specc.code.nodes import Binary, Unary

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression


class Pointwise(Op):
    """A function of each element alone."""

    batchless = True
    function: ClassVar[str] = ""  # PyTorch's name
    node: ClassVar[str] = ""  # ONNX's name

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return t.function(self.function, *x)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        found: OnnxValue = g.node(self.node, *x)
        return found


class Abs(Pointwise):
    """The magnitude."""

    name = "abs"
    value = abs
    dtypes = ("float", "int")
    function = "torch.abs"
    node = "Abs"
    cases = at_every_rank("abs")


class Sqrt(Pointwise):
    """The square root; not a number below 0."""

    name = "sqrt"
    value = math.sqrt
    function = "torch.sqrt"
    node = "Sqrt"
    cases = (*at_every_rank("sqrt"), Case("abs -> sqrt", "[2, 3, 4] -> [2, 3, 4]"))


class Exp(Pointwise):
    """e to the power of each element."""

    name = "exp"
    value = math.exp
    function = "torch.exp"
    node = "Exp"
    cases = at_every_rank("exp")


class Log(Pointwise):
    """The natural logarithm."""

    name = "log"
    value = math.log
    function = "torch.log"
    node = "Log"
    cases = (*at_every_rank("log"), Case("exp -> log", "[4, 6, 6] -> [4, 6, 6]"))


class Sin(Pointwise):
    """The sine, of radians."""

    name = "sin"
    value = math.sin
    function = "torch.sin"
    node = "Sin"
    cases = at_every_rank("sin")


class Cos(Pointwise):
    """The cosine, of radians."""

    name = "cos"
    value = math.cos
    function = "torch.cos"
    node = "Cos"
    cases = at_every_rank("cos")


class Erf(Pointwise):
    """The error function: the chance that a normal number of variance 1/2 lies within x of 0, with the sign of x."""

    name = "erf"
    value = math.erf
    function = "torch.erf"
    node = "Erf"
    cases = at_every_rank("erf")


class Round(Pointwise):
    """The nearest whole number, of two the even one; of a tensor still a real number."""

    name = "round"
    value = round
    function = "torch.round"
    node = "Round"
    cases = (*at_every_rank("round"), Case("round(4 * input)", "[4, L] -> [4, L]"))


class Floor(Pointwise):
    """The largest whole number that is not above; of a tensor still a real number."""

    name = "floor"
    value = math.floor
    function = "torch.floor"
    node = "Floor"
    cases = (*at_every_rank("floor"), Case("floor(4 * input)", "[4, L] -> [4, L]"))


class Ceil(Pointwise):
    """The smallest whole number that is not below; of a tensor still a real number."""

    name = "ceil"
    value = math.ceil
    function = "torch.ceil"
    node = "Ceil"
    cases = (*at_every_rank("ceil"), Case("ceil(4 * input)", "[4, L] -> [4, L]"))


class Sign(Pointwise):
    """-1, 0 or 1."""

    name = "sign"
    makes, undone = "sign", True
    dtypes = ("float", "int")
    function = "torch.sign"
    node = "Sign"
    cases = (*at_every_rank("sign"), Case("sign", "int [4, T] -> int [4, T]"))


class Negate(Pointwise):
    """The opposite number, `-x`."""

    name = "negate"
    operator = "-x"  # the sign before one operand; "-" is the sign between two
    dtypes = ("float", "int")
    node = "Neg"
    cases = (*at_every_rank("-input"), Case("-input", "int [T] -> int [T]"))

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return Unary("-", x[0].node)


class Not(Pointwise):
    """True where the element is false."""

    name = "not"
    operator = "not"
    dtypes = ("bool",)
    node = "Not"
    cases = (
        Case("not (input > 0)", "[4, 6] -> bool [4, 6]"),
        Case("not input", "bool [T] -> bool [T]"),
        Case("not input", "bool [4, H, W] -> bool [4, H, W]"),
        Wrong("not input", "[4, 6]", "wrong-dtype"),
    )

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return Unary("~", x[0].node)


class Logic(Op):
    """True or false from two tensors of true and false."""

    inputs = (1, 2)
    mixes = True
    batchless = True
    dtypes = ("bool",)
    sign: ClassVar[str] = ""  # Python's sign between tensors
    node: ClassVar[str] = ""  # ONNX's name

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if len(x) != 2:
            raise Misfit("missing-operand", f"`{self.operator}` goes between two tensors of true and false")
        yield from broadcast_rules(*x)

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return broadcast(*x)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        left, right = (aligned(t, each, max(each.type.rank for each in x)) for each in x)
        return Binary(self.sign, left, right)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        rank = max(each.type.rank for each in x)
        found: OnnxValue = g.node(self.node, *(aligned_onnx(g, each, rank, "bool") for each in x))
        return found


class And(Logic):
    """True where both are."""

    name = "and"
    operator = "and"
    sign = "&"
    node = "And"
    cases = (
        *between("and", made="bool", taken="bool"),
        Case("input > 0 and input < 1", "[4, 6] -> bool [4, 6]"),
        Wrong("input > 0 and input[:2] > 0", "[4, 6]", "shape-mismatch"),
        Wrong("input and input", "[4, 6]", "wrong-dtype"),
    )


class Or(Logic):
    """True where one is, or both are."""

    name = "or"
    operator = "or"
    sign = "|"
    node = "Or"
    cases = (
        *between("or", made="bool", taken="bool"),
        Case("input < 0 or input > 1", "[4, H, W] -> bool [4, H, W]"),
        Wrong("input > 0 or input[:2] > 0", "[4, 6]", "shape-mismatch"),
    )
