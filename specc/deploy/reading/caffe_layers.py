"""Each layer of Caffe as the operators of ONNX that it is; these are read as those of any file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx

from specc.deploy.reading.file import Node
from specc.deploy.reading.prototxt import Message
from specc.deploy.reading.reader import NoCounterpart
from specc.deploy.reading.values import Array, Known
from specc.deploy.reading.view import View
from specc.deploy.reading.walk import Walk
from specc.sizes.dim import Dim

INPUT = "Input"
SKIPPED = ("Accuracy", "Silence")  # they give nothing that a network gives


class Layers:
    """The layers on their way through a walk. `stored` are the blobs of a caffemodel by layer."""

    def __init__(self, walk: Walk, stored: Mapping[str, list[Array]], given: bool) -> None:
        self.walk, self.stored, self.given = walk, stored, given
        self.merged: set[int] = set()
        self.count = 0

    def layer(self, layer: Message, following: Message | None) -> None:
        kind = str(layer.one("type"))
        if kind in (INPUT, *SKIPPED) or id(layer) in self.merged:
            return
        rule = RULES.get(kind)
        if rule is None:
            raise NoCounterpart("there is no such layer")
        rule(self, layer, following)

    def view(self, layer: Message, at: int = 0) -> View:
        names = layer.all("bottom")
        if at >= len(names):
            raise NoCounterpart(f"it has no input {at}")
        found = self.walk.values.get(names[at])
        if not isinstance(found, View):
            raise NoCounterpart(f"its input {names[at]} is made by nothing")
        return found

    def channels(self, layer: Message) -> int:
        found = self.view(layer).type.shape[0]
        if isinstance(found, Dim):
            raise NoCounterpart("it does not say how many channels its input has")
        return found

    def weight(self, layer: Message, at: int, name: str, shape: tuple[int, ...], start: float = 0.0) -> str:
        """A blob of the layer in that shape, under the name it will have; `start` where there are no weights."""
        key = f"{path_of(layer)}.{name}"
        array = np.full(shape, start, np.float32)
        if self.given:
            found = self.stored.get(str(layer.one("name")), [])
            if at >= len(found) or found[at].size != array.size:
                have = str(list(found[at].shape)) if at < len(found) else "nothing"
                raise NoCounterpart(f"its {name} has shape {list(shape)}; the caffemodel has {have}")
            array = found[at].reshape(shape)
        self.walk.values[key] = Known(array, key)
        return key

    def constant(self, value: Any) -> str:
        self.count += 1
        name = f"constant {self.count}"
        self.walk.values[name] = Known(np.asarray(value))
        return name

    def node(
        self, kind: str, layer: Message, inputs: list[str], outputs: list[str] | None = None, **words: Any
    ) -> None:
        """An operator of ONNX on what is there."""
        given = outputs if outputs is not None else [str(each) for each in layer.all("top")]
        proto = onnx.helper.make_node(kind, inputs, given, **words)
        scope = path_of(layer).rpartition(".")[0]
        self.walk.step(Node(kind, str(layer.one("name", "")), tuple(inputs), tuple(given), words, scope, proto))


def path_of(layer: Message) -> str:
    """The layer's name as a module path: `inception_3a/1x1` is inception_3a.x1x1."""
    parts = [re.sub(r"\W", "_", each) for each in str(layer.one("name", "layer")).split("/") if each]
    return ".".join(each if each[:1].isalpha() or each.isdigit() else f"x{each}" for each in parts) or "layer"


Rule = Callable[[Layers, Message, Message | None], None]


def _pair(words: Message, name: str, default: int, short: str = "") -> list[int]:
    """A size for height and width: one number, two, or `…_h` and `…_w`."""
    short = short or name.removesuffix("_size")
    if words.one(f"{short}_h") is not None or words.one(f"{short}_w") is not None:
        return [words.one(f"{short}_h", default), words.one(f"{short}_w", default)]
    values = words.all(name) or [default]
    return [values[0], values[0]] if len(values) == 1 else list(values)


