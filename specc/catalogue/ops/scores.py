"""What attention layers share: masks and their places, and the products of queries, keys and values in ONNX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from specc.catalogue.axes import apart, equal, is_one, shape
from specc.catalogue.entry import Misfit
from specc.catalogue.op import Rule, TensorType
from specc.catalogue.run_time import formula
from specc.code.nodes import Attribute, Binary, Expression, Unary, dotted, index, method, value
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, Size
from specc.text.record import Record

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue

FLOAT = 1


class Scores(Record):
    """One number per head, query and key: `[*leading, heads, queries, keys]`, without the heads if not `split`."""

    leading: tuple[Size, ...]
    heads: int
    queries: Size
    keys: Size
    split: bool

    @property
    def shape(self) -> tuple[Size, ...]:
        return (*self.leading, *([self.heads] if self.split else []), self.queries, self.keys)

    def takes(self, rank: int) -> tuple[Size, ...]:
        """The sizes that a mask of this rank has: [keys], [queries, keys], with the leading axes, with the heads."""
        if rank in (1, 2):
            return (self.queries, self.keys)[2 - rank :]
        if rank == len(self.leading) + 2:
            return (*self.leading, self.queries, self.keys)
        return self.shape if rank == len(self.shape) else ()

    def missing(self, kind: TensorType) -> tuple[int, ...]:
        """Before which axes of its own a mask needs axes of size 1, counted without the batch: once for each."""
        lead = len(self.leading)
        if kind.rank == len(self.shape) and (self.split or kind.rank > 2 or not lead):
            return ()
        if kind.rank == lead + 2:
            return (lead,) if self.split and (kind.batched or lead) else ()
        return (0,) * (len(self.shape) - kind.rank) if kind.batched else ()

    def rules(self, name: str, kind: TensorType, dtype: str) -> Iterator[Rule]:
        """A mask, or what is added, meets the scores; an axis of size 1 serves all."""
        if kind.dtype != dtype:
            holds = "true or false" if dtype == "bool" else "numbers"
            message = f"`{name}` must hold {holds}; this is {kind.dtype}"
            raise Misfit("wrong-dtype", message, "compare it: `mask != 0`" if dtype == "bool" else "")
        wanted = self.takes(kind.rank)
        if not wanted:
            message = f"`{name}` is {shape(kind.shape)}, the scores are {shape(self.shape)}"
            help = f"it may be {shape((self.keys,))}, {shape((self.queries, self.keys))} or {shape(self.shape)}"
            raise Misfit("shape-mismatch", message, help)
        for one, other in zip(wanted, kind.shape, strict=True):
            if not is_one(other):
                message = f"`{name}` is {shape(kind.shape)}; it should be {shape(wanted)} ({apart(one, other)})"
                yield from equal(one, other, Misfit("shape-mismatch", message))


def needed(size: Size, sign: Any, wanted: Size, misfit: Misfit) -> Iterator[Rule]:
    """The rule that compares two sizes; nothing where it plainly holds."""
    if isinstance(size - wanted, Dim):
        yield Rule(Compare(size, sign, wanted), misfit)
    elif sign == "==" and size != wanted:
        yield Rule(False, misfit)


def alike(one: TensorType, other: TensorType, names: tuple[str, str], port: int | str) -> Iterator[Rule]:
    """Two sequences have the same leading axes."""
    a, b = one.shape[:-2], other.shape[:-2]
    message = f"{names[0]} are {shape(one.shape)}, {names[1]} {shape(other.shape)}: the axes before the last two differ"
    if one.rank != other.rank:
        raise Misfit("shape-mismatch", message, port=port)
    for left, right in zip(a, b, strict=True):
        yield from equal(left, right, Misfit("shape-mismatch", message, port=port))


def is_sequence(name: str, x: TensorType) -> None:
    """Refuse a tensor whose features are on axis 0, straight from a window."""
    if x.layout == "first":
        message = f"the channels of {shape(x.shape)} are on axis 0, and `{name}` works on the last axis"
        way = "transpose(0, 1)" if x.rank == 2 else 'rearrange("c h w -> (h w) c")'
        raise Misfit("linear-after-window", message, f"put them there first: `{way}`")


def as_many(keys: TensorType, values: TensorType, port: int | str) -> Iterator[Rule]:
    """Each key has its value."""
    places = keys.shape[-2], values.shape[-2]
    message = f"there are {places[0]} keys and {places[1]} values ({apart(*places)})"
    yield from equal(*places, Misfit("shape-mismatch", message, port=port))


def square(queries: Size, keys: Size) -> Iterator[Rule]:
    """Who may not look ahead needs a place for each key."""
    message = f"`causal` needs as many keys as queries; there are {keys} and {queries} ({apart(queries, keys)})"
    yield from equal(queries, keys, Misfit("shape-mismatch", message, "say who sees what with `mask`"))


# ---------------------------------------------------------------------------------------------------------- PyTorch
def with_batch(x: list[TorchValue], named: Mapping[str, TorchValue]) -> list[Any]:
    """The tensors, those without a batch repeated along the batch of the others."""
    like = next((each for each in (*x, *named.values()) if each.type.batched), None)
    if like is None:
        return [each.node for each in x]
    batch = index(Attribute(like.node, "shape"), 0)
    return [
        each.node if each.type.batched else method(each.node, "expand", batch, *[-1] * each.type.rank) for each in x
    ]


def placed(scores: Scores, mask: TorchValue) -> Expression:
    """The mask with the axes it lacks: `mask[:, None, None]`."""
    missing = scores.missing(mask.type)
    if not missing:
        return mask.node
    before = [slice(None)] * (mask.type.batched + missing[0])
    return index(mask.node, *before, *[None] * len(missing))


def torch_mask(
    t: TorchContext, scores: Scores, x: TorchValue, mask: TorchValue | None, bias: TorchValue | None, causal: bool
) -> dict[str, Any]:
    """The words for PyTorch's scaled_dot_product_attention that say who sees what."""
    if mask is None and bias is None:
        return {"is_causal": True} if causal else {}
    seen: Expression | None = placed(scores, mask) if mask is not None else None
    if causal:
        sizes = [formula(t, scores.queries, x)] * 2
        ones = t.function("torch.ones", *sizes, dtype=dotted("torch.bool"), device=Attribute(x.node, "device"))
        past = method(ones, "tril")
        seen = past if seen is None else Binary("&", seen, past)
    if bias is None:
        return {"attn_mask": seen}
    added = placed(scores, bias)
    return {"attn_mask": added if seen is None else t.function("torch.where", seen, added, Unary("-", _INFINITY))}


