"""What is changed at random in the training samples alone, the same in a picture and its mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from specc.catalogue.arguments import (
    AXES,
    AxisList,
    Count,
    KeywordOnly,
    Kind,
    NonNegative,
    PositiveReal,
    Window,
    either,
    items,
    literal,
    real,
    whole,
)
from specc.catalogue.axes import position
from specc.catalogue.entry import Misfit
from specc.catalogue.setting import Setting, Shape

_Share = Annotated[float, Kind("a number from 0 to 1", real(ge=0, le=1))]
_axis = either(whole(), literal(*AXES))
_Plane = Annotated[Any, Kind("a list of two axes", items(_axis, 2, 2), AXES)]
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
    """Turn about the middle, in a plane; what comes in from outside is 0."""

    name = "rotate"
    runs = "specc.train.augment:Affine"
    moves, axes_least = True, 2

    degrees: NonNegative
    """The largest angle, either way."""
    _: KeywordOnly
    axes: _Plane = ("height", "width")
    """The plane: two axes, by name or by number."""

    def gives(self, shape: Shape) -> Shape:
        return _in_plane(self, self.axes, super().gives(shape))


class AffineAtRandom(Augmentation):
    """Turn, scale, shear and shift, each by a random amount; what comes in from outside is 0."""

    name = "affine"
    runs = "specc.train.augment:Affine"
    moves, axes_least = True, 2

    _: KeywordOnly
    degrees: NonNegative = 0
    """The largest angle, either way, in the plane of `axes`."""
    scale: _Scales = (1, 1)
    """The smallest and the largest factor; 2 shows things twice as large."""
    shear: NonNegative = 0
    """The largest angle, in degrees, by which the first of `axes` leans along the second."""
    shift: _Share = 0
    """The largest shift along each axis, as a share of its size."""
    axes: _Plane = ("height", "width")
    """The plane of turns and shears: two axes, by name or by number."""

    def gives(self, shape: Shape) -> Shape:
        return _in_plane(self, self.axes, super().gives(shape))

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
    """Other brightness and contrast: `(x - mean) * factor + mean + shift`, the mean over each channel; and other colours.

    Colours are changed as the data have them, red, green and blue from 0 to 1: what `scale` and `normalize` of `prepare`
    did to each channel is undone before and done again.
    """

    name = "jitter"
    runs = "specc.train.colours:Jitter"

    _: KeywordOnly
    brightness: NonNegative = 0.1
    """The largest shift, either way, in the units of the prepared input."""
    contrast: _Share = 0.1
    """How far the factor is from 1 at most."""
    saturation: _Share = 0
    """How far the factor on the distance from grey is from 1 at most."""
    hue: _Share = 0
    """The largest turn of the circle of colours, either way, as a share of it."""

    @property
    def colours(self) -> bool:
        return bool(self.saturation or self.hue)

    def refusals(self) -> Iterable[Misfit]:
        if self.hue > 0.5:
            yield Misfit("bad-argument", "half of the circle, 0.5, is the largest turn either way", argument="hue")

    def gives(self, shape: Shape) -> Shape:
        if self.colours and (len(shape) < 2 or shape[0] not in (3, None)):
            channels = shape[0] if shape else 0
            message = f"`saturation` and `hue` need 3 channels, red, green and blue; the data's input has {channels}"
            raise Misfit("data-shape", message, argument="saturation" if self.saturation else "hue")
        return super().gives(shape)


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

    The share of the sample is drawn from Beta(alpha, alpha). Classes, of samples or of positions, become shares of
    classes, which `cross_entropy` takes.
    """

    name = "mixup"
    runs = "specc.train.augment:Mixup"
    blends = True

    alpha: PositiveReal
    """How evenly: 0.2 leaves most samples nearly as they are, 1 takes every share alike."""


def _in_plane(step: Augmentation, axes: tuple[int | str, ...], shape: Shape) -> Shape:
    """The same shape; raises Misfit where it has no such two axes besides the channels."""
    at = [position(axis, len(shape), "axes") for axis in axes]
    if 0 in at or at[0] == at[1]:
        raise Misfit("data-shape", f"`{step.name}` turns in a plane of two axes after the channels", argument="axes")
    return shape


def _axes(number: int) -> str:
    return "an axis" if number == 1 else f"{number} axes"
