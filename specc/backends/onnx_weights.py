"""Where the weights of an ONNX file come from: one tensor at a time, by its state-dict key, never all in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from specc.backends.onnx_proto import ITEM_BYTES, Kind
from specc.backends.weight_files import CHUNK, Stored, WeightFile, WeightProblem, chunks_of, kind_of, widened
from specc.backends.weight_keys import disagreements, match, report
from specc.catalogue.op import Dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specc.model.graph import Model

__all__ = ["CHUNK", "Arrays", "Stored", "WeightFile", "WeightProblem", "WeightSource", "check", "length", "locate"]


class WeightSource(Protocol):
    """Tensors by state-dict key, read when they are asked for."""

    @property
    def name(self) -> str:
        """What people call it: a file's name."""

    def keys(self) -> tuple[str, ...]: ...

    def stored(self, key: str) -> Stored: ...

    def chunks(self, key: str, dtype: Dtype) -> Iterator[memoryview]:
        """The bytes as `dtype`, little-endian and row-major; each piece is good until the next is asked for."""

    def array(self, key: str) -> NDArray[Any]:
        """The whole tensor as float32, int64 or bool, the caller's to change."""


class Arrays:
    """Weights that are numpy arrays already, by key."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], name: str = "memory") -> None:
        self._arrays = arrays
        self.name = name

    def keys(self) -> tuple[str, ...]:
        return tuple(self._arrays)

    def stored(self, key: str) -> Stored:
        array = self._arrays[key]
        kind = {"f": "F", "i": "I", "u": "U", "b": "BOOL"}.get(array.dtype.kind, "?")
        return Stored(kind if kind in "BOOL?" else f"{kind}{array.dtype.itemsize * 8}", tuple(array.shape))

    def chunks(self, key: str, dtype: Dtype) -> Iterator[memoryview]:
        yield from chunks_of(widened(self._arrays[key], self.stored(key).dtype, dtype))

    def array(self, key: str) -> NDArray[Any]:
        kind = self.stored(key).dtype
        return widened(self._arrays[key], kind, kind_of(kind)).copy()


def check(model: Model, source: WeightSource) -> None:
    """Refuse weights that are not those of the model: missing, unexpected or of another shape or type.

    A key that shares its tensor with another may be left out, as safetensors does.

    Raises:
        WeightProblem: with the faults of each kind, the nearest names beside those that are missing.
    """
    for weight in model.weights:
        if not all(isinstance(size, int) for size in weight.spec.shape):
            said = ", ".join(map(str, weight.spec.shape))
            raise WeightProblem(f"`{weight.key}` has a size that is not known: [{said}]", "bind it with --size")
    found = match(model, source)
    if not found.faults:
        found = replace(found, faults=tuple(disagreements(model, source, found)))
    if found.faults:
        raise report(model, source, found)


def locate(model: Model, source: WeightSource) -> dict[str, str]:
    """For each state-dict key the key under which the source holds it: its own, or one that shares its tensor."""
    return dict(match(model, source).places)


def length(dtype: Kind, shape: tuple[int, ...]) -> int:
    """How many bytes a tensor takes."""
    return math.prod(shape) * ITEM_BYTES[dtype]
