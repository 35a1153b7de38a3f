"""Schedules: the learning rate as a function of the epoch, which may be a fraction."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any

from specc.catalogue.arguments import (
    Count,
    KeywordOnly,
    Kind,
    NonNegative,
    Positive,
    PositiveReal,
    items,
    optional,
    real,
    whole,
)
from specc.catalogue.entry import Misfit
from specc.catalogue.setting import DottedName, Schedule
from specc.code.nodes import Compare, Conditional, Expression, Index, ListOf, Name, binary, call, compare, dotted, value

_Epochs = Annotated[tuple[int, ...], Kind("a list of whole numbers from 1 on", items(whole(1), 1))]
_Starts = Annotated[tuple[int, ...], Kind("a list of whole numbers from 0 on", items(whole(0), 1))]
_LearningRates = Annotated[tuple[float, ...], Kind("a list of numbers from 0 on", items(real(ge=0), 1))]
_Share = Annotated[float, Kind("a number above 0 and below 1", real(gt=0, lt=1))]
_AboveOne = Annotated[float, Kind("a number from 1 on", real(ge=1))]


class Constant(Schedule):
    """The same rate all along."""

    name = "constant"

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        return base


class StepDown(Schedule):
    """The rate times `gamma` after every so many epochs."""

    name = "step"

    every: Positive
    """How many epochs a rate lasts."""
    _: KeywordOnly
    gamma: PositiveReal = 0.1
    """The factor."""

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        return binary("*", base, binary("**", float(self.gamma), binary("//", epoch, self.every)))


class MultiStep(Schedule):
    """The rate times `gamma` after each of these epochs: `multistep([30, 60])`."""

    name = "multistep"

    at: _Epochs
    """After how many epochs, in ascending order."""
    _: KeywordOnly
    gamma: PositiveReal = 0.1
    """The factor."""

    def refusals(self) -> Iterable[Misfit]:
        yield from _ascending(self.at, "at")

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        return binary("*", base, binary("**", float(self.gamma), _passed(epoch, self.at)))


class Exponential(Schedule):
    """The rate times `gamma` per epoch."""

    name = "exponential"

    gamma: PositiveReal
    """The factor."""

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        return binary("*", base, binary("**", float(self.gamma), epoch))


class Inverse(Schedule):
    """The rate times k / (k + epoch): with k = 1 a constant over the number of the epoch, with another one half of the
    rate after k epochs (Robbins and Monro 1951)."""

    name = "inverse"

    k: PositiveReal = 1
    """After how many epochs the rate is half of what it was."""

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        return binary("/", base, binary("+", 1, epoch if self.k == 1 else binary("/", epoch, self.k)))


class Polynomial(Schedule):
    """The rate times (1 - the share of the epochs that are done) ** power, down to another one."""

    name = "polynomial"

    power: PositiveReal = 1
    """1 is a straight line."""
    _: KeywordOnly
    to: NonNegative = 0
    """The rate at the end."""

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        left = binary("-", 1, binary("/", epoch, value(_length(epochs))))
        share = left if self.power == 1 else binary("**", left, self.power)
        if not self.to:
            return binary("*", base, share)
        return binary("+", float(self.to), binary("*", binary("-", base, float(self.to)), share))


class Cosine(Schedule):
    """Half a cosine from the rate down to another, over all epochs that remain, or so many times over equal or growing
    stretches of them, each from the rate again (Loshchilov and Hutter 2017)."""

    name = "cosine"

    _: KeywordOnly
    to: NonNegative = 0
    """The rate at the end."""
    restarts: Count = 0
    """How often it starts again."""
    growth: _AboveOne = 1
    """How many times as long as the one before a stretch is."""

    def refusals(self) -> Iterable[Misfit]:
        if self.growth != 1 and not self.restarts:
            yield Misfit("bad-argument", "`growth` needs restarts", "restarts=3", argument="growth")

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        epochs, count = _length(epochs), self.restarts + 1
        if count == 1:
            return self._wave(base, epoch, value(epochs))
        if self.growth == 1:
            length = _short(epochs / count)
            return self._wave(base, binary("%", epoch, length), value(length))
        first = epochs / sum(self.growth**each for each in range(count))
        lengths = [_short(first * self.growth**each) for each in range(count)]
        starts = [_short(sum(lengths[:each])) for each in range(count)]
        found = self._wave(base, binary("-", epoch, starts[-1]), value(lengths[-1]))
        for start, length in reversed(list(zip(starts[:-1], lengths[:-1], strict=True))):
            here = binary("-", epoch, start) if start else epoch
            wave = self._wave(base, here, value(length))
            found = Conditional(compare(epoch, "<", _short(start + length)), wave, found)
        return found

    def _wave(self, base: Expression, epoch: Expression, length: Expression) -> Expression:
        angle = binary("/", binary("*", dotted("math.pi"), epoch), length)
        wave = binary("+", 1, call("math.cos", angle))
        if not self.to:
            return binary("/", binary("*", base, wave), 2)
        return binary("+", float(self.to), binary("/", binary("*", binary("-", base, float(self.to)), wave), 2))


class OneCycle(Schedule):
    """Up to the rate in half a cosine, then down to almost nothing in another (Smith and Topin 2018); the rate alone,
    momentum stays as it is."""

    name = "onecycle"

    _: KeywordOnly
    up: _Share = 0.3
    """The share of the epochs that go up."""
    start: PositiveReal = 25
    """What the rate is divided by at the start."""
    end: PositiveReal = 250_000
    """What the rate is divided by at the end."""

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        length = _length(epochs)
        top = _short(self.up * length)
        rise = self._half(base, self.start, epoch, top)
        fall = self._half(base, self.end, binary("-", value(length), epoch), _short(length - top))
        return Conditional(compare(epoch, "<", top), rise, fall)

    def _half(self, base: Expression, over: float, epoch: Expression, length: float) -> Expression:
        """From base / over up to base."""
        wave = binary("-", 1, call("math.cos", binary("/", binary("*", dotted("math.pi"), epoch), length)))
        low = _short(1 / over)
        return binary("*", base, binary("+", low, binary("/", binary("*", _short(1 - low), wave), 2)))


class Table(Schedule):
    """A rate from each of these epochs on, as in LeCun et al. 1998: `table(epochs=[2, 5], lr=[2e-4, 1e-4])`. Before the
    first of them it is the optimizer's own."""

    name = "table"

    _: KeywordOnly
    epochs: _Starts
    """From which epochs on, in ascending order."""
    lr: _LearningRates
    """The rates."""

    def refusals(self) -> Iterable[Misfit]:
        yield from _ascending(self.epochs, "epochs")
        if len(self.epochs) != len(self.lr):
            message = f"there are {len(self.epochs)} epochs and {len(self.lr)} rates"
            yield Misfit("bad-argument", message, "give one rate per epoch of the list", argument="lr")

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        rates = [base, *(float(each) for each in self.lr)]
        if self.epochs[0]:
            return Index(value(rates), _passed(epoch, self.epochs))
        return Index(value(rates[1:]), _passed(epoch, self.epochs[1:])) if len(rates) > 2 else value(rates[1])


