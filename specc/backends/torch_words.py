"""The words of a class: parameters of its block and sizes of what flows in, and which of them fix its structure."""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Mapping
from typing import Any

from specc.backends.torch_home import Home, Tree, Word, words_in
from specc.backends.torch_names import RESERVED_TENSORS, TAKEN, unused
from specc.backends.torch_nodes import TracedTuple, simplified
from specc.backends.torch_plan import Plan
from specc.backends.torch_trace import MOST, Trace
from specc.catalogue.op import TensorType
from specc.code.nodes import Expression, Name, Traced, TracedFloat, index
from specc.model.graph import Frame, ValueId
from specc.syntax import tree as syntax

Places = Mapping[str, tuple[ValueId, int]]


def block_home(plan: Plan, tree: Tree, frame: Frame) -> Home:
    """The class of a block as it looks from inside."""
    places = incoming(plan, frame)
    words = {name: Word(name, "int") for name in (*plan.unknown, *places)}
    words.update(_parameters(frame))
    trace = Trace(plan, simplified)
    for name, (tensor, axis) in places.items():
        kind = trace.type(tensor)
        shape = list(kind.shape)
        shape[axis] = Traced(int(shape[axis]), Name(name))  # type: ignore[arg-type]
        trace.types[tensor] = kind.to(*shape)
    bound = {name: spoken(frame.given[name], Name(name)) for name in words if name in frame.given}
    trace.begin(frame, bound)
    return Home(plan, tree, frame.module, trace, words)


def network_home(plan: Plan, tree: Tree, frame: Frame, fixed: frozenset[str]) -> Home:
    """The class of the network; `fixed` are parameters that cannot be given another value."""
    words = {name: word for name, word in _parameters(frame).items() if name not in fixed}
    words = {name: Word(name, word.annotation, frame.given[name]) for name, word in words.items()}
    words = {name: Word(name, "int") for name in plan.unknown} | words
    trace = Trace(plan, simplified)
    bound = {name: spoken(frame.given[name], Name(name)) for name in words if name in frame.given}
    trace.begin(frame, bound)
    return Home(plan, tree, frame.module, trace, words)


def spoken(number: Any, node: Expression) -> Any:
    """A value that prints as `node` wherever it is used."""
    if isinstance(number, bool):
        return number
    if isinstance(number, int):
        return Traced(number, node)
    if isinstance(number, float):
        return TracedFloat(number, node)
    if isinstance(number, tuple) and 0 < len(number) <= MOST and all(isinstance(each, int) for each in number):
        return TracedTuple.of(tuple(Traced(each, index(node, at)) for at, each in enumerate(number)), node)
    return number


def incoming(plan: Plan, frame: Frame) -> Places:
    """Names for the channels or features of the tensors that flow into a block: which tensor, which axis."""
    taken = {*frame.given, *(each.name for each in frame.module.children), *frame.module.weights}
    found: dict[str, tuple[ValueId, int]] = {}
    tensors = frame.names[1:] if frame.definition else ()
    for name, tensor in zip(["in", *tensors], dict.fromkeys(frame.inputs), strict=False):
        for ending, axis in _axes(plan.model.type(tensor)):
            found[unused(f"{name}_{ending}", [*taken, *found])] = (tensor, axis)
    return found


def _axes(kind: TensorType) -> Iterator[tuple[str, int]]:
    """The axes that have a word of their own: channels, features, or both where that is undecided."""
    if kind.rank == 0:
        return
    if kind.rank == 1 or kind.layout == "last":
        if isinstance(kind.shape[-1], int):
            yield "features", kind.rank - 1
        return
    if isinstance(kind.shape[0], int):
        yield "channels", 0
    elif kind.rank > 2 and isinstance(kind.shape[-1], int):
        yield "features", kind.rank - 1  # as in [height, width, channels], where only the last size is known
    if kind.rank == 2 and kind.layout == "" and isinstance(kind.shape[1], int):
        yield "features", 1


