"""Finds what is nested more deeply than anything that walks over a tree can bear."""

from __future__ import annotations

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
        for name in type(each).FIELDS:
            value = getattr(each, name)
            if isinstance(value, Node):
                waiting.append((value, depth + 1))
            elif isinstance(value, tuple):
                waiting += [(item, depth + 1) for item in value if isinstance(item, Node)]
    return None