_INFINITY = value(float("inf"))


# ------------------------------------------------------------------------------------------------------------- ONNX
class Parts(Record):
    """Queries, keys and values whose last axis holds the heads side by side; keys and values may have fewer heads."""

    queries: Any
    keys: Any
    values: Any
    key_heads: int


def scalar_onnx(g: OnnxGraph, size: Size) -> OnnxValue:
    """A size as a tensor without axes."""
    if not isinstance(size, Dim):
        return g.constant(size, "int")
    return g.node("Squeeze", g.shape(size, batch=False), type=TensorType((), "int", batched=False))  # type: ignore[no-any-return]


def attended_onnx(
    g: OnnxGraph,
    scores: Scores,
    parts: Parts,
    given: tuple[OnnxValue | None, OnnxValue | None],
    causal: bool,
    scale: float | None,
    made: TensorType,
) -> OnnxValue:
    """The values that each query sees, its heads side by side again; `given` are the mask and what is added."""
    mask, bias = given
    width = parts.queries.type.last // scores.heads
    queries = _apart(g, _scaled(g, parts.queries, width, scale), scores.heads, scores)
    keys = _apart(g, parts.keys, parts.key_heads, scores, turned=True)
    values = _apart(g, parts.values, parts.key_heads, scores)
    batched = queries.type.batched or keys.type.batched
    found = g.node("MatMul", queries, keys, type=TensorType(scores.shape, batched=batched))
    if bias is not None:
        found = _with(g, "Add", found, _placed_onnx(g, scores, bias))
    seen = _placed_onnx(g, scores, mask) if mask is not None else None
    if causal:
        past = g.once(("past", scores.queries), lambda: _past(g, scores.queries))
        seen = past if seen is None else _with(g, "And", seen, past)
    if seen is not None:
        found = _with(g, "Where", seen, found, g.constant(float("-inf")))
    found = g.node("Softmax", found, axis=-1, type=found.type)
    if mask is not None and seen is not None:  # a row with nothing to see is 0, not 0 / 0
        found = g.node("Where", seen, found, g.constant(0.0), type=found.type)
    if not scores.split:
        return g.node("MatMul", found, values, type=made)  # type: ignore[no-any-return]
    rows = (*scores.leading, scores.heads, scores.queries, values.type.last)
    found = g.node("MatMul", found, values, type=replace(made, shape=rows))
    lead = len(scores.leading) + made.batched
    order = [*range(lead), lead + 1, lead, lead + 2]
    beside = (*scores.leading, scores.queries, scores.heads, values.type.last)
    found = g.node("Transpose", found, perm=order, type=replace(made, shape=beside))
    return g.node("Reshape", found, g.constant([0] * (lead + 1) + [-1], "int"), type=made)  # type: ignore[no-any-return]


