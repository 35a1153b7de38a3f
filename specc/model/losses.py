"""Rules for the terms of a loss: against the head of its output, against another tensor, against the data's target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from specc.catalogue.axes import shape as spell
from specc.catalogue.entry import Misfit
from specc.catalogue.setting import BALANCED, PER_CLASS
from specc.model.heads import SHARES, Head, head, outputs
from specc.sizes.dim import Dim, Size, product
from specc.text.diagnostics import Diagnostic

if TYPE_CHECKING:
    from specc.catalogue.op import TensorType
    from specc.catalogue.setting import Loss, Shape
    from specc.model.facts import Facts
    from specc.model.graph import Model
    from specc.model.program import Chosen, Program, Term

SIGN = "sign"
MADE = {
    "probability": ("probability",),
    "probabilities": SHARES,
    "score": ("", SIGN),
    "scores": ("",),
}  # what an op before an output may make, by what the loss compares


def check_loss(model: Model, program: Program) -> Iterator[Diagnostic]:
    """Every term against the head of its output and against the tensor that is its target."""
    for term in program.terms:
        if term.loss is not None:
            yield from _term(model, term, term.loss)
    losses = [each.loss.entry for each in program.terms if each.loss is not None]
    if losses and not any(each.bounded for each in losses):
        message = f"`{losses[0].name}` alone has no smallest value: larger outputs always make it smaller"
        help = "add `mse` or `mae`; as a figure, a loss of its own is not needed"
        span = next(each.loss.span for each in program.terms if each.loss is not None)
        yield Diagnostic("loss-mismatch", span, message, help, severity="warning")


def _term(model: Model, term: Term, chosen: Chosen) -> Iterator[Diagnostic]:
    loss, found = chosen.entry, head(model, term.output)
    if found.type.dtype != "float":
        message = f"`{loss.name}` needs an output of real numbers; `{term.output}` is {found.type.dtype}"
        yield Diagnostic("loss-mismatch", chosen.span, message)
        return
    try:
        compares = found.compares(loss)
        numbers = found.numbers(getattr(loss, "axis", 0))
    except Misfit as misfit:
        yield Diagnostic(misfit.code, chosen.place("axis"), misfit.message, misfit.help)
        return
    yield from _form(term, chosen, found, compares)
    for each in loss.fits(found.type, compares, numbers):
        yield Diagnostic(each.code, chosen.place(each.argument), each.message, each.help)
    if term.target:
        yield from _tensor(model, term, chosen, found, compares)


def _form(term: Term, chosen: Chosen, found: Head, compares: str) -> Iterator[Diagnostic]:
    """Whether the last step of the output makes what the loss compares."""
    loss, made = chosen.entry, found.step.op.name if found.step else found.makes
    if not compares:
        if found.makes == SHARES[0]:
            message = f"`{loss.name}` on probabilities learns slowly: its gradient vanishes where the answer is wrong"
            yield Diagnostic(
                "loss-mismatch", chosen.span, message, "the textbook loss for it is `cross_entropy`", severity="warning"
            )
        if found.makes == SIGN:
            message = f"`{made}` has no slope, so nothing is learnt through it by `{loss.name}`"
            yield Diagnostic("loss-mismatch", chosen.span, message, "the textbook loss for it is `perceptron`")
        return
    if found.makes in MADE[compares]:
        if not found.undone and found.makes and compares != "probability":
            message = f"`{loss.name}` needs `{made}` to be the last step of `{term.output}`"
            help = "move it to the end: the loss then works on what goes into it"
            yield Diagnostic("loss-mismatch", chosen.span, message, help)
        return
    if not found.makes:
        message = f"`{loss.name}` compares {compares}; `{term.output}` ends in scores, which are taken as its logits"
        yield Diagnostic("missing-head", chosen.span, message, loss.advice, severity="warning")
        return
    message = f"`{loss.name}` compares {compares}; `{term.output}` ends in `{made}`"
    yield Diagnostic("loss-mismatch", chosen.span, message, f"{loss.advice}, or take another loss")


# ---------------------------------------------------------------------------------------- a tensor of the network
def target_type(model: Model, name: str) -> TensorType:
    """The type of an input or output that a term is compared with."""
    ports = outputs(model) | {port.name: port for port in model.inputs}
    return model.type(ports[name].value)


def _tensor(model: Model, term: Term, chosen: Chosen, found: Head, compares: str) -> Iterator[Diagnostic]:
    """An input or output as the target: class numbers at the places of the output, or numbers in its shape."""
    loss, kind = chosen.entry, target_type(model, term.target)
    at = chosen.place("target")
    takes = loss.takes(compares)
    if getattr(loss, "weights", None) == BALANCED:
        message = f"`weights=balanced` counts the classes of the data; `{term.target}` is a tensor of the network"
        yield Diagnostic("bad-argument", chosen.place("weights"), message, "give a number per class")
    if kind.dtype != "float":
        wanted = _places(found, chosen.entry, compares)
        if not {"class", "classes"} & set(takes):
            message = f"`{loss.name}` compares real numbers; `{term.target}` is {kind.dtype}"
            yield Diagnostic("target-type", at, message)
        elif kind.shape != wanted:
            message = f"`{term.target}` has shape {spell(kind.shape)}; `{term.output}` has classes at {spell(wanted)}"
            yield Diagnostic("target-shape", at, message)
        return
    if "tensor" not in takes:
        message = f"`{loss.name}` compares with class numbers; `{term.target}` has real ones"
        yield Diagnostic("target-type", at, message, "take a target of whole numbers")
    elif kind.shape != found.type.shape:
        message = f"`{term.target}` has shape {spell(kind.shape)}; `{term.output}` has {spell(found.type.shape)}"
        yield Diagnostic("target-shape", at, message, "compare tensors of one shape")
    elif compares in PER_CLASS and term.target in outputs(model):
        makes = head(model, term.target).makes
        if makes != SHARES[0]:
            message = f"`{loss.name}` compares with probabilities; `{term.target}` makes none"
            yield Diagnostic("loss-mismatch", at, message, "end it with `softmax`")


def _places(found: Head, loss: Loss, compares: str) -> tuple[Size, ...]:
    """The shape of an output without its axis of the classes; an axis of 1 number for yes and no may stay away."""
    if compares not in PER_CLASS:
        return found.type.shape
    axis = found.axis(getattr(loss, "axis", 0)) if found.type.rank else 0
    return found.type.shape[:axis] + found.type.shape[axis + 1 :]


# ------------------------------------------------------------------------------------------------ the data's target
def check_target(model: Model, term: Term, chosen: Chosen, facts: Facts) -> Iterator[Diagnostic]:
    """A term against the target of the data; for terms that `check_loss` has nothing against."""
    loss: Loss = chosen.entry
    found = head(model, term.output)
    try:
        compares = found.compares(loss)
    except Misfit:
        return
    if facts.target not in loss.takes(compares):
        other = "cross_entropy" if facts.target in ("class", "classes") else "mse"
        message = f"`{loss.name}` does not go with this data's target, {says(facts)}"
        yield Diagnostic("target-type", chosen.span, message, f"the loss for it is `{other}`")
        return
    if getattr(loss, "weights", None) == BALANCED and "class" not in facts.target:
        message = "`weights=balanced` counts classes; the target of this data is numbers"
        yield Diagnostic("target-type", chosen.place("weights"), message, "give the weights as numbers")
    if "class" in facts.target:
        yield from _classes(term, chosen, found, facts, compares)
    elif not agree(found.type.shape, facts.target_shape, {}):
        message = f"the target has shape {show(facts.target_shape)}; `{term.output}` has {spell(found.type.shape)}"
        yield Diagnostic("target-shape", chosen.span, message)


def _classes(term: Term, chosen: Chosen, found: Head, facts: Facts, compares: str) -> Iterator[Diagnostic]:
    loss: Loss = chosen.entry
    one_each = compares in PER_CLASS
    places = _places(found, loss, compares)
    made = found.numbers(getattr(loss, "axis", 0)) if one_each else 1
    wanted = facts.classes if one_each else None
    if wanted is not None and isinstance(made, int) and made != wanted:
        message = f"`{term.output}` has {made} numbers for the {wanted} classes of the data"
        yield Diagnostic("classes-differ", chosen.span, message, f"let the last layer make {wanted}")
    if not one_each and facts.classes is not None and facts.classes != 2:
        message = f"`{loss.name}` decides between two classes here; the data have {facts.classes}"
        head_help = "the loss for it is `cross_entropy`, after `softmax`"
        help = head_help if compares == "probability" else f"let the last layer make {facts.classes}"
        yield Diagnostic("classes-differ", chosen.span, message, help)
    spread = product(places) if one_each or facts.target == "class" else 1
    if facts.target == "class" and isinstance(spread, int) and spread != 1:
        message = f"the data have one class a sample; `{term.output}` has shape {spell(found.type.shape)}"
        yield Diagnostic("target-shape", chosen.span, message)
    if facts.target == "classes" and one_each and not agree(places, facts.target_shape, {}):
        message = f"the data have classes at {show(facts.target_shape)}; `{term.output}` has them at {spell(places)}"
        yield Diagnostic("target-shape", chosen.span, message)
    if facts.target == "classes" and not one_each and not _holds(places, facts.target_shape):
        message = f"the data have classes at {show(facts.target_shape)}; `{term.output}` has shape {spell(places)}"
        yield Diagnostic("target-shape", chosen.span, message, "one number for yes and no at each place")


def _holds(places: tuple[Size, ...], given: Shape) -> bool:
    """Whether two shapes hold the same places, apart from axes of 1."""
    return agree(tuple(each for each in places if each != 1), tuple(each for each in given if each != 1), {})


def agree(wanted: tuple[Size, ...], given: Shape, bound: dict[str, int]) -> bool:
    """Whether the shape of data fits a shape that may have unknown sizes; these are then in `bound`."""
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


def show(shape: Shape) -> str:
    """A shape of data, `?` for a size that is not known."""
    return "[" + ", ".join("?" if each is None else str(each) for each in shape) + "]"


def says(facts: Facts) -> str:
    """The target of the data in words."""
    words = {
        "class": "a class a sample",
        "classes": "a class per position",
        "real": "real numbers",
        "image": "real numbers per position",
    }
    return words[facts.target]
