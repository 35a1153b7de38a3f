"""From text to tree: every text gives a tree, and what is wrong with it goes into the bag."""

from __future__ import annotations

import re
from typing import Any

from specc.syntax import tree
from specc.syntax.brackets import deepest
from specc.syntax.build import Builder
from specc.syntax.depth import too_deep
from specc.syntax.lines import logical
from specc.syntax.machine import Machine
from specc.syntax.recover import Repairs
from specc.syntax.scan import Token, scan
from specc.syntax.tables import tables
from specc.text.diagnostics import Bag, Diagnostic
from specc.text.source import Source, Span

MOST_CHARACTERS = 1_000_000
MOST_BRACKETS = 64
MOST_MISTAKES = 20
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")


def parse(source: Source, bag: Bag) -> tree.File:
    """The tree of a file. Never raises; after a mistake the tree holds what could be understood.

    `Name` with an empty name stands where a value is missing or was not understood; the mistake is in the bag.

    >>> parse(Source("a.net", "let two = 2"), Bag()).declarations[0].name
    'two'
    """
    whole = Span(source, 0, len(source.text))
    found = Bag(MOST_MISTAKES)
    value = _parse(source, "file", 0, len(source.text), found) if _readable(source, found) else None
    for each in found:
        bag.add(each)
    for each in found:
        bag.silence(each)
    return value if isinstance(value, tree.File) else tree.File(whole, ())


def parse_expression(text: str, source_name: str, bag: Bag) -> tree.Expr:
    """One expression, as in `--set depths=[2, 2]`; an empty `Name` where it cannot be understood."""
    source = Source(source_name, text)
    found = Bag(MOST_MISTAKES)
    value = _parse(source, "expression", 0, len(text), found) if _readable(source, found) else None
    for each in found:
        bag.add(each)
    return _expression(source, value, 0, len(text))


def _expression(source: Source, value: Any, start: int, end: int) -> tree.Expr:
    return tree.Name(Span(source, start, end), "") if value is None else value


def _parse(source: Source, start_rule: str, start: int, end: int, bag: Bag) -> Any:
    """The value of a start rule over a stretch of the source, or None."""
    grammar = tables()
    tokens = scan(source, grammar, bag, start, end)
    deep = deepest(tokens, MOST_BRACKETS)
    if deep is not None:
        _report_depth(Span(source, deep.start, deep.end), f"brackets lie more than {MOST_BRACKETS} deep here", bag)
        return None
    tokens = logical(source, tokens, grammar, bag)
    tokens.append(Token(grammar.terminal("$END"), end, end, ""))

    def part(first: int, last: int) -> tree.Expr:
        return _expression(source, _parse(source, "expression", first, last, bag), first, last)

    builder = Builder(source, grammar, bag, part)
    machine = Machine(grammar, tokens, source.text, start_rule, builder.reduce)
    value = machine.run(Repairs(source, bag).mend)
    return _shallow(value, bag)


def _readable(source: Source, bag: Bag) -> bool:
    if len(source.text) > MOST_CHARACTERS:
        message = f"this file has {len(source.text):_} characters; the most is {MOST_CHARACTERS:_}"
        bag.add(Diagnostic("file-too-large", Span(source, 0, 0), message, "a network of any size fits in far less"))
        return False
    odd = _NOT_TEXT.search(source.text)
    if odd:
        message = f"this is not a text: it holds the character U+{ord(odd[0]):04X}"
        bag.add(Diagnostic("not-text", Span(source, odd.start(), odd.end()), message, "a .net file is UTF-8 text"))
        return False
    return True


def _shallow(value: Any, bag: Bag) -> Any:
    """The value without declarations that are nested too deeply for anything to walk over them."""
    if not isinstance(value, tree.File):
        deep = None if value is None else too_deep(value)
        if deep is not None:
            _report_depth(deep, "this is nested too deeply", bag)
        return None if deep is not None else value
    kept = []
    for declaration in value.declarations:
        deep = too_deep(declaration)
        if deep is None:
            kept.append(declaration)
        else:
            _report_depth(deep, "this is nested too deeply", bag)
    return value if len(kept) == len(value.declarations) else tree.File(value.span, tuple(kept))


def _report_depth(span: Span, message: str, bag: Bag) -> None:
    bag.add(Diagnostic("nesting-too-deep", span, message, "give a part of it a name with `let` or `block`"))
