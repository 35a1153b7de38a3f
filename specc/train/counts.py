"""How often each class stands among the training samples, for losses that weight by it."""

from __future__ import annotations

import torch

from specc.catalogue.setting import BALANCED
from specc.model.program import Program
from specc.train.samples import Samples

AT_ONCE = 64


def class_counts(samples: Samples, program: Program) -> tuple[int, ...]:
    """The samples of each class, or its positions where every position has one; () where no loss asks for it.

    Class numbers that a loss ignores, and those beyond the classes of the data, are not counted.
    """
    losses = [each.loss.entry for each in program.terms if each.loss is not None and not each.target]
    if not any(getattr(each, "weights", None) == BALANCED for each in losses):
        return ()
    ignored = {each.ignore for each in losses if getattr(each, "ignore", None) is not None}
    counts = torch.zeros(samples.facts.classes or 0, dtype=torch.int64)
    for _, classes in samples.feed.batches(samples.parts.train, AT_ONCE):
        target = classes.flatten().long().cpu()
        for each in ignored:
            target = target[target != each]
        if samples.facts.classes is not None:
            target = target[(target >= 0) & (target < len(counts))]
        found = torch.bincount(target, minlength=len(counts))
        found[: len(counts)] += counts
        counts = found
    return tuple(counts.tolist())
