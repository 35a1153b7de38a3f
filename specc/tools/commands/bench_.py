"""Latency, throughput and memory of an exported network on this machine, in turns with PyTorch if asked."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import asdict, replace

from specc.deploy.benchmark import CONTENDERS, Bench, Contender, Timing, bench
from specc.deploy.described import NotOurs
from specc.deploy.providers import NoDevice
from specc.deploy.runtime import BadInput
from specc.tools import common, running
from specc.tools.cli import Failure
from specc.tools.table import size

_HEADS = ("batch", "with", "median ms", "p90 ms", "p99 ms", "samples/s", "ratio")


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument("--batch", metavar="1,8,64", action="append", default=[], help="batch sizes (default 1)")
    parser.add_argument("--rounds", type=int, default=50, help="how often each is run (default 50)")
    parser.add_argument("--size", metavar="H=224,W=224", action="append", default=[], help="bind unknown sizes")
    parser.add_argument(
        "--against",
        choices=("pytorch", *CONTENDERS),
        help="the same network in PyTorch beside it: eager, compiled, or both (pytorch)",
    )
    parser.add_argument("--cuda-graph", action="store_true", help="record a run on the GPU once and replay it")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    running.options(parser)


def run(args: Namespace) -> int:
    against: tuple[Contender, ...] = (
        CONTENDERS if args.against == "pytorch" else (args.against,) if args.against else ()
    )
    try:
        found = [
            bench(
                args.model,
                batch,
                args.rounds,
                device=args.device,
                sizes=common.sizes(args),
                threads=args.threads,
                cuda_graph=args.cuda_graph,
                engines=args.engines,
                against=against,
            )
            for batch in _batches(args.batch)
        ]
    except (NotOurs, NoDevice, BadInput) as problem:
        raise Failure(2, problem.message, problem.help) from None
    found[1:] = [replace(each, memory=None) for each in found[1:]]  # what was given back before is used again
    _busy()
    if args.format == "json":
        json.dump({"schema": 1, "runs": [asdict(each) for each in found]}, sys.stdout, indent=1)
        print()
        return 0
    _table([row for each in found for row in _rows(each)], bool(against))
    _footer(found[0], bool(against))
    return 0


def _busy() -> None:
    """Say that other programs take part of the machine, where the system tells: the figures suffer from it."""
    load, cores = (os.getloadavg()[0], os.cpu_count() or 1) if hasattr(os, "getloadavg") else (0.0, 1)
    if load > cores + 1:
        print(
            f"note: the machine is busy (load {load:.1f} on {cores} cores); measure again when it is not",
            file=sys.stderr,
        )


def _batches(given: list[str]) -> list[int]:
    """`--batch 1,8 --batch 64` as numbers."""
    found = []
    for each in ",".join(given or ["1"]).split(","):
        if not each.strip().isdecimal() or int(each) < 1:
            raise Failure(2, f"`--batch {each}` is not a number from 1 on", "--batch 1,8,64")
        found.append(int(each))
    return found


def _rows(found: Bench) -> Iterator[tuple[str, ...]]:
    yield (str(found.batch), "onnxruntime", *_figures(found.timing), "1")
    for each in found.against:
        yield ("", each.name, *_figures(each.timing), f"{each.ratio:.2f} ({each.low:.2f} to {each.high:.2f})")


def _figures(timing: Timing) -> tuple[str, ...]:
    return (f"{timing.median:.3f}", f"{timing.p90:.3f}", f"{timing.p99:.3f}", f"{timing.throughput:.1f}")


def _table(rows: list[tuple[str, ...]], against: bool) -> None:
    """Names to the left, numbers to the right; the columns of the rivals only where there are some."""
    kept = [at for at in range(len(_HEADS)) if against or at not in (1, 6)]
    widths = [max(len(row[at]) for row in [_HEADS, *rows]) for at in range(len(_HEADS))]
    for row in [_HEADS, *rows]:
        cells = [f"{row[at]:<{widths[at]}}" if at in (1, 6) else f"{row[at]:>{widths[at]}}" for at in kept]
        print("  ".join(cells).rstrip())


def _footer(found: Bench, against: bool) -> None:
    print()
    sizes = ", ".join(f"{name}={length}" for name, length in found.sizes.items())
    print(f"{found.rounds} rounds on {found.providers[0].removesuffix('ExecutionProvider')}", end="")
    print(f", {found.threads} threads" if found.threads else "", end="")
    print(f", at {sizes}" if sizes else "")
    if found.memory is not None:
        print(f"memory at batch {found.batch}: {size(found.memory)} more than before it was loaded")
    if against:
        print("ratio: time of PyTorch over that of onnxruntime, median (quartiles) of the rounds")
