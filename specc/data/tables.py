"""Tables from a CSV or Parquet file: named columns, a row per sample, one column of which is the target."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from specc.data import parquet
from specc.data.schema import Schema, is_missing, refuse_missing, tallied
from specc.data.skipped import Bad, Skipped, few
from specc.data.sources import DataFacts, DataProblem, Dataset, MissingData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file (comma, semicolon or tab; UTF-8) with a header, or a Parquet file, by the same rules.

    `inputs` are the columns that go in, by default all but the target, in the file's order. A column of words becomes
    one input per word. The categories of the whole file fix the width; those that only other samples than the training
    ones have are given as zeros (`Dataset.fitted`). `read_as` says whether the target is a class or a real number;
    without it, words and at most 20 different whole numbers are classes. Rows that miss a value of these columns are
    refused, or left out if `missing` is "skip".

    Example:
        Table(Path("wine.csv"), target="quality").describe().input_shapes  ->  {"features": (11,)}
    """

    path: Path
    target: str
    inputs: tuple[str, ...] | None = None
    read_as: Literal["class", "real"] | None = None
    missing: Bad = "stop"

    def describe(self) -> DataFacts:
        return _facts(*self._scan())

    def load(self) -> Dataset:
        import numpy as np

        schema, count, skipped = self._scan()
        vectors = np.zeros((count, len(schema.names)), dtype=np.float32)
        targets = np.zeros(count, dtype=np.float64)
        for at, (line, row) in enumerate(_rows(self.path)):
            if at in skipped.names:
                continue
            vectors[at] = schema.encode(row, self.path, line)
            targets[at] = schema.encode_target(row[self.target], self.path, line)
        target = targets.astype(np.int64) if schema.class_names else targets.astype(np.float32)[:, None]
        return TableDataset(_facts(schema, count, skipped), vectors, target, schema, skipped)

    def column(self, name: str) -> list[str]:
        """The text of a column, for grouping samples (`kfold(5, group=patient)`)."""
        self._known(next(iter(_rows(self.path)))[1], [name])
        return [row[name].strip() for _, row in _rows(self.path)]

    def check_column(self, name: str) -> None:
        """Raise DataProblem where there is no such column."""
        self._known(next(iter(_rows(self.path)))[1], [name])

    def _scan(self) -> tuple[Schema, int, Skipped]:
        """One pass: what every column is, the number of rows, and those that are left out."""
        count, columns = 0, tallied(())
        holes: dict[int, tuple[int, str, str]] = {}
        for line, row in _rows(self.path):
            if not count:
                names = self.inputs if self.inputs is not None else tuple(each for each in row if each != self.target)
                self._known(row, [self.target, *names])
                if not names:
                    raise DataProblem("there is no input besides the target", "name columns: inputs=[…]", self.path)
                columns = tallied([*names, self.target])
            hole = next((name for name in columns if is_missing(row[name])), None)
            if hole is not None:
                holes[count] = (line, hole, row[hole].strip())
            else:
                for name, tally in columns.items():
                    tally.add(row[name], line)
            count += 1
        skipped = self._left_out(holes, count)
        target = columns.pop(self.target)
        inputs = tuple(tally.column(self.path) for tally in columns.values())
        return Schema(inputs, self.target, target.classes(self.path, self.read_as)), count, skipped

    def _left_out(self, holes: dict[int, tuple[int, str, str]], count: int) -> Skipped:
        """The rows that miss a value, if they are to be skipped; otherwise raise DataProblem with all of them."""
        unit = "row" if self.path.suffix.lower() == parquet.SUFFIX else "line"
        if self.missing == "skip" and len(holes) < count:
            return Skipped({at: f"{unit} {line}" for at, (line, _, _) in holes.items()}, "a value is missing")
        if len(holes) == 1:
            for line, name, text in holes.values():
                refuse_missing(text, name, self.path, line)
        if holes:
            said = few([f"{unit} {line} ({name})" for line, name, _ in holes.values()])
            help = "fill them in, remove the rows, leave columns out: inputs=[…], or leave the rows out: missing=skip"
            raise DataProblem(f"{len(holes):,} of {count:,} rows miss a value: {said}", help, self.path)
        return Skipped()

    def _known(self, row: dict[str, str], names: list[str]) -> None:
        for name in names:
            if name not in row:
                raise DataProblem(f"there is no column {name}", f"the columns are {', '.join(row)}", self.path, 1)
        if names.count(self.target) > 1:
            raise DataProblem(f"the target {self.target} is among the inputs", "leave it out of inputs=[…]", self.path)
        if len(names) != len(set(names)):
            raise DataProblem("inputs=[…] names a column twice", "name every column once", self.path)


