"""Max pooling behind a padding that PyTorch's own pool does not take, with the places of the maxima."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def padded_max_pool(
    x: Tensor,
    pads: tuple[int, ...],
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    dilation: int | tuple[int, ...] = 1,
) -> tuple[Tensor, Tensor]:
    """The maxima of the padded x, and their places in x as it was: [N, C, *out] each.

    `pads` are as `F.pad` takes them, the last axis first. A place is counted within its
    channel, in row order.
    """
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.dim() - 3]
    padded = F.pad(x, pads, value=float("-inf"))
    largest, found = pool(
        padded, kernel, stride, dilation=dilation, return_indices=True
    )
    places, step = torch.zeros_like(found), 1
    for axis, before in zip(range(x.dim() - 1, 1, -1), pads[::2], strict=True):
        places = places + (found % padded.shape[axis] - before) * step
        found = found // padded.shape[axis]
        step *= x.shape[axis]
    return largest, places
