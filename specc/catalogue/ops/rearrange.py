"""Axes split, reordered and merged by a pattern, as in einops (Rogozhnikov 2022): `c (h p) (w q) -> (p q c) h w`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from specc.catalogue.arguments import SIZE, Kind, String
from specc.catalogue.axes import apart, equal, shape
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import Rule, TensorType
from specc.catalogue.ops.shape import Reorder
from specc.catalogue.run_time import new_shape, new_shape_onnx
from specc.code.nodes import method
from specc.sizes.dim import Size, product

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression

Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Both sides of a pattern; a group is one axis and the names it is made of, () an axis of size 1."""

    left: tuple[Group, ...]
    right: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pattern asks of a tensor: its axes split into `parts`, taken in `order`, merged to `shape`."""

    parts: tuple[Size, ...]
    order: tuple[int, ...]
    shape: tuple[Size, ...]

    @property
    def moves(self) -> bool:
        return self.order != tuple(range(len(self.order)))

    @property
    def moved(self) -> tuple[Size, ...]:
        return tuple(self.parts[at] for at in self.order)


def read(pattern: str) -> Pattern:
    """The pattern; raises Misfit `bad-pattern`."""
    sides = pattern.split("->")
    if len(sides) != 2:
        raise _bad(f'the pattern "{pattern}" needs one ->')
    left, right = (_groups(side) for side in sides)
    for names in (sum(left, ()), sum(right, ())):
        for name in names:
            if names.count(name) > 1:
                raise _bad(f"`{name}` stands twice on one side of the pattern")
    alone = sorted(set(sum(left, ())) ^ set(sum(right, ())))
    if alone:
        raise _bad(f"`{alone[0]}` stands on one side of the pattern only")
    return Pattern(left, right)


def _groups(side: str) -> tuple[Group, ...]:
    found: list[Group] = []
    for token in re.findall(r"\([^()]*\)|[^\s()]+|[()]", side):
        names = tuple(token.strip("()").split()) if token[0] == "(" and token[-1] == ")" else (token,)
        for name in names:
            if not name.isidentifier() and name != "1":
                help = 'name the axes without the batch: rearrange("c h w -> h w c")'
                raise _bad(f"`{name}` cannot stand in a pattern", help)
        found.append(tuple(name for name in names if name != "1"))
    return tuple(found)


def _bad(message: str, help: str = "") -> Misfit:
    return Misfit("bad-pattern", message, help, argument="pattern")


class Rearrange(Reorder):
    """Axes split, reordered and merged by a pattern; the batch is not named in it."""

    name = "rearrange"
    extra: ClassVar[Kind | None] = Kind("a size", SIZE, symbolic=True)
    cases = (
        Case('rearrange("c h w -> h w c")', "[4, H, W] -> [H, W, 4]"),
        Case('rearrange("c (h p) (w q) -> (p q c) h w", p=2, q=2)', "[3, 8, 6] -> [12, 4, 3]"),
        Case('rearrange("c h w -> (h w) c")', "[4, H, W] -> [H*W, 4]"),
        Case('rearrange("(heads d) -> heads d", heads=4)', "[64] -> [4, 16]"),
        Case('rearrange("c 1 w -> w c")', "[4, 1, W] -> [W, 4]"),
        Case('rearrange("c t (h w) -> t c h w", h=2)', "[3, T, 8] -> [T, 3, 2, 4]"),
        Case('rearrange("c d h w -> d (c h) w")', "[2, D, 3, W] -> [D, 6, W]"),
        Wrong('rearrange("c (h p) -> c h p", p=4)', "[3, 6]", "reshape-size", at="pattern"),
        Wrong('rearrange("c h -> c")', "[3, 6]", "bad-pattern", at="pattern"),
        Wrong('rearrange("c h w -> w h c")', "[3, 6]", "bad-pattern", at="pattern"),
        Wrong('rearrange("(a b) -> a b")', "[6]", "bad-pattern", at="pattern"),
    )

    pattern: String
    """The axes before and after `->`; brackets join several into one, 1 is an axis of that size."""

    def sizes(self, x: TensorType) -> dict[str, Size]:
        """The size of each name, those not given worked out by division."""
        pattern = read(self.pattern)
        if len(pattern.left) != x.rank:
            message = f"the pattern names {len(pattern.left)} axes, the tensor has {x.rank}: {shape(x.shape)}"
            raise _bad(message, "the batch is not named")
        names = sum(pattern.left, ())
        for name, size in self.extra_values.items():
            if name not in names:
                raise Misfit("unknown-argument", f"`{name}` does not stand in the pattern", argument=name)
            if isinstance(size, int) and size < 1:
                raise Misfit("bad-argument", f"`{name}` must be a size from 1 on; this is {size}", argument=name)
        found: dict[str, Size] = dict(self.extra_values)
        for group, size in zip(pattern.left, x.shape, strict=True):
            open_names = [name for name in group if name not in self.extra_values]
            if len(open_names) > 1:
                message = f"the sizes of {' and '.join(f'`{name}`' for name in open_names)} cannot both be worked out"
                raise _bad(message, f"give one of them: {open_names[-1]}=2")
            if open_names:
                found[open_names[0]] = size // product(
                    self.extra_values[each] for each in group if each not in open_names
                )
        return found

    def plan(self, x: TensorType) -> Plan:
        pattern, sizes = read(self.pattern), self.sizes(x)
        before, after = sum(pattern.left, ()), sum(pattern.right, ())
        merged = tuple(product(sizes[name] for name in group) for group in pattern.right)
        return Plan(tuple(sizes[name] for name in before), tuple(before.index(name) for name in after), merged)

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        sizes = self.sizes(x[0])
        for at, (group, size) in enumerate(zip(read(self.pattern).left, x[0].shape, strict=True)):
            made = product(sizes[name] for name in group)
            spelled = " * ".join(f"{sizes[name]}" for name in group) or "1"
            message = f"axis {at} is {size}, but `{' '.join(group) or 1}` is {spelled} ({apart(size, made)})"
            yield from equal(size, made, Misfit("reshape-size", message, argument="pattern"))

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        return x[0].to(*self.plan(x[0]).shape, layout="")

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        plan, node = self.plan(x[0].type), x[0].node
        batch = [0] if x[0].type.batched else []
        if plan.parts != x[0].type.shape:
            node = method(node, "reshape", *new_shape(t, x[0], plan.parts))
        if plan.moves:
            node = method(node, "permute", *batch, *(at + len(batch) for at in plan.order))
        if plan.shape != plan.moved:
            node = method(node, "reshape", *new_shape(t, x[0], plan.shape))
        return node

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        value, kind = x[0], x[0].type
        plan, batch = self.plan(kind), [0] if kind.batched else []
        if plan.parts != kind.shape:
            value = g.node("Reshape", value, new_shape_onnx(g, x[0], plan.parts), type=kind.to(*plan.parts))
        if plan.moves:
            order = [*batch, *(at + len(batch) for at in plan.order)]
            value = g.node("Transpose", value, perm=order, type=kind.to(*plan.moved))
        if plan.shape != plan.moved:
            value = g.node("Reshape", value, new_shape_onnx(g, value, plan.shape))
        return value if value is not x[0] else g.node("Identity", value)
