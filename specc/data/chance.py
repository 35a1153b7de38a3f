"""Chance for data that are made: numbers from numpy's raw bit stream and a seed alone, so the same on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Chance:
    """A stream of numbers; `stream` tells those of one seed apart that are for different things."""

    def __init__(self, seed: int, *stream: int) -> None:
        import numpy as np

        self.bits = np.random.PCG64(np.random.SeedSequence((seed, *stream)))

    def uniform(self, *shape: int) -> Array:
        """Between 0 and 1, neither of them."""
        import numpy as np

        raw = self.bits.random_raw(int(np.prod(shape)))
        found: Array = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        return found.reshape(shape)

    def normal(self, *shape: int) -> Array:
        """Normal of mean 0 and deviation 1, by Box and Muller (1958)."""
        import numpy as np

        found: Array = np.sqrt(-2 * np.log(self.uniform(*shape))) * np.cos(2 * np.pi * self.uniform(*shape))
        return found
