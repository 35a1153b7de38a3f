"""What an error code, an op or a setting means: its reference page, for the terminal."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from pathlib import Path
from textwrap import fill

from specc.catalogue import registry
from specc.model.elaborate.problem import suggestion
from specc.resources import root
from specc.tools import reference
from specc.tools.cli import Failure

WIDTH = 80


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "word", metavar="WORD", nargs="?", help="an error code, an op, a sign or a setting; all without it"
    )


def run(args: Namespace) -> int:
    if args.word is None:
        print(terminal(_overview()))
        return 0
    found = list(pages_of(args.word))
    if not found:
        help = suggestion(args.word, _known()) or "`specc explain` lists what there is"
        raise Failure(2, f"nothing is known of `{args.word}`", help)
    print("\n\n".join(terminal(each) for each in found))
    return 0


def pages_of(word: str) -> list[str]:
    """The pages of a word as Markdown: of its error, its op and each role of its setting."""
    found = []
    page = errors().get(word)
    if page is not None:
        found.append(page.read_text(encoding="utf-8"))
    kind = registry.operator(word) if registry.op(word) is None else registry.op(word)
    if kind is not None:
        found.append(reference.op_page(kind.name))
    return found + [reference.setting_page(word, role) for role in reference.roles_of(word)]


def errors() -> dict[str, Path]:
    """The pages of the error codes."""
    return {path.stem: path for path in sorted((root("docs") / "errors").glob("*.md"))}


def _known() -> list[str]:
    settings = [each.partition(".")[2] for each in registry.names("settings")]
    return [*errors(), *registry.names(), *settings]


def _overview() -> str:
    parts = ["# What can be explained", "## ops", _list(registry.names())]
    for role in reference.roles():
        parts += [f"## {reference.ROLES.get(role, role)}".replace("`", ""), _list(registry.setting_names(role))]
    return "\n\n".join([*parts, "## error codes", _list(tuple(errors()))])


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)


# ---------------------------------------------------------------------------------------------- Markdown as plain text
def _unbold(found: re.Match[str]) -> str:
    """Bold words bare; code as it stands."""
    return found[1] or found[2]


def terminal(page: str) -> str:
    """A page as text of at most 80 columns; code stays as it is, indented."""
    lines: list[str] = []
    for part in re.split(r"^(```.*?^```)$", page, flags=re.M | re.S):
        if part.startswith("```"):
            head, *body = part.split("\n")[:-1]
            name = head.partition(" ")[2]
            lines += [f"    [{name}]"] if name else []
            lines += [f"    {line}".rstrip() for line in body]
            lines.append("")
        else:
            lines += _prose(part)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def _prose(text: str) -> list[str]:
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        for each in re.split(r"\n(?=- |#)", re.sub(r"(`[^`]*`)|\*\*(\S.*?\S)\*\*", _unbold, paragraph)):
            lines += _paragraph(each.strip())
        lines.append("")
    return lines


def _paragraph(text: str) -> list[str]:
    if text.startswith("#"):
        marks, _, title = text.partition(" ")
        return [title, "-" * len(title)] if len(marks) > 1 else [title, "=" * len(title)]
    hanging = "    " if text.startswith("- ") else ""
    return fill(
        " ".join(text.split()), WIDTH, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    ).split("\n")
