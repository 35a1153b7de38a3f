"""What published networks build from places and constants: index tables, encodings, masks, neighbours, windows."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from proved import built, codes, compiled, hold, network, outputs_of, source


def run(text: str, *x: torch.Tensor, sizes: dict[str, int] | None = None) -> dict[str, torch.Tensor]:
    """What the network gives, once onnxruntime was found to give the same."""
    model = compiled(text, sizes)
    return outputs_of(model, hold(model), x)


def parameter(text: str, key: str, *x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A weight of the network and its result, onnxruntime agreeing."""
    model = compiled(text)
    module = hold(model, module=built(model))
    return module.state_dict()[key], next(iter(outputs_of(model, module, x).values()))


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------------------------------- relative positions
SWIN = """
block Biased(window: int, heads: int) {
    parameter relative_position_bias_table: [(2 * window - 1) ** 2, heads], init=normal
    place: arange(window ** 2)
    row: place // window
    column: place % window
    down: unsqueeze(row, 1) - unsqueeze(row, 0) + (window - 1)
    across: unsqueeze(column, 1) - unsqueeze(column, 0) + (window - 1)
    bias: gather(relative_position_bias_table, (2 * window - 1) * down + across) -> permute(2, 0, 1)
    input + bias
}

network Swin {
    input scores: [2, 9, 9]
    biased: Biased(3, 2)
}
"""


def test_swins_relative_position_bias() -> None:
    """Liu et al. 2021 (arXiv:2103.14030), eq. 4: the bias of two places is that of their offset, worked out by hand."""
    x = numbers(2, 2, 9, 9)
    table, made = parameter(SWIN, "biased.relative_position_bias_table", x)
    for one in range(9):
        for other in range(9):
            down, across = one // 3 - other // 3, one % 3 - other % 3
            bias = table[(down + 2) * 5 + across + 2]
            assert torch.allclose(made[:, :, one, other], x[:, :, one, other] + bias, atol=1e-6)


T5 = """
network T5 {
    input x: [T]
    parameter table: [9], init=normal
    place: arange(T)
    apart: unsqueeze(place, 0) - unsqueeze(place, 1)
    near: min(max(apart, constant(-4)), constant(4)) + 4
    bias: gather(table, near)
    einsum("t,ts->s", x, bias)
}
"""


def test_clipped_relative_positions_of_an_unknown_length() -> None:
    """Shaw et al. 2018 (arXiv:1803.02155), eq. 4: offsets are clipped to the table."""
    for length in (1, 3, 8):
        x = numbers(2, length)
        table, made = parameter(T5, "table", x)
        bias = torch.tensor([[float(table[max(-4, min(4, s - t)) + 4]) for s in range(length)] for t in range(length)])
        assert torch.allclose(made, x @ bias, atol=1e-5)


# ---------------------------------------------------------------------------------------------------------- encodings
SINES = """
network Encoded {
    input tokens: [T, 6]
    rate: exp(cast(arange(3), float) * (-log(10000.0) / 3))
    angle: einsum("t,c->tc", cast(arange(T), float), rate)
    tokens + (stack(sin(angle), cos(angle), axis=-1) -> reshape([T, 6]))
}
"""


