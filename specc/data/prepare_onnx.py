"""`prepare` as a part of an ONNX graph: what a file takes in the network's place, and the nodes between the two.

Every node does what `Prepared.apply` does, in the same order and with the same roundings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specc.backends.onnx_graph import PartGraph, Tensor, typed
from specc.backends.onnx_proto import TYPES
from specc.catalogue.op import TensorType
from specc.data.prepare import Affine, Crop, Own, Pad, Prepared, Resize
from specc.data.sources import DataProblem
from specc.sizes.conditions import Compare, Predicate
from specc.sizes.dim import Dim, Size, symbol, text

Array = NDArray[Any]

_AXES = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}
_LARGEST_PIXEL = 255


@dataclass(frozen=True, slots=True)
class Inside:
    """The preparation of one input, inside the file.

    `raw` is what the file takes, `given` what the network does, `rules` hold for the sizes of `raw`. `pixels` says that
    whole numbers from 0 to 255 come in, which are divided by 255 first, as reading a picture does in training.
    """

    prepared: Prepared
    given: TensorType
    raw: TensorType
    rules: tuple[Predicate, ...]
    pixels: bool

    @property
    def steps(self) -> str:
        """What is done, in words for people: "resize, normalize are", "" for nothing."""
        kinds = {Affine: "scaling", Own: "normalize"}
        names = ["division by 255"] if self.pixels else []
        names += [kinds.get(type(each), type(each).__name__.lower()) for each in self.prepared.steps]
        return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}" if names else ""

    def onnx(self, g: PartGraph, x: Tensor) -> Tensor:
        """The nodes from `raw` to `given`."""
        if self.pixels:
            kind = replace(x.type, dtype="float")
            x = g.node("Cast", x, to=TYPES["float"], type=kind)
            x = g.node("Div", x, g.constant(float(_LARGEST_PIXEL)), type=kind)
        for step in self.prepared.steps:
            x = _FORMS[type(step)](g, step, x)
        return x

    def apply(self, x: Array) -> Array:
        """The same by the data floor's own functions."""
        return self.prepared.apply(x.astype(np.float32) / np.float32(_LARGEST_PIXEL) if self.pixels else x)

    def random(self, random: np.random.Generator, shape: list[int]) -> Array:
        """Raw numbers: any pixels, else such as preparation brings near normal ones."""
        if self.pixels:
            return random.integers(0, _LARGEST_PIXEL + 1, shape, dtype=np.uint8)
        found: Array = random.standard_normal(shape, dtype=np.float32)
        for step in reversed(self.prepared.steps):
            if isinstance(step, Affine):
                slope, shift = (np.array(_along(each, self.raw, step.axis), np.float32) for each in (step.a, step.b))
                found = (found - shift) / np.where(slope == 0, np.float32(1), slope)
        return found


def inside(prepared: Prepared, given: TensorType, taken: Iterable[str], pixels: bool = False) -> Inside:
    """How `prepared` is built in before an input of the type `given`; `taken` are the names of sizes that are used.

    Raises:
        DataProblem: a step that has no ONNX form, or that does not give what the network takes.
    """
    for step in prepared.steps:
        if type(step) not in _FORMS:
            name = type(step).__name__.lower()
            raise DataProblem(
                f"`{name}` cannot be built into the file", "say `prepare none` in `export`, or --no-prepare"
            )
    rank, steps = given.rank, list(prepared.steps)
    if prepared.rank != rank:
        raise DataProblem(f"`prepare` was fitted to inputs with {prepared.rank} axes, the network takes {rank}")
    made = fixed(prepared, rank)
    if any(size not in (None, wanted) for size, wanted in zip(made, given.shape, strict=True)):
        known = ", ".join("any" if size is None else str(size) for size in made)
        raise DataProblem(
            f"`prepare` makes [{known}] of an input, the network takes [{', '.join(map(text, given.shape))}]"
        )
    shape: tuple[Size, ...] = given.shape
    rules: list[Predicate] = []
    first = next((at for at, step in enumerate(steps) if isinstance(step, Resize | Crop)), None)
    if first is not None:  # from there on sizes are known, before it they are free
        shape = shape[:1] + _free(rank - 1, taken)
        if isinstance(step := steps[first], Crop):
            rules = [Compare(size, ">=", least) for size, least in zip(shape[1:], _each(step.size, rank), strict=True)]
    for step in steps[:first]:
        if isinstance(step, Pad):
            sides = zip(_each(step.before, rank), _each(step.after, rank), strict=True)
            shape = shape[:1] + tuple(size - sum(both) for size, both in zip(shape[1:], sides, strict=True))
    rules += [Compare(size, ">=", 1) for size in shape if isinstance(size, Dim) and text(size) not in size.symbols]
    raw = replace(given, shape=shape)
    return Inside(prepared, given, typed(raw, "uint8") if pixels else raw, tuple(rules), pixels)


