"""Names and what they stand for: a chain of scopes, and the kinds of value that are no plain number or text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from specc.catalogue.op import Op, TensorType
from specc.sizes.dim import Size
from specc.syntax import tree
from specc.text.record import Record
from specc.text.source import Span

if TYPE_CHECKING:
    from specc.model.graph import Module


class Scope:
    """Bindings with a parent. `role` says what the scope is, for messages and for emission."""

    __slots__ = ("names", "parent", "role")

    def __init__(self, parent: Scope | None = None, role: str = "") -> None:
        self.parent = parent
        self.names: dict[str, Any] = {}
        self.role = role

    def find(self, name: str) -> Any:
        """The binding, or MISSING."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.names.get(name, MISSING)
            if found is not MISSING:
                return found
            scope = scope.parent
        return MISSING

    def all_names(self) -> Iterator[str]:
        scope: Scope | None = self
        while scope is not None:
            yield from scope.names
            scope = scope.parent


NOTHING: Mapping[str, Any] = MappingProxyType({})


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


class _Lost:
    def __repr__(self) -> str:
        return "LOST"


LOST = _Lost()  # what a name is bound to whose declaration failed: said already


class Word(str):
    """A bare word that is no name in scope; it only means something as an argument whose type knows it."""

    __slots__ = ("span",)
    span: Span

    def __new__(cls, text: str, span: Span) -> Word:
        found = super().__new__(cls, text)
        found.span = span
        return found


@dataclass(slots=True, eq=False)
class Later:
    """A `let`, or an argument of a `let` function: evaluated when first asked for."""

    node: tree.Expr
    scope: Scope
    value: Any = MISSING
    busy: bool = False


class TensorRef(Record):
    """A tensor of the model under construction; `type` is None after an error. `module` is what a label stands for."""

    id: int
    type: TensorType | None
    module: Module | None = None
    further: Mapping[str, TensorRef] = NOTHING


class TensorList(Record):
    """The branches of a `parallel`, or any list of tensors; a branch may be a list itself."""

    items: tuple[TensorRef | TensorList, ...]
    module: Module | None = None


def ids_of(values: Iterable[Any]) -> Iterator[int]:
    """The tensors among some values and in the lists among them."""
    for each in values:
        if isinstance(each, TensorRef):
            yield each.id
        elif isinstance(each, TensorList | tuple):
            yield from ids_of(each.items if isinstance(each, TensorList) else each)


class WeightRef(Record):
    """A weight named by a dotted path, `transformer.wte.weight`; as an operand it is the tensor itself."""

    module: Module
    name: str


class Label(Record):
    """A label in scope: its tensor (or list of them), and its module if it has one of its own."""

    tensor: TensorRef | TensorList | None
    module: Module | None
    layer: Any = None
    labels: Mapping[str, Any] = NOTHING
    opaque: bool = False


class Sizes(tuple[Any, ...]):
    """The sizes of several axes (`x.spatial`, what `*S` binds): arithmetic goes axis by axis."""


class Ratio(Record):
    """An unknown size over a whole number, before `floor` or `ceil` makes it whole."""

    above: Size
    below: int

    def __str__(self) -> str:
        above = str(self.above)
        return f"{above} / {self.below}" if above.isidentifier() else f"({above}) / {self.below}"


# ------------------------------------------------------------------------------------------------------- layers
class OpLayer(Record):
    """An op with its arguments, waiting for its inputs. `tensors` are those it was given by position, `named` by name."""

    kind: type[Op]
    op: Op
    tensors: tuple[TensorRef, ...]
    named: Mapping[str, TensorRef]
    node: tree.Expr
    expressions: Mapping[str, tree.Expr]
    scope: Scope
    tied: TensorRef | WeightRef | None = None


class BlockValue(Record):
    """A block with some of its arguments: a layer if none is missing, a value to pass on otherwise."""

    definition: tree.Block | tree.Network
    home: Scope
    given: Mapping[str, Any] = NOTHING
    expressions: Mapping[str, tree.Expr] = NOTHING
    tensors: tuple[TensorRef, ...] = ()
    node: tree.Expr | None = None
    scope: Scope | None = None


def awaited(block: BlockValue) -> list[str]:
    """The further inputs that a block needs and has not been given by name."""
    parameters = block.definition.parameters
    return [
        each.name
        for each in parameters
        if each.type == "tensor" and each.default is None and each.name not in block.given
    ]


def handed_in(block: BlockValue, inputs: tuple[TensorRef | TensorList, ...]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The tensors that a block gets and what they are called in it; those of a list by their places in it."""
    named = [*zip(("x", *awaited(block)), inputs, strict=True), *block.given.items()]
    ids: list[int] = []
    names: list[str] = []
    for name, value in named:
        found = list(ids_of((value,)))
        ids += found
        names += [name] if isinstance(value, TensorRef) else [f"{name}{at}" for at in range(len(found))]
    return tuple(ids), tuple(names)


class OpName(Record):
    """A bare operator name as a value: `units[i](64)` calls it."""

    kind: type[Op]


class GroupLayer(Record):
    """`{ … }` or `parallel { … }` as a value, with the scope that it sees."""

    node: tree.Group | tree.Parallel
    scope: Scope


class ChainLayer(Record):
    """Several layers in a row as a value; used without a label they stay flat."""

    elements: tuple[Any, ...]
    node: tree.Expr


class Again(Record):
    """A label used as a layer: the same module once more."""

    label: Label
    node: tree.Expr


Layer = OpLayer | BlockValue | GroupLayer | ChainLayer | Again
LAYERS = (OpLayer, BlockValue, GroupLayer, ChainLayer, Again)


class Function(Record):
    """`let half(v) = v // 2`, also one that gives a layer."""

    node: tree.Let
    scope: Scope


class Builtin(Record):
    """A function on plain values that everyone knows."""

    name: str
    run: Callable[..., Any]


class Retrace:
    """Copies of scopes up to `stop`, in which names of `stop` are replaced and every `let` is fresh; each made once."""

    def __init__(self, stop: Scope, replaced: Mapping[str, Any]) -> None:
        self.stop = stop
        self.replaced = replaced
        self.done: dict[int, Scope] = {}

    def copy(self, scope: Scope) -> Scope:
        if id(scope) in self.done:
            return self.done[id(scope)]
        if not self._reaches(scope):
            return scope
        parent = scope.parent if scope is self.stop or scope.parent is None else self.copy(scope.parent)
        found = Scope(parent, scope.role)
        self.done[id(scope)] = found
        for name, bound in scope.names.items():
            found.names[name] = Later(bound.node, self.copy(bound.scope)) if isinstance(bound, Later) else bound
        if scope is self.stop:
            found.names.update(self.replaced)
        return found

    def _reaches(self, scope: Scope | None) -> bool:
        while scope is not None:
            if scope is self.stop or (scope.role == "call" and any(self._lends(each) for each in scope.names.values())):
                return True
            scope = scope.parent
        return False

    def _lends(self, bound: Any) -> bool:
        return isinstance(bound, Later) and self._reaches(bound.scope)
