"""An ONNX file as nodes, constants and inputs, whatever version and whatever functions it is written with."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnx.inliner
from onnx import numpy_helper

from specc.deploy.reading.values import Array

NAMESPACES = "pkg.torch.onnx.name_scopes"
PRODUCER = "specc"  # names nodes by their paths in the spec
DOMAINS = ("", "ai.onnx")


class Unreadable(Exception):
    """A file that is not what it should be, or what in it has no counterpart: a line for each."""

    def __init__(self, message: str, help: str = "", lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Node:
    """One operator. `scope` is the path of the module that it belongs to, as far as the file says; "" otherwise."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    scope: str
    proto: Any


@dataclass(frozen=True, slots=True)
class Input:
    """An input of the graph; a dimension is a number, or the name of one that is not known."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """The whole file."""

    path: Path
    name: str
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]


def opened(path: Path | str) -> Graph:
    """Read an ONNX file with its side files; raises Unreadable."""
    path = Path(path)
    try:
        model = onnx.load(str(path))
    except FileNotFoundError as error:
        raise Unreadable(f"there is no file {Path(error.filename or path).name}", "give the path of a model") from None
    except Exception as error:  # protobuf, onnx and the system each raise their own
        raise Unreadable(f"{path} cannot be read as ONNX: {_first(error)}") from None
    if not model.graph.node and not model.graph.output:
        raise Unreadable(f"{path} holds no ONNX graph")
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    graph = model.graph
    constants = {each.name: _array(each, path) for each in graph.initializer}
    given = tuple(_input(each) for each in graph.input if each.name not in constants)
    nodes = tuple(_node(each, path, model.producer_name == PRODUCER) for each in graph.node)
    return Graph(path, graph.name, given, tuple(each.name for each in graph.output), nodes, constants)


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _array(tensor: Any, path: Path) -> Array:
    try:
        return numpy_helper.to_array(tensor)
    except Exception as error:
        raise Unreadable(f"{path}: the weight {tensor.name} cannot be read: {_first(error)}") from None


def _input(value: Any) -> Input:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise Unreadable(f"the input {value.name} is not a tensor")
    dims = [each.dim_value if each.HasField("dim_value") else each.dim_param for each in kind.shape.dim]
    return Input(value.name, onnx.TensorProto.DataType.Name(kind.elem_type).lower(), tuple(dims))


def _node(node: Any, path: Path, ours: bool) -> Node:
    attributes = {each.name: _attribute(each, path) for each in node.attribute}
    kind = node.op_type if node.domain in DOMAINS else f"{node.domain}.{node.op_type}"
    scopes = {each.key: each.value for each in node.metadata_props}.get(NAMESPACES, "")
    scope = node.name.rpartition(".")[0] if ours else _scope(scopes, node.name)
    return Node(kind, node.name, tuple(node.input), tuple(node.output), attributes, scope, node)


def _attribute(attribute: Any, path: Path) -> Any:
    found = onnx.helper.get_attribute_value(attribute)
    if isinstance(found, bytes):
        return found.decode("utf-8", "replace")
    if isinstance(found, onnx.TensorProto):
        return _array(found, path)
    if isinstance(found, list) and found and isinstance(found[0], bytes):
        return [each.decode("utf-8", "replace") for each in found]
    return list(found) if not isinstance(found, int | float | str) and hasattr(found, "__len__") else found


def _scope(scopes: str, name: str) -> str:
    """The module's path: as PyTorch's exporters write it into the metadata or the name, or as specc writes the name."""
    if scopes:
        try:
            listed = ast.literal_eval(scopes)
        except (ValueError, SyntaxError):
            return ""
        return str(listed[-2]) if len(listed) > 1 and listed[0] == "" else ""
    if name.startswith("/"):
        return _last_path(name.split("/")[1:-1])
    return ""


def _last_path(parts: list[str]) -> str:
    """`layer1/layer1.0/conv1` is layer1.0.conv1: a part that repeats those before it is the whole path so far."""
    found = ""
    for part in parts:
        found = part if not found or part.startswith(f"{found}.") else f"{found}.{part}"
    return found
