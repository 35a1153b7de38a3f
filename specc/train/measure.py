"""The loss and the metrics of a network over some samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from specc.train.feed import Feed
from specc.train.loader import Indices
from specc.train.metrics.meter import Taker
from specc.train.program import WIDEST_EVALUATION, Code


def measure(
    code: Code, feed: Feed, indices: Indices, more: Mapping[str, tuple[str, Taker]] | None = None
) -> dict[str, float]:
    """`loss` and each metric by its label. `more` are further takers of answers by name, fed on the way and not reported."""
    meters = code.meters()
    spaced = any(each.metric.entry.spaced for each in code.measures)
    indices = feed.ordered(indices)
    total, seen = 0.0, 0
    code.module.eval()
    with torch.no_grad():
        for inputs, target in feed.batches(indices, _size(code, feed)):
            scores = code.outputs(inputs)
            total += float(code.functions.loss(scores, inputs, target)) * len(target)
            now = indices[seen : seen + len(target)]
            seen += len(target)
            given = code.answers(scores, target)
            apart = [feed.spacing(int(each)) for each in now] if spaced else None
            for output, each in (*meters.values(), *(more or {}).values()):
                each.add(given[output], target, apart)
    found: dict[str, Any] = {"loss": total / seen if seen else float("nan")}
    for label, (_, each) in meters.items():
        found[label] = each.value()
        found |= {f"{label}.{name}": value for name, value in each.more().items()}
    return found


def _size(code: Code, feed: Feed) -> int:
    """Without gradients there is room for more at once; samples that may differ in size stay as many as in training."""
    return max(code.program.batch, WIDEST_EVALUATION) if feed.whole is not None else code.program.batch
