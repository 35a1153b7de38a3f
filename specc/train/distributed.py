"""Several processes that train one network: each takes its share of every batch, and all take the same steps.

The processes are those of torchrun. What they say to each other are tensors and bytes, never pickles.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import torch
import torch.distributed as dist
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from specc.train.gradients import Gradients
from specc.train.groups import trained
from specc.train.loader import Indices
from specc.train.problem import TrainProblem
from specc.train.program import Code, device_of, mixed
from specc.train.samples import Samples
from specc.train.speed import Wishes
from specc.train.team import Alone, Meters, Piece, Tensors, share


def _below(state: Tensors, start: str) -> dict[str, Tensor]:
    return {name.removeprefix(start): each for name, each in state.items() if name.startswith(start)}


PATIENCE = timedelta(minutes=30)  # how long one waits for another, which may write a large checkpoint
LISTEN_AFTER = 20  # batches between questions, where asking makes the device wait
FAILED = "specc/failed"  # counts in the common store those that had to end


class Together(Alone):
    """One of several processes, each of which calls the same of these methods in the same order."""

    def __init__(self, device: torch.device, shard: bool) -> None:
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.sharded = shard
        self.own = device
        self.store = dist.distributed_c10d._get_default_store()
        self.parent = os.getppid()
        self.least = 1  # samples that a process needs in a batch
        self.wishes = [0.0, 0.0]  # to stop, to save
        self.known: Tensor | None = None  # those of all processes in the last steps
        self.questions = 0
        self.gradients: Gradients | None = None

    @classmethod
    def met(cls, device: str, shard: bool) -> Together:
        """Meet the others; processes that have met stay together."""
        found = device_of(device)
        if found.type == "cuda":
            found = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            if found.index >= torch.cuda.device_count():
                message = f"there are {torch.cuda.device_count()} GPUs here for {found.index + 1} processes or more"
                raise TrainProblem("no-device", message, "start a process for each GPU, or take `--device cpu`")
            torch.cuda.set_device(found)
        if not dist.is_initialized():
            try:
                dist.init_process_group("cpu:gloo,cuda:nccl" if found.type == "cuda" else "gloo", timeout=PATIENCE)
            except (RuntimeError, ValueError) as error:
                message = f"this process does not reach the others: {str(error).splitlines()[0]}"
                raise TrainProblem(
                    "process-lost", message, "start it with torchrun, which says where they meet"
                ) from error
        return cls(found, shard)

    # ------------------------------------------------------------------------------------------- before the run
    def device(self, device: torch.device) -> torch.device:
        return self.own

    def possible(self, wishes: Wishes | None) -> Wishes | None:
        if not self.sharded:
            return wishes
        for name in ("compile", "channels_last"):
            if getattr(wishes, name, None):
                option = f"--{name.replace('_', '-')}"
                raise TrainProblem("not-sharded", f"`{option}` does not go with `--shard`", "leave one of them out")
        return replace(wishes or Wishes(), compile=False, channels_last=False)

    def prepared(self, code: Code) -> tuple[Code, tuple[str, ...]]:
        notes: list[str] = []
        if any(isinstance(each, _BatchNorm) for each in code.module.modules()):
            if self.own.type == "cuda":
                module = nn.SyncBatchNorm.convert_sync_batchnorm(code.module)  # type: ignore[no-untyped-call]
                code = replace(code, module=module, forward=code.speed.applied(module, self.own))
                notes.append(f"batchnorm takes its statistics over the samples of all {self.world} processes")
            else:
                self.least = 2
                notes.append(
                    f"batchnorm takes its statistics in each of the {self.world} processes over its own share of a batch; "
                    "running averages are those of process 0"
                )
        working = min(self.world, max(1, code.program.batch // self.least))
        if working < self.world:
            notes.append(f"a batch of {code.program.batch} gives work to {working} of {self.world} processes")
        if self.sharded:
            from specc.train.sharding import sharded

            return sharded(code, self.own, self.world), tuple(notes)
        keys = [each.key for each in trained(code.model, code.program)]
        self.gradients = Gradients([code.weights[key] for key in keys])
        return code, tuple(notes)

    # ---------------------------------------------------------------------------------------------- in each step
    def seed(self, *parts: int | str) -> int:
        return mixed(*parts, self.rank) if self.rank else mixed(*parts)

    def pieces(self, samples: Samples, batches: Sequence[Indices], epoch: int) -> Iterator[Piece]:
        shares = [share(len(each), self.rank, self.world, self.least) for each in batches]
        if samples.feed.padding is None:
            own = [each[mine.start : mine.end] for each, mine in zip(batches, shares, strict=True)]
            for mine, whole, made in zip(shares, batches, samples.epoch(own, epoch), strict=False):
                yield Piece(*made, len(whole), mine.part)
            return
        for mine, whole, (inputs, target) in zip(shares, batches, samples.epoch(batches, epoch), strict=False):
            inputs = {
                name: each[mine.start : mine.end] for name, each in inputs.items()
            }  # padded as the largest of all
            yield Piece(inputs, target[mine.start : mine.end], len(whole), mine.part)

    def begins(self, last: bool) -> None:
        if self.gradients is not None and last:
            self.gradients.begin()

    def loss(self, code: Code, outputs: Tensors, piece: Piece) -> Tensor:
        if not hasattr(code.functions, "terms"):
            return super().loss(code, outputs, piece) * piece.part
        terms = code.functions.terms(outputs, piece.inputs, piece.target)
        counted = len(piece.target) if piece.part else 0
        amounts = torch.stack([each.detach().double() for _, each in terms if each is not None]) * bool(piece.part)
        divisors = iter(self.summed(amounts).clamp(min=1e-12).float())
        parts = [term * (piece.part if each is None else counted / next(divisors)) for term, each in terms]
        return torch.stack(parts).sum()

    def penalty(self, code: Code) -> Tensor | float:
        if self.sharded:
            from specc.train.sharding import penalty

            return penalty(code)
        return super().penalty(code) if self.leads else 0.0

    def gathered(self, values: list[Tensor]) -> list[Tensor]:
        along = torch.cat([torch.stack(values).float(), torch.tensor(self.wishes, device=self.own)])
        with self._working():
            if self.gradients is not None:
                self.gradients.finish(along)
            else:
                dist.all_reduce(along)
        self.known = along[-2:] if self.known is None else self.known + along[-2:]
        return list(along[:-2])

    # ------------------------------------------------------------------------------------------- what they agree on
    def summed(self, values: Tensor) -> Tensor:
        with self._working():
            dist.all_reduce(values)
        return values

    def asked(self, stop: bool, due: bool) -> tuple[bool, bool]:
        orphaned = os.getppid() != self.parent  # nobody is left who could end it
        self.wishes = [float(stop or orphaned), float(due and self.leads)]
        self.questions += 1
        if self.known is None or (self.own.type == "cuda" and self.questions % LISTEN_AFTER):
            return False, False
        stops, saves = self.known.tolist()
        self.known = None
        return bool(stops), bool(saves)

    def decided(self, here: bool) -> bool:
        return bool(self.told("yes" if here else ""))

    def told(self, text: str = "") -> str:
        said = text.encode() if self.leads else b""
        with self._working():
            size = torch.tensor([len(said)])
            dist.broadcast(size, 0)
            data = torch.zeros(int(size), dtype=torch.uint8)
            data[: len(said)] = torch.tensor(list(said), dtype=torch.uint8)
            dist.broadcast(data, 0)
        return bytes(data.tolist()).decode()

    def level(self, module: nn.Module) -> None:
        with self._working():
            for each in module.buffers():
                dist.broadcast(each, 0)

    def equal(self, module: nn.Module) -> None:
        self.level(module)
        with self._working():
            for each in module.parameters() if not self.sharded else ():
                dist.broadcast(each.detach(), 0)

    def turns(self, count: int) -> tuple[range, int]:
        parts = [range(count * at // self.world, count * (at + 1) // self.world) for at in range(self.world)]
        idle = max(map(len, parts)) - len(parts[self.rank])  # a network in pieces needs all of them for every batch
        return parts[self.rank], idle if self.sharded else 0

    def whole(self, meters: Meters, fresh: Callable[[], Meters]) -> Meters:
        found = fresh()
        mine = {f"{label}/{name}": each for label, (_, meter) in meters.items() for name, each in meter.state().items()}
        for state in self.everyones(mine):
            for label, (_, meter) in found.items():
                meter.absorb(_below(state, f"{label}/"))
        return found

    def everyones(self, mine: Tensors) -> list[Tensors]:
        data = save({name: each.detach().cpu().contiguous() for name, each in mine.items()})
        sizes = torch.zeros(self.world, dtype=torch.int64)
        sizes[self.rank] = len(data)
        self.summed(sizes)
        room = torch.zeros(int(sizes.max()), dtype=torch.uint8)
        room[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        found = [torch.zeros_like(room) for _ in range(self.world)]
        with self._working():
            dist.all_gather(found, room)
        return [load(each[:size].numpy().tobytes()) for each, size in zip(found, sizes.tolist(), strict=True)]

    # ------------------------------------------------------------------------------------------------ at the end
    def first_to_fail(self) -> bool:
        try:
            return int(self.store.add(FAILED, 1)) == 1
        except RuntimeError:  # whoever kept the store is gone
            return self.leads

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Around words between the processes; raises TrainProblem where another is gone."""
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            message = f"another of the {self.world} processes has ended, so this one cannot go on"
            help = "see what it said; `torchrun … -m specc train --resume RUN` continues from the last checkpoint"
            raise TrainProblem("process-lost", message, help) from error
