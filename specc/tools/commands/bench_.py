"""Latency and throughput of an exported network on this machine."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from specc.deploy.described import NotOurs
from specc.deploy.runtime import BadInput, Bench, NoDevice, bench
from specc.tools import common
from specc.tools.cli import Failure


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument("--batch", type=int, action="append", help="batch size (repeatable; default 1)")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--size", metavar="H=224,W=224", action="append", default=[], help="bind unknown sizes")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def run(args: Namespace) -> int:
    try:
        found = [
            bench(args.model, batch, args.rounds, device=args.device, sizes=common.sizes(args))
            for batch in args.batch or [1]
        ]
    except (NotOurs, NoDevice, BadInput) as problem:
        raise Failure(2, problem.message, problem.help) from None
    for name in common.sizes(args):
        if name not in found[0].sizes:
            raise Failure(
                2, f"`{args.model}` has no unknown size `{name}`", f"it has {', '.join(found[0].sizes) or 'none'}"
            )
    if args.format == "json":
        json.dump({"schema": 1, "runs": [asdict(each) for each in found]}, sys.stdout, indent=1)
        print()
        return 0
    print(f"{'batch':>6}  {'median ms':>10}  {'p90 ms':>10}  {'p99 ms':>10}  {'samples/s':>10}")
    for each in found:
        print(_row(each))
    print(f"{found[0].rounds} rounds on {', '.join(found[0].providers)}", end="")
    sizes = ", ".join(f"{name}={size}" for name, size in found[0].sizes.items())
    print(f" at {sizes}" if sizes else "")
    return 0


def _row(each: Bench) -> str:
    return f"{each.batch:>6}  {each.median:>10.3f}  {each.p90:>10.3f}  {each.p99:>10.3f}  {each.throughput:>10.1f}"
