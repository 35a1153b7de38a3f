"""What emission must know of a model before it prints a line: heads to undo, and which tensors cross which bodies."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from specc.model.graph import Declared, Frame, Model, Module, Port, Step, ValueId
from specc.sizes.dim import Dim
from specc.sizes.express import told, unknown


@dataclass(frozen=True, slots=True)
class Head:
    """An output whose last step is left to `forward`: `logits` gives the input of that step."""

    step: Step
    logits: ValueId


@dataclass(slots=True)
class Crossing:
    """The tensors that cross the border of a body, in the order of the text.

    `inputs` are those that are handed in and used: of the frame's own inputs, then of tensors made outside.
    `outputs` are the result, then what later lines outside use of the inside.
    """

    inputs: tuple[ValueId, ...]
    outputs: tuple[ValueId, ...]


@dataclass
class Plan:
    """The model as emission sees it."""

    model: Model
    heads: dict[str, Head] = field(default_factory=dict)
    left_out: set[int] = field(default_factory=set)
    instead: dict[ValueId, ValueId] = field(default_factory=dict)
    crossings: dict[int, Crossing] = field(default_factory=dict)
    needed: set[ValueId] = field(default_factory=set)
    training: set[ValueId] = field(default_factory=set)
    frames: dict[int, list[Frame]] = field(default_factory=dict)
    unused: set[int] = field(default_factory=set)

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """The symbols that shapes of weights depend on: they are parameters of their classes."""
        sizes = [size for weight in self.model.weights for size in weight.spec.shape]
        return tuple(sorted({name for size in sizes if isinstance(size, Dim) for name in size.symbols}))

    def wanted(self, port: Port) -> ValueId:
        """The tensor that `logits` gives for an output."""
        head = self.heads.get(port.name)
        return head.logits if head else self.seen(port.value)

    def seen(self, value: ValueId) -> ValueId:
        """The tensor itself, or its logits where the head that makes it was left out."""
        return self.instead.get(value, value)

    def results(self, frame: Frame) -> tuple[ValueId, ...]:
        if frame.result is None:
            return ()
        found = frame.result if isinstance(frame.result, tuple) else (frame.result,)
        return tuple(self.seen(each) for each in found)

    def items(self, frame: Frame) -> Iterator[Step | Frame | Declared]:
        """What stands in a body, without the heads that are left out."""
        for item in frame.items:
            if not isinstance(item, Step) or item.index not in self.left_out:
                yield item

    def called(self, frame: Frame) -> bool:
        """Whether a line of `forward` runs this body."""
        return id(frame) not in self.unused and self.needed.issuperset(self.results(frame))

    def crossing(self, frame: Frame) -> Crossing:
        return self.crossings[id(frame)]


def plan(model: Model) -> Plan:
    """Work out everything that does not depend on how it is written."""
    found = Plan(model)
    for port in model.outputs:
        _find_head(found, port)
    while _keep_heads_of_shared_bodies(found):
        pass
    _find_uses(found)
    _Borders(found).work_out()
    return found


def holds_weights(module: Module) -> bool:
    """Whether there is anything of the state-dict in it."""
    return bool(module.weights) or any(map(holds_weights, module.children))


def _find_head(plan: Plan, port: Port) -> None:
    value = plan.model.values[port.value]
    step = None if value.step is None else plan.model.steps[value.step]
    if step is None or not step.op.undone or step.outputs[0] != port.value:
        return
    plan.heads[port.name] = Head(step, step.inputs[0])
    users = [each for each in plan.model.steps if port.value in each.inputs]
    if not users:
        plan.left_out.add(step.index)
        plan.instead[port.value] = step.inputs[0]


def _keep_heads_of_shared_bodies(plan: Plan) -> bool:
    """A body that is used more than once leaves its head out at every use or at none; whether any was put back."""
    uses: dict[int, list[Frame]] = {}
    waiting = [plan.model.root] if plan.left_out else []
    while waiting:
        frame = waiting.pop()
        uses.setdefault(id(frame.module), []).append(frame)
        waiting += [item for item in frame.items if isinstance(item, Frame)]
    before = len(plan.left_out)
    for frames in uses.values():
        for alike in zip(*map(steps_of, frames), strict=False):
            if not all(each.index in plan.left_out for each in alike):
                plan.left_out -= {each.index for each in alike}
                for each in alike:
                    plan.instead.pop(each.outputs[0], None)
    return len(plan.left_out) < before


def _find_uses(plan: Plan) -> None:
    """Which tensors any output needs, and which only the outputs of training need."""
    deployed = _behind(plan, [plan.wanted(port) for port in plan.model.outputs if not port.training])
    everything = _behind(plan, [plan.wanted(port) for port in plan.model.outputs])
    plan.needed = everything
    plan.training = everything - deployed
    _keep_results(plan)
    _keep_unused(plan, plan.model.root)


def _keep_unused(plan: Plan, frame: Frame) -> None:
    """A body with weights that nothing uses still gets a class with a forward, although no line calls it."""
    for item in frame.items:
        if not isinstance(item, Frame):
            continue
        inside = {each for step in steps_of(item) for each in step.outputs}
        has_class = item.module.kind != "parallel" and holds_weights(item.module)
        if has_class and plan.needed.isdisjoint(inside):
            plan.unused.add(id(item))
            plan.needed |= _behind(plan, list(plan.results(item))) & inside
        _keep_unused(plan, item)


def _keep_results(plan: Plan) -> None:
    """A body that is called for one of its inner tensors gives its result all the same, although nothing uses it."""
    before = (-1, -1)
    while (len(plan.needed), len(plan.training)) != before:
        before = (len(plan.needed), len(plan.training))
        waiting = [plan.model.root]
        while waiting:
            for item in waiting.pop().items:
                if isinstance(item, Frame):
                    waiting.append(item)
                    _keep_result(plan, item)


def _keep_result(plan: Plan, frame: Frame) -> None:
    results = plan.results(frame)
    if all(each in plan.needed and each not in plan.training for each in results):
        return
    inside = {each for step in steps_of(frame) for each in step.outputs}
    if not inside.isdisjoint(plan.needed) and not (inside & plan.needed) <= plan.training:
        behind = _behind(plan, list(results))
        plan.needed |= behind
        plan.training -= behind
    elif not plan.needed.isdisjoint(inside) and not plan.needed.issuperset(results):
        behind = _behind(plan, list(results))
        plan.training |= behind - plan.needed
        plan.needed |= behind


def steps_of(frame: Frame) -> Iterator[Step]:
    """All steps in a body and in those inside it, in order."""
    for item in frame.items:
        if isinstance(item, Frame):
            yield from steps_of(item)
        elif isinstance(item, Step):
            yield item


def _behind(plan: Plan, values: list[ValueId]) -> set[ValueId]:
    found = set(values)
    for step in reversed(plan.model.steps):
        if step.index not in plan.left_out and not found.isdisjoint(step.outputs):
            found.update(plan.seen(each) for each in step.inputs)
    return found


class _Borders:
    """One walk over all frames: where each tensor is made, and in which bodies it is used."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.made: dict[ValueId, tuple[Frame, ...]] = {}
        self.inputs: dict[int, dict[ValueId, None]] = {}
        self.outputs: dict[int, dict[ValueId, None]] = {}

    def work_out(self) -> None:
        root = self.plan.model.root
        for port in self.plan.model.inputs:
            self.made[port.value] = ()
        self._walk(root, ())
        given = {port.value for port in self.plan.model.inputs}
        for port in self.plan.model.outputs:
            value = self.plan.wanted(port)
            self._use(value, ())
            if value in given:  # an input that is an output as it is
                self.inputs[id(root)].setdefault(value)
        for frames in self.plan.frames.values():
            frames.sort(key=lambda frame: not self.plan.called(frame))  # the first is the one that is printed
            self._agree(frames)

    def _walk(self, frame: Frame, around: tuple[Frame, ...]) -> None:
        inside = (*around, frame)
        self.inputs[id(frame)] = {}
        self.outputs[id(frame)] = {}
        self.plan.frames.setdefault(id(frame.module), []).append(frame)
        for item in self.plan.items(frame):
            if isinstance(item, Frame):
                self._walk(item, inside)
            elif isinstance(item, Declared):
                self.made[item.value] = inside
            else:
                self._step(item, inside)
        for value in self.plan.results(frame):
            self._use(value, inside)

    def _step(self, step: Step, inside: tuple[Frame, ...]) -> None:
        live = not self.plan.needed.isdisjoint(step.outputs)
        for value in (*step.inputs, *self._beside(step, inside)) if live else ():
            self._use(self.plan.seen(value), inside)
        for value in step.outputs:
            self.made[value] = inside

    def _beside(self, step: Step, inside: tuple[Frame, ...]) -> tuple[ValueId, ...]:
        """The tensors outside its body that tell sizes which the step names, or, without inputs, its sizes and device."""
        model = self.plan.model
        if step.inputs:
            named = unknown(step.op.__dict__.values())
            if not named or self._told(named, [*step.inputs, *_at_hand(inside[-1], self.made)]):
                return ()
        else:
            named = {size for value in step.outputs for size in model.type(value).shape if isinstance(size, Dim)}
        for frame in reversed(inside):
            given = frame.inputs or tuple(port.value for port in model.inputs if frame is model.root)
            if given and self._told(named, given):
                return given
            if step.inputs and frame.module.kind == "block":  # what is outside is a parameter's to bring
                break
        return ()

    def _told(self, sizes: Iterable[Dim], values: Iterable[ValueId]) -> bool:
        return told(sizes, (size for value in values for size in self.plan.model.type(value).shape))

    def _use(self, value: ValueId, inside: tuple[Frame, ...]) -> None:
        maker = self.made[value] if value in self.made else self._holder(value, inside)
        shared = 0
        while shared < min(len(maker), len(inside)) and maker[shared] is inside[shared]:
            shared += 1
        for frame in inside[shared:]:
            self.inputs[id(frame)].setdefault(value)
        for frame in maker[shared:]:
            self.outputs[id(frame)].setdefault(value)

    def _holder(self, value: ValueId, inside: tuple[Frame, ...]) -> tuple[Frame, ...]:
        """A weight used as a tensor is at hand wherever its module is."""
        key = self.plan.model.values[value].key
        depth = 0
        for at, frame in enumerate(inside, 1):
            if _holds(frame.module, key):
                depth = at
        return inside[:depth]

    def _agree(self, frames: list[Frame]) -> None:
        """All uses of one module hand in and out the same tensors, by place."""
        others = frames[1:]
        inputs = [_in_order(frame, self.inputs[id(frame)]) for frame in frames]
        outputs = [self._given_out(frame) for frame in frames]
        if others:
            inputs = _by_place(frames, inputs)
            outputs = _by_place(frames, outputs)
        for frame, into, out in zip(frames, inputs, outputs, strict=True):
            self.plan.crossings[id(frame)] = Crossing(tuple(into), tuple(out))

    def _given_out(self, frame: Frame) -> list[ValueId]:
        results = self.plan.results(frame)
        return [*results, *(each for each in self.outputs[id(frame)] if each not in results)]


