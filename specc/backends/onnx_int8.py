"""A graph in 8-bit whole numbers: weights per channel, tensors by the ranges they were seen in, as QDQ pairs.

Every convolution and dense layer gets its input, its weights and its result through QuantizeLinear and
DequantizeLinear, from which onnxruntime makes kernels that compute in int8 (Jacob et al., arXiv:1712.05877).
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from specc.backends.onnx import OnnxModel
from specc.backends.onnx_graph import WeightUse, given_back
from specc.backends.onnx_proto import Constant, OnnxNode, TensorInfo
from specc.backends.onnx_weights import length

Ranges = Mapping[str, tuple[float, float]]
LAYERS: Final = ("Conv", "Gemm", "MatMul")
_JOINED: Final = ("Relu",)  # done within the layer before it
_WHOLE: Final = 127


def watched(graph: OnnxModel) -> list[str]:
    """The tensors whose ranges have to be known."""
    return list(dict.fromkeys(name for each in _layers(graph) for name in (each.x, each.result) if name))


def quantised(graph: OnnxModel, ranges: Ranges) -> OnnxModel:
    """The same graph with its layers in int8."""
    return _Quantising(graph, ranges).graph()


@dataclass(frozen=True, slots=True)
class _Place:
    """A layer in the graph: its input `x`, the tensor that is its `result` in int8 ("" for none, such as before a bias
    that is added), its weights, and what `turns` its kernel beforehand."""

    node: OnnxNode
    x: str
    result: str
    weights: tuple[str, ...]
    turns: OnnxNode | None = None

    @property
    def axis(self) -> int:
        """That of the output channels in the kernel as the layer takes it."""
        last = self.node.kind == "MatMul" or (self.node.kind == "Gemm" and not self.node.attributes.get("transB"))
        return 1 if last else 0


def _layers(graph: OnnxModel) -> list[_Place]:
    """Each layer with weights of its own."""
    weights = {use.info.name: len(use.info.dims) for use in graph.weights}
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    readers = {name: node for node in graph.nodes for name in node.inputs}
    outputs = {each.name for each in graph.outputs}
    made = {each.name for each in (*graph.inputs, *graph.values, *graph.outputs)}
    turned = {each.outputs[0]: each for each in graph.nodes if each.kind == "Transpose"}
    found = []
    for node in graph.nodes:
        if node.kind not in LAYERS:
            continue
        turns = turned.get(node.inputs[1]) if node.kind == "MatMul" and uses[node.inputs[1]] == 1 else None
        names = node.inputs[1:] if turns is None else turns.inputs
        if any(name not in weights or uses[name] > 1 for name in names) or node.inputs[0] not in made:
            continue
        if node.kind == "MatMul":
            if weights[names[0]] == 2:
                found.append(_Place(node, node.inputs[0], "", tuple(names), turns))
            continue
        result = node.outputs[0]
        after = readers.get(result)
        if after is not None and after.kind in _JOINED and uses[result] == 1 and result not in outputs:
            result = after.outputs[0]
        last = result in outputs or uses[result] == 0 or readers[result].kind == "Softmax"
        found.append(_Place(node, node.inputs[0], "" if last else result, tuple(names)))
    return found


class _Quantising:
    def __init__(self, graph: OnnxModel, ranges: Ranges) -> None:
        self._graph = graph
        self._ranges = ranges
        self._known = {each.name: each for each in (*graph.inputs, *graph.values, *graph.outputs)}
        self._uses = {use.info.name: use for use in graph.weights}
        self._made: dict[str, tuple[WeightUse, ...]] = {}
        self._nodes: list[OnnxNode] = []
        self._values: list[TensorInfo] = []
        self._constants: dict[str, Constant] = {}

    def graph(self) -> OnnxModel:
        layers = {id(each.node): each for each in _layers(self._graph)}
        gone = {each.turns.outputs[0] for each in layers.values() if each.turns is not None}
        narrow = set(watched(self._graph))
        others = {name for each in layers.values() if each.node.kind != "MatMul" for name in (each.x, each.result)}
        for each in self._graph.inputs:
            if each.name in narrow:
                self._pair(each.name)
        for node in self._graph.nodes:
            if node.outputs[0] in gone:
                continue
            seen = narrow if id(node) in layers else narrow & others  # what goes round a dense layer stays as it is
            inputs = [f"{name}.seen" if name in seen else name for name in node.inputs]
            if id(node) in layers:
                inputs[1:] = self._weights(layers[id(node)])
            self._nodes.append(replace(node, inputs=tuple(inputs)))
            for name in node.outputs:
                if name in narrow:
                    self._pair(name)
        weights = [each for use in self._graph.weights for each in self._made.get(use.info.name, (use,))]
        return replace(
            self._graph,
            nodes=tuple(self._nodes),
            values=(*(each for each in self._graph.values if each.name not in gone), *self._values),
            constants=(*self._graph.constants, *self._constants.values()),
            weights=tuple(weights),
        )

    def _pair(self, name: str) -> None:
        """Put a tensor through 8 bits: `<name>.seen` is what the layers get of it."""
        scale, zero = _grid(*self._ranges[name])
        for end, kind, data in (
            (".scale", "float", struct.pack("<f", scale)),
            (".zero", "uint8", struct.pack("B", zero)),
        ):
            self._constants[name + end] = Constant(TensorInfo(name + end, kind, ()), data)  # type: ignore[arg-type]
        numbers = (f"{name}.scale", f"{name}.zero")
        self._node("QuantizeLinear", (name, *numbers), f"{name}.uint8", replace(self._known[name], dtype="uint8"))
        self._node("DequantizeLinear", (f"{name}.uint8", *numbers), f"{name}.seen", self._known[name])

    def _node(self, kind: str, inputs: tuple[str, ...], output: str, like: TensorInfo, **attributes: int) -> None:
        self._nodes.append(OnnxNode(kind, output, inputs, (output,), attributes))
        self._values.append(replace(like, name=output))

    def _weights(self, layer: _Place) -> list[str]:
        """The weights of a layer in int8 and its bias in int32, and what they are called once they are numbers again."""
        kernel, *bias = (self._uses[name] for name in layer.weights)
        given = _grid(*self._ranges[layer.x])[0]
        made = _Layer(kernel, bias[0] if bias else None, layer.axis, given, layer.turns is not None)
        self._made[kernel.info.name] = made.kernel()
        if bias:
            self._made[bias[0].info.name] = made.bias()
        for use, at in ((kernel, layer.axis), *((each, 0) for each in bias)):
            name = use.info.name
            whole, scale = (each.info for each in self._made[name])
            zero = replace(scale, name=f"{name}.zero", dtype=whole.dtype)  # onnxruntime's kernels want it written out
            self._constants[zero.name] = Constant(zero, bytes(length(zero.dtype, tuple(map(int, zero.dims)))))
            self._node(
                "DequantizeLinear",
                (whole.name, scale.name, zero.name),
                f"{name}.seen",
                replace(use.info, dims=whole.dims),
                axis=at,
            )
        return [f"{name}.seen" for name in layer.weights]


def _grid(least: float, greatest: float) -> tuple[float, int]:
    """Scale and zero point by which 8 bits without a sign, as onnxruntime's kernels take them, cover a range and 0."""
    least, greatest = min(least, 0.0), max(greatest, 0.0)
    scale = struct.unpack("<f", struct.pack("<f", (greatest - least) / 255 or 1.0))[0]
    return scale, max(0, min(255, round(-least / scale)))


