"""Schedules: the learning rate as a function of the epoch, which may be a fraction."""

from __future__ import annotations

from specc.catalogue.arguments import KeywordOnly, NonNegative, Positive, PositiveReal
from specc.catalogue.setting import Schedule
from specc.code.nodes import Expression, binary, call, dotted, value


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


class Exponential(Schedule):
    """The rate times `gamma` per epoch."""

    name = "exponential"

    gamma: PositiveReal
    """The factor."""

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        return binary("*", base, binary("**", float(self.gamma), epoch))


class Cosine(Schedule):
    """Half a cosine from the rate down to another, over all epochs that remain (Loshchilov and Hutter 2017)."""

    name = "cosine"

    _: KeywordOnly
    to: NonNegative = 0
    """The rate at the end."""

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        wave = binary(
            "+", 1, call("math.cos", binary("/", binary("*", dotted("math.pi"), epoch), value(max(epochs, 1))))
        )
        if not self.to:
            return binary("/", binary("*", base, wave), 2)
        return binary("+", float(self.to), binary("/", binary("*", binary("-", base, float(self.to)), wave), 2))


class Warmup(Schedule):
    """From nothing up to the rate, in equal steps; a schedule follows with `->`."""

    name = "warmup"

    _: KeywordOnly
    epochs: PositiveReal = 5
    """How long it takes."""

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        return binary("/", binary("*", base, epoch), self.epochs)

    @property
    def takes(self) -> float:
        return self.epochs