def _at_hand(frame: Frame, made: Container[ValueId]) -> Iterator[ValueId]:
    """The tensors that flow into a body, and those that its lines have made so far."""
    yield from frame.inputs
    for item in frame.items:
        yield from (each for each in item.outputs if each in made) if isinstance(item, Step) else ()


def _holds(module: Module, key: str) -> bool:
    return not module.path or key.startswith(module.path + ".")


def _in_order(frame: Frame, used: dict[ValueId, None]) -> list[ValueId]:
    own = [each for each in dict.fromkeys(frame.inputs) if each in used]
    return own + [each for each in used if each not in own]


def _by_place(frames: list[Frame], found: list[list[ValueId]]) -> list[list[ValueId]]:
    """The union over several uses of one module of what crosses its border, each in its own tensors."""
    places = [_places(frame) for frame in frames]
    union: dict[Any, None] = {}
    for place, values in zip(places, found, strict=True):
        union.update((place.get(value, value), None) for value in values)
    ordered = sorted(
        union, key=lambda where: where[1] if isinstance(where, tuple) and where[0] == "input" else len(union)
    )
    ways = [{where: value for value, where in place.items()} for place in places]
    for way, frame in zip(ways, frames, strict=True):  # one tensor may be handed in twice
        way.update((("input", at), value) for at, value in enumerate(frame.inputs))
    return [[way.get(where, where) for where in ordered] for way in ways]


def _places(frame: Frame) -> dict[ValueId, Any]:
    """Where a tensor arises in a body, the same for each use of it."""
    found: dict[ValueId, Any] = {}
    for at, value in enumerate(frame.inputs):
        found.setdefault(value, ("input", at))

    def visit(inner: Frame, path: tuple[int, ...]) -> None:
        for at, item in enumerate(inner.items):
            if isinstance(item, Frame):
                visit(item, (*path, at))
            elif isinstance(item, Step):
                found.update((value, ("step", *path, at, port)) for port, value in enumerate(item.outputs))

    visit(frame, ())
    return found
