"""How a row of a table becomes numbers: which columns are numbers, which are categories, and what the target is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from specc.data.sources import DataProblem

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MISSING = frozenset({"", "?", "na", "n/a", "nan", "null"})
_MOST_CATEGORIES = 1000
_MOST_WHOLE_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers, or, with `categories`, of words spread out over one input each.

    `unseen` are the categories that no training sample has: they are given as zeros, since nothing was learnt of them.
    """

    name: str
    categories: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.name}={each}" for each in self.categories) or (self.name,)


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns in the order of the input vector, and the target with the names of its classes, if it has any."""

    columns: tuple[Column, ...]
    target: str
    class_names: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every entry of the input vector."""
        return tuple(name for column in self.columns for name in column.names)

    def encode(self, row: Mapping[str, str], file: Path | None = None, line: int | None = None) -> list[float]:
        """The input vector of a row given as text by column name; raises DataProblem naming the column."""
        vector: list[float] = []
        for column in self.columns:
            if column.name not in row:
                raise DataProblem(f"there is no column {column.name}", f"it has {', '.join(row)}", file, line)
            text = row[column.name].strip()
            if not column.categories:
                vector.append(number(text, column.name, file, line))
                continue
            refuse_missing(text, column.name, file, line)
            if text not in column.categories:
                known = ", ".join(column.categories[:10]) + (", …" if len(column.categories) > 10 else "")
                raise DataProblem(
                    f"column {column.name}: {text!r} is not a known category", f"they are {known}", file, line
                )
            vector += [float(text == each and each not in column.unseen) for each in column.categories]
        return vector

    def encode_target(self, text: str, file: Path | None = None, line: int | None = None) -> float:
        """The class number, or the real value, of a target given as text."""
        if not self.class_names:
            return number(text.strip(), self.target, file, line)
        refuse_missing(text.strip(), self.target, file, line)
        name = class_name(text)
        if name not in self.class_names:
            raise DataProblem(
                f"column {self.target}: {text!r} is not a known class",
                f"they are {', '.join(self.class_names)}",
                file,
                line,
            )
        return float(self.class_names.index(name))

    def fitted(self, inputs: NDArray[Any]) -> Schema:
        """The schema after looking at the training inputs [samples, width]: categories none of them has are unseen."""
        present: list[bool] = (inputs != 0).any(axis=0).tolist()
        seen = dict(zip(self.names, present, strict=True))
        return replace(
            self,
            columns=tuple(
                replace(column, unseen=tuple(each for each in column.categories if not seen[f"{column.name}={each}"]))
                for column in self.columns
            ),
        )

    def unseen(self) -> list[int]:
        """Places in the input vector of categories that no training sample has."""
        flags = [each in column.unseen for column in self.columns for each in (column.categories or (None,))]
        return [at for at, flag in enumerate(flags) if flag]

    def to_json(self) -> dict[str, Any]:
        columns = [{"name": c.name, "categories": list(c.categories), "unseen": list(c.unseen)} for c in self.columns]
        return {"columns": columns, "target": self.target, "class_names": list(self.class_names)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Schema:
        """What `to_json` gave."""
        columns = tuple(Column(c["name"], tuple(c["categories"]), tuple(c["unseen"])) for c in saved["columns"])
        return cls(columns, saved["target"], tuple(saved["class_names"]))


@dataclass(slots=True)
class Tally:
    """What one pass over a column finds."""

    name: str
    numbers: int = 0
    words: int = 0
    whole: bool = True
    first_word: tuple[int, str] = (0, "")
    values: set[str] = field(default_factory=set)

    def add(self, text: str, line: int) -> None:
        """Count a value that is not missing."""
        text = text.strip()
        value = parsed(text)
        if value is None:
            self.words += 1
            self.first_word = self.first_word if self.words > 1 else (line, text)
        else:
            self.numbers += 1
            self.whole = self.whole and value.is_integer()
        if len(self.values) <= _MOST_CATEGORIES:
            self.values.add(text)

    def column(self, file: Path) -> Column:
        if not self._of_numbers(file):
            if len(self.values) > _MOST_CATEGORIES:
                raise DataProblem(
                    f"column {self.name} has more than {_MOST_CATEGORIES} different words",
                    "if it names the samples, leave it out: inputs=[…]",
                    file,
                )
            return Column(self.name, tuple(sorted(self.values)))
        return Column(self.name)

    def classes(self, file: Path, read_as: Literal["class", "real"] | None) -> tuple[str, ...]:
        """Names of the classes if the column is to be read as classes, else none."""
        numbers = self._of_numbers(file)
        if read_as == "real" and not numbers:
            line, word = self.first_word
            raise DataProblem(
                f"column {self.name}: {word!r} is not a number", "for classes, use a loss for classes", file, line
            )
        names = {class_name(each) for each in self.values}
        if read_as == "class" and numbers and not self.whole:
            raise DataProblem(f"column {self.name} holds numbers that are not whole", "use a loss for reals", file)
        if numbers and read_as != "class" and (read_as == "real" or not self._looks_like_classes(names)):
            return ()
        if len(self.values) > _MOST_CATEGORIES:
            raise DataProblem(f"column {self.name} has more than {_MOST_CATEGORIES} classes", "", file)
        return tuple(sorted(names, key=lambda each: (0, int(each), "") if numbers else (1, 0, each)))

    def _looks_like_classes(self, names: set[str]) -> bool:
        return self.whole and len(names) <= min(_MOST_WHOLE_CLASSES, self.numbers // 2)

    def _of_numbers(self, file: Path) -> bool:
        """True for a column of numbers; words among mostly numbers are a mistake, numbers among words are words."""
        if self.numbers <= self.words:
            return False
        if self.words:
            line, word = self.first_word
            raise DataProblem(
                f"column {self.name}: {word!r} is not a number, but {self.numbers} other values are",
                "correct it, or leave the column out: inputs=[…]",
                file,
                line,
            )
        return True


def number(text: str, column: str, file: Path | None = None, line: int | None = None) -> float:
    """The number that a cell holds; raises DataProblem."""
    refuse_missing(text, column, file, line)
    value = parsed(text)
    if value is None:
        raise DataProblem(f"column {column}: {text!r} is not a number", "numbers look like 12 or -0.5e3", file, line)
    return value


def parsed(text: str) -> float | None:
    """The finite number that a text spells, else None. Digits may not be grouped."""
    if "_" in text or not text.isascii():
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) <= 3.4e38 else None


def is_missing(text: str) -> bool:
    """Whether a cell is empty, or says that there is no value."""
    return text.strip().lower() in _MISSING


def refuse_missing(text: str, column: str, file: Path | None, line: int | None) -> None:
    if is_missing(text):
        raise DataProblem(
            f"column {column}: a value is missing" + (f" ({text})" if text else ""),
            "fill it in, remove the row or leave it out: missing=skip, or leave the column out: inputs=[…]",
            file,
            line,
        )


def class_name(text: str) -> str:
    """How a class is called: 1.0 and 1 are the same class."""
    text = text.strip()
    value = parsed(text)
    return str(int(value)) if value is not None and value.is_integer() else text


def tallied(names: Iterable[str]) -> dict[str, Tally]:
    return {name: Tally(name) for name in names}
