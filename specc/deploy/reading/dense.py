"""Matrix products, reductions, orders and recurrent layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from specc.catalogue.op import Op
from specc.catalogue.ops import adaptive, dense, einsum, pointwise, pooling, ranks, recurrent, reduce
from specc.catalogue.ops.arithmetic import Power
from specc.catalogue.ops.shape import Reshape, Unsqueeze
from specc.deploy.reading.pointwise import without_defaults
from specc.deploy.reading.reader import Reader, Reading
from specc.deploy.reading.uniform import Uniform
from specc.deploy.reading.values import Known
from specc.deploy.reading.view import View, is_batch


def gemm(n: Reading) -> None:
    """alpha x W + beta c: a dense layer."""
    x, weight = n.view(0), n.known(1, "weight")
    if n.attribute("transA", 0):
        n.refuse("its input is transposed")
    weight = weight if n.attribute("transB", 0) else weight.T
    weight = weight * np.float32(n.attribute("alpha", 1.0)) if n.attribute("alpha", 1.0) != 1 else weight
    weights = {"weight": weight}
    if n.has(2):
        bias = n.known(2, "bias") * np.float32(n.attribute("beta", 1.0))
        weights["bias"] = np.broadcast_to(bias.reshape(-1), (weight.shape[0],)).copy()
    _linear(n, x, weights)


def matmul(n: Reading) -> None:
    left, right = n.value(0), n.value(1)
    if isinstance(left, View) and isinstance(right, Known) and right.array.ndim == 2:
        _linear(n, left, {"weight": right.array.T})
        return
    x, y = n.view(0), n.view(1)
    if x.rank != y.rank or x.axes[:-2] != y.axes[:-2]:
        largest = x if x.rank >= y.rank else y
        x, y = n.meeting(largest, 0), n.meeting(largest, 1)
    for each in (x, y):
        n.owns(each, [-2, -1])
    axes = (*x.axes[:-1], y.axes[-1]) if x.type.batched else (*y.axes[:-2], x.axes[-2], y.axes[-1])
    n.give(*n.add(dense.Matmul, {}, x, y, axes=axes))


def _linear(n: Reading, x: View, weights: dict[str, Any]) -> None:
    n.own(x, -1)
    features = int(weights["weight"].shape[0])
    words: dict[str, Any] = {"features": features} | ({} if "bias" in weights else {"bias": False})
    n.give(*n.add(dense.Linear, words, x, axes=(*x.axes[:-1], (features,)), weights=weights))


def product(n: Reading) -> None:
    """The pattern without the letter of the batch."""
    views = [n.view(at) for at in range(len(n.node.inputs))]
    given, _, result = n.attribute("equation").replace(" ", "").partition("->")
    letters, batch = given.split(","), set()
    for word, view in zip(letters, views, strict=True):
        if "." in word or len(word) != view.rank:
            n.refuse("its pattern has an ellipsis")
        batch |= {letter for letter, axis in zip(word, view.axes, strict=True) if any(is_batch(size) for size in axis)}
    if len(batch) > 1:
        n.refuse("it works along the axis of the batch")
    drop = str.maketrans("", "", "".join(batch))
    pattern = ", ".join(word.translate(drop) for word in letters) + " -> " + result.translate(drop)
    n.give(*n.add(einsum.Einsum, {"pattern": pattern}, *views))


def reduction(kind: type[Op]) -> Reader:
    def read(n: Reading) -> None:
        x = n.view(0)
        axes = n.listed("axes", 1)
        if axes is None and n.attribute("noop_with_empty_axes", 0):
            n.give(x)
            return
        where = list(range(1, x.rank)) if axes is None and x.own(0) is None else axes
        if axes is None:
            n.refuse("it works along the axis of the batch")
        assert where is not None
        own = sorted(n.owns(x, where))
        keep = bool(n.attribute("keepdims", 1))
        words: dict[str, Any] = {"keep": True} if keep else {}
        if own != list(range(len(x.type.shape))):
            words = {"axis": own[0] if len(own) == 1 else own, **words}
        gone = {at % x.rank for at in where}
        left = tuple((1,) if at in gone else axis for at, axis in enumerate(x.axes) if keep or at not in gone)
        if kind is reduce.Mean and len(x.type.shape) > 1 and own == list(range(1, len(x.type.shape))):
            kind_, words = (adaptive.AdaptiveAvgPool, {"size": 1}) if keep else (pooling.GlobalAvgPool, {})
            n.give(*n.add(kind_, words, x, axes=left))
            return
        n.give(*n.add(kind, words, x, axes=left))

    return read


def length(n: Reading) -> None:
    """The root of the sum of squares."""
    x = n.view(0)
    (squares,) = n.add(Power, {"right": 2.0}, x)
    own = sorted(n.owns(x, n.listed("axes", 1) or []))
    if not own:
        n.refuse("it works along the axis of the batch")
    words: dict[str, Any] = {"axis": own if len(own) > 1 else own[0], "keep": bool(n.attribute("keepdims", 1))}
    gone = {at % x.rank for at in n.listed("axes", 1) or []}
    left = tuple((1,) if at in gone else axis for at, axis in enumerate(x.axes) if words["keep"] or at not in gone)
    (total,) = n.add(reduce.Sum, words, squares, axes=left)
    n.give(*n.add(pointwise.Sqrt, {}, total))


def largest(kind: type[Op]) -> Reader:
    def read(n: Reading) -> None:
        x = n.view(0)
        axis = n.attribute("axis", 0) % x.rank
        if n.attribute("select_last_index", 0):
            n.refuse("of equal numbers it takes the last")
        found = n.add(kind, {"axis": n.own(x, axis)}, x, axes=(*x.axes[:axis], *x.axes[axis + 1 :]))
        if n.attribute("keepdims", 1):
            kept = (*x.axes[:axis], (1,), *x.axes[axis + 1 :])
            found = n.add(Unsqueeze, {"axis": n.own(x, axis)}, *found, axes=kept)
        n.give(*found)

    return read


def topk(n: Reading) -> None:
    x = n.view(0)
    words = {"k": int(n.known(1, "k").reshape(-1)[0]), "axis": n.own(x, n.attribute("axis", -1)),
             "largest": bool(n.attribute("largest", 1))}  # fmt: skip
    n.give(*n.add(ranks.TopK, without_defaults(ranks.TopK, words), x, outputs=2))


def cumulative(n: Reading) -> None:
    x = n.view(0)
    if n.attribute("exclusive", 0) or n.attribute("reverse", 0):
        n.refuse("it is exclusive or reversed")
    n.give(*n.add(ranks.CumulativeSum, {"axis": n.own(x, int(n.known(1, "axis").reshape(-1)[0]))}, x))


GATES = {"LSTM": (recurrent.LSTM, (0, 2, 3, 1)), "GRU": (recurrent.GRU, (1, 0, 2)), "RNN": (recurrent.RNN, (0,))}


def sequence(n: Reading) -> None:
    """One layer of a recurrent network over [length, batch, features], its gates put into PyTorch's order."""
    kind, order = GATES[n.node.kind]
    x = n.view(0)
    w, r = n.known(1, "weight"), n.known(2, "weight")
    hidden, both = n.attribute("hidden_size"), n.attribute("direction", "forward") == "bidirectional"
    if n.attribute("direction", "forward") == "reverse" or n.attribute("layout", 0) or n.has(4):
        n.refuse("it is reversed, in the other layout, or of sequences that differ in length")
    if any(n.has(at) and not _zeros(n, at) for at in (5, 6)) or n.has(7):
        n.refuse("it starts from other states than zeros")
    if n.node.kind == "GRU" and not n.attribute("linear_before_reset", 0):
        n.refuse("its reset acts before the product (linear_before_reset=0)")
    if n.attribute("clip") is not None or not n.unused(2):
        n.refuse("it is clipped, or its cell state is used")
    words: dict[str, Any] = {"features": hidden} | ({"bidirectional": True} if both else {})
    activations = [str(each).lower() for each in n.attribute("activations", [])]
    if n.node.kind == "RNN" and set(activations) == {"relu"}:
        words["activation"] = "relu"
    elif activations and activations[: len(USUAL[n.node.kind])] != USUAL[n.node.kind]:
        n.refuse(f"its activations are {', '.join(activations)}")
    words |= {} if n.has(3) else {"bias": False}
    if not n.unused(1):
        n.refuse("its last state is used")

    def ordered(values: Any) -> Any:
        parts = np.split(values, len(order), axis=0)
        return np.concatenate([parts[at] for at in order])

    weights: dict[str, Any] = {}
    for direction in range(w.shape[0]):
        suffix = "_reverse" if direction else ""
        weights[f"weight_ih_l0{suffix}"] = ordered(w[direction])
        weights[f"weight_hh_l0{suffix}"] = ordered(r[direction])
        if n.has(3):
            inner, outer = np.split(n.known(3, "bias")[direction], 2)
            weights[f"bias_ih_l0{suffix}"], weights[f"bias_hh_l0{suffix}"] = ordered(inner), ordered(outer)
    directions, (time, batch, _) = w.shape[0], x.axes
    if not any(is_batch(size) for size in batch):
        n.refuse("its batch is not the second axis")
    (y,) = n.add(kind, words, x, axes=(time, batch, (directions * hidden,)), weights=weights)[:1]
    if directions == 1:
        n.give(*n.add(Unsqueeze, {"axis": 1}, y, axes=(time, (1,), batch, (hidden,))))
        return
    parts = (y.type.shape[0], directions, hidden)
    n.give(*n.add(Reshape, {"shape": parts}, y, axes=(time, (directions,), batch, (hidden,))))


USUAL = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"], "RNN": ["tanh"]}


def _zeros(n: Reading, at: int) -> bool:
    """Whether an initial state is zeros, whatever its size."""
    value = n.value(at)
    if isinstance(value, Uniform):
        return not value.number.any()
    return isinstance(value, Known) and not value.array.any()


READERS: dict[str, Reader] = {
    "Gemm": gemm, "MatMul": matmul, "Einsum": product, "ReduceMean": reduction(reduce.Mean), "ReduceSum": reduction(reduce.Sum),
    "ReduceMax": reduction(reduce.Max), "ReduceMin": reduction(reduce.Min), "ReduceL2": length,
    "ArgMax": largest(reduce.Argmax), "ArgMin": largest(reduce.Argmin), "TopK": topk, "CumSum": cumulative,
    "LSTM": sequence, "GRU": sequence, "RNN": sequence,
}  # fmt: skip
