"""Several tensors at once: what flows out of `parallel`, into a block, through a `list` parameter, and out of a block."""

from __future__ import annotations

import pytest
from proved import codes, compiled, hold

FUSE = """
block Fuse(widths: list) {
    branches: parallel { for i, c in enumerate(widths) { input[i] -> conv(c, 3, padding=1) } }
    fuse: parallel {
        for c in widths { parallel { for i in range(len(widths)) { branches[i] -> conv(c, 1) } } }
    }
    [relu(sum(parts)) for parts in fuse]
}
"""


def keys(text: str) -> list[str]:
    return [each.key for each in compiled(text).weights]


def test_a_list_flows_through_blocks() -> None:
    """The exchange between resolutions of HRNet (Wang et al., 2019), with a path for each pair."""
    text = (
        FUSE
        + "network N { input x: [3, H, W]; parallel { conv(4, 1); conv(8, 1) }; repeat 2 { Fuse([4, 8]) }; concat }"
    )
    hold(compiled(text))
    found = keys(text)
    assert found[4:8] == ["1.branches.0.weight", "1.branches.0.bias", "1.branches.1.weight", "1.branches.1.bias"]
    assert [each for each in found if each.startswith("2.fuse.1.0")] == ["2.fuse.1.0.weight", "2.fuse.1.0.bias"]


def test_a_list_parameter_takes_tensors() -> None:
    block = "block Top(levels: list, c: int) { sum([conv(each, c, 1) for each in levels]) }\n"
    for given in ("[a, relu(b)], 4", "levels=[a, b], c=4", "both, 4"):
        text = block + (
            "network N { input x: [3, H, W]\n both: parallel { conv(2, 1); conv(5, 1) }\n a: both[0]\n b: both[1]\n"
            f" Top({given}) }}"
        )
        hold(compiled(text))


def test_a_block_used_again_takes_another_list() -> None:
    text = """
block Mix { input[0] + 2 * input[1] -> conv(2, 1) }
network N {
    input x: [3, H, W]
    mix: [x, relu(x)] -> Mix
    other: [tanh(x), x] -> mix
    mix + other
}
"""
    module = hold(compiled(text))
    assert len(list(module.parameters())) == 2


def test_a_block_with_further_tensors_is_used_again_on_a_list() -> None:
    text = """
block Cross(memory: tensor, c: int) { conv(c, 1) as here; conv(memory, c, 1) + here; relu }
network N {
    input x: [3, H, W]
    cross: x -> Cross(tanh(x), 3)
    again: [cross, x] -> cross
    layer: conv(again, 3, 1)
    other: x -> layer
    layer + other
}
"""
    module = hold(compiled(text))
    assert len(list(module.parameters())) == 6
    assert codes(text.replace("[cross, x] -> cross", "x -> cross"))[0] == "missing-input"


CELL = """
block Cell(h: tensor, c: tensor, width: int) {
    conv: concat(input, h) -> conv(4 * width, 3, padding=1)
    i, f, o, g: split(4)
    output cell: sigmoid(f) * c + sigmoid(i) * tanh(g)
    sigmoid(o) * tanh(cell)
}
network ConvLSTM(steps: int = 3, width: int = 4) {
    input frames: [steps, 2, H, W]
    frames[0, :1] * zeros([width, 1, 1]) as zero
    cell: frames[0] -> Cell(zero, zero, width) as h
    cell.cell as c
    for t in range(1, steps) {
        [frames[t], h, c] -> cell as h
        h.cell as c
    }
}
"""


def test_a_recurrent_cell_is_written_out() -> None:
    """ConvLSTM (Shi et al., 2015): one cell with one set of weights, one tensor twice at its first use."""
    module = hold(compiled(CELL))
    assert sum(each.numel() for each in module.parameters()) == 6 * 16 * 9 + 16
    without_batch = CELL.replace("frames[0, :1] * zeros([width, 1, 1])", "zeros([width, H, W])")
    assert codes(without_batch) == ["shared-shape"]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("p: parallel { parallel { relu; tanh }; sigmoid }; concat(p)", "not-a-tensor"),
        ("parallel { relu; tanh }; conv(3, 1)", "too-many-inputs"),
        ("parallel { relu; tanh }; Signed", "signature-mismatch"),
        ("[x, 3]", "not-a-layer"),
    ],
)
def test_lists_that_fit_nowhere(lines: str, code: str) -> None:
    text = (
        "block Signed: [C, H, W] { conv(3, 1) }\nnetwork N { input x: [3, 8, 8]\n " + lines.replace("; ", "\n") + " }"
    )
    assert codes(text)[0] == code
