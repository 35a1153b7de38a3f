"""The same numbers in another shape: flattened, reshaped, stretched, or with their axes in another order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from specc.catalogue.arguments import Axis, KeywordOnly, Kind, Shape, Whole
from specc.catalogue.axes import apart, equal, is_one, position, shape, spell
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Dtype, Op, Reach, Rule, TensorType
from specc.catalogue.run_time import formula, new_shape, new_shape_onnx
from specc.code.nodes import call, method
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, Size, product

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression

ANY: tuple[Dtype, ...] = ("float", "int", "bool")


class Reorder(Op):
    """One that moves numbers between places."""

    batchless = True
    moves = True
    layout = ""
    dtypes = ANY

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return EVERYTHING


class Flatten(Reorder):
    """The axes from one on, as one axis."""

    name = "flatten"
    takes = "c *"
    cases = (
        Case("flatten", "[16, 5, 5] -> [400]"),
        Case("flatten", "[4, H, W] -> [4*H*W]"),
        Case("flatten(from=1)", "[4, 6, W] -> [4, 6*W]"),
        Case("flatten(from=-2)", "[2, 3, 4, 5] -> [2, 3, 20]"),
        Case("flatten", "[4] -> [4]"),
        Wrong("flatten(from=2)", "[4, 6]", "no-such-axis", at="from"),
    )

    _: KeywordOnly
    from_: Whole = 0
    """The first axis that is flattened; those before it stay."""

    def first(self, x: TensorType) -> int:
        return position(vars(self)["from"], x.rank, "from")

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        at = self.first(x[0])
        return x[0].to(*x[0].shape[:at], product(x[0].shape[at:]), layout="")

    def module(self, *x: TensorType, **named: TensorType) -> Expression | None:
        at = self.first(x[0]) + x[0].batched
        return call("nn.Flatten", *([] if at == 1 else [at]))

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        at = x[0].dim(self.first(x[0].type))
        return t.function("torch.flatten", x[0], *([at] if at else []))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        if self.first(x[0].type) == 0 and x[0].type.batched:
            found: OnnxValue = g.node("Flatten", x[0], axis=1)
            return found
        given = g.types[0].shape
        return g.node("Reshape", x[0], new_shape_onnx(g, x[0], given))  # type: ignore[no-any-return]


class Reshape(Reorder):
    """The numbers in row order, in another shape."""

    name = "reshape"
    cases = (
        Case("reshape([4, 4, 4])", "[64] -> [4, 4, 4]"),
        Case("reshape([64])", "[4, 4, 4] -> [64]"),
        Case("reshape([2, 3, input.length])", "[6, L] -> [2, 3, L]"),
        Case("reshape([6, input.width])", "[2, 3, W] -> [6, W]"),
        Case("reshape([2, input.features // 2])", "[F] -> [2, F//2]"),
        Case("reshape([])", "[1] -> []"),
        Case("reshape([input.height * input.width, 4])", "[4, H, W] -> [H*W, 4]"),
        Wrong("reshape([5, 5])", "[24]", "reshape-size", at="shape"),
        Wrong("reshape([-1, 4])", "[24]", "bad-argument", at="shape"),
    )

    shape: Shape
    """The new sizes, all of them; an unknown one as a formula."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if any(not isinstance(size, Dim) and size < 1 for size in self.shape):
            message = f"`shape` must be a list of sizes from 1 on; this is {shape(self.shape)}"
            raise Misfit(
                "bad-argument", message, "say the size, or a formula such as input.height * 2", argument="shape"
            )
        before, after = product(x[0].shape), product(self.shape)
        message = (
            f"{shape(x[0].shape)} holds {before} numbers, {shape(self.shape)} holds {after} ({apart(before, after)})"
        )
        yield from equal(before, after, Misfit("reshape-size", message, argument="shape"))

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return x[0].to(*self.shape, layout="")

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return method(x[0].node, "reshape", *new_shape(t, x[0], self.shape))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        return g.node("Reshape", x[0], new_shape_onnx(g, x[0], self.shape))  # type: ignore[no-any-return]


