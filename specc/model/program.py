"""The sections of a spec, evaluated: what a `train` and an `export` section ask for, frozen, with their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from specc.catalogue.arguments import Initial
from specc.text.source import Span

POST = ".post"  # how the columns of figures after `postprocess` end


@dataclass(frozen=True, slots=True)
class Chosen:
    """A setting or a value of one, and where it stands. `places` are the spans of its arguments."""

    entry: Any
    span: Span
    places: Mapping[str, Span] = field(default_factory=dict)

    def place(self, argument: str) -> Span:
        return self.places.get(argument, self.span)


@dataclass(frozen=True, slots=True)
class Term:
    """A part of the loss: `factor` times a loss between an output and a target.

    Without a `loss` the output itself is added: a network's own `output kl: … when training`. A `target` of "" is the
    data's, else the name of an input or an output.
    """

    factor: float
    output: str
    loss: Chosen | None
    target: str
    span: Span


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric of an output, as it is or after `postprocess`."""

    metric: Chosen
    output: str
    label: str
    post: bool = False

    @property
    def batchwise(self) -> bool:
        """Whether it is cheap enough to be taken of every batch that trains."""
        return bool(self.metric.entry.batchwise) and not self.post


@dataclass(frozen=True, slots=True)
class Sweep:
    """Values, as texts, that keys of `--set` take in turn: all combinations, or so many of them by chance."""

    values: Mapping[str, tuple[str, ...]]
    draws: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class Program:
    """How a network is trained. Times are in epochs, `parts` the shares of training, validation and test.

    `split` is the setting that says more of the parts, `folds` what deals the samples into them instead of the shares.
    `batching` is the setting that says more of the batches,
    `padding` is what samples of other sizes are brought to the largest of their batch with, `human` the error of people.
    `steps` is how many steps of the optimizer there are, 0 where `epochs` says how long it takes; with steps, `epochs`
    is 0 until the samples are counted. `precision` is "" where the device decides.
    """

    network: str
    phase: str
    span: Span
    source: Chosen
    terms: tuple[Term, ...]
    parts: tuple[float | None, float | None, float | None]
    prepare: tuple[Chosen, ...]
    optimizer: Chosen
    schedule: tuple[Chosen, ...]
    regularize: tuple[Chosen, ...]
    clip: Chosen | None
    init: Initial | None
    weights: tuple[Chosen, ...]
    measures: tuple[Measure, ...]
    stop: Chosen | None
    batch: int
    accumulate: int
    epochs: int
    seed: int
    batching: Chosen
    split: Chosen | None = None
    folds: Chosen | None = None
    augment: tuple[Chosen, ...] = ()
    padding: float | None = None
    rates: tuple[Chosen, ...] = ()
    freeze: tuple[Chosen, ...] = ()
    average: Chosen | None = None
    human: float | None = None
    steps: int = 0
    precision: str = ""
    sweep: Sweep | None = None
    postprocess: tuple[Chosen, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()  # every setting as written, or its default


def before_and_after(measure: Measure, postprocess: tuple[Chosen, ...]) -> tuple[Measure, ...]:
    """A metric, and the same after `postprocess` where there is some and it needs no more than classes."""
    entry = measure.metric.entry
    if not postprocess or not entry.decided or not entry.column:
        return (measure,)
    return measure, Measure(measure.metric, measure.output, f"{measure.label}{POST}", post=True)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What an `export` section asks for. `outputs` are names, empty for all; `sizes` bind unknown sizes.

    `prepare` says whether the file prepares its inputs itself, `postprocess` whether it says classes by a threshold,
    `folded` whether batch normalisations are folded,
    `calibrate` how many training samples the ranges of int8 are taken from.
    """

    opset: int
    precision: str
    outputs: tuple[str, ...]
    sizes: Mapping[str, int]
    prepare: bool = True
    postprocess: bool = True
    folded: bool = True
    calibrate: int = 256
    span: Span | None = None
