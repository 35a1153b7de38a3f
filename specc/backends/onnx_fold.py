"""Batch normalisation folded into the convolution or dense layer before it: the same numbers with a node less."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from specc.backends.onnx_graph import Builder, Node, Tensor, itself
from specc.catalogue.op import WeightSpec

_LAYERS: Final = ("Conv", "ConvTranspose", "Gemm")


def fold(builder: Builder, nodes: Sequence[Node], ends: Sequence[Tensor]) -> list[Node]:
    """The nodes without the batch normalisations that the layer before them can do, its weights scaled and shifted.

    A layer whose result or whose weights are used elsewhere too keeps its own.
    """
    uses = Counter(id(each) for node in nodes for each in node.inputs if each)
    uses.update(id(each) for each in ends)
    gone: set[int] = set()
    for node in nodes:
        if node.kind == "BatchNormalization" and _folded(builder, node, uses):
            gone.add(id(node))
    return [node for node in nodes if id(node) not in gone]


def _folded(builder: Builder, norm: Node, uses: Mapping[int, int]) -> bool:
    """Fold one into the layer before it, if that is one of its own."""
    x, *numbers = norm.inputs
    layer = x.maker if x is not None else None
    if x is None or layer is None or layer.kind not in _LAYERS or uses[id(x)] > 1:
        return False
    weights = [each for each in layer.inputs[1:] if each is not None]
    kept = [_key(builder, each) for each in weights]
    names = [_key(builder, each) if each and each.kind == "weight" else "" for each in numbers]
    if not all(kept) or any(uses[id(each)] > 1 for each in weights) or not all(names[2:]):
        return False
    roles = ("kernel", "scale", "shift", "mean", "var", "bias")
    sources = {role: key for role, key in zip(roles, (kept[0], *names, *kept[1:]), strict=False) if key}
    folding = _Folding(layer, float(norm.attributes["epsilon"]), sources)
    channels = numbers[2].type.shape if numbers[2] is not None else ()
    shift = builder.computed(f"{kept[0]}.shift", WeightSpec(channels), sources, folding.bias, folding.given_back())
    scaled = builder.computed(
        f"{kept[0]}.scaled", WeightSpec(weights[0].type.shape), sources, folding.kernel, {kept[0]: itself}
    )
    layer.inputs = (layer.inputs[0], scaled, shift)
    layer.outputs = norm.outputs
    norm.outputs[0].maker = layer
    return True


def _key(builder: Builder, tensor: Tensor) -> str:
    """The state-dict key of a tensor that is one, "" for any other."""
    use = builder.weights.get(tensor.name)
    return use.sources[""] if use is not None and use.compute is None else ""


class _Folding:
    """The arithmetic for one pair."""

    def __init__(self, layer: Node, eps: float, sources: Mapping[str, str]) -> None:
        self._kind, self._attributes = layer.kind, layer.attributes
        self._eps = eps
        self._sources = sources

    def _factor(self, weights: Mapping[str, Any]) -> Any:
        """What each channel is multiplied by, in double."""
        root = (weights["var"].astype("float64") + self._eps) ** 0.5
        return weights["scale"] / root if "scale" in self._sources else 1 / root

    def kernel(self, weights: Mapping[str, Any]) -> Any:
        """The kernel with each output channel scaled, in its place: large ones are in memory once."""
        kernel, factor = weights["kernel"], self._factor(weights).astype("float32")
        if self._kind == "ConvTranspose":  # [in, out / groups, …], the groups one after the other along the first axis
            groups = int(self._attributes.get("group", 1))
            split = kernel.reshape(groups, -1, *kernel.shape[1:])
            split *= factor.reshape(groups, 1, -1, *[1] * (kernel.ndim - 2))
            return kernel
        last = self._kind == "Gemm" and not self._attributes.get("transB")
        kernel *= factor if last else factor.reshape(-1, *[1] * (kernel.ndim - 1))
        return kernel

    def bias(self, weights: Mapping[str, Any]) -> Any:
        """What is added to each output channel."""
        bias = weights["bias"] if "bias" in self._sources else 0.0
        shift = weights["shift"] if "shift" in self._sources else 0.0
        return ((bias - weights["mean"].astype("float64")) * self._factor(weights) + shift).astype("float32")

    def given_back(self) -> dict[str, Any]:
        """Weights of the two layers that do the same: the normalisation multiplies by 1 and adds what is stored."""
        numbers = {"bias": 0.0, "scale": 1.0, "mean": 0.0, "var": 1 - self._eps}
        found = {key: _constant(numbers[name]) for name, key in self._sources.items() if name in numbers}
        if "shift" in self._sources:
            found[self._sources["shift"]] = itself
        else:
            found[self._sources["mean"]] = _negated
        return found


def _constant(number: float) -> Any:
    return lambda stored, own: stored(own) * 0 + stored(own).dtype.type(number)


def _negated(stored: Any, own: str) -> Any:
    return -stored(own)
