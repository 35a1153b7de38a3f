"""The figures of a run on its page: those of the test part at its head, and how all of them went over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specc.model.program import POST
from specc.train.report import chart
from specc.train.report.markup import Html, folded, html, number, percent, table

COUNTS = ("missed", "empty")  # what a figure may count beside itself; 0 is no news
Rows = Sequence[Mapping[str, float]]


def tiles(results: Mapping[str, float]) -> Html:
    """A tile a figure, the loss last; in it what post-processing made of it, and what it had to leave out or make up."""
    found = ""
    for name in sorted(results, key=lambda each: each == "loss"):
        if _is_post(name) or _is_count(name):
            continue
        more = []
        if name + POST in results:
            more.append(f"{_figure(name, results[name + POST])} post-processed")
        for count in (f"{name}.{each}" for each in COUNTS):
            if results.get(count):
                more.append(f"{number(results[count])} {count.rpartition('.')[2]}")
        said = "".join(f"<span>{html(each)}</span>" for each in (f"test {name}", *more))
        found += f"<div><b>{html(_figure(name, results[name]))}</b>{said}</div>"
    if not found:
        return Html("")
    rest = any(_is_post(name) or _is_count(name) for name in results)
    rows = [(name, Html(html(_figure(name, value)))) for name, value in results.items()]
    every = folded("All figures of the test part", table((), rows)) if rest else ""
    return Html(f"<div class=tiles>{found}</div>{every}")


def curves(rows: Rows, best: int) -> Html:
    """A drawing per figure, post-processed or not, and one of the learning rate where it changes."""
    names = [each for each in (rows[0] if rows else ()) if each not in ("epoch", "rate")]
    kinds: dict[str, tuple[dict[str, list[chart.Point]], dict[str, list[chart.Point]]]] = {}
    for name in names:
        part, _, kind = name.partition(".")
        points = [(row["epoch"], row[name]) for row in rows]
        if not _is_count(kind) or any(value for _, value in points):
            lines = kinds.setdefault(_plain(kind), ({}, {}))[_is_post(kind)]
            lines[part] = points
    found = "".join(chart.curves(kind, lines, best, after) for kind, (lines, after) in kinds.items())
    if len({row["rate"] for row in rows}) > 1:
        found += chart.curves("learning rate", {"rate": [(row["epoch"], row["rate"]) for row in rows]}, best)
    return Html(f"<div class=row>{found}</div>" if found else "")


def _figure(name: str, value: float) -> str:
    """A figure; a share of right answers as a percentage."""
    share = name == "accuracy" or name.startswith("top")
    return percent(value) if share else number(value)


def _is_post(kind: str) -> bool:
    return POST[1:] in kind.split(".")[1:]


def _is_count(kind: str) -> bool:
    return "." in kind and kind.rpartition(".")[2] in COUNTS


def _plain(kind: str) -> str:
    """The figure of which this one is the post-processed one, or itself."""
    first, *others = kind.split(".")
    return ".".join([first, *(each for each in others if each != POST[1:])])
