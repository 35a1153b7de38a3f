"""Data that are made: synthetic ones, pairs of another source, and functions of the user's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from specc.compiler import Compilation, compile_text
from specc.data.images import Images
from specc.data.named import check_data, source
from specc.data.pairs import Pairs
from specc.data.shipped import Shipped
from specc.data.sources import DataProblem, Dataset
from specc.data.synthetic import Synthetic
from specc.tools.cli import main
from specc.train.runs import Run
from specc.train.training import train

POINTS = "network Net { input features: [2]; linear(24); relu; linear(24); relu; linear(2); softmax }\n"
TWINS = """network Twins {
    input one: [1, 8, 8]
    input other: [1, 8, 8]
    a: one -> flatten -> linear(8)
    b: other -> flatten -> linear(8)
    concat(a, b, axis=0)
    linear(2)
    softmax
}
"""


def compiled(settings: str, network: str) -> Compilation:
    found = compile_text(f"{network}train {{ {settings} }}\n", "a.net")
    assert found.ok, [each.message for each in found.bag]
    return found


def said(settings: str, folder: Path, network: str) -> list[str]:
    found = compiled(settings, network)
    return [each.code for each in check_data(found.model(), next(iter(found.programs.values())), folder)]


def go(folder: Path, settings: str, network: str, **options: object) -> Run:
    return train(compiled(settings, network), out_root=folder / "runs", project=folder, device="cpu", **options)  # type: ignore[arg-type]


# --- synthetic ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["blobs", "rings", "xor", "line", "shapes"])
def test_made_up_data_are_what_they_say_and_the_same_every_time(kind: str):
    one = Synthetic(kind, count=60)
    facts, data = one.describe(), one.load()
    inputs, target = data.arrays()
    (name,) = facts.input_shapes
    assert inputs[name].shape == (60, *facts.input_shapes[name])
    assert inputs[name].dtype == np.float32
    assert target.shape == (60, *facts.target_shape)
    assert target.dtype == (np.float32 if kind == "line" else np.int64)
    if facts.classes:
        assert set(np.unique(target)) == set(range(facts.classes))
    again, other = (Synthetic(kind, count=60, seed=seed).load().arrays()[0][name] for seed in (0, 1))
    assert np.array_equal(again, inputs[name])
    assert not np.array_equal(other, inputs[name])


def test_made_up_data_without_noise_are_exact():
    rings = Synthetic("rings", classes=3, noise=0).load()
    radius = np.hypot(*rings.arrays()[0]["features"].T)
    np.testing.assert_allclose(radius, rings.labels() + 1, rtol=1e-6)
    corners = Synthetic("xor", noise=0, features=3).load()
    x = corners.arrays()[0]["features"]
    assert np.array_equal((x[:, 0] != x[:, 1]).astype(int), corners.labels())
    line = Synthetic("line", noise=0, features=4).load()
    x = np.column_stack([line.arrays()[0]["features"], np.ones(1000)])
    left = np.linalg.lstsq(x, line.arrays()[1], rcond=None)[1]
    assert left.sum() < 1e-6
    shapes = Synthetic("shapes", noise=0, count=50, size=40).load()
    picture, mask = shapes.arrays()[0]["image"], shapes.arrays()[1]
    assert np.array_equal(picture[:, 0], mask > 0)
    for at in range(50):
        where = np.argwhere(mask[at])
        box = np.prod(np.ptp(where, axis=0) + 1)
        assert (len(where) == box) == (at % 2 == 0), "squares fill their box, discs do not"
    noise = Synthetic("line", count=4000, noise=2.0).load()
    x = np.column_stack([noise.arrays()[0]["features"], np.ones(4000)])
    left = np.linalg.lstsq(x, noise.arrays()[1], rcond=None)[1] / 4000
    assert abs(np.sqrt(left[0]) - 2) < 0.1


def test_a_network_learns_xor_and_shapes(tmp_path: Path):
    settings = (
        "data synthetic(xor, count=400); loss cross_entropy; optimizer adam(lr=0.02); epochs 20; metrics accuracy"
    )
    assert said(settings, tmp_path, POINTS) == []
    assert go(tmp_path, settings, POINTS).results["accuracy"] > 0.95
    masks = "network Net { input image: [1, H, W]; conv(8, 3, padding=1); relu; conv(3, 1); softmax }\n"
    settings = (
        "data synthetic(shapes, count=60, size=16); loss cross_entropy; optimizer adam(lr=0.02); epochs 3; augment flip"
    )
    assert said(settings, tmp_path, masks) == []
    run = go(tmp_path, settings, masks)
    assert run.class_names == ("nothing", "square", "disc")


# --- pairs --------------------------------------------------------------------------------------------------
def pairs(name: str = "digits") -> Pairs:
    return Pairs("specc.data.shipped:Shipped", {"name": name}, ("one", "other"))


def test_pairs_are_of_one_class_or_not_and_share_no_sample():
    found, digits = pairs().load(), Shipped("digits").load()
    labels = digits.labels()
    assert np.array_equal(labels[found.first] == labels[found.second], found.labels())
    both = np.concatenate([found.first, found.second])
    assert len(set(both.tolist())) == len(both)
    assert len(both) > 1700  # of 1797
    assert 0.4 < found.labels().mean() < 0.6
    assert found.facts.count == len(found)
    inputs, target = found.sample(5)
    assert np.array_equal(inputs["other"], digits.sample(int(found.second[5]))[0]["image"])
    whole, targets = found.arrays()
    assert np.array_equal(whole["one"][5], inputs["one"])
    assert targets[5] == target


def test_pairs_train_and_go_on(tmp_path: Path):
    settings = "data pairs(digits, inputs=[one, other]); loss cross_entropy; batch 64; epochs 2; metrics accuracy"
    assert said(settings, tmp_path, TWINS) == []
    whole = go(tmp_path, settings, TWINS)
    assert whole.class_names == ("different", "same")
    asked = iter(range(100))
    part = go(tmp_path, settings, TWINS, stop=lambda: next(asked) >= 14)
    assert part.interrupted
    done = train(None, resume=part.folder, device="cpu")
    assert (whole.folder / "best.safetensors").read_bytes() == (done.folder / "best.safetensors").read_bytes()
    assert said(settings.replace("inputs=[one, other]", "inputs=[one, two]"), tmp_path, TWINS) == ["data-shape"]


def test_pairs_of_pictures_are_read_when_asked_for(tmp_path: Path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for at in range(8):
            Image.fromarray(np.full((4, 5), 10 * at + len(name), np.uint8)).save(tmp_path / name / f"{at}.png")
    found = Pairs("specc.data.images:Images", {"folder": tmp_path}, ("a", "b")).load()
    pictures: Dataset = Images(tmp_path).load()
    assert found.arrays() is None
    assert len(found.files(0)) == 2
    assert np.array_equal(found.sample(0)[0]["a"], pictures.sample(int(found.first[0]))[0]["image"])


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("pairs(digits, inputs=[one, one])", "bad-argument"),
        ("pairs(digits, inputs=[one])", "bad-argument"),
        ("pairs(digitz, inputs=[one, other])", "unknown-setting"),
        ("pairs(3, inputs=[one, other])", "bad-setting"),
        ("synthetic(moons)", "unknown-name"),
        ("synthetic(rings, features=1)", "bad-argument"),
        ('python("mine")', "bad-argument"),
        ('python("os.path:join(1)")', "bad-argument"),
        ('arrays("a.npz", target="y", stride=64)', "bad-argument"),
    ],
)
def test_wrong_calls(call: str, code: str):
    found = compile_text(f"{TWINS}train {{ data {call}; loss cross_entropy }}\n", "a.net")
    assert [each.code for each in found.bag] == [code]


def test_pairs_need_classes_and_one_input(tmp_path: Path):
    with pytest.raises(DataProblem, match="made by class"):
        pairs("diabetes").describe()
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2)), z=np.zeros((4, 2)), y=np.arange(4) % 2)
    settings = 'data pairs(arrays("a.npz", target="y"), inputs=[one, other]); loss cross_entropy'
    assert said(settings, tmp_path, TWINS) == ["bad-data"]
    assert said(settings.replace("a.npz", "none.npz"), tmp_path, TWINS) == ["missing-data"]


# --- code of the user's own ---------------------------------------------------------------------------------
CODE = """import pathlib
import numpy as np

