"""Loss and metrics of a run's best weights on its test split, or on other data."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace

from specc.tools import common


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder, such as runs/LeNet5/1")
    parser.add_argument(
        "--data", metavar="SOURCE", help='other data, as after the setting: table("more.csv", target="y")'
    )
    common.python_option(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    common.workers_option(parser)


def run(args: Namespace) -> int:
    from specc.data.function import python_allowed

    with python_allowed(args.allow_python):
        return _allowed(args)


def _allowed(args: Namespace) -> int:
    from specc.data.sources import DataProblem
    from specc.train.evaluate import evaluate
    from specc.train.problem import TrainProblem

    try:
        found = evaluate(args.run, args.data, args.device, args.workers, _noted)
    except (TrainProblem, DataProblem) as problem:
        raise common.refused(problem) from None
    if args.format == "json":
        json.dump({"schema": 1, "run": args.run, "figures": common.finite(found)}, sys.stdout, indent=1)
        print()
        return 0
    width = max(map(len, found), default=0)
    for name, value in found.items():
        print(f"{name:<{width}}  {value:.6g}")
    return 0


def _noted(event: object) -> None:
    from specc.train.events import Noted

    if isinstance(event, Noted):
        print(f"data: {event.sentence}", file=sys.stderr)
