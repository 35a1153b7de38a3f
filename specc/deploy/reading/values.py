"""What is known of a tensor of an ONNX graph before it runs: its numbers, or its sizes as formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specc.sizes.dim import Dim

Array = NDArray[Any]
CASTS = {1: "float", 6: "int", 7: "int", 9: "bool", 10: "float", 11: "float", 16: "float"}  # ONNX's numbers of types
NUMPY = {"float": np.float32, "int": np.int64, "bool": np.bool_}


@dataclass(frozen=True, slots=True)
class Known:
    """Numbers that stand in the file, or follow from them. `name` is the initialiser's, "" for what was computed."""

    array: Array
    name: str = ""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Whole numbers of which some are formulas of sizes that are not known: an array of objects, rank 0 or 1."""

    array: Array


def as_sizes(value: Known | Sizes) -> Array:
    """Either as an array of ints and Dims."""
    if isinstance(value, Sizes):
        return value.array
    found = np.empty(value.array.shape, dtype=object)
    for at in np.ndindex(value.array.shape):
        found[at] = _whole(value.array[at])
    return found


def _whole(number: Any) -> Any:
    """An int where it is one; reals that are none stay."""
    plain = number.item() if hasattr(number, "item") else number
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def reckoned(kind: str, values: list[Array], attributes: dict[str, Any]) -> Array | None:
    """What an operator makes of sizes; None for one that does not reckon with them."""
    rule = _RULES.get(kind)
    return None if rule is None else rule(values, attributes)


def sized(array: Array) -> Known | Sizes:
    """Sizes, or plain numbers where none is a formula."""
    if any(isinstance(each, Dim) for each in array.reshape(-1)):
        return Sizes(array)
    return Known(np.array(array.tolist(), dtype=np.int64).reshape(array.shape))


def shortened(value: Any) -> Any:
    """A number as short as single precision tells it apart: 0.009999999776 is 0.01."""
    if not isinstance(value, float | np.floating) or not np.isfinite(value):
        return value
    short = float(np.format_float_positional(np.float32(value), unique=True))
    return int(short) if short.is_integer() and abs(short) < 2**24 else short


def _object(value: Any) -> Array:
    """An array of objects, rank 0 for one."""
    if isinstance(value, np.ndarray):
        return value
    found = np.empty((), dtype=object)
    found[()] = value
    return found


def _axes(values: list[Array], attributes: dict[str, Any], at: int = 1) -> tuple[int, ...] | None:
    if len(values) > at:
        return tuple(int(each) for each in values[at].reshape(-1))
    found = attributes.get("axes")
    return None if found is None else tuple(found)


def _slice(values: list[Array], attributes: dict[str, Any]) -> Array:
    data = values[0]
    starts, ends = (values[at] if len(values) > at else np.array(attributes[name])
                    for at, name in ((1, "starts"), (2, "ends")))  # fmt: skip
    step = int(values[4][0]) if len(values) > 4 else 1
    return data[int(starts[0]) : min(int(ends[0]), 2**31) : step]


def _divide(values: list[Array], attributes: dict[str, Any]) -> Array:
    return _object(values[0] // values[1])


def _unsqueezed(values: list[Array], attributes: dict[str, Any]) -> Array:
    return np.expand_dims(values[0], _axes(values, attributes) or (0,))


def _reduced(values: list[Array], attributes: dict[str, Any]) -> Array:
    found = _object(np.prod(values[0].reshape(-1)))
    return found.reshape(1) if attributes.get("keepdims", 1) else found


def _same(values: list[Array], attributes: dict[str, Any]) -> Array:
    return values[0]


_RULES: dict[str, Callable[[list[Array], dict[str, Any]], Array | None]] = {
    "Gather": lambda values, attributes: _object(values[0][values[1].astype(np.int64)]),
    "Slice": _slice,
    "Concat": lambda values, attributes: np.concatenate(values),
    "Unsqueeze": _unsqueezed,
    "Squeeze": lambda values, attributes: values[0].reshape(()) if values[0].size == 1 else values[0],
    "Reshape": lambda values, attributes: values[0].reshape([int(each) for each in values[1]]),
    "Cast": _same,
    "CastLike": _same,
    "Identity": _same,
    "Floor": _same,
    "Add": lambda values, attributes: _object(values[0] + values[1]),
    "Sub": lambda values, attributes: _object(values[0] - values[1]),
    "Mul": lambda values, attributes: _object(values[0] * values[1]),
    "Div": _divide,
    "Neg": lambda values, attributes: _object(-values[0]),
    "Mod": lambda values, attributes: None if attributes.get("fmod", 0) else _object(values[0] % values[1]),
    "ReduceProd": _reduced,
}
