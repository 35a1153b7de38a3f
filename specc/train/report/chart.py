"""Drawings of the report: curves, dots, steps and bars, as SVG that needs nothing else and takes the page's colours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TypeVar

from specc.train.report.markup import Html

Point = tuple[float, float]
T = TypeVar("T")

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 36
KINDS = {"train": "k0", "validation": "k1", "test": "k2"}
COLOURS = 6
TICKS = 5
MOST = 400  # points of a line that are drawn
NAMED = 120  # points up to which each says its numbers under the mouse


def curves(
    title: str, lines: Mapping[str, Sequence[Point]], best: float, after: Mapping[str, Sequence[Point]] | None = None
) -> Html:
    """Lines by part of the data over the epochs with a legend, and a mark at the best epoch; "" for fewer than two epochs.

    A part has the same colour in all drawings. `after` are those after post-processing, which are dashed.
    """
    shown = [(name, name, "", points) for name, points in lines.items()]
    shown += [(name, f"{name}, post-processed", " after", points) for name, points in (after or {}).items()]
    kept = [[each for each in points if math.isfinite(each[1])] for *_, points in shown]
    every = [each for points in kept for each in points]
    if len({x for x, _ in every}) < 2:
        return Html("")
    frame = Frame(every, whole=True)
    drawn, legend = "", ""
    for at, ((name, said, kind, _), points) in enumerate(zip(shown, kept, strict=True)):
        colour = KINDS.get(name, f"k{(at + 3) % COLOURS}") + kind
        drawn += _line(frame, said, points, colour)
        legend += f'<span><i class="{colour}"></i>{escape(said)}</span>'
    if frame.left <= best <= frame.right:
        across = frame.at((best, frame.low))[0]
        drawn = f'<line class=best x1="{across:.1f}" x2="{across:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>' + drawn
        legend += f"<span><i class=dashed></i>best, epoch {best:.0f}</span>"
    return _figure(title, legend, frame.drawing(drawn, "epoch"))


def scatter(pairs: Sequence[Point], title: str = "") -> Html:
    """A dot per pair of target (across) and output (upwards); on the line both are the same."""
    finite = [each for each in pairs if all(map(math.isfinite, each))]
    if not finite:
        return Html("")
    frame = Frame([*finite, *((y, x) for x, y in finite)])
    diagonal = f'<polyline class=axis points="{frame.path([(frame.left, frame.left), (frame.right, frame.right)])}"/>'
    return _figure(title, "", frame.drawing(diagonal + _dots(frame, finite), "target", "output"))


def residuals(pairs: Sequence[Point], title: str = "") -> Html:
    """A dot per pair of output (across) and target - output (upwards): a network that misses nothing leaves no shape."""
    found = [(output, target - output) for target, output in pairs]
    finite = [each for each in found if all(map(math.isfinite, each))]
    if not finite:
        return Html("")
    frame = Frame([*finite, (finite[0][0], 0.0)])
    level = f'<polyline class=axis points="{frame.path([(frame.left, 0.0), (frame.right, 0.0)])}"/>'
    return _figure(title, "", frame.drawing(level + _dots(frame, finite), "output", "target - output"))


def roc(points: Sequence[Point], title: str) -> Html:
    """The line from (0, 0) to (1, 1) over the share of false alarms (across), against that of hits (upwards)."""
    frame = Frame([(0.0, 0.0), (1.0, 1.0)])
    diagonal = f'<polyline class=best points="{frame.path([(0.0, 0.0), (1.0, 1.0)])}" fill="none"/>'
    line = f'<polyline class="line k0" points="{frame.path(thinned(points))}"/>'
    return _figure(title, "", frame.drawing(diagonal + line, "false alarms", "hits"))


def lines(values: Sequence[Sequence[float]], width: int = 150, height: int = 60) -> Html:
    """Small curves over their places, without axes: a signal of several channels, a filter along one axis."""
    kept = [[each for each in enumerate(line) if math.isfinite(each[1])] for line in values[:COLOURS]]
    every = [y for line in kept for _, y in line]
    if not every:
        return Html("")
    low, high = min(every), max(every)
    longest = max(len(line) for line in values)
    drawn = ""
    for at, line in enumerate(kept):
        spots = (
            (2 + x / max(longest - 1, 1) * (width - 4), height - 3 - (y - low) / ((high - low) or 1) * (height - 6))
            for x, y in thinned(line)
        )
        drawn += f'<polyline class="line k{at}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in spots)}"/>'
    return Html(f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img">{drawn}</svg>')


def thinned(points: Sequence[T], most: int = MOST) -> Sequence[T]:
    """At most so many points, spread evenly, the first and the last among them."""
    if len(points) <= most:
        return points
    step = (len(points) - 1) / (most - 1)
    return [points[round(at * step)] for at in range(most)]


def ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Round numbers from `low` to `high`, about five of them."""
    width = (high - low) / TICKS
    if not width > 0 or not math.isfinite(width):
        return [low]
    power = 10.0 ** math.floor(math.log10(width))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= width * (1 - 1e-9))
    if whole:
        step = max(1.0, math.ceil(step))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [at * step for at in range(first, last + 1)]


