"""Batch normalisation folded into the layer before it: fewer nodes, the same numbers, and still verified."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx_files import NET, model_of, weights_of

from specc.backends import pytorch
from specc.backends.onnx import lower
from specc.backends.onnx_file import write
from specc.backends.onnx_weights import Arrays
from specc.compiler import compile_text
from specc.data.project import open_spec
from specc.deploy.described import Origin
from specc.deploy.export import export
from specc.deploy.form import WHOLE, Form
from specc.deploy.proof import random_inputs, trials
from specc.deploy.verify import verify
from specc.model.graph import Model


def kinds(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(str(path)).graph.node]


def both(text: str, folder: Path) -> tuple[Path, Path, dict[str, Any]]:
    """The file with batch normalisations folded, the one with them kept, and the weights."""
    model = model_of(text)
    arrays = weights_of(model)
    for name, folded in (("folded", True), ("kept", False)):
        form = Form(folded=folded)
        export(model, Origin(text, "net.net"), folder / f"{name}.onnx", weights=Arrays(arrays), form=form)
    return folder / "folded.onnx", folder / "kept.onnx", arrays


FOLDED = [
    "input x: [2, L]\n conv(4, 3) -> batchnorm -> relu",
    "input x: [2, H, W]\n conv(4, 3, bias=false) -> batchnorm(eps=0.01) -> relu",
    "input x: [2, D, H, W]\n conv(4, 3, groups=2) -> batchnorm(affine=false)",
    "input x: [2, H, W]\n conv(4, 3, bias=false) -> batchnorm(affine=false)",
    "input x: [4, H, W]\n upconv(6, 2, stride=2) -> batchnorm",
    "input x: [4, L]\n upconv(6, 3, groups=2, bias=false) -> batchnorm",
    "input x: [4, D, H, W]\n upconv(4, 2, groups=4) -> batchnorm",
    "input x: [5]\n linear(3) -> batchnorm -> relu",
    "input x: [5]\n linear(3, bias=false) -> batchnorm(affine=false)",
    "input x: [2, H, W]\n conv(4, 3, padding=same) -> batchnorm -> conv(3, 1) -> batchnorm -> relu",
]


@pytest.mark.parametrize("body", FOLDED)
def test_it_goes_into_the_layer_before_it(tmp_path: Path, body: str) -> None:
    folded, kept, arrays = both(f"network N {{\n {body}\n}}\n", tmp_path)
    norms = kinds(kept).count("BatchNormalization")
    assert norms == body.count("batchnorm")
    assert "BatchNormalization" not in kinds(folded)
    assert len(kinds(folded)) == len(kinds(kept)) - norms
    for path in (folded, kept):
        assert verify(path).ok, verify(path).wrong
        assert verify(path, arrays).ok
        other = arrays | {key: each + np.float32(0.5) for key, each in arrays.items() if key.endswith("weight")}
        assert "is not the given one" in verify(path, other).wrong
    onnx.checker.check_model(str(folded), full_check=True)


STAY = [
    "input x: [2, H, W]\n batchnorm -> relu -> conv(4, 3)",
    "input x: [2, H, W]\n c: conv(4, 3)\n n: batchnorm\n add(c, n)",
    "input x: [2, H, W]\n output c: conv(4, 3)\n output n: batchnorm(c)",
    "input x: [2, H, W]\n k: conv(2, 3, padding=1)\n batchnorm -> k -> batchnorm",
    "input x: [2, H, W]\n conv(4, 3) -> relu -> batchnorm",
    "input x: [2, H, W]\n conv(4, 3) -> batchnorm(track=false)",
    "input x: [4, H, W]\n conv(3, 3, table=[[0, 1], [1, 2], [3]]) -> batchnorm",
    "input x: [4, H, W]\n conv(3, 3, weight_norm=true) -> batchnorm",
]


@pytest.mark.parametrize("body", STAY)
def test_it_stays_where_the_layer_is_used_otherwise(tmp_path: Path, body: str) -> None:
    folded, kept, _ = both(f"network N {{\n {body}\n}}\n", tmp_path)
    assert kinds(folded) == kinds(kept)
    assert verify(folded).ok


def test_a_folded_weight_that_was_changed_is_refused(tmp_path: Path) -> None:
    path, _, _ = both(NET, tmp_path)
    proto = onnx.load(str(path))
    tensor = next(each for each in proto.graph.initializer if each.name == "c2.0.weight.scaled")
    tensor.raw_data = bytes(4) + tensor.raw_data[4:]
    onnx.save(proto, str(path))
    assert "the weight c2.0.weight.scaled is not the one that was exported" in verify(path).wrong


def test_the_numbers_stay_those_of_the_layers_apart(tmp_path: Path) -> None:
    folded, kept, _ = both(NET, tmp_path)
    x = np.random.default_rng(1).standard_normal((3, 1, 12, 10), dtype=np.float32)
    got, wanted = (onnxruntime.InferenceSession(str(each)).run(None, {"image": x}) for each in (folded, kept))
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_weights_stand_in_the_order_of_the_network(tmp_path: Path) -> None:
    model = model_of(NET)
    write(lower(model, weights=Arrays(weights_of(model)), folded=True), tmp_path / "n.onnx")
    names = [each.name for each in onnx.load(str(tmp_path / "n.onnx")).graph.initializer if each.name[0] == "c"][:5]
    assert names[:4] == ["c1.0.weight", "c1.0.bias", "c2.0.weight.scaled", "c2.0.weight.shift"]


RESIDUAL = """network Residual {
    input x: [3, 16, 16]
    stem: conv(8, 3, padding=1, bias=false) -> batchnorm -> relu -> maxpool(2)
    a: conv(8, 3, padding=1, bias=false) -> batchnorm -> relu -> conv(8, 3, padding=1, bias=false) -> batchnorm
    add(stem, a) -> relu -> global_avgpool -> linear(5) -> softmax
}
"""


def optimised_export(model: Model) -> Counter[str]:
    """How many nodes of each kind torch's own exporter ends up with."""
    sizes, _ = trials(model)[0]
    inputs = [torch.from_numpy(each) for each in random_inputs(model, sizes, 2, 0).values()]
    module = pytorch.load(pytorch.write(model), model.name)().eval()
    batch = tuple({0: torch.export.Dim("batch")} for _ in inputs)
    made = torch.onnx.export(module, tuple(inputs), dynamo=True, verbose=False, dynamic_shapes=batch)
    made.optimize()
    return Counter(node.op_type for node in made.model.graph)


def test_a_residual_block_has_a_node_for_each_layer_and_no_other() -> None:
    ours = Counter(node.kind for node in WHOLE.lower(model_of(RESIDUAL), None).nodes)
    wanted = {
        "Conv": 3,
        "Relu": 3,
        "MaxPool": 1,
        "Add": 1,
        "ReduceMean": 1,
        "Gemm": 1,
        "Softmax": 1,
    }
    assert ours == wanted


@pytest.mark.slow
def test_there_are_no_more_nodes_than_in_the_optimised_export_of_torch() -> None:
    model = model_of(RESIDUAL)
    assert len(WHOLE.lower(model, None).nodes) <= optimised_export(model).total()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "network"), [("resnet", "ResNet50"), ("unet", "UNet"), ("vit", "ViTB16"), ("densenet121", "DenseNet121")]
)
def test_published_networks_have_no_more_nodes_either(file: str, network: str) -> None:
    project = open_spec(str(Path(__file__).parent.parent / "specs" / f"{file}.net"))
    model = compile_text(project.text, project.name, network=network, read=project.read).model()
    assert len(WHOLE.lower(model, None).nodes) <= optimised_export(model).total()
