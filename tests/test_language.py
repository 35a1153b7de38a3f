"""What LANGUAGE.md says of labels, numbering, values, blocks and sizes, sentence by sentence."""

from __future__ import annotations

from typing import Any

import pytest

from specc.compiler import Compilation, compile_text
from specc.model.graph import Model
from specc.model.report import report
from specc.syntax.format import format_text
from specc.text.diagnostics import Bag
from specc.text.source import Source


def compiled(text: str, **options: Any) -> Compilation:
    found = compile_text(text, **options)
    assert [(each.code, each.message) for each in found.bag if each.severity == "error"] == []
    return found


def model(text: str, **options: Any) -> Model:
    return compiled(text, **options).model()


def keys(text: str, **options: Any) -> list[str]:
    return [each.key for each in model(text, **options).weights]


def shapes(text: str, **options: Any) -> dict[str, list[int | str]]:
    return {each["path"]: each["shape"] for each in report(model(text, **options))["steps"]}


def codes(text: str, **options: Any) -> list[str]:
    return [each.code for each in compile_text(text, **options).bag if each.severity == "error"]


# ------------------------------------------------------------------------------------------- labels and module paths
def test_a_body_without_labels_is_a_sequence() -> None:
    assert keys("network N { input x: [3]; linear(4); relu; linear(2) }") == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    ]


def test_a_body_with_a_label_is_a_record() -> None:
    text = "network N { input x: [3]; linear(4); relu; fc: linear(2); linear(1, bias=false) }"
    assert keys(text) == ["linear1.weight", "linear1.bias", "fc.weight", "fc.bias", "linear2.weight"]


def test_as_names_the_tensor_only() -> None:
    text = "network N { input x: [3]; linear(4) as a; relu; linear(4); a + linear1(a) }"
    assert codes(text)
    assert keys("network N { input x: [3]; linear(4) as a; relu as b; a + b }") == ["0.weight", "0.bias"]


def test_automatic_names_skip_labels_in_use() -> None:
    text = "network N { input x: [3]; linear(4, bias=false); linear1: linear(2, bias=false); linear(2, bias=false) }"
    assert keys(text) == ["linear2.weight", "linear1.weight", "linear3.weight"]


def test_a_label_on_several_layers_is_a_numbered_sequence() -> None:
    text = "network N { input x: [3, 8, 8]; down: x -> conv(4, 1, bias=false) -> batchnorm }"
    assert [key for key in keys(text) if "weight" in key] == ["down.0.weight", "down.1.weight"]


def test_tensors_at_the_head_are_no_modules() -> None:
    text = """
    block Double(c: int) { repeat 2 { conv(c, 3, padding=same, bias=false); relu } }
    network N { input x: [3, 8, 8]
        a: conv(4, 1, bias=false)
        b: relu
        dec: concat(a, b) -> Double(6)
        end: concat(a, dec) -> conv(1, 1, bias=false) -> relu
    }"""
    assert keys(text) == ["a.weight", "dec.0.weight", "dec.2.weight", "end.0.weight"]


def test_braces_make_a_level_and_an_unlabelled_chain_stays_flat() -> None:
    text = (
        "network N { input x: [3]; { linear(4, bias=false) }; linear(5, bias=false) -> relu -> linear(6, bias=false) }"
    )
    assert keys(text) == ["0.0.weight", "1.weight", "3.weight"]


def test_blocks_are_named_in_snake_case() -> None:
    text = """
    block ConvBN(c: int) { conv(c, 1, bias=false) }
    network N { input x: [3, 4, 4]; ConvBN(2); ConvBN(3); head: conv(1, 1, bias=false) }"""
    assert keys(text) == ["conv_bn1.0.weight", "conv_bn2.0.weight", "head.weight"]


def test_control_flow_is_no_body_and_numbering_runs_on() -> None:
    text = """network N { input x: [3]
        repeat 2 { linear(3, bias=false) }
        if 1 < 2 { linear(4, bias=false) } else { named: linear(9) }
        for width in [5, 6] { linear(width, bias=false) } }"""
    assert keys(text) == ["linear1.weight", "linear2.weight", "linear3.weight", "linear4.weight", "linear5.weight"]
    assert keys(text.replace("named: ", "")) == ["0.weight", "1.weight", "2.weight", "3.weight", "4.weight"]


def test_a_loop_that_runs_zero_times_changes_nothing() -> None:
    assert shapes("network N { input x: [3]; relu; repeat 0 { linear(9) }; if false { linear(7) } }") == {"0": [3]}


