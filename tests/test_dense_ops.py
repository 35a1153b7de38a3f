"""Dense, pointwise, arithmetic, shape and reduction ops: every case holds in specc, in PyTorch and in onnxruntime."""

from __future__ import annotations

import ast
import inspect
import random
import re
from typing import Any

import numpy as np
import pytest
import torch
from op_runner import compiled, example, filled, in_onnxruntime, model_of, printed, run, sizes_of

from specc.catalogue import registry
from specc.catalogue.entry import Case, Wrong
from specc.catalogue.op import TensorType
from specc.compiler import compile_text
from specc.model.graph import Model
from specc.sizes.conditions import Compare, holds
from specc.sizes.dim import Dim, parse

FILES = ["activations", "arithmetic", "cut", "dense", "join", "pointwise", "rearrange", "reduce", "shape"]
KINDS = [registry.op(name) for name in registry.names()]
MINE = [kind for kind in KINDS if kind.__module__.rsplit(".", 1)[1] in FILES]
CASES = [(kind, case) for kind in MINE for case in kind.cases if isinstance(case, Case)]
WRONG = [(kind, case) for kind in MINE for case in kind.cases if isinstance(case, Wrong)]
DTYPES = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}


def name_of(given: Any) -> str:
    return given.call if isinstance(given, Case | Wrong) else given.name


# ------------------------------------------------------------------------------------------------------------ cases
def shapes_of(text: str) -> list[list[Any]]:
    return [[parse(each) for each in part.strip().strip("[]").split(",") if each] for part in text.split(";")]


@pytest.mark.parametrize(("kind", "case"), CASES, ids=name_of)
def test_shapes_parameters_and_costs_are_as_stated(kind: Any, case: Case) -> None:
    before, after = case.shapes.split("->")
    model = model_of(case.call, before.strip(), case.given)
    assert kind.name in {step.op.name for step in model.steps}
    assert [list(model.type(each).shape) for each in model.steps[-1].outputs] == shapes_of(after)
    total = sum((count(weight.spec.shape) for weight in model.weights), start=0)
    assert total == parse(str(case.params))
    if case.macs is not None:
        assert sum((step.macs for step in model.steps), start=0) == parse(str(case.macs))


def count(shape: tuple[Any, ...]) -> Any:
    found: Any = 1
    for size in shape:
        found = found * size
    return found


@pytest.mark.parametrize(("kind", "case"), CASES, ids=name_of)
def test_pytorch_gives_the_stated_shapes_and_modules_equal_functions(kind: Any, case: Case) -> None:
    model = model_of(case.call, case.shapes.split("->")[0].strip(), case.given)
    sizes = sizes_of(model)
    model = model if not sizes else bound(case, sizes)
    x, state = example(model, sizes), filled(model, sizes)
    for outputs, again, step in zip(
        run(model, x, state), run(model, x, state, as_modules=True), model.steps, strict=True
    ):
        for one, other, at in zip(outputs, again, step.outputs, strict=True):
            kind = model.type(at)
            assert list(one.shape) == [2] * kind.batched + list(kind.shape)
            assert one.dtype == DTYPES[kind.dtype]
            assert torch.equal(one, other)


def bound(case: Case, sizes: dict[str, int]) -> Model:
    """The same case with its sizes filled in: shape inference commutes with that."""
    before, after = (re.sub(r"[A-Z]\w*", lambda found: str(sizes[found[0]]), part) for part in case.shapes.split("->"))
    model = model_of(case.call, before.strip(), case.given)
    assert [list(model.type(each).shape) for each in model.steps[-1].outputs] == shapes_of(after)
    return model


@pytest.mark.parametrize(("kind", "case"), CASES, ids=name_of)
def test_onnxruntime_equals_pytorch(kind: Any, case: Case, tmp_path: Any) -> None:
    model = model_of(case.call, case.shapes.split("->")[0].strip(), case.given)
    sizes = sizes_of(model)
    if any(isinstance(size, Dim) for weight in model.weights for size in weight.spec.shape):
        model = bound(case, sizes)
    x, state = example(model, sizes), filled(model, sizes)
    expected = run(model, x, state)[-1]
    got = in_onnxruntime(model, x, state, tmp_path)[0]  # further outputs: the test of `split` below
    assert got.shape == tuple(expected[0].shape)
    np.testing.assert_allclose(got, expected[0].numpy(), rtol=1e-5, atol=1e-6)


