"""`specc import`: what other programs wrote becomes a spec with the same outputs, and what has no counterpart is said."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx_files import weights_of
from safetensors.numpy import load_file
from test_ops import model_of as model_of_case

from specc.backends.onnx import lower
from specc.backends.onnx_file import write
from specc.backends.onnx_weights import Arrays
from specc.catalogue import registry
from specc.catalogue.entry import Case
from specc.compiler import compile_text
from specc.data.project import open_spec
from specc.deploy.proof import relative_error
from specc.deploy.reading.file import Unreadable, opened
from specc.deploy.reading.network import READERS
from specc.deploy.reading.prototxt import parsed
from specc.deploy.reading.view import BATCH, View, plain, regrouped
from specc.deploy.reading.writing import import_caffe, import_onnx, title
from specc.model.report import parameters
from specc.tools.cli import main

SPECS = Path(__file__).parent.parent / "specs"
OWN = [
    ("lenet5.net", "LeNet5"), ("mobilenet_v1.net", ""), ("squeezenet.net", ""), ("unet.net", "UNet"), ("googlenet.net", ""),
    ("convnet_cifar10.net", ""), ("mlp.net", ""), ("pointnet.net", ""), ("densenet121.net", "DenseNet121"), ("resnet.net", "ResNet18"),
]  # fmt: skip


def written(model: Any, folder: Path) -> Path:
    path = folder / "net.onnx"
    write(lower(model, weights=Arrays(weights_of(model))), path, side_file=False)
    return path


def made(folder: Path, nodes: list[Any], shape: list[Any], constants: dict[str, Any], out: str = "y") -> Path:
    """An ONNX file of these nodes with an input x and an output y."""
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    gives = [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)]
    arrays = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "made", given, gives, arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / "made.onnx")
    return folder / "made.onnx"


# ------------------------------------------------------------------------------------------------------- own exports
@pytest.mark.parametrize(("file", "network"), OWN[:4], ids=[file for file, _ in OWN[:4]])
def test_an_export_of_specc_comes_back_with_its_counts_and_outputs(file: str, network: str, tmp_path: Path) -> None:
    hold_own(file, network, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "network"), OWN[4:], ids=[file for file, _ in OWN[4:]])
def test_an_export_of_any_specc_comes_back_with_its_counts_and_outputs(file: str, network: str, tmp_path: Path) -> None:
    hold_own(file, network, tmp_path)


def hold_own(file: str, network: str, folder: Path) -> None:
    """The proof that `import_onnx` makes compares outputs; here the module of the new spec is compared as well."""
    project = open_spec(SPECS / file)
    model = compile_text(project.text, project.name, read=project.read).model(network or None)
    path = written(model, folder)
    read = import_onnx(path, folder / "read.net", "Read")
    assert read.error <= 1e-4
    assert read.trials >= 2
    inside = sum(
        int(np.prod(each.dims)) for each in onnx.load(path).graph.initializer if each.data_type == TensorProto.FLOAT
    )
    buffers = sum(
        int(np.prod(w.spec.shape))
        for w in read.network.model.weights
        if w.spec.kind == "buffer" and w.spec.dtype == "float"
    )
    assert parameters(read.network.model) + buffers == pytest.approx(inside, abs=64)
    weights = load_file(folder / "read.safetensors")
    assert {each.key for each in read.network.model.weights} == set(weights)
    hold_module(path, read.network.text, weights, read.network.model)


def hold_module(path: Path, text: str, weights: dict[str, Any], model: Any) -> None:
    """onnxruntime on the file that was read against PyTorch on the spec that came of it."""
    from specc.backends.pytorch import load as load_module
    from specc.backends.pytorch import write as write_module
    from specc.deploy.proof import random_inputs, trials

    module = load_module(write_module(model), model.name)()
    module.load_state_dict({key: torch.from_numpy(np.array(each)) for key, each in weights.items()})
    module.eval()
    sizes, batch = trials(model)[-1]
    inputs = random_inputs(model, sizes, batch, seed=7)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    wanted = session.run(None, dict(zip(names, inputs.values(), strict=True)))
    with torch.no_grad():
        given = module(*(torch.from_numpy(each) for each in inputs.values()))
    given = list(given.values()) if isinstance(given, dict) else [given]
    assert len(given) == len(wanted)
    for mine, other in zip(given, wanted, strict=True):
        assert relative_error(mine.numpy(), other) <= 1e-4


KNOWN = {
    # ops whose ONNX form works with sizes or places that are made at run time, or that a spec does not have
    "adaptive_avgpool", "adaptive_maxpool", "attend", "attention", "avgpool", "batchnorm", "conv", "crop", "eye", "fold", "gather",
    "groupnorm", "gru", "instancenorm", "layernorm", "local_conv", "lstm", "maxpool", "noise", "pad", "pixel_unshuffle", "rnn", "roll",
    "reshape", "sort", "tile", "unit", "unpool", "upconv", "var", "rmsnorm", "arange", "constant", "ones", "zeros", "size", "unsqueeze",
    "floor_divide", "remainder",
}  # fmt: skip
CASES = [(name, case) for name in registry.names() for case in registry.op(name).cases if isinstance(case, Case)]  # type: ignore[union-attr]


@pytest.mark.parametrize("part", range(8))
@pytest.mark.slow
def test_every_case_of_every_op_is_read_or_refused_by_name(part: int, tmp_path: Path) -> None:
    hold_cases(CASES[part::8], tmp_path)


ONCE_WRONG = (
    "upconv(4, 2, dilation=3, output_padding=2)", "attention(k, heads=2, keys=x)", "crop(size=[2, 5])", "roll(-2, axes=length)",
    "avgpool(3, stride=2, padding=[[0, 2]], count_padding=false, fit=up)", "input[:, input.length // 2:]",
)  # fmt: skip


def test_cases_of_ops_are_read_or_refused_by_name(tmp_path: Path) -> None:
    once_wrong = [each for each in CASES if each[1].call in ONCE_WRONG]
    assert len(once_wrong) == len(ONCE_WRONG)
    hold_cases([*CASES[3::37], *once_wrong], tmp_path)


def hold_cases(cases: list[tuple[str, Case]], folder: Path) -> None:
    read = 0
    for name, case in cases:
        try:
            path = written(model_of_case(case), folder)
        except Exception:  # cases that ONNX refuses are held elsewhere
            continue
        refused: Unreadable | None = None
        try:
            assert import_onnx(path, folder / "read.net").error <= 1e-4
            read += 1
        except Unreadable as problem:
            refused = problem
        if refused is not None:
            said = f"{case.call}: {refused.message} {refused.lines}"
            assert name in KNOWN, said
            assert "fault of specc" not in refused.help or name == "noise", said  # noise is another each time
    assert read > len(cases) // 2


# ---------------------------------------------------------------------------------------------------- PyTorch's exports
class Residual(torch.nn.Module):
    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(channels)
        self.conv2 = torch.nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv2(torch.relu(self.bn1(self.conv1(x)))) + x)


def test_pytorchs_export_becomes_blocks_with_the_keys_of_the_module(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers = [
        torch.nn.Conv2d(3, 8, 3, padding=1),
        *(Residual(8) for _ in range(3)),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    ]
    net = torch.nn.Sequential(*layers, torch.nn.Linear(8, 5)).eval()
    path = tmp_path / "net.onnx"
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        net,
        (torch.rand(2, 3, 8, 8),),
        str(path),
        dynamo=True,
        optimize=False,
        dynamic_shapes=({0: batch},),
        verbose=False,
    )
    read = import_onnx(path, tmp_path / "read.net")
    keys = {key for key in net.state_dict() if not key.endswith("num_batches_tracked")}
    assert keys <= {each.key for each in read.network.model.weights}
    assert parameters(read.network.model) == sum(each.numel() for each in net.parameters())
    assert read.network.blocks == 1
    assert "repeat 3 { " in read.network.text
    hold_module(path, read.network.text, load_file(tmp_path / "read.safetensors"), read.network.model)


NAMED = [
    "resnet18",
    "mobilenet_v2",
    "squeezenet1_1",
    "densenet121",
    "googlenet",
    "shufflenet_v2_x0_5",
    "mnasnet0_5",
    "efficientnet_b0",
    "regnet_y_400mf",
    "convnext",
    "vit",
]


@pytest.mark.slow
@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("name", NAMED)
def test_pytorchs_export_of_a_well_known_network_is_read(name: str, optimize: bool, tmp_path: Path) -> None:
    from reference import models

    torch.manual_seed(0)
    library, more = models(), {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    if name == "vit":
        net = library.VisionTransformer(32, 8, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=64, num_classes=10)
    elif name == "convnext":
        stage = library.convnext.CNBlockConfig
        net = library.ConvNeXt([stage(16, 32, 3), stage(32, None, 2)], num_classes=10)
    else:
        net = getattr(library, name)(weights=None, **more)
    for each in net.parameters():
        torch.nn.init.normal_(each, std=0.05) if each.dim() > 1 else torch.nn.init.uniform_(each, 0.5, 1.5)
    size, path, batch = 32 if name == "vit" else 64, tmp_path / "net.onnx", torch.export.Dim("batch")
    torch.onnx.export(net.eval(), (torch.rand(2, 3, size, size),), str(path), dynamo=True, optimize=optimize,
                      dynamic_shapes=({0: batch},), verbose=False)  # fmt: skip
    read = import_onnx(path, tmp_path / "read.net")
    if not optimize:  # else batch norms are folded
        assert parameters(read.network.model) == sum(each.numel() for each in net.parameters())
    hold_module(path, read.network.text, load_file(tmp_path / "read.safetensors"), read.network.model)


# ------------------------------------------------------------------------------------------------------------ by hand
@pytest.mark.parametrize(("sizes", "parts"), [(3, [(0, 3), (3, 6), (6, 7)]), ([2, 1, 4], [(0, 2), (2, 3), (3, 7)])])
def test_parts_of_a_cut_tensor_are_stretches_of_it(sizes: Any, parts: list[tuple[int, int]], tmp_path: Path) -> None:
    nodes = [helper.make_node("SplitToSequence", ["x", "sizes"], ["list"], axis=1)]
    nodes += [helper.make_node("SequenceAt", ["list", f"at{at}"], [f"p{at}"]) for at in range(3)]
    nodes += [helper.make_node("Concat", ["p2", "p0", "p1"], ["y"], axis=1)]
    known = {"sizes": np.array(sizes, np.int64)} | {f"at{at}": np.array(at, np.int64) for at in range(3)}
    read = import_onnx(made(tmp_path, nodes, ["batch", 7, 4], known), tmp_path / "read.net")
    assert read.error == 0
    for start, end in parts:
        said = f"x[{start or ''}:{end if end < 7 else ''}, :]"
        assert said in read.network.text


def strided(folder: Path, step: int) -> Path:
    """Two features of each sample, read from the flat tensor at places reckoned from the batch."""
    nodes = [helper.make_node("Reshape", ["x", "flat"], ["data"]), helper.make_node("Shape", ["x"], ["n"], start=0, end=1),
             helper.make_node("Squeeze", ["n"], ["batch"]), helper.make_node("Range", ["zero", "batch", "one"], ["rows"]),
             helper.make_node("Mul", ["rows", "six"], ["starts"]), helper.make_node("Unsqueeze", ["starts", "last"], ["column"]),
             helper.make_node("Add", ["column", "within"], ["places"]), helper.make_node("Gather", ["data", "places"], ["z"]),
             helper.make_node("Relu", ["z"], ["y"])]  # fmt: skip
    known = {name: np.array(each, np.int64) for name, each in
             {"flat": [-1], "zero": 0, "one": 1, "six": 6, "last": [1], "within": list(range(0, 6 * step, step))}.items()}  # fmt: skip
    return made(folder, nodes, ["batch", 2, 3], known)


def test_places_in_their_own_order_are_a_reshape(tmp_path: Path) -> None:
    """As PyTorch exports a view with strides."""
    read = import_onnx(strided(tmp_path, 1), tmp_path / "read.net")
    assert read.error == 0
    assert "gather" not in read.network.text
    with pytest.raises(Unreadable) as found:
        import_onnx(strided(tmp_path, 2), tmp_path / "read.net")
    assert found.value.lines == ("Gather z: it reads places that follow from the batch in another order than theirs",)


def test_what_counts_along_the_batch_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Shape", ["x"], ["n"], start=0, end=1), helper.make_node("Squeeze", ["n"], ["batch"]),
             helper.make_node("Range", ["zero", "batch", "one"], ["rows"]), helper.make_node("Cast", ["rows"], ["z"], to=1),
             helper.make_node("Add", ["x", "z"], ["y"])]  # fmt: skip
    known = {"zero": np.array(0, np.int64), "one": np.array(1, np.int64)}
    with pytest.raises(Unreadable) as found:
        import_onnx(made(tmp_path, nodes, ["batch", 4, 1], known), tmp_path / "read.net")
    assert found.value.lines == ("Add y: it counts along the batch",)


def test_keys_with_dashes_are_labels_and_not_names_of_blocks(tmp_path: Path) -> None:
    stage = torch.nn.ModuleDict({f"block-{at}": Residual(4) for at in range(4)})
    net = torch.nn.Sequential(*stage.values()).eval()
    for at in range(4):
        net._modules[f"block-{at}"] = net._modules.pop(str(at))
    path = tmp_path / "net.onnx"
    torch.onnx.export(net, (torch.rand(2, 4, 6, 6),), str(path), dynamo=True, optimize=False, verbose=False)
    read = import_onnx(path, tmp_path / "read.net")
    assert 'for i in range(0, 4) { "block-{i}": Block }' in read.network.text
    assert set(net.state_dict()) >= {each.key for each in read.network.model.weights}


def test_a_pad_that_follows_from_unknown_sizes_is_a_formula(tmp_path: Path) -> None:
    """Up to the next multiple of 8, as `pad(x, (0, (-width) % 8))` is exported."""
    nodes = [helper.make_node("Shape", ["x"], ["width"], start=2), helper.make_node("Neg", ["width"], ["less"]),
             helper.make_node("Mod", ["less", "eight"], ["lacks"]),
             helper.make_node("Concat", ["zeros", "lacks"], ["pads"], axis=0), helper.make_node("Pad", ["x", "pads"], ["y"])]  # fmt: skip
    known = {"eight": np.array(8, np.int64), "zeros": np.zeros(5, np.int64)}
    read = import_onnx(made(tmp_path, nodes, ["batch", 2, "W"], known), tmp_path / "read.net")
    assert read.error == 0
    assert read.trials == 3
    nodes[2] = helper.make_node("Mod", ["less", "eight"], ["lacks"], fmod=1)
    with pytest.raises(Unreadable) as found:
        import_onnx(made(tmp_path, nodes, ["batch", 2, "W"], known), tmp_path / "read.net")
    assert found.value.lines[0].startswith("Mod")


@pytest.mark.parametrize(("keeps", "at"), [(0, 0), (1, 2), (1, -1)])
def test_a_list_that_is_no_cut_is_refused(keeps: int, at: int, tmp_path: Path) -> None:
    nodes = [helper.make_node("SplitToSequence", ["x", "sizes"], ["list"], axis=1, keepdims=keeps),
             helper.make_node("SequenceAt", ["list", "at"], ["y"])]  # fmt: skip
    known = {"at": np.array(at, np.int64), "sizes": np.array([3, 4], np.int64)}
    with pytest.raises(Unreadable) as found:
        import_onnx(made(tmp_path, nodes, ["batch", 7, 4], known), tmp_path / "read.net")
    assert found.value.lines[0].startswith("SplitToSequence")


def test_what_has_no_counterpart_is_listed_and_nothing_is_written(tmp_path: Path) -> None:
    nodes = [helper.make_node("Det", ["x"], ["a"], name="first"), helper.make_node("Relu", ["x"], ["b"]),
             helper.make_node("NonZero", ["b"], ["c"], name="second"), helper.make_node("Add", ["a", "c"], ["y"])]  # fmt: skip
    path = made(tmp_path, nodes, ["batch", 3, 3], {})
    with pytest.raises(Unreadable) as found:
        import_onnx(path, tmp_path / "read.net")
    assert [each.split(":")[0] for each in found.value.lines] == ["Det first", "NonZero second"]
    assert not list(tmp_path.glob("read*"))


def test_a_file_that_is_none_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "no.onnx").write_bytes(b"nothing like it")
    assert main(["import", str(tmp_path / "no.onnx"), "-o", str(tmp_path / "no.net")]) == 2
    assert "cannot be read as ONNX" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "away.onnx"), "-o", str(tmp_path / "no.net")]) == 2
    assert "there is no file" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "x.pb"), "-o", str(tmp_path / "no.net")]) == 2
    assert "neither .onnx nor .prototxt" in capsys.readouterr().err


def test_attention_whose_batch_moves_is_read(tmp_path: Path) -> None:
    """As PyTorch's multi-head attention does: the sequence in front, then batch and heads merged."""
    random = np.random.default_rng(0)
    shape = lambda *sizes: np.array(sizes, np.int64)  # noqa: E731
    nodes = [
        helper.make_node("Transpose", ["x"], ["a"], perm=[1, 0, 2]),
        helper.make_node("MatMul", ["a", "w"], ["b"]),
        helper.make_node("Shape", ["x"], ["n"], start=0, end=1),
        helper.make_node("Mul", ["n", "heads"], ["m"]),
        helper.make_node("Concat", ["five", "m", "four"], ["s"], axis=0),
        helper.make_node("Reshape", ["b", "s"], ["c"]),
        helper.make_node("Transpose", ["c"], ["d"], perm=[1, 0, 2]),
        helper.make_node("Transpose", ["c"], ["e"], perm=[1, 2, 0]),
        helper.make_node("MatMul", ["d", "e"], ["f"]),
        helper.make_node("Softmax", ["f"], ["g"], axis=-1),
        helper.make_node("MatMul", ["g", "d"], ["h"]),
        helper.make_node("Transpose", ["h"], ["i"], perm=[1, 0, 2]),
        helper.make_node("Concat", ["five", "n", "eight"], ["t"], axis=0),
        helper.make_node("Reshape", ["i", "t"], ["j"]),
        helper.make_node("Transpose", ["j"], ["y"], perm=[1, 0, 2]),
    ]
    weight = random.standard_normal((8, 8)).astype(np.float32)
    constants = {"w": weight, "heads": shape(2), "five": shape(5), "four": shape(4), "eight": shape(8)}
    read = import_onnx(made(tmp_path, nodes, ["batch", 5, 8], constants), tmp_path / "read.net")
    assert read.error <= 1e-6