def test_string_labels() -> None:
    text = 'network N { input x: [3]; for i in range(2) { "block1-{i}": linear(3, bias=false); "d{i + 1}": relu }; d1 + d2 }'
    assert keys(text) == ["block1-0.weight", "block1-1.weight"]


def test_a_dot_reaches_labels_in_a_group_and_outputs_of_a_block() -> None:
    text = """
    block Body { a: linear(4, bias=false); output low: relu; b: linear(2, bias=false) }
    network N { input x: [3]
        features: { first: linear(5, bias=false); second: linear(6, bias=false) }
        body: features.first -> Body()
        concat(body.low, features.second, features.first) }"""
    assert shapes(text)["concat1"] == [15]
    assert codes(text.replace("body.low", "body.b")) == ["unknown-attribute"]


def test_several_labels_take_the_outputs() -> None:
    text = "network N { input x: [6]; left, right: split(2); left * right }"
    assert shapes(text)["multiply1"] == [3]


def test_parallel_is_a_list() -> None:
    text = """
    block Conv(c: int, k: int, d: int = 1) { conv(c, k, dilation=d, padding=same, bias=false); relu }
    network N { input x: [3, 8, 8]
        convs: parallel { Conv(4, 1); for rate in [2, 3] { Conv(4, 3, rate) }; conv(2, 1, bias=false) -> relu }
        concat(convs)
        convs[0] + convs[2] }"""
    assert keys(text) == ["convs.0.0.weight", "convs.1.0.weight", "convs.2.0.weight", "convs.3.0.weight"]
    assert shapes(text)["concat1"] == [14, 8, 8]


def test_a_shared_module_is_counted_once() -> None:
    text = """network N { input one: [3]; input two: [3]
        tower: { linear(4, bias=false); relu }
        right: two -> tower
        tower + right }"""
    assert codes(text) == ["no-input"]
    text = text.replace("tower: {", "tower: one -> {")
    assert keys(text) == ["tower.0.weight"]
    assert report(model(text))["parameters"] == 12
    wide = text.replace("two: [3]", "two: [5]")
    assert codes(wide) == ["shared-shape"]


def test_a_shared_layer_block_and_chain() -> None:
    text = """
    block Unit(c: int) { fc: linear(c, bias=false) }
    network N { input x: [4]
        a: linear(4, bias=false)
        b: Unit(4)
        c: linear(4, bias=false) -> relu
        x -> a -> b -> c -> a }"""
    assert keys(text) == ["a.weight", "b.fc.weight", "c.0.weight"]


def test_tied_weights_keep_both_keys_and_count_once() -> None:
    text = """network N { input x: [4]; first: linear(8, bias=false); back: linear(4, bias=false)
        again: linear(8, bias=false, weight=first.weight) }"""
    found = report(model(text))
    assert found["tied"] == [["again.weight", "first.weight"]]
    assert found["parameters"] == 64
    assert len(found["state_dict"]) == 3
    assert codes(text.replace("again: linear(8", "again: linear(9")) == ["shared-shape"]


def test_parameters_and_buffers() -> None:
    text = """network N { input x: [4]
        parameter scale: [4], init=ones
        buffer table: [2, 2] = [[1, 2], [3, 4]]
        parameter token: [1, 4], stored=[1, 1, 4], init=zeros
        x * scale }"""
    found = report(model(text))
    assert found["state_dict"] == [["scale", [4]], ["token", [1, 1, 4]], ["table", [2, 2]]]
    assert (found["parameters"], found["buffers"]) == (8, 4)
    assert codes(text.replace("[3, 4]]", "[3]]")) == ["bad-argument"]


def test_lets_give_values_functions_and_layers() -> None:
    text = """
    let half(v) = v // 2
    let Full(channels, stride=1) = conv(channels, 3, stride=stride, padding=1, bias=false)
    let Unit(c) = { conv(c, 1, bias=false); relu }
    network N(make: block = Full) { input x: [8, 8, 8]
        let width = half(x.channels)
        a: Full(width, stride=2, ) -> relu
        make(6)
        u: Unit(3) }""".replace("stride=2, )", "stride=2)")
    text = text.replace("padding=1, bias", "padding=1, fit=down, bias")
    assert keys(text) == ["a.0.weight", "conv1.weight", "u.0.weight"]
    assert shapes(text)["a.0"] == [4, 4, 4]


