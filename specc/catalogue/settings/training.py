"""The settings of a `train` section, each a line of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

from specc.catalogue.arguments import (
    Count,
    Flag,
    Initializer,
    KeywordOnly,
    Kind,
    NonNegative,
    Positive,
    PositiveReal,
    Real,
    choice,
    optional,
    real,
)
from specc.catalogue.entry import Misfit
from specc.catalogue.initial import misfits
from specc.catalogue.setting import DottedName, DottedNames, FileOrPhase, Setting

Fraction = Annotated[float, Kind("a number from 0 to 1", real(ge=0, le=1))]


class Data(Setting):
    """Where the samples come from."""

    name = "data"
    holds = "source"


class Split(Setting):
    """The shares of training, validation and test; what is left out of `train` goes in equal parts to the others.

    `split kfold(5), validation=0.1` takes one of five folds as the test part, `split "folds.csv"` what a file says.
    """

    name = "split"
    holds = "split"

    _: KeywordOnly
    train: optional(Fraction) = None  # type: ignore[valid-type]
    """The share that trains."""
    validation: optional(Fraction) = None  # type: ignore[valid-type]
    """The share that chooses the best weights and when to stop."""
    test: optional(Fraction) = None  # type: ignore[valid-type]
    """The share that is looked at once, at the end."""
    group: DottedName = ""
    """Samples that are alike in this (a patient) stay in one part: a column of a table, a field of arrays, a column of
    samples.csv in a folder."""
    stratify: Flag = True
    """Whether every class is spread over the parts in proportion."""
    fold: Positive = 1
    """Which fold is the test part, where there are folds."""


class Prepare(Setting):
    """What every sample goes through first; fitted to the training samples, built into the exported file."""

    name = "prepare"
    holds, many = "prepare", True


class Augment(Setting):
    """What is changed at random in the training samples alone, anew in every epoch; steps are done in their order."""

    name = "augment"
    holds, many = "augment", True


class LossSetting(Setting):
    """What training makes small: losses, times numbers, added up."""

    name = "loss"
    holds = "loss"


class OptimizerSetting(Setting):
    """How the weights follow the gradient."""

    name = "optimizer"
    holds = "optimizer"
    default = "adam"


class ScheduleSetting(Setting):
    """How the learning rate changes: `warmup(epochs=5) -> cosine(to=1e-6)`."""

    name = "schedule"
    holds = "schedule"
    default = "constant"


class Regularize(Setting):
    """What keeps the weights small."""

    name = "regularize"
    holds, many = "regularizer", True


class Clip(Setting):
    """What keeps the gradient small."""

    name = "clip"
    holds = "clip"


class Init(Setting):
    """How the weights of layers start, with biases at 0; norms, and layers with an `init=` of their own, are let be."""

    name = "init"

    initializer: Initializer
    """The initialiser: `he` (He et al. 2015), `xavier` (Glorot and Bengio 2010), `orthogonal` (Saxe et al. 2014),
    `normal(std=0.01, mean=0)`, `uniform(bound=0.1)` (without a bound 1 over the root of the inputs), `constant(0.1)`,
    `zeros`, `ones`, `signs` (-1 or 1); without this setting every layer starts as in PyTorch."""

    def refusals(self) -> Iterable[Misfit]:
        yield from misfits(self.initializer, "initializer")


class Batch(Setting):
    """How many samples make a step."""

    name = "batch"
    default = "32"

    size: Positive
    """The number of samples."""
    _: KeywordOnly
    accumulate: Positive = 1
    """How many such batches are added up before a step."""
    pad: optional(Real) = None  # type: ignore[valid-type]
    """What samples of other sizes are made as large as the largest of their batch with; a mask gets 255, for no class."""
    bucket: optional(Positive) = None  # type: ignore[valid-type]
    """Batches of samples of like size: their sizes, rounded up to a multiple of this, are equal. 1 takes samples of one
    size only; otherwise the smaller ones are padded, with 0 unless `pad=` says more."""
    mask: DottedName = ""
    """The input of the network that is told what is padding: 1, or true, where the sample is, 0 elsewhere."""
    lengths: DottedName = ""
    """The input of the network, a whole number, that is told how long a sample is without its padding."""
    sampling: Annotated[str, choice("shuffled", "balanced")] = "shuffled"
    """`shuffled` takes every training sample once an epoch; `balanced` draws each class equally often, with replacement."""

    @property
    def padding(self) -> float | None:
        """What fills a batch; None where nothing does."""
        filled: float | None = self.pad
        return 0 if filled is None and (self.bucket or 1) > 1 else filled

    @property
    def filled(self) -> tuple[str, ...]:
        """The inputs that are told about the padding."""
        return tuple(each for each in (self.mask, self.lengths) if each)

    def refusals(self) -> Iterable[Misfit]:
        if self.bucket is not None and self.sampling == "balanced":
            message = "`sampling=balanced` draws samples of any size, and `bucket=` takes those of like size"
            yield Misfit("setting-conflict", message, "leave one of them out", argument="sampling")
        for name in ("mask", "lengths"):
            if getattr(self, name) and self.padding is None:
                message = f"`{name}=` tells the network what is padding, and nothing is padded"
                yield Misfit("bad-argument", message, "add `pad=0`", argument=name)
        if self.mask and self.mask == self.lengths:
            yield Misfit("bad-argument", "the mask and the lengths are two inputs", argument="lengths")


class Epochs(Setting):
    """How often training goes through the data."""

    name = "epochs"
    default = "10"
    rival = "steps"

    count: Count
    """The number of times."""


class Steps(Setting):
    """How many steps the optimizer takes, in place of `epochs`; schedules end with the last of them."""

    name = "steps"
    rival = "epochs"

    count: Positive
    """The number of steps; a row of figures still follows every epoch, and the last step."""


class TrainingPrecision(Setting):
    """How numbers are kept while outputs are computed; weights, losses and steps of the optimizer are fp32 always."""

    name = "precision"

    kind: Annotated[str, choice("fp32", "bf16", "fp16")]
    """`bf16` and `fp16` take half the memory, and less time where the device computes in them; `fp16` scales the loss so
    that small gradients are not lost. Without this setting: bf16 on a GPU that computes in it, else fp32."""


class Seed(Setting):
    """Where all chance comes from: the split, the order, the first weights, dropout."""

    name = "seed"
    default = "0"

    number: Count
    """A whole number; the same one gives the same run."""


class Weights(Setting):
    """Weights to start from."""

    name = "weights"

    file: FileOrPhase
    """A .safetensors file, or a state-dict saved by PyTorch, from the project's folder on; or the name of a phase: the best
    weights of its newest finished run. The section without a name is the phase `train`."""
    _: KeywordOnly
    into: DottedName = ""
    """The part of the network that the file is of; the whole network otherwise."""
    except_: DottedNames = ()
    """Parts that keep their first values, by their paths in the network or in the file."""


class Metrics(Setting):
    """What is shown beside the loss; the first one chooses the best weights, unless `stop` says otherwise."""

    name = "metrics"
    holds, many = "metric", True


class Human(Setting):
    """The error of people on this task, from which the verdict of a run measures bias.

    The error of a figure that is better the larger it is (`accuracy`, `f1`, `dice`, `auc`, `r2` …) is 1 - the figure, so
    people who are right in 99 of 100 cases are `human 0.01`; that of `mse`, `mae` and other distances is the figure
    itself. It is that of the first metric, or of the loss where there is none.
    """

    name = "human"

    error: NonNegative
    """The error."""


class PostprocessSetting(Setting):
    """What the answers go through before metrics that need no more than a class; figures are shown before and after it,
    `dice` and `dice.post`. Steps are done in their order."""

    name = "postprocess"
    holds, many = "postprocess", True


class Stop(Setting):
    """When to stop before the last epoch."""

    name = "stop"
    holds = "stop"


class SweepSetting(Setting):
    """Trainings that differ in settings and parameters: `sweep optimizer.lr=[0.1, 0.01], width=[32, 64]` is four of them.

    A name is what `--set` takes, with the list of its values. `random(n)` in front takes n of all combinations.
    """

    name = "sweep"
    holds = "search"


class RandomSearch(Setting):
    """So many of the combinations, by chance (Bergstra and Bengio 2012), each at most once."""

    role = "search"
    name = "random"

    n: Positive
    """How many; which ones depends on `seed`."""


class Early(Setting):
    """Stop when a figure has not become better for some epochs."""

    role = "stop"
    name = "early"

    _: KeywordOnly
    patience: Positive = 10
    """How many epochs without a better figure."""
    on: DottedName = "validation.loss"
    """The figure, a column of metrics.csv."""


class Regularizer(Setting):
    """`decays` says that it belongs into the gradient as weight decay."""

    role = "regularizer"
    decays: ClassVar[bool] = False


class L1(Regularizer):
    """`x` times the sum of the absolute values, added to the loss."""

    name = "l1"

    x: NonNegative
    """The factor."""
    _: KeywordOnly
    on: Annotated[str, choice("weights", "all")] = "weights"
    """Weights alone, or biases and norms too."""


class L2(Regularizer):
    """`x` times a weight, added to its gradient: weight decay, half of `x` times the sum of squares in the loss."""

    name = "l2"
    decays = True

    x: NonNegative
    """The factor."""
    _: KeywordOnly
    on: Annotated[str, choice("weights", "all")] = "weights"
    """Weights alone, or biases and norms too."""


class ClipNorm(Setting):
    """Shorten the gradient of all weights together to this length where it is longer."""

    role = "clip"
    name = "norm"
    runs = "torch.nn.utils:clip_grad_norm_"

    x: PositiveReal
    """The length."""


class ClipValue(Setting):
    """Keep every number of the gradient between -x and x."""

    role = "clip"
    name = "value"
    runs = "torch.nn.utils:clip_grad_value_"

    x: PositiveReal
    """The bound."""
