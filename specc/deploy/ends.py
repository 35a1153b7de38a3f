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
    if any(each.of and each.applied != "softmax" for each in ends):
        below = run_torch(model, module.logits, dict(inputs))
    names = {port.value: name for name, port in named_outputs(model).items()}
    found: dict[str, float] = {}
    for each in ends:
        if each.applied == "argmax":
            found[each.name] = _chosen(got[each.name], below[each.of], _dim(model, each))
        elif each.applied == "softmax":
            found[each.name] = error(got[each.name], _softmax(plain[each.of], _dim(model, each)))
        elif each.of:
            found[each.name] = error(got[each.name], below[each.of])
        elif each.value in names:
            found[each.name] = error(got[each.name], plain[names[each.value]])
    return found


def _dim(model: Model, end: End) -> int:
    return end.axis + int(model.type(end.value).batched)


def _softmax(scores: Array, dim: int) -> Array:
    import torch

    shares: Array = torch.from_numpy(scores).softmax(dim).numpy()
    return shares


def _chosen(classes: Array, scores: Array, dim: int) -> float:
    """How far below the largest score the chosen ones are, relative to the scores: 0 where the classes are the same."""
    import numpy as np

    if classes.shape != (*scores.shape[:dim], *scores.shape[dim + 1 :]) or classes.dtype != np.int64:
        return float("inf")
    if classes.size and not 0 <= classes.min() <= classes.max() < scores.shape[dim]:
        return float("inf")
    theirs = np.take_along_axis(scores, np.expand_dims(classes, dim), dim).squeeze(dim)
    scale = max(float(np.abs(scores).max(initial=0)), 1e-12)
    return float((scores.max(dim) - theirs).max(initial=0)) / scale