@pytest.mark.parametrize("seed", range(40))
def test_reshapes_keep_the_batch_whole_or_are_refused(seed: int) -> None:
    """Against numbers: a view's axes have the sizes that were asked for, and moving data by them is what reshape does."""
    random = np.random.default_rng(seed)
    sizes = [int(each) for each in random.integers(1, 5, random.integers(1, 4))]
    at = int(random.integers(0, len(sizes) + 1))
    full = [*sizes[:at], 7, *sizes[at:]]
    view = View("x", None, tuple((BATCH,) if place == at else (each,) for place, each in enumerate(full)))  # type: ignore[arg-type]
    joins = sorted(random.choice(len(full) + 1, int(random.integers(0, len(full))), replace=False).tolist())
    groups = [full[start:end] for start, end in zip([0, *joins], [*joins, len(full)], strict=True) if start != end]
    target = [int(np.prod(each)) for each in groups]
    wanted = tuple(BATCH * (size // 7) if 7 in group else size for size, group in zip(target, groups, strict=True))
    axes = regrouped(view, wanted)
    assert axes is not None
    assert [int(np.prod([7 if each == BATCH else each for each in axis])) for axis in axes] == target
    assert plain((2, 3), True) == ((BATCH,), (2,), (3,))


# -------------------------------------------------------------------------------------------------------------- Caffe
DEPLOY = """
name: "Tiny"  # a comment
input: "data"
input_dim: 1 input_dim: 4 input_dim: 12 input_dim: 12
layer { name: "conv1/3x3" type: "Convolution" bottom: "data" top: "conv1" convolution_param { num_output: 8 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv1" top: "conv1" relu_param { negative_slope: 0.1 } }
layer { name: "bn" type: "BatchNorm" bottom: "conv1" top: "conv1" }
layer { name: "scale" type: "Scale" bottom: "conv1" top: "conv1" scale_param { bias_term: true } }
layer { name: "pool" type: "Pooling" bottom: "conv1" top: "pool" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "left" type: "Convolution" bottom: "pool" top: "left"
  convolution_param { num_output: 6 kernel_h: 1 kernel_w: 3 pad_w: 1 group: 2 } }
layer { name: "right" type: "Convolution" bottom: "pool" top: "right" convolution_param { num_output: 6 kernel_size: 1 bias_term: false } }
layer { name: "sum" type: "Eltwise" bottom: "left" bottom: "right" top: "sum" }
layer { name: "drop" type: "Dropout" bottom: "sum" top: "sum" dropout_param { dropout_ratio: 0.4 } include { phase: TRAIN } }
layer { name: "fc" type: "InnerProduct" bottom: "sum" top: "fc" inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def block(at: int, data: bytes) -> bytes:
    return varint(at << 3 | 2) + varint(len(data)) + data


def caffemodel(layers: dict[str, list[Any]]) -> bytes:
    """The bytes of a NetParameter with these blobs."""
    found = b""
    for name, arrays in layers.items():
        blobs = b""
        for array in arrays:
            shape = block(7, block(1, b"".join(varint(size) for size in array.shape)))
            blobs += block(7, shape + block(5, struct.pack(f"<{array.size}f", *array.reshape(-1).tolist())))
        found += block(100, block(1, name.encode()) + blobs)
    return found


def test_a_caffe_network_computes_what_caffe_defines(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    normal = lambda *shape: random.standard_normal(shape).astype(np.float32)  # noqa: E731
    blobs = {
        "conv1/3x3": [normal(8, 4, 3, 3), normal(8)],
        "bn": [normal(8), np.abs(normal(8)) + 1, np.array([2.0], np.float32)],
        "scale": [normal(8), normal(8)],
        "left": [normal(6, 4, 1, 3), normal(6)],
        "right": [normal(6, 8, 1, 1)],
        "fc": [normal(5, 150), normal(5)],
    }
    (tmp_path / "tiny.prototxt").write_text(DEPLOY)
    (tmp_path / "tiny.caffemodel").write_bytes(caffemodel(blobs))
    read = import_caffe(tmp_path / "tiny.prototxt", tmp_path / "tiny.net", weights=tmp_path / "tiny.caffemodel")
    model = read.network.model
    assert parameters(model) == sum(each.size for name, each_ in blobs.items() if name != "bn" for each in each_)

    from specc.backends.pytorch import load as load_module
    from specc.backends.pytorch import write as write_module

    module = load_module(write_module(model), model.name)().eval()
    module.load_state_dict({key: torch.from_numpy(np.array(each)) for key, each in load_file(read.weights).items()})
    x = torch.from_numpy(normal(2, 4, 12, 12))
    t = {name: [torch.from_numpy(each) for each in arrays] for name, arrays in blobs.items()}
    f = torch.nn.functional
    y = f.leaky_relu(f.conv2d(x, *t["conv1/3x3"]), 0.1)
    mean, var = t["bn"][0] / 2, t["bn"][1] / 2
    y = f.batch_norm(y, mean, var, *t["scale"])
    y = f.max_pool2d(y, 3, 2, ceil_mode=True)
    y = f.conv2d(y, *t["left"], padding=(0, 1), groups=2) + f.conv2d(y, *t["right"])
    wanted = torch.softmax(f.linear(y.flatten(1), *t["fc"]), 1)
    with torch.no_grad():
        assert relative_error(module(x).numpy(), wanted.numpy()) <= 1e-5


def test_faults_of_a_prototxt_are_said_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    for text, said in (
        ("layer { name: }", "line 1: a value should stand here"),
        ('input: "x"\ninput_dim: 1\nlayer {\n', "a `}` is missing at the end"),
        ("layer { }\n}", "line 2: a name should stand here"),
    ):
        path.write_text(text)
        with pytest.raises(Unreadable, match=r"line|missing") as found:
            parsed(path)
        assert said in found.value.message
    path.write_text('layer { name: "d" type: "ImageData" top: "x" }')
    with pytest.raises(Unreadable, match="begins with a ImageData layer"):
        import_caffe(path, tmp_path / "net.net")
    path.write_text('input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n'
                    'layer { name: "s" type: "SPP" bottom: "x" top: "y" }')  # fmt: skip
    with pytest.raises(Unreadable) as found:
        import_caffe(path, tmp_path / "net.net")
    assert found.value.lines == ("SPP s: there is no such layer",)


def test_weights_of_other_shapes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny.prototxt").write_text(DEPLOY)
    (tmp_path / "tiny.caffemodel").write_bytes(caffemodel({"fc": [np.zeros((5, 3), np.float32)]}))
    with pytest.raises(Unreadable) as found:
        import_caffe(tmp_path / "tiny.prototxt", tmp_path / "tiny.net", weights=tmp_path / "tiny.caffemodel")
    assert "the caffemodel has nothing" in found.value.lines[0]
    (tmp_path / "tiny.caffemodel").write_bytes(b"\xff\xff\xff")
    with pytest.raises(Unreadable, match="is no caffemodel"):
        import_caffe(tmp_path / "tiny.prototxt", tmp_path / "tiny.net", weights=tmp_path / "tiny.caffemodel")


def test_the_command_writes_both_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = compile_text("network Net {\n    input x: [4]\n    linear(3)\n    relu\n}\n", "net.net").model()
    path = written(model, tmp_path)
    assert main(["import", str(path), "-o", str(tmp_path / "again.net")]) == 0
    said = capsys.readouterr()
    assert said.out.strip().endswith("again.net")
    assert "15 parameters" in said.err
    assert main(["check", str(tmp_path / "again.net")]) == 0
    again = [
        "export",
        str(tmp_path / "again.net"),
        "--weights",
        str(tmp_path / "again.safetensors"),
        "-o",
        str(tmp_path / "b.onnx"),
    ]
    assert main(again) == 0


def test_names_and_readers() -> None:
    assert title("resnet18-v1") == "Resnet18V1"
    assert title("3d") == "Net3d"
    assert len(READERS) > 80
    assert opened  # the reader of files is public
