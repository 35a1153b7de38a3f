"""Values in words, for messages, and as they would be written in a spec."""

from __future__ import annotations

from typing import Any

from specc.model.elaborate.scope import (
    LAYERS,
    BlockValue,
    Builtin,
    Function,
    OpName,
    Ratio,
    TensorList,
    TensorRef,
    WeightRef,
    Word,
)
from specc.sizes.conditions import Predicate
from specc.sizes.dim import Dim

SHOWN = 20


def say(value: Any) -> str:
    """A value in words, for messages."""
    if isinstance(value, Word):
        return f"the word `{value}`"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {spell(value)}"
    if isinstance(value, Dim):
        return f"the size {spell(value)}, which is not known yet"
    if isinstance(value, str):
        return f"the text {spell(value)}"
    if isinstance(value, tuple | range):
        return _spell_list(value)
    if isinstance(value, TensorRef):
        return f"a tensor of shape {say(value.type.shape)}" if value.type else "a tensor"
    if isinstance(value, TensorList):
        return f"a list of {len(value.items)} tensors"
    if isinstance(value, BlockValue):
        return f"the block `{value.definition.name}`"
    if isinstance(value, OpName):
        return f"the operator `{value.kind.name}`"
    if isinstance(value, Function | Builtin):
        return "a function"
    if isinstance(value, LAYERS):
        return "a layer"
    if isinstance(value, Ratio):
        return f"`{spell(value)}`, which need not be a whole number"
    if isinstance(value, WeightRef):
        return f"the weight `{value.name}`"
    return "none" if value is None else "a condition on sizes" if isinstance(value, Predicate) else "something else"


def spell(value: Any) -> str:
    """A plain value as it would be written in a spec."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _cut(str(value)) if isinstance(value, Word) else f'"{_cut(value)}"'
    if isinstance(value, Ratio):
        return _cut(str(value))
    return _cut(str(value)) if isinstance(value, int | float | Dim) else say(value)


def _spell_list(value: tuple[Any, ...] | range) -> str:
    """A list; of a long one the beginning, of one deep inside only how many it holds."""
    first: tuple[Any, ...] = tuple(value[:SHOWN])
    shown = [f"[… {len(each)} items]" if _nests(each) else spell(each) for each in first]
    more = [f"… {len(value) - SHOWN} more"] if len(value) > SHOWN else []
    return "[" + ", ".join([*shown, *more]) + "]"


def _nests(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(each, tuple) for each in value[:SHOWN])


def _cut(text: str) -> str:
    """A text short enough for a message."""
    return text if len(text) <= 4 * SHOWN else f"{text[: 3 * SHOWN]}… ({len(text)} characters)"