class Plateau(Schedule):
    """The rate times `factor` whenever a figure has not become better for some epochs."""

    name = "plateau"
    waits = True

    _: KeywordOnly
    patience: Positive = 10
    """How many epochs without a better figure; they are counted anew after each time."""
    factor: _Share = 0.1
    """The factor."""
    on: DottedName = "validation.loss"
    """The figure, a column of metrics.csv."""
    to: NonNegative = 0
    """The rate that it does not go below."""

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        rate = binary("*", base, binary("**", float(self.factor), Name("drops")))
        return call("max", rate, float(self.to)) if self.to else rate


class Warmup(Schedule):
    """From nothing up to the rate, in equal steps; a schedule follows with `->`."""

    name = "warmup"
    ends = True

    _: KeywordOnly
    epochs: optional(PositiveReal) = None  # type: ignore[valid-type]
    """How many epochs it takes; 5 where nothing is said."""
    steps: optional(Positive) = None  # type: ignore[valid-type]
    """How many steps of the optimizer it takes, in place of epochs."""

    def refusals(self) -> Iterable[Misfit]:
        if self.epochs is not None and self.steps is not None:
            yield Misfit("bad-argument", "`warmup` takes epochs or steps, not both", argument="steps")

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        return binary("/", binary("*", base, epoch), value(epochs))

    def takes(self, steps: int) -> float:
        if self.steps is not None:
            return float(self.steps) / steps
        found: float = 5 if self.epochs is None else self.epochs
        return found


def _length(epochs: float) -> float:
    """What a schedule is stretched over: nothing is divided by a training of no epochs, or one that warm-up fills."""
    return epochs if epochs > 0 else 1


def _passed(epoch: Expression, marks: tuple[int, ...]) -> Expression:
    """How many of these epochs are reached."""
    reached: Compare = compare(epoch, ">=", Name("each"))
    return call("sum", ListOf(reached, Name("each"), value(list(marks))))


def _ascending(numbers: tuple[int, ...], argument: str) -> Iterable[Misfit]:
    if any(one >= other for one, other in pairwise(numbers)):
        yield Misfit("bad-argument", f"`{argument}` is in ascending order", argument=argument)


def _short(number: Any) -> Any:
    """A whole number as such, another one with the digits that matter."""
    return int(number) if number == int(number) else float(f"{number:.12g}")
