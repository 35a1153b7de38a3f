"""Run an exported network on pictures, arrays or csv rows with onnxruntime, and name the classes."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace

from specc.data.sources import DataProblem
from specc.deploy.described import NotOurs
from specc.deploy.predict import predict_files, table
from specc.deploy.runtime import BadInput, NoDevice, Predictor
from specc.tools import common
from specc.tools.cli import Failure


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="PNG and other pictures, .npy, .npz, .csv")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def run(args: Namespace) -> int:
    try:
        predictor = Predictor(args.model, args.device)
        if predictor.notice:
            print(predictor.notice, file=sys.stderr)
        found = list(predict_files(predictor, args.inputs))
    except (NotOurs, NoDevice, BadInput, DataProblem) as problem:
        raise Failure(2, str(problem), problem.help) from None
    if args.format == "json":
        json.dump(
            {"schema": 1, "predictions": common.finite([each.to_json() for each in found])},
            sys.stdout,
            indent=1,
            ensure_ascii=False,
        )
        print()
        return 0
    heads, rows = table(found)
    widths = [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]
    for row in [heads, *rows]:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0
