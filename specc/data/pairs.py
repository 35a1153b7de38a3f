"""Pairs of samples of another source, and whether they are of one class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from specc.data.skipped import Skipped, skipped
from specc.data.sources import DataFacts, DataProblem, Dataset, Source

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]

_NAMES = ("different", "same")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Two inputs called `inputs`, and the class 1 where both samples are of one class, else 0.

    A sample is in one pair at most. `runs` and `keywords` are those of the other source.
    """

    runs: str
    keywords: Mapping[str, Any]
    inputs: tuple[str, str]

    def describe(self) -> DataFacts:
        return self._facts(self._source().describe())

    def load(self) -> Dataset:
        dataset = self._source().load()
        if hasattr(dataset, "together"):
            message = "pairs of windows would bring one recording into several parts of the split"
            raise DataProblem(message, "leave `windows=` out")
        facts = self._facts(dataset.facts)
        labels = dataset.labels()
        assert labels is not None
        first, second, same = _paired(labels)
        if not len(same):
            raise DataProblem("no two samples make a pair", "give more samples")
        left = skipped(dataset)
        torn = [at for at, both in enumerate(zip(first, second, strict=True)) if not left.names.keys().isdisjoint(both)]
        without = Skipped({at: str(at) for at in torn}, f"of one sample of theirs {left.why}")
        return PairDataset(replace(facts, count=len(same)), dataset, first, second, same, without)

    def _source(self) -> Source:
        module, _, name = self.runs.partition(":")
        found: Source = getattr(import_module(module), name)(**self.keywords)
        return found

    def _facts(self, facts: DataFacts) -> DataFacts:
        if facts.target != "class":
            raise DataProblem(
                "pairs are made by class, and these data have none a sample", "take a source with classes"
            )
        if len(facts.input_shapes) != 1:
            raise DataProblem(f"pairs are made of one input, and these data have {len(facts.input_shapes)}")
        if facts.test:
            message = "the data have a test part of their own, which pairs would mix with the others"
            raise DataProblem(message, "save the samples that train as arrays, and pair those")
        (name,) = facts.input_shapes
        return DataFacts(
            dict.fromkeys(self.inputs, facts.input_shapes[name]),
            dict.fromkeys(self.inputs, facts.dtypes[name]),
            "class",
            (),
            2,
            _NAMES,
            facts.count // 2,
        )


@dataclass(frozen=True, slots=True)
class PairDataset:
    """Pairs by the indices of their samples."""

    facts: DataFacts
    dataset: Dataset
    first: Array
    second: Array
    same: Array
    skipped: Skipped

    def __len__(self) -> int:
        return len(self.same)

    def sample(self, index: int) -> tuple[dict[str, Array], Array]:
        both = [next(iter(self.dataset.sample(int(each[index]))[0].values())) for each in (self.first, self.second)]
        return dict(zip(self.facts.input_shapes, both, strict=True)), self.same[index, ...]

    def arrays(self) -> tuple[dict[str, Array], Array] | None:
        found = self.dataset.arrays()
        if found is None:
            return None
        (values,) = found[0].values()
        one, other = self.facts.input_shapes
        return {one: values[self.first], other: values[self.second]}, self.same

    def files(self, index: int) -> tuple[Path, ...]:
        """What the inputs of a pair are read from."""
        find: Any = getattr(self.dataset, "files", lambda at: ())
        return (*find(int(self.first[index])), *find(int(self.second[index])))

    def labels(self) -> Array | None:
        return self.same

    def fitted(self, train: Array) -> Dataset:
        import numpy as np

        return replace(self, dataset=self.dataset.fitted(np.concatenate([self.first[train], self.second[train]])))

    def encoding(self) -> dict[str, Any] | None:
        return self.dataset.encoding()


def _paired(labels: Array) -> tuple[Array, Array, Array]:
    """The samples of each pair and whether they are of one class: half of each class with its own, the rest across."""
    import numpy as np

    order = np.argsort(np.random.PCG64(np.random.SeedSequence((0, 5))).random_raw(len(labels)), kind="stable")
    one, other, left = [], [], []
    for kind in np.unique(labels):
        members = order[labels[order] == kind]
        half = len(members) // 4
        one.append(members[:half])
        other.append(members[half : 2 * half])
        left.append(members[2 * half :])
    same = sum(map(len, one))
    rest = np.concatenate(left)
    # Class after class; half of the way round lies another one, unless one class has more than half.
    middle = len(rest) // 2
    first, second = rest[:middle], rest[middle : 2 * middle]
    apart = labels[first] != labels[second]
    one.append(first[apart])
    other.append(second[apart])
    flags = np.concatenate([np.ones(same, np.int64), np.zeros(int(apart.sum()), np.int64)])
    return np.concatenate(one), np.concatenate(other), flags
