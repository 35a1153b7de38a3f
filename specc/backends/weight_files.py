"""Files of weights, read without torch, and with nothing in them run: what is where is known before a tensor is read.

A safetensors file says so in JSON (https://huggingface.co/docs/safetensors), one of `torch.save` in a pickle that
`weight_torch` reads without making its objects. Every length is held against the file before it is believed.
"""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from specc.catalogue.op import Dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK: Final = 1 << 20
_LARGEST_HEADER: Final = 16 << 20
_SAME: Final[dict[str, Dtype]] = {"F32": "float", "I64": "int", "BOOL": "bool"}
_NUMPY: Final[dict[str, str]] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "BOOL": "|b1",
    **{f"{kind}{size * 8}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}
_WIDE: Final[dict[Dtype, str]] = {"float": "<f4", "int": "<i8", "bool": "?"}
_ZIP, _PICKLES = b"PK\x03\x04", (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_AGAIN = "copy or save the file again"


class WeightProblem(Exception):
    """Weights that cannot be used: the fact in a sentence, what to do about it, and the slug of its page."""

    def __init__(self, message: str, help: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.code = code


@dataclass(frozen=True, slots=True)
class Stored:
    """How a tensor is stored: safetensors' name of its element type ("" for what is no tensor), and its shape."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """A tensor's bytes in its file, from `begin` to `end`; `strides` are in elements, None where it is row-major."""

    stored: Stored
    begin: int
    end: int
    strides: tuple[int, ...] | None = None


class WeightFile:
    """The tensors of a safetensors file, or of one that `torch.save` wrote; only what says where they are is read.

    `remarks` are sentences about what was understood of it, `entry` that of a dictionary of several.

    Raises:
        WeightProblem: `missing-weights` or `bad-weights`.

    Example:
        source = WeightFile("resnet18.safetensors")
        source.stored("fc.weight")  ->  Stored("F32", (1000, 512))
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.name = shown(self.path.name)
        self.remarks: tuple[str, ...] = ()
        self._regions: dict[str, Region] = {}
        self._file = _opened(self.path)
        try:
            self._read_index()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        self._file.close()

    def keys(self) -> tuple[str, ...]:
        return tuple(self._regions)

    def stored(self, key: str) -> Stored:
        return self._regions[key].stored

    def chunks(self, key: str, dtype: Dtype) -> Iterator[memoryview]:
        region = self._regions[key]
        if _SAME.get(region.stored.dtype) != dtype or region.strides is not None:
            yield from chunks_of(widened(self._whole(key), region.stored.dtype, dtype))
            return
        left = region.end - region.begin
        buffer = memoryview(bytearray(min(CHUNK, left)))
        at = region.begin
        while left:
            self._file.seek(at)
            got = self._file.readinto(buffer[: min(left, CHUNK)])  # type: ignore[attr-defined]
            if not got:
                raise self._cut_short(key)
            yield buffer[:got]
            left, at = left - got, at + got

    def array(self, key: str) -> NDArray[Any]:
        dtype = self._regions[key].stored.dtype
        return widened(self._whole(key), dtype, kind_of(dtype))

    def _whole(self, key: str) -> NDArray[Any]:
        import numpy as np

        region = self._regions[key]
        data = np.empty(region.end - region.begin, dtype=np.uint8)
        self._file.seek(region.begin)
        view, at = memoryview(data.data), 0
        while at < len(view):
            got = self._file.readinto(view[at:])  # type: ignore[attr-defined]
            if not got:
                raise self._cut_short(key)
            at += got
        array = data.view(_NUMPY[region.stored.dtype])
        if region.strides is None:
            return array.reshape(region.stored.shape)
        steps = [step * array.itemsize for step in region.strides]
        return np.lib.stride_tricks.as_strided(array, region.stored.shape, steps, writeable=False)

    def _cut_short(self, key: str) -> WeightProblem:
        return WeightProblem(f"{self.name} is cut short at {shown(key)}", _AGAIN, "bad-weights")

    def _read_index(self) -> None:
        size = self.path.stat().st_size
        head = self._file.read(4)
        self._file.seek(0)
        if head[:1] == b"{" and 0 not in head:  # a safetensors file begins with a number, whose upper bytes are 0
            help = "an index stands for several files: load them where you trust it and save one .safetensors file"
            raise WeightProblem(f"{self.name} is a text in JSON, not weights", help, "bad-weights")
        try:
            if head == _ZIP or head[:2] in _PICKLES:
                from specc.backends import weight_torch

                read = weight_torch.of_zip if head == _ZIP else weight_torch.of_pickles
                self._regions, self.remarks = read(self._file, size, self.name)
            else:
                self._regions = _safetensors(self._file, size)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, OSError) as error:
            kind = "a file of torch.save" if head == _ZIP or head[:2] in _PICKLES else "a safetensors file"
            help = "give a .safetensors file, or the .pth of a state-dict; a file that was cut short is copied again"
            said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__} {error}"
            raise WeightProblem(f"{self.name} is not {kind}: {said[:200]}", help, "bad-weights") from None


def shown(name: str) -> str:
    """A name out of a file as it is safe to print: one line, no control characters, not without end."""
    clean = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name[:120])
    return clean if len(clean) <= 100 else clean[:97] + "…"


def readable(dtype: str) -> bool:
    """Whether specc can make numbers of this element type."""
    return dtype in _NUMPY


def kind_of(dtype: str) -> Dtype:
    """The kind of number that an element type is read as."""
    return "bool" if dtype == "BOOL" else "int" if dtype[:1] in ("I", "U") else "float"


def item_bytes(dtype: str) -> int:
    """How many bytes an element takes."""
    return int(_NUMPY[dtype][2:])


def widened(array: NDArray[Any], stored: str, dtype: Dtype) -> NDArray[Any]:
    """The array in the element type that ONNX gets; brain floats are the upper half of a float32."""
    import numpy as np

    if stored == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(array, dtype=_WIDE[dtype], order="C")


def chunks_of(array: NDArray[Any]) -> Iterator[memoryview]:
    """The bytes of an array in pieces."""
    flat = memoryview(array.reshape(-1).view("u1").data)
    for at in range(0, len(flat), CHUNK):
        yield flat[at : at + CHUNK]


def _opened(path: Path) -> IO[bytes]:
    try:
        mode = path.stat().st_mode  # before opening: a pipe would wait for someone to write
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "not an ordinary file"
            raise WeightProblem(f"{path} is {what}", "give the path of a .safetensors file", "bad-weights")
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        help = "paths in a spec start at the project's folder"
        raise WeightProblem(f"there is no file {path}", help, "missing-weights") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise WeightProblem(f"cannot read the weights {path}: {reason}", "check the path", "bad-weights") from None
    except ValueError:  # a path with a NUL
        raise WeightProblem(f"{shown(str(path))!r} is not a path", "", "bad-weights") from None


def exactly(file: IO[bytes], count: int) -> bytes:
    """So many bytes, whatever pieces they come in; ValueError where there are not so many."""
    data = bytearray()
    while len(data) < count:
        piece = file.read(count - len(data))
        if not piece:
            raise ValueError("it is cut short")
        data += piece
    return bytes(data)


# ---------------------------------------------------------------------------------------------------- safetensors
def _safetensors(file: IO[bytes], size: int) -> dict[str, Region]:
    """The regions that the header states; they must fill the file without gap or overlap, as the format asks."""
    if size < 8:
        raise ValueError("its header is cut short")
    count = int.from_bytes(exactly(file, 8), "little")
    if count > size - 8:
        raise ValueError("its header is cut short")
    if count > _LARGEST_HEADER:
        raise ValueError(f"its header has {count} bytes")
    said = json.loads(exactly(file, count).decode("utf-8"), object_pairs_hook=_unrepeated)
    if not isinstance(said, dict):
        raise ValueError("its header is no dictionary")
    said.pop("__metadata__", None)
    start = 8 + count
    found = {key: _region(key, each, start, size) for key, each in said.items()}
    at = start
    for begin, end, key in sorted((each.begin, each.end, key) for key, each in found.items()):
        if begin != at:
            raise ValueError(f"the place of {shown(key)} is wrong")
        at = end
    if at != size:
        raise ValueError(f"it has {size - at} bytes more than its tensors")
    return found


def _region(key: str, each: Any, start: int, size: int) -> Region:
    dtype, shape, (begin, end) = each["dtype"], each["shape"], each["data_offsets"]
    numbers = [*shape, begin, end]
    if type(dtype) is not str or not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
        raise ValueError(f"what it says of {shown(key)} makes no sense")
    if len(shape) > 64 or not begin <= end <= size - start:
        raise ValueError(f"the place of {shown(key)} is wrong")
    if readable(dtype) and end - begin != math.prod(shape) * item_bytes(dtype):
        raise ValueError(f"{shown(key)} has {end - begin} bytes, which is not {shape} of {dtype}")
    return Region(Stored(dtype, tuple(shape)), start + begin, start + end)


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in its header")
    return found
