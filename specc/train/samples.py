"""The samples as tensors: loaded, split, prepared, and handed out as batches on the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from specc.data.columns import sample_names
from specc.data.leaks import leaks
from specc.data.named import implementation, source
from specc.data.parting import parted, table
from specc.data.prepare import Prepared, fit
from specc.data.sources import DataFacts, DataProblem, Dataset, Source
from specc.data.splits import Split, order
from specc.model.check import check_program, matched
from specc.model.graph import Model
from specc.model.program import Program
from specc.model.readying import follows
from specc.train.augment import Augmenter
from specc.train.problem import TrainProblem

IN_MEMORY = 2**30  # bytes of samples up to which pictures are decoded once and kept
NO_CLASS = 255  # what a mask is padded with
DTYPES = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}

Batch = tuple[dict[str, torch.Tensor], torch.Tensor]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Samples:
    """A data set made ready for a network. `prepared` are the fitted steps by the network's inputs.

    `table` is the part of every sample as a file that `split` takes, `notes` are sentences about the data.
    """

    facts: DataFacts
    parts: Split
    prepared: dict[str, Prepared]
    encoding: dict[str, Any] | None
    feed: Feed
    table: str
    notes: tuple[str, ...]
    augmenter: Augmenter | None

    def batch(self, indices: Indices, epoch: int) -> Batch:
        """Training samples as they are in an epoch, with what `augment` does to them."""
        return self.feed.batch(indices) if self.augmenter is None else self.augmenter.batch(indices, epoch)


def load(model: Model, program: Program, folder: Path, device: torch.device) -> Samples:
    """Load the data of a program, split them by its seed, fit `prepare` to the training samples.

    Raises:
        DataProblem: the data are not there, cannot be read, or do not fit.
    """
    given = source(program.source, folder)
    dataset = given.load()
    parts = parted(program, given, dataset, folder)
    dataset = dataset.fitted(parts.train)
    pairs = matched(model, dataset.facts)
    for each in check_program(model, program, dataset.facts):  # some facts are known only now
        if each.severity == "error":
            raise TrainProblem(each.code, each.message, each.help)
    steps = [implementation(each.entry.runs)(**each.entry.keywords()) for each in program.prepare]
    prepared: dict[str, Prepared] = {}
    for port in model.inputs:
        if model.type(port.value).dtype == "float":
            prepared[port.name] = fit(steps, _Column(dataset, pairs[port.name], parts.train))
    feed = Feed(model, dataset, pairs, prepared, device, program.padding)
    names = sample_names(given, len(dataset))
    augmenter = Augmenter(program, dataset.facts, pairs, parts.train, feed.batch) if program.augment else None
    return Samples(
        dataset.facts,
        parts,
        prepared,
        dataset.encoding(),
        feed,
        table(given, parts),
        leaks(dataset, parts, names),
        augmenter,
    )


def others(
    model: Model, given: Source, prepared: Mapping[str, Prepared], device: torch.device, padding: float | None = None
) -> Feed:
    """Samples of another source, prepared as those of a run were."""
    dataset = given.load()
    pairs = matched(model, dataset.facts)
    for port in model.inputs:
        if port.name not in pairs:
            raise DataProblem(
                f"the data have no input {port.name}", f"they have {', '.join(dataset.facts.input_shapes)}"
            )
    return Feed(model, dataset, pairs, prepared, device, padding)


class _Column(Sequence[NDArray[Any]]):
    """One input of some samples, as a sequence that `fit` walks; pictures are decoded on the way."""

    def __init__(self, dataset: Dataset, name: str, indices: Indices) -> None:
        self.dataset, self.name, self.indices = dataset, name, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, at: Any) -> Any:
        return self.dataset.sample(int(self.indices[at]))[0][self.name]


class Feed:
    """Batches of a data set on a device. What fits in memory is prepared once and stays there."""

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        pairs: Mapping[str, str],
        prepared: Mapping[str, Prepared],
        device: torch.device,
        padding: float | None = None,
    ) -> None:
        self.dataset = dataset
        self.device = device
        self.prepared = prepared
        self.padding = padding
        lies_on = follows(dataset.facts)
        self.follow = next((prepared[name] for name in prepared if lies_on and pairs[name] == lies_on), None)
        self.inputs = {port.name: (pairs[port.name], DTYPES[model.type(port.value).dtype]) for port in model.inputs}
        self.whole = self._whole()

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, indices: Indices) -> Batch:
        """The inputs by name and the target of these samples."""
        if self.whole is None:
            return self._stacked(indices)
        at = torch.from_numpy(np.ascontiguousarray(indices)).to(self.device)
        inputs, target = self.whole
        return {name: each.index_select(0, at) for name, each in inputs.items()}, target.index_select(0, at)

    def batches(self, indices: Indices, size: int) -> Iterator[Batch]:
        """All of these samples in their order; a single one that would be left over joins the batch before it."""
        for start, end in cuts(len(indices), size):
            yield self.batch(indices[start:end])

    def _whole(self) -> Batch | None:
        arrays = self.dataset.arrays()
        if arrays is not None:
            inputs, target = arrays
            return {name: self._input(name, inputs[given]) for name, (given, _) in self.inputs.items()}, self._target(
                target
            )
        sizes = {size for each in self.dataset.facts.input_shapes.values() for size in each}
        if None in sizes:
            return None
        one, answer = self._stacked(np.arange(1))
        if sum(each.numel() * each.element_size() for each in (*one.values(), answer)) * len(self) > IN_MEMORY:
            return None
        return self._stacked(np.arange(len(self)))

    def _stacked(self, indices: Indices) -> Batch:
        """Samples one by one, each prepared by itself where their sizes may differ."""
        samples = [self.dataset.sample(int(each)) for each in indices]
        inputs = {}
        for name, (given, _) in self.inputs.items():
            each = [sample[0][given] for sample in samples]
            if len({one.shape for one in each}) == 1:
                inputs[name] = self._input(name, np.stack(each))
            else:
                ready = [self.prepared[name].apply(one) if name in self.prepared else one for one in each]
                inputs[name] = self._moved(name, self._together(ready, self.padding))
        targets = [sample[1] for sample in samples]
        if len({one.shape for one in targets}) == 1:
            return inputs, self._target(np.stack(targets))
        ready = [self._followed(one) for one in targets]
        none = None if self.padding is None else NO_CLASS
        return inputs, self._numbers(self._together(ready, none))

    def _together(self, arrays: list[NDArray[Any]], padding: float | None) -> NDArray[Any]:
        """A batch of arrays, those that are smaller padded at the end."""
        if len({one.shape for one in arrays}) > 1 and padding is None:
            raise DataProblem(
                "samples of different sizes cannot be in one batch",
                "bring them to one size, or take `batch 1`, or `batch …, pad=0`",
            )
        largest = [max(sizes) for sizes in zip(*(one.shape for one in arrays), strict=True)]
        filled = [
            np.pad(
                one,
                [(0, most - have) for have, most in zip(one.shape, largest, strict=True)],
                constant_values=padding or 0,
            )
            for one in arrays
        ]
        return np.stack(filled)

    def _input(self, name: str, values: NDArray[Any]) -> torch.Tensor:
        return self._moved(name, self.prepared[name].apply(values) if name in self.prepared else values)

    def _moved(self, name: str, ready: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(ready)).to(self.device, self.inputs[name][1])

    def _target(self, values: NDArray[Any]) -> torch.Tensor:
        return self._numbers(self._followed(values))

    def _followed(self, values: NDArray[Any]) -> NDArray[Any]:
        """A target that lies on an input, where `prepare` moved that."""
        return values if self.follow is None else self.follow.moved(values, self.dataset.facts.target == "classes")

    def _numbers(self, values: NDArray[Any]) -> torch.Tensor:
        whole = values.dtype.kind in "iub"
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device, torch.int64 if whole else torch.float32)


def cuts(count: int, size: int) -> list[tuple[int, int]]:
    """Where batches start and end."""
    found = [(start, min(start + size, count)) for start in range(0, count, size)]
    if size > 1 and len(found) > 1 and found[-1][1] - found[-1][0] == 1:
        found[-2:] = [(found[-2][0], count)]
    return found


def shuffled(parts: Split, seed: int, epoch: int) -> Indices:
    """The training samples in the order of an epoch."""
    return parts.train[order(seed, epoch, len(parts.train))]
