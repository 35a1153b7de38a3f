"""Volumes: NIfTI files as they are stored, turned and scaled; cases of one size and of several; what can be wrong."""

from __future__ import annotations

import gzip
import json
import math
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from volumes import CODES, cases, nifti

from specc.compiler import Compilation, compile_text
from specc.data.named import check_data
from specc.data.nifti import header
from specc.data.prepare import Crop, Normalize, Pad, Prepared, Resize, fit
from specc.data.sources import DataProblem, MissingData
from specc.data.volumes import Volumes
from specc.tools.cli import main
from specc.train.problem import TrainProblem
from specc.train.runs import Run
from specc.train.training import train

NETWORK = """network Lesions {
    input scan: [2, D, H, W]
    conv(4, 3, padding=1)
    relu
    conv(2, 1)
    softmax
}
"""
DATA = 'data volumes("stroke", channels=["adc", "cbf"], mask="lesion")'


# --- the format ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("end", ["<", ">"])
@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_every_type_is_read_as_it_was_written(tmp_path: Path, kind: str, end: str, suffix: str):
    values = np.random.default_rng(0).integers(0, 100, (3, 4, 5)).astype(kind)
    path = tmp_path / f"a{suffix}"
    nifti(path, values, end=end)
    found = header(path)
    assert (found.shape, found.spacing) == ((3, 4, 5), (1.0, 1.0, 1.0))
    assert np.array_equal(found.values(), values.astype(np.float32) if kind[0] == "f" else values)
    nifti(path, values, end=end, scale=(0.5, -3))
    assert np.array_equal(header(path).values(), (values * 0.5 - 3).astype(np.float32))


def world(affine: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """The place in space of every stored voxel, [*size, 3]."""
    return np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), -1) @ affine[:, :3].T + affine[:, 3]


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_a_volume_is_turned_to_its_own_right_front_and_top(tmp_path: Path, order, signs):
    """Whatever way it is stored: each voxel holds its place in space, and the places grow along x, y and z."""
    size, distances = (3, 4, 5), (0.5, 2.0, 3.0)
    affine = np.zeros((3, 4))
    for stored, where in enumerate(order):
        affine[where, stored] = signs[stored] * distances[stored]
    affine[:, 3] = (7, -5, 11)
    turn = 0.1  # not quite along the axes
    affine[:, :3] = np.array([[1, -turn, 0], [turn, 1, 0], [0, 0, 1]]) @ affine[:, :3]
    places = world(affine, size)
    for which in range(3):
        nifti(tmp_path / "a.nii", places[..., which], sform=affine)
        found = header(tmp_path / "a.nii")
        values = found.values()
        step = np.diff(values.astype(np.float64), axis=which)
        assert (step > 0).all()
        assert values.shape == tuple(size[order.index(each)] for each in range(3)) == found.shape
    np.testing.assert_allclose(
        found.spacing,
        [distances[order.index(each)] * math.hypot(1, turn if each < 2 else 0) for each in range(3)],
        rtol=1e-6,
    )


def test_a_quaternion_says_the_same_as_its_matrix(tmp_path: Path):
    """A turn of 90 degrees about z, and the mirrored third axis of qfac -1."""
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    half = math.sqrt(0.5)
    for qfac in (1, -1):
        nifti(tmp_path / "q.nii", values, qform=(0, 0, half, 5, 6, 7), distances=(2, 3, 4), qfac=qfac)
        matrix = np.array([[0, -3, 0, 5], [2, 0, 0, 6], [0, 0, 4 * qfac, 7]])
        nifti(tmp_path / "s.nii", values, sform=matrix)
        one, other = header(tmp_path / "q.nii"), header(tmp_path / "s.nii")
        np.testing.assert_allclose(one.affine, other.affine, atol=1e-6)
        assert np.array_equal(one.values(), other.values())
        assert np.array_equal(one.values(), values.transpose(1, 0, 2)[::-1, :, ::qfac])
        assert one.spacing == pytest.approx((3, 2, 4))


