"""A program as Python code: its loss, heads, optimizer, learning rate and first weights, printed and then run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from types import ModuleType
from typing import Any

from specc.catalogue.op import TensorType
from specc.catalogue.setting import Facing
from specc.code.nodes import (
    Binary,
    Blank,
    Conditional,
    Dict,
    Expression,
    ExpressionStatement,
    For,
    FunctionDef,
    If,
    Import,
    ImportFrom,
    List,
    ListOf,
    Literal,
    Module,
    Name,
    Parameter,
    Return,
    Statement,
    Tuple,
    assign,
    binary,
    call,
    compare,
    index,
    method,
    value,
)
from specc.code.printer import print_body, print_module
from specc.model.graph import Model
from specc.model.heads import head, outputs
from specc.model.losses import target_type
from specc.model.program import Chosen, Program, Term
from specc.train.criteria import sources
from specc.train.first import initialising
from specc.train.groups import Group, groups


def write(
    model: Model, program: Program, target: str, counts: tuple[int, ...] = (), steps: int = 1, shared: bool = False
) -> str:
    """The source of a module with `loss`, `heads`, `penalty`, `optimizer`, `rate`, `average` and `initialise`.

    `target` is the kind of the data's target, as the data floor names it, `counts` are the training samples of each
    class, and `steps` those of the optimizer in an epoch. The functions take outputs and inputs by name, as tensors
    with a batch, and `weights`, the parameters by their keys. A batch that is `shared` by several processes has the
    function `terms` too, where a mean is not over the samples alone.
    """
    head: tuple[Statement, ...] = (
        Import("math"), Blank(), Import("torch"), ImportFrom("torch", (("nn", ""),)),
        ImportFrom("torch.nn", (("functional", "F"),)),
    )  # fmt: skip
    body: tuple[Statement, ...] = (
        _loss(model, program, target, counts), _heads(model), _penalty(model, program), _optimizer(model, program),
        _rate(program, steps), _average(program), _first(model, program),
        *(_terms(model, program, target, counts) if shared else ()),
    )  # fmt: skip
    text = print_body(body)
    called = re.findall(r"(?<![\w.])(\w+)\(", text)
    parts = [print_module(Module(f"How {program.network} is trained.", head)), *sources(called), text]
    return "\n\n".join(parts)


def load(source: str) -> ModuleType:
    """The module of such a source."""
    module = ModuleType("specc_program")
    exec(compile(source, "<program>", "exec"), module.__dict__)
    return module


def _function(name: str, parameters: Iterable[str], body: Iterable[Statement], docstring: str) -> FunctionDef:
    return FunctionDef(name, tuple(Parameter(each) for each in parameters), tuple(body), docstring=docstring)


# ------------------------------------------------------------------------------------------------------------ loss
def _loss(model: Model, program: Program, target: str, counts: tuple[int, ...]) -> FunctionDef:
    """Terms of outputs that exist only in training are added where those are there."""
    training = {name for name, port in outputs(model).items() if port.training}
    needs = [[name for name in (each.output, each.target) if name in training] for each in program.terms]
    always = [each for each, further in zip(program.terms, needs, strict=True) if not further]
    total = _sum([(each.factor, _term(model, each, target, counts)) for each in always])
    docstring = "The loss of a batch; outputs are logits where the network ends in a head that can be undone."
    names = ("outputs", "inputs", "target")
    if len(always) == len(program.terms):
        return _function("loss", names, [Return(total)], docstring)
    body: list[Statement] = [assign("total", total)]
    for each, further in zip(program.terms, needs, strict=True):
        if further:
            more = _sum([(1, Name("total")), (each.factor, _term(model, each, target, counts))])
            body.append(If(compare(further[0], "in", Name("outputs")), (assign("total", more),)))
    return _function("loss", names, [*body, Return(Name("total"))], docstring)


def _terms(model: Model, program: Program, target: str, counts: tuple[int, ...]) -> tuple[FunctionDef, ...]:
    """The terms one by one, for a part of a batch; nothing where every mean is over the samples."""
    found: list[Expression] = []
    for each in program.terms:
        amount = _amount(model, each, target, counts)
        single = each
        if amount is not None and each.loss is not None:
            single = replace(each, loss=replace(each.loss, entry=each.loss.entry.but(reduce="sum")))
        term = _sum([(each.factor, _term(model, single, target, counts))])
        found.append(Tuple((term, Literal(None) if amount is None else amount)))
    if all(_amount(model, each, target, counts) is None for each in program.terms):
        return ()
    docstring = (
        "The terms of the loss with what each is divided by: a term without it is a mean over the samples; one with it "
        "is a sum, here for each sample on average."
    )
    return (_function("terms", ("outputs", "inputs", "target"), [Return(List(tuple(found)))], docstring),)


def _amount(model: Model, term: Term, target: str, counts: tuple[int, ...]) -> Expression | None:
    """What the mean of a term is divided by, where this is not the number of samples."""
    if term.loss is None or term.loss.entry.reduce != "mean":
        return None
    amount: Expression | None = term.loss.entry.amount(*_given(model, term, target, counts))
    return amount


def _sum(terms: list[tuple[float, Expression]]) -> Expression:
    found: Expression | None = None
    for factor, term in terms:
        sign = "+" if factor >= 0 or found is None else "-"
        size = factor if found is None else abs(factor)
        scaled = term if size == 1 else binary("*", float(size), term)
        found = scaled if found is None else Binary(sign, found, scaled)
    return call("torch.zeros", ()) if found is None else found


def _term(model: Model, term: Term, target: str, counts: tuple[int, ...]) -> Expression:
    if term.loss is None:
        return method(index("outputs", term.output), "mean")
    lowered: Expression = term.loss.entry.lower(*_given(model, term, target, counts))
    return lowered


def _given(model: Model, term: Term, target: str, counts: tuple[int, ...]) -> tuple[Expression, Expression, Facing]:
    """What a loss is given: the output, its target, and what it faces."""
    assert term.loss is not None
    found, scores, loss = head(model, term.output), index("outputs", term.output), term.loss.entry
    logits = loss.undoes and (found.undone or not found.makes)
    given = scores if loss.undoes else _applied(model, term.output, scores)
    axis = found.axis(loss.axis) if "axis" in loss.fields and found.type.rank else 0
    kind = _kind(model, term.target) if term.target else target
    facing = Facing(found.type, scores, logits, kind, axis, found.compares(loss), counts)
    return given, _target(model, term.target), facing


def _kind(model: Model, name: str) -> str:
    """What a tensor of the network is as a target: class numbers, or numbers in the shape of the output."""
    kind = target_type(model, name)
    return "" if kind.dtype == "float" else "classes" if kind.rank else "class"


def _target(model: Model, name: str) -> Expression:
    if not name:
        return Name("target")
    found = _applied(model, name, index("outputs", name)) if name in outputs(model) else index("inputs", name)
    return method(found, "long") if target_type(model, name).dtype == "bool" else found


class _Tensor:
    """A tensor in the printed code."""

    def __init__(self, node: Expression, type: TensorType) -> None:
        self.node = node
        self.type = type

    def dim(self, axis: int) -> int:
        return axis + self.type.batched


class _Call:
    """What a head without weights asks of its surroundings: how a function is called."""

    def function(self, dotted: str, *x: Any, **keywords: Any) -> Expression:
        return call(dotted, *x, **keywords)


def _applied(model: Model, output: str, scores: Expression) -> Expression:
    """The output as the network gives it, from what `logits` gives."""
    found = head(model, output)
    if not found.undone or found.step is None:
        return scores
    made: Expression = found.step.op.torch(_Call(), _Tensor(scores, model.type(found.step.inputs[0])))  # type: ignore[arg-type]
    return made


def _heads(model: Model) -> FunctionDef:
    made = tuple(
        (name, _applied(model, name, index("outputs", name)))
        for name, port in outputs(model).items()
        if not port.training
    )
    return _function("heads", ("outputs",), [Return(Dict(made))], "The outputs of inference from what `logits` gives.")


# --------------------------------------------------------------------------------------------------------- weights
def _keys(group: Group) -> List:
    return List(tuple(value(key) for key in group.keys))


def _each(group: Group, element: Expression) -> ListOf:
    return ListOf(element, Name("key"), _keys(group))


def _penalty(model: Model, program: Program) -> FunctionDef:
    docstring = "What is added to the loss for the size of the weights."
    parts: list[Expression] = []
    weight = index("weights", Name("key"))
    for group in groups(model, program, by="penalty"):
        if group.l1:
            sizes = _each(group, method(method(weight, "abs"), "sum"))
            parts.append(binary("*", float(group.l1), call("sum", sizes)))
        if group.l2 and not program.optimizer.entry.grouped:
            squares = _each(group, method(method(weight, "square"), "sum"))
            parts.append(binary("*", float(group.l2) / 2, call("sum", squares)))
    total = binary("+", *parts) if parts else Literal(0)
    return _function("penalty", ("weights",), [Return(total)], docstring)


def _optimizer(model: Model, program: Program) -> FunctionDef:
    if not program.optimizer.entry.grouped:
        (group,) = groups(model, program, by="optimizer")
        every = [assign("every", _each(group, index("weights", Name("key"))))]
        body = [*every, Return(program.optimizer.entry.lower(Name("every")))]
        return _function("optimizer", ("weights",), body, "The optimizer; all weights are one vector to it.")
    made: list[Expression] = []
    for group in groups(model, program, by="optimizer"):
        items: list[tuple[str, Expression]] = [("params", _each(group, index("weights", Name("key"))))]
        if group.l2:
            items.append(("weight_decay", value(float(group.l2))))
        if group.factor != 1:
            items.append(("factor", value(float(group.factor))))
        made.append(Dict(tuple(items)))
    body = [assign("groups", List(tuple(made))), Return(program.optimizer.entry.lower(Name("groups")))]
    docstring = "The optimizer; a group's `factor` multiplies the learning rate."
    return _function("optimizer", ("weights",), body, docstring)


def _first(model: Model, program: Program) -> FunctionDef:
    return _function("initialise", ("weights",), initialising(model, program), "Give the weights their first values.")


def _rate(program: Program, steps: int) -> FunctionDef:
    base: Expression = value(float(program.optimizer.entry.lr))
    parameters = [Parameter("epoch")]
    docstring = "The learning rate; `epoch` counts from 0 and may be a fraction."
    epochs = program.steps / steps if program.steps else program.epochs
    found = _schedule(program.schedule, base, Name("epoch"), 0, epochs, steps)
    if program.schedule[-1].entry.waits:
        parameters.append(Parameter("drops", default=Literal(0)))
        docstring += " `drops` counts plateaus."
    return FunctionDef("rate", tuple(parameters), (Return(found),), docstring=docstring)


def _schedule(
    parts: tuple[Chosen, ...], base: Expression, epoch: Expression, start: float, epochs: float, steps: int
) -> Expression:
    """The rate of a chain of schedules from `start` on; after one that ends, the rate stays."""
    first, *others = parts
    now = binary("-", epoch, start) if start else epoch
    if not first.entry.ends:
        lowered: Expression = first.entry.lower(base, now, epochs - start)
        return lowered
    takes = first.entry.takes(steps)
    end = start + takes
    later = _schedule(tuple(others), base, epoch, end, epochs, steps) if others else base
    return Conditional(compare(epoch, "<", end), first.entry.lower(base, now, takes), later)


def _average(program: Program) -> FunctionDef:
    """How weights go into their means; nothing is done without the setting."""
    body: tuple[Statement, ...] = (Return(),)
    if program.average is not None:
        share = program.average.entry.lower(Name("count"))
        pair = Tuple((Name("key"), Name("mean")))
        took = ExpressionStatement(method("mean", "lerp_", index("weights", Name("key")), share))
        body = (For(pair, method("means", "items"), (took,)),)
    docstring = "Take the weights into their means, as number `count` from 1."
    return _function("average", ("means", "weights", "count"), body, docstring)


def begins(program: Program, steps: int) -> float:
    """The epoch in which the last schedule of the chain begins."""
    return float(sum(each.entry.takes(steps) for each in program.schedule[:-1]))
