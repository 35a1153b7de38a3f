"""Inputs of a network that are told what of a batch is padding: a mask, or lengths; the data have none of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from specc.sizes.dim import Dim
from specc.text.diagnostics import Diagnostic

if TYPE_CHECKING:
    from specc.model.facts import Facts
    from specc.model.graph import Model
    from specc.model.program import Program


@dataclass(frozen=True, slots=True)
class Filled:
    """An input `name` that speaks of the input `of`: along its `axes`, None for an axis of 1.

    Lengths have no axes of their own and count along the one of `axes`.
    """

    name: str
    of: str
    axes: tuple[int | None, ...]
    counts: bool


def filled(model: Model, program: Program) -> tuple[Filled, ...]:
    """The inputs that `batch …, mask=` and `lengths=` name; one that goes with no other input is left out."""
    shapes = {port.name: model.type(port.value).shape for port in model.inputs}
    named = program.batching.entry.filled
    found = []
    for name in named:
        others = {each: shape for each, shape in shapes.items() if each not in named}
        counts = name == program.batching.entry.lengths
        for other, shape in others.items():
            unknown = [at for at, size in enumerate(shape) if isinstance(size, Dim)]
            if counts and unknown and shapes.get(name) == ():
                found.append(Filled(name, other, tuple(unknown[:1]), True))
                break
            own = shapes.get(name, ())
            axes = tuple(None if size == 1 else shape.index(size) if size in shape else -1 for size in own)
            if not counts and -1 not in axes and set(axes) & set(unknown):
                found.append(Filled(name, other, axes, False))
                break
    return tuple(found)


def check_batching(model: Model, program: Program, facts: Facts) -> Iterator[Diagnostic]:
    """Batches that do not go with the network or the target."""
    chosen = program.batching
    known = [port.name for port in model.inputs]
    made = {each.name for each in filled(model, program)}
    for argument in ("mask", "lengths"):
        name = getattr(chosen.entry, argument)
        if not name:
            continue
        if name not in known:
            message = f"the network has no input `{name}`"
            yield Diagnostic("unknown-name", chosen.place(argument), message, f"it has {', '.join(known)}")
        elif name not in made:
            like = "[T]" if argument == "mask" else "int []"
            message = f"`{name}` does not tell where another input of unknown size is padded"
            help = f"beside `input x: [3, T]`, write `input {name}: {like}`"
            yield Diagnostic("data-shape", chosen.place(argument), message, help)
        elif any(step.entry.moves for step in program.augment):
            step = next(step for step in program.augment if step.entry.moves)
            message = f"`{step.entry.name}` moves places, and `{name}` would tell of where they were"
            yield Diagnostic("setting-conflict", step.span, message, "leave one of them out")
    if chosen.entry.sampling == "balanced" and facts.target != "class":
        message = "`sampling=balanced` draws by the class of a sample, and this data's target is not one"
        help = "`weights=balanced` in the loss weighs positions" if facts.target == "classes" else ""
        yield Diagnostic("setting-conflict", chosen.place("sampling"), message, help)