def test_files_that_are_not_what_they_should_be(tmp_path: Path):
    path, values = tmp_path / "a.nii", np.zeros((3, 4, 5), np.int16)
    wrong: list[tuple[dict[str, object], str]] = [
        ({"at_344": b"ni1\0"}, "in another file"),
        ({"at_344": b"abcd"}, "no NIfTI-1 file"),
        ({"at_0": b"\x1c\x02\0\0"}, "NIfTI-2"),
        ({"at_0": b"\0\0\0\0"}, "no NIfTI file"),
        ({"at_70": b"\x80\0"}, "colours"),
        ({"at_70": b"\x63\0"}, "of the type 99"),
        ({"at_42": b"\0\0"}, "its sizes are"),
        ({"at_108": b"\0\0\0\0"}, "start at 0"),
        ({"sform": np.zeros((3, 4))}, "singular"),
    ]
    for fields, message in wrong:
        nifti(path, values, **fields)  # type: ignore[arg-type]
        with pytest.raises(DataProblem, match=message) as caught:
            header(path)
        assert caught.value.file == path
    nifti(path, np.zeros((3, 4, 5, 6), np.int16))
    with pytest.raises(DataProblem, match="4 axes, of sizes"):
        header(path)
    nifti(path, np.zeros((3, 4, 5, 1), np.int16))
    assert header(path).shape == (3, 4, 5)
    nifti(path, values)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataProblem, match="cut short: 471 bytes of 472"):
        header(path)
    path.write_bytes(bytes(100))
    with pytest.raises(DataProblem, match="100 bytes long"):
        header(path)
    values = np.zeros((3, 4, 5), np.float32)
    values[1, 2, 3] = np.nan
    nifti(path, values)
    with pytest.raises(DataProblem, match="voxel x=1, y=2, z=3 is nan"):
        header(path).values()


# --- cases --------------------------------------------------------------------------------------------------
def test_cases_of_one_size_and_the_order_of_the_axes(tmp_path: Path):
    cases(tmp_path, [(3, 4, 5)] * 3)
    facts = Volumes(tmp_path, ("adc", "cbf"), "lesion").describe()
    assert facts.input_shapes == {"volume": (2, 5, 4, 3)}
    assert (facts.target, facts.target_shape, facts.classes, facts.count) == ("classes", (5, 4, 3), None, 3)
    data = Volumes(tmp_path, ("adc", "cbf"), "lesion").load()
    assert (data.facts.classes, data.facts.class_names) == (2, ("0", "1"))
    inputs, mask = data.sample(1)
    assert inputs["volume"].dtype == np.float32
    assert np.array_equal(mask, (inputs["volume"].sum(0) > 210).astype(np.int64))
    adc = header(tmp_path / "case01" / "adc.nii.gz").values()
    assert np.array_equal(inputs["volume"][0], adc.transpose(2, 1, 0))
    turned = Volumes(tmp_path, ("cbf",), "lesion", ("y", "x", "z")).load().sample(1)
    assert np.array_equal(turned[0]["volume"][0], inputs["volume"][1].transpose(1, 2, 0))


def test_a_slice_has_two_axes(tmp_path: Path):
    cases(tmp_path / "flat", [(6, 5, 1)] * 2)
    data = Volumes(tmp_path / "flat", ("adc",), "lesion", ("y", "x")).load()
    assert data.facts.input_shapes == {"volume": (1, 5, 6)}
    assert data.sample(0)[1].shape == (5, 6)
    cases(tmp_path / "deep", [(6, 5, 2)])
    with pytest.raises(DataProblem, match="2 slices along z"):
        Volumes(tmp_path / "deep", ("adc",), "lesion", ("y", "x")).describe()


def test_distances_are_those_along_the_axes(tmp_path: Path):
    for name in ("adc", "lesion"):
        nifti(tmp_path / "a" / f"{name}.nii", np.ones((2, 3, 4), np.uint8), distances=(0.5, 0.75, 5))
    data = Volumes(tmp_path, ("adc",), "lesion").load()
    assert data.spacing(0) == (5, 0.75, 0.5)


