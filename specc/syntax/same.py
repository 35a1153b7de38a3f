"""Whether two trees mean the same: equal in everything but where they stand."""

from __future__ import annotations

from typing import Any

from specc.syntax.tree import Node


def same_meaning(one: Any, other: Any) -> bool:
    """Compares trees, or tuples of them, leaving out all spans. Walks without recursion."""
    waiting = [(one, other)]
    while waiting:
        left, right = waiting.pop()
        if type(left) is not type(right):
            return False
        if isinstance(left, Node):
            names = [name for name in left.FIELDS if not name.endswith("span")]
            waiting += [(getattr(left, name), getattr(right, name)) for name in names]
        elif isinstance(left, tuple):
            if len(left) != len(right):
                return False
            waiting += zip(left, right, strict=True)
        elif left != right:
            return False
    return True
