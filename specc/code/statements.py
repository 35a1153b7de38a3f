"""Statements, and the first lines of blocks, as documents: where they get brackets and which side breaks first."""

from __future__ import annotations

from enum import Enum

from specc.code.document import (
    SPACE,
    Bracketable,
    Brackets,
    Choice,
    Document,
    Group,
    IfBroken,
    soft_block,
)
from specc.code.layout import (
    INSIDE,
    OUTSIDE,
    arguments,
    brackets_if_broken,
    joined,
    layout,
    listed,
    optional_brackets,
)
from specc.code.precedence import Bracketed, bracketed
from specc.code.splits import Need, can_omit_brackets, has_own_brackets, is_splittable, need
from specc.code.tree import (
    Assert,
    Assign,
    Attribute,
    Binary,
    Call,
    ClassDef,
    Expression,
    ExpressionStatement,
    For,
    FString,
    FunctionDef,
    If,
    Import,
    ImportFrom,
    Index,
    Literal,
    Name,
    Parameter,
    Raise,
    Return,
    Statement,
    Tuple,
    With,
)


class _Wrap(Enum):
    """When brackets may be put around an expression that a statement holds."""

    IF_BREAKS = 1
    OPTIONAL = 2
    RIGHT = 3
    """As IF_BREAKS, for what stands right of something that could break too."""


def statement(node: Statement) -> Document:
    """One statement, or the first line of one that has a body."""
    match node:
        case ExpressionStatement(value):
            return _expression_statement(bracketed(value))
        case Assign():
            return _assign(node)
        case Return(None):
            return "return"
        case Return(Expression() as value):
            return ("return ", _returned(bracketed(value)))
        case Raise(exception, cause):
            raised = ("raise ", _finishing(bracketed(exception), _Wrap.OPTIONAL))
            return raised if cause is None else (raised, " from ", _finishing(bracketed(cause), _Wrap.OPTIONAL))
        case Assert(test, message):
            asserted = ("assert ", _finishing(bracketed(test)))
            return asserted if message is None else (asserted, ", ", _finishing(bracketed(message), _Wrap.RIGHT))
        case Import(module, alias):
            return f"import {module}" + (f" as {alias}" if alias else "")
        case ImportFrom(module, names):
            given = [f"{name} as {alias}" if alias else name for name, alias in names]
            return (f"from {module} import ", brackets_if_broken(lambda level: joined(given, always_comma=True)))
    return _header(node)


def condition(keyword: str, test: Expression) -> Document:
    """`if test:`, `elif test:`."""
    return (f"{keyword} ", _finishing(bracketed(test)), ":")


def decorator(node: Expression) -> Document:
    return ("@", _finishing(bracketed(node), _Wrap.OPTIONAL))


def _header(node: Statement) -> Document:
    match node:
        case If(test):
            return condition("if", test)
        case For(target, iterable):
            return ("for ", _for_target(bracketed(target)), " in ", _finishing(bracketed(iterable)), ":")
        case With(items):
            return ("with ", _contexts(items), ":")
        case FunctionDef():
            return _function(node)
        case ClassDef(name, bases):
            given = [layout(bracketed(base), INSIDE) for base in bases]
            return (f"class {name}", arguments(given, OUTSIDE) if given else "", ":")
    raise TypeError(f"{type(node).__name__} is not a statement of Python")


def _finishing(node: Expression, wrap: _Wrap = _Wrap.IF_BREAKS) -> Document:
    """An expression that gets brackets where it needs them to go over several lines."""
    needed = need(node)
    if needed is Need.BEST_FIT and wrap is _Wrap.IF_BREAKS:
        name = Brackets()
        return Bracketable(layout(node, name), name)
    if needed is Need.NEVER or (needed is Need.BEST_FIT and wrap is _Wrap.OPTIONAL):
        return layout(node, OUTSIDE)
    return _wrapped(node)


def _wrapped(node: Expression) -> Document:
    wrap = optional_brackets if can_omit_brackets(node) else brackets_if_broken
    return wrap(lambda level: layout(node, level))


def _expression_statement(node: Expression) -> Document:
    breaks = isinstance(node, Binary) and node.operator in ("|", "^", "<<", ">>", "+", "-")
    return _finishing(node, _Wrap.OPTIONAL) if breaks else layout(node, OUTSIDE)


def _returned(node: Expression) -> Document:
    match node:
        case Tuple((_, _)):
            return optional_brackets(lambda level: _listed_at(node, level))
        case Tuple((_, _, *_)):
            return brackets_if_broken(lambda level: _listed_at(node, level))
        case Tuple():
            return layout(node, OUTSIDE)
    return _finishing(node)


def _listed_at(node: Tuple, level: Brackets | None) -> Document:
    return joined([layout(item, level) for item in node.items])


def _bare(node: Expression) -> Document:
    """A target: a tuple has no brackets unless it breaks."""
    if isinstance(node, Tuple) and len(node.items) > 1:
        return brackets_if_broken(lambda level: listed(node.items))
    return layout(node, OUTSIDE)


