"""A graph in half precision: weights and everything between them in float16, inputs and outputs as they were."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from specc.backends.onnx import OnnxModel
from specc.backends.onnx_graph import PREPARE, WeightUse, given_back
from specc.backends.onnx_proto import TYPES, Constant, Kind, OnnxNode, TensorInfo
from specc.backends.onnx_weights import WeightProblem

_TAKES_SINGLE: Final = {"Resize": (1, 2)}  # inputs that ONNX wants in float32 whatever the others are
_GIVES_SINGLE: Final = ("ConstantOfShape",)


def half(graph: OnnxModel) -> OnnxModel:
    """The same graph in float16; what prepares inputs stays in float32."""
    return _Halving(graph).graph()


class _Halving:
    def __init__(self, graph: OnnxModel) -> None:
        self._graph = graph
        self._known = {each.name: each for each in (*graph.inputs, *graph.values, *graph.outputs)}
        self._constants = {each.info.name: each for each in graph.constants}
        self._outputs = {each.name for each in graph.outputs}
        self._names: dict[str, str] = {}  # of the float16 form of a tensor, where it is not its own
        self._values: list[TensorInfo] = []
        self._more: dict[str, Constant] = {}
        self._nodes: list[OnnxNode] = []

    def graph(self) -> OnnxModel:
        single = {each.name for each in self._graph.inputs}
        for node in self._graph.nodes:
            if node.name.startswith(PREPARE):
                self._nodes.append(node)
                self._values += [self._known[name] for name in node.outputs]
                single.update(node.outputs)
                continue
            for name in node.inputs:
                if name in single and name not in self._names and self._is_float(name):
                    self._names[name] = f"{name}.half"
                    self._cast(name, f"{name}.half", "float16")
            self._halved(node)
        used = {name for node in self._nodes for name in node.inputs}
        constants = (*(each for each in self._graph.constants if each.info.name in used), *self._more.values())
        weights = tuple(_rounded(each) if each.info.dtype == "float" else each for each in self._graph.weights)
        return replace(
            self._graph, nodes=tuple(self._nodes), values=tuple(self._values), constants=constants, weights=weights
        )

    def _halved(self, node: OnnxNode) -> None:
        """A node of the network, with float32 again where it makes an output."""
        single = _TAKES_SINGLE.get(node.kind, ())
        inputs = tuple(name if at in single else self._half(name) for at, name in enumerate(node.inputs))
        attributes: dict[str, Any] = dict(node.attributes)
        if node.kind == "Cast" and attributes["to"] == TYPES["float"]:
            attributes["to"] = TYPES["float16"]
        outputs: list[str] = []
        ends: list[tuple[str, str, Kind]] = []
        for name in node.outputs:
            info = self._known[name]
            if info.dtype != "float":
                self._values += [] if name in self._outputs else [info]
                outputs.append(name)
                continue
            made = f"{name}.half" if name in self._outputs else name
            self._names[name] = made
            first = f"{name}.single" if node.kind in _GIVES_SINGLE else made
            outputs.append(first)
            self._values.append(replace(info, name=first, dtype="float" if first != made else "float16"))
            ends += [(first, made, "float16")] if first != made else []
            ends += [(made, name, "float")] if made != name else []
        self._nodes.append(replace(node, inputs=inputs, outputs=tuple(outputs), attributes=attributes))
        for each in ends:
            self._cast(*each)

    def _cast(self, name: str, to: str, kind: Kind) -> None:
        self._nodes.append(OnnxNode("Cast", f"{to}/Cast", (name,), (to,), {"to": TYPES[kind]}))
        if to not in self._outputs:
            whole = self._known.get(name) or self._known[to]
            self._values.append(replace(whole, name=to, dtype=kind))

    def _half(self, name: str) -> str:
        """The float16 form of a tensor; a constant that is one gets a second form."""
        constant = self._constants.get(name)
        if constant is None or constant.info.dtype != "float":
            return self._names.get(name, name)
        made = f"{name}.half"
        if made not in self._more:
            import numpy as np

            numbers = np.frombuffer(constant.data, "<f4")
            with np.errstate(over="ignore"):
                limit = np.finfo(np.float16)
                data = np.clip(numbers, limit.min, limit.max).astype("<f2").tobytes()
            self._more[made] = Constant(TensorInfo(made, "float16", constant.info.dims), data)
        return made

    def _is_float(self, name: str) -> bool:
        return self._known[name].dtype == "float"


def _rounded(use: WeightUse) -> WeightUse:
    """A weight in float16; the network's own one is had back as it was rounded."""

    def compute(weights: Any) -> Any:
        import numpy as np

        made = use.compute(weights) if use.compute is not None else weights[""]
        if np.abs(made).max(initial=0) > np.finfo(np.float16).max:
            raise WeightProblem(f"the weight {use.info.name} has numbers that float16 cannot hold", "take fp32")
        return made

    gives = {key: _widened(undo) for key, undo in given_back(use).items()}
    exact = use.exact and use.compute is not None
    return WeightUse(replace(use.info, dtype="float16"), use.sources, compute, gives, exact)


def _widened(undo: Any) -> Any:
    return lambda stored, own: undo(lambda name: stored(name).astype("float32"), own)
