"""The blanks between the tokens of a line, and the spelling of tokens."""

from __future__ import annotations

import re

from specc.syntax.rows import Piece

_TIGHT_EQUAL = frozenset(["named_argument", "named", "claim", "parameter"])
_CALLS = frozenset(["call", "index", "block", "network", "let"])


def gap(left: Piece, right: Piece) -> str:
    """What stands between two neighbours on a line: a blank or nothing."""
    return "" if _tight(left, right) else " "


def _tight(left: Piece, right: Piece) -> bool:
    if right.text in (",", ";", ")", "]", ".") or left.text in ("(", "[", "."):
        return True
    if left.text == "=" or right.text == "=":
        return (left if left.text == "=" else right).role in _TIGHT_EQUAL
    if left.text == "," or (left.text, left.role) in (("-", "unary"), ("*", "star")):
        return left.text != ","
    if right.text == ":" or (left.text == ":" and left.role == "slice"):
        return True
    return right.text in ("(", "[") and right.role in _CALLS


def spelled(piece: Piece) -> str:
    """A token in its one spelling: strings stand in double quotes, all else is as the author wrote it."""
    text = piece.text
    if not text.startswith("'") or (piece.role == "quoted_label" and "{" in text and '"' in text):
        return text
    inside = re.sub(r"\\(.)|\"", lambda found: '\\"' if found[0] == '"' else _escape(found), text[1:-1])
    return f'"{inside}"'


def _escape(found: re.Match[str]) -> str:
    return "'" if found[1] == "'" else found[0]


def plain(pieces: list[Piece]) -> str:
    """Pieces on one line with the ordinary blanks between them."""
    parts: list[str] = []
    for at, piece in enumerate(pieces):
        parts.append(gap(pieces[at - 1], piece) if at else "")
        parts.append(spelled(piece))
    return "".join(parts)
