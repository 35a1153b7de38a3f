"""Whether a value fits a parameter: the types of the language, words that are passed on, and names that are not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from specc.catalogue import registry
from specc.model.elaborate.arithmetic import FUNCTIONS
from specc.model.elaborate.problem import problem, suggestion
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import (
    LAYERS,
    MISSING,
    BlockValue,
    Function,
    OpName,
    Scope,
    TensorList,
    TensorRef,
)
from specc.syntax import tree
from specc.text.source import Span

if TYPE_CHECKING:
    from specc.model.elaborate.evaluate import Evaluator

TYPES: Mapping[str, tuple[str, Any]] = {
    "int": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "float": ("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "string": ("a text", lambda value: isinstance(value, str)),
    "list": ("a list", lambda value: isinstance(value, tuple | range)),
    "shape": ("a list of sizes", lambda value: isinstance(value, tuple)),
    "block": (
        "a block, an operator or a layer",
        lambda value: isinstance(value, (BlockValue, OpName, Function, *LAYERS)),
    ),
    "tensor": ("a tensor", lambda value: isinstance(value, TensorRef | TensorList)),
}


def fitted(owner: str, parameter: tree.Parameter, value: Any, span: Span) -> Any:
    """The value if it fits the parameter's type; raises `bad-argument`."""
    if not parameter.type:
        return value
    says, fits = TYPES[parameter.type]
    if parameter.type == "tensor" and parameter.default is not None:
        says = f"{says} or none"
        if value is None:
            return value
    if not fits(value):
        raise problem("bad-argument", span, f"`{parameter.name}` of `{owner}` must be {says}; this is {say(value)}")
    return value


def any_word(node: tree.Expr, scope: Scope, parameter: tree.Parameter | None) -> tuple[str, ...]:
    """A bare name that is not known at all is passed on as a word: `Unit(padding=same)`, `Look(mask=none)`."""
    if not isinstance(node, tree.Name) or parameter is None:
        return ()
    if parameter.type not in ("", "string") and (parameter.type != "tensor" or node.name != "none"):
        return ()
    known = scope.find(node.name) is not MISSING or node.name in FUNCTIONS or registry.op(node.name) is not None
    return () if known else (node.name,)


def default_of(evaluator: Evaluator, owner: str, parameter: tree.Parameter, scope: Scope) -> Any:
    """What a parameter is where nobody gives it: its default, which may be a word or, in a block, `input`."""
    assert parameter.default is not None
    value = evaluator.evaluate(parameter.default, scope, any_word(parameter.default, scope, parameter))
    return fitted(owner, parameter, value, parameter.default.span)


def unknown_argument(name: str, argument: tree.Argument, known: Mapping[str, Any]) -> Exception:
    """The error for an argument by a name that there is not."""
    span = argument.name_span or argument.span
    return problem(
        "unknown-argument", span, f"`{name}` has no argument `{argument.name}`", suggestion(argument.name, known)
    )
