"""What a class says in its own words: the arguments and sizes of its steps while its parameters are still names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from specc.backends.torch_nodes import TracedTuple
from specc.backends.torch_plan import Plan
from specc.catalogue.entry import Misfit
from specc.catalogue.op import Op, TensorType
from specc.code.nodes import Traced, TracedFloat
from specc.model.elaborate.evaluate import Evaluator
from specc.model.elaborate.scope import Label, Retrace, Scope, TensorRef
from specc.model.graph import Declared, Frame, Step, ValueId
from specc.syntax import tree
from specc.text.diagnostics import SpecError

Bindings = Mapping[str, Any]
MOST = 32  # items of a list that is told in words; a longer one is a table of numbers


class Trace:
    """One class's view of its steps. `types`, `ops`, `arguments` and `shapes` hold Traced ints where it has words.

    `simplify` shortens what arithmetic made of a number, or gives the plain number where no words are short enough.
    """

    def __init__(self, plan: Plan, simplify: Callable[[Any], Any]) -> None:
        self.plan = plan
        self.simplify = simplify
        self.types: dict[ValueId, TensorType] = {}
        self.ops: dict[int, Op] = {}
        self.arguments: dict[int, dict[str, Any]] = {}
        self.shapes: dict[str, tuple[Any, ...]] = {}
        self.lost: list[tree.Expr] = []
        self.spoken: list[tree.Expr] = []
        self.top: _View | None = None

    def type(self, value: ValueId) -> TensorType:
        return self.types.get(value) or self.plan.model.type(value)

    # -------------------------------------------------------------------------------------------------- the walk
    def begin(self, frame: Frame, bindings: Bindings) -> None:
        """Walk the body of a class. `lost` and `spoken` are its expressions that came out without and with names."""
        self.top = self.view(frame, bindings)
        self.walk(frame, self.top)

    def walk(self, frame: Frame, view: _View) -> None:
        for item in frame.items:
            if isinstance(item, Step):
                self._step(item, view)
            elif isinstance(item, Frame):
                self._frame(item, view)
            else:
                self._declared(item, frame, view)

    def _frame(self, frame: Frame, view: _View) -> None:
        if frame.definition is None:
            self.walk(frame, view)
            return
        arguments = {
            name: self._again(frame.expressions.get(name), value, frame.caller, view)
            for name, value in frame.given.items()
        }
        self.arguments[id(frame)] = arguments
        self.walk(frame, self.view(frame, arguments))

    def view(self, frame: Frame, arguments: Bindings) -> _View:
        """The names of a block's frame, bound to what is known of them here."""
        found = dict(arguments)
        found.update(self._signature(frame))
        if frame.scope is not None:
            for name, bound in frame.scope.names.items():
                if (shadow := self._tensor(bound)) is not bound:
                    found[name] = shadow
        return _View(frame.scope, {name: value for name, value in found.items() if traced(value)})

    def _signature(self, frame: Frame) -> dict[str, Any]:
        block = frame.definition
        if not isinstance(block, tree.Block) or block.signature is None or not frame.inputs:
            return {}
        shape = self.type(frame.inputs[0]).shape
        names = block.signature.takes.items
        found = {}
        for at, each in enumerate(names):
            if isinstance(each, tree.Star):
                break
            if isinstance(each, tree.Name) and at < len(shape):
                found[each.name] = shape[at]
        return found

    def _tensor(self, bound: Any) -> Any:
        tensor = bound.tensor if isinstance(bound, Label) else bound
        if not isinstance(tensor, TensorRef) or tensor.id not in self.types:
            return bound
        return TensorRef(tensor.id, self.types[tensor.id], tensor.module, tensor.further)

    def _step(self, step: Step, view: _View) -> None:
        changes = {}
        for name, expression in step.expressions.items():
            words = step.op.fields[name].kind.words if name in step.op.fields else ()
            found = self._again(expression, step.op.argument(name), step.scope, view, words)
            if traced(found):
                changes[name] = found
        if isinstance(step.call, tree.Index) and traced(found := self._items(step.call, step, view)):
            changes["items"] = found
        op = step.op.but(**changes) if changes else step.op
        if changes:
            self.ops[step.index] = op
        inputs = [self.type(each) for each in step.inputs]
        if changes or any(each in self.types for each in step.inputs):
            self._outputs(step, op, inputs)

    def _items(self, node: tree.Index, step: Step, view: _View) -> tuple[Any, ...]:
        """The indices of a slice of a tensor."""
        found: list[Any] = []
        for item, known in zip(node.items, step.op.argument("items") or (), strict=False):
            if isinstance(item, tree.Slice):
                ends = zip((item.start, item.stop, item.step), known, strict=True)
                found.append(tuple(self._again(end, number, step.scope, view) for end, number in ends))
            else:
                found.append(self._again(item, known, step.scope, view))
        return tuple(found)

    def _outputs(self, step: Step, op: Op, inputs: list[TensorType]) -> None:
        ordered, named = by_port(step, inputs)
        try:
            given = op.gives(*ordered, **named)
        except Misfit:
            return
        for value, found in zip(step.outputs, given if isinstance(given, tuple) else (given,), strict=True):
            real = self.plan.model.type(value)
            shape = tuple(self._reconciled(*pair) for pair in zip(found.shape, real.shape, strict=True))
            if traced(shape):
                self.types[value] = real.to(*shape)

    def _declared(self, item: Declared, frame: Frame, view: _View) -> None:
        real = self.plan.model.type(item.value).shape
        shape = self._again(item.node.shape, real, item.scope, view)
        stored = next((each.value for each in item.node.arguments if each.name == "stored"), None)
        kept = frame.module.weights[item.key.rpartition(".")[2]].shape
        self.shapes[item.key] = shape if stored is None else self._again(stored, kept, item.scope, view)
        if traced(shape):
            self.types[item.value] = self.plan.model.type(item.value).to(*shape)

    # ------------------------------------------------------------------------------------------- one expression
    def _again(
        self, expression: tree.Expr | None, value: Any, scope: Scope | None, view: _View, words: tuple[str, ...] = ()
    ) -> Any:
        """The value once more, with names in it where the expression has some; the plain value wherever in doubt."""
        if expression is None or scope is None or not view.bindings or not is_number(value):
            return value
        if isinstance(value, tuple) and len(value) > MOST:
            if view is self.top:
                self.lost.append(expression)
            return value
        try:
            found = Evaluator(None).evaluate(expression, view.scope(scope), words)
        except SpecError:
            found = value
        result = self._reconciled(found, value)
        if view is self.top:
            (self.spoken if traced(result) else self.lost).append(expression)
        return result

    def _reconciled(self, found: Any, value: Any) -> Any:
        if isinstance(found, TracedTuple) and tuple(found) == value:
            return found
        if isinstance(value, tuple) and isinstance(found, tuple | range) and len(found) == len(value):
            return tuple(self._reconciled(*pair) for pair in zip(found, value, strict=True))
        if isinstance(found, Traced | TracedFloat) and is_number(value) and found == value:
            return self.simplify(found)
        return value


class _View:
    """The scope of a block's frame with its names bound anew; copies of inner scopes are made once."""

    def __init__(self, stop: Scope | None, bindings: Bindings) -> None:
        self.stop = stop
        self.bindings = bindings
        self.copies = Retrace(stop, bindings) if stop is not None else None

    def scope(self, scope: Scope) -> Scope:
        return scope if self.copies is None else self.copies.copy(scope)


def by_port(step: Step, values: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Inputs by position and by name, as the methods of an op take them; tied weights are no inputs."""
    ordered = [value for value, port in zip(values, step.ports, strict=True) if not port]
    named = {port: value for value, port in zip(values, step.ports, strict=True) if port and port != "weight"}
    return ordered, named


def traced(value: Any) -> bool:
    """Whether there is a name in a value."""
    if isinstance(value, TensorRef):
        return value.type is not None and traced(value.type.shape)
    if isinstance(value, tuple):
        return len(value) <= MOST and any(map(traced, value))
    return isinstance(value, Traced | TracedFloat)


def is_number(value: Any) -> bool:
    """Whether it is a number, or a list with one in it: what may carry a name."""
    if isinstance(value, tuple):
        return any(map(is_number, value))
    return isinstance(value, int | float) and not isinstance(value, bool)
