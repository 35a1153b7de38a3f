"""What every split goes through before the network: steps fitted on the training inputs, then fixed numbers.

Each fitted step is one that ONNX can hold: an affine map per channel or feature, a bilinear resize, a padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from specc.data.sources import DataProblem

Array = NDArray[Any]
Per = Literal["channel", "feature", "volume", "all"]


class Step(Protocol):
    """A step as the spec has it."""

    def fit(self, samples: Iterable[Array]) -> FittedStep:
        """The step with its numbers, learnt from samples without a batch axis; reads them once at most."""
        ...


class FittedStep(Protocol):
    """A step with its numbers: takes and gives float32 [*shape] or [batch, *shape] of the `rank` it was fitted to."""

    def apply(self, x: Array, rank: int) -> Array: ...

    def moved(self, target: Array, rank: int, classes: bool) -> Array:
        """A target that lies on the input, [1 or more channels, *places] or with a batch, where the input went to."""
        ...


class _Still:
    """A step that leaves everything in its place."""

    __slots__ = ()

    def moved(self, target: Array, rank: int, classes: bool) -> Array:
        return target


@dataclass(frozen=True, slots=True)
class Affine(_Still):
    """x * a + b in float32, in that order (ONNX Mul, Add). One number for all, or one per entry of `axis`.

    `axis` counts within a sample from the front; -1 is the last.
    """

    a: tuple[float, ...]
    b: tuple[float, ...]
    axis: int = 0

    def apply(self, x: Array, rank: int) -> Array:
        if len(self.a) == 1:
            return x * np.float32(self.a[0]) + np.float32(self.b[0])
        axis = x.ndim - rank + self.axis if self.axis >= 0 else x.ndim + self.axis
        if x.shape[axis] != len(self.a):
            raise DataProblem(f"the input has {x.shape[axis]} channels or features where {len(self.a)} were fitted")
        shape = [1] * x.ndim
        shape[axis] = len(self.a)
        return x * np.array(self.a, np.float32).reshape(shape) + np.array(self.b, np.float32).reshape(shape)


@dataclass(frozen=True, slots=True)
class Own(_Still):
    """(x - mean) / std with the figures of each sample by itself, for every channel; float64 inside.

    Numbers without channels (one axis) are one group. What never varies is only centred.
    """

    def apply(self, x: Array, rank: int) -> Array:
        axes = tuple(range(x.ndim - max(rank - 1, 1), x.ndim))
        wide = x.astype(np.float64)
        mean = wide.mean(axis=axes, keepdims=True)
        std = np.sqrt(((wide - mean) ** 2).mean(axis=axes, keepdims=True))
        still = std <= 1e-7 * np.maximum(np.abs(mean), 1e-30)
        found: Array = ((wide - mean) / np.where(still, 1.0, std)).astype(np.float32)
        return found


@dataclass(frozen=True, slots=True)
class Scale:
    """Map the interval `source` onto `onto`: scale(from=[0, 1], to=[-0.1, 1.175])."""

    source: tuple[float, float] = (0.0, 255.0)
    onto: tuple[float, float] = (0.0, 1.0)

    def fit(self, samples: Iterable[Array]) -> FittedStep:
        width = self.source[1] - self.source[0]
        if width == 0:
            raise DataProblem(f"scale has nothing between {self.source[0]} and {self.source[1]}", "give two bounds")
        a = (self.onto[1] - self.onto[0]) / width
        return Affine((a,), (self.onto[0] - a * self.source[0],))


@dataclass(frozen=True, slots=True)
class Normalize:
    """(x - mean) / std, by given figures or by those of the training inputs.

    `per` channel is the first axis of a sample, feature the last, all the whole, volume each channel of every sample by
    itself, of which nothing is learnt. The standard deviation is that of the
    whole population (divided by n). What never varies is only centred.
    """

    per: Per = "channel"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def fit(self, samples: Iterable[Array]) -> FittedStep:
        if bool(self.mean) != bool(self.std) or len(self.mean) != len(self.std):
            raise DataProblem("normalize needs as many means as standard deviations", "normalize(mean=…, std=…)")
        if any(each <= 0 for each in self.std):
            raise DataProblem("a standard deviation is above 0", "normalize(mean=…, std=…)")
        if self.per == "volume":
            return Own()
        mean, std = (self.mean, self.std) if self.mean else self._learn(samples)
        a = tuple(1 / each for each in std)
        return Affine(a, tuple(-m * f for m, f in zip(mean, a, strict=True)), -1 if self.per == "feature" else 0)

    def _learn(self, samples: Iterable[Array]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation in one pass, merging sample by sample (Chan, Golub and LeVeque 1979) in float64."""
        seen, mean, spread = 0, np.zeros(1), np.zeros(1)
        for sample in samples:
            rows = self._rows(sample)
            if seen and rows.shape[1] != len(mean):
                raise DataProblem(f"a sample has {rows.shape[1]} {self.per}s where others have {len(mean)}")
            count, middle = len(rows), rows.mean(axis=0)
            apart = middle - mean if seen else np.zeros_like(middle)
            own = ((rows - middle) ** 2).sum(axis=0)
            spread = own + (spread if seen else 0) + apart**2 * (seen * count / (seen + count))
            mean = middle if not seen else mean + apart * (count / (seen + count))
            seen += count
        if not seen:
            raise DataProblem("there are no training samples to learn mean and deviation from")
        std = np.sqrt(spread / seen)
        still = std <= 1e-7 * np.maximum(np.abs(mean), 1e-30)
        return tuple(mean.tolist()), tuple(np.where(still, 1.0, std).tolist())

    def _rows(self, sample: Array) -> Array:
        wide = sample.astype(np.float64)
        if self.per == "all":
            return wide.reshape(-1, 1)
        if wide.ndim == 0:
            raise DataProblem(f"normalize(per={self.per}) needs an axis", "use per=all")
        return np.moveaxis(wide, 0 if self.per == "channel" else -1, -1).reshape(
            -1, wide.shape[0 if self.per == "channel" else -1]
        )


