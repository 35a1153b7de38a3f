"""The worked examples of the lecture notes that specc grew from, as networks; and their slips, which specc catches or gets right."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from proved import built, codes, compiled, network
from safetensors.torch import load_file, save_file

from specc.backends.pytorch import load, write
from specc.compiler import compile_text
from specc.data.project import open_spec
from specc.model.report import report
from specc.train.training import train

SPECS = Path(__file__).parent.parent / "specs"
GRID = [
    [1, 2, 4, 1, 0, 2],
    [0, 1, 0, 0, 1, 1],
    [1, 0, 3, 2, 3, 0],
    [4, 3, 4, 1, 0, 1],
    [2, 4, 1, 1, 2, 0],
    [4, 2, 5, 2, 6, 4],
]
SMALL = [[1, 2, 4, 1, 2], [0, 1, 0, 0, 1], [1, 0, 3, 2, 0], [2, 4, 1, 1, 0], [2, 5, 2, 4, 0]]
SHARPEN = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
BITS = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
CROSS = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
SCAN = [[29, 15, 28, 184], [0, 100, 70, 38], [12, 12, 7, 2], [12, 12, 45, 6]]
HEAT = [[31, 15, 28, 184], [0, 100, 70, 38], [12, 12, 7, 2], [12, 12, 45, 6]]
DEPTH = [[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]
FIELD = [[15, 9, 4, 2], [11, 5, 8, 6], [8, 7, 3, 17], [2, 3, 7, 3]]
SIGNED = [[1, 2, -2, -1], [2, -1, 0, 3], [-1, 0, -1, 2], [-1, -2, 2, 1]]


def run(lines: str, shape: str, value: object, **weights: object) -> torch.Tensor:
    """What a network with these steps makes of one sample; `a__b` is the weight `a.b`."""
    module = load(write(compiled(network(lines, shape))), "N")().eval()
    state = {key.replace("__", "."): torch.tensor(each, dtype=torch.float32) for key, each in weights.items()}
    for key, each in state.items():
        module.state_dict()[key].copy_(each.reshape(module.state_dict()[key].shape))
    assert set(dict(module.named_parameters())) <= set(state)
    with torch.no_grad():
        found: torch.Tensor = module(torch.tensor(value, dtype=torch.float32)[None])[0]
    return found


def close(found: torch.Tensor, wanted: object, to: float = 1e-5) -> None:
    torch.testing.assert_close(found.squeeze(), torch.tensor(wanted, dtype=torch.float32), atol=to, rtol=0)


def refused(text: str, code: str) -> str:
    """The one error of this text, with its notes."""
    found = compile_text(text, fixes=False)
    assert [each.code for each in found.bag] == [code]
    (only,) = found.bag
    return " ".join([only.message, *(str(each) for each in only.notes)])


def changed(spec: str, old: str, new: str) -> Any:
    """A bundled spec with one claim or argument replaced."""
    project = open_spec(SPECS / f"{spec}.net")
    assert project.text.count(old) == 1, project.text.count(old)
    return compile_text(project.text.replace(old, new), project.name, read=project.read, fixes=False)


def model(spec: str, name: str, **sizes: int) -> Any:
    project = open_spec(SPECS / f"{spec}.net")
    return compile_text(project.text, project.name, read=project.read, network=name, sizes=sizes)


# ------------------------------------------------------------------------------------------------- convolution
def test_the_sharpening_filter_of_the_slides() -> None:
    close(run("conv(1, 3, bias=false)", "[1, 6, 6]", [GRID], **{"0__weight": SHARPEN})[0, 0], [3, -8, -4, 1])
    assert run("conv(1, 3, bias=false)", "[1, 6, 6]", [GRID], **{"0__weight": SHARPEN})[0, 1, 0] == -8
    strided = run("conv(1, 3, stride=2, padding=1, bias=false)", "[1, 5, 5]", [SMALL], **{"0__weight": SHARPEN})
    close(strided[0, 0], [3, 17, 8])


def test_the_cross_filter_of_the_slides() -> None:
    found = run("conv(1, 3, bias=false)", "[1, 5, 5]", [BITS], **{"0__weight": CROSS})[0]
    close(found[:2], [[4, 3, 4], [2, 4, 3]])


def test_a_filter_over_a_signal_whose_third_value_is_not_the_printed_one_half() -> None:
    signal = [2.3, 1.7, 4.0, 2.8, 5.7, 4.4]
    found = run("conv(1, 3, bias=false); sigmoid", "[1, 6]", [signal], **{"0__weight": [-0.1, 0.2, -0.3]})[0]
    close(found[:3], [0.25, 0.45, 0.175], to=0.005)
    assert float(found[2]) == pytest.approx(1 / (1 + math.exp(1.55)), abs=1e-6)


@pytest.mark.parametrize(
    "line",
    [
        "conv(10, 3, padding=1)     expect [10, 32, 32], params=280",  # whatever the size of the image
        "conv(10, 5, padding=2)     expect [10, 32, 32], params=760",
        "conv(6, 5)                 expect [6, 28, 28], params=6 * (75 + 1)",
        "conv(12, 3, padding=same)  expect [12, 32, 32]",
        "conv(1, 3, padding=valid)  expect [1, 30, 30]",
        "conv(1, 3, padding=full)   expect [1, 34, 34]",
        "conv(1, 2, padding=same)   expect [1, 32, 32]",  # one more place behind than before
        "conv(3, 5, padding=2)      expect [3, 32, 32]",
        "conv(4, 5); conv(4, 5)     expect [4, 24, 24]",  # 32 -> 28 -> 24
        "conv(1, 3, padding=2, dilation=2)  expect [1, 32, 32], params=28, receptive=5",
    ],
)
def test_figures_of_a_picture_of_32_by_32(line: str) -> None:
    compiled(network(line, "[3, 32, 32]"))


def test_shared_and_local_weights_are_three_and_450_and_full_ones_22_500() -> None:
    compiled(network("conv(1, 3, padding=1, bias=false)         expect [1, 150], params=3", "[1, 150]"))
    compiled(network("local_conv(1, 3, padding=1, bias=false)   expect [1, 150], params=450", "[1, 150]"))
    compiled(network("linear(150, bias=false)                   expect [150], params=22_500", "[150]"))
    compiled(network("linear(1, bias=false)                     expect params=3_072", "[3072]"))
    compiled(network("flatten; linear(1, bias=false)            expect params=120_000", "[3, 200, 200]"))


def test_seven_wide_kernel_three_stride_three() -> None:
    """The notes call it impossible in one place and say in another that the rest is dropped; both can be had."""
    compiled(network("conv(1, 3)                      expect [1, 5]", "[1, 7]"))
    compiled(network("conv(1, 3, stride=2)            expect [1, 3]", "[1, 7]"))
    compiled(network("conv(1, 3, padding=1)           expect [1, 7]", "[1, 7]"))
    assert codes(network("conv(1, 3, stride=3)", "[1, 7]")) == ["window-does-not-fit"]
    compiled(network("conv(1, 3, stride=3, fit=down)  expect [1, 2]", "[1, 7]"))  # floor((7 - 3) / 3) + 1


def test_unpooling_and_transposed_convolution() -> None:
    pairs = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    for line in ("unpool(2, fill=nearest)", "interpolate(scale=2)"):
        close(run(line, "[1, 2, 2]", [[[1, 2], [3, 4]]]), pairs)
    ones = {"0__weight": [[1.0] * 3] * 3}
    three = run("upconv(1, 3, stride=2, padding=1, bias=false)", "[1, 2, 2]", [[[1, 2], [3, 4]]], **ones)
    close(three, [[1, 3, 2], [4, 10, 6], [3, 7, 4]])  # what overlaps is added
    four = run(
        "upconv(1, 3, stride=2, padding=1, output_padding=1, bias=false)", "[1, 2, 2]", [[[1, 2], [3, 4]]], **ones
    )
    close(four, [[1, 3, 2, 2], [4, 10, 6, 6], [3, 7, 4, 4], [3, 7, 4, 4]])
    wrong = network("upconv(1, 3, stride=2, padding=1)  expect [1, 4, 4]", "[1, 2, 2]")
    assert "[1, 3, 3]" in refused(wrong, "expectation-fails")


# ------------------------------------------------------------------------------------------- pooling, activations
@pytest.mark.parametrize(
    ("line", "field", "wanted"),
    [
        ("maxpool(2)", SCAN, [[100, 184], [12, 45]]),
        ("avgpool(2)", HEAT, [[36.5, 80], [12, 15]]),  # printed 36
        ("maxpool(2)", DEPTH, [[6, 8], [3, 4]]),
        ("maxpool(2)", FIELD, [[15, 8], [8, 17]]),
        ("avgpool(2)", FIELD, [[10, 5], [5, 7.5]]),  # printed 8
        ("maxpool(2)", SIGNED, [[2, 3], [0, 2]]),  # printed 1
        ("avgpool(2)", SIGNED, [[1, 0], [-1, 1]]),
    ],
)
def test_pooling(line: str, field: list[list[int]], wanted: list[list[float]]) -> None:
    close(run(line, "[1, 4, 4]", [field]), wanted)


def test_the_printed_pooling_has_stride_two_not_one() -> None:
    text = network("maxpool(2, stride=1)  expect [1, 2, 2]", "[1, 4, 4]")
    assert "[1, 3, 3]" in refused(text, "expectation-fails")


def test_relu_of_a_feature_map() -> None:
    given = [[9, 3, 5, -8], [-6, 2, -3, 1], [1, 3, 4, 1], [3, -4, 5, 1]]
    close(run("relu", "[4, 4]", given), [[9, 3, 5, 0], [0, 2, 0, 1], [1, 3, 4, 1], [3, 0, 5, 1]])


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("sign", [-1, 0, 1]),
        ("sigmoid", [1 / (1 + math.exp(2)), 0.5, 1 / (1 + math.exp(-2))]),
        ("tanh", [math.tanh(-2), 0, math.tanh(2)]),
        ("relu", [0, 0, 2]),
        ("leaky_relu", [-0.02, 0, 2]),
        ("leaky_relu(0.1)", [-0.2, 0, 2]),
        ("elu", [math.exp(-2) - 1, 0, 2]),
    ],
)
def test_activations(line: str, wanted: list[float]) -> None:
    close(run(line, "[3]", [-2, 0, 2]), wanted)


def test_max_of_ax_and_x_is_leaky_relu_only_for_a_up_to_one() -> None:
    larger = "max(2 * input, input)"
    close(run(larger, "[3]", [-2, 0, 2]), [-2, 0, 4])
    close(run("leaky_relu(2)", "[3]", [-2, 0, 2]), [-4, 0, 2])
    close(run("max(0.1 * input, input)", "[3]", [-2, 0, 2]), [-0.2, 0, 2])


def test_prelu_learns_its_slope() -> None:
    close(run("prelu", "[1, 3]", [[-2, 0, 2]], **{"0__weight": [0.3]}), [-0.6, 0, 2])
    compiled(network("prelu               expect params=1", "[16, 4, 4]"))
    compiled(network("prelu(per=channel)  expect params=16", "[16, 4, 4]"))


def test_softmax_of_four_scores() -> None:
    found = run("softmax", "[4]", [3.2, 1.3, 0.2, 0.8])
    close(found, [0.775, 0.116, 0.039, 0.070], to=6e-4)
    assert float(found.sum()) == pytest.approx(1)


def test_batch_normalisation_has_a_scale_and_a_shift_per_channel() -> None:
    compiled(network("batchnorm  expect params=32, buffers=33", "[16, 8, 8]"))
    compiled(network("batchnorm  expect params=20, buffers=21", "[10]"))
    module = built(compiled(network("batchnorm(eps=0.001)", "[3]"))).train()
    x = torch.tensor([[1.0, 2.0, 5.0], [3.0, 2.5, -1.0], [2.0, 0.0, 2.0]])
    with torch.no_grad():
        weight, bias = module.state_dict()["0.weight"], module.state_dict()["0.bias"]
        wanted = (x - x.mean(0)) / (x.var(0, correction=0) + 0.001).sqrt() * weight + bias
        torch.testing.assert_close(module(x), wanted)


# ------------------------------------------------------------------------------------------ linear classifiers
def test_the_line_of_the_slides() -> None:
    found = run("linear(1); sign", "[2]", [1.0, 1.0], **{"0__weight": [1.0, -2.0], "0__bias": [4.0]})
    close(found, 1.0)  # 1 - 2 + 4 = 3
    close(run("linear(1)", "[2]", [0.0, 2.0], **{"0__weight": [1.0, -2.0], "0__bias": [4.0]}), 0.0)


def test_the_perceptron_of_three_classes() -> None:
    module = load(
        write(model("perceptron", "MultiClassPerceptron", k=2).models["MultiClassPerceptron"]), "MultiClassPerceptron"
    )()
    module.scores.load_state_dict(
        {"weight": torch.tensor([[-3.6, 0.5], [2.4, 4.1], [4.0, -4.9]]), "bias": torch.tensor([-2.0, -4.0, -6.0])}
    )
    with torch.no_grad():
        found = module(torch.tensor([[1.1, -2.0]]))
    close(found["scores"], [-6.96, -9.56, 8.2])  # printed -6.9, -9.6, 8.2
    assert found["class"].tolist() == [2]


def test_the_logistic_example_with_its_bias_and_without() -> None:
    line, x = "linear(1); sigmoid", [0.4, -1.0]
    close(run(line, "[2]", x, **{"0__weight": [-3.6, 0.5], "0__bias": [2.0]}), 0.515, to=5e-4)
    close(run(line, "[2]", x, **{"0__weight": [-3.6, 0.5], "0__bias": [0.0]}), 0.125, to=2e-3)  # what is printed


# ------------------------------------------------------------------------------------------- one step downhill
def test_one_step_of_gradient_descent_with_the_printed_weights(tmp_path: Path) -> None:
    """Identity activations, biases of 1, rate 0.1, input [0, 1], target [1, 0]: (d - y) is the slope of the mean of two squares."""
    ones = torch.ones(2)
    first, second = torch.tensor([[-1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    save_file(
        {"v.weight": first, "v.bias": ones, "w.weight": second, "w.bias": ones.clone()}, tmp_path / "w.safetensors"
    )
    np.savez(tmp_path / "a.npz", x=np.array([[0, 1]] * 4, "float32"), t=np.array([[1, 0]] * 4, "float32"))
    text = """network Net { input x: [2]; v: linear(2); w: linear(2) }
