"""Random changes of training samples, in torch: functions of the seed, the epoch and the sample, whatever the batch.

Every sample has a generator of its own, on the processor, so that the numbers are the same on every device and with
every size of batch. A picture and its mask are moved by the same numbers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from specc.catalogue.axes import position
from specc.data.named import implementation
from specc.data.sources import DataFacts, DataProblem
from specc.model.program import Program
from specc.model.readying import follows

Tensor = torch.Tensor
Units = tuple[Tensor, Tensor]  # what each channel was multiplied with, and what was added then
Indices = NDArray[np.int64]
Batch = tuple[dict[str, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Samples:
    """A batch on its way: all inputs, those with places to move, and the target if it lies on them.

    `lies` is "classes" or "image" for a target that goes along, "" for one that does not; `empty` is what a mask gets
    from outside. `chance` is a generator per sample, `units` what `prepare` did to each channel, by input.
    """

    inputs: dict[str, Tensor]
    spatial: tuple[str, ...]
    target: Tensor
    lies: str
    empty: int
    chance: tuple[torch.Generator, ...]
    units: Mapping[str, Units]

    @property
    def places(self) -> tuple[int, ...]:
        """The sizes of the axes after the channels."""
        return tuple(self.inputs[self.spatial[0]].shape[2:])

    def floats(self) -> dict[str, Tensor]:
        """The inputs of real numbers."""
        return {name: each for name, each in self.inputs.items() if each.is_floating_point()}

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Numbers between two bounds, [samples, *shape], each sample's from its own generator."""
        drawn = [torch.rand(shape, generator=each) for each in self.chance]
        return torch.stack(drawn) * (high - low) + low

    def moved(self, image: Callable[[Tensor], Tensor], mask: Callable[[Tensor], Tensor] | None = None) -> Samples:
        """Every spatial input through `image`, and the target too if it lies on them: classes through `mask`."""
        inputs = self.inputs | {name: image(self.inputs[name]) for name in self.spatial}
        target = self.target
        if self.lies == "image":
            target = image(target)
        elif self.lies == "classes":
            target = (mask or image)(target[:, None])[:, 0]
        return replace(self, inputs=inputs, target=target)

    def sampled(self, grid: Tensor) -> Samples:
        """Read every place at `grid`, [samples, *places, axes] from -1 to 1 with the last axis first (grid_sample)."""

        def image(x: Tensor) -> Tensor:
            return F.grid_sample(x, grid.to(x), mode="bilinear", padding_mode="zeros", align_corners=False)

        def mask(x: Tensor) -> Tensor:
            apart = (x - self.empty).to(torch.float32)
            found = F.grid_sample(apart, grid.to(apart), mode="nearest", padding_mode="zeros", align_corners=False)
            return found.round().to(x.dtype) + self.empty

        return self.moved(image, mask)


@dataclass(frozen=True, slots=True)
class Flip:
    """Turn axes around."""

    axes: Any
    share: float

    def apply(self, batch: Samples) -> Samples:
        rank = len(batch.places) + 1
        axes = self.axes if isinstance(self.axes, tuple) else (self.axes,)
        for axis in axes:
            at = position(axis, rank) + 1
            turned = torch.tensor([float(torch.rand((), generator=each)) < self.share for each in batch.chance])

            def flip(x: Tensor, at: int = at, turned: Tensor = turned) -> Tensor:
                which = turned.to(x.device).view(-1, *[1] * (x.dim() - 1))
                return torch.where(which, x.flip(at), x)

            batch = batch.moved(flip)
        return batch


@dataclass(frozen=True, slots=True)
class Crop:
    """A piece at a random place."""

    size: Any
    padding: int

    def apply(self, batch: Samples) -> Samples:
        places = batch.places
        size = self.size if isinstance(self.size, tuple) else (self.size,) * len(places)
        room = [have + 2 * self.padding - want for have, want in zip(places, size, strict=True)]
        if min(room) < 0:
            message = f"crop cuts out {list(size)} of a sample of {[each + 2 * self.padding for each in places]}"
            raise DataProblem(message, "take a smaller piece, or crop(…, padding=…)")
        starts = [[int(torch.randint(each + 1, (), generator=chance)) for each in room] for chance in batch.chance]

        def cut(x: Tensor, empty: float) -> Tensor:
            if self.padding:
                x = F.pad(x, [self.padding] * (2 * len(size)), value=empty)
            pieces = [
                one[(slice(None), *(slice(at, at + want) for at, want in zip(start, size, strict=True)))]
                for one, start in zip(x, starts, strict=True)
            ]
            return torch.stack(pieces)

        return batch.moved(lambda x: cut(x, 0), lambda x: cut(x, batch.empty))


