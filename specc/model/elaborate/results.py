"""What a line leaves behind: its labels and its name in scope, and the outputs that it publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specc.model.elaborate.body import Body
from specc.model.elaborate.problem import problem
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import MISSING, Label, Scope, TensorList, TensorRef
from specc.model.graph import Module, Port
from specc.syntax import tree
from specc.text.source import Span

if TYPE_CHECKING:
    from specc.model.elaborate.expand import Walk


def bind(walk: Walk, node: tree.Line, names: list[str], result: Any, module: Module | None, inside: Any) -> None:
    """Bind the labels and the `as` of a line to what it made."""
    body = walk.body
    layer, labels, opaque = _behind(module, inside)
    if len(names) == 1:
        label = Label(result, module, layer, labels, opaque)
        _bind_one(walk, names[0], label)
    elif names:
        tensors = _several(names, result, node)
        for name, tensor in zip(names, tensors, strict=True):
            _bind_one(walk, name, Label(tensor, None))
    if node.alias:
        _may_alias(body, node)
        named = body.scope.names[node.alias] = Label(result, None, None, labels, opaque)
        if node.alias not in body.labels or body.labels[node.alias].module is None:
            body.labels[node.alias] = named
        if isinstance(result, TensorRef):
            walk.builder.named(result, node.alias)


def _may_alias(body: Body, node: tree.Line) -> None:
    bound = body.scope.names.get(node.alias, MISSING)
    if bound is not MISSING and not isinstance(bound, Label):
        raise problem(
            "shadowed-parameter", node.alias_span or node.span, f"`{node.alias}` is a parameter or `let` already"
        )


def _behind(module: Module | None, inside: Any) -> tuple[Any, dict[str, Any], bool]:
    """What a label can be used for later: the recipe behind it, the labels inside it, and whether it is opaque."""
    if inside is None:
        return None, {}, False
    if module is not None and module.kind in ("op", "chain"):
        return inside, {}, module.kind == "chain"
    body, layer = inside
    layer = layer if module is not None else None  # another label's module, used again
    if body.module.kind == "block":
        return layer, {name: body.labels[name] for name in body.frame.published}, True
    return layer, dict(body.labels), False


def _bind_one(walk: Walk, name: str, label: Label) -> None:
    body = walk.body
    body.scope.names[name] = label
    body.labels[name] = label
    if isinstance(label.tensor, TensorRef):
        walk.builder.named(label.tensor, name)


def _several(names: list[str], result: Any, node: tree.Line) -> list[TensorRef | TensorList]:
    tensors: list[TensorRef | TensorList] = (
        list(result.items) if isinstance(result, TensorList) else [result, *result.further.values()]
    )
    if isinstance(result, TensorRef) and result.type is None:
        return [result] * len(names)
    if len(tensors) != len(names):
        raise problem("wrong-count", node.span, f"{len(names)} labels for {len(tensors)} outputs")
    return tensors


def publish_line(walk: Walk, node: tree.Line, names: list[str], result: Any) -> None:
    """`output name: …`: the line's tensor becomes an output."""
    if len(names) != 1 or not isinstance(result, TensorRef):
        raise problem("not-a-tensor", node.span, "an output is one tensor with one name")
    publish_as(walk, names[0], result, node.training, node.span)


def publish(walk: Walk, node: tree.Publish, scope: Scope) -> None:
    """`output low`: a tensor that has its name already becomes a further output."""
    value = walk.evaluator.evaluate(node.name, scope)
    if not isinstance(value, TensorRef):
        raise problem("not-a-tensor", node.name.span, f"an output is one tensor; this is {say(value)}")
    name = node.name.name if isinstance(node.name, tree.Name | tree.Attribute) else node.name.span.text
    walk.claims.check_line(walk, node.expects, scope, value, walk.claims.mark(walk.builder, walk.modules))
    publish_as(walk, name, value, node.training, node.span)


def publish_as(walk: Walk, name: str, tensor: TensorRef, training: bool, span: Span) -> None:
    """Make a tensor an output of the network, or of the block, under that name."""
    body = walk.body
    if body.network:
        if any(each.name == name for each in walk.outputs):
            raise problem("duplicate-label", span, f"there is an output `{name}` already")
        walk.outputs.append(Port(name, tensor.id, training, span))
        return
    if body.module.kind != "block":
        raise problem("misplaced-output", span, "only networks and blocks have outputs")
    body.frame.published[name] = tensor.id
    body.labels.setdefault(name, Label(tensor, None))
