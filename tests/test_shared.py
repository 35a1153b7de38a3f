"""Modules that are used more than once: one set of weights, and each use is right in PyTorch and in ONNX."""

from __future__ import annotations

from proved import compiled, hold, network

from specc.backends.pytorch import write


def test_a_group_that_is_used_three_times() -> None:
    lines = """head: { repeat 2 { conv(3, 3, padding=1); relu }; conv(2, 1) }
output one: head
output two: relu(input) -> head
output three: input * 2 -> head"""
    module = hold(compiled(network(lines, "[3, H, W]")))
    assert len(list(module.parameters())) == 6


def test_a_head_in_a_shared_group_that_is_an_output_at_one_use_only() -> None:
    """The network trains on what goes into the sigmoid at that use, and the other use needs the sigmoid."""
    lines = """a: conv(4, 3, padding=1)
head: { conv(2, 3, padding=1); sigmoid }
output p: head
output q: input -> conv(4, 1) -> head
output r: rearrange(head, "c h w -> (h w) c")"""
    hold(compiled(network(lines, "[3, H, W]")))


def test_tensors_do_not_take_the_names_of_functions_that_formulas_need() -> None:
    """The padding of a pool that hangs over is a formula with `min`, and so is the default name of a minimum."""
    lines = "output low: min(input, 0.3)\noutput pooled: input -> avgpool(3, stride=2, padding=[[2, 1]], fit=up)"
    for each in (lines, lines.replace("low:", "min:"), lines + "\nlow + pooled[:, :1]"):
        module = compiled(network(each, "[3, L]"))
        assert "min(" in write(module)
        hold(module)
