"""Generated PyTorch modules: keys, shapes and order as the model says, and source that a person would write."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from specc.backends.pytorch import CannotPrint, load, write
from specc.compiler import compile_text
from specc.model.graph import Model
from specc.sizes.conditions import examples
from specc.sizes.dim import evaluate

torch = pytest.importorskip("torch")

BASIC = """
block Basic(channels: int, stride: int = 1): [C, H, W] -> [channels, ceil(H / stride), ceil(W / stride)] {
    conv1: conv(channels, 3, stride=stride, padding=1, bias=false)
    bn1:   batchnorm
    relu
    conv2: conv(channels, 3, padding=1, bias=false)
    bn2:   batchnorm
    if stride != 1 or C != channels {
        downsample: input -> conv(channels, 1, stride=stride, bias=false) -> batchnorm
        bn2 + downsample
    } else {
        bn2 + input
    }
    relu
}
"""
RESNET = (
    BASIC
    + """
network ResNet(unit: block, depths: list, classes: int = 10) {
    input image: [3, 64, 64]
    conv1:   conv(8, 7, stride=2, padding=3, bias=false)
    bn1:     batchnorm
    relu
    maxpool(3, stride=2, padding=1)
    layer1:  { repeat depths[0] { unit(8) } }
    layer2:  { unit(16, stride=2); repeat depths[1] - 1 { unit(16) } }
    global_avgpool
    fc:      linear(classes)
    softmax
}
network Small = ResNet(Basic, [2, 5])
"""
)
UNET = """
block Double(channels: int) {
    repeat 2 { conv(channels, 3, padding=same); batchnorm; relu }
}
network UNet(width: int = 4, classes: int = 2) {
    input image: [1, H, W]
    enc1: Double(width)
    enc2: maxpool(2) -> Double(2 * width)
    mid:  maxpool(2) -> Double(4 * width)
    up2:  upconv(2 * width, 2, stride=2)
    dec2: concat(up2, enc2) -> Double(2 * width)
    up1:  upconv(width, 2, stride=2)
    dec1: concat(up1, enc1) -> Double(width)
    head: conv(classes, 1)
}
"""
SPECS = {
    "sequence": "network N { input x: [1, 8, 8]; conv(4, 3); relu; flatten; linear(3); softmax }",
    "record": "network N { input x: [1, 8, 8]; c: conv(4, 3); relu; flatten; dropout(0.5); f: linear(3) }",
    "resnet": RESNET,
    "unet": UNET,
    "dense": """
        block DenseLayer(growth: int) {
            norm: batchnorm
            conv: conv(growth, 3, padding=1)
            concat(input, conv)
        }
        network DenseNet(growth: int = 4) {
            input image: [3, 16, 16]
            features: {
                conv0: conv(2 * growth, 3, padding=1)
                for i in range(2) {
                    "block{i}": { for j in range(3) { "layer-{j}": DenseLayer(growth) } }
                    if i == 0 { "transition{i}": { norm: batchnorm; pool: avgpool(2) } }
                }
            }
            global_avgpool
            fc: linear(5)
        }""",
    "shared": """
        network Twins {
            input left: [1, 12, 12]
            input right: [1, 12, 12]
            tower: left -> conv(4, 3) -> relu -> flatten -> linear(6)
            other: right -> tower
            concat(tower, other)
            fc: linear(2)
            sigmoid
        }""",
    "shared op": """
        network N {
            input x: [4]
            a: linear(4)
            relu
            b: a -> relu -> a
            a + b
        }""",
    "tied": """
        network Tied(width: int = 8) {
            input x: [12]
            enc: { a: linear(width, bias=false); b: linear(12, bias=false) }
            relu
            dec: linear(width, bias=false, weight=enc.a.weight)
        }""",
    "parallel": """
        block Branch(channels: int, dilation: int) { conv(channels, 3, padding=dilation, dilation=dilation); relu }
        network Aspp(width: int = 4) {
            input x: [3, 16, 16]
            convs: parallel {
                conv(width, 1)
                for rate in [1, 2, 3] { Branch(width, rate) }
                maxpool(3, stride=1, padding=1)
            }
            concat(convs)
            head: conv(2, 1)
        }""",
    "outside": """
        network Outside {
            input x: [3, 16, 16]
            stem: conv(4, 3, padding=1)
            body: {
                low: conv(4, 3, padding=1)
                relu
                high: conv(4, 3, padding=1)
                high + stem
            }
            head: conv(2, 1)
            concat(head, body.low)
        }""",
    "dict": """
        network Two {
            input x: [3, 8, 8]
            trunk: conv(4, 3)
            output mask: conv(2, 1) -> softmax
            trunk -> global_avgpool
            output kind: linear(3) -> softmax
        }""",
    "training": """
        network Side {
            input x: [3, 8, 8]
            a: conv(4, 3)
            output aux: global_avgpool -> linear(3) -> softmax when training
            b: conv(4, 3)
            global_avgpool
            fc: linear(3)
            softmax
        }""",
    "head inside": """
        network Inside {
            input x: [6]
            body: linear(4)
            head: { linear(3); softmax }
        }""",
    "weights": """
        block Shift: [C, H, W] { parameter shift: [C, 1, 1], init=normal(std=0.02); input + shift }
        network N {
            input x: [3, 4, 4]
            parameter token: [3, 1, 1], stored=[1, 3, 1], init=zeros
            buffer index: int [4] = [3, 1, 2, 0]
            buffer count: [2, 2] = [[1, 2], [3, 4.5]]
            s: Shift
            s + token
            conv: conv(2, 1)
        }""",
    "numbered residual": """
        block Res { conv(4, 3, padding=1); relu; conv(4, 3, padding=1) as y; y + input; relu }
        network N { input x: [4, 8, 8]; Res; Res; conv(2, 1) }""",
    "names": """
        network N {
            input x: [4]
            type: linear(4)
            forward: linear(4)
            "a-b": linear(4)
            class: linear(2)
        }""",
    "tensor parameter": """
        block Up(skip: tensor, channels: int) {
            up: upconv(channels, 2, stride=2)
            concat(up, skip)
            conv: conv(channels, 3, padding=1)
        }
        network N {
            input x: [3, 16, 16]
            a: conv(4, 3, padding=1)
            b: maxpool(2) -> conv(8, 3, padding=1)
            up: Up(skip=a, channels=4)
        }""",
    "published": """
        block Two(channels: int) { a: conv(channels, 1); output low: relu; conv(channels, 1) }
        network N { input x: [3, 4, 4]; one: Two(4); two: Two(4); two + one.low; head: conv(2, 1) }""",
    "volume": "network N { input x: [1, D, H, W]; conv(4, 3, padding=same); prelu; upconv(2, 2, stride=2); sigmoid }",
    "table": "network N { input x: [3, 8, 8]; c: conv(2, 3, table=[[0, 1], [2]]); relu }",
    "again with another tensor": """
        network N {
            input x: [4]
            input y: [4]
            a: x -> linear(4)
            g: { l: linear(4); relu; l + a }
            first: x -> g
            second: y -> g
            first + second
        }""",
    "unused": """
        block Pair(channels: int) { a: linear(channels); b: linear(channels); a + b }
        network N {
            input x: [4]
            spare: Pair(4)
            side: { c: linear(2); d: linear(2) }
            both: parallel { linear(2); { linear(3); relu } }
            x -> linear(2)
        }""",
    "weight as a tensor": "network N { input x: [4]; a: linear(4); g: { l: linear(4); l * a.bias }; c: linear(2) }",
    "nested parallel": """
        network N {
            input x: [3, 8, 8]
            body: {
                p: parallel { conv(2, 1); parallel { conv(2, 1); conv(3, 1) } -> concat; { conv(2, 1); relu } }
                concat(p)
                relu
            }
            last: conv(2, 1)
        }""",
    "groups in groups": """
        block G(c: int) { body: { a: conv(c, 1); b: a + input; conv(2 * c, 1) }; tail: conv(c, 1) }
        network N {
            input x: [4, 8, 8]
            G(4); G(4); G(4)
            a: { b: { c: conv(4, 1); d: conv(4, 1) }; e: conv(4, 1) }
            concat(a, a.b.c)
        }""",
    "lists and lets": """
        let Full(channels, stride=1) = conv(channels, 3, stride=stride, padding=1)
        block U(dims: list, rate: float) {
            let half = dims[0] // 2
            for d in dims { Full(d); relu }
            Full(half + 1, stride=2)
            dropout(rate)
        }
        network N(rate: float = 0.25) { input x: [3, 9, 9]; U([4, 6], rate); U([8], 0.5) }""",
    "reserved variables": """
        network N {
            input x: [4]
            out: linear(4); y: linear(4); z: linear(4); l: linear(4)
            together: concat(out, y, z, l)
            self: linear(2); torch: linear(2); F: linear(3)
            concat(self, torch, F)
        }""",
    "without a batch": "network N { input x: [4, 6]; parameter t: [4, 6], init=zeros; concat(x, t); linear(3) }",
    "identity": "network N { input x: [3]; a: linear(3); identity; b: linear(3); identity }",
}


def model_of(text: str) -> Model:
    found = compile_text(text)
    assert found.ok, [each.message for each in found.bag]
    return found.model()


def inputs_for(model: Model) -> list[torch.Tensor]:
    names = sorted({name for port in model.inputs for size in model.type(port.value).shape for name in symbols(size)})
    predicates = [each.predicate for each in model.requirements]
    known = (examples(predicates, model.facts, 1, symbols=names) or [{}])[0] if names else {}
    sizes = {name: max(known.get(name, 8), 1) for name in names}
    return [torch.rand(2, *(evaluate(size, sizes) for size in model.type(port.value).shape)) for port in model.inputs]


def symbols(size: object) -> frozenset[str]:
    return getattr(size, "symbols", frozenset())


@pytest.mark.parametrize("name", SPECS)
def test_state_dict_is_the_models(name: str) -> None:
    model = model_of(SPECS[name])
    module = load(write(model), model.name)()
    state = module.state_dict()
    assert list(state) == [each.key for each in model.weights]
    assert [tuple(each.shape) for each in state.values()] == [tuple(each.spec.shape) for each in model.weights]
    module.load_state_dict(state, strict=True)


@pytest.mark.parametrize("name", SPECS)
def test_outputs_have_the_models_shapes(name: str) -> None:
    model = model_of(SPECS[name])
    module = load(write(model), model.name)().eval()
    inputs = inputs_for(model)
    with torch.no_grad():
        found, logits = module(*inputs), module.logits(*inputs)
    ports = [each for each in model.outputs if not each.training]
    if len(ports) > 1:
        assert list(found) == list(logits) == [each.name for each in ports]
    else:
        found, logits = {ports[0].name: found}, {ports[0].name: logits}
    for port in ports:
        shape = model.type(port.value).shape
        sizes = dict(zip(shape, found[port.name].shape[1:], strict=True))
        assert all(size == seen for size, seen in sizes.items() if isinstance(size, int))
        assert found[port.name].shape == logits[port.name].shape


@pytest.mark.parametrize("name", SPECS)
def test_source_is_deterministic_and_formatted(name: str, tmp_path: Path) -> None:
    source = write(model_of(SPECS[name]))
    assert source == write(model_of(SPECS[name]))
    ruff = shutil.which("ruff") or str(Path(sys.executable).with_name("ruff"))
    if not Path(ruff).exists():
        pytest.skip("ruff is not installed")
    file = tmp_path / "generated.py"
    file.write_text(source, encoding="utf-8")
    options = ["--isolated", "--line-length", "88", "--no-cache"]
    subprocess.run([ruff, "format", *options, str(file)], check=True, capture_output=True)
    assert file.read_text(encoding="utf-8") == source
    check = [ruff, "check", "--isolated", "--no-cache", "--select", "E4,E7,E9,F,I", str(file)]
    linted = subprocess.run(check, capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout


def test_a_size_that_weights_depend_on_is_a_parameter() -> None:
    text = "block Two { linear(4); relu; linear(5) }\nnetwork N { input x: [K]; Two; linear(2) }"
    module = load(write(model_of(text)), "N")(K=6)
    assert module(torch.rand(3, 6)).shape == (3, 2)
    assert tuple(module.state_dict()["0.0.weight"].shape) == (4, 6)


def test_equal_branches_are_run_in_a_loop() -> None:
    assert "torch.cat([conv(x) for conv in self.convs], dim=1)" in write(model_of(SPECS["parallel"]))


def test_arguments_at_their_defaults_do_not_split_a_class() -> None:
    text = """
        block Unit(channels: int, kernel: int = 3, stride: int = 1, groups: int = 1) {
            conv(channels, kernel, stride=stride, padding=kernel // 2, groups=groups); relu
        }
        network N { input x: [4, 8, 8]; Unit(8); Unit(8, 1); Unit(8, stride=1, groups=8); Unit(6, 5) }"""
    source = write(model_of(text))
    assert source.count("\nclass ") == 2
    assert "Unit(8, 8, groups=8)" in source


def test_blocks_with_other_branches_are_other_classes() -> None:
    source = write(model_of(RESNET))
    assert source.count("\nclass ") == 3
    assert "class BasicDownsample(nn.Module):" in source
    assert "self.layer1 = nn.Sequential(Basic(8, 8), Basic(8, 8))" in source
    assert "*[Basic(16, 16) for _ in range(4)]" in source


def test_arguments_are_written_in_the_words_of_the_spec() -> None:
    source = write(model_of(UNET))
    assert "def __init__(self, width: int = 4, classes: int = 2):" in source
    assert "self.dec2 = Double(4 * width, 2 * width)" in source
    assert "H must be a multiple of 4" in source


def test_parameters_of_the_network_can_be_given() -> None:
    model = model_of(UNET)
    kind = load(write(model), "UNet")
    wide = {each.key: tuple(each.spec.shape) for each in compile_text(UNET, settings={"width": "6"}).model().weights}
    assert {key: tuple(each.shape) for key, each in kind(width=6).state_dict().items()} == wide


def test_parameters_that_decide_the_structure_are_no_parameters() -> None:
    text = """
        network N(deep: int = 2, wide: int = 3, narrow: int = 5) {
            input x: [4]
            repeat deep { linear(wide) }
            linear(max(narrow, 2))
        }"""
    assert "def __init__(self, wide: int = 3):" in write(model_of(text))


def test_wrong_sizes_are_refused_in_the_words_of_the_spec() -> None:
    module = load(write(model_of(UNET)), "UNet")()
    with pytest.raises(ValueError, match="H must be a multiple of 4, at least 4; got 10"):
        module(torch.rand(1, 1, 10, 8))
    with pytest.raises(ValueError, match=r"image must be a batch of \[1, H, W\]"):
        module(torch.rand(1, 3, 8, 8))


def test_forward_is_logits_with_the_heads() -> None:
    module = load(write(model_of(SPECS["dict"])), "Two")().eval()
    x = torch.rand(2, 3, 8, 8)
    found, logits = module(x), module.logits(x)
    assert torch.allclose(found["mask"], logits["mask"].softmax(1))
    assert torch.allclose(found["kind"], logits["kind"].softmax(1))


def test_a_head_inside_a_group_is_undone_too() -> None:
    module = load(write(model_of(SPECS["head inside"])), "Inside")().eval()
    x = torch.rand(2, 6)
    assert torch.allclose(module(x), module.logits(x).softmax(1))
    assert not torch.allclose(module(x), module.logits(x))


def test_outputs_of_training_come_only_in_training() -> None:
    module = load(write(model_of(SPECS["training"])), "Side")()
    x = torch.rand(2, 3, 8, 8)
    assert list(module.train().logits(x)) == ["output", "aux"]
    assert module.train()(x).shape == (2, 3)
    assert module.eval().logits(x).shape == (2, 3)


def test_shared_modules_have_one_weight_and_tied_weights_one_tensor() -> None:
    twins = load(write(model_of(SPECS["shared"])), "Twins")().eval()
    x = torch.rand(2, 1, 12, 12)
    y = torch.rand(2, 1, 12, 12)
    both = twins.tower(x), twins.tower(y)
    assert torch.allclose(twins.logits(x, y), twins.fc(torch.cat(both, 1)))
    tied = load(write(model_of(SPECS["tied"])), "Tied")()
    assert tied.dec.weight is tied.enc.a.weight


def test_declared_weights_start_as_they_are_said_to() -> None:
    state = load(write(model_of(SPECS["weights"])), "N")().state_dict()
    assert state["index"].tolist() == [3, 1, 2, 0]
    assert state["index"].dtype == torch.int64
    assert state["count"].tolist() == [[1.0, 2.0], [3.0, 4.5]]
    assert state["token"].abs().sum() == 0


def test_module_imports_torch_alone() -> None:
    for text in SPECS.values():
        lines = [each for each in write(model_of(text)).splitlines() if each.startswith(("import ", "from "))]
        modules = {each.split()[1].split(".")[0] for each in lines}
        assert modules <= {"torch", "math", "collections"}


def test_a_class_name_must_be_a_name() -> None:
    with pytest.raises(CannotPrint, match="cannot be the name"):
        write(model_of(SPECS["record"]), name="two words")