@dataclass(frozen=True, slots=True)
class TableDataset:
    """A table in memory: the input "features" float32 [samples, width], the target, and how rows became numbers."""

    facts: DataFacts
    vectors: Array
    target: Array
    schema: Schema
    skipped: Skipped

    def __len__(self) -> int:
        return len(self.target)

    def sample(self, index: int) -> tuple[dict[str, Array], Array]:
        return {"features": self.vectors[index]}, self.target[index, ...]

    def arrays(self) -> tuple[dict[str, Array], Array] | None:
        return {"features": self.vectors}, self.target

    def labels(self) -> Array | None:
        return self.target if self.facts.target == "class" else None

    def fitted(self, train: Array) -> Dataset:
        schema = self.schema.fitted(self.vectors[train])
        vectors = self.vectors.copy()
        vectors[:, schema.unseen()] = 0
        return replace(self, vectors=vectors, schema=schema)

    def encoding(self) -> dict[str, Any] | None:
        return self.schema.to_json()


def _facts(schema: Schema, count: int, skipped: Skipped) -> DataFacts:
    classes = schema.class_names
    return DataFacts(
        input_shapes={"features": (len(schema.names),)},
        dtypes={"features": "float32"},
        target="class" if classes else "real",
        target_shape=() if classes else (1,),
        classes=len(classes) or None,
        class_names=classes,
        count=count,
        names=schema.names,
        skipped=len(skipped.names),
    )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Every row as text by column name, with the line it ends on; blank lines are left out."""
    if path.suffix.lower() == parquet.SUFFIX:
        yield from parquet.rows(path)
        return
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(_DELIMITERS, key=first.count), strict=True)
            header = _header(path, next(reader, []))
            empty = True
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise DataProblem(
                        f"the row has {len(cells)} values where the header has {len(header)}",
                        "give every row a value for every column",
                        path,
                        reader.line_num,
                    )
                empty = False
                yield reader.line_num, dict(zip(header, cells, strict=True))
            if empty:
                raise DataProblem("there are no rows under the header", "", path)
    except FileNotFoundError:
        raise MissingData("there is no such file", "check the path; it starts at the project's folder", path) from None
    except UnicodeDecodeError as error:
        raise DataProblem(f"it is not UTF-8 text (byte {error.start})", "save it as UTF-8", path) from None
    except csv.Error as error:
        raise DataProblem(f"it is not a table: {error}", "check the quotes", path, reader.line_num) from None
    except IsADirectoryError:
        raise DataProblem("this is a folder, not a file", "give the path of the file", path) from None
    except OSError as error:
        raise DataProblem(f"it cannot be read: {error.strerror or error}", "check its permissions", path) from error


def _header(path: Path, cells: list[str]) -> list[str]:
    names = [each.strip() for each in cells]
    if not any(names):
        raise DataProblem("there is no header", "give the names of the columns in the first line", path, 1)
    for at, name in enumerate(names):
        if not name:
            raise DataProblem(f"column {at + 1} has no name", "name every column in the first line", path, 1)
        if name in names[:at]:
            raise DataProblem(f"two columns are called {name}", "give every column a name of its own", path, 1)
    return names
