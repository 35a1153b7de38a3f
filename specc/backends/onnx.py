"""From a model to an ONNX file, without tracing and without the onnx package: the graph first, then its bytes.

>>> model = compile_text(text).model()                                        # doctest: +SKIP
>>> graph = lower(model, weights=SafetensorsFile("best.safetensors"), metadata={})   # doctest: +SKIP
>>> write(graph, "model.onnx")                                                # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, Protocol

from specc.backends import onnx_weights
from specc.backends.onnx_fold import fold
from specc.backends.onnx_graph import PREPARE, Builder, Node, PartGraph, StepGraph, Tensor, WeightUse
from specc.backends.onnx_heads import applied
from specc.backends.onnx_proto import Constant, OnnxNode, TensorInfo
from specc.backends.onnx_sizes import Sizes, UnknownSize
from specc.backends.onnx_weights import WeightProblem, WeightSource
from specc.catalogue.entry import Misfit
from specc.catalogue.op import TensorType
from specc.model.graph import Model, Port, Step, ValueId
from specc.model.heads import End
from specc.model.heads import ends as ends_of
from specc.text.diagnostics import Diagnostic, SpecError
from specc.text.source import Span


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """An ONNX model whose weights are still where they were; `write` makes the file.

    `values` are all tensors between inputs and outputs. `places` are the spec's names of the steps' outputs.
    """

    name: str
    doc: str
    nodes: tuple[OnnxNode, ...]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    values: tuple[TensorInfo, ...]
    constants: tuple[Constant, ...]
    weights: tuple[WeightUse, ...]
    metadata: Mapping[str, str]
    model: Model
    source: WeightSource | None
    places: Mapping[int, str]


class Preparation(Protocol):
    """What stands between an input of the file, of the type `raw`, and that of the network."""

    @property
    def raw(self) -> TensorType: ...

    def onnx(self, g: PartGraph, x: Tensor) -> Tensor: ...


def lower(
    model: Model,
    *,
    weights: WeightSource | None,
    outputs: Sequence[str] | None = None,
    metadata: Mapping[str, str] | None = None,
    prepare: Mapping[str, Preparation] | None = None,
    folded: bool = False,
    threshold: float | None = None,
) -> OnnxModel:
    """The graph of a model for inference: parts that only training needs, or that nothing needs, are left out.

    `outputs` names what to give instead of the network's outputs: outputs, labels, or paths of steps. Without
    `weights` the graph is whole but cannot be written. `prepare` is built in before the inputs it names.
    `folded` puts batch normalisations into the layers before them. `threshold` is that of `postprocess`: see `heads.ends`.

    Raises:
        SpecError: a step that ONNX cannot express, with its place, or an output that does not exist.
        WeightProblem: weights that are not those of the model.
    """
    if weights is not None:
        onnx_weights.check(model, weights)
    asked = _asked(model, outputs, threshold)
    builder = Builder(model)
    env: dict[ValueId, Tensor] = {}
    for port in model.inputs:
        if not port.training:
            env[port.value] = _input(builder, port, model.type(port.value), (prepare or {}).get(port.name))
    for each in asked:
        builder.reserve(each.name)
    sizes = Sizes(builder)
    steps, wanted = _needed(model, asked)
    for step in steps:
        _lower_step(builder, sizes, step, env, wanted)
    ends = _ends(builder, asked, env)
    nodes = _alive(builder, ends)
    if folded:
        nodes = fold(builder, nodes, ends)
    return _frozen(builder, nodes, ends, env, model, weights, metadata or {})


# ------------------------------------------------------------------------------------------------------- the steps
def _needed(model: Model, asked: Sequence[End]) -> tuple[list[Step], set[ValueId]]:
    """The steps that the outputs depend on, in order, and the tensors."""
    wanted = {each.value for each in asked}
    found = []
    for step in reversed(model.steps):
        if wanted.intersection(step.outputs):
            wanted.update(step.inputs)
            found.append(step)
    return found[::-1], wanted


def _input(builder: Builder, port: Port, type: TensorType, preparation: Preparation | None) -> Tensor:
    """An input of the network: of the file too, or made from what the file takes under that name."""
    if preparation is None:
        found = builder.input(port.name, type)
    else:
        part = PartGraph(builder, f"{PREPARE}{port.name}")
        found = preparation.onnx(part, builder.input(port.name, preparation.raw))
        if part.nodes:
            builder.rename(found, builder.unique(f"{port.name}.prepared"))
            found.titled = True
        for node in part.nodes:
            node.doc = f"prepare of the input {port.name}"
    builder.measured.append(found)
    return found


def _lower_step(builder: Builder, sizes: Sizes, step: Step, env: dict[ValueId, Tensor], wanted: set[ValueId]) -> None:
    pairs = [(port, _value(builder, value, env, step)) for port, value in zip(step.ports, step.inputs, strict=True)]
    given = {port: tensor for port, tensor in pairs if port == "weight"}
    graph = StepGraph(builder, step, given, sizes, wanted)
    try:
        pairs = _with_batch(builder, sizes, graph, step, pairs)
        named: Any = {port: tensor for port, tensor in pairs if port and port != "weight"}
        made = step.op.onnx(graph, *(tensor for port, tensor in pairs if not port), **named)
    except Misfit as misfit:
        raise _refusal(step, misfit.message, misfit.help) from misfit
    except NotImplementedError as error:
        raise _refusal(step, f"`{step.op.name}` has no ONNX form") from error
    except UnknownSize as error:
        raise _refusal(step, f"`{step.op.name}` needs {error}", "bind the size with --size") from error
    outputs: Any = made if isinstance(made, tuple) else (made,)
    if len(outputs) < len(graph.types):
        raise _refusal(step, f"`{step.op.name}` has no ONNX form for all of its {len(step.outputs)} outputs")
    for value, tensor in zip(step.outputs, outputs, strict=False):
        env[value] = tensor
    _name(builder, graph, step, outputs)


def _value(builder: Builder, value: ValueId, env: dict[ValueId, Tensor], step: Step) -> Tensor:
    """The tensor of an input of a step; declared weights become initialisers when they are first needed."""
    if value not in env:
        known = builder.model.values[value]
        if not known.key:
            raise _refusal(step, f"`{step.op.name}` needs an input that exists only in training")
        env[value] = _in_shape(builder, builder.weight(known.key), builder.model.type(value))
    return env[value]


def _in_shape(builder: Builder, weight: Tensor, wanted: TensorType) -> Tensor:
    """A declared weight as the spec uses it, where `stored=` gives it another shape in the state-dict."""
    if weight.type.shape == wanted.shape:
        return weight
    shape = builder.constant([size if isinstance(size, int) else -1 for size in wanted.shape], "int")
    return builder.node("Reshape", f"{weight.name}/Reshape", (weight, shape), (wanted,)).outputs[0]


def _with_batch(
    builder: Builder, sizes: Sizes, graph: StepGraph, step: Step, pairs: list[tuple[str, Tensor]]
) -> list[tuple[str, Tensor]]:
    """Inputs without a batch are repeated along it where the op needs all of them alike."""
    tensors = [tensor for port, tensor in pairs if port != "weight"]
    if step.op.mixes or len({tensor.type.batched for tensor in tensors}) < 2:
        return pairs
    found = []
    for port, tensor in pairs:
        if not tensor.type.batched and port != "weight":
            wide: TensorType = replace(tensor.type, batched=True)
            shape = sizes.shape(wide.shape, batched=True)
            tensor = graph.node("Expand", tensor, shape, type=wide)
        found.append((port, tensor))
    return found


def _name(builder: Builder, graph: StepGraph, step: Step, outputs: Sequence[Tensor]) -> None:
    """Give the step's own tensors and its last node their names in the spec."""
    own = {id(node) for node in graph.nodes}
    doc = _line(step)
    for at, (value, tensor) in enumerate(zip(step.outputs, outputs, strict=False)):
        if tensor.maker is None:
            continue
        if id(tensor.maker) not in own:  # the step does nothing in inference, such as dropout
            if builder.model.values[value].name and not tensor.titled:
                builder.rename(tensor, builder.unique(_spelled(builder.model, step, value, at)))
                tensor.titled = True
            continue
        tensor.titled = bool(builder.model.values[value].name)
        if at == 0:
            builder.title(tensor.maker, step.path)
        builder.rename(tensor, builder.unique(_spelled(builder.model, step, value, at)))
    for node in graph.nodes:
        node.doc = doc


