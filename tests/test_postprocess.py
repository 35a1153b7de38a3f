"""Steps between probabilities and classes: against brute force and MONAI, in training, in `evaluate`, and what is refused."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from specc.compiler import compile_text
from specc.data.named import check_data
from specc.data.postprocess import LargestRegions, Postprocess, Threshold
from specc.data.sources import DataProblem
from specc.train.cases import read
from specc.train.checkpoint import load_best
from specc.train.evaluate import evaluate
from specc.train.loop import read_rows
from specc.train.program import build, chosen, samples, write
from specc.train.training import train

Array = np.ndarray[Any, Any]
FIELDS = [(15,), (9, 10), (5, 6, 7)]


def regions(mask: Array, full: bool) -> list[set[tuple[int, ...]]]:
    """The connected regions, found by walking from place to place."""
    left, found = {tuple(map(int, each)) for each in np.argwhere(mask)}, []
    while left:
        reached, waiting = set(), [left.pop()]
        while waiting:
            at = waiting.pop()
            reached.add(at)
            for step in np.ndindex(*(3,) * mask.ndim):
                by = tuple(each - 1 for each in step)
                near = tuple(a + b for a, b in zip(at, by, strict=True))
                if near in left and (full or sum(map(abs, by)) == 1):
                    left.remove(near)
                    waiting.append(near)
        found.append(reached)
    return found


@pytest.mark.parametrize("places", FIELDS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("connectivity", ["full", "faces"])
@pytest.mark.parametrize("seed", range(3))
def test_largest_regions_equal_a_walk_over_the_places(
    places: tuple[int, ...], share: float, connectivity: str, seed: int
):
    chance = np.random.default_rng(seed)
    classes = chance.choice(3, places, p=[0.6, 0.25, 0.15])
    expected = classes.copy()
    for each in (1, 2):
        found = regions(classes == each, connectivity == "full")
        largest = max(map(len, found), default=0)
        for region in found:
            if len(region) < share * largest:
                expected[tuple(np.array(sorted(region)).T)] = 0
    kept = LargestRegions(share, connectivity).kept(classes)
    assert kept.tolist() == expected.tolist()
    assert (kept.tolist() == classes.tolist()) == (share == 0 or bool((expected == classes).all()))


def test_thresholds_of_yes_and_no_and_of_several_classes():
    assert Threshold(0.3).classes(np.array([0.2, 0.3, 0.31, 0.9]), None).tolist() == [0, 0, 1, 1]
    shares = np.array([[0.5, 0.3, 0.2], [0.1, 0.45, 0.45], [0.2, 0.2, 0.6], [0.6, 0.0, 0.4]])
    assert Threshold(0.4).classes(shares, 1).tolist() == [0, 1, 2, 0]
    assert Threshold(0.1).classes(shares, 1).tolist() == [1, 1, 2, 2]
    chance = np.random.default_rng(0)
    maps = chance.dirichlet(np.ones(4), (3, 5, 6)).transpose(0, 3, 1, 2)  # [3, 4, 5, 6]
    best = maps[:, 1:].argmax(1) + 1
    sure = np.take_along_axis(maps, best[:, None], 1)[:, 0] > 0.4
    assert Postprocess((Threshold(0.4),)).apply(maps, 1).tolist() == np.where(sure, best, 0).tolist()


def test_places_outside_of_a_sample_are_no_regions():
    output = np.array([[[0.9, 0.1, 0.9, 0.9]]])
    outside = np.array([[False, False, True, True]])
    steps = Postprocess((LargestRegions(1.0),))
    assert steps.apply(output, None, 0.5, (4,)).tolist() == [[0, 0, 1, 1]]
    assert steps.apply(output, None, 0.5, (4,), outside).tolist() == [[1, 0, 0, 0]]


# ------------------------------------------------------------------------------------------------------- a training
def spec(settings: str, classes: int = 3) -> str:
    head = {1: "conv(1, 1); sigmoid", 3: "conv(3, 1); softmax"}[classes]
    data = "synthetic(shapes, count=24, size=16)"
    loss = "cross_entropy" if classes == 3 else "binary_cross_entropy"
    return (
        f"network Net {{ input image: [1, 16, 16]; conv(4, 3, padding=1); relu; {head} }}\n"
        f"train {{ data {data}; split train=0.5, validation=0.25, test=0.25; loss {loss}; {settings} }}\n"
    )


def codes(settings: str, classes: int = 3) -> list[tuple[str, str]]:
    found = compile_text(spec(settings, classes), "a.net", fixes=False)
    said = [(each.code, each.span.text if each.span else "") for each in found.bag]
    if not said:
        said = [
            (each.code, each.span.text)
            for each in check_data(found.model(), next(iter(found.programs.values())), Path())
        ]
    return said


def test_figures_are_shown_before_and_after_and_may_be_watched(tmp_path: Path):
    text = spec(
        "epochs 2; batch 4; postprocess threshold(0.4), largest_regions(0.5); metrics dice, assd, auc, accuracy; "
        "stop early(on=validation.dice.post)"
    )
    run = train(compile_text(text, "a.net"), out_root=tmp_path / "runs", project=tmp_path, device="cpu")
    columns = [f"dice{each}" for each in ("", ".1", ".2", ".empty", ".post", ".post.1", ".post.2", ".post.empty")]
    columns += [f"assd{each}" for each in ("", ".1", ".2", ".empty", ".missed")]
    columns += [f"assd.post{each}" for each in ("", ".1", ".2", ".empty", ".missed")]
    columns += ["auc", "accuracy", "accuracy.post"]
    rows = read_rows(run.folder / "metrics.csv")
    parts = {
        part: [name.partition(".")[2] for name in rows[0] if name.startswith(part)] for part in ("train", "validation")
    }
    assert parts == {"train": ["loss", "dice", "accuracy"], "validation": ["loss", *columns]}
    assert list(run.results) == ["loss", *columns]
    table = read(run.folder / "test.csv")
    names = [row[0] for row in csv.reader((run.folder / "split.csv").open()) if row[1] == "test"]
    assert list(table) == names
    assert list(next(iter(table.values()))) == columns
    spread = json.loads((run.folder / "config.json").read_text())["samples"]
    for name in ("dice", "dice.post", "assd", "assd.post", "accuracy"):
        values = [row[name] for row in table.values() if row[name] == row[name]]
        assert spread[name] == pytest.approx(
            {"mean": np.mean(values), "std": np.std(values, ddof=1), "count": len(values)}
        )
        assert run.results[name] == pytest.approx(np.mean(values))
    for name in ("dice.empty", "assd.missed"):
        assert run.results[name] == sum(row[name] for row in table.values())
    found = evaluate(run.folder, device="cpu")
    assert found == pytest.approx(
        {name: np.nan if each is None else each for name, each in run.results.items()}, nan_ok=True
    )


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("places", [(24,), (10, 12), (6, 8, 7)])
def test_figures_after_are_those_of_the_answers_with_the_steps_done_by_hand(
    tmp_path: Path, classes: int, places: tuple[int, ...]
):
    chance = np.random.default_rng(2)
    target = chance.choice(max(2, classes), (12, *places), p=[0.75, 0.25] if classes == 1 else [0.7, 0.2, 0.1])
    image = (target[:, None] + chance.normal(0, 0.8, (12, 1, *places))).astype("float32")
    np.savez(tmp_path / "a.npz", x=image, t=target)
    head, loss = ("sigmoid", "binary_cross_entropy") if classes == 1 else ("softmax", "cross_entropy + dice")
    shape = ", ".join(map(str, (1, *places)))
    text = (
        f"network Net {{ input image: [{shape}]; conv(8, 1); relu; conv({classes}, 1); {head} }}\n"
        'train { data arrays("a.npz", x="x", target="t"); split train=0.5, validation=0.25, test=0.25; epochs 30; batch 2; '
        f"optimizer adam(lr=0.03); loss {loss}; postprocess threshold(0.45), largest_regions(0.6); "
        "metrics accuracy, dice, recall(average=micro, background=false) }\n"
    )
    found = compile_text(text, "a.net")
    assert found.ok, [each.message for each in found.bag]
    run = train(found, out_root=tmp_path / "runs", project=tmp_path, device="cpu")
    where = torch.device("cpu")
    model, program = chosen(found)
    data = samples(model, program, tmp_path, where)
    code = build(model, program, write(model, program, "classes"), where)
    load_best(run.weights, code.module, 1)
    inputs, right = data.feed.batch(data.parts.test)
    with torch.no_grad():
        shares = code.module.eval()(inputs["image"]).numpy()
    hits, said, overlaps = 0, np.zeros(shares[:, 0].shape, int), []
    for at, one in enumerate(shares):
        for place in np.ndindex(*places):
            here = one[(slice(None), *place)].tolist()
            best = 1 if classes == 1 else max(range(1, 3), key=here.__getitem__)
            said[(at, *place)] = best if here[0 if classes == 1 else best] > 0.45 else 0
        for each in range(1, max(2, classes)):
            found_regions = regions(said[at] == each, full=True)
            for region in found_regions:
                if len(region) < 0.6 * max(map(len, found_regions)):
                    for place in region:
                        said[(at, *place)] = 0
        kept = [(said[at] == each, right[at].numpy() == each) for each in range(1, max(2, classes))]
        overlaps.append(np.mean([2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in kept if a.any() or b.any()]))
        hits += int((said[at] == right[at].numpy()).sum())
    assert run.results["accuracy.post"] == pytest.approx(hits / right.numel(), rel=1e-9)
    assert run.results["dice.post"] != pytest.approx(run.results["dice"], rel=1e-3)
    assert run.results["dice.post"] == pytest.approx(np.mean(overlaps), rel=1e-9)
    there = right.numpy() > 0
    assert run.results["recall.micro.post"] == pytest.approx((there & (said == right.numpy())).sum() / there.sum())


@pytest.mark.parametrize(
    ("settings", "classes", "expected"),
    [
        ("postprocess threshold(0.5), largest_regions(0.5)", 3, []),
        ("postprocess largest_regions(0.5), threshold(0.5)", 3, [("setting-conflict", "threshold(0.5)")]),
        ("postprocess threshold(0.5), threshold(0.6); metrics dice", 3, [("setting-conflict", "threshold(0.6)")]),
        ("postprocess threshold(1.5)", 3, [("bad-argument", "1.5")]),
        ("postprocess closing(2)", 3, [("unknown-setting", "closing")]),
        ("metrics dice, iou, hausdorff, hausdorff(percentile=95), assd, precision, recall, auc", 3, []),
        ("metrics dice, dice", 3, [("repeated-setting", "dice")]),
        ("metrics hausdorff(percentile=0)", 3, [("bad-argument", "0")]),
        ("metrics f1(average=binary)", 3, [("bad-argument", "binary")]),
        ("metrics f1(average=mean)", 3, [("bad-argument", "mean")]),
        ("metrics mse", 3, [("target-type", "mse")]),
        ("metrics dice; stop early(on=validation.dice.post)", 3, [("unknown-column", "validation.dice.post")]),
    ],
)
def test_what_check_says(settings: str, classes: int, expected: list[tuple[str, str]]):
    assert codes(settings, classes) == expected


@pytest.mark.parametrize(
    ("network", "train", "expected"),
    [
        ("linear(3); softmax", "data iris; loss cross_entropy; postprocess threshold(0.5)", "threshold(0.5)"),
        ("linear(3); softmax", "data iris; loss cross_entropy; postprocess largest_regions(1)", "largest_regions(1)"),
        ("linear(3); softmax", "data iris; loss cross_entropy; metrics dice", "dice"),
    ],
)
def test_what_check_says_of_one_class_a_sample(network: str, train: str, expected: str):
    found = compile_text(f"network Net {{ input x: [4]; {network} }}\ntrain {{ {train} }}\n", "a.net", fixes=False)
    assert found.ok
    said = [
        (each.code, each.span.text) for each in check_data(found.model(), next(iter(found.programs.values())), Path())
    ]
    assert said == [("target-type", expected)]


def test_a_threshold_needs_probabilities():
    text = "network Net { input x: [30]; linear(1) }\ntrain { data breast_cancer; loss hinge; metrics f1; postprocess threshold(0.5) }\n"
    assert [
        (each.code, each.span.text if each.span else "") for each in compile_text(text, "a.net", fixes=False).bag
    ] == [("setting-conflict", "threshold(0.5)")]


def test_without_scipy_the_command_to_install_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    for settings, name in (("metrics assd", "assd"), ("postprocess largest_regions(1)", "largest_regions")):
        with pytest.raises(DataProblem, match=f"`{name}` needs scipy") as problem:
            train(compile_text(spec(settings), "a.net"), out_root=tmp_path / "runs", project=tmp_path, device="cpu")
        assert problem.value.help == "pip install 'specc[medical]'"
        assert not (tmp_path / "runs").exists()
