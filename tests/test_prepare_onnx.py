"""`prepare` inside the file: raw inputs of any size go in, and what comes out is what training would have made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_files import DIGITS, NET, model_of, shape_of, weights_of

from specc.backends.onnx import lower
from specc.backends.onnx_file import write
from specc.backends.onnx_weights import Arrays
from specc.data import prepare_onnx
from specc.data.prepare import _FITTED, Affine, Crop, Normalize, Pad, Prepared, Resize, Scale, fit
from specc.data.sources import DataProblem
from specc.deploy.described import Origin, describe, read
from specc.deploy.export import export
from specc.deploy.form import Form, insides, sizes_of
from specc.deploy.predict import predict_files
from specc.deploy.proof import Disproved
from specc.deploy.runtime import BadInput, Predictor
from specc.deploy.verify import verify

VOLUME = "network N {\n    input v: [2, D, H, W]\n    conv(2, 3, padding=1)\n}\n"
LINE = "network N {\n    input v: [2, L]\n    conv(2, 3, padding=1)\n}\n"
PICTURES = {"channels": 1, "size": None, "bits": 8}


def sealed(text: str, folder: Path, steps: list[Any], shape: tuple[int, ...], **more: Any) -> tuple[Path, Prepared]:
    """The file of a network with `prepare` fitted to one random sample."""
    model = model_of(text)
    name = model.inputs[0].name
    prepared = fit(steps, [np.random.default_rng(5).random(shape, dtype=np.float32)])
    prepare = {name: prepared.to_json()}
    sizes = sizes_of(model, prepare)
    model = model_of(text, sizes=sizes)
    path = folder / "net.onnx"
    export(
        model,
        Origin(text, "net.net", sizes=sizes),
        path,
        weights=Arrays(weights_of(model)),
        form=Form(None, insides(model, prepare, more.get("encoding"))),
        prepare=prepare,
        **more,
    )
    return path, prepared


def outputs_of(path: Path, **inputs: Any) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


CASES = [
    (NET, [Resize((16, 12)), Normalize()], (1, 40, 30), [(1, 7, 90), (1, 300, 211), (1, 16, 12), (1, 1, 1)]),
    (NET, [Scale((0, 255), (-1, 1)), Pad((2, 1), (1, 2), 0.5)], (1, 5, 5), [(1, 5, 9), (1, 11, 1)]),
    (NET, [Normalize(per="volume"), Crop((10, 8))], (1, 20, 20), [(1, 10, 8), (1, 21, 31)]),
    (NET, [Pad((3,), (0,)), Crop((8,)), Resize((6,))], (1, 20, 20), [(1, 5, 8), (1, 21, 30)]),
    (DIGITS, [Normalize(per="feature")], (4,), [(4,)]),
    (DIGITS, [Normalize(per="all"), Scale((0, 2), (0, 1))], (4,), [(4,)]),
    (VOLUME, [Resize((8, 9, 10)), Normalize(per="volume"), Crop((4,))], (2, 9, 8, 7), [(2, 3, 30, 11), (2, 1, 2, 3)]),
    (VOLUME, [Normalize(mean=(1.0, 2.0), std=(3.0, 0.5)), Pad((1,), (1,))], (2, 4, 4, 4), [(2, 3, 4, 5)]),
    (LINE, [Resize((8,)), Normalize(), Crop((5,))], (2, 9), [(2, 1), (2, 100), (2, 7)]),
]


@pytest.mark.parametrize(("text", "steps", "shape", "raws"), CASES)
def test_raw_inputs_give_what_training_prepares(
    tmp_path: Path, text: str, steps: list[Any], shape: tuple[int, ...], raws: list[tuple[int, ...]]
) -> None:
    path, prepared = sealed(text, tmp_path, steps, shape)
    said = read(path)
    assert said.prepared_in_graph
    assert said.proof is not None
    assert said.proof["prepared"] <= 1e-6
    verdict = verify(path)
    assert verdict.ok, verdict.wrong
    (tmp_path / "bare").mkdir()
    model = model_of(text, sizes=said.origin.sizes)
    bare = tmp_path / "bare" / "net.onnx"
    export(model, Origin(text, "net.net", sizes=said.origin.sizes), bare, weights=Arrays(weights_of(model)))
    name = said.inputs[0].name
    for at, each in enumerate(raws):
        raw = np.random.default_rng(at).normal(0.4, 3, (2, *each)).astype(np.float32)
        wanted = outputs_of(bare, **{name: prepared.apply(raw)})
        for key, got in outputs_of(path, **{name: raw}).items():
            np.testing.assert_allclose(got, wanted[key], rtol=1e-5, atol=1e-6 * float(np.abs(wanted[key]).max()))


def test_pictures_go_in_as_pixels_of_any_size(tmp_path: Path) -> None:
    from PIL import Image

    path, prepared = sealed(NET, tmp_path, [Resize((16, 12)), Normalize()], (1, 40, 30), encoding=PICTURES)
    graph = onnx.load(str(path)).graph
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert shape_of(graph.input[0]) == ["batch", 1, "H", "W"]
    assert {node.name.split("/")[0] for node in graph.node if "prepare" in node.name} == {"prepare.image"}
    assert "image.prepared" in {name for node in graph.node for name in node.output}
    pixels = np.random.default_rng(0).integers(0, 256, (31, 47), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    predictor = Predictor(path, "cpu")
    (found,) = predict_files(predictor, [tmp_path / "p.png"])
    assert np.array_equal(found.outputs["seg"], predictor.run(pixels[None])["seg"][0])
    inside = read(path).form(model_of(NET, sizes={"H": 16, "W": 12})).inside["image"]
    assert np.array_equal(inside.apply(pixels[None]), prepared.apply(pixels[None] / np.float32(255)))
    with pytest.raises(BadInput, match="takes pixels from 0 to 255, not from 0 to 256"):
        predictor.run(np.array([[[0, 256]]]))
    with pytest.raises(BadInput, match="takes uint8, not float32"):
        predictor.run(np.zeros((1, 4, 4), np.float32))


def test_what_is_too_small_to_crop_is_refused_with_the_rule(tmp_path: Path) -> None:
    path, _ = sealed(NET, tmp_path, [Crop((10, 8))], (1, 20, 20))
    with pytest.raises(BadInput, match=r"H = 9, W = 30 is not valid: H is at least 10") as caught:
        Predictor(path, "cpu").run(np.zeros((1, 9, 30), np.float32))
    assert "H = 10" in caught.value.help


def test_what_is_padded_states_its_size_by_that_of_the_network(tmp_path: Path) -> None:
    path, _ = sealed(NET, tmp_path, [Pad((2,), (1,))], (1, 5, 5))
    assert read(path).inputs[0].spelled() == "[1, H - 3, W - 3]"
    assert Predictor(path, "cpu").run(np.zeros((1, 5, 7), np.float32))["seg"].shape == (1, 2, 8, 10)
    with pytest.raises(BadInput, match="H = 9"):
        Predictor(path, "cpu").run(np.zeros((1, 6, 7), np.float32))


def test_a_file_that_prepares_otherwise_is_disproved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Resize, "apply", lambda self, x, rank: x[..., :16, :12] * 0 + np.float32(0.5))
    with pytest.raises(Disproved, match=r"the file prepares `image` .* otherwise than training did"):
        sealed(NET, tmp_path, [Resize((16, 12))], (1, 16, 12))
    assert list(tmp_path.iterdir()) == []


def test_every_fitted_step_has_an_onnx_form() -> None:
    assert set(_FITTED.values()) == set(prepare_onnx._FORMS)


def test_a_preparation_that_does_not_fit_is_refused() -> None:
    wrong = Prepared((Resize((16, 16)),), 3).to_json()
    with pytest.raises(DataProblem, match=r"makes \[any, 16, 16\] of an input, the network takes \[1, 8, 8\]"):
        insides(model_of(NET, sizes={"H": 8, "W": 8}), {"image": wrong}, None)
    with pytest.raises(DataProblem, match="was fitted to inputs with 3 axes, the network takes 1"):
        insides(model_of(DIGITS), {"x": wrong}, None)


def test_numbers_that_change_nothing_cost_no_node(tmp_path: Path) -> None:
    still = Prepared((Affine((1.0,), (0.0,)),), 1).to_json()
    assert insides(model_of(DIGITS), {"x": still}, None)["x"].raw.shape == (4,)
    path, _ = sealed(DIGITS, tmp_path, [Scale((0, 1), (0, 1))], (4,))
    assert not [node for node in onnx.load(str(path)).graph.node if "prepare" in node.name]


SPEC = """network Tones {
    input image: [1, 8, 8]
    flatten -> linear(2) -> softmax
}
train { data images("pictures"); prepare resize(8), normalize; loss cross_entropy; batch 4; epochs 2; split train=0.5; }
"""


def test_from_pictures_to_a_file_that_takes_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    from specc.tools.cli import main

    random = np.random.default_rng(0)
    monkeypatch.chdir(tmp_path)
    for at in range(16):
        folder = tmp_path / "pictures" / ("dark", "light")[at % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 128, (9 + at, 20 - at), dtype=np.uint8) + 127 * (at % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{at}.png")
    (tmp_path / "tones.net").write_text(SPEC)
    assert main(["train", "tones.net"]) == 0
    assert main(["export", "runs/Tones/1", "-o", "tones.onnx"]) == 0
    assert (
        "takes `image` uint8 [1, H, W], raw: division by 255, resize, scaling are in the file"
        in capsys.readouterr().err
    )
    assert main(["export", "runs/Tones/1", "-o", "bare.onnx", "--no-prepare"]) == 0
    assert main(["verify", "tones.onnx", "--weights", "runs/Tones/1"]) == 0
    picture = tmp_path / "pictures" / "dark" / "4.png"
    (raw,), (bare,) = (predict_files(Predictor(each, "cpu"), [picture]) for each in ("tones.onnx", "bare.onnx"))
    assert read("bare.onnx").inputs[0].dtype == "float"
    assert not read("bare.onnx").prepared_in_graph
    np.testing.assert_allclose(raw.outputs["output"], bare.outputs["output"], rtol=1e-5)
    Image.fromarray(random.integers(0, 65535, (9, 9), dtype=np.uint16)).save("deep.png")
    with pytest.raises(BadInput, match="16 bits a pixel"):
        list(predict_files(Predictor("tones.onnx", "cpu"), ["deep.png"]))


def test_a_spec_may_leave_preparation_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from specc.tools.cli import main

    monkeypatch.chdir(tmp_path)
    text = """network N { input features: [4]; linear(3) -> softmax }
    train { data iris; prepare normalize(per=feature); loss cross_entropy; epochs 1 }
    """
    for name, section in (("in", ""), ("out", "export { prepare none }")):
        (tmp_path / f"{name}.net").write_text(text + section)
        assert main(["train", f"{name}.net"]) == 0
    assert main(["export", "runs/N/1", "-o", "in.onnx"]) == 0
    assert main(["export", "runs/N/2", "-o", "out.onnx"]) == 0
    assert [read(each).prepared_in_graph for each in ("in.onnx", "out.onnx")] == [True, False]
    (tmp_path / "x.csv").write_text("5.1,3.5,1.4,0.2\n")
    (one,), (other,) = (predict_files(Predictor(each, "cpu"), [tmp_path / "x.csv"]) for each in ("in.onnx", "out.onnx"))
    np.testing.assert_allclose(one.outputs["output"], other.outputs["output"], rtol=1e-5)


def test_a_file_of_the_first_version_is_still_prepared(tmp_path: Path) -> None:
    prepare = Prepared((Affine((2.0,), (1.0,)),), 1)
    model = model_of(DIGITS)
    said = describe(model, Origin(DIGITS, "net.net"))
    del said["specc.prepared_in_graph"]
    said["specc.prepare"] = json.dumps(prepare.to_json())
    write(lower(model, weights=Arrays(weights_of(model)), metadata=said), tmp_path / "old.onnx")
    np.save(tmp_path / "x.npy", np.ones(4, np.float32))
    predictor = Predictor(tmp_path / "old.onnx", "cpu")
    (found,) = predict_files(predictor, [tmp_path / "x.npy"])
    assert np.array_equal(found.outputs["y"], predictor.run(np.full(4, 3, np.float32))["y"][0])
