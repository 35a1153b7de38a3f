"""One class that is being written: the words it has for its numbers, and how it reaches the modules below it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from specc.backends.torch_names import TAKEN, plain
from specc.backends.torch_nodes import names, times
from specc.backends.torch_plan import Plan, holds_weights
from specc.backends.torch_trace import Trace, by_port
from specc.catalogue.op import Op
from specc.code.nodes import Attribute, Call, Expression, List, Name, Traced, TracedFloat, Tuple, index, method
from specc.model.graph import Model, Module, Step, ValueId


class CannotPrint(Exception):
    """The model holds something that PyTorch code cannot be written for; the message says what and where."""


@dataclass(frozen=True, slots=True)
class Word:
    """A parameter of a class: its type, and its default if it has one."""

    name: str
    annotation: str
    default: Any = ...


class Tree:
    """The modules of a model from the other side: parents, and modules by path."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.parents: dict[int, Module] = {}
        self.paths: dict[str, Module] = {}
        self._styles: dict[int, str] = {}
        self._add(plan.model.root.module)

    def _add(self, module: Module) -> None:
        self.paths[module.path] = module
        for child in module.children:
            self.parents[id(child)] = module
            self._add(child)

    def way(self, owner: Module, module: Module) -> list[Module]:
        """The modules from below `owner` down to `module`."""
        found: list[Module] = []
        while module is not owner:
            found.append(module)
            module = self.parents[id(module)]
        return found[::-1]

    def children(self, module: Module) -> list[Module]:
        """Those children that stand in the code whatever the forward looks like; without what can be a plain function.

        In a numbered body with weights every layer stands, so that the numbers stay.
        """
        return [each for each in module.children if self.stands(module, each)]

    def stands(self, parent: Module, child: Module) -> bool:
        if holds_weights(child):
            return True
        if child.kind != "op":
            frames = self.plan.frames.get(id(child), [])
            crossings = [self.plan.crossing(each) for each in frames]
            return any(not self.plan.needed.isdisjoint(set(each.outputs) - set(each.inputs)) for each in crossings)
        step = child.step
        if parent.record or step is None or step.index in self.plan.left_out:
            return False
        if not holds_weights(parent) and type(step.op).torch is not Op.torch:
            return False
        return not self.plan.needed.isdisjoint(step.outputs) and plain_module(self.plan.model, step) is not None

    def style(self, module: Module) -> str:
        """How its children are reached: "named" self.conv, "list" self[0], "dict" self["2"]."""
        found = self._styles.get(id(module))
        if found is None:
            found = self._styles[id(module)] = self._style(module)
        return found

    def _style(self, module: Module) -> str:
        if module.record:
            return "dict" if module.kind == "parallel" else "named"
        numbers = [each.name for each in self.children(module)]
        return "list" if numbers == [str(at) for at in range(len(numbers))] else "dict"

    def reach(self, node: Expression, parent: Module, child: Module) -> Expression:
        """The expression for a child of what `node` is."""
        style = self.style(parent)
        if style == "list":
            return index(node, int(child.name))
        if style == "dict":
            return index(node, child.name)
        if plain(child.name):
            return Attribute(node, child.name)
        if child.name in TAKEN:
            return index(Attribute(node, "_modules"), child.name)
        return method(node, "get_submodule", child.name)


def plain_module(model: Model, step: Step) -> Expression | None:
    """How the module of a step is built, in numbers."""
    ordered, named = by_port(step, [model.type(each) for each in step.inputs])
    return step.op.module(*ordered, **named)