def test_sinusoidal_positions_of_an_unknown_length() -> None:
    """Vaswani et al. 2017 (arXiv:1706.03762), section 3.5: sines at even places, cosines at odd ones."""
    x = numbers(2, 5, 6)
    (made,) = run(SINES, x).values()
    for place in range(5):
        for at in range(6):
            angle = place / 10000 ** (2 * (at // 2) / 6)
            wanted = math.sin(angle) if at % 2 == 0 else math.cos(angle)
            assert torch.allclose(made[:, place, at], x[:, place, at] + wanted, atol=1e-5)


ROTARY = """
network Rotary {
    input q: [2, T, 4]
    rate: exp(cast(arange(2), float) * (-log(10000.0) / 2))
    angle: einsum("t,c->tc", cast(arange(T), float), rate) -> tile(2, axis=-1) -> unsqueeze(0)
    left, right: split(q, 2, axis=-1)
    turned: concat(-right, left, axis=-1)
    q * cos(angle) + turned * sin(angle)
}
"""


def test_rotary_positions() -> None:
    """Su et al. 2021 (arXiv:2104.09864), eq. 15: each pair of features is turned by its place times its rate."""
    x = numbers(1, 2, 7, 4)
    (made,) = run(ROTARY, x).values()
    pairs = torch.complex(x[..., :2], x[..., 2:])
    turn = torch.polar(torch.ones(7, 2), torch.arange(7.0)[:, None] * torch.tensor([1.0, 0.01]))
    wanted = pairs * turn
    assert torch.allclose(made, torch.cat([wanted.real, wanted.imag], -1), atol=1e-5)


# -------------------------------------------------------------------------------------- a class token, masks, selection
def test_a_class_token_before_rows_of_an_unknown_number() -> None:
    text = """
network ViT {
    input rows: [P, 4]
    parameter cls_token: [1, 4], stored=[1, 1, 4], init=normal
    concat(cls_token, rows)       expect [P + 1, 4]
}
"""
    x = numbers(3, 5, 4)
    token, made = parameter(text, "cls_token", x)
    assert torch.equal(made, torch.cat([token.expand(3, 1, 4), x], 1))


def test_a_causal_mask_from_places() -> None:
    text = """
network Causal {
    input scores: [2, T, T]
    place: arange(T)
    seen: unsqueeze(place, 1) >= unsqueeze(place, 0)
    select(unsqueeze(seen, 0), scores, -1e9) -> softmax(axis=-1)
}
"""
    x = numbers(2, 2, 6, 6)
    (made,) = run(text, x).values()
    hidden = torch.ones(6, 6, dtype=torch.bool).triu(1)
    assert torch.allclose(made, x.masked_fill(hidden, -math.inf).softmax(-1), atol=1e-6)


def test_constants_are_made_where_the_inputs_are() -> None:
    text = source("1.0 * arange(input.length) * ones(input.length) + gather(input, constant(0))", "[4, T]")
    assert text.count("device=") == 3
    assert "device=x.device" in text or "device=input.device" in text


def test_a_block_may_use_its_input_for_its_size_alone() -> None:
    text = """
block Places { 1.0 * arange(input.length) }
block Deep { places: Places }
network N {
    input x: [4, T]
    first: x -> Deep
    x + unsqueeze(first, 0)
}
"""
    x = numbers(2, 4, 7)
    (made,) = run(text, x).values()
    assert torch.equal(made, x + torch.arange(7.0))


# ----------------------------------------------------------------------------------------------------------- neighbours
def test_edge_features_of_each_samples_neighbours() -> None:
    """Wang et al. 2019 (arXiv:1801.07829), section 3: the neighbours' features less the point's own, beside the latter."""
    text = """
network Edges {
    input points: [P, 3]
    input near: int [P, 2]
    beside: gather(points, near)              expect [P, 2, 3]
    own: unsqueeze(points, 1) -> expand([P, 2, 3])
    concat(beside - own, own, axis=-1)        expect [P, 2, 6]
}
"""
    x = numbers(2, 5, 3)
    near = torch.tensor([[[1, 2], [0, 3], [3, 3], [2, 0], [1, 1]], [[3, 2], [2, 0], [0, 1], [1, 2], [0, 3]]])
    (made,) = run(text, x, near).values()
    for sample in range(2):
        for point in range(5):
            for at, other in enumerate(near[sample, point]):
                own = x[sample, point]
                assert torch.equal(made[sample, point, at], torch.cat([x[sample, other] - own, own]))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("rank", [0, 1, 2])
@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("index", [True, False])
def test_gather_picks_as_a_loop_over_samples_does(axis: int, rank: int, table: bool, index: bool) -> None:
    shape = [[], [3], [2, 3]][rank]
    lines = ["input x: [4, 4, 4]", f"input at: int {shape}"]
    if not table:
        lines.append("parameter rows: [4, 4, 4], init=normal")
    picked = "at" if index else f"reshape(arange({math.prod(shape)}) % 4, {shape})"
    call = f"gather({'x' if table else 'rows'}, {picked}, axis={axis})"
    text = "network G {\n" + "\n".join([*lines, f"result: {call}", "output result"]) + "\n}\n"
    model = compiled(text)
    module = hold(model)
    x, at = numbers(2, 4, 4, 4), torch.randint(0, 4, (2, *shape), generator=torch.Generator().manual_seed(1))
    (made,) = outputs_of(model, module, (x, at)).values()
    fixed = torch.arange(math.prod(shape)).reshape(shape) % 4
    for sample in range(2):
        rows = x[sample] if table else module.state_dict()["rows"]
        places = at[sample] if index else fixed
        wanted = torch.stack([rows.select(axis, int(each)) for each in places.flatten()])
        wanted = wanted.movedim(0, axis).reshape(*[4] * axis, *shape, *[4] * (2 - axis))
        assert torch.equal(made[sample] if table or index else made, wanted)


# -------------------------------------------------------------------------------------------------------------- windows
def test_patch_merging_takes_every_second_row_and_column() -> None:
    """Swin's merging (torchvision's order): rows and columns of even and odd places, side by side as features."""
    text = """
network Merge {
    input x: [H, W, 3]
    where H % 2 == 0 and W % 2 == 0
    concat(x[::2, ::2], x[1::2, ::2], x[::2, 1::2], x[1::2, 1::2], axis=-1)      expect [H // 2, W // 2, 12]
}
"""
    x = numbers(2, 4, 6, 3)
    (made,) = run(text, x).values()
    parts = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
    assert torch.equal(made, torch.cat(parts, -1))


def test_shifted_windows_of_an_unknown_size() -> None:
    """Rolled, cut into windows and put back: the same as it was, for all multiples of the window."""
    text = """
network Windows {
    input x: [H, W, 2]
    where H % 4 == 0 and W % 4 == 0
    roll([-2, -2], axes=[0, 1])
    windows: rearrange("(a p) (b q) c -> (a b) (p q) c", p=4, q=4)      expect [H * W // 16, 16, 2]
    rearrange("(a b) (p q) c -> (a p) (b q) c", a=H // 4, p=4)
    back: roll([2, 2], axes=[0, 1])                                      expect [H, W, 2]
    output windows
    output back
}
"""
    model = compiled(text)
    module = hold(model, {"H": 4, "W": 8}, {"H": 12, "W": 4})
    x = numbers(2, 8, 12, 2)
    made = outputs_of(model, module, (x,))
    assert torch.equal(made["back"], x)
    wanted = torch.roll(x, (-2, -2), (1, 2)).reshape(2, 2, 4, 3, 4, 2).transpose(2, 3).reshape(2, 6, 16, 2)
    assert torch.equal(made["windows"], wanted)


@pytest.mark.parametrize("shift", [-9, -5, -2, 0, 1, 4, 5, 13])
def test_a_roll_by_more_than_the_size_goes_round(shift: int) -> None:
    x = torch.arange(5.0).reshape(1, 5)
    for shape in ("[5]", "[T]"):
        (made,) = run(f"network R {{\n input x: {shape}\n roll({shift}, axes=0)\n}}\n", x).values()
        assert made[0].tolist() == [float((at - shift) % 5) for at in range(5)]


# ----------------------------------------------------------------------------------------------------------- the rules
WHOLE = [(a, b) for a in range(-7, 8) for b in (-3, -2, -1, 1, 2, 3)]


def test_whole_numbers_divide_as_in_python() -> None:
    above, below = ([pair[at] for pair in WHOLE] for at in (0, 1))
    text = f"network D {{\n input x: [1]\n a: constant({above})\n b: constant({below})\n q: a // b\n r: a % b\n"
    made: dict[str, Any] = run(text + " output q\n output r\n}\n", numbers(1, 1))
    assert made["q"].tolist() == [a // b for a, b in WHOLE]
    assert made["r"].tolist() == [a % b for a, b in WHOLE]


def test_letters_of_a_pattern_make_conditions() -> None:
    text = 'network E {\n input x: [A, B]\n input y: [B, C]\n input z: [D, C]\n einsum("ab,bc->ac", x, y)\n'
    assert codes(text + ' einsum("ac,ac->c", einsum("ab,bc->ac", x, y), z)\n}\n') == []
    (condition,) = compiled(text + ' einsum("ac,ac->c", einsum("ab,bc->ac", x, y), z)\n}\n').conditions
    assert condition is not None
    assert codes(text + ' einsum("ac,ac->c", einsum("ab,bc->ac", x, y), z)\n}\n', {"A": 2, "D": 3}) == [
        "shape-mismatch"
    ]


def test_a_slice_with_a_step_in_a_list() -> None:
    text = "network L {\n input x: [6]\n let some = [1, 2, 3, 4, 5, 6]\n linear(sum(some[1::2]))\n}\n"
    assert compiled(text).weights[0].spec.shape == (12, 6)
    assert codes(text.replace("1::2", "::0")) == ["bad-index"]


def test_nearest_neighbours_of_points() -> None:
    """The nearest points by squared distance are the nearest by PyTorch's own distances."""
    text = """
network Nearest {
    input points: [P, 3]
    where P >= 4
    products: matmul(points, transpose(points, 0, 1))
    squares: sum(points ** 2, axis=-1, keep=true)
    near: topk(2 * products - squares - transpose(squares, 0, 1), 3, axis=-1)
    gather(points, near.indices)        expect [P, 3, 3]
}
"""
    x = numbers(2, 9, 3)
    (made,) = run(text, x).values()
    near = torch.cdist(x, x).topk(3, largest=False).indices
    assert torch.equal(made, torch.stack([x[sample][near[sample]] for sample in range(2)]))


def test_a_size_that_is_not_known_is_a_number_beside_a_tensor() -> None:
    """Known, it is an argument of the operator; unknown, a tensor of one whole number."""
    lines = """last: arange(input.length) >= input.length - 2
share: input / input.length
turned: 2 * input.length - input
turned * share * unsqueeze(last, 0)"""
    for shape in ("[3, T]", "[3, 7]"):
        module = hold(compiled(network(lines, shape)))
        x = torch.randn(2, 3, 7)
        wanted = (14 - x) * (x / 7) * (torch.arange(7) >= 5)
        assert torch.allclose(module(x), wanted, atol=1e-5)
