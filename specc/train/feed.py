"""Batches of a data set on the device: prepared once and kept where they fit in memory, else made when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from specc.data.batching import alike, cut
from specc.data.prepare import Prepared
from specc.data.skipped import standing
from specc.data.sources import DataProblem, Dataset
from specc.data.spacing import spacing
from specc.model.filling import filled
from specc.model.graph import Model
from specc.model.program import Program
from specc.model.readying import follows, prepared_shape
from specc.train.augment import Augmenter
from specc.train.loader import Batch, Indices, Loader, Order, moved, workers_for

IN_MEMORY = 2**30  # bytes of samples up to which pictures are decoded once and kept
ROOM = 0.25  # of the free memory of a GPU, which prepared samples may take
CPU = torch.device("cpu")
NO_CLASS = 255  # what a mask is padded with
DTYPES = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}


class Feed:
    """Samples of a data set, prepared, in batches on a device. What fits in memory is prepared once and stays there.

    Other samples are made by `workers` processes, a batch after the other; None is as many as are good. `augmenter`
    changes those that train, on the processor unless they are in memory.
    """

    def __init__(
        self,
        model: Model,
        program: Program,
        dataset: Dataset,
        pairs: Mapping[str, str],
        prepared: Mapping[str, Prepared],
        device: torch.device,
        workers: int | None = None,
    ) -> None:
        self.dataset = dataset
        self.device = device
        self.prepared = prepared
        self.padding = program.padding
        self.kinds = _kinds(program, dataset)
        lies_on = follows(dataset.facts)
        self.follow = next((prepared[name] for name in prepared if lies_on and pairs[name] == lies_on), None)
        types = {port.name: DTYPES[model.type(port.value).dtype] for port in model.inputs}
        self.inputs = {name: (given, types[name]) for name, given in pairs.items()}
        self.filled = [(each, types[each.name]) for each in filled(model, program)]
        self.augmenter: Augmenter | None = None
        self.whole = self._whole()
        self.resident = self.settle(None)
        self.loader = Loader(self.made, workers_for(workers, self.whole is not None), device)

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, indices: Indices, epoch: int | None = None) -> Batch:
        """The inputs by name and the target of these samples; in an epoch, with what `augment` does to them there."""
        return self.loader.one(indices, epoch) if self.whole is None else self._sent(self.made(indices, epoch))

    def settle(self, resident: bool | None) -> bool:
        """Keep samples that are in memory on the device, or beside the processor; None is wherever they fit. Whether
        they are on the device then."""
        if self.whole is None:
            return False
        if resident is None:
            inputs, target = self.whole
            size = sum(each.numel() * each.element_size() for each in (*inputs.values(), target))
            resident = self.device.type != "cuda" or size <= ROOM * torch.cuda.mem_get_info(self.device)[0]
        self.whole, self.resident = moved(self.whole, self.device if resident else CPU), resident
        return resident

    def spacing(self, index: int) -> tuple[float, ...]:
        """How far apart the places of a sample's target lie along its axes after `prepare`; 1 where the data do not say."""
        return spacing(self.dataset, index, self.follow)

    def batches(self, indices: Indices, size: int) -> Iterator[Batch]:
        """All of these samples in the order of `ordered`; a single one left over joins the batch before it."""
        return self.all([(each, None) for each in cut(indices, size, self.kinds)])

    def ordered(self, indices: Indices) -> Indices:
        """The order in which `batches` gives these samples: as it is, but those of like size together for `bucket=`."""
        return indices if self.kinds is None else indices[np.argsort(self.kinds[indices], kind="stable")]

    def all(self, orders: Sequence[Order]) -> Iterator[Batch]:
        """The batches of these orders, in their order."""
        return self.loader(orders) if self.whole is None else (self._sent(self.made(*each)) for each in orders)

    def made(self, indices: Indices, epoch: int | None) -> Batch:
        """A batch where it is made: on the device for samples that are kept there, else on the processor."""
        return self.augmenter.batch(indices, epoch) if self.augmenter and epoch is not None else self.read(indices)

    def read(self, indices: Indices) -> Batch:
        """Prepared samples, where they are made. A number beyond the samples is one that is drawn again."""
        indices = indices % len(self)
        if self.whole is None:
            return self._stacked(indices)
        inputs, target = self.whole
        at = torch.from_numpy(np.ascontiguousarray(indices)).to(target.device)
        return {name: each.index_select(0, at) for name, each in inputs.items()}, target.index_select(0, at)

    def _sent(self, batch: Batch) -> Batch:
        """A batch on the device; on its way to a GPU from memory that it reads without the processor."""
        if self.resident or self.device.type != "cuda":
            return batch if self.resident else moved(batch, self.device)
        inputs, target = batch
        return moved(({name: each.pin_memory() for name, each in inputs.items()}, target.pin_memory()), self.device)

    def close(self) -> None:
        """End the processes that read samples."""
        self.loader.close()

    def __getstate__(self) -> dict[str, Any]:
        """What a worker needs, where it is not a copy of this process."""
        return {name: each for name, each in vars(self).items() if name != "loader"}

    def _whole(self) -> Batch | None:
        arrays = self.dataset.arrays()
        if arrays is not None:
            values, answers = arrays
            inputs = {name: self._input(name, values[given]) for name, (given, _) in self.inputs.items()}
            full = {name: [tuple(each.shape[1:])] * len(each) for name, each in inputs.items()}
            return inputs | self._told(inputs, full), self._target(answers)
        sizes = {size for each in self.dataset.facts.input_shapes.values() for size in each}
        if None in sizes:
            return None
        there = standing(self.dataset)
        one, answer = self._stacked(there[:1])
        if sum(each.numel() * each.element_size() for each in (*one.values(), answer)) * len(self) > IN_MEMORY:
            return None
        return self._stacked(there)

    def _stacked(self, indices: Indices) -> Batch:
        """Samples one by one, each prepared by itself where their sizes may differ."""
        samples = [self.dataset.sample(int(each)) for each in indices]
        inputs, sizes = dict[str, torch.Tensor](), dict[str, list[tuple[int, ...]]]()
        for name, (given, _) in self.inputs.items():
            each = [sample[0][given] for sample in samples]
            if len({one.shape for one in each}) == 1:
                inputs[name] = self._input(name, np.stack(each))
                sizes[name] = [tuple(inputs[name].shape[1:])] * len(each)
            else:
                ready = [self.prepared[name].apply(one) if name in self.prepared else one for one in each]
                sizes[name] = [one.shape for one in ready]
                inputs[name] = self._typed(name, self._together(ready, self.padding))
        inputs |= self._told(inputs, sizes)
        targets = [sample[1] for sample in samples]
        if len({one.shape for one in targets}) == 1:
            return inputs, self._target(np.stack(targets))
        ready = [self._followed(one) for one in targets]
        none = None if self.padding is None else NO_CLASS
        return inputs, self._numbers(self._together(ready, none))

    def _told(
        self, inputs: Mapping[str, torch.Tensor], sizes: Mapping[str, list[tuple[int, ...]]]
    ) -> dict[str, torch.Tensor]:
        """What tells the network of its padding: how long each sample is, or where there is something of it."""
        found = {}
        for told, dtype in self.filled:
            own = sizes[told.of]
            if told.counts:
                found[told.name] = torch.tensor([each[told.axes[0] or 0] for each in own]).to(dtype)
                continue
            whole = inputs[told.of].shape[1:]
            mask = torch.zeros(len(own), *(1 if axis is None else whole[axis] for axis in told.axes), dtype=dtype)
            for one, size in zip(mask, own, strict=True):
                one[tuple(slice(0, 1 if axis is None else size[axis]) for axis in told.axes)] = 1
            found[told.name] = mask
        return found

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
        return self._typed(name, self.prepared[name].apply(values) if name in self.prepared else values)

    def _typed(self, name: str, ready: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(ready)).to(self.inputs[name][1])

    def _target(self, values: NDArray[Any]) -> torch.Tensor:
        return self._numbers(self._followed(values))

    def _followed(self, values: NDArray[Any]) -> NDArray[Any]:
        """A target that lies on an input, where `prepare` moved that."""
        return values if self.follow is None else self.follow.moved(values, self.dataset.facts.target == "classes")

    def _numbers(self, values: NDArray[Any]) -> torch.Tensor:
        whole = values.dtype.kind in "iub"
        return torch.from_numpy(np.ascontiguousarray(values)).to(torch.int64 if whole else torch.float32)


def _kinds(program: Program, dataset: Dataset) -> Indices | None:
    """Which samples are of like size once they are prepared; None where all are, or nobody asks."""
    width = program.batching.entry.bucket
    find = getattr(dataset, "places", None)
    if width is None or find is None:
        return None
    sizes: list[tuple[int, ...]] = [find(int(at)) for at in standing(dataset)]
    ready = {size: prepared_shape(program.prepare, (1, *size))[1:] for size in set(sizes)}
    return alike([[each or 0 for each in ready[size]] for size in sizes], width)
