"""Lists of tensors: PyTorch's exports cut a tensor into one and take its parts by number, which are stretches of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx

from specc.deploy.reading.file import Graph, Node
from specc.deploy.reading.values import Array


def flat(graph: Graph) -> Graph:
    """The graph with a Slice for each part that is taken of a cut tensor; lists of other kinds stay as they are."""
    known = dict(graph.constants)
    written = (each for each in graph.nodes if each.kind == "Constant" and "value" in each.attributes)
    known |= {each.outputs[0]: each.attributes["value"] for each in written}
    cuts = {each.outputs[0]: each for each in graph.nodes if _is_cut(each, known)}
    more: dict[str, Array] = {}
    nodes = [_part(each, cuts, known, more) for each in graph.nodes]
    read = {name for each in nodes for name in each.inputs} | set(graph.outputs)
    kept = (each for each in nodes if each.outputs[0] not in cuts or each.outputs[0] in read)
    return replace(graph, nodes=tuple(kept), constants={**graph.constants, **more})


def _is_cut(node: Node, known: Mapping[str, Array]) -> bool:
    return (
        node.kind == "SplitToSequence"
        and bool(node.attributes.get("keepdims", 1))
        and all(name in known for name in node.inputs[1:])
    )


def _part(node: Node, cuts: Mapping[str, Node], known: Mapping[str, Array], more: dict[str, Array]) -> Node:
    """The Slice that a part of a cut tensor is; any other node as it is."""
    cut = cuts.get(node.inputs[0]) if node.kind == "SequenceAt" else None
    at = int(known[node.inputs[1]].reshape(-1)[0]) if cut is not None and node.inputs[1] in known else -1
    sizes = known[cut.inputs[1]] if cut is not None and len(cut.inputs) > 1 else np.array(1)
    if cut is None or at < 0 or (sizes.ndim and at >= len(sizes)):
        return node
    start, size = (int(sizes[:at].sum()), int(sizes[at])) if sizes.ndim else (at * int(sizes), int(sizes))
    names = [f"{node.outputs[0]}.{each}" for each in ("start", "end", "axis")]
    ends = (start, start + size, cut.attributes.get("axis", 0))
    more |= {name: np.array([each], np.int64) for name, each in zip(names, ends, strict=True)}
    inputs = (cut.inputs[0], *names)
    proto = onnx.helper.make_node("Slice", inputs, node.outputs, node.name)
    return replace(node, kind="Slice", inputs=inputs, attributes={}, proto=proto)