def test_a_label_may_not_shadow_a_parameter() -> None:
    assert codes("network N(width: int = 3) { input x: [3]; width: linear(2) }") == ["shadowed-parameter"]


def test_the_same_label_twice() -> None:
    assert codes("network N { input x: [3]; a: linear(2); a: linear(3) }") == ["duplicate-label"]
    assert codes("network N { input x: [3]; if true { a: linear(2) } else { a: linear(3) }; a -> relu }") == []


def test_a_bare_name_that_is_both_is_an_error() -> None:
    assert codes("network N { input x: [3]; relu: linear(3); relu }") == ["ambiguous-name"]
    assert codes("network N { input x: [3]; relu: linear(3); relu() }") == []


# ---------------------------------------------------------------------------------------------- values and expressions
@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 // 2", 3), ("8 / 2", 4), ("2 ** 10", 1024), ("-7 // 2 + 10", 6), ("7 % 4", 3), ("round(2.5)", 2),
        ("ceil(7 / 2)", 4), ("floor(7 / 2)", 3), ("max(1, 5, 3)", 5), ("min([4, 2])", 2), ("sum([1, 2, 3])", 6),
        ("abs(-3)", 3), ("len([1, 2])", 2), ("[5, 6, 7][1]", 6), ("[5, 6, 7][1:][0]", 6), ("4 if 1 < 2 else 5", 4),
        ("[v * 2 for v in range(5) if v % 2 == 1][1]", 6), ("sum([a * b for a, b in zip([1, 2], [3, 4])])", 11),
        ("[i + v for i, v in enumerate([7, 8])][1]", 9), ("round(sqrt(16))", 4), ("floor(log2(9))", 3), ("x.channels", 3),
        ("x.height * x.width", 20), ("x.rank", 3), ("len(x.shape)", 3), ("sum(x.spatial)", 9), ("138_000 // 1_000", 138),
        ("2 if not (true and false) or false else 3", 2),
    ],
)  # fmt: skip
def test_values(expression: str, value: int) -> None:
    text = f"network N {{ input x: [3, 4, 5]; conv({expression}, 1) }}"
    assert shapes(text)["0"] == [value, 4, 5]


def test_indexing_of_tensors() -> None:
    text = "network N { input x: [3, H, 8]; x[0] as a; x[:2, 1:, :4] as b; a[:H, 0] as c }"
    found = [each["shape"] for each in report(model(text))["steps"]]
    assert found == [["H", 8], [2, "H - 1", 4], ["H"]]


def test_broadcasting() -> None:
    assert shapes("network N { input x: [3, 4, 5]; input y: [3, 1, 1]; x * y }")["multiply1"] == [3, 4, 5]
    assert codes("network N { input x: [3, 4, 5]; input y: [3, 2, 5]; x + y }") == ["shape-mismatch"]
    assert codes("network N { input x: [3, 4]; input y: [4]; x + y }") != []
    found = report(model("network N { input x: [3, A]; input y: [3, B]; x + y }"))
    assert [each["text"] for each in found["conditions"]] == ["A and B are equal"]


def test_block_signatures_are_proved() -> None:
    text = "block Half: [C, *S] -> [C, *ceil(S / 2)] { maxpool(2) }\nnetwork N { input x: [3, H, W]; Half() }"
    assert codes(text) == []
    wrong = text.replace("ceil(S / 2)", "S")
    assert codes(wrong) == ["signature-mismatch"]
    assert codes("block B: [C, H, W] { relu }\nnetwork N { input x: [3]; B() }") == ["signature-mismatch"]


def test_block_values_and_partial_blocks() -> None:
    text = """
    block Wide(channels: int, groups: int = 1) { conv(channels, 1, groups=groups, bias=false) }
    network Net(unit: block, widths: list) { input x: [4, 2, 2]; for w in widths { unit(w) } }
    network Grouped = Net(Wide(groups=2), [4, 8])"""
    assert keys(text) == ["0.0.weight", "1.0.weight"]
    assert [each["parameters"] for each in report(model(text))["steps"]] == [8, 16]


def test_typed_parameters() -> None:
    text = "block B(c: int) { linear(c) }\nnetwork N { input x: [3]; B(%s) }"
    assert codes(text % "2.5") == ["bad-argument"]
    assert codes(text % "") == ["missing-argument"]
    assert codes(text % "2, 3") == ["too-many-arguments"]
    assert codes(text % "d=2") == ["unknown-argument"]