train {
    data      arrays("a.npz", x="x", target="t")
    split     train=0.5, validation=0.25, test=0.25
    loss      mse
    optimizer sgd(lr=0.1)
    weights   "w.safetensors"
    batch     4
    epochs    1
}
"""
    found = compile_text(text, "a.net")
    assert found.ok, [each.message for each in found.bag]
    done = train(found, out_root=tmp_path / "runs", project=tmp_path, report=lambda event: None, device="cpu")
    now = load_file(done.folder / "last" / "weights.safetensors")
    close(now["w.weight"], [[0.9, -0.2], [-1.2, 0.6]])
    close(now["w.bias"], [0.9, 0.8])
    close(now["v.weight"], [[-1.0, 0.1], [0.0, 0.8]])  # what the zero of the input multiplies is unchanged
    close(now["v.bias"], [1.1, 0.8])
    module = load(write(found.model()), "Net")()
    module.load_state_dict(now)
    with torch.no_grad():
        close(module(torch.tensor([[0.0, 1.0]])), [1.66, 0.32])  # closer to [1, 0] than [2, 2]


# ---------------------------------------------------------------------------------- where the printed figure is wrong
@pytest.mark.parametrize(
    ("spec", "old", "new", "wrong", "right"),
    [
        ("lenet5_1998", "params=32", "params=12", "12", "32"),
        ("lenet5_1998", "params=48_120", "params=42_120", "42_120", "48_120"),
        ("mlp", "params=167_772_170", "params=160_000_000", "160_000_000", "167_772_170"),
    ],
)  # fmt: skip
def test_a_wrong_figure_is_refused_with_the_right_one(spec: str, old: str, new: str, wrong: str, right: str) -> None:
    errors = [each for each in changed(spec, old, new).bag if each.severity == "error"]
    said = f"{errors[0].message} {' '.join(str(each) for each in errors[0].notes)}"
    assert wrong in said, said
    assert right in said, said


def test_vgg16_has_no_parameters_in_its_second_pooling() -> None:
    project = open_spec(SPECS / "vgg.net")
    old = "maxpool(2)                   expect [128, 56, 56], params=0"
    for text, right in (
        (project.text.replace(old, old.replace("params=0", "params=65_664")), "0"),
        (project.text.replace("138_357_544", "138_423_208"), "138_357_544"),
    ):
        errors = list(compile_text(text, project.name, fixes=False).bag)
        assert {each.code for each in errors} == {"expectation-fails"}
        assert all(right in each.message for each in errors)
    assert 138_357_544 + 65_664 + 0 == 138_423_208  # how the printed total came about


def test_mobilenets_last_depthwise_row_cannot_have_stride_two() -> None:
    found = changed("mobilenet_v1", "dw13: Separable(wide(1024)) ", "dw13: Separable(wide(1024), stride=2) ")
    assert "expectation-fails" in {each.code for each in found.bag}
    assert any("[256, 4, 4], not [256, 7, 7]" in f"{each.message} {each.notes}" for each in found.bag)


VOLUMES = [(128, 128, 25), (192, 192, 19), (192, 192, 24), (192, 192, 30), (256, 256, 24)]


@pytest.mark.parametrize(
    ("name", "accepts"), [("VNetHalvings", []), ("VNetMixed", [2, 4]), ("VNetInPlane", [0, 1, 2, 3, 4])]
)
def test_which_of_the_five_volumes_a_v_net_accepts(name: str, accepts: list[int]) -> None:
    found = [
        at
        for at, (width, height, depth) in enumerate(VOLUMES)
        if not any(each.severity == "error" for each in model("vnet_volumes", name, W=width, H=height, D=depth).bag)
    ]
    assert found == accepts


def test_u_net_from_three_channels_has_1152_more() -> None:
    project = open_spec(SPECS / "unet_2015.net")
    text = project.text.replace("UNet(1, 2, valid)", "UNet(3, 2, valid)").replace(
        "31_030_658\nexpect [2, S", "31_031_810\nexpect [2, S"
    )
    found = compile_text(text, project.name, network="UNet2015", sizes={"S": 572})
    assert [each.message for each in found.bag if each.severity == "error"] == []
    assert report(found.model())["parameters"] == 31_030_658 + 2 * 64 * 9 == 31_031_810


def test_a_double_softmax_is_found() -> None:
    assert codes(
        "network N { input x: [4]; linear(3); softmax; softmax }\ntrain { data iris; loss cross_entropy }\n"
    ) == ["double-softmax"]
