"""What PyTorch gives for each output of a file, heads that only the file has included."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from specc.model.graph import Model
from specc.model.heads import End
from specc.model.heads import outputs as named_outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Error = Callable[[Array, Array], float]


def errors(
    model: Model, module: Any, ends: Sequence[End], inputs: Mapping[str, Array], got: Mapping[str, Array], error: Error
) -> dict[str, float]:
    """How far each output of the file is from PyTorch's; without those that PyTorch does not give."""
    from specc.deploy.proof import run_torch

    plain = run_torch(model, module, dict(inputs))
    below: dict[str, Array] = {}
    if any(each.of and each.applied != "softmax" and each.above is None for each in ends):
        below = run_torch(model, module.logits, dict(inputs))
    names = {port.value: name for name, port in named_outputs(model).items()}
    found: dict[str, float] = {}
    for each in ends:
        if each.above is not None:
            dim = None if each.axis is None else _dim(model, each)
            found[each.name] = _thresholded(got[each.name], plain[each.of], dim, each.above)
        elif each.applied in ("argmax", "classes"):
            found[each.name] = _chosen(got[each.name], below[each.of], _dim(model, each))
        elif each.applied == "softmax":
            found[each.name] = error(got[each.name], _softmax(plain[each.of], _dim(model, each)))
        elif each.of:
            found[each.name] = error(got[each.name], below[each.of])
        elif each.value in names:
            found[each.name] = error(got[each.name], plain[names[each.value]])
    return found


def _dim(model: Model, end: End) -> int:
    assert end.axis is not None
    return end.axis + int(model.type(end.value).batched)


def _softmax(scores: Array, dim: int) -> Array:
    import torch

    shares: Array = torch.from_numpy(scores).softmax(dim).numpy()
    return shares


def _thresholded(classes: Array, shares: Array, dim: int | None, above: float) -> float:
    """How far the probabilities are from others by which these classes would have been said: 0 where they are those."""
    import numpy as np

    if dim is None:
        shares = np.stack([1 - shares, shares], 0)
        return _said(classes.reshape(shares.shape[1:]), shares, above)
    return _said(classes, np.moveaxis(shares, dim, 0), above)


def _said(classes: Array, shares: Array, above: float) -> float:
    """The same with the classes of `shares` in front."""
    import numpy as np

    if not _are_classes(classes, shares.shape[1:], len(shares)):
        return float("inf")
    best, own = shares[1:].max(0), np.take_along_axis(shares, classes[None], 0)[0]
    least = np.where(classes == 0, best, above)  # should not be above the next
    most = np.where(classes == 0, np.float64(above), own)
    return float(np.maximum(np.maximum(least - most, np.where(classes == 0, 0, best - own)), 0).max(initial=0))


def _are_classes(classes: Array, shape: tuple[int, ...], count: int) -> bool:
    """Whether these are numbers of `count` classes in that shape."""
    if classes.shape != shape or classes.dtype.str[1:] != "i8":
        return False
    return not classes.size or bool(0 <= classes.min() <= classes.max() < count)


def _chosen(classes: Array, scores: Array, dim: int) -> float:
    """How far below the largest score the chosen ones are, relative to the scores: 0 where the classes are the same."""
    import numpy as np

    if not _are_classes(classes, (*scores.shape[:dim], *scores.shape[dim + 1 :]), scores.shape[dim]):
        return float("inf")
    theirs = np.take_along_axis(scores, np.expand_dims(classes, dim), dim).squeeze(dim)
    scale = max(float(np.abs(scores).max(initial=0)), 1e-12)
    return float((scores.max(dim) - theirs).max(initial=0)) / scale