def test_tensor_parameters() -> None:
    text = """
    block Up(skip: tensor, channels: int) { linear(channels) as y; concat(y, skip) }
    network N { input x: [3]; a: linear(4); b: Up(x, 5); c: Up(b, a, 6) }"""
    assert shapes(text)["b.concat1"] == [8]
    assert shapes(text)["c.concat1"] == [10]


def test_words_pass_through_blocks() -> None:
    text = "block B(mode) { conv(2, 3, padding=mode) }\nnetwork N { input x: [1, 5, 5]; B(same) }"
    assert shapes(text)["0.0"] == [2, 5, 5]
    assert codes(text.replace("B(same)", "B(some)")) == ["unknown-name"]


def test_outputs() -> None:
    text = "network N { input x: [3]; a: linear(4); output low: relu; output high: linear(2); output a }"
    assert [each["name"] for each in report(model(text))["outputs"]] == ["low", "high", "a"]


def test_training_outputs_leave_the_flow_and_count_weights_alone() -> None:
    text = "network N { input x: [3]; a: linear(4); output aux: linear(7) when training; linear(2) }"
    found = report(model(text))
    assert [each["name"] for each in found["outputs"]] == ["aux", "output"]
    assert found["parameters"] == 16 + 35 + 10
    assert found["macs"] == 12 + 8


# --------------------------------------------------------------------------------------------------------- sizes
def test_where_and_size() -> None:
    text = "network N { input x: [1, H]\n where H % 4 == 0 and H >= 12\n maxpool(2); maxpool(2) }"
    assert [each["text"] for each in report(model(text))["conditions"]] == ["H is a multiple of 4, at least 12"]
    assert report(model(text, sizes={"H": 16}))["conditions"] == []
    assert "where-fails" in codes(text, sizes={"H": 14})


def test_choices_must_be_decided() -> None:
    text = "network N { input x: [1, H]\n %s\n if H >= 8 { maxpool(2, fit=down) } }"
    assert codes(text % "") == ["undecided-choice"]
    assert codes(text % "where H >= 9") == []


def test_claims() -> None:
    text = "network N { input x: [1, H, W]; conv(4, 3) expect [4, H - 2, W - 2], params=40, macs=36 * (H - 2) * (W - 2) }\n"
    assert codes(text + "expect valid when H >= 3 and W >= 3\nexpect macs=36 at H=3, W=3") == []
    assert codes(text + "expect valid when H >= 4 and W >= 3") == ["expectation-fails"]
    assert codes(text + "expect macs=37 at H=3, W=3") == ["expectation-fails"]
    assert codes(text + "expect params=41") == ["expectation-fails"]
    found = compile_text(text + "expect macs=36 at H=3, W=3\nexpect params=40", sizes={"H": 5})
    assert not found.bag.failed


def test_set_overrides_parameters() -> None:
    text = "network N(classes: int = 3) { input x: [4]; linear(classes) } expect params=15"
    found = compile_text(text, settings={"classes": "5"})
    assert report(found.model())["parameters"] == 25
    assert [each.code for each in found.bag] == ["not-applicable"]
    assert codes(text, settings={"clases": "5"}) == ["unknown-setting"]


def test_templates_are_not_compiled_alone() -> None:
    text = "network T(k: int) { input x: [4]; linear(k) }\nnetwork A = T(2)\nnetwork B = T(3)"
    assert list(compiled(text).models) == ["A", "B"]
    assert codes(text, network="T") == ["missing-argument"]
    assert codes(text, network="C") == ["unknown-network"]


def test_imports() -> None:
    files = {"lib/a.net": 'import B from "sub/b.net"\nblock A { B() }', "lib/sub/b.net": "block B { linear(2) }"}
    text = 'import A from "lib/a.net"\nnetwork N { input x: [3]; A() }'
    assert keys(text, read=files.get) == ["0.0.0.weight", "0.0.0.bias"]
    assert codes(text.replace("lib/a", "../a"), read=files.get) == ["import-outside"]
    assert codes(text.replace("lib/a", "lib/x"), read=files.get) == ["missing-import"]
    assert codes(text.replace("A from", "Z from"), read=files.get)[0] == "unknown-import"
    ring = {"a.net": 'import B from "b.net"\nblock A { B() }', "b.net": 'import A from "a.net"\nblock B { A() }'}
    assert "import-cycle" in codes('import A from "a.net"\nnetwork N { input x: [3]; A() }', read=ring.get)
    assert codes("import Basic from residual\nnetwork N { input x: [3, 8, 8]; Basic(4) }") == []


