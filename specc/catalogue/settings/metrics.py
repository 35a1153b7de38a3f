"""Metrics: figures of how good the outputs are, computed over a whole part of the data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

from specc.catalogue.arguments import Flag, KeywordOnly, Kind, Positive, TensorArgument, choice, real
from specc.catalogue.entry import Misfit
from specc.catalogue.setting import Metric

_CLASSES = ("class", "classes")
_NUMBERS = ("real", "image")
_Percent = Annotated[float, Kind("a number above 0, up to 100", real(gt=0, le=100))]


class Accuracy(Metric):
    """The share of answers that are right; of two classes, yes is a probability above one half."""

    name = "accuracy"
    runs = "specc.train.metrics.classification:Accuracy"
    targets = samplewise = _CLASSES
    decided = True


class TopK(Metric):
    """The share of answers whose right class is among the `k` most probable."""

    name = "topk"
    runs = "specc.train.metrics.classification:TopK"
    targets = samplewise = _CLASSES

    k: Positive
    """How many."""
    output: TensorArgument = None
    """The output it looks at; may be left out where there is one."""

    @property
    def label(self) -> str:
        return f"top{self.k}"


class Top5(Metric):
    """`topk(5)`."""

    name = "top5"
    runs = "specc.train.metrics.classification:TopK"
    targets = samplewise = _CLASSES
    k = 5


class Rates(Metric):
    """A figure of each class, from how many answers say it (found), how many should (there), and how many do both."""

    targets = _CLASSES
    samplewise = ("classes",)
    decided = True

    _: KeywordOnly
    average: Annotated[str, choice("macro", "weighted", "micro", "binary")] = "macro"
    """How the classes become one figure: `macro` is their mean, a class that is neither there nor found left out;
    `weighted` is their mean by how often they are there; `micro` is the figure of all counts added up; `binary` is that
    of the second of two classes alone."""
    background: Flag = True
    """Whether class 0 is among the classes of the average."""
    each: Flag = False
    """Whether every class has a column of its own besides, `recall.2`."""

    @property
    def label(self) -> str:
        return self.name if self.average == "macro" else f"{self.name}.{self.average}"

    def fits(self, target: str, classes: int | None) -> Iterable[Misfit]:
        if self.average == "binary" and classes not in (2, None):
            message = f"`average=binary` is for two classes; the data have {classes}"
            yield Misfit("bad-argument", message, "take macro, and `each=true` for every class", argument="average")


class Precision(Rates):
    """P: of the answers that say a class, the share that is right; 0 for a class that is there and never found."""

    name = "precision"
    runs = "specc.train.metrics.classification:Precision"


class Recall(Rates):
    """R: of what is of a class, the share that is found; 0 for a class that is found and never there."""

    name = "recall"
    runs = "specc.train.metrics.classification:Recall"


class F1(Rates):
    """2PR / (P + R) of each class, and the mean over the classes; a class that never occurs counts for nothing."""

    name = "f1"
    runs = "specc.train.metrics.classification:F1"


class AreaUnderCurve(Metric):
    """The area under the receiver operating characteristic: how often what is of a class is given a higher score for it
    than what is not, ties counting one half (Mann and Whitney 1947). Exact; of several classes each against the rest,
    then the mean over those that are there with something else beside them. It keeps every score, 4 bytes each, until
    the part is through."""

    name = "auc"
    runs = "specc.train.metrics.ranking:AreaUnderCurve"
    targets = _CLASSES
    samplewise = ("classes",)
    batchwise = False

    _: KeywordOnly
    each: Flag = False
    """Whether every class has a column of its own besides, `auc.2`."""


class MeanSquaredErrorMetric(Metric):
    """The mean of (output - target) ** 2."""

    name = "mse"
    runs = "specc.train.metrics.regression:SquaredError"
    rises = False
    targets = samplewise = _NUMBERS


class MeanAbsoluteErrorMetric(Metric):
    """The mean of abs(output - target)."""

    name = "mae"
    runs = "specc.train.metrics.regression:AbsoluteError"
    rises = False
    targets = samplewise = _NUMBERS


class R2(Metric):
    """1 minus squared error over variance of the target, each number of the output for itself, then the mean."""

    name = "r2"
    runs = "specc.train.metrics.regression:R2"
    targets = _NUMBERS


class Confusion(Metric):
    """How often each class was taken for each other: in the report, not a column."""

    name = "confusion"
    runs = "specc.train.metrics.classification:Confusion"
    column = False
    targets = _CLASSES


class Mapped(Metric):
    """A figure of masks: of every class of every sample, then the mean over the classes of a sample, then the mean over
    the samples. Class 0 is the background and left out. Where there is more than one class each has a column too."""

    targets: ClassVar[tuple[str, ...]] = ("classes",)
    samplewise: ClassVar[tuple[str, ...]] = ("classes",)
    decided = True


class Overlap(Mapped):
    """A figure of what is found, what is there, and what is both."""

    _: KeywordOnly
    over: Annotated[str, choice("sample", "data")] = "sample"
    """What is counted together: each sample by itself, or the whole part of the data."""
    empty: Annotated[str, choice("skip", "one")] = "skip"
    """What a class counts for that is neither there nor found in a sample: it is left out of the mean, or counts 1. How
    often that was is the column `.empty`. One that is only there, or only found, counts 0."""
    background: Flag = False
    """Whether class 0 is a class too."""

    @property
    def label(self) -> str:
        return self.name if self.over == "sample" else f"{self.name}.data"


class DiceMetric(Overlap):
    """2 |A and B| / (|A| + |B|) of what is found and what is there (Dice 1945)."""

    name = "dice"
    runs = "specc.train.metrics.overlap:Dice"


class IntersectionOverUnion(Overlap):
    """|A and B| / |A or B| of what is found and what is there (Jaccard 1912)."""

    name = "iou"
    runs = "specc.train.metrics.overlap:IntersectionOverUnion"


class SurfaceDistance(Mapped):
    """A distance between the surfaces of what is found and of what is there, in millimetres where the data say how far
    apart places lie, else in places. The surface is what has a neighbour across a face that is outside, or lies at the
    edge of the sample. Needs scipy: pip install 'specc[medical]'."""

    rises = False
    batchwise = False
    spaced = True
    library = "scipy"

    _: KeywordOnly
    missed: Annotated[str, choice("diagonal", "skip")] = "diagonal"
    """What a class counts for that is there and not found in a sample, or found and not there: the diagonal of the
    sample, since nothing can be further apart, or it is left out of the mean. How often that was is the column `.missed`.
    One that is neither there nor found is always left out; how often is the column `.empty`."""


class Hausdorff(SurfaceDistance):
    """The largest distance from any place of one surface to the other surface, either way (Huttenlocher et al. 1993).
    With `percentile=95` the 95th percentile of these distances in each direction, and the larger of both."""

    name = "hausdorff"
    runs = "specc.train.metrics.surface:Hausdorff"

    _: KeywordOnly
    percentile: _Percent = 100
    """Which of the distances in order, in percent, between two of them linearly."""

    @property
    def label(self) -> str:
        return self.name if self.percentile == 100 else f"{self.name}{self.percentile:g}"


class AverageSurfaceDistance(SurfaceDistance):
    """The mean distance from the places of each surface to the other one, the places of both taken together (Heimann et
    al. 2009)."""

    name = "assd"
    runs = "specc.train.metrics.surface:AverageSurfaceDistance"
