"""The threshold of `postprocess` inside of a file: its classes are those that training measured."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx_files import NET, model_of, weights_of

from specc.backends.onnx_file import metadata
from specc.backends.onnx_weights import Arrays
from specc.data.postprocess import Threshold
from specc.deploy.described import Origin, read
from specc.deploy.export import export
from specc.deploy.form import Form
from specc.deploy.given import samples
from specc.deploy.predict import How, predicted
from specc.deploy.proof import Disproved
from specc.deploy.runtime import Predictor
from specc.deploy.verify import verify
from specc.deploy.windows import Window
from specc.text.diagnostics import SpecError
from specc.tools.cli import main

MAP = "network N {{\n    input x: [2, {sizes}]\n    conv({classes}, 3, padding=1) -> {head}\n}}\n"
HEADS = {1: "sigmoid", 2: "softmax(axis=0)", 5: "softmax(axis=0)"}


def file_of(text: str, folder: Path, *outputs: str, threshold: float | None = 0.3, **more: Any) -> Path:
    model = model_of(text)
    path = folder / "net.onnx"
    form = Form(outputs or None, threshold=threshold, **more)
    export(model, Origin(text, "net.net"), path, weights=Arrays(weights_of(model)), form=form)
    return path


def random(rank: int, batch: int = 30) -> Any:
    return np.random.default_rng(0).standard_normal((batch, 2, *range(5, 5 + rank)), dtype=np.float32)


@pytest.mark.parametrize("sizes", ["L", "H, W", "D, H, W"])
@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("threshold", [0.0, 0.35, 0.8, 1.0])
def test_classes_are_those_of_training(tmp_path: Path, sizes: str, classes: int, threshold: float) -> None:
    path = file_of(MAP.format(sizes=sizes, classes=classes, head=HEADS[classes]), tmp_path, threshold=threshold)
    assert verify(path).ok, verify(path).wrong
    predictor = Predictor(path, "cpu")
    got = predictor.run(random(sizes.count(",") + 1))
    shares = got["output"]
    wanted = Threshold(threshold).classes(shares, 1 if classes > 1 else None).reshape(got["classes"].shape)
    assert got["classes"].dtype == np.int64
    assert np.array_equal(got["classes"], wanted)
    side = next(each for each in predictor.outputs if each.name == "classes")
    assert (side.makes, side.spelled()) == ("class", f"[{sizes}]")
    if threshold in (0.35, 0.8):
        assert len(np.unique(wanted)) > 1, "both sides of the threshold are seen"


@pytest.mark.parametrize("precision", ["fp16"])
@pytest.mark.parametrize("classes", [1, 5])
def test_in_half_precision_too(tmp_path: Path, precision: str, classes: int) -> None:
    text = MAP.format(sizes="H, W", classes=classes, head=HEADS[classes])
    whole = Predictor(file_of(text, tmp_path), "cpu").run(random(2))
    (tmp_path / "low").mkdir()
    path = file_of(text, tmp_path / "low", precision=precision)
    assert verify(path).ok, verify(path).wrong
    low = Predictor(path, "cpu").run(random(2))
    assert low["classes"].dtype == np.int64
    assert (low["classes"] == whole["classes"]).mean() > 0.97


def test_one_class_of_a_sample_is_a_number(tmp_path: Path) -> None:
    text = "network N {\n    input x: [4]\n    linear(1) -> sigmoid\n}\n"
    predictor = Predictor(file_of(text, tmp_path, threshold=0.6), "cpu")
    got = predictor.run(np.random.default_rng(0).standard_normal((50, 4), dtype=np.float32))
    assert got["classes"].shape == (50,)
    assert np.array_equal(got["classes"], got["output"][:, 0] > 0.6)


def test_each_output_that_makes_probabilities_has_its_own(tmp_path: Path) -> None:
    path = file_of(NET, tmp_path)
    assert verify(path).ok, verify(path).wrong
    assert [each.name for each in read(path).outputs] == [
        "seg",
        "probabilities",
        "seg.classes",
        "probabilities.classes",
    ]
    got = Predictor(path, "cpu").run({"image": np.random.default_rng(0).random((2, 1, 8, 10), dtype=np.float32)})
    assert np.array_equal(got["seg.classes"], got["seg"] > 0.3), "each of two channels says yes or no"
    assert np.array_equal(got["probabilities.classes"], Threshold(0.3).classes(got["probabilities"], 1))


def test_they_can_be_asked_for_alone_and_without_a_threshold(tmp_path: Path) -> None:
    text = MAP.format(sizes="H, W", classes=5, head=HEADS[5])
    graph = onnx.load(str(file_of(text, tmp_path, "classes"))).graph
    kinds = Counter(["Conv", "Softmax", "Slice", "ReduceMax", "Greater", "ArgMax", "Add", "Where"])
    assert Counter(node.op_type for node in graph.node) == kinds
    assert [each.name for each in graph.output] == ["classes"]
    graph = onnx.load(str(file_of(text, tmp_path, "classes", threshold=None))).graph
    assert [node.op_type for node in graph.node] == ["Conv", "ArgMax"]
    text = MAP.format(sizes="H, W", classes=1, head=HEADS[1])
    path = file_of(text, tmp_path, "output", "classes", threshold=None)
    got = Predictor(path, "cpu").run(random(2))
    assert np.array_equal(got["classes"], got["output"][:, 0] > 0.5)
    text = MAP.format(sizes="H, W", classes=5, head="relu")
    assert [each.name for each in read(file_of(text, tmp_path)).outputs] == ["output"]
    with pytest.raises(SpecError, match="holds probabilities against the `threshold` of `postprocess`"):
        file_of(text, tmp_path, "classes")


@pytest.mark.parametrize("classes", [1, 5])
def test_a_file_that_says_other_classes_is_disproved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: int
) -> None:
    from specc.backends import onnx_heads

    right = onnx_heads._thresholded
    monkeypatch.setattr(onnx_heads, "_thresholded", lambda g, end, x, above: right(g, end, x, above + 0.05))
    with pytest.raises(Disproved, match="classes"):
        file_of(MAP.format(sizes="H, W", classes=classes, head=HEADS[classes]), tmp_path)


@pytest.mark.parametrize("classes", [1, 5])
def test_windows_are_blended_before_the_threshold(tmp_path: Path, classes: int) -> None:
    text = MAP.format(sizes="H, W", classes=classes, head=HEADS[classes])
    predictor = Predictor(file_of(text, tmp_path), "cpu")
    x = random(2, 1)[0]
    (found,) = predicted(predictor, samples(predictor, [x]), How(window=Window((4, 4))))
    shares = found.outputs["output"]
    wanted = Threshold(0.3).classes(shares[None], 1 if classes > 1 else None).reshape(shares.shape[1:])
    assert np.array_equal(found.outputs["classes"], wanted)


SPEC = """network Net { input image: [1, 16, 16]; conv(4, 3, padding=1); relu; conv(3, 1); softmax }
train { data synthetic(shapes, count=24, size=16); split train=0.5, validation=0.25, test=0.25; loss cross_entropy
    postprocess threshold(0.4), largest_regions(0.5); metrics dice; epochs 1; batch 4 }
