"""Which expression a buffer's numbers are written as: the spec's own, where it gives exactly these numbers in Python."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from specc.backends.torch_comprehension import Speaker, Unsaid
from specc.backends.torch_home import Home
from specc.backends.torch_nodes import names
from specc.catalogue.op import WeightSpec
from specc.code.nodes import Expression, Name
from specc.code.reckon import reckoned
from specc.model.elaborate.evaluate import Evaluator
from specc.model.elaborate.scope import Function, Later, Scope
from specc.model.graph import Declared, Frame
from specc.syntax import tree
from specc.text.diagnostics import SpecError
from specc.text.record import Record

FEW = 64  # so many numbers are written as numbers, unless a parameter of the class is among what makes them


class Told(Record):
    """What is written for the numbers, and the shape of the lists that it gives."""

    node: Expression
    shape: tuple[int, ...]


class Numbers:
    """The buffers of one class. `apart` are the lists that stand on lines of their own before them."""

    def __init__(self, home: Home, givers: Mapping[int, Frame]) -> None:
        self.home = home
        self.apart: dict[str, Expression] = {}
        self.speaker = Speaker(frozenset(home.words), givers, self.apart)

    def told(self, declared: Declared, spec: WeightSpec) -> Told | None:
        """An expression that gives the numbers; None if they are better written one by one.

        A parameter of the class that they come from, and that the expression cannot show, has one value only.
        """
        assert declared.node.value is not None
        assert spec.values is not None
        top = self.home.trace.top
        if top is not None and top.bindings:
            scope = top.scope(declared.scope)
            words = _words_behind(declared.node.value, scope) & set(self.home.words)
            if words:
                in_words = Speaker(self.speaker.taken, {}, self.apart)
                found = self._tried(in_words, declared, scope, spec)
                if found is not None and not in_words.divides:
                    return found
                self.home.dropped.update(words)
        if len(spec.values) <= FEW or counts(spec):
            return None
        return self._tried(self.speaker, declared, declared.scope, spec)

    def _tried(self, speaker: Speaker, declared: Declared, scope: Any, spec: WeightSpec) -> Told | None:
        before = dict(self.apart)
        assert declared.node.value is not None
        assert spec.values is not None
        try:
            node = speaker.whole(declared.node.value, scope)
            shape = _shape(node, tuple(speaker.apart.items()), _known(self.home), spec.dtype, spec.values)
        except Unsaid:
            shape = None
        if shape is None or (not shape) != (not spec.shape):
            speaker.forget(before)
            return None
        return Told(node, shape)


def counts(spec: WeightSpec) -> bool:
    """Whether the numbers are 0, 1, 2 …"""
    many = len(spec.values or ())
    return spec.dtype == "int" and many > 1 and spec.values == tuple(range(many))


def _known(home: Home) -> tuple[tuple[str, Any], ...]:
    """The words of a class with the numbers that they stand for here."""
    found: dict[str, Any] = {}
    bound = [] if home.trace.top is None else list(home.trace.top.bindings.values())
    for each in (*bound, *(size for kind in home.trace.types.values() for size in kind.shape)):
        node = getattr(each, "node", None)
        if isinstance(node, Name) and isinstance(each, int | float | tuple):
            found[node.name] = _plain(each)
    return tuple(found.items())


def _plain(given: Any) -> Any:
    if isinstance(given, tuple):
        return tuple(map(_plain, given))
    return int(given) if isinstance(given, int) else float(given)


@lru_cache(maxsize=64)
def _shape(
    node: Expression,
    apart: tuple[tuple[str, Expression], ...],
    words: tuple[tuple[str, Any], ...],
    dtype: str,
    numbers: tuple[float, ...],
) -> tuple[int, ...] | None:
    """The shape of the lists that the expression gives in Python; None if it gives other numbers than these."""
    known = dict(words)
    try:
        for name, each in apart:
            known[name] = reckoned(each, known)
        given = reckoned(node, known)
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        return None
    shape = _nested_shape(given)
    found = list(_flattened(given))
    if shape is None or len(found) != len(numbers):
        return None
    return shape if all(_same(*pair, dtype) for pair in zip(found, numbers, strict=True)) else None


def _same(found: Any, number: float, dtype: str) -> bool:
    """Whether it is the number, and PyTorch takes it for one of this type."""
    if dtype == "bool":
        return found is bool(number)
    if isinstance(found, bool) or not isinstance(found, int if dtype == "int" else int | float):
        return False
    return found == number and math.copysign(1, found) == math.copysign(1, number)


def _nested_shape(given: Any) -> tuple[int, ...] | None:
    """The shape of lists in lists; None if they are not equally long."""
    if not isinstance(given, list):
        return ()
    shapes = {_nested_shape(each) for each in given}
    (first,) = shapes if len(shapes) == 1 else (None,)
    return None if first is None else (len(given), *first)


def _flattened(given: Any) -> Iterator[Any]:
    if isinstance(given, list):
        for each in given:
            yield from _flattened(each)
    else:
        yield given


def _words_behind(node: tree.Expr, scope: Scope) -> frozenset[str]:
    """The words of a class that the value of an expression depends on, through `let`s and their functions."""
    found: set[str] = set()
    seen: set[int] = set()

    def look(node: Any, scope: Scope) -> None:
        if isinstance(node, tree.Name):
            bound = scope.find(node.name)
            inside = (
                bound.node.value if isinstance(bound, Function) else bound.node if isinstance(bound, Later) else None
            )
            if inside is not None and id(bound) not in seen:
                seen.add(id(bound))
                look(inside, bound.scope)
            elif inside is None:
                found.update(names(_nodes_in(bound)))
        elif isinstance(node, tree.Attribute):
            try:
                found.update(names(_nodes_in(Evaluator(None).evaluate(node, scope))))
            except SpecError:
                look(node.value, scope)
        elif isinstance(node, tuple):
            for each in node:
                look(each, scope)
        elif isinstance(node, tree.Node):
            for each in node.FIELDS:
                look(getattr(node, each), scope)

    look(node, scope)
    return frozenset(found)


def _nodes_in(bound: Any) -> tuple[Expression, ...]:
    own = getattr(bound, "node", None)
    if isinstance(own, Expression):
        return (own,)
    return tuple(one for each in bound for one in _nodes_in(each)) if isinstance(bound, tuple) else ()
