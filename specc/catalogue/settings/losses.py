"""Losses: what training makes small, each as PyTorch code on the scores before the head, where there is one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from specc.catalogue.arguments import (
    Axis,
    KeywordOnly,
    Kind,
    PositiveReal,
    Rate,
    Whole,
    either,
    items,
    literal,
    optional,
    real,
)
from specc.catalogue.axes import UNSAID
from specc.catalogue.entry import Misfit
from specc.catalogue.setting import Facing, Loss
from specc.code.nodes import Attribute, Expression, Index, Literal, binary, call, method

BALANCED = "balanced"
Weights = Annotated[
    tuple[float, ...] | str,
    Kind("balanced or a list with a number per class", either(literal(BALANCED), items(real(ge=0), 1)), (BALANCED,)),
]


class CrossEntropy(Loss):
    """-log of the probability that the right class was given; textbook form: `softmax`, then `cross_entropy`."""

    name = "cross_entropy"
    wants, undoes, advice = "probabilities", True, "end the network with `softmax`"
    targets = ("class", "classes")
    measures = "accuracy"

    _: KeywordOnly
    weights: optional(Weights) = None  # type: ignore[valid-type]
    """A weight per class. `balanced` is not yet there."""
    smoothing: Rate = 0
    """The share of the target that is spread over all classes (Szegedy et al. 2016)."""
    ignore: optional(Whole) = None  # type: ignore[valid-type]
    """A class number that counts for nothing."""
    axis: Axis = UNSAID
    """The axis of the classes: that of the softmax before it, else the channels."""

    def refusals(self) -> Iterable[Misfit]:
        if self.weights == BALANCED:
            message = f"`{self.name}(weights=balanced)` is not yet there in this version"
            yield Misfit("unsupported-setting", message, "give a number per class", argument="weights")

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        at = facing.axis + 1
        words: dict[str, Any] = {}
        if self.weights is not None:
            words["weight"] = method(output, "new_tensor", [float(each) for each in self.weights])
        if self.ignore is not None:
            words["ignore_index"] = self.ignore
        if self.smoothing:
            words["label_smoothing"] = float(self.smoothing)
        scores = output if at == 1 else method(output, "movedim", at, 1)
        return _reduced(
            self, "F.cross_entropy", scores, method(target, "long") if facing.target == "classes" else target, words
        )


class BinaryCrossEntropy(Loss):
    """-log of the probability of what is the case, yes or no; textbook form: `sigmoid`, then `binary_cross_entropy`."""

    name = "binary_cross_entropy"
    wants, undoes, advice = "probability", True, "end the network with `sigmoid`"
    targets = ("class", "classes", "real", "image")
    measures = "accuracy"

    _: KeywordOnly
    weights: optional(Weights) = None  # type: ignore[valid-type]
    """Weights of no and yes; not yet there."""

    def refusals(self) -> Iterable[Misfit]:
        if self.weights is not None:
            message = f"`{self.name}(weights=…)` is not yet there in this version"
            yield Misfit("unsupported-setting", message, argument="weights")

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        name = "F.binary_cross_entropy_with_logits" if facing.logits else "F.binary_cross_entropy"
        return _reduced(self, name, output, _like(target, facing), {})


class MeanSquaredError(Loss):
    """The mean of (output - target) ** 2."""

    name = "mse"
    targets = ("real", "image")
    measures = "mae"

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        return _reduced(self, "F.mse_loss", output, _like(target, facing), {})


class MeanAbsoluteError(Loss):
    """The mean of abs(output - target)."""

    name = "mae"
    targets = ("real", "image")
    measures = "mae"

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        return _reduced(self, "F.l1_loss", output, _like(target, facing), {})


class Huber(Loss):
    """Half the square of a difference below `delta`; above it grows like `delta` times the difference (Huber 1964)."""

    name = "huber"
    targets = ("real", "image")
    measures = "mae"

    _: KeywordOnly
    delta: PositiveReal = 1
    """Where the square ends."""

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        words = {} if self.delta == 1 else {"delta": float(self.delta)}
        return _reduced(self, "F.huber_loss", output, _like(target, facing), words)


def _like(target: Expression, facing: Facing) -> Expression:
    """The target as numbers in the shape of the output; another tensor of the network has it already."""
    if not facing.target:
        return target
    shaped = method(target, "view_as", facing.scores)
    return shaped if facing.target in ("real", "image") else method(shaped, "float")


def _reduced(loss: Loss, function: str, output: Expression, target: Expression, words: dict[str, Any]) -> Expression:
    if loss.reduce == "mean":
        return call(function, output, target, **words)
    return binary("/", call(function, output, target, **words, reduction="sum"), _batch(output))


def _batch(output: Expression) -> Expression:
    return Index(Attribute(output, "shape"), Literal(0))
