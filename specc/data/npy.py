"""Shapes and kinds of the arrays in a .npz or .npy file, from their headers alone and without numpy."""

from __future__ import annotations

import ast
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from specc.data.sources import DataProblem, MissingData

_MAGIC = b"\x93NUMPY"
_LARGEST_HEADER = 65_536
_LARGEST_LABELS = 32 * 2**20  # bytes of labels that are worth reading to count classes
_CODES = {("i", 1): "b", ("u", 1): "B", ("i", 2): "h", ("u", 2): "H", ("i", 4): "i", ("u", 4): "I"} | {
    ("i", 8): "q",
    ("u", 8): "Q",
}


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says: `kind` is numpy's letter (f i u b U …), `size` an element's bytes, `start` the offset."""

    shape: tuple[int, ...]
    kind: str
    size: int
    little: bool
    start: int

    @property
    def dtype(self) -> str:
        """The name people know it by: float32, int64, bool."""
        words = {"f": "float", "i": "int", "u": "uint", "c": "complex"}
        return "bool" if self.kind == "b" else f"{words.get(self.kind, self.kind)}{self.size * 8}"


def headers(path: Path) -> dict[str, Header]:
    """The header of every array by field name, in the file's order; a .npy file has the one field "".

    Raises:
        DataProblem: not such a file, cut short, or holding Python objects (which would need code to be read).
    """
    with _readable(path):
        if path.suffix.lower() == ".npy":
            with open(path, "rb") as file:
                return {"": _header(path, file, path.stat().st_size, "the array")}
        found: dict[str, Header] = {}
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                with archive.open(info) as file:
                    found[name] = _header(path, file, info.file_size, f"field {name!r}")
        return found


def labels(path: Path, field: str, header: Header) -> tuple[list[str], int] | None:
    """Names of the classes in an array of labels and the smallest label; None when it is too large to look through.

    Whole numbers give the names "0" to the largest, words give themselves in order (and 0).
    """
    length = math.prod(header.shape) * header.size
    if length > _LARGEST_LABELS or not (header.little or header.size == 1):
        return None
    data = _data(path, field, header, length)
    if header.kind == "U":
        text = data.decode("utf-32-le")
        width = header.size // 4
        return sorted({text[at : at + width].rstrip("\0") for at in range(0, len(text), width or 1)}), 0
    if header.kind == "b":
        return ["0", "1"], 0
    values = set(memoryview(data).cast("B").cast(_CODES[header.kind, header.size]))  # type: ignore[call-overload]
    if max(values) > 1_000_000:
        raise DataProblem(
            f"{_called(field)} holds the label {max(values)}, which no network has classes for",
            "number the classes from 0",
            path,
        )
    return [str(number) for number in range(max(values) + 1)], min(values)


def _data(path: Path, field: str, header: Header, length: int) -> bytes:
    with _readable(path):
        if not field:
            with open(path, "rb") as file:
                file.seek(header.start)
                return file.read(length)
        with zipfile.ZipFile(path) as archive, archive.open(_member(archive, field)) as file:
            file.read(header.start)
            return file.read(length)


def _member(archive: zipfile.ZipFile, field: str) -> str:
    return f"{field}.npy" if f"{field}.npy" in archive.namelist() else field


def _header(path: Path, file: IO[bytes], available: int, called: str) -> Header:
    start = file.read(8)
    if start[:6] != _MAGIC or len(start) < 8:
        raise DataProblem(f"{called} is not a numpy array", "save it with numpy.savez or numpy.save", path)
    width = 2 if start[6] == 1 else 4
    (length,) = struct.unpack("<H" if width == 2 else "<I", _exactly(file, width))
    if length > _LARGEST_HEADER:
        raise DataProblem(f"the header of {called} is {length} bytes long", "save the array again", path)
    try:
        said: Any = ast.literal_eval(_exactly(file, length).decode("utf-8" if start[6] >= 3 else "latin-1").strip())
        shape, descr = tuple(said["shape"]), said["descr"]
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
        raise DataProblem(f"the header of {called} cannot be read", "save the array again", path) from None
    header = _understood(path, called, shape, descr, 8 + width + length)
    if available < header.start + math.prod(header.shape) * header.size:
        raise DataProblem(f"{called} is cut short", "copy or save the file again", path)
    return header


def _understood(path: Path, called: str, shape: tuple[Any, ...], descr: Any, start: int) -> Header:
    match = re.fullmatch(r"([<>|=]?)([a-zA-Z])(\d*)(?:\[.*\])?", descr) if isinstance(descr, str) else None
    if match and match[2] == "O":
        raise DataProblem(
            f"{called} holds Python objects, and reading those can run code",
            "save it as an array of numbers: numpy.asarray(values, dtype='float32')",
            path,
        )
    if match is None or not match[3] or not all(type(axis) is int and axis >= 0 for axis in shape):
        raise DataProblem(f"{called} is not a plain array of numbers", "save each column as an array of its own", path)
    size = int(match[3]) * (4 if match[2] == "U" else 1)
    return Header(shape, match[2], size, match[1] != ">", start)


def _exactly(file: IO[bytes], length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise EOFError("the header is cut short")
    return data


def _called(field: str) -> str:
    return f"field {field!r}" if field else "the array"


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what the operating system and the zip reader raise into DataProblem."""
    try:
        yield
    except FileNotFoundError:
        raise MissingData("there is no such file", "check the path; it starts at the project's folder", path) from None
    except IsADirectoryError:
        raise DataProblem("this is a folder, not a file", "give the path of the file", path) from None
    except OSError as error:
        raise DataProblem(f"it cannot be read: {error.strerror or error}", "check its permissions", path) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise DataProblem(f"it is damaged or not a .npz file: {error}", "copy or save the file again", path) from error
