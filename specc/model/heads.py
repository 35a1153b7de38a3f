"""What the numbers of an output are: its last step that does more than move them, and whether `logits` undoes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from specc.catalogue.axes import UNSAID, position
from specc.catalogue.entry import Misfit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from specc.catalogue.op import TensorType
    from specc.catalogue.setting import Loss
    from specc.model.graph import Model, Port, Step, ValueId
    from specc.sizes.dim import Size

OUTPUT = "output"
APPLIED = ("softmax", "argmax", "classes", "logits")  # what an exported file can make of an output
SHARES = ("probabilities", "log-probabilities")
YES = "probability"  # of each number by itself


@dataclass(frozen=True, slots=True)
class Head:
    """`makes` is the trait of the op behind an output ("" for plain scores); `undone` is true where `logits` gives
    what goes into it instead. `step` is that op's step, None for an output that is an input or a weight."""

    type: TensorType
    makes: str
    undone: bool
    step: Step | None

    def compares(self, loss: Loss) -> str:
        """What the loss takes its numbers for: see `Loss.compares`. Raises Misfit `no-such-axis`."""
        return loss.compares(self.makes, self.numbers(getattr(loss, "axis", UNSAID)))

    def numbers(self, said: Any = UNSAID) -> Size:
        """How many there are along the axis of the classes. Raises Misfit `no-such-axis`."""
        return self.type.shape[self.axis(said)] if self.type.rank else 1

    def axis(self, said: Any = UNSAID) -> int:
        """The axis of the classes: as said, else that of the step, else the first. Raises Misfit `no-such-axis`."""
        if said is not UNSAID:
            return position(said, self.type.rank)
        own = getattr(self.step.op, "axis", None) if self.step is not None and self.makes else None
        return 0 if own is None else position(own, self.type.rank)


def outputs(model: Model) -> dict[str, Port]:
    """The outputs by the names they have in the module, JSON and ONNX."""
    return {port.name or OUTPUT: port for port in model.outputs}


def head(model: Model, output: str) -> Head:
    """The head behind an output of that name."""
    value = outputs(model)[output].value
    kind = model.type(value)
    last = maker(model, value)
    step = last
    while step is not None and step.op.moves:
        step = maker(model, step.inputs[0])
    makes = step.op.makes if step is not None else ""
    undone = last is not None and last.op.undone and last.outputs[0] == value
    return Head(kind, makes, undone, step)


@dataclass(frozen=True, slots=True)
class End:
    """An output of an exported file: the tensor `value` under a name, as it is, or what `applied` makes of the output
    `of` along the classes on `axis`, None where each number says yes or no. `above` is the probability from which
    `classes` says a class, as `threshold` of `postprocess` does."""

    name: str
    value: ValueId
    applied: str = ""
    of: str = ""
    axis: int | None = 0
    above: float | None = None

    def type(self, model: Model) -> TensorType:
        found = model.type(self.value)
        if self.applied not in ("argmax", "classes"):
            return found
        if self.axis is None:
            return found.to(*found.shape[1:] if found.shape[:1] == (1,) else found.shape, dtype="int")
        shape = found.shape[: self.axis] + found.shape[self.axis + 1 :]
        return found.to(*shape, dtype="int")

    def makes(self, model: Model) -> str:
        """What its numbers are, such as "probabilities"; "class" for numbers of classes."""
        if self.applied:
            return "probabilities" if self.applied == "softmax" else "class"
        step = maker(model, self.value)
        return "" if step is None else step.op.makes


def ends(model: Model, names: Sequence[str] | None, above: float | None = None) -> list[End]:
    """The outputs of a file that is asked for these names, or for all that the network gives.

    A name is that of an output, of a label or a step in the network, or `softmax`, `argmax`, `classes` or `logits` (what
    goes into the head) of the only output or, as `seg.argmax`, of the output `seg`. `above` is the `threshold` of
    `postprocess`; with it, all that the network gives has the classes of each output of probabilities among it.

    Raises:
        Misfit: a name that stands for nothing, or a head that the output's numbers do not admit.
    """
    given = [port for port in model.outputs if not port.training]
    if names is None:
        whole = [End(port.name, port.value) for port in given]
        return whole if above is None else [*whole, *_thresholded(model, given, above)]
    known = {port.name: port.value for port in model.outputs}
    places = {step.path: step.outputs[0] for step in reversed(model.steps)}
    labels = {value.name: value.id for value in reversed(model.values) if value.name}
    found = []
    for name in names:
        value = known.get(name, labels.get(name, places.get(name)))
        *front, last = name.rsplit(".", 1)
        if value is not None:
            found.append(End(name, value))
        elif last in APPLIED and (not front or front[0] in known):
            found.append(_applied(model, name, front[0] if front else "", last, given, above))
        else:
            help = f"it has {', '.join(sorted({*known, *labels}))}"
            raise Misfit("unknown-output", f"{model.name} has no tensor `{name}`", help)
    return found


def _thresholded(model: Model, given: Sequence[Port], above: float) -> Iterator[End]:
    """The classes of every output that a threshold can be held against."""
    taken = {port.name for port in model.outputs}
    for port in given:
        there = head(model, port.name)
        if there.makes == YES or (there.makes == SHARES[0] and there.numbers() != 1):
            name = "classes" if len(given) == 1 and "classes" not in taken else f"{port.name}.classes"
            yield _applied(model, name, port.name, "classes", given, above)


def _applied(model: Model, name: str, of: str, applied: str, given: Sequence[Port], above: float | None) -> End:
    if not of and len(given) > 1:
        help = f"say of which: {', '.join(f'{port.name}.{applied}' for port in given)}"
        raise Misfit("unknown-output", f"{model.name} has {len(given)} outputs, so `{name}` could be of any", help)
    of = of or given[0].name
    there = head(model, of)
    value = outputs(model)[of].value
    scores = there.step.inputs[0] if there.undone and there.step is not None else value
    if applied == "logits":
        return End(name, scores, "", of)
    if applied == "classes" and above is not None and there.makes not in (YES, SHARES[0]):
        message = f"`{name}` holds probabilities against the `threshold` of `postprocess`; `{of}` makes none"
        raise Misfit("unknown-output", message, "end it with `sigmoid` or `softmax`")
    if applied == "classes" and there.makes == YES:
        return End(name, value, applied, of, None, 0.5 if above is None else above)
    if there.type.dtype != "float" or not there.type.rank or there.makes not in ("", *SHARES) or there.numbers() == 1:
        message = f"`{name}` is of scores of several classes; `{of}` gives something else"
        raise Misfit("unknown-output", message, f"name the output itself: {of}")
    if applied == "classes" and above is not None:
        return End(name, value, applied, of, there.axis(), above)
    if applied in ("argmax", "classes"):
        value = scores  # the largest score has the largest share
    elif there.makes == SHARES[0] and applied == "softmax":
        return End(name, value)
    return End(name, value, applied, of, there.axis())


def maker(model: Model, value: ValueId) -> Step | None:
    """The step that makes a tensor; None for inputs and weights."""
    at = model.values[value].step
    return None if at is None else model.steps[at]
