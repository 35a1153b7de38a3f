"""The systems of the notes, each trained on real input to the figure that README.md states; the data that are made for them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from specc.compiler import compile_text
from specc.data.lesions import CHANNELS, MASK, SIZES, write_lesions
from specc.data.named import check_data
from specc.data.nifti import header
from specc.data.nifti_file import write_volume
from specc.data.pictured import write_shapes
from specc.data.project import open_spec
from specc.data.shipped import Shipped
from specc.data.sources import DataProblem
from specc.data.volumes import Volumes
from specc.tools.cli import main
from specc.train.runs import Run
from specc.train.training import train

ROOT = Path(__file__).parent.parent


README = (ROOT / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| .* \| `specc train specs/(\w+)\.net(?: --network (\w+))?` \| (\w+) ([\d.]+) \|$", re.M)
SYSTEMS = [(spec, network, figure, float(reached)) for spec, network, figure, reached in ROW.findall(README)]
FEWER = {"lenet5": 4, "unet_shapes": 4}  # epochs of those that take more than a second or two
NEAR = 0.03  # what another machine's rounding may make of so few test samples


# ---------------------------------------------------------------------------------------------------- what README states
def trained(folder: Path, spec: str, network: str, settings: dict[str, str], phase: str = "") -> Run:
    project = open_spec(ROOT / "specs" / f"{spec}.net")
    found = compile_text(project.text, project.name, network=network or None, settings=settings, read=project.read)
    return train(found, out_root=folder / "runs", project=folder, phase=phase, device="cpu")


def data(folder: Path, spec: str, **fewer: int) -> None:
    """What the spec's data are made by."""
    if spec == "unet_shapes":
        write_shapes(folder / "data" / "shapes", **fewer)


def test_every_system_of_the_notes_has_a_line():
    assert [spec for spec, *_ in SYSTEMS] == [
        "perceptron", "perceptron", "logistic", "logistic", "mlp_wine", "regression", "regression", "lenet5", "unet_shapes",
    ]  # fmt: skip


@pytest.mark.parametrize(("spec", "network", "figure", "reached"), SYSTEMS)
def test_a_system_learns(spec: str, network: str, figure: str, reached: float, tmp_path: Path):
    data(tmp_path, spec, count=60)
    run = trained(tmp_path, spec, network, {"epochs": str(FEWER[spec])} if spec in FEWER else {})
    (found,) = [value for name, value in run.results.items() if name.rpartition(".")[2] == figure]
    assert found >= reached - (0.1 if spec in FEWER else NEAR)


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "network", "figure", "reached"), [each for each in SYSTEMS if each[0] in FEWER])
def test_a_system_reaches_its_figure(spec: str, network: str, figure: str, reached: float, tmp_path: Path):
    data(tmp_path, spec)
    run = trained(tmp_path, spec, network, {})
    assert run.results[figure] == pytest.approx(reached, abs=NEAR / 3)


def test_the_networks_beat_those_who_answer_the_same_to_everything(tmp_path: Path):
    """The bars above are no bars where one answer is right for most samples: the share of it, and r2 of the mean."""
    data(tmp_path, "unet_shapes", count=60)
    for spec, share in (("logistic", 0.64), ("mlp_wine", 0.41), ("unet_shapes", 0.95)):
        run = trained(tmp_path, spec, "", {"epochs": "0"})
        assert run.results["accuracy"] <= share, "untrained"
        assert next(reached for name, *_, reached in SYSTEMS if name == spec) > share


# ----------------------------------------------------------------------------------------------------------- transfer
@pytest.mark.parametrize(
    ("spec", "base", "few"), [("transfer", {"epochs": "8"}, 27), ("transfer_wine", {}, 8)], ids=["digits", "wine"]
)
def test_what_was_learnt_on_other_classes_helps_where_samples_are_few(
    spec: str, base: dict[str, str], few: int, tmp_path: Path
):
    first = trained(tmp_path, spec, "", base, "base")
    assert first.folder.name == "1"
    tuned, scratch = (trained(tmp_path, spec, "", {}, phase) for phase in ("tune", "scratch"))
    assert tuned.config["data"]["split"] == scratch.config["data"]["split"]
    assert tuned.config["data"]["split"]["train"] == few
    assert tuned.config["data"]["split_sha256"] == scratch.config["data"]["split_sha256"]
    assert not set(first.class_names) >= set(tuned.class_names)
    assert tuned.results["accuracy"] >= scratch.results["accuracy"]


def test_classes_of_a_bundled_set_are_kept_and_numbered_anew():
    whole, some = Shipped("digits").load(), Shipped("digits", (7, 2)).load()
    (before, labels), (after, numbers) = whole.arrays(), some.arrays()
    kept = np.isin(labels, (7, 2))
    np.testing.assert_array_equal(after["image"], before["image"][kept])
    np.testing.assert_array_equal(numbers, np.where(labels[kept] == 7, 0, 1))
    assert some.facts == Shipped("digits", (7, 2)).describe()
    assert (some.facts.count, some.facts.class_names) == (int(kept.sum()), ("7", "2"))
    for name in ("digits", "breast_cancer", "iris", "wine"):
        labels = Shipped(name).load().labels()
        for each in range(max(labels)):
            assert Shipped(name, (each, each + 1)).describe().count == int(np.isin(labels, (each, each + 1)).sum())
    with pytest.raises(DataProblem, match="iris has no class 3"):
        Shipped("iris", (1, 3)).describe()
    net = "network N { input features: [4]; linear(2); softmax }\n"
    for wrong, says in (("[1, 1]", "twice"), ("[1]", "at least two"), ("[0, 3]", "no class 3")):
        bag = compile_text(f"{net}train {{ data iris(classes={wrong}); loss cross_entropy }}").bag
        said = [each.message for each in bag]
        if wrong == "[0, 3]":
            plan = compile_text(f"{net}train {{ data iris(classes={wrong}); loss cross_entropy }}")
            said = [each.message for each in check_data(plan.model(), plan.programs["N", ""], Path())]
        assert any(says in each for each in said), (wrong, said)


