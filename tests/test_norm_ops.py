"""Normalisation, regularisation and further elementwise ops beyond what every op is held to: training and extremes."""

from __future__ import annotations

import pytest
import torch
from proved import built, codes, compiled, exported, hold, network, source
from torch.nn import functional as F

from specc.backends.pytorch import load, write
from specc.compiler import compile_text
from specc.deploy.proof import open_session, relative_error


def of(lines: str, *shapes: str) -> torch.nn.Module:
    model = compiled(network(lines, *shapes))
    torch.manual_seed(0)
    module: torch.nn.Module = load(write(model), model.name)()
    return module


@pytest.mark.parametrize(
    ("line", "shape", "said"),
    [
        ("layernorm", "[T, 8]", "nn.LayerNorm(8)"),
        ("layernorm(eps=1e-6, bias=false)", "[T, 8]", "nn.LayerNorm(8, eps=1e-06, bias=False)"),
        ("layernorm(axis=[1, 2])", "[3, 4, 5]", "nn.LayerNorm((4, 5))"),
        ("layernorm(axis=0)", "[6, H, W]", ".movedim(1, -1)).movedim(-1, 1)"),
        ("layernorm(axis=0, affine=false)", "[6, L]", "F.layer_norm(input.movedim(1, -1), (6,)).movedim(-1, 1)"),
        ("a: layernorm(affine=false)\na", "[T, F]", "F.layer_norm(input, (input.shape[2],))"),
        ("rmsnorm", "[T, 8]", "nn.RMSNorm(8, eps=1e-05)"),
        ("groupnorm(4)", "[8, H, W]", "nn.GroupNorm(4, 8)"),
        ("instancenorm(affine=true)", "[8, D, H, W]", "nn.InstanceNorm3d(8, affine=True)"),
        ("unit(axis=0)", "[8, H, W]", "F.normalize(input, dim=1)"),
        ("var(axis=0)", "[8, L]", "input.var(dim=1)"),
        ("var(axis=0, keep=true, correction=0)", "[8, L]", "input.var(dim=1, correction=0, keepdim=True)"),
        ("stochastic_depth(0.2)", "[8]", "StochasticDepth(0.2)"),
        ("a: tanh\ninput + stochastic_depth(a, 0.2)", "[8]", "stochastic_depth(torch.tanh(input), 0.2, self.training)"),
        ("a: tanh\ninput + dropout(a, 0.2)", "[8]", "F.dropout(torch.tanh(input), 0.2, self.training)"),
        ("input + noise(0.1, like=input)", "[8]", "input + noise(input, 0.1, self.training)"),
        ("conv(4, 3, weight_norm=true)", "[2, L]", "nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 4, 3))"),
        ("hardtanh(high=0.5)", "[8]", "nn.Hardtanh(-1, 0.5)"),
        ("softplus(beta=2)", "[8]", "nn.Softplus(beta=2)"),
    ],
)
def test_the_module_is_what_one_would_write(line: str, shape: str, said: str) -> None:
    assert said in source(line, shape)


# --------------------------------------------------------------------------------------------------------- training
def sample_by_sample(x: torch.Tensor, rate: float) -> torch.Tensor:
    """One draw for each sample: with this probability it is 0, else scaled so that the mean stays."""
    draws = torch.empty(len(x)).bernoulli_(1 - rate)
    return torch.stack([each / (1 - rate) if draw else 0 * each for each, draw in zip(x, draws, strict=True)])


def test_stochastic_depth_drops_whole_samples() -> None:
    x = torch.randn(64, 3, 4, 4)
    for lines in ("stochastic_depth(0.3)", "input + 0 * input\nstochastic_depth(0.3)"):
        module = of(lines, "[3, 4, 4]").train()
        torch.manual_seed(5)
        got = module(x)
        torch.manual_seed(5)
        assert torch.allclose(got, sample_by_sample(x, 0.3), rtol=1e-6)
        dropped = (got == 0).flatten(1).all(1)
        assert 0 < dropped.sum() < 64
        assert torch.equal(module.eval()(x), x)


def test_stochastic_depth_and_dropout_in_an_expression_act_only_in_training() -> None:
    x = torch.randn(64, 5)
    for name, other in (("stochastic_depth", sample_by_sample), ("dropout", F.dropout)):
        module = of(f"a: tanh\ninput + {name}(a, 0.5)", "[5]").train()
        torch.manual_seed(1)
        got = module(x)
        torch.manual_seed(1)
        assert torch.allclose(got, x + other(x.tanh(), 0.5), rtol=1e-6)
        assert torch.equal(module.eval()(x), x + x.tanh())


