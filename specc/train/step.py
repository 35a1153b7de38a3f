"""One step of the optimizer: chance and rate from where training stands, gradients of some batches, new weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from torch import Tensor

from specc.data.named import implementation
from specc.model.program import Program
from specc.train.checkpoint import State
from specc.train.passing import Passing
from specc.train.program import Code
from specc.train.samples import Samples
from specc.train.team import ALONE, Alone, Piece

LEAST_SCALE = 2.0**-14  # of the loss, where even the least number of fp16 is lost


def chunks(
    samples: Samples, program: Program, state: State, team: Alone = ALONE
) -> Iterator[tuple[int, int, Iterator[Piece]]]:
    """The steps that are left of an epoch: how many batches each takes and of how many samples, and the batches."""
    left = samples.batches(state.epoch)[state.step :]
    made = team.pieces(samples, left, state.epoch)
    for at in range(0, len(left), program.accumulate):
        chunk = left[at : at + program.accumulate]
        yield len(chunk), sum(map(len, chunk)), islice(made, len(chunk))


class Stepper:
    """Takes the steps of a run. `losses` are those of the batches since they were last taken, with their samples."""

    def __init__(self, code: Code, passing: Passing, team: Alone = ALONE) -> None:
        self.code, self.passing, self.team = code, passing, team
        self.device = next(iter(code.weights.values())).device
        self.optimizer: torch.optim.Optimizer = code.functions.optimizer(code.weights)
        for group in self.optimizer.param_groups if team.sharded and "fused" in self.optimizer.defaults else ():
            group["fused"], group["foreach"] = False, True  # not every fused step knows weights in pieces
        self.scaler = torch.amp.GradScaler(self.device.type) if code.speed.scales else None
        self.losses: list[tuple[Tensor, int]] = []
        self.rate = 0.0

    def restored(self, state: State) -> None:
        """Go on with the scale of the loss that a checkpoint holds."""
        if self.scaler is not None and state.scale is not None:
            self.scaler.load_state_dict(
                self.scaler.state_dict() | {"scale": state.scale, "_growth_tracker": state.growth}
            )

    def noted(self, state: State) -> None:
        """Leave the scale of the loss where a checkpoint finds it."""
        if self.scaler is not None:
            found = self.scaler.state_dict()
            state.scale, state.growth = found["scale"], found["_growth_tracker"]

    def take(self, batches: Iterable[Piece], count: int, state: State, steps: int) -> None:
        """A step from one batch or several added up, `count` samples in all; an epoch has so many batches."""
        self.seed(state)
        self.rate = self._rate(state, steps)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * group.get("factor", 1.0)
        if self.code.program.optimizer.entry.grouped:
            self._backward(batches, count)
            self._step()
        else:
            self._search(list(batches), count, state)
        state.updates += 1

    @property
    def starved(self) -> bool:
        """Whether no gradient of fp16 was a number, however little the loss was scaled."""
        return self.scaler is not None and self.scaler.get_scale() < LEAST_SCALE

    def seed(self, state: State) -> None:
        """Chance within a step depends on the seed, the number of the step and the process alone."""
        number = self.team.seed(self.code.program.seed, "step", state.updates)
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(number)
        else:
            torch.manual_seed(number)

    def taken(self) -> list[tuple[float, int]]:
        """The losses since this was last asked, and the samples of each; waits for the device."""
        values = torch.stack([each for each, _ in self.losses]).tolist() if self.losses else []
        found = [(value, count) for value, (_, count) in zip(values, self.losses, strict=True)]
        self.losses.clear()
        return found

    def _backward(self, batches: Iterable[Piece], count: int, first: bool = True) -> Tensor:
        """The gradients of some batches as those of one, and what the optimizer makes small."""
        code, team, done = self.code, self.team, 0
        losses: list[Tensor] = []
        counts: list[int] = []
        self.optimizer.zero_grad(set_to_none=True)
        total: Tensor | None = None
        for piece in batches:
            done += piece.count
            team.begins(last=done == count)
            outputs = code.outputs(piece.inputs)
            loss = team.loss(code, outputs, piece)
            penalty = team.penalty(code)
            share = loss + penalty if isinstance(penalty, Tensor) else loss
            if piece.count < count:
                share = share * (piece.count / count)
            (share if self.scaler is None else self.scaler.scale(share)).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
            counts.append(piece.count)
            if first and piece.part:
                self.passing.add(outputs, piece.target)
            total = share.detach() if total is None else total + share.detach()
        assert total is not None
        *losses, total = team.gathered([*losses, total])
        if first:
            self.losses.extend(zip(losses, counts, strict=True))
        return total

    def _step(self) -> None:
        if self.scaler is None:
            self._clip()
            self.optimizer.step()
            return
        if self.code.program.clip is not None:
            self.scaler.unscale_(self.optimizer)
            self._clip()
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _search(self, batches: list[Piece], count: int, state: State) -> None:
        """A step of an optimizer that asks for the loss again and again; the first answer is that of the batch."""
        first = True

        def closure() -> float:
            nonlocal first
            self.seed(state)
            found = float(self._backward(batches, count, first))
            first = False
            return found

        self.optimizer.step(closure)

    def _rate(self, state: State, steps: int) -> float:
        epoch = state.epoch + state.step / steps
        if self.code.program.schedule[-1].entry.waits:
            return float(self.code.functions.rate(epoch, state.drops))
        return float(self.code.functions.rate(epoch))

    def _clip(self) -> None:
        clip = self.code.program.clip
        if clip is not None:
            trained = [each for group in self.optimizer.param_groups for each in group["params"]]
            implementation(clip.entry.runs)(trained, float(clip.entry.x))
