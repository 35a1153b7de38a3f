"""Lines: a chain of elements becomes steps; labels become module paths as LANGUAGE.md's "Labels" says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from specc.model.elaborate.body import Body, snake
from specc.model.elaborate.calls import items_of
from specc.model.elaborate.problem import problem
from specc.model.elaborate.resolve import Element, resolve
from specc.model.elaborate.results import bind, publish_line
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import (
    MISSING,
    Again,
    BlockValue,
    ChainLayer,
    GroupLayer,
    Label,
    OpLayer,
    Scope,
    TensorList,
    TensorRef,
    WeightRef,
    awaited,
)
from specc.model.graph import Frame, Module
from specc.syntax import tree
from specc.text.source import Span

if TYPE_CHECKING:
    from specc.model.elaborate.expand import Walk

Naming = Callable[[str], str]


def line(walk: Walk, node: tree.Line, scope: Scope) -> None:
    """One step of the text: place it, name its tensor, check its claims."""
    body = walk.body
    before = walk.claims.mark(walk.builder, walk.modules)
    names = [label_name(walk, each, scope) for each in node.labels]
    for name, label in zip(names, node.labels, strict=True):
        _may_be_called(body, name, label.span)
    flow = body.flow
    result, module, inside = _run(walk, node, scope, names)
    bind(walk, node, names, result, module, inside)
    walk.claims.check_line(walk, node.expects, scope, result, before)
    if node.output:
        publish_line(walk, node, names, result)
    if body.parallel:
        body.flow = flow
        _branch(walk, node, result)
    elif node.output and node.training:
        body.flow = flow
    else:
        body.flow = result


def _branch(walk: Walk, node: tree.Line, result: Any) -> None:
    if not isinstance(result, TensorRef | TensorList):
        raise problem("not-a-tensor", node.span, "a branch of `parallel` makes a tensor")
    walk.body.branches.append(result)


def label_name(walk: Walk, label: tree.Label, scope: Scope) -> str:
    """The text of a label; expressions in a string label are put in."""
    parts = []
    for part in label.parts:
        value = part if isinstance(part, str) else walk.evaluator.evaluate(part, scope)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise problem("bad-label", label.span, f"a label is made of texts and whole numbers; this is {say(value)}")
        parts.append(str(value))
    name = "".join(parts)
    if not all(name.split(".")):
        raise problem(
            "bad-label", label.span, f'"{name}" cannot be a label: it is empty, or nothing stands beside a dot'
        )
    return name


def _may_be_called(body: Body, name: str, span: Span) -> None:
    bound = body.scope.names.get(name, MISSING)
    if bound is not MISSING and not isinstance(bound, Label):
        raise problem("shadowed-parameter", span, f"the label `{name}` is the name of a parameter or `let` already")
    body.take(name, span)


def _run(walk: Walk, node: tree.Line, scope: Scope, names: list[str]) -> tuple[Any, Module | None, Any]:
    """The line's result, the module that its label stands for, and the body inside it."""
    elements = resolve(walk, node.value, scope)
    count = sum(each.module for each in elements)
    body = walk.body
    if not names and not (body.parallel and count > 1):
        return run(walk, elements, body.flow, body.next_name)
    name = names[0] if names else body.next_name("branch")
    if count <= 1:
        return run(walk, elements, body.flow, lambda _: name)
    return _numbered(walk, elements, name, node.span)


def _numbered(walk: Walk, elements: list[Element], name: str, span: Span) -> tuple[Any, Module | None, Any]:
    """A label on several layers: a numbered sequence of its own."""
    outer = walk.body
    flow: Any = outer.flow
    head = 0
    while head < len(elements) and not elements[head].module:
        head += 1
    if head:
        flow, _, _ = run(walk, elements[:head], flow, outer.counted)
    module = outer.child(name, "chain", False)
    frame = Frame(module, (flow.id,) if isinstance(flow, TensorRef) else ())
    outer.frame.items.append(frame)
    inner = Body(module, frame, Scope(outer.scope, "chain"), False, frozenset(), flow)
    walk.bodies.append(inner)
    try:
        result, _, _ = run(walk, elements[head:], flow, inner.next_name)
    finally:
        walk.bodies.pop()
    frame.result = result.id if isinstance(result, TensorRef) else None
    return result, module, elements[head:]


def run(walk: Walk, elements: list[Element], flow: Any, naming: Naming) -> tuple[Any, Module | None, Any]:
    """The elements of a chain, one after the other; the last module made, and the body inside it."""
    module, inside = None, None
    for at, element in enumerate(elements):
        flow, made, body = apply(walk, element, flow, at == 0, naming)
        if made is not None or body is not None:
            module, inside = made, body
    return flow, module, inside


