"""Puts like parts of neighbouring lines under each other, keeping the author's columns where they still fit.

A line falls into segments: label, value, claims, comment. Where each segment begins is decided from left to right.
Lines of one kind that follow each other, or that the author had set in one column, are moved together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

from specc.syntax.rows import Piece, Row
from specc.syntax.spacing import plain, spelled

_ROUNDS = ((("label", "input", "weight", "output", "setting", "define"), 1), (("expect",), 2), (("comment",), 2))
_WORDS = ("name", "truth", "text")


@dataclass(slots=True)
class Cut:
    """A place in a line where a segment begins: the kind of the cut, the author's column and blanks before it."""

    kind: str
    text: str
    column: int
    blanks: int


@dataclass(slots=True)
class Laid:
    """A line in the making: what stands so far, and the cuts that follow."""

    row: Row
    text: str
    cuts: list[Cut] = field(default_factory=list)


def laid(row: Row) -> Laid:
    """A row cut into segments."""
    pieces = row.pieces
    indent = " " * (4 * row.level)
    at = _value_at(row)
    marks = [(at, _kind(row, at))] if 0 < at < len(pieces) else []
    marks += [(index, "expect") for index, each in enumerate(pieces) if index and _expect(row, index)][:1]
    bounds = [index for index, _ in marks] + [len(pieces)]
    line = Laid(row, indent + plain(pieces[: bounds[0]]))
    for (index, kind), stop in zip(marks, bounds[1:], strict=True):
        before = pieces[index - 1]
        blanks = pieces[index].column - before.column - len(before.text)
        column = pieces[index].column - (pieces[0].column if kind != "expect" else 0)
        line.cuts.append(Cut(kind, plain(pieces[index:stop]), column, blanks))
    if row.comment and pieces:
        blanks = row.comment_column - pieces[-1].column - len(pieces[-1].text)
        line.cuts.append(Cut("comment", row.comment, row.comment_column, blanks))
    elif row.comment:
        line.text = indent + row.comment
    return line


def align(lines: list[Laid]) -> list[str]:
    """The lines with all segments in their columns."""
    for kinds, least in _ROUNDS:
        members: dict[tuple[str, int], list[int]] = defaultdict(list)
        for index, line in enumerate(lines):
            if line.cuts and line.cuts[0].kind in kinds:
                members[(line.cuts[0].kind, line.row.body if least == 1 else 0)].append(index)
        for found in members.values():
            for group in _groups(lines, found):
                _place([lines[index] for index in group], least)
        for found in members.values():
            for index in found:
                lines[index].cuts.pop(0)
    return [line.text.rstrip() for line in lines]


def align_cells(rows: list[Row]) -> None:
    """Sets the rows of a table under each other: `[1,  16, relu, 1],` over `[6, 160, silu, 2],`; words begin together."""
    at = 0
    while at < len(rows):
        cells = _cells(rows[at])
        stop = at + 1
        while cells and stop < len(rows) and len(_cells(rows[stop])) == len(cells):
            stop += 1
        table = [_cells(row) for row in rows[at:stop]] if stop > at + 1 else []
        columns = [(max(len(plain(cell)) for cell in column), _words(column)) for column in zip(*table, strict=True)]
        for row, found in zip(rows[at:stop], table, strict=False):
            carried = ""
            for cell, (width, words) in zip(found, columns, strict=True):
                padding = " " * (width - len(plain(cell)))
                place = row.pieces.index(cell[0])
                before = carried if words else carried + padding
                row.pieces[place] = replace(cell[0], text=before + spelled(cell[0]))
                carried = padding if words else ""
        at = stop


def _words(column: tuple[list[Piece], ...]) -> bool:
    return any(cell[0].role in _WORDS for cell in column)


def _cells(row: Row) -> list[list[Piece]]:
    """The cells of a row that is one list of numbers and words, else none."""
    pieces = row.pieces[:-1] if row.pieces and row.pieces[-1].text == "," else row.pieces
    if row.fresh or len(pieces) < 5 or pieces[0].text != "[" or pieces[-1].text != "]":
        return []
    cells: list[list[Piece]] = [[]]
    for piece in pieces[1:-1]:
        if piece.text == ",":
            cells.append([])
        elif piece.role in ("number", "unary") or (piece.role in _WORDS and not cells[-1]):
            cells[-1].append(piece)
        else:
            return []
    return cells if len(cells) > 1 and all(cells) else []


def _value_at(row: Row) -> int:
    """The index of the piece after a label, a setting's name, or before the `=` of a definition; 0 for none."""
    if not row.fresh:
        return 0
    if row.pieces[0].role == "path":
        return _after_path(row)
    depth = 0
    for index, piece in enumerate(row.pieces):
        if piece.text in "([{":
            depth += 1
        elif piece.text in ")]}":
            depth -= 1
        elif depth == 0 and piece.text == ":" and piece.role in ("labels", "input", "weight"):
            return index + 1
        elif depth == 0 and piece.text == "=" and piece.role in ("let", "alias"):
            return index
        elif depth == 0 and piece.text == ";":
            return 0
    return 0


def _after_path(row: Row) -> int:
    index = 1
    while index + 1 < len(row.pieces) and row.pieces[index].text == ".":
        index += 2
    return index


def _kind(row: Row, at: int) -> str:
    first = row.pieces[0]
    if row.pieces[at].text == "=" and row.pieces[at].role in ("let", "alias"):
        return "define"
    if first.role == "path":
        return "setting"
    return first.role if first.role in ("input", "weight", "output") else "label"


def _expect(row: Row, index: int) -> bool:
    return row.pieces[index].text == "expect" and row.pieces[index].role == "expect"


def _groups(lines: list[Laid], found: list[int]) -> list[list[int]]:
    """Lines to be moved together: neighbours, those that the author had set in one column, and all settings."""
    leader = {index: index for index in found}

    def top(index: int) -> int:
        while leader[index] != index:
            index = leader[index]
        return index

    cuts = {index: lines[index].cuts[0] for index in found}
    wide = {cut.column for cut in cuts.values() if cut.blanks >= 2}
    columns: dict[int, int] = {}
    for before, index in zip([-1, *found], found, strict=False):
        near = before == index - 1 and not lines[index].row.blank
        if before >= 0 and (near or cuts[index].kind == "setting"):
            leader[top(index)] = top(before)
        if cuts[index].column in wide:
            leader[top(index)] = top(columns.setdefault(cuts[index].column, index))
    groups: dict[int, list[int]] = defaultdict(list)
    for index in found:
        groups[top(index)].append(index)
    return list(groups.values())


def _place(group: list[Laid], least: int) -> None:
    """Moves the first cut of each line to the column that they share."""
    offset = [len(line.text) - len(line.text.lstrip(" ")) if least == 1 else 0 for line in group]
    widths = [len(line.text) - shift for line, shift in zip(group, offset, strict=True)]
    first = [line.cuts[0] for line in group]
    aligned = [cut.column for cut in first if cut.blanks >= 2]
    setting = first[0].kind == "setting"
    together = bool(aligned) or setting or (least == 2 and len(group) > 1)
    column = max(widths) + least
    if aligned:
        most = max(Counter(aligned).items(), key=lambda each: (each[1], each[0]))[0]
        column = max(most, column)
    for line, cut, width in zip(group, first, widths, strict=True):
        goal = column if together else width + least
        line.text = line.text + " " * (goal - width) + cut.text
