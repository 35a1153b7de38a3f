"""Compile and train a network; writes a run folder with its weights, figures and report."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from specc.data.project import project_folder
from specc.tools import common
from specc.tools.cli import Failure


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="?", help="the spec (not with --resume)")
    parser.add_argument("--resume", metavar="RUN", help="continue a run in its own folder")
    parser.add_argument("--train", metavar="NAME", default="", dest="phase", help="a named phase: `train NAME { … }`")
    parser.add_argument("--out", metavar="DIR", default="runs", help="where run folders go (default: runs)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    common.spec_options(parser)


def run(args: Namespace) -> int:
    if (args.file is None) == (args.resume is None):
        raise Failure(2, "give a spec to train, or --resume RUN")
    if args.resume is not None and (args.settings or args.size or args.network or args.phase):
        raise Failure(2, "a run is continued as it was begun", "--set, --size, --network and --train go with a spec")
    compilation, project = None, Path.cwd()
    if args.file is not None:
        compilation = common.compiled(args.file, args)
        project = project_folder(args.file)
    from specc.data.files import FileProblem
    from specc.data.sources import DataProblem
    from specc.tools.progress import Shown
    from specc.train.interrupt import interruptible
    from specc.train.problem import TrainProblem
    from specc.train.training import train

    with Shown() as shown, interruptible() as stop:
        try:
            done = train(
                compilation, out_root=args.out, project=project, resume=args.resume, phase=args.phase, device=args.device,
                report=shown.report, stop=stop,
            )  # fmt: skip
        except (TrainProblem, FileProblem, DataProblem) as problem:
            shown.close()
            raise common.refused(problem) from None
    if done.interrupted:
        print(f"interrupted; continue with: specc train --resume {done.folder}", file=sys.stderr)
        return 130
    print(done.folder)
    return 0
