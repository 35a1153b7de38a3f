"""Sizes that are only known when the network runs: as PyTorch expressions, and as tensors in an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import combinations
from typing import TYPE_CHECKING, Any

from specc.code.nodes import Attribute, Expression, Literal, Name, binary, index, value
from specc.sizes.dim import Dim, Size, product, symbol
from specc.sizes.express import express
from specc.text.record import Record, changed

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue

END = 2**63 - 1  # "to the end" for ONNX's Slice


def formula(t: TorchContext, size: Size, *x: TorchValue) -> Expression:
    """A size in `forward`: a number, `x.shape[2]`, or a formula of such, read from `x` where they have its unknowns."""
    found = read(t, size, x)
    return t.formula(size) if found is None else found


def read(t: TorchContext, size: Size, x: Sequence[TorchValue]) -> Expression | None:
    """The same; None where these tensors do not have all of its unknowns."""
    if not isinstance(size, Dim):
        return value(size)
    found = _axis(t, size, x)
    if found is not None:
        return found
    unknowns = {name: _axis(t, symbol(name), x) for name in sorted(size.symbols)}
    if None in unknowns.values():
        return _merged(t, size, x) or _scaled(t, size, x) or _expressed(t, size, x)
    known = {name: node for name, node in unknowns.items() if node is not None}
    return _fill(value(size), known) if len(known) == len(unknowns) else None


def _axis(t: TorchContext, size: Dim, x: Sequence[TorchValue]) -> Expression | None:
    return next((t.size(each, at) for each in x for at, known in enumerate(each.type.shape) if known == size), None)


def _merged(t: TorchContext, size: Dim, x: Sequence[TorchValue]) -> Expression | None:
    """The size as a product of axes side by side: `46 * x.shape[4]`."""
    for each in x:
        for start, stop in combinations(range(each.type.rank + 1), 2):
            if product(each.type.shape[start:stop]) == size:
                nodes = [t.size(each, at) for at in range(start, stop)]
                return reduce(lambda one, other: binary("*", one, other), nodes)
    return None


def _scaled(t: TorchContext, size: Dim, x: Sequence[TorchValue]) -> Expression | None:
    """The size as a multiple of one axis and a number: `2 * x.shape[2] - 1`, where the axis is itself `H//2`."""
    for each in x:
        for at, known in enumerate(each.type.shape):
            if not isinstance(known, Dim):
                continue
            monomial, factor = next((m, n) for m, n in known.terms.items() if m)
            times, rest = divmod(size.terms.get(monomial, 0), factor)
            over = size - times * known
            if times and not rest and not isinstance(over, Dim):
                found: Expression = _fill(value(times * symbol("n") + over), {"n": t.size(each, at)})
                return found
    return None


def _expressed(t: TorchContext, size: Dim, x: Sequence[TorchValue]) -> Expression | None:
    """The size as any formula of axes: `(x.shape[1] + 1) // 2`, where the size is `(H + 4)//8` and the axis `H//4`."""
    axes = [(each, at, known) for each in x for at, known in enumerate(each.type.shape) if isinstance(known, Dim)]
    found = express(size, {f"axis{number}": known for number, (_, _, known) in enumerate(axes)})
    if found is None:
        return None
    nodes = {f"axis{number}": t.size(each, at) for number, (each, at, _) in enumerate(axes)}
    filled: Expression = _fill(value(found), nodes)
    return filled


def _fill(node: Any, known: dict[str, Expression]) -> Any:
    """The expression with names replaced."""
    if isinstance(node, Name):
        return known.get(node.name, node)
    if isinstance(node, tuple):
        return tuple(_fill(each, known) for each in node)
    if not isinstance(node, Record):
        return node
    return changed(node, **{name: _fill(getattr(node, name), known) for name in node.FIELDS})


def new_shape(t: TorchContext, x: TorchValue, shape: Sequence[Size]) -> list[Expression]:
    """What `x.reshape` takes: the batch is -1 where the other sizes are plain, else one unknown size may be -1."""
    unknown = [at for at, size in enumerate(shape) if isinstance(size, Dim)]
    if len(unknown) == 1:
        batch = [index(Attribute(x.node, "shape"), 0)] if x.type.batched else []
        return [*batch, *(Literal(-1) if at in unknown else value(size) for at, size in enumerate(shape))]
    found = [*([Literal(-1)] if x.type.batched else []), *(formula(t, size, x) for size in shape)]
    return found or [value(())]


def new_shape_onnx(g: OnnxGraph, x: OnnxValue, shape: Sequence[Size]) -> OnnxValue:
    """What ONNX's Reshape takes: numbers, 0 for the batch of the input and -1 for one unknown size, if that will do."""
    unknown = sum(isinstance(size, Dim) for size in shape)
    if unknown > 1:
        return g.shape(*shape)
    batch = [0 if unknown else -1] if x.type.batched else []
    return g.constant([*batch, *(-1 if isinstance(size, Dim) else size for size in shape)], "int")


def sizes_onnx(g: OnnxGraph, sizes: Sequence[Size]) -> OnnxValue:
    """A tensor of these sizes, without the batch."""
    if not any(isinstance(size, Dim) for size in sizes):
        return g.constant([*sizes], "int")
    return g.shape(*sizes, batch=False)
