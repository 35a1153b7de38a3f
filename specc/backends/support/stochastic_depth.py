"""Layers that some samples pass by in training."""

from __future__ import annotations

from torch import Tensor, nn


def stochastic_depth(x: Tensor, rate: float, training: bool = True) -> Tensor:
    """In training makes a sample 0 with this probability and scales the others up.

    From Huang et al., 2016: Deep networks with stochastic depth.
    """
    if not training or rate == 0:
        return x
    kept = x.new_empty(x.shape[0], *[1] * (x.dim() - 1)).bernoulli_(1 - rate)
    return x * (kept / (1 - rate))


class StochasticDepth(nn.Module):
    """`stochastic_depth` as a layer."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        return stochastic_depth(x, self.rate, self.training)
