"""Windows, padding and normalisation: shapes and values against PyTorch, rules against counting by hand."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import product
from typing import Any

import pytest
import torch
from proved import built, codes, compiled, hold, inputs_of, network, outputs_of, source

from specc.backends.pytorch import write
from specc.catalogue.op import TensorType
from specc.catalogue.ops.conv import Conv
from specc.catalogue.ops.windows import Axis
from specc.compiler import compile_text
from specc.sizes.conditions import holds
from specc.sizes.dim import evaluate, symbol


# --------------------------------------------------------------------------------------------- shapes on meta tensors
def _entry(choose: random.Random, rank: int, least: int, most: int) -> Any:
    """One number, or one per axis."""
    if choose.random() < 0.5:
        return choose.randint(least, most)
    return [choose.randint(least, most) for _ in range(rank)]


def _sides(choose: random.Random, rank: int, most: int) -> Any:
    if choose.random() < 0.6:
        return _entry(choose, rank, 0, most)
    return [[choose.randint(0, most), choose.randint(0, most)] for _ in range(rank)]


def _random_op(choose: random.Random, rank: int) -> str:
    moves = f"{_entry(choose, rank, 1, 4)}, stride={_entry(choose, rank, 1, 3)}"
    name = choose.choice(["conv", "upconv", "maxpool", "avgpool"])
    wide = f"dilation={_entry(choose, rank, 1, 2)}"
    parts = f"groups={choose.choice([1, 1, 2])}, bias={choose.choice(['true', 'false'])}"
    if name == "conv":
        padding = choose.choice(["same", "valid", "full", "causal", _sides(choose, rank, 3)])
        return f"conv(4, {moves}, padding={padding}, {wide}, {parts}, fit={choose.choice(['exact', 'down'])})"
    if name == "upconv":
        added = f"output_padding={_entry(choose, rank, 0, 1)}"
        return f"upconv(4, {moves}, padding={_sides(choose, rank, 2)}, {added}, {wide}, {parts})"
    more = wide if name == "maxpool" else f"count_padding={choose.choice(['true', 'false'])}"
    return f"{name}({moves}, padding={_sides(choose, rank, 2)}, fit={choose.choice(['exact', 'down', 'up'])}, {more})"


def _many(steps: list[str], shape: str) -> str:
    """A network that applies each of the steps to its input."""
    lines = [f"t{at}: input -> {step}\noutput t{at}" for at, step in enumerate(steps)]
    return network("\n".join(lines), shape)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_gives_is_the_shape_that_pytorch_gives() -> None:
    choose = random.Random(7)
    seen: Counter[str] = Counter()
    for _ in range(45):
        rank = choose.randint(1, 3)
        shape = str([4, *(choose.randint(1, 9) for _ in range(rank))])
        steps = [_random_op(choose, rank) for _ in range(20)]
        refused = {
            (each.span.line - 3) // 2 for each in compile_text(_many(steps, shape), fixes=False).bag if each.span
        }
        steps = [step for at, step in enumerate(steps) if at not in refused]
        if not steps:
            continue
        model = compiled(_many(steps, shape))
        with torch.device("meta"):
            made = outputs_of(model, built(model), inputs_of(model, {}, 2, "meta"))
        for step, port in zip(steps, model.outputs, strict=True):
            assert tuple(made[port.name].shape[1:]) == model.type(port.value).shape, (step, shape)
            seen[step.partition("(")[0]] += 1
    assert len(seen) == 4
    assert min(seen.values()) > 40


def test_what_does_not_fit_pytorch_refuses_too() -> None:
    refusals = 0
    for n, k, d, p in product(range(1, 6), range(1, 6), (1, 2), (0, 1)):
        op = Conv.make({"channels": 4, "kernel": k, "dilation": d, "padding": p})
        x, module = torch.empty(2, 4, n, device="meta"), torch.nn.Conv1d(4, 4, k, dilation=d, padding=p, device="meta")
        if any(rule.misfit.code == "window-too-large" for rule in op.rules(TensorType((4, n)))):
            refusals += 1
            with pytest.raises(RuntimeError):
                module(x)
        else:
            assert module(x).shape[2] >= 1
    assert refusals > 10


# ------------------------------------------------------------------------------------------------- rules by counting
def _axes() -> list[Axis]:
    rows = product(range(1, 10), range(1, 4), range(1, 5), (1, 2), range(3), range(3), ("exact", "up"))
    return [Axis(n, k, s, d, b, a, fit, "long", "place") for n, k, s, d, b, a, fit in rows]


def _lost(axis: Axis) -> int:
    """The places of the input behind the last window that are more than the windows leave out between themselves."""
    assert isinstance(axis.size, int)
    assert isinstance(axis.before, int)
    assert isinstance(axis.after, int)
    start = -axis.before
    last = None
    while start + axis.extent <= axis.size + axis.after:
        last, start = start, start + axis.stride
    assert last is not None
    behind = [at for at in range(last + axis.extent, axis.size) if at >= 0]
    return len(behind) - max(0, axis.stride - axis.extent)


def _rounded_up(axis: Axis) -> int:
    """PyTorch's number of windows with `ceil_mode`: none starts behind the input."""
    assert isinstance(axis.size, int)
    assert isinstance(axis.before, int)
    assert isinstance(axis.padded, int)
    count = math.ceil((axis.padded - axis.extent) / axis.stride) + 1
    return count - 1 if (count - 1) * axis.stride >= axis.size + axis.before else count


