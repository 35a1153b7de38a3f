"""Where the maxima of a pool lie: places counted within a channel, as in PyTorch, from ONNX's over the whole tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specc.catalogue.op import TensorType
from specc.catalogue.run_time import sizes_onnx
from specc.sizes.dim import Size, product

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue

MODULO, POOL = "Mod", "MaxPool"


def within_channel(g: OnnxGraph, flat: OnnxValue, x: TensorType) -> OnnxValue:
    """Places within a channel of x, from places in the whole of x."""
    return g.node(MODULO, flat, _count(g, product(x.spatial)), type=flat.type)  # type: ignore[no-any-return]


def unpadded(g: OnnxGraph, places: OnnxValue, x: TensorType, padded: TensorType, before: list[int]) -> OnnxValue:
    """Places within a channel of x, from those in x when it was padded."""
    if not any(before) and x.spatial[1:] == padded.spatial[1:]:
        return places
    step: Size = 1
    found: Any = None
    for at in reversed(range(len(before))):
        here = _with(g, MODULO, places, padded.spatial[at]) if at else places
        here = _with(g, "Mul", _with(g, "Sub", here, before[at]), step)
        found = here if found is None else g.node("Add", found, here, type=places.type)
        places = _with(g, "Div", places, padded.spatial[at]) if at else places
        step = step * x.spatial[at]
    return found  # type: ignore[no-any-return]


def whole(g: OnnxGraph, places: OnnxValue) -> tuple[OnnxValue, TensorType] | None:
    """The places in the whole tensor that these within a channel were made from, and that tensor's type."""
    kind, inputs = g.maker(places)
    made, pooled = g.maker(inputs[0]) if kind == MODULO else ("", ())
    return (inputs[0], pooled[0].type) if made == POOL else None


def _with(g: OnnxGraph, kind: str, places: OnnxValue, number: Size) -> OnnxValue:
    if kind != MODULO and number == (0 if kind == "Sub" else 1):
        return places
    return g.node(kind, places, _count(g, number), type=places.type)  # type: ignore[no-any-return]


def _count(g: OnnxGraph, number: Size) -> OnnxValue:
    return g.constant(number, "int") if isinstance(number, int) else sizes_onnx(g, [number])
