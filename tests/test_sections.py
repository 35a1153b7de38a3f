"""`train` and `export` sections become programs: settings, defaults, overrides, and the mistakes people make in them."""

from __future__ import annotations

import pytest

from specc.compiler import Compilation, compile_text
from specc.model.inline import inlined
from specc.model.program import Program

NETWORK = """network Net(classes: int = 10) {
    input image: [1, 8, 8]
    flatten
    hidden: linear(16)
    relu
    fc: linear(classes)
    softmax
}
"""
TWO_HEADS = """network Two {
    input image: [1, 8, 8]
    flatten
    body: linear(16)
    output digit: body -> linear(10) -> softmax
    output size: body -> linear(1)
}
"""


def compiled(train: str, network: str = NETWORK, **options: object) -> Compilation:
    return compile_text(f"{network}{train}\n", "a.net", **options)  # type: ignore[arg-type]


def program(train: str, network: str = NETWORK, **options: object) -> Program:
    found = compiled(train, network, **options)
    assert found.ok, [each.message for each in found.bag]
    return next(iter(found.programs.values()))


def errors(train: str, network: str = NETWORK, **options: object) -> list[tuple[str, str]]:
    """Codes and the text they point at, warnings too."""
    return [(each.code, each.span.text if each.span else "") for each in compiled(train, network, **options).bag]


def test_settings_have_defaults_but_data_and_loss():
    found = program("train { data digits; loss cross_entropy }")
    assert (found.batch, found.accumulate, found.epochs, found.seed) == (32, 1, 10, 0)
    assert (found.optimizer.entry.name, found.optimizer.entry.lr) == ("adam", 0.001)
    assert [each.entry.name for each in found.schedule] == ["constant"]
    assert found.parts == (None, None, None)
    assert found.init is None
    assert found.stop is None
    assert not found.measures
    assert ("missing-setting", "train { loss cross_entropy }") in errors("train { loss cross_entropy }")
    assert "missing-setting" in [code for code, _ in errors("train { data digits }")]


def test_every_setting_is_read():
    found = program("""train {
        data       table("wine.csv", target="quality", inputs=["a", "b"])
        split      train=0.7, validation=0.2
        prepare    pad([1, [2, 3]], value=0.5), resize(8), scale(from=[0, 16]), normalize(per=feature)
        loss       cross_entropy(smoothing=0.1, weights=[1, 2.5, 1, 1, 1, 1, 1, 1, 1, 1], ignore=255, reduce=sum)
        optimizer  sgd(lr=0.1, momentum=0.9, nesterov=true)
        schedule   warmup(epochs=2) -> cosine(to=1e-6)
        regularize l1(0.001), l2(0.0005, on=all)
        clip       norm(1)
        init       normal(std=0.01)
        weights    "a.safetensors", into=hidden, except=[hidden.bias, fc]
        metrics    accuracy, topk(3), f1
        stop       early(patience=3, on=validation.top3)
        batch      16, accumulate=4
        epochs     5
        seed       7
    }""")
    assert found.source.entry.inputs == ("a", "b")
    assert found.parts == (0.7, 0.2, None)
    assert [each.entry.name for each in found.prepare] == ["pad", "resize", "scale", "normalize"]
    assert found.prepare[0].entry.sides == ((1, 1), (2, 3))
    loss = found.terms[0].loss
    assert loss is not None
    assert (loss.entry.smoothing, loss.entry.weights, loss.entry.ignore, loss.entry.reduce) == (
        0.1,
        (1, 2.5, 1, 1, 1, 1, 1, 1, 1, 1),
        255,
        "sum",
    )
    assert [each.entry.name for each in found.schedule] == ["warmup", "cosine"]
    assert [(each.entry.x, each.entry.on) for each in found.regularize] == [(0.001, "weights"), (0.0005, "all")]
    assert found.init is not None
    assert found.init.arguments == (("std", 0.01),)
    assert getattr(found.weights[0].entry, "except") == ("hidden.bias", "fc")
    assert [each.label for each in found.measures] == ["accuracy", "top3", "f1"]
    assert found.stop is not None
    assert found.stop.entry.on == "validation.top3"
    assert (found.batch, found.accumulate, found.epochs, found.seed) == (16, 4, 5, 7)


def test_repeated_settings_add_up_and_single_ones_do_not():
    found = program(
        "train { data digits; loss cross_entropy; metrics accuracy; metrics top5; loss 0.5 * cross_entropy }"
    )
    assert [each.label for each in found.measures] == ["accuracy", "top5"]
    assert [each.factor for each in found.terms] == [1, 0.5]
    assert ("repeated-setting", "seed") in errors("train { data digits; loss cross_entropy; seed 1; seed 2 }")


@pytest.mark.parametrize(
    ("text", "factors"),
    [
        ("cross_entropy", [1]),
        ("2 * cross_entropy + cross_entropy / 4", [2, 0.25]),
        ("cross_entropy - 3 * (cross_entropy + 2 * cross_entropy)", [1, -3, -6]),
        ("-cross_entropy * 2 ** 3", [-8]),
    ],
)
def test_losses_are_sums_of_terms(text: str, factors: list[float]):
    assert [each.factor for each in program(f"train {{ data digits; loss {text} }}").terms] == factors


