"""The table of the test samples over all folds: held against each run's test.csv, computed anew."""

from __future__ import annotations

import csv
import math
import re
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from volumes import nifti

from specc.tools.cli import main
from specc.train.pooled import short

SPECS = Path(__file__).parent.parent / "specs"
CHANNELS = ("adc", "cbf", "cbv", "mtt", "tmax", "ttp")
FIGURES = ("dice", "hausdorff", "hausdorff95", "assd")
SETTINGS = """    data         volumes("stroke", channels=["adc", "cbf"], mask="lesion", axes=[z, y, x])
    split        kfold(3, group=patient), validation=0.5
    prepare      normalize(per=volume)
    loss         cross_entropy + dice
    optimizer    adam(lr=0.05)
    batch        1
    epochs       1
    postprocess  largest_regions(0.5)
"""
NET = "network Net { input scan: [2, D, H, W]; conv(2, 1); softmax }\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def patients(folder: Path, size: tuple[int, int, int], count: int, channels: tuple[str, ...] = CHANNELS) -> None:
    """Two cases of each: noise in all maps, larger where one to three boxes are; the last case has none."""
    chance = np.random.default_rng(5)
    for at in range(2 * count):
        mask = np.zeros(size, bool)
        for _ in range(0 if at == 2 * count - 1 else int(chance.integers(1, 4))):
            start = [int(chance.integers(0, max(1, each - 3))) for each in size]
            mask[tuple(slice(a, a + int(chance.integers(1, 5))) for a in start)] = True
        for name in channels:
            values = chance.normal(100, 15, size) + 60 * mask
            nifti(folder / f"case{at:02}" / f"{name}.nii.gz", values.astype(np.float32), distances=(1.5, 2.0, 5.0))
        nifti(folder / f"case{at:02}" / "lesion.nii.gz", mask.astype(np.uint8), distances=(1.5, 2.0, 5.0))
    rows = [f"case{at:02},p{at // 2}" for at in range(2 * count)]
    (folder / "samples.csv").write_text("\n".join(["sample,patient", *rows]))


def read(path: str) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def groups(network: str, folds: int) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The rows of test.csv by fold, and all of them."""
    found = [(str(fold), read(f"runs/{network}/{fold}/test.csv")) for fold in range(1, folds + 1)]
    yield from found
    yield "all", [row for _, rows in found for row in rows]


def held(network: str, folds: int, cases: int, said: str) -> None:
    """The file and what the terminal says are what test.csv comes to."""
    table = {(each["fold"], each["figure"]): each for each in read(f"runs/{network}/folds-1-cases.csv")}
    lines = said.splitlines()
    titles = [at for at, line in enumerate(lines) if line.strip().startswith("test samples, mean ± deviation")]
    assert len(titles) == 2
    assert all(len(line) <= 80 for line in lines if "±" in line)
    for fold, rows in groups(network, folds):
        for form, title in zip(("", ".post"), titles, strict=True):
            cells = []
            for figure in (f"{name}{form}" for name in FIGURES):
                values = [float(row[figure]) for row in rows if row[figure]]
                found = table[fold, figure]
                assert (int(found["cases"]), int(found["count"])) == (len(rows), len(values))
                assert float(found["mean"]) == pytest.approx(math.fsum(values) / len(values), rel=1e-12)
                if len(values) > 1:
                    assert float(found["std"]) == pytest.approx(np.std(values, ddof=1), rel=1e-9, abs=1e-12)
                else:
                    assert found["std"] == ""
                text = short(statistics.fmean(values))
                text += f" ± {short(statistics.stdev(values))}" if len(values) > 1 else ""
                cells.append(text if len(values) == len(rows) else f"{text} ({len(values)})")
            line = next(line for line in lines[title:] if line.split()[:1] == [fold])
            assert re.split(r"\s{2,}", line.strip()) == [fold, str(len(rows)), *cells]
    assert len(dict(groups(network, folds))["all"]) == cases
    names = [row["sample"] for row in dict(groups(network, folds))["all"]]
    assert len(set(names)) == cases, "every case is tested once"


def test_the_stroke_spec_writes_the_table_of_its_folds(capfd: pytest.CaptureFixture[str]):
    for name in ("vnet_stroke.net", "vnet_volumes.net"):
        shutil.copy(SPECS / name, name)
    patients(Path("data/stroke"), (16, 16, 2), 4)
    small = ["split=kfold(2, group=patient), validation=0.5", "width=1", "epochs=1"]
    assert main(["train", "vnet_stroke.net", "--folds", *(each for one in small for each in ("--set", one))]) == 0
    held("StrokeVNet", 2, 8, capfd.readouterr().err)


def test_a_figure_that_a_case_lacks_is_left_out_and_counted(capfd: pytest.CaptureFixture[str]):
    patients(Path("stroke"), (7, 6, 5), 6, CHANNELS[:2])
    metrics = "metrics dice, hausdorff, hausdorff(percentile=95), assd"
    Path("a.net").write_text(f"{NET}train {{\n{SETTINGS}    {metrics}\n}}\n", encoding="utf-8")
    assert main(["train", "a.net", "--folds", "--set", "epochs=12"]) == 0
    held("Net", 3, 12, capfd.readouterr().err)
    rows = dict(groups("Net", 3))["all"]
    (empty,) = [row for row in rows if row["dice.empty"] == "1.0" or row["hausdorff.missed"] == "1.0"]
    assert len({row["dice"] for row in rows}) > 6, "figures that say something"
    assert any(row["dice"] != row["dice.post"] for row in rows)
    page = Path("runs/Net/folds-1.md").read_text(encoding="utf-8")
    assert page.count("## Test samples, ") == 2
    assert empty["sample"] == "case11"


def test_a_sweep_has_the_table_of_every_point_in_its_files(capfd: pytest.CaptureFixture[str]):
    settings = "data iris; split kfold(3), validation=0.2; loss cross_entropy; epochs 1; batch 60; metrics accuracy"
    net = "network Net(width: int = 4) { input features: [4]; linear(width); relu; linear(3); softmax }\n"
    Path("a.net").write_text(f"{net}train {{ {settings} }}\n", encoding="utf-8")
    assert main(["train", "a.net", "--folds", "--sweep", "width=4,6"]) == 0
    assert "test samples" not in capfd.readouterr().err
    found = {(each["width"], each["fold"]): each for each in read("runs/Net/sweep-1-cases.csv")}
    assert list(found) == [(width, fold) for width in "46" for fold in ("1", "2", "3", "all")]
    for number, width in enumerate("46"):
        rights = [float(row["accuracy"]) for at in (1, 2, 3) for row in read(f"runs/Net/{3 * number + at}/test.csv")]
        assert float(found[width, "all"]["mean"]) == pytest.approx(np.mean(rights), rel=1e-12)
        assert found[width, "all"]["cases"] == "150"
    assert main(["train", "a.net", "--sweep", "width=4,6"]) == 0
    assert not Path("runs/Net/sweep-2-cases.csv").exists(), "no folds, nothing to put together"
