"""Batches made ahead of time in worker processes: in their order, and byte for byte those of one process."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from specc.data.sources import DataProblem

Indices = NDArray[np.int64]
Batch = tuple[dict[str, torch.Tensor], torch.Tensor]
Order = tuple[Indices, int | None]
Make = Callable[[Indices, int | None], Batch]
MOST = 8  # workers that are taken without being asked for


class Loader:
    """Makes batches of samples that are not in memory. An order is the samples of a batch, and the epoch if it trains.

    The workers live until `close`. They take no number from torch's generators, and what is wrong with a sample is
    raised here, as it would be without them.
    """

    def __init__(self, make: Make, workers: int, device: torch.device) -> None:
        self.make, self.workers, self.device = make, workers, device
        self._orders = _Orders()
        self._ahead: DataLoader[Batch | DataProblem] | None = None

    def __call__(self, orders: Sequence[Order]) -> Iterator[Batch]:
        """The batches of these orders, on the device."""
        if not self.workers:
            for each in orders:
                yield self.one(*each)
            return
        if self._ahead is None:
            self._ahead = self._begun()
        self._orders.waiting = orders
        try:
            with _unwarned():
                ahead = iter(self._ahead)
            for made in ahead:
                if isinstance(made, DataProblem):
                    raise made
                yield moved(made, self.device)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            help = "`--workers 0` reads them in the process itself; workers need room in memory and in /dev/shm"
            raise DataProblem(f"a worker that reads the samples ended: {error}", help) from error

    def one(self, indices: Indices, epoch: int | None) -> Batch:
        """A batch made here and now."""
        with one_thread():
            made = self.make(indices, epoch)
        return moved(made, self.device)

    def close(self) -> None:
        """End the workers, whoever still holds on to their batches (a traceback does)."""
        running = None if self._ahead is None else self._ahead._iterator
        if running is not None:
            running._shutdown_workers()  # type: ignore[attr-defined]
        self._ahead = None

    def _begun(self) -> DataLoader[Batch | DataProblem]:
        with _unwarned():
            return DataLoader(
                _Made(self.make), batch_size=None, sampler=self._orders, num_workers=self.workers, collate_fn=_same,
                worker_init_fn=_begin, persistent_workers=True, pin_memory=self.device.type == "cuda",
                generator=torch.Generator(),
            )  # fmt: skip


class _Orders:
    """What is asked for next."""

    waiting: Sequence[Order] = ()

    def __iter__(self) -> Iterator[Order]:
        return iter(self.waiting)


class _Made(Dataset["Batch | DataProblem"]):
    """Batches by their orders; a problem is handed over as a value, since exceptions arrive as texts."""

    def __init__(self, make: Make) -> None:
        self.make = make

    def __getitem__(self, order: Order) -> Batch | DataProblem:
        try:
            return self.make(*order)
        except DataProblem as problem:
            return problem


@contextmanager
def _unwarned() -> Iterator[None]:
    """More workers than processors are what was asked for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        yield


def _same(made: Any) -> Any:
    return made


def _begin(worker: int) -> None:
    """Ctrl-C is for the process that trains, which ends its workers; a signal to end is for the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def moved(batch: Batch, device: torch.device) -> Batch:
    """A batch on a device; from pinned memory without waiting."""
    inputs, target = batch
    onto = {name: each.to(device, non_blocking=True) for name, each in inputs.items()}
    return onto, target.to(device, non_blocking=True)


def workers_for(wanted: int | None, in_memory: bool) -> int:
    """How many workers to take: none for samples in memory, else as said, else one less than the processors."""
    if in_memory:
        return 0
    if wanted is not None:
        return wanted
    have = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    own = have // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # with torchrun the processors are shared
    return max(0, min(MOST, own - 1))


@contextmanager
def one_thread() -> Iterator[None]:
    """Work as a worker does, so that sums are rounded alike whatever the number of processors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
