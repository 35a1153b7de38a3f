"""What is held in an epoch: weights without gradients, and norms of frozen parts, which keep their statistics."""

from __future__ import annotations

from torch import nn

from specc.model.elaborate.claims import is_frozen
from specc.train.groups import frozen, trained
from specc.train.program import Code


def begin(code: Code, epoch: int) -> None:
    """The module as it trains in an epoch, from 0: norms of parts that are held use what they have gathered before."""
    code.module.train()
    for each in held_norms(code, epoch):
        each.eval()
    if code.program.freeze:
        held = frozen(code.model, code.program, epoch)
        for weight in trained(code.model, code.program):
            code.weights[weight.key].requires_grad_(weight.key not in held)


def norms(code: Code) -> dict[str, nn.Module]:
    """The modules that keep running statistics, by their paths."""
    found = code.module.named_modules()
    return {path: each for path, each in found if getattr(each, "running_mean", None) is not None}


def held_norms(code: Code, epoch: int) -> list[nn.Module]:
    """Those below what `freeze` holds in an epoch, or with `trainable=false`."""
    every = norms(code)
    if not every:
        return []
    held = frozen(code.model, code.program, epoch)
    fixed = {
        each.key for each in code.model.weights if is_frozen(each.module, each.name) or (each.tied or each.key) in held
    }
    return [each for path, each in every.items() if f"{path}.running_mean" in fixed]
