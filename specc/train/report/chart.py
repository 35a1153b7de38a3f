"""Drawings of the report: curves over epochs and outputs against targets, as SVG that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

Point = tuple[float, float]

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 36
COLOURS = {"train": "#1f6feb", "validation": "#d9480f", "test": "#2b8a3e"}
OTHERS = ("#862e9c", "#2b8a3e", "#0b7285", "#5c940d")
TICKS = 5


def curves(title: str, lines: Mapping[str, Sequence[Point]], best: float) -> str:
    """Lines by name over the epochs with a legend, and a mark at the best epoch; "" for fewer than two epochs.

    A name such as `validation.loss` is shown as its part of the data, whose colour is the same in all drawings.
    """
    kept = {name: [each for each in points if math.isfinite(each[1])] for name, points in lines.items()}
    every = [each for points in kept.values() for each in points]
    if len({x for x, _ in every}) < 2:
        return ""
    frame = Frame(every, whole=True)
    shown = {name.partition(".")[0]: points for name, points in kept.items()}
    colours = {name: COLOURS.get(name, OTHERS[at % len(OTHERS)]) for at, name in enumerate(shown)}
    drawn = "".join(
        f'<polyline class=line stroke="{colours[name]}" points="{frame.path(points)}"/>'
        for name, points in shown.items()
    )
    legend = "".join(f'<span><i style="background:{colours[name]}"></i>{escape(name)}</span>' for name in shown)
    if frame.left <= best <= frame.right:
        across = frame.at((best, frame.low))[0]
        drawn += f'<line class=best x1="{across:.1f}" x2="{across:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        legend += f"<span><i class=dashed></i>best, epoch {best:.0f}</span>"
    head = f"<figcaption><b>{escape(title)}</b><span class=legend>{legend}</span></figcaption>"
    return f"<figure>{head}{frame.drawing(drawn, 'epoch')}</figure>"


def scatter(pairs: Sequence[Point]) -> str:
    """A dot per pair of target (across) and output (upwards); on the line both are the same."""
    finite = [each for each in pairs if all(map(math.isfinite, each))]
    if not finite:
        return ""
    frame = Frame([*finite, *((y, x) for x, y in finite)])
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in map(frame.at, finite))
    diagonal = f'<polyline class=axis points="{frame.path([(frame.left, frame.left), (frame.right, frame.right)])}"/>'
    return f"<figure>{frame.drawing(diagonal + dots, 'target')}</figure>"


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

    def drawing(self, inside: str, across: str) -> str:
        """The whole drawing; `across` names the axis from left to right."""
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
        return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">{grid}{axis}{inside}{label}</svg>'


def spelled(value: float) -> str:
    """A mark of an axis; what only rounding keeps from 0 is 0."""
    return "0" if abs(value) < 1e-12 else f"{value:,.6g}"