def test_broken_cases_are_named_before_training(tmp_path: Path):
    def refused(message: str, name: str, load: bool = False) -> None:
        source = Volumes(tmp_path, ("adc", "cbf"), "lesion")
        with pytest.raises(DataProblem, match=message) as caught:
            source.load() if load else source.describe()
        assert caught.value.file is not None
        assert caught.value.file.name.startswith(name)

    cases(tmp_path, [(3, 4, 5)] * 3)
    path = tmp_path / "case01" / "adc.nii.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    refused("damaged or cut short", "adc.nii.gz", load=True)
    path.write_bytes(gzip.compress(gzip.decompress(whole)[:-8]))
    refused("cut short: 232 bytes of the 240", "adc.nii.gz", load=True)
    broken = bytearray(whole)
    broken[-6] ^= 1  # the checksum
    path.write_bytes(bytes(broken))
    refused("damaged", "adc.nii.gz", load=True)
    path.unlink()
    refused("no such file", "adc.nii")
    nifti(path, np.zeros((3, 4, 6), np.float32))
    refused("3 x 4 x 5 voxels, adc.nii.gz of the same case 3 x 4 x 6", "cbf.nii")
    nifti(path, np.zeros((3, 4, 5), np.float32), sform=np.hstack([np.eye(3), [[0], [0], [2]]]))
    refused("2.0 voxels away", "cbf.nii")
    nifti(path, np.zeros((3, 4, 5), np.float32))
    nifti(tmp_path / "case01" / "adc.nii", np.zeros((3, 4, 5), np.float32))
    refused("lies beside it", "adc.nii")
    (tmp_path / "case01" / "adc.nii").unlink()
    for values, message in ((np.full((3, 4, 5), 0.5), "holds 0.5"), (np.full((3, 4, 5), -1, np.int16), "holds -1")):
        nifti(tmp_path / "case02" / "lesion.nii.gz", values)
        refused(message, "lesion.nii.gz", load=True)
    with pytest.raises(MissingData):
        Volumes(tmp_path / "none", ("adc",), "lesion").describe()


def test_masks_of_0_and_255_and_of_several_classes(tmp_path: Path):
    for name, values in (("a", (0, 255)), ("b", (0, 1, 3, 255))):
        mask = np.resize(np.array(values, np.uint8), (2, 3, 4))
        nifti(tmp_path / name / "1" / "ct.nii", mask.astype(np.float32))
        nifti(tmp_path / name / "1" / "mask.nii", mask)
    two = Volumes(tmp_path / "a", ("ct",), "mask", ("x", "y", "z")).load()
    assert (two.facts.class_names, set(two.sample(0)[1].ravel())) == (("0", "255"), {0, 1})
    four = Volumes(tmp_path / "b", ("ct",), "mask", ("x", "y", "z")).load()
    assert (four.facts.classes, set(four.sample(0)[1].ravel())) == (4, {0, 1, 3, 255})


# --- prepare: the sample's own figures, and a mask that goes along ------------------------------------------
def test_each_volume_by_its_own_mean_and_deviation():
    chance = np.random.default_rng(0)
    samples = [chance.normal(3, 5, (2, *size)).astype(np.float32) for size in ((3, 4, 5), (6, 2, 3))]
    samples[0][1] = 7  # what never varies is only centred
    prepared = fit([Normalize(per="volume")], samples)
    for each in samples:
        ready = prepared.apply(each)
        expected = [(one - one.mean(dtype=np.float64)) / (one.std(dtype=np.float64) or 1) for one in each]
        np.testing.assert_allclose(ready, expected, atol=1e-5)
    assert np.array_equal(prepared.apply(samples[0][None])[0], prepared.apply(samples[0]))
    again = Prepared.from_json(json.loads(json.dumps(prepared.to_json())))
    assert np.array_equal(again.apply(samples[1]), prepared.apply(samples[1]))
    row = fit([Normalize(per="volume")], np.array([[1.0, 3.0], [0.0, 10.0]]))
    assert row.apply(np.array([0.0, 10.0])).tolist() == [-1, 1]


