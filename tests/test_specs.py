"""Every bundled spec through the whole chain: PyTorch's own shapes, counts and FLOPs, and onnxruntime, agree with the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from proved import counting

from specc.backends import onnx as onnx_backend
from specc.backends.onnx_file import write as write_onnx
from specc.backends.onnx_weights import Arrays
from specc.backends.pytorch import load, write
from specc.compiler import compile_text
from specc.data.project import open_spec
from specc.deploy.proof import prove, trials
from specc.model.graph import Model
from specc.model.report import report
from specc.sizes.dim import evaluate, symbols

SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.net"))
SMALL = {"LeNet5", "Logistic", "Iris", "Perceptron", "UNet", "ResNet18", "MobileNetV2Half", "MultiClassPerceptron", "SVM"} | {
    "MultiClassSVM", "MultiClassLogistic", "ThreeHidden", "FiveHidden", "TwoHidden", "FourHidden", "FourHiddenFourClasses",
    "JoinedDigit", "JoinedPicture", "ConvNet", "MobileNetQuarter",
}  # fmt: skip
HUGE = {
    "Llama2",
    "Llama3",
    "Mistral7B",
    "GPT2XL",
}  # too large for the memory at hand; small ones stand in for them elsewhere
LONG = {"FCN16s", "FCN8s"}  # their report takes seconds: two unknown sizes through five floors
DTYPES = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}


def models() -> list[Any]:
    found = []
    for path in SPECS:
        project = open_spec(path)
        for name, model in compile_text(project.text, project.name, read=project.read).models.items():
            sizes = {each for weight in model.weights for size in weight.spec.shape for each in symbols(size)}
            if sizes:  # its weights depend on unknown sizes: bind them
                bound = dict.fromkeys(sizes, 7)
                model = compile_text(project.text, project.name, read=project.read, sizes=bound, network=name).model()
            marks = [pytest.mark.slow] if name in LONG else []
            found.append(pytest.param(model, id=f"{path.stem}-{name}", marks=marks))
    return found


MODELS = models()


@pytest.mark.parametrize("model", MODELS)
def test_pytorch_has_the_reports_names_shapes_counts_and_flops(model: Model) -> None:
    said = report(model)
    with torch.device("meta"):
        module = load(write(model), model.name)().eval()
    assert [[key, list(value.shape)] for key, value in module.state_dict().items()] == said["state_dict"]
    assert sum(value.numel() for value in module.parameters()) == said["parameters"]
    sizes, batch = trials(model)[-1]
    inputs = [
        torch.zeros(batch, *(evaluate(n, sizes) for n in model.type(port.value).shape), device="meta").to(
            DTYPES[model.type(port.value).dtype]
        )
        for port in model.inputs
    ]
    with torch.no_grad(), counting() as counter:
        result = module(*inputs)
    used = [port for port in model.outputs if not port.training]
    outputs = result if isinstance(result, dict) else {used[0].name: result}
    for port in used:
        assert list(outputs[port.name].shape) == [batch, *(evaluate(n, sizes) for n in model.type(port.value).shape)]
    macs = sum(evaluate(step.macs, sizes) for step in model.inference)
    if any("table" in step.expressions for step in model.steps):
        assert macs < counter.get_total_flops() / 2 / batch  # PyTorch multiplies the zeros of the table, too
    else:
        assert 2 * batch * macs == counter.get_total_flops()


def agrees(model: Model, folder: Path) -> None:
    torch.manual_seed(0)
    module = load(write(model), model.name)().eval()
    arrays = {key: value.numpy() for key, value in module.state_dict().items()}
    path = folder / "model.onnx"
    write_onnx(onnx_backend.lower(model, weights=Arrays(arrays)), path)
    assert prove(model, path, module).error <= 1e-4


@pytest.mark.parametrize("model", [each for each in MODELS if each.values[0].name in SMALL])
def test_onnxruntime_agrees(model: Model, tmp_path: Path) -> None:
    agrees(model, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("model", [each for each in MODELS if each.values[0].name not in SMALL | HUGE])
def test_onnxruntime_agrees_on_the_large_ones(model: Model, tmp_path: Path) -> None:
    agrees(model, tmp_path)
