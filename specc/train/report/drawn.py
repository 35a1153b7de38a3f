"""Samples as drawings: an input by its axes, a mask over its picture, an answer beside its target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from specc.train.report import chart
from specc.train.report.markup import Html
from specc.train.report.picture import Array, colour_of, coloured, grey, image, overlaid, planes, signed, slices
from specc.train.showing import Example

NUMBERS = 24  # whole numbers of a sequence that are written out
STRIP = 10  # pixels that a strip is high
CELLS = 64  # places of a strip before it is made shorter


def seen(inputs: Mapping[str, Array]) -> Html:
    """The inputs of a sample, each as its axes suggest."""
    return Html("".join(drawn(each, name) for name, each in inputs.items()))


def drawn(array: Array, name: str) -> Html:
    """[C, H, W] as a picture, [C, D, H, W] as the middle slices, [C, L] and [F] as lines, whole numbers as text."""
    if array.dtype.kind in "iub" and array.ndim <= 2:
        flat = array.ravel()
        more = " …" if flat.size > NUMBERS else ""
        return Html(f"<code>{escape(' '.join(map(str, flat[:NUMBERS].tolist())))}{more}</code><br>")
    if array.ndim == 3:
        return image(coloured(array), name)
    if array.ndim == 4:
        views = [image(coloured(each), name) for each in planes(array, slices(array[0], None))]
        return Html(f"<div class=row>{''.join(views)}</div>")
    if array.ndim in (1, 2):
        return chart.lines(np.atleast_2d(array).astype(np.float64).tolist())
    return Html(f"<code>{' x '.join(map(str, array.shape))}</code><br>")


def masks(each: Example, name: str, score: float, classes: Sequence[str]) -> Html:
    """A sample with a class per position: what goes in, the truth and the answer over it."""
    said = f"Dice {score:.3f}" if not math.isnan(score) else "nothing there, nothing found"
    title = f"<div><b>{escape(name)}</b> {said}</div>"
    picture = next((one for one in each.inputs.values() if one.shape[1:] == each.target.shape and one.ndim >= 3), None)
    if picture is None or each.target.ndim not in (2, 3):
        return Html(f"<div class=card>{title}{_strips(each)}{_legend(each, classes)}</div>")
    rows = ""
    for view, truth, answer, place in _views(picture, each.target, each.answer):
        under = coloured(view)
        rows += "<div class=row>" + "".join(
            f"<figure>{image(pixels, alt)}<figcaption>{alt}</figcaption></figure>"
            for pixels, alt in ((under, f"input{place}"), (overlaid(under, truth), "truth"), (overlaid(under, answer), "answer"))
        ) + "</div>"  # fmt: skip
    return Html(f"<div class=card>{title}{rows}{_legend(each, classes)}</div>")


def numbers(each: Example, name: str, said: str) -> Html:
    """A sample whose target is a picture of numbers: what goes in, the target and the answer on one scale."""
    drawings = "".join(
        f"<figure>{drawing}<figcaption>{alt}</figcaption></figure>"
        for drawing, alt in ((seen(each.inputs), "input"), *((drawn(one, alt), alt) for one, alt in _both(each)))
    )
    return Html(f"<div class=card><div><b>{escape(name)}</b> {said}</div><div class=row>{drawings}</div></div>")


def filters(weight: Array, most: int) -> Html:
    """The filters [out, in, ...] of a layer: in colour where three channels go in, else the first channel of each, blue
    below 0 and red above; of a volume the middle slice, along one axis as lines."""
    largest = float(np.abs(weight).max()) if weight.size else 1.0
    found = []
    for at, each in enumerate(weight[:most]):
        alt = f"filter {at}"
        if each.ndim == 2:
            found.append(chart.lines(each.astype(np.float64).tolist(), 90, 50))
            continue
        plane = each if each.ndim == 3 else each[:, each.shape[1] // 2]
        pixels = (
            np.stack([grey(one, -largest, largest) for one in plane], -1)
            if len(plane) == 3
            else signed(plane[0], largest)
        )
        found.append(image(pixels, alt, least=56))
    return Html(f"<div class=maps>{''.join(found)}</div>")


def maps(array: Array, most: int) -> Html:
    """The maps [channels, ...] that a layer gives, each on its own scale; of a volume the middle slice."""
    if array.ndim == 2:
        return Html(
            f"<div class=maps>{''.join(chart.lines([each.astype(np.float64).tolist()], 110, 50) for each in array[:most])}</div>"
        )
    shown = [each if each.ndim == 2 else each[each.shape[0] // 2] for each in array[:most]]
    return Html(
        f"<div class=maps>{''.join(image(grey(each), f'map {at}', least=64) for at, each in enumerate(shown))}</div>"
    )


def _both(each: Example) -> list[tuple[Array, str]]:
    return [(each.target, "target"), (each.answer.reshape(each.target.shape), "answer")]


def _views(picture: Array, target: Array, answer: Array) -> list[tuple[Array, Array, Array, str]]:
    """The picture [C, H, W] with both masks, and where it lies; of a volume the slice with most of the lesion along each axis."""
    if target.ndim == 2:
        return [(picture, target, answer, "")]
    lesion = (target > 0) & (target != 255)
    at = slices(target, lesion if lesion.any() else answer > 0)
    places = [f", slice {place} of axis {axis}" for axis, place in at]
    return list(zip(planes(picture, at), planes(target, at), planes(answer, at), places, strict=True))


def _strips(each: Example) -> Html:
    """Classes along one axis as two strips of colour under the input."""
    found = str(seen(each.inputs))
    for classes, alt in ((each.target, "truth"), (each.answer, "answer")):
        row = classes.reshape(-1)
        pixels = np.array([colour_of(int(one)) if one else (235, 237, 240) for one in row], np.uint8)
        strip = np.repeat(pixels[None], max(1, STRIP * len(row) // CELLS // 2), axis=0)
        found += f"<figure>{image(strip, alt, least=150)}<figcaption>{alt}</figcaption></figure>"
    return Html(found)


def _legend(each: Example, classes: Sequence[str]) -> Html:
    """The colours that occur."""
    present = sorted({int(one) for part in (each.target, each.answer) for one in np.unique(part)} - {0})
    keys = ""
    for number in present:
        name = classes[number] if 0 <= number < len(classes) else "of no class"
        red, green, blue = colour_of(number if 0 <= number < len(classes) else 255)
        keys += f'<span><i class=square style="background:rgb({red} {green} {blue})"></i>{escape(name)}</span>'
    return Html(f"<div class=legend>{keys}</div>" if keys else "")
