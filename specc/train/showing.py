"""What a report shows of a network: its answer to every sample of the test part, a few of them in whole, its first layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from specc.model.graph import Step
from specc.model.heads import head
from specc.train.loader import Indices
from specc.train.measure import measure
from specc.train.metrics.classification import Confusion
from specc.train.metrics.meter import Reading, Spacings, Taker, reading
from specc.train.program import Code
from specc.train.samples import Samples

POINTS = 500  # pairs of target and output
LAYERS = 3
PROBABLE = ("probability", "probabilities")
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """What the answers to some samples were, an entry a sample, in their order.

    `kind` is the data's kind of target. Of a class a sample there are the right one, the one `answered`, how sure the
    network was of it, and, where there are two, the number that says yes; `probable` says that these are probabilities.
    `scores` say how good an answer is: the Dice coefficient of a mask (NaN where nothing is there and nothing was
    found), minus the mean absolute error of numbers. `pairs` are the first numbers of target and output. `failed` says why there
    is nothing to show.
    """

    kind: str
    output: str
    indices: Indices
    confusion: tuple[tuple[int, ...], ...] = ()
    pairs: tuple[tuple[float, float], ...] = ()
    right: tuple[int, ...] = ()
    answered: tuple[int, ...] = ()
    sure: tuple[float, ...] = ()
    yes: tuple[float, ...] = ()
    probable: bool = False
    scores: tuple[float, ...] = ()
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A sample in whole: its inputs by name, as they lie in the data where the network sees the same places, its target,
    and the answer: a class number for each position, else the numbers of the output. `at` is its place in `Shown`."""

    at: int
    inputs: dict[str, Array]
    target: Array
    answer: Array


@dataclass(frozen=True, slots=True)
class Layer:
    """One of the first layers with filters: its path, its weights [out, in, ...], what it gives [out, ...]."""

    path: str
    op: str
    weight: Array
    maps: Array


def figures(
    code: Code, samples: Samples, indices: Indices, more: Mapping[str, tuple[str, Taker]]
) -> tuple[dict[str, float], Shown | None]:
    """Loss and metrics over some samples, and what a report shows of the answers to them; `more` are fed on the way."""
    feed, kind = samples.feed, samples.facts.target
    indices = feed.ordered(indices)  # as they are measured
    watched = next(iter(code.measures), None)
    if watched is None:
        return measure(code, feed, indices, more), None
    read = reading(code.model, code.program, watched.output)
    if kind in ("real", "image"):
        numbers = _Numbers()
        careful = _Careful(numbers)
        found = measure(code, feed, indices, {"numbers": (watched.output, careful), **more})
        if careful.failed:
            return found, Shown(kind, watched.output, indices, failed=careful.failed)
        pairs, scores = tuple(numbers.pairs), tuple(numbers.scores)
        return found, Shown(kind, watched.output, indices, pairs=pairs, scores=scores)
    probable = head(code.model, watched.output).makes in PROBABLE
    confusion, each = Confusion(None, read), _Classes(read, probable) if kind == "class" else _Masks(read)
    takers = {"confusion": _Careful(confusion), "each": _Careful(each)}
    fed = {name: (watched.output, taker) for name, taker in takers.items()}
    found = measure(code, feed, indices, fed | dict(more))
    for taker in takers.values():
        if taker.failed:
            return found, Shown(kind, watched.output, indices, failed=taker.failed)
    table = tuple(tuple(row) for row in confusion.counts.tolist())
    if isinstance(each, _Masks):
        return found, Shown(kind, watched.output, indices, table, scores=tuple(each.scores))
    return found, Shown(
        kind, watched.output, indices, table, (), tuple(each.right), tuple(each.answered), tuple(each.sure),
        tuple(each.yes), probable,
    )  # fmt: skip


class _Careful:
    """A taker whose failure costs nothing but what it would have shown."""

    def __init__(self, taker: Taker) -> None:
        self.taker = taker
        self.failed = ""

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        if not self.failed:
            try:
                self.taker.add(output, target, spacing)
            except Exception as error:  # the figures of the run go on
                self.failed = f"{type(error).__name__}: {error}"


class _Classes:
    """A class a sample: the right one, the answer, and how sure it is."""

    def __init__(self, read: Reading, probable: bool) -> None:
        self.read, self.probable = read, probable
        self.right: list[int] = []
        self.answered: list[int] = []
        self.sure: list[float] = []
        self.yes: list[float] = []

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        answers = self.read.classes(output, target)
        self.right += target.tolist()
        self.answered += answers.tolist()
        if self.read.axis is None:
            yes = output.reshape(len(target)).double()
            self.yes += yes.tolist()
            self.sure += torch.where(answers > 0, yes, 2 * self.read.yes - yes).tolist()
            return
        each = output.movedim(self.read.axis, 1).reshape(len(target), -1).double()
        self.sure += each.amax(1).tolist()
        if each.shape[1] == 2:
            self.yes += (each[:, 1] if self.probable else each[:, 1] - each[:, 0]).tolist()


