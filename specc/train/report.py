"""report.html, curves, answers, settings and the verdict on one page that needs nothing else; the lines of the log."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from specc.train.evaluate import Shown
from specc.train.events import EpochDone, Event, Finished, Started
from specc.train.program import Code

WIDTH, HEIGHT, MARGIN = 560, 220, 44
COLOURS = ("#1f6feb", "#d9480f", "#2b8a3e", "#862e9c")
MOST_CLASSES = 40
GREY = 'fill="none" stroke="#adb5bd"'
ANSWERS = "<h2>Answers on the test part</h2>"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c1e21; }
h1 { margin-bottom: 0; } .verdict { font-size: 1.25rem; margin: .3rem 0 1.5rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; } td, th { padding: .15rem .6rem; text-align: right; }
th, td:first-child { text-align: left; } tr { border-bottom: 1px solid #e5e7eb; }
svg text { font-size: 11px; fill: #57606a; }
.table { overflow-x: auto; } .right { background: #d3f9d8; } .wrong { background: #ffe3e3; }
"""
REASONS = {
    "epochs": "all epochs are done",
    "early": "the watched figure no longer became better",
    "interrupted": "it was interrupted and can be resumed",
}


def page(
    code: Code,
    rows: Sequence[Mapping[str, float]],
    results: Mapping[str, float],
    shown: Shown | None,
    classes: Sequence[str],
    best_epoch: int,
    reason: str,
) -> str:
    """The whole page."""
    name = escape(code.model.name)
    names = list(rows[0]) if rows else []
    figures = [each for each in names if each not in ("epoch", "rate")]
    kinds = dict.fromkeys(each.partition(".")[2] for each in figures)
    curves = "".join(_curve(rows, [each for each in figures if each.partition(".")[2] == kind], kind) for kind in kinds)
    return (
        f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{name}</title><style>{STYLE}</style>\n"
        f"<h1>{name}</h1>\n<p class=verdict>{escape(_verdict(results, best_epoch, len(rows), reason))}</p>\n"
        f"{curves}\n{_answers(shown, classes)}\n<h2>Settings</h2>\n{_table(code.program.texts)}\n"
        f"<h2>Epochs</h2>\n{_epochs(names, rows)}\n</html>\n"
    )


def line(event: Event) -> str:
    """A line for the log; "" for what is not worth one."""
    if isinstance(event, Started):
        train, validation, test = event.parts
        samples = f"{train} samples train, {validation} validate, {test} test"
        done = f", continuing after epoch {event.done}" if event.done else ""
        size = f"{event.parameters:,} parameters on {event.device}"
        return f"{event.network}: {size}; {samples}; {event.epochs} epochs{done}"
    if isinstance(event, EpochDone):
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in event.row.items() if name != "epoch")
        return f"epoch {event.epoch}: {numbers}{' (best)' if event.best else ''}"
    if isinstance(event, Finished):
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in event.test.items())
        return f"ended: {REASONS[event.reason]}; {event.seconds:.1f} s; test: {numbers or 'not yet'}"
    return ""


def _verdict(results: Mapping[str, float], best_epoch: int, epochs: int, reason: str) -> str:
    if not results:
        return f"After {epochs} epochs {REASONS[reason]}; nothing was measured on a test part."
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in results.items() if name != "loss")
    figures = f"{numbers}, loss {results['loss']:.4g}" if numbers else f"loss {results['loss']:.4g}"
    return f"On the test part: {figures}; weights of epoch {best_epoch} of {epochs}; {REASONS[reason]}."


def _table(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(
        f"<tr><td>{escape(name)}<td style='text-align:left'><code>{escape(text)}</code>" for name, text in rows
    )
    return f"<table>{body}</table>"


def _epochs(names: Sequence[str], rows: Sequence[Mapping[str, float]]) -> str:
    head = "".join(f"<th>{escape(each)}" for each in names)
    body = "".join("<tr>" + "".join(f"<td>{row[name]:.6g}" for name in names) for row in rows)
    return f"<div class=table><table><tr>{head}{body}</table></div>"


def _answers(shown: Shown | None, classes: Sequence[str]) -> str:
    if shown is None:
        return ""
    if shown.confusion:
        return _confusion(shown.confusion, classes)
    return _scatter(shown.pairs) if shown.pairs else ""


def _confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    if len(counts) > MOST_CLASSES:
        return ""
    names = [classes[at] if at < len(classes) else str(at) for at in range(len(counts))]
    head = "".join(f"<th>{escape(each)}" for each in names)
    body = ""
    for at, row in enumerate(counts):
        cells = "".join(f"<td class={_shade(at == to, count)}>{count or ''}" for to, count in enumerate(row))
        body += f"<tr><th>{escape(names[at])}{cells}"
    table = f"<div class=table><table><tr><th>{head}{body}</table></div>"
    return f"{ANSWERS}<p>A row is the right class, a column the answer.</p>{table}"


def _shade(right: bool, count: int) -> str:
    return "" if not count else "right" if right else "wrong"


# ---------------------------------------------------------------------------------------------------- drawings
def _curve(rows: Sequence[Mapping[str, float]], names: Sequence[str], title: str) -> str:
    points = {name: [(row["epoch"], row[name]) for row in rows if math.isfinite(row[name])] for name in names}
    every = [each for line in points.values() for each in line]
    if len(every) < 2:
        return ""
    frame = _Frame(every)
    lines = "".join(
        f'<polyline fill="none" stroke="{COLOURS[at % len(COLOURS)]}" stroke-width="2" points="{frame.path(line)}"/>'
        f'<text x="{WIDTH - 120}" y="{16 + 14 * at}" style="fill:{COLOURS[at % len(COLOURS)]}">{escape(name)}</text>'
        for at, (name, line) in enumerate(points.items())
    )
    return f"<h2>{escape(title)}</h2>{frame.drawing(lines, 'epoch')}"


def _scatter(pairs: Sequence[tuple[float, float]]) -> str:
    frame = _Frame([*pairs, *((y, x) for x, y in pairs)])
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{COLOURS[0]}" fill-opacity=".6"/>'
        for x, y in map(frame.at, pairs)
    )
    low, high = frame.left, frame.right
    diagonal = f'<polyline {GREY} points="{frame.path([(low, low), (high, high)])}"/>'
    return f"{ANSWERS}<p>Across the target, upwards the output.</p>{frame.drawing(diagonal + dots, 'target')}"


class _Frame:
    """Axes around points."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        self.left, self.right = min(xs), max(xs)
        self.low, self.high = min(ys), max(ys)

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        across = (point[0] - self.left) / ((self.right - self.left) or 1)
        up = (point[1] - self.low) / ((self.high - self.low) or 1)
        return MARGIN + across * (WIDTH - MARGIN - 10), HEIGHT - 24 - up * (HEIGHT - 36)

    def path(self, points: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, points))

    def drawing(self, inside: str, across: str) -> str:
        ends = (
            f'<text x="0" y="16">{self.high:.3g}</text><text x="0" y="{HEIGHT - 24}">{self.low:.3g}</text>'
            f'<text x="{MARGIN}" y="{HEIGHT - 6}">{self.left:.4g}</text>'
            f'<text x="{WIDTH - 60}" y="{HEIGHT - 6}">{across} {self.right:.4g}</text>'
        )
        floor = HEIGHT - 20
        axes = f'<polyline {GREY} points="{MARGIN},8 {MARGIN},{floor} {WIDTH - 8},{floor}"/>'
        return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">{axes}{ends}{inside}</svg>'
