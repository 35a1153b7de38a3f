"""A convolution with other weights at every place."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LocalConv(nn.Module):
    """Convolution with unshared weights (LeCun, 1989; Taigman et al., 2014: DeepFace).

    `out` is how many windows there are along each axis. `weight` holds the kernels of
    each window: [*out, channels, in_channels, *kernel]; `bias` is [channels, *out].
    `pads` are as `F.pad` takes them, the last axis first.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        out: tuple[int, ...],
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        pads: tuple[int, ...] = (),
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.pads = kernel, stride, pads
        bound = 1 / math.sqrt(in_channels * math.prod(kernel))
        self.weight = nn.Parameter(
            torch.empty(*out, channels, in_channels, *kernel).uniform_(-bound, bound)
        )
        self.bias = (
            nn.Parameter(torch.empty(channels, *out).uniform_(-bound, bound))
            if bias
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        rank = len(self.kernel)
        x = F.pad(x, self.pads)
        for axis, (kernel, stride) in enumerate(
            zip(self.kernel, self.stride, strict=True), 2
        ):
            x = x.unfold(axis, kernel, stride)  # [N, C, *out, *kernel] in the end
        out = x.shape[2 : 2 + rank]
        windows = x.flatten(2, 1 + rank).transpose(1, 2).flatten(2)
        weight = self.weight.flatten(0, rank - 1).flatten(2)
        y = torch.einsum("nlk,lok->nol", windows, weight)
        y = y.reshape(*y.shape[:2], *out)
        return y if self.bias is None else y + self.bias
