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
from specc.catalogue.op import TensorType
from specc.catalogue.setting import BALANCED, Facing, Loss
from specc.code.nodes import Attribute, Expression, Index, Literal, binary, call, method
from specc.sizes.dim import Size

Weights = Annotated[
    tuple[float, ...] | str,
    Kind("balanced or a list with a number per class", either(literal(BALANCED), items(real(ge=0), 1)), (BALANCED,)),
]


class CrossEntropy(Loss):
    """-log of the probability that the right class was given; textbook form: `softmax`, then `cross_entropy`."""

    name = "cross_entropy"
    wants, undoes, advice = "probabilities", True, "end the network with `softmax`"
    targets = ("class", "classes", "tensor")
    measures = "accuracy"
    mixes = True

    _: KeywordOnly
    weights: optional(Weights) = None  # type: ignore[valid-type]
    """A weight per class, by which the mean is weighted. `balanced` gives every class the same share of it: training
    samples / (classes * samples of the class)."""
    smoothing: Rate = 0
    """The share of the target that is spread over all classes (Szegedy et al. 2016)."""
    ignore: optional(Whole) = None  # type: ignore[valid-type]
    """A class number that counts for nothing."""
    axis: Axis = UNSAID
    """The axis of the classes: that of the softmax before it, else the channels."""

    def fits(self, type: TensorType, compares: str, numbers: Size) -> Iterable[Misfit]:
        yield from weights_fit(self.weights, numbers)

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        at = facing.axis + 1
        words: dict[str, Any] = {}
        if self.weights is not None:
            words["weight"] = method(output, "new_tensor", class_weights(self.weights, facing))
        if self.ignore is not None:
            words["ignore_index"] = self.ignore
        if self.smoothing:
            words["label_smoothing"] = float(self.smoothing)
        scores = output if at == 1 else method(output, "movedim", at, 1)
        return _reduced(self, "F.cross_entropy", scores, self._target(target, facing), words)

    def _target(self, target: Expression, facing: Facing) -> Expression:
        """With the classes along axis 1, where it is a number for each of them."""
        return method(target, "movedim", facing.axis + 1, 1) if not facing.target and facing.axis else target

    def amount(self, output: Expression, target: Expression, facing: Facing) -> Expression | None:
        return amount_of(self._target(target, facing), class_weights(self.weights, facing), self.ignore)


class BinaryCrossEntropy(Loss):
    """-log of the probability of what is the case, yes or no; textbook form: `sigmoid`, then `binary_cross_entropy`."""

    name = "binary_cross_entropy"
    wants, undoes, advice = "probability", True, "end the network with `sigmoid`"
    targets = ("class", "classes", "real", "image", "tensor")
    measures = "accuracy"

    _: KeywordOnly
    weights: optional(Weights) = None  # type: ignore[valid-type]
    """The weights of no and of yes, by which the mean is weighted; `balanced` as for `cross_entropy`."""

    def fits(self, type: TensorType, compares: str, numbers: Size) -> Iterable[Misfit]:
        yield from weights_fit(self.weights, 2)

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        if self.weights is not None:
            words = {} if self.reduce == "mean" else {"reduce": self.reduce}
            weights, scores = class_weights(self.weights, facing), logits(output, facing)
            return call("weighted_binary_cross_entropy", scores, like(target, facing), weights, **words)
        name = "F.binary_cross_entropy_with_logits" if facing.logits else "F.binary_cross_entropy"
        return _reduced(self, name, output, like(target, facing), {})

    def amount(self, output: Expression, target: Expression, facing: Facing) -> Expression | None:
        if self.weights is None:
            return None
        return call("weight_of", like(target, facing), class_weights(self.weights, facing))


