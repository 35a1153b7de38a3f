"""Rules for a whole model: textbook form, the loss against the head, the network against its data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from specc.catalogue.axes import position
from specc.catalogue.axes import shape as spell
from specc.catalogue.entry import Misfit
from specc.model.heads import Head, head, maker
from specc.sizes.dim import Dim, Size, product
from specc.sizes.predicates import holds
from specc.text.diagnostics import Diagnostic

if TYPE_CHECKING:
    from specc.catalogue.setting import Loss, Shape
    from specc.model.graph import Model, Port, Step
    from specc.model.program import Chosen, Program, Term
    from specc.text.source import Span

SHARES = ("probabilities", "log-probabilities")
SCORES = ""


class Facts(Protocol):
    """What is known of the data; None stands for what its headers do not tell."""

    @property
    def input_shapes(self) -> Mapping[str, Shape]: ...
    @property
    def dtypes(self) -> Mapping[str, str]: ...
    @property
    def target(self) -> str: ...
    @property
    def target_shape(self) -> Shape: ...
    @property
    def classes(self) -> int | None: ...


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
    for term in program.terms:
        if term.loss is not None:
            yield from _loss(model, term, term.loss)
    yield from _decay(model, program)
    yield from _watched(program)
    if facts is None:
        return
    yield from _inputs(model, program, facts)
    for term in program.terms:
        if term.loss is not None and not term.target:
            yield from _target(model, term, term.loss, facts)
    for each in program.measures:
        if facts.target not in each.metric.entry.targets:
            message = f"`{each.metric.entry.name}` does not go with this data's target, {_says(facts)}"
            yield Diagnostic("target-type", each.metric.span, message)


# --------------------------------------------------------------------------------------------------- loss and head
def _loss(model: Model, term: Term, chosen: Chosen) -> Iterator[Diagnostic]:
    loss, found = chosen.entry, head(model, term.output)
    name, wants = loss.name, loss.wants
    if found.type.dtype != "float":
        message = f"`{name}` needs an output of real numbers; `{term.output}` is {found.type.dtype}"
        yield Diagnostic("loss-mismatch", chosen.span, message)
        return
    if not wants:
        if found.makes == SHARES[0]:
            message = f"`{name}` on probabilities learns slowly: its gradient vanishes where the answer is wrong"
            yield Diagnostic(
                "loss-mismatch", chosen.span, message, "the textbook loss for it is `cross_entropy`", severity="warning"
            )
        return
    try:
        found.axis(getattr(loss, "axis", 0))
    except Misfit as misfit:
        yield Diagnostic(misfit.code, chosen.place("axis"), misfit.message, misfit.help)
        return
    if found.makes == wants or (wants == SHARES[0] and found.makes in SHARES):
        if not found.undone and wants == SHARES[0]:
            head_name = found.step.op.name if found.step else found.makes
            message = f"`{name}` needs `{head_name}` to be the last step of `{term.output}`"
            yield Diagnostic(
                "loss-mismatch", chosen.span, message, "move it to the end: the loss then works on what goes into it"
            )
        return
    if found.makes == SCORES:
        message = f"`{name}` compares {wants}; `{term.output}` ends in scores, which are taken as its logits"
        yield Diagnostic("missing-head", chosen.span, message, loss.advice, severity="warning")
        return
    made = found.step.op.name if found.step else found.makes
    message = f"`{name}` compares {wants}; `{term.output}` ends in `{made}`"
    yield Diagnostic("loss-mismatch", chosen.span, message, f"{loss.advice}, or take another loss")


def _decay(model: Model, program: Program) -> Iterator[Diagnostic]:
    optimizer = program.optimizer.entry
    if optimizer.couples:
        return
    message = f"`{optimizer.name}` has a weight decay of its own, apart from the gradient"
    for each in program.regularize:
        if each.entry.decays:
            yield Diagnostic(
                "setting-conflict", each.span, message, f"write `{optimizer.name}(decay={each.entry.x})` instead"
            )
    for step in model.steps:
        if "l2" in step.expressions:
            yield Diagnostic(
                "setting-conflict", step.expressions["l2"].span, message, "take `sgd` or `adam`, or leave `l2` out"
            )


def _watched(program: Program) -> Iterator[Diagnostic]:
    if program.stop is None:
        return
    labels = [each.label for each in program.measures if each.metric.entry.column]
    labels = labels or [each.loss.entry.measures for each in program.terms if each.loss is not None]
    known = ["train.loss", "validation.loss", *(f"validation.{each}" for each in labels if each)]
    if program.stop.entry.on not in known:
        message = f"`{program.stop.entry.on}` is no figure of this training"
        yield Diagnostic("unknown-column", program.stop.place("on"), message, f"there are: {', '.join(known)}")


# ----------------------------------------------------------------------------------------------------- the data
def matched(model: Model, facts: Facts) -> dict[str, str]:
    """The data's input for each of the network's: one for one, else by name. What has none is left out."""
    wanted, given = [port.name for port in model.inputs], list(facts.input_shapes)
    if len(wanted) == len(given) == 1:
        return {wanted[0]: given[0]}
    return {name: name for name in wanted if name in given}


def prepared_shape(steps: tuple[Chosen, ...], shape: Shape) -> Shape:
    """The shape of an input after `prepare`; raises Misfit."""
    for step in steps:
        shape = step.entry.gives(shape)
    return shape


def _inputs(model: Model, program: Program, facts: Facts) -> Iterator[Diagnostic]:
    pairs, bound = matched(model, facts), dict[str, int]()
    said = program.source.span
    for port in model.inputs:
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
        if not _agree(kind.shape, ready, bound):
            yield _shapes_differ(port, kind.shape, shape, ready, said)
    if bound:
        yield from _sizes(model, bound, said)


def _agree(wanted: tuple[Size, ...], given: Shape, bound: dict[str, int]) -> bool:
    if len(wanted) != len(given):
        return False
    for want, have in zip(wanted, given, strict=True):
        if have is None:
            continue
        if isinstance(want, Dim):
            if bound.setdefault(str(want), have) != have:
                return False
        elif want != have:
            return False
    return True


def _shapes_differ(port: Port, wanted: tuple[Size, ...], given: Shape, ready: Shape, said: Span) -> Diagnostic:
    after = f"; after `prepare` {_shape(ready)}" if ready != given else ""
    message = f"`{port.name}` takes {spell(wanted)}; the data have {_shape(given)}{after}"
    return Diagnostic("data-shape", said, message, _mend(wanted, ready))


def _mend(wanted: tuple[Size, ...], ready: Shape) -> str:
    """What to write where only the axes after the channels differ."""
    numbers = [each for each in wanted[1:] if isinstance(each, int)]
    if len(wanted) != len(ready) or len(wanted) < 2 or wanted[0] != ready[0] or len(numbers) != len(wanted) - 1:
        return "" if len(wanted) != len(ready) else f"declare the input as {_shape(ready)}"
    size = str(numbers[0]) if len(set(numbers)) == 1 else spell(numbers)
    return f"add `prepare resize({size})`, or declare the input as {_shape(ready)}"


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


def _shape(shape: Shape) -> str:
    return "[" + ", ".join("?" if each is None else str(each) for each in shape) + "]"


# ----------------------------------------------------------------------------------------------------- the target
def _target(model: Model, term: Term, chosen: Chosen, facts: Facts) -> Iterator[Diagnostic]:
    loss: Loss = chosen.entry
    if facts.target not in loss.targets:
        other = "cross_entropy" if facts.target in ("class", "classes") else "mse"
        message = f"`{loss.name}` does not go with this data's target, {_says(facts)}"
        yield Diagnostic("target-type", chosen.span, message, f"the loss for it is `{other}`")
        return
    found = head(model, term.output)
    yield from _classes(term, chosen, found, facts) if "class" in facts.target else _numbers(term, chosen, found, facts)


def _classes(term: Term, chosen: Chosen, found: Head, facts: Facts) -> Iterator[Diagnostic]:
    loss: Loss = chosen.entry
    one_each = loss.wants == SHARES[0]
    axis = found.axis(getattr(loss, "axis", 0)) if one_each and found.type.rank else 0
    places = found.type.shape[:axis] + found.type.shape[axis + 1 :] if one_each else found.type.shape
    made: Size = found.type.shape[axis] if one_each and found.type.rank else 1
    wanted = facts.classes if one_each else None
    if wanted is not None and isinstance(made, int) and made != wanted:
        message = f"`{term.output}` has {made} numbers for the {wanted} classes of the data"
        yield Diagnostic("classes-differ", chosen.span, message, f"let the last layer make {wanted}")
    if not one_each and facts.classes is not None and facts.classes != 2:
        message = f"`{loss.name}` decides between two classes; the data have {facts.classes}"
        yield Diagnostic("classes-differ", chosen.span, message, "the loss for it is `cross_entropy`, after `softmax`")
    spread = product(places) if one_each or facts.target == "class" else 1
    if facts.target == "class" and isinstance(spread, int) and spread != 1:
        message = f"the data have one class a sample; `{term.output}` has shape {spell(found.type.shape)}"
        yield Diagnostic("target-shape", chosen.span, message)
    if facts.target == "classes" and one_each and not _agree(places, facts.target_shape, {}):
        message = f"the data have classes at {_shape(facts.target_shape)}; `{term.output}` has them at {spell(places)}"
        yield Diagnostic("target-shape", chosen.span, message)


def _numbers(term: Term, chosen: Chosen, found: Head, facts: Facts) -> Iterator[Diagnostic]:
    if not _agree(found.type.shape, facts.target_shape, {}):
        message = f"the target has shape {_shape(facts.target_shape)}; `{term.output}` has {spell(found.type.shape)}"
        yield Diagnostic("target-shape", chosen.span, message)


def _says(facts: Facts) -> str:
    words = {
        "class": "a class a sample",
        "classes": "a class per position",
        "real": "real numbers",
        "image": "real numbers per position",
    }
    return words[facts.target]
