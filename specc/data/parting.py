"""The parts that a program asks for: by shares, by folds, from a file, or the test part that the data have of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from specc.data.columns import assigned, column, rows, sample_names
from specc.data.shares import DEFAULT, PARTS, SKIPPED, fractions, part_sizes
from specc.data.skipped import kept
from specc.data.sources import DataFacts, DataProblem, Dataset, MissingData, Source
from specc.model.program import Program
from specc.text.diagnostics import Diagnostic
from specc.text.source import Span

if TYPE_CHECKING:
    from specc.data.splits import Indices, Split


def parted(program: Program, source: Source, dataset: Dataset, folder: Path) -> Split:
    """Deal the samples that are not left out into training, validation and test; raises DataProblem."""
    from specc.data.splits import Split

    there = kept(dataset)
    group, stratify = _rules(program)
    values = column(source, group) if group else ()
    if not group and (together := getattr(dataset, "together", None)) is not None:
        values = together()
    groups = [values[int(at)] for at in there] if len(values) else None
    labels = dataset.labels() if stratify else None
    labels = None if labels is None else labels[there]
    if program.folds is not None and "n" not in program.folds.entry.fields:
        names = sample_names(source, len(dataset))
        found, folds = _chosen(program, folder, names)
        said = [(names[int(at)], found[int(at)]) for at in there]
        dealt = _from_file(program, said, folds, folder, labels, groups)
    else:
        dealt = _dealt(program, len(there), dataset.facts.test, labels, groups)
    return Split(there[dealt.train], there[dealt.validation], there[dealt.test])


def _dealt(program: Program, count: int, official: int, labels: Indices | None, groups: list[object] | None) -> Split:
    """The parts by chance, for samples that are numbered from 0 on without those that are left out."""
    import numpy as np

    from specc.data import splits

    seed = program.seed
    if program.folds is not None:
        assert program.split is not None
        at: int = program.split.entry.fold
        number: int = program.folds.entry.n
        found = splits.folds(count, number, seed, labels=labels, groups=groups, validation=_held(program))
        return found[at - 1]
    parts = fractions(*program.parts) if not official else fractions(*program.parts[:2], 0.0)
    rest = count - official
    inner = None if labels is None else labels[:rest]
    if groups is None:
        made = splits.split(rest, parts, seed, inner)
    else:
        made = splits.grouped(parts, groups[:rest], seed, inner)
    return splits.Split(made.train, made.validation, np.arange(rest, count, dtype=np.int64)) if official else made


def table(source: Source, parts: Split, count: int) -> str:
    """The parts as a file that `split` takes: the name of each of `count` samples and its part, or that it is left out."""
    import csv
    import io

    where = [SKIPPED] * count
    for part in PARTS:
        for at in getattr(parts, part):
            where[int(at)] = part
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sample", "part"])
    writer.writerows(zip(sample_names(source, count), where, strict=True))
    return text.getvalue()


def number_of_folds(program: Program, folder: Path) -> int:
    """How many folds `split` deals the samples into; 0 where there are none."""
    if program.folds is None:
        return 0
    if "n" in program.folds.entry.fields:
        return int(program.folds.entry.n)
    found = rows(folder / program.folds.entry.file, ("sample",))
    return max((int(row["fold"]) for _, row in found if row.get("fold", "").isdigit()), default=0)


def check_split(program: Program, source: Source, facts: DataFacts, folder: Path) -> Iterator[Diagnostic]:
    """What is wrong with the parts, as far as headers tell; a file of folds that is not there is a note."""
    own = program.split
    span = own.span if own is not None else program.source.span
    if facts.test and own is not None:
        message = f"the data have a test part of their own, of {facts.test:,} samples"
        if program.folds is not None:
            help = "say `split validation=0.1`, which is taken from the others"
            yield Diagnostic("setting-conflict", program.folds.span, message, help)
            return
        if "test" in own.places:
            yield Diagnostic("setting-conflict", own.place("test"), message, "leave `test=` out")
            return
    try:
        if program.folds is None:
            shares = fractions(*program.parts) if not facts.test else fractions(*program.parts[:2], 0.0)
            part_sizes(facts.count - facts.test - facts.skipped, shares)
        elif "file" in program.folds.entry.fields:
            _chosen(program, folder, sample_names(source, facts.count))
    except DataProblem as problem:
        yield _said(problem, program.folds.span if program.folds is not None else span)
    group, _ = _rules(program)
    try:
        if group:
            column(source, group, values=False)
    except DataProblem as problem:
        where = program.folds if program.folds is not None and "group" in program.folds.places else own
        yield _said(problem, where.place("group") if where is not None else span)


def _said(problem: DataProblem, span: Span) -> Diagnostic:
    if isinstance(problem, MissingData):
        return Diagnostic("missing-data", span, str(problem), problem.help, severity="note")
    return Diagnostic("bad-data", span, str(problem), problem.help)


def _rules(program: Program) -> tuple[str, bool]:
    """The column that keeps samples together, and whether classes are spread over the parts."""
    for each in (program.folds, program.split):
        if each is not None and "group" in each.entry.fields:
            return each.entry.group, each.entry.stratify
    return "", True


def _held(program: Program) -> float:
    """The share of validation in what a fold trains on."""
    return DEFAULT[1] if program.parts[1] is None else program.parts[1]


def _chosen(program: Program, folder: Path, names: Sequence[str]) -> tuple[list[str], bool]:
    """What the file says of every sample, and whether it says folds; the fold that is asked for is among them."""
    assert program.folds is not None
    assert program.split is not None
    path = folder / program.folds.entry.file
    found, folds = assigned(path, names)
    known = {int(each) for each in found} if folds else {1}
    if program.split.entry.fold not in known:
        message = f"there is no fold {program.split.entry.fold} in it"
        raise DataProblem(message, f"there are {', '.join(map(str, sorted(known)))}" if folds else "", path)
    if "train" not in found and not folds:
        raise DataProblem("no sample of it trains", "give some the part train", path)
    return found, folds


def _from_file(
    program: Program,
    said: Sequence[tuple[str, str]],
    folds: bool,
    folder: Path,
    labels: Indices | None,
    groups: list[object] | None,
) -> Split:
    """The parts as a file gives them: the name of every sample and its part or fold."""
    import numpy as np

    from specc.data import splits

    assert program.split is not None
    assert program.folds is not None
    names, found = [each for each, _ in said], [each for _, each in said]
    if groups is not None:
        first: dict[object, int] = {}
        for at, group in enumerate(groups):
            other = first.setdefault(group, at)
            if found[other] != found[at]:
                message = (
                    f"{group} is in two parts: sample {names[other]} in {found[other]}, {names[at]} in {found[at]}"
                )
                raise DataProblem(message, "keep what is alike together", folder / program.folds.entry.file)
    if not folds:
        return splits.Split(*(np.flatnonzero(np.array([each == part for each in found])) for part in PARTS))
    at = program.split.entry.fold
    test = np.flatnonzero(np.array([int(each) == at for each in found]))
    return splits.fold(len(found), test, labels, groups, _held(program), at, program.seed)
