"""What a sweep found: the figures of every training, means over folds, and the point that validation chooses."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from specc.train.cases import Row, read
from specc.train.rows import read_rows
from specc.train.runs import METRICS, TEST, Run
from specc.train.sweep import FINISHED, SweepBook, Training


@dataclass(frozen=True, slots=True)
class Outcome:
    """A training that is finished: its validation figures at the best epoch and its test figures, by column.

    `watched` is the column that chose the best epoch, `rises` whether more of it is better. `measures` are the names of
    the metrics, `cases` the figures of every sample of the test part for those that one sample has.
    """

    training: Training
    epoch: int
    figures: Mapping[str, float]
    watched: str
    rises: bool
    measures: tuple[str, ...]
    cases: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the sweep with its trainings, one or a fold each; `outcomes` are those that are finished."""

    number: int
    settings: Mapping[str, str]
    trainings: tuple[Training, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def whole(self) -> bool:
        return len(self.outcomes) == len(self.trainings)

    def values(self, column: str) -> list[float]:
        return [each.figures[column] for each in self.outcomes if column in each.figures]

    def mean(self, column: str) -> float:
        """Over the folds; NaN where one of them has no such number."""
        found = self.values(column)
        return statistics.fmean(found) if found and len(found) == len(self.outcomes) else float("nan")


@dataclass(frozen=True, slots=True)
class Table:
    """All points, and `best`, the number of the one that validation chooses; 0 with the reason in `undecided`."""

    points: tuple[Point, ...]
    best: int
    watched: str
    undecided: str

    @property
    def columns(self) -> list[str]:
        """The figures in the order of the runs."""
        return list(dict.fromkeys(name for each in self.points for one in each.outcomes for name in one.figures))


def outcome(book: SweepBook, training: Training) -> Outcome:
    """What a finished training left in its folder; raises TrainProblem where that is lost."""
    run = Run.load(book.run(training))
    epoch = int(run.config.get("best_epoch", 0))
    row = next((each for each in read_rows(run.folder / METRICS) if each["epoch"] == epoch), {})
    figures = {name: value for name, value in row.items() if name not in ("epoch", "rate")}
    figures |= {f"test.{name}": float("nan") if value is None else value for name, value in run.results.items()}
    name, rises = run.config["watched"]
    alone = run.folder / TEST
    cases = tuple(read(alone).values()) if alone.is_file() else ()
    return Outcome(training, epoch, figures, name, bool(rises), tuple(run.config["measures"]), cases)


def table(book: SweepBook) -> Table:
    """The points of a sweep as far as they are trained."""
    numbers = dict.fromkeys(each.point for each in book.trainings)
    points = []
    for number in numbers:
        trainings = tuple(each for each in book.trainings if each.point == number)
        outcomes = tuple(outcome(book, each) for each in trainings if each.status == FINISHED)
        points.append(Point(number, trainings[0].settings, trainings, outcomes))
    best, watched, undecided = _choice(book.keys, points)
    return Table(tuple(points), best, watched, undecided)


def _choice(keys: Sequence[str], points: Sequence[Point]) -> tuple[int, str, str]:
    """The best point by validation, the column that says so, and else why there is none."""
    whole = [each for each in points if each.whole]
    watched = {(one.watched, one.rises) for each in whole for one in each.outcomes}
    if not watched:
        return 0, "", "no point is finished"
    if len(watched) > 1:
        names = " and ".join(sorted(name for name, _ in watched))
        return 0, "", f"the points are measured by {names}, which cannot be compared"
    ((name, rises),) = watched
    if name == "validation.loss" and any(each.partition(".")[0] == "loss" for each in keys):
        return 0, name, "their losses differ, so validation.loss cannot compare them; name a metric: `metrics accuracy`"
    finite = [each for each in whole if isfinite(each.mean(name))]
    if not finite:
        return 0, name, f"no point has a number for {name}"

    def worse(point: Point) -> tuple[float, float]:
        loss = point.mean("validation.loss")
        return point.mean(name) * (-1 if rises else 1), loss if isfinite(loss) else float("inf")

    return min(finite, key=worse).number, name, ""  # among equals the smaller loss decides, as among epochs


def spread(values: Sequence[float]) -> str:
    """`0.9321 ± 0.0123`, the mean and the standard deviation (n - 1); of one value that alone."""
    if not values:
        return ""
    mean = number(statistics.fmean(values))
    return f"{mean} ± {number(statistics.stdev(values))}" if len(values) > 1 and all(map(isfinite, values)) else mean


def number(value: float) -> str:
    """Four places, or an exponent where they would say nothing."""
    return f"{value:.4f}" if value == 0 or 5e-5 <= abs(value) < 1e5 or not isfinite(value) else f"{value:.2e}"


# ---------------------------------------------------------------------------------------------------- as files
def csv_text(book: SweepBook, found: Table) -> str:
    """A row per training, with `best` 1 for those of the point that validation chose."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = found.columns
    writer.writerow(["point", *book.keys, "fold", "run", "status", "best", "best_epoch", *columns])
    for point in found.points:
        outcomes = {each.training.fold: each for each in point.outcomes}
        for training in point.trainings:
            one = outcomes.get(training.fold)
            figures = ["" if one is None or name not in one.figures else repr(one.figures[name]) for name in columns]
            head = [point.number, *point.settings.values(), training.fold or "", training.run, training.status]
            writer.writerow([*head, int(point.number == found.best), one.epoch if one else "", *figures])
    return text.getvalue()


def markdown(book: SweepBook, found: Table) -> str:
    """The table of the points for people, with what was chosen and what failed."""
    lines = [f"# {book.network}: {book.name}", "", verdict(book, found), ""]
    columns = [each for each in found.columns if each != "train.loss"]
    rows = [["", *book.keys, *columns, "runs"]]
    for point in found.points:
        runs = ", ".join(each.run or "-" for each in point.trainings)
        mark = "**best**" if point.number == found.best and book.keys else ""
        cells = (spread(point.values(name)) for name in columns)
        rows.append([mark, *point.settings.values(), *cells, runs])
    if not book.keys:
        rows = [row[1:] for row in rows]
    lines += grid(rows)
    if any(each.fold for each in book.trainings):
        lines += ["", "## Folds", ""]
        each_fold = [["point", "fold", *columns, "run"]]
        for point in found.points:
            for one in point.outcomes:
                cells = (number(one.figures[name]) if name in one.figures else "" for name in columns)
                each_fold.append([str(point.number), str(one.training.fold), *cells, one.training.run])
        lines += grid(each_fold)
    failed = [each for each in book.trainings if each.message]
    if failed:
        lines += ["", "## Failed", "", *(f"- {each.name}: {each.message}" for each in failed)]
    return "\n".join([*lines, ""])


def verdict(book: SweepBook, found: Table) -> str:
    """Which point is best and by what; never by test figures."""
    if not book.keys:
        count = sum(len(each.outcomes) for each in found.points)
        return f"Mean and standard deviation over {count} of {len(book.trainings)} folds."
    if not found.best:
        return f"No best point: {found.undecided}."
    point = next(each for each in found.points if each.number == found.best)
    name = " ".join(f"{key}={text}" for key, text in point.settings.items())
    return f"Best by {found.watched}: {name}, {spread(point.values(found.watched))}."


def grid(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Lines of a table in Markdown, the names of the columns first."""
    escaped = [[each.replace("|", "\\|") for each in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*escaped, strict=True)]
    for at, row in enumerate(escaped):
        yield f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        if at == 0:
            yield f"| {' | '.join('-' * width for width in widths)} |"