def _parameters(frame: Frame) -> dict[str, Word]:
    """The numbers among a block's parameters."""
    found: dict[str, Word] = {}
    for each in frame.definition.parameters if frame.definition else ():
        number = frame.given.get(each.name)
        annotation = _annotation(number)
        if annotation and not _unusable(each.name):
            default = each.default.value if isinstance(each.default, syntax.Number) else ...
            found[each.name] = Word(each.name, annotation, default)
    return found


def _annotation(number: Any) -> str:
    if isinstance(number, bool):
        return ""
    if isinstance(number, int | float):
        return "int" if isinstance(number, int) else "float"
    return "tuple" if isinstance(spoken(number, Name("x")), TracedTuple) else ""


def _unusable(name: str) -> bool:
    return keyword.iskeyword(name) or name in RESERVED_TENSORS or name in TAKEN


# ------------------------------------------------------------------------------------------------------ structure
def structural(frame: Frame, home: Home) -> frozenset[str]:
    """The words whose value decides which steps there are, or went into a number in a way that is not shown."""
    if frame.definition is None:
        return frozenset()
    lets: dict[str, syntax.Expr] = {}
    deciding: set[str] = set()
    for node in _nodes(frame.definition.body):
        if isinstance(node, syntax.Let):
            lets[node.name] = node.value
    for node in _nodes(frame.definition.body):
        for expression in _deciding(node):
            deciding |= _names(expression, lets, set())
    for expression in home.trace.lost:
        deciding |= _names(expression, lets, set())
    for expression in home.trace.spoken:
        if _chooses(expression, lets, set()):
            deciding |= _names(expression, lets, set())
    return _words_behind(frame, home, deciding)


def _words_behind(frame: Frame, home: Home, deciding: set[str]) -> frozenset[str]:
    """The class's own words behind names of the spec: parameters, names of a signature, attributes of tensors."""
    found = {each for each in home.words if each in deciding}
    sizes = incoming(home.plan, frame)
    if isinstance(frame.definition, syntax.Block) and frame.definition.signature is not None:
        takes = {name for item in frame.definition.signature.takes.items for name in _names(item, {}, set())}
        if takes & deciding:
            found |= set(sizes)
    labels = {*(each.name for each in frame.module.children), "input"} & deciding
    if labels:
        found |= set(home.words)
    for kind in home.trace.types.values() if labels else ():
        found |= words_in(kind.shape)
    return frozenset(found)


def _deciding(node: Any) -> Iterator[Any]:
    """The expressions in a node whose value decides something that a printed class cannot decide again."""
    match node:
        case syntax.If(condition=condition):
            yield condition
        case syntax.Repeat(count=count):
            yield count
        case syntax.For(source=source):
            yield source
        case syntax.Choice(condition=condition):
            yield condition
        case syntax.Comprehension(source=source, condition=condition):
            yield source
            if condition is not None:
                yield condition
        case syntax.Label(parts=parts):
            yield from (each for each in parts if not isinstance(each, str))


def _nodes(node: Any) -> Iterator[Any]:
    """The node and all below it."""
    if isinstance(node, tuple):
        for each in node:
            yield from _nodes(each)
    elif isinstance(node, syntax.Node):
        yield node
        for each in node.FIELDS:
            yield from _nodes(getattr(node, each))


def _names(expression: Any, lets: Mapping[str, syntax.Expr], seen: set[str]) -> set[str]:
    """The names in an expression, and in the lets that it names."""
    found: set[str] = set()
    for node in _nodes(expression):
        if isinstance(node, syntax.Name) and node.name not in seen:
            seen.add(node.name)
            found.add(node.name)
            if node.name in lets:
                found |= _names(lets[node.name], lets, seen)
    return found


def _chooses(expression: Any, lets: Mapping[str, syntax.Expr], seen: set[str]) -> bool:
    """Whether a number comes about by more than arithmetic, so that other values would need another expression."""
    for node in _nodes(expression):
        if isinstance(node, syntax.Call | syntax.Choice | syntax.Comprehension | syntax.Index):
            return True
        if isinstance(node, syntax.Name) and node.name in lets and node.name not in seen:
            seen.add(node.name)
            if _chooses(lets[node.name], lets, seen):
                return True
    return False