def apply(walk: Walk, element: Element, flow: Any, first: bool, naming: Naming) -> tuple[Any, Module | None, Any]:
    """One element on the tensor that flows."""
    value = element.value
    if isinstance(value, TensorRef | TensorList):
        if not first:
            raise problem(
                "flow-is-lost", element.node.span, "what flows in here would be lost: this is a tensor, not a layer"
            )
        return value, None, None
    if isinstance(value, OpLayer):
        return _op(walk, value, flow, first, naming, element)
    if isinstance(value, BlockValue):
        return _block(walk, value, flow, first, naming)
    if isinstance(value, GroupLayer):
        return _group(walk, value, flow, naming)
    assert isinstance(value, Again)
    from specc.model.elaborate.again import again

    return again(walk, value, flow)


# -------------------------------------------------------------------------------------------------------------- ops
def inputs_of(layer: OpLayer, flow: Any, first: bool) -> tuple[tuple[TensorRef, ...], bool]:
    """The tensors an op works on, and whether the flow is among them."""
    least, most = layer.op.tensors()
    given = len(layer.tensors)
    explicit = first and given >= least and (given > 0 or least == 0)
    if explicit:
        _at_most(layer, given, most)
        return layer.tensors, False
    if most == 0:
        raise problem("flow-is-lost", layer.node.span, f"`{layer.kind.name}` takes no input; start a line with it")
    several = isinstance(flow, TensorList)
    flowing = items_of(flow, layer.node) if several else [flowing_tensor(flow, layer.node.span)]
    _at_most(layer, given + len(flowing), most)
    if given + len(flowing) < least:
        raise problem(
            "missing-input",
            layer.node.span,
            f"`{layer.kind.name}` needs {least} tensors; it gets {given + len(flowing)}",
        )
    return (*flowing, *layer.tensors), True


def _at_most(layer: OpLayer, given: int, most: int | None) -> None:
    if most is not None and given > most:
        help = "concat, sum or stack makes one tensor of several" if most == 1 else ""
        takes = "one tensor" if most == 1 else f"{most} tensors"
        raise problem("too-many-inputs", layer.node.span, f"`{layer.kind.name}` takes {takes}; it gets {given}", help)


def flowing_tensor(flow: Any, span: Span) -> TensorRef:
    """The tensor from the line above; an error where there is none."""
    if isinstance(flow, TensorList):
        raise problem(
            "not-a-tensor", span, "a list of tensors flows in here; `concat`, `sum` or an index makes one of it"
        )
    if flow is None:
        raise problem("no-input", span, "nothing flows into this line", "begin it with a tensor: `image -> …`")
    assert isinstance(flow, TensorRef)
    return flow


def _op(
    walk: Walk, layer: OpLayer, flow: Any, first: bool, naming: Naming, element: Element
) -> tuple[Any, Module | None, Any]:
    inputs, _ = inputs_of(layer, flow, first)
    body = walk.body
    if not element.module:
        return place_operator(walk, layer, inputs), None, None
    module = body.child(naming(layer.kind.name), "op", True)
    _tie(walk, layer, module)
    tensor = walk.builder.place(layer, inputs, module.path, module, module.weights)
    walk.modules.append(module)
    body.frame.items.append(walk.builder.steps[-1])
    _tied_shape(walk, layer, module)
    return tensor, module, layer


def place_operator(walk: Walk, layer: OpLayer, inputs: tuple[TensorRef, ...]) -> TensorRef:
    """A step without a module, at `<body>.<op><n>`."""
    body = walk.body
    path = body.path(body.counted(layer.kind.name))
    tensor = walk.builder.place(layer, inputs, path, None, {})
    body.frame.items.append(walk.builder.steps[-1])
    return tensor


def _tie(walk: Walk, layer: OpLayer, module: Module) -> None:
    if layer.tied is None:
        return
    if isinstance(layer.tied, WeightRef):
        module.tied["weight"] = layer.tied.module.key(layer.tied.name)
        return
    key = walk.builder.values[layer.tied.id].key
    if not key:
        raise problem(
            "bad-argument", layer.node.span, "`weight` must be a weight of another layer, such as `wte.weight`"
        )
    module.tied["weight"] = key