class _Masks:
    """A class per position: the Dice coefficient of each sample, the mean over the classes from 1 on that are there or
    were found."""

    def __init__(self, read: Reading) -> None:
        self.read = read
        self.scores: list[float] = []

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        counted = self.read.counted(output, target)
        number = self.read.number(output)
        for classes, answer, kept in zip(target, self.read.classes(output, target), counted, strict=True):
            pairs = (classes * number + answer)[kept]
            counts = torch.bincount(pairs, minlength=number * number).view(number, number).double()
            sizes = counts.sum(0) + counts.sum(1)
            dice = (2 * counts.diagonal() / sizes)[1:][sizes[1:] > 0]
            self.scores.append(float(dice.mean()) if len(dice) else float("nan"))


class _Numbers:
    """Real targets: the first pairs of target and output, and minus the mean absolute error of each sample."""

    def __init__(self) -> None:
        self.pairs: list[tuple[float, float]] = []
        self.scores: list[float] = []

    def add(self, output: torch.Tensor, target: torch.Tensor, spacing: Spacings | None = None) -> None:
        output = output.view_as(target)
        room = POINTS - len(self.pairs)
        if room > 0:
            both = zip(target.flatten()[:room].tolist(), output.flatten()[:room].tolist(), strict=True)
            self.pairs += list(both)
        self.scores += (-(output.double() - target.double()).abs().reshape(len(target), -1).mean(1)).tolist()


def examples(code: Code, samples: Samples, shown: Shown, chosen: Sequence[int]) -> list[Example]:
    """Some of the samples in whole, by their places in `shown`."""
    found = []
    read = reading(code.model, code.program, shown.output) if shown.kind in ("class", "classes") else None
    code.module.eval()
    for at in chosen:
        index = shown.indices[at : at + 1]
        with torch.no_grad():
            inputs, target = samples.feed.batch(index)
            output = code.functions.heads(code.outputs(inputs))[shown.output]
        answer = read.classes(output, target) if read is not None else output.view_as(target)
        given = _seen(samples, int(index[0]), {name: _numbers(each[0]) for name, each in inputs.items()})
        found.append(Example(at, given, target[0].cpu().numpy(), _numbers(answer[0])))
    return found


def _seen(samples: Samples, index: int, prepared: dict[str, Array]) -> dict[str, Array]:
    """The inputs as people know them: those of the data, where `prepare` left their places alone."""
    raw = samples.feed.dataset.sample(index)[0]
    given = {name: raw[own] for name, (own, _) in samples.feed.inputs.items()}
    same = {name for name, each in given.items() if name in prepared and np.shape(each) == prepared[name].shape}
    return {name: given[name] if name in same else each for name, each in prepared.items()}


def layers(code: Code, samples: Samples, index: int) -> list[Layer]:
    """The first layers with filters over places, and what they make of a sample."""
    modules = dict(code.module.named_modules())
    steps: dict[str, Step] = {}
    for step in code.model.inference:
        if step.module is not None and step.module.path in modules and step.macs != 0:
            spec = step.module.weights.get("weight")
            if spec is not None and len(spec.shape) > 2:
                steps.setdefault(step.module.path, step)
    chosen = dict(list(steps.items())[:LAYERS])
    made: dict[str, torch.Tensor] = {}
    hooks = [modules[path].register_forward_hook(_keep(made, path)) for path in chosen]
    code.module.eval()
    try:
        with torch.no_grad():
            inputs, _ = samples.feed.batch(np.array([index], dtype=np.int64))
            logits: Any = code.module.logits
            logits(*(inputs[port.name] for port in code.model.inputs))  # not compiled: hooks are called
    finally:
        for each in hooks:
            each.remove()
    weights = code.module.state_dict()
    return [
        Layer(
            step.path,
            step.op.name,
            _numbers(weights[f"{path}.weight"]),
            _numbers(made[path][0]),
        )
        for path, step in chosen.items()
        if path in made and f"{path}.weight" in weights
    ]


def _numbers(tensor: torch.Tensor) -> Array:
    """A tensor for numpy, which has no bfloat16."""
    found: Array = (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()
    return found


def _keep(made: dict[str, torch.Tensor], path: str) -> Any:
    def hook(_: Any, __: Any, output: torch.Tensor) -> None:
        made.setdefault(path, output.detach())

    return hook