@dataclass(frozen=True, slots=True)
class Resize:
    """Bring the axes after the channels to `size`, linearly along each.

    Output i reads the input at (i + 0.5) * n_in / n_out - 0.5, kept within 0..n_in - 1, between its two neighbours; no
    smoothing beforehand. That is torch's interpolate(mode="bilinear", align_corners=False) and ONNX Resize(linear,
    half_pixel).
    """

    size: tuple[int, ...]

    def fit(self, samples: Iterable[Array]) -> FittedStep:
        if not self.size or any(each < 1 for each in self.size):
            raise DataProblem(f"a size is 1 or more, not {list(self.size)}", "resize(128) or resize([128, 96])")
        return self

    def apply(self, x: Array, rank: int) -> Array:
        size = _per_axis(self.size, rank)
        for axis, length in zip(range(x.ndim - len(size), x.ndim), size, strict=True):
            x = _resized(x, axis, length)
        return x

    def moved(self, target: Array, rank: int, classes: bool) -> Array:
        """Classes are taken from the nearest place, numbers as those of the input."""
        if not classes:
            return self.apply(target, rank)
        size = _per_axis(self.size, rank)
        for axis, length in zip(range(target.ndim - len(size), target.ndim), size, strict=True):
            at = ((np.arange(length) + 0.5) * (target.shape[axis] / length)).astype(np.int64)
            target = target.take(np.minimum(at, target.shape[axis] - 1), axis)
        return target


@dataclass(frozen=True, slots=True)
class Crop:
    """Keep the middle of the axes after the channels; where an odd number falls away, one more at the end."""

    size: tuple[int, ...]

    def fit(self, samples: Iterable[Array]) -> FittedStep:
        if not self.size or any(each < 1 for each in self.size):
            raise DataProblem(f"a size is 1 or more, not {list(self.size)}", "crop(128) or crop([128, 96])")
        return self

    def apply(self, x: Array, rank: int) -> Array:
        size = _per_axis(self.size, rank)
        for axis, length in zip(range(x.ndim - len(size), x.ndim), size, strict=True):
            if x.shape[axis] < length:
                raise DataProblem(
                    f"crop keeps {length} entries of an axis, and a sample has {x.shape[axis]}", "add pad(…) before it"
                )
            start = (x.shape[axis] - length) // 2
            x = x.take(np.arange(start, start + length), axis)
        return x

    def moved(self, target: Array, rank: int, classes: bool) -> Array:
        return self.apply(target, rank)