@dataclass(frozen=True, slots=True)
class Affine:
    """Turn and shear in the plane of two axes, scale and shift along all."""

    degrees: float = 0
    scale: tuple[float, float] = (1, 1)
    shear: float = 0
    shift: float = 0
    axes: tuple[Any, Any] = ("height", "width")

    def apply(self, batch: Samples) -> Samples:
        places = batch.places
        count, axes = len(batch.chance), len(places)
        angle = batch.uniform(-self.degrees, self.degrees) * (math.pi / 180)
        factor = batch.uniform(*self.scale)
        lean = torch.tan(batch.uniform(-self.shear, self.shear) * (math.pi / 180))
        shift = batch.uniform(-self.shift, self.shift, axes) * 2
        # From where each place of the result is read; x, the last axis, comes first.
        turn = torch.eye(axes).repeat(count, 1, 1)
        cos, sin = torch.cos(angle), torch.sin(angle)
        y, x = (axes - position(each, axes + 1) for each in self.axes)
        turn[:, x, x], turn[:, x, y], turn[:, y, x], turn[:, y, y] = cos, lean * cos + sin, -sin, cos - lean * sin
        # A turn is one of places, not of shares of the axes, which may differ in size.
        sizes = torch.tensor([float(each) for each in reversed(places)])
        turn = turn / factor[:, None, None] * sizes[None, None, :] / sizes[None, :, None]
        grid = _still(places)[None].expand(count, *places, axes) - shift.view(count, *[1] * axes, axes)
        # Sums number by number: a product of matrices may be rounded otherwise in a larger batch.
        read = [
            sum(grid[..., other] * turn[:, axis, other].view(-1, *[1] * axes) for other in range(axes))
            for axis in range(axes)
        ]
        return batch.sampled(torch.stack([torch.as_tensor(each) for each in read], dim=-1))


@dataclass(frozen=True, slots=True)
class Elastic:
    """Every place moves by a smooth field."""

    alpha: float
    sigma: float

    def apply(self, batch: Samples) -> Samples:
        places = batch.places
        axes = len(places)
        fields = list(batch.uniform(-1, 1, axes, *places))
        for axis in range(axes):
            fields = [_smoothed(each, axis + 1, self.sigma) for each in fields]
        sizes = torch.tensor([float(each) for each in reversed(places)])
        return batch.sampled(_still(places) + torch.stack(fields).movedim(1, -1) * self.alpha * 2 / sizes)


def _still(places: tuple[int, ...]) -> Tensor:
    """Where every place is, [*places, axes] from -1 to 1, the last axis first."""
    along = [(torch.arange(each, dtype=torch.float32) * 2 + 1) / each - 1 for each in places]
    return torch.stack(list(reversed(torch.meshgrid(*along, indexing="ij"))), dim=-1)


def _smoothed(x: Tensor, axis: int, sigma: float) -> Tensor:
    """A Gaussian along one axis, up to three deviations away; what is outside counts as 0."""
    reach = max(1, math.ceil(3 * sigma))
    at = torch.arange(x.shape[axis], dtype=torch.float32)
    apart = at[:, None] - at[None]
    weights = torch.exp(-0.5 * (apart / sigma) ** 2) * (apart.abs() <= reach)
    whole = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2).sum()
    return (x.movedim(axis, -1) @ (weights / whole)).movedim(-1, axis)


@dataclass(frozen=True, slots=True)
class Noise:
    """Normal noise."""

    std: float

    def apply(self, batch: Samples) -> Samples:
        found = {}
        for name, x in batch.floats().items():
            drawn = [torch.randn(x.shape[1:], generator=each) for each in batch.chance]
            found[name] = x + torch.stack(drawn).to(x) * self.std
        return replace(batch, inputs=batch.inputs | found)


