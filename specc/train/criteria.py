"""Losses that PyTorch does not have, as functions; program.py has a copy of those that it calls.

Scores are [batch, classes, …] with the classes along `axis`, and targets [batch, …] are class numbers; in the binary
ones a score is above 0 for yes, and targets are 0 and 1 in the same order.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable

import torch
from torch.nn import functional as F


def mean_of(
    losses: torch.Tensor,
    target: torch.Tensor,
    weights: list[float] | None = None,
    ignore: int | None = None,
    reduce: str = "mean",
) -> torch.Tensor:
    """The mean of a loss per target, weighted by class; or the sum per sample, averaged."""
    weight = torch.ones_like(losses)
    if ignore is not None:
        weight = (target != ignore).to(losses.dtype)
        target = torch.where(target == ignore, 0, target)
    if weights is not None:
        weight = weight * losses.new_tensor(weights)[target]
    total = (weight * losses).sum()
    if reduce == "sum":
        return total / len(losses)
    return total / weight.sum().clamp(min=1e-12)


def amount_of(target: torch.Tensor, weights: list[float] | None = None, ignore: int | None = None) -> torch.Tensor:
    """What a mean over these targets is divided by: how many count, by the weights of their classes."""
    if target.is_floating_point():  # shares of classes along axis 1 count whole, whatever their weights
        return target.new_tensor(target.numel() / target.shape[1])
    counts = torch.ones_like(target) if ignore is None else (target != ignore).long()
    if weights is None:
        return counts.sum()
    known = target if ignore is None else torch.where(target == ignore, 0, target)
    return (counts * torch.tensor(weights, device=target.device)[known]).sum()


def weight_of(target: torch.Tensor, weights: list[float]) -> torch.Tensor:
    """What a mean over answers of no and yes is divided by, which have a weight each."""
    return (weights[0] * (1 - target) + weights[1] * target).sum()


def of_class(
    scores: torch.Tensor, target: torch.Tensor, axis: int = 1, ignore: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The number of each target's own class, and where it stands: one more axis of 1."""
    if ignore is not None:
        target = torch.where(target == ignore, 0, target)
    at = target.long().unsqueeze(axis)
    return scores.gather(axis, at), at


def hinge(
    scores: torch.Tensor,
    target: torch.Tensor,
    margin: float = 1.0,
    axis: int = 1,
    weights: list[float] | None = None,
    ignore: int | None = None,
    reduce: str = "mean",
) -> torch.Tensor:
    """How far each wrong score comes within a margin of the right one, added up."""
    right, at = of_class(scores, target, axis, ignore)
    over = F.relu(scores - right + margin).scatter(axis, at, 0.0)
    return mean_of(over.sum(axis), target, weights, ignore, reduce)


def binary_hinge(
    scores: torch.Tensor,
    target: torch.Tensor,
    margin: float = 1.0,
    weights: list[float] | None = None,
    ignore: int | None = None,
    reduce: str = "mean",
) -> torch.Tensor:
    """How far each score is from being the margin or more on its side of 0."""
    target = target.view_as(scores)
    over = F.relu(margin - torch.where(target == 1, scores, -scores))
    return mean_of(over, target, weights, ignore, reduce)


def perceptron(
    scores: torch.Tensor,
    target: torch.Tensor,
    axis: int = 1,
    weights: list[float] | None = None,
    ignore: int | None = None,
    reduce: str = "mean",
) -> torch.Tensor:
    """How far the largest score is above that of the right class."""
    right, _ = of_class(scores, target, axis, ignore)
    over = scores.max(axis).values - right.squeeze(axis)
    return mean_of(over, target, weights, ignore, reduce)


def binary_perceptron(
    scores: torch.Tensor,
    target: torch.Tensor,
    weights: list[float] | None = None,
    ignore: int | None = None,
    reduce: str = "mean",
) -> torch.Tensor:
    """How far each score is on the wrong side; 0 is on neither, so it has a slope too."""
    target = target.view_as(scores)
    side = torch.where(target == 1, scores, -scores)
    return mean_of(torch.where(side <= 0, -side, 0.0), target, weights, ignore, reduce)


def discriminative(
    distances: torch.Tensor,
    target: torch.Tensor,
    rubbish: float = 1.0,
    axis: int = 1,
    ignore: int | None = None,
    reduce: str = "mean",
) -> torch.Tensor:
    """The distance of the right class, and the log of the sum of exp(-distance) over all, one more for what is rubbish."""
    right, _ = of_class(distances, target, axis, ignore)
    more = torch.full_like(right, -rubbish)
    beside = torch.logsumexp(torch.cat((-distances, more), axis), axis)
    return mean_of(right.squeeze(axis) + beside, target, None, ignore, reduce)


