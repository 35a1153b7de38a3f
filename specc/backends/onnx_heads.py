"""Heads that only an exported file has: what it makes of an output besides, such as the number of its class."""

from __future__ import annotations

from dataclasses import replace

from specc.backends.onnx_graph import Builder, PartGraph, Tensor
from specc.backends.onnx_proto import TYPES
from specc.model.heads import End

_ALL = (1 << 63) - 1


def applied(builder: Builder, end: End, x: Tensor) -> Tensor:
    """The tensor of `end`, from that of the output or of what goes into its head."""
    if end.above is not None:
        return _thresholded(builder, end, x, end.above)
    assert end.axis is not None
    kind, words = ("Softmax", {}) if end.applied == "softmax" else ("ArgMax", {"keepdims": 0})
    node = builder.node(kind, end.name, (x,), (end.type(builder.model),), axis=x.dim(end.axis), **words)
    node.doc = f"{end.applied} of the output"
    return node.outputs[0]


def _thresholded(builder: Builder, end: End, x: Tensor, above: float) -> Tensor:
    """Yes (1) above the threshold; of several classes the most probable but class 0 where it is above, 0 elsewhere."""
    g = PartGraph(builder, end.name)
    made, limit = end.type(builder.model), g.constant(above)
    if end.axis is None:
        found = g.node("Greater", x, limit, type=x.type.to(*x.type.shape, dtype="bool"))
        found = g.node("Cast", found, to=TYPES["int"], type=x.type.to(*x.type.shape, dtype="int"))
        if made.shape != x.type.shape:
            found = g.node("Squeeze", found, g.constant([x.dim(0)], "int"), type=made)
    else:
        dim = x.dim(end.axis)
        beside = x.type.to(*(each - (at == end.axis) for at, each in enumerate(x.type.shape)), dtype="float")
        ends = g.constant([1], "int"), g.constant([_ALL], "int"), g.constant([dim], "int")
        shares = g.node("Slice", x, *ends, type=beside)
        best = g.node("ReduceMax", shares, g.constant([dim], "int"), keepdims=0, type=replace(made, dtype="float"))
        sure = g.node("Greater", best, limit, type=replace(made, dtype="bool"))
        place = g.node("ArgMax", shares, axis=dim, keepdims=0, type=made)
        number = g.node("Add", place, g.constant(1, "int"), type=made)
        found = g.node("Where", sure, number, g.constant(0, "int"), type=made)
    for node in g.nodes:
        node.doc = f"{end.applied} of the output {end.of}, by the threshold {above:g}"
    return found
