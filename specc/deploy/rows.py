"""Rows of tables and arrays from a stream as inputs, one at a time, so that what is piped in is answered at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from specc.data.schema import Schema
from specc.data.sources import DataProblem
from specc.deploy.described import Side
from specc.deploy.runtime import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Row = tuple[int, "Array | BadInput | DataProblem"]
_NPY: Final = b"\x93NUMPY"
_DELIMITERS: Final = ",;\t"


def rows(file: Iterable[str], side: Side, encoding: Mapping[str, Any]) -> Iterator[Row]:
    """Every row with its line: the input of one sample, or why it is none; the other rows do not suffer from it.

    `encoding` is that of the training data: a table with a header is read by its columns, else numbers are taken in
    order, and a first line of words is skipped.

    Raises:
        BadInput: a file that is no table.
    """
    lines = iter(file)
    try:
        first = next(lines, "")
        reader = csv.reader(_chained(first, lines), delimiter=max(_DELIMITERS, key=first.count))
        schema = Schema.from_json(encoding) if "columns" in encoding else None
        heads: list[str] | None = None
        for cells in reader:
            if not cells:
                continue
            if heads is None and (schema is not None or not all(map(_is_number, cells))):
                heads = [each.strip() for each in cells]
                continue
            yield reader.line_num, _row(side, schema, heads or [], cells)
    except UnicodeDecodeError:
        raise BadInput("it is neither UTF-8 text nor .npy", "save a table as CSV in UTF-8") from None
    except (OSError, csv.Error) as error:
        raise BadInput(f"it cannot be read: {error}") from None


def parquet(path: Path, side: Side, encoding: Mapping[str, Any]) -> Iterator[Row]:
    """`rows` of a Parquet file, counted from 1; needs polars."""
    from specc.data.parquet import rows as found

    schema = Schema.from_json(encoding) if "columns" in encoding else None
    try:
        for at, row in found(path):
            yield at, _row(side, schema, list(row), list(row.values()))
    except DataProblem as problem:
        raise BadInput(problem.message, problem.help) from None


def _row(side: Side, schema: Schema | None, heads: list[str], cells: list[str]) -> Array | BadInput | DataProblem:
    """The input of one sample, or why it is none."""
    try:
        return _numbers(side, cells) if schema is None else _named(schema, heads, cells)
    except (BadInput, DataProblem) as problem:
        return problem


def opened(stream: IO[bytes]) -> io.TextIOWrapper | Iterator[Array]:
    """A stream as the arrays in it (.npy, one after another) or as the text of a table."""
    start = stream.read(len(_NPY))
    if start == _NPY:
        return _arrays(start, stream)
    return io.TextIOWrapper(io.BufferedReader(_Joined(start, stream)), "utf-8-sig", newline="")


def _arrays(start: bytes, stream: IO[bytes]) -> Iterator[Array]:
    import numpy as np

    count = 0
    while start:
        try:
            yield np.lib.format.read_array(_Joined(start, stream), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise BadInput(f"array {count} cannot be read: {error}") from None
        start, count = stream.read(len(_NPY)), count + 1


def _named(schema: Schema, heads: list[str], cells: list[str]) -> Array:
    import numpy as np

    if len(cells) != len(heads):
        raise BadInput(f"the row has {len(cells)} values where the header has {len(heads)}")
    return np.array(schema.encode(dict(zip(heads, cells, strict=True))), np.float32)


def _numbers(side: Side, cells: list[str]) -> Array:
    import numpy as np

    wrong = next((cell for cell in cells if not _is_number(cell)), None)
    if wrong is not None:
        raise BadInput(f"{wrong!r} is not a number")
    if side.dtype == "float":
        return np.array([float(cell) for cell in cells], np.float32)
    part = next((cell for cell in cells if not float(cell).is_integer()), None)
    if part is not None:
        raise BadInput(f"{part!r} is not a whole number, and `{side.name}` takes those")
    return np.array([int(float(cell)) for cell in cells], np.int64)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


class _Joined(io.RawIOBase):
    """Bytes that were read already, and what follows them in a stream."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        super().__init__()
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data, self._start = self._start[: len(buffer)], self._start[len(buffer) :]
        if not data:
            read = getattr(self._rest, "read1", self._rest.read)  # what is there, without waiting for more
            data = read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
