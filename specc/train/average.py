"""The mean of the weights on their way, which is measured and kept in place of the weights of the last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from specc.train.checkpoint import State
from specc.train.groups import trained
from specc.train.modes import begin, held_norms
from specc.train.program import Code, mixed
from specc.train.samples import Samples


class Means:
    """The means of the trained weights by key, as `average` of the settings asks for; empty where nothing does.

    `state.averaged` counts the weights that were taken into them. `tensors` are what resuming needs.
    """

    def __init__(self, code: Code) -> None:
        self.code = code
        self.chosen = code.program.average
        self.tensors: dict[str, torch.Tensor] = {}
        if self.chosen is not None:
            keys = [each.key for each in trained(code.model, code.program)]
            self.tensors = {key: code.weights[key].detach().clone() for key in keys}

    def stepped(self, state: State) -> None:
        """After a step of the optimizer."""
        if self.chosen is not None and self.chosen.entry.stepwise:
            self._take(state)

    def closed(self, state: State) -> None:
        """After the last step of an epoch, which is not yet counted."""
        if self.chosen is not None and not self.chosen.entry.stepwise and state.epoch >= self.chosen.entry.begins:
            self._take(state)

    def _take(self, state: State) -> None:
        state.averaged += 1
        with torch.no_grad():
            self.code.functions.average(self.tensors, self.code.weights, state.averaged)

    @contextmanager
    def shown(self, state: State, samples: Samples) -> Iterator[None]:
        """The means in the module for as long as it is measured, once there are any."""
        if not state.averaged:
            yield
            return
        module = self.code.module
        live = {key: each.detach().clone() for key, each in module.state_dict().items()}
        with torch.no_grad():
            for key, mean in self.tensors.items():
                self.code.weights[key].copy_(mean)
        if self.chosen is not None and not self.chosen.entry.stepwise:
            self._statistics(state, samples)
        try:
            yield
        finally:
            module.load_state_dict(live)

    def _statistics(self, state: State, samples: Samples) -> None:
        """Make the running averages of batch norms anew, those of the live weights do not go with the means."""
        held = held_norms(self.code, state.epoch)
        norms = [each for each in self.code.module.modules() if isinstance(each, _BatchNorm) and each not in held]
        norms = [each for each in norms if each.track_running_stats and each.running_mean is not None]
        if not norms:
            return
        before = [each.momentum for each in norms]
        for each in norms:
            each.reset_running_stats()
            each.momentum = None  # the mean of all batches alike
        torch.manual_seed(mixed(self.code.program.seed, "average", state.epoch))
        begin(self.code, state.epoch)
        with torch.no_grad():
            for inputs, _ in samples.feed.batches(samples.parts.train, self.code.program.batch):
                self.code.outputs(inputs)
        for each, momentum in zip(norms, before, strict=True):
            each.momentum = momentum
