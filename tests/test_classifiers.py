"""The classifiers of the notes, trained: the perceptron converges on separable data, as its rule says, and so do others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from specc.compiler import compile_text
from specc.data.project import open_spec
from specc.train.evaluate import evaluate
from specc.train.rows import read_rows
from specc.train.runs import Run
from specc.train.samples import load
from specc.train.training import train

SPECS = Path(__file__).parent.parent / "specs"
CPU = torch.device("cpu")


def go(folder: Path, text: str, **options: Any) -> Run:
    found = compile_text(text, "a.net", fixes=False)
    assert found.ok, [each.message for each in found.bag]
    return train(found, out_root=folder / "runs", project=folder, device="cpu", **options)


def separable(folder: Path, classes: int, count: int = 60, margin: float = 0.4) -> None:
    """Points of the plane on their side of lines through one point, with room between the classes."""
    rng = np.random.default_rng(7)
    angles = np.arange(classes) * 2 * np.pi / classes + 0.3
    directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    points, kinds = [], []
    while len(points) < count:
        point = rng.uniform(-2, 2, 2)
        scores = np.sort(directions @ point)
        if scores[-1] - scores[-2] > margin:
            points.append(point)
            kinds.append(int((directions @ point).argmax()))
    np.savez(folder / "points.npz", x=np.array(points, "float32") + 0.5, kind=np.array(kinds))


TRAIN = """train {
    data       arrays("points.npz", x="x", target="kind")
    split      train=0.8, validation=0.1, test=0.1
    loss       perceptron
    init       zeros
    optimizer  sgd(lr=1)
    batch      1
    epochs     100
    stop       early(patience=5, on=train.loss)
}
"""


def test_the_perceptron_of_two_classes_takes_the_steps_of_its_rule_and_converges(tmp_path: Path):
    separable(tmp_path, 2)
    network = "network Net { input x: [2]; linear(1); sign }\n"
    run = go(tmp_path, network + TRAIN)
    found = compile_text(network + TRAIN, "a.net")
    program = next(iter(found.programs.values()))
    samples = load(found.model(), program, tmp_path, CPU)
    x, t = samples.feed.batch(np.arange(60))
    w, mistakes = torch.zeros(3, dtype=torch.float64), 0
    rows = read_rows(run.folder / "metrics.csv")
    for epoch in range(len(rows)):
        for at in np.concatenate(samples.batches(epoch)):
            point = torch.cat([x["x"][at], torch.ones(1)]).double()
            side = 2 * int(t[at]) - 1
            if side * float(w @ point) <= 0:
                w, mistakes = w + side * point, mistakes + 1
    weights = load_file(run.folder / "last" / "weights.safetensors")
    ours = torch.cat([weights["0.weight"][0], weights["0.bias"]]).double()
    torch.testing.assert_close(ours, w, rtol=1e-5, atol=1e-5)
    assert mistakes > 2
    assert rows[-1]["train.loss"] == 0
    assert len(rows) < 100
    points = torch.cat([x["x"], torch.ones(60, 1)], 1)[samples.parts.train].double()
    assert bool(((points @ w > 0) == (t[samples.parts.train] == 1)).all())


def test_the_perceptron_of_three_classes_takes_the_steps_of_its_rule_and_converges(tmp_path: Path):
    separable(tmp_path, 3)
    network = "network Net { input x: [2]; linear(3) }\n"
    run = go(tmp_path, network + TRAIN)
    found = compile_text(network + TRAIN, "a.net")
    program = next(iter(found.programs.values()))
    samples = load(found.model(), program, tmp_path, CPU)
    x, t = samples.feed.batch(np.arange(60))
    w = torch.zeros(3, 3, dtype=torch.float64)
    rows = read_rows(run.folder / "metrics.csv")
    for epoch in range(len(rows)):
        for at in np.concatenate(samples.batches(epoch)):
            point = torch.cat([x["x"][at], torch.ones(1)]).double()
            winner = int((w @ point).argmax())
            w[int(t[at])] += point
            w[winner] -= point
    weights = load_file(run.folder / "last" / "weights.safetensors")
    ours = torch.cat([weights["0.weight"], weights["0.bias"].unsqueeze(1)], 1).double()
    torch.testing.assert_close(ours, w, rtol=1e-5, atol=1e-5)
    assert rows[-1]["train.loss"] == 0
    assert len(rows) < 100


@pytest.mark.parametrize(
    ("spec", "network", "least"),
    [
        ("perceptron", "IrisPerceptron", 0.8),
        ("perceptron", "CancerPerceptron", 0.9),
        ("svm", "IrisSVM", 0.8),
        ("svm", "CancerSVM", 0.9),
    ],
)
def test_the_specs_of_linear_classifiers_learn(tmp_path: Path, spec: str, network: str, least: float):
    project = open_spec(SPECS / f"{spec}.net")
    found = compile_text(project.text, project.name, read=project.read, network=network)
    assert [each.message for each in found.bag] == []
    run = train(found, out_root=tmp_path, project=tmp_path, device="cpu")
    (accuracy,) = (value for name, value in run.results.items() if "accuracy" in name)
    assert accuracy > least


def test_the_hinge_of_an_svm_keeps_its_margin_where_it_can(tmp_path: Path):
    """With a little decay, on separable points: every training point is at least about 1 from the line, some just so."""
    separable(tmp_path, 2)
    text = "network Net { input x: [2]; linear(1) }\n" + TRAIN.replace("perceptron", "hinge").replace(
        "batch      1", "batch 60"
    )
    text = text.replace("sgd(lr=1)", "sgd(lr=0.1)").replace("epochs     100", "epochs 3000; regularize l2(0.001)")
    run = go(tmp_path, text.replace("    stop       early(patience=5, on=train.loss)\n", ""))
    weights = load_file(run.folder / "last" / "weights.safetensors")
    data = np.load(tmp_path / "points.npz")
    scores = data["x"] @ weights["0.weight"][0].numpy() + weights["0.bias"].numpy()
    sides = (2 * data["kind"] - 1) * scores
    assert 0.8 < sides.min() < 1.1


def test_balanced_weights_are_those_of_the_training_samples_also_for_other_data(tmp_path: Path):
    rng = np.random.default_rng(1)
    kinds = np.array([0] * 160 + [1] * 40)
    points = rng.normal(size=(200, 2)).astype("float32") + kinds[:, None]
    np.savez(tmp_path / "points.npz", x=points, kind=kinds)
    np.savez(tmp_path / "few.npz", x=points[150:170], kind=kinds[150:170])
    network = "network Net { input x: [2]; linear(2); softmax }\n"
    section = TRAIN.replace("perceptron", "cross_entropy(weights=balanced)").replace("batch      1", "batch 16")
    section = section.replace("epochs     100", "epochs 3").replace("sgd(lr=1)", "sgd(lr=0.1)")
    run = go(tmp_path, network + section)
    assert run.config["data"]["class_counts"] == [128, 32]
    assert "[0.625, 2.5]" in (run.folder / "program.py").read_text()
    said = go(tmp_path, network + section.replace("balanced", "[0.625, 2.5]"))
    assert run.weights.read_bytes() == said.weights.read_bytes()
    others = 'arrays("few.npz", x="x", target="kind")'
    assert evaluate(run.folder, others, device="cpu") == evaluate(said.folder, others, device="cpu")
    assert evaluate(run.folder, device="cpu") == run.results


def test_dice_and_cross_entropy_learn_where_bright_things_are(tmp_path: Path):
    """Volumes with a bright box each: a convolution finds it, and Dice says how well."""
    rng = np.random.default_rng(2)
    x, mask = rng.normal(0, 0.3, (24, 1, 4, 6, 6)).astype("float32"), np.zeros((24, 4, 6, 6), "int64")
    for at in range(24):
        a, b, c = rng.integers(0, 2), *rng.integers(0, 4, 2)
        mask[at, a : a + 2, b : b + 2, c : c + 2] = 1
    x[:, 0] += 2 * mask
    np.savez(tmp_path / "volumes.npz", x=x, mask=mask)
    network = "network Net { input x: [1, D, H, W]; conv(OUT, 1); HEAD }\n"
    section = """train {
        data      arrays("volumes.npz", x="x", target="mask")
        split     train=0.5, validation=0.25, test=0.25
        loss      LOSS + dice
        optimizer adam(lr=0.1)
        batch     4
        epochs    25
        metrics   accuracy
    }
    """
    for out, head, loss in (("2", "softmax", "cross_entropy"), ("1", "sigmoid", "binary_cross_entropy")):
        text = (network + section).replace("OUT", out).replace("HEAD", head).replace("LOSS", loss)
        run = go(tmp_path, text)
        assert run.results["loss"] < 0.35, (head, run.results)
        assert run.results["accuracy"] > 0.97, (head, run.results)


def test_weights_of_unknown_size_are_asked_for(tmp_path: Path):
    from specc.train.problem import TrainProblem

    text = "network Net { input x: [k]; linear(3); softmax }\ntrain { data iris; loss cross_entropy; epochs 1 }\n"
    with pytest.raises(TrainProblem, match="unknown size k") as caught:
        go(tmp_path, text)
    assert caught.value.code == "unknown-size"