def test_all_parts_of_a_split_are_right_in_onnx(tmp_path: Any) -> None:
    text = (
        "network N {\n    input x: [6, T]\n    a, b, c: split([1, 2, 3])\n    d, e, f: x -> split(3)\n"
        "    g, h: x -> split(sizes=[x.length // 3, x.length - x.length // 3], axis=1)\n"
        "    concat(concat(c, a, b, f, d, e), concat(h, g, axis=1))\n}\n"
    )
    found = compile_text(text)
    assert not list(found.bag), [each.message for each in found.bag]
    x = torch.randn(2, 6, 7)
    a, b, c = x.split([1, 2, 3], dim=1)
    d, e, f = x.chunk(3, dim=1)
    g, h = x.split([2, 5], dim=2)
    expected = torch.cat([c, a, b, f, d, e, torch.cat([h, g], dim=2)], dim=1)
    assert torch.equal(run(found.model(), x, {})[-1][0], expected)
    np.testing.assert_array_equal(in_onnxruntime(found.model(), x, {}, tmp_path)[0], expected.numpy())


@pytest.mark.parametrize(("kind", "case"), WRONG, ids=name_of)
def test_wrong_cases_are_refused_with_their_code_at_their_argument(kind: Any, case: Wrong) -> None:
    found = list(compiled(case.call, case.shape).bag)
    assert [each.code for each in found] == [case.code], [each.message for each in found]
    assert found[0].span is not None
    written = found[0].span.text
    assert written in case.call
    if case.at and f"{case.at}=" in case.call:
        assert f"{case.at}={written}" in case.call
    elif case.at:
        assert written != case.call


# ------------------------------------------------------------------------------------------------- what it prints
@pytest.mark.parametrize(
    ("spec", "shape", "code"),
    [
        ("1.7159 * input", "[4]", "1.7159 * x"),
        ("input < 0.5", "[4]", "x < 0.5"),
        ("-input", "[4]", "-x"),
        ("concat(input, input)", "[4, 6]", "torch.cat([x, y], dim=1)"),
        ("flatten", "[4, 6, 6]", "torch.flatten(x, 1)"),
        ("mean(axis=[1, 2])", "[4, 6, 6]", "x.mean(dim=(2, 3))"),
        ("mean(axis=0, keep=true)", "[4, 6, 6]", "x.mean(dim=1, keepdim=True)"),
        ("max(input, 0)", "[4]", "x.clamp(min=0)"),
        ("leaky_relu(0.2)", "[4]", "F.leaky_relu(x, 0.2)"),
        ("softmax", "[4, 6]", "F.softmax(x, dim=1)"),
        ("reshape([4, 4, 4])", "[64]", "x.reshape(-1, 4, 4, 4)"),
        ("reshape([input.height * input.width, 4])", "[4, H, W]", "x.reshape(x.shape[0], -1, 4)"),
        ("reshape([input.width, input.height, 4])", "[4, H, W]", "x.reshape(-1, x.shape[3], x.shape[2], 4)"),
        ("input[:, 1:-1, 0]", "[4, 6, 8]", "x[:, :, 1:-1, 0]"),
        ("input[:, :input.length // 2]", "[4, L]", "x[:, :, : x.shape[2] // 2]"),
        ("split(2)", "[4, 6]", "x.chunk(2, dim=1)"),
        ("permute(1, 2, 0)", "[4, 6, 8]", "x.permute(0, 2, 3, 1)"),
        ('rearrange("c h w -> h w c")', "[4, 6, 8]", "x.permute(0, 2, 3, 1)"),
    ],
)
def test_reads_as_written_by_hand(spec: str, shape: str, code: str) -> None:
    model = model_of(spec, shape)
    assert printed(model, model.steps[-1].path) == code


