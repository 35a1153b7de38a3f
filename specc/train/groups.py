"""Which weights are trained with which learning-rate factor, decay and penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from specc.model.graph import Model, Weight
from specc.model.program import Program
from specc.model.tuning import below


@dataclass(frozen=True, slots=True)
class Group:
    """Weights by key that are treated alike. `factor` multiplies the learning rate; `l1` and `l2` are per weight."""

    keys: tuple[str, ...]
    factor: float
    l1: float
    l2: float


def groups(model: Model, program: Program, by: Literal["optimizer", "penalty"]) -> tuple[Group, ...]:
    """The trained weights, gathered by what the optimizer must know, or by what is added to the loss for them; in the
    order of the model. An optimizer that is not `grouped` has one group, and all decay is added to the loss."""
    grouped = program.optimizer.entry.grouped
    found: dict[tuple[float, ...], list[str]] = {}
    sizes: dict[tuple[float, ...], Group] = {}
    for weight in trained(model, program):
        one = _alone(model, weight, program)
        key = (one.factor, one.l2) if by == "optimizer" else (one.l1, 0 if grouped else one.l2)
        if by == "optimizer" and not grouped:
            key = (1, 0)
        found.setdefault(key, []).append(weight.key)
        sizes.setdefault(key, one)
    return tuple(Group(tuple(keys), sizes[key].factor, sizes[key].l1, sizes[key].l2) for key, keys in found.items())


def trained(model: Model, program: Program) -> tuple[Weight, ...]:
    """The parameters that training changes, if only later; tied ones once."""
    never = frozen(model, program, None)
    return tuple(
        each
        for each in model.weights
        if each.spec.kind == "parameter" and not each.tied and each.trainable and each.key not in never
    )


def frozen(model: Model, program: Program, epoch: int | None) -> frozenset[str]:
    """The keys of the weights that `freeze` holds in an epoch, from 0; None is after all."""
    found: set[str] = set()
    for chosen in program.freeze:
        until = chosen.entry.until
        if until is None or (epoch is not None and epoch < until):
            found.update(*(below(model, path) for path in chosen.entry.rest_values))
    return frozenset(found)


def _alone(model: Model, weight: Weight, program: Program) -> Group:
    """A layer's own `l1=` and `l2=` stand instead of the section's, for its weights and not its biases, and its `lr=`
    instead of `rates`."""
    l1 = l2 = 0.0
    for each in program.regularize:
        if weight.spec.decays or each.entry.on == "all":
            l1, l2 = (l1, l2 + each.entry.x) if each.entry.decays else (l1 + each.entry.x, l2)
    step, factor = weight.module.step, _rate(model, weight, program)
    if step is None:
        return Group((weight.key,), factor, l1, l2)
    if weight.spec.decays:
        l1 = step.op.l1 if "l1" in step.expressions else l1  # type: ignore[attr-defined]
        l2 = step.op.l2 if "l2" in step.expressions else l2  # type: ignore[attr-defined]
    return Group((weight.key,), step.op.lr if "lr" in step.expressions else factor, l1, l2)  # type: ignore[attr-defined]


def _rate(model: Model, weight: Weight, program: Program) -> float:
    """The factor of the longest path in `rates` that holds the weight; of equal ones the last."""
    found: tuple[int, float] = (0, 1)
    for chosen in program.rates:
        for path, factor in chosen.entry.extra_values.items():
            if len(path) >= found[0] and weight.key in below(model, path):
                found = (len(path), factor)
    return found[1]