def test_the_rules_are_what_counting_by_hand_finds() -> None:
    losses = 0
    for axis in _axes():
        enough = axis.enough is None or holds(axis.enough, {})
        if axis.fit == "up":
            assert axis.rest is None
            assert enough == (_rounded_up(axis) >= 1), axis
            continue
        assert enough == (axis.padded >= axis.extent)
        if enough and axis.rest is not None:
            losses += _lost(axis) > 0
            assert holds(axis.rest, {}) == (_lost(axis) <= 0), axis
        elif enough:
            assert _lost(axis) <= 0, axis
    assert losses > 100


def test_unknown_sizes_obey_the_same_formulas() -> None:
    from dataclasses import replace

    for axis in _axes():
        free = replace(axis, size=symbol("L"))
        sizes = {"L": axis.size}
        assert evaluate(free.out, sizes) == axis.out  # type: ignore[arg-type]
        assert evaluate(free.end, sizes) == axis.end  # type: ignore[arg-type]
        for known, unknown in ((axis.enough, free.enough), (axis.rest, free.rest)):
            assert (known is None) == (unknown is None)
            if known is not None and unknown is not None:
                assert holds(known, {}) == holds(unknown, sizes)  # type: ignore[arg-type]


def test_conditions_of_unknown_sizes() -> None:
    model = compiled(network("maxpool(2); conv(4, 3)", "[3, H, W]"))
    assert [each.text for each in model.conditions] == ["H is even, at least 6", "W is even, at least 6"]
    assert (
        compiled(network("conv(4, 7, stride=2, padding=3); maxpool(3, stride=2, padding=1)", "[3, H, W]")).conditions
        == ()
    )
    assert compiled(network("conv(4, 3, stride=2, padding=same)", "[3, H]")).conditions == ()


# ------------------------------------------------------------------------------------------------------ what it says
WRONG = [
    ("maxpool(3, stride=3)", "[3, 6, 7]", "7 wide, kernel 3, stride 3: 1 column is left out"),
    ("conv(8, 5, stride=4)", "[3, 12]", "12 long, kernel 5, stride 4: 3 places are left out"),
    ("avgpool(2)", "[3, 5, 4, 4]", "5 deep, kernel 2, stride 2: 1 slice is left out"),
    ("conv(8, 9)", "[3, 4, 4]", "4 high: a window of kernel 9 does not fit in it"),
    (
        "conv(8, 3, dilation=3, padding=1)",
        "[3, 4]",
        "4 long, padding 1: a window of kernel 3 (dilated 7) does not fit in it",
    ),
]


@pytest.mark.parametrize(("line", "shape", "message"), WRONG)
def test_messages_say_the_numbers_and_every_fix_mends(line: str, shape: str, message: str) -> None:
    text = network(line, shape)
    (found,) = compile_text(text).bag
    assert found.message == message
    assert found.fixes
    for fix in found.fixes:
        mended = text[: fix.span.start] + fix.replacement + text[fix.span.end :]
        assert compile_text(mended).ok, mended


def test_sizes_that_would_fit_are_named() -> None:
    (found,) = compile_text(network("maxpool(3, stride=3)", "[3, 7, 9]")).bag
    assert found.help == "6 or 9 high would fit; or write stride=2, fit=down or fit=up"
    assert codes(network("maxpool(3, stride=3)", "[3, 6, 9]")) == []


