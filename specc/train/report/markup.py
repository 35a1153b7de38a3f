"""Pieces of a page: sections, tables, notes; whatever text they are given is escaped, what is marked up already is `Html`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Html(str):
    """Text that is marked up already."""

    __slots__ = ()


Content = str | float | None


def html(content: Content) -> str:
    """Content for a page: text escaped, numbers as people read them, None as nothing."""
    if isinstance(content, Html):
        return content
    if content is None:
        return ""
    return escape(content if isinstance(content, str) else number(content))


def number(value: float) -> str:
    """Whole numbers with commas, others with four digits."""
    if isinstance(value, int) or (abs(value) < 1e15 and value == int(value) and abs(value) >= 1000):
        return f"{int(value):,}"
    return f"{value:.4g}"


def percent(share: float) -> str:
    """A share with as many digits as tell it from nothing and from all."""
    if 0 < share < 0.0001:
        return "<0.01%"
    if 0.9999 < share < 1:
        return ">99.99%"
    text = f"{share:.1%}"
    return f"{share:.2%}" if text in ("0.0%", "100.0%") and share not in (0, 1) else text


def section(title: str, *parts: Content, anchor: str) -> Html:
    """A part of the page under a heading; nothing where there is nothing in it."""
    inside = "".join(html(each) for each in parts)
    return Html(f"<section id={anchor}><h2>{escape(title)}</h2>{inside}</section>\n" if inside else "")


def paragraph(text: Content, kind: str = "") -> Html:
    return Html(f"<p{f' class={kind}' if kind else ''}>{html(text)}</p>")


def spoken(text: str) -> Html:
    """A sentence whose `code` between backticks is shown as such."""
    parts = (f"<code>{each}</code>" if at % 2 else each for at, each in enumerate(escape(text).split("`")))
    return Html("".join(parts))


def items(lines: Iterable[Content]) -> Html:
    """A list; nothing where it is empty."""
    inside = "".join(f"<li>{html(each)}" for each in lines)
    return Html(f"<ul>{inside}</ul>" if inside else "")


def table(head: Sequence[Content], rows: Iterable[Sequence[Content]], words: int = 1, kind: str = "") -> Html:
    """A table that scrolls by itself where it is too wide; its first `words` columns are text, the others numbers."""
    titles = "".join(f"<th{_side(at, words)}>{html(each)}" for at, each in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f"<td{_side(at, words)}>{html(each)}" for at, each in enumerate(row)) for row in rows
    )
    top = f"<thead><tr>{titles}</thead>" if head else ""
    named = f" class={kind}" if kind else ""
    return Html(f"<div class=scroll><table{named}>{top}<tbody>{body}</table></div>" if body else "")


def folded(title: str, *parts: Content) -> Html:
    """What is shown only when it is asked for, but printed."""
    inside = "".join(html(each) for each in parts)
    return Html(f"<details><summary>{escape(title)}</summary>{inside}</details>" if inside else "")


def _side(at: int, words: int) -> str:
    return " class=w" if at < words else ""
