"""Which expression a buffer's numbers are written as: the spec's own, where it gives exactly these numbers in Python."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from specc.backends.torch_comprehension import Speaker, Unsaid, flattened, nested_shape, words_behind
from specc.backends.torch_home import Home
from specc.catalogue.op import WeightSpec
from specc.code.nodes import Expression, Name
from specc.code.reckon import reckoned
from specc.model.graph import Declared, Frame
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
            words = words_behind(declared.node.value, scope) & set(self.home.words)
            if words:
                in_words = Speaker(self.speaker.taken, {}, self.apart)
                found = self._tried(in_words, declared, scope, spec)
                if found is not None and not in_words.divides:
                    return found
                self.home.dropped.update(words)
        return self._tried(self.speaker, declared, declared.scope, spec) if len(spec.values) > FEW else None

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
    names = dict(words)
    try:
        for name, each in apart:
            names[name] = reckoned(each, names)
        given = reckoned(node, names)
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        return None
    shape = nested_shape(given)
    found = list(flattened(given))
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
