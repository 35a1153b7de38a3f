"""What every split goes through before the network, and the exported file too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from specc.catalogue.arguments import KeywordOnly, Kind, Real, Window, choice, either, items, real, whole
from specc.catalogue.entry import Misfit
from specc.catalogue.setting import Interval, PrepareSetting, Shape

_Figures = Annotated[Any, Kind("a number or a list of numbers", either(real(), items(real(), 1)))]
_pair = items(whole(0), 2, 2)
_Amounts = Annotated[
    Any,
    Kind(
        "a whole number from 0 on, or a list with a number or [before, after] per axis",
        either(whole(0), items(either(whole(0), _pair), 1, 3)),
    ),
]


class Scale(PrepareSetting):
    """Map an interval onto another: `scale(from=[0, 255], to=[0, 1])`."""

    name = "scale"
    runs = "specc.data.prepare:Scale"

    _: KeywordOnly
    from_: Interval = (0, 255)
    """The interval the data have."""
    to: Interval = (0, 1)
    """The interval the network gets."""

    def refusals(self) -> Iterable[Misfit]:
        low, high = getattr(self, "from")
        if low == high:
            yield Misfit(
                "bad-argument", f"there is nothing between {low} and {high}", "give two bounds", argument="from"
            )

    def keywords(self) -> Mapping[str, Any]:
        return {"source": getattr(self, "from"), "onto": self.to}


class Normalize(PrepareSetting):
    """(x - mean) / std, by given figures or by those of the training inputs."""

    name = "normalize"
    runs = "specc.data.prepare:Normalize"

    _: KeywordOnly
    mean: _Figures = ()
    """The mean, one for all or one per channel."""
    std: _Figures = ()
    """The standard deviation, one for all or one per channel."""
    per: Annotated[str, choice("channel", "feature", "volume", "all")] = "channel"
    """What has a mean and a deviation of its own: each entry of the first axis, of the last, each channel of every
    single sample, or the whole."""

    def refusals(self) -> Iterable[Misfit]:
        if self.per == "volume" and (self.mean or self.std):
            message = "`normalize(per=volume)` takes each sample's own mean and deviation, not given ones"
            yield Misfit("bad-argument", message, "leave `mean=` and `std=` out, or `per=`", argument="per")
        mean, std = _listed(self.mean), _listed(self.std)
        if len(mean) != len(std):
            message = f"`normalize` needs as many means as standard deviations, not {len(mean)} and {len(std)}"
            yield Misfit("bad-argument", message, "normalize(mean=…, std=…)", argument="std" if std else "mean")
        if any(each <= 0 for each in std):
            yield Misfit("bad-argument", "a standard deviation is above 0", argument="std")

    def keywords(self) -> Mapping[str, Any]:
        return {"per": self.per, "mean": _listed(self.mean), "std": _listed(self.std)}


class Resize(PrepareSetting):
    """Bring the axes after the channels to a size, linearly along each."""

    name = "resize"
    runs = "specc.data.prepare:Resize"

    size: Window
    """One number for all axes, or one each."""

    def keywords(self) -> Mapping[str, Any]:
        return {"size": _listed(self.size)}

    def gives(self, shape: Shape) -> Shape:
        size = _listed(self.size)
        _fits(self.name, size, shape, "size")
        return shape[:1] + (size * (len(shape) - 1) if len(size) == 1 else size)


class CropInput(PrepareSetting):
    """Keep the middle of the axes after the channels; where an odd number falls away, one more at the end."""

    name = "crop"
    runs = "specc.data.prepare:Crop"

    size: Window
    """One number for all axes, or one each."""

    def keywords(self) -> Mapping[str, Any]:
        return {"size": _listed(self.size)}

    def gives(self, shape: Shape) -> Shape:
        size = _listed(self.size)
        _fits(self.name, size, shape, "size")
        size = size * (len(shape) - 1) if len(size) == 1 else size
        for have, want in zip(shape[1:], size, strict=True):
            if have is not None and have < want:
                raise Misfit("data-shape", f"`{self.name}` keeps {want} entries of an axis that has {have}")
        return shape[:1] + size


class PadInput(PrepareSetting):
    """Add entries of a value around the axes after the channels."""

    name = "pad"
    runs = "specc.data.prepare:Pad"

    widths: _Amounts
    """One number for all sides, or one or [before, after] per axis."""
    _: KeywordOnly
    value: Real = 0
    """What is added."""

    @property
    def sides(self) -> tuple[tuple[int, int], ...]:
        return tuple((each, each) if isinstance(each, int) else each for each in _listed(self.widths))

    def keywords(self) -> Mapping[str, Any]:
        before, after = zip(*self.sides, strict=True)
        return {"before": before, "after": after, "value": float(self.value)}

    def gives(self, shape: Shape) -> Shape:
        sides = self.sides
        _fits(self.name, sides, shape, "widths")
        sides = sides * (len(shape) - 1) if len(sides) == 1 else sides
        grown = (None if n is None else n + before + after for n, (before, after) in zip(shape[1:], sides, strict=True))
        return (*shape[:1], *grown)


def _listed(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _fits(name: str, given: tuple[Any, ...], shape: Shape, argument: str) -> None:
    if len(shape) < 2:
        raise Misfit("data-shape", f"`{name}` works on the axes after the channels; the data's input has none")
    if len(given) not in (1, len(shape) - 1):
        message = f"`{name}` is given {len(given)} axes; the data's input has {len(shape) - 1} after the channels"
        raise Misfit("data-shape", message, argument=argument)
