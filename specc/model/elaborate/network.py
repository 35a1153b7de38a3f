"""One network: bind its parameters, unroll its body, find what is used, and freeze the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specc.catalogue.op import Op
from specc.model.elaborate.body import Body
from specc.model.elaborate.claims import Claims, Figures, count, is_frozen
from specc.model.elaborate.evaluate import Budget
from specc.model.elaborate.expand import Walk, missing_parameter
from specc.model.elaborate.files import Unit
from specc.model.elaborate.fitting import default_of, fitted
from specc.model.elaborate.place import Builder
from specc.model.elaborate.problem import Exhausted, Silent, problem, suggestion
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import BlockValue, Scope, TensorRef
from specc.model.graph import Frame, Model, Module, Port, Step, Weight
from specc.sizes.conditions import Condition, admissible
from specc.sizes.dim import Dim, Size, SizeTooLarge
from specc.sizes.simplify import Simplifier
from specc.syntax import tree
from specc.text.diagnostics import Bag, Diagnostic, SpecError
from specc.text.record import changed


def elaborate(
    unit: Unit,
    name: str,
    bag: Bag,
    settings: Mapping[str, Any],
    sizes: Mapping[str, int],
    chosen: bool,
    budget: Budget | None = None,
) -> Model | None:
    """The model of a declared network; None for a template (a parameter is not bound) and after errors in its head.

    `settings` override its parameters, `sizes` bind its symbols. A template is an error if the network was `chosen`.
    `budget` is what is left of the file's; one that is spent raises `Exhausted`.
    """
    declared = unit.networks[name]
    builder = Builder(bag, budget)
    walk = Walk(builder, Claims(free=bool(settings or sizes)))
    try:
        value, expects = _target(walk, unit, declared)
        if value is None:
            return None
        return _elaborate(walk, name, value, expects, settings, sizes, unit, chosen)
    except Exhausted as error:
        bag.add(builder.with_uses(error.diagnostic))
        raise
    except SpecError as error:
        bag.add(error.diagnostic)
    except RecursionError:
        message = f"`{name}` leads through too many definitions inside each other"
        bag.add(Diagnostic("nesting-too-deep", declared.name_span, message, "spell some of them out"))
    except SizeTooLarge as error:
        bag.add(Diagnostic("number-too-large", declared.name_span, str(error)))
    except Silent:
        pass
    return None


def _target(
    walk: Walk, unit: Unit, declared: tree.Network | tree.Alias
) -> tuple[BlockValue | None, tuple[tree.Expect, ...]]:
    if isinstance(declared, tree.Network):
        return BlockValue(declared, unit.scope), declared.expects
    value = walk.evaluator.evaluate(declared.value, unit.scope)
    if not isinstance(value, BlockValue) or not isinstance(value.definition, tree.Network):
        raise problem("not-a-network", declared.value.span, f"an alias names a network; this is {say(value)}")
    return value, (*value.definition.expects, *declared.expects)


def _elaborate(
    walk: Walk,
    name: str,
    value: BlockValue,
    expects: tuple[tree.Expect, ...],
    settings: Mapping[str, Any],
    sizes: Mapping[str, int],
    unit: Unit,
    chosen: bool,
) -> Model | None:
    definition = value.definition
    assert isinstance(definition, tree.Network)
    scope = Scope(value.home, "network")
    missing = _bind(walk, value, scope, settings)
    if missing is not None:
        if chosen:
            raise missing_parameter(definition, missing, definition.name_span)
        return None
    walk.sizes = dict(sizes)
    root = Module("", "", "network")
    frame = Frame(root, ())
    if not _has_input(definition.body):
        raise _no_input(definition)
    record, reserved = walk.shapes.of(definition.body)
    root.record = record
    body = Body(root, frame, scope, record, reserved, network=True)
    frame.definition, frame.scope, frame.expressions = definition, scope, value.expressions
    frame.given = {each.name: walk.evaluator.bound(scope.names[each.name], each.span) for each in definition.parameters}
    walk.modules.append(root)
    walk.unroll(body, definition.body)
    frame.inputs = tuple(each.value for each in walk.inputs)
    frame.result = body.flow.id if isinstance(body.flow, TensorRef) else None
    return _finish(walk, name, definition, body, expects, scope, unit)


def _bind(walk: Walk, value: BlockValue, scope: Scope, settings: Mapping[str, Any]) -> tree.Parameter | None:
    """Bind the parameters; the first one that has no value, if there is one."""
    definition = value.definition
    for each in definition.parameters:
        if each.name in settings:
            span = each.span
            scope.names[each.name] = fitted(definition.name, each, settings[each.name], span)
        elif each.name in value.given:
            scope.names[each.name] = value.given[each.name]
        elif each.default is not None:
            scope.names[each.name] = default_of(walk.evaluator, definition.name, each, Scope(scope))
        else:
            return each
    return None


def _finish(
    walk: Walk,
    name: str,
    definition: tree.Network,
    body: Body,
    expects: tuple[tree.Expect, ...],
    scope: Scope,
    unit: Unit,
) -> Model | None:
    builder = walk.builder
    if not walk.inputs and walk.input_lost:
        raise Silent
    if not walk.inputs:
        raise _no_input(definition)
    outputs = list(walk.outputs)
    if not any(not each.training for each in outputs):
        if not isinstance(body.flow, TensorRef):
            raise problem("no-output", definition.name_span, f"`{definition.name}` ends without a tensor")
        last = builder.values[body.flow.id]
        outputs.append(Port("output", body.flow.id, span=last.span))
    known = all(builder.values[each.value].type is not None for each in outputs)
    steps, warnings = _used(builder, outputs)
    weights = tuple(_weights(body.module))
    if known:
        _check_claims(walk, expects, scope, outputs, steps)
        for each in () if builder.bag.failed else warnings:
            builder.bag.add(each)
    for each in walk.claims.notes:
        builder.bag.add(each)
    conditions = tuple(admissible([each.predicate for each in builder.requirements], tuple(builder.facts)))
    for condition in conditions:
        if condition.empty:
            builder.bag.add(_empty(walk, condition, definition))
    _shorten(builder, conditions, body.frame)
    return Model(
        name, tuple(walk.inputs), tuple(outputs), tuple(builder.values), tuple(builder.steps), body.frame, weights,
        tuple(builder.requirements), tuple(builder.facts), conditions, dict(body.frame.given), definition, unit.path,
    )  # fmt: skip


def _has_input(body: tree.Body) -> bool:
    """Whether a body declares an input, in whatever branch."""
    for each in body.statements:
        inner = [each.body] if isinstance(each, tree.If | tree.Repeat | tree.For) else []
        if isinstance(each, tree.If) and each.other is not None:
            inner.append(each.other)
        if isinstance(each, tree.Input) or any(_has_input(body) for body in inner):
            return True
    return False


def _no_input(definition: tree.Network) -> SpecError:
    help = "begin its body with one, such as `input image: [3, 224, 224]`"
    return problem("no-input", definition.name_span, f"`{definition.name}` declares no input", help)


def _shorten(builder: Builder, conditions: tuple[Condition, ...], frame: Frame) -> None:
    """Write sizes and costs shortly, now that the admissible sizes are known."""
    simple = Simplifier(conditions)
    if not simple.periods:
        return
    for at, value in enumerate(builder.values):
        if value.type is not None:
            shape = tuple(simple(each) for each in value.type.shape)
            builder.values[at] = changed(value, type=value.type.to(*shape))
    shorter = {}
    for step in builder.steps:
        op, macs = _short_op(simple, step.op), simple(step.macs)
        if op is not step.op or macs is not step.macs:
            shorter[step.index] = changed(step, op=op, macs=macs)
    for index, step in shorter.items():
        builder.steps[index] = step
    _renew(frame, shorter)


def _short_op(simple: Simplifier, op: Op) -> Op:
    """The op with the sizes among its arguments written as those of its tensors are."""
    given = {name: value for name, value in vars(op).items() if name != "extra_values"} | dict(op.extra_values)
    changes = {name: short for name, value in given.items() if (short := _short(simple, value)) is not value}
    return op.but(**changes) if changes else op


def _short(simple: Simplifier, value: Any) -> Any:
    """An argument with its sizes rewritten; the same object where there is nothing to rewrite."""
    if isinstance(value, Dim):
        return simple(value)
    if type(value) in (tuple, list):
        found = [_short(simple, each) for each in value]
        return type(value)(found) if any(a is not b for a, b in zip(found, value, strict=True)) else value
    return value


def _renew(frame: Frame, steps: Mapping[int, Step]) -> None:
    for at, item in enumerate(frame.items):
        if isinstance(item, Frame):
            _renew(item, steps)
        elif isinstance(item, Step) and item.index in steps:
            frame.items[at] = steps[item.index]
            if item.module is not None and item.module.step is item:
                item.module.step = steps[item.index]


def _empty(walk: Walk, condition: Any, definition: tree.Network) -> Diagnostic:
    causes = [walk.builder.requirements[at] for at in condition.causes]
    span = causes[0].span if causes else definition.name_span
    names = " and ".join(condition.symbols)
    says = "; ".join(f"`{each.step}`: {each.text}" for each in causes[:3])
    return Diagnostic("no-valid-size", span, f"no size of {names} satisfies all of this: {says or condition.text}")


def _used(builder: Builder, outputs: list[Port]) -> tuple[set[int], list[Diagnostic]]:
    """The steps that inference needs, and a warning for each layer that nothing needs at all."""
    inference = _behind(builder, [each.value for each in outputs if not each.training])
    every = inference | _behind(builder, [each.value for each in outputs])
    warnings = []
    for step in builder.steps:
        if step.index not in every and step.module is not None and step.module.step is step:
            message = f"nothing uses what `{step.path}` makes"
            warnings.append(Diagnostic("unused-layer", step.span, message, severity="warning"))
    return inference, warnings


def _behind(builder: Builder, wanted: list[int]) -> set[int]:
    found: set[int] = set()
    waiting = [builder.values[each].step for each in wanted]
    while waiting:
        at = waiting.pop()
        if at is None or at in found:
            continue
        found.add(at)
        waiting += [builder.values[each].step for each in builder.steps[at].inputs]
    return found


def _check_claims(
    walk: Walk, expects: tuple[tree.Expect, ...], scope: Scope, outputs: list[Port], used: set[int]
) -> None:
    if not expects:
        return
    macs: Size = 0
    for step in walk.builder.steps:
        if step.index in used:
            macs = macs + step.macs
    found = count(walk.modules)
    main = [each for each in outputs if not each.training][-1]
    receptive = walk.builder.receptive(main.value)
    kind = walk.builder.values[main.value].type
    figures = Figures(found.params, found.trainable, found.buffers, macs, receptive, lambda: _parts(walk))
    walk.claims.check(walk, expects, scope, figures, kind.shape if kind else None)


def _parts(walk: Walk) -> tuple[str, ...]:
    """Parameters per part of the network, for a claim that fails."""
    from specc.model.elaborate.again import flatten
    from specc.model.elaborate.claims import say_figure

    found = []
    for child in walk.modules[0].children:
        size = count(flatten(child)).params
        if size != 0:
            found.append(f"{child.name} {say_figure(size)}")
    return tuple(found)


def _weights(module: Module) -> list[Weight]:
    """The state-dict in PyTorch's order: a module's parameters, its buffers, then its children."""
    found = []
    for kind in ("parameter", "buffer"):
        for name, spec in module.weights.items():
            if spec.kind == kind:
                tied = module.tied.get(name, "")
                trains = kind == "parameter" and not is_frozen(module, name)
                found.append(Weight(module.key(name), spec, module, name, tied, trains))
    for child in module.children:
        found += _weights(child)
    return found


def unknown_setting(key: str, known: list[str]) -> Diagnostic:
    """`--set` of something that nothing has."""
    return Diagnostic("unknown-setting", None, f"nothing here is called `{key}`", suggestion(key, known))