def test_a_mask_goes_where_its_picture_goes():
    """A picture that shows its mask still does after every step that moves it; classes are never mixed."""
    mask = np.zeros((8, 6), np.int64)
    mask[2:5, 1:4] = 3
    picture = mask[None].astype(np.float32)
    for steps in (
        [Resize((16, 12))],
        [Resize((4, 3))],
        [Pad((1, 0), (2, 3))],
        [Crop((4, 5))],
        [Pad((2,), (2,)), Crop((9,))],
    ):
        prepared = fit(steps, picture[None])
        moved = prepared.moved(mask, classes=True)
        assert moved.shape == prepared.apply(picture).shape[1:]
        assert moved.dtype == np.int64
        assert set(np.unique(moved)) <= {0, 3}
        if not isinstance(steps[0], Resize):
            assert np.array_equal(prepared.apply(picture)[0], moved)
        assert np.array_equal(prepared.moved(mask[None].repeat(2, 0), classes=True)[1], moved)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(picture)[None], size=(11, 4), mode="nearest-exact")
    assert np.array_equal(fit([Resize((11, 4))], picture[None]).moved(mask, True), wanted[0, 0].numpy())
    real = np.random.default_rng(0).normal(size=(3, 8, 6)).astype(np.float32)
    prepared = fit([Resize((4, 4))], picture[None])
    assert np.array_equal(prepared.moved(real, classes=False), prepared.apply(real))


def test_the_middle_is_kept():
    x = np.arange(7 * 6, dtype=np.float32).reshape(1, 7, 6)
    assert np.array_equal(fit([Crop((4, 4))], x[None]).apply(x), x[:, 1:5, 1:5])
    with pytest.raises(DataProblem, match="crop keeps 8 entries of an axis, and a sample has 7"):
        fit([Crop((8, 4))], x[None])


# --- check, train, evaluate, resume -------------------------------------------------------------------------
def compiled(settings: str, network: str = NETWORK) -> Compilation:
    found = compile_text(f"{network}train {{ {settings} }}\n", "a.net")
    assert found.ok, [each.message for each in found.bag]
    return found


def said(settings: str, folder: Path, network: str = NETWORK) -> list[tuple[str, str]]:
    found = compiled(settings, network)
    diagnostics = check_data(found.model(), next(iter(found.programs.values())), folder)
    return [(each.code, each.message) for each in diagnostics]


def go(folder: Path, settings: str, network: str = NETWORK, out: str = "runs", **options: object) -> Run:
    return train(compiled(settings, network), out_root=folder / out, project=folder, device="cpu", **options)  # type: ignore[arg-type]


def same_bytes(one: Run, other: Run) -> None:
    for name in ("best.safetensors", "metrics.csv", "split.csv"):
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()


SETTINGS = f"{DATA}; split kfold(3, group=patient), validation=0.25; prepare resize(4), normalize(per=volume)"


def test_volumes_train_and_are_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    cases(tmp_path / "stroke", [(5, 4, 6)] * 12)
    rows = [f"case{at:02},p{at // 2}" for at in range(12)]
    Path("stroke/samples.csv").write_text("\n".join(["sample,patient", *rows]))
    Path("a.net").write_text(f"{NETWORK}train {{ {SETTINGS}; loss cross_entropy; batch 4; epochs 2 }}\n")
    assert main(["check", "a.net", "--strict"]) == 0, capfd.readouterr().err
    capfd.readouterr()
    assert main(["train", "a.net", "--device", "cpu"]) == 0
    run = Run.load(capfd.readouterr().out.strip())
    assert run.config["data"]["classes"] == ["0", "1"]
    assert run.config["data"]["split"] == {"train": 6, "validation": 2, "test": 4}
    assert main(["evaluate", str(run.folder), "--format", "json"]) == 0
    figures = json.loads(capfd.readouterr().out)["figures"]
    assert figures == {name: pytest.approx(value, abs=1e-12) for name, value in run.results.items()}
    other = 'volumes("stroke", channels=["adc", "cbf"], mask="lesion")'
    assert main(["evaluate", str(run.folder), "--data", other]) == 0
    nifti(tmp_path / "stroke" / "case03" / "lesion.nii.gz", np.full((5, 4, 6), 2, np.uint8))
    assert main(["evaluate", str(run.folder), "--data", other]) == 1
    assert "2 numbers for the 3 classes" in capfd.readouterr().err


