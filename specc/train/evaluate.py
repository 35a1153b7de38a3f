"""The figures of a trained network: over the test part of its data, or over other data."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from specc.compiler import Compilation
from specc.data.named import source
from specc.data.skipped import kept, skipped
from specc.data.sources import DataFacts, DataProblem, Source
from specc.model.check import check_program
from specc.model.elaborate.entries import Entries
from specc.model.elaborate.scope import Scope
from specc.model.graph import Model
from specc.model.program import Program
from specc.syntax import tree
from specc.syntax.parse import parse_expression
from specc.text.diagnostics import Bag, SpecError
from specc.train import program as programs
from specc.train.checkpoint import load_best
from specc.train.events import Noted, Report, silent
from specc.train.measure import measure
from specc.train.problem import TrainProblem
from specc.train.runs import Run
from specc.train.samples import others
from specc.train.speed import Speed


def evaluate(
    run_folder: Path | str,
    data: Source | str | None = None,
    device: str = "auto",
    workers: int | None = None,
    report: Report = silent,
) -> dict[str, float]:
    """The loss and metrics of a run's best weights on its test part, or on all of `data`.

    `data` is a source, or a text as after the setting `data`: `table("more.csv", target="quality")`; its paths start
    at the run's project folder. `workers` processes read samples that are not in memory; `report`
    is told of samples that are left out.

    Raises:
        TrainProblem: the folder is no run, or the data do not fit the network.
        DataProblem: data that cannot be read.
    """
    run = Run.load(run_folder)
    compilation = run.compile()
    model, program = programs.chosen(compilation, run.phase)
    where = programs.device_of(device)
    with programs.reproducible(where), ExitStack() as held:
        if data is None:
            samples = programs.samples(model, program, run.project, where, workers)
            feed, indices = samples.feed, samples.parts.test
            if samples.parts.sha256 != run.config["data"]["split_sha256"]:
                raise TrainProblem(
                    "data-changed",
                    "the data are no longer those of the run, so its test part is lost",
                    "name data: --data",
                )
            if not len(indices):
                raise TrainProblem("no-test-part", "the run has no test part", "name data: --data")
        else:
            given = data if not isinstance(data, str) else named(compilation, data, run.project)
            _hold(model, program, given.describe())
            feed = others(model, program, given, run.prepared, where, workers)
            _hold(model, program, feed.dataset.facts)  # the classes of masks are known only now
            indices = kept(feed.dataset)
        held.callback(feed.close)
        for sentence in skipped(feed.dataset).notes(len(feed)):
            report(Noted(sentence))
        counts = tuple(run.config["data"].get("class_counts", ()))
        sources = programs.write(model, program, feed.dataset.facts.target, counts=counts)
        speed = Speed(precision=run.config.get("speed", {}).get("precision", "fp32"))
        code = programs.build(model, program, sources, where, speed)
        if not run.weights.is_file():
            raise TrainProblem(
                "no-checkpoint", f"{run.folder} has no weights yet", f"continue it: --resume {run.folder}"
            )
        load_best(run.weights, code.module, 1)
        return measure(code, feed, indices)


def _hold(model: Model, program: Program, facts: DataFacts) -> None:
    """Refuse data that the network is not made for."""
    for each in check_program(model, program, facts):
        if each.severity == "error":
            raise TrainProblem(each.code, each.message, each.help)


def named(compilation: Compilation, text: str, project: Path) -> Source:
    """The source that a text names."""
    bag = Bag()
    node = parse_expression(text, "--data", bag)
    try:
        if bag.failed or compilation.unit is None:
            raise TrainProblem(
                "bad-setting", f"`{text}` is no source of data", 'such as table("more.csv", target="quality")'
            )
        return source(Entries(Scope(compilation.unit.scope, "section"), _no_tensor).value(node, "source"), project)
    except SpecError as error:
        found = error.diagnostic
        raise TrainProblem(found.code, found.message, found.help) from None


def _no_tensor(node: tree.Expr) -> str:
    raise DataProblem(f"{node.span.text} names no data")