def _bottoms(layer: Message) -> list[str]:
    return [str(each) for each in layer.all("bottom")]


def _convolution(kind: str) -> Rule:
    def rule(c: Layers, layer: Message, following: Message | None) -> None:
        words = layer.one("convolution_param") or Message()
        kernel = _pair(words, "kernel_size", 0, "kernel")
        pads, strides = _pair(words, "pad", 0), _pair(words, "stride", 1)
        out, groups, into = words.one("num_output"), words.one("group", 1), c.channels(layer)
        if not out or not all(kernel):
            raise NoCounterpart("it says no num_output or kernel_size")
        shape = (out, into // groups, *kernel) if kind == "Conv" else (into, out // groups, *kernel)
        inputs = [*_bottoms(layer), c.weight(layer, 0, "weight", shape)]
        if words.one("bias_term", True):
            inputs.append(c.weight(layer, 1, "bias", (out,)))
        dilations = (words.all("dilation") * 2)[:2] or [1, 1]
        c.node(
            kind,
            layer,
            inputs,
            kernel_shape=kernel,
            pads=[*pads, *pads],
            strides=strides,
            group=groups,
            dilations=dilations,
        )

    return rule


def _pooling(c: Layers, layer: Message, following: Message | None) -> None:
    words = layer.one("pooling_param") or Message()
    kind = {"MAX": "MaxPool", "AVE": "AveragePool", 0: "MaxPool", 1: "AveragePool"}.get(words.one("pool", "MAX"))
    if kind is None:
        raise NoCounterpart(f"it pools by {words.one('pool')}")
    if words.one("global_pooling", False):
        c.node(f"Global{kind}", layer, _bottoms(layer))
        return
    pads, up = _pair(words, "pad", 0), int(words.one("round_mode", "CEIL") in ("CEIL", 0))
    more: dict[str, Any] = {"count_include_pad": 1} if kind == "AveragePool" else {}
    kernel = _pair(words, "kernel_size", 1, "kernel")
    c.node(kind, layer, _bottoms(layer), kernel_shape=kernel, strides=_pair(words, "stride", 1), pads=[*pads, *pads],
           ceil_mode=up, **more)  # fmt: skip


def _product(c: Layers, layer: Message, following: Message | None) -> None:
    words, x = layer.one("inner_product_param") or Message(), c.view(layer)
    out = words.one("num_output")
    if words.one("axis", 1) != 1 or words.one("transpose", False):
        raise NoCounterpart("it works along another axis, or is transposed")
    source = _bottoms(layer)
    if x.rank > 2:
        source = [f"{layer.one('name')} flat"]
        c.node("Flatten", layer, _bottoms(layer), source, axis=1)
    flat = c.walk.values[source[0]]
    assert isinstance(flat, View)
    into = flat.type.shape[0]
    if isinstance(into, Dim):
        raise NoCounterpart(f"it has {into} inputs, which is no number")
    inputs = [*source, c.weight(layer, 0, "weight", (out, into))]
    if words.one("bias_term", True):
        inputs.append(c.weight(layer, 1, "bias", (out,)))
    c.node("Gemm", layer, inputs, transB=1)


def _rectified(c: Layers, layer: Message, following: Message | None) -> None:
    slope = layer.one("relu_param.negative_slope", 0.0)
    if slope:
        c.node("LeakyRelu", layer, _bottoms(layer), alpha=float(slope))
    else:
        c.node("Relu", layer, _bottoms(layer))


def _parametric(c: Layers, layer: Message, following: Message | None) -> None:
    shared = layer.one("prelu_param.channel_shared", False)
    count = 1 if shared else c.channels(layer)
    c.node("PRelu", layer, [*_bottoms(layer), c.weight(layer, 0, "weight", (count,), 0.25)])


def _simple(kind: str, **words: Any) -> Rule:
    return lambda c, layer, following: c.node(kind, layer, _bottoms(layer), **words)


def _elu(c: Layers, layer: Message, following: Message | None) -> None:
    c.node("Elu", layer, _bottoms(layer), alpha=float(layer.one("elu_param.alpha", 1.0)))


def _response(c: Layers, layer: Message, following: Message | None) -> None:
    words = layer.one("lrn_param") or Message()
    if words.one("norm_region", "ACROSS_CHANNELS") not in ("ACROSS_CHANNELS", 0):
        raise NoCounterpart("it works within channels")
    c.node("LRN", layer, _bottoms(layer), size=words.one("local_size", 5), alpha=float(words.one("alpha", 1.0)),
           beta=float(words.one("beta", 0.75)), bias=float(words.one("k", 1.0)))  # fmt: skip


def _softmax(c: Layers, layer: Message, following: Message | None) -> None:
    c.node("Softmax", layer, _bottoms(layer), axis=layer.one("softmax_param.axis", 1))


def _dropout(c: Layers, layer: Message, following: Message | None) -> None:
    c.node("Dropout", layer, _bottoms(layer), ratio=float(layer.one("dropout_param.dropout_ratio", 0.5)))


def _concat(c: Layers, layer: Message, following: Message | None) -> None:
    words = layer.one("concat_param") or Message()
    c.node("Concat", layer, _bottoms(layer), axis=words.one("axis", words.one("concat_dim", 1)))


def _elementwise(c: Layers, layer: Message, following: Message | None) -> None:
    words = layer.one("eltwise_param") or Message()
    kind = {"PROD": "Mul", "SUM": "Add", "MAX": "Max", 0: "Mul", 1: "Add", 2: "Max"}[words.one("operation", "SUM")]
    inputs, factors = _bottoms(layer), [float(each) for each in words.all("coeff")]
    if factors == [1, -1]:
        kind, factors = "Sub", []
    if any(each != 1 for each in factors):
        raise NoCounterpart(f"it weights its inputs by {factors}")
    for at, other in enumerate(inputs[1:], 1):
        last = at == len(inputs) - 1
        made = [str(layer.one("top"))] if last else [f"{layer.one('name')} {at}"]
        c.node(kind, layer, [inputs[0] if at == 1 else f"{layer.one('name')} {at - 1}", other], made)


def _normalised(c: Layers, layer: Message, following: Message | None) -> None:
    """Statistics; the Scale layer behind it is its weight and bias."""
    count, eps = c.channels(layer), float(layer.one("batch_norm_param.eps", 1e-5))
    mean, var = (c.weight(layer, at, name, (count,), at) for at, name in enumerate(("running_mean", "running_var")))
    if c.given:
        blobs_ = c.stored[str(layer.one("name"))]
        factor = float(blobs_[2].reshape(-1)[0]) if len(blobs_) > 2 else 1.0
        for key in (mean, var):
            known = c.walk.values[key]
            assert isinstance(known, Known)
            c.walk.values[key] = Known(known.array / factor if factor else known.array * 0, key)
    top = [str(each) for each in layer.all("top")]
    after = following is not None and following.one("type") == "Scale" and following.all("bottom") == top
    if after and following is not None:
        c.merged.add(id(following))
        scale = c.weight(following, 0, "weight", (count,), 1.0)
        biased = following.one("scale_param.bias_term", False)
        bias = c.weight(following, 1, "bias", (count,)) if biased else c.constant(np.zeros(count, np.float32))
        top = [str(each) for each in following.all("top")]
    else:
        scale, bias = c.constant(np.ones(count, np.float32)), c.constant(np.zeros(count, np.float32))
    c.node("BatchNormalization", layer, [*_bottoms(layer), scale, bias, mean, var], top, epsilon=eps)


def _scaled(c: Layers, layer: Message, following: Message | None) -> None:
    """A learned factor and a learned shift for each channel."""
    if len(layer.all("bottom")) > 1 or layer.one("scale_param.axis", 1) != 1:
        raise NoCounterpart("it scales by another tensor, or along another axis")
    count, rank = c.channels(layer), c.view(layer).rank
    shape = (count, *[1] * (rank - 2))
    made = [f"{layer.one('name')} scaled"] if layer.one("scale_param.bias_term", False) else None
    c.node("Mul", layer, [*_bottoms(layer), c.weight(layer, 0, "weight", shape, 1.0)], made)
    if made:
        c.node("Add", layer, [*made, c.weight(layer, 1, "bias", shape)])


def _power(c: Layers, layer: Message, following: Message | None) -> None:
    """(shift + scale x) ** power."""
    words = layer.one("power_param") or Message()
    steps = [
        ("Mul", words.one("scale", 1.0), 1.0),
        ("Add", words.one("shift", 0.0), 0.0),
        ("Pow", words.one("power", 1.0), 1.0),
    ]
    steps = [each for each in steps if each[1] != each[2]]
    name, source = str(layer.one("top")), _bottoms(layer)[0]
    if not steps:
        c.node("Identity", layer, [source])
    for at, (kind, number, _) in enumerate(steps):
        made = name if at == len(steps) - 1 else f"{name} {at}"
        c.node(kind, layer, [source, c.constant(np.float32(number))], [made])
        source = made


def _reshape(c: Layers, layer: Message, following: Message | None) -> None:
    dims = [int(each) for each in (layer.one("reshape_param.shape") or Message()).all("dim")]
    c.node("Reshape", layer, [*_bottoms(layer), c.constant(np.array(dims, np.int64))])


def _slice(c: Layers, layer: Message, following: Message | None) -> None:
    words, tops = layer.one("slice_param") or Message(), layer.all("top")
    points = [int(each) for each in words.all("slice_point")]
    axis = words.one("axis", words.one("slice_dim", 1))
    if not points:
        c.node("Split", layer, _bottoms(layer), axis=axis, num_outputs=len(tops))
        return
    whole = c.view(layer).sizes[axis]
    if isinstance(whole, Dim):
        raise NoCounterpart("it cuts an axis whose size is not known")
    ends = [*points, whole]
    parts = [end - start for start, end in zip([0, *points], ends, strict=True)]
    c.node("Split", layer, [*_bottoms(layer), c.constant(np.array(parts, np.int64))], axis=axis)


def _split(c: Layers, layer: Message, following: Message | None) -> None:
    """The same tensor under several names."""
    for name in layer.all("top"):
        c.walk.values[str(name)] = c.view(layer)


def _argmax(c: Layers, layer: Message, following: Message | None) -> None:
    words = layer.one("argmax_param") or Message()
    if words.one("out_max_val", False) or words.one("top_k", 1) != 1 or words.one("axis") is None:
        raise NoCounterpart("it gives the number itself, several places, or the place over all axes")
    c.node("ArgMax", layer, _bottoms(layer), axis=words.one("axis"), keepdims=1)


RULES: Mapping[str, Rule] = {
    "Convolution": _convolution("Conv"), "Deconvolution": _convolution("ConvTranspose"), "Pooling": _pooling,
    "InnerProduct": _product, "ReLU": _rectified, "PReLU": _parametric, "Sigmoid": _simple("Sigmoid"), "TanH": _simple("Tanh"),
    "AbsVal": _simple("Abs"), "BNLL": _simple("Softplus"), "ELU": _elu, "LRN": _response, "Softmax": _softmax,
    "Dropout": _dropout, "Concat": _concat, "Eltwise": _elementwise, "BatchNorm": _normalised, "Scale": _scaled, "Power": _power,
    "Flatten": _simple("Flatten", axis=1), "Reshape": _reshape, "Slice": _slice, "Split": _split, "ArgMax": _argmax,
}  # fmt: skip
