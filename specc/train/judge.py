"""The verdict on a run: its errors measured, compared, and said in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from specc.train.advice import Practice, advice
from specc.train.loader import Indices
from specc.train.measure import measure
from specc.train.program import Code
from specc.train.samples import Samples
from specc.train.team import ALONE, Alone
from specc.train.verdict import Verdict, verdict

MOST = 2_000  # training samples that are measured; more hardly make the figure more exact
CLASSES = ("class", "classes")
LOSS = "loss"


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, what its errors are of, how many training samples were measured, and what to try next.

    `figure` is a column of the metrics, `rises` says that the error is 1 - it.
    """

    found: Verdict
    figure: str
    rises: bool
    measured: int
    advice: tuple[str, ...]

    @property
    def error(self) -> str:
        """What is taken as the error."""
        return f"1 - {self.figure}" if self.rises else self.figure

    def lines(self) -> tuple[str, ...]:
        """The verdict and the first thing to try, for the terminal and the log."""
        found = self.found
        errors = [("human", found.human), ("train", found.train), ("dev", found.dev), ("test", found.test)]
        numbers = ", ".join(f"{name} {self.spelled(value)}" for name, value in errors if value is not None)
        said = (f"verdict: {found.words}", f"{self.error}: {numbers}")
        return (*said, f"try next: {self.advice[0]}") if self.advice else said

    def spelled(self, error: float) -> str:
        """An error for people: shares in percent."""
        return f"{error:.1%}".replace("-0.0%", "0.0%") if self.found.share else f"{error:.4g}"

    def to_json(self) -> dict[str, Any]:
        """For config.json."""
        found = self.found
        return {
            "words": found.words, "error": self.error, "human": found.human, "train": found.train, "dev": found.dev,
            "test": found.test, "training_samples_measured": self.measured, "try_next": list(self.advice),
        }  # fmt: skip


def judged(
    code: Code,
    samples: Samples,
    rows: Sequence[Mapping[str, float]],
    best: int,
    results: Mapping[str, float],
    team: Alone = ALONE,
) -> Judged:
    """The verdict on the weights in the module, those of the epoch `best`; `results` are the figures of the test part.

    The training error is measured as the others are, in evaluation mode and without augmentation, on at most `MOST` of
    the training samples, spread evenly; that of the development part is the row of the best epoch.
    """
    first = code.measures[0] if code.measures else None
    figure, rises = (first.label, first.metric.entry.rises) if first is not None else (LOSS, False)
    parts = samples.parts
    chosen = spread(parts.train, MOST)
    row = next((each for each in rows if each["epoch"] == best), {})
    seen = (
        measure(code, samples.feed, chosen, team=team).get(figure),
        row.get(f"validation.{figure}"),
        results.get(figure),
    )
    train, dev, test = (None if each is None else 1 - each if rises else each for each in seen)
    counted = first is not None and any(each in CLASSES for each in first.metric.entry.targets)
    whole = len(chosen) == len(parts.train)
    counts = (0 if whole else len(chosen), len(parts.validation), len(parts.test)) if counted else (0, 0, 0)
    found = verdict(code.program.human, train, dev, test, share=rises, counts=counts)
    return Judged(found, figure, rises, len(chosen), advice(found, _practice(code, best)))


def spread(indices: Indices, most: int) -> Indices:
    """At most so many of the samples, spread evenly over them."""
    if len(indices) <= most:
        return indices
    return indices[np.linspace(0, len(indices) - 1, most).astype(np.int64)]


def _practice(code: Code, best: int) -> Practice:
    model, program = code.model, code.program
    names = {step.op.name for step in model.steps}
    return Practice(
        dropout=any("dropout" in each for each in names),
        decay=bool(program.regularize) or bool(getattr(program.optimizer.entry, "decay", 0)),
        augment=bool(program.augment),
        rising=best == program.epochs,
        pictures=any(model.type(port.value).rank >= 3 for port in model.inputs),
        folds=program.folds is not None,
        epochs=program.epochs,
    )
