"""What an op does, worked out from its declaration: shape, parameters and products as formulas, its PyTorch and ONNX forms."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from specc.catalogue import registry
from specc.catalogue.entry import Case, Misfit
from specc.catalogue.op import Op, TensorType
from specc.model.graph import Model, Step
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, Size, product, symbol, symbols
from specc.text.record import Record

SPACE = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}


class Formula(Record):
    """An op with names for its numbers: the call, the shapes of its tensors, and what it makes, has and costs."""

    call: str
    takes: tuple[TensorType, ...]
    gives: TensorType
    parameters: Size
    macs: Size


class Forms(Record):
    """A case as the backends write it: lines of PyTorch, and the kinds of the ONNX nodes."""

    call: str
    shapes: str
    lines: tuple[str, ...]
    nodes: tuple[str, ...]


@cache
def formula(name: str) -> Formula | None:
    """The case of an op that says most with its numbers unknown: its sizes, and each argument that may be any number."""
    found = [(step, _general(model, step)) for _, model, step in _steps(name)]
    worth = {each: _worth(each, "*s" in step.op.takes.split()) for step, each in found if each is not None}
    return max(worth, key=lambda each: worth[each], default=None)


@cache
def forms(name: str) -> Forms | None:
    """The first case that is one step, in both backends; None where there is none."""
    from specc.backends.onnx import lower
    from specc.backends.pytorch import write

    for case, model, _ in _steps(name):
        if model.weights:
            model = _compiled(case, label="layer: ") or model
        nodes = tuple(each.kind for each in lower(model, weights=None).nodes)
        lines = _lines(write(model).replace("self.logits(input)", "input"))  # a head is undone in a method of its own
        return Forms(case.call, case.shapes, lines, nodes)
    return None


# ---------------------------------------------------------------------------------------------------------- the cases
@cache
def _steps(name: str) -> tuple[tuple[Case, Model, Step], ...]:
    """The cases that are this op alone."""
    kind = registry.op(name)
    assert kind is not None
    alone = [each for each in kind.cases if isinstance(each, Case) and not each.given and "->" not in each.call]
    models = [(case, _compiled(case)) for case in alone]
    return tuple(
        (case, model, model.steps[0])
        for case, model in models
        if model is not None and [type(step.op) for step in model.steps] == [kind]
    )


def _compiled(case: Case, label: str = "") -> Model | None:
    """The network of a case; its outputs are `part0`, `part1` where it has several."""
    from specc.compiler import compile_text

    before, _, after = case.shapes.partition("->")
    inputs = [each.strip() for each in before.split(";")]
    names = ["input"] if len(inputs) == 1 else ["x", "y", "z"]
    parts = [f"part{at}" for at, _ in enumerate(after.split(";"))]
    lines = [f"input {name}: {shape}" for name, shape in zip(names, inputs, strict=False)]
    lines.append((f"{', '.join(parts)}: " if parts[1:] else label) + case.call)
    lines += [f"output {part}" for part in parts if parts[1:]]
    made = compile_text("network N {\n" + "\n".join(lines) + "\n}\n", fixes=False)
    return made.model() if made.ok else None


def _lines(source: str) -> tuple[str, ...]:
    """What the source of a module has for its step: how it is built and what `forward` does with it."""
    network = next(each for each in ast.parse(source).body if isinstance(each, ast.ClassDef) and each.name == "N")
    found: list[str] = []
    for method in network.body:
        if isinstance(method, ast.FunctionDef) and method.name in ("__init__", "forward"):
            for each in method.body:
                layers = _handed_up(each)
                if layers is not None:
                    found += [ast.unparse(layer) for layer in layers]
                elif not any(word in ast.unparse(each) for word in ("self.check(", "super().forward(")):
                    found += (ast.get_source_segment(source, each, padded=True) or "").split("\n")
    return tuple(line.removeprefix("        ") for line in found)


def _handed_up(statement: ast.stmt) -> list[ast.expr] | None:
    """The layers that a chain hands to `nn.Sequential`; None for another statement."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__":
        return call.args
    return None


