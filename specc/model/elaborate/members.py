"""What a dot reaches: labels inside a group, outputs of a block, weights, and the sizes of a tensor by name."""

from __future__ import annotations

from typing import Any

from specc.catalogue.op import TensorType
from specc.model.elaborate.problem import Silent, problem, suggestion
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import Label, Sizes, TensorList, TensorRef, WeightRef
from specc.syntax import tree

AXIS_NAMES = {
    1: ("features",),
    2: ("channels", "length"),
    3: ("channels", "height", "width"),
    4: ("channels", "depth", "height", "width"),
}


def member(value: Any, node: tree.Attribute) -> Any:
    """`value.name`: a label inside a group, an output, a weight, or an attribute of a tensor."""
    if isinstance(value, Label):
        if node.name in value.labels:
            return value.labels[node.name]
        tensor = value.tensor
        if isinstance(tensor, TensorRef) and node.name in tensor.further:
            return tensor.further[node.name]
        if value.module is not None and node.name in value.module.weights:
            return WeightRef(value.module, node.name)
        if tensor is None or isinstance(tensor, TensorList):
            raise _no_member(value, node)
        return _attribute_of(tensor, node, value)
    if isinstance(value, TensorRef):
        return value.further[node.name] if node.name in value.further else _attribute_of(value, node, None)
    raise _no_member(value, node)


def _attribute_of(tensor: TensorRef, node: tree.Attribute, label: Label | None) -> Any:
    if tensor.type is None:
        raise Silent
    found = tensor_attributes(tensor.type)
    if node.name not in found:
        inside = list(label.labels) + (list(label.module.weights) if label.module else []) if label else []
        message = f"there is no `{node.name}` in this tensor of shape {say(tensor.type.shape)}"
        if label is not None and label.opaque:
            message += "; a block shows only what it publishes with `output`"
        raise problem("unknown-attribute", node.name_span, message, suggestion(node.name, [*inside, *found]))
    return found[node.name]


def tensor_attributes(kind: TensorType) -> dict[str, Any]:
    """What a dot reaches in a tensor: its sizes by name, `shape`, `spatial` and `rank`."""
    named = dict(zip(AXIS_NAMES.get(kind.rank, ()), kind.shape, strict=False))
    if kind.rank:
        named.setdefault("channels", kind.shape[0])
        named["features"] = kind.shape[-1]
    return named | {"shape": Sizes(kind.shape), "spatial": Sizes(kind.shape[1:]), "rank": kind.rank}


def _no_member(value: Any, node: tree.Attribute) -> Exception:
    inside = list(value.labels) if isinstance(value, Label) else []
    return problem(
        "unknown-attribute", node.name_span, f"there is no `{node.name}` in {say(value)}", suggestion(node.name, inside)
    )
