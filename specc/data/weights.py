"""The files that `weights` settings name, held against the network before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from specc.backends.weight_files import WeightFile, WeightProblem
from specc.backends.weight_keys import Matched, match, paths_that_are_not, report
from specc.catalogue.setting import Phase
from specc.model.elaborate.problem import suggestion
from specc.model.graph import Model
from specc.model.program import Chosen, Program
from specc.text.diagnostics import Diagnostic

RUNS = "runs"  # where runs lie in a project, unless the command says otherwise
UNNAMED = "train"  # what the section without a name is called as a phase


def check_weights(model: Model, program: Program, folder: Path, runs: Path | None = None) -> Iterator[Diagnostic]:
    """The network against each of its files of weights, from what says where their tensors are; imports nothing large.

    `runs` is where phases have their runs. A file that is not there is a note, as is what was understood of it
    (`float16`, read as float32).
    """
    for chosen in program.weights:
        place = chosen.place("file")
        try:
            source = opened(chosen, folder, model.name, runs or folder / RUNS)
        except WeightProblem as problem:
            absent = problem.code == "missing-weights"
            yield Diagnostic(problem.code, place, problem.message, problem.help, severity="note" if absent else "error")
            yield from _paths(model, chosen, None)
            continue
        try:
            wrong = list(_paths(model, chosen, source))
            yield from wrong
            found = matched(model, chosen, source)
            if found.faults and not wrong:
                said = report(model, source, found, settings=True)
                yield Diagnostic(said.code, place, said.message, said.help)
            elif found.remarks and not wrong:
                yield Diagnostic("weights-read", place, "; ".join(found.remarks), severity="note")
        finally:
            source.close()


def opened(chosen: Chosen, folder: Path, network: str, runs: Path) -> WeightFile:
    """The file of a `weights` setting; raises WeightProblem."""
    said = chosen.entry.file
    return WeightFile(_newest(runs / network, network, said.name) if isinstance(said, Phase) else folder / said)


def _newest(folder: Path, network: str, phase: str) -> Path:
    """The best weights of the last finished run of a phase; raises WeightProblem where there is none."""
    begun = []
    numbers = sorted((int(each.name) for each in folder.glob("*") if each.name.isdecimal()), reverse=True)
    for number in numbers:
        try:
            config = json.loads((folder / str(number) / "config.json").read_text(encoding="utf-8"))
            if (config["phase"] or UNNAMED) == phase:
                if config["status"] == "finished":
                    return folder / str(number) / "best.safetensors"
                begun.append(f"{folder / str(number)} is {config['status']}")
        except (OSError, ValueError, KeyError, TypeError):
            continue  # no run, or one that is broken
    more = "" if phase == UNNAMED else f" --train {phase}"
    message = f"there is no finished run of the phase `{phase}` of {network} in {folder}"
    help = f"train it first: `specc train FILE{more}`; a file is written in quotes"
    raise WeightProblem(message + (f"; {begun[0]}" if begun else ""), help, "missing-weights")


def matched(model: Model, chosen: Chosen, source: WeightFile) -> Matched:
    """Where the weights of the network are in the file of a setting."""
    return match(model, source, chosen.entry.into, left_out(chosen))


def left_out(chosen: Chosen) -> tuple[str, ...]:
    """The paths after `except=`, one or several."""
    said: str | tuple[str, ...] = getattr(chosen.entry, "except")
    return (said,) if isinstance(said, str) else said


def _paths(model: Model, chosen: Chosen, source: WeightFile | None) -> Iterator[Diagnostic]:
    known = {key[:at] for key in (each.key for each in model.weights) for at in range(len(key)) if key[at] == "."}
    into = chosen.entry.into
    for each in paths_that_are_not(model, source, into, left_out(chosen)):
        if each == into:
            message = f"no weights of {model.name} lie below `{each}`"
        else:
            message = (
                f"`{each}` names no weights, neither in {model.name} nor in {source.name if source else 'the file'}"
            )
        help = suggestion(each, sorted(known))
        yield Diagnostic("weights-differ", chosen.place("into" if each == into else "except"), message, help)
