"""Tensors of one number, in sizes that may depend on the batch: states that start from zeros, masks before they are filled.

A spec need not make them: the number meets other tensors as a number, and moving or cutting it leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from specc.deploy.reading.values import CASTS, NUMPY, Array
from specc.sizes.dim import Size, product

Operands = Sequence[Sequence[Size] | None]  # what is known of the inputs behind the first, as sizes
END = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Uniform:
    """`number` (rank 0) in `sizes`, which are those in ONNX."""

    number: Array
    sizes: tuple[Size, ...]


def broadcast(one: Sequence[Size], other: Sequence[Size]) -> tuple[Size, ...] | None:
    """The sizes of both together; None where they do not fit, as far as is known."""
    rank = max(len(one), len(other))
    pairs = zip((1,) * (rank - len(one)) + tuple(one), (1,) * (rank - len(other)) + tuple(other), strict=True)
    found = [right if left == 1 else left if right in (1, left) else None for left, right in pairs]
    return None if None in found else tuple(each for each in found if each is not None)


def moved(kind: str, value: Uniform, operands: Operands, attributes: Mapping[str, Any]) -> Uniform | None:
    """What an operator that moves or cuts makes of it; None for others, and for what is not known."""
    rule = _RULES.get(kind)
    return None if rule is None else rule(value, operands, attributes)


def _cast(value: Uniform, operands: Operands, attributes: Mapping[str, Any]) -> Uniform | None:
    to = CASTS.get(attributes["to"])
    return None if to is None else replace(value, number=value.number.astype(NUMPY[to]))


def _transposed(value: Uniform, operands: Operands, attributes: Mapping[str, Any]) -> Uniform:
    order = attributes.get("perm", range(len(value.sizes) - 1, -1, -1))
    return replace(value, sizes=tuple(value.sizes[at] for at in order))


def _axes(operands: Operands, attributes: Mapping[str, Any]) -> list[int] | None:
    return _whole(operands[0] if operands else attributes.get("axes"))


def _unsqueezed(value: Uniform, operands: Operands, attributes: Mapping[str, Any]) -> Uniform | None:
    axes = _axes(operands, attributes)
    if axes is None:
        return None
    sizes = list(value.sizes)
    for at in sorted(each % (len(sizes) + len(axes)) for each in axes):
        sizes.insert(at, 1)
    return replace(value, sizes=tuple(sizes))


def _squeezed(value: Uniform, operands: Operands, attributes: Mapping[str, Any]) -> Uniform | None:
    axes = _axes(operands, attributes)
    if axes is None:
        axes = [at for at, size in enumerate(value.sizes) if size == 1]
    gone = {each % len(value.sizes) for each in axes}
    return replace(value, sizes=tuple(size for at, size in enumerate(value.sizes) if at not in gone))


def _reshaped(value: Uniform, operands: Operands, attributes: Mapping[str, Any]) -> Uniform | None:
    target = operands[0]
    if target is None:
        return None
    keeps = not attributes.get("allowzero", 0)
    sizes = [value.sizes[at] if size == 0 and keeps else size for at, size in enumerate(target)]
    if -1 in sizes:
        others = product([size for size in sizes if size != -1])
        if isinstance(others, int) and others < 1:
            return None
        sizes[sizes.index(-1)] = product(value.sizes) // others
    return replace(value, sizes=tuple(sizes)) if product(sizes) == product(value.sizes) else None


def _expanded(value: Uniform, operands: Operands, attributes: Mapping[str, Any]) -> Uniform | None:
    sizes = None if operands[0] is None else broadcast(value.sizes, operands[0])
    return None if sizes is None else replace(value, sizes=sizes)


def _sliced(value: Uniform, operands: Operands, attributes: Mapping[str, Any]) -> Uniform | None:
    starts, ends, axes, steps = map(_whole, (*operands, *(None,) * (4 - len(operands))))
    if (
        starts is None or ends is None or (axes is None, steps is None) != tuple(at >= len(operands) for at in (2, 3))
    ):  # something is not known
        return None
    sizes = list(value.sizes)
    for at, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis, step = axes[at] if axes else at, steps[at] if steps else 1
        size = sizes[axis]
        if isinstance(size, int):
            sizes[axis] = len(range(size)[start:end:step])
        elif not (start == 0 and step == 1 and end >= END):
            return None
    return replace(value, sizes=tuple(sizes))


def _whole(values: Sequence[Size] | None) -> list[int] | None:
    """Plain numbers; None where one is not known."""
    found = [each for each in values or () if isinstance(each, int)]
    return found if values is not None and len(found) == len(values) else None


_RULES: dict[str, Callable[[Uniform, Operands, Mapping[str, Any]], Uniform | None]] = {
    "Identity": lambda value, operands, attributes: value,
    "Cast": _cast,
    "Transpose": _transposed,
    "Unsqueeze": _unsqueezed,
    "Squeeze": _squeezed,
    "Reshape": _reshaped,
    "Expand": _expanded,
    "Slice": _sliced,
}
