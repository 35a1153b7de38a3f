"""Every op of the catalogue and every case of it is held to the same laws, as a spec, in PyTorch and in onnxruntime."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from itertools import product as pairs
from math import prod
from typing import Any

import pytest
import torch
from proved import DTYPES, built, compiled, counting, hold, inputs_of, network, outputs_of, symbols_of, weighs_unknown

from specc.catalogue import registry
from specc.catalogue.entry import Case, Wrong
from specc.catalogue.op import Op
from specc.compiler import compile_text
from specc.model.graph import Model
from specc.model.report import parameters
from specc.sizes.conditions import admits, examples
from specc.sizes.dim import Size, evaluate, parse, substitute
from specc.syntax import tree
from specc.syntax.format import format_text
from specc.syntax.parse import parse as parse_spec
from specc.syntax.same import same_meaning
from specc.text.diagnostics import Bag
from specc.text.record import changed
from specc.text.source import Source

KINDS: list[type[Op]] = [kind for kind in map(registry.op, registry.names()) if kind is not None]
CASES = [(kind, case) for kind in KINDS for case in kind.cases if isinstance(case, Case)]
WRONG = [(kind, case) for kind in KINDS for case in kind.cases if isinstance(case, Wrong)]
BATCHES = (1, 2, 3)
every_case = pytest.mark.parametrize(
    ("kind", "case"), CASES, ids=lambda it: getattr(it, "call", getattr(it, "name", ""))
)


# ------------------------------------------------------------------------------------------------- a case as a spec
def sides(shapes: str) -> tuple[list[str], list[str]]:
    """The shapes of the inputs and of the outputs."""
    before, _, after = shapes.partition("->")
    return [each.strip() for each in before.split(";")], [each.strip() for each in after.split(";")]


def dtype_of(text: str) -> str:
    """`int [H, W]` holds whole numbers; without a word a tensor holds floats."""
    return text.partition("[")[0].strip() or "float"


def shape_of(text: str) -> tuple[Size, ...]:
    inside = text[text.index("[") :].strip("[]")
    return tuple(parse(each) for each in inside.split(",") if each)


def spec(case: Case, labelled: bool = False) -> str:
    """The network of a case; with `labelled` its body is a record, so that ops without weights are printed as functions."""
    before, after = sides(case.shapes)
    lines = case.given.replace("; ", "\n") + "\n"
    if len(after) > 1:
        names = [f"part{at}" for at in range(len(after))]
        lines += f"{', '.join(names)}: {case.call}\n" + "".join(f"output {name}\n" for name in names)
    else:
        lines += f"result: {case.call}" if labelled else case.call
    return network(lines, *before)


@cache
def model_of(case: Case) -> Model:
    return compiled(spec(case))


@cache
def module_of(case: Case) -> tuple[Model, Any]:
    """The model and its module; with the smallest sizes where the shape of a weight depends on them."""
    model = model_of(case)
    if weighs_unknown(model):
        model = compiled(spec(case), some_sizes(model)[0])
    return model, built(model)


def some_sizes(model: Model) -> list[dict[str, int]]:
    """Admissible sizes, three of them if there are any unknown."""
    symbols = symbols_of(model)
    if not symbols:
        return [{}]
    found = examples([each.predicate for each in model.requirements], list(model.facts), count=3, symbols=symbols)
    assert len(found) == 3
    return found


# ------------------------------------------------------------------------------------------------------------- laws
@every_case
def test_the_text_prints_back(kind: type[Op], case: Case) -> None:
    text, bag = spec(case), Bag()
    formatted = format_text(Source("case.net", text), bag)
    assert formatted is not None
    first, again = (parse_spec(Source("case.net", each), bag) for each in (text, formatted))
    assert not list(bag)
    assert same_meaning(first, again)
    assert format_text(Source("case.net", formatted), bag) == formatted


@every_case
def test_shapes_parameters_and_costs_are_as_stated(kind: type[Op], case: Case) -> None:
    model, (_, after) = model_of(case), sides(case.shapes)
    made = [model.type(port.value) for port in model.outputs]
    assert kind.name in {step.op.name for step in model.steps}
    assert [each.shape for each in made] == [shape_of(each) for each in after]
    assert [each.dtype for each in made] == [dtype_of(each) for each in after]
    assert parameters(model) == parse(str(case.params))
    if case.macs is not None:
        assert sum((step.macs for step in model.steps), start=0) == parse(str(case.macs))


@every_case
def test_inference_commutes_with_filling_in_numbers(kind: type[Op], case: Case) -> None:
    model = model_of(case)
    for sizes in some_sizes(model):
        bound = compiled(spec(case), sizes)
        assert len(bound.values) == len(model.values)
        for known, unknown in zip(bound.values, model.values, strict=True):
            one, other = bound.type(known.id), model.type(unknown.id)
            assert one == other.to(*(evaluate(size, sizes) for size in other.shape))
        for one, other in zip(bound.weights, model.weights, strict=True):
            assert (one.key, one.spec.shape) == (other.key, tuple(substitute(n, sizes) for n in other.spec.shape))
            assert one.spec.fan_in == evaluate(other.spec.fan_in, sizes)
        for one, other in zip(bound.steps, model.steps, strict=True):
            assert one.macs == evaluate(other.macs, sizes)


@every_case
def test_exactly_the_sizes_of_the_conditions_are_taken(kind: type[Op], case: Case) -> None:
    model = model_of(case)
    symbols = symbols_of(model)
    ranges = {1: range(1, 13), 2: (1, 2, 3, 6), 3: (1, 2, 5)}
    for chosen in pairs(ranges.get(len(symbols), ()), repeat=len(symbols)):
        sizes = dict(zip(symbols, chosen, strict=True))
        found = compile_text(spec(case), sizes=sizes, fixes=False)
        assert found.ok == admits(model.conditions, sizes), (sizes, [each.message for each in found.bag])


@every_case
def test_weights_are_those_of_the_module(kind: type[Op], case: Case) -> None:
    model, module = module_of(case)
    state = module.state_dict()
    assert [(each.key, each.spec.shape) for each in model.weights] == [(k, tuple(v.shape)) for k, v in state.items()]
    assert [DTYPES[each.spec.dtype] for each in model.weights] == [each.dtype for each in state.values()]
    learned = {key for key, _ in module.named_parameters()}
    assert {each.key for each in model.weights if each.spec.kind == "parameter"} == learned


@every_case
def test_pytorch_gives_the_shapes_and_counts_the_products(kind: type[Op], case: Case) -> None:
    model, module = module_of(case)
    for sizes, batch in zip(some_sizes(model) * 3, BATCHES, strict=False):
        x = inputs_of(model, sizes, batch)
        with counting() as counter:
            made = outputs_of(model, module, x)
        for port in model.outputs:
            stated, got = model.type(port.value), made[port.name]
            assert list(got.shape) == [batch] * stated.batched + [evaluate(size, sizes) for size in stated.shape]
            assert got.dtype == DTYPES[stated.dtype]
        # PyTorch has no convolution with a table: its module multiplies with the zeros too; with lengths it skips places
        if "table" not in case.call and "lengths" not in case.call:
            assert counter.get_total_flops() == 2 * products(model, sizes, batch)


def products(model: Model, sizes: dict[str, int], batch: int) -> int:
    """The multiply-adds of a batch, as the steps state them for one sample."""
    found = 0
    for step in model.steps:
        found += evaluate(step.macs, sizes) * (batch if model.type(step.outputs[0]).batched else 1)
    return found


@every_case
def test_onnxruntime_and_pytorch_agree(kind: type[Op], case: Case) -> None:
    model, module = module_of(case)
    hold(model, module=module)


@every_case
def test_modules_and_functions_are_the_same(kind: type[Op], case: Case) -> None:
    """A body without labels prints modules, one with labels functions."""
    if len(sides(case.shapes)[1]) > 1 or case.given or case.call.startswith("not"):
        return
    model, module = module_of(case)
    sizes = some_sizes(model)[-1]
    bound = {} if model is model_of(case) else some_sizes(model_of(case))[0]
    other = compiled(spec(case, labelled=True), bound)
    second = built(other)
    second.load_state_dict(dict(zip(second.state_dict(), module.state_dict().values(), strict=True)))
    x = inputs_of(model, sizes, 2)
    one, two = (next(iter(outputs_of(model, each, x).values())) for each in (module, second))
    assert torch.equal(one.nan_to_num(), two.nan_to_num())
    hold(other, module=second)


OTHER_TYPES = [
    (kind, dtype) for kind in KINDS for dtype in kind.dtypes if dtype != "float" and kind.dtypes[0] == "float"
]


@pytest.mark.parametrize(("kind", "dtype"), OTHER_TYPES, ids=lambda it: getattr(it, "name", it))
def test_every_type_of_element_is_taken_as_claimed(kind: type[Op], dtype: str) -> None:
    """The cases again with whole numbers, or with true and false: right in onnxruntime, or refused."""
    ran = 0
    for case in [each for each in kind.cases if isinstance(each, Case)]:
        before, after = sides(case.shapes)
        taken = "; ".join(dtype + " " + each[each.index("[") :] for each in before)
        text = spec(changed(case, shapes=f"{taken} -> {'; '.join(after)}"))
        found = compile_text(text, fixes=False)
        if found.bag.failed:
            assert {each.code for each in found.bag} <= {"wrong-dtype", "bad-argument", "unsupported-argument"}, text
            continue
        hold(found.model())
        ran += 1
    assert ran


WITHOUT_BATCH = [(kind, case) for kind, case in CASES if len(sides(case.shapes)[0]) == 1 and not case.given]


@pytest.mark.parametrize(("kind", "case"), WITHOUT_BATCH, ids=lambda it: getattr(it, "call", getattr(it, "name", "")))
def test_what_needs_no_batch_does_without(kind: type[Op], case: Case) -> None:
    """On a declared tensor instead of an input: the same shape without a batch, or a refusal."""
    model, (before, after) = model_of(case), sides(case.shapes)
    sizes = some_sizes(model)[-1]
    shape = tuple(evaluate(size, sizes) for size in shape_of(before[0]))
    kept = "x + result" if shape_of(after[0]) == () else "x + sum(1.0 * result)"
    call = re.sub(r"\b[A-Z]\b", lambda found: str(sizes[found[0]]), re.sub(r"\binput\b", "given", case.call))
    text = f"network N {{\n    input x: [1]\n    {declared(dtype_of(before[0]), shape)}\n    given\n    result: {call}\n    {kept}\n}}\n"
    found = compile_text(text, fixes=False)
    if any(not step.op.batchless for step in model.steps):
        assert [each.code for each in found.bag] == ["no-batch"], text
        return
    bare = compiled(text)
    result = next(value for value in bare.values if value.name == "result")
    whole = model.type(model.outputs[0].value)
    assert bare.type(result.id).shape == tuple(evaluate(size, sizes) for size in whole.shape)
    assert not bare.type(result.id).batched
    hold(bare)


def declared(dtype: str, shape: tuple[int, ...]) -> str:
    """A tensor of weights called `given`; whole numbers, true and false are in a buffer."""
    if dtype == "float":
        return f"parameter given: {list(shape)}, init=normal"
    values = [at % 3 if dtype == "int" else ("true", "false")[at % 2] for at in range(prod(shape))]
    return f"buffer given: {dtype} {list(shape)} = [{', '.join(map(str, values))}]"


# --------------------------------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(("kind", "case"), WRONG, ids=lambda it: getattr(it, "call", getattr(it, "name", "")))
def test_what_is_wrong_is_refused_at_its_argument(kind: type[Op], case: Wrong) -> None:
    text = network(case.call, *case.shape.split(";"))
    (found,) = compile_text(text).bag
    assert found.code == case.code, found.message
    assert found.span is not None
    written = found.span.text
    assert written in case.call
    if case.at:
        assert written == argument(kind, case, text)


def argument(kind: type[Op], case: Wrong, text: str) -> str:
    """The text of the argument `at`, by name or by its place behind the tensors."""
    call = last_call(kind, text)
    named = [each.value for each in call.arguments if each.name == case.at]
    if named:
        return named[0].span.text
    ordered = [each.value for each in call.arguments if not each.name]
    tensors = [each for each in ordered if each.span.text.split("[")[0] in ("input", "x", "y", "z")]
    order = [name for name, field in kind.fields.items() if field.positional]
    return ordered[len(tensors) + order.index(case.at)].span.text


def last_call(kind: type[Op], text: str) -> tree.Call:
    found = [node for node in walk(parse_spec(Source("case.net", text), Bag())) if isinstance(node, tree.Call)]
    return [each for each in found if isinstance(each.function, tree.Name) and each.function.name == kind.name][-1]


def walk(node: Any) -> Any:
    if isinstance(node, tuple):
        for each in node:
            yield from walk(each)
    elif isinstance(node, tree.Node):
        yield node
        for name in type(node).FIELDS:
            yield from walk(getattr(node, name))


# ---------------------------------------------------------------------------------------------------- declarations
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_op_has_cases_for_what_it_takes(kind: type[Op]) -> None:
    cases = [case for case in kind.cases if isinstance(case, Case)]
    assert len(cases) >= 2
    assert any(symbols_of(model_of(case)) for case in cases)
    taken = {
        model_of(case).type(step.inputs[0]).rank
        for case in cases
        for step in model_of(case).steps
        if step.op.name == kind.name and step.inputs and not step.ports[0]  # by position
    }
    if kind.inputs == (0, 0):
        assert not taken
        return
    first = kind.takes.split(";")[0].split()
    if first[-1] == "*s":
        assert taken == {2, 3, 4}
    elif "*" in first:
        assert len(taken & {1, 2, 3, 4}) >= 3


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_op_and_every_argument_has_its_manual_entry(kind: type[Op]) -> None:
    assert kind.__doc__
    assert kind.__doc__.strip().endswith(".")
    documented: set[str] = set()
    for each in kind.__mro__:
        if isinstance(each, type) and issubclass(each, Op):
            documented |= entries(each)
    assert documented >= set(kind.fields), set(kind.fields) - documented


@cache
def entries(kind: type[Op]) -> set[str]:
    """The annotated names of a class that have a docstring below them."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = set()
    for each, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and isinstance(below, ast.Expr):
            assert isinstance(below.value, ast.Constant)
            found.add(each.target.id.removesuffix("_"))
    return found