@dataclass(frozen=True, slots=True)
class Cutout:
    """A piece set to 0."""

    size: Any

    def apply(self, batch: Samples) -> Samples:
        places = batch.places
        size = self.size if isinstance(self.size, tuple) else (self.size,) * len(places)
        kept = torch.ones(len(batch.chance), 1, *places)
        for at, chance in enumerate(batch.chance):
            middle = [int(torch.randint(each, (), generator=chance)) for each in places]
            starts = [each - want // 2 for each, want in zip(middle, size, strict=True)]
            piece = tuple(slice(max(0, start), start + want) for start, want in zip(starts, size, strict=True))
            kept[at, 0][piece] = 0
        inputs = {name: batch.inputs[name] * kept.to(batch.inputs[name]) for name in batch.spatial}
        return replace(batch, inputs=batch.inputs | inputs)


@dataclass(frozen=True, slots=True)
class Mixup:
    """Each sample with another one."""

    alpha: float

    def share(self, chance: torch.Generator) -> float:
        """A number from Beta(alpha, alpha)."""
        one, other = self._gamma(chance), self._gamma(chance)
        return one / (one + other) if one + other > 0 else 0.5

    def _gamma(self, chance: torch.Generator) -> float:
        """A number from Gamma(alpha), by Marsaglia and Tsang (2000)."""
        small = self.alpha < 1
        d = self.alpha + small - 1 / 3
        while True:
            x = float(torch.randn((), generator=chance, dtype=torch.float64))
            u = float(torch.rand((), generator=chance, dtype=torch.float64))
            v = (1 + x / math.sqrt(9 * d)) ** 3
            if v > 0 and u > 0 and math.log(u) < 0.5 * x * x + d - d * v + d * math.log(v):
                break
        if not small:
            return d * v
        return float(d * v * float(torch.rand((), generator=chance, dtype=torch.float64)) ** (1 / self.alpha))


class Augmenter:
    """The steps of `augment` on batches of the training part. `read` gives the prepared samples of these indices.

    `classes` is how many there are, where the target is a class, of samples or of positions.
    """

    def __init__(
        self,
        program: Program,
        facts: DataFacts,
        pairs: dict[str, str],
        train: Indices,
        read: Callable[[Indices], Batch],
        units: Mapping[str, Units],
        classes: int | None,
    ) -> None:
        self.steps = [implementation(each.entry.runs)(**each.entry.keywords()) for each in program.augment]
        self.seed, self.train, self.read, self.count = program.seed, train, read, facts.count
        self.units = units
        self.classes = classes
        on = follows(facts)
        self.lies = facts.target if on else ""
        self.on = next((name for name, given in pairs.items() if given == on), "")
        ignored = [getattr(each.loss.entry, "ignore", None) for each in program.terms if each.loss is not None]
        self.empty = next((each for each in ignored if each is not None), 0)

    def batch(self, indices: Indices, epoch: int) -> Batch:
        """The inputs by name and the target of these samples, as they are in an epoch."""
        return self._run(indices, epoch, len(self.steps))

    def _run(self, indices: Indices, epoch: int, steps: int) -> Batch:
        inputs, target = self.read(indices)
        count = self.count
        chance = tuple(generator(self.seed, epoch, int(each) % count, int(each) // count) for each in indices)
        batch = Samples(inputs, self._spatial(inputs), target, self.lies, self.empty, chance, self.units)
        for at, step in enumerate(self.steps[:steps]):
            batch = self._mixed(batch, step, epoch, at) if isinstance(step, Mixup) else step.apply(batch)
        return batch.inputs, batch.target

    def _spatial(self, inputs: dict[str, Tensor]) -> tuple[str, ...]:
        """The inputs of real numbers that have the same places as the one that the target lies on, or as the first."""
        floats = {name: each for name, each in inputs.items() if each.is_floating_point() and each.dim() > 2}
        first = self.on or next(iter(floats), "")
        return tuple(name for name, each in floats.items() if each.shape[2:] == floats[first].shape[2:])

    def _mixed(self, batch: Samples, step: Mixup, epoch: int, at: int) -> Samples:
        """Each sample with another one, which went through the same steps."""
        share = torch.tensor([step.share(each) for each in batch.chance])
        others = np.array([int(torch.randint(len(self.train), (), generator=each)) for each in batch.chance])
        inputs, target = self._run(self.train[others], epoch, at)
        own = batch.target
        if self.classes is not None:
            own, target = (
                each if each.is_floating_point() else F.one_hot(each, self.classes).movedim(-1, 1)
                for each in (own, target)
            )

        def blend(one: Tensor, other: Tensor) -> Tensor:
            by = share.to(other.device).view(-1, *[1] * (one.dim() - 1)).float()
            return one.float() * by + other.float() * (1 - by)

        mixed = {name: blend(each, inputs[name]) for name, each in batch.floats().items()}
        return replace(batch, inputs=batch.inputs | mixed, target=blend(own, target))


def generator(seed: int, epoch: int, sample: int, again: int = 0) -> torch.Generator:
    """The generator of a sample in an epoch, another one each time that it is drawn `again`."""
    text = (f"{seed}/augment/{epoch}/{sample}" + (f"/{again}" if again else "")).encode()
    number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1
    return torch.Generator().manual_seed(number)
