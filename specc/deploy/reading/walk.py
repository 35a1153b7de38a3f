"""The walk over an ONNX graph: what is known is reckoned, what is made at run time becomes steps of a spec."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx.reference import ReferenceEvaluator

from specc.catalogue.op import Dtype, TensorType
from specc.deploy.reading.file import Graph, Node, Unreadable
from specc.deploy.reading.made import Parameter, Step
from specc.deploy.reading.places import Places, reckoned_places
from specc.deploy.reading.reader import COUNTS, NoCounterpart, Reader, Reading, Value, word
from specc.deploy.reading.uniform import Uniform, moved
from specc.deploy.reading.values import Array, Known, Sizes, as_sizes, reckoned, sized
from specc.deploy.reading.view import View, plain
from specc.sizes.dim import Size, symbol

DTYPES: dict[str, Dtype] = {
    "float": "float", "float16": "float", "double": "float", "bfloat16": "float", "int64": "int", "int32": "int", "bool": "bool",
}  # fmt: skip
MOST_SHOWN = 30


class Walk:
    """The graph on its way to a spec. `values` are the tensors so far, `steps` and `parameters` what was made of it."""

    def __init__(self, graph: Graph, readers: Mapping[str, Reader]) -> None:
        self.graph = graph
        self.readers = readers
        self.values: dict[str, Value] = {}
        self.steps: list[Step] = []
        self.parameters: dict[str, Parameter] = {}
        self.uses: dict[str, int] = {}
        for node in graph.nodes:
            for name in node.inputs:
                self.uses[name] = self.uses.get(name, 0) + 1
        for name in graph.outputs:
            self.uses[name] = self.uses.get(name, 0) + 1
        self.count = 0
        firsts = {each.shape[0] for each in graph.inputs if each.shape}
        (first,) = firsts if len(firsts) == 1 else ("",)
        self.batch = first if isinstance(first, int) and first > 0 else None  # the one that the file insists on

    def run(self) -> None:
        """Walk over all nodes; raises Unreadable with a line for each that has no counterpart."""
        self.begin()
        lacking: dict[str, str] = {}
        for node in self.graph.nodes:
            if any(name in lacking for name in node.inputs):
                lacking |= dict.fromkeys(node.outputs, "")
                continue
            try:
                self.step(node)
            except NoCounterpart as problem:
                lacking |= dict.fromkeys(node.outputs, "")
                lacking[node.outputs[0]] = f"{node.kind} {node.name or node.outputs[0]}: {problem}"
        said = tuple(dict.fromkeys(each for each in lacking.values() if each))
        if said:
            more = (f"and {len(said) - MOST_SHOWN} more",) if len(said) > MOST_SHOWN else ()
            message = f"{len(said)} nodes of {self.graph.path.name} have no counterpart in a spec"
            raise Unreadable(message, "nothing was written", (*said[:MOST_SHOWN], *more))

    def fresh(self, wish: str = "t") -> str:
        """A name for a tensor of the spec."""
        self.count += 1
        return f"{wish}{self.count}"

    def _input(self, name: str, dtype: str, shape: tuple[int | str, ...]) -> View:
        if dtype not in DTYPES:
            raise Unreadable(f"the input {name} is of type {dtype}", "a spec has float, int and bool")
        if not shape:
            raise Unreadable(f"the input {name} has no axis for the batch")
        own: list[Size] = []
        for at, size in enumerate(shape[1:]):
            own.append(size if isinstance(size, int) and size else symbol(_symbol(str(size or ""), at)))
        return View(word(name), TensorType(tuple(own), DTYPES[dtype]), plain(tuple(own), batched=True))

    def begin(self) -> None:
        """Constants and inputs."""
        self.values |= {name: Known(array, name) for name, array in self.graph.constants.items()}
        for each in self.graph.inputs:
            self.values[each.name] = self._input(each.name, each.dtype, each.shape)

    def step(self, node: Node) -> None:
        """One node; raises NoCounterpart."""
        values = [self.values.get(name) for name in node.inputs]
        missing = [name for name, value in zip(node.inputs, values, strict=True) if value is None and name]
        if missing:
            raise Unreadable(f"{node.kind} {node.name} reads {missing[0]}, which nothing makes")
        known = [each for each in values if each is not None]
        if node.kind == "Shape":
            self.values[node.outputs[0]] = _shape(node, known[0])
        elif all(isinstance(each, Known) for each in known) and node.kind not in _RANDOM:
            self._evaluate(node, [each.array if isinstance(each, Known) else None for each in values])
        elif not (self._placed(node, values) or self._moved(node, values) or self._reckoned(node, known)):
            reader = self.readers.get(node.kind)
            if reader is None:
                raise NoCounterpart("there is no such layer")
            try:
                reader(Reading(self, node))
            except (TypeError, ValueError) as error:  # a size that is not known, where a number is needed
                raise NoCounterpart(f"it needs a size that is not known ({error})") from None

    def _evaluate(self, node: Node, values: list[Array | None]) -> None:
        name = ""
        if node.kind in ("Identity", "Cast") and len(node.inputs) == 1:  # a weight under another name
            given = self.values[node.inputs[0]]
            name = given.name if isinstance(given, Known) else ""
        try:
            given_values = {each: value for each, value in zip(node.inputs, values, strict=True) if each}
            found = ReferenceEvaluator(node.proto).run(None, given_values)
        except Exception as error:  # the evaluator raises whatever numpy does
            raise NoCounterpart(f"its constant cannot be worked out ({error})") from None
        for output, array in zip(node.outputs, found, strict=False):
            self.values[output] = Known(np.asarray(array), name)

    def _placed(self, node: Node, values: list[Value | None]) -> bool:
        """Whether it only reckons places from the batch."""
        found = reckoned_places(node, values)
        if found is not None:
            self.values[node.outputs[0]] = found
        return found is not None

    def _moved(self, node: Node, values: list[Value | None]) -> bool:
        """Whether it only moves or cuts a tensor of one number."""
        first = values[0] if values else None
        if not isinstance(first, Uniform):
            return False
        operands = [
            tuple(as_sizes(each).reshape(-1)) if isinstance(each, Known | Sizes) else None for each in values[1:]
        ]
        found = moved(node.kind, first, operands, node.attributes)
        if found is not None:
            self.values[node.outputs[0]] = found
        return found is not None

    def _reckoned(self, node: Node, values: list[Value]) -> bool:
        """Whether it only computes with sizes; then its output is known as formulas."""
        if not all(isinstance(each, Known | Sizes) for each in values):
            return False
        given = [as_sizes(each) for each in values if isinstance(each, Known | Sizes)]
        try:
            found = reckoned(node.kind, given, dict(node.attributes))
        except (TypeError, ValueError, IndexError):
            return False
        if found is not None:
            self.values[node.outputs[0]] = sized(found)
        return found is not None


_RANDOM = frozenset(["RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli"])


def _shape(node: Node, value: Value) -> Known | Sizes:
    if isinstance(value, Places):
        raise NoCounterpart(COUNTS)
    sizes = value.sizes if isinstance(value, View | Uniform) else value.array.shape
    start, end = node.attributes.get("start", 0), node.attributes.get("end", len(sizes))
    found = np.empty(len(sizes), dtype=object)
    found[:] = sizes
    return sized(found[start:end])


def _symbol(name: str, at: int) -> str:
    """A name for an unknown size: the file's where it is one in a spec, else by its axis."""
    word = "".join(each for each in name if each.isascii() and (each.isalnum() or each == "_")).strip("_")
    return word[:1].upper() + word[1:] if word[:1].isalpha() else "CDHWXYZ"[at % 7]
