"""A tree as text again, for files that specc writes itself; `format_text` makes it beautiful."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from specc.syntax import tree

_BINDING = {
    "or": 3, "and": 4, "==": 6, "!=": 6, "<": 6, "<=": 6, ">": 6, ">=": 6, "+": 7, "-": 7,
    "*": 8, "/": 8, "//": 8, "%": 8,
}  # fmt: skip
_CHAIN, _LAYERS, _CHOICE, _NOT, _SIGN, _POWER, _POSTFIX, _ATOM = 0, 1, 2, 5, 9, 10, 11, 12


def spell(node: tree.Node) -> str:
    """The text of a file, a declaration, a statement or an expression.

    >>> at = tree.Number(None, 2)
    >>> spell(tree.Binary(None, "**", tree.Unary(None, "-", at), at))
    '(-2) ** 2'
    """
    if isinstance(node, tree.File):
        return "".join(_declaration(each) + "\n" for each in node.declarations)
    if isinstance(node, (tree.Import, tree.Let, tree.Block, tree.Network, tree.Alias, tree.Section)):
        return _declaration(node)
    if isinstance(node, (tree.Line, tree.Publish, tree.Input, tree.Weight, tree.Where, tree.If, tree.Repeat, tree.For)):
        return _statement(node)
    return _at(node, _CHAIN)


def quoted(text: str) -> str:
    """A string as a .net file writes it."""
    marks = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(marks.get(each) or (each if each >= " " else f"\\x{ord(each):02x}") for each in text) + '"'


# ----------------------------------------------------------------------------------------------------- declarations
def _declaration(node: tree.Node) -> str:
    match node:
        case tree.Import(names=names, origin=origin, quoted=is_quoted):
            listed = ", ".join(each.name + (f" as {each.alias}" if each.alias else "") for each in names)
            return f"import {listed} from {quoted(origin) if is_quoted else origin}"
        case tree.Let(name=name, parameters=parameters, value=value):
            head = name if parameters is None else f"{name}({_list(parameters)})"
            return f"let {head} = {_at(value, _CHAIN)}"
        case tree.Block(name=name, parameters=parameters, signature=signature, body=body):
            return f"block {name}{_brackets(parameters)}{_signature(signature)} {_body(body)}"
        case tree.Network(name=name, parameters=parameters, body=body, expects=expects):
            return f"network {name}{_brackets(parameters)} {_body(body)}{_expects(expects)}"
        case tree.Alias(name=name, value=value, expects=expects):
            return f"network {name} = {_at(value, _CHAIN)}{_expects(expects)}"
        case tree.Section(kind=kind, phase=phase, network=network, settings=settings):
            head = " ".join([kind, *([phase] if phase else []), *(["for", network] if network else [])])
            lines = "".join(f"    {each.name} {_list(each.arguments)}".rstrip() + "\n" for each in settings)
            return f"{head} {{\n{lines}}}"
    raise TypeError(f"{type(node).__name__} is no declaration")


def _brackets(parameters: tuple[tree.Parameter, ...]) -> str:
    return f"({_list(parameters)})" if parameters else ""


def _signature(node: tree.Signature | None) -> str:
    if node is None:
        return ""
    return f": {_at(node.takes, 0)}" + (f" -> {_at(node.gives, 0)}" if node.gives is not None else "")


# ------------------------------------------------------------------------------------------------------- statements
def _body(node: tree.Body) -> str:
    inside = "\n".join(_statement(each) for each in node.statements)
    return "{\n" + "".join(f"    {line}\n" for line in inside.split("\n") if line) + "}"


def _statement(node: tree.Node) -> str:
    match node:
        case tree.Line():
            return _line(node)
        case tree.Publish(name=name, training=training, expects=expects):
            return f"output {_at(name, _POSTFIX)}{' when training' * training}{_expects(expects)}"
        case tree.Input(name=name, dtype=dtype, shape=shape, where=where):
            kind = "" if dtype == "float" else dtype + " "
            return f"input {name}: {kind}{_at(shape, 0)}" + (f" where {_at(where, _CHOICE)}" if where else "")
        case tree.Weight(kind=kind, name=name, dtype=dtype, shape=shape, arguments=arguments, value=value):
            word = "" if dtype == "float" else dtype + " "
            given = f" = {_at(value, _CHAIN)}" if value is not None else ""
            return f"{kind} {name}: {word}{_at(shape, 0)}{given}" + "".join(f", {_part(each)}" for each in arguments)
        case tree.Where(condition=condition):
            return f"where {_at(condition, _CHOICE)}"
        case tree.If(condition=condition, body=body, other=other):
            otherwise = f" else {_body(other)}" if other is not None else ""
            return f"if {_at(condition, _CHOICE)} {_body(body)}{otherwise}"
        case tree.Repeat(count=count, body=body):
            return f"repeat {_at(count, _CHOICE)} {_body(body)}"
        case tree.For(names=names, source=source, body=body):
            return f"for {', '.join(names)} in {_at(source, _CHOICE)} {_body(body)}"
    return _declaration(node)


def _line(node: tree.Line) -> str:
    labels = ", ".join(_label(each) for each in node.labels)
    head = ("output " * node.output) + (f"{labels}: " if labels else "")
    alias = f" as {node.alias}" if node.alias else ""
    return f"{head}{_at(node.value, _CHAIN)}{alias}{' when training' * node.training}{_expects(node.expects)}"


def _label(node: tree.Label) -> str:
    if not node.quoted:
        return "".join(each for each in node.parts if isinstance(each, str))
    parts = [
        quoted(each)[1:-1].replace("{", "{{").replace("}", "}}") if isinstance(each, str) else "{" + _at(each, 0) + "}"
        for each in node.parts
    ]
    return '"' + "".join(parts) + '"'


def _expects(expects: tuple[tree.Expect, ...]) -> str:
    said = ""
    for expect in expects:
        claims = ", ".join(_claim(each) for each in expect.claims)
        said += f"  expect {claims}" + (f" at {_list(expect.at)}" if expect.at else "")
    return said


def _claim(node: tree.Claim) -> str:
    value = _at(node.value, _CHOICE)
    return {"shape": value, "valid": f"valid when {value}"}.get(node.name, f"{node.name}={value}")


# ------------------------------------------------------------------------------------------------------ expressions
def _comprehension(node: tree.Comprehension) -> str:
    """The item, and the loops from the outermost to the innermost."""
    loops = ""
    while True:
        wanted = f" if {_at(node.condition, 3)}" if node.condition is not None else ""
        loops += f" for {', '.join(node.names)} in {_at(node.source, 3)}{wanted}"
        if not (isinstance(node.item, tree.Star) and isinstance(node.item.value, tree.Comprehension)):
            return f"{_at(node.item, _CHAIN)}{loops}"
        node = node.item.value


def _list(nodes: Iterable[tree.Node]) -> str:
    return ", ".join(_part(each) for each in nodes)


def _part(node: tree.Node) -> str:
    """A parameter, an argument, an item or a slice."""
    match node:
        case tree.Parameter(name=name, type=kind, default=default):
            typed = f"{name}: {kind}" if kind else name
            return typed + (f"{' = ' if kind else '='}{_at(default, _CHAIN)}" if default is not None else "")
        case tree.Argument(name=name, value=value):
            return (f"{name}=" if name else "") + _at(value, _CHAIN)
        case tree.Slice(start=start, stop=stop, step=step):
            parts = (start, stop) if step is None else (start, stop, step)
            return ":".join(_at(each, _CHOICE) if each is not None else "" for each in parts)
    return _at(node, _CHAIN)


def _at(node: Any, binding: int) -> str:
    """An expression where something binds as tightly as `binding`; in brackets if it binds more loosely itself."""
    own, text = _expression(node)
    return f"({text})" if own < binding else text


def _expression(node: Any) -> tuple[int, str]:
    """How tightly an expression binds, and its text."""
    match node:
        case tree.Number(value=value):
            return _ATOM, repr(value)
        case tree.Text(value=value):
            return _ATOM, quoted(value)
        case tree.Truth(value=value):
            return _ATOM, str(value).lower()
        case tree.Name(name=name):
            return _ATOM, name
        case tree.Attribute(value=value, name=name):
            number = isinstance(value, tree.Number)
            return _POSTFIX, f"{_at(value, _ATOM + 1 if number else _POSTFIX)}.{name}"
        case tree.Index(value=value, items=items):
            listed = ", ".join(_part(each) if isinstance(each, tree.Slice) else _at(each, _CHOICE) for each in items)
            return _POSTFIX, f"{_at(value, _POSTFIX)}[{listed}]"
        case tree.Call(function=function, arguments=arguments):
            return _POSTFIX, f"{_at(function, _POSTFIX)}({_list(arguments)})"
        case tree.List(items=items):
            return _ATOM, f"[{_list(items)}]"
        case tree.Star(value=value):
            return _CHAIN, f"*{_at(value, _SIGN)}"
        case tree.Comprehension():
            return _ATOM, f"[{_comprehension(node)}]"
        case tree.Chain(elements=elements):
            return _CHAIN, " -> ".join(_at(each, _LAYERS) for each in elements)
        case tree.Group(body=body):
            return _LAYERS, _body(body)
        case tree.Parallel(body=body):
            return _LAYERS, f"parallel {_body(body)}"
    return _operation(node)


def _operation(node: Any) -> tuple[int, str]:
    match node:
        case tree.Choice(chosen=chosen, condition=condition, other=other):
            return _CHOICE, f"{_at(chosen, 3)} if {_at(condition, 3)} else {_at(other, _CHOICE)}"
        case tree.Unary(operator="not", value=value):
            return _NOT, f"not {_at(value, _NOT)}"
        case tree.Unary(value=value):
            return _SIGN, f"-{_at(value, _SIGN)}"
        case tree.Binary(operator="**", left=left, right=right):
            return _POWER, f"{_at(left, _POSTFIX)} ** {_at(right, _SIGN)}"
        case tree.Binary(operator=operator, left=left, right=right):
            own = _BINDING[operator]
            return own, f"{_at(left, own + (own == 6))} {operator} {_at(right, own + 1)}"
    raise TypeError(f"{type(node).__name__} is no expression")
