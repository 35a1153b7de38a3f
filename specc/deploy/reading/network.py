"""An ONNX graph as the text of a spec and the weights under the keys of that spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from specc.catalogue.ops.activations import Identity
from specc.compiler import compile_text
from specc.deploy.reading import causal, dense, pointwise, shapes, windows
from specc.deploy.reading.blocks import recovered
from specc.deploy.reading.bodies import Body, arranged
from specc.deploy.reading.file import Graph, Unreadable
from specc.deploy.reading.made import Parameter, Step
from specc.deploy.reading.paths import placed
from specc.deploy.reading.reader import Reader, word
from specc.deploy.reading.sequences import flat
from specc.deploy.reading.text import Block, Names, filled, of_body, printed, spelled
from specc.deploy.reading.values import Array
from specc.deploy.reading.view import View
from specc.deploy.reading.walk import Walk
from specc.model.graph import Model
from specc.sizes.dim import Dim
from specc.text.source import Source

READERS: Mapping[str, Reader] = pointwise.READERS | windows.READERS | shapes.READERS | dense.READERS | causal.READERS
MOST_NUMBERS = 4096  # of a table that stands in the spec
INDENT = "    "


@dataclass(frozen=True, slots=True)
class Network:
    """What was read: the spec, the model that it compiles to, and its weights by their keys."""

    text: str
    model: Model
    weights: Mapping[str, Array]
    blocks: int


def read(graph: Graph, name: str) -> Network:
    """The spec of a graph; raises Unreadable with a line for each node that has no counterpart."""
    walk = Walk(flat(graph), READERS)
    walk.run()
    return compiled(walk, name)


def compiled(walk: Walk, name: str) -> Network:
    """The spec of what a walk has made."""
    graph = walk.graph
    sizes = [size for each in graph.inputs for size in _view(walk, each.name).type.shape]
    unknown = sorted({symbol for size in sizes if isinstance(size, Dim) for symbol in size.symbols})
    name = f"{name}Net" if name in unknown else name
    outputs = _outputs(walk)
    steps = placed(walk.steps)
    flow = _view(walk, graph.inputs[0].name).name if len(graph.inputs) == 1 else ""
    body = arranged(steps, flow, tuple(each.name for each in outputs.values()))
    blocks, calls = recovered(body, [each.name for each in walk.parameters.values()], unknown)
    names = Names({_view(walk, each.name).name: _view(walk, each.name).name for each in graph.inputs})
    names.given |= {each.name: each.name for each in walk.parameters.values()}
    last = walk.steps[-1].outputs[0] if walk.steps else ""
    alone = [each.name for each in outputs.values()] == [last] and len(walk.steps[-1].outputs) == 1
    if not alone:
        taken = set(names.given.values())
        for output, view in outputs.items():
            said = word(output)
            names.given[view.name] = said if said not in taken else f"{said}_out"
    body_lines = printed(of_body(body, names, calls), names, INDENT, record=bool(walk.parameters))
    lines = names.settled("\n".join(body_lines)).split("\n")
    head = [f"input {_declared(walk, each.name)}" for each in graph.inputs]
    head += [_parameter(each) for each in walk.parameters.values()]
    tail = [] if alone else [f"output {names.given[view.name]}" for view in outputs.values()]
    text = _whole(graph, name, blocks, [*(INDENT + each for each in head), *lines, *(INDENT + each for each in tail)])
    return _held(text, _weights(body, walk), name, len(blocks))


def _outputs(walk: Walk) -> dict[str, View]:
    found: dict[str, View] = {}
    for name in walk.graph.outputs:
        view = walk.values.get(name)
        if not isinstance(view, View):
            raise Unreadable(f"the output {name} does not depend on the input")
        if all(view.name not in step.outputs for step in walk.steps) or view in found.values():
            made = walk.fresh()
            walk.steps.append(Step(Identity, {}, (view.name,), (made,)))
            view = replace(view, name=made)
        found[name] = view
    return found


def _view(walk: Walk, name: str) -> View:
    found = walk.values[name]
    assert isinstance(found, View)
    return found


def _declared(walk: Walk, name: str) -> str:
    view = _view(walk, name)
    kind = "" if view.type.dtype == "float" else f"{view.type.dtype} "
    return f"{view.name}: {kind}{spelled(view.type.shape)}"


def _parameter(each: Parameter) -> str:
    """Its declaration; reals that cannot be trained, minus infinity in a mask, are no parameter."""
    shape, stored = spelled(each.shape), spelled(each.array.shape)
    if each.dtype == "float":
        kind = "parameter" if np.isfinite(each.array).all() else "buffer"
        return f"{kind} {each.name}: {shape}" + (f", stored={stored}" if shape != stored else "")
    if each.array.size > MOST_NUMBERS:
        raise Unreadable(f"{each.name} is a table of {each.array.size} whole numbers, which is too long for a spec")
    values = spelled([each_.item() for each_ in each.array.reshape(-1)])
    return f"buffer {each.name}: {each.dtype} {shape} = {values}"


def _whole(graph: Graph, name: str, blocks: list[Block], lines: list[str]) -> str:
    parts = [f"# Read from {graph.path.name}.\n"]
    for each in blocks:
        head = f"({', '.join(each.parameters)})" if each.parameters else ""
        parts.append("\n".join([f"block {each.name}{head} {{", *each.lines, "}"]) + "\n")
    parts.append("\n".join([f"network {name} {{", *(filled(each) for each in lines), "}"]) + "\n")
    return "\n".join(parts)


def _weights(body: Body, walk: Walk) -> dict[str, Array]:
    """The numbers by the keys that they have in the spec."""
    found = {each.name: each.array for each in walk.parameters.values()}
    for path, step in _paths(body, ""):
        found |= {f"{path}.{name}": array for name, array in step.items()}
    return {key: _single(array) for key, array in found.items()}


def _paths(body: Body, within: str) -> Iterator[tuple[str, Mapping[str, Array]]]:
    for each in body.items:
        path = f"{within}{each.label}"
        if each.body is not None:
            yield from _paths(each.body, f"{path}.")
        elif each.placed is not None and each.placed.step.weights and each.placed.again is None:
            yield path, each.placed.step.weights


def _single(array: Array) -> Array:
    """Reals in single precision, one after the other."""
    return np.ascontiguousarray(array.astype(np.float32) if array.dtype.kind == "f" else array)


def _held(text: str, weights: dict[str, Array], name: str, blocks: int) -> Network:
    """Held against the compiler: it must take the text, and ask for just these weights."""
    from specc.syntax.format import format_text
    from specc.text.diagnostics import Bag

    found = compile_text(text, f"{name}.net")
    if not found.ok or not found.models:
        lines = tuple(
            f"line {each.span.line if each.span else 0}: {each.message}"
            for each in found.bag
            if each.severity == "error"
        )
        raise Unreadable(f"the spec of {name} is not accepted by the compiler", "this is a fault of specc", lines)
    model = found.model()
    wanted = {each.key: tuple(size for size in each.spec.shape if isinstance(size, int)) for each in model.weights}
    for each in model.weights:
        if each.spec.kind == "buffer" and each.key not in weights and each.spec.values is not None:
            raise Unreadable(f"{each.key} has no numbers")
    given = {key: array.reshape(wanted[key]) if key in wanted else array for key, array in weights.items()}
    if set(wanted) != set(given) or any(tuple(given[key].shape) != shape for key, shape in wanted.items()):
        lines = tuple(sorted(set(wanted) ^ set(given)))
        raise Unreadable(f"the weights of {name} are not those of its spec", "this is a fault of specc", lines)
    return Network(format_text(Source(f"{name}.net", text), Bag()) or text, model, given, blocks)
