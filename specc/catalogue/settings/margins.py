"""Losses of classifiers that PyTorch does not have: margins between scores, overlap, and a focus on what is hard."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

from specc.catalogue.arguments import (
    Axis,
    Flag,
    KeywordOnly,
    Kind,
    NonNegative,
    PositiveReal,
    Real,
    Whole,
    either,
    items,
    optional,
    real,
)
from specc.catalogue.axes import UNSAID
from specc.catalogue.entry import Misfit
from specc.catalogue.op import TensorType
from specc.catalogue.setting import Facing, Loss
from specc.catalogue.settings.losses import Weights, amount_of, class_weights, logits, weights_fit
from specc.code.nodes import Expression, call, method
from specc.sizes.dim import Size

_share = real(ge=0, le=1)
_Alpha = Annotated[
    float | tuple[float, ...],
    Kind("a number from 0 to 1, or a list with a number per class", either(_share, items(real(ge=0), 1))),
]


class Classified(Loss):
    """A loss of a class per sample or per position, in two forms: one number for yes and no, or one per class."""

    undoes = True
    targets: ClassVar[tuple[str, ...]] = ("class", "classes")
    measures = "accuracy"
    function: ClassVar[str] = ""

    _: KeywordOnly
    ignore: optional(Whole) = None  # type: ignore[valid-type]
    """A class number that counts for nothing."""
    axis: Axis = UNSAID
    """The axis of the classes: that of the softmax before it, else the channels."""

    def called(self, output: Expression, target: Expression, facing: Facing, **words: Any) -> Expression:
        """The function that training has for it, the form for yes and no under a name of its own."""
        if facing.each and facing.axis:
            words["axis"] = facing.axis + 1
        if self.ignore is not None:
            words["ignore"] = self.ignore
        if self.reduce != "mean":
            words["reduce"] = self.reduce
        return call(self.function if facing.each else f"binary_{self.function}", output, target, **words)

    def amount(self, output: Expression, target: Expression, facing: Facing) -> Expression | None:
        return amount_of(target, [], self.ignore)


class Margin(Classified):
    """A loss of scores: one that is above 0 for yes, or one per class, of which the largest wins."""

    wants, advice = "scores", "let the network end in scores, with no head"

    _: KeywordOnly
    weights: optional(Weights) = None  # type: ignore[valid-type]
    """A weight per class, by which the mean is weighted, or `balanced`; of one score, the weights of no and of yes."""

    def compares(self, makes: str, numbers: Size) -> str:
        return "score" if numbers == 1 else "scores"

    def fits(self, type: TensorType, compares: str, numbers: Size) -> Iterable[Misfit]:
        yield from weights_fit(self.weights, numbers if compares == "scores" else 2)

    def amount(self, output: Expression, target: Expression, facing: Facing) -> Expression | None:
        return amount_of(target, class_weights(self.weights, facing), self.ignore)

    def words(self, facing: Facing) -> dict[str, Any]:
        return {} if self.weights is None else {"weights": class_weights(self.weights, facing)}


class Hinge(Margin):
    """How far the scores are from keeping their margin. Of one score s, with t = -1 for no and +1 for yes:
    max(0, margin - t s) (Cortes and Vapnik 1995). Of a score per class: the sum over the classes that are not the right
    one of max(0, margin + their score - the right score) (Weston and Watkins 1999). Textbook form: scores and no head."""

    name = "hinge"
    function = "hinge"

    _: KeywordOnly
    margin: PositiveReal = 1
    """How far apart the scores are to be."""

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        words = {} if self.margin == 1 else {"margin": float(self.margin)}
        return self.called(output, target, facing, **words, **self.words(facing))


class Perceptron(Margin):
    """How wrong a wrong decision is, 0 for a right one (Rosenblatt 1958). Of one score s, with t = -1 for no and +1 for
    yes: max(0, -t s). Of a score per class: the largest score - the right score. Its gradient is that of the
    perceptron's rule: the inputs of a wrong winner are taken away from its weights and added to those of the right
    class. Textbook form: scores, or `sign` for two classes."""

    name = "perceptron"
    function = "perceptron"

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        return self.called(output, target, facing, **self.words(facing))


class Discriminative(Classified):
    """The distance of the right class, y, plus log(exp(-rubbish) + sum(exp(-y_i))) over the distances of all classes: it
    pulls the right class near and pushes the others away, no further than matters beside `rubbish` (LeCun, Bottou, Bengio
    and Haffner 1998, equation 9). Textbook form: a distance per class, of which the smallest wins, and no head; `metrics`
    then look at another output, its `argmin`."""

    name = "discriminative"
    function = "discriminative"
    wants, advice = "scores", "let the output be distances, with no head"
    undoes = False
    measures = ""

    _: KeywordOnly
    rubbish: Real = 1
    """The distance of a class that is not there, for what is none of them; above 0 in the paper."""

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        words = {} if self.rubbish == 1 else {"rubbish": float(self.rubbish)}
        return self.called(output, target, facing, **words)


class Shares(Classified):
    """A loss of probabilities, those of a sigmoid or of a softmax."""

    wants, advice = "probabilities", "end the network with `softmax`, or with `sigmoid` for yes and no"

    def compares(self, makes: str, numbers: Size) -> str:
        return "probability" if makes == "probability" or (not makes and numbers == 1) else "probabilities"


class Focal(Shares):
    """Cross-entropy times (1 - p) ** gamma, where p is the probability of what is right: what is right already counts
    for little (Lin et al. 2017). Textbook form: `softmax` or `sigmoid`, then `focal`."""

    name = "focal"
    function = "focal"

    _: KeywordOnly
    gamma: NonNegative = 2
    """How much less; with 0 it is the cross-entropy."""
    alpha: optional(_Alpha) = None  # type: ignore[valid-type]
    """A factor per class; behind a sigmoid one number for yes, and 1 - alpha for no, or a list of both, no and yes."""

    def fits(self, type: TensorType, compares: str, numbers: Size) -> Iterable[Misfit]:
        if isinstance(self.alpha, tuple):
            yield from weights_fit(self.alpha, numbers if compares == "probabilities" else 2, "alpha")
        elif self.alpha is not None and compares == "probabilities":
            message = "one number for `alpha` is the share of yes; behind `softmax` every class needs its own"
            yield Misfit("bad-argument", message, "give a list with a number per class", argument="alpha")

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        words: dict[str, Any] = {} if self.gamma == 2 else {"gamma": float(self.gamma)}
        if isinstance(self.alpha, tuple):
            words["alpha"] = [float(each) for each in self.alpha]
        elif self.alpha is not None:
            words["alpha"] = [float(f"{1 - self.alpha:.12g}"), float(self.alpha)]
        return self.called(output if facing.each else logits(output, facing), target, facing, **words)


class Dice(Shares):
    """1 - Dice, the overlap of what is predicted (p) with what is there (t): for each sample and each class, summed over
    the positions, 1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth), and the mean of that (Milletari et al. 2016,
    who square p and t in the divisor). Behind `softmax` the classes share every position; behind `sigmoid` each map is
    a yes or no of its own. Textbook form: `softmax` or `sigmoid`, then `dice`."""

    name = "dice"
    function = "dice"
    targets = ("classes", "image", "tensor")

    _: KeywordOnly
    smooth: PositiveReal = 1
    """Added above and below: a class that is neither there nor predicted has loss 0, and no gradient is infinite."""
    squares: Flag = False
    """Whether p and t are squared in the divisor, as in the paper."""
    weights: optional(Weights) = None  # type: ignore[valid-type]
    """A weight per class, by which the mean over the classes is weighted, or `balanced`; behind `softmax` alone."""

    def takes(self, compares: str) -> tuple[str, ...]:
        return ("classes",) if compares == "probabilities" else self.targets

    def fits(self, type: TensorType, compares: str, numbers: Size) -> Iterable[Misfit]:
        if type.rank < 2:
            yield Misfit("target-shape", f"`{self.name}` compares maps; this output has no positions to sum over")
        if compares == "probabilities":
            yield from weights_fit(self.weights, numbers)
        elif self.weights is not None:
            message = "behind `sigmoid` every map counts the same, so there are no `weights`"
            yield Misfit("bad-argument", message, "multiply whole terms instead: `0.5 * dice(a)`", argument="weights")

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        words: dict[str, Any] = {} if self.smooth == 1 else {"smooth": float(self.smooth)}
        if self.squares:
            words["squares"] = True
        if self.weights is not None:
            words["weights"] = class_weights(self.weights, facing)
        if facing.logits:
            output = method(output, "softmax", facing.axis + 1) if facing.each else method(output, "sigmoid")
        return self.called(output, target, facing, **words)

    def amount(self, output: Expression, target: Expression, facing: Facing) -> Expression | None:
        return None  # the mean is over samples and classes, whatever is ignored
