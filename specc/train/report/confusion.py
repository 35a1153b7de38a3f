"""The table of classes: how often each was taken for each other, as a map of heat with its counts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from specc.train.report.markup import Content, Html, html, paragraph, percent, table

MOST = 40  # classes of a table; of more the commonest mistakes are listed
WRITTEN = 20  # classes up to which the counts stand in the cells
WIDTH = 60  # letters of all names up to which they stand side by side
LONGEST = 9_999  # counts above it are written as shares
MISTAKES = 20


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str]) -> Html:
    """A row is the right class, a column the answer; the last column and row say how many were found and rightly said."""
    if len(counts) > MOST:
        return _mistakes(counts, names)
    across = sum(map(len, names)) > WIDTH
    head = "".join(f"<th>{_tall(each) if across else escape(each)}" for each in names)
    large = max((max(row) for row in counts), default=0) > LONGEST
    body = "".join(_row(at, row, names, large, len(counts) <= WRITTEN) for at, row in enumerate(counts))
    columns = [sum(row[at] for row in counts) for at in range(len(counts))]
    last = "".join(f"<td>{_share(counts[at][at], columns[at])}" for at in range(len(counts)))
    kind = "confusion" if len(counts) <= WRITTEN else '"confusion small"'
    found = _tall("found") if across else "found"
    said = "A row is the right class, a column the answer; the darker, the larger its share of the row."
    return Html(
        f"<div>{paragraph(said, 'soft')}<div class=scroll><table class={kind}><thead><tr><th>{head}<th>{found}"
        f"</thead><tbody>{body}<tr class=below><th>right of those said{last}<td></table></div></div>"
    )


def named(count: int, classes: Sequence[str]) -> list[str]:
    """The classes by name, those without one by number."""
    return [classes[at] if at < len(classes) else str(at) for at in range(count)]


def _row(at: int, row: Sequence[int], names: Sequence[str], large: bool, written: bool) -> str:
    total = sum(row)
    cells = ""
    for to, count in enumerate(row):
        share = count / total if total else 0.0
        text = "" if not count or not written else html(percent(share)) if large else str(count)
        kind = f' class={"good" if at == to else "bad"} style="--p:{share:.3f}"' if count else ""
        said = f"{names[at]} taken for {names[to]}: {count:,} of {total:,}" + (f", {percent(share)}" if total else "")
        cells += f'<td{kind} title="{escape(said)}">{text}'
    return f"<tr><th>{escape(names[at])}{cells}<td>{_share(row[at], total)}"


def _share(part: int, whole: int) -> str:
    return html(percent(part / whole)) if whole else ""


def _tall(text: str) -> str:
    return f"<span class=tall>{escape(text)}</span>"


def _mistakes(counts: Sequence[Sequence[int]], names: Sequence[str]) -> Html:
    """The commonest mistakes, where a table would be too large."""
    found = [(count, at, to) for at, row in enumerate(counts) for to, count in enumerate(row) if count and at != to]
    found.sort(reverse=True)
    rows: list[list[Content]] = [
        [names[at], names[to], count, percent(count / sum(counts[at]))] for count, at, to in found[:MISTAKES]
    ]
    said = f"The commonest mistakes among {len(counts)} classes; the share is that of the right class's samples."
    return Html(paragraph(said, "soft") + table(["right", "answered", "samples", "share"], rows, words=2))