def waves():
    pathlib.Path("ran").touch()
    chance = np.random.default_rng(0)
    x = chance.normal(size=(60, 2)).astype(np.float32)
    return {"features": x}, (x.sum(1) > 0).astype(int)

def broken():
    raise ValueError("no waves today")

def ragged():
    return {"features": np.zeros((3, 2))}, np.zeros(4)
"""


def test_no_code_runs_unless_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("made_waves.py").write_text(CODE)
    Path("a.net").write_text(f'{POINTS}train {{ data python("made_waves:waves"); loss cross_entropy; epochs 1 }}\n')
    assert main(["check", "a.net"]) == 0
    assert "--allow-python" in capfd.readouterr().err
    assert main(["train", "a.net", "--device", "cpu"]) == 2
    assert "missing-data" in capfd.readouterr().err
    assert not Path("ran").exists()
    assert main(["check", "a.net", "--strict", "--allow-python"]) == 0
    assert Path("ran").exists()
    capfd.readouterr()
    assert main(["train", "a.net", "--device", "cpu", "--allow-python"]) == 0
    run = Run.load(capfd.readouterr().out.strip())
    Path("ran").unlink()
    for more in ([], ["--data", 'python("made_waves:waves")']):
        assert main(["evaluate", str(run.folder), *more]) == 2
        assert "--allow-python" in capfd.readouterr().err
    assert not Path("ran").exists()
    assert main(["evaluate", str(run.folder), "--allow-python", "--format", "json"]) == 0
    assert json.loads(capfd.readouterr().out)["figures"]["loss"] == pytest.approx(run.results["loss"], abs=1e-12)
    for name, message in (
        ("broken", "ValueError: no waves today"),
        ("ragged", "beside a target of [4]"),
        ("none", "none"),
    ):
        settings = f'data python("made_waves:{name}")'
        Path("b.net").write_text(f"{POINTS}train {{ {settings}; loss cross_entropy }}\n")
        assert main(["check", "b.net", "--allow-python"]) == 1
        assert message in capfd.readouterr().err


def test_making_a_source_runs_nothing(tmp_path: Path):
    program = next(iter(compiled('data python("made_waves:waves"); loss cross_entropy', POINTS).programs.values()))
    assert source(program.source, tmp_path).function == "made_waves:waves"  # type: ignore[attr-defined]
