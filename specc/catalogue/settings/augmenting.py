"""What is changed at random in the training samples alone, the same in a picture and its mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from specc.catalogue.arguments import (
    AxisList,
    Count,
    KeywordOnly,
    Kind,
    NonNegative,
    PositiveReal,
    Window,
    items,
    real,
)
from specc.catalogue.axes import position
from specc.catalogue.entry import Misfit
from specc.catalogue.setting import Setting, Shape

_Share = Annotated[float, Kind("a number from 0 to 1", real(ge=0, le=1))]
_Scales = Annotated[Any, Kind("a list of two numbers above 0", items(real(gt=0), 2, 2))]


class Augmentation(Setting):
    """A random change. It depends on the seed, the epoch and the sample alone, and comes after `prepare`.

    `moves` says that it moves places, so that a mask goes along; it then needs `axes_least` axes after the channels.
    `blends` says that it mixes samples with their targets.
    """

    role = "augment"
    moves = False
    axes_least = 0
    blends = False

    def keywords(self) -> Mapping[str, Any]:
        """The arguments of the implementation."""
        return {name: getattr(self, name) for name in self.fields}

    def gives(self, shape: Shape) -> Shape:
        """The shape of an input after it; raises Misfit where it has no such axes."""
        if len(shape) - 1 < self.axes_least:
            have = len(shape) - 1
            message = f"`{self.name}` works on {_axes(self.axes_least)} after the channels; the data's input has {have}"
            raise Misfit("data-shape", message)
        return shape


class Flip(Augmentation):
    """Turn an axis around, half of the time; several axes by themselves."""

    name = "flip"
    runs = "specc.train.augment:Flip"
    moves, axes_least = True, 1

    _: KeywordOnly
    axes: AxisList = "width"
    """The axes, by name or by number."""
    share: _Share = 0.5
    """How often each is turned around."""

    def gives(self, shape: Shape) -> Shape:
        for axis in self.axes if isinstance(self.axes, tuple) else (self.axes,):
            if position(axis, len(shape), "axes") == 0:
                raise Misfit("data-shape", f"`{self.name}` does not turn the channels around", argument="axes")
        return super().gives(shape)


class CropAtRandom(Augmentation):
    """Cut out a piece of a size at a random place (Krizhevsky et al. 2012)."""

    name = "crop"
    runs = "specc.train.augment:Crop"
    moves, axes_least = True, 1

    size: Window
    """One number for all axes after the channels, or one each."""
    _: KeywordOnly
    padding: Count = 0
    """What is added on every side before: zeros, in a mask what the loss ignores, else 0."""

    def gives(self, shape: Shape) -> Shape:
        shape = super().gives(shape)
        size = self.size if isinstance(self.size, tuple) else (self.size,) * (len(shape) - 1)
        if len(size) != len(shape) - 1:
            message = (
                f"`{self.name}` is given {len(size)} axes; the data's input has {len(shape) - 1} after the channels"
            )
            raise Misfit("data-shape", message, argument="size")
        for have, want in zip(shape[1:], size, strict=True):
            if have is not None and have + 2 * self.padding < want:
                message = f"`{self.name}` cuts out {want} entries of an axis that has {have + 2 * self.padding}"
                raise Misfit("data-shape", message, argument="size")
        return shape[:1] + size


class Rotate(Augmentation):
    """Turn about the middle, in the plane of height and width; what comes in from outside is 0."""

    name = "rotate"
    runs = "specc.train.augment:Affine"
    moves, axes_least = True, 2

    degrees: NonNegative
    """The largest angle, either way."""

    def keywords(self) -> Mapping[str, Any]:
        return {"degrees": self.degrees}


class AffineAtRandom(Augmentation):
    """Turn, scale, shear and shift, each by a random amount; what comes in from outside is 0."""

    name = "affine"
    runs = "specc.train.augment:Affine"
    moves, axes_least = True, 2

    _: KeywordOnly
    degrees: NonNegative = 0
    """The largest angle, either way, in the plane of height and width."""
    scale: _Scales = (1, 1)
    """The smallest and the largest factor; 2 shows things twice as large."""
    shear: NonNegative = 0
    """The largest angle, in degrees, by which height leans along width."""
    shift: _Share = 0
    """The largest shift along each axis, as a share of its size."""

    def refusals(self) -> Iterable[Misfit]:
        if self.scale[0] > self.scale[1]:
            yield Misfit("bad-argument", "the smallest factor comes first", argument="scale")
        if self.shear >= 90:
            yield Misfit("bad-argument", "a shear is below 90 degrees", argument="shear")


class Elastic(Augmentation):
    """Move every place by a smooth random field (Simard, Steinkraus and Platt 2003)."""

    name = "elastic"
    runs = "specc.train.augment:Elastic"
    moves, axes_least = True, 2

    _: KeywordOnly
    alpha: NonNegative = 30
    """How far: what a field of random numbers from -1 to 1 is multiplied with after it was smoothed, in places."""
    sigma: PositiveReal = 4
    """How smooth: the deviation of the Gaussian, in places."""


class Jitter(Augmentation):
    """Other brightness and contrast: `(x - mean) * factor + mean + shift`, the mean over each channel."""

    name = "jitter"
    runs = "specc.train.augment:Jitter"

    _: KeywordOnly
    brightness: NonNegative = 0.1
    """The largest shift, either way, in the units of the prepared input."""
    contrast: _Share = 0.1
    """How far the factor is from 1 at most."""


class NoiseAtRandom(Augmentation):
    """Add normal noise to every number."""

    name = "noise"
    runs = "specc.train.augment:Noise"

    std: NonNegative
    """Its standard deviation, in the units of the prepared input."""


class Cutout(Augmentation):
    """Set a piece to 0 whose middle is anywhere in the picture (DeVries and Taylor 2017); a mask stays as it is."""

    name = "cutout"
    runs = "specc.train.augment:Cutout"
    axes_least = 1

    size: Window
    """One number for all axes after the channels, or one each."""

    def gives(self, shape: Shape) -> Shape:
        if isinstance(self.size, tuple) and len(self.size) != len(shape) - 1:
            message = f"`{self.name}` is given {len(self.size)} axes; the data's input has {len(shape) - 1} after the channels"
            raise Misfit("data-shape", message, argument="size")
        return super().gives(shape)


class Mixup(Augmentation):
    """Mix each sample and its target with another of the training part (Zhang et al. 2018).

    The share of the sample is drawn from Beta(alpha, alpha). Classes become shares of classes, which `cross_entropy` takes.
    """

    name = "mixup"
    runs = "specc.train.augment:Mixup"
    blends = True

    alpha: PositiveReal
    """How evenly: 0.2 leaves most samples nearly as they are, 1 takes every share alike."""


def _axes(number: int) -> str:
    return "an axis" if number == 1 else f"{number} axes"
