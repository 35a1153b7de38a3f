"""A module used again: the same layers on another tensor, with the weights that are there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specc.model.elaborate import lines
from specc.model.elaborate.body import Body
from specc.model.elaborate.calls import items_of
from specc.model.elaborate.place import other_channels
from specc.model.elaborate.problem import Silent, problem
from specc.model.elaborate.resolve import Element
from specc.model.elaborate.scope import (
    Again,
    BlockValue,
    GroupLayer,
    OpLayer,
    Scope,
    TensorList,
    TensorRef,
    awaited,
    ids_of,
)
from specc.model.graph import Frame, Module, Step
from specc.syntax import tree
from specc.text.record import changed

if TYPE_CHECKING:
    from specc.model.elaborate.expand import Walk


def again(walk: Walk, value: Again, flow: Any) -> tuple[Any, Module | None, Any]:
    """The same module once more, with the same weights."""
    label = value.label
    if isinstance(label.tensor, TensorRef) and label.tensor.type is None:
        raise Silent
    several = isinstance(flow, TensorList)
    tensors = items_of(flow, value.node) if several else [lines.flowing_tensor(flow, value.node.span)]
    module = label.module
    assert module is not None
    outer = walk.body
    if isinstance(label.layer, OpLayer):
        missing = label.layer.op.tensors()[0] - len(tensors)
        inputs = (*tensors, *label.layer.tensors[len(label.layer.tensors) - missing :]) if missing > 0 else (*tensors,)
        made = walk.builder.place(label.layer, inputs, module.path, module, module.weights, value.node.span)
        outer.frame.items.append(walk.builder.steps[-1])
        return made, None, None
    frame = Frame(module, tuple(ids_of(tensors)), again=True)
    outer.frame.items.append(frame)
    shadow = _shadow(module)
    if isinstance(label.layer, BlockValue):
        parameters = awaited(label.layer)
        if parameters and len(tensors) != len(parameters) + 1:
            names = ", ".join(f"`{each}`" for each in parameters)
            help = f"write `[x, {', '.join(parameters)}] -> {module.name}`"
            raise problem("missing-input", value.node.span, f"`{label.layer.definition.name}` needs {names} too", help)
        inputs = tuple(tensors) if parameters else (flow,)
        inside = walk.block(label.layer, shadow, frame, inputs, value.node.span)
    elif isinstance(label.layer, GroupLayer):
        inside = walk.group(label.layer, shadow, frame, flow, isinstance(label.layer.node, tree.Parallel))
    else:
        inside = _repeat_chain(walk, label.layer, shadow, frame, flow)
    frame.module = module
    same = _same_batches(walk, module, frame) or _same(walk, module, shadow, frame)
    if same:
        raise problem("shared-shape", value.node.span, same)
    result = TensorList(tuple(inside.branches)) if inside.parallel else inside.flow
    return result, None, None if isinstance(label.layer, list) else (inside, label.layer)


def _repeat_chain(
    walk: Walk, elements: list[Element], shadow: Module, frame: Frame, flow: TensorRef | TensorList
) -> Body:
    inner = Body(shadow, frame, Scope(walk.body.scope, "chain"), False, frozenset(), flow)
    walk.bodies.append(inner)
    try:
        inner.flow, _, _ = lines.run(walk, [each for each in elements if each.module], flow, inner.next_name)
    finally:
        walk.bodies.pop()
    frame.result = inner.flow.id if isinstance(inner.flow, TensorRef) else None
    return inner


def _shadow(module: Module) -> Module:
    return Module(module.name, module.path, module.kind, module.record)


def _same_batches(walk: Walk, module: Module, frame: Frame) -> str:
    """A sentence if a tensor has a batch at one use and none at the other: the lines inside would differ."""
    first = module.frame
    for at, (before, now) in enumerate(zip(first.inputs if first else (), frame.inputs, strict=False)):
        old, new = walk.builder.values[before].type, walk.builder.values[now].type
        if old is not None and new is not None and old.batched != new.batched:
            name = f"`{frame.names[at]}`" if at and frame.names else "what flows in"
            one, other = ("a batch", "none") if old.batched else ("no batch", "one")
            return f"`{module.path}` had {one} in {name} at its first use, and {other} here"
    return ""


def _same(walk: Walk, module: Module, shadow: Module, frame: Frame) -> str:
    """Put the real modules in place of the shadow's; a sentence if the second use would need other weights."""
    real, copies = flatten(module), flatten(shadow)
    if [each.path for each in real] != [each.path for each in copies]:
        return f"`{module.path}` takes other branches here than at its first use, so it cannot share its weights"
    for old, new in zip(real, copies, strict=True):
        if old.weights and new.weights and old.weights != new.weights:
            return f"`{old.path or module.path}` would need other shapes here than at its first use"
        steps = [each.step for each in (old, new) if each.step is not None and each.step.op.for_channels]
        kinds = [walk.builder.values[each.inputs[0]].type for each in steps]
        said = other_channels(old, kinds[0], kinds[1]) if len(kinds) == 2 else ""
        if said:
            return said
    swap = {id(new): old for old, new in zip(real, copies, strict=True)}
    _swap(walk, frame, swap)
    gone = set(swap)
    walk.modules[:] = [each for each in walk.modules if id(each) not in gone]
    return ""


def flatten(module: Module) -> list[Module]:
    """The module and all below it, in order."""
    return [module, *(each for child in module.children for each in flatten(child))]


def _swap(walk: Walk, frame: Frame, swap: dict[int, Module]) -> None:
    frame.module = swap.get(id(frame.module), frame.module)
    frame.again = True
    for at, item in enumerate(frame.items):
        if isinstance(item, Frame):
            _swap(walk, item, swap)
        elif isinstance(item, Step) and item.module is not None and id(item.module) in swap:
            step = changed(item, module=swap[id(item.module)])
            frame.items[at] = walk.builder.steps[item.index] = step
