"""The verdict with its errors as bars, the gaps between them, and what to try next."""

from __future__ import annotations

from specc.train.judge import MOST, Judged
from specc.train.report.markup import Content, Html, items, paragraph, spoken, table
from specc.train.verdict import DEVIATIONS, PART, POINTS, Gap

KINDS = (("human", "k3"), ("train", "k0"), ("dev", "k1"), ("test", "k2"))


def judgement(judged: Judged) -> Html:
    """The whole verdict."""
    found = judged.found
    errors = {"human": found.human, "train": found.train, "dev": found.dev, "test": found.test}
    most = max((each for each in errors.values() if each is not None), default=0.0)
    bars = ""
    for name, kind in KINDS:
        error = errors[name]
        width = 0.0 if error is None or most <= 0 else max(0.0, 100 * error / most)
        said = ("not said" if name == "human" else "not measured") if error is None else judged.spelled(error)
        bar = "" if error is None else f'<i class={kind} style="width:{width:.2f}%"></i>'
        bars += f"<span>{name}</span><div>{bar}</div><span>{said}</span>"
    floor = "train - human" if found.human is not None else "train - 0, as no `human` is said"
    gaps: list[tuple[str, str, Gap | None]] = [
        ("bias", floor, found.bias), ("variance", "dev - train", found.dev_gap),
        ("variance", "test - train", found.test_gap), ("parts that differ", "test - dev", found.shift),
    ]  # fmt: skip
    rows: list[list[Content]] = [
        [name, spoken(what), *_cells(judged, gap)] for name, what, gap in gaps if gap is not None
    ]
    advice = items(map(spoken, judged.advice))
    return Html(
        f"{paragraph(found.words, 'verdict')}{paragraph(f'The error is {judged.error}, with the best weights.', 'soft')}"
        f"<div class=bars>{bars}</div>{table(['', 'gap', 'is', 'large from', 'chance', ''], rows, words=2)}"
        f"{'<h3>What to try next</h3>' if advice else ''}{advice}{paragraph(_rules(judged), 'soft')}"
    )


def _cells(judged: Judged, gap: Gap) -> list[Content]:
    high = Html("<b>high</b>") if gap.high else "may be chance" if gap.wide else ""
    return [
        judged.spelled(gap.size),
        judged.spelled(gap.margin),
        judged.spelled(gap.chance) if gap.chance else "",
        high,
    ]


def _rules(judged: Judged) -> str:
    """What the verdict rests on."""
    said = f"Train is measured on {judged.measured:,} training samples"
    said += f" (at most {MOST:,}), as they are without augmentation; dev is the validation part at the best epoch. "
    if judged.found.share:
        said += f"A gap is high from {100 * POINTS:g} points of a hundred on, if it exceeds {DEVIATIONS:g} standard errors, "
        said += "where these are known (chance). "
    else:
        said += f"A gap is high from {100 * PART:g} % of the smaller error on. "
    return said + "The rules are those of A. Ng, Machine Learning Yearning, 2018."