# --------------------------------------------------------------------------------------------------- the stroke V-Net
def test_the_stroke_network_takes_the_five_sizes_and_the_papers_does_not():
    def accepts(network: str, size: tuple[int, int, int]) -> bool:
        wide, high, deep = size
        project = open_spec(ROOT / "specs" / "vnet_stroke.net")
        return compile_text(
            project.text, project.name, network=network, sizes={"W": wide, "H": high, "D": deep}, read=project.read
        ).ok

    for wide, high, deep in SIZES:
        for scale in (1, 4):
            assert accepts("StrokeVNet", (wide // scale, high // scale, deep))
        assert not accepts("PaperVNet", (wide, high, deep))
    assert accepts("PaperVNet", (128, 128, 32))


# ------------------------------------------------------------------------------------------------ data that are made
@pytest.mark.parametrize(("kind", "slope"), [("u1", 1.0), ("i2", 0.25), ("f4", 1.0), ("i2", 1.0)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_volume_is_read_as_it_was_written(tmp_path: Path, kind: str, slope: float, suffix: str):
    values = np.random.default_rng(3).integers(0, 200, (5, 4, 3)).astype(kind)
    path = tmp_path / f"a{suffix}"
    write_volume(path, values, (1.5, 2.0, 6.0), slope)
    found = header(path)
    assert found.shape == (5, 4, 3)
    assert found.spacing == (1.5, 2.0, 6.0)
    assert found.flipped == (False, False, False)
    np.testing.assert_array_equal(found.values(), values * slope if slope != 1 else values)
    assert found.corners()[0] == (-3.0, -3.0, -6.0), "the middle is the origin"


def test_patients_are_made_of_their_seed_alone(tmp_path: Path):
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        assert write_lesions(tmp_path / name, 5, 8, seed) == 10
    one, again, other = (sorted((tmp_path / name).rglob("*.gz")) for name in ("one", "again", "other"))
    assert len(one) == 10 * 7
    assert [each.read_bytes() for each in one] == [each.read_bytes() for each in again]
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(one, other, strict=True))


def test_patients_have_the_five_sizes_and_their_own_lesions(tmp_path: Path):
    write_lesions(tmp_path / "stroke", 5, 8)
    source = Volumes(tmp_path / "stroke", CHANNELS, MASK)
    cases = source.load()
    shapes = [cases.sample(at)[0]["volume"].shape for at in range(0, 10, 2)]
    assert shapes == [(6, deep, high // 8, wide // 8) for wide, high, deep in SIZES]
    assert source.column("patient") == [f"patient{1 + at // 2:02}" for at in range(10)]
    masks = [cases.sample(at)[1] for at in range(10)]
    assert all(0 < mask.mean() < 0.05 for mask in masks)
    assert any((a != b).any() for a, b in zip(masks[::2], masks[1::2], strict=True)), "two visits are not one"
    image, mask = cases.sample(6)
    adc, cbf = (image["volume"][CHANNELS.index(name)] for name in ("adc", "cbf"))
    brain = image["volume"][CHANNELS.index("cbv")] > 1
    assert adc[mask == 1].mean() < adc[brain & (mask == 0)].mean() - 200
    assert cbf[mask == 1].mean() < 30 < cbf[brain & (mask == 0)].mean()
    assert cases.spacing(6) == pytest.approx((5.0, 10.0, 10.0)), "slices of 5 mm in a field of 150 mm"


def test_data_are_made_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "a/shapes", "--data", "shapes", "--count", "7"]) == 0
    assert main(["new", "a/stroke", "--data", "lesions", "--count", "1", "--scale", "8"]) == 0
    assert "wrote 2 samples into a/stroke" in capfd.readouterr().err
    with open("a/stroke/samples.csv", encoding="utf-8") as file:
        assert [row["sample"] for row in csv.DictReader(file)] == ["patient01_1", "patient01_2"]
    picture, mask = (np.array(Image.open(f"a/shapes/{name}/0003.png")) for name in ("pictures", "masks"))
    assert picture.shape == mask.shape == (32, 32)
    assert set(np.unique(mask)) == {0, 1}
    assert picture[mask == 1].mean() > picture[mask == 0].mean() + 60
    assert main(["new", "a/stroke", "--data", "lesions"]) == 2
    assert "is there already" in capfd.readouterr().err
    for wrong in (["--count", "0"], ["--scale", "7"], ["--scale", "16"]):
        assert main(["new", "b", "--data", "lesions", *wrong]) == 2
        assert "cannot be made" in capfd.readouterr().err
    assert not Path("b").exists()