def test_a_loss_names_its_output_where_there_are_several():
    found = program("train { data digits; loss cross_entropy(digit) + 0.1 * mse(size, target=size) }", TWO_HEADS)
    assert [(each.output, each.target) for each in found.terms] == [("digit", ""), ("size", "size")]
    assert errors("train { data digits; loss cross_entropy }", TWO_HEADS) == [("ambiguous-output", "cross_entropy")]
    assert errors("train { data digits; loss cross_entropy(digt) }", TWO_HEADS) == [("unknown-output", "digt")]
    assert errors("train { data digits; loss cross_entropy(image) }", TWO_HEADS) == [("unknown-output", "image")]


def test_phases_and_sections_for_a_network():
    text = NETWORK + "network Small = Net(classes=3)\n"
    text += "train { data iris; loss cross_entropy }\ntrain tune { data wine; loss cross_entropy }\n"
    text += "train for Net { data digits; loss cross_entropy }\n"
    found = compile_text(text, "a.net")
    assert sorted((name, phase, each.source.entry.name) for (name, phase), each in found.programs.items()) == [
        ("Net", "", "digits"),
        ("Small", "", "iris"),
        ("Small", "tune", "wine"),
    ]
    twice = NETWORK + "train { data iris; loss cross_entropy }\ntrain { data wine; loss cross_entropy }\n"
    assert [each.code for each in compile_text(twice, "a.net").bag] == ["duplicate-section"]
    assert "unknown-network" in [
        each.code for each in compile_text(NETWORK + "train for Nett { data iris }", "a.net").bag
    ]


def test_set_changes_settings_where_they_are_and_where_they_are_not():
    train = "train { data digits; loss cross_entropy; optimizer sgd(lr=0.1, momentum=0.5) }"
    found = program(
        train, settings={"optimizer.lr": "0.01", "batch": "8", "schedule": "step(3)", "loss.smoothing": "0.2"}
    )
    assert (found.optimizer.entry.lr, found.optimizer.entry.momentum) == (0.01, 0.5)
    assert found.batch == 8
    assert found.schedule[0].entry.every == 3
    assert found.terms[0].loss is not None
    assert found.terms[0].loss.entry.smoothing == 0.2
    default = program(
        "train { data digits; loss cross_entropy }", settings={"optimizer.lr": "0.5", "batch.accumulate": "2"}
    )
    assert (default.optimizer.entry.name, default.optimizer.entry.lr) == ("adam", 0.5)
    assert (default.batch, default.accumulate) == (32, 2)
    inside = program("train { data digits; loss cross_entropy; optimizer sgd; optimizer.lr 0.25 }")
    assert inside.optimizer.entry.lr == 0.25


def test_values_are_expressions_that_know_the_network_and_its_file():
    text = "let slow = 1e-3\n" + NETWORK
    found = program(
        "train { data digits; loss cross_entropy; optimizer sgd(lr=slow * 2); batch 2 ** 4; epochs classes }", text
    )
    assert (found.optimizer.entry.lr, found.batch, found.epochs) == (0.002, 16, 10)


@pytest.mark.parametrize(
    ("line", "code", "at"),
    [
        ("optimzer sgd", "unknown-setting", "optimzer"),
        ("optimizer sdg", "unknown-setting", "sdg"),
        ("optimizer sgd(momentun=0.9)", "unknown-argument", "momentun"),
        ("optimizer sgd(0.1)", "too-many-arguments", "0.1"),
        ("optimizer sgd(momentum=1.5)", "bad-argument", "1.5"),
        ("optimizer sgd(lr=0)", "bad-argument", "0"),
        ("optimizer sgd(nesterov=true)", "bad-argument", "true"),
        ("optimizer sgd, adam", "too-many-arguments", "adam"),
        ("optimizer", "missing-argument", "optimizer"),
        ("optimizer 3", "bad-setting", "3"),
        ("loss discriminative", "loss-mismatch", "discriminative"),
        ("augment blur(3)", "unknown-setting", "blur"),
        ("split kfold(5), test=0.2", "setting-conflict", "0.2"),
        ("precision bf8", "unknown-name", "bf8"),
        ("prepare normalize(per=volume, mean=1, std=2)", "bad-argument", "volume"),
        ("prepare normalize(mean=1)", "bad-argument", "1"),
        ("prepare scale(from=[1, 1])", "bad-argument", "[1, 1]"),
        ("metrics topk", "missing-argument", "topk"),
        ("schedule cosine -> step(3)", "bad-setting", "cosine"),
        ("schedule step", "missing-argument", "step"),
        ("batch 0", "bad-argument", "0"),
        ("batch 3.5", "bad-argument", "3.5"),
        ("epochs many", "unknown-name", "many"),
        ("stop early(on=validation.f1)", "unknown-column", "validation.f1"),
        ("init hee", "unknown-name", "hee"),
        ("loss 2", "bad-setting", "2"),
        ("loss cross_entropy / 0", "bad-setting", "0"),
    ],
)
def test_mistakes_are_found_where_they_stand(line: str, code: str, at: str):
    data = "" if line.startswith("loss") else "loss cross_entropy;"
    assert (code, at) in errors(f"train {{ data digits; {data} {line} }}")


