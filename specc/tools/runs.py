"""A run folder as the source of an export: its spec, its best weights, and what prediction needs beside them."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from specc.backends.onnx_weights import WeightFile
from specc.compiler import Compilation
from specc.tools import common
from specc.tools.cli import Failure


def opened(folder: Path, args: Namespace) -> tuple[Compilation, WeightFile, dict[str, Any]]:
    """The run's own spec compiled, its weights, and what comes from the run besides, itself among it."""
    from specc.train.problem import TrainProblem
    from specc.train.runs import Run

    if args.settings or args.network:
        raise Failure(2, "a run is exported as it was trained", "--set and --network go with a spec and --weights")
    try:
        run = Run.load(folder)
        found = run.compile()
    except TrainProblem as problem:
        raise Failure(2, problem.message, problem.help, problem.code) from None
    if not run.weights.is_file():
        raise Failure(2, f"{folder} has no weights yet", f"continue it: specc train --resume {folder}", "no-checkpoint")
    weights = common.weights(args.weights or str(run.weights))
    extra = {
        "run": run,
        "classes": run.class_names,
        "prepare": {name: each.to_json() for name, each in run.prepared.items()},
        "encoding": run.encoding,
    }
    return found, weights, extra