def test_huge_arguments_are_refused_at_once() -> None:
    assert codes(network("conv(8, 1_000_000_000)", "[3, 4]")) == ["window-too-large"]
    assert (
        codes(network("maxpool(3, stride=1_000_000_000_000)", "[3, 40]")) == []
    )  # what lies between windows may be left out
    assert codes(network("maxpool(1_000_000, stride=999_999, padding=7)", "[3, 999_999_000_000]")) == [
        "window-does-not-fit"
    ]


# -------------------------------------------------------------------------------------------------- how it is written
PRINTED = [
    ("conv(6, 7, stride=2, padding=3, bias=false)", "[3, 8, 8]", "nn.Conv2d(3, 6, 7, stride=2, padding=3, bias=False)"),
    ("conv(4, [1, 7], padding=[0, 3])", "[3, 8, 8]", "nn.Conv2d(3, 4, (1, 7), padding=(0, 3))"),
    ("conv(4, 3, padding=same)", "[3, 8]", 'nn.Conv1d(3, 4, 3, padding="same")'),
    ("conv(4, 3, padding=same, stride=2)", "[3, 7]", "nn.Conv1d(3, 4, 3, stride=2, padding=1)"),
    ("conv(4, 3, padding=same, stride=2)", "[3, H, 8]", "SameConv(3, 4, (3, 3), stride=2)"),
    ("conv(2, 3, table=[[0], [1, 2]])", "[3, 8]", "TableConv(3, ((0,), (1, 2)), (3,))"),
    ("conv(4, 3, padding=full)", "[3, 8, 8]", "nn.Conv2d(3, 4, 3, padding=2)"),
    ("conv(6, 3, groups=3)", "[3, 8, 8, 8]", "nn.Conv3d(3, 6, 3, groups=3)"),
    ("upconv(4, 2, stride=2)", "[3, H, W]", "nn.ConvTranspose2d(3, 4, 2, stride=2)"),
    ("maxpool(3, stride=2, padding=1)", "[3, 8, 8]", "nn.MaxPool2d(3, stride=2, padding=1)"),
    ("maxpool(2, stride=2)", "[3, 8]", "nn.MaxPool1d(2)"),
    ("avgpool(3, padding=1, count_padding=false, fit=up)", "[3, 8]",
     "nn.AvgPool1d(3, padding=1, ceil_mode=True, count_include_pad=False)"),
    ("batchnorm", "[8]", "nn.BatchNorm1d(8)"),
    ("batchnorm(eps=0.001, track=false)", "[8, 4, 4]", "nn.BatchNorm2d(8, eps=0.001, track_running_stats=False)"),
    ("adaptive_avgpool([6, 7])", "[8, H, W]", "nn.AdaptiveAvgPool2d((6, 7))"),
    ("lrn(5, alpha=0.001)", "[8, 4, 4]", "nn.LocalResponseNorm(5, alpha=0.001)"),
    ("dropout", "[8]", "nn.Dropout()"),
    ("dropout(0.1)", "[8]", "nn.Dropout(0.1)"),
    ("conv(4, 3, padding=causal)", "[3, L]", "(F.pad(input, (2, 0)))"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "shape", "text"), PRINTED)
def test_modules_read_as_written_by_hand(line: str, shape: str, text: str) -> None:
    assert text in source(line, shape)


def test_padding_up_to_a_multiple_reads_as_written_by_hand() -> None:
    text = write(compiled("network N { input x: [3, L]; y: pad(multiple=16) }"))
    assert "F.pad(x, (-x.shape[2] % 16 // 2, (-x.shape[2] % 16 + 1) // 2))" in text


