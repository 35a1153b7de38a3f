"""Training from a compilation to a finished run folder, new or resumed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from specc import __version__
from specc.compiler import Compilation
from specc.data.files import FileProblem, append_text, held, next_run_folder, write_json, write_text
from specc.model.graph import Model
from specc.model.program import Program
from specc.train import program as programs
from specc.train import runs
from specc.train.boards import Boards, installed
from specc.train.cases import Cases, summary
from specc.train.cases import text as case_text
from specc.train.checkpoint import begun, load_best
from specc.train.counts import class_counts
from specc.train.events import Event, Finished, Noted, Report, Started, Took, silent
from specc.train.judge import Judged, judged
from specc.train.length import counted, updates, whole
from specc.train.log import line as log_line
from specc.train.loop import Loop
from specc.train.pace import Pace
from specc.train.problem import TrainProblem
from specc.train.report.page import Story, page
from specc.train.rows import watched
from specc.train.runs import Run
from specc.train.samples import Samples
from specc.train.showing import figures
from specc.train.speed import Speed, Wishes, choose
from specc.train.start import take_weights
from specc.train.team import ALONE, Alone


def never() -> bool:
    """For those who never stop."""
    return False


def train(
    compilation: Compilation | None,
    *,
    out_root: Path | str = "runs",
    project: Path | str = ".",
    resume: Path | str | None = None,
    phase: str = "",
    device: str = "auto",
    report: Report = silent,
    stop: programs.Stop = never,
    wishes: Wishes | None = None,
    workers: int | None = None,
    tensorboard: bool = True,
    team: Alone = ALONE,
    pause: float | None = None,
) -> Run:
    """Train the chosen network of a compilation in a new folder `out_root/<network>/<n>`, or `resume` a run's own.

    Args:
        compilation: the spec; None with `resume`, which takes the run's own.
        project: the folder that the paths in the spec start at.
        device: auto, cpu or cuda.
        report: told of everything that happens (see `events`).
        stop: asked before each batch; when it says yes, a checkpoint is written and the run is "interrupted".
        workers: processes that read samples which are not in memory; None is as many as are good.
        tensorboard: whether its logs are written, where TensorBoard is installed.
        wishes: how the device is used, where specc is not to choose; a run that is resumed goes on as it began.
        team: the processes that share the run, all of which call this with the same; one of them writes and reports.
        pause: seconds between checkpoints; None leaves it to specc.

    Raises:
        TrainProblem: there is nothing to train, the data do not fit, the loss is no longer a number.
        DataProblem, FileProblem: data that cannot be read, folders that cannot be written.
    """
    old = None
    if resume is not None:
        old = Run.load(resume)
        compilation, project, phase = old.compile(), old.project, old.phase
        if old.status == "finished":
            with held(resume) if team.leads else nullcontext():  # its last file may have been left half tidied up
                return old
    if compilation is None:
        raise TrainProblem("no-spec", "there is nothing to train", "give a spec, or a run to resume")
    model, plan = programs.chosen(compilation, phase)
    where = team.device(programs.device_of(device))
    with ExitStack() as during:
        if resume is not None and team.leads:
            during.enter_context(held(resume))
        begins = resume is None or not team.told(_checkpoint(Path(resume)) if team.leads else "")
        root = Path(out_root) if resume is None else Path(resume).parent.parent
        _hold_against_files(model, plan, Path(project), root if begins else None)
        during.enter_context(programs.reproducible(where))
        samples = during.enter_context(closing(programs.samples(model, plan, Path(project), where, workers)))
        text = old.spec if old is not None else runs.self_contained(compilation, model)
        counts, steps = class_counts(samples, plan), updates(samples.steps, plan)
        plan = counted(plan, steps)
        sources = programs.write(model, plan, samples.facts.target, _header(model, text), counts, steps, team.world > 1)
        speed = _speed(old, samples) or choose(model, plan, where, samples, team.possible(wishes))
        code = programs.build(model, plan, sources, where, speed)
        started = take_weights(code, Path(project), root) if begins else ()
        code, notes = team.prepared(code)
        folder = Path(resume) if resume is not None else _new_folder(root, model, team, during)
        book = _Book(folder, code, samples, text, Path(project), str(where), report, counts, team)
        if tensorboard and team.leads and installed():
            boards = Boards(folder)
            during.callback(boards.close)
            book.listeners.append(boards.saw)
        for sentence in started:
            book.say(Took(sentence))
        for sentence in (*notes, *_changes(old, begins, team)) if old else (*samples.notes, *notes):
            book.say(Noted(sentence))
        try:
            return _run(book, code, samples, begins, stop, pause)
        except FileProblem as problem:
            help = f"{problem.help}, then continue: specc train --resume {folder}".removeprefix(", then ")
            raise FileProblem(problem.message, problem.path, help) from problem


def _speed(old: Run | None, samples: Samples) -> Speed | None:
    """How a run that is resumed used its device, so that it goes on as it began."""
    if old is None:
        return None
    speed = Speed.from_json(old.config.get("speed", {}))
    samples.feed.settle(speed.resident)
    return speed


def _new_folder(root: Path, model: Model, team: Alone, during: ExitStack) -> Path:
    """The folder of a new run, which every process is told; nobody else writes there during the run."""
    folder = Path(team.told(str(next_run_folder(root, model.name)) if team.leads else ""))
    if team.leads:
        during.enter_context(held(folder))
    return folder


def _checkpoint(folder: Path) -> str:
    """A word where a run has a checkpoint; a run that was killed before its first one begins anew."""
    return "yes" if begun(folder / runs.LAST) else ""


def _changes(old: Run, begins: bool, team: Alone) -> Iterator[str]:
    """What is said of a run that goes on."""
    if begins:
        yield "there is no checkpoint yet, so the run begins from its start"
    before = old.config["made_with"].get("processes", 1)
    if before != team.world and not begins:
        yield f"{before} processes have trained so far, now there are {team.world}: the same course to rounding, not to the bit"


def _run(
    book: _Book, code: programs.Code, samples: Samples, begins: bool, stop: programs.Stop, pause: float | None
) -> Run:
    folder, team = book.folder, book.team
    loop = Loop(code, samples, folder, book.say, stop, team, pause)
    if not begins:
        loop.resume()
    elif team.leads:
        write_text(folder / runs.SPEC, book.text)
        write_text(folder / runs.MODEL, code.model_source)
        write_text(folder / runs.PROGRAM, code.program_source)
        write_text(folder / runs.SPLIT, samples.table)
    book.write("running", {})
    parts = (len(samples.parts.train), len(samples.parts.validation), len(samples.parts.test))
    count = sum(each.numel() for each in code.module.parameters())
    book.say(
        Started(
            code.model.name, folder, book.device, count, parts, code.program.epochs, loop.state.epoch, loop.steps,
            whole(code.program, samples.steps), code.speed.words,
        )
    )  # fmt: skip
    try:
        if begins:
            loop.save()
        reason = loop.run()
        if reason != "interrupted":
            loop.save()
    except TrainProblem as problem:
        book.log(f"failed: {problem.message}")
        book.write("failed", {})
        raise
    return _close(book, code, samples, loop, reason)


def _close(book: _Book, code: programs.Code, samples: Samples, loop: Loop, reason: str) -> Run:
    """The test figures with the best weights, the report, and the last word in the log."""
    results: dict[str, float] = {}
    team = book.team
    seconds = time.monotonic() - book.began
    interrupted = reason == "interrupted"
    best = loop.state.best_epoch
    shown, judgement, spread = None, None, None
    if not interrupted:
        team.told()  # the leading one has written them
        if team.leads or team.sharded:
            load_best(book.folder / runs.BEST, code.module, best)
        team.equal(code.module)
        if len(samples.parts.test):
            cases = Cases(code, samples.facts.target)
            results, shown = figures(code, samples, samples.parts.test, cases.takers)
            spread = book.cases(cases)
        judgement = judged(code, samples, loop.rows, best, results, team)
    if team.leads or team.sharded:  # the page asks the network for its answers to some samples
        story = Story(code, samples, loop.rows, results, shown, judgement, best, reason, book.sha256, book.pace.seconds)
        text, failures = page(story)
        if team.leads:
            write_text(book.folder / runs.REPORT, text)
        for each in failures:
            book.log(each)
    status = "interrupted" if interrupted else "finished"
    book.write(status, results, judgement, spread, epoch=loop.state.epoch, best_epoch=best)
    book.say(
        Finished(book.folder, loop.state.epoch, best, reason, results, seconds, judgement.lines() if judgement else ())
    )
    written = Run.written(book.folder) if team.leads else {}
    return Run.of(book.folder, json.loads(team.told(json.dumps(written))))


def _hold_against_files(model: Model, plan: Program, project: Path, runs: Path | None) -> None:
    """Refuse before anything is built; a run that is resumed has its weights already."""
    found = programs.data_errors(model, plan, project)
    for each in found + (programs.weight_errors(model, plan, project, runs) if runs else []):
        raise TrainProblem(each.code, each.message, each.help)


def _header(model: Model, text: str) -> str:
    return f"The network {model.name} of {runs.SPEC} (sha256 {hashlib.sha256(text.encode()).hexdigest()})."


@dataclass
class _Book:
    """What is written down about a run on its way: config.json and log.txt."""

    folder: Path
    code: programs.Code
    samples: Samples
    text: str
    project: Path
    device: str
    report: Report
    counts: tuple[int, ...]
    team: Alone

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.pace = Pace()
        self.listeners: list[Report] = [self.pace.saw]
        self.sha256 = hashlib.sha256(self.text.encode()).hexdigest()

    def say(self, event: Event) -> None:
        for each in self.listeners:
            each(event)
        if not self.team.leads:
            return
        line = log_line(event)
        if line:
            self.log(line)
        self.report(event)

    def log(self, line: str) -> None:
        if self.team.leads:
            append_text(self.folder / runs.LOG, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    def cases(self, cases: Cases) -> dict[str, Any]:
        """Write the figures of every sample of the test part; what they come to, for config.json."""
        rows, names = cases.rows(), self.samples.names
        if not rows:
            return {}
        if self.team.leads:
            write_text(self.folder / runs.TEST, case_text([names[each] for each in self.samples.parts.test], rows))
        return {"samples": summary(rows)}

    def write(
        self,
        status: str,
        results: dict[str, float],
        judgement: Judged | None = None,
        spread: dict[str, Any] | None = None,
        **progress: int,
    ) -> None:
        """config.json as of now."""
        if not self.team.leads:
            return
        verdict = {"verdict": judgement.to_json()} if judgement is not None else {}
        verdict |= spread or {}
        write_json(self.folder / runs.CONFIG, self._config(status, results, progress, verdict))

    def _config(
        self, status: str, results: dict[str, float], progress: dict[str, int], verdict: dict[str, Any]
    ) -> dict[str, Any]:
        code, samples = self.code, self.samples
        facts, parts = samples.facts, samples.parts
        return {
            "schema": 1,
            "specc": __version__,
            "network": code.model.name,
            "phase": code.program.phase,
            "status": status,
            **progress,
            "results": {name: _number(value) for name, value in results.items()},
            **verdict,
            "spec_sha256": self.sha256,
            "seed": code.program.seed,
            "speed": code.speed.to_json(),
            "settings": [list(each) for each in code.program.texts],
            "measures": [each.label for each in code.measures],
            "watched": list(watched(code, bool(len(parts.validation)))),
            "prepare": {name: each.to_json() for name, each in samples.prepared.items()},
            "data": {
                "count": facts.count,
                "inputs": {name: list(shape) for name, shape in facts.input_shapes.items()},
                "target": facts.target,
                "classes": list(facts.class_names),
                "names": list(facts.names),
                "class_counts": list(self.counts),
                "encoding": samples.encoding,
                "split": {"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test)},
                "split_sha256": parts.sha256,
                "notes": list(samples.notes),
            },
            "project": _relative(self.project, self.folder),
            "made_with": {"torch": torch.__version__, "device": self.device, "threads": torch.get_num_threads()}
            | ({"processes": self.team.world} if self.team.world > 1 else {}),
        }


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if value - value == 0 else None


def _relative(project: Path, folder: Path) -> str:
    """The project as seen from the run, so that both can move together."""
    try:
        return Path(os.path.relpath(project.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive on Windows
        return project.resolve().as_posix()
