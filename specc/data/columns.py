"""What is known of samples besides inputs and target: their names, and columns such as the patient; without numpy."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from specc.data.shares import PARTS, SKIPPED
from specc.data.sources import DataProblem, MissingData

SAMPLES = "samples.csv"


def column(source: Any, name: str, values: bool = True) -> Sequence[object]:
    """A column of a source, a value per sample; raises DataProblem. Without `values`, whether it is there at all."""
    find = getattr(source, "column" if values else "check_column", getattr(source, "column", None))
    if find is None:
        raise DataProblem(f"these data have no column {name}", "table, arrays, images and volumes can have one")
    found: Sequence[object] = find(name) or ()
    return found


def sample_names(source: Any, count: int) -> Sequence[str]:
    """How samples are called: by their files, else by their numbers from 0 on."""
    find = getattr(source, "sample_names", None)
    return find() if find is not None else [str(at) for at in range(count)]


def listed(folder: Path, names: Sequence[str], wanted: str) -> list[str]:
    """A column of samples.csv in a folder of files, by the names of the samples in its column `sample`."""
    path = folder / SAMPLES
    found: dict[str, str] = {}
    for line, row in rows(path, ("sample", wanted)):
        if row["sample"] not in names:
            raise DataProblem(f"there is no sample {row['sample']}", f"such as {names[0]}", path, line)
        if row["sample"] in found:
            raise DataProblem(f"the sample {row['sample']} stands here twice", "remove one line", path, line)
        found[row["sample"]] = row[wanted]
    for name in names:
        if name not in found:
            raise DataProblem(f"the sample {name} is not in it", "give every sample a line", path)
    return [found[name] for name in names]


def assigned(path: Path, names: Sequence[str]) -> tuple[list[str], bool]:
    """The part of every sample as a file of folds says, or its fold as a text; whether they are folds.

    Raises DataProblem with the line: an unknown sample, one that is there twice or not at all, a part of no such name.
    """
    place = {name: at for at, name in enumerate(names)}
    found = [""] * len(names)
    kind = ""
    for line, row in rows(path, ("sample",)):
        kind = kind or next((each for each in ("part", "fold") if each in row), "")
        if not kind:
            raise DataProblem("there is no column part and no column fold", "the columns are sample, part", path, 1)
        at = place.get(row["sample"], -1)
        if at < 0:
            raise DataProblem(f"the data have no sample {row['sample']}", f"such as {names[0]}", path, line)
        if found[at]:
            raise DataProblem(f"the sample {row['sample']} stands here twice", "remove one line", path, line)
        value = row[kind]
        if kind == "part" and value not in (*PARTS, SKIPPED):
            raise DataProblem(f"there is no part {value!r}", f"the parts are {', '.join(PARTS)}", path, line)
        if kind == "fold" and not (value.isascii() and value.isdigit() and int(value) >= 1):
            raise DataProblem(f"the fold is {value!r}", "folds are numbered from 1", path, line)
        found[at] = value
    for name, value in zip(names, found, strict=True):
        if not value:
            raise DataProblem(f"the sample {name} is not in it", "give every sample a line", path)
    return found, kind == "fold"


def rows(path: Path, needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a small CSV file (UTF-8, commas) with their lines; every one has the columns that are needed."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [each.strip() for each in next(reader, [])]
            for name in needed:
                if name not in header:
                    raise DataProblem(f"there is no column {name}", f"the columns are {', '.join(header)}", path, 1)
            found = []
            for cells in reader:
                if cells and len(cells) != len(header):
                    message = f"the row has {len(cells)} values where the header has {len(header)}"
                    raise DataProblem(message, "give every row a value for every column", path, reader.line_num)
                if cells:
                    found.append((reader.line_num, dict(zip(header, map(str.strip, cells), strict=True))))
            return found
    except FileNotFoundError:
        raise MissingData("there is no such file", "check the path; it starts at the project's folder", path) from None
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise DataProblem(f"it cannot be read as a table: {error}", "save it as CSV in UTF-8", path) from error
