"""The answers that meters take: the outputs of inference as they are, and as classes after `postprocess`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch

from specc.data.named import implementation
from specc.data.postprocess import Postprocess
from specc.model.graph import Model
from specc.model.heads import head
from specc.model.program import POST, Measure, Program
from specc.train.feed import NO_CLASS
from specc.train.metrics.meter import Meter, Reading, meter, reading


def name(measure: Measure) -> str:
    """What the answer is called that a metric looks at."""
    return f"{measure.output}{POST}" if measure.post else measure.output


def meters(model: Model, program: Program, measures: Iterable[Measure]) -> dict[str, tuple[str, Meter]]:
    """A fresh meter per metric by its label, and what the answer is called that it takes."""
    found = {}
    for each in measures:
        read = reading(model, program, each.output)
        read = replace(read, decided=_number(model, each.output, read)) if each.post else read
        found[each.label] = (name(each), meter(each.metric.entry, read))
    return found


def answers(
    model: Model, program: Program, measures: Iterable[Measure], given: Mapping[str, torch.Tensor], target: torch.Tensor
) -> dict[str, torch.Tensor]:
    """What inference gives, and for the metrics after `postprocess` the classes that are left, in the target's shape."""
    found = dict(given)
    for each in measures:
        if each.post and name(each) not in found:
            read, output = reading(model, program, each.output), given[each.output]
            steps = Postprocess(
                tuple(implementation(one.entry.runs)(**one.entry.keywords()) for one in program.postprocess)
            )
            outside = (target == NO_CLASS).cpu().numpy() if program.padding is not None else None
            made = steps.apply(output.cpu().numpy(), read.axis, read.yes, target.shape[1:], outside)
            found[name(each)] = torch.from_numpy(made).to(target.device)
    return found


def _number(model: Model, output: str, read: Reading) -> int:
    """How many classes an output tells apart."""
    if read.axis is None:
        return 2
    number = head(model, output).type.shape[read.axis - 1]
    assert isinstance(number, int)
    return number
