"""Where the weights of an ONNX file come from: one tensor at a time, by its state-dict key, never all in memory.

A safetensors file is read through a small buffer without torch, numpy or the safetensors package
(format: https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from specc.backends.onnx_proto import ITEM_BYTES
from specc.catalogue.op import Dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specc.model.graph import Model, Weight

CHUNK: Final = 1 << 20
_MOST_HEADER = 100_000_000
_SAME: Final[dict[str, Dtype]] = {"F32": "float", "I64": "int", "BOOL": "bool"}
_NUMPY: Final[dict[str, str]] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "BOOL": "?",
    **{f"{kind}{size * 8}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}
_WIDE: Final[dict[Dtype, str]] = {"float": "<f4", "int": "<i8", "bool": "?"}


class WeightProblem(Exception):
    """Weights that cannot be used: the fact in a sentence, and what to do about it."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


@dataclass(frozen=True, slots=True)
class Stored:
    """How a tensor is stored: safetensors' name of its element type, and its shape."""

    dtype: str
    shape: tuple[int, ...]


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
        """The whole tensor as float32, int64 or bool."""


class SafetensorsFile:
    """The tensors of a safetensors file; only the header is read at once.

    Raises:
        WeightProblem: no such file, or not a safetensors file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.name = self.path.name
        try:
            self._file = open(self.path, "rb", buffering=0)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise WeightProblem(f"cannot read the weights {self.name}: {error.strerror or error}") from error
        try:
            self._start, self._header = _header(self._file, self.path.stat().st_size)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._file.close()
            raise WeightProblem(
                f"{self.name} is not a safetensors file: {error}", "give a file that ends in .safetensors"
            ) from None

    def close(self) -> None:
        self._file.close()

    def keys(self) -> tuple[str, ...]:
        return tuple(self._header)

    def stored(self, key: str) -> Stored:
        return self._header[key][0]

    def chunks(self, key: str, dtype: Dtype) -> Iterator[memoryview]:
        stored, begin, end = self._header[key]
        if _SAME.get(stored.dtype) != dtype:
            yield from _chunks_of(_widened(self._whole(key), stored.dtype, dtype))
            return
        buffer = memoryview(bytearray(min(CHUNK, end - begin)))
        self._file.seek(self._start + begin)
        left = end - begin
        while left:
            got = self._file.readinto(buffer[: min(left, CHUNK)])
            if not got:
                raise WeightProblem(f"{self.name} is cut short at {key}", "copy or save the file again")
            yield buffer[:got]
            left -= got

    def array(self, key: str) -> NDArray[Any]:
        stored = self.stored(key)
        return _widened(self._whole(key), stored.dtype, _kind(stored.dtype))

    def _whole(self, key: str) -> NDArray[Any]:
        import numpy as np

        stored, begin, end = self._header[key]
        self._file.seek(self._start + begin)
        data = np.empty(end - begin, dtype=np.uint8)
        view, at = memoryview(data.data), 0
        while at < len(view):
            got = self._file.readinto(view[at:])
            if not got:
                raise WeightProblem(f"{self.name} is cut short at {key}", "copy or save the file again")
            at += got
        return data.view(_NUMPY[stored.dtype]).reshape(stored.shape)


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
        yield from _chunks_of(_widened(self._arrays[key], self.stored(key).dtype, dtype))

    def array(self, key: str) -> NDArray[Any]:
        kind = self.stored(key).dtype
        return _widened(self._arrays[key], kind, _kind(kind))


def check(model: Model, source: WeightSource) -> None:
    """Refuse weights that are not those of the model: missing, unexpected or of another shape or type.

    A key that shares its tensor with another may be left out, as safetensors does.

    Raises:
        WeightProblem: with every fault, the nearest names beside those that are missing.
    """
    places, wanted = locate(model, source), {weight.key for weight in model.weights}
    unexpected = [key for key in source.keys() if key not in wanted]  # noqa: SIM118 - not a dict
    faults = []
    for weight in model.weights:
        if weight.key in places:
            faults += _misfit(weight, source.stored(places[weight.key]))
        else:
            near = get_close_matches(weight.key, unexpected, n=1, cutoff=0.6)
            faults.append(f"{weight.key} is missing" + (f" (there is {near[0]})" if near else ""))
    faults += [f"{key} is not a weight of {model.name}" for key in unexpected]
    if faults:
        more = f"\nand {len(faults) - 10} more" if len(faults) > 10 else ""
        raise WeightProblem(
            f"the weights of {model.name} are not those in {source.name}:\n" + "\n".join(faults[:10]) + more,
            "the keys are the paths of the labels; `specc check --format json` lists them under state_dict",
        )


def locate(model: Model, source: WeightSource) -> dict[str, str]:
    """For each state-dict key the key under which the source holds it: its own, or one that shares its tensor."""
    keys = set(source.keys())
    owners = {weight.key: weight.tied or weight.key for weight in model.weights}
    held = {owners[key]: key for key in owners if key in keys}
    return {key: key if key in keys else held[owner] for key, owner in owners.items() if key in keys or owner in held}


def _misfit(weight: Weight, stored: Stored) -> list[str]:
    shape = [int(size) for size in weight.spec.shape if isinstance(size, int)]
    if len(shape) != len(weight.spec.shape):
        said = ", ".join(map(str, weight.spec.shape))
        return [f"{weight.key} has a size that is not known: [{said}]; bind it with --size"]
    if list(stored.shape) != shape:
        return [f"{weight.key} is {list(stored.shape)}, the spec says {shape}"]
    if stored.dtype not in _NUMPY or _kind(stored.dtype) != weight.spec.dtype:
        return [f"{weight.key} is stored as {stored.dtype}, the spec says {weight.spec.dtype}"]
    return []


def _kind(stored: str) -> Dtype:
    return "bool" if stored == "BOOL" else "int" if stored[0] in "IU" else "float"


def _widened(array: NDArray[Any], stored: str, dtype: Dtype) -> NDArray[Any]:
    """The array in the element type that ONNX gets; brain floats are the upper half of a float32."""
    import numpy as np

    if stored == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(array, dtype=_WIDE[dtype], order="C")


def _chunks_of(array: NDArray[Any]) -> Iterator[memoryview]:
    flat = memoryview(array.reshape(-1).view("u1").data)
    for at in range(0, len(flat), CHUNK):
        yield flat[at : at + CHUNK]


def length(dtype: Dtype, shape: tuple[int, ...]) -> int:
    """How many bytes a tensor takes."""
    return math.prod(shape) * ITEM_BYTES[dtype]


def _header(file: Any, size: int) -> tuple[int, dict[str, tuple[Stored, int, int]]]:
    """Where the data start, and per tensor what is stored from where to where, counted from there."""
    head = file.read(8)
    count = int.from_bytes(head, "little")
    if len(head) < 8 or count > min(_MOST_HEADER, size - 8):
        raise ValueError("its header is cut short")
    said = json.loads(file.read(count))
    found = {}
    for key, each in said.items():
        if key == "__metadata__":
            continue
        stored = Stored(str(each["dtype"]), tuple(int(axis) for axis in each["shape"]))
        begin, end = (int(offset) for offset in each["data_offsets"])
        bits = _NUMPY.get(stored.dtype)
        item = int(bits[2:]) if bits and bits != "?" else 1
        if not 0 <= begin <= end <= size - 8 - count or (bits and end - begin != math.prod(stored.shape) * item):
            raise ValueError(f"the place of {key} is wrong")
        found[key] = (stored, begin, end)
    return 8 + count, found
