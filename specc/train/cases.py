"""The figures of every sample of the test part by itself, `test.csv` in a run, and their mean and standard deviation."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from specc.model.program import Measure
from specc.train.metrics.answers import meters
from specc.train.metrics.meter import Spacings
from specc.train.program import Code

Row = dict[str, float]
SAMPLE = "sample"


class Alone:
    """Takes answers for one metric, with a new meter for every sample."""

    def __init__(self, code: Code, measure: Measure) -> None:
        self.code, self.measure = code, measure
        self.rows: list[Row] = []

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        for at in range(len(target)):
            ((label, (_, meter)),) = meters(self.code.model, self.code.program, (self.measure,)).items()
            meter.add(output[at : at + 1], target[at : at + 1], spacing[at : at + 1] if spacing is not None else None)
            self.rows.append({label: meter.value()} | {f"{label}.{name}": each for name, each in meter.more().items()})


class Cases:
    """The metrics that have a figure for a single sample with targets of that kind; `takers` are to be fed."""

    def __init__(self, code: Code, kind: str) -> None:
        single = [each for each in code.measures if kind in each.metric.entry.samplewise]
        answers = code.meters()
        self.takers = {f"{each.label} alone": (answers[each.label][0], Alone(code, each)) for each in single}

    def rows(self) -> list[Row]:
        """A row per sample, in the order in which they came."""
        columns = [each.rows for _, each in self.takers.values()]
        return [{name: value for one in row for name, value in one.items()} for row in zip(*columns, strict=True)]


def text(names: Sequence[str], rows: Sequence[Row]) -> str:
    """Rows as CSV, the name of the sample first; nothing stands where there is no figure."""
    found = io.StringIO()
    writer = csv.writer(found, lineterminator="\n")
    writer.writerow([SAMPLE, *(rows[0] if rows else ())])
    for name, row in zip(names, rows, strict=True):
        writer.writerow([name, *("" if math.isnan(each) else repr(each) for each in row.values())])
    return found.getvalue()


def read(path: Path) -> dict[str, Row]:
    """The rows of a test.csv by the name of the sample; NaN where there is no figure."""
    with open(path, encoding="utf-8", newline="") as file:
        return {
            row.pop(SAMPLE): {name: float(each) if each else math.nan for name, each in row.items()}
            for row in csv.DictReader(file)
        }


def summary(rows: Iterable[Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    """Of every column the mean and the standard deviation (n - 1) over the samples that have a figure, and their number."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        for name, each in row.items():
            columns.setdefault(name, []).extend([] if math.isnan(each) else [each])
    return {
        name: {
            "mean": statistics.fmean(each) if each else None,
            "std": statistics.stdev(each) if len(each) > 1 else None,
            "count": len(each),
        }
        for name, each in columns.items()
    }
