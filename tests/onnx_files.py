"""Small networks, weights for them, and their ONNX files: what the tests of ONNX and of deployment start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from specc.backends.onnx import OnnxModel, lower
from specc.backends.onnx_file import write
from specc.backends.onnx_weights import Arrays
from specc.compiler import compile_text
from specc.deploy.described import Origin
from specc.deploy.export import export
from specc.model.graph import Model

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
        found[weight.key] = found.get(weight.tied, np.asarray(array).astype(kinds[weight.spec.dtype]))
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
