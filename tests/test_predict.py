"""Prediction as people use it: files, folders, streams and volumes go in; tables, masks and NIfTI come out."""

from __future__ import annotations

import csv
import io
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from onnx_files import DIGITS, NET, exported, model_of, weights_of
from PIL import Image
from volumes import nifti

import specc
from specc.backends.onnx_weights import Arrays
from specc.data.pictures import decode_mask
from specc.data.prepare import Affine, Crop, Own, Pad, Prepared, Resize
from specc.deploy.described import Origin
from specc.deploy.export import export
from specc.deploy.form import Form, insides
from specc.deploy.given import samples
from specc.deploy.maps import mask
from specc.deploy.predict import How, predicted
from specc.deploy.runtime import BadInput, Predictor
from specc.deploy.windows import Window
from specc.tools.cli import main

CLASSES = ["ant", "bee", "cow"]
PIXELS = "network Pixels {\n    input image: [3, H, W]\n    conv(3, 1) -> softmax(axis=channels)\n}\n"
VOXELS = "network Voxels {\n    input volume: [2, D, H, W]\n    conv(3, 1) -> softmax(axis=channels)\n}\n"
CASE = {"channels": ["adc", "cbf"], "axes": ["z", "y", "x"]}


def picture(path: Path, size: tuple[int, int] = (6, 8), seed: int = 0) -> Any:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def classes_of(pixels: Any) -> Any:
    """The mask of a picture [height, width, 3] by hand: the one layer of PIXELS is a matrix."""
    weights = weights_of(model_of(PIXELS))
    matrix, bias = (next(v for k, v in weights.items() if k.endswith(each)) for each in ("weight", "bias"))
    return (pixels.astype(np.float32) / 255 @ matrix[:, :, 0, 0].T + bias).argmax(-1)


# ------------------------------------------------------------------------------------------------- files and folders
def test_a_folder_is_looked_through_and_masks_lie_as_the_pictures_did(tmp_path: Path, capsys: Any) -> None:
    path = exported(PIXELS, tmp_path, prove=False)
    made = {
        name: picture(tmp_path / "in" / f"{name}.png", (6, 7 + at), at) for at, name in enumerate(("a", "b/c", "b/d/e"))
    }
    (tmp_path / "in" / "notes.txt").write_text("not for the network")
    out = tmp_path / "out"
    assert main(["predict", str(path), str(tmp_path / "in"), "--out", str(out), "--format", "png,overlay"]) == 0
    assert "wrote 6 files for 3 predictions" in capsys.readouterr().err
    for name, pixels in made.items():
        wanted = classes_of(pixels)
        assert np.array_equal(decode_mask(out / f"{name}.png"), wanted)
        over = np.asarray(Image.open(out / f"{name}.overlay.png"))
        assert np.array_equal(over[wanted == 0], pixels[wanted == 0])
        assert wanted.any()
        for number, colour in ((1, (230, 159, 0)), (2, (86, 180, 233))):
            mixed = (pixels[wanted == number] + np.array(colour)) / 2
            assert np.abs(over[wanted == number] - mixed).max(initial=0) <= 0.5


def test_one_broken_input_is_named_and_the_others_are_not_lost(tmp_path: Path, capsys: Any) -> None:
    path = exported(PIXELS, tmp_path, prove=False)
    folder = tmp_path / "in"
    for at in range(3):
        picture(folder / f"{at}.png", seed=at)
    (folder / "1.png").write_bytes(b"no picture")
    for batch in ("1", "8"):
        assert (
            main(["predict", str(path), str(folder), str(tmp_path / "none.png"), "--format", "json", "--batch", batch])
            == 2
        )
        said = capsys.readouterr()
        data = json.loads(said.out)
        assert [Path(each["source"]).name for each in data["predictions"]] == ["0.png", "2.png"]
        assert [Path(each["source"]).name for each in data["failed"]] == ["1.png", "none.png"]
        assert "1.png: this is not a png" in said.err
        assert "none.png: there is no such file" in said.err
        assert "2 of 4 could not be predicted" in said.err


def test_an_input_is_never_written_over(tmp_path: Path, capsys: Any) -> None:
    path = exported(PIXELS, tmp_path, prove=False)
    pixels = picture(tmp_path / "in" / "a.png")
    assert main(["predict", str(path), str(tmp_path / "in"), "--out", str(tmp_path / "in")]) == 2
    assert "is the input itself" in capsys.readouterr().err
    assert np.array_equal(np.asarray(Image.open(tmp_path / "in" / "a.png")), pixels)