# ------------------------------------------------------------------------------------------------- random shapes
def test_broadcasting_agrees_with_pytorch_on_random_shapes() -> None:
    chosen = random.Random(5)
    refused = 0
    for _ in range(300):
        rank = chosen.randint(1, 4)
        shapes = [[chosen.choice([1, 2, 3]) for _ in range(rank)] for _ in range(2)]
        kind = registry.operator(chosen.choice("+-*/"))
        assert kind is not None
        x = [TensorType(tuple(shape)) for shape in shapes]
        op = kind.make({})
        fits = all(rule.predicate is True or compare_holds(rule.predicate) for rule in op.rules(*x))
        tensors = [torch.empty(2, *shape, device="meta") for shape in shapes]
        try:
            expected = list((tensors[0] + tensors[1]).shape[1:])
        except RuntimeError:
            refused += 1
            assert not fits, shapes
            continue
        assert fits, shapes
        assert list(op.gives(*x).shape) == expected
    assert 20 < refused < 280


def compare_holds(predicate: Any) -> bool:
    return predicate if isinstance(predicate, bool) else holds(predicate, {})


def test_reductions_and_joins_agree_with_pytorch_on_random_shapes() -> None:
    chosen = random.Random(6)
    for _ in range(200):
        rank = chosen.randint(1, 4)
        shape = [chosen.randint(1, 5) for _ in range(rank)]
        axes = chosen.sample(range(rank), chosen.randint(1, rank))
        keep = chosen.random() < 0.5
        x, tensor = TensorType(tuple(shape)), torch.empty(2, *shape, device="meta")
        for name in ("sum", "mean", "max", "min"):
            kind = registry.op(name)
            assert kind is not None
            found = kind.make({"axis": tuple(axes), "keep": keep}).gives(x)
            assert list(found.shape) == list(tensor.sum(dim=[a + 1 for a in axes], keepdim=keep).shape[1:])
        axis = chosen.randint(-rank, rank - 1)
        dim = axis if axis < 0 else axis + 1
        for name, expected in (("concat", torch.cat([tensor, tensor], dim)), ("argmax", tensor.sum(dim))):
            kind = registry.op(name)
            assert kind is not None
            found = kind.make({"axis": axis}).gives(*[x, x][: 1 + (name == "concat")])
            assert list(found.shape) == list(expected.shape[1:])


# --------------------------------------------------------------------------------------------- what is worth saying
@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        ("concat(input, input[:, 1:])", "[4, 6]", "length is 5 in input 2 and 6 in input 1 (1 fewer)"),
        ("input + input[:3]", "[4]", "features is 4 in input 1 and 3 in input 2 (1 fewer)"),
        ("reshape([5, 5])", "[24]", "[24] holds 24 numbers, [5, 5] holds 25 (1 more)"),
        ("split([2, 3])", "[4, 6]", "the parts add up to 5, channels is 4 (1 more)"),
        ("input[:, 2:8]", "[4, 6]", "2:8 goes beyond length, whose size is 6"),
    ],
)
def test_messages_name_the_axis_and_the_difference(spec: str, shape: str, message: str) -> None:
    assert [each.message for each in compiled(spec, shape).bag] == [message]


def test_unknown_sizes_become_conditions() -> None:
    text = "network N {\n    input x: [1, H, W]\n    input y: [1, K, W]\n    x + y\n}\n"
    found = compile_text(text)
    assert not list(found.bag)
    assert [each.predicate for each in found.model().requirements] == [Compare(parse("H"), "==", parse("K"))]


def test_only_a_literal_one_stretches() -> None:
    x, y = TensorType((3, parse("H"))), TensorType((1, parse("W")))
    op = registry.op("add").make({})  # type: ignore[union-attr]
    assert len(list(op.rules(x, y))) == 1
    assert op.gives(x, y).shape == (3, parse("H"))


def test_softmax_on_features_at_the_end_wants_its_axis_but_takes_an_explicit_one() -> None:
    assert [each.code for each in compiled("linear(4) -> softmax", "[3, 8]").bag] == ["softmax-axis"]
    model_of("linear(4) -> softmax(axis=0)", "[3, 8]")
    model_of("linear(4) -> relu -> softmax(axis=-1)", "[3, 8]")