def test_what_is_not_there_yet_leaves_no_deployment():
    found = compiled("export { opset 20 }")
    assert not found.deployments
    assert "not yet there" in next(iter(found.bag)).message


def test_suggestions():
    bag = compiled("train { data digitz; loss cross_entropy }").bag
    assert [each.help for each in bag] == ["did you mean `digits`?"]


def test_all_mistakes_of_a_section_are_shown_at_once():
    found = errors("train { data digitz; loss crossentropy; batch 0; metrics accurracy }")
    assert [at for _, at in found] == ["digitz", "crossentropy", "0", "accurracy"]


def test_export_settings():
    found = compiled("export { opset 21; precision fp32; outputs output; sizes H=3, W=4 }")
    assert found.ok
    deployed = found.deployments["Net"]
    assert (deployed.opset, deployed.precision, deployed.outputs, dict(deployed.sizes)) == (
        21,
        "fp32",
        ("output",),
        {"H": 3, "W": 4},
    )
    assert errors("export { opset 20 }")[0][0] == "unsupported-setting"
    assert compiled("export { precision fp16 }").deployments["Net"].precision == "fp16"
    assert compiled("export { precision int8(calibrate=20) }").deployments["Net"].calibrate == 20
    assert errors("export { precision bf16 }")[0][0] == "unsupported-setting"
    assert errors("export { precision fp16(calibrate=20) }")[0][0] == "unknown-argument"
    assert errors("export { outputs scores }") == [("unknown-output", "outputs scores")]
    assert compiled("export { outputs argmax, output.softmax }").deployments["Net"].outputs == (
        "argmax",
        "output.softmax",
    )
    assert errors("export { outputs seg.argmax }") == [("unknown-output", "outputs seg.argmax")]
    assert not compiled("export { postprocess none }").deployments["Net"].postprocess
    assert compiled("export { prepare none }").deployments["Net"].postprocess


def same(first: Compilation, second: Compilation) -> bool:
    weights = [[(each.key, each.spec.shape) for each in found.model().weights] for found in (first, second)]
    steps = [[(each.path, each.op.name) for each in found.model().steps] for found in (first, second)]
    return weights[0] == weights[1] and steps[0] == steps[1]


BLOCKS = {
    "blocks/a.net": """import twice from "more/b.net"
block Inner(c: int) { conv(c, 3, padding=1); relu }   # a comment
block Outer(c: int) { a: Inner(twice(c)) expect params=80; b: Inner(c) }
""",
    "blocks/more/b.net": "let twice(n) = 2 * n\n",
}
IMPORTING = """# the head
import Outer as Big from "blocks/a.net"

network Net(classes: int = 10, width: int = 4) {
    input image: [1, H, W]
    Big(width)
    global_avgpool
    fc: linear(classes)   expect [10]
    softmax
}
expect params=1
network Small = Net(10)
train for Small { data digits; loss cross_entropy; optimizer sgd(lr=0.1) }
train for Net {
    data digits
    loss cross_entropy
}
"""


@pytest.mark.parametrize("network", ["Net", "Small"])
def test_a_spec_is_written_into_one_text_that_gives_the_same(network: str):
    given = {"classes": "3", "optimizer.lr": "0.5", "batch": "7"}
    found = compile_text(IMPORTING, "a.net", network=network, settings=given, sizes={"H": 8, "W": 8}, read=BLOCKS.get)
    assert found.ok, [each.message for each in found.bag]
    assert found.unit is not None
    text = inlined(found.unit, found.model(), found.settings, found.sizes, found.bag)
    again = compile_text(text, "b.net", network=network)
    assert again.ok, [each.message for each in again.bag]
    assert "import" not in text
    assert "# the head" in text
    assert "params=1\n" not in text
    assert same(found, again)
    first, second = found.programs[network, ""], again.programs[network, ""]
    assert (second.batch, second.optimizer.entry.lr) == (7, 0.5) == (first.batch, first.optimizer.entry.lr)


def test_two_imports_that_clash_are_refused():
    files = {"a.net": "let n = 1\nblock A { linear(n) }", "b.net": "let n = 2\nblock B { linear(n) }"}
    text = 'import A from "a.net"\nimport B from "b.net"\nnetwork N { input x: [3]; A(); B() }\n'
    found = compile_text(text, "c.net", read=files.get)
    assert found.ok
    assert found.unit is not None
    with pytest.raises(Exception, match="two files give the name `n`"):
        inlined(found.unit, found.model(), {}, {}, found.bag)
