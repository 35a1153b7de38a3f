"""Breaks lines that are too long: before their claims, inside their outermost bracket, or behind a comma."""

from __future__ import annotations

from specc.syntax.rows import Piece, Row
from specc.syntax.spacing import plain

_WIDTH = 120
_TOLERATED = 4


def wrapped(row: Row, line: str) -> list[str]:
    """The line, or the lines that it becomes. A comment alone never breaks a line."""
    length = len(line) - (len(row.comment) if row.pieces else len(line))
    if len(line) <= _WIDTH + _TOLERATED or len(line[:length].rstrip()) <= _WIDTH + _TOLERATED:
        return [line]
    at = _break(row)
    if at is None:
        return [line]
    first, last = at
    indent = " " * (4 * row.level)
    deeper = indent if not row.fresh and row.pieces[0].role != "expect" else indent + "    "
    tail = f"  {row.comment}" if row.comment else ""
    if last is None:
        return [indent + plain(row.pieces[:first]), deeper + plain(row.pieces[first:]) + tail]
    inside = _filled(row.pieces[first:last], 4 * row.level + 4)
    return [indent + plain(row.pieces[:first]), *inside, indent + plain(row.pieces[last:]) + tail]


def _break(row: Row) -> tuple[int, int | None] | None:
    """Where to break: before a piece, or around the inside of a bracket."""
    pieces = row.pieces
    for index, piece in enumerate(pieces):
        if index and piece.text == "expect" and piece.role == "expect":
            return index, None
    depth, start, comma = 0, 0, None
    best: tuple[int, int] | None = None
    for index, piece in enumerate(pieces):
        if piece.text in ("(", "[", "{"):
            start = index + 1 if depth == 0 else start
            depth += 1
        elif piece.text in (")", "]", "}"):
            depth -= 1
            inside = pieces[start:index]
            if depth == 0 and piece.text != "}" and _breaks(inside) and (best is None or _longer(inside, pieces, best)):
                best = (start, index)
        elif piece.text == "," and depth == 0 and index + 1 < len(pieces):
            comma = index + 1 if comma is None or len(plain(pieces[: index + 1])) < _WIDTH - 4 * row.level else comma
    if comma is not None and (best is None or pieces[0].role == "path"):
        return comma, None
    return best


def _longer(inside: list[Piece], pieces: list[Piece], best: tuple[int, int]) -> bool:
    return len(plain(inside)) > len(plain(pieces[best[0] : best[1]]))


def _breaks(inside: list[Piece]) -> bool:
    return any(each.text == "," for each in inside) and len(plain(inside)) > 20


def _filled(pieces: list[Piece], indent: int) -> list[str]:
    """Items separated by commas, as many on a line as fit."""
    items: list[list[Piece]] = [[]]
    depth = 0
    for piece in pieces:
        depth += (piece.text in ("(", "[", "{")) - (piece.text in (")", "]", "}"))
        items[-1].append(piece)
        if piece.text == "," and depth == 0:
            items.append([])
    lines: list[list[Piece]] = [[]]
    for item in items:
        if lines[-1] and indent + len(plain(lines[-1] + item)) > _WIDTH:
            lines.append([])
        lines[-1] += item
    return [" " * indent + plain(line) for line in lines if line]
