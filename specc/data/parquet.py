"""Rows of a Parquet file as text by column name, so that a table is read by one set of rules; the only file with polars."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from specc.data.sources import DataProblem, MissingData

SUFFIX = ".parquet"


def rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Every row with its number from 1; a value that is missing is an empty text."""
    try:
        import polars
    except ImportError:
        raise DataProblem("reading Parquet needs polars", 'pip install "specc[tables]"', path) from None
    if not path.exists():
        raise MissingData("there is no such file", "check the path; it starts at the project's folder", path)
    if path.is_dir():
        raise DataProblem("this is a folder, not a file", "give the path of the file", path)
    try:
        frame = polars.read_parquet(path, use_pyarrow=False)
    except Exception as error:  # polars raises its own kinds, and those of its engine
        message = f"it is no Parquet file, or damaged: {str(error).splitlines()[0]}"
        raise DataProblem(message, "save it again", path) from error
    for name, kind in frame.schema.items():
        if not (kind.is_numeric() or kind in (polars.String, polars.Boolean, polars.Categorical, polars.Enum)):
            raise DataProblem(f"column {name} is of the type {kind}", "save numbers, words, or true and false", path)
    if not frame.height:
        raise DataProblem("there are no rows in it", "", path)
    for at, row in enumerate(frame.iter_rows(named=True), 1):
        yield at, {name: _text(value) for name, value in row.items()}


def _text(value: Any) -> str:
    """A number as Python writes it, which reads back as it was; words as they are."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)