def _spelled(model: Model, step: Step, value: ValueId, at: int) -> str:
    """What the spec calls a step's output: its name inside the block where it stands, else the step's path."""
    name = model.values[value].name
    if name:
        body = step.uses[0][0] if step.uses else ""
        return f"{body}.{name}" if body else name
    return step.path if at == 0 else f"{step.path}.{[*step.op.further, *map(str, range(at + 1))][at - 1]}"


def _line(step: Step) -> str:
    """Where the step stands: `lenet5.net:7: c1: conv(6, 5)`."""
    source = step.span.source
    return f"{PurePath(source.name).name}:{step.span.line}: {source.line(step.span.line).strip()}"


def _refusal(step: Step, message: str, help: str = "") -> SpecError:
    return SpecError(Diagnostic("not-in-onnx", step.span, message, help))


# ----------------------------------------------------------------------------------------------------- the outputs
def _asked(model: Model, names: Sequence[str] | None, threshold: float | None) -> list[End]:
    try:
        return ends_of(model, names, threshold)
    except Misfit as misfit:
        span: Span | None = model.outputs[0].span if model.outputs else None
        raise SpecError(Diagnostic(misfit.code, span, misfit.message, misfit.help)) from misfit


def _ends(builder: Builder, asked: Sequence[End], env: dict[ValueId, Tensor]) -> list[Tensor]:
    """The tensors of the outputs under their names; one that has another name already is copied."""
    ends: list[Tensor] = []
    for each in asked:
        tensor = env[each.value]
        if each.applied:
            tensor = applied(builder, each, tensor)
        elif tensor.kind == "input" and tensor.name == each.name:
            ends.append(tensor)  # an input that is an output as it is
            continue
        elif tensor.kind != "node" or tensor in ends:
            tensor = builder.node("Identity", f"{each.name}/Identity", (tensor,), (tensor.type,)).outputs[0]
        builder.rename(tensor, each.name)
        ends.append(tensor)
    return ends