# -------------------------------------------------------------------------------------------------------- the formulas
def _general(model: Model, step: Step) -> Formula | None:
    """A case with names for its sizes and for those arguments that may stay open; None if its own numbers fail."""
    types = [model.type(each) for each in step.inputs]
    as_written = [each for each, port in zip(types, step.ports, strict=True) if not port]
    named = {port: each for each, port in zip(types, step.ports, strict=True) if port}
    inputs = [_open(type(step.op), each) for each in as_written]
    alone = len(set(step.inputs)) == 1 and _run(step.op, inputs, named) is not None
    x = inputs if alone else as_written
    op, opened = step.op, list[str]()
    for name, field in sorted(type(op).fields.items(), key=lambda each: not each[1].positional):
        value = getattr(op, name)
        if name in step.expressions and type(value) is int and (field.positional or not opened):
            wider = op.but(**{name: symbol(name)})
            if _run(wider, x, named) is not None:
                op = wider
                opened.append(name)
    made = _run(op, x, named)
    if made is None:
        return None
    return Formula(_call(op, step, opened), (*x, *named.values()), *made)


def _open(kind: type[Op], x: TensorType) -> TensorType:
    """The same tensor with a name for every size, in the words of the op's own pattern."""
    first = kind.takes.split(";")[0].split()
    if "l" in first or (first[-1] == "f" and x.rank == 2):
        names = [*"BGK"[: x.rank - 2], "T", "F"] if x.rank > 1 else ["F"]
    elif x.rank == 1:
        names = ["F"]
    else:
        names = ["C", *SPACE.get(x.rank - 1, tuple("DEGHK"[: x.rank - 1]))]
    return x.to(*map(symbol, names))


def _run(op: Op, x: list[TensorType], named: Mapping[str, TensorType]) -> tuple[TensorType, Size, Size] | None:
    """What the op gives, has and costs; None where it must compare what is open, or asks for equal sizes."""
    try:
        rules = list(op.rules(*x, **named))
        if any(each.predicate is False or _equates(each.predicate) for each in rules):
            return None
        made = op.gives(*x, **named)
        y = made[0] if isinstance(made, tuple) else made
        weights = op.weights(*x, **named).values()
        parameters = _sum(product(each.shape) for each in weights if each.kind == "parameter")
        return y, parameters, op.macs(*x, y=y, **named)
    except (Misfit, TypeError, ValueError, AssertionError, ArithmeticError, AttributeError):
        return None


def _equates(predicate: Any) -> bool:
    """Whether a rule holds only where two open sizes are the same."""
    if not isinstance(predicate, Compare) or predicate.op != "==":
        return False
    difference = predicate.left - predicate.right
    return isinstance(difference, Dim) and all(isinstance(a, str) for m in difference.terms for a, _ in m)


def _sum(sizes: Iterable[Size]) -> Size:
    total: Size = 0
    for each in sizes:
        total = total + each
    return total


def _worth(found: Formula, spatial: bool) -> tuple[bool, int, bool, int]:
    """Open sizes first, for windows a picture before other ranks, then open arguments less what else is said."""
    sizes = [size for each in found.takes for size in each.shape]
    made = (*found.gives.shape, found.parameters, found.macs)
    named = {name for each in sizes for name in symbols(each)}
    opened = {name for each in made for name in symbols(each)} - named
    said = found.call.count("=") + found.call.count("[")
    whole = all(map(symbols, sizes))
    return whole, 0 if whole else len(named), spatial and found.takes[0].rank == 3, len(opened) - said


def _call(op: Op, step: Step, opened: list[str]) -> str:
    """The call with the names of what is open in the place of its numbers."""
    text = step.span.text if step.call is None else step.call.span.text
    start = step.span.start if step.call is None else step.call.span.start
    for name in sorted(opened, key=lambda each: -step.expressions[each].span.start):
        span = step.expressions[name].span
        text = text[: span.start - start] + name + text[span.end - start :]
    return text