def _tied_shape(walk: Walk, layer: OpLayer, module: Module) -> None:
    """A tied weight has the shape of the tensor it shares."""
    if layer.tied is None or not module.weights:
        return
    if "weight" not in module.weights:
        known = ", ".join(f"`{each}`" for each in module.weights)
        message = f"`{layer.kind.name}` has no weight called `weight` that could be shared; it has {known}"
        raise problem("bad-argument", layer.node.span, message)
    if isinstance(layer.tied, WeightRef):
        shared = layer.tied.module.weights[layer.tied.name].shape
    else:
        kind = walk.builder.values[layer.tied.id].type
        shared = kind.shape if kind is not None else module.weights["weight"].shape
    own = module.weights["weight"].shape
    if own != shared:
        message = f"`{module.tied['weight']}` has shape {say(shared)}; `{layer.kind.name}` needs {say(own)} here"
        raise problem("shared-shape", layer.node.span, message)


# ------------------------------------------------------------------------------------------------ blocks and groups
def _block(walk: Walk, value: BlockValue, flow: Any, first: bool, naming: Naming) -> tuple[Any, Module | None, Any]:
    wanted = awaited(value)
    span = value.node.span if value.node is not None else value.definition.name_span
    given = len(value.tensors)
    if given == len(wanted) + 1 and first:
        inputs: tuple[TensorRef | TensorList, ...] = value.tensors
    elif given == len(wanted):
        inputs = (flow if isinstance(flow, TensorList) else flowing_tensor(flow, span), *value.tensors)
    else:
        raise _other_tensors(value, wanted, given, first, span)
    outer = walk.body
    module = outer.child(naming(snake(value.definition.name)), "block", True)
    frame = Frame(module)
    module.frame = frame
    outer.frame.items.append(frame)
    walk.modules.append(module)
    inside = walk.block(value, module, frame, inputs, span)
    result = inside.flow if inside.flow is not None else walk.builder.unknown(span)
    return result, module, (inside, value)


def _other_tensors(value: BlockValue, wanted: list[str], given: int, first: bool, span: Span) -> Exception:
    """The error for a block that gets another number of tensors than it takes."""
    name, names = value.definition.name, ", ".join(f"`{each}`" for each in wanted)
    if given < len(wanted):
        return problem("missing-input", span, f"`{name}` needs {names} too", f"write `{name}({', '.join(wanted)}, …)`")
    takes = (
        f"what flows in and {names}" if wanted else "one tensor" if first else "the tensor that flows in and no other"
    )
    return problem("too-many-inputs", span, f"`{name}` takes {takes}; it is given {given} in parentheses")


def _group(walk: Walk, value: GroupLayer, flow: Any, naming: Naming) -> tuple[Any, Module | None, Any]:
    parallel = isinstance(value.node, tree.Parallel)
    kind = "parallel" if parallel else "group"
    outer = walk.body
    module = outer.child(naming(kind), kind, True)
    frame = Frame(module, (flow.id,) if isinstance(flow, TensorRef) else ())
    module.frame = frame
    outer.frame.items.append(frame)
    walk.modules.append(module)
    inside = walk.group(value, module, frame, flow, parallel)
    result: Any = TensorList(tuple(inside.branches), module) if parallel else inside.flow
    return result, module, (inside, value)


# ------------------------------------------------------------------------------------------- inside expressions
def operand(walk: Walk, layer: Any, node: tree.Expr) -> Any:
    """A layer with its tensors given, inside an expression: an unlabelled step of the body."""
    elements = resolve(walk, node, walk.body.scope, layer)
    first = elements[0].value
    given = first.tensors if isinstance(first, OpLayer | BlockValue) else ()
    starts = isinstance(first, OpLayer) and first.kind.inputs[0] == 0
    if isinstance(first, OpLayer | BlockValue | GroupLayer) and not given and not starts:
        named = first.named if isinstance(first, OpLayer) else {}
        if not named or isinstance(first, BlockValue):
            raise problem("no-input", node.span, "this layer has no input here", "give it one: `relu(x)`")
    result, _, _ = run(walk, elements, None, walk.body.next_name)
    return result


def inner_chain(walk: Walk, node: tree.Chain, scope: Scope) -> Any:
    """A chain as a value: run now if it begins with a tensor, kept as a recipe otherwise."""
    elements = resolve(walk, node, scope)
    head = elements[0].value
    starts = isinstance(head, TensorRef | TensorList) or (
        isinstance(head, OpLayer | BlockValue)
        and (head.tensors or (isinstance(head, OpLayer) and head.kind.inputs[0] == 0))
    )
    if starts:
        result, _, _ = run(walk, elements, None, walk.body.next_name)
        return result
    return ChainLayer(tuple(each.value for each in elements), node)


def recipe(walk: Walk, node: tree.Expr, scope: Scope) -> Any:
    """The value of a `let` that gives a layer or a tensor."""
    if isinstance(node, tree.Chain):
        return inner_chain(walk, node, scope)
    return walk.evaluator.evaluate(node, scope)
