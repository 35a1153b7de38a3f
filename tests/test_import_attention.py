"""`specc import` of attention that looks back only: masks are steps of the spec, no parameters, at unknown lengths too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from safetensors.numpy import load_file
from test_import import made
from torch import nn

from specc.backends.pytorch import load, write
from specc.deploy.reading.causal import Triangle, triangle
from specc.deploy.reading.file import Unreadable
from specc.deploy.reading.uniform import Uniform, broadcast, moved
from specc.deploy.reading.writing import import_onnx
from specc.model.report import parameters
from specc.sizes.dim import symbol

LONGEST = 12
INF = float("inf")
LOWER = np.tri(5, dtype=bool)


# ---------------------------------------------------------------------------------------------------- PyTorch's exports
class Layer(nn.Module):
    """A layer of a GPT; `how` its mask is written: by PyTorch's function, or by hand as minGPT does."""

    def __init__(self, how: str, width: int = 16, heads: int = 4) -> None:
        super().__init__()
        self.how, self.heads = how, heads
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.f1, self.f2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.register_buffer("mask", torch.tril(torch.ones(LONGEST, LONGEST)).view(1, 1, LONGEST, LONGEST))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        q, k, v = (
            each.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for each in self.qkv(self.n1(x)).split(width, -1)
        )
        if self.how == "function":
            seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = (q @ k.transpose(-2, -1)) * 0.5
            seen = scores.masked_fill(self.mask[:, :, :length, :length] == 0, -INF).softmax(-1) @ v
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, width))
        return x + self.f2(F.gelu(self.f1(self.n2(x))))


