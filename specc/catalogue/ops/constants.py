"""Tensors that come from no input: counted, filled or written out. They have no batch and are the same for each sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from specc.catalogue.arguments import SIZE, Kind, SizeArgument, either, items
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Dtype, Op, Rule, TensorType
from specc.catalogue.run_time import formula
from specc.code.nodes import value
from specc.sizes.conditions import ALWAYS, compare
from specc.sizes.dim import Dim, Size

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression

STORED = 4096  # up to here numbers stand in the ONNX file; more of them are made by a node
_SIZES = Kind("a size or a list of sizes", either(SIZE, items(SIZE)), symbolic=True)


class Made(Op):
    """One without inputs."""

    inputs = (0, 0)
    takes = ""
    batchless = True

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        for each in self.sizes():
            misfit = Misfit("bad-argument", f"`size` must be from 1 on; this is {each}", argument="size")
            predicate = compare(each, ">=", 1)
            if predicate != ALWAYS:
                yield Rule(predicate if isinstance(each, Dim) else False, misfit)

    def sizes(self) -> tuple[Size, ...]:
        """The sizes of its axes."""
        raise NotImplementedError


def made(t: TorchContext, function: str, *arguments: Any) -> Expression:
    """A function of PyTorch that makes a tensor, where the other tensors are."""
    return t.function(function, *arguments, **({} if t.device is None else {"device": t.device}))


def few(sizes: Sequence[Size]) -> list[int] | None:
    """The sizes, if they are known and so many numbers are few enough to be written down."""
    known = [each for each in sizes if not isinstance(each, Dim)]
    return known if len(known) == len(sizes) and prod(known) <= STORED else None


def filled(g: OnnxGraph, sizes: Sequence[Size], number: float) -> OnnxValue:
    """A tensor of one number over and over."""
    written = few(sizes)
    if written is None:
        kind = TensorType((*sizes,), batched=False)
        return g.node("Expand", g.constant(number), g.shape(*sizes, batch=False), type=kind)  # type: ignore[no-any-return]
    found: Any = number
    for size in reversed(written):
        found = [found] * size
    return g.constant(found)


class Arange(Made):
    """The whole numbers 0, 1, … up to the size less 1. Others are reckoned from them: `2 * arange(4) + 1` is 1, 3, 5, 7."""

    name = "arange"
    cases = (
        Case("arange(5)", "[4] -> int [5]"),
        Case("arange(input.length)", "[4, T] -> int [T]"),
        Case("arange(2 * input.features)", "[4] -> int [8]"),
        Case("arange(input.height * input.width)", "[1, H, W] -> int [H*W]"),
        Case("arange(5000)", "[4] -> int [5000]"),
        Wrong("arange(0)", "[4]", "bad-argument", at="size"),
        Wrong("arange(2.5)", "[4]", "bad-argument", at="size"),
        Wrong("arange(input.features - 4)", "[4]", "bad-argument", at="size"),
        Wrong("input -> arange(4)", "[4]", "flow-is-lost"),
    )

    size: SizeArgument
    """How many numbers."""

    def sizes(self) -> tuple[Size, ...]:
        return (self.size,)

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return TensorType((self.size,), "int", batched=False)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return made(t, "torch.arange", formula(t, self.size))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        if written := few(self.sizes()):
            return g.constant([*range(written[0])], "int")
        return g.node("Range", g.constant(0, "int"), _scalar(g, self.size), g.constant(1, "int"))  # type: ignore[no-any-return]


class SizeTensor(Made):
    """A size as a tensor of one whole number. Beside a tensor a size stands for it: `arange(T) >= T - window`."""

    name = "size"
    operator = "n"  # what becomes of a size that is not known yet, where an operator joins it with a tensor
    cases = (
        Case("size(5)", "[4] -> int []"),
        Case("size(input.length)", "[4, T] -> int []"),
        Case("arange(input.length) >= size(input.length) - 2", "[4, T] -> bool [T]"),
        Case("input / size(input.height)", "[2, H, W] -> [2, H, W]"),
        Wrong("size(2.5)", "[4]", "bad-argument", at="size"),
    )

    size: SizeArgument
    """Which size."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        return ()

    def sizes(self) -> tuple[Size, ...]:
        return ()

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return TensorType((), "int", batched=False)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return made(t, "torch.tensor", formula(t, self.size))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        return _scalar(g, self.size)


def _scalar(g: OnnxGraph, size: Size) -> OnnxValue:
    if not isinstance(size, Dim):
        return g.constant(size, "int")
    return g.node("Squeeze", g.shape(size, batch=False), type=TensorType((), "int", batched=False))  # type: ignore[no-any-return]


class Eye(Made):
    """The unit matrix: 1 on the diagonal and 0 elsewhere."""

    name = "eye"
    cases = (
        Case("eye(3)", "[4] -> [3, 3]"),
        Case("eye(input.features)", "[T] -> [T, T]"),
        Case("eye(70)", "[4] -> [70, 70]"),
        Case("matmul(input, eye(input.length))", "[4, W] -> [4, W]", macs="4*W**2"),
        Wrong("eye(0)", "[4]", "bad-argument", at="size"),
        Wrong("eye([3, 3])", "[4]", "bad-argument", at="size"),
    )

    size: SizeArgument
    """How many rows and columns it has."""

    def sizes(self) -> tuple[Size, ...]:
        return (self.size, self.size)

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return TensorType(self.sizes(), batched=False)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return made(t, "torch.eye", formula(t, self.size))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        if written := few(self.sizes()):
            places = range(written[0])
            return g.constant([[float(row == column) for column in places] for row in places])
        return g.node("EyeLike", filled(g, self.sizes(), 0.0))  # type: ignore[no-any-return]