def _with(g: OnnxGraph, kind: str, *x: OnnxValue) -> Any:
    """An element-wise node: the largest of its inputs gives the shape, any of them the batch."""
    whole = max((each.type for each in x), key=lambda each: each.rank)
    sizes = list(whole.shape)
    for each in x:
        for at in range(1, each.type.rank + 1):
            sizes[-at] = each.type.shape[-at] if is_one(sizes[-at]) else sizes[-at]
    dtype = "bool" if kind == "And" else "float"
    batched = any(each.type.batched for each in x)
    return g.node(kind, *x, type=TensorType(tuple(sizes), dtype, batched))  # type: ignore[arg-type]


def _scaled(g: OnnxGraph, x: OnnxValue, width: Size, scale: float | None) -> OnnxValue:
    if scale is not None or not isinstance(width, Dim):
        factor = scale if scale is not None else int(width) ** -0.5  # type: ignore[arg-type]
        return x if factor == 1 else g.node("Mul", x, g.constant(float(factor)), type=x.type)
    one = TensorType((), batched=False)
    root = g.node("Sqrt", g.node("Cast", scalar_onnx(g, width), to=FLOAT, type=one), type=one)
    return g.node("Div", x, root, type=x.type)  # type: ignore[no-any-return]


def _apart(g: OnnxGraph, x: OnnxValue, heads: int, scores: Scores, turned: bool = False) -> OnnxValue:
    """`[*leading, places, heads * width]` as `[*leading, heads, places, width]`; `turned` exchanges the last two."""
    lead, places = x.type.shape[:-2], x.type.shape[-2]
    first = [*range(len(lead) + x.type.batched)]
    at = len(first)
    if not scores.split:
        order = [*first, at + 1, at]
        kind = replace(x.type, shape=(*lead, x.type.last, places))
        return g.node("Transpose", x, perm=order, type=kind) if turned else x
    width = x.type.last // heads
    sizes = g.constant([0] * (at + 1) + [int(heads), -1], "int")
    found = g.node("Reshape", x, sizes, type=replace(x.type, shape=(*lead, places, heads, width)))
    shapes = (*lead, heads, *((width, places) if turned else (places, width)))
    order = [*first, at + 1, at + 2, at] if turned else [*first, at + 1, at, at + 2]
    found = g.node("Transpose", found, perm=order, type=replace(x.type, shape=shapes))
    if heads == scores.heads:
        return found  # type: ignore[no-any-return]
    rows = [head * heads // scores.heads for head in range(scores.heads)]
    kind = replace(x.type, shape=(*lead, scores.heads, *shapes[-2:]))
    return g.node("Gather", found, g.constant(rows, "int"), axis=at, type=kind)  # type: ignore[no-any-return]


def _placed_onnx(g: OnnxGraph, scores: Scores, mask: OnnxValue) -> OnnxValue:
    missing = scores.missing(mask.type)
    if not missing:
        return mask
    first, sizes = missing[0], mask.type.shape
    kind = replace(mask.type, shape=(*sizes[:first], *(1 for _ in missing), *sizes[first:]))
    axes = [mask.dim(first) + at for at in range(len(missing))]
    return g.node("Unsqueeze", mask, g.constant(axes, "int"), type=kind)  # type: ignore[no-any-return]


def _past(g: OnnxGraph, places: Size) -> OnnxValue:
    """Whether a key stands no later than a query."""
    row = TensorType((places,), "int", batched=False)
    numbers = g.node("Range", g.constant(0, "int"), scalar_onnx(g, places), g.constant(1, "int"), type=row)
    column = g.node("Unsqueeze", numbers, g.constant([1], "int"), type=row.to(places, 1))
    return g.node("GreaterOrEqual", column, numbers, type=row.to(places, places, dtype="bool"))  # type: ignore[no-any-return]
