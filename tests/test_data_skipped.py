"""Broken files and rows with holes: all of them are named before training starts, or left out and said."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import polars
import pytest
from PIL import Image
from volumes import cases

from specc.compiler import compile_text
from specc.data.columns import sample_names
from specc.data.images import Images
from specc.data.named import source
from specc.data.pairs import Pairs
from specc.data.parting import parted
from specc.data.skipped import kept
from specc.data.sources import DataProblem
from specc.data.tables import Table
from specc.data.volumes import Volumes
from specc.tools.cli import main
from specc.train.program import chosen
from specc.train.runs import Run

PICTURES = "network Net { input image: [1, 6, 5]; flatten; linear(2) }\n"
ROWS = "network Net { input features: [2]; linear(2) }\n"


def pets(folder: Path, broken: bool = True) -> set[str]:
    """Forty pictures of two classes; one is cut short, one is a text."""
    chance = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for at in range(20):
            Image.fromarray(chance.integers(0, 256, (6, 5), np.uint8)).save(folder / name / f"{at:02}.png")
    if broken:
        path = folder / "cat" / "07.png"
        path.write_bytes(path.read_bytes()[:60])
        (folder / "dog" / "03.png").write_text("not a picture")
    return {"cat/07.png", "dog/03.png"}


def rows(path: Path, holes: bool = True) -> None:
    """Sixty rows of two classes; lines 4 and 9 miss a value, in the column `note`, which does not go in, all do."""
    chance = np.random.default_rng(1)
    lines = [f"{a:.3f},{b:.3f},{'yes' if a > b else 'no'}," for a, b in chance.normal(size=(60, 2))]
    if holes:
        lines[2] = f",{lines[2].split(',', 1)[1]}"
        lines[7] = f"{lines[7].rsplit(',', 2)[0]},NA,"
    path.write_text("\n".join(["a,b,kind,note", *lines]) + "\n")


def said(run: Run) -> str:
    (note,) = run.config["data"]["notes"]
    for name in ("log.txt", "report.html"):
        assert note in (run.folder / name).read_text(encoding="utf-8")
    return str(note)


def parts(run: Run) -> dict[str, str]:
    with open(run.folder / "split.csv", encoding="utf-8", newline="") as file:
        return {row["sample"]: row["part"] for row in csv.DictReader(file)}


def test_all_broken_pictures_are_named_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.chdir(tmp_path)
    pets(Path("pets"))
    Path("a.net").write_text(f'{PICTURES}train {{ data images("pets"); loss cross_entropy; epochs 1 }}\n')
    assert main(["train", "a.net", "--device", "cpu"]) == 2
    err = " ".join(capfd.readouterr().err.split())
    assert "2 of 40 samples cannot be used" in err
    assert "pets/cat/07.png: the picture cannot be read" in err
    assert "pets/dog/03.png: this is not a png, jpg, bmp or gif picture" in err
    assert "broken=skip" in err
    assert not Path("runs").exists()
    Path("pets/dog/03.png").unlink()
    with pytest.raises(DataProblem, match="cannot be read") as caught:
        Images(Path("pets")).load()
    assert (caught.value.file, caught.value.help.endswith("broken=skip")) == (Path("pets/cat/07.png"), True)


def test_broken_pictures_are_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.chdir(tmp_path)
    broken = pets(Path("pets"))
    settings = 'data images("pets", broken=skip); loss cross_entropy; batch 8; augment noise(0.1), flip(); epochs 2'
    Path("a.net").write_text(f"{PICTURES}train {{ {settings} }}\n")
    assert main(["check", "a.net"]) == 0
    assert main(["train", "a.net", "--device", "cpu"]) == 0
    out, err = capfd.readouterr()
    run = Run.load(out.strip().splitlines()[-1])
    sentence = "2 of 40 samples are left out, because they cannot be read: cat/07.png, dog/03.png"
    assert said(run) == sentence
    assert f"data: {sentence}" in " ".join(err.split())
    assert {name for name, part in parts(run).items() if part == "skipped"} == broken
    assert len(parts(run)) == 40
    assert sum(run.config["data"]["split"].values()) == 38
    # Its split is taken back, and gives the same run.
    Path("folds.csv").write_bytes((run.folder / "split.csv").read_bytes())
    Path("a.net").write_text(f'{PICTURES}train {{ {settings}; split "folds.csv" }}\n')
    assert main(["train", "a.net", "--device", "cpu"]) == 0
    again = Run.load(capfd.readouterr().out.strip())
    assert again.config["data"]["split_sha256"] == run.config["data"]["split_sha256"]
    assert again.weights.read_bytes() == run.weights.read_bytes()
    # Evaluated on the folder: the others count, and it is said.
    assert main(["evaluate", str(run.folder), "--data", 'images("pets", broken=skip)', "--format", "json"]) == 0
    out, err = capfd.readouterr()
    assert "loss" in json.loads(out)["figures"]
    assert sentence in " ".join(err.split())


def test_what_is_left_out_changes_nothing_for_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    """A run without the two pictures, by a file of parts, and one that skips them as broken: the same weights."""
    monkeypatch.chdir(tmp_path)
    broken = pets(Path("pets"), broken=False)
    names = sample_names(Images(Path("pets")), 40)
    kind = ["train"] * 30 + ["validation"] * 5 + ["test"] * 5
    where = {name: "skipped" if name in broken else kind[at * 7 % 40] for at, name in enumerate(names)}
    Path("folds.csv").write_text("\n".join(["sample,part", *(f"{a},{b}" for a, b in where.items())]))
    settings = 'data images("pets", broken=skip); split "folds.csv"; loss cross_entropy; augment noise(0.1), cutout(2)'
    Path("a.net").write_text(f"{PICTURES}train {{ {settings}; batch 4; epochs 2 }}\n")
    weights = []
    for _ in range(2):
        assert main(["train", "a.net", "--device", "cpu"]) == 0
        run = Run.load(capfd.readouterr().out.strip())
        weights.append(run.weights.read_bytes())
        assert parts(run) == where
        for each in broken:
            Path("pets", each).write_text("broken")
    assert weights[0] == weights[1]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_that_miss_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd, suffix: str):
    monkeypatch.chdir(tmp_path)
    rows(Path("t.csv"))
    lines = "line 4", "line 9"
    if suffix == "parquet":
        polars.read_csv("t.csv", null_values=["", "NA"], schema_overrides={"note": polars.String}).write_parquet(
            "t.parquet"
        )
        lines = "row 3", "row 8"
    given = f'data table("t.{suffix}", target="kind", inputs=["a", "b"]'
    Path("a.net").write_text(f"{ROWS}train {{ {given}); loss cross_entropy; epochs 1 }}\n")
    for command in ("check", "train"):
        assert main([command, "a.net"]) == (1 if command == "check" else 2)
        out, err = capfd.readouterr()
        assert f"2 of 60 rows miss a value: {lines[0]} (a), {lines[1]} (kind)" in " ".join((out + err).split())
        assert "missing=skip" in out + err
    Path("a.net").write_text(
        f"{ROWS}train {{ {given}, missing=skip); prepare normalize; loss cross_entropy; epochs 1 }}\n"
    )
    assert main(["train", "a.net", "--device", "cpu"]) == 0
    run = Run.load(capfd.readouterr().out.strip())
    assert said(run) == f"2 of 60 samples are left out, because a value is missing: {lines[0]}, {lines[1]}"
    assert [name for name, part in parts(run).items() if part == "skipped"] == ["2", "7"]
    assert sum(run.config["data"]["split"].values()) == 58


def test_rows_keep_their_number_and_their_numbers(tmp_path: Path):
    rows(tmp_path / "whole.csv", holes=False)
    rows(tmp_path / "holes.csv")
    whole = Table(tmp_path / "whole.csv", "kind", ("a", "b")).load()
    holes = Table(tmp_path / "holes.csv", "kind", ("a", "b"), missing="skip").load()
    there = kept(holes)
    assert there.tolist() == [at for at in range(60) if at not in (2, 7)]
    for at in map(int, there):
        np.testing.assert_array_equal(holes.sample(at)[0]["features"], whole.sample(at)[0]["features"])
        assert holes.sample(at)[1] == whole.sample(at)[1]


def test_a_category_of_a_skipped_row_is_none(tmp_path: Path):
    (tmp_path / "t.csv").write_text("town,x,y\nUlm,1,a\nBonn,2,b\nTrier,,a\nUlm,4,b\n")
    assert Table(tmp_path / "t.csv", "y", missing="skip").describe().names == ("town=Bonn", "town=Ulm", "x")
    (tmp_path / "t.csv").write_text("x,y\n,a\n,b\n")
    with pytest.raises(DataProblem, match="2 of 2 rows miss a value"):
        Table(tmp_path / "t.csv", "y", missing="skip").describe()


def test_folds_and_groups_without_what_is_left_out(tmp_path: Path):
    pets(tmp_path / "pets")
    names = sample_names(Images(tmp_path / "pets"), 40)
    lines = [f"{name},{at // 3}" for at, name in enumerate(names)]
    (tmp_path / "pets" / "samples.csv").write_text("\n".join(["sample,owner", *lines]))
    tested: list[int] = []
    for fold in (1, 2, 3):
        text = (
            f'{PICTURES}train {{ data images("pets", broken=skip); loss cross_entropy; '
            f"split kfold(3, group=owner), fold={fold}, validation=0.2 }}\n"
        )
        _, program = chosen(compile_text(text, "a.net"), "")
        given = source(program.source, tmp_path)
        dataset = given.load()
        split = parted(program, given, dataset, tmp_path)
        whole = np.concatenate([split.train, split.validation, split.test])
        assert sorted(whole.tolist()) == kept(dataset).tolist()
        owners = [{int(at) // 3 for at in part} for part in (split.train, split.validation, split.test)]
        assert not owners[0] & owners[1] | owners[0] & owners[2] | owners[1] & owners[2]
        tested += split.test.tolist()
    assert sorted(tested) == kept(dataset).tolist()


def test_masks_that_are_broken_take_their_picture_with_them(tmp_path: Path):
    for at in range(5):
        for name in ("pictures", "masks"):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(np.full((6, 5), at % 3, np.uint8)).save(tmp_path / name / f"{at}.png")
    path = tmp_path / "masks" / "2.png"  # the only one of class 2
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataProblem, match=r"not a png|cannot be read") as caught:
        Images(tmp_path / "pictures", masks=tmp_path / "masks").load()
    assert caught.value.file == path
    data = Images(tmp_path / "pictures", masks=tmp_path / "masks", broken="skip").load()
    assert kept(data).tolist() == [0, 1, 3, 4]
    assert data.facts.classes == 2


def test_pairs_without_what_is_left_out(tmp_path: Path):
    pets(tmp_path)
    keywords = {"folder": tmp_path, "broken": "skip"}
    data = Pairs("specc.data.images:Images", keywords, ("one", "other")).load()
    torn = sorted(set(range(len(data))) - set(kept(data).tolist()))
    assert 1 <= len(torn) <= 2
    for at in map(int, kept(data)):
        data.sample(at)
    for at in torn:
        with pytest.raises(DataProblem):
            data.sample(at)


def test_broken_volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.chdir(tmp_path)
    cases(Path("stroke"), [(4, 4, 4)] * 12)
    cut = Path("stroke/case03/adc.nii.gz")  # its header is whole
    cut.write_bytes(cut.read_bytes()[:-20])
    Path("stroke/case07/cbf.nii").write_bytes(b"short")
    given = 'data volumes("stroke", channels=["adc", "cbf"], mask="lesion"'
    network = "network Net { input volume: [2, D, H, W]; conv(2, 1) }\n"
    settings = "loss cross_entropy; batch 1; epochs 1; split train=0.6, validation=0.2, test=0.2"
    Path("a.net").write_text(f"{network}train {{ {given}); {settings} }}\n")
    with pytest.raises(DataProblem, match=r"2 of 12 samples cannot be used: .*case03.*; .*case07"):
        Volumes(Path("stroke"), ("adc", "cbf"), "lesion").load()
    assert main(["train", "a.net", "--device", "cpu"]) == 2
    assert "case07/cbf.nii" in " ".join(capfd.readouterr().err.split())
    Path("a.net").write_text(f"{network}train {{ {given}, broken=skip); {settings} }}\n")
    assert main(["train", "a.net", "--device", "cpu"]) == 0
    run = Run.load(capfd.readouterr().out.strip())
    assert said(run) == "2 of 12 samples are left out, because they cannot be read: case03, case07"
    assert {name for name, part in parts(run).items() if part == "skipped"} == {"case03", "case07"}
    for path in Path("stroke").iterdir():
        (path / "adc.nii.gz").write_text("x")
    with pytest.raises(DataProblem, match=r"12 of 12 samples cannot be used.* and 7 more"):
        Volumes(Path("stroke"), ("adc", "cbf"), "lesion", broken="skip").describe()