def _for_target(node: Expression) -> Document:
    if isinstance(node, Tuple) and len(node.items) > 1:
        return optional_brackets(lambda level: _listed_at(node, level))
    return layout(node, OUTSIDE) if isinstance(node, Tuple) else _finishing(node)


def _assign(node: Assign) -> Document:
    first, *others = map(bracketed, node.targets)
    value = None if node.value is None else bracketed(node.value)
    if node.annotation is not None:
        return (layout(first, OUTSIDE), ": ", _annotated(bracketed(node.annotation), value))
    if value is None or (others and node.annotation is not None):
        raise ValueError("an assignment has a value, or one target and an annotation")
    if others:
        heads = [(_head(target), " = ") for target in others[:-1]]
        return (_bare(first), " = ", *heads, _right_to_left(others[-1], value))
    if has_own_brackets(first):
        return _right_to_left(first, value)
    return (layout(first, OUTSIDE), " = ", _finishing(value))


def _annotated(annotation: Expression, value: Expression | None) -> Document:
    if value is None:
        return _finishing(annotation)
    if isinstance(annotation, Tuple):
        return _value_first(layout(annotation, OUTSIDE), value)
    if is_splittable(annotation):
        return _right_to_left(annotation, value)
    return (layout(annotation, OUTSIDE), " = ", _finishing(value))


def _head(target: Expression) -> Document:
    if _breaks_by_itself(target):
        return _bare(target)
    return brackets_if_broken(lambda level: layout(target, level))


def _right_to_left(before: Expression, value: Expression) -> Document:
    """`before = value`, where the value breaks first."""
    return _value_first(_bare(before) if _breaks_by_itself(before) else _wrapped(before), value)


def _value_first(left: Document, value: Expression) -> Document:
    chain = isinstance(value, Attribute | Call | Index) and need(value) is Need.BEST_FIT
    if not chain and not isinstance(value, Name | Literal | FString):
        return (left, " = ", _finishing(value))
    right = layout(value, OUTSIDE)
    in_brackets = (left, " = (", Group(soft_block(right), broken=True), ")")
    left_broken = (Group(left, broken=True), " = ", right)
    if chain:
        opened = (left, " = ", Group(right, broken=True))
        return Choice(((left, " = ", right), opened, in_brackets, left_broken))
    return Choice(((left, " = ", right), in_brackets, left_broken))


def _breaks_by_itself(target: Expression) -> bool:
    if has_own_brackets(target):
        return True
    value = target
    while isinstance(value, Attribute):
        value = value.value
        if has_own_brackets(value) or isinstance(value, Bracketed):
            return True
    return False


def _contexts(items: tuple[tuple[Expression, Expression | None], ...]) -> Document:
    if any(isinstance(context, Tuple) for context, _ in items):
        raise ValueError("a tuple is no context: give each context as an item")
    if len(items) == 1:
        context, target = bracketed(items[0][0]), items[0][1]
        if target is None:
            return _finishing(context)
        if can_omit_brackets(context):
            return optional_brackets(lambda level: _context(context, target, level))
    given = [_context(bracketed(context), target, INSIDE) for context, target in items]
    return brackets_if_broken(lambda level: joined(given))


def _context(context: Expression, target: Expression | None, level: Brackets | None) -> Document:
    document = layout(context, level)
    return document if target is None else (document, " as ", layout(bracketed(target), level))


def _function(node: FunctionDef) -> Document:
    given: list[Document] = [_parameter(parameter) for parameter in node.parameters]
    if node.variadic is not None:
        given.append(("*", _parameter(node.variadic)))
    elif node.keyword_only:
        given.append("*")
    given += [_parameter(parameter) for parameter in node.keyword_only]
    parts: list[Document] = []
    for item in given:
        parts += [(",", SPACE), item] if parts else [item]
    content: Document = (*parts, IfBroken(","))
    if len(given) > 1:
        content = Group(content)
    parameters = ("(", soft_block(content), ")") if given else "()"
    returns = () if node.returns is None else (" -> ", _returns(bracketed(node.returns), bool(given)))
    return (f"def {node.name}", Group((parameters, returns)), ":")


def _parameter(parameter: Parameter) -> Document:
    document: Document = parameter.name
    if parameter.annotation is not None:
        document = (document, ": ", layout(bracketed(parameter.annotation), INSIDE))
    if parameter.default is not None:
        equals = "=" if parameter.annotation is None else " = "
        document = (document, equals, layout(bracketed(parameter.default), INSIDE))
    return document


def _returns(node: Expression, has_parameters: bool) -> Document:
    if isinstance(node, Index) and need(node) is Need.BEST_FIT:
        return layout(node, OUTSIDE) if has_parameters else _wrapped(node)
    return _finishing(node, _Wrap.IF_BREAKS if has_parameters else _Wrap.RIGHT)
