"""Prove the shapes, claims and settings of specs and print what was worked out."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from specc.compiler import Compilation
from specc.model.report import report
from specc.text import render
from specc.text.diagnostics import Bag
from specc.tools import common, table


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+")
    common.spec_options(parser)
    common.python_option(parser)
    parser.add_argument("--all", action="store_true", help="the table of every network, not only of the last")


def run(args: Namespace) -> int:
    from specc.data.function import python_allowed

    with python_allowed(args.allow_python):
        return _allowed(args)


def _allowed(args: Namespace) -> int:
    every = Bag(limit=1000)
    networks: list[dict[str, Any]] = []
    worst = 0
    for path in args.files:
        found = common.compile_file(path, args)
        _data(found, path)
        for each in found.bag:
            every.add(each)
        worst = max(worst, common.exit_code(found.bag, args.strict))
        reports = [report(model) for model in found.models.values()]
        networks += reports
        if args.format == "text":
            _print(reports, args, found.ok)
    if args.format == "json":
        json.dump(
            {"schema": 1, "networks": networks, "diagnostics": render.data(every)},
            sys.stdout,
            indent=1,
            ensure_ascii=False,
        )
        print()
    else:
        sys.stdout.flush()
        common.show(every, args.format)
    return worst


def _data(found: Compilation, path: str) -> None:
    """Hold each network that is trained against its data and its weights, as far as they are at hand."""
    if not found.programs or not found.ok:
        return
    from specc.data.named import check_data
    from specc.data.project import project_folder
    from specc.data.weights import check_weights

    for (network, _), program in found.programs.items():
        model, folder = found.models[network], project_folder(path)
        for each in (*check_data(model, program, folder), *check_weights(model, program, folder)):
            found.bag.add(each)


def _print(reports: list[dict[str, Any]], args: Namespace, sound: bool) -> None:
    for at, each in enumerate(reports):
        if args.all or at == len(reports) - 1:
            print("\n".join(table.whole(each)))
        else:
            print("\n".join(table.brief(each)))
    if reports and sound and len(reports) > 1 and not args.all:
        print("\n(--all prints the table of every network)")
