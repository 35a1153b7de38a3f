"""Bundled specs against torchvision's networks: keys, shapes, counts and published figures; equal outputs with equal weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from proved import exported
from reference import (
    SINGLE,
    TOLERANCE,
    models,
    reference,
    same_outputs,
    same_weights,
    spec,
    without_chance,
)

from specc.deploy.proof import prove
from specc.sizes.dim import evaluate

PICTURE = (3, 64, 65)
WHOLE = (3, 224, 224)
VIDEO = (3, 4, 32, 33)
SEGMENTED = {"output": "out"}


@dataclass(frozen=True)
class Case:
    """A network of a spec, the one it must equal, and an input; `names` are the witness's outputs by ours."""

    spec: str
    network: str
    witness: str
    shape: tuple[int, ...] = PICTURE
    options: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=lambda: SINGLE)
    trained: Mapping[str, str] = field(default_factory=dict)  # the same in training, where there are further ones
    at: Mapping[str, int] = field(default_factory=lambda: {"H": 224, "W": 224})  # sizes of the published figures
    ordered: bool = True  # not where torchvision makes layers in another order than it uses them
    onnx: bool = False  # proved equal to PyTorch in the normal run; the others only in the long one

    @property
    def network_id(self) -> str:
        return f"{self.spec}-{self.network}"


def side(*more: str) -> dict[str, str]:
    return {name: name for name in ("out", *more)}


CASES = [
    Case("squeezenet", "SqueezeNet1_0", "squeezenet1_0"),
    Case("squeezenet", "SqueezeNet1_1", "squeezenet1_1", onnx=True),
    Case("resnet", "ResNet18", "resnet18", WHOLE),
    Case("resnet", "ResNeXt50", "resnext50_32x4d", WHOLE),
    Case("densenet121", "DenseNet121", "densenet121", WHOLE),
    Case("mobilenet_v2", "MobileNetV2", "mobilenet_v2", WHOLE),
    Case("regnet", "RegNetX400MF", "regnet_x_400mf"),
    Case("regnet", "RegNetY400MF", "regnet_y_400mf", onnx=True),
    Case("mnasnet", "MnasNet0_5", "mnasnet0_5", onnx=True),
    Case("mnasnet", "MnasNet1_0", "mnasnet1_0"),
    Case("mobilenet_v3", "MobileNetV3Small", "mobilenet_v3_small", onnx=True),
    Case("mobilenet_v3", "MobileNetV3Large", "mobilenet_v3_large"),
    Case("shufflenet_v2", "ShuffleNetV2x0_5", "shufflenet_v2_x0_5", onnx=True),
    Case("shufflenet_v2", "ShuffleNetV2x1_0", "shufflenet_v2_x1_0"),
    Case("efficientnet", "EfficientNetB0", "efficientnet_b0", onnx=True),
    Case("efficientnet", "EfficientNetV2S", "efficientnet_v2_s", at={"H": 384, "W": 384}),
    Case(
        "inception_v3",
        "InceptionV3",
        "inception_v3",
        (3, 299, 299),
        {"init_weights": False},
        trained={"output": "logits", "AuxLogits": "aux_logits"},
    ),
    Case("convnext", "ConvNeXtTiny", "convnext_tiny"),
    Case("vit", "ViTB16", "vit_b_16", WHOLE),
    Case("swin", "SwinTiny", "swin_t", (3, 45, 98), ordered=False),
    Case("video_resnet", "R3D_18", "video.r3d_18", VIDEO, at={"T": 16, "H": 112, "W": 112}),
    Case("video_resnet", "MC3_18", "video.mc3_18", VIDEO, at={"T": 16, "H": 112, "W": 112}),
    Case("video_resnet", "R2Plus1D_18", "video.r2plus1d_18", VIDEO, at={"T": 16, "H": 112, "W": 112}),
    Case("s3d", "S3D", "video.s3d", (3, 13, 209, 210), at={"T": 16, "H": 224, "W": 224}),
    Case(
        "fcn_resnet",
        "FCNResNet50",
        "segmentation.fcn_resnet50",
        options={"aux_loss": True},
        names=SEGMENTED,
        trained=side("aux"),
        at={"H": 520, "W": 520},
    ),
    Case(
        "deeplabv3",
        "DeepLabV3ResNet50",
        "segmentation.deeplabv3_resnet50",
        options={"aux_loss": True},
        names=SEGMENTED,
        trained=side("aux"),
        at={"H": 520, "W": 520},
    ),
    Case(
        "lraspp",
        "LRASPP",
        "segmentation.lraspp_mobilenet_v3_large",
        names=SEGMENTED,
        at={"H": 520, "W": 520},
        onnx=True,
    ),
]
LARGE = [
    Case("resnet", "ResNet50", "resnet50", WHOLE),
    Case("resnet", "WideResNet50", "wide_resnet50_2", WHOLE),
    Case("resnet", "ResNeXt101", "resnext101_32x8d", WHOLE),
    Case("vgg", "VGG16", "vgg16", WHOLE),
    Case("mnasnet", "MnasNet0_75", "mnasnet0_75"),
    Case("mnasnet", "MnasNet1_3", "mnasnet1_3"),
    Case("regnet", "RegNetY800MF", "regnet_y_800mf"),
    Case("shufflenet_v2", "ShuffleNetV2x1_5", "shufflenet_v2_x1_5"),
    Case("shufflenet_v2", "ShuffleNetV2x2_0", "shufflenet_v2_x2_0"),
    Case("efficientnet", "EfficientNetB1", "efficientnet_b1", at={"H": 240, "W": 240}),
    Case("efficientnet", "EfficientNetB2", "efficientnet_b2", at={"H": 288, "W": 288}),
    Case("efficientnet", "EfficientNetB3", "efficientnet_b3", at={"H": 300, "W": 300}),
    Case("efficientnet", "EfficientNetB4", "efficientnet_b4", at={"H": 380, "W": 380}),
    Case("efficientnet", "EfficientNetB5", "efficientnet_b5", at={"H": 456, "W": 456}),
    Case("efficientnet", "EfficientNetB6", "efficientnet_b6", at={"H": 528, "W": 528}),
    Case("efficientnet", "EfficientNetB7", "efficientnet_b7", at={"H": 600, "W": 600}),
    Case("efficientnet", "EfficientNetV2M", "efficientnet_v2_m", at={"H": 480, "W": 480}),
    Case("convnext", "ConvNeXtSmall", "convnext_small"),
    Case("convnext", "ConvNeXtBase", "convnext_base"),
    Case("convnext", "ConvNeXtLarge", "convnext_large"),
    Case("vit", "ViTB32", "vit_b_32", WHOLE),
    Case("swin_v2", "SwinV2Tiny", "swin_v2_t", (3, 45, 98), ordered=False, at={"H": 256, "W": 256}),
    Case("vit", "ViTL16", "vit_l_16", WHOLE),
    Case(
        "fcn_resnet",
        "FCNResNet101",
        "segmentation.fcn_resnet101",
        options={"aux_loss": True},
        names=SEGMENTED,
        trained=side("aux"),
        at={"H": 520, "W": 520},
    ),
    Case(
        "deeplabv3",
        "DeepLabV3ResNet101",
        "segmentation.deeplabv3_resnet101",
        options={"aux_loss": True},
        names=SEGMENTED,
        trained=side("aux"),
        at={"H": 520, "W": 520},
    ),
]
CHOSEN = [*CASES, *(pytest.param(each, marks=pytest.mark.slow, id=each.network_id) for each in LARGE)]
ON_ONNX = [
    pytest.param(each, marks=() if each.onnx else pytest.mark.slow, id=each.network_id) for each in (*CASES, *LARGE)
]


