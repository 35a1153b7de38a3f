"""Sizes worked out from others: as formulas, and in the bodies of emitted modules."""

from __future__ import annotations

import pytest
from proved import compiled, hold

from specc.sizes.dim import evaluate, parse
from specc.sizes.express import express, told, unknown


@pytest.mark.parametrize(
    ("size", "known", "formula"),
    [
        ("(H + 4)//8", {"n": "H//4"}, "(n + 1)//2"),
        ("2*((H + 4)//8) - H//4", {"n": "H//4"}, "2*((n + 1)//2) - n"),
        ("7*((H + 52)//56) - (H + 4)//8", {"n": "(H + 4)//8"}, "7*((n + 6)//7) - n"),
        ("min(7*((H + 24)//28) - 7, 3)", {"n": "7*((H + 24)//28)"}, "min(n - 7, 3)"),
        ("max(H//4, 2*W)", {"n": "2*(H//4) + 1", "m": "W - 1"}, "max((n - 1)//2, 2*m + 2)"),
        ("H*W//4", {"a": "H + 2", "b": "W"}, "(a*b - 2*b)//4"),
        ("H//W", {"a": "H", "b": "W"}, "a//b"),
        ("H - 3", {"n": "H + 5"}, "n - 8"),
    ],
)
def test_a_size_is_a_formula_of_others(size: str, known: dict[str, str], formula: str) -> None:
    axes = {name: parse(text) for name, text in known.items()}
    found = express(parse(size), axes)
    assert found is not None
    assert found == parse(formula)
    for height in range(1, 120):
        for width in (1, 2, 7, 30):
            sizes = {"H": height, "W": width}
            assert evaluate(found, {name: evaluate(each, sizes) for name, each in axes.items()}) == evaluate(
                parse(size), sizes
            )


@pytest.mark.parametrize(
    ("size", "known"), [("(H + 3)//8", "H//4"), ("H", "H//4"), ("W", "H"), ("H//6", "H//4"), ("min(H, W)", "H")]
)
def test_a_size_that_others_do_not_tell(size: str, known: str) -> None:
    assert express(parse(size), {"n": parse(known)}) is None
    assert not told([parse(size)], [5, parse(known)])


def test_unknown_sizes_among_values() -> None:
    assert unknown([3, "H", (parse("H"), (1, parse("W//2")))]) == {parse("H"), parse("W//2")}


def test_a_chain_with_a_label_may_name_sizes_from_outside() -> None:
    text = """network N {
        input image: [3, H, W]
        a: conv(4, 3, stride=2, padding=1)
        output out: interpolate(size=image.spatial, mode=linear) -> softmax
    }"""
    hold(compiled(text), {"H": 5, "W": 8})


def test_a_block_works_out_sizes_from_those_that_its_input_has() -> None:
    text = """
    block Even: [C, S] -> [C, 2 * ceil(S / 2)] { pad([[0, ceil(S / 2) * 2 - S]]) }
    network N {
        input x: [3, L] where L >= 16
        a: avgpool(4, fit=down)
        b: Even
    }"""
    hold(compiled(text), {"L": 21}, {"L": 24})


def test_a_size_under_a_name_is_handed_into_a_group() -> None:
    """`rearrange(…, h=map.height)` in a group of a block that has the map as a further tensor."""
    text = """
block Mix(map: tensor): [N, C] -> [N, C] {
    dense: linear(8)
    deep: {
        rearrange("(h w) c -> c h w", h=map.height)
        conv: conv(8, 3, padding=1)
        rearrange("c h w -> (h w) c")
    }
    last: linear(C)
}
network A { input x: [3, H, W]; map: conv(4, 7, stride=4, padding=3, fit=down); rows: rearrange("c h w -> (h w) c"); Mix(map) }
"""
    hold(compiled(text))
