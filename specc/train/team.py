"""What a run asks of the processes that share it; one process by itself has all samples and decides alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from specc.train.loader import Indices
from specc.train.metrics.meter import Meter
from specc.train.problem import TrainProblem
from specc.train.program import Code, mixed
from specc.train.samples import Samples
from specc.train.speed import Wishes

Tensors = Mapping[str, torch.Tensor]
Meters = dict[str, tuple[str, Meter]]


class Piece(NamedTuple):
    """A process's samples of a batch of `count`; `part` is how much of the batch they are, 0 where they only go along."""

    inputs: dict[str, torch.Tensor]
    target: torch.Tensor
    count: int  # type: ignore[assignment]
    part: float


@dataclass(frozen=True, slots=True)
class Share:
    """The samples from `start` to `end` of a batch, a `part` of all its samples.

    A process that has none takes the first ones along and counts them nothing, so that all do the same steps.
    """

    start: int
    end: int
    part: float


def share(count: int, rank: int, world: int, least: int = 1) -> Share:
    """What process `rank` of `world` takes of a batch; none takes fewer than `least` samples, so some may have none."""
    workers = max(1, min(world, count // least))
    if rank >= workers:
        return Share(0, min(least, count), 0.0)
    start, end = count * rank // workers, count * (rank + 1) // workers
    return Share(start, end, (end - start) / count)


class Alone:
    """One process. What is the same in all processes needs no word between them, so this is all there is to ask."""

    rank = 0
    world = 1
    sharded = False

    @property
    def leads(self) -> bool:
        """Whether this process writes the run folder and speaks."""
        return self.rank == 0

    # ------------------------------------------------------------------------------------------- before the run
    def device(self, device: torch.device) -> torch.device:
        """The device of this process, of that kind."""
        return device

    def possible(self, wishes: Wishes | None) -> Wishes | None:
        """The wishes as far as several processes can do so; raises TrainProblem."""
        return wishes

    def prepared(self, code: Code) -> tuple[Code, tuple[str, ...]]:
        """The code made ready for several processes, and sentences about what is not as with one."""
        return code, ()

    # ---------------------------------------------------------------------------------------------- in each step
    def seed(self, *parts: int | str) -> int:
        """A seed of this process, from what it depends on."""
        return mixed(*parts)

    def pieces(self, samples: Samples, batches: Sequence[Indices], epoch: int) -> Iterator[Piece]:
        """This process's training samples of batches of an epoch."""
        for indices, made in zip(batches, samples.epoch(batches, epoch), strict=False):
            yield Piece(*made, len(indices), 1.0)

    def begins(self, last: bool) -> None:
        """Before each batch of a step; the gradients are added up with those of the `last` one."""

    def loss(self, code: Code, outputs: Tensors, piece: Piece) -> torch.Tensor:
        """What these samples are in the loss of the whole batch; over all processes it adds up to that."""
        found: torch.Tensor = code.functions.loss(outputs, piece.inputs, piece.target)
        return found

    def penalty(self, code: Code) -> torch.Tensor | float:
        """What is added for the size of the weights; over all processes it adds up to that."""
        found: torch.Tensor | float = code.functions.penalty(code.weights)
        return found

    def gathered(self, values: list[torch.Tensor]) -> list[torch.Tensor]:
        """After the last batch of a step: the gradients of all processes, added up, are in each; so are the values."""
        return values

    # ------------------------------------------------------------------------------------------- what they agree on
    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over the processes, in place."""
        return values

    def asked(self, stop: bool, due: bool) -> tuple[bool, bool]:
        """Before a step: whether any process is to stop, and whether the leading one says that a checkpoint is due.

        Wishes of several processes travel with the gradients, so they are known a step later.
        """
        return stop, due

    def decided(self, here: bool) -> bool:
        """What the leading process says."""
        return here

    def told(self, text: str = "") -> str:
        """A text of the leading process; the others wait for it."""
        return text

    def level(self, module: torch.nn.Module) -> None:
        """The buffers of the leading process in all."""

    def equal(self, module: torch.nn.Module) -> None:
        """The weights and buffers of the leading process in all."""

    def turns(self, count: int) -> tuple[range, int]:
        """Which of so many batches this process measures, and how often it must go along after them."""
        return range(count), 0

    def whole(self, meters: Meters, fresh: Callable[[], Meters]) -> Meters:
        """The meters with what all processes measured; `fresh` makes new ones."""
        return meters

    def everyones(self, mine: Tensors) -> Sequence[Tensors]:
        """Such tensors of every process, in the order of their ranks."""
        return [mine]

    # ------------------------------------------------------------------------------------------------ at the end
    def first_to_fail(self) -> bool:
        """Whether no other process has said yet why the run ends."""
        return True


ALONE = Alone()


def team(device: str, shard: bool = False) -> Alone:
    """The processes that torchrun started, met; the plain case is one process and loads nothing for it.

    Raises:
        TrainProblem: the others or the device are not there, or there is one process and nothing to `shard` with.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from specc.train.distributed import Together

        return Together.met(device, shard)
    if shard:
        message = "`--shard` parts a network between processes, and this is the only one"
        raise TrainProblem("one-process", message, "torchrun --nproc-per-node 2 -m specc train … --shard")
    return ALONE
