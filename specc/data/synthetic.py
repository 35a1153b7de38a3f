"""Made-up samples: functions of a seed alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.data.chance import Chance
from specc.data.sources import DataFacts, Dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Points in the plane and beyond (`blobs`, `rings`, `xor`, `line`), or pictures with their masks (`shapes`).

    Example:
        Synthetic("rings", classes=3).describe().input_shapes  ->  {"features": (2,)}
    """

    kind: str
    count: int = 1000
    features: int = 2
    classes: int = 2
    noise: float = 0.1
    size: int = 32
    seed: int = 0

    def describe(self) -> DataFacts:
        if self.kind == "shapes":
            names = ("nothing", "square", "disc")
            shape = (1, self.size, self.size)
            return DataFacts({"image": shape}, {"image": "float32"}, "classes", shape[1:], 3, names, self.count)
        inputs, dtypes = {"features": (self.features,)}, {"features": "float32"}
        if self.kind == "line":
            return DataFacts(inputs, dtypes, "real", (1,), None, (), self.count)
        classes = 2 if self.kind == "xor" else self.classes
        return DataFacts(inputs, dtypes, "class", (), classes, tuple(map(str, range(classes))), self.count)

    def load(self) -> Dataset:
        from specc.data.memory import MemoryDataset, finite

        make = {
            "blobs": self._blobs,
            "rings": self._rings,
            "xor": self._xor,
            "line": self._line,
            "shapes": self._shapes,
        }
        chance = Chance(self.seed, 4)
        x, target = make[self.kind](chance)
        facts = self.describe()
        (name,) = facts.input_shapes
        x = x + chance.normal(*x.shape) * self.noise if self.kind != "line" else x
        target = target.astype("float32" if facts.target == "real" else "int64")
        return MemoryDataset(facts, {name: finite(name, x.astype("float32"), Path(self.kind))}, target)

    def _blobs(self, chance: Chance) -> tuple[Array, Array]:
        middles = chance.uniform(self.classes, self.features) * 4 - 2
        kinds = self._kinds(self.classes)
        return middles[kinds], kinds

    def _rings(self, chance: Chance) -> tuple[Array, Array]:
        import numpy as np

        kinds = self._kinds(self.classes)
        angle = chance.uniform(self.count) * 2 * np.pi
        x = np.zeros((self.count, self.features))
        x[:, 0], x[:, 1] = (kinds + 1) * np.cos(angle), (kinds + 1) * np.sin(angle)
        return x, kinds

    def _xor(self, chance: Chance) -> tuple[Array, Array]:
        import numpy as np

        corner = self._kinds(4)
        x = np.zeros((self.count, self.features))
        x[:, 0], x[:, 1] = corner // 2, corner % 2
        return x, (corner // 2) ^ (corner % 2)

    def _line(self, chance: Chance) -> tuple[Array, Array]:
        x = chance.normal(self.count, self.features)
        weights = chance.uniform(self.features) * 4 - 2
        return x, (x * weights).sum(axis=1, keepdims=True) + 0.5 + chance.normal(self.count, 1) * self.noise

    def _shapes(self, chance: Chance) -> tuple[Array, Array]:
        import numpy as np

        kinds = self._kinds(2) + 1
        reach = self.size * (0.15 + 0.1 * chance.uniform(self.count, 1, 1))
        middle = reach[..., 0] + chance.uniform(self.count, 2) * (self.size - 1 - 2 * reach[..., 0])
        rows, columns = (np.abs(np.arange(self.size) - middle[:, at : at + 1]) for at in (0, 1))
        y, x = rows[:, :, None], columns[:, None, :]
        inside = np.where(kinds[:, None, None] == 1, np.maximum(y, x) <= reach, y * y + x * x <= reach * reach)
        return inside[:, None].astype(np.float64), inside * kinds[:, None, None]

    def _kinds(self, number: int) -> Array:
        import numpy as np

        return np.arange(self.count) % number
