"""Folds by group and class against brute force; what is learnt from data comes from the training part alone."""

from __future__ import annotations

import csv
import hashlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from volumes import cases

from specc.data.splits import folds
from specc.tools.cli import main
from specc.train.runs import Run

PARTS = ("train", "validation", "test")


@st.composite
def patients(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """How many samples each patient has, and the class that all of them are of."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=12, max_size=30))
    return sizes, draw(st.lists(st.integers(0, 2), min_size=len(sizes), max_size=len(sizes)))


@settings(max_examples=100, deadline=None)
@given(patients(), st.integers(2, 5), st.integers(0, 100))
def test_folds_by_group_and_class(people: tuple[list[int], list[int]], number: int, seed: int):
    """Each sample tests once, no group is in two parts, and of each class every fold has its share but for one group."""
    sizes, kinds = people
    groups, labels = np.repeat(np.arange(len(sizes)), sizes), np.repeat(kinds, sizes)
    order = np.random.default_rng(seed).permutation(len(groups))
    groups, labels = groups[order], labels[order]
    made = folds(len(groups), number, seed, labels=labels, groups=groups.tolist(), validation=0.2)
    tested = [at for each in made for at in each.test.tolist()]
    assert sorted(tested) == list(range(len(groups)))
    for each in made:
        parts = [set(groups[part].tolist()) for part in (each.train, each.validation, each.test)]
        assert parts[0]
        assert parts[2]
        assert len(parts[0] | parts[1] | parts[2]) == sum(map(len, parts)) == len(sizes)
    for kind in set(kinds):
        largest = max(size for size, own in zip(sizes, kinds, strict=True) if own == kind)
        found = [int((labels[each.test] == kind).sum()) for each in made]
        ideal = (labels == kind).sum() / number
        assert max(abs(each - ideal) for each in found) <= largest, (kind, found)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=4, max_size=8), st.integers(2, 3), st.integers(0, 20))
def test_folds_by_group_are_near_the_best_there_are(sizes: list[int], number: int, seed: int):
    """Against all ways to deal the groups: the largest fold is no more than a third larger (Graham 1969) than the best."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    made = folds(len(groups), number, seed, groups=groups.tolist())
    best = min(
        max(sum(size for size, at in zip(sizes, dealt, strict=True) if at == fold) for fold in range(number))
        for dealt in product(range(number), repeat=len(sizes))
    )
    assert max(len(each.test) for each in made) <= best * (4 / 3 - 1 / (3 * number)) + 1e-9


def digest(path: Path) -> str:
    """The hash of the parts in a split.csv, written anew from its definition."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = hashlib.sha256()
    for part in PARTS:
        at = [number for number, row in enumerate(rows) if row["part"] == part]
        found.update(f"{part} {len(at)}\n".encode() + b"".join(each.to_bytes(8, "little") for each in at))
    return found.hexdigest()


def trained(capfd: pytest.CaptureFixture[str], *more: str) -> list[Run]:
    capfd.readouterr()
    assert main(["train", "a.net", "--device", "cpu", *more]) == 0
    return [Run.load(each) for each in capfd.readouterr().out.split()]


def test_folds_are_saved_with_their_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.chdir(tmp_path)
    chance = np.random.default_rng(0)
    who = np.array([f"p{at // 3}" for at in range(60)])
    np.savez("r.npz", x=chance.normal(size=(60, 3)).astype(np.float32), y=np.arange(60) // 3 % 2, who=who)
    settings = 'data arrays("r.npz", target="y", x="x"); loss cross_entropy; epochs 1; split kfold(3, group=who)'
    Path("a.net").write_text(f"network Net {{ input x: [3]; linear(2) }}\ntrain {{ {settings} }}\n")
    runs = trained(capfd, "--folds")
    hashes = [run.config["data"]["split_sha256"] for run in runs]
    assert hashes == [digest(run.folder / "split.csv") for run in runs]
    assert len(set(hashes)) == 3


def test_the_same_volume_in_two_parts_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.chdir(tmp_path)
    cases(Path("stroke"), [(3, 4, 5)] * 6)
    for name in ("adc.nii.gz", "cbf.nii"):
        Path("stroke/case05", name).write_bytes(Path("stroke/case01", name).read_bytes())
    parts = ["train", "train", "train", "validation", "test", "test"]
    Path("folds.csv").write_text("\n".join(["sample,part", *(f"case{at:02},{each}" for at, each in enumerate(parts))]))
    given = 'data volumes("stroke", channels=["adc", "cbf"], mask="lesion")'
    network = "network Net { input volume: [2, D, H, W]; conv(2, 1) }\n"
    Path("a.net").write_text(
        f'{network}train {{ {given}; loss cross_entropy; epochs 1; batch 1; split "folds.csv" }}\n'
    )
    (run,) = trained(capfd)
    assert run.config["data"]["notes"] == [
        "1 sample of the test part is in the training part too, under another name: case05 and case01"
    ]


def table(values: np.ndarray) -> tuple[str, str]:
    rows = [f"{a},{b},{'yes' if at % 2 else 'no'}" for at, (a, b) in enumerate(values.tolist())]
    Path("t.csv").write_text("\n".join(["a,b,y", *rows]))
    return 'table("t.csv", target="y")', "network Net { input features: [2]; linear(2) }\n"


def arrays(values: np.ndarray) -> tuple[str, str]:
    np.savez("r.npz", x=np.repeat(values[..., None], 4, axis=2).astype(np.float32), y=np.arange(len(values)) % 2)
    return 'arrays("r.npz", target="y")', "network Net { input x: [2, 4]; flatten; linear(2) }\n"


def pictures(values: np.ndarray) -> tuple[str, str]:
    for at, (a, b) in enumerate(np.clip(np.abs(values) * 80, 0, 255).astype(np.uint8)):
        folder = Path("pets", str(at * 2 // len(values)))
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array([[a, b, a], [b, b, a]], np.uint8)).save(folder / f"{at:02}.png")
    return 'images("pets")', "network Net { input image: [1, 2, 3]; flatten; linear(2) }\n"


@pytest.mark.parametrize("made", [table, arrays, pictures])
def test_scaling_is_learnt_from_the_training_part_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd, made):
    """Other numbers in validation and test change nothing; in one training sample they do."""
    monkeypatch.chdir(tmp_path)
    per = "feature" if made is table else "channel"
    values = np.random.default_rng(0).normal(size=(40, 2))
    found = []
    for change in ("nothing", "held", "train"):
        now = values.copy()
        if change != "nothing":
            where = found[0][1]
            now[[at for at, part in enumerate(where) if (part == "train") == (change == "train")][:5]] = 3.0
        given, network = made(now)
        settings = f"data {given}; prepare normalize(per={per}); loss cross_entropy; epochs 1"
        Path("a.net").write_text(f"{network}train {{ {settings} }}\n")
        (run,) = trained(capfd)
        with open(run.folder / "split.csv", encoding="utf-8", newline="") as file:
            where = [row["part"] for row in csv.DictReader(file)]
        found.append((run.config["prepare"], where, run.results["loss"]))
    assert found[0][1] == found[1][1] == found[2][1]
    assert found[0][0] == found[1][0] != found[2][0]
    assert found[0][2] != found[1][2]  # the test part did change