def test_noise_is_normal_in_training_and_absent_afterwards() -> None:
    module = of("input + noise(0.5, like=input)", "[100]").train()
    x = torch.randn(400, 100)
    torch.manual_seed(3)
    apart = module(x) - x
    torch.manual_seed(3)
    assert torch.allclose(apart, 0.5 * torch.randn(400, 100), atol=1e-6)
    assert apart.std().item() == pytest.approx(0.5, rel=0.02)
    assert apart.mean().abs().item() < 0.01
    assert torch.equal(module.eval()(x), x)


def test_noise_needs_a_tensor_of_real_numbers() -> None:
    assert codes(network("noise(like=input)", "int [4]")) == ["wrong-dtype"]
    assert codes(network("input -> noise(like=input)", "[4]")) == ["flow-is-lost"]


def test_norms_run_in_training_at_the_least_size_that_is_taken() -> None:
    """What is refused is what PyTorch refuses in training with one sample."""
    for line, least in (("groupnorm(4)", "[8]"), ("groupnorm(4)", "[4, 2]"), ("instancenorm", "[4, 2]")):
        shape = [int(size) for size in least.strip("[]").split(",")]
        of(line, least).train()(torch.randn(1, *shape))
    for line, less, run in (
        ("groupnorm(4)", "[4]", lambda: F.group_norm(torch.randn(1, 4), 4)),
        ("groupnorm(4)", "[4, 1]", lambda: F.group_norm(torch.randn(1, 4, 1), 4)),
        ("instancenorm", "[4, 1]", lambda: F.instance_norm(torch.randn(1, 4, 1))),
    ):
        assert codes(network(line, less)) == ["bad-argument"]
        with pytest.raises(ValueError, match="Expected more than 1"):
            run()


# --------------------------------------------------------------------------------------------------------- extremes
@pytest.mark.parametrize("line", ["layernorm(axis=0)", "layernorm", "groupnorm(2)", "groupnorm(8)", "instancenorm"])
def test_norms_are_right_far_from_zero(line: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A mean of a hundred times the spread: onnxruntime against the same network in float64."""
    model = compiled(network(line, "[8, 6, 10]"))
    module = built(model)
    x = torch.randn(3, 8, 6, 10, generator=torch.Generator().manual_seed(1)) + 100
    session = open_session(exported(model, module, tmp_path / "model.onnx"))
    (got,) = session.run(None, {"input": x.numpy()})
    with torch.no_grad():
        wanted = module.double()(x.double()).float()
    assert relative_error(got, wanted.numpy()) < 1e-4


def test_weight_norm_is_pytorchs() -> None:
    module = of("conv(4, 3, weight_norm=true)", "[2, 9]")
    other = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(2, 4, 3))
    assert [key.split(".", 1)[1] for key in module.state_dict()] == list(other.state_dict())
    other.load_state_dict({key.split(".", 1)[1]: each for key, each in module.state_dict().items()})
    x = torch.randn(2, 2, 9)
    assert torch.equal(module(x), other(x))


def test_weight_norm_holds_with_other_lengths() -> None:
    """After the start a kernel's length is that of its direction; here it is not."""
    model = compiled(
        network("conv(4, 3, weight_norm=true) -> relu -> conv(3, 2, weight_norm=true, bias=false)", "[2, H, W]")
    )
    module = built(model)
    with torch.no_grad():
        for key, value in module.named_parameters():
            if key.endswith("original0"):
                value.uniform_(0.5, 3)
    hold(model, {"H": 5, "W": 7}, module=module)


# ----------------------------------------------------------------------------------------------- numbers and layers
def test_rounding_is_a_value_on_numbers_and_a_layer_on_tensors() -> None:
    text = network(
        "let a = floor(2.5) + ceil(0.2) + round(2.5)\nlet third = ceil(input.height / 3)\nconv(a, 1)\nround\n"
        "y: 3 * floor(2 * input[0, :, :])\npad([0, third], axes=[0, 1])\nceil",
        "[3, H, W]",
    )
    found = compile_text(text, fixes=False)
    assert [each.code for each in found.bag if each.severity == "error"] == [], [each.message for each in found.bag]
    assert "torch.floor(2 * " in write(found.model())


def test_lrn_takes_permuted_volumes() -> None:
    hold(compiled(network("permute(3, 1, 2, 0)\nlrn(3, alpha=1)", "[2, 3, H, 5]")), {"H": 4})
