"""Rules for how weights follow the gradient: decay, rates and frozen parts against the network, figures that exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from specc.catalogue.arguments import Initial
from specc.catalogue.initial import misfits
from specc.model.elaborate.problem import suggestion
from specc.text.diagnostics import Diagnostic

if TYPE_CHECKING:
    from specc.model.graph import Model
    from specc.model.program import Chosen, Program


def below(model: Model, path: str) -> frozenset[str]:
    """The keys of the weights at a path or below it; of tied ones the key under which they are one."""
    inside = (each for each in model.weights if each.key == path or each.key.startswith(f"{path}."))
    return frozenset(each.tied or each.key for each in inside)


def check_tuning(model: Model, program: Program) -> Iterator[Diagnostic]:
    """What is wrong with the optimizer and what goes with it."""
    yield from _decay(model, program)
    yield from _paths(model, program)
    yield from _one_vector(model, program)
    yield from _initials(model)
    for chosen in (program.stop, program.schedule[-1] if program.schedule else None):
        if chosen is not None and "on" in chosen.entry.fields:
            yield from _watched(program, chosen)
    average = program.average
    if average is not None and average.entry.begins >= program.epochs > 0:
        message = f"`{average.entry.name}` begins after {average.entry.begins} epochs; there are {program.epochs}"
        yield Diagnostic("setting-conflict", average.place("from"), message, "begin earlier, or train longer")


def _decay(model: Model, program: Program) -> Iterator[Diagnostic]:
    optimizer = program.optimizer.entry
    if optimizer.couples:
        return
    message = f"`{optimizer.name}` has a weight decay of its own, apart from the gradient"
    for each in program.regularize:
        if each.entry.decays:
            yield Diagnostic(
                "setting-conflict", each.span, message, f"write `{optimizer.name}(decay={each.entry.x})` instead"
            )
    for step in model.steps:
        if "l2" in step.expressions:
            yield Diagnostic(
                "setting-conflict", step.expressions["l2"].span, message, "take `sgd` or `adam`, or leave `l2` out"
            )


def _paths(model: Model, program: Program) -> Iterator[Diagnostic]:
    """`rates` and `freeze` name parts of the network that have weights."""
    parts = {key[:at] for key in (each.key for each in model.weights) for at in range(len(key)) if key[at] == "."}
    for chosen in (*program.rates, *program.freeze):
        for path in (*chosen.entry.extra_values, *chosen.entry.rest_values):
            if not below(model, path):
                message = f"`{model.name}` has no weights at `{path}`"
                help = suggestion(path, parts | {each.key for each in model.weights})
                yield Diagnostic("unknown-name", chosen.place(path), message, help)


def _one_vector(model: Model, program: Program) -> Iterator[Diagnostic]:
    """An optimizer that takes all weights as one has one rate for them, and steps that are not cut short."""
    optimizer = program.optimizer.entry
    if optimizer.grouped:
        return
    message = f"`{optimizer.name}` takes all weights as one vector, so they have one learning rate"
    help = "take another optimizer, or leave it out"
    if program.precision == "fp16":
        fact = f"`{optimizer.name}` goes without `precision fp16`, which leaves out steps whose gradient is too large"
        yield Diagnostic(
            "setting-conflict", program.optimizer.span, fact, "take `precision bf16`, or another optimizer"
        )
    for each in program.rates:
        yield Diagnostic("setting-conflict", each.span, message, help)
    for step in model.steps:
        if "lr" in step.expressions:
            yield Diagnostic("setting-conflict", step.expressions["lr"].span, message, help)
    if program.clip is not None:
        message = f"`{optimizer.name}` measures a step by its gradient, which `clip` would change on the way"
        yield Diagnostic("setting-conflict", program.clip.span, message, help)


def _initials(model: Model) -> Iterator[Diagnostic]:
    """The initialisers that layers have of their own; that of the section has been looked at."""
    for step in model.steps:
        for name in ("init", "bias_init"):
            initial = getattr(step.op, name) if name in step.expressions else None
            if isinstance(initial, Initial):
                for misfit in misfits(initial, name):
                    yield Diagnostic(misfit.code, step.expressions[name].span, misfit.message, misfit.help)


def _watched(program: Program, chosen: Chosen) -> Iterator[Diagnostic]:
    """The figure that a rule looks at is a column of metrics.csv."""
    measures = {each.label: each.batchwise for each in program.measures if each.metric.entry.column}
    losses = [each.loss.entry for each in program.terms if each.loss is not None]
    labels = measures or {each.measures: True for each in losses if each.measures}
    blends = any(each.entry.blends for each in program.augment)
    known = ["train.loss", *(f"train.{label}" for label, often in labels.items() if often and not blends)]
    known += ["validation.loss", *(f"validation.{label}" for label in labels)]
    if chosen.entry.on not in known:
        message = f"`{chosen.entry.on}` is no figure of this training"
        yield Diagnostic("unknown-column", chosen.place("on"), message, f"there are: {', '.join(known)}")
