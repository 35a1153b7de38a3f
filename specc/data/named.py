"""The source that a program names: made from its setting, described for `check`, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from specc.data.parting import check_split
from specc.data.sources import BrokenFile, DataProblem, MissingData, Source
from specc.model.check import check_program
from specc.model.graph import Model
from specc.model.program import Chosen, Program
from specc.text.diagnostics import Diagnostic


def implementation(reference: str) -> Any:
    """What `"specc.data.tables:Table"` names."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def source(chosen: Chosen, folder: Path) -> Source:
    """The source of a `data` setting; its paths start at `folder`, the project's. Reads nothing."""
    found: Source = implementation(chosen.entry.runs)(**chosen.entry.keywords(folder))
    return found


def check_data(model: Model, program: Program, folder: Path, whole: bool = False) -> Iterator[Diagnostic]:
    """The network and its training against the data, from headers alone; a file that is not there is a note.

    Says what `check_program` says with the facts and does not say without them. With `whole`, all files are read where a
    header cannot be, so that all that are broken are named.
    """
    given = source(program.source, folder)
    try:
        facts = given.describe()
    except MissingData as problem:
        yield Diagnostic("missing-data", program.source.span, str(problem), problem.help, severity="note")
        return
    except DataProblem as problem:
        found = _of_all(given, problem) if whole and isinstance(problem, BrokenFile) else problem
        yield Diagnostic("bad-data", program.source.span, str(found), found.help)
        return
    yield from check_split(program, given, facts, folder)
    known = {each.order for each in check_program(model, program)}
    yield from (each for each in check_program(model, program, facts) if each.order not in known)


def _of_all(given: Source, problem: DataProblem) -> DataProblem:
    """What is wrong with all samples, of some of which headers told the problem."""
    try:
        given.load()
    except DataProblem as found:
        return found
    return problem