class _Layer:
    """The weights of one layer in whole numbers: q = round(w / scale), a scale for each output channel."""

    def __init__(self, kernel: WeightUse, bias: WeightUse | None, axis: int, given: float, turned: bool) -> None:
        self._kernel, self._bias, self._axis = kernel, bias, axis
        self._given = given  # the scale of the layer's input
        self._turned = turned
        self._dims = kernel.info.dims[::-1] if turned else kernel.info.dims
        count = (self._dims[axis],)
        self._scale = TensorInfo(f"{kernel.info.name}.scale", "float", count)
        sources = {f"kernel/{name}": key for name, key in kernel.sources.items()}
        self._sources = sources | ({f"bias/{name}": key for name, key in bias.sources.items()} if bias else {})

    def kernel(self) -> tuple[WeightUse, WeightUse]:
        whole = replace(self._kernel.info, name=f"{self._kernel.info.name}.int8", dtype="int8", dims=self._dims)

        def back(stored: Any, own: str) -> Any:
            scale = stored(self._scale.name)
            return self._turn(stored(own).astype("float32") * self._along(scale, stored(own).ndim))

        gives = {key: _through(undo, back) for key, undo in given_back(self._kernel).items()}
        return self._use(whole, self._whole_kernel, gives), self._use(self._scale, self._scales)

    def bias(self) -> tuple[WeightUse, WeightUse]:
        assert self._bias is not None
        name = self._bias.info.name
        whole = replace(self._bias.info, name=f"{name}.int32", dtype="int32")

        def back(stored: Any, own: str) -> Any:
            return stored(own).astype("float32") * stored(f"{name}.scale")

        gives = {key: _through(undo, back) for key, undo in given_back(self._bias).items()}
        scale = replace(self._scale, name=f"{name}.scale")
        return self._use(whole, self._whole_bias, gives), self._use(scale, self._bias_scales)

    def _use(self, info: TensorInfo, compute: Any, gives: Mapping[str, Any] | None = None) -> WeightUse:
        return WeightUse(info, self._sources, compute, gives or {}, exact=False)

    def _array(self, weights: Any, part: str, use: WeightUse) -> Any:
        class Part(dict[str, Any]):
            def __missing__(self, name: str) -> Any:
                return weights[f"{part}/{name}"]

        return use.compute(Part()) if use.compute is not None else weights[f"{part}/"]

    def _turn(self, kernel: Any) -> Any:
        """The kernel as the layer takes it, from what is stored, and back."""
        return kernel.T if self._turned else kernel

    def _along(self, scale: Any, rank: int) -> Any:
        return scale.reshape(*(-1 if at == self._axis else 1 for at in range(rank)))

    def _scales(self, weights: Any) -> Any:
        kernel = self._turn(self._array(weights, "kernel", self._kernel))
        largest = abs(kernel).max(axis=tuple(at for at in range(kernel.ndim) if at != self._axis), initial=0)
        largest[largest == 0] = _WHOLE
        return (largest / _WHOLE).astype("float32")

    def _whole_kernel(self, weights: Any) -> Any:
        kernel = self._turn(self._array(weights, "kernel", self._kernel))
        return (kernel / self._along(self._scales(weights), kernel.ndim)).round().clip(-_WHOLE, _WHOLE)

    def _bias_scales(self, weights: Any) -> Any:
        return self._scales(weights) * self._scales(weights).dtype.type(self._given)

    def _whole_bias(self, weights: Any) -> Any:
        assert self._bias is not None
        bias = self._array(weights, "bias", self._bias).astype("float64")
        return (bias / self._bias_scales(weights)).round().clip(-(2**31), 2**31 - 1)


def _through(undo: Any, back: Any) -> Any:
    """What gives a state-dict entry back where the tensor itself must first be had back."""
    return lambda stored, own: undo(lambda name: back(stored, own), own)
