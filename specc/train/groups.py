"""Which weights are trained with which learning-rate factor, decay and penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from specc.model.graph import Model, Weight
from specc.model.program import Program


@dataclass(frozen=True, slots=True)
class Group:
    """Weights by key that are treated alike. `factor` multiplies the learning rate; `l1` and `l2` are per weight."""

    keys: tuple[str, ...]
    factor: float
    l1: float
    l2: float


def groups(model: Model, program: Program, by: Literal["optimizer", "l1"]) -> tuple[Group, ...]:
    """The trained weights, gathered by what the optimizer must know, or by their l1; in the order of the model."""
    found: dict[tuple[float, ...], list[str]] = {}
    sizes: dict[tuple[float, ...], Group] = {}
    for weight in trained(model):
        one = _alone(weight, program)
        key = (one.factor, one.l2) if by == "optimizer" else (one.l1,)
        found.setdefault(key, []).append(weight.key)
        sizes.setdefault(key, one)
    return tuple(Group(tuple(keys), sizes[key].factor, sizes[key].l1, sizes[key].l2) for key, keys in found.items())


def trained(model: Model) -> tuple[Weight, ...]:
    """The parameters that training changes; tied ones once."""
    return tuple(each for each in model.weights if each.spec.kind == "parameter" and not each.tied and each.trainable)


def _alone(weight: Weight, program: Program) -> Group:
    """A layer's own `l1=` and `l2=` stand instead of the section's, for its weights and not its biases."""
    l1 = l2 = 0.0
    for each in program.regularize:
        if weight.spec.decays or each.entry.on == "all":
            l1, l2 = (l1, l2 + each.entry.x) if each.entry.decays else (l1 + each.entry.x, l2)
    step = weight.module.step
    if step is None:
        return Group((weight.key,), 1, l1, l2)
    if weight.spec.decays:
        l1 = step.op.l1 if "l1" in step.expressions else l1  # type: ignore[attr-defined]
        l2 = step.op.l2 if "l2" in step.expressions else l2  # type: ignore[attr-defined]
    return Group((weight.key,), getattr(step.op, "lr", 1), l1, l2)
