"""Generated networks: specc, PyTorch, onnx and onnxruntime agree on every shape, count and value."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from agreement import agree, open_after_nan, unstable
from covered import Coverage
from generated import PIECES, Writer
from generated_cases import targets
from inferred import KNOWN
from proved import built, compiled, exported, network
from valid_networks import valid

PARTS = 8
EACH = 125


def run(seeds: range) -> Coverage:
    """All that must agree on the networks of these seeds, and what they covered."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Using padding='same' with even kernel")
    coverage = Coverage()
    for seed in seeds:
        found = valid(seed)
        if found is None:
            continue
        try:
            agree(found, coverage)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}\n{found.source.text}") from error
        coverage.marks["drawn cases"] += found.source.text.count("output made_") > 0
    print(f"\nseeds {seeds.start} to {seeds.stop - 1}\n{coverage.table()}")
    networks = coverage.marks["networks"]
    assert coverage.marks["unstable"] <= max(2, networks // 200), "too many for which rounding alone decides"
    assert coverage.marks["not a number"] <= max(1, networks // 500)
    assert coverage.marks["refused in ONNX"] <= max(2, networks // 100)
    assert coverage.marks["not on the meta device"] <= max(4, networks // 25)
    assert coverage.inferred[KNOWN] >= 0.95 * coverage.inferred.total()
    return coverage


@pytest.mark.parametrize("part", range(PARTS))
def test_a_thousand_networks(part: int) -> None:
    marks = run(range(part * EACH, part * EACH + EACH)).marks
    assert marks["networks"] >= 0.9 * EACH
    assert marks["drawn cases"] >= 0.7 * EACH
    assert marks["unknown sizes"] >= 10
    assert marks["several inputs"] >= 10
    assert marks["several outputs"] >= 5


def test_the_drawn_cases_cover_the_library() -> None:
    """In the same seeds is every op, every rank of its cases, and every word that an argument may be."""
    assert len(targets()) <= PIECES * (PARTS * EACH * 3 // 4)
    coverage = Coverage()
    for seed in range(PARTS * EACH):
        writer = Writer(seed)
        text = writer.text()
        for found in writer.alone:
            coverage.add(found.model(), text)
    print(coverage.table())
    assert coverage.gaps(least=2) == []


def test_the_generator_puts_networks_together_in_every_way() -> None:
    coverage = Coverage()
    for seed in range(0, PARTS * EACH, 4):
        found = valid(seed)
        if found is not None:
            coverage.add(found.model(), found.source.text)
    ways = (
        "training outputs",
        "declared weights",
        "blocks",
        "shared modules",
        "tied weights",
        "parallel",
        "rank 1",
        "rank 2",
        "rank 3",
        "rank 4",
    )
    assert all(coverage.marks[way] >= 3 for way in ways), coverage.marks


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_twenty_thousand_networks(part: int) -> None:
    """With `-s` it prints the seeds and what they covered; each part draws every case and word more than three times."""
    start = 100_000 + part * 2600
    coverage = run(range(start, start + 2600))
    assert coverage.marks["networks"] >= 2500
    assert coverage.gaps(least=5) == []


@pytest.mark.parametrize(
    ("lines", "rounding_decides"),
    [
        ("conv(4, 3)\nbatchnorm\nrelu\nflatten\nlinear(5)\nsoftmax", False),
        ("max(input, 0.0)\nargmax", False),
        ("conv(3, 1)\nsoftmax(axis=0)\nsum(axis=0)\nargmax(axis=0)", True),
        ("exp(input) * exp(-input) - 1.0\nsign", True),
    ],
)
def test_where_rounding_decides(lines: str, rounding_decides: bool) -> None:
    model = compiled(network(lines, "[3, 6, 6]"))
    assert unstable(model, built(model)) is rounding_decides


@pytest.mark.parametrize(
    ("lines", "follows"),
    [
        ("log\nargmax", True),
        ("sqrt\nmaxpool(2)", True),
        ("abs\nlog\nargmax", False),
        ("conv(4, 3)\nrelu\nflatten\nlinear(5)\nsoftmax", False),
    ],
)
def test_where_no_number_is_made(lines: str, follows: bool, tmp_path: Path) -> None:
    model = compiled(network(lines, "[3, 6, 6]"))
    module = built(model)
    assert open_after_nan(model, exported(model, module, tmp_path / "model.onnx"), module) is follows


def test_only_what_follows_from_a_nan_may_differ(tmp_path: Path) -> None:
    """Two branches, one of which takes logarithms of what is below 0: the other must agree all the same."""
    lines = "logs: input -> log -> argmax\ndoubled: input * 2.0\noutput logs\noutput doubled"
    model, other = (compiled(network(text, "[3, 6, 6]")) for text in (lines, lines.replace("2.0", "2.1")))
    module = built(model)
    assert open_after_nan(model, exported(model, module, tmp_path / "same.onnx"), module)
    assert not open_after_nan(model, exported(other, built(other), tmp_path / "other.onnx"), module)
