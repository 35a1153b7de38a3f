"""A convolution that pads its input as far as the size at hand asks for."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class SameConv(nn.Module):
    """Convolution that gives ceil(n / stride) places for n.

    An odd rest of the padding goes behind. The length of the kernel says whether it is
    a 1-D, 2-D or 3-D convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        kind = getattr(nn, f"Conv{len(kernel)}d")
        plain = kind(
            in_channels,
            out_channels,
            kernel,
            stride,
            dilation=dilation,
            groups=groups,
            bias=bias,
        )
        self.weight, self.bias = plain.weight, plain.bias
        self.stride, self.dilation, self.groups = plain.stride, plain.dilation, groups

    def forward(self, x: Tensor) -> Tensor:
        axes = zip(
            x.shape[2:], self.weight.shape[2:], self.stride, self.dilation, strict=True
        )
        pads: list[int] = []
        for size, kernel, stride, dilation in axes:
            missing = max(dilation * (kernel - 1) - (size - 1) % stride, 0)
            pads = [missing // 2, missing - missing // 2, *pads]
        convolve = (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3]
        return convolve(
            F.pad(x, pads),
            self.weight,
            self.bias,
            self.stride,
            0,
            self.dilation,
            self.groups,
        )