def test_the_unet_of_the_language_page() -> None:
    text = """
    block Double(channels: int) { repeat 2 { conv(channels, 3, padding=same); batchnorm; relu } }
    network UNet(width: int = 64, classes: int = 2) {
        input image: [1, H, W]
        enc1: Double(width)
        enc2: maxpool(2) -> Double(2 * width)
        enc3: maxpool(2) -> Double(4 * width)
        mid:  maxpool(2) -> Double(8 * width)
        up3:  upconv(4 * width, 2, stride=2)
        dec3: concat(up3, enc3) -> Double(4 * width)
        up2:  upconv(2 * width, 2, stride=2)
        dec2: concat(up2, enc2) -> Double(2 * width)
        up1:  upconv(width, 2, stride=2)
        dec1: concat(up1, enc1) -> Double(width)
        head: conv(classes, 1)
    }"""
    found = report(model(text))
    assert [each["text"] for each in found["conditions"]] == [
        "H is a multiple of 8, at least 8", "W is a multiple of 8, at least 8",
    ]  # fmt: skip
    assert {each["path"] for each in found["conditions"][0]["causes"]} == {
        "enc2.0", "enc3.0", "mid.0", "concat1", "concat2", "concat3",
    }  # fmt: skip
    assert found["outputs"][0]["shape"] == [2, "H", "W"]


def test_the_graph_view_follows_the_tensors() -> None:
    text = """network N { input one: [3]; input two: [3]
        tower: one -> { linear(4, bias=false); relu }
        right: two -> tower
        tower + right }"""
    graph = model(text).graph()
    assert sorted(graph.predecessors("add1")) == ["tower.1", "tower.1@3"]
    assert list(graph.predecessors("tower.0@2")) == ["two"]


def test_layers_as_arguments_are_called_or_not() -> None:
    text = """
    block Unit(act: block = relu) { linear(4, bias=false); act() }
    network N { input x: [4]; Unit(); Unit(act=leaky_relu(0.1)); Unit(elu) }"""
    assert [each.op.name for each in model(text).steps] == ["linear", "relu", "linear", "leaky_relu", "linear", "elu"]


def test_a_table_convolution_is_shared_only_with_as_many_channels() -> None:
    text = "network N { input x: [4, 8]; t: conv(3, 3, table=[[1], [0], [1]]); %s -> t }"
    assert codes(text % "x") == []
    assert codes(text % "t") == ["shared-shape"]


def test_a_group_with_buffers_is_shared_only_between_equal_shapes() -> None:
    text = "network N { input x: [9]; a: linear(%d); g: a -> { batchnorm; tanh }; x -> g }"
    assert codes(text % 9) == []
    assert codes(text % 1) == ["shared-shape"]


def test_a_module_in_a_body_that_is_used_again_gets_its_channels() -> None:
    """The weights of a convolution with a table do not show for how many channels it was built."""
    text = "network N {{ input x: [2, 5, 5]; conv(3, 1) as y; g: {{ relu; conv(2, 3, table=[[0], [1]]) }}; {} -> g }}"
    assert codes(text.format("y")) == []
    (said,) = compile_text(text.format("x"), fixes=False).bag
    assert (said.code, said.message) == ("shared-shape", "`g.1` was built for 3 channels; here 2 come in")


def test_comprehensions_with_several_loops() -> None:
    """The inner loop runs fastest, as in Python; each may have a condition and use the names before it."""
    text = """let differences(n) = [i - j for i in range(n) if i > 0 for j in range(n) if j != i]
let rows(n) = [*[k, 2 * k] for k in range(n)]

network N {
    input x: [4]
    buffer a: int [4] = differences(3)
    buffer b: int [4] = rows(2)
    x * a + b
}
"""
    found = model(text)
    assert [weight.spec.values for weight in found.weights] == [(1, -1, 2, 1), (0, 0, 1, 2)]
    assert format_text(Source("n.net", text), Bag()) == text
    assert codes(text.replace("for j in range(n) if j != i", "for j in i")) == ["not-a-list"]


def test_a_setting_that_is_no_expression_is_an_error_and_no_crash() -> None:
    text = "network N(width: int = 8) { input x: [4]; linear(2 * width) }"
    for given in ("8 +", "[1", "(", ""):
        assert codes(text, settings={"width": given}) != []
