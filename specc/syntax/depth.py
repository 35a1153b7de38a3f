"""Finds what is nested more deeply than anything that walks over a tree can bear."""

from __future__ import annotations

from functools import cache

from specc.syntax.tree import Node
from specc.text.source import Span

_DEEPEST = 250


def too_deep(node: Node) -> Span | None:
    """The place of the first node more than 250 levels down, if there is one. Walks without recursion."""
    if node.span.end - node.span.start < _DEEPEST:
        return None
    waiting: list[tuple[Node, int]] = [(node, 0)]
    while waiting:
        each, depth = waiting.pop()
        if depth > _DEEPEST:
            return each.span
        for name in _fields(type(each)):
            value = getattr(each, name)
            if isinstance(value, Node):
                waiting.append((value, depth + 1))
            elif isinstance(value, tuple):
                waiting += [(item, depth + 1) for item in value if isinstance(item, Node)]
    return None


@cache
def _fields(kind: type[Node]) -> tuple[str, ...]:
    return tuple(name for name in kind.__dataclass_fields__ if not name.endswith("span"))
