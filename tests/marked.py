"""Specs whose guilty lines say what is wrong with them: `# error: slug`; a line without a mark must be clean."""

from __future__ import annotations

import re
from collections.abc import Mapping

from specc.compiler import Compilation, compile_text
from specc.text.diagnostics import Diagnostic

MARK = re.compile(r"#[^#\n]*?\b(error|warning|note): ([a-z-]+(?:, [a-z-]+)*)[ \t]*$", re.M)
Found = list[tuple[str, int, str, str]]


def marks(files: Mapping[str, str]) -> Found:
    """File, line, severity and code of every mark."""
    found = []
    for name, text in files.items():
        for match in MARK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found += [(name, line, match[1], code) for code in match[2].split(", ")]
    return sorted(found)


def diagnosed(found: Compilation) -> Found:
    """The same for what was really found; what has no place counts for the first line."""
    return sorted((*place(each, found.source.name), each.severity, each.code) for each in found.bag)


def place(each: Diagnostic, name: str) -> tuple[str, int]:
    if each.span is None:
        return name, 1
    return each.span.source.name, each.span.line


def compiled(files: Mapping[str, str], main: str) -> Compilation:
    """The file called `main`; the others are there to be imported."""
    return compile_text(files[main], main, read=files.get)
