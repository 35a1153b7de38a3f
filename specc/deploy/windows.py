"""Sliding windows: what is too large for the network or the memory is predicted piece by piece and blended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import TYPE_CHECKING, Any, Final, Literal

from specc.deploy.runtime import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Run = Callable[["Array"], Mapping[str, "Array"]]
_SIGMA: Final = 0.125  # of the window's size, as nnU-Net (Isensee et al. 2021) and MONAI have it
_LEAST: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Window:
    """`size` along each axis after the channels; neighbours share `overlap` of it, from 0 to below 1.

    `blend` says how much the places of a window count where several overlap: all the same ("constant"), or the middle
    more than the rim ("gaussian").
    """

    size: tuple[int, ...]
    overlap: float = 0.5
    blend: Literal["gaussian", "constant"] = "gaussian"

    def __post_init__(self) -> None:
        if not self.size or any(each < 1 for each in self.size):
            raise BadInput(f"a window is 1 or more along each axis, not {list(self.size)}", "such as 96,96,96")
        if not 0 <= self.overlap < 1:
            raise BadInput(f"windows overlap by 0 or more and by less than 1, not {self.overlap:g}", "such as 0.5")

    def places(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Where windows begin in a sample with these axes after the channels; each axis holds one window or more."""
        return list(product(*(self._starts(n, size) for n, size in zip(shape, self.size, strict=True))))

    def weights(self) -> Array:
        """How much each place of a window counts, float32 of the window's size."""
        import numpy as np

        found = np.ones((), np.float32)
        if self.blend == "constant":
            return np.ones(self.size, np.float32)
        for size in self.size:
            x = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
            found = found[..., None] * np.exp(x**2 / np.float32(-2 * (_SIGMA * size) ** 2))
        least: Array = np.maximum(found, max(float(found.min()), _LEAST))
        return least

    def _starts(self, length: int, size: int) -> list[int]:
        """Every step of (1 - overlap) windows, the last moved back so that it ends where the axis does."""
        step = max(1, int(size * (1 - self.overlap))) if length > size else size
        count = 1 + max(0, ceil((length - size) / step))
        return [min(at * step, length - size) for at in range(count)]


def slide(
    run: Run, x: Array, window: Window, batch: int = 1, done: Callable[[int, int], None] | None = None
) -> dict[str, Array]:
    """What `run` makes of a sample [channels, *axes] window by window: each output [channels, *axes], float32.

    `run` takes [windows, channels, *size], `batch` windows at most, and gives maps of the same axes. A sample that is
    smaller than a window is surrounded with zeros, which are cut off again. `done` hears of the windows run and of all.

    Raises:
        BadInput: axes that do not fit, or an output that is no map of numbers.
    """
    import numpy as np

    rank = len(window.size)
    if x.ndim != rank + 1:
        axes = f"{x.ndim - 1} {'axis' if x.ndim == 2 else 'axes'}"
        raise BadInput(f"the window has {rank} sizes, and the input has {axes} after the channels", "give one for each")
    lacking = [max(0, size - n) for n, size in zip(x.shape[1:], window.size, strict=True)]
    sides = [(each // 2, each - each // 2) for each in lacking]
    padded = np.pad(x, [(0, 0), *sides])
    places, weights = window.places(padded.shape[1:]), window.weights()
    sums: dict[str, Array] = {}
    total = np.zeros(padded.shape[1:], np.float32)
    for at in range(0, len(places), batch):
        some = [_at(start, window.size) for start in places[at : at + batch]]
        made = run(np.stack([padded[(slice(None), *part)] for part in some]))
        for name, values in made.items():
            _check(name, values, window)
            if name not in sums:
                sums[name] = np.zeros((values.shape[1], *padded.shape[1:]), np.float32)
            for part, value in zip(some, values, strict=True):
                sums[name][(slice(None), *part)] += value * weights
        for part in some:
            total[part] += weights
        if done is not None:
            done(at + len(some), len(places))
    inner = tuple(slice(before, before + n) for (before, _), n in zip(sides, x.shape[1:], strict=True))
    return {name: np.ascontiguousarray((each / total)[(slice(None), *inner)]) for name, each in sums.items()}


def _at(start: tuple[int, ...], size: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(one, one + n) for one, n in zip(start, size, strict=True))


def _check(name: str, values: Array, window: Window) -> None:
    if values.shape[2:] != window.size:
        said = list(values.shape[1:])
        raise BadInput(
            f"`{name}` is {said} for a window of {list(window.size)}: it is no map that windows could make up"
        )
    if values.dtype.kind != "f":
        raise BadInput(
            f"`{name}` holds whole numbers, which cannot be blended", "export the numbers before the arg-max"
        )


def parsed(size: str, overlap: float, blend: Literal["gaussian", "constant"]) -> Window:
    """A window as the command line has it: `96,96,96`; one number stands for itself alone."""
    try:
        return Window(tuple(int(each) for each in size.split(",")), overlap, blend)
    except ValueError:
        raise BadInput(
            f"`--window {size}` is not of the form 96,96,96", "a size for each axis after the channels"
        ) from None
