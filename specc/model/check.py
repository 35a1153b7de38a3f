"""Rules for a whole model: textbook form, the loss against the head, the network against its data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from specc.catalogue.axes import position
from specc.catalogue.axes import shape as spell
from specc.catalogue.entry import Misfit
from specc.model.answers import check_answers, check_measures
from specc.model.filling import check_batching
from specc.model.heads import SHARES, maker
from specc.model.losses import agree, check_loss, check_target, show
from specc.model.readying import augmented_shape, check_augment, check_padding, prepared_shape, ready
from specc.model.tuning import check_tuning
from specc.sizes.dim import Size
from specc.sizes.predicates import holds
from specc.text.diagnostics import Diagnostic

if TYPE_CHECKING:
    from specc.catalogue.setting import Shape
    from specc.model.facts import Facts
    from specc.model.graph import Model, Port, Step
    from specc.model.program import Program
    from specc.text.source import Span


def check_model(model: Model) -> Iterator[Diagnostic]:
    """What is wrong with a network whatever it is trained on. Only for models without errors."""
    for step in model.steps:
        if step.op.makes not in SHARES or not step.inputs:
            continue
        before = maker(model, step.inputs[0])
        while before is not None and before.op.moves:
            before = maker(model, before.inputs[0])
        if before is not None and before.op.makes in SHARES and _same_axis(model, before, step):
            message = f"`{step.op.name}` of what is already a `{before.op.name}`: the numbers are squashed twice"
            yield Diagnostic("double-softmax", step.span, message, "leave one of them out")


def _same_axis(model: Model, one: Step, other: Step) -> bool:
    """Along two different axes it is meant: a matrix is brought to sums of 1 in rows and columns by turns."""
    axes = []
    for step in (one, other):
        rank = model.type(step.outputs[0]).rank
        axes.append((rank, position(getattr(step.op, "axis", 0), rank)))
    return axes[0][0] != axes[1][0] or axes[0] == axes[1]


def check_program(model: Model, program: Program, facts: Facts | None = None) -> Iterator[Diagnostic]:
    """What is wrong with how a network is trained; `facts` are those of its data as far as they are at hand."""
    yield from check_loss(model, program)
    yield from check_tuning(model, program)
    yield from check_answers(model, program)
    if facts is None:
        return
    yield from _inputs(model, program, facts)
    yield from check_padding(program, facts)
    yield from check_augment(program, facts)
    yield from check_batching(model, program, facts)
    facts = ready(program, facts)
    for term in program.terms:
        if term.loss is not None and not term.target:
            yield from check_target(model, term, term.loss, facts)
    yield from check_measures(program, facts)


# ----------------------------------------------------------------------------------------------------- the data
def matched(model: Model, program: Program, facts: Facts) -> dict[str, str]:
    """The data's input for each of the network's: one for one, else by name. What has none is left out."""
    told = program.batching.entry.filled
    wanted, given = [port.name for port in model.inputs if port.name not in told], list(facts.input_shapes)
    if len(wanted) == len(given) == 1:
        return {wanted[0]: given[0]}
    return {name: name for name in wanted if name in given}


def _inputs(model: Model, program: Program, facts: Facts) -> Iterator[Diagnostic]:
    pairs, bound = matched(model, program, facts), dict[str, int]()
    said = program.source.span
    for port in model.inputs:
        if port.name in program.batching.entry.filled:
            continue
        if port.name not in pairs:
            known = ", ".join(f"`{each}`" for each in facts.input_shapes)
            yield Diagnostic("data-shape", said, f"the data have no input `{port.name}`", f"they have {known}")
            continue
        shape = facts.input_shapes[pairs[port.name]]
        kind = model.type(port.value)
        counts = facts.dtypes.get(pairs[port.name], "float32")
        if kind.dtype == "int" and counts.startswith("float"):
            yield Diagnostic("data-shape", said, f"`{port.name}` takes whole numbers; the data have real ones")
            continue
        try:
            ready = prepared_shape(program.prepare, shape) if kind.dtype == "float" else shape
        except Misfit as misfit:
            yield Diagnostic(misfit.code, program.prepare[0].span, misfit.message, misfit.help)
            continue
        if not agree(kind.shape, ready, bound):
            yield _shapes_differ(port, kind.shape, shape, ready, said)
        elif program.augment and kind.dtype == "float":
            yield from _augmented(model, program, port, ready)
    if bound:
        yield from _sizes(model, bound, said)


def _augmented(model: Model, program: Program, port: Port, ready: Shape) -> Iterator[Diagnostic]:
    """A training input of another size than the others must fit the network as well."""
    try:
        trained = augmented_shape(program.augment, ready)
    except Misfit:  # said where it stands
        return
    bound: dict[str, int] = {}
    said, wanted = program.augment[0].span, model.type(port.value).shape
    if trained != ready and not agree(wanted, trained, bound):
        message = f"`{port.name}` takes {spell(wanted)}; after `augment` the data have {show(trained)}"
        yield Diagnostic("data-shape", said, message)
    elif trained != ready and bound:
        yield from _sizes(model, bound, said)


def _shapes_differ(port: Port, wanted: tuple[Size, ...], given: Shape, ready: Shape, said: Span) -> Diagnostic:
    after = f"; after `prepare` {show(ready)}" if ready != given else ""
    message = f"`{port.name}` takes {spell(wanted)}; the data have {show(given)}{after}"
    return Diagnostic("data-shape", said, message, _mend(wanted, ready))


def _mend(wanted: tuple[Size, ...], ready: Shape) -> str:
    """What to write where only the axes after the channels differ."""
    numbers = [each for each in wanted[1:] if isinstance(each, int)]
    if len(wanted) != len(ready) or len(wanted) < 2 or wanted[0] != ready[0] or len(numbers) != len(wanted) - 1:
        return "" if len(wanted) != len(ready) else f"declare the input as {show(ready)}"
    size = str(numbers[0]) if len(set(numbers)) == 1 else spell(numbers)
    return f"add `prepare resize({size})`, or declare the input as {show(ready)}"


def _sizes(model: Model, bound: Mapping[str, int], said: Span) -> Iterator[Diagnostic]:
    """The data's sizes against the conditions under which the network is valid."""
    for each in (*model.facts, *(requirement.predicate for requirement in model.requirements)):
        try:
            fits = holds(each, bound)
        except KeyError:  # a size that the data's headers do not tell
            continue
        if not fits:
            sizes = ", ".join(f"{name}={size}" for name, size in sorted(bound.items()))
            texts = [condition.text for condition in model.conditions]
            yield Diagnostic("data-shape", said, f"the network is not valid for the data's {sizes}", "; ".join(texts))
            return
