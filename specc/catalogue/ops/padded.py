"""How padding is written: `F.pad` and ONNX's Pad, with widths that may only be known at run time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from specc.catalogue.ops.windows import Axis
from specc.catalogue.run_time import sizes_onnx
from specc.code.nodes import Binary, Call, Expression, Name, Unary, formula, value
from specc.sizes.dim import Dim, Size, minimum, symbol

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue

Widths = Sequence[tuple[Any, Any]]
NEGATIVE_INFINITY = float("-inf")
_UNKNOWN = symbol("n")


def at_run_time(size: Any, names: Mapping[str, Expression]) -> Expression:
    """A size as an expression, with these nodes for its unknowns."""
    return _filled(formula(str(size)), names) if isinstance(size, Dim) else value(size)


def _filled(node: Expression, names: Mapping[str, Expression]) -> Expression:
    if isinstance(node, Name):
        return names.get(node.name, node)
    if isinstance(node, Binary):
        return Binary(node.operator, _filled(node.left, names), _filled(node.right, names))
    if isinstance(node, Unary):
        return Unary(node.operator, _filled(node.operand, names))
    if isinstance(node, Call):
        return Call(node.function, tuple(_filled(each, names) for each in node.arguments))
    return node


def closing_widths(t: TorchContext, x: TorchValue, axes: Sequence[Axis], most: bool = False) -> Widths:
    """The padding of each axis up to the end of the last window (`most`: at most what the spec says)."""
    found: list[tuple[Any, Any]] = []
    for at, axis in enumerate(axes, 1):
        if axis.fit != "up":
            found.append((axis.before, axis.after))
            continue
        free = replace(axis, size=_UNKNOWN) if isinstance(axis.size, Dim) else axis
        end = closing(free, most)
        found.append((axis.before, at_run_time(end, {str(_UNKNOWN): t.size(x, at)}) if isinstance(end, Dim) else end))
    return found


def closing(axis: Axis, most: bool = False) -> Size:
    """The padding behind the input, up to the end of the last window."""
    if axis.fit != "up":
        return axis.after
    return minimum(axis.after, axis.end) if most else axis.end


def torch_pad(
    t: TorchContext, x: TorchValue | Expression, widths: Widths, fill: float = 0, mode: str = ""
) -> Expression:
    """`F.pad(x, (left, right, top, bottom))` for the last axes of x."""
    pairs = list(widths)
    while not mode and pairs and pairs[0] == (0, 0):
        pairs.pop(0)
    flat = tuple(side for pair in reversed(pairs) for side in pair)
    named: dict[str, Any] = {"mode": mode} if mode else {"value": fill} if fill else {}
    return t.function("F.pad", x, flat, **named)


def onnx_pad(
    g: OnnxGraph, x: OnnxValue, widths: Widths, fill: float = 0, *, first: int = 1, mode: str = "constant"
) -> OnnxValue:
    """ONNX's Pad of the axes from `first` on (counted without the batch).

    All axes are named and get their widths, the others 0: onnxruntime mistakes the widths of some axes beside a
    Transpose, and without names it lets a pool behind take the padding over, which then is no longer zeros.
    """
    kind = x.type
    last = first + len(widths)
    sizes = [n + before + after for n, (before, after) in zip(kind.shape[first:last], widths, strict=True)]
    every = [(0, 0)] * x.dim(first) + list(widths) + [(0, 0)] * (kind.rank - last)
    inputs: list[Any] = [sizes_onnx(g, [*(before for before, _ in every), *(after for _, after in every)])]
    number = g.constant(fill if kind.dtype == "float" else int(fill), kind.dtype) if mode == "constant" else ""
    inputs += [number, g.constant([*range(len(every))], "int")]
    made = kind.to(*kind.shape[:first], *sizes, *kind.shape[last:])
    return g.node("Pad", x, *inputs, mode=mode, type=made)  # type: ignore[no-any-return]
