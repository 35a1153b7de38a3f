"""Many trainings from one command, one after another or side by side, and the table of what they found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from specc.data.files import write_text
from specc.text import render
from specc.tools import common
from specc.tools.attempt import PROBLEMS, attempt
from specc.tools.cli import Failure
from specc.tools.progress import Shown
from specc.tools.side_by_side import SideBySide
from specc.tools.work import Work
from specc.train import outcome, pooled
from specc.train.interrupt import interruptible
from specc.train.outcome import Point, Table, number, spread
from specc.train.program import chosen, data_errors, weight_errors
from specc.train.sweep import FAILED, FINISHED, RUNNING, SweepBook

WIDTH, FOLD, MEAN = 80, 8, 18  # of a line, and of the columns of a fold and of the mean
MOST_METRICS = 4


def check(book: SweepBook) -> None:
    """Refuse a sweep of which one training cannot begin, before the first one does."""
    refused = []
    for each in book.trainings:
        if each.fold > 1:  # the first of the folds stands for them
            continue
        found = book.compile(each)
        try:
            if not found.ok:
                refused.append(f"{each.name}:\n{render.text(found.bag, common.colour(sys.stderr))}")
                continue
            model, plan = chosen(found, book.phase)
            errors = data_errors(model, plan, book.project) + weight_errors(
                model, plan, book.project, book.folder.parent
            )
            refused += [f"{each.name}: {error.message}" for error in errors[:1]]
        except PROBLEMS as problem:
            refused.append(f"{each.name}: {problem}")
    if refused:
        print("\n".join(refused), file=sys.stderr)
        count = len({each.point for each in book.trainings})
        message = f"{len(refused)} of {count} points cannot be trained, so nothing was started"
        raise Failure(1, message if book.keys else "the folds cannot be trained")


def run(book: SweepBook, jobs: int, work: Work) -> int:
    """Train what is not finished yet, so many at a time, then show and write the table; the exit code."""
    with interruptible() as stop:
        if jobs > 1:
            SideBySide(book, jobs, work, stop).run()
        else:
            _one_after_another(book, work, stop)
        stopped = stop()
    found = outcome.table(book)
    write_text(book.path.with_suffix(".csv"), outcome.csv_text(book, found))
    write_text(book.path.with_suffix(".md"), outcome.markdown(book, found) + pooled.markdown(book, found))
    cases = pooled.csv_text(book, found)
    if cases:
        write_text(book.path.with_name(f"{book.name}-cases.csv"), cases)
    for each in book.trainings:
        if each.status == FINISHED:
            print(book.run(each), flush=True)
    show(book, found)
    if stopped and book.open:
        print(f"interrupted; continue with: specc train --resume {book.path.with_suffix('')}", file=sys.stderr)
        return 130
    return 1 if book.open else 0


def _one_after_another(book: SweepBook, work: Work, stop: Callable[[], bool]) -> None:
    places = book.open
    for count, at in enumerate(places, 1):
        if stop():
            return
        print(f"[{count}/{len(places)}] {book.trainings[at].name}", file=sys.stderr)

        def begun(run: str, at: int = at) -> None:
            book.mark(at, run=run, status=RUNNING, message="")

        with Shown() as shown:
            status, message = attempt(book, at, work, shown.report, stop, begun)
        book.mark(at, status=status, message=message)
        if message:
            print(f"failed: {message}", file=sys.stderr)


# ------------------------------------------------------------------------------------------------- in the terminal
def show(book: SweepBook, found: Table) -> None:
    """The table to stderr, as wide as the terminal, or 80 columns."""
    console = Console(stderr=True, highlight=False)
    for each in book.trainings:
        if each.status == FAILED:
            console.print(f"failed: {each.name}: {each.message}", markup=False, soft_wrap=True)
    if any(point.outcomes for point in found.points):
        console.print(_points(book, found) if book.keys else _folds(found.points[0]))
        for title, rows in pooled.tables(found.points[0]) if not book.keys else ():
            for grid in _cases(title, rows):
                console.print(grid)
    console.print(outcome.verdict(book, found), markup=False, soft_wrap=True)
    together = " and -cases.csv" if any(map(pooled.groups, found.points)) else ""
    console.print(f"in full: {book.path.with_suffix('.md')} and .csv{together}", markup=False, soft_wrap=True)


def _points(book: SweepBook, found: Table) -> Grid:
    """A row per point: what is swept, the figure that chooses, and the same of the test part."""
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False)
    grid.add_column("")
    for key in book.keys:
        grid.add_column(key, overflow="fold")
    test = f"test.{found.watched.removeprefix('validation.')}"
    columns = [each for each in dict.fromkeys((found.watched, test)) if each in found.columns] or found.columns[:2]
    for name in columns:
        grid.add_column(name, justify="right", overflow="fold")
    grid.add_column("runs", justify="right", overflow="fold")
    for point in found.points:
        runs = _run_names([each.run for each in point.trainings if each.run])
        cells = [spread(point.values(name)) or "-" for name in columns]
        mark = "*" if point.number == found.best else ""
        grid.add_row(mark, *point.settings.values(), *cells, runs, style="bold" if mark else None)
    return grid


def _folds(point: Point) -> Grid:
    """A row per figure: every fold where 80 columns hold them, and mean and deviation; counts that are 0 in all are left out."""
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    grid.add_column("", no_wrap=True)
    names = dict.fromkeys(name for each in point.outcomes for name in each.figures)
    fit = max(map(len, names)) + FOLD * len(point.outcomes) + MEAN <= WIDTH
    shown = point.outcomes if fit else ()
    for each in shown:
        grid.add_column(f"fold {each.training.fold}", justify="right")
    for name in () if shown else ("lowest", "highest"):
        grid.add_column(name, justify="right")
    grid.add_column("mean ± deviation", justify="right", no_wrap=True)
    measures = {name for each in point.outcomes for name in each.measures}
    for name in names:
        values = point.values(name)
        figure = name.partition(".")[2]
        if not any(values) and figure != "loss" and figure not in measures:
            continue  # a count of nothing
        cells = [each.figures.get(name) for each in shown] or [min(values), max(values)]
        texts = ["-" if each is None else number(each) for each in cells]
        grid.add_row(name, *texts, spread(values), style="bold" if name.startswith("test.") else None)
    return grid


def _cases(title: str, rows: Sequence[Sequence[str]]) -> Iterator[Grid]:
    """The test samples of every fold and of all, so many metrics side by side as 80 columns hold."""
    head, *body = rows
    for start in range(2, len(head), MOST_METRICS):
        shown = [0, 1, *range(start, min(start + MOST_METRICS, len(head)))]
        text = ", ".join(filter(None, ["test samples, mean ± deviation", title]))
        grid = Grid(
            box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, title=text, title_justify="left", title_style=""
        )
        for at in shown:
            grid.add_column(head[at], justify="right" if at else "left", no_wrap=True)
        for row in body:
            grid.add_row(*(row[at] for at in shown), style="bold" if row[0] == pooled.ALL else None)
        yield grid


def _run_names(runs: Sequence[str]) -> str:
    """`3-7` for runs in a row."""
    numbers = sorted(map(int, runs))
    if len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]}-{numbers[-1]}"
    return ", ".join(map(str, numbers))
