"""What `prepare` and `augment` make of the data's shapes, and a target that goes along with its input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from specc.catalogue.entry import Misfit
from specc.text.diagnostics import Diagnostic

if TYPE_CHECKING:
    from specc.catalogue.setting import Shape
    from specc.model.facts import Facts
    from specc.model.program import Chosen, Program


@dataclass(frozen=True, slots=True)
class Ready:
    """Facts of data after `prepare`, as far as a target is concerned."""

    input_shapes: Mapping[str, Shape]
    dtypes: Mapping[str, str]
    target: str
    target_shape: Shape
    classes: int | None


def follows(facts: Facts) -> str:
    """The data's input that the target lies on (a mask on its picture), "" for none: they have the same places."""
    if facts.target not in ("classes", "image"):
        return ""
    places = facts.target_shape if facts.target == "classes" else facts.target_shape[1:]
    for name, shape in facts.input_shapes.items():
        if facts.dtypes.get(name, "float32").startswith("float") and places and shape[1:] == places:
            return name
    return ""


def ready(program: Program, facts: Facts) -> Facts:
    """The facts with the target as it is after `prepare`; a step that does not fit leaves it as it is."""
    name = follows(facts)
    if not name:
        return facts
    try:
        shape = prepared_shape(program.prepare, facts.input_shapes[name])
    except Misfit:
        return facts
    target = shape[1:] if facts.target == "classes" else (*facts.target_shape[:1], *shape[1:])
    return Ready(facts.input_shapes, facts.dtypes, facts.target, target, facts.classes)


def prepared_shape(steps: tuple[Chosen, ...], shape: Shape) -> Shape:
    """The shape of an input after `prepare`; raises Misfit."""
    for step in steps:
        shape = step.entry.gives(shape)
    return shape


def check_padding(program: Program, facts: Facts) -> Iterator[Diagnostic]:
    """Samples that are padded to one size for a batch: what is added to a mask is of no class."""
    if program.padding is None or facts.target == "class" or facts.target == "real":
        return
    if facts.target == "image":
        message = "`pad=` does not go with a target of real numbers per position: what is added would count"
        yield Diagnostic("setting-conflict", program.span, message, "take `batch 1`, or bring all to one size")
        return
    for term in program.terms:
        if term.loss is not None and not term.target and getattr(term.loss.entry, "ignore", None) != 255:
            message = f"`pad=` adds the class 255 to masks, and `{term.loss.entry.name}` counts it"
            help = f"write `{term.loss.entry.name}(…, ignore=255)`" if "ignore" in term.loss.entry.fields else ""
            yield Diagnostic("setting-conflict", term.loss.span, message, help)


def augmented_shape(steps: tuple[Chosen, ...], shape: Shape) -> Shape:
    """The shape of a training input after `augment`; raises Misfit."""
    for step in steps:
        shape = step.entry.gives(shape)
    return shape


def check_augment(program: Program, facts: Facts) -> Iterator[Diagnostic]:
    """Steps of `augment` that do not go with the data's inputs or target, or with the loss."""
    given = [each for name, each in facts.input_shapes.items() if facts.dtypes.get(name, "float32").startswith("float")]
    along = follows(facts)
    widest = max(given, key=len, default=())
    try:
        shape = prepared_shape(program.prepare, facts.input_shapes[along] if along else widest)
    except Misfit:
        return
    for step in program.augment:
        if not given:
            yield Diagnostic("data-shape", step.span, f"`{step.entry.name}` needs an input of real numbers")
            return
        try:
            shape = step.entry.gives(shape)
        except Misfit as misfit:
            yield Diagnostic(misfit.code, step.place(misfit.argument), misfit.message, misfit.help)
            return
        if step.entry.moves and not along and facts.target in ("classes", "image"):
            message = f"`{step.entry.name}` moves places, and the target lies on others than the data's inputs"
            yield Diagnostic("setting-conflict", step.span, message)
        if step.entry.blends:
            yield from _blended(program, step, facts)
        own = next((each for each in program.prepare if getattr(each.entry, "per", "") == "volume"), None)
        if getattr(step.entry, "colours", False) and own is not None:
            message = "`normalize(per=volume)` takes away what the colours of a sample were, and `jitter` needs them"
            yield Diagnostic("setting-conflict", step.span, message, "write `normalize(per=channel)`")


def _blended(program: Program, step: Chosen, facts: Facts) -> Iterator[Diagnostic]:
    name = step.entry.name
    if facts.target not in ("class", "classes"):
        return
    for term in program.terms:
        if term.loss is None or term.target:
            continue
        loss = term.loss.entry
        plain = all(getattr(loss, each, None) is None for each in ("ignore", "weights"))
        if not loss.mixes or not plain:
            message = (
                f"`{name}` makes shares of classes, which `{loss.name}`{'' if not loss.mixes else ' so'} does not take"
            )
            help = "take `cross_entropy`, without `ignore` and `weights`"
            yield Diagnostic("setting-conflict", step.span, message, help)
