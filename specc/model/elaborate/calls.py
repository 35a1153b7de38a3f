"""Calls: what `name(arguments)` makes of an op, a block, a `let` function or a function on plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from specc.catalogue.entry import BadArguments, Field
from specc.catalogue.op import Op
from specc.model.elaborate.arithmetic import FUNCTIONS, inexact
from specc.model.elaborate.fitting import any_word, fitted, unknown_argument
from specc.model.elaborate.functions import builtin_call, function_call
from specc.model.elaborate.problem import problem, suggestion
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import (
    LAYERS,
    MISSING,
    BlockValue,
    Builtin,
    Function,
    OpLayer,
    OpName,
    Ratio,
    Scope,
    TensorList,
    TensorRef,
    WeightRef,
    Word,
)
from specc.syntax import tree
from specc.text.record import changed

if TYPE_CHECKING:
    from specc.model.elaborate.evaluate import Evaluator


def call(evaluator: Evaluator, node: tree.Call, scope: Scope) -> Any:
    """The value of a call: a plain value, a tensor (where tensors were given), or a layer waiting for its input."""
    target = _target(evaluator, node, scope)
    if isinstance(target, OpName):
        return op_call(evaluator, target.kind, node, scope)
    if isinstance(target, BlockValue):
        return block_call(evaluator, target, node, scope)
    if isinstance(target, Function):
        return function_call(evaluator, target, node, scope)
    if isinstance(target, Builtin):
        return builtin_call(evaluator, target, node, scope)
    if isinstance(target, LAYERS) and not any(each.name for each in node.arguments):
        return _layer_call(evaluator, target, node, scope)
    raise problem("not-callable", node.function.span, f"this cannot be called: it is {say(target)}")


def _layer_call(evaluator: Evaluator, layer: Any, node: tree.Call, scope: Scope) -> Any:
    """A layer value called: `act()` is the layer, `act(x)` the layer on a tensor."""
    tensors: list[TensorRef] = []
    for argument in node.arguments:
        found = _tensors(evaluator, evaluator.evaluate(argument.value, scope), argument.value)
        if found is None:
            raise problem(
                "too-many-arguments", argument.span, "this layer has its arguments already; it takes only tensors"
            )
        tensors += found
    if not tensors:
        return layer
    if isinstance(layer, OpLayer | BlockValue):
        return changed(layer, tensors=(*layer.tensors, *tensors))
    raise problem("not-callable", node.span, "a group of layers takes its input with an arrow: `x -> …`")


def _target(evaluator: Evaluator, node: tree.Call, scope: Scope) -> Any:
    from specc.catalogue import registry
    from specc.model.elaborate.scope import Label

    if isinstance(node.function, tree.Name):
        found = scope.find(node.function.name)
        if found is MISSING or isinstance(found, Label):
            kind = registry.op(node.function.name)  # a label never hides an operator: relu() is always the operator
            if kind is not None:
                return OpName(kind)
    return evaluator.evaluate(node.function, scope)


# ------------------------------------------------------------------------------------------------------------- ops
def op_call(evaluator: Evaluator, kind: type[Op], node: tree.Call | tree.Expr, scope: Scope) -> Any:
    """An op with its arguments. A call with tensors is applied at once by whoever places the line."""
    arguments = node.arguments if isinstance(node, tree.Call) else ()
    values: dict[str, Any] = {}
    expressions: dict[str, tree.Expr] = {}
    tensors: list[TensorRef] = []
    named: dict[str, Any] = {}
    rest: list[Any] = []
    extra: dict[str, Any] = {}
    places = [each for each in kind.fields.values() if each.positional]
    for argument in arguments:
        if argument.name:
            _by_name(evaluator, kind, argument, scope, values, expressions, named, extra)
            continue
        place = places[len(values)] if len(values) < len(places) else None
        words = place.kind.words if place else kind.rest.words if kind.rest else ()
        value = _item(evaluator, argument.value, scope, words)
        given = _tensors(evaluator, value, argument.value)
        if given is not None and (kind.tensors_last or not (values or rest)):
            if kind.one_is_itself and len(arguments) == len(given) == 1 and not isinstance(value, TensorRef):
                return given[0]
            tensors += given
        elif given is not None:
            raise problem("misplaced-tensor", argument.span, "tensors go before the other arguments")
        elif place is not None:
            values[place.name], expressions[place.name] = value, argument.value
        elif kind.rest is not None:
            rest.append(value)
        elif kind.value is None:
            raise _too_many(kind, argument, places)
        else:
            rest.append(value)
    if kind.value is not None and not tensors and not named and (rest or values) and not extra:
        if rest or all(each.positional for each in (kind.fields[name] for name in values)):
            return _plain(evaluator, kind, [*values.values(), *rest], node)
    op = make(kind, values, tuple(rest), extra, expressions, node)
    tied = named.pop("weight", None)
    return OpLayer(kind, op, tuple(tensors), named, node, expressions, scope, tied)


def _by_name(
    evaluator: Evaluator,
    kind: type[Op],
    argument: tree.Argument,
    scope: Scope,
    values: dict[str, Any],
    expressions: dict[str, tree.Expr],
    named: dict[str, Any],
    extra: dict[str, Any],
) -> None:
    field = kind.fields.get(argument.name)
    if field is None and kind.extra is None:
        raise unknown_argument(kind.name, argument, kind.fields)
    if argument.name in values or argument.name in named or argument.name in extra:
        raise problem("repeated-argument", argument.span, f"`{argument.name}` is given twice")
    value = _item(evaluator, argument.value, scope, field.kind.words if field else ())
    if field is None:
        extra[argument.name], expressions[argument.name] = value, argument.value
    elif field.kind.tensor and (value is None or (isinstance(value, Word) and value in field.kind.words)):
        return  # the default, by its word: `mask=none`
    elif field.kind.tensor and not isinstance(value, Word | None):
        named[argument.name] = _one_tensor(evaluator, value, argument)
    else:
        values[argument.name], expressions[argument.name] = value, argument.value


def _item(evaluator: Evaluator, node: tree.Expr, scope: Scope, words: tuple[str, ...]) -> Any:
    return evaluator.evaluate(node, scope, words)


def _tensors(evaluator: Evaluator, value: Any, node: tree.Expr) -> list[TensorRef] | None:
    """The tensors behind a positional argument; None if it is a plain value."""
    if isinstance(value, (WeightRef, *LAYERS)) and evaluator.placer is not None:
        value = evaluator._operand(value, node)
    if isinstance(value, TensorRef):
        return [value]
    if isinstance(value, TensorList):
        return items_of(value, node)
    value = applied(evaluator, value, node)
    if isinstance(value, tuple) and value and all(isinstance(each, TensorRef) for each in value):
        return list(value)
    return None


def items_of(value: TensorList, node: tree.Expr) -> list[TensorRef]:
    """The tensors of a list, which may hold lists only where it is not handed to an op."""
    found = [each for each in value.items if isinstance(each, TensorRef)]
    if len(found) < len(value.items):
        raise problem("not-a-tensor", node.span, "this is a list of lists of tensors", "an index takes one of them")
    return found


def applied(evaluator: Evaluator, value: Any, node: tree.Expr) -> Any:
    """A list with the layers in it that need nothing more, `[relu(x), y]`, placed: what is left is a list of tensors."""
    if not isinstance(value, tuple) or evaluator.placer is None:
        return value
    return tuple(evaluator._operand(each, node) if _complete(each) else each for each in value)


def _complete(value: Any) -> bool:
    """Whether a layer has its tensors, or works on none: `relu(x)`, `zeros(4)`."""
    if isinstance(value, OpLayer):
        return bool(value.tensors) or value.kind.inputs[0] == 0
    return isinstance(value, BlockValue) and bool(value.tensors)


def _one_tensor(evaluator: Evaluator, value: Any, argument: tree.Argument) -> Any:
    if isinstance(value, WeightRef) and argument.name == "weight":
        return value
    found = _tensors(evaluator, value, argument.value)
    if found is None or len(found) != 1:
        raise problem("bad-argument", argument.value.span, f"`{argument.name}` must be a tensor; this is {say(value)}")
    return found[0]


def _plain(evaluator: Evaluator, kind: type[Op], values: list[Any], node: tree.Expr) -> Any:
    evaluator.spend(sum(len(each) for each in values if isinstance(each, tuple | range)), node.span)
    function = FUNCTIONS.get(kind.name, kind.value)  # some know more than plain numbers: an unknown size over two
    assert function is not None
    try:
        return function(*values)
    except (ValueError, TypeError, OverflowError, ArithmeticError) as error:
        raise problem("bad-argument", node.span, f"`{kind.name}` of these values cannot be computed: {error}") from None


def make(
    kind: type[Op],
    values: Mapping[str, Any],
    rest: tuple[Any, ...],
    extra: Mapping[str, Any],
    expressions: Mapping[str, tree.Expr],
    node: tree.Expr,
) -> Any:
    """The validated op or setting; raises SpecError at the argument that does not fit."""
    for field in kind.fields.values():
        if field.required and field.name not in values and not field.kind.tensor:
            raise _missing(kind.name, field, node)
    try:
        return kind.make({name: _validated(value) for name, value in values.items()}, rest, extra)
    except BadArguments as error:
        first = error.found[0]
        place = expressions.get(first.argument, node)
        if first.argument in values:
            given = values[first.argument]
        else:
            given = extra.get(first.argument, rest[0] if rest else None)
        for each in given if isinstance(given, tuple) else (given,):
            if isinstance(each, Ratio):
                raise inexact(each, place.span) from None
        known = kind.fields[first.argument].kind.words if first.argument in kind.fields else ()
        if isinstance(given, Word) and place.span != given.span:
            raise problem(
                "unknown-name", given.span, f"`{given}` is not known here", suggestion(given, known)
            ) from None
        help = suggestion(str(given), known) if isinstance(given, Word) else ""
        raise problem(first.code, place.span, f"{first.message}; this is {say(given)}", help) from None


def _validated(value: Any) -> Any:
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, range):
        return tuple(value)
    if isinstance(value, tuple):
        return tuple(_validated(each) for each in value)
    return value


def _missing(name: str, field: Field, node: tree.Expr) -> Exception:
    from specc.catalogue import registry

    message = f"`{name}` needs `{field.name}`: {field.kind.says}"
    kind = registry.op(name)
    usage = f"write `{name}({', '.join(each.name for each in kind.fields.values() if each.required)})`" if kind else ""
    return problem("missing-argument", node.span, message, usage)


def _too_many(kind: type[Op], argument: tree.Argument, places: list[Field]) -> Exception:
    if not places:
        return problem("too-many-arguments", argument.span, f"`{kind.name}` takes no arguments by position")
    takes = ", ".join(f"`{each.name}`" for each in places)
    by_name = [each.name for each in kind.fields.values() if not each.positional]
    help = f"give the others by name: {', '.join(by_name)}" if by_name else ""
    return problem("too-many-arguments", argument.span, f"`{kind.name}` takes only {takes} by position", help)


# ---------------------------------------------------------------------------------------------------------- blocks
def block_call(evaluator: Evaluator, block: BlockValue, node: tree.Call, scope: Scope) -> BlockValue:
    """A block value with these arguments added; its tensors by position wait in `tensors`."""
    parameters = {each.name: each for each in block.definition.parameters}
    given = dict(block.given)
    expressions = dict(block.expressions) if block.scope is scope else {}
    tensors = list(block.tensors)
    open_places = [each for each in block.definition.parameters if each.type != "tensor" and each.name not in given]
    plain = 0
    seen: set[str] = set()
    for argument in node.arguments:
        place = parameters.get(argument.name) or (open_places[plain] if plain < len(open_places) else None)
        value = evaluator.evaluate(argument.value, scope, any_word(argument.value, scope, place))
        if argument.name:
            if argument.name not in parameters:
                raise unknown_argument(block.definition.name, argument, parameters)
            parameter = parameters[argument.name]
        else:
            found = None if _wanted(open_places, plain, value) else _tensors(evaluator, value, argument.value)
            if found is not None and plain == 0:
                tensors += found
                continue
            if plain >= len(open_places):
                raise _too_many_for_block(block, argument)
            parameter = open_places[plain]
            plain += 1
        if parameter.name in seen:
            raise problem("repeated-argument", argument.span, f"`{parameter.name}` is given twice")
        seen.add(parameter.name)
        if parameter.type == "tensor" and isinstance(value, (WeightRef, *LAYERS)):
            value = evaluator._operand(value, argument.value)
        if parameter.type == "list":
            value = value.items if isinstance(value, TensorList) else applied(evaluator, value, argument.value)
        given[parameter.name] = fitted(block.definition.name, parameter, value, argument.value.span)
        expressions[parameter.name] = argument.value
    return BlockValue(block.definition, block.home, given, expressions, tuple(tensors), node, scope)


def _wanted(places: list[tree.Parameter], at: int, value: Any) -> bool:
    """Whether the next parameter is for a value that else would be taken for tensors: a layer, or a list of tensors."""
    wanted = places[at].type if at < len(places) else ""
    return wanted == "block" or (wanted == "list" and isinstance(value, (tuple, TensorList)))


def _too_many_for_block(block: BlockValue, argument: tree.Argument) -> Exception:
    names = ", ".join(f"`{each.name}`" for each in block.definition.parameters if each.type != "tensor") or "none"
    return problem("too-many-arguments", argument.span, f"`{block.definition.name}` takes {names} and no more")