def name_of(case: Any) -> str:
    return case.network_id if isinstance(case, Case) else ""


@pytest.mark.parametrize("case", CHOSEN, ids=name_of)
def test_the_same_weights_give_the_same_outputs(case: Case) -> None:
    model, witness = spec(case.spec, case.network), reference(case.witness, **case.options)
    module = same_weights(model, witness, case.ordered)
    batch = 1 if max(case.shape) > 200 and not case.trained else 2
    x = torch.randn(batch, *case.shape, generator=torch.Generator().manual_seed(2))
    assert same_outputs(module, witness, x, case.names) <= TOLERANCE
    if case.trained:
        assert same_outputs(without_chance(module), without_chance(witness), x, case.trained) <= TOLERANCE


@pytest.mark.parametrize("case", [*CASES, *LARGE], ids=name_of)
def test_parameters_and_multiply_adds_are_those_published(case: Case) -> None:
    weights = models().get_model_weights(case.witness.rpartition(".")[2])
    published = next(iter(weights)).meta  # of the first weights, at the size they were tested with
    model = spec(case.spec, case.network)
    assert sum(weight_size(each) for each in model.weights if each.spec.kind == "parameter") == published["num_params"]
    steps = model.steps if "aux" in case.trained else model.inference  # there the side classifier was counted, too
    multiply_adds = sum(evaluate(step.macs, dict(case.at)) for step in steps)
    assert abs(multiply_adds / 1e9 - published["_ops"]) <= 0.0006


def weight_size(weight: Any) -> int:
    return torch.Size(weight.spec.shape).numel()


@pytest.mark.parametrize("case", ON_ONNX)
def test_onnx_gives_the_same_outputs(case: Case, tmp_path: Path) -> None:
    model = spec(case.spec, case.network)
    module = same_weights(model, reference(case.witness, **case.options), case.ordered)
    prove(model, exported(model, module, tmp_path / "model.onnx"), module, tolerance=TOLERANCE)
