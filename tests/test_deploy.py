"""Exported files: the proof that they equal their spec, what happens when they are changed, and running them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_files import DIGITS, NET, exported, model_of, weights_of, written

from specc.backends.onnx import lower
from specc.backends.onnx_file import metadata, put_metadata, skeleton, write
from specc.backends.onnx_weights import Arrays
from specc.compiler import compile_text
from specc.deploy.benchmark import bench
from specc.deploy.described import NotOurs, Origin
from specc.deploy.export import export, record
from specc.deploy.memory import Peak
from specc.deploy.predict import brief, predict_files, table
from specc.deploy.proof import Disproved, relative_error, trials
from specc.deploy.providers import NoDevice
from specc.deploy.runtime import BadInput, Predictor
from specc.deploy.verify import module_of, prove, verify


# --------------------------------------------------------------------------------------------------------- proof
def test_export_proves_at_several_uneven_sizes_and_says_so(tmp_path: Path) -> None:
    path = exported(NET, tmp_path)
    said = json.loads(metadata(path)["specc.proof"])
    assert said["error"] <= 1e-4
    assert {run["batch"] for run in said["runs"]} == {1, 3}
    assert any(run["sizes"]["H"] != run["sizes"]["W"] for run in said["runs"])
    verdict = verify(path)
    assert verdict.ok, verdict.wrong
    assert verdict.was_proved
    assert verdict.proof is not None


def test_an_unproved_file_says_so_and_can_be_verified_later(tmp_path: Path) -> None:
    path = exported(DIGITS, tmp_path, prove=False)
    assert metadata(path)["specc.proof"] == "unproved"
    verdict = verify(path)
    assert verdict.ok
    assert not verdict.was_proved
    assert verdict.proof is not None
    record(path, verdict.proof)
    assert verify(path).was_proved
    assert path.read_bytes() == exported(DIGITS, tmp_path).read_bytes()


def test_weights_kept_in_another_form_come_back(tmp_path: Path) -> None:
    text = "network N {\n    input x: [3, 6, 6]\n    c: conv(2, 3, table=[[0, 1], [1, 2]])\n}\n"
    path = exported(text, tmp_path)
    verdict = verify(path)
    assert verdict.ok, verdict.wrong


def test_a_wrong_graph_is_disproved_and_the_step_is_named(tmp_path: Path) -> None:
    model, _, path = written(NET, tmp_path)
    arrays = weights_of(model)
    module = module_of(model, arrays.__getitem__, set(arrays))
    assert prove(model, path, module).error <= 1e-4
    proto = onnx.load(str(path))
    node = next(node for node in proto.graph.node if node.op_type == "BatchNormalization")
    node.attribute[0].f = 0.5
    onnx.save(proto, str(path))
    with pytest.raises(Disproved, match=r"they part at `c2\.1` \(net\.net:4: c2: conv") as caught:
        prove(model, path, module)
    assert caught.value.step is not None
    assert caught.value.step.op.name == "batchnorm"


def test_a_saturated_head_does_not_hide_a_difference(tmp_path: Path) -> None:
    model = model_of("network N {\n    input x: [4]\n    fc: linear(3)\n    softmax\n}\n")
    arrays = weights_of(model)
    arrays["fc.bias"] = np.array([1000, 0, 0], np.float32)
    write(lower(model, weights=Arrays(arrays)), tmp_path / "n.onnx")
    other = arrays | {"fc.bias": np.array([1000, 100, 0], np.float32)}
    with pytest.raises(Disproved, match="the logits of output"):
        prove(model, tmp_path / "n.onnx", module_of(model, other.__getitem__, set(other)))


def test_a_failed_proof_leaves_no_file(tmp_path: Path) -> None:
    model = model_of(DIGITS)
    arrays = weights_of(model)
    module = module_of(model, weights_of(model, seed=1).__getitem__, set())
    with pytest.raises(Disproved):
        export(model, Origin(DIGITS, "net.net"), tmp_path / "n.onnx", weights=Arrays(arrays), module=module)
    assert list(tmp_path.iterdir()) == []


def tamper_weight(path: Path) -> None:
    proto = onnx.load(str(path))
    tensor = next(each for each in proto.graph.initializer if each.name == "y.weight")
    tensor.raw_data = struct.pack("<f", 1.5) + tensor.raw_data[4:]
    onnx.save(proto, str(path))


def tamper_node(path: Path) -> None:
    proto = onnx.load(str(path))
    next(node for node in proto.graph.node if node.op_type == "Relu").op_type = "Sigmoid"
    onnx.save(proto, str(path))


def tamper_extra_node(path: Path) -> None:
    proto = onnx.load(str(path))
    proto.graph.node.append(onnx.helper.make_node("Relu", ["y"], ["more"]))
    onnx.save(proto, str(path))


def tamper_metadata(path: Path) -> None:
    proto = onnx.load(str(path))
    next(each for each in proto.metadata_props if each.key == "specc.tolerance").value = "10.0"
    onnx.save(proto, str(path))


def tamper_spec(path: Path) -> None:
    copy = path.with_name("copy.onnx")
    put_metadata(path, copy, {"specc.spec": DIGITS.replace("relu", "tanh")})
    copy.replace(path)


def tamper_sizes(path: Path) -> None:
    copy = path.with_name("copy.onnx")
    put_metadata(path, copy, {"specc.admits": '["==", "1", "2"]'})
    copy.replace(path)


def tamper_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (tamper_weight, "the weight y.weight is not the one"),
        (tamper_node, "the node `hidden.1` is not the one"),
        (tamper_extra_node, "the graph holds more"),
        (tamper_metadata, "was changed"),
        (tamper_spec, "the spec in net.onnx is not the one"),
        (tamper_sizes, "specc.admits does not follow"),
        (tamper_end, "cut short"),
    ],
)
def test_a_tampered_file_is_refused(tmp_path: Path, tamper: Any, says: str) -> None:
    path = exported(DIGITS, tmp_path)
    tamper(path)
    try:
        wrong = verify(path).wrong
    except NotOurs as problem:
        wrong = problem.message
    assert says in wrong


def test_a_missing_side_file_is_refused(tmp_path: Path) -> None:
    text = "network N {\n    input x: [64]\n    linear(64)\n}\n"
    path = exported(text, tmp_path, side_file=True)
    assert verify(path).ok
    path.with_name("net.onnx.data").unlink()
    assert not verify(path).ok


def test_relative_error_sees_shapes_types_and_what_is_not_finite() -> None:
    one = np.array([1.0, 2.0], np.float32)
    assert relative_error(one, one) == 0
    assert relative_error(one + np.float32(0.5), one) == pytest.approx(0.25)
    assert relative_error(one[None], one) == np.inf
    assert relative_error(one.astype(np.float64), one) == np.inf
    assert relative_error(np.array([1.0, np.nan], np.float32), one) == np.inf
    assert relative_error(np.array([1, 2]), np.array([1, 3])) == np.inf


def test_what_pytorch_cannot_run_is_refused_before_it_is_exported() -> None:
    text = "network N {\n    input x: [8]\n    batchnorm(affine=false, track=false)\n}\n"
    found = compile_text(text)
    assert any(each.severity == "error" and "a single number per channel" in each.message for each in found.bag)


def test_sizes_that_are_tried_are_admissible() -> None:
    tried = trials(model_of(NET))
    assert len(tried) == 3
    assert all(sizes["H"] % 2 == 0 and sizes["W"] % 2 == 0 for sizes, _ in tried)
    assert trials(model_of(DIGITS)) == [({}, 1), ({}, 3)]


def test_the_skeleton_needs_no_weights() -> None:
    model = model_of(DIGITS)
    with_weights = lower(model, weights=Arrays(weights_of(model)))
    assert skeleton(lower(model, weights=None)) == skeleton(with_weights)


# ------------------------------------------------------------------------------------------------------- runtime
def test_a_predictor_runs_and_names_classes(tmp_path: Path) -> None:
    path = exported(DIGITS, tmp_path, classes=["ant", "bee", "cow"])
    predictor = Predictor(path, "cpu")
    assert predictor.providers == ("CPUExecutionProvider",)
    x = np.ones(4, np.float32)
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "x.csv").write_text("a,b,c,d\n1,1,1,1\n0,0,0,0\n")
    one, first, second = predict_files(predictor, [tmp_path / "x.npy", tmp_path / "x.csv"])
    y = predictor.run(x)["y"][0]
    assert one.label == ["ant", "bee", "cow"][int(y.argmax())]
    assert one.confidence == pytest.approx(float(np.exp(y).max() / np.exp(y).sum()), rel=1e-5)
    assert (first.label, first.confidence) == (one.label, pytest.approx(one.confidence))
    assert second.source.endswith("x.csv:3")
    heads, rows = table([brief(one), brief(first)])
    assert heads == ["input", "class", "confidence"]
    assert rows[0][1] == one.label
    assert json.loads(json.dumps(one.to_json()))["class"] == one.label


def test_a_picture_is_read_as_in_training(tmp_path: Path) -> None:
    from PIL import Image

    text = "network N {\n    input image: [1, 4, 4]\n    flatten -> linear(2)\n}\n"
    path = exported(text, tmp_path)
    pixels = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
    Image.fromarray(pixels).save(tmp_path / "p.png")
    Image.fromarray(np.zeros((5, 4), np.uint8)).save(tmp_path / "large.png")
    predictor = Predictor(path, "cpu")
    (found,) = predict_files(predictor, [tmp_path / "p.png"])
    wanted = predictor.run(pixels[None].astype(np.float32) / 255)["output"][0]
    assert np.array_equal(found.outputs["output"], wanted)
    with pytest.raises(BadInput, match=r"large\.png: `image` is \[1, 5, 4\], the network takes \[1, 4, 4\]"):
        list(predict_files(predictor, [tmp_path / "large.png"]))


def test_prepare_of_the_file_is_applied(tmp_path: Path) -> None:
    from specc.data.prepare import Affine, Prepared

    prepare = Prepared((Affine((2.0,), (1.0,)),), rank=1).to_json()
    path = exported(DIGITS, tmp_path, prepare={"x": prepare})
    np.save(tmp_path / "x.npy", np.ones(4, np.float32))
    predictor = Predictor(path, "cpu")
    (found,) = predict_files(predictor, [tmp_path / "x.npy"])
    assert np.array_equal(found.outputs["y"], predictor.run(np.full((1, 4), 3, np.float32))["y"][0])


def test_sizes_that_are_not_admissible_name_the_rule_and_the_nearest(tmp_path: Path) -> None:
    predictor = Predictor(exported(NET, tmp_path, prove=False), "cpu")
    assert predictor.run(np.zeros((2, 1, 6, 4), np.float32))["seg"].shape == (2, 2, 6, 4)
    with pytest.raises(BadInput, match=r"H = 7, W = 4 is not valid: .*even") as caught:
        predictor.run(np.zeros((1, 1, 7, 4), np.float32))
    assert caught.value.help == "the nearest that are: H = 6 or 8"
    with pytest.raises(BadInput, match=r"the network takes \[1, H, W\]"):
        predictor.run(np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(BadInput, match="the input `image` is missing"):
        predictor.run({})
    with pytest.raises(BadInput, match="takes float32, not <U1"):
        predictor.run(np.array([["a"]]))


def test_cuda_that_cannot_be_used_is_an_error_and_auto_says_so(tmp_path: Path) -> None:
    path = exported(DIGITS, tmp_path, prove=False)
    predictor = Predictor(path, "auto")
    if "CUDAExecutionProvider" in predictor.providers:
        assert Predictor(path, "cuda").providers[0] == "CUDAExecutionProvider"
        return
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        assert "CPU" in predictor.notice
    with pytest.raises(NoDevice):
        Predictor(path, "cuda")


def test_bench_measures(tmp_path: Path) -> None:
    found = bench(exported(NET, tmp_path, prove=False), batch=2, rounds=5, device="cpu", sizes={"H": 8})
    assert found.sizes["H"] == 8
    assert found.sizes["W"] % 2 == 0
    assert 0 < found.timing.median <= found.timing.p90 <= found.timing.p99
    assert found.timing.throughput == pytest.approx(2e3 / found.timing.mean)


@pytest.mark.parametrize("text", [NET, DIGITS])
def test_bench_in_turns_with_pytorch(tmp_path: Path, text: str) -> None:
    path = exported(text, tmp_path, prove=False)
    found = bench(path, batch=2, rounds=4, device="cpu", threads=1, against=["eager"])
    (eager,) = found.against
    assert found.threads == 1
    assert 0 < eager.low <= eager.ratio <= eager.high
    assert eager.timing.throughput == pytest.approx(2e3 / eager.timing.mean)


def test_the_peak_of_memory_is_seen_after_it_is_over() -> None:
    peak = Peak()
    np.ones(2**24).sum()  # 128 MiB, given back at once
    growth = peak.growth()
    assert growth is None or growth > 2**26
    after = Peak().growth()
    assert after is None or after < 2**24


def test_bench_refuses_to_compare_what_is_not_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from specc.deploy import contenders

    real = contenders._made

    def other(predictor: Any, output: str, *more: Any) -> Any:
        found, run = real(predictor, output, *more)
        return {name: array + 1 for name, array in found.items()}, run

    monkeypatch.setattr(contenders, "_made", other)
    with pytest.raises(BadInput, match=r"`y` of the file and of PyTorch \(eager\) differ"):
        bench(exported(DIGITS, tmp_path, prove=False), rounds=2, device="cpu", against=["eager"])


@pytest.mark.slow
def test_bench_against_compiled_pytorch(tmp_path: Path) -> None:
    found = bench(
        exported(NET, tmp_path, prove=False), rounds=3, device="cpu", threads=1, against=["eager", "compiled"]
    )
    assert [each.name for each in found.against] == ["eager", "compiled"]


def test_a_file_of_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [])), str(path))
    with pytest.raises(NotOurs, match="was not written by specc"):
        Predictor(path)
    path.write_bytes(b"\xff" * 50)
    with pytest.raises(NotOurs, match="cannot be read"):
        Predictor(path)
    with pytest.raises(NotOurs, match="No such file"):
        Predictor(tmp_path / "none.onnx")
