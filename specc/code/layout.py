"""Expressions as documents: where `ruff format` breaks them inside brackets, in optional ones and outside of any."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from specc.code.document import (
    SOFT,
    SPACE,
    Brackets,
    Document,
    Group,
    IfBroken,
    Indent,
    Line,
    Loose,
    flat_text,
    soft_block,
)
from specc.code.precedence import Bracketed
from specc.code.splits import LOOSE_BOOL, LOOSE_COMPARE, LOOSENESS, is_fluent
from specc.code.tree import (
    Attribute,
    Binary,
    BoolOp,
    Call,
    Compare,
    Conditional,
    Dict,
    Expression,
    FString,
    Index,
    List,
    ListOf,
    Literal,
    Loop,
    Name,
    Slice,
    Starred,
    Tuple,
    Unary,
)

Level: TypeAlias = Brackets | None
"""Where an expression stands: in a statement outside of brackets (None), inside brackets, or in optional ones."""

OUTSIDE: Level = None
INSIDE = Brackets()


def layout(node: Expression, level: Level) -> Document:
    """The document for an expression whose brackets are in place."""
    match node:
        case Name(name):
            return name
        case Literal():
            return literal(node)
        case Bracketed(inner):
            return enclosed("(", layout(inner, INSIDE), ")", level)
        case Attribute() | Call() | Index():
            return _chain(node, level, None)
        case Tuple(items):
            content: Document = (layout(items[0], INSIDE), ",") if len(items) == 1 else listed(items)
            return enclosed("(", content, ")", level) if items else "()"
        case List(items):
            return enclosed("[", listed(items), "]", level) if items else "[]"
        case Dict(pairs):
            entries = [Group((quoted(key), ": ", layout(item, INSIDE))) for key, item in pairs]
            return enclosed("{", joined(entries), "}", level) if pairs else "{}"
        case Starred(value):
            return ("*", layout(value, level))
        case Slice():
            return _slice(node)
        case FString(parts):
            return _f_string(parts)
        case ListOf():
            return _list_of(node, level)
        case _:
            return _operation(node, level)


def enclosed(left: str, content: Document, right: str, level: Level) -> Document:
    """Brackets whose content goes on lines of its own where it does not fit."""
    inner: Document = Group(soft_block(content))
    if level is not None and level is not INSIDE:
        inner = Loose(inner, level)
    return (left, inner, right)


def joined(items: Sequence[Document], always_comma: bool = False) -> Document:
    """Items with commas between; where the group breaks, a comma follows the last of several."""
    parts: list[Document] = []
    for item in items:
        parts += [(",", SPACE), item] if parts else [item]
    return (*parts, IfBroken(",")) if always_comma or len(items) > 1 else tuple(parts)


def listed(items: Iterable[Expression]) -> Document:
    return joined([layout(item, INSIDE) for item in items])


def optional_brackets(content: Callable[[Level], Document]) -> Document:
    """Brackets that appear only if breaking the brackets within is not enough."""
    name = Brackets()
    return _show_if_broken(content(name), name)


def brackets_if_broken(content: Callable[[Level], Document]) -> Document:
    """Brackets that appear as soon as it does not fit on one line."""
    return _show_if_broken(content(INSIDE), Brackets())


def _show_if_broken(content: Document, name: Brackets) -> Document:
    return Group((IfBroken("("), Indent((SOFT, content), name), SOFT, IfBroken(")")), name)


def arguments(given: Sequence[Document], level: Level) -> Document:
    """The brackets of a call or of a class's bases."""
    return enclosed("(", Group(joined(given)), ")", level) if given else "()"


def _chain(node: Expression, level: Level, fluent: bool | None) -> Document:
    """Attributes, calls and indices; `fluent` is what the whole chain is, None at its end."""
    if fluent is None:
        whole = level is not OUTSIDE and is_fluent(node)
        document = _link(node, level, whole)
        return Group(document) if whole else document
    return _link(node, level, fluent)


def _link(node: Expression, level: Level, fluent: bool) -> Document:
    def before(inner: Expression) -> Document:
        return _chain(inner, level, fluent) if isinstance(inner, Attribute | Call | Index) else layout(inner, level)

    match node:
        case Attribute(value, name):
            breaks = fluent and isinstance(value, Call | Index | Bracketed)
            return (before(value), SOFT if breaks else "", f".{name}")
        case Call(function, given, keywords):
            named = [(f"{name}=", layout(item, INSIDE)) for name, item in keywords]
            return (before(function), arguments([*(layout(item, INSIDE) for item in given), *named], level))
        case Index(value, Tuple((_, _, *_) as items)):
            return (before(value), enclosed("[", Group(listed(items)), "]", level))
        case Index(value, Tuple((item,))):
            return (before(value), enclosed("[", (layout(item, INSIDE), ","), "]", level))
        case Index(value, item):
            return (before(value), enclosed("[", layout(item, INSIDE), "]", level))
    raise AssertionError(node)


def _slice(node: Slice) -> Document:
    """Colons have spaces around them unless every part is a name or a literal."""
    parts = (node.start, node.stop, node.step)
    gap = "" if all(part is None or _is_plain(part) for part in parts) else " "
    start, stop, step = (None if part is None else layout(part, INSIDE) for part in parts)
    text: list[Document] = [] if start is None else [start, gap]
    text += [":"] if stop is None else [":", gap, stop]
    if step is not None:
        text += [gap if stop is not None else "", ":", gap, step]
    return tuple(text)


