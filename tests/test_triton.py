"""The model repository for Triton: its configuration against Triton's own definition, its self-test against the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from google.protobuf import text_format
from onnx_files import DIGITS, NET, exported
from tritonclient.grpc import model_config_pb2

from specc.deploy.triton import write_repository


def parsed(folder: Path) -> Any:
    return text_format.Parse((folder / "config.pbtxt").read_text(encoding="utf-8"), model_config_pb2.ModelConfig())


def array(said: dict[str, Any]) -> Any:
    kinds = {"FP32": np.float32, "INT64": np.int64, "UINT8": np.uint8, "BOOL": np.bool_}
    return np.array(said["data"], kinds[said["datatype"]]).reshape(said["shape"])


def test_the_configuration_is_one_of_tritons(tmp_path: Path) -> None:
    folder = write_repository(exported(DIGITS, tmp_path, classes=["ant", "bee", 'c "w']), tmp_path / "models")
    assert folder == tmp_path / "models" / "Digits"
    found = parsed(folder)
    assert (found.name, found.backend, found.max_batch_size) == ("Digits", "onnxruntime", 64)
    assert [(each.name, each.data_type, list(each.dims)) for each in found.input] == [
        ("x", model_config_pb2.TYPE_FP32, [4])
    ]
    (y,) = found.output
    assert (y.name, list(y.dims), y.label_filename) == ("y", [3], "labels.txt")
    assert (folder / "labels.txt").read_text().splitlines() == ["ant", "bee", 'c "w']
    assert list(found.dynamic_batching.preferred_batch_size) == [8, 16, 32, 64]
    assert found.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_AUTO
    assert [each.batch_size for each in found.model_warmup] == [1, 8]
    assert len(found.parameters["specc.spec.sha256"].string_value) == 64


def test_unknown_sizes_are_open_and_the_warm_up_is_admissible(tmp_path: Path) -> None:
    found = parsed(write_repository(exported(NET, tmp_path, prove=False), tmp_path / "models"))
    assert list(found.input[0].dims) == [1, -1, -1]
    assert {each.name: list(each.dims) for each in found.output} == {"seg": [2, -1, -1], "probabilities": [3]}
    for each in found.model_warmup:
        _, height, width = each.inputs["image"].dims
        assert height % 2 == width % 2 == 0
        assert each.inputs["image"].zero_data


@pytest.mark.parametrize(("text", "options"), [(DIGITS, {}), (NET, {}), (DIGITS, {"side_file": True})])
def test_the_file_answers_the_self_test(tmp_path: Path, text: str, options: dict[str, Any]) -> None:
    """As Triton runs it: the model from the repository by onnxruntime alone, the request as its protocol has it."""
    folder = write_repository(exported(text, tmp_path, prove=False, **options), tmp_path / "models")
    request, answer = (
        json.loads((folder / "self_test" / f"{each}.json").read_text()) for each in ("request", "response")
    )
    found = parsed(folder)
    assert [each["name"] for each in request["inputs"]] == [each.name for each in found.input]
    names = [each["name"] for each in request["outputs"]]
    assert names == [each.name for each in found.output] == [each["name"] for each in answer["outputs"]]
    session = onnxruntime.InferenceSession(str(folder / "1" / "model.onnx"), providers=["CPUExecutionProvider"])
    made = session.run(names, {each["name"]: array(each) for each in request["inputs"]})
    for value, said in zip(made, answer["outputs"], strict=True):
        np.testing.assert_allclose(value, array(said), rtol=1e-6)
        assert 2 == said["shape"][0] <= found.max_batch_size


def test_written_twice_it_is_the_same_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = exported(NET, tmp_path, prove=False)
    first = {each.name: each.read_bytes() for each in sorted(write_repository(path, tmp_path / "a").rglob("*.*"))}
    (tmp_path / "a" / "Net" / "old.txt").write_text("old")
    again = {each.name: each.read_bytes() for each in sorted(write_repository(path, tmp_path / "a").rglob("*.*"))}
    assert first == again
    assert len(first) == 4