class Squeeze(Op):
    """The tensor without an axis of size 1."""

    name = "squeeze"
    takes = "c *"
    batchless = True
    moves = True
    layout = ""
    dtypes = ANY
    cases = (
        Case("squeeze(0)", "[1, H, W] -> [H, W]"),
        Case("squeeze(-1)", "[4, 6, 1] -> [4, 6]"),
        Case("squeeze(1)", "[T, 1] -> [T]"),
        Case("squeeze(depth)", "[2, 1, H, 4] -> [2, H, 4]"),
        Wrong("squeeze(1)", "[4, 6]", "shape-mismatch", at="axis"),
        Wrong("squeeze(width)", "[4, 1]", "no-such-axis", at="axis"),
    )

    axis: Axis
    """The axis that is dropped."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        at = position(self.axis, x[0].rank)
        message = f"{spell(at, x[0].rank)} is {x[0].shape[at]}, and only an axis of size 1 can be dropped"
        yield from equal(x[0].shape[at], 1, Misfit("shape-mismatch", message, argument="axis"))

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        at = position(self.axis, x[0].rank)
        return x[0].to(*x[0].shape[:at], *x[0].shape[at + 1 :], layout="")

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return method(x[0].node, "squeeze", x[0].dim(position(self.axis, x[0].type.rank)))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        axes = g.constant([x[0].dim(position(self.axis, x[0].type.rank))], "int")
        return g.node("Squeeze", x[0], axes)  # type: ignore[no-any-return]


class Unsqueeze(Op):
    """The tensor with a further axis of size 1; `axis` is its place in the result, -1 the last."""

    name = "unsqueeze"
    batchless = True
    moves = True
    layout = ""
    dtypes = ANY
    cases = (
        Case("unsqueeze(0)", "[H, W] -> [1, H, W]"),
        Case("unsqueeze(-1)", "[T] -> [T, 1]"),
        Case("unsqueeze(1)", "[2, H, 4] -> [2, 1, H, 4]"),
        Case("unsqueeze(-2)", "[2, 3, 4, 5] -> [2, 3, 4, 1, 5]"),
        Case("sum -> unsqueeze(0)", "[4] -> [1]"),
        Case("unsqueeze(arange(4), 1) < unsqueeze(arange(5), 0)", "[4] -> bool [4, 5]"),
        Wrong("unsqueeze(3)", "[4, 6]", "no-such-axis", at="axis"),
    )

    axis: Whole
    """Where the new axis stands in the result."""

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        at = position(self.axis, x[0].rank + 1)
        return x[0].to(*x[0].shape[:at], 1, *x[0].shape[at:], layout="")

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return method(x[0].node, "unsqueeze", x[0].dim(position(self.axis, x[0].type.rank + 1)))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        axes = g.constant([x[0].dim(position(self.axis, x[0].type.rank + 1))], "int")
        return g.node("Unsqueeze", x[0], axes)  # type: ignore[no-any-return]


class Expand(Op):
    """The tensor with its axes of size 1 stretched."""

    name = "expand"
    batchless = True
    dtypes = ANY
    cases = (
        Case("expand([3, 8, 8])", "[3, 1, 1] -> [3, 8, 8]"),
        Case("expand([4, input.length])", "[1, L] -> [4, L]"),
        Case("expand([2, 3, 4, input.width])", "[2, 1, 4, W] -> [2, 3, 4, W]"),
        Wrong("expand([4, 6])", "[3, 6]", "shape-mismatch", at="shape"),
        Wrong("expand([4])", "[1, 1]", "shape-mismatch", at="shape"),
    )

    shape: Shape
    """The new sizes, all of them."""

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        if len(self.shape) != x[0].rank:
            message = f"the tensor has {x[0].rank} axes, `shape` has {len(self.shape)}"
            raise Misfit("shape-mismatch", message, "reshape first: expand adds no axes", argument="shape")
        for at, (old, new) in enumerate(zip(x[0].shape, self.shape, strict=True)):
            if not is_one(old):
                message = f"{spell(at, x[0].rank)} is {old} and cannot be stretched to {new}; only a size of 1 can"
                yield from equal(old, new, Misfit("shape-mismatch", message, argument="shape"))
            elif isinstance(new, Dim) or new < 1:
                yield Rule(Compare(new, ">=", 1), Misfit("bad-argument", f"a size of {new}", argument="shape"))

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return x[0].to(*self.shape)

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        batch = [-1] if x[0].type.batched else []
        pairs = zip(x[0].type.shape, self.shape, strict=True)
        sizes = [formula(t, new, x[0]) if is_one(old) and not is_one(new) else -1 for old, new in pairs]
        return method(x[0].node, "expand", *batch, *sizes)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        pairs = [*zip(x[0].type.shape, self.shape, strict=True)]
        sizes: list[Size] = [new if is_one(old) else 1 for old, new in pairs]
        if any(isinstance(size, Dim) for size in sizes):
            return g.node("Expand", x[0], g.shape(*self.shape))  # type: ignore[no-any-return]
        batch = [1] if x[0].type.batched else []
        return g.node("Expand", x[0], g.constant([*batch, *sizes], "int"))  # type: ignore[no-any-return]


class Transpose(Reorder):
    """The tensor with two axes exchanged."""

    name = "transpose"
    takes = "c *"
    cases = (
        Case("transpose(0, 1)", "[4, T] -> [T, 4]"),
        Case("transpose(channels, width)", "[4, 6, 8] -> [8, 6, 4]"),
        Case("transpose(-1, -2)", "[2, 3, 4, 5] -> [2, 3, 5, 4]"),
        Wrong("transpose(0, 2)", "[4, 6]", "no-such-axis", at="b"),
    )

    a: Axis
    """One axis."""
    b: Axis
    """The other axis."""

    def pair(self, x: TensorType) -> tuple[int, int]:
        return position(self.a, x.rank, "a"), position(self.b, x.rank, "b")

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        a, b = self.pair(x[0])
        sizes = list(x[0].shape)
        sizes[a], sizes[b] = sizes[b], sizes[a]
        return x[0].to(*sizes, layout="")

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        return method(x[0].node, "transpose", *(x[0].dim(each) for each in self.pair(x[0].type)))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        order = [*range(x[0].type.rank + x[0].type.batched)]
        a, b = (x[0].dim(each) for each in self.pair(x[0].type))
        order[a], order[b] = order[b], order[a]
        return g.node("Transpose", x[0], perm=order)  # type: ignore[no-any-return]


class Permute(Reorder):
    """The tensor with its axes in another order: `permute(1, 2, 0)` puts the channels last."""

    name = "permute"
    takes = "c *"
    rest: ClassVar[Kind | None] = Axis.__metadata__[0]  # type: ignore[attr-defined]
    cases = (
        Case("permute(1, 2, 0)", "[4, H, W] -> [H, W, 4]"),
        Case("permute(width, height, channels)", "[4, 6, 8] -> [8, 6, 4]"),
        Case("permute(1, 0)", "[4, T] -> [T, 4]"),
        Case("permute(0, 3, 1, 2)", "[2, D, 4, W] -> [2, W, D, 4]"),
        Wrong("permute(1, 0)", "[4, 6, 8]", "bad-argument"),
        Wrong("permute(1, 1)", "[4, 6]", "bad-argument"),
    )

    def order(self, x: TensorType) -> list[int]:
        found = [position(each, x.rank, "") for each in self.rest_values]
        if sorted(found) != [*range(x.rank)]:
            message = f"`{self.name}` needs each of the {x.rank} axes once"
            raise Misfit("bad-argument", message, f"such as permute({', '.join(map(str, reversed(range(x.rank))))})")
        return found

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return x[0].to(*(x[0].shape[at] for at in self.order(x[0])), layout="")

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        batch = [0] if x[0].type.batched else []
        return method(x[0].node, "permute", *batch, *(x[0].dim(each) for each in self.order(x[0].type)))

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        batch = [0] if x[0].type.batched else []
        order = [*batch, *(x[0].dim(each) for each in self.order(x[0].type))]
        return g.node("Transpose", x[0], perm=order)  # type: ignore[no-any-return]
