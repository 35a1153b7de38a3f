"""Labels with dots: modules that stand in one container of the state-dict and run apart from each other."""

from __future__ import annotations

from itertools import pairwise

import torch
from proved import codes, compiled, hold, network, source
from torch import nn

NET = """
block Unit(c: int) { conv: conv(c, 3, padding=1); norm: batchnorm; relu }

network N(widths: list = [4, 6]) {
    input x: [3, H, W]
    for i, c in enumerate(widths) {
        "downs.{i}": conv(c, 2, stride=2)
        "stages.{i}": { repeat 2 { Unit(c) } }
        "norms.{i}.n": batchnorm
    }
    "heads.last": conv(2, 1)
}
"""


class Reference(nn.Module):
    """The same by hand, as many published models are laid out (ConvNeXt's, SegFormer's, diffusion U-Nets)."""

    def __init__(self) -> None:
        super().__init__()
        widths = [3, 4, 6]
        pairs = list(pairwise(widths))

        def unit(c: int) -> nn.Module:
            parts = {"conv": nn.Conv2d(c, c, 3, padding=1), "norm": nn.BatchNorm2d(c), "act": nn.ReLU()}
            found = nn.Sequential()
            for name, part in parts.items():
                found.add_module(name, part)
            return found

        self.downs = nn.ModuleList([nn.Conv2d(a, b, 2, stride=2) for a, b in pairs])
        self.stages = nn.ModuleList([nn.Sequential(unit(b), unit(b)) for _, b in pairs])
        self.norms = nn.ModuleList([nn.ModuleDict({"n": nn.BatchNorm2d(b)}) for _, b in pairs])
        self.heads = nn.ModuleDict({"last": nn.Conv2d(6, 2, 1)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for down, stage, norm in zip(self.downs, self.stages, self.norms, strict=True):
            x = norm["n"](stage(down(x)))
        return self.heads["last"](x)


def test_interleaved_lists_have_the_keys_and_outputs_of_a_module_by_hand() -> None:
    module, wanted = hold(compiled(NET)), Reference().eval()
    assert list(module.state_dict()) == list(wanted.state_dict())
    module.load_state_dict(wanted.state_dict())
    x = torch.randn(2, 3, 8, 12)
    assert torch.allclose(module(x), wanted(x), atol=1e-6)


def test_containers_in_blocks_that_are_used_more_than_once() -> None:
    text = """
block Pair(c: int) { "a.0": conv(c, 1); "b.0": batchnorm; "a.1": conv(c, 3, padding=1); "b.1": relu; "act.0": tanh }
network N { input x: [3, H, W]; first: Pair(3); again: first -> first; other: Pair(5) }
"""
    model = compiled(text)
    hold(model)
    assert [each.key for each in model.weights][:6] == [
        "first.a.0.weight", "first.a.0.bias", "first.a.1.weight", "first.a.1.bias", "first.b.0.weight", "first.b.0.bias",
    ]  # fmt: skip


def test_what_has_no_weights_stands_in_no_container() -> None:
    assert "ModuleList" not in source('"acts.0": relu\n"acts.1": tanh', "[3, H, W]")
    hold(compiled(network('"acts.0": relu\n"acts.1": tanh', "[3, H, W]")))


def test_a_container_is_no_layer_too() -> None:
    for lines in ('a: conv(3, 1)\n"a.0": conv(3, 1)', '"a.0": conv(3, 1)\na: conv(3, 1)', '"a.0": relu\n"a.0": relu'):
        assert codes(network(lines, "[3, H, W]")) == ["duplicate-label"]
    assert codes(network('"a.0": conv(3, 1)\n"a.0.b": conv(3, 1)', "[3, H, W]")) == ["duplicate-label"]
    for label in ("a.", ".a", "a..b", ""):
        assert codes(network(f'"{label}": relu', "[3, H, W]")) == ["bad-label"]
