"""The walk over an ONNX graph: what is known is reckoned, what is made at run time becomes steps of a spec."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from onnx.reference import ReferenceEvaluator

from specc.catalogue.entry import BadArguments, Misfit
from specc.catalogue.op import Dtype, Op, TensorType
from specc.catalogue.ops.arithmetic import Multiply
from specc.catalogue.ops.choose import Cast
from specc.catalogue.ops.constants import Constant, Ones, Zeros
from specc.catalogue.ops.shape import Reshape
from specc.deploy.reading.causal import causal
from specc.deploy.reading.file import Graph, Node, Unreadable
from specc.deploy.reading.made import Parameter, Step
from specc.deploy.reading.places import Places, reckoned_places
from specc.deploy.reading.uniform import Uniform, broadcast, moved
from specc.deploy.reading.values import Array, Known, Sizes, as_sizes, reckoned, shortened, sized
from specc.deploy.reading.view import BATCH, Axis, View, is_batch, plain, resized
from specc.sizes.dim import Size, symbol

DTYPES: dict[str, Dtype] = {
    "float": "float", "float16": "float", "double": "float", "bfloat16": "float", "int64": "int", "int32": "int", "bool": "bool",
}  # fmt: skip
KINDS: dict[str, Dtype] = {"f": "float", "b": "bool"}  # of NumPy; all others are whole numbers
MOST_SHOWN = 30
COUNTS = "it counts along the batch"
Value = View | Known | Sizes | Uniform | Places
Reader = Callable[["Reading"], None]


class NoCounterpart(Exception):
    """A node that has no counterpart in a spec, and why."""


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


def word(name: str) -> str:
    """A name that a spec takes."""
    word = "".join(each if each.isascii() and (each.isalnum() or each == "_") else "_" for each in name)
    return word if word[:1].isalpha() else f"x{word}"


class Reading:
    """One node as its reader sees it: attributes, inputs, and how to add steps."""

    def __init__(self, walk: Walk, node: Node) -> None:
        self.walk = walk
        self.node = node
        self.keys: list[str] = []

    # --------------------------------------------------------------------------------------------- what is given
    def attribute(self, name: str, default: Any = None) -> Any:
        return self.node.attributes.get(name, default)

    def has(self, at: int) -> bool:
        return at < len(self.node.inputs) and bool(self.node.inputs[at])

    def value(self, at: int) -> Value:
        if not self.has(at):
            self.refuse(f"it has no input {at}")
        return self.walk.values[self.node.inputs[at]]

    def known(self, at: int, what: str = "") -> Array:
        """The numbers of an input; refuses one that is made at run time."""
        found = self.value(at)
        if not isinstance(found, Known):
            self.refuse(f"its {what or f'input {at}'} is not known before it runs")
        self.keys += [found.name] if found.name else []
        return found.array

    def sizes(self, at: int, what: str) -> tuple[Size, ...]:
        """Sizes, known or as formulas."""
        found = self.value(at)
        if not isinstance(found, Known | Sizes):
            self.refuse(f"its {what} is not known before it runs")
        return tuple(as_sizes(found).reshape(-1))

    def listed(self, name: str, at: int) -> list[int] | None:
        """Numbers that older versions have as an attribute and newer ones as an input; None where there are none."""
        if self.has(at):
            return [int(each) for each in self.known(at, name).reshape(-1)]
        found = self.attribute(name)
        return None if found is None else [int(each) for each in found]

    def view(self, at: int) -> View:
        """An input that is made at run time; a constant becomes a parameter of the network, or numbers in the spec."""
        found = self.value(at)
        if isinstance(found, Sizes):
            self.refuse("it computes with sizes that are not known")
        if isinstance(found, Known):
            return self.constant(found, tuple(int(each) for each in found.array.shape))
        if isinstance(found, Places):
            self.refuse(COUNTS)
        return self._filled(found) if isinstance(found, Uniform) else found

    def number(self, at: int, beside: Value) -> Any:
        """The one number of an input that meets `beside` as a number; None for all else."""
        found = self.value(at)
        if isinstance(found, Known) and found.array.size == 1:
            return shortened(found.array.reshape(-1)[0].item())
        if (
            isinstance(found, Uniform)
            and isinstance(beside, View)
            and broadcast(found.sizes, beside.sizes) == beside.sizes
        ):
            return shortened(found.number.item())
        return None

    def own(self, view: View, axis: int) -> int:
        """The spec's axis of an ONNX axis; refuses the batch."""
        if not -view.rank <= axis < view.rank:
            self.refuse(f"it names axis {axis} of {view.rank}")
        found = view.own(axis)
        if found is None:
            self.refuse("it works along the axis of the batch")
        return found

    def owns(self, view: View, axes: Sequence[int]) -> list[int]:
        return [self.own(view, each) for each in axes]

    def refuse(self, why: str) -> NoReturn:
        raise NoCounterpart(why)

    def only_use(self, at: int) -> bool:
        """Whether nothing else reads this input."""
        return self.walk.uses.get(self.node.inputs[at], 0) == 1

    # ------------------------------------------------------------------------------------------------ what is made
    def _filled(self, uniform: Uniform) -> View:
        """A tensor of that number, which is made."""
        if batch_in(uniform.sizes):
            self.refuse("it fills a tensor by the batch")
        number, axes = uniform.number.item(), plain(uniform.sizes, False)
        (found,) = self.add(Zeros if number == 0 else Ones, {"size": uniform.sizes}, axes=axes)
        if number not in (0, 1):
            (found,) = self.add(Multiply, {"right": shortened(float(number))}, found)
        dtype = KINDS.get(uniform.number.dtype.kind, "int")
        return found if dtype == "float" else self.add(Cast, {"to": dtype}, found)[0]

    def constant(self, known: Known, shape: tuple[int, ...]) -> View:
        """Numbers as a tensor of the spec without a batch, in that shape; a single one stands in the spec."""
        array = known.array
        if array.ndim == 0 and np.isfinite(array):
            number = shortened(array.item())
            values = _nested(float(number) if array.dtype.kind == "f" else number, len(shape))
            return self.add(Constant, {"values": values}, axes=plain(shape, False))[0]
        mask = causal(self, array.reshape(shape))
        if mask is not None:
            return mask
        dtype: Dtype = KINDS.get(array.dtype.kind, "int")
        name = known.name or f"constant.{len(self.walk.parameters)}"
        key = f"{name}@{shape}"
        if key not in self.walk.parameters:
            label = word(name.replace(".", "_"))
            taken = {each.name for each in self.walk.parameters.values()}
            while label in taken:
                label += "_"
            self.walk.parameters[key] = Parameter(label, shape, array, dtype)
        found = self.walk.parameters[key]
        return View(found.name, TensorType(shape, dtype, batched=False), plain(shape, batched=False))

    def add(
        self,
        kind: type[Op],
        arguments: Mapping[str, Any],
        *inputs: View,
        axes: tuple[Axis, ...] | None = None,
        weights: Mapping[str, Array] | None = None,
        named: Mapping[str, View] | None = None,
        rest: tuple[Any, ...] = (),
        outputs: int = 1,
    ) -> tuple[View, ...]:
        """A step; its outputs. `axes` are those in ONNX where they do not follow from the first input's."""
        for value in arguments.values():
            if isinstance(value, float) and not math.isfinite(value):
                self.refuse(f"it has the number {value}, for which a spec has no word")
        types = [each.type for each in inputs]
        kinds = {name: each.type for name, each in (named or {}).items()}
        try:
            if not kind.batchless and types and not any(each.batched for each in (*types, *kinds.values())):
                self.refuse("it works on weights alone, which no spec does")
            op = kind.make({**arguments, **{name: each.name for name, each in (named or {}).items()}}, rest)
            for rule in op.rules(*types, **kinds):
                if rule.predicate is False:
                    raise rule.misfit
            given = op.gives(*types, **kinds)
        except Misfit as misfit:
            self.refuse(misfit.message)
        except BadArguments as error:
            self.refuse(str(error))
        made = given if isinstance(given, tuple) else (given,)
        names = tuple(self.walk.fresh() for _ in made[:outputs])
        path = self.node.scope
        step = Step(kind, arguments, tuple(each.name for each in inputs), names, dict(weights or {}), path,
                    tuple(self.keys) if weights else (),
                    {name: each.name for name, each in (named or {}).items()}, rest)  # fmt: skip
        self.walk.steps.append(step)
        found = []
        for name, type_ in zip(names, made, strict=False):
            own = axes if axes is not None else self._axes(inputs, type_)
            found.append(View(name, type_, own))
        return tuple(found)

    def _axes(self, inputs: tuple[View, ...], type_: TensorType) -> tuple[Axis, ...]:
        for each in sorted(inputs, key=lambda view: view.type.batched is not type_.batched):
            found = resized(each, type_.shape)
            if found is not None:
                return found
        return plain(type_.shape, type_.batched)

    def give(self, *views: Value) -> None:
        """The node's outputs."""
        for name, view in zip(self.node.outputs, views, strict=False):
            if name:
                self.walk.values[name] = view

    def unused(self, at: int) -> bool:
        """Whether nothing reads that output."""
        return at >= len(self.node.outputs) or not self.walk.uses.get(self.node.outputs[at])

    def step_of(self, view: View) -> Step | None:
        """The step that made a tensor."""
        return next((each for each in reversed(self.walk.steps) if view.name in each.outputs), None)

    def meeting(self, view: View, at: int, given: Known | None = None) -> View:
        """Input `at`, or what is given in its place, as a tensor that meets `view` axis by axis: of the same rank, with 1
        where it stretches."""
        found = self.value(at) if given is None else given
        if isinstance(found, Uniform):
            fits = broadcast(found.sizes, view.sizes) == view.sizes
            found = Known(found.number) if fits else self._filled(found)
        if isinstance(found, View) and found.rank == view.rank:
            return found if found.type.batched or not view.type.batched else self._without_batch(view, found)
        if isinstance(found, View):
            lacks = view.rank - found.rank
            if lacks < 0 or found.type.batched:
                self.refuse("it joins tensors of different ranks across the batch")
            ahead = sum(sum(not is_batch(each) for each in axis) for axis in view.axes[:lacks])
            shape = (1,) * ahead + found.type.shape
            return self.add(Reshape, {"shape": shape}, found, axes=plain(shape, False))[0]
        if not isinstance(found, Known):
            self.refuse(COUNTS if isinstance(found, Places) else "it computes with sizes that are not known")
        shape = (1,) * (view.rank - found.array.ndim) + found.array.shape
        if len(shape) > view.rank:
            self.refuse("a constant has more axes than the tensor that it meets")
        for at, axis in enumerate(view.axes):
            if axis == (BATCH,) and shape[at] == self.walk.batch:
                found, shape = self._once(found, shape, at)
        own = self._beside(view, shape)
        return self.constant(found, tuple(each for each in own if isinstance(each, int)))

    def _once(self, known: Known, shape: tuple[int, ...], at: int) -> tuple[Known, tuple[int, ...]]:
        """A constant that says the same for each sample of the batch that the file insists on, for one."""
        array = known.array.reshape(shape)
        first = array.take([0], axis=at)
        return (Known(first, known.name), first.shape) if (array == first).all() else (known, shape)

    def _without_batch(self, view: View, other: View) -> View:
        """A tensor without a batch that has an axis of 1 where the view has its batch, without that axis."""
        shape = self._beside(view, other.sizes)
        if shape == other.type.shape:
            return other
        return self.add(Reshape, {"shape": shape}, other, axes=plain(shape, False))[0]

    def beside_batch(self, view: View, other: View) -> View:
        """A tensor without a batch as one whose axis of 1 is the batch of one that the file insists on."""
        if other.type.batched:
            return other
        found = self._without_batch(view, other) if other.rank == view.rank else other
        if len(found.type.shape) != len(view.type.shape):
            return other
        left = iter(found.type.shape)
        axes = tuple(tuple(size if is_batch(size) else next(left) for size in axis) for axis in view.axes)
        return View(found.name, found.type, axes)

    def _beside(self, view: View, sizes: Sequence[Size]) -> tuple[Size, ...]:
        """The own axes of what meets the view and has no batch, from its sizes in ONNX."""
        own: list[Size] = []
        for axis, size in zip(view.axes, sizes, strict=True):
            if any(is_batch(each) for each in axis):
                if size != 1:
                    self.refuse("a constant differs along the axis of the batch")
                own += [1] * (len(axis) - 1)
            else:
                own.append(size)
        return tuple(own)


def _nested(number: Any, rank: int) -> Any:
    """The number in so many lists."""
    return number if rank == 0 else (_nested(number, rank - 1),)


def batch_in(sizes: Sequence[Size]) -> bool:
    """Whether one of the sizes depends on the batch."""
    return any(BATCH.symbols & getattr(each, "symbols", frozenset()) for each in sizes)
