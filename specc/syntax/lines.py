"""Decides which line ends count: a line goes on inside brackets and after whatever wants more."""

from __future__ import annotations

from specc.syntax.brackets import OPENERS, mended, unmatched
from specc.syntax.scan import Token
from specc.syntax.tables import Tables
from specc.text.diagnostics import Bag
from specc.text.source import Source

_WANTS_MORE = "COMMA COLON EQUAL ARROW DOT LBRACE SEMICOLON COMPARES PLUS MINUS STAR SLASH DOUBLE_SLASH PERCENT POWER"
_WORDS = frozenset(["and", "or", "not", "else"])


def logical(source: Source, tokens: list[Token], tables: Tables, bag: Bag) -> list[Token]:
    """The tokens without the line ends that do not count; missing brackets are reported and put in."""
    wrong = unmatched(tokens, source)
    if wrong:
        tokens = mended(source, tokens, wrong, tables, bag)
    newline, name = tables.terminal("_NEWLINE"), tables.terminal("NAME")
    wants_more = frozenset(tables.terminal(each) for each in _WANTS_MORE.split())
    kept: list[Token] = []
    open_brackets: list[str] = []
    for token in tokens:
        kind, _, _, text = token
        if kind == newline:
            if not kept or (open_brackets and open_brackets[-1] != "{"):
                continue
            last = kept[-1]
            if last.kind in wants_more or (last.kind == name and last.text in _WORDS):
                continue
        elif text in OPENERS:
            open_brackets.append(text)
        elif text in (")", "]", "}"):
            open_brackets.pop()
        kept.append(token)
    return kept
