"""Axes by number or by name, counted without the batch, and what must hold where shapes meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from specc.catalogue.entry import Misfit
from specc.catalogue.op import EVERYTHING, Layout, Rule, TensorType
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, Size

NAMES = {
    1: ("features",),
    2: ("channels", "length"),
    3: ("channels", "height", "width"),
    4: ("channels", "depth", "height", "width"),
}


def position(axis: int | str, rank: int, argument: str = "axis") -> int:
    """The number of an axis, from 0, of a tensor of that rank: `position("width", 3) == position(-1, 3) == 2`.

    Raises Misfit `no-such-axis`.
    """
    names = NAMES.get(rank, ())
    if isinstance(axis, str):
        if axis in names:
            return names.index(axis)
        known = f"its axes are {', '.join(names)}" if names else f"its axes are numbered from 0 to {rank - 1}"
        raise Misfit("no-such-axis", f"a tensor of rank {rank} has no axis `{axis}`", known, argument=argument)
    if not -rank <= axis < rank:
        known = f"its axes are numbered from 0 to {rank - 1}, or from the end as -1 to -{rank}" if rank else ""
        raise Misfit("no-such-axis", f"a tensor of rank {rank} has no axis {axis}", known, argument=argument)
    return axis % rank


def positions(axes: int | str | Iterable[int | str] | None, rank: int, argument: str = "axis") -> tuple[int, ...]:
    """The numbers of several axes in ascending order; None means all. Raises Misfit `no-such-axis`, `repeated-axis`."""
    if axes is None:
        return tuple(range(rank))
    given = [axes] if isinstance(axes, int | str) else list(axes)
    found = [position(each, rank, argument) for each in given]
    for each in found:
        if found.count(each) > 1:
            raise Misfit("repeated-axis", f"axis {each} is named twice", argument=argument)
    return tuple(sorted(found))


def spell(axis: int, rank: int) -> str:
    """An axis for people: "height", or "axis 4" where it has no name."""
    names = NAMES.get(rank, ())
    return names[axis] if axis < len(names) else f"axis {axis}"


def shape(sizes: Iterable[Size]) -> str:
    """A shape for people: `[64, H//2, W//2]`."""
    return "[" + ", ".join(map(str, sizes)) + "]"


def apart(one: Size, other: Size) -> str:
    """By how much two sizes differ: "28 more", "H//2 - 3 apart"."""
    difference = other - one
    if isinstance(difference, Dim):
        return f"the difference is {difference}"
    return f"{abs(difference)} {'more' if difference > 0 else 'fewer'}"


def equal(one: Size, other: Size, misfit: Misfit) -> Iterator[Rule]:
    """The rule that two sizes are equal, unless they plainly are."""
    if one != other:
        yield Rule(Compare(one, "==", other), misfit)


def same(first: TensorType, other: TensorType, port: int, but: int | None = None) -> Iterator[Rule]:
    """The rules that two inputs agree in rank and in every axis except `but`."""
    if first.rank != other.rank:
        message = f"input {port + 1} has shape {shape(other.shape)}, input 1 has {shape(first.shape)}: the ranks differ"
        yield Rule(False, Misfit("shape-mismatch", message, port=port))
        return
    if first.dtype != other.dtype:
        message = f"input {port + 1} holds {other.dtype} numbers, input 1 holds {first.dtype} numbers"
        yield Rule(False, Misfit("wrong-dtype", message, port=port))
    for axis, (one, two) in enumerate(zip(first.shape, other.shape, strict=True)):
        if axis != but:
            where = spell(axis, first.rank)
            message = f"{where} is {two} in input {port + 1} and {one} in input 1 ({apart(one, two)})"
            yield from equal(one, two, Misfit("shape-mismatch", message, port=port))


class Unsaid(int):
    """The axis 0 that nobody wrote: a default that can be told from an explicit `axis=0`."""


UNSAID = Unsaid(0)


def chosen_axis(name: str, axis: int | str, x: TensorType) -> int:
    """The axis of an entry whose default is 0; refused where the features are last and no axis was said."""
    if isinstance(axis, Unsaid) and x.rank >= 2 and x.layout == "last":
        message = f"`{name}` works on axis 0, but the features of this tensor are on its last axis"
        raise Misfit("softmax-axis", message, "say axis=-1")
    return position(axis, x.rank)


def reach_along(*axes: int) -> str | None:
    """What an op sees that looks along whole axes: everything, unless it is only the channels' axis."""
    return EVERYTHING if any(axes) else None


# ---------------------------------------------------------------------------------------------------- broadcasting
def is_one(size: Size) -> bool:
    """Only a literal 1 stretches; an unknown is never taken to be 1."""
    return size == 1


def broadcast_rules(*x: TensorType) -> Iterator[Rule]:
    """What must hold for tensors to be broadcast together: the same rank, or rank 0, and equal axes but for a 1."""
    whole = [(at, each) for at, each in enumerate(x) if each.rank]
    for at, other in whole[1:]:
        first = whole[0][1]
        if first.rank != other.rank:
            message = f"shapes {shape(first.shape)} and {shape(other.shape)} differ in rank"
            help = "reshape one of them so that both have the same axes; only an axis of size 1 is stretched"
            yield Rule(False, Misfit("shape-mismatch", message, help, port=at))
            return
    for axis in range(whole[0][1].rank if whole else 0):
        stretched = [(at, each.shape[axis]) for at, each in whole if not is_one(each.shape[axis])]
        for at, size in stretched[1:]:
            before, first_size = stretched[0]
            where = spell(axis, whole[0][1].rank)
            sizes = f"{first_size} in input {before + 1} and {size} in input {at + 1}"
            message = f"{where} is {sizes} ({apart(first_size, size)})"
            yield from equal(first_size, size, Misfit("shape-mismatch", message, port=at))


def broadcast(*x: TensorType) -> TensorType:
    """The type of tensors broadcast together; call it once the rules hold. A known size wins over an unknown one."""
    whole = [each for each in x if each.rank] or list(x[:1])
    sizes: list[Size] = []
    for column in zip(*(each.shape for each in whole), strict=True):
        stretched = [size for size in column if not is_one(size)] or [column[0]]
        sizes.append(next((size for size in stretched if not isinstance(size, Dim)), stretched[0]))
    layout: Layout = next((each.layout for each in whole if each.layout), "")
    return TensorType(tuple(sizes), whole[0].dtype, any(each.batched for each in x), layout)
