"""Attention without weights: each query takes the values of the keys that it matches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from specc.catalogue.arguments import Flag, KeywordOnly, Positive, Rate, Real, TensorArgument, optional
from specc.catalogue.axes import apart, equal
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Op, Rule, TensorType
from specc.catalogue.ops.scores import (
    Parts,
    Scores,
    alike,
    as_many,
    attended_onnx,
    needed,
    square,
    torch_mask,
    with_batch,
)
from specc.code.nodes import Attribute, Conditional, Name, method, value
from specc.sizes.dim import Size, product

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression


class Attend(Op):
    """Attention without weights (Vaswani et al., arXiv:1706.03762, section 3.2): `softmax(scale * Q K' + bias) V`.

    Queries are `[*leading, T, features]`, keys and values `[*leading, S, features]`, the heads side by side in the
    features. A mask is true where a query may look: `[S]`, `[T, S]`, `[*leading, T, S]` or `[*leading, heads, T, S]`,
    and so is the shape of `bias`; an axis of size 1 serves all. A query with nothing to look at gets 0.
    Both products count whole, what a mask hides included.
    """

    name = "attend"
    takes = "* l f"
    inputs = (3, 3)
    mixes = True
    batchless = True
    layout = "last"

    _: KeywordOnly
    heads: Positive = 1
    """How many queries lie side by side in the features."""
    kv_heads: optional(Positive) = None  # type: ignore[valid-type]
    """How many keys and values do, where that is fewer: each serves as many heads in a row (arXiv:2305.13245)."""
    mask: optional(TensorArgument) = None  # type: ignore[valid-type]
    """True where a query may look at a key."""
    bias: optional(TensorArgument) = None  # type: ignore[valid-type]
    """What is added to the scores, such as a number per distance."""
    causal: Flag = False
    """Whether a query may look only at keys up to its own place."""
    scale: optional(Real) = None  # type: ignore[valid-type]
    """The factor of the products; by default 1 over the root of a head's width."""
    dropout: Rate = 0
    """In training, the probability with which a query does not get to see a key."""

    cases = (
        Case("attend(input, input, input)", "[T, 8] -> [T, 8]", macs="16*T**2"),
        Case("attend(x, y, z)", "[5, 8]; [7, 8]; [7, 6] -> [5, 6]", macs=490),
        Case("attend(x, y, z, heads=4)", "[T, 8]; [S, 8]; [S, 12] -> [T, 12]", macs="20*S*T"),
        Case("attend(x, y, z, heads=4, kv_heads=2)", "[T, 8]; [S, 4]; [S, 6] -> [T, 12]", macs="20*S*T"),
        Case("attend(x, y, y, heads=4, kv_heads=1, causal=true)", "[T, 8]; [T, 2] -> [T, 8]"),
        Case("attend(input, input, input, heads=2, causal=true, dropout=0.1)", "[6, 8] -> [6, 8]"),
        Case("attend(input, input, input, causal=true)", "[3, T, 8] -> [3, T, 8]", macs="48*T**2"),
        Case("attend(input, input, input, heads=2, scale=1)", "[2, 3, T, 8] -> [2, 3, T, 8]"),
        Case("attend(input, input, input, scale=0.5)", "[T, F] -> [T, F]", macs="2*F*T**2"),
        Case("attend(input, input, input, heads=3)", "[T, F] -> [T, F]"),
        Case("attend(x, x, x, mask=y)", "[T, 8]; bool [T] -> [T, 8]"),
        Case("attend(x, x, x, heads=2, mask=y)", "[T, 8]; bool [T] -> [T, 8]"),
        Case("attend(x, x, x, heads=2, mask=y)", "[T, 8]; bool [T, T] -> [T, 8]"),
        Case("attend(x, x, x, heads=2, mask=y)", "[T, 8]; bool [2, T, T] -> [T, 8]"),
        Case("attend(x, x, x, heads=2, mask=y, causal=true)", "[T, 8]; bool [T] -> [T, 8]"),
        Case("attend(x, x, x, heads=2, mask=y)", "[3, T, 8]; bool [T] -> [3, T, 8]"),
        Case("attend(x, x, x, heads=2, mask=y)", "[3, T, 8]; bool [T, T] -> [3, T, 8]"),
        Case("attend(x, x, x, heads=2, mask=y)", "[3, T, 8]; bool [3, 1, T] -> [3, T, 8]"),
        Case("attend(x, x, x, heads=2, mask=y)", "[3, T, 8]; bool [3, 2, T, T] -> [3, T, 8]"),
        Case("attend(x, x, x, mask=y)", "[3, T, 8]; bool [3, T, T] -> [3, T, 8]"),
        Case("attend(x, x, x, mask=y)", "[3, T, 8]; bool [T, T] -> [3, T, 8]"),
        Case("attend(x, x, x, heads=2, bias=y)", "[T, 8]; [2, T, T] -> [T, 8]"),
        Case("attend(x, x, x, heads=2, bias=y, causal=true)", "[T, 8]; [2, T, T] -> [T, 8]"),
        Case("attend(x, x, x, heads=2, bias=y, mask=z)", "[T, 8]; [T, T]; bool [T] -> [T, 8]"),
        Case("attend(x, x, x, heads=2, bias=y, mask=z, causal=true)", "[T, 8]; [1, T, T]; bool [T] -> [T, 8]"),
        Case("attend(input, input, input, heads=2, bias=b)", "[3, 8] -> [3, 8]", 18, given="parameter b: [2, 3, 3]"),
        Case("attend(input, k, k, heads=2)", "[3, 8] -> [3, 8]", 40, given="parameter k: [5, 8], init=normal"),
        Case("attend(k, input, input)", "[3, 8] -> [5, 8]", 40, given="parameter k: [5, 8], init=normal"),
        Case("attend(k, k, k, bias=x)", "[5, 5] -> [5, 8]", 40, given="parameter k: [5, 8], init=normal; input as x"),
        Wrong("attend(input, input, input, heads=3)", "[4, 8]", "bad-argument", at="heads"),
        Wrong("attend(input, input, input, heads=4, kv_heads=3)", "[4, 8]", "bad-argument", at="kv_heads"),
        Wrong("attend(x, y, y)", "[4, 8]; [4, 6]", "shape-mismatch"),
        Wrong("attend(x, y, z)", "[4, 8]; [4, 8]; [5, 8]", "shape-mismatch"),
        Wrong("attend(x, y, y)", "[2, 4, 8]; [3, 4, 8]", "shape-mismatch"),
        Wrong("attend(x, y, y, causal=true)", "[4, 8]; [5, 8]", "shape-mismatch"),
        Wrong("attend(x, x, x, mask=y)", "[4, 8]; bool [5]", "shape-mismatch"),
        Wrong("attend(x, x, x, mask=y)", "[4, 8]; [4]", "wrong-dtype"),
        Wrong("attend(x, x, x, heads=2, bias=y)", "[4, 8]; [2, 2, 4, 4]", "shape-mismatch"),
        Wrong("attend(input, input, input)", "[4]", "wrong-rank"),
        Wrong("attend(input, input, input, dropout=1)", "[4, 8]", "bad-argument", at="dropout"),
    )

    @property
    def key_heads(self) -> int:
        return self.heads if self.kv_heads is None else self.kv_heads

    def scores(self, *x: TensorType) -> Scores:
        return Scores(x[0].shape[:-2], self.heads, x[0].shape[-2], x[1].shape[-2], self.heads > 1)

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        queries, keys, values = x
        yield from alike(queries, keys, ("the queries", "the keys"), 1)
        yield from alike(queries, values, ("the queries", "the values"), 2)
        yield from self._heads(queries, keys, values)
        yield from as_many(keys, values, 2)
        if self.causal:
            yield from square(queries.shape[-2], keys.shape[-2])
        scores = self.scores(*x)
        for name, dtype in (("mask", "bool"), ("bias", "float")):
            if name in named:
                yield from scores.rules(name, named[name], dtype)

    def _heads(self, queries: TensorType, keys: TensorType, values: TensorType) -> Iterable[Rule]:
        message = f"{queries.last} features cannot be shared out among {self.heads} heads"
        yield from needed(queries.last % self.heads, "==", 0, Misfit("bad-argument", message, argument="heads"))
        if self.heads % self.key_heads:
            message = f"{self.heads} heads cannot share {self.key_heads} keys evenly"
            raise Misfit("bad-argument", message, argument="kv_heads")
        wanted = queries.last
        if self.key_heads != self.heads:
            wanted = wanted // self.heads * self.key_heads
        message = f"the keys have {keys.last} features; the queries need {wanted} ({apart(wanted, keys.last)})"
        yield from equal(wanted, keys.last, Misfit("shape-mismatch", message, port=1))
        message = f"the {values.last} features of the values cannot be shared out among {self.key_heads} heads"
        yield from needed(values.last % self.key_heads, "==", 0, Misfit("shape-mismatch", message, port=2))

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        width = x[2].last
        if self.key_heads != self.heads:
            width = width // self.key_heads * self.heads
        return replace(x[0].to(*x[0].shape[:-1], width), batched=any(each.batched for each in (*x, *named.values())))

    def macs(self, *x: TensorType, y: TensorType, **named: TensorType) -> Size:
        return product(x[0].shape[:-1]) * x[1].shape[-2] * (x[0].last + y.last)

    def reach(self, *x: TensorType) -> str:
        return EVERYTHING

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        scores = self.scores(*(each.type for each in x))
        words = torch_mask(t, scores, x[0], named.get("mask"), named.get("bias"), self.causal)
        words |= {"dropout_p": _in_training(self.dropout)} if self.dropout else {}
        words |= {"scale": self.scale} if self.scale is not None else {}
        words |= {"enable_gqa": True} if self.key_heads != self.heads else {}
        parts = with_batch([*x], named)
        lead = len(scores.leading) + any(each.type.batched for each in (*x, *named.values()))
        if scores.split:
            heads = (self.heads, self.key_heads, self.key_heads)
            parts = [
                method(method(part, "unflatten", -1, (count, -1)), "transpose", lead, lead + 1)
                for part, count in zip(parts, heads, strict=True)
            ]
        found = t.function("F.scaled_dot_product_attention", *parts, **words)
        if not scores.split:
            return found
        return method(method(found, "transpose", lead, lead + 1), "flatten", lead + 1)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        scores = self.scores(*(each.type for each in x))
        given = named.get("mask"), named.get("bias")
        return attended_onnx(
            g, scores, Parts(x[0], x[1], x[2], self.key_heads), given, self.causal, self.scale, g.types[0]
        )


def _in_training(rate: float) -> Expression:
    """The rate in training, 0 in inference."""
    return Conditional(Attribute(Name("self"), "training"), value(rate), value(0.0))
