"""Compile and train a network; writes a run folder with its weights, figures and report."""

from __future__ import annotations

import statistics
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from specc.compiler import Compilation
from specc.data.project import project_folder
from specc.tools import common
from specc.tools.cli import Failure

if TYPE_CHECKING:
    from specc.train.runs import Run


SPEED = {"compile": "run the network through torch.compile", "channels-last": "channels last in memory"}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="?", help="the spec (not with --resume)")
    parser.add_argument("--resume", metavar="RUN", help="continue a run in its own folder")
    parser.add_argument("--train", metavar="NAME", default="", dest="phase", help="a named phase: `train NAME { … }`")
    parser.add_argument(
        "--folds", action="store_true", help="train every fold of `split kfold(n)`, each in its own run"
    )
    parser.add_argument("--out", metavar="DIR", default="runs", help="where run folders go (default: runs)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"), help="the same as --set precision=…")
    for name, what in SPEED.items():
        parser.add_argument(f"--{name}", action=BooleanOptionalAction, default=None, help=f"{what}, or not")
    common.workers_option(parser)
    common.python_option(parser)
    common.spec_options(parser)


def run(args: Namespace) -> int:
    from specc.data.function import python_allowed

    with python_allowed(args.allow_python):
        return _allowed(args)


def _allowed(args: Namespace) -> int:
    if (args.file is None) == (args.resume is None):
        raise Failure(2, "give a spec to train, or --resume RUN")
    if args.precision is not None:
        args.settings.append(f"precision={args.precision}")
    chosen = (args.settings, args.size, args.network, args.phase, args.folds)
    if args.resume is not None and (any(chosen) or args.compile is not None or args.channels_last is not None):
        help = "--set, --size, --network, --train, --folds, --precision, --compile, --channels-last go with a spec"
        raise Failure(2, "a run is continued as it was begun", help)
    if args.resume is not None:
        return _ended([_run(args, None, Path.cwd())])
    compilation, project = common.compiled(args.file, args), project_folder(args.file)
    if not args.folds:
        return _ended([_run(args, compilation, project)])
    done: list[Run] = []
    for number in range(1, _folds(compilation, args, project) + 1):
        args.settings.append(f"split.fold={number}")
        done.append(_run(args, common.compiled(args.file, args), project))
        if done[-1].interrupted:
            break
    return _ended(done)


def _folds(compilation: Compilation, args: Namespace, project: Path) -> int:
    """How many folds there are to train; ends the command where there are none."""
    from specc.data.parting import number_of_folds
    from specc.data.sources import DataProblem
    from specc.train.problem import TrainProblem
    from specc.train.program import chosen

    try:
        number = number_of_folds(chosen(compilation, args.phase)[1], project)
    except (TrainProblem, DataProblem) as problem:
        raise common.refused(problem) from None
    if not number:
        raise Failure(2, "there are no folds to train", "write `split kfold(5)`")
    return number


def _run(args: Namespace, compilation: Compilation | None, project: Path) -> Run:
    """One run, shown on the way; a refusal ends the command."""
    from specc.data.files import FileProblem
    from specc.data.sources import DataProblem
    from specc.tools.progress import Shown
    from specc.train.interrupt import interruptible
    from specc.train.problem import TrainProblem
    from specc.train.speed import Wishes
    from specc.train.training import train

    with Shown() as shown, interruptible() as stop:
        try:
            return train(
                compilation, out_root=args.out, project=project, resume=args.resume, phase=args.phase, device=args.device,
                report=shown.report, stop=stop, wishes=Wishes(args.compile, args.channels_last),
                workers=args.workers,
            )  # fmt: skip
        except (TrainProblem, FileProblem, DataProblem) as problem:
            shown.close()
            raise common.refused(problem) from None


def _ended(done: list[Run]) -> int:
    """The folders to stdout; of several runs the mean and the standard deviation of their test figures to stderr."""
    for run in done:
        if run.interrupted:
            print(f"interrupted; continue with: specc train --resume {run.folder}", file=sys.stderr)
            return 130
        print(run.folder)
    for name in done[0].results if len(done) > 1 else ():
        values = [run.results[name] for run in done]
        mean, spread = statistics.fmean(values), statistics.stdev(values)
        print(f"test over {len(done)} folds: {name} {mean:.4f} ± {spread:.4f}", file=sys.stderr)
    return 0
