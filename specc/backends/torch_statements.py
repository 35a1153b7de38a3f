"""The statements that classes are made of: constructors with their parameters, attributes, lines of a forward."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from specc.backends.torch_home import CannotPrint, Word
from specc.backends.torch_lines import Line, temporary
from specc.backends.torch_names import plain, unused
from specc.backends.torch_nodes import names as said
from specc.backends.torch_nodes import replaced
from specc.code.nodes import (
    Attribute,
    Body,
    Expression,
    ExpressionStatement,
    FString,
    FunctionDef,
    If,
    List,
    ListOf,
    Name,
    Parameter,
    Starred,
    Statement,
    Tuple,
    assign,
    call,
    dotted,
    index,
    method,
    value,
)

SUPER = call("super")
MANY = 3  # as many equal layers in a row are written once


def super_init(*arguments: Any) -> ExpressionStatement:
    return ExpressionStatement(method(SUPER, "__init__", *arguments))


def attribute(name: str, node: Expression) -> Statement:
    if name.isidentifier() and plain(name):
        return assign(Attribute(Name("self"), name), node)
    if name.isidentifier() and not plain(name):
        if name == "training":
            raise CannotPrint("`training` is what PyTorch calls the mode of a module: give that layer another label")
        return assign(index(dotted("self._modules"), name), node)
    return ExpressionStatement(method("self", "add_module", name, node))


def repeated(parts: list[Expression]) -> tuple[Expression, ...]:
    """The parts, three and more equal ones in a row as `*[Basic(64, 64) for _ in range(3)]`."""
    found: list[Expression] = []
    for part, run in groupby(parts):
        count = len(list(run))
        if count >= MANY:
            found.append(Starred(ListOf(part, Name("_"), call("range", count))))
        else:
            found += [part] * count
    return tuple(found)


def labelled(names: list[str], parts: list[Expression]) -> Expression:
    """Pairs of name and part; equal parts whose names count up as `[(f"layer{i}", Layer(64)) for i in range(12)]`."""
    found: list[Expression] = []
    at = 0
    while at < len(names):
        end = at + 1
        stem, number = _numbered(names[at])
        while end < len(names) and parts[end] == parts[at] and _numbered(names[end]) == (stem, number + end - at):
            end += 1
        if number >= 0 and end - at >= MANY:
            count = Name(unused("i", set(said(parts[at]))))
            name = FString((stem, count)) if stem else call("str", count)
            bounds = (end - at,) if number == 0 else (number, number + end - at)
            found.append(Starred(ListOf(Tuple((name, parts[at])), count, call("range", *bounds))))
        else:
            found += [Tuple((value(name), part)) for name, part in zip(names[at:end], parts[at:end], strict=True)]
        at = end
    match found:
        case [Starred(every)]:
            return every
    return List(tuple(found))


def _numbered(name: str) -> tuple[str, int]:
    """A name and the number that it ends with; -1 for none."""
    found = re.fullmatch(r"(.*?)(0|[1-9][0-9]*)", name)
    return (found[1], int(found[2])) if found and not {*"{}"} & set(name) else (name, -1)


def constructor(body: Iterable[Statement]) -> tuple[FunctionDef]:
    return (FunctionDef("__init__", (Parameter("self"),), tuple(body)),)


def with_parameters(body: Body, words: tuple[Word, ...]) -> Body:
    """The class body with the constructor's parameters; a constructor that only calls the base's own is left out."""
    parameters = tuple(
        Parameter(each.name, Name(each.annotation), None if each.default is ... else value(each.default))
        for each in words
    )
    found: list[Statement] = []
    for each in body:
        if isinstance(each, FunctionDef) and each.name == "__init__":
            each = FunctionDef(each.name, (Parameter("self"), *parameters), each.body)
        found.append(each)
    return tuple(found)


def with_last_defaults(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """A parameter without a default cannot come after one with."""
    required = [at for at, each in enumerate(words) if each.default is ...]
    last = required[-1] if required else -1
    return tuple(Word(each.name, each.annotation) if at < last else each for at, each in enumerate(words))


def statements(lines: Iterable[Line], shown: Mapping[str, Expression]) -> tuple[Statement, ...]:
    """Assignments; those that only training needs stand under `if self.training`."""
    found: list[Statement] = []
    waiting: list[Statement] = []
    for line in lines:
        targets = [shown[temporary(each)] if each is not None else Name("_") for each in line.targets]
        node = assign(targets[0] if len(targets) == 1 else targets, replaced(line.node, shown))
        if line.training:
            waiting.append(node)
            continue
        if waiting:
            found.append(in_training(waiting))
            waiting = []
        found.append(node)
    return tuple(found) if not waiting else (*found, in_training(waiting))


def in_training(body: Iterable[Statement]) -> If:
    return If(Attribute(Name("self"), "training"), tuple(body))