@dataclass(frozen=True, slots=True)
class Pad:
    """Add `before` and `after` entries of `value` to the axes after the channels, one number for all or one each."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    value: float = 0.0

    def fit(self, samples: Iterable[Array]) -> FittedStep:
        if len(self.before) != len(self.after) or any(each < 0 for each in self.before + self.after):
            raise DataProblem("pad takes amounts of 0 or more, as many before as after", "pad(2)")
        return self

    def apply(self, x: Array, rank: int) -> Array:
        sides = list(zip(self.before, self.after, strict=True))
        sides = sides * (rank - 1) if len(sides) == 1 else sides
        if rank < 2 or len(sides) != rank - 1:
            raise DataProblem(f"{len(sides)} amounts do not fit an input with {rank - 1} axes after the channels")
        return np.pad(x, [(0, 0)] * (x.ndim - len(sides)) + sides, constant_values=np.float32(self.value))

    def moved(self, target: Array, rank: int, classes: bool) -> Array:
        """What is added to a target is 0: the first class, the background."""
        return replace(self, value=0.0).apply(target, rank)


_FITTED = {each.__name__: each for each in (Affine, Own, Resize, Crop, Pad)}


@dataclass(frozen=True, slots=True)
class Prepared:
    """Fitted steps in order, for samples with `rank` axes."""

    steps: tuple[FittedStep, ...]
    rank: int

    def apply(self, x: Array) -> Array:
        """One sample or a batch (one more axis in front), as float32; raises DataProblem for other ranks."""
        if x.ndim not in (self.rank, self.rank + 1):
            raise DataProblem(f"prepare was fitted to inputs with {self.rank} axes and was given {x.ndim}")
        return _applied(self.steps, x, self.rank)

    def moved(self, target: Array, classes: bool) -> Array:
        """The target that lies on the input: a number per place if `classes`, else [channels, *places]; or a batch."""
        lone = self.rank - classes
        if target.ndim not in (lone, lone + 1):
            raise DataProblem(f"the target has {target.ndim} axes where {lone} belong to the input")
        if classes:
            target = np.expand_dims(target, target.ndim - lone)
        for step in self.steps:
            target = step.moved(target, self.rank, classes)
        return np.squeeze(target, target.ndim - self.rank) if classes else target

    def to_json(self) -> dict[str, Any]:
        """Plain values that JSON holds exactly."""
        steps = [{"step": type(each).__name__, **_plain(asdict(each))} for each in self.steps]  # type: ignore[call-overload]
        return {"rank": self.rank, "steps": steps}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Prepared:
        """What `to_json` gave; raises DataProblem for anything else."""
        try:
            return cls(tuple(_restored(dict(each)) for each in saved["steps"]), int(saved["rank"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataProblem(f"this is not a saved prepare: {error!r}") from error


def fit(steps: Sequence[Step], training_inputs: Array | Sequence[Array]) -> Prepared:
    """Fit each step to what the steps before it make of the training inputs.

    `training_inputs` has the samples along axis 0, or is a sequence of samples, which may differ in size and may be
    decoded lazily; it is walked once per step that learns.

    Example:
        fit([Normalize(per="feature")], x[split.train]).apply(x)
    """
    if len(training_inputs) == 0:
        raise DataProblem("there are no training samples to fit prepare to")
    rank = np.ndim(training_inputs[0])
    fitted: tuple[FittedStep, ...] = ()
    for step in steps:
        before = fitted
        fitted = (*fitted, step.fit(_applied(before, sample, rank) for sample in training_inputs))
    prepared = Prepared(fitted, rank)
    prepared.apply(np.asarray(training_inputs[0]))  # a step that does not fit the inputs is found here
    return prepared


def _applied(steps: tuple[FittedStep, ...], x: Array, rank: int) -> Array:
    x = np.asarray(x).astype(np.float32, copy=False)
    for step in steps:
        x = step.apply(x, rank)
    return x


def _resized(x: Array, axis: int, length: int) -> Array:
    given = x.shape[axis]
    if given == length:
        return x
    place = np.clip((np.arange(length) + 0.5) * (given / length) - 0.5, 0, given - 1)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, given - 1)
    part = (place - low).astype(np.float32).reshape([-1] + [1] * (x.ndim - 1 - axis))
    between: Array = x.take(low, axis) * (1 - part) + x.take(high, axis) * part
    return between


def _per_axis(size: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """A size for each axis after the channels."""
    found = size * (rank - 1) if len(size) == 1 else size
    if rank < 2 or len(found) != rank - 1:
        raise DataProblem(f"{list(size)} does not fit an input with {rank - 1} axes after the channels")
    return found


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _restored(saved: dict[str, Any]) -> FittedStep:
    kind: Callable[..., FittedStep] = _FITTED[saved.pop("step")]
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()}
    return kind(**values)