def focal(
    scores: torch.Tensor,
    target: torch.Tensor,
    gamma: float = 2.0,
    axis: int = 1,
    alpha: list[float] | None = None,
    ignore: int | None = None,
    reduce: str = "mean",
) -> torch.Tensor:
    """Cross-entropy times (1 - p) ** gamma, p being what the right class was given."""
    right, _ = of_class(F.log_softmax(scores, axis), target, axis, ignore)
    right = right.squeeze(axis)
    losses = -((-right.expm1()).clamp(min=1e-12) ** gamma) * right
    if alpha is not None:
        known = target if ignore is None else torch.where(target == ignore, 0, target)
        losses = losses * losses.new_tensor(alpha)[known]
    return mean_of(losses, target, None, ignore, reduce)


def binary_focal(
    logits: torch.Tensor,
    target: torch.Tensor,
    gamma: float = 2.0,
    alpha: list[float] | None = None,
    ignore: int | None = None,
    reduce: str = "mean",
) -> torch.Tensor:
    """Cross-entropy of yes and no times (1 - p) ** gamma; `alpha` weights no and yes."""
    target = target.view_as(logits)
    right = F.logsigmoid(torch.where(target == 1, logits, -logits))
    losses = -((-right.expm1()).clamp(min=1e-12) ** gamma) * right
    if alpha is not None:
        losses = losses * torch.where(target == 1, alpha[1], alpha[0])
    return mean_of(losses, target, None, ignore, reduce)


def weighted_binary_cross_entropy(
    logits: torch.Tensor,
    target: torch.Tensor,
    weights: list[float],
    reduce: str = "mean",
) -> torch.Tensor:
    """Cross-entropy of yes and no, with a weight for no and one for yes."""
    no, yes = weights[0] * (1 - target), weights[1] * target
    total = -(no * F.logsigmoid(-logits) + yes * F.logsigmoid(logits)).sum()
    if reduce == "sum":
        return total / len(logits)
    return total / (no + yes).sum().clamp(min=1e-12)


def dice(
    shares: torch.Tensor,
    target: torch.Tensor,
    smooth: float = 1.0,
    axis: int = 1,
    squares: bool = False,
    weights: list[float] | None = None,
    ignore: int | None = None,
    reduce: str = "mean",
) -> torch.Tensor:
    """1 - 2 |A and B| / (|A| + |B|) of each class in each sample, averaged."""
    shares = shares.movedim(axis, 1)
    known = torch.ones_like(target) == 1 if ignore is None else target != ignore
    classes = torch.where(known, target, 0).long()
    wanted = F.one_hot(classes, shares.shape[1]).movedim(-1, 1)
    known = known.unsqueeze(1)
    return overlap(shares * known, wanted * known, smooth, squares, weights, reduce)


def binary_dice(
    shares: torch.Tensor,
    target: torch.Tensor,
    smooth: float = 1.0,
    squares: bool = False,
    ignore: int | None = None,
    reduce: str = "mean",
) -> torch.Tensor:
    """1 - 2 |A and B| / (|A| + |B|) of each map in each sample, averaged."""
    target = target.view_as(shares)
    known = torch.ones_like(shares) == 1 if ignore is None else target != ignore
    return overlap(shares * known, target * known, smooth, squares, None, reduce)


def overlap(
    given: torch.Tensor,
    wanted: torch.Tensor,
    smooth: float,
    squares: bool,
    weights: list[float] | None,
    reduce: str,
) -> torch.Tensor:
    """1 - Dice of two tensors [batch, classes, …]."""
    wanted = wanted.to(given.dtype)
    both = (given * wanted).flatten(2).sum(2)
    sizes = (given**2 + wanted**2 if squares else given + wanted).flatten(2).sum(2)
    losses = 1 - (2 * both + smooth) / (sizes + smooth)
    weight = torch.ones_like(losses) if weights is None else losses.new_tensor(weights)
    total = (weight * losses).sum()
    return total / (len(losses) if reduce == "sum" else weight.expand_as(losses).sum())


def kl(
    scores: torch.Tensor,
    target: torch.Tensor,
    axis: int = 1,
    reduce: str = "mean",
) -> torch.Tensor:
    """The sum over the classes of t log(t / p), p being the softmax of the scores."""
    losses = F.kl_div(F.log_softmax(scores, axis), target, reduction="none").sum(axis)
    return losses.mean() if reduce == "mean" else losses.sum() / len(losses)


def sources(names: Iterable[str]) -> list[str]:
    """The text of these functions and of those that they call, in the order of this file."""
    here = {name: each for name, each in globals().items() if inspect.isfunction(each) and each.__module__ == __name__}
    wanted, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name in here and name not in wanted:
            wanted.add(name)
            waiting += here[name].__code__.co_names
    return [inspect.getsource(each) for name, each in here.items() if name in wanted]
