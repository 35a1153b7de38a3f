"""Heads that only the file has: softmax and arg-max of an output, asked for by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx_files import DIGITS, NET, model_of, weights_of

from specc.backends.onnx_weights import Arrays
from specc.deploy.described import Origin, read
from specc.deploy.export import export
from specc.deploy.form import Form
from specc.deploy.predict import predict_files
from specc.deploy.proof import Disproved
from specc.deploy.runtime import Predictor
from specc.deploy.verify import module_of, verify
from specc.text.diagnostics import SpecError

SEGMENT = "network N {{\n    input x: [2, {sizes}]\n    output seg: conv(4, 3, padding=1){end}\n}}\n"


def file_of(text: str, folder: Path, *outputs: str, **more: object) -> Path:
    model = model_of(text)
    path = folder / "net.onnx"
    form = Form(outputs or None)
    export(model, Origin(text, "net.net"), path, weights=Arrays(weights_of(model)), form=form, **more)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("sizes", ["L", "H, W", "D, H, W"])
@pytest.mark.parametrize("end", ["", " -> softmax(axis=0)", " -> log_softmax(axis=0)"])
def test_they_are_those_of_pytorch(tmp_path: Path, sizes: str, end: str) -> None:
    text = SEGMENT.format(sizes=sizes, end=end)
    path = file_of(text, tmp_path, "seg", "softmax", "argmax")
    assert verify(path).ok, verify(path).wrong
    model = model_of(text)
    arrays = weights_of(model)
    x = np.random.default_rng(0).standard_normal((2, 2, *range(4, 4 + sizes.count(",") + 1)), dtype=np.float32)
    with torch.no_grad():
        seg = module_of(model, arrays.__getitem__, set(arrays))(torch.from_numpy(x))
    shares = seg if end.startswith(" -> softmax") else seg.softmax(1)
    got = onnxruntime.InferenceSession(str(path)).run(["seg", "softmax", "argmax"], {"x": x})
    np.testing.assert_allclose(got[0], seg.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got[1], shares.numpy(), rtol=1e-4, atol=1e-6)
    assert np.array_equal(got[2], shares.argmax(1).numpy())


def test_an_arg_max_alone_needs_no_softmax(tmp_path: Path) -> None:
    path = file_of(SEGMENT.format(sizes="H, W", end=" -> softmax(axis=0)"), tmp_path, "argmax")
    graph = onnx.load(str(path)).graph
    assert [node.op_type for node in graph.node] == ["Conv", "ArgMax"]
    assert [each.name for each in graph.output] == ["argmax"]
    (side,) = read(path).outputs
    assert (side.name, side.dtype, side.spelled(), side.makes) == ("argmax", "int", "[H, W]", "class")


def test_the_output_is_named_where_there_are_several(tmp_path: Path) -> None:
    path = file_of(NET, tmp_path, "probabilities.argmax", "seg")
    assert verify(path).ok
    with pytest.raises(SpecError, match=r"has 2 outputs, so `argmax` could be of any"):
        file_of(NET, tmp_path, "argmax")
    with pytest.raises(SpecError, match=r"`seg\.argmax` is of scores of several classes"):
        file_of(NET, tmp_path, "seg.argmax")
    with pytest.raises(SpecError, match="no tensor `argmin`"):
        file_of(NET, tmp_path, "argmin")


def test_a_class_is_named_by_its_number(tmp_path: Path) -> None:
    path = file_of(DIGITS, tmp_path, "argmax", "softmax", classes=["ant", "bee", "cow"])
    np.save(tmp_path / "x.npy", np.ones(4, np.float32))
    (found,) = predict_files(Predictor(path, "cpu"), [tmp_path / "x.npy"])
    assert found.label == ["ant", "bee", "cow"][int(found.outputs["argmax"])]
    assert found.confidence == pytest.approx(float(found.outputs["softmax"].max()))


@pytest.mark.parametrize("output", ["argmax", "softmax"])
def test_other_weights_are_found_through_a_head(tmp_path: Path, output: str) -> None:
    model = model_of(DIGITS)
    wrong = module_of(model, weights_of(model, seed=1).__getitem__, set())
    arrays = Arrays(weights_of(model))
    with pytest.raises(Disproved, match=f"differ in `{output}`"):
        export(model, Origin(DIGITS), tmp_path / "n.onnx", weights=arrays, module=wrong, form=Form((output,)))
