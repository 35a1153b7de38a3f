"""report.html: what a run was, on one page that needs nothing else and holds a few megabytes at most.

What it shows of samples, layers and rows is bounded by the constants of the files beside this one. A section that
cannot be drawn says so in its place and is returned as a failure: a report never costs a run.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from specc.train import showing
from specc.train.judge import Judged
from specc.train.log import REASONS
from specc.train.program import Code
from specc.train.report import answers, facts, figures
from specc.train.report.inside import inside
from specc.train.report.judgement import judgement
from specc.train.report.markup import Html, paragraph, section
from specc.train.report.style import POLICY, STYLE
from specc.train.samples import Samples
from specc.train.showing import Shown

FAILED = "This section could not be drawn"


@dataclass(frozen=True, slots=True)
class Story:
    """All that a report tells: `rows` are those of metrics.csv, `results` the figures of the test part, `seconds` how
    long the epochs took that this process saw, `spec` the hash of the spec."""

    code: Code
    samples: Samples
    rows: Sequence[Mapping[str, float]]
    results: Mapping[str, float]
    shown: Shown | None
    judged: Judged | None
    best: int
    reason: str
    spec: str
    seconds: Sequence[float] = ()


def page(story: Story) -> tuple[str, list[str]]:
    """The whole page, and a line for each section that could not be drawn."""
    failures: list[str] = []
    code, samples = story.code, story.samples
    sections: tuple[tuple[str, str, Callable[[], Html]], ...] = (
        ("Verdict", "verdict", lambda: judgement(story.judged) if story.judged is not None else Html("")),
        ("Curves", "curves", lambda: figures.curves(story.rows, story.best)),
        ("Answers on the test part", "answers", lambda: _answers(story)),
        ("First layers", "layers", lambda: _layers(story)),
        ("Network", "network", lambda: facts.network(code.model)),
        ("Split", "split", lambda: facts.split(samples, code.program)),
        ("Data", "data", lambda: facts.data(samples)),
        ("Settings", "settings", lambda: facts.pairs(code.program.texts)),
        ("Made with", "versions", lambda: facts.versions(code, story.spec, story.seconds)),
        ("Epochs", "epochs", lambda: facts.epochs(story.rows, story.best)),
    )
    drawn = [(title, anchor, _guarded(title, anchor, make, failures)) for title, anchor, make in sections]
    name = escape(code.model.name)
    menu = "".join(f"<a href=#{anchor}>{escape(title)}</a>" for title, anchor, made in drawn if made)
    body = "".join(made for _, _, made in drawn)
    return (
        "<!doctype html>\n<html lang=en>\n<head><meta charset=utf-8>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{name}</h1>\n{_headline(story)}\n<nav>{menu}</nav>\n{body}</body>\n</html>\n"
    ), failures


def _guarded(title: str, anchor: str, make: Callable[[], Html], failures: list[str]) -> Html:
    """A section; where drawing it fails, what was wrong."""
    try:
        return section(title, make(), anchor=anchor)
    except Exception as error:  # whatever it is, the run is worth more than its picture
        said = f"{FAILED}: {type(error).__name__}: {error}"
        failures.append(f"report, {title}: {said}")
        return section(title, paragraph(said, "failed"), anchor=anchor)


def _headline(story: Story) -> Html:
    """The figures of the test part, and how training ended."""
    epochs = len(story.rows)
    ended = f"{epochs} epoch{'s' if epochs != 1 else ''}; {REASONS[story.reason]}"
    if story.best:
        ended += f"; best was epoch {story.best}"
    if not story.results:
        ended += "; nothing was measured on a test part"
    return Html(paragraph(ended + ".", "soft") + figures.tiles(story.results))


def _answers(story: Story) -> Html:
    """All answers at a glance, then the samples that tell most."""
    shown, known = story.shown, story.samples.facts
    if shown is None:
        return Html("")
    if shown.failed:
        raise RuntimeError(shown.failed)
    found = showing.examples(story.code, story.samples, shown, answers.chosen(shown))
    overview = answers.overview(shown, known.class_names)
    return Html(overview + answers.gallery(shown, found, known.class_names, _names(story.samples), known.names))


def _layers(story: Story) -> Html:
    """The first layers, with the first sample of the last part that has one."""
    parts = story.samples.parts
    part = next((each for each in (parts.test, parts.validation, parts.train) if len(each)), None)
    if part is None:
        return Html("")
    index = int(part[0])
    return inside(showing.layers(story.code, story.samples, index), _names(story.samples)[index])


def _names(samples: Samples) -> list[str]:
    """How the samples are called, as in split.csv."""
    return [row["sample"] for row in csv.DictReader(io.StringIO(samples.table))]
