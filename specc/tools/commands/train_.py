"""Compile and train a network; writes a run folder with its weights, figures and report."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from specc.compiler import Compilation
from specc.data.project import project_folder
from specc.tools import common, work
from specc.tools.cli import Failure, say

if TYPE_CHECKING:
    from specc.model.program import Sweep
    from specc.train.runs import Run


SPEED = {
    "compile": "run the network through torch.compile",
    "channels-last": "channels last in memory",
    "resident": "keep the prepared samples on the GPU",
}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="?", help="the spec (not with --resume)")
    parser.add_argument("--resume", metavar="RUN", help="continue a run in its own folder, or a sweep")
    parser.add_argument("--train", metavar="NAME", default="", dest="phase", help="a named phase: `train NAME { … }`")
    parser.add_argument(
        "--folds", action="store_true", help="train every fold of `split kfold(n)`, each in its own run"
    )
    parser.add_argument(
        "--sweep",
        metavar="KEY=A,B,…",
        action="append",
        default=[],
        help="train all combinations of these values of settings and parameters; random(n) takes n of them",
    )
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="trainings of a sweep at a time (default: 1)")
    parser.add_argument("--out", metavar="DIR", default="runs", help="where run folders go (default: runs)")
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"), help="the same as --set precision=…")
    for name, what in SPEED.items():
        parser.add_argument(f"--{name}", action=BooleanOptionalAction, default=None, help=f"{what}, or not")
    parser.add_argument(
        "--shard", action="store_true", help="with torchrun: a part of the network in each process, not a copy"
    )
    work.options(parser)
    common.spec_options(parser)


def run(args: Namespace) -> int:
    from specc.data.function import python_allowed

    with python_allowed(args.allow_python), _one_voice():
        try:
            return _allowed(args)
        except Failure as failure:
            raise failure if _speaks() else Failure(failure.code) from None


def _speaks() -> bool:
    """Whether this is the one of torchrun's processes that says what all would say."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _one_voice() -> Iterator[None]:
    """Keep the other processes quiet."""
    if _speaks():
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _allowed(args: Namespace) -> int:
    if (args.file is None) == (args.resume is None):
        raise Failure(2, "give a spec to train, or --resume RUN")
    if args.precision is not None:
        args.settings.append(f"precision={args.precision}")
    if args.jobs < 1:
        raise Failure(2, f"`--jobs {args.jobs}` trains nothing", "one at a time is --jobs 1")
    begun = (args.settings, args.size, args.network, args.phase, args.folds, args.sweep)
    if args.resume is not None and (any(begun) or any(each is not None for each in _speed(args))):
        options = (
            "--set, --size, --network, --train, --folds, --sweep, --precision, --compile, --channels-last, --resident"
        )
        raise Failure(2, "a run is continued as it was begun", f"{options} go with a spec")
    if args.resume is not None:
        return _resumed(args)
    if args.sweep:
        args.settings.append(f"sweep={', '.join(map(_values, args.sweep))}")
    compilation, project = common.compiled(args.file, args), project_folder(args.file)
    if args.folds or _sweep(compilation, args) is not None:
        _one_process_each(args)
        return _many(args, compilation, project)
    if args.jobs > 1:
        raise Failure(2, "--jobs goes with --sweep and --folds", "one training has nothing beside it")
    return _ended(_run(args, compilation, project))


def _one_process_each(args: Namespace) -> None:
    """Refuse to part the trainings of a sweep between processes."""
    if args.shard or os.environ.get("WORLD_SIZE", "1") != "1":
        help = "`--jobs N` trains several at a time; begin it without torchrun and --shard"
        raise Failure(2, "a sweep or folds are trained by one process each", help)


def _speed(args: Namespace) -> tuple[bool | None, bool | None, bool | None]:
    """What is said of how the device is used; None where specc is to choose."""
    return args.compile, args.channels_last, args.resident


def _values(text: str) -> str:
    """`optimizer.lr=0.1,0.01` as the spec has it, `optimizer.lr=[0.1,0.01]`."""
    key, sign, values = (each.strip() for each in text.partition("="))
    if not sign or "(" in key:
        return text
    return f"{key}={values}" if values.startswith("[") else f"{key}=[{values}]"


def _sweep(compilation: Compilation, args: Namespace) -> Sweep | None:
    plan = compilation.programs.get((compilation.model().name, args.phase))
    return plan.sweep if plan is not None else None


def _resumed(args: Namespace) -> int:
    """Go on with a run, or with a sweep."""
    from specc.train.sweep import SweepBook, sweep_file

    if sweep_file(Path(args.resume)) is None:
        return _ended(_run(args, None, Path.cwd()))
    _one_process_each(args)
    from specc.tools import sweeps
    from specc.train.problem import TrainProblem

    try:
        book = SweepBook.load(Path(args.resume))
        return sweeps.run(book, args.jobs, work.Work.of(args))
    except TrainProblem as problem:
        raise common.refused(problem) from None


def _many(args: Namespace, compilation: Compilation, project: Path) -> int:
    """All points of the sweep and all folds that are asked for, each in its own run."""
    from specc.data.files import FileProblem
    from specc.data.sources import DataProblem
    from specc.tools import sweeps
    from specc.train.problem import TrainProblem
    from specc.train.program import chosen, device_of
    from specc.train.runs import self_contained
    from specc.train.speed import Wishes
    from specc.train.sweep import SweepBook

    try:
        device_of(args.device)
        model, plan = chosen(compilation, args.phase)
        text = self_contained(compilation, model)
        wishes = Wishes(*_speed(args))
        book = SweepBook(Path(args.out) / model.name, "", text, model.name, args.phase, project, wishes)
        book.lay_out(plan.sweep, plan.seed, args.folds)
        sweeps.check(book)
        book.create()
        return sweeps.run(book, args.jobs, work.Work.of(args))
    except (TrainProblem, DataProblem, FileProblem) as problem:
        raise common.refused(problem) from None


def _run(args: Namespace, compilation: Compilation | None, project: Path) -> Run:
    """One run, shown on the way; a refusal ends the command."""
    from specc.data.files import FileProblem
    from specc.data.sources import DataProblem
    from specc.tools.progress import Shown
    from specc.train.interrupt import interruptible
    from specc.train.problem import TrainProblem
    from specc.train.speed import Wishes
    from specc.train.team import team
    from specc.train.training import train

    try:
        crew = team(args.device, args.shard)
    except TrainProblem as problem:
        raise common.refused(problem) from None
    with Shown() as shown, interruptible(several=crew.world > 1) as stop:
        try:
            return train(
                compilation, out_root=args.out, project=project, resume=args.resume, phase=args.phase, device=args.device,
                report=shown.report, stop=stop, wishes=Wishes(*_speed(args)),
                workers=args.workers, tensorboard=args.tensorboard, team=crew,
            )  # fmt: skip
        except (TrainProblem, FileProblem, DataProblem) as problem:
            shown.close()
            failure = common.refused(problem)
            if not crew.first_to_fail():
                failure = Failure(failure.code)
            elif not crew.leads and sys.__stderr__ is not None:
                with redirect_stderr(sys.__stderr__):
                    say(failure)
            raise failure from None
        except RuntimeError:
            if crew.first_to_fail():
                raise
            raise Failure(1) from None  # words to a process that has ended


def _ended(run: Run) -> int:
    """The folder to stdout."""
    if run.interrupted:
        print(f"interrupted; continue with: specc train --resume {run.folder}", file=sys.stderr)
        return 130
    print(run.folder)
    return 0