class Frame:
    """Axes with round numbers around points; the upward one starts and ends at a round number too."""

    def __init__(self, points: Sequence[Point], whole: bool = False) -> None:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        self.left, self.right, self.whole = min(xs), max(xs), whole
        low, high = min(ys), max(ys)
        if low == high:
            low, high = low - (abs(low) / 10 or 1.0), high + (abs(high) / 10 or 1.0)
        marks = ticks(low, high)
        step = marks[1] - marks[0] if len(marks) > 1 else (abs(low) or 1.0) / 2
        self.low = math.floor(low / step + 1e-9) * step
        self.high = max(math.ceil(high / step - 1e-9) * step, self.low + step)

    def at(self, point: Point) -> Point:
        """Where a point lies in the drawing."""
        across = (point[0] - self.left) / ((self.right - self.left) or 1)
        up = (point[1] - self.low) / (self.high - self.low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - BOTTOM - TOP)

    def path(self, points: Iterable[Point]) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, points))

    def drawing(self, inside: str, across: str, upwards: str = "") -> Html:
        """The whole drawing; `across` names the axis from left to right, `upwards` the other one."""
        floor = HEIGHT - BOTTOM
        grid = ""
        for value in ticks(self.low, self.high):
            y = self.at((self.left, value))[1]
            grid += f'<line class=grid x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            grid += f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{spelled(value)}</text>'
        for value in ticks(self.left, self.right, self.whole):
            x = self.at((value, self.low))[0]
            grid += f'<text x="{x:.1f}" y="{floor + 15}" text-anchor="middle">{spelled(value)}</text>'
        axis = f'<line class=axis x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{floor}" y2="{floor}"/>'
        label = f'<text x="{(LEFT + WIDTH - RIGHT) // 2}" y="{HEIGHT - 4}" text-anchor="middle">{across}</text>'
        if upwards:
            middle = (floor + TOP) // 2
            label += f'<text transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">{upwards}</text>'
        return Html(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">{grid}{axis}{inside}{label}</svg>')


def spelled(value: float) -> str:
    """A mark of an axis; what only rounding keeps from 0 is 0."""
    return "0" if abs(value) < 1e-12 else f"{value:,.6g}"


def _line(frame: Frame, name: str, points: Sequence[Point], colour: str) -> str:
    """A curve, whose points say their numbers under the mouse."""
    drawn = f'<polyline class="line {colour}" points="{frame.path(thinned(points))}"/>'
    if len(points) <= NAMED:
        for x, y in points:
            across, up = frame.at((x, y))
            said = f"{escape(name)}, epoch {x:.0f}: {y:.6g}"
            drawn += (
                f'<circle class="hit {colour}" cx="{across:.1f}" cy="{up:.1f}" r="4"><title>{said}</title></circle>'
            )
    return drawn


def _dots(frame: Frame, points: Sequence[Point]) -> str:
    return "".join(f'<circle class="dot k0" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in map(frame.at, points))


def _figure(title: str, legend: str, drawing: str) -> Html:
    named = f"<b>{escape(title)}</b>" if title else ""
    keys = f"<span class=legend>{legend}</span>" if legend else ""
    head = f"<figcaption class=top>{named}{keys}</figcaption>" if named or keys else ""
    return Html(f"<figure>{head}{drawing}</figure>")
