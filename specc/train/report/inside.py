"""The first layers: their filters, and what they make of one sample."""

from __future__ import annotations

from collections.abc import Sequence

from specc.train.report.drawn import filters, maps
from specc.train.report.markup import Html, html, paragraph
from specc.train.showing import Layer

FILTERS, MAPS = 32, 16


def inside(layers: Sequence[Layer], sample: str) -> Html:
    """The filters of the first layer, and the maps of the first few."""
    if not layers:
        return Html("")
    first = layers[0]
    sizes = " x ".join(map(str, first.weight.shape))
    colour = "in the colours of their three channels" if first.weight.shape[1] == 3 and first.weight.ndim == 4 else (
        "blue below 0, red above" + ("; of each the first channel" if first.weight.shape[1] > 1 else "")
    )  # fmt: skip
    if first.weight.ndim == 3:
        colour = "along their axis, a line a channel"
    text = _title(first, f"filters, {sizes}", len(first.weight), FILTERS)
    found = f"{text}{paragraph(colour, 'soft')}{filters(first.weight, FILTERS)}"
    for each in layers:
        if each.maps[0].size < 2:  # nothing to see
            continue
        what = f"what it makes of sample {sample}, {' x '.join(map(str, each.maps.shape))}"
        found += f"{_title(each, what, len(each.maps), MAPS)}{maps(each.maps, MAPS)}"
    return Html(found)


def _title(layer: Layer, what: str, count: int, most: int) -> str:
    cut = f"; the first {most} of {count}" if count > most else ""
    return f"<h3><code>{html(layer.path)}</code> <span class=soft>{html(f'{layer.op}: {what}{cut}')}</span></h3>"
