"""The loss and the metrics of a network over some samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from specc.data.batching import cut
from specc.train.feed import Feed
from specc.train.loader import Indices
from specc.train.metrics.meter import Taker
from specc.train.program import WIDEST_EVALUATION, Code
from specc.train.team import ALONE, Alone


def measure(
    code: Code,
    feed: Feed,
    indices: Indices,
    more: Mapping[str, tuple[str, Taker]] | None = None,
    team: Alone = ALONE,
) -> dict[str, float]:
    """`loss` and each metric by its label. `more` are further takers of answers by name, fed on the way and not reported;
    of several processes each feeds them its share."""
    spaced = any(each.metric.entry.spaced for each in code.measures)
    meters, batches = code.meters(), cut(feed.ordered(indices), _size(code, feed))
    losses = torch.zeros(len(batches), dtype=torch.float64)
    code.module.eval()
    own, idle = team.turns(len(batches))
    mine = [(each, None) for each in batches[own.start : own.stop]]
    with torch.no_grad():
        for at, (inputs, target) in enumerate(feed.all(mine), own.start):
            scores = code.outputs(inputs)
            losses[at] = float(code.functions.loss(scores, inputs, target)) * len(target)
            given = code.answers(scores, target)
            apart = [feed.spacing(int(each)) for each in batches[at]] if spaced else None
            for output, each in (*meters.values(), *(more or {}).values()):
                each.add(given[output], target, apart)
        for _ in range(idle):
            code.outputs(feed.batch(batches[0])[0])
    total = sum(team.summed(losses).tolist())
    found: dict[str, Any] = {"loss": total / len(indices) if len(indices) else float("nan")}
    for label, (_, each) in team.whole(meters, code.meters).items():
        found[label] = each.value()
        found |= {f"{label}.{name}": value for name, value in each.more().items()}
    return found


def _size(code: Code, feed: Feed) -> int:
    """Without gradients there is room for more at once; samples that may differ in size stay as many as in training."""
    return max(code.program.batch, WIDEST_EVALUATION) if feed.whole is not None else code.program.batch
