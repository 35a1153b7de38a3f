"""Causal masks: a constant that is one number up to a diagonal and another beyond it is written with `arange`.

As a tensor of the network's own it would count as a parameter, be trained, and hide what it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from specc.catalogue.ops.arithmetic import Add, Comparison, Greater, GreaterEqual, LessEqual
from specc.catalogue.ops.choose import Cast, Select
from specc.catalogue.ops.constants import Arange, Zeros
from specc.catalogue.ops.pointwise import And, Log
from specc.catalogue.ops.shape import Reshape
from specc.deploy.reading.values import Array
from specc.deploy.reading.view import View, plain
from specc.sizes.dim import Size

if TYPE_CHECKING:
    from specc.deploy.reading.reader import Reading

MASKED = -1000.0  # a number that is added from here on down leaves nothing of what a softmax sees
LEAST = 9  # ones and zeros that are taken for a mask


@dataclass(frozen=True, slots=True)
class Triangle:
    """`inside` where column - row <= `diagonal`, else `outside`."""

    diagonal: int
    inside: float
    outside: float


def triangle(array: Array) -> Triangle | None:
    """What a mask says, if it is one of true and false, of 1 and 0, or of 0 and what a softmax makes 0; None for others."""
    *ahead, rows, columns = (1, 1, *array.shape)
    if min(rows, columns) < 2 or any(each != 1 for each in ahead) or array.dtype.kind not in "bf":
        return None
    table = array.reshape(rows, columns)
    inside, outside = table[-1, 0].item(), table[0, -1].item()
    if inside == outside or (array.dtype.kind == "f" and not _is_mask(inside, outside, rows * columns)):
        return None
    row, column = np.nonzero(table == inside)
    diagonal = int((column - row).max())
    if not np.array_equal(table, np.where(np.tri(rows, columns, diagonal, dtype=bool), inside, outside)):
        return None
    return Triangle(diagonal, inside, outside)


def _is_mask(inside: float, outside: float, numbers: int) -> bool:
    """Whether it masks what is beyond the diagonal; a few ones and zeros may as well have been learnt."""
    return (inside == 0 and outside <= MASKED) or ({inside, outside} == {0, 1} and numbers >= LEAST)


def causal(n: Reading, array: Array) -> View | None:
    """The steps that make such a mask, in the array's shape."""
    found = triangle(array)
    if found is None:
        return None
    beyond = found.outside == 1  # which is True, too
    mask = _sides(n, tuple(array.shape), found.diagonal, Greater if beyond else LessEqual)
    if array.dtype.kind == "b":
        return mask
    if found.outside > MASKED or np.isinf(found.outside):
        (number,) = n.add(Cast, {"to": "float"}, mask)
        return number if found.outside > MASKED else n.add(Log, {}, number)[0]  # there is no word for -infinity
    (zeros,) = n.add(Zeros, {"size": tuple(array.shape)}, axes=plain(array.shape, False))
    return n.add(Select, {"other": found.outside}, mask, zeros)[0]


def triangular(n: Reading) -> None:
    """What lies on one side of a diagonal is kept, the rest is 0."""
    x = n.view(0)
    n.owns(x, (-2, -1))
    diagonal = int(n.known(1, "diagonal").reshape(-1)[0]) if n.has(1) else 0
    shape = (*(1 for _ in x.type.shape[:-2]), *x.type.shape[-2:])
    mask = _sides(n, shape, diagonal, GreaterEqual if n.attribute("upper", 1) else LessEqual)
    n.give(*(n.add(And, {}, mask, x) if x.type.dtype == "bool" else n.add(Select, {"other": 0}, mask, x)))


def _sides(n: Reading, shape: tuple[Size, ...], diagonal: int, compared: type[Comparison]) -> View:
    """True where column - row compares so with the diagonal; the shape is 1 but for its last two axes."""
    *ahead, rows, columns = shape
    across = _reshaped(n, columns, (*ahead, 1, columns))
    down = _reshaped(n, rows, (*ahead, rows, 1))
    if diagonal:
        (down,) = n.add(Add, {"right": diagonal}, down)
    return n.add(compared, {}, across, down)[0]


def _reshaped(n: Reading, size: Size, shape: tuple[Size, ...]) -> View:
    (numbers,) = n.add(Arange, {"size": size})
    return n.add(Reshape, {"shape": shape}, numbers, axes=plain(shape, False))[0]


READERS = {"Trilu": triangular}