def _alive(builder: Builder, ends: Sequence[Tensor]) -> list[Node]:
    """The nodes that the outputs depend on, in order."""
    wanted = {id(tensor) for tensor in ends}
    found = []
    for node in reversed(builder.nodes):
        if any(id(tensor) in wanted for tensor in node.outputs):
            wanted.update(id(tensor) for tensor in node.inputs if tensor)
            found.append(node)
    return found[::-1]


def _frozen(
    builder: Builder,
    nodes: list[Node],
    ends: list[Tensor],
    env: Mapping[ValueId, Tensor],
    model: Model,
    source: WeightSource | None,
    metadata: Mapping[str, str],
) -> OnnxModel:
    used = {tensor.name for node in nodes for tensor in node.inputs if tensor}
    outputs = {tensor.name for tensor in ends}
    made = [tensor for node in nodes for tensor in node.outputs]
    places = {tensor.name for tensor in made}
    return OnnxModel(
        model.name,
        f"{model.name}, compiled by specc",
        tuple(node.frozen() for node in nodes),
        tuple(tensor.info() for tensor in builder.inputs),
        tuple(tensor.info() for tensor in ends),
        tuple(tensor.info() for tensor in made if tensor.name not in outputs),
        tuple(constant for tensor, constant in builder.constants() if tensor.name in used),
        tuple(sorted((use for name, use in builder.weights.items() if name in used), key=_order(model))),
        dict(metadata),
        model,
        source,
        {value: tensor.name for value, tensor in env.items() if tensor.name in places},
    )


def _order(model: Model) -> Callable[[WeightUse], tuple[int, str]]:
    """Weights stand in the order of the state-dict, folded ones in their places, others that are computed last."""
    places = {weight.key: at for at, weight in enumerate(model.weights)}

    def place(use: WeightUse) -> tuple[int, str]:
        key = use.info.name if use.exact else use.sources["kernel"]
        return places.get(key, len(places)), use.info.name

    return place


__all__ = ["OnnxModel", "WeightProblem", "lower"]
