"""Steps as bodies within bodies, as the paths of their modules say, and what each body needs of what is around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from specc.deploy.reading.paths import Path, Placed


@dataclass(slots=True)
class Item:
    """One line of a body: a step, or a group of further lines. `label` is its name in the body, dots and all."""

    label: str = ""
    placed: Placed | None = None
    body: Body | None = None

    @property
    def weighted(self) -> bool:
        return self.body is not None or bool(self.placed and self.placed.step.weights)

    def steps(self) -> Iterator[Placed]:
        if self.placed is not None:
            yield self.placed
        else:
            assert self.body is not None
            for each in self.body.items:
                yield from each.steps()

    @property
    def result(self) -> str:
        """The tensor that it leaves behind."""
        last = list(self.steps())[-1].step
        return last.outputs[0]


@dataclass(slots=True)
class Body:
    """Lines in their order. `takes` is the tensor that flows in."""

    items: list[Item] = field(default_factory=list)
    takes: str = ""

    def steps(self) -> Iterator[Placed]:
        for each in self.items:
            yield from each.steps()


def arranged(steps: list[Placed], flow: str, outputs: tuple[str, ...]) -> Body:
    """The whole network; a group is one only where its steps follow each other and nothing inside is used from outside."""
    used: dict[str, list[int]] = {}
    for at, each in enumerate(steps):
        for name in (*each.step.inputs, *each.step.named.values()):
            used.setdefault(name, []).append(at)
    for name in outputs:
        used.setdefault(name, []).append(len(steps))
    return _body(steps, list(range(len(steps))), 0, flow, used)


def _body(steps: list[Placed], span: list[int], depth: int, flow: str, used: dict[str, list[int]]) -> Body:
    """The lines of some steps that share `depth` parts of their paths. What cannot be a group is taken apart: its name
    becomes a part of the labels in it."""
    body = Body(takes=flow)
    levels = dict.fromkeys(span, 0)
    while True:
        runs = _runs(steps, span, depth, levels)
        broken = {run[0] for run in runs if run[0] is not None and not _whole(steps, runs, run, used)}
        if not broken:
            break
        for key, places in runs:
            if key in broken:
                for at in places:
                    levels[at] += 1
    for key, places in runs:
        if key is None:
            for at in places:
                rest = (*steps[at].group[depth:], steps[at].label) if steps[at].label else ()
                body.items.append(Item(".".join(rest), steps[at]))
        else:
            deeper = depth + len(key)
            inner = _body(steps, places, deeper, _entry(steps, places), used)
            body.items.append(Item(".".join(key), body=inner))
    return body


def _runs(
    steps: list[Placed], span: list[int], depth: int, levels: dict[int, int]
) -> list[tuple[Path | None, list[int]]]:
    """Steps that follow each other in one group; None for those of the body itself."""
    found: list[tuple[Path | None, list[int]]] = []
    for at in span:
        rest = steps[at].group[depth:]
        take = levels[at] + 1
        key = rest[:take] if len(rest) >= take else None
        if found and found[-1][0] == key:
            found[-1][1].append(at)
        else:
            found.append((key, [at]))
    return found


def _whole(
    steps: list[Placed],
    runs: list[tuple[Path | None, list[int]]],
    run: tuple[Path | None, list[int]],
    used: dict[str, list[int]],
) -> bool:
    """Whether a run can be a group: the only one of its name, holding a module, and opaque but for its result."""
    key, places = run
    if sum(other == key for other, _ in runs) > 1:
        return False
    if not any(steps[at].step.weights for at in places) or any(steps[at].again is not None for at in places):
        return False
    inside = set(places)
    for at in places[:-1]:
        for name in steps[at].step.outputs:
            if any(reader not in inside for reader in used.get(name, ())):
                return False
    last = steps[places[-1]].step
    return not any(reader not in inside for name in last.outputs[1:] for reader in used.get(name, ()))


def _entry(steps: list[Placed], places: list[int]) -> str:
    """The tensor that flows into a group: what its first step takes."""
    first = steps[places[0]].step
    return first.inputs[0] if first.inputs else ""