def fixed(prepared: Prepared, rank: int) -> tuple[int | None, ...]:
    """The sizes that `prepared` gives whatever comes in, None for the others."""
    found: list[int | None] = [None] * rank
    for step in prepared.steps:
        if isinstance(step, Resize | Crop):
            found[1:] = _each(step.size, rank)
        elif isinstance(step, Pad):
            sides = zip(_each(step.before, rank), _each(step.after, rank), strict=True)
            found[1:] = [
                None if size is None else size + sum(both) for size, both in zip(found[1:], sides, strict=True)
            ]
    return tuple(found)


# ---------------------------------------------------------------------------------------------------------- sizes
def _free(count: int, taken: Iterable[str]) -> tuple[Size, ...]:
    """New unknown sizes."""
    used, found = set(taken), []
    for base in _AXES[count]:
        name, at = base, 1
        while name in used:
            name, at = f"{base}{at + 1}", at + 1
        found.append(symbol(name))
    return tuple(found)


def _each(numbers: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """A number for each axis after the channels."""
    return numbers * (rank - 1) if len(numbers) == 1 else numbers


# ---------------------------------------------------------------------------------------------------------- nodes
def _affine(g: PartGraph, step: Affine, x: Tensor) -> Tensor:
    for kind, numbers, nothing in (("Mul", step.a, 1.0), ("Add", step.b, 0.0)):
        if any(number != nothing for number in numbers):
            x = g.node(kind, x, g.constant(_along(numbers, x.type, step.axis)), type=x.type)
    return x


def _along(numbers: tuple[float, ...], kind: TensorType, axis: int) -> Any:
    """One number, or one for each entry of an axis, so nested that they meet that axis."""
    if len(numbers) == 1:
        return float(numbers[0])
    behind = kind.rank - 1 - (axis if axis >= 0 else kind.rank + axis)
    rows: list[Any] = list(map(float, numbers))
    for _ in range(behind):
        rows = [[each] for each in rows]
    return rows


def _own(g: PartGraph, step: Own, x: Tensor) -> Tensor:
    rank = x.type.rank
    axes = g.constant([x.dim(axis) for axis in range(1, rank)] if rank > 1 else [x.dim(0)], "int")
    wide = typed(x.type, "double")
    few = replace(wide, shape=(*x.type.shape[:1], *(1 for _ in range(1, rank))) if rank > 1 else (1,))
    number = g.node("Cast", x, to=TYPES["double"], type=wide)
    mean = g.node("ReduceMean", number, axes, keepdims=1, type=few)
    apart = g.node("Sub", number, mean, type=wide)
    square = g.node("ReduceMean", g.node("Mul", apart, apart, type=wide), axes, keepdims=1, type=few)
    std = g.node("Sqrt", square, type=few)
    least = g.node("Max", g.node("Abs", mean, type=few), g.constant(1e-30, "double"), type=few)
    bound = g.node("Mul", least, g.constant(1e-7, "double"), type=few)
    still = g.node("LessOrEqual", std, bound, type=replace(few, dtype="bool"))
    scale = g.node("Where", still, g.constant(1.0, "double"), std, type=few)
    return g.node("Cast", g.node("Div", apart, scale, type=wide), to=TYPES["float"], type=x.type)


def _crop(g: PartGraph, step: Crop, x: Tensor) -> Tensor:
    rank = x.type.rank
    size = _each(step.size, rank)
    dims = g.constant([x.dim(axis) for axis in range(1, rank)], "int")
    count, lengths = TensorType((rank - 1,), "int", batched=False), g.constant(list(size), "int")
    have = g.node("Shape", x, start=x.dim(1), type=count)
    start = g.node("Div", g.node("Sub", have, lengths, type=count), g.constant(2, "int"), type=count)
    end = g.node("Add", start, lengths, type=count)
    return g.node("Slice", x, start, end, dims, type=replace(x.type, shape=(*x.type.shape[:1], *size)))


def _pad(g: PartGraph, step: Pad, x: Tensor) -> Tensor:
    rank = x.type.rank
    before, after = _each(step.before, rank), _each(step.after, rank)
    sizes = tuple(n + one + other for n, one, other in zip(x.type.shape[1:], before, after, strict=True))
    still = [0] * x.dim(1)
    widths = g.constant([*still, *before, *still, *after], "int")
    return g.node(
        "Pad",
        x,
        widths,
        g.constant(float(step.value)),
        mode="constant",
        type=replace(x.type, shape=(*x.type.shape[:1], *sizes)),
    )


def _resize(g: PartGraph, step: Resize, x: Tensor) -> Tensor:
    """Axis by axis between two neighbours, their places in double: ONNX's Resize reckons them in float32, which moves
    them by thousandths of a pixel in large pictures."""
    rank = x.type.rank
    for axis, length in enumerate(_each(step.size, rank), 1):
        x = _resized(g, x, axis, length)
    return x


def _resized(g: PartGraph, x: Tensor, axis: int, length: int) -> Tensor:
    dim, rest = x.dim(axis), x.type.rank - 1 - axis
    one = TensorType((1,), "int", batched=False)
    whole = TensorType((length,), "int", batched=False)
    places, alone = typed(whole, "double"), typed(one, "double")
    given = g.node("Shape", x, start=dim, end=dim + 1, type=one)
    number = g.node("Cast", given, to=TYPES["double"], type=alone)
    ratio = g.node("Div", number, g.constant(float(length), "double"), type=alone)
    middles = g.constant([at + 0.5 for at in range(length)], "double")
    place = g.node("Sub", g.node("Mul", middles, ratio, type=places), g.constant(0.5, "double"), type=places)
    last = g.node("Sub", number, g.constant(1.0, "double"), type=alone)
    place = g.node("Min", g.node("Max", place, g.constant(0.0, "double"), type=places), last, type=places)
    floor = g.node("Floor", place, type=places)
    low = g.node("Cast", floor, to=TYPES["int"], type=whole)
    end = g.node("Cast", last, to=TYPES["int"], type=one)
    high = g.node("Min", g.node("Add", low, g.constant(1, "int"), type=whole), end, type=whole)
    part = g.node(
        "Cast", g.node("Sub", place, floor, type=places), to=TYPES["float"], type=replace(whole, dtype="float")
    )
    wide = TensorType((length, *(1 for _ in range(rest))), batched=False)
    if rest:
        part = g.node("Unsqueeze", part, g.constant(list(range(1, rest + 1)), "int"), type=wide)
    kind = replace(x.type, shape=(*x.type.shape[:axis], length, *x.type.shape[axis + 1 :]))
    sides = (g.node("Sub", g.constant(1.0), part, type=wide), part)
    pieces = [
        g.node("Mul", g.node("Gather", x, at, axis=dim, type=kind), share, type=kind)
        for at, share in zip((low, high), sides, strict=True)
    ]
    return g.node("Add", *pieces, type=kind)


_FORMS: Mapping[type, Callable[[PartGraph, Any, Tensor], Tensor]] = {
    Affine: _affine,
    Own: _own,
    Crop: _crop,
    Pad: _pad,
    Resize: _resize,
}
