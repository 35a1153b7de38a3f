"""Pools and their way back, resampling, shuffles and unshared weights, each against an independent witness."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from proved import built, codes, compiled, hold, inputs_of, network, outputs_of, source
from torch.nn import functional as F

from specc.backends.onnx import lower
from specc.model.report import memory
from specc.text.diagnostics import SpecError

SEGNET = """pool1: conv(4, 3, padding=1) -> relu -> maxpool(2)
    pool2: conv(4, 3, padding=1) -> maxpool(2)
    up2: unpool(pool2.indices, 2) -> conv(4, 3, padding=1)
    up1: unpool(pool1.indices, 2) -> conv(2, 3, padding=1)"""


def nodes(lines: str, *shapes: str) -> list[str]:
    return [each.kind for each in lower(compiled(network(lines, *shapes)), weights=None).nodes]


def made(lines: str, *shapes: str) -> tuple[list[torch.Tensor], dict[str, torch.Tensor], Any]:
    model = compiled(network(lines, *shapes))
    module = built(model)
    x = inputs_of(model, {}, 2)
    return x, outputs_of(model, module, x), module


# ------------------------------------------------------------------------------------------------- pools and back
@pytest.mark.parametrize("shape", ["[3, 16, 8]", "[3, H, W]"])
def test_indices_that_only_unpool_reads_cost_no_node(shape: str) -> None:
    found = nodes(SEGNET, shape)
    assert found == ["Conv", "Relu", "MaxPool", "Conv", "MaxPool", "MaxUnpool", "Conv", "MaxUnpool", "Conv"]
    hold(compiled(network(SEGNET, shape)))
    sized = SEGNET.replace("pool1.indices, 2", "pool1.indices, 2, size=input.spatial")
    assert nodes(sized, shape) == found


def test_the_module_asks_for_indices_only_where_they_are_used() -> None:
    text = source(SEGNET + "\n    maxpool(2)", "[3, 16, 8]")
    assert text.count("return_indices=True") == 2
    text = source("pool2: maxpool(2)\n    relu\n    up2: unpool(pool2.indices, 2)\n    up2 + up2", "[3, 16, 8]")
    assert "pool2, pool2_indices = F.max_pool2d(input, 2, return_indices=True)" in text
    (pool,) = lower(compiled(network("maxpool(2)", "[3, 16, 8]")), weights=None).nodes
    assert len(pool.outputs) == 1


def test_two_labels_take_the_maxima_and_their_places() -> None:
    lines = "largest, where: maxpool(3, stride=2, padding=1)\n    unpool(where, 3, stride=2, padding=1, size=[8, 6])"
    hold(
        compiled(network("x -> " + lines.replace("largest, where: ", "relu\n    largest, where: "), "[3, 8, 6]", "[1]"))
    )


def test_indices_that_nobody_reads_take_no_memory() -> None:
    plain, used = (
        memory(compiled(network(lines, "[4, 8, 8]"))) for lines in ("maxpool(2)", "maxpool(2) as a\na.indices")
    )
    assert plain["training"] == 4 * 4 * 16
    assert used["training"] == (4 + 8) * 4 * 16


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        ("maxpool(3, stride=1, padding=[[0, 2], 1])", "[2, 5, 6]"),
        ("maxpool(3, stride=2, padding=[[2, 1]])", "[2, 8]"),
        ("maxpool(3, stride=2, padding=[[1, 0], [0, 1], [2, 2]], fit=down)", "[2, 6, 6, 5]"),
    ],
)
def test_the_places_hold_the_maxima(call: str, shape: str) -> None:
    (x,), found, _ = made(f"a, b: {call}\n    output a\n    output b", shape)
    assert torch.equal(x.flatten(2).gather(2, found["b"].flatten(2)), found["a"].flatten(2))


@pytest.mark.parametrize(("kernel", "shape"), [("2", "[2, 5]"), ("[2, 3]", "[2, 4, 3]"), ("[1, 2, 3]", "[2, 2, 3, 4]")])
def test_unpooling_without_indices(kernel: str, shape: str) -> None:
    (x,), zeros, _ = made(f"unpool({kernel}, fill=zeros)", shape)
    _, copies, _ = made(f"unpool({kernel}, fill=nearest)", shape)
    steps = [int(each) for each in kernel.strip("[]").split(",")]
    wanted = torch.zeros_like(next(iter(zeros.values())))
    wanted[(..., *(slice(None, None, step) for step in steps))] = x
    assert torch.equal(next(iter(zeros.values())), wanted)
    for axis, step in enumerate(steps, 2):
        x = x.repeat_interleave(step, axis)
    assert torch.equal(next(iter(copies.values())), x)


# ------------------------------------------------------------------------------------------------------ resampling
@pytest.mark.parametrize(
    ("call", "shape"),
    [
        ("interpolate(scale=41)", "[2, L]"),
        ("interpolate(scale=1.2)", "[2, L]"),
        ("interpolate(scale=1.2, mode=linear)", "[2, L]"),
        ("interpolate(scale=1.2, mode=cubic)", "[2, 4, 4]"),
        ("unfold(3)", "[C, 5, 5]"),
        ("local_conv(2, 3)", "[2, L]"),
    ],
)
def test_what_onnx_cannot_do_exactly_is_refused(call: str, shape: str) -> None:
    with pytest.raises(SpecError) as refused:
        lower(compiled(network(call, shape)), weights=None)
    assert refused.value.diagnostic.code == "not-in-onnx"


@pytest.mark.parametrize("scale", [41, 47, 0.3, 0.9, 1.1, 2.3])
def test_the_nearest_place_is_pytorchs_own(scale: float) -> None:
    """Where division and multiplication by the inverse round apart, the places are written out."""
    hold(compiled(network(f"interpolate(scale={scale})", "[1, 60]")))


def test_resizing_is_one_node() -> None:
    assert nodes("interpolate(scale=2)", "[3, H, W]") == ["Resize"]
    assert nodes("interpolate(size=[8, 9], mode=linear)", "[3, H, W]") == ["Resize"]
    assert nodes("small: maxpool(2)\n    interpolate(like=input)", "[3, H, W]") == ["MaxPool", "Shape", "Resize"]
    assert nodes("interpolate(size=[4, 5])", "[3, 4, 5]") == ["Identity"]


# -------------------------------------------------------------------------------------------------------- shuffles
@pytest.mark.parametrize("shape", ["[8, 5]", "[16, 3, 2]", "[32, 2, 3, 2]"])
def test_shuffles_at_every_rank(shape: str) -> None:
    """Place (f i + a) of channel c comes from place i of channel (c, a...), and back."""
    (x,), found, _ = made("pixel_shuffle(2)", shape)
    y, rank = next(iter(found.values())), x.dim() - 2
    for at in range(2**rank):
        corner = [at >> (rank - 1 - axis) & 1 for axis in range(rank)]
        assert torch.equal(y[(..., *(slice(each, None, 2) for each in corner))], x[:, at :: 2**rank])
    _, back, _ = made("pixel_shuffle(2) -> pixel_unshuffle(2)", shape)
    assert torch.equal(next(iter(back.values())), x)


# -------------------------------------------------------------------------------------------------- unshared weights
@pytest.mark.parametrize(
    ("call", "shape", "stride", "pads"),
    [
        ("local_conv(4, 3, padding=1)", "[2, 5]", 1, (1, 1)),
        ("local_conv(3, 2, stride=2)", "[2, 4, 6]", 2, (0, 0, 0, 0)),
    ],
)
def test_unshared_weights_window_by_window(call: str, shape: str, stride: int, pads: tuple[int, ...]) -> None:
    (x,), found, module = made(call, shape)
    y, (weight, bias) = next(iter(found.values())), module.parameters()
    x = F.pad(x, pads)
    for place in torch.cartesian_prod(*(torch.arange(size) for size in y.shape[2:])).reshape(-1, y.dim() - 2).tolist():
        window = x[
            (
                ...,
                *(
                    slice(at * stride, at * stride + size)
                    for at, size in zip(place, weight.shape[y.dim() :], strict=True)
                ),
            )
        ]
        wanted = (window[:, None] * weight[tuple(place)]).flatten(2).sum(2) + bias[(slice(None), *place)]
        torch.testing.assert_close(y[(..., *place)], wanted)


def test_places_of_a_larger_tensor_are_refused_or_become_a_condition() -> None:
    """What a pool leaves out may hold a maximum, whose place is then not there in what is unpooled."""
    lines = "pool: maxpool(2, fit=down)\nunpool(pool.indices, 2)"
    assert codes(network(lines, "[3, 5, 6]")) == ["shape-mismatch"]
    assert [each.text for each in compiled(network(lines, "[3, H, 6]")).conditions] == ["H is even, at least 2"]
    hold(compiled(network(lines.replace(", 2)", ", 2, size=input.spatial)"), "[3, 5, W]")))
