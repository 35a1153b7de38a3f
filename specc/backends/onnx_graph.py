"""Building an ONNX graph step by step: the tensors and nodes that the ops ask for, and their names."""

from __future__ import annotations

import struct
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from specc.backends.onnx_proto import Constant, Kind, OnnxNode, TensorInfo
from specc.catalogue.op import TensorType, WeightSpec
from specc.model.graph import Model, Step, ValueId
from specc.sizes.dim import Size, text
from specc.sizes.simplify import Simplifier

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxValue

PREPARE: Final = "prepare."  # how the names of nodes begin that stand before the network
Types = TensorType | tuple[TensorType, ...] | None  # of all outputs of a node, or of each
_FORMATS = {"float": "f", "int": "q", "bool": "?", "double": "d"}


@dataclass(slots=True, eq=False)
class Tensor:
    """A tensor of the graph. Its name may still change; `titled` is true once it has one from the spec."""

    name: str
    type: TensorType
    kind: Literal["input", "weight", "constant", "node"]
    maker: Node | None = None
    titled: bool = False

    def dim(self, axis: int) -> int:
        return axis + 1 if self.type.batched else axis

    def info(self, name: str = "") -> TensorInfo:
        """Its name, type and dimensions, the unknown ones spelled as in the report."""
        dims: tuple[int | str, ...] = tuple(int(s) if isinstance(s, int) else text(s) for s in self.type.shape)
        return TensorInfo(name or self.name, self.type.dtype, ("batch", *dims) if self.type.batched else dims)


@dataclass(slots=True, eq=False)
class Node:
    """A node whose tensors may still be renamed."""

    kind: str
    name: str
    inputs: tuple[Tensor | None, ...]
    attributes: Mapping[str, Any]
    doc: str = ""
    outputs: tuple[Tensor, ...] = ()

    def frozen(self) -> OnnxNode:
        inputs = tuple(each.name if each else "" for each in self.inputs)
        return OnnxNode(self.kind, self.name, inputs, tuple(t.name for t in self.outputs), self.attributes, self.doc)


@dataclass(frozen=True, slots=True)
class WeightUse:
    """A weight that the graph holds: a tensor of the state-dict, or one computed from some of them.

    `sources` are the names by which `compute` knows them, with their keys in the state-dict. Where it is not `exact`,
    the state-dict cannot be had back bit by bit: `gives` then makes tensors that do the same, by their keys, from what
    the file stores (a function of names) and from this tensor's name.
    """

    info: TensorInfo
    sources: Mapping[str, str]
    compute: Any = None
    gives: Mapping[str, Any] = field(default_factory=dict)
    exact: bool = True


def given_back(use: WeightUse) -> Mapping[str, Any]:
    """How the state-dict entries that a tensor stands for are had back from it."""
    return use.gives if use.compute is not None else {use.sources[""]: itself}


def itself(stored: Callable[[str], Any], own: str) -> Any:
    return stored(own)


def typed(type: TensorType, kind: Kind) -> TensorType:
    """The same tensor with an element type that networks do not have, such as the double inside of `prepare`."""
    return replace(type, dtype=kind)  # type: ignore[arg-type]


def _fresh(name: str, *taken: Container[str]) -> str:
    found, at = name, 0
    while any(found in each for each in taken):
        at += 1
        found = f"{name}_{at}"
    return found


