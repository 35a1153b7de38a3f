"""Half precision and 8-bit whole numbers: how the graph changes, what it costs, and that it is still verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_files import DIGITS, NET, model_of, weights_of

from specc.backends.onnx_file import write
from specc.backends.onnx_int8 import watched
from specc.backends.onnx_weights import Arrays, WeightProblem
from specc.deploy.described import Origin, read
from specc.deploy.export import export
from specc.deploy.form import Form
from specc.deploy.verify import verify
from specc.tools.cli import main

VOLUME = (
    "network V {\n input v: [2, D, H, W]\n conv(4, 3, padding=1) -> batchnorm -> relu -> upconv(2, 2, stride=2)\n}\n"
)
LINE = "network L {\n input v: [2, T]\n conv(4, 3, padding=1) -> layernorm(axis=0) -> gelu -> conv(3, 1) -> softmax(axis=0)\n}\n"
TOKENS = "network T {\n input t: [6, 8]\n layernorm -> linear(8) -> gelu -> linear(3) -> softmax(axis=-1)\n}\n"
ATTEND = """network A {
    input t: [6, 8]
    parameter kept: [8, 6]
    same: attention(t, heads=2)
    output y: linear(matmul(t + same, kept), 5, bias=false)
}
"""
TEXTS = [NET, DIGITS, VOLUME, LINE, TOKENS, ATTEND]


def file_of(text: str, folder: Path, precision: str, **more: Any) -> Path:
    model = model_of(text)
    ranges = dict.fromkeys(watched(Form().lower(model, None)), (-6.0, 6.0)) if precision == "int8" else {}
    path = folder / f"{precision}.onnx"
    form = Form(precision=precision, ranges=ranges, **more)
    export(model, Origin(text, "net.net"), path, weights=Arrays(weights_of(model)), form=form)
    return path


def types_of(path: Path) -> set[int]:
    return {each.data_type for each in onnx.load(str(path)).graph.initializer}


@pytest.mark.parametrize("text", TEXTS)
def test_half_precision_keeps_inputs_and_outputs(tmp_path: Path, text: str) -> None:
    path = file_of(text, tmp_path, "fp16")
    graph = onnx.load(str(path)).graph
    ends = {each.type.tensor_type.elem_type for each in (*graph.input, *graph.output)}
    assert ends == {onnx.TensorProto.FLOAT}
    weights = {weight.key for weight in model_of(text).weights}
    kept = [each for each in graph.initializer if each.name.split(".scaled")[0] in weights]
    assert kept
    assert {each.data_type for each in kept} == {onnx.TensorProto.FLOAT16}
    verdict = verify(path, weights_of(model_of(text)))
    assert verdict.ok, verdict.wrong
    assert 0 < verdict.proof.error <= 2e-2  # type: ignore[union-attr]
    assert read(path).tolerance == 2e-2


@pytest.mark.parametrize("text", TEXTS)
def test_whole_numbers_are_verified(tmp_path: Path, text: str) -> None:
    path = file_of(text, tmp_path, "int8")
    assert onnx.TensorProto.INT8 in types_of(path)
    assert (onnx.TensorProto.INT32 in types_of(path)) == (text not in (TOKENS, ATTEND)), "of a bias inside of a layer"
    verdict = verify(path, weights_of(model_of(text)))
    assert verdict.ok, verdict.wrong
    assert verdict.proof is not None
    assert verdict.proof.error <= 1e-4
    assert verdict.proof.rounding > 0
    other = weights_of(model_of(text), seed=3)
    assert "is not the given one" in verify(path, other).wrong


def test_each_output_channel_has_the_scale_of_its_largest_weight(tmp_path: Path) -> None:
    path = file_of(DIGITS, tmp_path, "int8")
    stored = {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(str(path)).graph.initializer}
    weights = weights_of(model_of(DIGITS))
    whole, scale = stored["hidden.0.weight.int8"], stored["hidden.0.weight.scale"]
    np.testing.assert_allclose(scale, np.abs(weights["hidden.0.weight"]).max(1) / 127, rtol=1e-6)
    assert (np.abs(whole).max(1) == 127).all()
    np.testing.assert_allclose(whole * scale[:, None], weights["hidden.0.weight"], atol=float(scale.max()) / 2)
    bias = stored["hidden.0.bias.int32"] * stored["hidden.0.bias.scale"]
    np.testing.assert_allclose(bias, weights["hidden.0.bias"], atol=float(stored["hidden.0.bias.scale"].max()))


def test_onnxruntime_computes_in_whole_numbers(tmp_path: Path) -> None:
    """What it makes of the pairs: kernels for whole numbers, and no pair that is left."""
    text = "network N {\n input x: [3, 8, 8]\n conv(4, 3) -> relu -> maxpool(2) -> flatten -> linear(2)\n}\n"
    model = model_of(text)
    ranges = dict.fromkeys(watched(Form().lower(model, None)), (0.0, 6.0))
    path = tmp_path / "n.onnx"
    write(Form(precision="int8", ranges=ranges).lower(model, Arrays(weights_of(model))), path)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(str(tmp_path / "optimised.onnx")).graph.node]
    assert {"QLinearConv", "QGemm"} <= set(kinds)
    assert "DequantizeLinear" not in kinds


@pytest.mark.parametrize(("text", "layers"), [(TOKENS, 2), (ATTEND, 4)])
def test_dense_layers_at_many_places_are_computed_in_whole_numbers(tmp_path: Path, text: str, layers: int) -> None:
    """Their kernels are stored as they are multiplied, [in, out], in whole numbers; the bias is added in fp32."""
    model = model_of(text)
    ranges = dict.fromkeys(watched(Form().lower(model, None)), (-6.0, 6.0))
    graph = Form(precision="int8", ranges=ranges).lower(model, Arrays(weights_of(model)))
    assert not [node for node in graph.nodes if node.kind == "Transpose" and "weight" in node.inputs[0]]
    write(graph, tmp_path / "n.onnx")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(tmp_path / "n.onnx"), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(str(tmp_path / "optimised.onnx")).graph.node]
    assert kinds.count("MatMulIntegerToFloat") + kinds.count("QLinearMatMul") == layers
    if text == ATTEND:
        assert "t" in next(node.inputs for node in graph.nodes if node.name == "add1"), (
            "what goes round a layer stays fp32"
        )
    stored = {
        each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(str(tmp_path / "n.onnx")).graph.initializer
    }
    for name, whole in stored.items():
        if name.endswith(".int8"):
            assert (np.abs(whole).max(0) == 127).all(), "each output channel has a scale"


def test_numbers_that_half_precision_cannot_hold_are_refused(tmp_path: Path) -> None:
    model = model_of(DIGITS)
    arrays = weights_of(model)
    arrays["y.bias"][0] = 7e4
    with pytest.raises(WeightProblem, match=r"the weight y\.bias has numbers that float16 cannot hold"):
        write(Form(precision="fp16").lower(model, Arrays(arrays)), tmp_path / "n.onnx")


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_weight_that_was_changed_is_refused(tmp_path: Path, precision: str) -> None:
    path = file_of(DIGITS, tmp_path, precision)
    proto = onnx.load(str(path))
    tensor = next(each for each in proto.graph.initializer if each.name.startswith("y.weight"))
    tensor.raw_data = bytes(2) + tensor.raw_data[2:]
    onnx.save(proto, str(path))
    assert "is not the one that was exported" in verify(path).wrong


SPEC = """network Numbers {
    input image: [1, 8, 8]
    conv(8, 3, padding=1) -> relu -> maxpool(2) -> flatten -> linear(10) -> softmax
}
train { data digits; prepare normalize; loss cross_entropy; metrics accuracy; epochs 3; batch 64; optimizer adam(lr=0.01) }
"""


def test_a_run_is_measured_in_each_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numbers.net").write_text(SPEC)
    assert main(["train", "numbers.net"]) == 0
    for precision in ("fp32", "fp16", "int8"):
        assert main(["export", "runs/Numbers/1", "-o", f"{precision}.onnx", "--precision", precision]) == 0
        assert verify(f"{precision}.onnx").ok
    assert Path("fp16.onnx").stat().st_size < Path("fp32.onnx").stat().st_size
    said = read("int8.onnx").accuracy
    assert said["part"] == "test"
    assert said["fp32"]["accuracy"] - said["int8"]["accuracy"] <= 0.01
    from specc.train.evaluate import evaluate

    assert said["fp32"]["accuracy"] == pytest.approx(evaluate("runs/Numbers/1")["accuracy"])
    capsys.readouterr()
    assert main(["export", "runs/Numbers/1", "-o", "no.onnx", "--precision", "int8", "--allow-loss", "-1"]) == 1
    assert "worse than fp32 by" in capsys.readouterr().err
    assert not Path("no.onnx").exists()
    assert main(["export", "runs/Numbers/1", "-o", "no.onnx", "--precision", "bf16"]) == 1
    assert "no kernels for bf16" in capsys.readouterr().err
    _as_onnxruntime_quantises(tmp_path, said["int8"]["accuracy"])


def _as_onnxruntime_quantises(folder: Path, accuracy: float) -> None:
    """onnxruntime's own static quantisation of the fp32 file, on the same samples, is no better by more than 2 %."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    from specc.data.shipped import Shipped

    images, labels = Shipped("digits").load().arrays()  # type: ignore[misc]

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(range(0, 256, 64))

        def get_next(self) -> Any:
            at = next(self.left, None)
            return None if at is None else {"image": images["image"][at : at + 64]}

    words = {"per_channel": True, "activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
    quantize_static(str(folder / "fp32.onnx"), str(folder / "theirs.onnx"), Reader(), **words)
    found = []
    for name in ("theirs", "int8"):
        session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        found.append((session.run(None, images)[0].argmax(1) == labels).mean())
    assert found[1] >= found[0] - 0.02
    assert accuracy > 0.8