EXPORT
"""


def test_from_a_run_to_a_file_that_says_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for at, said in enumerate(("", "export { postprocess none }", "export { outputs classes }"), 1):
        Path("net.net").write_text(SPEC.replace("EXPORT", said))
        assert main(["train", "net.net"]) == 0
        assert main(["export", f"runs/Net/{at}", "-o", f"{at}.onnx"]) == 0
        assert main(["verify", f"{at}.onnx", "--weights", f"runs/Net/{at}"]) == 0
    said = capsys.readouterr().err
    assert said.count("gives classes: threshold(0.4) in the file") == 2
    assert said.count("note: `largest_regions` is not in the file, since ONNX has no connected regions") == 2
    assert [[each.name for each in read(f"{at}.onnx").outputs] for at in (1, 2, 3)] == [
        ["output", "classes"], ["output"], ["classes"],
    ]  # fmt: skip
    assert main(["export", "runs/Net/1", "-o", "bare.onnx", "--no-postprocess"]) == 0
    assert [each.name for each in read("bare.onnx").outputs] == ["output"]
    assert metadata("1.onnx")["specc.threshold"] == "0.4"
    np.save("x.npy", np.random.default_rng(0).random((1, 16, 16), dtype=np.float32))
    for name in ("1", "2", "3", "bare"):
        assert main(["predict", f"{name}.onnx", "x.npy", "--format", "png", "--out", name]) == 0
    masks = {name: Path(name, "x.png").read_bytes() for name in ("1", "2", "3", "bare")}
    assert masks["1"] == masks["3"] == masks["2"] == masks["bare"], "what the file says and what predict makes of it"