@dataclass(slots=True, eq=False)
class Builder:
    """The graph under construction. `measured` are the network's inputs, whose axes tell the unknown sizes."""

    model: Model
    nodes: list[Node] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    measured: list[Tensor] = field(default_factory=list)
    weights: dict[str, WeightUse] = field(default_factory=dict)
    shared: dict[object, Any] = field(default_factory=dict)
    _tensors: dict[str, Tensor] = field(default_factory=dict)
    _weights: dict[str, Tensor] = field(default_factory=dict)
    _constants: dict[tuple[str, tuple[int, ...], bytes], Tensor] = field(default_factory=dict)
    _keys: dict[str, Any] = field(default_factory=dict)
    _node_names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._keys = {weight.key: weight for weight in self.model.weights}

    # ------------------------------------------------------------------------------------------------- tensors
    def input(self, name: str, type: TensorType) -> Tensor:
        found = Tensor(name, type, "input")
        self._tensors[name] = found
        self.inputs.append(found)
        return found

    def reserve(self, name: str) -> None:
        """Keep a name for an output of the network."""
        self._tensors.setdefault(name, Tensor(name, TensorType(()), "constant"))

    def weight(self, key: str) -> Tensor:
        """The initialiser of a state-dict entry; keys that share a tensor share the initialiser."""
        weight = self._keys[key]
        if weight.tied:
            return self.weight(weight.tied)
        if key not in self._weights:
            spec = weight.spec
            self._weights[key] = self._initialiser(key, spec)
            self.weights[key] = WeightUse(self._weights[key].info(), {"": key})
        return self._weights[key]

    def computed(
        self,
        name: str,
        spec: WeightSpec,
        sources: Mapping[str, str],
        compute: Any,
        gives: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """An initialiser that is worked out from entries of the state-dict when the file is written."""
        if name not in self._weights:
            self._weights[name] = self._initialiser(self.unique(name), spec)
            found = self._weights[name]
            self.weights[found.name] = WeightUse(found.info(), sources, compute, gives or {}, exact=gives is None)
        return self._weights[name]

    def constant(self, value: Any, dtype: Kind) -> Tensor:
        """A constant; equal ones are stored once."""
        dims, items = _flat(value)
        data = struct.pack(f"<{len(items)}{_FORMATS[dtype]}", *items)
        known = (dtype, dims, data)
        if known not in self._constants:
            name = self.unique(f"constant.{len(self._constants)}")
            self._constants[known] = self._keep(Tensor(name, typed(TensorType(dims, batched=False), dtype), "constant"))
        return self._constants[known]

    def constants(self) -> Iterator[tuple[Tensor, Constant]]:
        for (_, _, data), tensor in self._constants.items():
            yield tensor, Constant(tensor.info(), data)

    def node(
        self, kind: str, name: str, inputs: tuple[Tensor | None, ...], types: tuple[TensorType, ...], **attributes: Any
    ) -> Node:
        """Add a node with an output of each type; names are made unique."""
        given = {key: value for key, value in attributes.items() if value is not None}
        name = _fresh(name, self._tensors, self._keys, self._node_names)
        self._node_names.add(name)
        made = Node(kind, name, inputs, given)
        names = [name, *(f"{name}:{at}" for at in range(1, len(types)))]
        made.outputs = tuple(self._keep(Tensor(n, t, "node", made)) for n, t in zip(names, types, strict=True))
        self.nodes.append(made)
        return made

    def title(self, node: Node, path: str) -> None:
        """Name a node after its step; a path that two steps have goes to the first."""
        if path not in self._node_names:
            self._node_names.add(path)
            node.name = path

    def rename(self, tensor: Tensor, name: str) -> None:
        self._tensors.pop(tensor.name, None)
        tensor.name = name
        self._tensors[name] = tensor

    def unique(self, name: str) -> str:
        """The name, or with the least number behind it that makes it new."""
        return _fresh(name, self._tensors, self._keys)

    def find(self, value: OnnxValue | str) -> Tensor | None:
        """The tensor that an op means: itself, one by its name, None for ""."""
        if isinstance(value, Tensor):
            return value
        name = value if isinstance(value, str) else value.name
        return self._tensors[name] if name else None

    def _initialiser(self, name: str, spec: WeightSpec) -> Tensor:
        return self._keep(Tensor(name, TensorType(spec.shape, spec.dtype, batched=False), "weight"))

    def _keep(self, tensor: Tensor) -> Tensor:
        self._tensors[tensor.name] = tensor
        return tensor


class PartGraph:
    """A part of the graph that is no step of the network: its nodes are named after `path`."""

    def __init__(self, builder: Builder, path: str) -> None:
        self._builder = builder
        self._path = path
        self.nodes: list[Node] = []

    def node(self, kind: str, *x: Tensor | str, type: TensorType, **attributes: Any) -> Tensor:
        """Add a node with one output of that type."""
        inputs = tuple(self._builder.find(each) for each in x)
        made = self._builder.node(kind, f"{self._path}/{kind}", inputs, (type,), **attributes)
        self.nodes.append(made)
        return made.outputs[0]

    def constant(self, value: Any, dtype: Kind = "float") -> Tensor:
        return self._builder.constant(value, dtype)


class StepGraph:
    """What an op is handed to add its nodes: the OnnxGraph of one step."""

    def __init__(
        self, builder: Builder, step: Step, given: Mapping[str, Tensor], sizes: Any, wanted: Container[ValueId]
    ) -> None:
        self._builder = builder
        self._step = step
        self._given = given
        self._sizes = sizes
        self._wanted = wanted
        self.nodes: list[Node] = []

    @property
    def types(self) -> tuple[TensorType, ...]:
        outputs = self._step.outputs
        if self._step.op.further and not any(value in self._wanted for value in outputs[1:]):
            outputs = outputs[:1]
        return tuple(self._builder.model.type(value) for value in outputs)

    def weight(self, name: str) -> Tensor:
        if name in self._given:
            return self._given[name]
        return self._builder.weight(self._module().key(name))

    def node(self, kind: str, *x: OnnxValue | str, type: Types = None, outputs: int = 1, **attributes: Any) -> Any:
        types = self._types_of(type, outputs)
        inputs = tuple(self._builder.find(each) for each in x)
        if kind == "Identity" and inputs[0] and inputs[0].type.batched == types[0].batched:
            return inputs[0]
        made = self._builder.node(kind, f"{self._step.path}/{kind}", inputs, types, **attributes)
        self.nodes.append(made)
        return made.outputs if len(types) > 1 else made.outputs[0]

    def maker(self, x: OnnxValue) -> tuple[str, tuple[OnnxValue, ...]]:
        found = self._builder.find(x)
        node = found.maker if found is not None else None
        return (node.kind, tuple(each for each in node.inputs if each)) if node is not None else ("", ())

    def equal(self, one: Size, other: Size) -> bool:
        return one == other or Simplifier(self._builder.model.conditions)(one - other) == 0

    def constant(self, value: Any, dtype: str = "float") -> Tensor:
        kinds: dict[str, Kind] = {"float": "float", "int": "int", "bool": "bool"}
        return self._builder.constant(value, kinds[dtype])

    def shape(self, *sizes: Size, batch: bool = True) -> Tensor:
        found: Tensor = self._sizes.shape(sizes, batched=batch and self.types[0].batched)
        return found

    def once(self, key: object, make: Callable[[], Any]) -> Any:
        if key not in self._builder.shared:
            self._builder.shared[key] = make()
        return self._builder.shared[key]

    def new_weight(self, name: str, spec: WeightSpec, compute: Any) -> Tensor:
        module = self._module()
        sources = {each: module.key(each) for each in module.weights}
        return self._builder.computed(module.key(name), spec, sources, compute)

    def _types_of(self, type: Types, outputs: int) -> tuple[TensorType, ...]:
        if isinstance(type, tuple):
            return type
        if type is not None:
            return (type,) * outputs
        own = self.types
        return own[:outputs] if len(own) >= outputs else own + (own[0],) * (outputs - len(own))

    def _module(self) -> Any:
        if self._step.module is None:
            raise KeyError(f"{self._step.path} has no module and so no weights")
        return self._step.module


def _flat(value: Any) -> tuple[tuple[int, ...], list[Any]]:
    """The shape and the numbers of nested lists."""
    if not isinstance(value, list | tuple):
        return (), [value]
    inner = [_flat(each) for each in value]
    shapes = {shape for shape, _ in inner}
    if len(shapes) > 1:
        raise ValueError("a constant must have rows of the same length")
    shape = next(iter(shapes), ())
    return (len(inner), *shape), [each for _, items in inner for each in items]