def test_functions_on_plain_numbers() -> None:
    H = parse("H")
    largest, smallest, total = (registry.op(name).value for name in ("max", "min", "sum"))  # type: ignore[union-attr]
    assert (largest(3, 5), smallest((3, 5)), total((1, 2))) == (5, 3, 3)
    assert largest(H, H + 2) == H + 2
    assert registry.op("sqrt").value(9) == 3  # type: ignore[union-attr]


def test_tensors_without_a_batch_mix_with_those_that_have_one(tmp_path: Any) -> None:
    text = (
        "network N {\n    input x: [3, 4]\n    parameter w: [1, 4], init=ones\n    parameter s: [], init=ones\n"
        "    y: x * w + s\n    z: mean(y)\n    q: x - z\n    concat(w, q)\n}\n"
    )
    found = compile_text(text)
    assert not list(found.bag), [each.message for each in found.bag]
    model = found.model()
    kinds = [model.type(step.outputs[0]) for step in model.steps]
    assert [kind.shape for kind in kinds] == [(3, 4), (3, 4), (), (3, 4), (4, 4)]
    assert all(kind.batched for kind in kinds)
    x, state = torch.randn(2, 3, 4), {"w": torch.randn(1, 4), "s": torch.randn(())}
    y = x * state["w"] + state["s"]
    q = x - y.mean(dim=(1, 2), keepdim=True)
    expected = torch.cat([state["w"].expand(2, 1, 4), q], dim=1)
    (got,) = in_onnxruntime(model, x, state, tmp_path)
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-5, atol=1e-6)


MIXED = """
network Mixed {
    input x: [3, H, W]
    input k: int [3]
    s: mean(x)
    a: max(x - s, 0.1) + min(k, 1.5)[0]
    flags: x > 0.5 and not (x < s) or x == 0
    n: sum(flags, axis=[1, 2])
    e: stack(n / 2 + k ** 2, 2.0 ** k, sum(a, axis=[1, 2]), 1.0 * abs(-k))
    e -> transpose(0, 1) -> reshape([12])
}
"""
PRODUCTS = """
network Products {
    input x: [3, T]
    parameter w: [3, 5], init=zeros
    parameter v: [2, 5, 9], init=zeros
    a: matmul(mean(x, axis=1), w)
    b: rearrange(x, "c t -> t c") -> matmul(w) -> matmul(v[0])
    c: b + v[1, 0:1] + v[1, :1, :] + sum(v)
    places: v[0, :, :T]
    concat(c[:, :5] * a[-1], places -> transpose(0, 1))
}
"""


@pytest.mark.parametrize(
    ("text", "x"),
    [
        (MIXED, (torch.rand(2, 3, 5, 6), torch.randint(0, 4, (2, 3)))),
        (PRODUCTS, (torch.randn(2, 3, 7),)),
    ],
)
def test_mixtures_of_dtypes_ranks_and_batches_are_equal_in_onnx(text: str, x: Any, tmp_path: Any) -> None:
    found = compile_text(text)
    assert not list(found.bag), [each.message for each in found.bag]
    model = found.model()
    state = filled(model, {})
    expected = run(model, x, state)[-1][0]
    kind = model.type(model.outputs[0].value)
    assert len(expected.shape) == 1 + kind.rank
    np.testing.assert_allclose(in_onnxruntime(model, x, state, tmp_path)[0], expected.numpy(), rtol=1e-4, atol=1e-5)


def test_every_argument_has_its_manual_entry() -> None:
    for kind in MINE:
        tree = ast.parse(inspect.getsource(kind)).body[0]
        assert isinstance(tree, ast.ClassDef)
        for at, each in enumerate(tree.body):
            if (
                isinstance(each, ast.AnnAssign)
                and "ClassVar" not in ast.unparse(each)
                and getattr(each.target, "id", "") != "_"
            ):
                after = tree.body[at + 1]
                assert isinstance(after, ast.Expr), (kind.name, ast.unparse(each))
        assert kind.__doc__, kind.name
