"""Where the first number that is not finite comes from: steps are taken again from the last checkpoint until there is one.

The step that makes it is then taken apart, with the weights from before it: outputs, loss, gradient, new weights.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from specc.train import checkpoint
from specc.train.checkpoint import State
from specc.train.modes import begin, norms
from specc.train.passing import Passing
from specc.train.program import Code
from specc.train.samples import Samples
from specc.train.step import Stepper, chunks
from specc.train.team import Piece


@dataclass(frozen=True, slots=True)
class Origin:
    """Where it comes from, as the end of a sentence; the epoch and the step of the optimizer, both from 1."""

    where: str
    epoch: int
    update: int


def sound(code: Code) -> bool:
    """Whether all weights, and the statistics of norms, are numbers."""
    kept: list[Any] = list(code.weights.values())
    kept += [x for each in norms(code).values() for x in (each.running_mean, each.running_var)]
    return bool(torch.stack([(each.detach() * 0).sum() for each in kept]).isfinite().all())


def origin(code: Code, samples: Samples, last: Path, until: State) -> Origin | None:
    """The origin within the steps from a checkpoint on, up to where training stands; None if all goes well this time.

    Weights and optimizer are left as they are in that step.
    """
    stepper = Stepper(code, Passing(code, measured=False))
    state, _ = checkpoint.read(last, code.module, stepper.optimizer)
    stepper.restored(state)
    steps = samples.steps
    while state.updates < until.updates:
        begin(code, state.epoch)
        for number, count, made in chunks(samples, code.program, state):
            if state.updates == until.updates:
                break
            before = {key: each.clone() for key, each in code.module.state_dict().items()}
            given, now = list(made), replace(state)
            stepper.take(given, count, state, steps)
            if not sound(code) or not all(math.isfinite(loss) for loss, _ in stepper.taken()):
                after = [key for key, each in code.weights.items() if not bool(each.isfinite().all())]
                code.module.load_state_dict(before)
                stepper.seed(now)
                where = _within(code, given, after)
                return Origin(where, state.epoch + 1, state.updates)
            state.step += number
        state.epoch, state.step = state.epoch + 1, 0
    return None


def _within(code: Code, given: list[Piece], after: list[str]) -> str:
    """The place within a step; `after` are the weights that are no numbers after it."""
    for key, weight in code.weights.items():
        if not bool(weight.isfinite().all()):
            return f"`{key}`, a weight that training started from"
    forward = replace(code.speed, compile=False).applied(code.module, next(iter(code.weights.values())).device)
    plain = replace(code, forward=forward)
    for each in code.weights.values():
        each.grad = None
    for inputs, target, *_ in given:
        for name, values in (*inputs.items(), ("the target", target)):
            if not bool(values.isfinite().all()):
                return f"the data: `{name}`"
        with _watching(code) as found:
            loss = code.functions.loss(plain.outputs(inputs), inputs, target)
        if found:
            return f"the outputs: {found[0]}"
        (loss + code.functions.penalty(code.weights)).backward()
    for key, weight in reversed(code.weights.items()):
        if weight.grad is not None and not bool(weight.grad.isfinite().all()):
            return f"the gradient of `{key}`"
    return f"the new weights `{after[0]}`, from a gradient of finite numbers" if after else "the loss"


@contextmanager
def _watching(code: Code) -> Iterator[list[str]]:
    """Where a function makes a number that is not finite of finite ones, in words, in their order."""
    names = {each: name for name, each in code.module.named_modules()}
    inside: list[str] = []

    def enter(module: nn.Module, given: Any) -> None:
        inside.append(names[module])

    def leave(module: nn.Module, given: Any, made: Any) -> None:
        inside.pop()

    hooks = [
        hook for each in names for hook in (each.register_forward_pre_hook(enter), each.register_forward_hook(leave))
    ]
    watch = _Watch(code, inside)
    try:
        with watch:
            yield watch.found
    finally:
        for hook in hooks:
            hook.remove()


class _Watch(TorchFunctionMode):
    """Looks at what goes into every function of PyTorch and at what comes out."""

    def __init__(self, code: Code, inside: list[str]) -> None:
        super().__init__()
        self.sources = {
            f"<{code.model.name}>": ("model.py", code.model_source),
            "<program>": ("program.py", code.program_source),
        }
        self.code, self.inside, self.found = code, inside, list[str]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        fine = not self.found and all(map(_finite, (*args, *kwargs.values())))
        made = func(*args, **kwargs)
        if fine and not _finite(made):
            self.found.append(self._said(getattr(func, "__name__", "a function")))
        return made

    def _said(self, function: str) -> str:
        layer = f"`{function}`"
        if self.inside and self.inside[-1]:
            path = self.inside[-1]
            layer = f"`{path}`" if _is_layer(self.code.module.get_submodule(path)) else f"{layer} of `{path}`"
        frame = sys._getframe(2)
        while frame is not None:
            file, source = self.sources.get(frame.f_code.co_filename, ("", ""))
            if file:
                line = source.splitlines()[frame.f_lineno - 1].strip()
                return f"{layer} in `{line}` ({file}, line {frame.f_lineno})"
            frame = frame.f_back  # type: ignore[assignment]
        return layer


def _is_layer(module: nn.Module) -> bool:
    """Whether a module is one of PyTorch's own, and not a block of the spec."""
    return type(module).__module__.startswith("torch.nn.") and not any(module.children())


def _finite(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not (value.is_floating_point() or value.is_complex()) or bool(value.isfinite().all())
    if isinstance(value, tuple | list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
