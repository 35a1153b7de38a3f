"""Generated networks: specc, PyTorch and onnxruntime agree on every shape, count and value."""

from __future__ import annotations

import pytest
import torch
from generated import Coverage, agree, valid

from specc.catalogue import registry


def run(seeds: range) -> Coverage:
    torch.set_num_threads(1)
    coverage = Coverage()
    agreed = 0
    for seed in seeds:
        found = valid(seed)
        if found is None:
            continue
        try:
            agree(found, coverage)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}\n{found.source.text}") from error
        agreed += 1
    coverage.marks["networks"] = agreed
    assert coverage.marks["unstable"] <= max(2, agreed // 200), "too many for which rounding alone decides"
    return coverage


@pytest.mark.parametrize("part", range(8))
def test_a_thousand_networks(part: int) -> None:
    marks = run(range(part * 140, part * 140 + 140)).marks
    assert marks["networks"] >= 120
    assert marks["unknown sizes"] >= 10
    assert marks["several inputs"] >= 10
    assert marks["several outputs"] >= 5


def test_the_generator_reaches_the_library() -> None:
    """Over the same seeds every op of the catalogue is met, and every way of putting a network together."""
    coverage = Coverage()
    for seed in range(600):
        found = valid(seed)
        if found is not None:
            coverage.add(found.model(), found.source.text)
    assert set(registry.names()) - set(coverage.ops) == set()
    ways = (
        "training outputs",
        "declared weights",
        "blocks",
        "shared modules",
        "tied weights",
        "parallel",
        "rank 1",
        "rank 4",
    )
    assert all(coverage.marks[way] >= 3 for way in ways), coverage.marks


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_ten_thousand_networks(part: int) -> None:
    coverage = run(range(100_000 + part * 1400, 100_000 + part * 1400 + 1400))
    assert coverage.marks["networks"] >= 1200
