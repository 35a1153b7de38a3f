"""Cuts a text into tokens and reports what no token can be made of."""

from __future__ import annotations

import re
from typing import NamedTuple

from specc.syntax.tables import Tables
from specc.text.diagnostics import Bag, Diagnostic
from specc.text.source import Source, Span


class Token(NamedTuple):
    """A terminal's number, where it stands, and its text; one that stands for what is missing or wrong has none."""

    kind: int
    start: int
    end: int
    text: str


_NUMBERLIKE = re.compile(r"[0-9](?:[\w.]|(?<=[eE])[+-])*", re.ASCII)
_OPEN_STRING = re.compile(r"""["'][^\r\n]*""")
_TYPESET = re.compile("[\u201c\u201d\u201e][^\r\n\u201c\u201d]*[\u201c\u201d]")
_MARKS = {
    "\u2192": "->", "\u00d7": "*", "\u00b7": "*", "\u2212": "-", "\u2013": "-", "\u2014": "-", "\u00a0": " ",
    "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2018": "'", "\u2019": "'", "\u2264": "<=", "\u2265": ">=",
    "\u2260": "!=", "\u2026": "...", "&": "and", "|": "or", "!": "not", "^": "**",
}  # fmt: skip


def scan(source: Source, tables: Tables, bag: Bag, start: int = 0, end: int | None = None) -> list[Token]:
    """The tokens of a stretch of the source, line ends among them, blanks and comments not."""
    text = source.text
    end = len(text) if end is None else end
    ignored = [tables.terminal(each) for each in ("BLANK", "COMMENT", "CONTINUATION")]
    groups = tables.groups
    tokens: list[Token] = []
    at = start
    while at < end:
        for match in tables.scanner.finditer(text, at, end):
            begin, stop = match.span()
            if begin != at:
                break
            kind = groups[match.lastindex or 0]
            if kind not in ignored:
                tokens.append(Token(kind, begin, stop, match[0]))
            at = stop
        if len(bag) >= bag.limit:
            break
        if at < end:
            at = _odd(source, tables, bag, tokens, at, end)
    return tokens


def _odd(source: Source, tables: Tables, bag: Bag, tokens: list[Token], at: int, end: int) -> int:
    """Reports what stands at `at`, puts a stand-in among the tokens where one helps, and says where to go on."""
    text = source.text
    number = _NUMBERLIKE.match(text, at, end)
    if number:
        tokens.append(Token(tables.terminal("NUMBER"), at, number.end(), ""))
        bag.add(_bad_number(Span(source, at, number.end())))
        return number.end()
    string = _OPEN_STRING.match(text, at, end)
    if string:
        stop = at + _open_length(string[0])
        tokens.append(Token(tables.terminal("STRING"), at, stop, ""))
        span = Span(source, at, stop)
        bag.add(
            Diagnostic(
                "unterminated-string", span, "this string has no end", f"close it with `{text[at]}` on the same line"
            )
        )
        return stop
    quoted = _TYPESET.match(text, at, end)
    if quoted:
        tokens.append(Token(tables.terminal("STRING"), at, quoted.end(), ""))
        bag.add(_bad_character(Span(source, at, quoted.end())))
        return quoted.end()
    stop = at + 1
    while stop < end and not tables.scanner.match(text, stop, end) and text[stop] not in "\"'0123456789":
        stop += 1
    bag.add(_bad_character(Span(source, at, stop)))
    meant = tables.scanner.fullmatch(_MARKS.get(text[at:stop], ""))
    if meant and meant[0].strip():
        tokens.append(Token(tables.groups[meant.lastindex or 0], at, stop, meant[0]))
    return stop


def _open_length(line: str) -> int:
    """How much of a line belongs to a string without an end: up to a comma or a bracket that closes one before it."""
    depth = 0
    for at, char in enumerate(line):
        depth += (char in "([{") - (char in ")]}")
        if depth < 0 or (char == "," and not depth):
            return at
    return len(line)


def _bad_number(span: Span) -> Diagnostic:
    text = span.text
    if text.endswith("."):
        help = f"write `{text}0`, or leave the dot out"
    elif re.fullmatch(r"0[xXbBoO]\w+", text):
        help = "write it in decimal"
    elif "_" in text:
        help = "an underscore stands between two digits: `138_357_544`"
    else:
        help = "a number looks like `64`, `0.5` or `1e-5`; a name begins with a letter"
    return Diagnostic("bad-number", span, f"`{shown(text)}` is not a number", help)


def _bad_character(span: Span) -> Diagnostic:
    mark = span.text[0]
    meant = _MARKS.get(mark, "")
    if meant.strip():
        help = f"write `{meant}` instead"
    elif meant:
        help = "this is a blank of an unusual kind; write an ordinary one"
    elif mark.isalpha():
        help = "names are made of the letters a to z, digits and `_`"
    else:
        help = "leave it out"
    what = "this character" if len(span.text) == 1 else "this"
    help = "write the string in plain quotes" if meant in ("'", '"') else help
    return Diagnostic("unexpected-character", span, f"{what} has no meaning here: `{shown(span.text)}`", help)


def shown(text: str) -> str:
    """A piece of text that is safe and short enough to be shown inside a message."""
    short = text if len(text) <= 30 else text[:27] + "..."
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in short)