@pytest.mark.parametrize("more", ["batch 1", "batch 3, pad=0"])
def test_volumes_of_several_sizes_stop_and_go_on_bit_for_bit(tmp_path: Path, more: str):
    cases(tmp_path / "stroke", [(4, 5, 6), (3, 5, 4), (4, 6, 3), (5, 5, 5)] * 3)
    loss = "loss cross_entropy(ignore=255)" if "pad" in more else "loss cross_entropy"
    settings = f"{DATA}; prepare normalize(per=volume); {loss}; {more}; epochs 3"
    assert said(settings, tmp_path) == []
    whole = go(tmp_path, settings)
    asked = iter(range(100))
    part = go(tmp_path, settings, out="other", stop=lambda: next(asked) >= 5)
    assert part.interrupted
    same_bytes(whole, train(None, resume=part.folder, device="cpu"))


def test_what_is_padded_counts_for_nothing(tmp_path: Path):
    """A batch of samples of two sizes has the loss of its voxels, and no other."""
    cases(tmp_path / "stroke", [(4, 5, 6), (3, 4, 6)] * 6)
    network = "network Net { input scan: [2, D, H, W]; conv(2, 1); softmax }\n"
    settings = f"{DATA}; prepare normalize(per=volume); epochs 0; split validation=0, train=0.5, test=0.5"
    found = [
        go(tmp_path, f"{settings}; loss cross_entropy(ignore=255, reduce=sum); {batch}", network).results["loss"]
        for batch in ("batch 1", "batch 6, pad=3")
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_what_does_not_go_with_volumes(tmp_path: Path):
    cases(tmp_path / "stroke", [(4, 5, 6), (3, 4, 6)] * 6)
    loss = "loss cross_entropy"
    assert said(f"{DATA}; {loss}; batch 4, pad=0", tmp_path)[0][0] == "setting-conflict"
    assert said(f"{DATA}; {loss}; prepare crop(7)", tmp_path) == [
        ("data-shape", "`crop` keeps 7 entries of an axis that has 6")
    ]
    with pytest.raises(DataProblem, match="crop keeps 5 entries of an axis, and a sample has"):
        go(tmp_path, f"{DATA}; {loss}; prepare crop(5)")
    assert said(f'data volumes("none", channels=["a"], mask="b"); {loss}', tmp_path)[0][0] == "missing-data"
    with pytest.raises(DataProblem, match="different sizes cannot be in one batch"):
        go(tmp_path, f"{DATA}; {loss}; batch 4")
    three = NETWORK.replace("conv(2, 1)", "conv(3, 1)")
    with pytest.raises(TrainProblem, match="3 numbers for the 2 classes"):
        go(tmp_path, f"{DATA}; {loss}; batch 1", three)


@pytest.mark.parametrize(
    ("call", "code", "at"),
    [
        ('volumes("s", channels=["a"], mask="b", axes=[x, x, z])', "repeated-axis", "[x, x, z]"),
        ('volumes("s", channels=["a"], mask="b", axes=[x, q, z])', "unknown-name", "q"),
        ('volumes("s", channels=["a", "a"], mask="b")', "bad-argument", '["a", "a"]'),
        ('volumes("s", channels=["../a"], mask="b")', "bad-argument", '["../a"]'),
        ('volumes("s", channels=["a"])', "missing-argument", "volumes"),
    ],
)
def test_wrong_calls(call: str, code: str, at: str):
    found = compile_text(f"{NETWORK}train {{ data {call}; loss cross_entropy }}\n", "a.net")
    assert code in [each.code for each in found.bag]
    assert any(each.span and each.span.text.startswith(at) for each in found.bag)
