"""Replay the proof that an exported file equals its spec and weights; anything changed in it is refused."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specc.deploy.described import NotOurs
from specc.deploy.verify import verify
from specc.tools import common
from specc.tools.cli import Failure


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument("--weights", metavar="RUN|FILE", help="the trained weights, which must be those in the file")


def run(args: Namespace) -> int:
    given = _weights(args.weights) if args.weights else None
    try:
        found = verify(args.model, given)
    except NotOurs as problem:
        raise Failure(2, problem.message, problem.help) from None
    for each in found.held:
        print(f"ok: {each}")
    if not found.ok:
        where = f" (first at `{found.step.path}`, line {found.step.span.line} of the spec)" if found.step else ""
        raise Failure(1, f"{args.model} does not hold: {found.wrong}{where}", found.help)
    if found.proof is not None:
        print(f"ok: equal to PyTorch, largest relative error {found.proof.error:.1e} over {len(found.proof.runs)} runs")
    if not found.was_proved:
        print("it was written without proof; this one held", file=sys.stderr)
    print(f"{args.model} is {found.network}, proved")
    return 0


def _weights(name: str) -> Mapping[str, Any]:
    """The weights of a run or of a file by their keys."""
    from specc.train.runs import BEST

    source = common.weights(str(Path(name) / BEST) if Path(name).is_dir() else name)
    return dict(zip(source.keys(), map(source.array, source.keys()), strict=True))
