"""How a tensor of an ONNX graph, whose batch may stand anywhere, is seen as a tensor of a spec, which has none.

A spec's tensor has the axes of the ONNX tensor in the same order without the batch. An ONNX axis is one axis of the
spec's tensor, or the batch, or the batch merged with axes beside it (`[batch * heads, T, d]`): a tuple of sizes with
`BATCH` among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from specc.catalogue.op import TensorType
from specc.sizes.dim import Size, product, symbol

BATCH: Final = symbol("batch")

Axis = tuple[Size, ...]


def is_batch(size: Size) -> bool:
    return size is BATCH or size == BATCH


@dataclass(frozen=True, slots=True)
class View:
    """A tensor that is made at run time: `name` in the spec being made, its type there, and the axes it has in ONNX."""

    name: str
    type: TensorType
    axes: tuple[Axis, ...]

    @property
    def rank(self) -> int:
        """How many axes it has in ONNX."""
        return len(self.axes)

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The sizes it has in ONNX."""
        return tuple(product(axis) for axis in self.axes)

    def own(self, axis: int) -> int | None:
        """The spec's axis that an ONNX axis is; None for one with the batch in it."""
        axis %= max(1, self.rank)
        if any(is_batch(size) for size in self.axes[axis]):
            return None
        return sum(sum(not is_batch(size) for size in each) for each in self.axes[:axis])


def plain(shape: tuple[Size, ...], batched: bool) -> tuple[Axis, ...]:
    """The axes of a tensor with the batch in front, where it has one."""
    own = tuple((size,) for size in shape)
    return ((BATCH,), *own) if batched else own


def resized(view: View, shape: tuple[Size, ...]) -> tuple[Axis, ...] | None:
    """The axes after a type with this shape was made of the view axis by axis; None where the count of axes differs."""
    left, found = list(shape), list[Axis]()
    for axis in view.axes:
        sizes = []
        for size in axis:
            if is_batch(size):
                sizes.append(size)
            elif not left:
                return None
            else:
                sizes.append(left.pop(0))
        found.append(tuple(sizes))
    return None if left else tuple(found)


def regrouped(view: View, target: tuple[Size, ...]) -> tuple[Axis, ...] | None:
    """The axes of the view reshaped to these sizes; None where they cannot be told apart from the batch.

    Sizes between batches are only multiplied and split; a run of them may become any other of the same product.
    """
    atoms = [size for axis in view.axes for size in axis]
    if not any(is_batch(size) for size in atoms):
        return tuple((size,) for size in target)
    at = next(index for index, size in enumerate(atoms) if is_batch(size))
    before, after = product(atoms[:at]), product(atoms[at + 1 :])
    for index, size in enumerate(target):
        head, tail = product(target[:index]), product(target[index + 1 :])
        for first, last in ((1, 1), (_over(before, head), _over(after, tail))):
            if first is None or last is None:
                continue
            if head * first == before and last * tail == after and first * BATCH * last == size:
                middle = (*(() if first == 1 else (first,)), BATCH, *(() if last == 1 else (last,)))
                ends = tuple((each,) for each in target[:index]), tuple((each,) for each in target[index + 1 :])
                return (*ends[0], middle, *ends[1])
    return None


def _over(whole: Size, part: Size) -> Size | None:
    """whole / part where that is exact."""
    if whole == part:
        return 1
    if isinstance(part, int) and part == 0:
        return None
    found = whole // part
    return found if found * part == whole else None
