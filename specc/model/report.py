"""The report of a model as plain data: exactly the JSON of COMMANDS.md, schema 1."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from specc.catalogue.op import TensorType
from specc.model.graph import Model, Requirement, Step, ValueId, Weight
from specc.sizes.conditions import Compare, Condition
from specc.sizes.dim import Dim, Size, maximum, product
from specc.sizes.relax import never_negative
from specc.sizes.simplify import Simplifier

DTYPES = {"float": "float32", "int": "int64", "bool": "bool"}
BYTES = {"float": 4, "int": 8, "bool": 1}


def report(model: Model) -> dict[str, Any]:
    """One network as data. A size or count that depends on unknown sizes is text in its canonical form."""
    used = frozenset(step.index for step in model.inference)
    simple = Simplifier(model.conditions)
    return {
        "name": model.name,
        "file": model.file,
        "inputs": [_port(each.name, model.type(each.value)) for each in model.inputs],
        "outputs": [
            _port(each.name, model.type(each.value)) | ({"training": True} if each.training else {})
            for each in model.outputs
        ],
        "parameters": plain(parameters(model)),
        "trainable": plain(parameters(model, trainable=True)),
        "buffers": plain(_sum(product(each.spec.shape) for each in model.weights if each.spec.kind == "buffer")),
        "macs": plain(simple(_sum(step.macs for step in model.steps if step.index in used))),
        "receptive": [plain(each) for each in receptive(model)],
        "memory": {key: plain(simple(value)) for key, value in memory(model).items()},
        "tied": [[each.key, each.tied] for each in model.weights if each.tied],
        "conditions": [_condition(model, each) for each in model.conditions],
        "steps": [_step(model, step) for step in model.steps],
        "state_dict": [[each.key, [plain(size) for size in each.spec.shape]] for each in model.weights],
    }


def parameters(model: Model, trainable: bool = False) -> Size:
    """Elements of the parameters; tied tensors count once."""
    return _sum(
        product(each.spec.shape) for each in model.weights if counts(each) and (each.trainable or not trainable)
    )


def counts(weight: Weight) -> bool:
    """Whether a weight counts as parameters of its own."""
    return weight.spec.kind == "parameter" and not weight.tied


def receptive(model: Model) -> tuple[Size, ...]:
    """The receptive field of the last output of inference, per spatial axis."""
    main = [each for each in model.outputs if not each.training][-1]
    at = model.values[main.value].step
    if at is None:
        return tuple(1 for _ in model.type(main.value).spatial)
    return model.steps[at].receptive


def memory(model: Model) -> dict[str, Size]:
    """Bytes of activations for one sample in fp32.

    inference: the largest sum of outputs alive at once, in spec order. training: the sum of all outputs.
    """
    sizes = {value.id: _bytes(value.type) for value in model.values if value.type is not None}
    used = {value for step in model.steps for value in step.inputs} | {port.value for port in model.outputs}
    made = [value for step in model.steps for value in _made(step, used)]
    found: dict[str, Size] = {"training": _sum(sizes[value] for value in made)}
    return {"inference": _peak(model, sizes), **found}


def _peak(model: Model, sizes: dict[int, Size]) -> Size:
    """The largest sum of live tensors over the steps of inference."""
    steps = model.inference
    last: dict[int, int] = {}
    for at, step in enumerate(steps):
        for value in step.inputs:
            last[value] = at
    for port in model.outputs:
        if not port.training:
            last[port.value] = len(steps)
    alive: Size = _sum(sizes[each.value] for each in model.inputs if each.value in last)
    candidates: list[Size] = [alive]
    leaving: dict[int, list[int]] = {}
    for value, at in last.items():
        leaving.setdefault(at, []).append(value)
    known = {each.value for each in model.inputs} | {value for step in steps for value in step.outputs}
    for at, step in enumerate(steps):
        made = _made(step, last)
        alive = alive + _sum(sizes[value] for value in made)
        candidates.append(alive)
        gone = [value for value in leaving.get(at, []) if value in known]
        unused = [value for value in made if value not in last]
        alive = alive - _sum(sizes[value] for value in (*gone, *unused))
    alone = [each for each in model.conditions if len(each.symbols) == 1 and each.at_least]
    return largest(candidates, {each.symbols[0]: each.at_least or 1 for each in alone})


def _made(step: Step, used: Container[ValueId]) -> tuple[ValueId, ...]:
    """The outputs that are really made: the further ones of an op only where something uses one."""
    further = step.outputs[1:]
    return step.outputs[:1] if step.op.further and not any(each in used for each in further) else step.outputs


def largest(sizes: Sequence[Size], least: Mapping[str, int]) -> Size:
    """The greatest of these wherever the symbols are at least so large: a formula with max(…) where that depends."""
    best: list[Size] = []
    for each in dict.fromkeys(sizes):
        if not any(never_negative(other - each, least) for other in best):
            best = [other for other in best if not never_negative(each - other, least)] + [each]
    return maximum(*best)


def _bytes(kind: TensorType) -> Size:
    return product(kind.shape) * BYTES[kind.dtype]


def _sum(sizes: Any) -> Size:
    total: Size = 0
    for each in sizes:
        total = total + each
    return total


def plain(size: Size) -> int | str:
    """A size as JSON has it."""
    return str(size) if isinstance(size, Dim) else int(size)


def _port(name: str, kind: TensorType) -> dict[str, Any]:
    return {"name": name, "dtype": DTYPES[kind.dtype], "shape": [plain(each) for each in kind.shape]}


def _condition(model: Model, condition: Condition) -> dict[str, Any]:
    found: dict[str, Any] = (
        {"symbol": condition.symbols[0]} if len(condition.symbols) == 1 else {"symbols": list(condition.symbols)}
    )
    found["text"] = condition.text
    if not condition.decided:
        found["decided"] = False
    for key in ("period", "residues", "at_least", "at_most"):
        value = getattr(condition, key)
        if value is not None:
            found[key] = list(value) if isinstance(value, tuple) else value
    found["causes"] = [
        {"path": each.step, "text": each.text, "line": each.span.line} for each in _causes(model, condition)
    ]
    return found


def _causes(model: Model, condition: Condition) -> list[Requirement]:
    """The steps that ask for it; that a window fits at all is said only where nothing else is asked."""
    found = [model.requirements[at] for at in condition.causes]
    telling = [each for each in found if not (isinstance(each.predicate, Compare) and each.predicate.op == ">=")]
    return telling or found


def _step(model: Model, step: Step) -> dict[str, Any]:
    first = model.values[step.outputs[0]].type
    weights = step.module.weights if step.module is not None and step.module.step is step else {}
    own = _sum(
        product(spec.shape)
        for name, spec in weights.items()
        if spec.kind == "parameter" and step.module is not None and name not in step.module.tied
    )
    return {
        "path": step.path,
        "op": step.op.name,
        "inputs": [called(model, value) for value in step.inputs],
        "shape": [plain(each) for each in first.shape] if first else None,
        "parameters": plain(own),
        "macs": plain(step.macs),
        "line": step.span.line,
    }


def called(model: Model, value: int) -> str:
    """What a tensor is called: an input's name, the path of the step that makes it, or a weight's key."""
    found = model.values[value]
    return model.steps[found.step].path if found.step is not None else found.key or found.name
