"""The network's answers to the test part: tables and curves over all samples, and some samples in whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

import numpy as np

from specc.train.report import chart
from specc.train.report.confusion import confusion, named
from specc.train.report.drawn import masks, numbers, seen
from specc.train.report.markup import Content, Html, paragraph, percent, table
from specc.train.showing import POINTS, Example, Shown

MISTAKES, RIGHT = 12, 12  # samples of a class each that are shown
MASKS = 6
ERRORS = 10  # rows of the largest errors
COLUMNS = 8  # columns of a table that are shown beside an answer


def overview(shown: Shown, classes: Sequence[str]) -> Html:
    """All samples at a glance."""
    if shown.confusion:
        beside = _roc(shown, named(2, classes)[1]) if shown.yes else ""
        return Html(f"<div class=row>{confusion(shown.confusion, named(len(shown.confusion), classes))}{beside}</div>")
    if not shown.pairs:
        return Html("")
    dots = chart.scatter(shown.pairs, "output against target") + chart.residuals(shown.pairs, "what is missed")
    said = f"The first {POINTS:,} numbers." if len(shown.pairs) >= POINTS else ""
    return Html(f"<div class=row>{dots}</div>{paragraph(said, 'soft') if said else ''}")


def chosen(shown: Shown) -> list[int]:
    """The places of the samples that are shown in whole: the worst first, then some of the others, spread evenly."""
    if shown.kind == "class":
        pairs = list(zip(shown.right, shown.answered, strict=True))
        wrong = sorted((at for at, (right, said) in enumerate(pairs) if right != said), key=lambda at: -shown.sure[at])
        right = [at for at, (right, said) in enumerate(pairs) if right == said]
        return [*wrong[:MISTAKES], *chart.thinned(right, RIGHT)]
    order = sorted(range(len(shown.scores)), key=lambda at: (math.isnan(shown.scores[at]), shown.scores[at]))
    if shown.kind == "real":
        return order[:ERRORS]
    return list(chart.thinned(order, MASKS))


def gallery(
    shown: Shown, found: Sequence[Example], classes: Sequence[str], names: Sequence[str], columns: Sequence[str]
) -> Html:
    """The samples that were chosen; `names` are those of all samples, `columns` those of a table."""
    if not found:
        return Html("")
    if shown.kind == "class":
        return _of_classes(shown, found, classes, names, columns)
    if shown.kind == "classes":
        return _of_masks(shown, found, classes, names)
    if shown.kind == "image":
        cards = [
            numbers(each, _title(names, shown, each), f"mean error {-shown.scores[each.at]:.4g}") for each in found
        ]
        return Html(f"<h3>Samples, the worst first</h3><div class=row>{''.join(cards)}</div>")
    return _of_errors(shown, found, names, columns)


def _title(names: Sequence[str], shown: Shown, each: Example) -> str:
    return str(names[int(shown.indices[each.at])])


def _of_classes(
    shown: Shown, found: Sequence[Example], classes: Sequence[str], names: Sequence[str], columns: Sequence[str]
) -> Html:
    called = named(len(shown.confusion), classes)
    wrong = sum(right != said for right, said in zip(shown.right, shown.answered, strict=True))
    total = len(shown.right)
    sure = "probability" if shown.probable else "score"
    line = f"{wrong:,} of {total:,} answers are wrong; those the network was surest of come first." if wrong else (
        f"All {total:,} answers are right; some of them."
    )  # fmt: skip
    head = f"<h3>Samples</h3>{paragraph(line, 'soft')}"
    if _tabular(found, columns):
        rows: list[list[Content]] = []
        for each in found:
            right, said = (called[here[each.at]] for here in (shown.right, shown.answered))
            mark = Html("") if right == said else Html("<span class=failed>wrong</span>")
            rows.append([_title(names, shown, each), right, said, mark, Html(_sure(shown, each.at)), *_values(each)])
        titles = ["sample", "right class", "answer", "", sure, *columns[:COLUMNS]]
        return Html(head + table(titles, rows, words=4))
    cards = ""
    for each in found:
        right, said = (called[here[each.at]] for here in (shown.right, shown.answered))
        fits = shown.right[each.at] == shown.answered[each.at]
        text = Html(
            f"<b>{escape(said)}</b> {_sure(shown, each.at)}<br>" + (escape("right") if fits else f"is {escape(right)}")
        )
        title = _title(names, shown, each)
        cards += (
            f'<div class="card{"" if fits else " no"}" title="sample {escape(title)}">{seen(each.inputs)}{text}</div>'
        )
    return Html(f"{head}<div class=row>{cards}</div>")


def _sure(shown: Shown, at: int) -> str:
    return escape(percent(shown.sure[at])) if shown.probable else f"{shown.sure[at]:.3g}"


def _tabular(found: Sequence[Example], columns: Sequence[str]) -> bool:
    """Whether the samples are rows of a table, with a name for each number."""
    only = [next(iter(each.inputs.values())) for each in found if len(each.inputs) == 1]
    return len(only) == len(found) and all(each.shape == (len(columns),) for each in only)


def _values(each: Example) -> list[Content]:
    return [float(value) for value in next(iter(each.inputs.values()))[:COLUMNS]]


def _of_masks(shown: Shown, found: Sequence[Example], classes: Sequence[str], names: Sequence[str]) -> Html:
    called = named(len(shown.confusion), classes)
    empty = sum(math.isnan(each) for each in shown.scores)
    known = [each for each in shown.scores if not math.isnan(each)]
    spread = (
        f"Dice of a sample: mean {np.mean(known):.3f}, from {min(known):.3f} to {max(known):.3f}. " if known else ""
    )
    nothing = f"In {empty} samples there is nothing and nothing was found; they have none. " if empty else ""
    channels = max(one.shape[0] for one in found[0].inputs.values())
    first = f" Of {channels} channels the first is drawn." if channels not in (1, 3) else ""
    line = f"{spread}{nothing}It is the mean over all classes but {called[0]} that are there or were found.{first}"
    cards = "".join(masks(each, _title(names, shown, each), shown.scores[each.at], called) for each in found)
    return Html(f"<h3>Samples, from the worst to the best</h3>{paragraph(line, 'soft')}<div class=row>{cards}</div>")


def _of_errors(shown: Shown, found: Sequence[Example], names: Sequence[str], columns: Sequence[str]) -> Html:
    single = all(each.target.size == 1 for each in found)
    shows = columns[:COLUMNS] if _tabular(found, columns) else ()
    rows: list[list[Content]] = []
    for each in found:
        both: list[Content] = [float(each.target.item()), float(each.answer.item())] if single else []
        values = _values(each) if shows else []
        rows.append([_title(names, shown, each), *both, -shown.scores[each.at], *values])
    titles = ["sample", *(("target", "output") if single else ()), "error" if single else "mean error", *shows]
    drawn = "" if shows or not single else _drawings(found, names, shown)
    return Html(f"<h3>The largest errors</h3>{table(titles, rows)}{drawn}")


def _drawings(found: Sequence[Example], names: Sequence[str], shown: Shown) -> str:
    """The inputs behind the largest errors, where they can be drawn."""
    cards = [(seen(each.inputs), _title(names, shown, each)) for each in found]
    return (
        "<div class=row>"
        + "".join(f"<div class=card>{drawn}{escape(name)}</div>" for drawn, name in cards if drawn)
        + "</div>"
    )


def _roc(shown: Shown, yes: str) -> Html:
    points = roc_points(shown.yes, shown.right)
    if not points:
        return Html("")
    return chart.roc(points, f"ROC for {yes}, area {area(points):.4f}")


def roc_points(scores: Sequence[float], right: Sequence[int]) -> list[tuple[float, float]]:
    """The share of false alarms and of hits at each threshold, from the strictest on; none where a class is missing."""
    order = sorted((each for each in zip(scores, right, strict=True) if each[1] in (0, 1)), key=lambda each: -each[0])
    yes = sum(each for _, each in order)
    no = len(order) - yes
    if not yes or not no:
        return []
    points, hits, alarms = [(0.0, 0.0)], 0, 0
    for at, (score, truth) in enumerate(order):
        hits, alarms = hits + truth, alarms + 1 - truth
        if at + 1 == len(order) or order[at + 1][0] != score:
            points.append((alarms / no, hits / yes))
    return points


def area(points: Sequence[tuple[float, float]]) -> float:
    """The area under these points, joined by straight lines."""
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
