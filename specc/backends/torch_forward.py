"""The lines of a `forward`: one for each step or child, every tensor with a name of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from specc.backends.torch_lines import Line, listed, names_of_tensors, temporary
from specc.backends.torch_names import RESERVED_TENSORS, variable
from specc.backends.torch_plan import holds_weights
from specc.backends.torch_trace import by_port
from specc.catalogue.op import TensorType
from specc.catalogue.run_time import read
from specc.code.nodes import Attribute, Expression, ListOf, Name, call, index, method, value
from specc.model.graph import Declared, Frame, Step, ValueId
from specc.sizes.dim import Size
from specc.text.diagnostics import Diagnostic, SpecError

if TYPE_CHECKING:
    from specc.backends.torch_home import Home
    from specc.catalogue.lowering import TorchValue


@dataclass(frozen=True, slots=True)
class Tensor:
    """An operand in `forward`."""

    node: Expression
    type: TensorType

    def dim(self, axis: int) -> int:
        """PyTorch's dimension of an axis counted without the batch."""
        return (axis + self.type.rank if axis < 0 else axis) + self.type.batched


class Flow:
    """Collects the lines of one body."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.plan = home.plan
        self.lines: list[Line] = []
        self.known: set[ValueId] = set()
        self.same: dict[ValueId, ValueId] = {}
        self.lists: list[tuple[list[ValueId | None], ListOf]] = []

    def body(self, frame: Frame) -> list[Line]:
        """The lines of the whole body."""
        self.known.update(self.plan.crossing(frame).inputs)
        self._items(frame)
        if all(each.training for each in self.lines):  # then it is the caller that asks whether this is training
            self.lines = [replace(each, training=False) for each in self.lines]
        return listed(self.lines, self.lists)

    def _items(self, frame: Frame) -> None:
        for item in self.plan.items(frame):
            if isinstance(item, Step):
                self._step(item, frame)
            elif isinstance(item, Frame):
                if item.module.kind == "parallel":
                    self._branches(item)
                else:
                    self._child(item)

    def _branches(self, frame: Frame) -> None:
        """The branches of a `parallel`, each a line; noted as a list where all of them do the same with one tensor."""
        start = len(self.lines)
        self._items(frame)
        made = self.lines[start:]
        inputs = [names_of_tensors(each.node) for each in made]
        if not made or not all(each == inputs[0] and len(each) == 1 for each in inputs):
            return
        module = frame.module
        runs = [call(self.home.access(each), Name(inputs[0][0])) for each in self.home.tree.children(module)]
        if self.home.tree.style(module) == "list" and [each.node for each in made] == runs:
            element = singular(module.name)
            every = ListOf(call(element, Name(inputs[0][0])), Name(element), self.home.access(module))
            self.lists.append(([each.targets[0] for each in made], every))

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
        if id(frame) in self.plan.unused:
            return
        crossing = self.plan.crossing(frame)
        wanted = [each if each not in self.known else None for each in crossing.outputs]
        if not any(each is not None and each in self.plan.needed for each in wanted):
            return
        node = call(self.home.access(frame.module), *(self.node(each) for each in crossing.inputs))
        name = "" if frame.again else frame.module.name
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
        one = len(self.types) == 1  # a module gives no further outputs
        if numbered and one and module is not None and not module.weights and self.home.stands(module):
            return self.run(*ordered)
        return op.torch(self, *ordered, **named)

    def _operands(self) -> list[Tensor]:
        found = [self.flow.tensor(each) for each in self.step.inputs]
        batched = [each for each in found if each.type.batched]
        if self.step.op.mixes or not batched or len(batched) == len(found):
            return found
        return [each if each.type.batched else _expanded(each, batched[0]) for each in found]

    @property
    def placed(self) -> bool:
        return self.step.module is not None

    @property
    def module(self) -> Expression:
        assert self.step.module is not None
        return self.home.access(self.step.module)

    @property
    def device(self) -> Expression | None:
        plan = self.flow.plan
        there = self.flow.known - (plan.training - {port.value for port in plan.model.inputs if not port.training})
        return Attribute(Name(temporary(max(there))), "device") if there else None

    def run(self, *x: Any) -> Expression:
        return call(self.module, *x)

    def weight(self, name: str) -> Expression:
        return Attribute(self.module, name)

    def size(self, x: TorchValue, axis: int) -> Expression:
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


def singular(label: str) -> str:
    """What one of `convs` is called."""
    one = label.removesuffix("s") if len(label) > 3 else ""
    return one if one != label and variable(one) and one not in RESERVED_TENSORS else "branch"


def declared_in(frame: Frame) -> list[Declared]:
    """The weights that a body declares itself."""
    return [each for each in frame.items if isinstance(each, Declared)]
