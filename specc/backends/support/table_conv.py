"""A convolution in which each output channel sees only some input channels."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TableConv(nn.Module):
    """Convolution with a connection table (LeCun et al., 1998, Table I).

    `table` lists, for each output channel, the input channels it sees. `weight` holds
    one kernel per link, in the order of the table: [links, *kernel]. The length of the
    kernel says whether it is a 1-D, 2-D or 3-D convolution. `padding="same"` gives
    ceil(n / stride) places for n.
    """

    rows: Tensor
    columns: Tensor

    def __init__(
        self,
        in_channels: int,
        table: tuple[tuple[int, ...], ...],
        kernel: tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.shape = (len(table), in_channels, *kernel)
        self.stride = stride if isinstance(stride, tuple) else (stride,) * len(kernel)
        self.dilation = (
            dilation if isinstance(dilation, tuple) else (dilation,) * len(kernel)
        )
        self.padding = padding
        rows = [row for row, channels in enumerate(table) for _ in channels]
        columns = [channel for channels in table for channel in channels]
        self.register_buffer("rows", torch.tensor(rows), persistent=False)
        self.register_buffer("columns", torch.tensor(columns), persistent=False)
        bound = 1 / math.sqrt(max(map(len, table)) * math.prod(kernel))
        self.weight = nn.Parameter(
            torch.empty(len(rows), *kernel).uniform_(-bound, bound)
        )
        self.bias = (
            nn.Parameter(torch.empty(len(table)).uniform_(-bound, bound))
            if bias
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        dense = self.weight.new_zeros(self.shape).index_put(
            (self.rows, self.columns), self.weight
        )
        convolve = (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3]
        if self.padding != "same":
            return convolve(
                x, dense, self.bias, self.stride, self.padding, self.dilation
            )
        return convolve(
            F.pad(x, self.missing(x)), dense, self.bias, self.stride, 0, self.dilation
        )

    def missing(self, x: Tensor) -> list[int]:
        """The padding, last axis first; an odd rest goes behind."""
        pads: list[int] = []
        for size, kernel, stride, dilation in zip(
            x.shape[2:], self.shape[2:], self.stride, self.dilation, strict=True
        ):
            total = max(dilation * (kernel - 1) - (size - 1) % stride, 0)
            pads = [total // 2, total - total // 2, *pads]
        return pads
