"""The lines of a `forward`: one for each step or child, first with a name for every tensor, then as a person writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from specc.backends.torch_names import RESERVED_TENSORS, unused, variable
from specc.backends.torch_nodes import names, replaced, width
from specc.backends.torch_plan import holds_weights
from specc.backends.torch_trace import by_port
from specc.catalogue.op import TensorType
from specc.catalogue.run_time import read
from specc.code.nodes import Attribute, Binary, Call, Expression, Name, call, index, method, value
from specc.model.graph import Declared, Frame, Step, ValueId
from specc.sizes.dim import Size
from specc.text.diagnostics import Diagnostic, SpecError

if TYPE_CHECKING:
    from specc.backends.torch_home import Home

LONG = 60  # what is nested is not longer than this
DEEP = 3


@dataclass(frozen=True, slots=True)
class Line:
    """`targets = node`: tensors are names such as `_v12`, each assigned once. `hint` is a name for the result.

    `training` marks what only outputs of training need; `eased` a step that keeps the shape of its single operand.
    """

    targets: tuple[ValueId | None, ...]
    node: Expression
    hint: str = ""
    training: bool = False
    eased: bool = False
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Tensor:
    """An operand in `forward`."""

    node: Expression
    type: TensorType

    def dim(self, axis: int) -> int:
        """PyTorch's dimension of an axis counted without the batch."""
        return (axis + self.type.rank if axis < 0 else axis) + self.type.batched


def temporary(value: ValueId) -> str:
    """The name of a tensor until it gets its own."""
    return f"_v{value}"