def _is_plain(node: Expression) -> bool:
    if isinstance(node, Unary) and node.operator != "not":
        return _is_plain(node.operand)
    return isinstance(node, Name | Literal)


def _list_of(node: ListOf, level: Level) -> Document:
    parts: list[Document] = [Group(layout(node.element, INSIDE))]
    for loop in (Loop(node.target, node.iterable, node.condition), *node.inner):
        targets = loop.target.items if isinstance(loop.target, Tuple) else (loop.target,)
        target = ", ".join(flat_text(layout(item, OUTSIDE)) for item in targets)
        parts += [SPACE, f"for {target} in ", layout(loop.iterable, INSIDE)]
        if loop.condition is not None:
            parts += [SPACE, "if ", layout(loop.condition, INSIDE)]
    return enclosed("[", Group(tuple(parts)), "]", level)


def _operation(node: Expression, level: Level) -> Document:
    match node:
        case Unary(sign, operand):
            return ("not " if sign == "not" else sign, layout(operand, level))
        case Conditional():
            return _group(_conditional(node, level), level)
        case _:
            return _group(_operands(_flattened(node), level), level)


def _conditional(node: Conditional, level: Level) -> Document:
    line = _line(" ", level)
    test, then, otherwise = layout(node.test, level), layout(node.then, level), node.otherwise
    if isinstance(otherwise, Conditional):
        last = _conditional(otherwise, level)
    else:
        last = _group(layout(otherwise, level), level)
    return (then, line, "if ", test, line, "else ", last)


_Flat: TypeAlias = list[Expression | str]


def _flattened(node: Expression) -> _Flat:
    """Operands at even places, operators between them, whatever binds how."""
    match node:
        case Binary(sign, left, right):
            return [*_flattened(left), sign, *_flattened(right)]
        case Compare(first, rest):
            return [*_flattened(first), *(part for sign, x in rest for part in (sign, *_flattened(x)))]
        case BoolOp(sign, (first, *others)):
            return [*_flattened(first), *(part for x in others for part in (sign, *_flattened(x)))]
    return [node]


def _operands(flat: _Flat, level: Level) -> Document:
    """Breaks before the loosest operators, all of them or none."""
    if len(flat) == 1:
        assert isinstance(flat[0], Expression)
        return layout(flat[0], level)
    loosest = max(_looseness(sign) for sign in flat[1::2])
    parts: list[Document] = []
    start = 0
    for place in range(1, len(flat), 2):
        sign = flat[place]
        if _looseness(sign) != loosest:
            continue
        parts.append(_side(flat[start:place], level))
        tight = sign == "**" and _is_simple_power(flat[place - 1], flat[place + 1])
        parts += [_line("" if tight else " ", level), str(sign)]
        parts.append(_if_broken(" ", level) if tight else " ")
        start = place + 1
    return (*parts, _side(flat[start:], level))


def _side(flat: _Flat, level: Level) -> Document:
    document = _operands(flat, level)
    return document if len(flat) == 1 else _group(document, level)


def _looseness(sign: Expression | str) -> int:
    if sign in ("and", "or"):
        return LOOSE_BOOL
    return LOOSENESS.get(str(sign), LOOSE_COMPARE)


def _is_simple_power(left: Expression | str, right: Expression | str) -> bool:
    return _is_simple(left) and _is_simple(right)


def _is_simple(node: Expression | str) -> bool:
    match node:
        case Literal(value):
            return not isinstance(value, str) and value is not ...
        case Unary(sign, operand):
            return sign != "not" and _is_simple(operand)
        case Attribute(Bracketed(value)) | Attribute(value):
            return _is_simple(value)
    return isinstance(node, Name)


def _line(flat: str, level: Level) -> Document:
    """A line break inside brackets, none outside."""
    if level is OUTSIDE:
        return flat
    return Line(flat) if level is INSIDE else IfBroken(Line(flat), flat, level)


def _group(document: Document, level: Level) -> Document:
    if level is OUTSIDE:
        return document
    return Group(document) if level is INSIDE else Group(document, within=level)


def _if_broken(text: str, level: Level) -> Document:
    if level is OUTSIDE:
        return ""
    return IfBroken(text) if level is INSIDE else IfBroken(text, group=level)


def literal(node: Literal) -> str:
    """The source of a literal; ValueError for infinity and NaN, which have none."""
    value = node.value
    if isinstance(value, str):
        return quoted(value)
    if value is ...:
        return "..."
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no literal in Python; write call('float', '{value}')")
        return float.__repr__(value).replace("e+", "e")
    return int.__repr__(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)


def quoted(text: str) -> str:
    """A string in double quotes, or in single ones if that saves escapes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return f"{quote}{escaped(text, quote)}{quote}"


def escaped(text: str, quote: str) -> str:
    return "".join(f"\\{c}" if c == quote else c if c in "\"'" else repr(c)[1:-1] for c in text)


def _f_string(parts: tuple[str | Expression, ...]) -> str:
    words = "".join(part for part in parts if isinstance(part, str))
    quote = "'" if words.count('"') > words.count("'") else '"'
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += escaped(part, quote).replace("{", "{{").replace("}", "}}")
            continue
        field = flat_text(layout(part, INSIDE))
        if set(field) & set("\"'\\{}"):
            raise ValueError(f"an f-string holds no strings and no dicts: {field}")
        text += f"{{{field}}}"
    return f"f{quote}{text}{quote}"
