"""Other brightness, contrast and colours of training samples, in torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from specc.data.prepare import Affine, Prepared
from specc.train.augment import Samples, Tensor, Units


@dataclass(frozen=True, slots=True)
class Jitter:
    """Other brightness and contrast, in the units of the prepared input; other colours, in those of the data."""

    brightness: float
    contrast: float
    saturation: float = 0
    hue: float = 0

    def apply(self, batch: Samples) -> Samples:
        shift = batch.uniform(-self.brightness, self.brightness)
        factor = batch.uniform(1 - self.contrast, 1 + self.contrast)
        inputs = {name: _lit(each, shift, factor) for name, each in batch.floats().items()}
        if self.saturation or self.hue:
            strength = batch.uniform(1 - self.saturation, 1 + self.saturation)
            turn = batch.uniform(-self.hue, self.hue)
            for name in batch.spatial:
                a, b = (each.to(inputs[name]) for each in batch.units[name])
                colours = coloured((inputs[name] - b) / a, strength, turn)
                inputs[name] = colours * a + b
        return replace(batch, inputs=batch.inputs | inputs)


def _lit(x: Tensor, shift: Tensor, factor: Tensor) -> Tensor:
    by, to = (_each(one, x) for one in (factor, shift))
    mean = torch.stack([each.mean(tuple(range(1, each.dim())) or 0, keepdim=True) for each in x])
    return (x - mean) * by + mean + to


def _each(numbers: Tensor, x: Tensor) -> Tensor:
    """A number per sample, to go with a batch."""
    return numbers.to(x).view(-1, *[1] * (x.dim() - 1))


def coloured(x: Tensor, strength: Tensor, turn: Tensor) -> Tensor:
    """Pictures [batch, red green blue, …] in 0..1: farther from grey by a factor, then turned by a share of the circle.

    Grey has the weights of ITU-R 601; the circle is that of hue, saturation and value. What leaves 0..1 is cut off.
    """
    weights = x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, *[1] * (x.dim() - 2))
    grey = (x * weights).sum(1, keepdim=True)
    x = (grey + (x - grey) * _each(strength, x)).clamp(0, 1)
    value, least = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    spread = value - least
    red, green, blue = x.unbind(1)
    which = x.argmax(1)
    safe = torch.where(spread > 0, spread, 1)[:, 0]
    sixth = torch.where(
        which == 0, (green - blue) / safe, torch.where(which == 1, (blue - red) / safe + 2, (red - green) / safe + 4)
    )
    hue = (sixth / 6 + _each(turn, sixth)) % 1 * 6
    # Each colour falls and rises along the circle (Smith 1978), a third of it after the one before.
    place = (hue[:, None] + x.new_tensor([5.0, 3.0, 1.0]).view(1, 3, *[1] * (x.dim() - 2))) % 6
    return value - spread * torch.minimum(place, 4 - place).clamp(0, 1)


def units(prepared: Prepared | None, channels: int) -> Units:
    """What the steps of `prepare` did to each of the channels, as a factor and a shift; sizes do not matter."""
    a, b = torch.ones(channels), torch.zeros(channels)
    steps: Sequence[Any] = prepared.steps if prepared is not None else ()
    for step in steps:
        if isinstance(step, Affine) and (len(step.a) == 1 or step.axis == 0):
            a, b = a * torch.tensor(step.a), b * torch.tensor(step.a) + torch.tensor(step.b)
    rank = prepared.rank if prepared is not None else 3
    shape = (1, channels, *[1] * (rank - 1))
    return a.view(shape), b.view(shape)