def test_files_of_one_name_are_numbered_and_arrays_are_written(tmp_path: Path) -> None:
    path = exported(DIGITS, tmp_path, prove=False)
    rows = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "x.npy", rows[0])
    np.savez(tmp_path / "both.npz", x=rows)
    given = [str(tmp_path / each) for each in ("one/x.npy", "two/x.npy", "both.npz")]
    assert main(["predict", str(path), *given, "--out", str(tmp_path / "out"), "--format", "npy,npz,csv"]) == 0
    found = sorted(each.name for each in (tmp_path / "out").iterdir())
    assert found == sorted(
        [*(f"{n}.{k}" for n in ("x", "x_2", "both_0", "both_1") for k in ("npy", "npz")), "predictions.csv"]
    )
    wanted = Predictor(path, "cpu").run(rows)["y"]
    np.testing.assert_allclose(np.load(tmp_path / "out" / "both_1.npy"), wanted[1], rtol=1e-6)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "x_2.npz")["y"], wanted[0], rtol=1e-6)
    table = list(csv.DictReader((tmp_path / "out" / "predictions.csv").open()))
    assert list(table[0]) == ["input", "y[0]", "y[1]", "y[2]"]
    np.testing.assert_allclose(float(table[3]["y[2]"]), wanted[1, 2], rtol=1e-6)


def test_a_table_of_classes_has_their_probabilities(tmp_path: Path, capsys: Any) -> None:
    path = exported(DIGITS, tmp_path, prove=False, classes=CLASSES)
    (tmp_path / "x.csv").write_text("a;b;c;d\n1;2;3;4\n1;2;x;4\n0;0;0;1\n")
    assert main(["predict", str(path), str(tmp_path / "x.csv"), "--format", "csv", "--batch", "2"]) == 2
    said = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert list(rows[0]) == ["input", "class", "confidence", "p(ant)", "p(bee)", "p(cow)"]
    y = torch.from_numpy(Predictor(path, "cpu").run(np.array([[1, 2, 3, 4], [0, 0, 0, 1]], np.float32))["y"])
    for row, wanted in zip(rows, torch.softmax(y, 1), strict=True):
        np.testing.assert_allclose([float(row[f"p({each})"]) for each in CLASSES], wanted, rtol=1e-4)
        assert row["class"] == CLASSES[int(wanted.argmax())]
    assert "x.csv:3: 'x' is not a number" in said.err
    assert rows[1]["input"].endswith("x.csv:4")


def test_an_arg_max_in_the_file_is_the_class(tmp_path: Path, capsys: Any) -> None:
    path = exported(DIGITS, tmp_path, prove=False, classes=CLASSES, form=Form(("argmax",)))
    other = tmp_path / "whole"
    other.mkdir()
    whole = Predictor(exported(DIGITS, other, prove=False), "cpu")
    (tmp_path / "x.csv").write_text("1,2,3,4\n")
    wanted = CLASSES[int(whole.run(np.array([[1, 2, 3, 4]], np.float32))["y"].argmax())]
    for form in ("text", "csv"):
        assert main(["predict", str(path), str(tmp_path / "x.csv"), "--format", form]) == 0
        assert wanted in capsys.readouterr().out
    assert main(["bench", str(path), "--rounds", "2", "--against", "eager", "--threads", "1"]) == 0