class KullbackLeibler(Loss):
    """The sum over the classes of t log(t / p), how much the output p says less than the target t, which is
    probabilities too: another output of the network or an input (Kullback and Leibler 1951). Textbook form: `softmax`,
    then `kl(student, target=teacher)`."""

    name = "kl"
    wants, undoes, advice = "probabilities", True, "end the network with `softmax`"
    targets = ("real", "image", "tensor")

    _: KeywordOnly
    axis: Axis = UNSAID
    """The axis of the classes: that of the softmax before it, else the channels."""

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        words: dict[str, Any] = {} if facing.axis == 0 else {"axis": facing.axis + 1}
        return call("kl", output, target, **words, **({} if self.reduce == "mean" else {"reduce": self.reduce}))


class MeanSquaredError(Loss):
    """The mean of (output - target) ** 2."""

    name = "mse"
    targets = ("real", "image", "tensor")
    measures = "mae"

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        return _reduced(self, "F.mse_loss", output, like(target, facing), {})


class MeanAbsoluteError(Loss):
    """The mean of abs(output - target)."""

    name = "mae"
    targets = ("real", "image", "tensor")
    measures = "mae"

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        return _reduced(self, "F.l1_loss", output, like(target, facing), {})


class Huber(Loss):
    """Half the square of a difference below `delta`; above it grows like `delta` times the difference (Huber 1964)."""

    name = "huber"
    targets = ("real", "image", "tensor")
    measures = "mae"

    _: KeywordOnly
    delta: PositiveReal = 1
    """Where the square ends."""

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        words = {} if self.delta == 1 else {"delta": float(self.delta)}
        return _reduced(self, "F.huber_loss", output, like(target, facing), words)


class MeanBiasError(Loss):
    """The mean of target - output: above 0 where the outputs are too small. Errors of both signs cancel and it has no
    smallest value, so it is a part of a loss, beside `mse` or `mae`, and never all of it."""

    name = "bias_error"
    targets = ("real", "image", "tensor")
    measures = "mae"
    bounded = False

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        difference = binary("-", like(target, facing), output)
        if self.reduce == "mean":
            return method(difference, "mean")
        return binary("/", method(difference, "sum"), _batch(output))


def like(target: Expression, facing: Facing) -> Expression:
    """The target as numbers in the shape of the output; another tensor of the network has it already."""
    if not facing.target:
        return target
    shaped = method(target, "view_as", facing.scores)
    return shaped if facing.target in ("real", "image") else method(shaped, "float")


def logits(output: Expression, facing: Facing) -> Expression:
    """The scores before the sigmoid, found again from probabilities where the network gives no others."""
    return output if facing.logits else method(output, "logit", 1e-7)


def amount_of(target: Expression, weights: list[float], ignore: int | None) -> Expression | None:
    """How many targets count, by the weights of their classes, as code; None where all count one."""
    if not weights and ignore is None:
        return None
    words = ({"weights": weights} if weights else {}) | ({} if ignore is None else {"ignore": ignore})
    return call("amount_of", target, **words)


def class_weights(weights: Any, facing: Facing) -> list[float]:
    """The numbers as said, or those that give every class the same share; 0 for a class that never occurs."""
    if weights is None:
        return []
    if weights != BALANCED:
        return [float(each) for each in weights]
    counts, total = facing.counts, sum(facing.counts)
    return [float(f"{total / (len(counts) * each):.9g}") if each else 0.0 for each in counts]


def weights_fit(weights: Any, numbers: Size, argument: str = "weights") -> Iterable[Misfit]:
    """A list has one number per class, and not only zeros."""
    if weights is None or weights == BALANCED:
        return
    if isinstance(numbers, int) and len(weights) != numbers:
        message = f"`{argument}` has {len(weights)} numbers for {numbers} classes"
        yield Misfit("bad-argument", message, "give one per class, in their order", argument=argument)
    elif not any(weights):
        yield Misfit("bad-argument", f"`{argument}` gives every class the weight 0", argument=argument)


def _reduced(loss: Loss, function: str, output: Expression, target: Expression, words: dict[str, Any]) -> Expression:
    if loss.reduce == "mean":
        return call(function, output, target, **words)
    return binary("/", call(function, output, target, **words, reduction="sum"), _batch(output))


def _batch(output: Expression) -> Expression:
    return Index(Attribute(output, "shape"), Literal(0))
