"""The rows of metrics.csv, a row an epoch, and the column that a rule looks at."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from specc.model.program import Chosen
from specc.train.problem import TrainProblem
from specc.train.program import Code

VALIDATION = "validation."  # how the columns of that part begin


def watched(code: Code, validated: bool) -> tuple[str, bool]:
    """The column that says which epoch was best, and whether more is better."""
    if code.program.stop is not None:
        return figure(code, code.program.stop, validated)
    if not validated:
        return "train.loss", False
    return next(iter(_rising(code).items()), ("validation.loss", False))


def figure(code: Code, chosen: Chosen, validated: bool) -> tuple[str, bool]:
    """The column that a rule looks at, and whether more is better; raises TrainProblem where it will not be there."""
    name = chosen.entry.on
    if not validated and name.startswith(VALIDATION):
        message = f"`{chosen.entry.name}` watches `{name}`, and there are no samples for validation"
        help = f"write `{chosen.entry.name}(on=train.loss)`, or give validation a share"
        raise TrainProblem("unknown-column", message, help)
    return name, _rising(code).get(name, False)


def _rising(code: Code) -> dict[str, bool]:
    return {f"{part}{each.label}": each.metric.entry.rises for part in (VALIDATION, "train.") for each in code.measures}


def rows_text(rows: list[dict[str, float]]) -> str:
    """Rows as CSV; numbers as Python writes them, so that they are read back as they were."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow([int(value) if name == "epoch" else repr(value) for name, value in row.items()])
    return text.getvalue()


def read_rows(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv; none where there is no file."""
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