class Filled(Made):
    """A tensor of one number."""

    number: ClassVar[float]
    function: ClassVar[str]  # PyTorch's name

    size: Annotated[Any, _SIZES]
    """The size of its one axis, or a list with the size of each."""

    def sizes(self) -> tuple[Size, ...]:
        return self.size if isinstance(self.size, tuple) else (self.size,)

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return TensorType(self.sizes(), batched=False)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        sizes = [formula(t, each) for each in self.sizes()]
        return made(t, self.function, *(sizes or [value(())]))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        return filled(g, self.sizes(), self.number)


class Zeros(Filled):
    """A tensor of zeros."""

    name = "zeros"
    number, function = 0.0, "torch.zeros"
    cases = (
        Case("zeros(3)", "[4] -> [3]"),
        Case("zeros([input.length, 4])", "[2, T] -> [T, 4]"),
        Case("zeros([100, 100])", "[4] -> [100, 100]"),
        Case("zeros([])", "[4] -> []"),
        Case("concat(input, zeros([1, *input.spatial]))", "[2, H, W] -> [3, H, W]"),
        Wrong("zeros([3, 0])", "[4]", "bad-argument", at="size"),
        Wrong('zeros("3")', "[4]", "bad-argument", at="size"),
    )


class Ones(Filled):
    """A tensor of ones."""

    name = "ones"
    number, function = 1.0, "torch.ones"
    cases = (
        Case("ones(3)", "[4] -> [3]"),
        Case("ones(input.shape)", "[2, H, W] -> [2, H, W]"),
        Case("0.5 * ones([2, 3, 4])", "[4] -> [2, 3, 4]"),
        Case("ones(input.channels * input.length)", "[3, T] -> [3*T]"),
        Wrong("ones(-1)", "[4]", "bad-argument", at="size"),
    )


def _is_nested(given: Any) -> Any:
    """A number, or lists in lists of numbers that are all equally long; or of true and false alone."""
    _shape(given)
    kinds = {isinstance(each, bool) for each in _flat(given)}
    if len(kinds) != 1 or not all(isinstance(each, int | float) for each in _flat(given)):
        raise ValueError("not numbers")
    return given


def _flat(given: Any) -> Iterator[Any]:
    if not isinstance(given, tuple):
        yield given
        return
    for each in given:
        yield from _flat(each)


def _shape(given: Any) -> tuple[int, ...]:
    if not isinstance(given, tuple):
        return ()
    inside = {_shape(each) for each in given}
    if len(inside) != 1:
        raise ValueError("rows of different length, or none")
    return (len(given), *inside.pop())


def _lists(given: Any) -> Any:
    return [_lists(each) for each in given] if isinstance(given, tuple) else given


_VALUES = Kind(
    "a number or lists of numbers, nested like the tensor, with rows of one length",
    {"type": "function-plain", "function": {"type": "no-info", "function": _is_nested}},
)


class Constant(Made):
    """Numbers as they are written, nested like the tensor: whole ones, true and false, or else reals."""

    name = "constant"
    cases = (
        Case("constant([1, 2, 3])", "[4] -> int [3]"),
        Case("constant([[0.299], [0.587], [0.114]])", "[4] -> [3, 1]"),
        Case("constant([[1, 0.5]])", "[4] -> [1, 2]"),
        Case("constant([true, false])", "[4] -> bool [2]"),
        Case("constant(0.5)", "[4] -> []"),
        Case("constant([1 / (2 ** i) for i in range(4)])", "[4] -> [4]"),
        Case("constant(range(3)) + constant([[1, 2, 3]])[0]", "[4] -> int [3]"),
        Case("input * constant([[[0.5]], [[0.25]]])", "[2, H, W] -> [2, H, W]"),
        Wrong("constant([[1, 2], [3]])", "[4]", "bad-argument", at="values"),
        Wrong("constant([1, true])", "[4]", "bad-argument", at="values"),
        Wrong("constant([])", "[4]", "bad-argument", at="values"),
        Wrong('constant("one")', "[4]", "bad-argument", at="values"),
    )

    values: Annotated[Any, _VALUES]
    """The numbers, in lists nested like the tensor."""

    def sizes(self) -> tuple[Size, ...]:
        return _shape(self.values)

    @property
    def dtype(self) -> Dtype:
        """Reals where one of the numbers is one."""
        numbers = [*_flat(self.values)]
        if isinstance(numbers[0], bool):
            return "bool"
        return "float" if any(isinstance(each, float) for each in numbers) else "int"

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return TensorType(self.sizes(), self.dtype, batched=False)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return made(t, "torch.tensor", value(_lists(self.values)))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        return g.constant(_lists(self.values), self.dtype)
