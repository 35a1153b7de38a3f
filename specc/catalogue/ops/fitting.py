"""The rule that windows fit their input: the refusal in numbers, and what would fit instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

from specc.catalogue.entry import Misfit, Repair
from specc.catalogue.op import Rule, TensorType
from specc.catalogue.ops.windows import Axis, Windowed, axes_of, stride_of
from specc.sizes.conditions import Compare, describe
from specc.sizes.dim import Dim, Size, maximum

TRIES = 64  # how many numbers are tried for each repair


def window_rules(op: Windowed, x: TensorType) -> Iterator[Rule]:
    """That there is an output, and that no input is lost which the windows should see."""
    for axis in axes_of(op, x):
        yield from _rule(axis.enough, partial(_too_large, op, x, axis))
        yield from _rule(axis.rest, partial(_left_out, op, x, axis))


def _rule(predicate: Compare | None, misfit: Callable[[], Misfit]) -> Iterator[Rule]:
    if predicate is not None and _truth(predicate) is not True:
        yield Rule(False if _truth(predicate) is False else predicate, misfit())


def _truth(predicate: Compare) -> bool | None:
    """Plainly true or plainly false; None where sizes are unknown."""
    left, right = predicate.left, predicate.right
    if isinstance(left, Dim) or isinstance(right, Dim):
        return None
    return left >= right if predicate.op == ">=" else left <= right


def fits(op: Windowed, x: TensorType) -> bool:
    """Whether the windows plainly fit on every axis."""
    found = [each for axis in axes_of(op, x) for each in (axis.enough, axis.rest)]
    return all(each is None or _truth(each) is True for each in found)


def _too_large(op: Windowed, x: TensorType, axis: Axis) -> Misfit:
    message = f"{_size(axis)} {axis.adjective}{_pads(axis)}: a window of {_kernel(axis)} does not fit in it"
    repairs = tuple(_padding_repairs(op, x)) + tuple(_kernel_repairs(op, x))
    help = (
        f"write {_either(_spell(repairs))}"
        if repairs
        else f"the input must be at least {_least(axis)} {axis.adjective}"
    )
    return Misfit("window-too-large", message, help, argument="kernel", repairs=repairs)


def _left_out(op: Windowed, x: TensorType, axis: Axis) -> Misfit:
    predicate = axis.rest
    assert predicate is not None
    where = f"{_size(axis)} {axis.adjective}{_pads(axis)}, {_kernel(axis)}, stride {axis.stride}"
    repairs = (*_padding_repairs(op, x), *_stride_repairs(op, x), *_fit_repairs(op, x))
    write = f"write {_either(_spell(repairs))}"
    if isinstance(predicate.left, int) and isinstance(axis.after, int):
        lost = predicate.left - axis.after
        said = f"1 {axis.place} is" if lost == 1 else f"{lost} {axis.place}s are"
        nearby = _nearby(axis) if isinstance(axis.size, int) else ""
        return Misfit("window-does-not-fit", f"{where}: {said} left out", nearby + write, repairs=repairs)
    wanted = describe(Compare(predicate.left, "==", 0) if predicate.right == 0 else predicate)
    return Misfit("window-does-not-fit", f"{where}: {axis.place}s are left out unless {wanted}", write, repairs=repairs)


def _size(axis: Axis) -> str:
    return str(axis.size) if isinstance(axis.size, int) else f"`{axis.size}`"


def _kernel(axis: Axis) -> str:
    return f"kernel {axis.kernel}" + (f" (dilated {axis.extent})" if axis.dilation != 1 else "")


def _pads(axis: Axis) -> str:
    if axis.before == 0 and axis.after == 0:
        return ""
    return f", padding {axis.before}" if axis.before == axis.after else f", padding [{axis.before}, {axis.after}]"


def _least(axis: Axis) -> Size:
    return maximum(axis.extent - axis.before - axis.after, 1)


# ------------------------------------------------------------------------------------------------ what would fit
def _nearby(axis: Axis) -> str:
    """The next smaller and the next larger size of this axis that would fit."""
    assert isinstance(axis.size, int)
    found = []
    for way in (range(axis.size - 1, max(axis.size - TRIES, 0), -1), range(axis.size + 1, axis.size + TRIES)):
        tried = (replace(axis, size=size) for size in way)
        fitting = (each.size for each in tried if all(p is None or _truth(p) for p in (each.enough, each.rest)))
        found += [str(size) for size in islice(fitting, 1)]
    return f"{' or '.join(found)} {axis.adjective} would fit; or " if found else ""


def _padding_repairs(op: Windowed, x: TensorType) -> Iterator[Repair]:
    if not isinstance(op.padding, int):
        return
    axes = axes_of(op, x)
    missing = [axis.extent - size for axis in axes if isinstance(size := axis.padded, int)]
    first = op.padding + max([1, *((each + 1) // 2 for each in missing)])
    for padding in range(first, min(first + TRIES, max(axis.extent for axis in axes) // 2 + 1)):
        if fits(op.but(padding=padding), x):
            yield Repair("padding", str(padding), f"pad {padding} on every side")
            return


def _stride_repairs(op: Windowed, x: TensorType) -> Iterator[Repair]:
    strides = set(stride_of(op, len(x.spatial)))
    if len(strides) != 1 or isinstance(op.stride, tuple):
        return
    (stride,) = strides
    for near in (stride - 1, stride + 1):
        if near > 1 and fits(op.but(stride=near), x):
            yield Repair("stride", str(near), f"move by {near}")
            return


def _fit_repairs(op: Windowed, x: TensorType) -> Iterator[Repair]:
    yield Repair("fit", "down", "leave it out knowingly")
    if getattr(op, "fits_up", False):
        yield Repair("fit", "up", "let a last window hang over the end")


def _kernel_repairs(op: Windowed, x: TensorType) -> Iterator[Repair]:
    if not isinstance(op.kernel, int):
        return
    largest = min([op.kernel - 1, *(size for axis in axes_of(op, x) if isinstance(size := axis.padded, int))])
    for kernel in range(largest, max(largest - TRIES, 0), -1):
        if fits(op.but(kernel=kernel), x):
            yield Repair("kernel", str(kernel), f"a window of {kernel}")
            return


def _spell(repairs: Iterable[Repair]) -> list[str]:
    return [f"{each.argument}={each.value}" for each in repairs]


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
