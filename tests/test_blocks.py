"""The blocks of `specs/blocks`: each on a case through PyTorch and onnxruntime, with the counts that its head states, and values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import reference
import torch
from proved import built, hold
from torch.nn import functional as F

from specc.backends.pytorch import load, write
from specc.compiler import compile_text
from specc.model.graph import Model
from specc.model.report import report

BLOCKS = Path(__file__).parent.parent / "specs" / "blocks"
SIZES = {"H": 9, "W": 7}


def using(names: str, file: str, lines: str, shape: str) -> Model:
    text = f'import {names} from "{file}.net"\nnetwork N {{\n    input x: {shape}\n    {lines}\n}}\n'
    found = compile_text(text, "n.net", read=lambda path: (BLOCKS / Path(path).name).read_text(encoding="utf-8"))
    assert [(each.code, each.message) for each in found.bag] == []
    return found.model()


@pytest.mark.parametrize(
    ("names", "file", "lines", "shape", "sizes"),
    [
        ("Inception", "inception", "Inception(64, 96, 128, 16, 32, 32)  expect [256, H, W], params=163_696", "[192, H, W]", SIZES),
        ("Inception", "inception", "Inception(4, 3, 5, 2, 6, 7, large=3)  expect [22, 9, 5]", "[3, 9, 5]", {}),
        ("SwiGLU", "swiglu", "SwiGLU(10)  expect [T, 4], params=3 * 4 * 10", "[T, 4]", {"T": 5}),
        ("SwiGLU", "swiglu", "SwiGLU(6)   expect [4], params=72", "[4]", {}),
        ("ASPP", "aspp", "ASPP(8, [1, 2, 3])  expect [8, H, W], params=6 * 8 * (2 + 9 * 3) + 8 * 5 * 8 + 12 * 8", "[6, H, W]", SIZES),
        ("SqueezeExcite", "squeeze_excite", "SqueezeExcite(2)  expect [8, H, W], params=2 * 9 + 8 * 3", "[8, H, W]", SIZES),
        ("Subsample", "subsampling", "Subsample  expect [6, 14, 14], params=12", "[6, 28, 28]", {}),
        ("Squash", "subsampling", "Squash     expect [5], params=0", "[5]", {}),
        ("Codebook", "rbf", "Codebook(10)  expect [10], params=0, buffers=840", "[84]", {}),
        ("Basic", "residual", "Basic(8, stride=2)  expect [8, 4, 4]", "[4, 8, 8]", {}),
        ("Bottleneck", "residual", "Bottleneck(4)  expect [16, 8, 8]", "[4, 8, 8]", {}),
        ("ConvNorm, Projection", "conv_norm", "ConvNorm(8, stride=2); Projection(3)  expect [3, 4, 4]", "[4, 8, 8]", {}),
    ],
)  # fmt: skip
def test_a_block_compiles_exports_and_counts(
    names: str, file: str, lines: str, shape: str, sizes: dict[str, int]
) -> None:
    hold(using(names, file, lines, shape), *([sizes] if sizes else []))


def result(model: Model, x: torch.Tensor) -> tuple[Any, torch.Tensor]:
    module = built(model)
    with torch.no_grad():
        return module, module(x)


def test_subsampling_adds_four_neighbours() -> None:
    x = torch.randn(2, 3, 4, 6)
    module, found = result(using("Subsample", "subsampling", "s: Subsample", "[3, 4, 6]"), x)
    added = x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]
    wanted = 1.7159 * torch.tanh((module.s.weight * added + module.s.bias) * 2 / 3)
    torch.testing.assert_close(found, wanted)


def test_the_squashing_function_takes_one_to_one() -> None:
    _, found = result(using("Squash", "subsampling", "Squash", "[3]"), torch.tensor([[-1.0, 0.0, 1.0]]))
    torch.testing.assert_close(found, torch.tensor([[-1.0, 0.0, 1.0]]), atol=1e-4, rtol=0)


def test_the_codebook_gives_squared_distances() -> None:
    x = torch.randn(4, 7)
    module, found = result(using("Codebook", "rbf", "c: Codebook(5)", "[7]"), x)
    torch.testing.assert_close(found, torch.cdist(x, module.c.codes).square(), atol=1e-4, rtol=1e-4)
    assert set(module.c.codes.unique().tolist()) <= {-1.0, 1.0}


def test_swiglu_is_equation_six() -> None:
    x = torch.randn(2, 3, 4)
    module, found = result(using("SwiGLU", "swiglu", "f: SwiGLU(6)", "[3, 4]"), x)
    gate, up, down = (module.f.get_parameter(name) for name in ("gate.0.weight", "up.weight", "down.weight"))
    torch.testing.assert_close(found, (F.silu(x @ gate.T) * (x @ up.T)) @ down.T)


@pytest.mark.parametrize(
    ("spec", "network", "name", "options"),
    [
        ("googlenet", "GoogLeNet", "googlenet", {"aux_logits": True, "init_weights": False, "transform_input": False}),
        ("alexnet", "OneTower", "alexnet", {}),
    ],
)
def test_weights_and_outputs_are_torchvisions(spec: str, network: str, name: str, options: dict[str, object]) -> None:
    witness = reference.reference(name, **options)
    model = reference.spec(spec, network)
    module = load(write(model), network)().eval()
    state = witness.state_dict()
    assert report(model)["state_dict"] == [[key, list(value.shape)] for key, value in state.items()]
    module.load_state_dict(state)
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(module.logits(x), witness(x))
        if spec != "googlenet":
            return
        for each in (module, witness):
            reference.without_chance(each)
        found, wanted = module.logits(x), witness(x)
    torch.testing.assert_close(found["output"], wanted.logits)
    torch.testing.assert_close(found["aux1"], wanted.aux_logits1)
    torch.testing.assert_close(found["aux2"], wanted.aux_logits2)


@pytest.mark.parametrize(("spec", "count"), [("googlenet", 6_624_904), ("googlenet_2014", 6_998_552)])
def test_googlenet_without_its_side_classifiers(spec: str, count: int) -> None:
    model = reference.spec(spec, "GoogLeNet")
    with torch.device("meta"):
        module = load(write(model), model.name)()
    kept = [value.numel() for key, value in module.named_parameters() if not key.startswith("aux")]
    assert sum(kept) == count
