"""Bundled specs against published figures: torchvision's keys, shapes, counts and an independent FLOP counter's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from specc.compiler import Compilation, compile_text
from specc.data.project import open_spec
from specc.model.report import report

HERE = Path(__file__).parent
SPECS = sorted((HERE.parent / "specs").glob("*.net"))
WITNESS: dict[str, Any] = json.loads((HERE / "witness" / "torchvision.json").read_text(encoding="utf-8"))
SAME = {
    ("resnet", "ResNet18"): "resnet18",
    ("resnet", "ResNet34"): "resnet34",
    ("resnet", "ResNet50"): "resnet50",
    ("resnet", "ResNet101"): "resnet101",
    ("resnet", "ResNet152"): "resnet152",
    ("vgg", "VGG16"): "vgg16",
    ("vgg", "VGG16Table"): "vgg16",
    ("vgg", "VGG19"): "vgg19",
    ("densenet121", "DenseNet121"): "densenet121",
    ("mobilenet_v2", "MobileNetV2"): "mobilenet_v2",
}


def compiled(name: str) -> Compilation:
    project = open_spec(HERE.parent / "specs" / f"{name}.net")
    return compile_text(project.text, project.name, read=project.read)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_bundled_spec_proves_its_claims(path: Path) -> None:
    found = compiled(path.stem)
    assert [(each.code, each.message) for each in found.bag if each.severity == "error"] == []
    assert found.models


@pytest.mark.parametrize(("spec", "network"), SAME, ids=lambda name: name)
def test_keys_shapes_and_counts_are_torchvisions(spec: str, network: str) -> None:
    witness = WITNESS[SAME[spec, network]]
    found = report(compiled(spec).models[network])
    assert found["state_dict"] == witness["keys"]
    assert found["parameters"] == witness["parameters"]
    assert found["macs"] == witness["macs"]
