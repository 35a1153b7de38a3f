"""Finds brackets without a partner and puts the missing ones where the indentation says they belong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from specc.syntax.scan import Token
from specc.syntax.tables import Tables
from specc.text.diagnostics import Bag, Diagnostic, Fix, Note
from specc.text.source import Source, Span

OPENERS = {"(": ")", "[": "]", "{": "}"}
_CLOSERS = {")": "(", "]": "[", "}": "{"}
_DECLARATIONS = frozenset(["network", "block", "train", "export", "import", "let"])
_BLANK = re.compile("[ \t\ufeff]*")
_KINDS = {"(": "LPAR", ")": "RPAR", "[": "LSQB", "]": "RSQB", "{": "LBRACE", "}": "RBRACE"}


@dataclass(frozen=True, slots=True)
class Wrong:
    """A bracket without a partner. `before` is the closer that ended the search for an opener's partner, -1 for none;
    `instead` the closer that should stand there."""

    index: int
    before: int = -1
    instead: str = ""


def unmatched(tokens: list[Token], source: Source) -> list[Wrong]:
    """The brackets without a partner, in order; none in a text that is well."""
    found = _match(tokens, source, by_indent=False)
    if found:
        found = _match(tokens, source, by_indent=True)
    return sorted(found, key=lambda each: each.index)


def deepest(tokens: list[Token], limit: int) -> Token | None:
    """The first bracket that lies deeper than `limit`, if there is one."""
    depth = 0
    for token in tokens:
        if token.text in OPENERS:
            depth += 1
            if depth > limit:
                return token
        elif token.text in _CLOSERS:
            depth = max(0, depth - 1)
    return None


def _match(tokens: list[Token], source: Source, by_indent: bool) -> list[Wrong]:
    """Matches closers with openers.

    `by_indent` says that something is known to be wrong: then a `}` at the start of a line closes the `{` of its own
    indentation, and a declaration at the left margin ends everything before it.
    """
    found: list[Wrong] = []
    stack: list[int] = []
    for index, token in enumerate(tokens):
        text = token.text
        if by_indent and stack and text in _DECLARATIONS and source.position(token.start)[1] == 1:
            found += [Wrong(each, before=index) for each in stack]
            stack.clear()
        if text in OPENERS:
            stack.append(index)
        elif text in _CLOSERS:
            if by_indent and text == "}" and (not index or tokens[index - 1].text.isspace()):
                _drop_deeper(tokens, source, stack, index, found)
            _close(tokens, stack, index, found)
    return found + [Wrong(index) for index in stack]


def _close(tokens: list[Token], stack: list[int], index: int, found: list[Wrong]) -> None:
    """Takes a closer's partner from the stack; those above it have none."""
    wanted = _CLOSERS[tokens[index].text]
    after = tokens[index + 1].text if index + 1 < len(tokens) else ""
    outer = tokens[stack[-2]].text if len(stack) > 1 else ""
    if outer and tokens[stack[-1]].text not in (wanted, "{") and outer == wanted == _CLOSERS.get(after):
        found.append(Wrong(index, before=stack[-1], instead=OPENERS[tokens[stack.pop()].text]))
        return
    for depth in range(len(stack) - 1, -1, -1):
        opener = tokens[stack[depth]].text
        if opener == wanted:
            found += [Wrong(each, before=index) for each in stack[depth + 1 :]]
            del stack[depth:]
            return
        if opener == "{":
            break
    if stack and wanted != "{" and tokens[stack[-1]].text != "{" and after != OPENERS[tokens[stack[-1]].text]:
        found.append(Wrong(index, before=stack[-1], instead=OPENERS[tokens[stack.pop()].text]))
    else:
        found.append(Wrong(index))


def _drop_deeper(tokens: list[Token], source: Source, stack: list[int], index: int, found: list[Wrong]) -> None:
    indent = _indent(source, tokens[index].start)
    braces = [each for each in stack if tokens[each].text == "{"]
    if indent not in [_indent(source, tokens[each].start) for each in braces]:
        return
    while braces and _indent(source, tokens[braces[-1]].start) > indent:
        opener = braces.pop()
        found += [Wrong(each, before=index) for each in stack[stack.index(opener) :]]
        del stack[stack.index(opener) :]


def mended(source: Source, tokens: list[Token], wrong: list[Wrong], tables: Tables, bag: Bag) -> list[Token]:
    """The tokens with every bracket in a pair; each change is reported."""
    wrong_at = {each.index: each for each in wrong}
    newline = tables.terminal("_NEWLINE")
    result: list[Token] = []
    waiting: list[tuple[Token, Wrong, int]] = []
    for index, token in enumerate(tokens):
        if len(bag) >= bag.limit:
            return result
        indent = _indent_after(source, token) if token.kind == newline else None
        while waiting:
            opener, mistake, margin = waiting[-1]
            if mistake.before != index and (indent is None or indent > margin):
                break
            waiting.pop()
            result.append(_closer(source, opener, result[-1], tables, bag))
        mistake = wrong_at.get(index)  # type: ignore[assignment]
        if mistake is None:
            result.append(token)
        elif token.text in OPENERS:
            result.append(token)
            waiting.append((token, mistake, _indent(source, token.start)))
        else:
            result += _stray(source, tokens, token, mistake, tables, bag)
    while waiting:
        result.append(_closer(source, waiting.pop()[0], result[-1], tables, bag))
    return result


def _closer(source: Source, opener: Token, last: Token, tables: Tables, bag: Bag) -> Token:
    """The closer that was forgotten, behind the last token; reported at its opener."""
    text = OPENERS[opener.text]
    place = Span(source, last.end, last.end)
    line = source.position(last.end)[0]
    bag.add(
        Diagnostic(
            "unclosed-bracket",
            Span(source, opener.start, opener.end),
            f"this `{opener.text}` is never closed",
            f"write `{text}` at the end of line {line}" if text != "}" else f"write `}}` after line {line}",
            fixes=(Fix(place, text if text != "}" else "\n}", f"insert `{text}`"),),
        )
    )
    return Token(tables.terminal(_KINDS[text]), last.end, last.end, text)


def _stray(
    source: Source, tokens: list[Token], token: Token, mistake: Wrong, tables: Tables, bag: Bag
) -> Iterator[Token]:
    span = Span(source, token.start, token.end)
    if not mistake.instead:
        bag.add(
            Diagnostic(
                "unmatched-bracket",
                span,
                f"this `{token.text}` closes nothing",
                "leave it out, or write what it should close before it",
                fixes=(Fix(span, "", f"remove `{token.text}`"),),
            )
        )
        return
    opener = tokens[mistake.before]
    bag.add(
        Diagnostic(
            "unmatched-bracket",
            span,
            f"`{opener.text}` is closed by `{token.text}`",
            f"write `{mistake.instead}`",
            notes=(Note(Span(source, opener.start, opener.end), "opened here"),),
            fixes=(Fix(span, mistake.instead, f"write `{mistake.instead}`"),),
        )
    )
    yield Token(tables.terminal(_KINDS[mistake.instead]), token.start, token.end, mistake.instead)


# ------------------------------------------------------------------------------------------------------- indentation
def _indent(source: Source, offset: int) -> int:
    """How far the line of an offset is indented; a tab counts as four."""
    start = offset - source.position(offset)[1] + 1
    blank = _BLANK.match(source.text, start)
    return len(blank[0].expandtabs(4)) if blank else 0


def _indent_after(source: Source, newline: Token) -> int:
    """The indentation of the line that follows a line end."""
    return _indent(source, newline.end) if newline.end < len(source.text) else -1