class Flow:
    """Collects the lines of one body."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.plan = home.plan
        self.lines: list[Line] = []
        self.known: set[ValueId] = set()
        self.same: dict[ValueId, ValueId] = {}

    def body(self, frame: Frame) -> list[Line]:
        self.known.update(self.plan.crossing(frame).inputs)
        self._items(frame)
        return self.lines

    def _items(self, frame: Frame) -> None:
        for item in self.plan.items(frame):
            if isinstance(item, Step):
                self._step(item, frame)
            elif isinstance(item, Frame):
                if item.module.kind == "parallel":
                    self._items(item)
                else:
                    self._child(item)

    # --------------------------------------------------------------------------------------------------- steps
    def _step(self, step: Step, frame: Frame) -> None:
        if self.plan.needed.isdisjoint(step.outputs):
            return
        one_line = StepLine(self, step)
        node = one_line.written(numbered=not frame.module.record)
        keeps = len(step.inputs) == 1 and self._same_shape(step.inputs[0], step.outputs[0]) and self._pointwise(step)
        self._add(step.outputs if len(one_line.types) > 1 else step.outputs[:1], node, step_hint(step), keeps)

    def _same_shape(self, one: ValueId, other: ValueId) -> bool:
        """Whether both are written the same, not only equal by chance."""
        types = self.home.trace.type(self.plan.seen(one)), self.home.trace.type(other)
        return value(types[0].shape) == value(types[1].shape)

    def _pointwise(self, step: Step) -> bool:
        return step.op.reach(self.plan.model.type(self.plan.seen(step.inputs[0]))) is None

    def _child(self, frame: Frame) -> None:
        crossing = self.plan.crossing(frame)
        wanted = [each if each not in self.known else None for each in crossing.outputs]
        if not any(each is not None and each in self.plan.needed for each in wanted):
            return
        node = call(self.home.access(frame.module), *(self.node(each) for each in crossing.inputs))
        name = frame.module.name
        keeps = len(crossing.inputs) == len(wanted) == 1 and not holds_weights(frame.module)
        keeps = keeps and self._same_shape(crossing.inputs[0], crossing.outputs[0])
        self._add(wanted, node, "" if name.isdigit() else name, keeps)

    def _add(self, targets: Iterable[ValueId | None], node: Expression, hint: str, eased: bool) -> None:
        made = tuple(each if each in self.plan.needed else None for each in targets)
        if isinstance(node, Name) and len(made) == 1 and made[0] is not None:
            self.same[made[0]] = int(node.name.removeprefix("_v"))
            return
        training = all(each is None or each in self.plan.training for each in made)
        self.lines.append(Line(made, node, hint, training, eased))
        self.known.update(each for each in made if each is not None)

    # ------------------------------------------------------------------------------------------------- tensors
    def final(self, value: ValueId) -> ValueId:
        """The tensor itself: without a head that is left out, without steps that only pass it on."""
        value = self.plan.seen(value)
        while value in self.same:
            value = self.same[value]
        return value

    def node(self, value: ValueId) -> Expression:
        """The tensor as an operand: a name, or a weight of this class."""
        value = self.final(value)
        if value in self.known:
            return Name(temporary(value))
        return self.home.weight(value)

    def tensor(self, value: ValueId) -> Tensor:
        return Tensor(self.node(value), self.home.trace.type(self.plan.seen(value)))


class StepLine:
    """The `TorchContext` of one step."""

    def __init__(self, flow: Flow, step: Step) -> None:
        self.flow = flow
        self.home = flow.home
        self.step = step
        needed = flow.plan.needed
        outputs = step.outputs
        if step.op.further and needed.isdisjoint(outputs[1:]):
            outputs = outputs[:1]
        self.types = tuple(self.home.trace.type(each) for each in outputs)

    def written(self, numbered: bool) -> Expression:
        """The expression of the step. In a numbered body what can be a module is one, so that the numbers stay."""
        op = self.home.trace.ops.get(self.step.index, self.step.op)
        operands = self._operands()
        ordered, named = by_port(self.step, operands)
        module = self.step.module
        if numbered and module is not None and not module.weights and self.home.stands(module):
            return self.run(*ordered)
        return op.torch(self, *ordered, **named)

    def _operands(self) -> list[Tensor]:
        found = [self.flow.tensor(each) for each in self.step.inputs]
        batched = [each for each in found if each.type.batched]
        if self.step.op.mixes or not batched or len(batched) == len(found):
            return found
        return [each if each.type.batched else _expanded(each, batched[0]) for each in found]

    @property
    def module(self) -> Expression:
        assert self.step.module is not None
        return self.home.access(self.step.module)

    def run(self, *x: Any) -> Expression:
        return call(self.module, *x)

    def weight(self, name: str) -> Expression:
        return Attribute(self.module, name)

    def size(self, x: Tensor, axis: int) -> Expression:
        found = x.type.shape[axis]
        return value(found) if isinstance(found, int) else index(Attribute(x.node, "shape"), x.dim(axis))

    def formula(self, size: Size) -> Expression:
        """Any size, its unknowns read from the tensors that this body has."""
        found = read(self, size, [self.flow.tensor(each) for each in sorted(self.flow.known)])
        if found is None:
            message = f"the size {size} cannot be read from the tensors of this block"
            help = "give the block a tensor that has it, as a parameter of type tensor"
            raise SpecError(Diagnostic("size-out-of-reach", self.step.span, message, help))
        return found

    def function(self, dotted: str, *x: Any, **keywords: Any) -> Expression:
        return call(dotted, *x, **keywords)

    def method(self, x: Any, name: str, *arguments: Any, **keywords: Any) -> Expression:
        return method(value(x), name, *arguments, **keywords)

    def support(self, name: str) -> Expression:
        return Name(self.home.support(name))


def _expanded(x: Tensor, like: Tensor) -> Tensor:
    """A tensor without a batch, once for each sample."""
    batch = index(Attribute(like.node, "shape"), 0)
    return Tensor(method(x.node, "expand", batch, *[-1] * x.type.rank), replace(x.type, batched=True))


def step_hint(step: Step) -> str:
    """What a tensor of this step may be called."""
    name = step.module.name if step.module is not None else ""
    return step.op.name if not name or name.isdigit() else name


# ------------------------------------------------------------------------------------------------------- nesting
def nested(lines: list[Line], results: Iterable[ValueId]) -> list[Line]:
    """Calls put into each other where that reads well: `F.relu(self.bn1(self.conv1(x)))`."""
    uses: dict[str, int] = {}
    for name in [*(temporary(each) for each in results), *(name for line in lines for name in names(line.node))]:
        uses[name] = uses.get(name, 0) + 1
    found: list[Line] = []
    for line in lines:
        while found and (joined := _joined(found[-1], line, uses)) is not None:
            found.pop()
            line = joined
        found.append(line)
    return found


def _joined(before: Line, line: Line, uses: Mapping[str, int]) -> Line | None:
    target = before.targets[0]
    if len(before.targets) != 1 or target is None or before.training != line.training:
        return None
    name = temporary(target)
    operands = [each for each in names(line.node) if each.startswith("_v")]
    if operands.count(name) != 1 or uses[name] != 1 or not _welcome(before, line, operands):
        return None
    node = replaced(line.node, {name: before.node})
    if width(node) > LONG:
        return None
    return replace(line, node=node, eased=before.eased, depth=before.depth + line.depth)


def _welcome(before: Line, line: Line, operands: list[str]) -> bool:
    """Whether a reader would nest these two: short chains of calls that keep the shape, and operands of an operator."""
    if isinstance(line.node, Binary):
        return before.depth == 1 and isinstance(before.node, Call | Binary)
    return line.eased and len(operands) == 1 and before.depth + line.depth <= DEEP


# -------------------------------------------------------------------------------------------------------- naming
FLOWING = ("x", "out", "y", "z")


class Naming:
    """Gives every tensor of a function its name: `x` for what flows on, labels for what is needed later."""

    def __init__(self, lines: list[Line], results: Iterable[ValueId], labels: Mapping[ValueId, str]) -> None:
        self.lines = lines
        self.labels = labels
        self.last: dict[ValueId, int] = {}
        self.names: dict[ValueId, str] = {}
        for at, line in enumerate(lines):
            for name in names(line.node):
                if name.startswith("_v"):
                    self.last[int(name[2:])] = at
        self.last.update(dict.fromkeys(results, len(lines)))
        self.taken: set[str] = set()
        self.holders: dict[str, ValueId] = {}

    def inputs(self, given: Mapping[ValueId, str]) -> None:
        """The names of the parameters."""
        self.names.update(given)
        self.taken.update(given.values())
        self.holders.update({name: each for each, name in given.items()})

    def give(self) -> dict[str, Expression]:
        """Temporary names and what they become."""
        for at, line in enumerate(self.lines):
            for target in line.targets:
                if target is None:
                    continue
                name = variable(self._label(target, line))
                if name and name not in FLOWING and self._stays(target, at):
                    self.names[target] = unused(name, self.taken | RESERVED_TENSORS)
                else:
                    self.names[target] = self._flowing(at, target)
                self.taken.add(self.names[target])
        return {temporary(each): Name(name) for each, name in self.names.items()}

    def _label(self, target: ValueId, line: Line) -> str:
        return (
            (line.hint or self.labels.get(target, ""))
            if len(line.targets) == 1
            else self.labels.get(target, "") or line.hint
        )

    def _stays(self, target: ValueId, at: int) -> bool:
        """Whether it is needed after the line that follows, or stands beside others."""
        return self.last.get(target, at) > at + 1 or len(self.lines[at].targets) > 1

    def _flowing(self, at: int, target: ValueId) -> str:
        """The first of x, out, y … that nothing holds any more."""
        for name in chain(FLOWING, (f"x{number}" for number in count(2))):
            holder = self.holders.get(name)
            if holder is None or self.last.get(holder, -1) <= at:
                self.holders[name] = target
                return name
        raise AssertionError


def declared_in(frame: Frame) -> list[Declared]:
    """The weights that a body declares itself."""
    return [each for each in frame.items if isinstance(each, Declared)]
