"""The samples of a program: loaded, split, prepared, and dealt into the batches of every epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from specc.catalogue.axes import UNSAID
from specc.data.batching import Batching
from specc.data.columns import sample_names
from specc.data.leaks import leaks
from specc.data.named import implementation, source
from specc.data.parting import parted, table
from specc.data.prepare import Prepared, fit
from specc.data.skipped import skipped
from specc.data.sources import DataFacts, DataProblem, Dataset, Source
from specc.data.splits import Split
from specc.model.check import check_program, matched
from specc.model.graph import Model
from specc.model.heads import head
from specc.model.program import Program
from specc.train.augment import Augmenter, Units
from specc.train.colours import units
from specc.train.feed import Feed
from specc.train.loader import Batch, Indices
from specc.train.problem import TrainProblem


@dataclass(frozen=True, slots=True)
class Samples:
    """A data set made ready for a network. `prepared` are the fitted steps by the network's inputs.

    `table` is the part of every sample as a file that `split` takes, `notes` are sentences about the data,
    `names` those of the samples.
    """

    facts: DataFacts
    parts: Split
    prepared: dict[str, Prepared]
    encoding: dict[str, Any] | None
    feed: Feed
    table: str
    notes: tuple[str, ...]
    batching: Batching
    names: tuple[str, ...]

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.batching.steps

    def batches(self, epoch: int) -> list[Indices]:
        """The training samples of every batch of an epoch, in their order."""
        return self.batching.epoch(epoch)

    def epoch(self, batches: Sequence[Indices], epoch: int) -> Iterator[Batch]:
        """Batches of an epoch, those that are left of it, as they are then: with what `augment` does to them."""
        return self.feed.all([(each, epoch) for each in batches])

    def batch(self, indices: Indices, epoch: int) -> Batch:
        """One of them."""
        return self.feed.batch(indices, epoch)

    def close(self) -> None:
        """End the processes that read samples."""
        self.feed.close()


def load(model: Model, program: Program, folder: Path, device: torch.device, workers: int | None = None) -> Samples:
    """Load the data of a program, split them by its seed, fit `prepare` to the training samples.

    `workers` processes read samples that are not in memory; None is as many as are good.

    Raises:
        DataProblem: the data are not there, cannot be read, or do not fit.
    """
    given = source(program.source, folder)
    dataset = given.load()
    parts = parted(program, given, dataset, folder)
    dataset = dataset.fitted(parts.train)
    pairs = matched(model, program, dataset.facts)
    for each in check_program(model, program, dataset.facts):  # some facts are known only now
        if each.severity == "error":
            raise TrainProblem(each.code, each.message, each.help)
    steps = [implementation(each.entry.runs)(**each.entry.keywords()) for each in program.prepare]
    prepared: dict[str, Prepared] = {}
    for port in model.inputs:
        if port.name in pairs and model.type(port.value).dtype == "float":
            prepared[port.name] = fit(steps, _Column(dataset, pairs[port.name], parts.train))
    feed = Feed(model, program, dataset, pairs, prepared, device, workers)
    if program.augment:
        colours, classes = _units(program, model, prepared), _classes(model, program, dataset.facts)
        feed.augmenter = Augmenter(program, dataset.facts, pairs, parts.train, feed.read, colours, classes)
    names = sample_names(given, len(dataset))
    return Samples(
        dataset.facts,
        parts,
        prepared,
        dataset.encoding(),
        feed,
        table(given, parts, len(dataset)),
        skipped(dataset).notes(len(dataset)) + leaks(dataset, parts, names),
        Batching(parts.train, program.batch, program.seed, feed.kinds, _drawn_by(program, dataset)),
        tuple(names),
    )


def _units(program: Program, model: Model, prepared: Mapping[str, Prepared]) -> dict[str, Units]:
    """What `prepare` did to the colours of each input, where `augment` changes them."""
    if not any(getattr(each.entry, "colours", False) for each in program.augment):
        return {}
    return {port.name: units(prepared.get(port.name), 3) for port in model.inputs}


def _classes(model: Model, program: Program, facts: DataFacts) -> int | None:
    """How many classes the target has, by the data or else by the network that tells them apart."""
    term = next((each for each in program.terms if each.loss is not None and not each.target), None)
    if "class" not in facts.target or facts.classes is not None or term is None or term.loss is None:
        return facts.classes
    numbers = head(model, term.output).numbers(getattr(term.loss.entry, "axis", UNSAID))
    return numbers if isinstance(numbers, int) else None


def _drawn_by(program: Program, dataset: Dataset) -> Indices | None:
    """The classes that are drawn equally often, where they are."""
    return dataset.labels() if program.batching.entry.sampling == "balanced" else None


def others(
    model: Model,
    program: Program,
    given: Source,
    prepared: Mapping[str, Prepared],
    device: torch.device,
    workers: int | None = None,
) -> Feed:
    """Samples of another source, prepared as those of a run were."""
    dataset = given.load()
    pairs = matched(model, program, dataset.facts)
    for port in model.inputs:
        if port.name not in pairs and port.name not in program.batching.entry.filled:
            raise DataProblem(
                f"the data have no input {port.name}", f"they have {', '.join(dataset.facts.input_shapes)}"
            )
    return Feed(model, program, dataset, pairs, prepared, device, workers)


class _Column(Sequence[NDArray[Any]]):
    """One input of some samples, as a sequence that `fit` walks; pictures are decoded on the way."""

    def __init__(self, dataset: Dataset, name: str, indices: Indices) -> None:
        self.dataset, self.name, self.indices = dataset, name, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, at: Any) -> Any:
        return self.dataset.sample(int(self.indices[at]))[0][self.name]
