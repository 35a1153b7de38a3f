"""Attention with learned projections of queries, keys and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from specc.catalogue.arguments import Flag, KeywordOnly, Positive, Rate, TensorArgument, optional
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Rule, TensorType, WeightedOp, WeightSpec
from specc.catalogue.ops.scores import (
    Parts,
    Scores,
    alike,
    as_many,
    attended_onnx,
    is_sequence,
    needed,
    square,
    torch_mask,
    with_batch,
)
from specc.code.nodes import call, index
from specc.sizes.dim import Size, product
from specc.text.record import changed

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression


class Attention(WeightedOp):
    """Multi-head attention with learned projections (Vaswani et al., arXiv:1706.03762): `nn.MultiheadAttention`.

    The input holds the queries, `[*leading, T, features]`; keys and values are the input too where none are given.
    The mask is as for `attend`.
    """

    name = "attention"
    takes = "* l f"
    mixes = True
    batchless = True
    layout = "last"

    _: KeywordOnly
    heads: Positive
    """Into how many parts the features are split; each attends by itself."""
    keys: optional(TensorArgument, "self") = None  # type: ignore[valid-type]
    """What is attended to, `[*leading, S, any width]`; by default the input itself."""
    values: optional(TensorArgument, "keys") = None  # type: ignore[valid-type]
    """What is taken from it, `[*leading, S, any width]`; by default the keys."""
    mask: optional(TensorArgument) = None  # type: ignore[valid-type]
    """True where a query may look at a key; a query with nothing to look at gets 0 before the last projection."""
    causal: Flag = False
    """Whether a query may look only at keys up to its own place."""
    dropout: Rate = 0
    """In training, the probability with which a query does not get to see a key."""
    bias: Flag = True
    """Whether the projections add learned numbers."""

    cases = (
        Case("attention(heads=2)", "[T, 8] -> [T, 8]", params=288, macs="16*T**2 + 256*T"),
        Case("attention(heads=4, bias=false, dropout=0.1)", "[5, 8] -> [5, 8]", params=256),
        Case("attention(heads=2)", "[5, F] -> [5, F]", params="4*F**2 + 4*F", macs="20*F**2 + 50*F"),
        Case("attention(heads=1, causal=true)", "[T, 8] -> [T, 8]", params=288),
        Case("attention(heads=2, causal=true, dropout=0.1)", "[2, T, 8] -> [2, T, 8]", params=288),
        Case("attention(heads=2)", "[2, 3, T, 8] -> [2, 3, T, 8]", params=288, macs="96*T**2 + 1536*T"),
        Case("attention(x, heads=2, keys=y)", "[T, 8]; [S, 8] -> [T, 8]", params=288, macs="16*S*T + 128*S + 128*T"),
        Case("attention(x, heads=2, keys=y, bias=false)", "[T, 8]; [S, 6] -> [T, 8]", params=224),
        Case("attention(x, heads=2, keys=y, values=z)", "[T, 8]; [S, 6]; [S, 3] -> [T, 8]", params=232),
        Case("attention(x, heads=2, values=y)", "[T, 8]; [T, 3] -> [T, 8]", params=248),
        Case("attention(x, heads=2, keys=x)", "[4, 8] -> [4, 8]", params=288, given="input as x"),
        Case("attention(x, heads=2, mask=y)", "[T, 8]; bool [T] -> [T, 8]", params=288),
        Case("attention(x, heads=1, mask=y)", "[T, 8]; bool [T, T] -> [T, 8]", params=288),
        Case("attention(x, heads=2, mask=y, causal=true, bias=false)", "[T, 8]; bool [2, T, T] -> [T, 8]", params=256),
        Case("attention(x, heads=2, keys=y, mask=z)", "[2, T, 8]; [2, S, 4]; bool [2, T, S] -> [2, T, 8]", params=224),
        Case(
            "attention(x, heads=2, keys=k)", "[3, 8] -> [3, 8]", 328, given="input as x; parameter p: [5, 8]; k: 2 * p"
        ),
        Case(
            "attention(k, heads=2, keys=x)", "[3, 8] -> [5, 8]", 328, given="input as x; parameter p: [5, 8]; k: 2 * p"
        ),
        Wrong("attention", "[4, 8]", "missing-argument"),
        Wrong("attention(heads=3)", "[4, 8]", "bad-argument", at="heads"),
        Wrong("attention(heads=2)", "[8]", "wrong-rank"),
        Wrong("conv(4, 1) -> attention(heads=2)", "[3, 8, 8]", "linear-after-window"),
        Wrong("attention(x, heads=2, keys=y)", "[2, 4, 8]; [4, 8]", "shape-mismatch"),
        Wrong("attention(x, heads=2, keys=y)", "[4, 8]; [8]", "shape-mismatch"),
        Wrong("attention(x, heads=2, keys=y, values=z)", "[4, 8]; [4, 8]; [5, 8]", "shape-mismatch"),
        Wrong("attention(x, heads=2, keys=y, causal=true)", "[4, 8]; [5, 8]", "shape-mismatch"),
        Wrong("attention(x, heads=2, mask=y)", "[4, 8]; bool [3, 4]", "shape-mismatch"),
        Wrong("attention(x, heads=2, mask=y)", "[4, 8]; int [4]", "wrong-dtype"),
    )

    def others(self, x: Any, named: Mapping[str, Any]) -> tuple[Any, Any]:
        """Keys and values."""
        keys = named.get("keys", x)
        return keys, named.get("values", keys)

    def scores(self, x: TensorType, keys: TensorType) -> Scores:
        return Scores(x.shape[:-2], self.heads, x.shape[-2], keys.shape[-2], self.heads > 1)

    def rules(self, x: TensorType, **named: TensorType) -> Iterable[Rule]:  # type: ignore[override]
        is_sequence(self.name, x)
        keys, values = self.others(x, named)
        for name, each in (("keys", keys), ("values", values)):
            if each.dtype != "float":
                raise Misfit("wrong-dtype", f"`{name}` must hold numbers with a fraction; these are {each.dtype}")
            yield from alike(x, each, ("the queries", f"the {name}"), name)
        message = f"{x.last} features cannot be shared out among {self.heads} heads"
        yield from needed(x.last % self.heads, "==", 0, Misfit("bad-argument", message, argument="heads"))
        yield from as_many(keys, values, "values")
        if self.causal:
            yield from square(x.shape[-2], keys.shape[-2])
        if "mask" in named:
            yield from self.scores(x, keys).rules("mask", named["mask"], "bool")

    def gives(self, x: TensorType, **named: TensorType) -> TensorType:  # type: ignore[override]
        return replace(x, batched=any(each.batched for each in (x, *named.values())))

    def _alike(self, x: TensorType, named: Mapping[str, TensorType]) -> bool:
        """Whether queries, keys and values are equally wide, so that one weight holds their projections."""
        keys, values = self.others(x, named)
        return bool(x.last == keys.last == values.last)

    def weights(self, x: TensorType, **named: TensorType) -> Mapping[str, WeightSpec]:  # type: ignore[override]
        size = x.last
        found: dict[str, WeightSpec] = {}
        if self._alike(x, named):
            found["in_proj_weight"] = WeightSpec((3 * size, size), init="xavier", fan_in=size)
        else:
            keys, values = self.others(x, named)
            for name, each in (("q", x), ("k", keys), ("v", values)):
                found[f"{name}_proj_weight"] = WeightSpec((size, each.last), init="xavier", fan_in=each.last)
        if self.bias:
            found["in_proj_bias"] = WeightSpec((3 * size,), init="zeros", fan_in=size, decays=False)
        found["out_proj.weight"] = WeightSpec((size, size), fan_in=size)
        if self.bias:
            found["out_proj.bias"] = WeightSpec((size,), init="zeros", fan_in=size, decays=False)
        return found

    def macs(self, x: TensorType, y: TensorType, **named: TensorType) -> Size:  # type: ignore[override]
        keys, values = self.others(x, named)
        queries, places = x.shape[-2], keys.shape[-2]
        projected = 2 * queries * x.last + places * keys.last + places * values.last
        found: Size = product(x.shape[:-2]) * x.last * (projected + 2 * queries * places)
        return found

    def reach(self, *x: TensorType) -> str:
        return EVERYTHING

    # ------------------------------------------------------------------------------------------------- PyTorch
    def _own(self, x: TensorType, named: Mapping[str, Any]) -> bool:
        """Whether PyTorch's module does it as it is."""
        return x.rank == 2 and not self.causal and "mask" not in named

    def module(self, x: TensorType, **named: TensorType) -> Expression:  # type: ignore[override]
        words: dict[str, Any] = {"dropout": self.dropout} if self.dropout else {}
        words |= {} if self.bias else {"bias": False}
        if not self._alike(x, named):
            keys, values = self.others(x, named)
            words |= {"kdim": keys.last, "vdim": values.last}
        if not self._own(x, named):
            return call("MaskedAttention", x.last, self.heads, **words)
        return call("nn.MultiheadAttention", x.last, self.heads, **words, batch_first=True)

    def torch(self, t: TorchContext, x: TorchValue, **named: TorchValue) -> Expression:  # type: ignore[override]
        keys, values = self.others(x, named)
        parts = with_batch([x, keys, values], named)
        if self._own(x.type, named):
            return index(call(t.module, *parts, need_weights=False), 0)
        scores = changed(self.scores(x.type, keys.type), split=True)
        words = torch_mask(t, scores, x, named.get("mask"), None, self.causal)
        renamed = {"attn_mask": "mask", "is_causal": "causal"}
        return call(t.module, *parts, **{renamed[name]: each for name, each in words.items()})

    # ---------------------------------------------------------------------------------------------------- ONNX
    def onnx(self, g: OnnxGraph, x: OnnxValue, **named: OnnxValue) -> OnnxValue:  # type: ignore[override]
        keys, values = self.others(x, named)
        parts = self._together(g, x) if x is keys is values else self._each(g, x, keys, values)
        scores = self.scores(x.type, keys.type)
        made = replace(g.types[0])
        found = attended_onnx(
            g,
            scores,
            Parts(parts[0], parts[1], parts[2], self.heads),
            (named.get("mask"), None),
            self.causal,
            None,
            made,
        )
        kind = TensorType((x.type.last, x.type.last), batched=False)
        turned = g.node("Transpose", g.weight("out_proj.weight"), perm=[1, 0], type=kind)
        found = g.node("MatMul", found, turned, type=made)
        return g.node("Add", found, g.weight("out_proj.bias")) if self.bias else found  # type: ignore[no-any-return]

    def _together(self, g: OnnxGraph, x: OnnxValue) -> list[OnnxValue]:
        """All three projections as one product."""
        size = x.type.last
        kind = TensorType((size, 3 * size), batched=False)
        turned = g.node("Transpose", g.weight("in_proj_weight"), perm=[1, 0], type=kind)
        wide = x.type.to(*x.type.shape[:-1], 3 * size)
        found = g.node("MatMul", x, turned, type=wide)
        if self.bias:
            found = g.node("Add", found, g.weight("in_proj_bias"), type=wide)
        return list(g.node("Split", found, axis=-1, num_outputs=3, type=(x.type,) * 3))

    def _each(self, g: OnnxGraph, *x: OnnxValue) -> list[OnnxValue]:
        """The projections one by one, each weight stored [in, out]."""
        size = x[0].type.last
        whole = size if isinstance(size, int) else 0  # weights are written once sizes are known
        alike = bool(size == x[1].type.last == x[2].type.last)

        def rows(weights: Mapping[str, Any], name: str, at: int) -> Any:
            return weights[name][at * whole : (at + 1) * whole]

        found = []
        for at, (letter, each) in enumerate(zip("qkv", x, strict=True)):
            name, row = ("in_proj_weight", at) if alike else (f"{letter}_proj_weight", 0)
            spec, kind = WeightSpec((each.type.last, size)), each.type.to(*each.type.shape[:-1], size)
            weight = g.new_weight(f"{letter}_proj_onnx", spec, lambda w, n=name, at=row: rows(w, n, at).T)
            made = g.node("MatMul", each, weight, type=kind)
            if self.bias:
                name = f"{letter}_bias_onnx"
                bias = g.new_weight(name, WeightSpec((size,)), lambda w, at=at: rows(w, "in_proj_bias", at))
                made = g.node("Add", made, bias, type=kind)
            found.append(made)
        return found
