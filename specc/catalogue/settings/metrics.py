"""Metrics: figures of how good the outputs are, computed over a whole part of the data."""

from __future__ import annotations

from specc.catalogue.arguments import Positive, TensorArgument
from specc.catalogue.setting import Metric

_CLASSES = ("class", "classes")
_NUMBERS = ("real", "image")


class Accuracy(Metric):
    """The share of answers that are right; of two classes, yes is a probability above one half."""

    name = "accuracy"
    runs = "specc.train.metrics.classification:Accuracy"
    targets = _CLASSES


class TopK(Metric):
    """The share of answers whose right class is among the `k` most probable."""

    name = "topk"
    runs = "specc.train.metrics.classification:TopK"
    targets = _CLASSES

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
    targets = _CLASSES
    k = 5


class F1(Metric):
    """2PR / (P + R) of each class, and the mean over the classes; a class that never occurs counts for nothing."""

    name = "f1"
    runs = "specc.train.metrics.classification:F1"
    targets = _CLASSES


class MeanSquaredErrorMetric(Metric):
    """The mean of (output - target) ** 2."""

    name = "mse"
    runs = "specc.train.metrics.regression:SquaredError"
    rises = False
    targets = _NUMBERS


class MeanAbsoluteErrorMetric(Metric):
    """The mean of abs(output - target)."""

    name = "mae"
    runs = "specc.train.metrics.regression:AbsoluteError"
    rises = False
    targets = _NUMBERS


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