class Gpt(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(50, 16), nn.Embedding(LONGEST, 16)
        self.layers = nn.ModuleList([Layer(how), Layer(how)])
        self.head = nn.Linear(16, 50, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.tokens(x) + self.places(torch.arange(x.shape[1]))
        for each in self.layers:
            found = each(found)
        return self.head(found)


def hold_gpt(how: str, optimize: bool, known: bool, folder: Path) -> str:
    """Import the export; returns the text of the spec."""
    torch.manual_seed(0)
    net = Gpt(how).eval()
    batch, length = torch.export.Dim("batch"), torch.export.Dim("T", min=2, max=LONGEST)
    sizes = {0: batch} if known else {0: batch, 1: length}
    tokens = torch.randint(0, 50, (2, LONGEST if known else LONGEST - 3))
    path = folder / "net.onnx"
    torch.onnx.export(net, (tokens,), str(path), dynamo=True, optimize=optimize, dynamic_shapes=(sizes,), verbose=False)
    read = import_onnx(path, folder / "read.net")
    assert read.error <= 1e-5
    assert parameters(read.network.model) == sum(each.numel() for each in net.parameters())
    assert "buffer" not in read.network.text
    assert ("input x: int [T]" in read.network.text) is not known
    return read.network.text


def test_a_gpt_of_unknown_length_becomes_a_block(tmp_path: Path) -> None:
    text = hold_gpt("function", optimize=True, known=False, folder=tmp_path)
    assert "(T) {" in text, "the block is given the length that it speaks of"
    assert "repeat 2 {" in text


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("optimize", [True, False], ids=["optimised", "plain"])
@pytest.mark.parametrize("how", ["function", "by hand"])
def test_a_gpt_is_read(how: str, optimize: bool, known: bool, tmp_path: Path) -> None:
    text = hold_gpt(how, optimize, known, tmp_path)
    if (how, optimize, known) != ("by hand", True, False):  # there the optimiser makes both layers share a mask
        assert "repeat 2 {" in text


class Masked(nn.Module):
    """Attention that leaves out what the mask says, of each sample its own."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> Any:
        return self.attention(x, x, x, key_padding_mask=mask, need_weights=False)[0]


class Recurrent(nn.Module):
    """Two layers that start from zeros, as they do where nothing is said."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layers = getattr(nn, kind)(8, 6, num_layers=2, batch_first=True)
        self.last = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.last(self.layers(x)[0])


def hold(net: nn.Module, inputs: tuple[torch.Tensor, ...], optimize: bool, folder: Path) -> None:
    for each in net.parameters():
        nn.init.normal_(each, std=0.3)
    batch, length = torch.export.Dim("batch"), torch.export.Dim("T", min=2, max=40)
    sizes = tuple({0: batch, 1: length} for _ in inputs)
    path = folder / "net.onnx"
    torch.onnx.export(
        net.eval(), inputs, str(path), dynamo=True, optimize=optimize, dynamic_shapes=sizes, verbose=False
    )
    read = import_onnx(path, folder / "read.net")
    assert read.error <= 1e-5
    assert parameters(read.network.model) == sum(each.numel() for each in net.parameters())


def test_a_recurrent_layer_that_starts_from_zeros_is_read(tmp_path: Path) -> None:
    hold(Recurrent("LSTM"), (torch.rand(2, 7, 8),), True, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("optimize", [True, False], ids=["optimised", "plain"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_recurrent_layers_are_read(kind: str, optimize: bool, tmp_path: Path) -> None:
    hold(Recurrent(kind), (torch.rand(2, 7, 8),), optimize, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("optimize", [True, False], ids=["optimised", "plain"])
def test_a_mask_of_each_sample_is_read(optimize: bool, tmp_path: Path) -> None:
    hold(Masked(), (torch.rand(2, 7, 16), torch.rand(2, 7) > 0.6), optimize, tmp_path)


class Sighted(nn.Module):
    """A ViT in small: patches behind a token of the class, a layer of PyTorch's encoder, the token's answer."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> Any:
        found = self.patches(x).flatten(2).permute(0, 2, 1)
        found = torch.cat([self.token.expand(len(x), -1, -1), found], 1)
        return self.head(self.layer(found)[:, 0])


FIXED: dict[str, tuple[Any, Any]] = {
    "sighted": (Sighted, lambda batch: torch.rand(batch, 3, 12, 8)),
    "LSTM": (lambda: Recurrent("LSTM"), lambda batch: torch.rand(batch, 7, 8)),
    "GRU": (lambda: Recurrent("GRU"), lambda batch: torch.rand(batch, 7, 8)),
    "function": (lambda: Gpt("function"), lambda batch: torch.randint(0, 50, (batch, LONGEST))),
    "by hand": (lambda: Gpt("by hand"), lambda batch: torch.randint(0, 50, (batch, LONGEST))),
}


def hold_fixed(name: str, dynamo: bool, batch: int, folder: Path) -> None:
    """A file that insists on its batch is read for any: the module of the spec equals PyTorch's with another one."""
    torch.manual_seed(0)
    net, inputs = FIXED[name][0](), FIXED[name][1]
    for each in net.parameters():
        nn.init.normal_(each, std=0.3)
    path = folder / "net.onnx"
    torch.onnx.export(net.eval(), (inputs(batch),), str(path), dynamo=dynamo, verbose=False)
    read = import_onnx(path, folder / "read.net")
    assert read.error <= 1e-5
    assert parameters(read.network.model) == sum(each.numel() for each in net.parameters())
    module = load(write(read.network.model), read.network.model.name)().eval()
    weights = load_file(folder / "read.safetensors")
    module.load_state_dict({key: torch.from_numpy(each) for key, each in weights.items()}, strict=True)
    other = inputs(batch + 3)
    with torch.no_grad():
        torch.testing.assert_close(module(other), net(other), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["sighted", "GRU"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_with_a_batch_of_one_is_read(name: str, tmp_path: Path) -> None:
    hold_fixed(name, dynamo=False, batch=1, folder=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "script"])
@pytest.mark.parametrize("name", FIXED)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_with_a_fixed_batch_is_read(name: str, dynamo: bool, batch: int, tmp_path: Path) -> None:
    hold_fixed(name, dynamo, batch, tmp_path)


# ------------------------------------------------------------------------------------------------------------ by hand
def node(kind: str, inputs: str, output: str = "y", **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


HALF = {"half": np.float32(0.5)}
SEEN = [node("Greater", "x half", "m")]
SOFT = [node("Softmax", "masked", axis=-1)]
CASES: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "kept below": ([node("Trilu", "x k", upper=0)], {"k": np.int64(1)}, "select"),
    "kept above": ([node("Trilu", "x k", upper=1)], {"k": np.int64(-2)}, "select"),
    "kept from the diagonal on": ([node("Trilu", "x")], {}, "select"),
    "true below": ([*SEEN, node("Trilu", "m", "n", upper=0), node("Cast", "n", to=TensorProto.FLOAT)], HALF, " and "),
    "fill beyond": ([node("Where", "m x low", "masked"), *SOFT], {"m": LOWER, "low": np.float32(-INF)}, "log"),
    "fill where true": ([node("Where", "m low x", "masked"), *SOFT], {"m": ~LOWER, "low": np.float32(-INF)}, "log"),
    "fill with a number": ([node("Where", "m x low")], {"m": LOWER, "low": np.float32(-7)}, "select"),
    "fill by what is read": (
        [*SEEN, node("Where", "m x low", "masked"), *SOFT],
        HALF | {"low": np.float32(-INF)},
        "log",
    ),
    "the other way round": (
        [*SEEN, node("Where", "m low x", "masked"), *SOFT],
        HALF | {"low": np.float32(-INF)},
        "not",
    ),
    "a number where true": ([*SEEN, node("Where", "m low x")], HALF | {"low": np.float32(3)}, "not"),
    "numbers on both sides": (
        [*SEEN, node("Where", "m a b")],
        HALF | {"a": np.float32(2), "b": np.float32(-1)},
        "2.0",
    ),
    "a mask by itself": (
        [*SEEN, node("Where", "m a b", "n"), node("Add", "x n", "masked"), *SOFT],
        HALF | {"a": np.float32(0), "b": np.float32(-INF)},
        "log",
    ),
    "added": ([node("Add", "x m", "masked"), *SOFT], {"m": np.where(LOWER, 0, -INF).astype(np.float32)}, "log"),
    "added with a batch of one": (
        [node("Add", "x m", "masked"), *SOFT],
        {"m": np.where(LOWER, 0, -1e9).astype(np.float32)[None]},
        "1000000000.0",
    ),
    "times": ([node("Mul", "x m")], {"m": np.tri(5, k=-1, dtype=np.float32)}, "arange"),
    "times from the other side": ([node("Mul", "x m")], {"m": 1 - np.tri(5, dtype=np.float32)}, "arange"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mask_is_written_in_steps(name: str, tmp_path: Path) -> None:
    nodes, constants, said = CASES[name]
    read = import_onnx(made(tmp_path, nodes, ["batch", 5, 5], constants), tmp_path / "read.net")
    assert read.error <= 1e-6
    assert not read.network.model.weights
    assert said in read.network.text


@pytest.mark.parametrize("value", [0, 1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
@pytest.mark.parametrize("kind", ["Add", "MatMul"])
def test_a_tensor_of_an_unknown_size_is_filled(kind: str, value: int, dtype: Any, tmp_path: Path) -> None:
    """Where it meets another tensor number by number, it is a number; elsewhere it is made."""
    given = helper.make_tensor("v", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), [1], [value])
    nodes = [node("Shape", "x", "w", start=2, end=3), node("Concat", "w four", "s", axis=0),
             node("ConstantOfShape", "s", "c", value=given), node("Cast", "c", "d", to=TensorProto.FLOAT),
             node(kind, "x d")]  # fmt: skip
    if kind == "Add":
        nodes[0:2] = [node("Shape", "x", "s", start=1, end=3)]
    constants = {} if kind == "Add" else {"four": np.array([4], np.int64)}
    read = import_onnx(made(tmp_path, nodes, ["batch", "T", "W"], constants), tmp_path / "read.net")
    assert read.error <= 1e-6
    assert not read.network.model.weights
    said = f"x + {value}" if kind == "Add" else "zeros([W, 4])" if value == 0 else "ones([W, 4])"
    assert said in read.network.text


def drawn(random: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, list[Any], dict[str, Any]]:
    """An operator that such a tensor may meet, with its operands and attributes."""
    rank = len(shape)
    order = [int(each) for each in random.permutation(rank)]
    ones = [at for at, size in enumerate(shape) if size == 1]
    kind = str(random.choice(["Identity", "Cast", "Transpose", "Unsqueeze", "Squeeze", "Reshape", "Expand", "Slice"]))
    operands: list[Any] = []
    attributes: dict[str, Any] = {"Cast": {"to": 7}, "Transpose": {"perm": order}}.get(kind, {})
    if kind == "Unsqueeze":
        operands = [[int(random.integers(-rank - 1, rank + 1))]]
    elif kind == "Squeeze" and ones:
        operands = [[ones[-1]]]
    elif kind == "Reshape":
        operands = [[shape[0], -1] if random.random() < 0.5 else [int(np.prod(shape)), 1]]
    elif kind == "Expand":
        operands = [[2, *(int(random.integers(1, 4)) if size == 1 else size for size in shape)]]
    elif kind == "Slice":
        start, end = sorted(int(each) for each in random.integers(-3, 4, 2))
        operands = [[start], [end], [int(random.integers(-rank, rank))], [int(random.choice([1, 2]))]]
    return kind, operands, attributes


@pytest.mark.parametrize("seed", range(20))
def test_one_number_is_moved_as_onnx_moves_a_tensor(seed: int) -> None:
    random = np.random.default_rng(seed)
    array, known = np.full((2, 1, 3), 0.5, np.float32), Uniform(np.array(0.5, np.float32), (2, 1, 3))
    for _ in range(12):
        if array.size == 0 or array.ndim > 6:
            break
        kind, operands, attributes = drawn(random, array.shape)
        names = ["x", *(f"o{at}" for at in range(len(operands)))]
        proto = helper.make_node(kind, names, ["y"], **attributes)
        given = dict(zip(names, [array, *(np.array(each, np.int64) for each in operands)], strict=True))
        (array,) = ReferenceEvaluator(proto).run(None, given)
        found = moved(kind, known, operands, attributes)
        assert found is not None, (kind, operands)
        known = found
        assert known.sizes == array.shape, (kind, operands)
        assert known.number.dtype == array.dtype
        assert (array == known.number).all()


def test_sizes_that_are_not_known_stay_so() -> None:
    length = symbol("T")
    one = Uniform(np.array(0.0, np.float32), (length, 4))
    assert moved("Slice", one, [[0], [2**31], [0], [1]], {}) == one
    assert moved("Slice", one, [[0], [3], [0], [1]], {}) is None, "T may be less than 3"
    assert moved("Slice", one, [[length], [2**31], [1], [1]], {}) is None
    assert moved("Reshape", one, [[4, length]], {}) == Uniform(one.number, (4, length))
    assert moved("Reshape", one, [None], {}) is None
    assert moved("Relu", one, [], {}) is None
    assert broadcast((length, 1), (1, 4)) == (length, 4)
    assert broadcast((length,), (4,)) is None


def test_infinity_in_another_mask_is_a_buffer(tmp_path: Path) -> None:
    """It could not be trained."""
    mask = np.zeros((5, 5), np.float32)
    mask[[0, 3, 3], [4, 1, 2]] = -INF
    path = made(tmp_path, [node("Add", "x mask", "masked"), *SOFT], ["batch", 5, 5], {"mask": mask})
    read = import_onnx(path, tmp_path / "read.net")
    assert "buffer mask: [5, 5]" in read.network.text
    assert parameters(read.network.model) == 0


@pytest.mark.parametrize("kind", ["Where", "Max"])
def test_infinity_elsewhere_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    nodes = [*SEEN, node("Where", "m x high")] if kind == "Where" else [node("Max", "x high")]
    with pytest.raises(Unreadable) as found:
        import_onnx(made(tmp_path, nodes, ["batch", 5, 5], HALF | {"high": np.float32(INF)}), tmp_path / "read.net")
    assert found.value.lines == (f"{kind} y: it has the number inf, for which a spec has no word",)


@pytest.mark.parametrize("seed", range(30))
def test_a_triangle_is_told_from_all_else(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, columns = (int(each) for each in random.integers(2, 7, 2))
    diagonal = int(random.integers(1 - rows, columns - 1))
    inside, outside = [(0.0, -INF), (0.0, -1e9), (True, False), (False, True)][seed % 4]
    beyond = [[column - row > diagonal for column in range(columns)] for row in range(rows)]
    table = np.where(np.array(beyond), outside, inside).reshape((1,) * (seed % 3) + (rows, columns))
    assert triangle(table) == Triangle(diagonal, inside, outside)
    other = table.copy()
    at = tuple(int(random.integers(size)) for size in other.shape)
    other[at] = inside if other[at] == outside else outside
    found = triangle(other)
    assert found != Triangle(diagonal, inside, outside)
    if found is not None:  # one number more or less may be another triangle
        kept = np.where(np.tri(rows, columns, found.diagonal, dtype=bool), found.inside, found.outside)
        assert np.array_equal(kept, other.reshape(rows, columns))
    assert triangle(np.ones((3, 3), bool)) is None
    assert triangle(np.tri(2, dtype=np.float32)) is None, "four numbers may have been learnt"
    assert triangle(np.tri(3, dtype=np.int64)) is None
