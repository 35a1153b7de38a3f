"""ONNX files: their structure and names, their sizes, their weights and their bytes."""

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
from onnx_files import DIGITS, NET, exported, model_of, shape_of, weights_of, written

from specc.backends.onnx import lower
from specc.backends.onnx_file import write
from specc.backends.onnx_weights import Arrays, WeightFile, WeightProblem
from specc.text.diagnostics import SpecError


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
    assert "`hidden.0.weight` [8, 4] is missing; the file has `hidden.0.weigth` [8, 4]" in message
    assert "`hidden.0.weigth` [8, 4] is in the file and not in the network" in message
    assert "`y.bias` is [4] in the file, [3] in the network" in message


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
    source = WeightFile(tmp_path / "w.safetensors")
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
        WeightFile(path)
    with pytest.raises(WeightProblem, match="there is no file"):
        WeightFile(tmp_path / "none.safetensors")


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
from specc.backends.onnx_weights import WeightFile
model = compile_text(Path(sys.argv[1]).read_text()).model()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write(lower(model, weights=WeightFile(sys.argv[2])), sys.argv[3])
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
