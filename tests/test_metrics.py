"""Metrics against torchmetrics, MONAI and brute force, and what several meters make of one data set."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from specc.catalogue import registry
from specc.catalogue.setting import Metric
from specc.train.metrics.meter import Meter, Reading, meter

G = torch.Generator().manual_seed(11)
CLASSES = Reading(1)
YES = Reading(None, 0.0)
ARGUMENTS: dict[str, dict[str, Any]] = {"topk": {"k": 2}}


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=G)


def whole(limit: int, *shape: int) -> Tensor:
    return torch.randint(limit, shape, generator=G)


def entry(name: str, **values: Any) -> Metric:
    kind = registry.setting(name, "metric")
    assert kind is not None
    found = kind.make(ARGUMENTS.get(name, {}) | values)
    assert isinstance(found, Metric)
    return found


def new(name: str, reading: Reading, **values: Any) -> Meter:
    return meter(entry(name, **values), reading)


def metered(name: str, reading: Reading, output: Tensor, target: Tensor, **values: Any) -> float:
    """The value after two batches of different size."""
    found = new(name, reading, **values)
    at = len(output) // 3
    found.add(output[:at], target[:at])
    found.add(output[at:], target[at:])
    return found.value()


def answers(name: str, places: tuple[int, ...]) -> tuple[Reading, Tensor, Tensor]:
    """Random answers and targets that go with a metric."""
    kinds = entry(name).targets
    if "real" in kinds:
        return CLASSES, draw(23, 3, *places), draw(23, 3, *places)
    target = whole(7, 23, *places)
    return CLASSES, draw(23, 7, *places) + 1.5 * nn.functional.one_hot(target, 7).movedim(-1, 1), target


# ------------------------------------------------------------------------------------------------- several meters
@pytest.mark.parametrize("name", registry.setting_names("metric"))
@pytest.mark.parametrize("places", [(), (5, 6)])
def test_several_meters_that_take_in_each_other_are_one(name: str, places: tuple[int, ...]):
    if places == () and "class" not in entry(name).targets and "real" not in entry(name).targets:
        places = (4, 3, 2)
    reading, output, target = answers(name, places)
    one = new(name, reading)
    one.add(output, target)
    parts = [new(name, reading) for _ in range(4)]
    for part, (start, end) in zip(parts, [(0, 8), (8, 8), (8, 19), (19, 23)], strict=True):
        for at in range(start, end):  # the second sees nothing
            part.add(output[at : at + 1], target[at : at + 1])
    total = new(name, reading)
    for part in parts:
        state = part.state()
        assert all(isinstance(each, Tensor) for each in state.values())
        total.absorb(state)
    assert total.value() == pytest.approx(one.value(), rel=1e-12)
    assert total.state().keys() == one.state().keys()
    for key, value in one.state().items():
        torch.testing.assert_close(total.state()[key], value, rtol=1e-12, atol=1e-12)
    assert parts[0].value() != pytest.approx(one.value(), rel=1e-12)  # what is taken in counts
