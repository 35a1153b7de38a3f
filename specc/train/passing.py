"""The metrics of the training samples, from the outputs of the steps as they come: several batches at once, no waiting."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from specc.train.program import Code
from specc.train.team import ALONE, Alone, Meters

AT_ONCE = 32  # batches that are looked at together
ROOM = 2**24  # bytes of outputs and targets that may wait until then


class Passing:
    """Meters over the epoch under way; none where `augment` mixes targets, for then no answer is right or wrong.

    What waits is looked at after fixed numbers of batches, so that the figures of a run that was stopped are the same.
    """

    def __init__(self, code: Code, team: Alone = ALONE, measured: bool = True) -> None:
        self.code, self.team = code, team
        blends = any(each.entry.blends for each in code.program.augment)
        self.labels = () if blends or not measured else tuple(each.label for each in code.measures if each.batchwise)
        self._begin()

    def _begin(self) -> None:
        self.meters = self._fresh()
        self.waiting: list[tuple[dict[str, Tensor], Tensor]] = []
        self.room = ROOM

    def _fresh(self) -> Meters:
        return {label: each for label, each in self.code.meters().items() if label in self.labels}

    def add(self, outputs: Mapping[str, Tensor], target: Tensor) -> None:
        """A batch, with the outputs of training as they went into the loss."""
        if not self.labels:
            return
        kept = {name: each.detach() for name, each in outputs.items()}
        if self.waiting and _shapes(*self.waiting[-1]) != _shapes(kept, target):
            self._look()
        self._wait(kept, target)
        if len(self.waiting) == AT_ONCE or self.room <= 0:
            self._look()

    def _wait(self, outputs: dict[str, Tensor], target: Tensor) -> None:
        self.waiting.append((outputs, target))
        self.room -= sum(each.numel() * each.element_size() for each in (*outputs.values(), target))

    def _look(self) -> None:
        if not self.waiting:
            return
        outputs = {name: torch.cat([each[name] for each, _ in self.waiting]) for name in self.waiting[0][0]}
        target = torch.cat([each for _, each in self.waiting])
        self.waiting, self.room = [], ROOM
        with torch.no_grad():
            given = self.code.functions.heads(outputs)
            for output, each in self.meters.values():
                each.add(given[output], target)

    def closed(self) -> dict[str, float]:
        """The figures of the epoch by label, and a new beginning."""
        self._look()
        whole = self.team.whole(self.meters, self._fresh) if self.labels else {}
        found = {label: each.value() for label, (_, each) in whole.items()}
        self._begin()
        return found

    def state(self) -> dict[str, Tensor]:
        """What the epoch has gathered so far in each process; nothing between two epochs."""
        everyones = self.team.everyones(self._own()) if self.labels else ()
        return {f"{rank}/{name}": each for rank, own in enumerate(everyones) for name, each in own.items()}

    def _own(self) -> dict[str, Tensor]:
        found = {
            f"meter/{label}/{name}": each
            for label, (_, meter) in self.meters.items()
            for name, each in meter.state().items()
        }
        for at, (outputs, target) in enumerate(self.waiting):
            found |= {f"waiting/{at}/{name}": each for name, each in outputs.items()} | {f"waiting/{at}": target}
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from there; of more processes than there are now, several to each."""
        self._begin()
        ranks = sorted({int(key.partition("/")[0]) for key in state})
        mine = [_below(state, f"{rank}/") for rank in ranks[self.team.rank :: self.team.world]]
        for own in mine[:1]:
            self._resume(own)
        for own in mine[1:]:
            other = Passing(self.code)
            other._resume(own)
            other._look()
            for label, (_, meter) in self.meters.items():
                meter.absorb(other.meters[label][1].state())

    def _resume(self, state: Mapping[str, Tensor]) -> None:
        for label, (_, meter) in self.meters.items():
            meter.absorb(_below(state, f"meter/{label}/"))
        while f"waiting/{len(self.waiting)}" in state:
            at = f"waiting/{len(self.waiting)}"
            self._wait(_below(state, f"{at}/"), state[at])


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): each for key, each in state.items() if key.startswith(prefix)}


def _shapes(outputs: Mapping[str, Tensor], target: Tensor) -> list[torch.Size]:
    return [each.shape[1:] for each in (*outputs.values(), target)]
