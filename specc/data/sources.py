"""What a source of data is: a frozen description that can be checked from headers, and the samples once loaded.

Nothing here imports numpy, so `check` can hold a network against its data cheaply. One file per kind lies beside this
one: `shipped`, `arrays`, `tables`, `images`, `idx`, `cifar`, `volumes`, `synthetic`, `pairs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Sample = tuple[dict[str, Array], Array]

Target = Literal["class", "classes", "real", "image"]
Shape = tuple[int | None, ...]


class DataProblem(Exception):
    """Data that cannot be used: the fact, what to do, the file and, for a table, its line or row (from 1)."""

    def __init__(self, message: str, help: str = "", file: Path | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.file = file
        self.row = row

    def __str__(self) -> str:
        place = f"{self.file}" if self.file else ""
        unit = "row" if self.file is not None and self.file.suffix == ".parquet" else "line"
        place += f", {unit} {self.row}" if self.row is not None else ""
        return f"{place}: {self.message}" if place else self.message


class MissingData(DataProblem):
    """The file or folder is not there: a note when checking, an error when training."""


class BrokenFile(DataProblem):
    """A file that cannot be read: cut short, damaged, or not what its name says."""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What is known of a source before it is loaded. Shapes are of one sample, without the batch.

    `target` is "class" (one class number a sample), "classes" (a class number per position: a mask or a sequence),
    "real" (a vector of numbers) or "image" (numbers with two axes or more). None stands for what headers do not tell.
    `names` are the columns of a table after its categories are spread out. `test` samples at the end are the official
    test part; 0 where there is none. `skipped` of the `count` are known to be left out.
    """

    input_shapes: Mapping[str, Shape]
    dtypes: Mapping[str, str]
    target: Target
    target_shape: Shape
    classes: int | None
    class_names: tuple[str, ...]
    count: int
    names: tuple[str, ...] = field(default=())
    test: int = 0
    skipped: int = 0


class Source(Protocol):
    """A description of data; making one reads nothing."""

    def describe(self) -> DataFacts:
        """The facts, from headers where the format has them; raises DataProblem."""
        ...

    def load(self) -> Dataset:
        """The samples; raises DataProblem. Images stay on disk until asked for."""
        ...


class Dataset(Protocol):
    """Loaded samples in a fixed order.

    Inputs are float32, or whole numbers where the file holds such. The target is int64 for "class", whole numbers for
    "classes", float32 otherwise.
    """

    @property
    def facts(self) -> DataFacts: ...

    def __len__(self) -> int: ...

    def sample(self, index: int) -> Sample:
        """Inputs by name and the target of one sample, without the batch axis."""
        ...

    def arrays(self) -> tuple[dict[str, Array], Array] | None:
        """All inputs and targets, the samples along axis 0, when they are in memory; else None."""
        ...

    def labels(self) -> Array | None:
        """The class number of every sample, int64 [count]; None unless the target is "class". Decodes no image."""
        ...

    def fitted(self, train: Array) -> Dataset:
        """The same samples with what must be learnt from the training samples alone (given by index) learnt."""
        ...

    def encoding(self) -> dict[str, Any] | None:
        """How a file becomes an input, as JSON, for a kind whose `from_json` reads it back; None if nothing is done."""
        ...
