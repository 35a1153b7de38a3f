"""The geometry of windows, shared by convolutions and pools: where they lie and what they make."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from specc.catalogue.entry import Misfit
from specc.catalogue.op import TensorType
from specc.sizes.conditions import Compare
from specc.sizes.dim import Size, ceil_div, maximum

# per number of spatial axes: how large one is said to be, and what one place on it is called
WORDS = {
    1: (("long", "place"),),
    2: (("high", "row"), ("wide", "column")),
    3: (("deep", "slice"), ("high", "row"), ("wide", "column")),
}


class Windowed(Protocol):
    """An op that moves windows. `dilation` and `fit` may be missing; a stride of None is the kernel."""

    def __hash__(self) -> int: ...

    @property
    def name(self) -> str: ...
    @property
    def kernel(self) -> Any: ...
    @property
    def stride(self) -> Any: ...
    @property
    def padding(self) -> Any: ...
    def but(self, **changes: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Axis:
    """Windows along one axis: `kernel` places, `dilation` apart, moved by `stride` over the padded size.

    `fit` says what happens at the end: "exact" (nothing may be lost), "down" (the last places may), "up" (a last window
    may hang over), "same" (the padding is made to fit).
    """

    size: Size
    kernel: int
    stride: int
    dilation: int
    before: Size
    after: Size
    fit: str
    adjective: str
    place: str

    @property
    def extent(self) -> int:
        """The places from the first to the last that one window sees."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def known(self) -> bool:
        """Whether the padding is; that of `same` may depend on a size that is not."""
        return isinstance(self.before, int) and isinstance(self.after, int)

    @property
    def pads(self) -> tuple[int, int]:
        """The padding before and after, where it is known."""
        assert isinstance(self.before, int)
        assert isinstance(self.after, int)
        return self.before, self.after

    @property
    def padded(self) -> Size:
        return self.size + self.before + self.after

    @property
    def out(self) -> Size:
        """How many windows there are."""
        if self.fit == "same":
            return ceil_div(self.size, self.stride)
        if self.fit == "up":
            return ceil_div(self._starts, self.stride)
        return (self.padded - self.extent) // self.stride + 1

    @property
    def _starts(self) -> Size:
        """Where a window may start with `fit=up`: in the input or the padding before it, and not beyond the end."""
        return self.size + self.before + min(0, self.pads[1] - self.extent + self.stride)

    @property
    def end(self) -> Size:
        """The padding behind the input that the windows reach into; negative where they stop before its end."""
        return (self.out - 1) * self.stride + self.extent - self.size - self.before

    @property
    def unclear(self) -> bool:
        """Whether a window could start behind the input, which PyTorch leaves out and others do not."""
        return self.fit == "up" and self.stride + self.pads[1] > self.extent

    @property
    def enough(self) -> Compare | None:
        """What must hold for a window to fit in; None where it always does."""
        if self.fit == "up":
            return Compare(self._starts, ">=", 1)  # a window may be larger than what it sees
        return None if self.fit == "same" else Compare(self.padded, ">=", self.extent)

    @property
    def rest(self) -> Compare | None:
        """What must hold for nothing to be lost that the windows should see; None where it always does."""
        most = max(0, self.stride - self.extent) + self.after
        if self.fit != "exact" or (isinstance(most, int) and most >= self.stride - 1):
            return None
        return Compare((self.padded - self.extent) % self.stride, "<=", most)


# ------------------------------------------------------------------------------------------------------- the axes
@lru_cache(maxsize=16)  # rules, shape and cost of a step ask the same
def axes_of(op: Windowed, x: TensorType) -> tuple[Axis, ...]:
    """The windows of an op over the spatial axes of its input."""
    rank = len(x.spatial)
    kernels, strides, dilations = kernel_of(op, rank), stride_of(op, rank), dilation_of(op, rank)
    pads = entries(op.padding, rank, "padding") if not isinstance(op.padding, str) else (op.padding,) * rank
    fit = getattr(op, "fit", "exact")
    found = []
    for n, k, s, d, pad, words in zip(x.spatial, kernels, strides, dilations, pads, WORDS[rank], strict=True):
        before, after = _sides(pad, n, d * (k - 1) + 1, s)
        found.append(Axis(n, k, s, d, before, after, "same" if pad == "same" else fit, *words))
    return tuple(found)


def entries(value: Any, rank: int, argument: str) -> tuple[Any, ...]:
    """One entry for each of `rank` spatial axes."""
    if not isinstance(value, tuple):
        return (value,) * rank
    if len(value) != rank:
        axes = "1 spatial axis" if rank == 1 else f"{rank} spatial axes"
        message = f"`{argument}` has {len(value)} entries, and the input {axes}"
        raise Misfit("bad-argument", message, "give one number for all axes, or one per axis", argument=argument)
    return value


def kernel_of(op: Windowed, rank: int) -> tuple[int, ...]:
    return entries(op.kernel, rank, "kernel")


def stride_of(op: Windowed, rank: int) -> tuple[int, ...]:
    return kernel_of(op, rank) if op.stride is None else entries(op.stride, rank, "stride")


def dilation_of(op: Windowed, rank: int) -> tuple[int, ...]:
    return entries(getattr(op, "dilation", 1), rank, "dilation")


def pair(entry: Any) -> tuple[Any, Any]:
    """What one entry of a padding gives before and after."""
    return entry if isinstance(entry, tuple) else (entry, entry)


def _sides(pad: Any, size: Size, extent: int, stride: int) -> tuple[Size, Size]:
    if pad == "same":
        total = same_padding(size, extent, stride)
        return total // 2, total - total // 2
    if pad == "full":
        return extent - 1, extent - 1
    if pad == "causal":
        return extent - 1, 0
    return (0, 0) if pad == "valid" else pair(pad)


def same_padding(size: Size, extent: int, stride: int) -> Size:
    """What must be added for `ceil(size / stride)` windows: `extent - 1` at stride 1."""
    if stride == 1:
        return extent - 1
    total = extent - 1 - (size - 1) % stride
    return total if extent >= stride else maximum(total, 0)
