"""Rules for what is done with answers: metrics against the data's target, steps of `postprocess` against the output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from specc.model.heads import SHARES, head
from specc.model.losses import says
from specc.text.diagnostics import Diagnostic

if TYPE_CHECKING:
    from specc.model.facts import Facts
    from specc.model.graph import Model
    from specc.model.program import Program


def check_answers(model: Model, program: Program) -> Iterator[Diagnostic]:
    """Columns that are there once, the order of the steps of `postprocess`, and the output that the first of them reads."""
    labels: set[str] = set()
    for each in program.measures:
        if each.label in labels and not each.post:
            message = f"there are two columns `{each.label}`"
            yield Diagnostic("repeated-setting", each.metric.span, message, "leave one out")
        labels.add(each.label)
    for at, step in enumerate(program.postprocess):
        name = step.entry.name
        if not step.entry.first:
            continue
        if at:
            message = f"`{name}` makes classes of probabilities; behind another step there are classes already"
            yield Diagnostic("setting-conflict", step.span, message, "put it first, and once")
        for output in dict.fromkeys(each.output for each in program.measures if each.post):
            if head(model, output).makes not in ("probability", SHARES[0]):
                message = f"`{name}` compares probabilities; `{output}` makes none"
                yield Diagnostic("setting-conflict", step.span, message, "end it with `sigmoid` or `softmax`")


def check_measures(program: Program, facts: Facts) -> Iterator[Diagnostic]:
    """Metrics and steps of `postprocess` that do not go with the target of the data."""
    for each in program.measures:
        entry = each.metric.entry
        if each.post:
            continue
        if facts.target not in entry.targets:
            message = f"`{entry.name}` does not go with this data's target, {says(facts)}"
            yield Diagnostic("target-type", each.metric.span, message)
        else:
            for misfit in entry.fits(facts.target, facts.classes):
                yield Diagnostic(misfit.code, each.metric.place(misfit.argument), misfit.message, misfit.help)
    for step in program.postprocess:
        name = step.entry.name
        if facts.target not in ("class", "classes"):
            message = f"`{name}` is for classes, which this data's target is not: {says(facts)}"
            yield Diagnostic("target-type", step.span, message)
        elif facts.target == "class" and step.entry.spatial:
            message = f"`{name}` looks at places beside one another; this data's target is {says(facts)}"
            yield Diagnostic("target-type", step.span, message)
        elif facts.target == "class" and facts.classes not in (2, None):
            message = f"`{name}` takes class 0 for the background; the data have {facts.classes} classes, one a sample"
            yield Diagnostic("target-type", step.span, message, "it is for two classes, or for masks")
