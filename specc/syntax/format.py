"""The one canonical form of a .net file (`specc fmt`)."""

from __future__ import annotations

from specc.syntax.columns import align, align_cells, laid
from specc.syntax.parse import parse
from specc.syntax.rows import Row, rows
from specc.syntax.same import same_meaning
from specc.syntax.wrap import wrapped
from specc.text.diagnostics import Bag
from specc.text.source import Source

_ROUNDS = 8


def format_text(source: Source, bag: Bag) -> str | None:
    """The text in its canonical form, or None where it has mistakes (they are put in the bag).

    Comments, the author's line breaks and columns stay; the meaning never changes, and a formatted text stays as it is.

    >>> format_text(Source("a.net", "let  a=1+2"), Bag())
    'let a = 1 + 2\\n'
    """
    found = Bag()
    file = parse(source, found)
    for each in found:
        bag.add(each)
    if found.failed:
        return None
    text = source.text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for _ in range(_ROUNDS):
        before, text = text, _once(text, source.name)
        if text == before:
            break
    again = Bag()
    if not same_meaning(parse(Source(source.name, text), again), file) or again.failed:
        raise AssertionError("formatting changed what the text means")
    return text


def _once(text: str, name: str) -> str:
    source = Source(name, text)
    found = rows(source, parse(source, Bag()))
    align_cells(found)
    out: list[str] = []
    for at, (row, line) in enumerate(zip(found, align([laid(row) for row in found]), strict=True)):
        if at and _parted(found, at):
            out.append("")
        out += wrapped(row, line)
    return "\n".join(out) + "\n" if out else ""


def _parted(found: list[Row], at: int) -> bool:
    """Whether an empty line stands before a row: where the author left one, and around declarations of many lines."""
    row, before = found[at], found[at - 1]
    if before.pieces and before.pieces[-1].text == "{":
        return False
    if row.pieces and (row.pieces[0].text == "}" or (row.pieces[0].role == "expect" and not row.fresh)):
        return False
    if row.blank or row.body != -1 or before.body != -1 or before.level:
        return row.blank
    begins = row.fresh or not row.pieces
    long = row.fresh and bool(row.pieces) and row.pieces[-1].text == "{"
    return (begins and bool(before.pieces) and not before.fresh) or (long and before.fresh)
