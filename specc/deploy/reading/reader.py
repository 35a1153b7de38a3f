"""One node as its reader sees it: its attributes and inputs, and how steps of the spec are made of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from specc.catalogue.entry import BadArguments, Misfit
from specc.catalogue.op import Dtype, Op, TensorType
from specc.catalogue.ops.arithmetic import Multiply
from specc.catalogue.ops.choose import Cast
from specc.catalogue.ops.constants import Constant, Ones, Zeros
from specc.catalogue.ops.shape import Reshape
from specc.deploy.reading.causal import causal
from specc.deploy.reading.file import Node
from specc.deploy.reading.made import Parameter, Step
from specc.deploy.reading.places import Places
from specc.deploy.reading.uniform import Uniform, broadcast
from specc.deploy.reading.values import Array, Known, Sizes, as_sizes, shortened
from specc.deploy.reading.view import BATCH, Axis, View, is_batch, plain, resized
from specc.sizes.dim import Size

if TYPE_CHECKING:
    from specc.deploy.reading.walk import Walk

KINDS: dict[str, Dtype] = {"f": "float", "b": "bool"}  # of NumPy; all others are whole numbers
COUNTS = "it counts along the batch"
Value = View | Known | Sizes | Uniform | Places
Reader = Callable[["Reading"], None]


class NoCounterpart(Exception):
    """A node that has no counterpart in a spec, and why."""


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


def word(name: str) -> str:
    """A name that a spec takes."""
    word = "".join(each if each.isascii() and (each.isalnum() or each == "_") else "_" for each in name)
    return word if word[:1].isalpha() else f"x{word}"