@dataclass
class Home:
    """The class at hand. `words` are the parameters it may have; `ran` the modules that its forward runs.

    `dropped` are the words that some line left out although an argument has them: their value is fixed in this class.
    """

    plan: Plan
    tree: Tree
    module: Module
    trace: Trace
    words: Mapping[str, Word]
    ran: set[int] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)

    def access(self, module: Module) -> Expression:
        """`self.layer1[0].conv1`."""
        node: Expression = Name("self")
        parent = self.module
        for child in self.tree.way(self.module, module):
            self.ran.add(id(child))
            node = self.tree.reach(node, parent, child)
            parent = child
        return node

    def holds(self, key: str) -> bool:
        return not self.module.path or key.startswith(self.module.path + ".")

    def weight_at(self, key: str) -> Expression:
        """`self.wte.weight` for a key of the state-dict."""
        path, _, name = key.rpartition(".")
        owner = self.access(self.tree.paths[path])
        if plain(name):
            return Attribute(owner, name)
        kind = self.tree.paths[path].weights[name].kind
        return index(Attribute(owner, f"_{kind}s"), name)

    def weight(self, tensor: ValueId) -> Expression:
        """A declared weight, or a layer's weight used as a tensor, in the shape the spec gives it."""
        found = self.plan.model.values[tensor]
        if not found.key or not self.holds(found.key):
            raise CannotPrint(f"the tensor `{found.name or tensor}` cannot be reached inside `{self.module.path}`")
        node = self.weight_at(found.key)
        path, _, name = found.key.rpartition(".")
        stored = self.tree.paths[path].weights[name].shape
        shape = self.trace.type(tensor).shape
        return node if tuple(stored) == tuple(shape) else method(node, "reshape", *(shape or ((),)))

    def stands(self, module: Module) -> bool:
        """Whether it is a module in the code whatever the forward looks like."""
        return self.tree.stands(self.tree.parents[id(module)], module)

    def module_of(self, step: Step) -> Expression | None:
        """How the module of a step is built, in the words of this class."""
        ordered, named = by_port(step, [self.trace.type(self.plan.seen(each)) for each in step.inputs])
        op = self.trace.ops.get(step.index, step.op)
        node = op.module(*ordered, **named)
        given = {name: op.argument(name) for name in step.expressions} if op is not step.op else {}
        unsaid = {name: each for name, each in given.items() if _unsaid(node, each, given)}
        for some in (unsaid, *({name: each} for name, each in unsaid.items())):
            bolder = op.but(**{name: type(each)(each + 1, each.node) for name, each in some.items()})
            found = _with_keywords(node, bolder.module(*ordered, **named), {each.node for each in some.values()})
            if found != node:
                return found
        return node

    def support(self, name: str) -> str:
        from specc.code.names import camel_case

        return camel_case(name)

    def shown(self, step: Step, node: Any) -> None:
        """Note the words of arguments that a line does not show: in this class they cannot have another value."""
        op = self.trace.ops.get(step.index)
        given = [part for name in step.expressions if op is not None for part in _parts(op.argument(name))]
        spoken = [each for each in given if words_in(each)]
        for each in spoken:
            if times(node, each.node) < sum(one.node == each.node for one in spoken):
                self.dropped.update(words_in(each))


def words_in(number: Any) -> set[str]:
    """The names in a value, in whatever it is nested."""
    if isinstance(number, tuple) and not hasattr(number, "node"):
        return {name for each in number for name in words_in(each)}
    node = getattr(number, "node", None)
    return set(names(node)) if isinstance(node, Expression) else set()


def _parts(number: Any) -> tuple[Any, ...]:
    return number if isinstance(number, tuple) and not hasattr(number, "node") else (number,)


def _unsaid(node: Any, number: Any, given: Mapping[str, Any]) -> bool:
    """Whether a number with a name does not show in the call, because it is at the default of PyTorch."""
    if not isinstance(number, Traced | TracedFloat) or not isinstance(node, Call):
        return False
    alike = [each for each in given.values() if getattr(each, "node", None) == number.node]
    return _given(node, number.node) < len(alike)


def _given(node: Any, part: Expression) -> int:
    """How often an expression is an argument as it stands: `dilation` is not in `padding=kernel // 2 * dilation`."""
    if node == part:
        return 1
    if isinstance(node, Call):
        return sum(_given(each, part) for each in (*node.arguments, *(each for _, each in node.keywords)))
    return sum(_given(each, part) for each in node.items) if isinstance(node, Tuple | List) else 0


def _with_keywords(node: Any, bolder: Expression | None, words: set[Expression]) -> Expression:
    """The call with what was left out as the default of PyTorch, but is none where the class is used again."""
    if not isinstance(bolder, Call) or bolder.function != node.function or bolder.arguments != node.arguments:
        return node  # type: ignore[no-any-return]
    known = {name for name, _ in node.keywords}
    fewer = tuple(each for each in bolder.keywords if each[0] in known)
    more = [each for name, each in bolder.keywords if name not in known]
    return bolder if fewer == node.keywords and set(more) <= words else node
