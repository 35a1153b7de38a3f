"""Generated networks: specc, PyTorch and onnxruntime agree on every shape, count and value."""

from __future__ import annotations

import pytest
import torch
from generated import Coverage, agree, valid

from specc.catalogue import registry

# OPS.md has these; the generator does not reach them by itself, other tests do
ELSEWHERE = {
    "and", "or", "not", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "power", "log", "embedding",
    "expand", "permute", "reshape", "sign", "split", "squeeze", "transpose", "min", "argmin", "matmul",
}  # fmt: skip


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
    return coverage


@pytest.mark.parametrize("part", range(8))
def test_a_thousand_networks(part: int) -> None:
    coverage = run(range(part * 140, part * 140 + 140))
    assert coverage.marks["networks"] >= 125
    assert coverage.marks["unknown sizes"] >= 10


def test_the_generator_reaches_the_library() -> None:
    """Over the same seeds every op of the library is met, but for those that other tests hold."""
    met: set[str] = set()
    for seed in range(1120):
        found = valid(seed)
        if found is not None:
            met |= {step.op.name for step in found.model().steps}
    assert set(registry.names()) - met - ELSEWHERE == set()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_ten_thousand_networks(part: int) -> None:
    coverage = run(range(100_000 + part * 1400, 100_000 + part * 1400 + 1400))
    assert coverage.marks["networks"] >= 1250
