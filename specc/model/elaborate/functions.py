"""Calls of functions: those that a `let` declares, and those on plain values that everyone knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specc.model.elaborate.fitting import any_word, fitted, unknown_argument
from specc.model.elaborate.problem import problem
from specc.model.elaborate.scope import MISSING, Builtin, Function, Later, Scope
from specc.syntax import tree

if TYPE_CHECKING:
    from specc.model.elaborate.evaluate import Evaluator


def function_call(evaluator: Evaluator, function: Function, node: tree.Call, scope: Scope) -> Any:
    """What a `let` with parameters gives for these arguments; a value, a layer or a group."""
    let = function.node
    assert let.parameters is not None
    inner = Scope(function.scope, "call")
    places = list(let.parameters)
    for at, argument in enumerate(node.arguments):
        if argument.name:
            found = [each for each in places if each.name == argument.name]
            if not found:
                raise unknown_argument(let.name, argument, {each.name: each for each in places})
            parameter = found[0]
        elif at < len(places):
            parameter = places[at]
        else:
            many = f"{len(places)} argument{'' if len(places) == 1 else 's'}"
            raise problem("too-many-arguments", argument.span, f"`{let.name}` takes {many}")
        if parameter.name in inner.names:
            raise problem("repeated-argument", argument.span, f"`{parameter.name}` is given twice")
        value = evaluator.evaluate(argument.value, scope, any_word(argument.value, scope, parameter))
        fitted(let.name, parameter, value, argument.value.span)
        inner.names[parameter.name] = Later(argument.value, scope, value)
    for parameter in places:
        if parameter.name in inner.names:
            continue
        if parameter.default is None:
            raise problem("missing-argument", node.span, f"`{let.name}` needs `{parameter.name}`")
        words = any_word(parameter.default, function.scope, parameter)
        value = evaluator.evaluate(parameter.default, function.scope, words) if words else MISSING
        inner.names[parameter.name] = Later(parameter.default, function.scope, value)
    return _guarded(evaluator, function, node, inner)


def _guarded(evaluator: Evaluator, function: Function, node: tree.Call, inner: Scope) -> Any:
    if id(function.node) in evaluator.running:
        raise problem("recursive-let", node.span, f"`{function.node.name}` calls itself; there is no recursion")
    evaluator.running.append(id(function.node))
    try:
        return evaluator.evaluate(function.node.value, inner)
    finally:
        evaluator.running.pop()


def builtin_call(evaluator: Evaluator, function: Builtin, node: tree.Call, scope: Scope) -> Any:
    """What a function such as `range` or `sqrt` gives for these arguments."""
    values = [evaluator.evaluate(each.value, scope) for each in node.arguments if not each.name]
    named = {each.name: evaluator.evaluate(each.value, scope) for each in node.arguments if each.name}
    evaluator.spend(sum(len(each) for each in values if isinstance(each, tuple | range)), node.span)
    try:
        return function.run(*values, **named)
    except (ValueError, TypeError, OverflowError, ArithmeticError) as error:
        message = str(error).replace("<lambda>", function.name)
        raise problem("bad-argument", node.span, f"`{function.name}` cannot be computed: {message}") from None