@pytest.mark.parametrize("batch", [1, 2, 3, 16])
def test_batches_change_nothing(tmp_path: Path, batch: int) -> None:
    predictor = Predictor(exported(NET, tmp_path, prove=False), "cpu")
    random = np.random.default_rng(0)
    given = [random.normal(size=(1, 4 + 2 * (at // 3), 6)).astype(np.float32) for at in range(7)]
    found = list(predictor.predict_all(given, batch))
    for array, prediction in zip(given, found, strict=True):
        wanted = predictor.run(array)
        for name in wanted:
            np.testing.assert_allclose(prediction.outputs[name], wanted[name][0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("arguments", [["--format", "png"], ["--format", "text,json"], ["--out", "o", "--format", "json"], ["--batch", "0"],
                                       ["--window", "4x4"], ["--window", "4,4", "--overlap", "1"], ["--threads", "-1"]])  # fmt: skip
def test_wrong_use_is_refused(tmp_path: Path, arguments: list[str], capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    path = exported(PIXELS, tmp_path, prove=False)
    picture(tmp_path / "a.png")
    assert main(["predict", str(path), "a.png", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "error: " in said.err


# ----------------------------------------------------------------------------------------------------------- streams
def piped(monkeypatch: Any, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(data))))


def test_arrays_and_rows_come_through_a_pipe(tmp_path: Path, monkeypatch: Any) -> None:
    predictor = Predictor(exported(DIGITS, tmp_path, prove=False), "cpu")
    rows = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    wanted = predictor.run(rows)["y"]
    file = io.BytesIO()
    np.save(file, rows[:2])
    np.save(file, rows[2])
    for data in (file.getvalue(), "\n".join(",".join(map(repr, row.tolist())) for row in rows).encode()):
        piped(monkeypatch, data)
        found = list(predictor.predict_all(["-"]))
        np.testing.assert_allclose([each.outputs["y"] for each in found], wanted, rtol=1e-5)
    piped(monkeypatch, b"\x93NUMPY, but not really")
    with pytest.raises(BadInput, match="array 0 cannot be read"):
        list(predictor.predict_all(["-"]))


def test_what_a_pipe_cannot_hold_is_said(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    path = exported(DIGITS, tmp_path, prove=False)
    piped(monkeypatch, b"\x89PNG\r\n and more")
    assert main(["predict", str(path), "-"]) == 2
    assert "-: it is neither UTF-8 text nor .npy" in capsys.readouterr().err


@pytest.mark.parametrize("named", [False, True])
def test_a_parquet_file_is_read_as_its_csv(tmp_path: Path, named: bool) -> None:
    polars = pytest.importorskip("polars")
    columns = [{"name": name, "categories": [], "unseen": []} for name in "abc"]
    columns.append({"name": "kind", "categories": ["x", "y"], "unseen": []})
    text = DIGITS.replace("[4]", "[5]") if named else DIGITS
    encoding = {"columns": columns, "target": "t", "class_names": []} if named else None
    predictor = Predictor(exported(text, tmp_path, prove=False, encoding=encoding), "cpu")
    random = np.random.default_rng(0).normal(size=(3, 4))
    frame = polars.DataFrame({name: random[:, at] for at, name in enumerate("abc")})
    last = ["x", "y", "x"] if named else random[:, 3]
    frame = frame.with_columns(polars.Series("kind", last))
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_csv(tmp_path / "t.csv")
    one, other = (
        [each.outputs["y"] for each in predictor.predict_all([tmp_path / f"t.{kind}"])] for kind in ("parquet", "csv")
    )
    assert len(one) == 3
    np.testing.assert_array_equal(one, other)


def test_another_size_than_the_networks_is_told_of_windows(tmp_path: Path, capsys: Any) -> None:
    path = exported(PIXELS.replace("H, W", "4, 5"), tmp_path, prove=False)
    picture(tmp_path / "a.png")
    assert main(["predict", str(path), str(tmp_path / "a.png")]) == 2
    said = capsys.readouterr().err
    assert "--window 4,5" in said
    given = ["predict", str(path), str(tmp_path / "a.png"), "--window", "4,5", "--out", str(tmp_path / "out")]
    assert main(given) == 0
    assert np.array_equal(
        decode_mask(tmp_path / "out" / "a.png"), classes_of(np.asarray(Image.open(tmp_path / "a.png")))
    )


# ----------------------------------------------------------------------------------------------------------- volumes
AFFINES = [
    np.array([[2, 0, 0, -10], [0, 3, 0, 5], [0, 0, 4, 7]], float),
    np.array([[0, 0, -1.5, 4], [2.5, 0, 0, 1], [0, -3, 0, 9]], float),
    np.array([[-1, 0.1, 0, 4], [0.1, 1, 0, 1], [0, 0, -2, 9]], float),
]


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("end", ["<", ">"])
@pytest.mark.parametrize("window", [[], ["--window", "3,2,4", "--batch", "3"]])
def test_the_mask_of_a_case_lies_where_its_volumes_lie(
    tmp_path: Path, affine: Any, end: str, window: list[str]
) -> None:
    """A network of one voxel each: what belongs to a voxel can be worked out in the order of the file."""
    path = exported(VOXELS, tmp_path, prove=False, encoding=CASE)
    random = np.random.default_rng(0)
    stored = {name: random.normal(size=(4, 5, 6)).astype(np.float32) for name in ("adc", "cbf")}
    for name, values in stored.items():
        nifti(tmp_path / "in" / "case1" / f"{name}.nii", values, sform=affine, end=end, distances=(2, 3, 4))
    out = tmp_path / "out"
    assert main(["predict", str(path), str(tmp_path / "in"), "--out", str(out), *window]) == 0
    import gzip

    data = gzip.decompress((out / "case1.nii.gz").read_bytes())
    source = (tmp_path / "in" / "case1" / "adc.nii").read_bytes()
    for start, stop in ((40, 56), (76, 108), (252, 344)):  # sizes, spacing, qform, sform and their codes
        assert data[start:stop] == source[start:stop]
    assert struct.unpack_from(f"{end}h", data, 70) == (2,)
    weights = weights_of(model_of(VOXELS))
    matrix, bias = (next(v for k, v in weights.items() if k.endswith(each)) for each in ("weight", "bias"))
    wanted = (np.stack(list(stored.values()), -1) @ matrix[:, :, 0, 0, 0].T + bias).argmax(-1)
    found = np.frombuffer(data[352:], np.uint8).reshape((4, 5, 6), order="F")
    assert np.array_equal(found, wanted)


def test_volumes_without_a_word_in_the_file_are_named_by_channels(tmp_path: Path, capsys: Any) -> None:
    path = exported(VOXELS, tmp_path, prove=False)
    for name in ("adc", "cbf"):
        nifti(tmp_path / "case" / f"{name}.nii.gz", np.ones((3, 3, 3), np.float32))
    given = ["predict", str(path), str(tmp_path / "case"), "--out", str(tmp_path / "out")]
    assert main(given) == 2
    assert "`volume` has 2 channels, and this is 1" in capsys.readouterr().err
    assert main([*given, "--channels", "adc,cbf"]) == 0
    assert (tmp_path / "out" / "case.nii.gz").is_file()


# ------------------------------------------------------------------------------------------- prepare and the way back
def prepared_file(folder: Path, text: str, prepared: Prepared, name: str, inside: bool, **options: Any) -> Path:
    """A file whose preparation is built in, or left to whoever runs it."""
    model = model_of(text)
    prepare = {name: prepared.to_json()}
    form = Form(None, insides(model, prepare, options.get("encoding")) if inside else {})
    path = folder / "net.onnx"
    export(
        model,
        Origin(text, "net.net"),
        path,
        weights=Arrays(weights_of(model)),
        prove=False,
        form=form,
        prepare=prepare,
        **options,
    )
    return path


@pytest.mark.parametrize("inside", [False, True])
def test_windows_see_what_training_saw_of_the_whole(tmp_path: Path, inside: bool) -> None:
    """Mean and deviation are those of the whole volume, not of each window."""
    prepared = Prepared((Own(),), 4)
    text = VOXELS.replace("conv(3, 1)", "conv(4, 1) -> batchnorm -> relu -> conv(3, 1)")
    predictor = Predictor(prepared_file(tmp_path, text, prepared, "volume", inside), "cpu")
    x = np.random.default_rng(0).normal(3, 2, (2, 5, 6, 7)).astype(np.float32)
    (found,) = predicted(predictor, samples(predictor, [x]), How(2, Window((3, 4, 4))))
    whole = predictor.predict(x)
    np.testing.assert_allclose(found.outputs["output"], whole.outputs["output"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("inside", [False, True])
def test_a_mask_comes_back_to_the_size_of_the_picture(tmp_path: Path, inside: bool) -> None:
    text = PIXELS.replace("H, W", "8, 10")
    prepared = Prepared((Pad((1, 0), (0, 2)), Resize((8, 10)), Affine((2.0,), (-1.0,))), 3)
    predictor = Predictor(prepared_file(tmp_path, text, prepared, "image", inside), "cpu")
    x = np.random.default_rng(0).random((3, 13, 17)).astype(np.float32)
    found = predictor.predict(x)
    shares = torch.from_numpy(found.outputs["output"])[None]
    back = torch.nn.functional.interpolate(shares, size=(14, 19), mode="bilinear", align_corners=False)[0]
    wanted = back[:, 1:, :17].argmax(0).numpy()
    made = mask(predictor, found)
    assert made is not None
    assert made.shape == (13, 17)
    assert (made != wanted).mean() < 0.01  # where two classes are equal but for rounding


def test_what_was_cropped_away_is_background(tmp_path: Path) -> None:
    text = PIXELS.replace("H, W", "4, 5")
    predictor = Predictor(prepared_file(tmp_path, text, Prepared((Crop((4, 5)),), 3), "image", True), "cpu")
    x = np.random.default_rng(0).random((3, 7, 8)).astype(np.float32)
    found = predictor.predict(x)
    wanted = np.zeros((7, 8), int)
    wanted[1:5, 1:6] = found.outputs["output"].argmax(0)
    made = mask(predictor, found)
    assert made is not None
    assert np.array_equal(made, wanted)


def test_a_mask_of_numbers_that_mean_something_else_is_refused(tmp_path: Path, capsys: Any) -> None:
    path = exported("network N {\n    input image: [3, H, W]\n    conv(3, 1)\n}\n", tmp_path, prove=False)
    picture(tmp_path / "a.png")
    given = ["predict", str(path), str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
    assert main([*given, "--format", "png"]) == 2
    assert "does not say to be a class for every place" in capsys.readouterr().err
    assert main(given) == 0
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["a.npy"]


MASKS = """network Masks {{
    input image: [1, 9, 12]
    conv({channels}, 1) -> {head}
}}
train {{
    data        images("pictures", masks="masks", size=[9, 12])
    loss        cross_entropy
    metrics     dice
    postprocess {steps}
}}
"""


@pytest.mark.parametrize(
    ("steps", "classes"),
    [
        ("threshold(0.6)", 1),
        ("largest_regions(1.0)", 2),
        ("threshold(0.4), largest_regions(0.5, connectivity=faces)", 3),
    ],
)
def test_the_steps_of_postprocess_decide(tmp_path: Path, steps: str, classes: int) -> None:
    """Against SciPy's regions and a threshold by hand."""
    ndimage = pytest.importorskip("scipy.ndimage")
    text = MASKS.format(channels=classes, head="sigmoid" if classes == 1 else "softmax(axis=channels)", steps=steps)
    if classes == 1:
        text = text.replace("cross_entropy", "binary_cross_entropy")
    predictor = Predictor(exported(text, tmp_path, prove=False), "cpu")
    for seed in range(5):
        found = predictor.predict(np.random.default_rng(seed).normal(size=(1, 9, 12)).astype(np.float32))
        shares = found.outputs["output"]
        if classes == 1:
            wanted = (shares[0] > 0.6).astype(int)
        else:
            wanted = shares.argmax(0)
            if "threshold" in steps:
                wanted = np.where(shares[1:].max(0) > 0.4, shares[1:].argmax(0) + 1, 0)
            share, near = (1.0, np.ones((3, 3))) if classes == 2 else (0.5, None)
            for each in range(1, classes):
                regions, count = ndimage.label(wanted == each, near)
                areas = [int((regions == at).sum()) for at in range(1, count + 1)]
                for at, area in enumerate(areas, 1):
                    if area < share * max(areas):
                        wanted[regions == at] = 0
        made = mask(predictor, found)
        assert made is not None
        assert np.array_equal(made, wanted)


# ------------------------------------------------------------------------------------------------------ the public class
def test_the_public_class(tmp_path: Path) -> None:
    path = exported(DIGITS, tmp_path, prove=False, classes=CLASSES)
    with specc.Predictor(path, device="cpu", threads=1) as digits:
        assert digits.classes == tuple(CLASSES)
        assert [(side.name, side.spelled()) for side in (*digits.inputs, *digits.outputs)] == [
            ("x", "[4]"),
            ("y", "[3]"),
        ]
        digits.warm_up(batch=2)
        x = np.ones(4, np.float32)
        one = digits.predict(x)
        assert np.array_equal(one.outputs["y"], digits.predict({"x": x}).outputs["y"])
        assert one.label in CLASSES
        assert sum(one.probabilities) == pytest.approx(1)
        assert one.confidence == max(one.probabilities)
        with pytest.raises(specc.BadInput, match=r"`x` is \[2, 4\]"):
            digits.predict({"x": np.ones((2, 4), np.float32)})
        with pytest.raises(specc.BadInput, match="there is no unknown size `H`"):
            digits.warm_up(H=3)
    with pytest.raises(specc.BadInput, match="closed"):
        digits.run(x)
    net = specc.Predictor(exported(NET, tmp_path, prove=False), device="cpu")
    assert any("H" in rule and "even" in rule for rule in net.sizes)
    net.warm_up(H=4, W=6)


def test_a_picture_of_pillows_is_read_as_its_file(tmp_path: Path) -> None:
    predictor = Predictor(exported(PIXELS, tmp_path, prove=False), "cpu")
    picture(tmp_path / "a.png")
    wanted = predictor.predict(tmp_path / "a.png").outputs["output"]
    with Image.open(tmp_path / "a.png") as opened:
        assert np.array_equal(predictor.predict(opened).outputs["output"], wanted)
        assert np.array_equal(predictor.predict(opened.convert("RGBA")).outputs["output"], wanted)
        assert predictor.predict(opened.convert("CMYK")).outputs["output"].shape == wanted.shape


def test_many_threads_may_use_one_predictor(tmp_path: Path) -> None:
    predictor = Predictor(exported(NET, tmp_path, prove=False), "cpu", threads=1)
    random = np.random.default_rng(0)
    given = [random.normal(size=(1, 2 * at, 4)).astype(np.float32) for at in range(1, 9)] * 4
    wanted = [predictor.run(each)["seg"] for each in given]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda each: predictor.run(each)["seg"], given))
    assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))
