"""Places that are reckoned from the batch. PyTorch's exporter writes a view with strides as reading a flat tensor at such
places; where they count up, that is a reshape, and the batch stays whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx.reference import ReferenceEvaluator

from specc.deploy.reading.file import Node
from specc.deploy.reading.values import Array, Known, Sizes
from specc.deploy.reading.view import BATCH
from specc.sizes.dim import Dim, Size, evaluate

RECKONS = frozenset(
    ["Add", "Cast", "CastLike", "Expand", "Identity", "Mul", "Reshape", "Sub", "Squeeze", "Transpose", "Unsqueeze"]
)
TRIED = (2, 3, 5)  # batches


@dataclass(frozen=True, slots=True)
class Places:
    """Whole numbers that follow from the batch alone: `at` gives those of a batch."""

    at: Callable[[int], Array]


def reckoned_places(node: Node, values: Sequence[Any]) -> Places | None:
    """What a node makes of the batch, where it counts by it or reckons on; None for all else."""
    counts = node.kind == "Range" and any(isinstance(each, Sizes) for each in values)
    goes_on = node.kind in RECKONS and any(isinstance(each, Places) for each in values)
    if not (counts or goes_on) or not all(_follows(each) for each in values):
        return None

    def at(batch: int) -> Array:
        given = {name: _at(value, batch) for name, value in zip(node.inputs, values, strict=True) if name}
        (found,) = ReferenceEvaluator(node.proto).run(None, given)
        return np.asarray(found)

    return Places(at)


def in_order(places: Places) -> tuple[Size, ...] | None:
    """The sizes of places that are 0, 1, 2 … in their order, with the batch among them; None where they are not."""
    found = [places.at(batch) for batch in TRIED]
    if any(not np.array_equal(each.reshape(-1), np.arange(each.size)) for each in found):
        return None
    sizes: list[Size] = []
    for across in zip(*(each.shape for each in found), strict=True):
        if across == TRIED:
            sizes.append(BATCH)
        elif len(set(across)) == 1:
            sizes.append(int(across[0]))
        else:
            return None
    return tuple(sizes)


def _follows(value: Any) -> bool:
    """Whether it is known once the batch is; None is an input that is left out."""
    if isinstance(value, Sizes):
        symbols = {symbol for each in value.array.reshape(-1) if isinstance(each, Dim) for symbol in each.symbols}
        return symbols <= BATCH.symbols
    return value is None or isinstance(value, Known | Places)


def _at(value: Any, batch: int) -> Array:
    if isinstance(value, Places):
        return value.at(batch)
    if isinstance(value, Known):
        return value.array
    flat = [evaluate(each, {str(BATCH): batch}) for each in value.array.reshape(-1)]
    return np.array(flat, np.int64).reshape(value.array.shape)
