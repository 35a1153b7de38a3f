"""Rules for whole models: textbook form, the loss against the head, the network against its data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specc.compiler import compile_text
from specc.data.named import check_data


def spec(tail: str, loss: str = "cross_entropy", data: str = "digits", shape: str = "[1, 8, 8]", more: str = "") -> str:
    return f"""network Net {{
    input image: {shape}
    flatten
    {tail}
}}
train {{ data {data}; loss {loss}; {more} }}
"""


def codes(text: str, folder: Path = Path()) -> list[tuple[str, str, str]]:
    """Severity, code and place of everything said, with the data at hand."""
    found = compile_text(text, "a.net")
    said = list(found.bag)
    for (network, _), program in found.programs.items():
        said += check_data(found.models[network], program, folder)
    return [(each.severity, each.code, each.span.text if each.span else "") for each in said]


def test_the_textbook_form_is_right():
    assert codes(spec("linear(10); softmax")) == []
    assert codes(spec("linear(10); log_softmax")) == []
    assert codes(spec("linear(1); sigmoid", "binary_cross_entropy", "breast_cancer", "[30]")) == []
    assert codes(spec("linear(1)", "mse", "diabetes", "[10]")) == []


@pytest.mark.parametrize(
    "tail", ["softmax; softmax", "softmax; log_softmax", "log_softmax; flatten; softmax", "softmax; identity; softmax"]
)
def test_softmax_of_softmax_is_an_error(tail: str):
    assert [each[:2] for each in codes(f"network N {{ input x: [4]; {tail} }}")] == [("error", "double-softmax")]


def test_softmax_along_two_axes_and_softmax_of_scores_of_probabilities_are_meant():
    assert codes("network N { input x: [4, 5]; softmax(axis=0); softmax(axis=1) }") == []
    assert codes("network N { input x: [4]; softmax; linear(3); softmax }") == []


@pytest.mark.parametrize(
    ("tail", "loss", "said"),
    [
        ("linear(10); sigmoid", "cross_entropy", ("error", "loss-mismatch")),
        ("linear(10); relu", "cross_entropy", ("error", "loss-mismatch")),
        ("linear(10); tanh", "cross_entropy", ("error", "loss-mismatch")),
        ("linear(10); softmax; relu", "cross_entropy", ("error", "loss-mismatch")),
        ("linear(10); softmax; flatten", "cross_entropy", ("error", "loss-mismatch")),
        ("linear(10)", "cross_entropy", ("warning", "missing-head")),
    ],
)
def test_cross_entropy_wants_probabilities(tail: str, loss: str, said: tuple[str, str]):
    assert [each[:2] for each in codes(spec(tail, loss))] == [said]


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        ("linear(1)", [("warning", "missing-head")]),
        ("linear(1); tanh", [("error", "loss-mismatch")]),
        ("linear(1); softmax", [("error", "loss-mismatch")]),
        ("linear(1); hardsigmoid", []),
        ("linear(1); sigmoid; flatten", []),
    ],
)
def test_binary_cross_entropy_wants_a_probability(tail: str, said: list[tuple[str, str]]):
    assert [each[:2] for each in codes(spec(tail, "binary_cross_entropy", "breast_cancer", "[30]"))] == said


def test_mse_on_probabilities_is_a_warning():
    text = "network N { input x: [10]; linear(10); softmax }\ntrain { data diabetes; loss mse(target=x) }"
    assert codes(text) == [("warning", "loss-mismatch", "mse(target=x)")]


def test_as_many_outputs_as_classes():
    assert codes(spec("linear(3); softmax")) == [("error", "classes-differ", "cross_entropy")]
    assert codes(spec("linear(10); softmax", data="iris", shape="[4]")) == [
        ("error", "classes-differ", "cross_entropy")
    ]
    said = codes(spec("linear(1); sigmoid", "binary_cross_entropy", "iris", "[4]"))
    assert ("error", "classes-differ", "binary_cross_entropy") in said
    said = codes(spec("linear(2); sigmoid", "binary_cross_entropy", "breast_cancer", "[30]"))
    assert said == [("error", "target-shape", "binary_cross_entropy")]


def test_the_target_must_go_with_the_loss_and_the_metric():
    assert codes(spec("linear(10)", "mse")) == [("error", "target-type", "mse")]
    assert codes(spec("linear(2); softmax", data="diabetes", shape="[10]"))[0][1] == "target-type"
    assert codes(spec("linear(2)", "mse", "diabetes", "[10]")) == [("error", "target-shape", "mse")]
    assert codes(spec("linear(10); softmax", more="metrics mae")) == [("error", "target-type", "mae")]


def test_the_input_must_have_the_shape_of_the_data():
    assert codes(spec("linear(10); softmax", shape="[1, 32, 32]")) == [("error", "data-shape", "digits")]
    assert codes(spec("linear(10); softmax", shape="[64]")) == [("error", "data-shape", "digits")]
    assert codes(spec("linear(10); softmax", shape="[1, 32, 32]", more="prepare resize(32)")) == []
    assert codes(spec("linear(10); softmax", shape="[1, 12, 9]", more="prepare pad([2, [0, 1]])")) == []
    assert codes(spec("linear(3); softmax", data="iris", shape="[4]", more="prepare resize(8)"))[0][1] == "data-shape"
    two = "network N { input a: [1, 8, 8]; input b: [1, 8, 8]; a + b -> flatten -> linear(10) -> softmax }\n"
    assert {each[1] for each in codes(two + "train { data digits; loss cross_entropy }")} == {"data-shape"}


def test_help_for_a_shape_says_what_to_write():
    found = compile_text(spec("linear(10); softmax", shape="[1, 32, 32]"), "a.net")
    said = next(iter(check_data(found.model(), next(iter(found.programs.values())), Path())))
    assert said.message == "`image` takes [1, 32, 32]; the data have [1, 8, 8]"
    assert said.help == "add `prepare resize(32)`, or declare the input as [1, 8, 8]"


def test_unknown_sizes_are_held_against_the_data():
    text = """network N {
    input image: [1, H, W]
    conv(4, 3, padding=1); maxpool(2); maxpool(2)
    global_avgpool
    linear(10); softmax
}
train { data digits; loss cross_entropy; PREPARE }
"""
    assert codes(text.replace("PREPARE", "prepare resize(12)")) == []
    assert codes(text.replace("PREPARE", "prepare resize(11)")) == [("error", "data-shape", "digits")]
    square = text.replace("[1, H, W]", "[1, H, H]")
    assert codes(square.replace("PREPARE", "prepare resize([8, 12])")) == [("error", "data-shape", "digits")]


def test_files_are_read_from_their_headers_and_may_be_missing(tmp_path: Path):
    network = "network N {{ input features: [2]; linear({}); softmax }}\n"
    train = 'train { data table("t.csv", target="kind"); loss cross_entropy }'
    assert codes(network.format(3) + train, tmp_path) == [("note", "missing-data", 'table("t.csv", target="kind")')]
    (tmp_path / "t.csv").write_text("a,b,kind\n" + "1,2,x\n3,4,y\n5,6,z\n" * 3)
    assert codes(network.format(3) + train, tmp_path) == []
    assert codes(network.format(4) + train, tmp_path)[0][1] == "classes-differ"
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert codes(network.format(3) + train, tmp_path)[0][:2] == ("error", "bad-data")


def test_whole_number_inputs_and_masks(tmp_path: Path):
    arrays = {"x": np.zeros((20, 5), np.float32), "t": np.zeros((20, 5), np.int64)}
    np.savez(tmp_path / "a.npz", **arrays)
    whole = 'network N { input tokens: int [5]; embedding(9, 4); rearrange("t c -> c t"); softmax }\n'
    train = 'train { data arrays("a.npz", target="t", tokens="x"); loss cross_entropy }'
    assert codes(whole + train, tmp_path)[0][1] == "data-shape"
    real = 'network N { input x: [5]; rearrange("t -> 1 t"); conv(3, 1); softmax }\n'
    assert codes(real + train.replace("tokens", "x"), tmp_path) == []
    short = real.replace("conv(3, 1)", "conv(3, 2)")
    assert codes(short + train.replace("tokens", "x"), tmp_path)[0][1] == "target-shape"


def test_two_weight_decays_are_refused():
    said = codes(spec("linear(10); softmax", more="optimizer adamw; regularize l2(0.1)"))
    assert said == [("error", "setting-conflict", "l2(0.1)")]
    said = codes(spec("linear(10, l2=0.5); softmax", more="optimizer adamw"))
    assert said == [("error", "setting-conflict", "0.5")]
