"""ONNX files: their structure and names, their sizes, their bytes, and the proof that they equal the spec."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from specc.backends.onnx import OnnxModel, lower
from specc.backends.onnx_file import metadata, put_metadata, skeleton, write
from specc.backends.onnx_weights import Arrays, SafetensorsFile, WeightProblem
from specc.compiler import compile_text
from specc.deploy.described import NotOurs, Origin
from specc.deploy.export import export, record
from specc.deploy.predict import predict_files, table
from specc.deploy.proof import Disproved, relative_error, trials
from specc.deploy.runtime import BadInput, NoDevice, Predictor, bench
from specc.deploy.verify import module_of, prove, verify
from specc.model.graph import Model
from specc.text.diagnostics import SpecError

NET = """network Net {
    input image: [1, H, W]
    c1: conv(4, 3, padding=1) -> relu -> maxpool(2)
    c2: conv(8, 3, padding=1) -> batchnorm -> relu -> dropout(0.5)
    up: upconv(4, 2, stride=2)
    both: concat(up, image)
    output seg: conv(2, 1) -> sigmoid
    pooled: global_avgpool(both)
    output extra: linear(pooled, 5) when training
    cls: linear(pooled, 3)
    output probabilities: softmax
}
"""
DIGITS = "network Digits {\n    input x: [4]\n    hidden: linear(8) -> relu\n    output y: linear(3)\n}\n"


def model_of(text: str, name: str = "net.net", **options: Any) -> Model:
    found = compile_text(text, name, **options)
    assert found.ok, [each.message for each in found.bag]
    return found.model()


def weights_of(model: Model, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    kinds = {"float": np.float32, "int": np.int64, "bool": np.bool_}
    found = {}
    for weight in model.weights:
        array = random.standard_normal(weight.spec.shape)
        array = np.abs(array) + 0.5 if weight.key.endswith("running_var") else array
        found[weight.key] = np.asarray(array).astype(kinds[weight.spec.dtype])
    return found


def written(text: str, folder: Path, **options: Any) -> tuple[Model, OnnxModel, Path]:
    model = model_of(text)
    graph = lower(model, weights=Arrays(weights_of(model)), **options)
    path = folder / "net.onnx"
    write(graph, path)
    return model, graph, path


def exported(text: str, folder: Path, **options: Any) -> Path:
    model = model_of(text)
    path = folder / "net.onnx"
    export(model, Origin(text, "net.net"), path, weights=Arrays(weights_of(model)), **options)
    return path


def shape_of(info: Any) -> list[int | str]:
    return [each.dim_param or each.dim_value for each in info.type.tensor_type.shape.dim]


# ---------------------------------------------------------------------------------------------------- structure
def test_the_file_passes_the_full_checker_with_pinned_versions(tmp_path: Path) -> None:
    _, _, path = written(NET, tmp_path)
    onnx.checker.check_model(str(path), full_check=True)
    proto = onnx.load(str(path))
    assert proto.ir_version == 10
    assert [(each.domain, each.version) for each in proto.opset_import] == [("", 21)]


def test_nodes_and_tensors_have_the_names_of_the_spec(tmp_path: Path) -> None:
    _, _, path = written(NET, tmp_path)
    graph = onnx.load(str(path)).graph
    nodes = {node.name: node for node in graph.node}
    assert [each.name for each in graph.input] == ["image"]
    assert [each.name for each in graph.output] == ["seg", "probabilities"]
    assert list(nodes["up"].output) == ["up"]
    assert list(nodes["c1.2"].output) == ["c1"]
    assert list(nodes["c2.2"].output) == ["c2"]  # dropout does nothing in inference and is gone
    assert not any(node.op_type in ("Dropout", "Identity") for node in graph.node)
    assert nodes["c1.0"].doc_string == "net.net:3: c1: conv(4, 3, padding=1) -> relu -> maxpool(2)"
    assert "c2.1.running_mean" in {each.name for each in graph.initializer}


def test_what_only_training_needs_is_left_out(tmp_path: Path) -> None:
    model, _, path = written(NET, tmp_path)
    graph = onnx.load(str(path)).graph
    assert any(weight.key.startswith("extra") for weight in model.weights)
    assert not any(each.name.startswith("extra") for each in (*graph.initializer, *graph.node, *graph.output))
    assert not any("num_batches_tracked" in each.name for each in graph.initializer)


def test_every_tensor_has_a_shape_with_the_formulas_of_the_spec(tmp_path: Path) -> None:
    _, _, path = written(NET, tmp_path)
    graph = onnx.load(str(path)).graph
    known = {each.name: shape_of(each) for each in (*graph.input, *graph.output, *graph.value_info)}
    assert known["image"] == ["batch", 1, "H", "W"]
    assert known["c1"] == ["batch", 4, "H//2", "W//2"]
    assert known["probabilities"] == ["batch", 3]
    assert {name for node in graph.node for name in node.output} <= known.keys()


def test_derived_sizes_are_named_by_their_formula(tmp_path: Path) -> None:
    text = "network N {\n    input x: [1, H]\n    maxpool(2, fit=down) -> upconv(3, 2, stride=2)\n}\n"
    _, _, path = written(text, tmp_path)
    assert shape_of(onnx.load(str(path)).graph.output[0]) == ["batch", 3, "2*(H//2)"]


@pytest.mark.parametrize("height", [2, 6])
def test_sizes_at_run_time_are_computed_from_the_inputs(tmp_path: Path, height: int) -> None:
    text = "network N {\n    input x: [2, H, W]\n    flat: reshape([2, H * W])\n    reshape([2, W, H])\n}\n"
    _, _, path = written(text, tmp_path)
    x = np.arange(3 * 2 * height * 5, dtype=np.float32).reshape(3, 2, height, 5)
    (y,) = onnxruntime.InferenceSession(str(path)).run(None, {"x": x})
    assert np.array_equal(y, x.reshape(3, 2, 5, height))


def test_an_output_that_is_an_input_or_given_twice_is_copied(tmp_path: Path) -> None:
    outputs = "output a: identity(x)\n    output b: identity(h)\n    output c: identity(h)"
    text = f"network N {{\n    input x: [3]\n    h: relu(x)\n    {outputs}\n}}\n"
    _, _, path = written(text, tmp_path)
    onnx.checker.check_model(str(path), full_check=True)
    x = np.array([[-1.0, 0.0, 2.0]], np.float32)
    a, b, c = onnxruntime.InferenceSession(str(path)).run(["a", "b", "c"], {"x": x})
    assert np.array_equal(a, x)
    assert np.array_equal(b, np.maximum(x, 0))
    assert np.array_equal(b, c)


def test_other_outputs_can_be_chosen(tmp_path: Path) -> None:
    _, _, path = written(NET, tmp_path, outputs=["c1"])
    graph = onnx.load(str(path)).graph
    assert [each.name for each in graph.output] == ["c1"]
    assert {node.name for node in graph.node} == {"c1.0", "c1.1", "c1.2"}
    with pytest.raises(SpecError, match="no tensor `nothing`"):
        lower(model_of(NET), weights=None, outputs=["nothing"])


def test_an_op_without_an_onnx_form_is_an_error_at_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(DIGITS)
    step = next(step for step in model.steps if step.op.name == "relu")

    def refuse(*_: Any, **__: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr(type(step.op), "onnx", refuse)
    with pytest.raises(SpecError) as caught:
        lower(model, weights=None)
    assert caught.value.diagnostic.code == "not-in-onnx"
    assert caught.value.diagnostic.span == step.span


# ------------------------------------------------------------------------------------------------------- weights
def test_weights_that_are_not_the_models_are_refused() -> None:
    model = model_of(DIGITS)
    arrays = weights_of(model)
    arrays["hidden.0.weigth"] = arrays.pop("hidden.0.weight")
    arrays["y.bias"] = np.zeros(4, np.float32)
    with pytest.raises(WeightProblem) as caught:
        lower(model, weights=Arrays(arrays, "w.safetensors"))
    message = caught.value.message
    assert "hidden.0.weight is missing (there is hidden.0.weigth)" in message
    assert "hidden.0.weigth is not a weight of Digits" in message
    assert "y.bias is [4], the spec says [3]" in message


def test_safetensors_are_read_as_they_are_and_widened(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = {
        "f32": torch.randn(3, 2),
        "f16": torch.randn(4).half(),
        "bf16": torch.randn(4).bfloat16(),
        "i32": torch.arange(3, dtype=torch.int32),
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 2),
    }
    save_file(tensors, tmp_path / "w.safetensors")
    source = SafetensorsFile(tmp_path / "w.safetensors")
    assert set(source.keys()) == tensors.keys()
    for key, tensor in tensors.items():
        wide = tensor.float() if tensor.is_floating_point() else tensor.long()
        assert np.array_equal(source.array(key), wide.numpy())
        kind = "float" if tensor.is_floating_point() else "int"
        assert b"".join(bytes(each) for each in source.chunks(key, kind)) == wide.numpy().tobytes()


@pytest.mark.parametrize(
    "data", [b"", b"\x10", struct.pack("<Q", 10**9), struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 4) + b'{"a"']
)
def test_a_damaged_safetensors_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightProblem, match="is not a safetensors file"):
        SafetensorsFile(path)
    with pytest.raises(WeightProblem, match="cannot read"):
        SafetensorsFile(tmp_path / "none.safetensors")


def test_the_bytes_are_the_same_every_time(tmp_path: Path) -> None:
    paths = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths.append(exported(NET, tmp_path / name))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_large_weights_go_to_a_side_file_at_page_starts(tmp_path: Path) -> None:
    model = model_of("network N {\n    input x: [64]\n    a: linear(64)\n    b: linear(2)\n}\n")
    arrays = weights_of(model)
    graph = lower(model, weights=Arrays(arrays))
    found = write(graph, tmp_path / "n.onnx", side_file=True)
    assert found.side == tmp_path / "n.onnx.data"
    proto = onnx.load(str(tmp_path / "n.onnx"), load_external_data=False)
    places = {
        each.name: {entry.key: entry.value for entry in each.external_data}
        for each in proto.graph.initializer
        if each.external_data
    }
    assert places.keys() == {"a.weight"}
    assert int(places["a.weight"]["offset"]) % 4096 == 0
    onnx.checker.check_model(str(tmp_path / "n.onnx"), full_check=True)
    x = np.ones((2, 64), np.float32)
    write(graph, tmp_path / "one.onnx", side_file=False)
    two, one = (
        onnxruntime.InferenceSession(str(tmp_path / each)).run(None, {"x": x})[0] for each in ("n.onnx", "one.onnx")
    )
    assert np.array_equal(two, one)


MEMORY = """
import resource, sys
from pathlib import Path
from specc.compiler import compile_text
from specc.backends.onnx import lower
from specc.backends.onnx_file import write
from specc.backends.onnx_weights import SafetensorsFile
model = compile_text(Path(sys.argv[1]).read_text()).model()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write(lower(model, weights=SafetensorsFile(sys.argv[2])), sys.argv[3])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
print([name for name in ("numpy", "torch", "onnx", "onnxruntime", "safetensors") if name in sys.modules])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone")
def test_export_needs_little_memory_and_no_packages(tmp_path: Path) -> None:
    spec = "network N {\n    input x: [2048]\n    a: linear(2048)\n    b: linear(2048)\n    c: linear(2048)\n}\n"
    (tmp_path / "n.net").write_text(spec)
    each = 2048 * 2048 * 4
    header: dict[str, Any] = {}
    at = 0
    for key in "abc":
        for name, shape in (("weight", [2048, 2048]), ("bias", [2048])):
            end = at + (each if name == "weight" else 8192)
            header[f"{key}.{name}"] = {"dtype": "F32", "shape": shape, "data_offsets": [at, end]}
            at = end
    text = json.dumps(header).encode()
    with open(tmp_path / "w.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)
    command = [sys.executable, "-c", MEMORY, tmp_path / "n.net", tmp_path / "w.safetensors", tmp_path / "n.onnx"]
    run = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    grown, imported = run.stdout.splitlines()
    assert imported == "[]"
    assert (tmp_path / "n.onnx.data").stat().st_size >= at - 3 * 8192
    assert int(grown) * 1024 <= 0.15 * at + 20 * 2**20
    assert int(grown) * 1024 < at / 4


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


def test_what_cannot_run_is_said(tmp_path: Path) -> None:
    text = "network N {\n    input x: [8]\n    batchnorm(affine=false, track=false)\n}\n"
    with pytest.raises(Disproved, match="PyTorch cannot run the network at batch 1"):
        exported(text, tmp_path)


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
    heads, rows = table([one, first])
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
    path = exported(DIGITS, tmp_path, prepare=prepare)
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
    assert 0 < found.median <= found.p90 <= found.p99
    assert found.throughput == pytest.approx(2e3 / found.mean)


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