# ------------------------------------------------------------------------------------------------ values, both ways
def _lines() -> list[tuple[str, str, tuple[tuple[int, int], ...]]]:
    """Steps, the shape they take, and sizes to run them at."""
    known = "[4, 7, 9]", ()
    unknown = "[4, H, W]", ((8, 9), (7, 12), (11, 10))
    steps = [
        *(f"conv(4, {k}, stride={s}, dilation={d}, padding=same)" for k, s, d in product((1, 2, 3), (1, 2, 4), (1, 2))),
        *(f"conv(4, 3, stride=2, padding={p}, fit=down)" for p in ("full", "causal", "valid", "[[0, 2], [1, 0]]")),
        "conv(3, [1, 2], table=[[0, 3], [1], [0, 1, 2]], padding=same, stride=2)",
        "upconv(4, 3, stride=[2, 3], padding=[[0, 1], 1], output_padding=[1, 0], groups=2)",
        *(
            f"upconv(4, 2, dilation=3, output_padding=2, padding={p}, bias={b})"
            for p, b in ((0, "true"), (1, "true"), (2, "false"))
        ),
        "upconv(4, 3, stride=2, output_padding=1, padding=1)",
        *(
            f"maxpool({k}, stride={s}, padding={p}, fit={fit})"
            for k, s, p, fit in product((2, 3), (1, 3), (0, 1, "[[0, 1], [1, 0]]"), ("down", "up"))
        ),
        "maxpool(2, stride=2, padding=2, dilation=3, fit=up)",
        "maxpool(1, stride=2, fit=up)",
        *(
            f"avgpool({k}, stride={s}, padding={p}, fit={fit}, count_padding={c})"
            for k, s, p, fit, c in product((2, 3), (1, 3), (1, "[[0, 1], [1, 0]]"), ("down", "up"), ("true", "false"))
        ),
        "avgpool(1, stride=2, fit=up)",
        *(f"adaptive_{kind}pool({size})" for kind in ("avg", "max") for size in (1, 2, 3, 5, "[1, 4]", "[9, 11]")),
        "pad(multiple=4, mode=reflect)",
        "pad([1, [2, 0]], mode=replicate)",
        "pad(multiple=5); crop(like=input)",
        "conv(4, 3, stride=2, padding=1); pad(multiple=[3, 4], value=2); crop(size=2)",
        "pad(H); crop(size=[3, 4])",
        "batchnorm(track=false); lrn(4, alpha=2, k=0.5); lrn(3, alpha=1); batchnorm(affine=false)",
        "maxpool(2, fit=down); conv(4, 2, stride=2, padding=same); avgpool(2, padding=1, fit=up)",
        "global_avgpool; dropout",
        "input - 2; pad(1); maxpool(2, stride=1, padding=[[0, 1], 1]); conv(4, 2)",  # zeros win over what is below
        'rearrange("c h w -> h w c") -> transpose(0, 2) -> pad([[1, 2]], axes=0, value=2) -> transpose(0, 1)',
    ]
    return [(step, *sizes) for step in steps for sizes in (known, unknown) if sizes is unknown or "pad(H)" not in step]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("part", range(4))
def test_onnxruntime_gives_what_pytorch_gives(part: int) -> None:
    for line, shape, sizes in _lines()[part::4]:
        try:
            hold(compiled(network(line, shape)), *({"H": h, "W": w} for h, w in sizes))
        except Exception as error:
            raise AssertionError(f"{line} on {shape}: {error}") from error


# ------------------------------------------------------------------------------------------------------------ counts
def test_the_connections_of_lenet_are_counted() -> None:
    rows = [[(i + j) % 6 for j in range(3)] for i in range(6)] + [[(i + j) % 6 for j in range(4)] for i in range(6)]
    rows += [[i, i + 1, (i + 3) % 6, (i + 4) % 6] for i in range(3)] + [list(range(6))]
    model = compiled(network(f"c3: conv(16, 5, table={rows})", "[6, 14, 14]"))
    assert {w.key: w.spec.shape for w in model.weights} == {"c3.weight": (60, 5, 5), "c3.bias": (16,)}
    assert 60 * 25 + 16 == 1_516
    assert model.steps[0].macs == 60 * 25 * 100


def test_receptive_fields_of_the_v_net() -> None:
    down = "; ".join(f"repeat {n} {{ conv(4, 5, padding=same) }}; conv(4, 2, stride=2)" for n in (1, 2, 3, 3))
    up = "repeat 3 { conv(4, 5, padding=same) }; upconv(4, 2, stride=2); conv(4, 5, padding=same)"
    model = compiled(network(f"{down}; {up}", "[6, H]"))
    seen = [step.receptive for step in model.steps]
    assert [each[0] for each in seen][:1] == [5]
    assert [seen[at][0] for at in (3, 7, 11, 15)] == [22, 72, 172, 372]
    assert [each[0] for each in seen[-2:]] == [380, 412]


def test_channels_may_be_unknown() -> None:
    model = compiled(network("conv(8, 3, groups=2); batchnorm", "[C, 9]"))
    assert [str(each.text) for each in model.conditions] == ["C is even, at least 2"]
    assert str(model.weights[0].spec.shape[1]) == "C//2"
