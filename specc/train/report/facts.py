"""What a run is made of: the network's table, the split and its hashes, the data, the settings, versions and times."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch

from specc import __version__
from specc.model.graph import Model
from specc.model.program import Program
from specc.model.report import report
from specc.train.program import Code
from specc.train.report.confusion import named
from specc.train.report.markup import Content, Html, folded, html, number, paragraph, table
from specc.train.samples import Samples

STEPS = 400  # rows of the network's table
EPOCHS = 200  # rows of the epochs' table
CLASSES = 60  # rows of the table of classes


def network(model: Model) -> Html:
    """The table of `specc check`: layer, op, output, parameters, multiply-adds."""
    found = report(model)
    rows: list[list[Content]] = [
        [
            Html(f"<code>{html(each['path'])}</code>"),
            each["op"],
            _shape(each["shape"]),
            _count(each["parameters"]),
            _count(each["macs"]),
        ]
        for each in found["steps"]
    ]
    frozen = "" if found["trainable"] == found["parameters"] else f" ({_count(found['trainable'])} trainable)"
    ports = " → ".join(
        ", ".join(f"{each['name']} {_shape(each['shape'])}" for each in found[name]) for name in ("inputs", "outputs")
    )
    said = f"{ports}; {_count(found['parameters']) or 'no'} parameters{frozen}, {_count(found['macs']) or 'no'} multiply-adds a sample."
    cut = paragraph(f"The first {STEPS} of {len(rows)} steps.", "soft") if len(rows) > STEPS else ""
    body = table(["layer", "op", "output", "parameters", "mult-adds"], rows[:STEPS], words=3)
    return Html(
        paragraph(said) + folded(f"{len(rows)} steps", body, cut) if len(rows) > 30 else paragraph(said) + body + cut
    )


def split(samples: Samples, program: Program) -> Html:
    """How many samples, of each class where samples have one, lie in each part, and the hash of the split."""
    parts = {"train": samples.parts.train, "validation": samples.parts.validation, "test": samples.parts.test}
    total = sum(map(len, parts.values())) or 1
    labels = samples.feed.dataset.labels()
    head: list[Content] = ["", *parts, "all"]
    counts = [len(each) for each in parts.values()]
    rows: list[list[Content]] = [
        ["samples", *counts, sum(counts)],
        ["share", *(f"{each / total:.1%}" for each in counts), ""],
    ]
    if labels is not None:
        number_of = max(samples.facts.classes or 0, int(labels.max(initial=-1)) + 1)
        names = named(number_of, samples.facts.class_names)
        of = [np.bincount(labels[each], minlength=number_of) for each in parts.values()]
        each_class: list[list[Content]] = [
            [name, *(int(each[at]) for each in of), int(sum(each[at] for each in of))] for at, name in enumerate(names)
        ]
        rows += each_class[:CLASSES]
    said_of = [(name, text) for name, text in program.texts if name == "split"]
    hashes = [*said_of, ("split sha256", samples.parts.sha256)]
    said = "The same hash is the same split; which sample lies where stands in split.csv."
    return Html(table(head, rows) + pairs(hashes) + paragraph(said, "soft"))


def data(samples: Samples) -> Html:
    """What the data are, and what whoever reads the figures should know of them."""
    facts = samples.facts
    rows = [("samples", f"{facts.count:,}"), ("target", facts.target)]
    rows += [
        (f"input {name}", " x ".join("?" if n is None else str(n) for n in shape))
        for name, shape in facts.input_shapes.items()
    ]
    if facts.class_names:
        rows.append(("classes", ", ".join(facts.class_names)))
    return pairs(rows + [("note", each) for each in samples.notes])


def versions(code: Code, spec: str, seconds: Sequence[float]) -> Html:
    """What it was made with, and how long an epoch took; `spec` is the hash of the spec."""
    device = next(iter(code.weights.values())).device
    rows = [
        ("spec sha256", spec), ("seed", str(code.program.seed)), ("specc", __version__), ("torch", torch.__version__),
        ("python", platform.python_version()), ("numpy", np.__version__), ("device", _device(device)),
        ("threads", str(torch.get_num_threads())),
    ]  # fmt: skip
    if seconds:
        said = f"median {statistics.median(seconds):.3g} s, from {min(seconds):.3g} to {max(seconds):.3g} s, validation included"
        rows.append(("time of an epoch", f"{said} ({len(seconds)} epochs)"))
    return pairs(rows)


def pairs(rows: Iterable[tuple[str, str]]) -> Html:
    """Facts by name."""
    return table([], [[name, Html(f"<code>{html(text)}</code>")] for name, text in rows], words=2, kind="facts")


def epochs(rows: Sequence[Mapping[str, float]], best: int) -> Html:
    """A row an epoch, the best one marked; of many some, spread evenly."""
    if not rows:
        return Html("")
    names = list(rows[0])
    step = max(1, -(-len(rows) // EPOCHS))
    kept = [row for at, row in enumerate(rows) if at % step == 0 or row["epoch"] == best or at + 1 == len(rows)]
    head = "".join(f"<th>{html(each)}" for each in names)
    body = ""
    for row in kept:
        mark = " class=chosen" if row["epoch"] == best else ""
        body += f"<tr{mark}>" + "".join(f"<td>{row[name]:.6g}" for name in names)
    cut = (
        paragraph(f"{len(kept)} of {len(rows)} epochs; all stand in metrics.csv.", "soft")
        if len(kept) < len(rows)
        else ""
    )
    inside = f"<div class=scroll><table><thead><tr>{head}</thead><tbody>{body}</table></div>{cut}"
    return folded(f"{len(rows)} epochs", Html(inside))


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _shape(sizes: Sequence[int | str] | None) -> str:
    return "?" if sizes is None else " x ".join(map(str, sizes)) or "scalar"


def _count(value: int | str) -> str:
    """A number of parameters or multiply-adds; nothing for none."""
    return "" if not value else number(value) if isinstance(value, int) else value
