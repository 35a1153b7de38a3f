"""The model: a frozen tuple of steps in order, the tensors between them, and the tree of modules beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from specc.catalogue.op import Op, TensorType, WeightSpec
from specc.sizes.conditions import Condition, Predicate
from specc.sizes.dim import Size
from specc.syntax import tree
from specc.text.record import Record
from specc.text.source import Span

if TYPE_CHECKING:
    import networkx

    from specc.model.elaborate.scope import Scope

ValueId = int


class Value(Record):
    """A tensor of the model. `name` is what the spec calls it (a label or `as`; "" if nothing).

    `type` is None after an error ("Unknown"). `step` is the index of the step that makes it; None for inputs and for
    declared weights, which have `key` instead.
    """

    id: ValueId
    type: TensorType | None
    span: Span
    name: str = ""
    step: int | None = None
    key: str = ""


class Step(Record):
    """One op at one place. `path` is unique in the report; `module` is the module it runs, None for operators on tensors.

    `inputs` and `ports` run parallel: a port is "" for an input by position, else the argument's name.
    `expressions` are the arguments as written (what they evaluate to in `scope` is in `op`).
    `uses` are the places where the blocks around it are used, innermost first, each with its module path.
    """

    index: int
    path: str
    op: Op
    inputs: tuple[ValueId, ...]
    ports: tuple[str, ...]
    outputs: tuple[ValueId, ...]
    module: Module | None
    span: Span
    call: tree.Expr | None
    expressions: Mapping[str, tree.Expr]
    scope: Scope
    uses: tuple[tuple[str, Span], ...] = ()
    macs: Size = 0
    receptive: tuple[Size, ...] = ()


@dataclass(slots=True, eq=False)
class Module:
    """A node in the tree of module paths; complete once elaboration is over.

    kind: "op" has weights of its own or stands for a layer; "block", "group", "chain" (a label on several layers),
    "parallel" and "network" hold children. `weights` are its own (an op's, or declared ones), by name.
    """

    name: str
    path: str
    kind: Literal["network", "block", "group", "chain", "parallel", "op"]
    record: bool = True
    children: list[Module] = field(default_factory=list)
    weights: dict[str, WeightSpec] = field(default_factory=dict)
    tied: dict[str, str] = field(default_factory=dict)  # weight's name -> key of the tensor it shares
    frozen: set[str] = field(default_factory=set)  # weights that are not trained
    step: Step | None = None
    frame: Frame | None = None

    def key(self, name: str) -> str:
        """The state-dict key of one of its weights."""
        return f"{self.path}.{name}" if self.path else name


class Declared(Record):
    """`parameter` or `buffer` met on the way: its module's key and the value it stands for, and where it was written."""

    key: str
    value: ValueId
    node: tree.Weight
    scope: Scope


@dataclass(slots=True, eq=False)
class Frame:
    """One passage through the body of a module, in the order of the text: what emission follows.

    A second Frame of the same module is a second use of it, with the same weights (`again` is true).
    `inputs` are the tensor that flows in, then those that a block is given; `names` are theirs inside. `result` is None
    only after an error; for `parallel` it is the list of its branches. `published` are a block's `output name:` tensors.
    `definition` and `given` are the block and its arguments: value, the expression it came from (None for a default),
    caller's scope.
    """

    module: Module
    inputs: tuple[ValueId, ...] = ()
    items: list[Step | Frame | Declared] = field(default_factory=list)
    names: tuple[str, ...] = ()
    result: ValueId | tuple[ValueId, ...] | None = None
    published: dict[str, ValueId] = field(default_factory=dict)
    definition: tree.Block | tree.Network | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    expressions: Mapping[str, tree.Expr] = field(default_factory=dict)
    scope: Scope | None = None
    caller: Scope | None = None
    again: bool = False


class Port(Record):
    """An input or an output of the network."""

    name: str
    value: ValueId
    training: bool = False
    span: Span | None = None


class Requirement(Record):
    """What must hold of the sizes, and the step that asks for it. `text` says it for people ("2*(H//8) equals H//4")."""

    predicate: Predicate
    step: str
    text: str
    span: Span


class Weight(Record):
    """One entry of the state-dict. `tied` is the key whose tensor it shares, "" if it is its own."""

    key: str
    spec: WeightSpec
    module: Module
    name: str
    tied: str = ""
    trainable: bool = True


@dataclass(frozen=True, slots=True)
class Model:
    """A network, elaborated: everything else is a function of this."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    values: tuple[Value, ...]
    steps: tuple[Step, ...]
    root: Frame
    weights: tuple[Weight, ...]
    requirements: tuple[Requirement, ...] = ()
    facts: tuple[Predicate, ...] = ()
    conditions: tuple[Condition, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    definition: tree.Network | None = None
    file: str = ""

    def type(self, value: ValueId) -> TensorType:
        """The type of a tensor; only for models without errors."""
        found = self.values[value].type
        assert found is not None
        return found

    @property
    def complete(self) -> bool:
        """Whether every tensor's shape is known, in numbers or in symbols: false after an error."""
        return all(each.type is not None for each in self.values)

    def behind(self, values: Iterable[ValueId]) -> frozenset[int]:
        """The indices of the steps that these tensors come from, all the way back."""
        found: set[int] = set()
        waiting = [self.values[each].step for each in values]
        while waiting:
            at = waiting.pop()
            if at is not None and at not in found:
                found.add(at)
                waiting += [self.values[each].step for each in self.steps[at].inputs]
        return frozenset(found)

    @property
    def inference(self) -> tuple[Step, ...]:
        """The steps that the outputs of inference need, in order."""
        used = self.behind(each.value for each in self.outputs if not each.training)
        return tuple(step for step in self.steps if step.index in used)

    def graph(self) -> networkx.DiGraph:
        """The steps as a networkx graph: nodes are paths of steps and names of inputs, edges carry the tensor's id.

        A step of a module that is used again has its index behind the path, `tower.0@7`.
        """
        import networkx

        graph = networkx.DiGraph()
        maker: dict[ValueId, str] = {}
        for port in self.inputs:
            graph.add_node(port.name, kind="input")
            maker[port.value] = port.name
        for step in self.steps:
            node = f"{step.path}@{step.index}" if step.path in graph else step.path
            graph.add_node(node, kind="step", op=step.op.name, index=step.index)
            for value in step.inputs:
                if value in maker:
                    graph.add_edge(maker[value], node, value=value)
            maker.update(dict.fromkeys(step.outputs, node))
        return graph
