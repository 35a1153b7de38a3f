"""A linear layer whose weight is stored [in, out]."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class TransposedLinear(nn.Module):
    """x W + b along the last axis, W stored [in, out] (Radford et al., 2019: GPT-2)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(
            torch.empty(in_features, out_features).uniform_(-bound, bound)
        )
        self.bias = (
            nn.Parameter(torch.empty(out_features).uniform_(-bound, bound))
            if bias
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = x @ self.weight
        return y if self.bias is None else y + self.bias
