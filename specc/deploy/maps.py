"""Predictions that lie on their input (masks): the class of every place, on the grid of what was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from specc.data.prepare import Crop, FittedStep, Pad, Prepared, Resize
from specc.deploy.described import Side
from specc.deploy.predict import Prediction
from specc.deploy.runtime import BadInput, Predictor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

    Sizes = tuple[int, ...]


def mask(predictor: Predictor, prediction: Prediction) -> Array | None:
    """The class of every place of the input, whole numbers along its axes after the channels; None if there is none.

    Numbers are brought back to the grid of the input where `prepare` changed it (linearly, then the largest decides);
    classes take the nearest. Of one channel, what is above one half is class 1. Where the spec says `postprocess`, its
    steps decide, on the grid on which they were measured.
    """
    sample = prediction.sample
    if sample is None or len(sample.inputs) != 1:
        return None
    (given,) = sample.inputs.values()
    rank = len(predictor.inputs[0].shape)
    for side in predictor.outputs:
        array = prediction.outputs[side.name]
        if _is_classes(array, rank):
            return _back(predictor, predictor.postprocess.kept(array[None])[0], given.shape[1:])
        if _is_shares(predictor, side, array, rank):
            if predictor.postprocess.steps:
                return _back(predictor, _answered(predictor, side, array), given.shape[1:])
            return _decided(side, _back(predictor, array, given.shape[1:]))
    return None


def required(predictor: Predictor, prediction: Prediction) -> Array:
    """`mask`, where there must be one."""
    found = mask(predictor, prediction)
    if found is None:
        said = ", ".join(f"`{side.name}` {side.spelled()}" for side in predictor.outputs)
        raise BadInput(
            f"{prediction.source}: the network gives {said}, which the file does not say to be a class for every place",
            "write the numbers: --format npy",
        )
    return found


def _is_classes(array: Array, rank: int) -> bool:
    return array.dtype.kind in "iu" and array.ndim == rank - 1 and rank > 1


def _is_shares(predictor: Predictor, side: Side, array: Array, rank: int) -> bool:
    """Whether an output holds a number per class and place: it says so, or there are as many as classes."""
    if array.dtype.kind != "f" or array.ndim != rank or rank < 2:
        return False
    if side.makes == "probabilities":
        return len(array) > 1
    return (len(array) == 1 and (side.makes == "probability" or len(predictor.classes) == 2)) or (
        len(array) > 1 and len(array) == len(predictor.classes)
    )


def _decided(side: Side, array: Array) -> Array:
    if len(array) > 1:
        found: Array = array.argmax(axis=0)
        return found
    above: Array = array[0] > (0.5 if side.makes == "probability" else 0)
    return above.astype("int64")


def _answered(predictor: Predictor, side: Side, array: Array) -> Array:
    """The classes that the steps of `postprocess` leave."""
    given, axis = (array[None], 1) if len(array) > 1 else (array, None)
    yes = 0.5 if side.makes == "probability" else 0
    found: Array = predictor.postprocess.apply(given, axis, yes)[0]
    return found


def _back(predictor: Predictor, array: Array, wanted: Sizes) -> Array:
    """An output on the grid of the prepared input, on that of the input itself."""
    rank = len(predictor.inputs[0].shape)
    places = array.shape[array.ndim - (rank - 1) :]
    steps = _steps(predictor)
    sizes = [tuple(wanted)]
    for step in steps:
        sizes.append(_after(step, sizes[-1]))
    if places != sizes[-1]:
        raise BadInput(
            f"the network gives {list(places)} places for {list(sizes[-1])} of its input",
            "write the numbers: --format npy",
        )
    for step, before in zip(reversed(steps), reversed(sizes[:-1]), strict=True):
        array = _undone(step, array, before, rank)
    return array


def _steps(predictor: Predictor) -> tuple[FittedStep, ...]:
    said = predictor.description.prepare.get(predictor.inputs[0].name)
    return () if said is None else Prepared.from_json(said).steps


def _after(step: FittedStep, sizes: Sizes) -> Sizes:
    if isinstance(step, Resize | Crop):
        return step.size * len(sizes) if len(step.size) == 1 else step.size
    if isinstance(step, Pad):
        sides = zip(_each(step.before, sizes), _each(step.after, sizes), strict=True)
        return tuple(size + before + after for size, (before, after) in zip(sizes, sides, strict=True))
    return sizes


def _undone(step: FittedStep, array: Array, before: Sizes, rank: int) -> Array:
    """The way back through one step. What was cropped away is background."""
    import numpy as np

    if isinstance(step, Resize):
        if array.ndim == rank:
            return Resize(before).apply(array, rank)
        moved: Array = Resize(before).moved(array[None], rank, classes=True)[0]
        return moved
    lead = [(0, 0)] * (array.ndim - len(before))
    places = array.shape[len(lead) :]
    if isinstance(step, Crop):
        starts = [(whole - part) // 2 for whole, part in zip(before, places, strict=True)]
        sides = [(start, whole - part - start) for start, whole, part in zip(starts, before, places, strict=True)]
        return np.pad(array, [*lead, *sides])
    if isinstance(step, Pad):
        befores = _each(step.before, before)
        inner = [slice(start, start + size) for start, size in zip(befores, before, strict=True)]
        return array[tuple([slice(None)] * len(lead) + inner)]
    return array


def _each(numbers: tuple[int, ...], sizes: Sequence[int]) -> tuple[int, ...]:
    return numbers * len(sizes) if len(numbers) == 1 else numbers
