"""Arrays as pictures of the page: PNG inside the page, at most so large, small ones shown with visible pixels."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from specc.train.report.markup import Html

Array = NDArray[Any]

MOST = 128  # pixels along the longer side
LEAST = 96  # smaller ones are shown larger, by a whole factor
SHADE = 0.55  # how much of a colour lies over a picture
NO_CLASS = (128, 128, 128)
PALETTE = (
    (230, 57, 70), (29, 130, 217), (255, 183, 3), (46, 160, 67), (163, 92, 214), (0, 180, 190), (247, 127, 0),
    (214, 68, 143), (120, 144, 156), (148, 104, 55),
)  # fmt: skip


def grey(plane: Array, low: float | None = None, high: float | None = None) -> Array:
    """Numbers [H, W] as bytes: from `low`, black, to `high`, white; what is said of neither lies in 0..1 or in its own
    range, without the outermost half percents."""
    plane = np.nan_to_num(np.asarray(plane, np.float64))
    if low is None or high is None:
        low, high = bounds(plane)
    share = np.clip((plane - low) / (high - low), 0, 1) if high > low else plane * 0
    found: Array = (share * 255).round().astype(np.uint8)
    return found


def bounds(values: Array) -> tuple[float, float]:
    """What is shown as black and as white."""
    if not values.size:
        return 0.0, 1.0
    least, most = float(values.min()), float(values.max())
    if least >= 0 and most <= 1 and most > 0.5:
        return 0.0, 1.0
    low, high = (float(each) for each in np.percentile(values, (0.5, 99.5)))
    return (low, high) if high > low else (least, most)


def coloured(picture: Array) -> Array:
    """A picture [channels, H, W] as bytes [H, W, 3]: three channels are red, green and blue, of others it is the first."""
    picture = np.nan_to_num(np.asarray(picture, np.float64))
    low, high = bounds(picture if len(picture) == 3 else picture[:1])
    planes = [grey(each, low, high) for each in (picture if len(picture) == 3 else picture[:1])]
    return np.stack(planes * (1 if len(planes) == 3 else 3), axis=-1)


def signed(plane: Array, most: float) -> Array:
    """Numbers from -most to most as bytes [H, W, 3]: blue below 0, white there, red above."""
    share = np.clip(np.nan_to_num(np.asarray(plane, np.float64)) / (most or 1.0), -1, 1)[..., None]
    up, down = np.array([178, 24, 43.0]), np.array([33, 102, 172.0])
    mixed: Array = 247 + np.where(share > 0, share * (up - 247), -share * (down - 247))
    return mixed.round().astype(np.uint8)


def overlaid(picture: Array, classes: Array) -> Array:
    """A picture [H, W, 3] under the colours of its classes [H, W]; class 0 lies open, what is of no class is grey."""
    found = picture.astype(np.float64)
    for each in np.unique(classes):
        if each:
            colour = colour_of(int(each))
            here = classes == each
            found[here] = (1 - SHADE) * found[here] + SHADE * np.array(colour, np.float64)
    return found.round().astype(np.uint8)


def colour_of(number: int) -> tuple[int, int, int]:
    """The colour of a class from 1 on."""
    return NO_CLASS if number == 255 or number < 1 else PALETTE[(number - 1) % len(PALETTE)]


def image(pixels: Array, alt: str, least: int = LEAST, most: int = MOST) -> Html:
    """Bytes [H, W] or [H, W, 3] as an <img>; larger ones are made smaller by taking means."""
    from html import escape

    made = Image.fromarray(np.ascontiguousarray(pixels))
    longest = max(made.size)
    if longest > most:
        size = tuple(max(1, round(each * most / longest)) for each in made.size)
        made = made.resize((size[0], size[1]), Image.Resampling.BOX)
    factor = max(1, -(-least // max(made.size)))
    width, height = (each * factor for each in made.size)
    data = io.BytesIO()
    made.save(data, "PNG", optimize=True)
    text = base64.b64encode(data.getvalue()).decode("ascii")
    return Html(f'<img src="data:image/png;base64,{text}" width={width} height={height} alt="{escape(alt)}">')


def slices(volume: Array, lesion: Array | None) -> list[tuple[int, int]]:
    """An axis and a place on it for each axis of [D, H, W]: where the lesion is largest, else in the middle."""
    found = []
    for axis in range(volume.ndim):
        at = volume.shape[axis] // 2
        if lesion is not None and lesion.any():
            others = tuple(each for each in range(lesion.ndim) if each != axis)
            at = int(np.count_nonzero(lesion, axis=others).argmax())
        found.append((axis, at))
    return found


def planes(array: Array, at: Sequence[tuple[int, int]]) -> list[Array]:
    """The slices of [..., D, H, W] at these places."""
    return [np.take(array, place, axis=array.ndim - 3 + axis) for axis, place in at]
