"""The verdict on errors: the worked cases of the lecture notes and of Ng's book, its edges, and what it tells to try."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from specc.catalogue import registry
from specc.compiler import compile_text
from specc.tools.cli import main
from specc.train.advice import Practice, advice
from specc.train.evaluate import evaluate
from specc.train.judge import spread
from specc.train.training import train
from specc.train.verdict import verdict

NEITHER = "neither high bias nor high variance"
BOTH = "high bias and high variance"
PLAIN = Practice(dropout=False, decay=False, augment=False, rising=False, pictures=False, folds=False, epochs=10)


@pytest.mark.parametrize(
    ("human", "train", "dev", "test", "words"),
    [
        (0.01, 0.05, 0.052, 0.053, "high bias"),  # the four rows of the notes
        (0.01, 0.01, 0.011, 0.064, "high variance"),
        (0.01, 0.05, 0.052, 0.10, BOTH),
        (0.01, 0.01, 0.011, 0.012, NEITHER),
        (0.0, 0.01, 0.11, None, "high variance"),  # Ng, Machine Learning Yearning, chapter 20
        (0.0, 0.15, 0.16, None, "high bias"),
        (0.0, 0.15, 0.30, None, BOTH),
        (0.0, 0.005, 0.01, None, NEITHER),
        (0.14, 0.15, 0.30, None, "high variance"),  # chapter 22
        (0.14, 0.15, 0.16, None, NEITHER),
    ],
)
def test_worked_cases(human: float, train: float, dev: float, test: float | None, words: str):
    assert verdict(human, train, dev, test).words == words


def test_people_are_the_bound_of_bias():
    """The same errors are bias where people do better, and none where they do not."""
    assert verdict(None, 0.15, 0.15, 0.15).words == "high bias"
    assert verdict(0.01, 0.15, 0.15, 0.15).words == "high bias"
    assert verdict(0.14, 0.15, 0.15, 0.15).words == NEITHER
    assert verdict(0.30, 0.15, 0.15, 0.15).words == NEITHER


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ((None, 0.0, 0.0, 0.0), NEITHER),
        ((None, 1.0, 1.0, 1.0), "high bias"),
        ((None, 0.0, 1.0, 1.0), "high variance"),
        ((0.0, 0.02, 0.02, 0.02), "high bias"),
        ((0.0, 0.0199, 0.0199, 0.0199), NEITHER),
        ((0.01, 0.03, 0.05, 0.05), BOTH),
        ((0.1, 0.05, 0.01, 0.01), NEITHER),  # later parts may be better
        ((0.01, 0.05, None, None), "high bias; variance cannot be judged"),
        ((0.01, None, 0.05, 0.05), "neither bias nor variance can be judged"),
        ((0.01, math.nan, 0.05, 0.05), "neither bias nor variance can be judged"),
        ((0.01, 0.01, math.inf, 0.05), "high variance"),
        ((math.nan, 0.01, 0.01, 0.05), "high variance"),
        ((None, None, None, None), "neither bias nor variance can be judged"),
    ],
)
def test_edges(errors: tuple[float | None, float | None, float | None, float | None], words: str):
    assert verdict(*errors).words == words


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ((None, 100.0, 110.0, 120.0), "no high variance; bias cannot be judged"),
        ((None, 100.0, 110.0, 125.0), "high variance; bias cannot be judged"),
        ((100.0, 110.0, 110.0, 110.0), NEITHER),
        ((100.0, 125.0, 125.0, 125.0), "high bias"),
        ((10.0, 100.0, 100.0, 900.0), BOTH),
        ((None, 0.0, 0.0, 0.0), "no high variance; bias cannot be judged"),
        ((None, 0.0, 0.0, 1e-9), "high variance; bias cannot be judged"),
    ],
)
def test_errors_that_are_no_shares_are_compared_in_proportion(errors: tuple[float | None, ...], words: str):
    found = verdict(*errors, share=False)
    assert found.words == words
    for factor in (1e-6, 1e6):
        scaled = verdict(*(None if each is None else each * factor for each in errors), share=False)
        assert scaled.words == words


def test_a_gap_that_chance_may_make_is_not_high_but_doubtful():
    """Two errors among 57 samples against 1 % of 455: large, and nothing that few samples can tell."""
    few = verdict(None, 0.01, 0.035, 0.035, counts=(0, 57, 57))
    many = verdict(None, 0.01, 0.035, 0.035, counts=(0, 5_700, 5_700))
    assert (few.words, few.doubtful) == (NEITHER, True)
    assert (many.words, many.doubtful) == ("high variance", False)
    assert verdict(None, 0.01, 0.035, 0.035).words == "high variance"


def test_chance_is_two_standard_errors_of_the_difference():
    """Against draws: where new samples are as hard as the training samples, the gap exceeds `chance` in few of 20,000 tries."""
    generator = np.random.default_rng(3)
    train, error, n, m = 0.1, 0.1, 300, 200
    dev = generator.binomial(n, error, 20_000) / n
    gaps = [verdict(None, train, each, None, counts=(0, n, 0)).dev_gap for each in dev]
    beyond = np.mean([each.size > each.chance for each in gaps if each is not None])
    assert 0.005 < beyond < 0.03  # one side beyond two standard deviations: 2.3 %
    found = verdict(None, 0.1, 0.2, 0.3, counts=(0, n, m))
    assert found.bias is not None
    assert found.dev_gap is not None
    assert found.shift is not None
    assert found.bias.chance == 0
    assert found.dev_gap.chance == pytest.approx(2 * math.sqrt(0.2 * 0.8 / n))
    assert found.shift.chance == pytest.approx(2 * math.sqrt(0.2 * 0.8 / n + 0.3 * 0.7 / m))
    some = verdict(None, 0.1, 0.2, 0.3, counts=(2000, n, m)).bias
    assert some is not None
    assert some.chance == pytest.approx(2 * math.sqrt(0.1 * 0.9 / 2000))


def test_development_and_test_part_that_differ_are_told():
    assert verdict(0.01, 0.01, 0.011, 0.064).shifted
    assert not verdict(0.01, 0.01, 0.064, 0.064).shifted
    assert not verdict(0.01, 0.01, 0.064, 0.011).shifted
    assert not verdict(0.01, 0.01, 0.011, 0.064, counts=(0, 30, 30)).shifted
    assert not verdict(0.0, 0.0, 0.0, 0.0).doubtful
    assert not verdict(0.0, 0.0, 0.0, 0.0, share=False).doubtful


def test_the_larger_gap_is_advised_on_first():
    bias = advice(verdict(0.01, 0.20, 0.25, 0.25), PLAIN)
    variance = advice(verdict(0.01, 0.04, 0.25, 0.25), PLAIN)
    larger = "take a larger network: more layers, or more channels and units in them"
    assert set(bias) == set(variance)
    assert bias.index(larger) < bias.index("get more training samples")
    assert variance.index(larger) > variance.index("get more training samples")


def test_advice_knows_what_the_spec_does():
    high = verdict(0.01, 0.01, 0.2, 0.2)
    assert any("augment" in each for each in advice(high, _with(pictures=True)))
    assert not any("augment" in each for each in advice(high, _with(pictures=True, augment=True)))
    assert not any("augment" in each for each in advice(high, PLAIN))
    low = verdict(0.01, 0.2, 0.2, 0.2)
    assert any("`epochs 20`" in each for each in advice(low, _with(rising=True)))
    assert not any("epochs" in each for each in advice(low, PLAIN))
    assert any("`regularize`" in each for each in advice(low, _with(decay=True)))
    assert any("validation part" in each for each in advice(verdict(0.01, 0.01, 0.011, 0.064), PLAIN))
    assert any("chance" in each for each in advice(verdict(0, 0.01, 0.035, 0.035, counts=(0, 57, 57)), PLAIN))
    assert any("`human …`" in each for each in advice(verdict(None, 1.0, 1.0, 1.0, share=False), PLAIN))
    assert advice(verdict(0.01, 0.01, 0.011, 0.012), PLAIN) == (
        "nothing is to be mended here; a lower error needs a better network or more samples",
    )


def test_advice_names_settings_that_exist():
    kinds = [Practice(*flags, epochs=3) for flags in itertools.product((True, False), repeat=6)]
    errors = [(0.01, 0.2, 0.3, 0.5), (0.01, 0.3, 0.31, 0.5), (0.01, 0.01, 0.3, 0.3), (None, 0.2, 0.2, 0.2)]
    text = " ".join(each for kind in kinds for error in errors for each in advice(verdict(*error), kind))
    for name, role in (
        ("epochs", "train"), ("regularize", "train"), ("augment", "train"), ("split", "train"), ("stop", "train"),
        ("l2", "regularizer"), ("flip", "augment"), ("rotate", "augment"), ("early", "stop"),
    ):  # fmt: skip
        assert name in text
        assert registry.setting(name, role) is not None
    assert registry.op("dropout") is not None


def _with(**flags: bool) -> Practice:
    return Practice(**{name: flags.get(name, getattr(PLAIN, name)) for name in Practice.__slots__})


SPEC = """network Small {
    input features: [4]
    linear(8)
    relu
    dropout(0.5)
    linear(3)
    softmax
}
train { data iris; loss cross_entropy; optimizer adam(lr=0.05); metrics f1, accuracy; epochs 4; human 0.03 }
"""


def test_a_runs_verdict_is_of_its_best_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """Train, development and test error are those that evaluating the run again gives."""
    monkeypatch.chdir(tmp_path)
    Path("a.net").write_text(SPEC, encoding="utf-8")
    assert main(["train", "a.net"]) == 0
    said = capfd.readouterr().err
    run = Path("runs/Small/1")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    found = config["verdict"]
    rows = (run / "metrics.csv").read_text(encoding="utf-8").splitlines()
    best = dict(zip(rows[0].split(","), rows[config["best_epoch"]].split(","), strict=True))
    assert found["error"] == "1 - f1"
    assert found["human"] == 0.03
    assert found["dev"] == 1 - float(best["validation.f1"])
    assert found["test"] == pytest.approx(1 - evaluate(run, device="cpu")["f1"], abs=1e-12)
    parts = [line.split(",") for line in (run / "split.csv").read_text(encoding="utf-8").splitlines()[1:]]
    again = SPEC.replace("data iris", 'data iris; split "only.csv"')
    swapped = {"train": "test", "test": "train"}
    lines = [f"{name},{swapped.get(part, part)}" for name, part in parts]
    Path("only.csv").write_text("\n".join(["sample,part", *lines]) + "\n", encoding="utf-8")
    Path("b.net").write_text(again.replace("epochs 4", f'epochs 0; weights "{run}/best.safetensors"'), encoding="utf-8")
    compiled = compile_text(Path("b.net").read_text(encoding="utf-8"), "b.net")
    assert compiled.ok, [each.message for each in compiled.bag]
    other = train(compiled, project=tmp_path, out_root=tmp_path / "other", device="cpu")
    assert found["train"] == pytest.approx(1 - other.results["f1"], abs=1e-12)
    assert f"verdict: {found['words']}" in said
    assert f"verdict: {found['words']}" in (run / "log.txt").read_text(encoding="utf-8")


def test_a_negative_error_of_people_is_refused():
    found = compile_text(SPEC.replace("human 0.03", "human -0.1"), "a.net")
    assert not found.ok
    assert "a number from 0 on" in next(each.message for each in found.bag if each.severity == "error")


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
def test_samples_are_spread_evenly(count: int):
    chosen = spread(np.arange(count), 8)
    assert len(chosen) == min(count, 8)
    assert len(set(chosen.tolist())) == len(chosen)
    assert not count or {0, count - 1} <= set(chosen.tolist())
