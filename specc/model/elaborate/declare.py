"""Inputs of a network, and weights that are no layer's: `input`, `parameter`, `buffer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specc.catalogue.arguments import Initial
from specc.catalogue.op import TensorType, WeightSpec
from specc.model.elaborate.problem import problem, suggestion
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import MISSING, Label, Scope
from specc.model.graph import Declared, Port
from specc.sizes.dim import Dim, product, symbol
from specc.syntax import tree

if TYPE_CHECKING:
    from specc.model.elaborate.expand import Walk

LARGEST_SIZE = 2**40
STARTS = ("uniform", "zeros", "ones", "normal", "signs", "constant", "he", "xavier", "orthogonal")


def network_input(walk: Walk, node: tree.Input, scope: Scope) -> None:
    """`input image: [3, H, W]`: a tensor, and a symbol for each name that nothing else has."""
    body = walk.body
    if not body.network:
        raise problem(
            "misplaced-input", node.span, "only a network declares inputs; in a block `input` is what flows in"
        )
    _not_parameter(walk, node.name, node)
    for item in node.shape.items:
        _bind_symbol(walk, item, body.scope)
    sizes = shape(walk, node.shape, scope)
    kind = TensorType(sizes, node.dtype)
    body.take(node.name, node.name_span)
    tensor = walk.builder.input(kind, node.name_span, node.name)
    body.scope.names[node.name] = Label(tensor, None)
    body.flow = tensor if not walk.inputs else None
    walk.inputs.append(Port(node.name, tensor.id, span=node.name_span))
    if node.where is not None:
        walk.where(node.where, scope)


def _bind_symbol(walk: Walk, item: tree.Expr, scope: Scope) -> None:
    if not isinstance(item, tree.Name) or scope.find(item.name) is not MISSING:
        return
    if not (item.name[:1].isupper() or len(item.name) == 1):
        raise problem(
            "unknown-name", item.span, f"`{item.name}` is not known here",
            suggestion(item.name, scope.all_names()) or f"a size that is unknown is written in upper case: {item.name.upper()}",
        )  # fmt: skip
    given = walk.sizes.get(item.name)
    scope.names[item.name] = symbol(item.name) if given is None else given


def shape(walk: Walk, node: tree.List, scope: Scope) -> tuple[Any, ...]:
    """A shape: whole numbers from 1 on, or sizes."""
    found = walk.evaluator._list(node, scope, ())
    for item, size in zip(node.items, found, strict=False):
        if isinstance(size, Dim):
            continue
        if isinstance(size, bool) or not isinstance(size, int):
            raise problem("bad-shape", item.span, f"a size is a whole number; this is {say(size)}")
        if not 1 <= size <= LARGEST_SIZE:
            raise problem("bad-shape", item.span, f"a size is at least 1 and at most {LARGEST_SIZE:,}; this is {size}")
    if len(found) > 8:
        raise problem("bad-shape", node.span, f"a tensor has at most 8 axes; this one has {len(found)}")
    return found


def _not_parameter(walk: Walk, name: str, node: Any) -> None:
    bound = walk.body.scope.names.get(name, MISSING)
    if bound is not MISSING and not isinstance(bound, Label):
        raise problem("shadowed-parameter", node.name_span, f"`{name}` is a parameter already")


def weight(walk: Walk, node: tree.Weight, scope: Scope) -> None:
    """`parameter scale: [C, 1, 1], init=ones` or `buffer index: int [n] = [ … ]`: a key of its own, no step of the flow."""
    body = walk.body
    body.take(node.name, node.name_span)
    if node.kind == "parameter" and node.dtype != "float":
        message = f"a parameter is trained, so it has real numbers; this one is {node.dtype}"
        raise problem("wrong-dtype", node.span, message, "write `buffer` for numbers that are not trained")
    sizes = shape(walk, node.shape, scope)
    stored, start, trainable = sizes, Initial("zeros" if node.kind == "buffer" else "uniform"), True
    for argument in node.arguments:
        if argument.name == "stored" and isinstance(argument.value, tree.List):
            stored = shape(walk, argument.value, scope)
        elif argument.name == "init":
            start = _initial(walk, argument, scope)
        elif argument.name == "trainable" and isinstance(argument.value, tree.Truth):
            trainable = argument.value.value
        else:
            help = suggestion(argument.name, ["stored", "init", "trainable"])
            raise problem("unknown-argument", argument.span, f"`{node.kind}` has no argument `{argument.name}`", help)
    if stored != sizes and product(stored) != product(sizes):
        raise problem("bad-shape", node.span, f"{say(stored)} holds another number of elements than {say(sizes)}")
    values = _values(walk, node, scope, sizes) if node.value is not None else None
    spec = WeightSpec(stored, node.kind, node.dtype, start.name, 0, True, start.arguments, values)
    known = body.module.weights.get(node.name)
    if known is not None and known.shape != spec.shape:
        raise problem(
            "shared-shape",
            node.span,
            f"`{node.name}` was {say(known.shape)} at its first use; here it is {say(stored)}",
        )
    body.module.weights[node.name] = spec
    if not trainable:
        body.module.frozen.add(node.name)
    key = body.module.key(node.name)
    tensor = walk.declared.get(key)
    if tensor is None:
        kind = TensorType(sizes, node.dtype, batched=False)
        tensor = walk.declared[key] = walk.builder.value(kind, node.name_span, node.name, key=key)
    body.scope.names[node.name] = Label(tensor, None)
    body.labels[node.name] = Label(tensor, None)
    body.frame.items.append(Declared(key, tensor.id, node, scope))


def _initial(walk: Walk, argument: tree.Argument, scope: Scope) -> Initial:
    value = walk.evaluator.evaluate(argument.value, scope, STARTS)
    if isinstance(value, Initial):
        return value
    if str(value) in STARTS:
        return Initial(str(value))
    raise problem(
        "bad-argument", argument.value.span, f"`init` must be one of {', '.join(STARTS)}; this is {say(value)}"
    )


def _values(walk: Walk, node: tree.Weight, scope: Scope, sizes: tuple[Any, ...]) -> tuple[float, ...]:
    assert node.value is not None
    value = walk.evaluator.evaluate(node.value, scope)
    flat: list[Any] = []
    _flatten(value if isinstance(value, tuple | range) else (value,), flat)
    for each in flat:
        if not isinstance(each, int | float):
            raise problem("bad-argument", node.value.span, f"a buffer holds numbers; this is {say(each)}")
    if len(flat) != product(sizes):
        message = f"{say(sizes)} holds {product(sizes)} numbers; {len(flat)} are given"
        raise problem("bad-argument", node.value.span, message)
    return tuple(flat)


def _flatten(values: Any, found: list[Any]) -> None:
    for each in values:
        if isinstance(each, tuple | range):
            _flatten(each, found)
        else:
            found.append(each)
