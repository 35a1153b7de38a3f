"""What moves, cuts and joins tensors; the batch may stand anywhere as long as it stays whole."""

from __future__ import annotations

from typing import Any

import numpy as np

from specc.catalogue.ops import cut, dense, indexing, join, moves, shape
from specc.deploy.reading.places import Places, in_order
from specc.deploy.reading.reader import Reader, Reading, batch_in
from specc.deploy.reading.uniform import Uniform, broadcast
from specc.deploy.reading.values import Known
from specc.deploy.reading.view import BATCH, Axis, View, is_batch, plain, regrouped
from specc.sizes.dim import Dim, Size, product


def reshaped(n: Reading) -> None:
    x = n.view(0)
    raw = list(n.sizes(1, "shape"))
    sizes = [x.sizes[at] if size == 0 and not n.attribute("allowzero", 0) else size for at, size in enumerate(raw)]
    _to(n, x, _filled(n, x, sizes))


def flattened(n: Reading) -> None:
    x = n.view(0)
    axis = n.attribute("axis", 1) % (x.rank + 1)
    _to(n, x, [product(x.sizes[:axis]), product(x.sizes[axis:])])


def _filled(n: Reading, x: View, sizes: list[Size]) -> list[Size]:
    """The sizes with what -1 stands for."""
    open_ = [at for at, size in enumerate(sizes) if isinstance(size, int) and size == -1]
    if not open_:
        return sizes
    rest = product(tuple(size for at, size in enumerate(sizes) if at != open_[0]))
    whole = product(x.sizes)
    if n.walk.batch is not None and not batch_in([rest]):
        whole = product([n.walk.batch if is_batch(size) else size for axis in x.axes for size in axis])
    found = whole // rest
    if found * rest != whole:
        n.refuse("the size that is left open is no whole number for every input")
    return [found if at == open_[0] else size for at, size in enumerate(sizes)]


def _to(n: Reading, x: View, sizes: list[Size]) -> None:
    """Reshape so that the batch stays whole."""
    axes = regrouped(x, tuple(sizes))
    if axes is None and n.walk.batch is not None:
        axes = _with_batch(x, sizes, n.walk.batch)
    if axes is None:
        n.refuse(f"it mixes the batch with other axes: {_said(x.sizes)} becomes {_said(sizes)}")
    shape_ = tuple(size for axis in axes for size in axis if not is_batch(size))
    if shape_ == x.type.shape:
        n.give(View(x.name, x.type, axes))
        return
    if _in_front(x) and len(shape_) == 1 and axes[0] == (BATCH,):
        n.give(*n.add(shape.Flatten, {}, x, axes=axes))
        return
    n.give(*n.add(shape.Reshape, {"shape": shape_}, x, axes=axes))


