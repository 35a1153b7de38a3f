"""Noise that is only there in training."""

from __future__ import annotations

import torch
from torch import Tensor


def noise(like: Tensor, std: float = 1, training: bool = True) -> Tensor:
    """Normal noise around 0 in the shape of a tensor; zeros in inference."""
    if not training:
        return torch.zeros_like(like)
    return std * torch.randn_like(like)
