"""The figures of single samples over whole folds: their mean and deviation in each fold, and over all samples together."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from specc.model.program import POST
from specc.train.cases import summary
from specc.train.outcome import Point, Table, grid
from specc.train.sweep import SweepBook

ALL = "all"


@dataclass(frozen=True, slots=True)
class Group:
    """The test samples of a fold, or of all folds; of each figure its mean, deviation and how many samples have one."""

    name: str
    cases: int
    figures: Mapping[str, Mapping[str, float | None]]

    def cell(self, figure: str) -> str:
        """`0.712 ± 0.104`, and of how many where some samples have no such figure."""
        found = self.figures.get(figure)
        if found is None or found["mean"] is None:
            return "-"
        mean, deviation, count = found["mean"], found["std"], found["count"]
        text = short(mean) if deviation is None else f"{short(mean)} ± {short(deviation)}"
        return text if count == self.cases else f"{text} ({count})"


def groups(point: Point) -> list[Group]:
    """A group per fold that is finished and has such figures, and the one of all of them."""
    folds = [(str(each.training.fold), each.cases) for each in point.outcomes if each.training.fold and each.cases]
    if not folds:
        return []
    together = [row for _, rows in folds for row in rows]
    return [Group(name, len(rows), summary(rows)) for name, rows in [*folds, (ALL, together)]]


def forms(point: Point) -> list[tuple[str, dict[str, str]]]:
    """The metrics by the columns that have their figures, as the answers are and after post-processing."""
    there = {name for each in point.outcomes for row in each.cases for name in row}
    labels = list(dict.fromkeys(name for each in point.outcomes for name in each.measures if name in there))
    before = {name: name for name in labels if not name.endswith(POST)}
    after = {name: name.removesuffix(POST) for name in labels if name.endswith(POST)}
    return [("before post-processing", before), ("after post-processing", after)] if after else [("", before)]


def short(value: float) -> str:
    """Three places or fewer, the more there is before the point."""
    if not isfinite(value):
        return str(value)
    size = abs(value)
    return f"{value:.3f}" if size < 10 else f"{value:.2f}" if size < 100 else f"{value:.1f}"


# ---------------------------------------------------------------------------------------------------- as files
def csv_text(book: SweepBook, found: Table) -> str:
    """A row per point, fold and figure; "" where no text is to be written, as no training has figures of samples."""
    rows = [
        [point.number, *point.settings.values(), group.name, group.cases, figure]
        + ["" if each[key] is None else each[key] for key in ("count", "mean", "std")]
        for point in found.points
        for group in groups(point)
        for figure, each in group.figures.items()
    ]
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["point", *book.keys, "fold", "cases", "figure", "count", "mean", "std"])
    writer.writerows(rows)
    return text.getvalue()


def tables(point: Point) -> list[tuple[str, list[list[str]]]]:
    """For people: of each form its title and its rows, the names of the metrics first."""
    found = groups(point)
    return [
        (title, [["fold", "cases", *columns.values()], *([each.name, str(each.cases), *map(each.cell, columns)] for each in found)])
        for title, columns in forms(point)
        if found and columns
    ]  # fmt: skip


def markdown(book: SweepBook, found: Table) -> str:
    """The tables of all points, to be added to those of the trainings; "" where there are none."""
    lines: list[str] = []
    for point in found.points:
        for title, rows in tables(point):
            about = [f"point {point.number}" if book.keys else "", title]
            lines += ["", f"## {', '.join(['Test samples', *filter(None, about)])}", "", *grid(rows)]
    return "\n".join([*lines, ""]) if lines else ""
