"""Diagnostics for people, for GitHub and as data: three forms of the same facts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from specc.text.diagnostics import Diagnostic, Severity
from specc.text.source import Span

_COLOURS = {"error": "31;1", "warning": "33;1", "note": "36;1", "help": "32;1", "line": "34;1"}
WIDEST = 160


def text(diagnostics: Iterable[Diagnostic], colour: bool = False) -> str:
    """Each with its line, a caret under it, its notes and its help."""
    return "\n".join(_one(each, colour) for each in diagnostics)


def github(diagnostics: Iterable[Diagnostic]) -> str:
    """Workflow commands that GitHub shows at the line."""
    return "".join(_command(each) + "\n" for each in diagnostics)


def data(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """As COMMANDS.md has it: lines and columns from 1 in code points, the end exclusive."""
    return [_record(each) for each in diagnostics]


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`; "" if there are none."""
    counts: dict[Severity, int] = {}
    for each in diagnostics:
        counts[each.severity] = counts.get(each.severity, 0) + 1
    named = [(counts.get("error", 0), "error"), (counts.get("warning", 0), "warning")]
    return ", ".join(f"{many} {word}{'' if many == 1 else 's'}" for many, word in named if many)


def _one(found: Diagnostic, colour: bool) -> str:
    head = _paint(f"{found.severity}[{found.code}]", found.severity, colour)
    lines = [f"{head}: {found.message}"]
    lines += _place(found.span, found.file, colour)
    for note in found.notes:
        lines.append(f"{_paint('note', 'note', colour)}: {note.text}")
        lines += _place(note.span, "", colour)
    if found.help:
        lines.append(f"{_paint('help', 'help', colour)}: {found.help}")
    for fix in found.fixes:
        lines.append(f"{_paint('fix', 'help', colour)}: {fix.text}")
        lines += _changed(fix.span, fix.replacement, colour)
    return "\n".join(lines) + "\n"


def _place(span: Span | None, file: str, colour: bool) -> list[str]:
    if span is None:
        return [f"  --> {file}"] if file else []
    line, column = span.source.position(span.start)
    shown, start, end = _clipped(span, line, column)
    gutter = " " * len(str(line))
    bar = _paint("|", "line", colour)
    carets = " " * start + _paint("^" * max(1, end - start), "error", colour)
    return [
        f"{gutter}{_paint('-->', 'line', colour)} {span.source.name}:{line}:{column}",
        f"{gutter} {bar}",
        f"{_paint(str(line), 'line', colour)} {bar} {shown}",
        f"{gutter} {bar} {carets}",
    ]


def _clipped(span: Span, line: int, column: int) -> tuple[str, int, int]:
    """The line as shown, and where the carets begin and end; very long lines are cut around the place."""
    whole = _printable(span.source.line(line))
    start = min(column - 1, len(whole))
    end = min(start + max(1, span.end - span.start), max(len(whole), start + 1))
    if len(whole) <= WIDEST:
        return whole, start, end
    left = max(0, start - WIDEST // 2)
    return whole[left : left + WIDEST], start - left, min(end - left, WIDEST)


def _printable(line: str) -> str:
    """Tabs as single spaces and control characters as a mark, so that carets stand where they should."""
    return "".join(
        " " if char == "\t" else char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line
    )


def _changed(span: Span, replacement: str, colour: bool) -> list[str]:
    line, column = span.source.position(span.start)
    old = span.source.line(line)
    new = old[: column - 1] + replacement + old[column - 1 + span.end - span.start :]
    shown = new.split("\n")
    width = len(str(line + len(shown) - 1))
    bar = _paint("|", "line", colour)
    numbered = [
        f"{_paint(str(line + at).rjust(width), 'line', colour)} {bar} {_printable(each)}"
        for at, each in enumerate(shown)
    ]
    return [f"{' ' * width} {bar}", *(each.rstrip() for each in numbered)]


def _paint(word: str, kind: str, colour: bool) -> str:
    return f"\x1b[{_COLOURS[kind]}m{word}\x1b[0m" if colour else word


def _record(found: Diagnostic) -> dict[str, Any]:
    record: dict[str, Any] = {
        "code": found.code,
        "severity": found.severity,
        **_where(found.span, found.file),
        "message": found.message,
        "help": found.help,
    }
    if found.notes:
        record["notes"] = [{**_where(each.span, ""), "message": each.text} for each in found.notes]
    if found.fixes:
        record["fixes"] = [
            {**_where(each.span, ""), "replacement": each.replacement, "message": each.text} for each in found.fixes
        ]
    return record


def _where(span: Span | None, file: str) -> dict[str, Any]:
    if span is None:
        return {"file": file, "line": None, "column": None, "end_line": None, "end_column": None}
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {"file": span.source.name, "line": line, "column": column, "end_line": end_line, "end_column": end_column}


def _command(found: Diagnostic) -> str:
    where = _where(found.span, found.file)
    parts = {"file": where["file"], "title": found.code}
    if found.span is not None:
        parts |= {
            "line": where["line"],
            "col": where["column"],
            "endLine": where["end_line"],
            "endColumn": where["end_column"],
        }
    message = found.message + (f"\nhelp: {found.help}" if found.help else "")
    named = ",".join(f"{key}={_escaped(str(value), True)}" for key, value in parts.items())
    kind = {"note": "notice"}.get(found.severity, found.severity)
    return f"::{kind} {named}::{_escaped(message, False)}"


def _escaped(value: str, inside: bool) -> str:
    value = value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return value.replace(":", "%3A").replace(",", "%2C") if inside else value