def _with_batch(x: View, sizes: list[Size], batch: int) -> tuple[Axis, ...] | None:
    """The axes where one of the sizes holds the batch that the file insists on: by itself if it can, else ahead of others,
    but not in the last axis, which are features."""
    found: list[tuple[bool, bool, bool, int, tuple[Axis, ...]]] = []
    for at, size in enumerate(sizes):
        if isinstance(size, int) and size and size % batch == 0:
            axes = regrouped(x, (*sizes[:at], BATCH * (size // batch), *sizes[at + 1 :]))
            if axes is not None:
                found.append((size != batch, at == len(sizes) - 1, not is_batch(axes[at][0]), at, axes))
    return min(found, key=lambda each: each[:4])[4] if found else None


def _in_front(x: View) -> bool:
    return bool(x.axes) and x.axes[0] == (BATCH,)


def _said(sizes: Any) -> str:
    return "[" + ", ".join(map(str, sizes)) + "]"


def transposed(n: Reading) -> None:
    x = n.view(0)
    order = list(n.attribute("perm", list(reversed(range(x.rank)))))
    axes = tuple(x.axes[at] for at in order)
    atoms = [[(at, inner) for inner, size in enumerate(axis) if not is_batch(size)] for at, axis in enumerate(x.axes)]
    before = [each for axis in atoms for each in axis]
    own = [before.index(each) for at in order for each in atoms[at]]
    if own == sorted(own):
        n.give(View(x.name, x.type, axes))
        return
    moved = [at for at, from_ in enumerate(own) if at != from_]
    if len(moved) == 2:
        n.give(*n.add(shape.Transpose, {"a": moved[0], "b": moved[1]}, x, axes=axes))
        return
    n.give(*n.add(shape.Permute, {}, x, axes=axes, rest=tuple(own)))


def squeezed(n: Reading) -> None:
    x = n.view(0)
    axes = n.listed("axes", 1)
    wanted = [at for at, size in enumerate(x.sizes) if size == 1] if axes is None else [at % x.rank for at in axes]
    found = x
    for at in sorted(wanted, reverse=True):
        left = found.axes[:at] + found.axes[at + 1 :]
        (found,) = n.add(shape.Squeeze, {"axis": n.own(found, at)}, found, axes=left)
    n.give(found)


def unsqueezed(n: Reading) -> None:
    found = n.view(0)
    axes = n.listed("axes", 1) or []
    rank = found.rank + len(axes)
    for at in sorted(each % rank for each in axes):
        ahead = sum(sum(not is_batch(size) for size in axis) for axis in found.axes[:at])
        after = (*found.axes[:at], (1,), *found.axes[at:])
        (found,) = n.add(shape.Unsqueeze, {"axis": ahead}, found, axes=after)
    n.give(found)


def expanded(n: Reading) -> None:
    sizes = n.sizes(1, "shape")
    number = n.value(0)
    if isinstance(number, Known) and (number.array.size == 1 or (not number.name and _even(number.array))):
        given = [*(1 for _ in sizes[number.array.ndim :]), *number.array.shape]  # a fixed batch is any
        same = [1 if size == n.walk.batch and batch_in([to]) else size for size, to in zip(given, sizes, strict=False)]
        stretched = broadcast(same if len(same) == len(given) else given, sizes)
        if stretched is not None:
            n.give(Uniform(number.array.reshape(-1)[0], stretched))
            return
    x = n.view(0)
    lacks = len(sizes) - x.rank
    for _ in range(lacks):
        x = View(x.name, x.type, ((), *x.axes))  # an axis that is nothing but stretched
    wanted: list[Size] = []
    axes: list[Axis] = []
    for axis, size in zip(x.axes, ((1,) * -lacks + sizes) if lacks < 0 else sizes, strict=True):
        if any(is_batch(each) for each in axis):
            axes.append(axis)
            wanted += [each for each in axis if not is_batch(each)]
        elif batch_in([size]):
            if size != BATCH or (axis and axis != (1,)):
                n.refuse("it stretches an axis by the batch and more")
            axes.append((BATCH,))
        else:
            have = axis[0] if axis else 1
            axes.append((have if size == 1 else size,))
            wanted.append(have if size == 1 else size)
    dropped = [at for at, (axis, new) in enumerate(zip(x.axes, axes, strict=True)) if axis == (1,) and new == (BATCH,)]
    for at in reversed(dropped):  # what was one and is the batch now is no axis of the spec's tensor
        before = sum(sum(not is_batch(size) for size in axis) for axis in x.axes[:at])
        if isinstance(n.value(0), Known) and len(n.walk.parameters) and x.name in _parameters(n):
            x = _without(n, x, before)
        else:
            (x,) = n.add(shape.Squeeze, {"axis": before}, x, axes=plain(_cut(x.type.shape, before), False))
    if tuple(wanted) == x.type.shape:
        n.give(View(x.name, x.type, tuple(axes)))
        return
    if len(wanted) > len(x.type.shape):
        (x,) = n.add(shape.Reshape, {"shape": (1,) * (len(wanted) - len(x.type.shape)) + x.type.shape}, x,
                     axes=plain((1,) * (len(wanted) - len(x.type.shape)) + x.type.shape, x.type.batched))  # fmt: skip
    n.give(*n.add(shape.Expand, {"shape": tuple(wanted)}, x, axes=tuple(axes)))


def _even(array: Any) -> bool:
    """Whether all its numbers are one."""
    return array.size > 0 and bool((array == array.reshape(-1)[0]).all())


def filled(n: Reading) -> None:
    """One number in sizes that are not known."""
    n.give(Uniform(np.asarray(n.attribute("value", np.float32(0))).reshape(()), n.sizes(0, "shape")))


def _cut(shape_: tuple[Size, ...], at: int) -> tuple[Size, ...]:
    return shape_[:at] + shape_[at + 1 :]


def _parameters(n: Reading) -> set[str]:
    return {each.name for each in n.walk.parameters.values()}


def _without(n: Reading, x: View, at: int) -> View:
    """A parameter declared without an axis of one; it is stored as it was."""
    given = n.value(0)
    assert isinstance(given, Known)
    shape_ = tuple(int(each) for each in _cut(x.type.shape, at) if isinstance(each, int))
    key = next(key for key, each in n.walk.parameters.items() if each.name == x.name)
    del n.walk.parameters[key]
    return n.constant(given, shape_)


def tiled(n: Reading) -> None:
    found = n.view(0)
    for at, times in enumerate(int(each) for each in n.known(1, "repeats")):
        if times != 1:
            (found,) = n.add(moves.Tile, {"times": times, "axis": n.own(found, at)}, found)
    n.give(found)


def joined(n: Reading) -> None:
    values = [n.value(at) for at in range(len(n.node.inputs)) if n.has(at)]
    first = max((each for each in values if isinstance(each, View)), key=lambda each: each.type.batched)
    views = [n.meeting(first, at) if isinstance(value, Known) else n.view(at) for at, value in enumerate(values)]
    if n.walk.batch is not None and first.type.batched:
        views = [n.beside_batch(first, each) for each in views]
    axis = n.attribute("axis") % first.rank
    if len(views) == 1:
        n.give(views[0])
        return
    own = n.own(first, axis)
    if any(each.rank != first.rank or each.own(axis) != own for each in views):
        n.refuse("it joins tensors whose batch stands at different places")
    whole = next((each for each in views if each.type.batched), first)
    size = views[0].sizes[axis]
    for each in views[1:]:
        size = size + each.sizes[axis]
    axes = (*whole.axes[:axis], (size,), *whole.axes[axis + 1 :])
    n.give(*n.add(join.Concat, {"axis": own} if own else {}, *views, axes=axes))


def parted(n: Reading) -> None:
    x = n.view(0)
    axis = n.attribute("axis", 0) % x.rank
    own = n.own(x, axis)
    count = len(n.node.outputs)
    sizes = n.listed("split", 1)
    words: dict[str, Any] = {"axis": own} if own else {}
    if count == 1:
        n.give(x)
        return
    whole = x.sizes[axis]
    even = isinstance(whole, Dim) or whole % count == 0
    equal = sizes is None or len(set(sizes)) == 1
    if sizes is None and not even:
        most = -(-whole // count)
        sizes, equal = [most] * (count - 1) + [whole - most * (count - 1)], False
    n.give(*n.add(cut.Split, {"parts": count if equal else sizes, **words}, x, outputs=count))


def sliced(n: Reading) -> None:
    x = n.view(0)
    starts, ends = list(_limits(n, "starts", 1)), list(_limits(n, "ends", 2))
    axes = n.listed("axes", 3) or list(range(len(starts)))
    steps = n.listed("steps", 4) or [1] * len(starts)
    items: list[Any] = [(None, None, None)] * len(x.type.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if x.own(axis) is None and start == 0 and isinstance(end, int) and end >= 2**31 - 1:
            continue
        own, size = n.own(x, axis), x.sizes[axis]
        if (
            step == -1
            and isinstance(start, int)
            and start in (-1, 2**31 - 1)
            and isinstance(end, int)
            and end < -(2**31) + 2
        ):
            (x,) = n.add(moves.Flip, {"axes": [own]}, x)
            continue
        if step < 1:
            n.refuse(f"its step is {step}")
        items[own] = _stretch(start, end, size, step)
    if all(each == (None, None, None) for each in items):
        n.give(x)
        return
    n.give(*n.add(cut.Slice, {"items": items}, x))


def _limits(n: Reading, name: str, at: int) -> tuple[Size, ...]:
    return n.sizes(at, name) if n.has(at) else tuple(n.attribute(name))


def _stretch(start: Size, end: Size, size: Size, step: int) -> tuple[Any, Any, Any]:
    """A slice as a spec writes it: nothing where it goes to the end."""
    if isinstance(start, int) and isinstance(size, int):
        start = max(-size, min(start, size))
    if isinstance(end, int) and (end >= 2**31 - 1 or (isinstance(size, int) and end >= size)):
        end = size
    return (None if start == 0 else start, None if end == size else end, None if step == 1 else step)


def gathered(n: Reading) -> None:
    """One place or a stretch of an axis, rows of a table, or any places."""
    data, index, axis = n.value(0), n.value(1), n.attribute("axis", 0)
    if isinstance(data, Known) and isinstance(index, View):
        if data.array.ndim == 2 and axis == 0 and data.array.dtype.kind == "f":
            words = {"count": data.array.shape[0], "features": data.array.shape[1]}
            axes = (*index.axes, (data.array.shape[1],))
            n.give(*n.add(dense.Embedding, words, index, axes=axes, weights={"weight": data.array}))
            return
        table = n.view(0)
        axes = (*table.axes[:axis], *index.axes, *table.axes[axis + 1 :])
        n.give(*n.add(indexing.Gather, {"axis": axis} if axis else {}, table, index, axes=axes))
        return
    x = n.view(0)
    axis %= x.rank
    if isinstance(index, Places):
        sizes = in_order(index)
        if sizes is None or x.rank != 1 or product(sizes) != x.sizes[0]:
            n.refuse("it reads places that follow from the batch in another order than theirs")
        _to(n, x, list(sizes))
        return
    own = n.own(x, axis)
    if isinstance(index, Known) and index.array.ndim == 0:
        items: list[Any] = [(None, None, None)] * own + [int(index.array)]
        n.give(*n.add(cut.Slice, {"items": items}, x, axes=(*x.axes[:axis], *x.axes[axis + 1 :])))
        return
    if isinstance(index, Known) and index.array.ndim == 1:
        table = n.constant(index, tuple(index.array.shape))
        axes = (*x.axes[:axis], tuple(index.array.shape), *x.axes[axis + 1 :])
        n.give(*n.add(indexing.Gather, {"axis": own} if own else {}, x, table, axes=axes))
        return
    if isinstance(index, View) and not index.type.batched:
        axes = (*x.axes[:axis], *index.axes, *x.axes[axis + 1 :])
        n.give(*n.add(indexing.Gather, {"axis": own} if own else {}, x, index, axes=axes))
        return
    n.refuse("its places are made at run time, for each sample its own")


def gathered_along(n: Reading) -> None:
    x, index = n.view(0), n.view(1)
    n.give(*n.add(indexing.TakeAlong, {"axis": n.own(x, n.attribute("axis", 0))}, x, index))


READERS: dict[str, Reader] = {
    "Reshape": reshaped, "Flatten": flattened, "Transpose": transposed, "Squeeze": squeezed, "Unsqueeze": unsqueezed,
    "Expand": expanded, "ConstantOfShape": filled, "Tile": tiled, "Concat": joined, "Split": parted, "Slice": sliced, "Gather": gathered,
    "GatherElements": gathered_along,
}  # fmt: skip
