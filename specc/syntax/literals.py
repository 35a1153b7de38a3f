"""What numbers, strings and string labels mean."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from specc.syntax import tree
from specc.syntax.scan import Token, shown
from specc.text.diagnostics import Bag, Diagnostic
from specc.text.source import Source, Span

_MOST_DIGITS = 30
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.)|$)")
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_PIECE = re.compile(r"\{\{|\}\}|[{}]")


def number_value(span: Span, token: Token, bag: Bag) -> int | float | None:
    """The value of a NUMBER, or None where it is none (which is reported)."""
    text = token.text.replace("_", "")
    if not text:
        return None
    if sum(char.isdigit() for char in text) > _MOST_DIGITS:
        message = f"this number has more than {_MOST_DIGITS} digits"
        bag.add(Diagnostic("number-too-long", span, message, "no size or factor of a network is that large or exact"))
        return None
    if text.isdigit():
        return int(text)
    value = float(text)
    if math.isinf(value):
        bag.add(Diagnostic("bad-number", span, f"`{shown(text)}` is larger than any real number specc can hold"))
        return None
    return value


def string_value(source: Source, token: Token, bag: Bag) -> str:
    """A STRING without its quotes, its escapes resolved; unknown ones are reported and stay as they are."""
    return unescaped(source, token.start + 1, token.text[1:-1], bag)


def unescaped(source: Source, start: int, text: str, bag: Bag) -> str:
    """A piece of a string that begins at an offset of the source."""
    if "\\" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        if code and not 0xD800 <= int(code, 16) <= 0xDFFF and int(code, 16):
            return chr(int(code, 16))
        if match[3] in _PLAIN:
            return _PLAIN[match[3]]
        span = Span(source, start + match.start(), start + match.end())
        help = "the escapes are \\n \\t \\r \\\\ \\\" \\' \\xNN and \\uNNNN; a backslash itself is `\\\\`"
        bag.add(Diagnostic("bad-escape", span, f"`{shown(match[0])}` stands for nothing in a string", help))
        return match[0]

    return _ESCAPE.sub(replace, text)


def label_parts(
    source: Source, token: Token, bag: Bag, parse_part: Callable[[int, int], tree.Expr]
) -> tuple[str | tree.Expr, ...]:
    """The literal pieces of a string label and the expressions in its braces; `{{` and `}}` are braces themselves."""
    text = token.text[1:-1]
    if "{" not in text and "}" not in text:
        return (unescaped(source, token.start + 1, text, bag),)
    parts: list[str | tree.Expr] = []
    literal, at, offset = "", 0, token.start + 1
    while at < len(text):
        mark = _PIECE.search(text, at)
        stop = mark.start() if mark else len(text)
        literal += unescaped(source, offset + at, text[at:stop], bag)
        at = mark.end() if mark else stop
        if mark and len(mark[0]) == 2:
            literal += mark[0][0]
        elif mark:
            close = text.find("}", at)
            if mark[0] == "}" or close < 0:
                span = Span(source, offset + stop, offset + at)
                help = "write the other brace, or this one twice if it belongs to the label"
                bag.add(Diagnostic("unmatched-bracket", span, f"this `{mark[0]}` has no partner in the label", help))
                continue
            if literal:
                parts.append(literal)
                literal = ""
            parts.append(parse_part(offset + at, offset + close))
            at = close + 1
    if literal or not parts:
        parts.append(literal)
    return tuple(parts)
