"""Write specs in the one canonical form; comments, line breaks in brackets and aligned columns stay."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from difflib import unified_diff

from specc.data.project import open_spec
from specc.syntax.format import format_text
from specc.text.diagnostics import Bag, SpecError
from specc.text.source import Source
from specc.tools import common


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is not in this form")
    parser.add_argument("--diff", action="store_true", help="write nothing; show what would change")


def run(args: Namespace) -> int:
    worst = 0
    for path in args.files:
        worst = max(worst, _one(path, args))
    return worst


def _one(path: str, args: Namespace) -> int:
    bag = Bag()
    try:
        text = open_spec(path).text
    except SpecError as error:
        bag.add(error.diagnostic)
        common.show(bag)
        return 2
    found = format_text(Source(path, text), bag)
    if found is None:
        common.show(bag)
        return 1
    if found == text:
        return 0
    if args.diff:
        sys.stdout.writelines(unified_diff(text.splitlines(True), found.splitlines(True), path, f"{path} (formatted)"))
    if args.check or args.diff:
        print(f"{path} would be reformatted", file=sys.stderr)
        return 1 if args.check else 0
    common.write(path, found)
    print(f"reformatted {path}", file=sys.stderr)
    return 0
