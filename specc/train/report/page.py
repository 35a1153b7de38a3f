"""report.html: curves, verdict, answers and settings on one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from specc.train.judge import Judged
from specc.train.log import REASONS
from specc.train.program import Code
from specc.train.report import chart
from specc.train.samples import Samples
from specc.train.showing import Shown

MOST_CLASSES = 40
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1c1e21; }
h1 { margin-bottom: 0; } h2 { margin: 2rem 0 .3rem; } p { margin: .3rem 0; } .verdict { font-size: 1.2rem; }
.figures { display: flex; flex-wrap: wrap; gap: 0 1.5rem; } figure { margin: 1rem 0 0; } svg { max-width: 100%; }
figcaption { display: flex; gap: 1.2rem; max-width: 460px; } .legend { margin-left: auto; font-size: 12px; }
.legend span { margin-left: .9rem; } .legend i { display: inline-block; width: 16px; height: 3px; margin: 0 5px 3px 0; }
.legend .dashed { height: 0; border-top: 2px dashed #868e96; }
svg text { font-size: 11px; fill: #57606a; } circle { fill: #1f6feb; fill-opacity: .55; }
.line { fill: none; stroke-width: 2; } .grid { stroke: #eef0f2; } .axis { fill: none; stroke: #adb5bd; }
.best { stroke: #868e96; stroke-dasharray: 4 3; }
table { border-collapse: collapse; margin: .5rem 0; } td, th { padding: .15rem .6rem; text-align: right; }
th, td:first-child { text-align: left; } tr { border-bottom: 1px solid #e5e7eb; } .words td { text-align: left; }
code { font-size: 13px; overflow-wrap: anywhere; } .chosen { background: #fff3bf; }
.confusion th { text-align: right; white-space: nowrap; } .confusion td { min-width: 1.6rem; }
.table { overflow-x: auto; } .right { background: #d3f9d8; } .wrong { background: #ffe3e3; } .share { color: #57606a; }
"""


def page(
    code: Code,
    samples: Samples,
    rows: Sequence[Mapping[str, float]],
    results: Mapping[str, float],
    shown: Shown | None,
    judgement: Judged | None,
    best_epoch: int,
    reason: str,
) -> str:
    """The whole page."""
    name = escape(code.model.name)
    return (
        f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{name}</title><style>{STYLE}</style>\n"
        f"<h1>{name}</h1>\n<p class=verdict>{escape(_headline(results, best_epoch, len(rows), reason))}</p>\n"
        f"{_judgement(judgement)}\n"
        f"<div class=figures>{_curves(rows, best_epoch)}</div>\n{_answers(shown, samples.facts.class_names)}\n"
        f"<h2>Settings</h2>\n{_table(code.program.texts)}\n<h2>Data</h2>\n{_table(_data(samples))}\n"
        f"<h2>Epochs</h2>\n{_epochs(rows, best_epoch)}\n</html>\n"
    )


def _headline(results: Mapping[str, float], best_epoch: int, epochs: int, reason: str) -> str:
    if not results:
        return f"After {epochs} epochs {REASONS[reason]}; nothing was measured on a test part."
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in results.items() if name != "loss")
    figures = f"{numbers}, loss {results['loss']:.4g}" if numbers else f"loss {results['loss']:.4g}"
    return f"On the test part: {figures}; weights of epoch {best_epoch} of {epochs}; {REASONS[reason]}."


def _judgement(judgement: Judged | None) -> str:
    """The verdict, its errors, and what to try next."""
    if judgement is None:
        return ""
    said = "".join(f"<li>{escape(each)}" for each in judgement.advice)
    return f"<h2>Verdict</h2><p>{'; '.join(map(escape, judgement.lines()[:2]))}</p><ul>{said}</ul>"


def _curves(rows: Sequence[Mapping[str, float]], best_epoch: int) -> str:
    """A drawing per figure, and one of the learning rate where it changes."""
    names = [each for each in (rows[0] if rows else ()) if each not in ("epoch", "rate")]
    found = ""
    for kind in dict.fromkeys(each.partition(".")[2] for each in names):
        lines = {name: [(row["epoch"], row[name]) for row in rows] for name in names if name.partition(".")[2] == kind}
        found += chart.curves(kind, lines, best_epoch)
    if len({row["rate"] for row in rows}) > 1:
        found += chart.curves("learning rate", {"rate": [(row["epoch"], row["rate"]) for row in rows]}, best_epoch)
    return found


def _table(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<tr><td>{escape(name)}<td><code>{escape(text)}</code>" for name, text in rows)
    return f"<table class=words>{body}</table>"


def _data(samples: Samples) -> list[tuple[str, str]]:
    """What the data are and how they were split; the hash is the same for the same split only."""
    facts, parts = samples.facts, samples.parts
    train, validation, test = len(parts.train), len(parts.validation), len(parts.test)
    rows = [("samples", f"{facts.count}: {train} train, {validation} validation, {test} test")]
    rows.append(("split sha256", parts.sha256))
    rows += [
        (f"input {name}", " x ".join("?" if n is None else str(n) for n in shape))
        for name, shape in facts.input_shapes.items()
    ]
    if facts.class_names:
        rows.append(("classes", ", ".join(facts.class_names)))
    return rows + [("note", each) for each in samples.notes]


def _epochs(rows: Sequence[Mapping[str, float]], best_epoch: int) -> str:
    names = list(rows[0]) if rows else []
    head = "".join(f"<th>{escape(each)}" for each in names)
    body = ""
    for row in rows:
        mark = " class=chosen" if row["epoch"] == best_epoch else ""
        body += f"<tr{mark}>" + "".join(f"<td>{row[name]:.6g}" for name in names)
    return f"<div class=table><table><tr>{head}{body}</table></div>"


def _answers(shown: Shown | None, classes: Sequence[str]) -> str:
    head = "<h2>Answers on the test part</h2>"
    if shown is not None and shown.confusion and len(shown.confusion) <= MOST_CLASSES:
        return f"{head}<p>A row is the right class, a column the answer.</p>{_confusion(shown.confusion, classes)}"
    if shown is not None and shown.pairs:
        return f"{head}<p>Across the target, upwards the output; on the line both are the same.</p>{chart.scatter(shown.pairs)}"
    return ""


def _confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    names = [classes[at] if at < len(classes) else str(at) for at in range(len(counts))]
    head = "".join(f"<th>{escape(each)}" for each in names)
    body = ""
    for at, row in enumerate(counts):
        cells = "".join(f"<td{_shade(at == to, count)}>{count or ''}" for to, count in enumerate(row))
        share = f"{row[at] / sum(row):.1%}" if sum(row) else ""
        body += f"<tr><th>{escape(names[at])}{cells}<td class=share>{share}"
    return f"<div class=table><table class=confusion><tr><th>{head}<th class=share>found{body}</table></div>"


def _shade(right: bool, count: int) -> str:
    return "" if not count else " class=right" if right else " class=wrong"
