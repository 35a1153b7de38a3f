"""Which module each step is: the paths that the weights have in the file, else where the file says that it stands."""

from __future__ import annotations

from dataclasses import dataclass

from specc.deploy.reading.made import Step

Path = tuple[str, ...]


@dataclass(slots=True)
class Placed:
    """A step, the group that it stands in, and the name that it has there; "" where any will do.

    `again` is the step whose module it is once more.
    """

    step: Step
    group: Path
    label: str = ""
    again: Placed | None = None


def placed(steps: list[Step]) -> list[Placed]:
    """Every step with its place. Two modules never get one path.

    A module that is run twice is one where the file does not say otherwise and a spec can name it again: at the top.
    Weights that two modules share in the file only because their numbers are the same are copied.
    """
    paths = [_own(step) for step in steps]
    modules = {path for path in paths if path} | {_split(step.path) for step in steps if step.weights}
    inside = {path[:cut] for path in modules for cut in range(len(path))}
    taken: dict[Path, Placed] = {}
    found: list[Placed] = []
    for step, path in zip(steps, paths, strict=True):
        scope = _split(step.path)
        if not step.weights:
            found.append(Placed(step, _group(scope, inside)))
            continue
        first = taken.get(path) if path is not None else None
        if first is not None and len(first.group) == 0 and _same(first.step, step) and step.path == first.step.path:
            found.append(Placed(step, (), first.label, first))
            continue
        if path is None or path in taken:
            path = scope if scope and scope not in inside else (*_group(scope, inside), step.kind.name)
        path = _free(path, taken, inside)
        taken[path] = Placed(step, path[:-1], path[-1])
        found.append(taken[path])
    _adopt(found)
    return found


def _adopt(steps: list[Placed]) -> None:
    """A step of which the file does not say where it stands, as an optimiser leaves it, stands where both its neighbours
    do."""
    silent = [not each.label and not each.step.path for each in steps]
    before: Path = ()
    ahead: list[Path] = []
    for each, says in zip(reversed(steps), reversed(silent), strict=True):
        ahead.append(ahead[-1] if says and ahead else () if says else each.group)
    for each, says, after in zip(steps, silent, reversed(ahead), strict=True):
        if says and before == after:
            each.group = before
        elif not says:
            before = each.group


def _own(step: Step) -> Path | None:
    """The module's path by the names of its weights; None where they tell nothing."""
    for key in step.keys:
        path, _, name = key.rpartition(".")
        if path and name.startswith(("weight", "bias", "running_", "in_proj")):
            return _split(path)
    return None


def _split(path: str) -> Path:
    return tuple(each for each in path.split(".") if each)


def _group(scope: Path, inside: set[Path]) -> Path:
    """The scope where it holds modules, else what it stands in: a module without weights is a step of that."""
    while scope and scope not in inside:
        scope = scope[:-1]
    return scope


def _same(one: Step, other: Step) -> bool:
    """Whether two steps are one module that is run twice."""
    if (
        one.kind is not other.kind
        or dict(one.arguments) != dict(other.arguments)
        or set(one.weights) != set(other.weights)
    ):
        return False
    return one.keys == other.keys and all(
        one.weights[name].shape == other.weights[name].shape and (one.weights[name] == other.weights[name]).all()
        for name in one.weights
    )


def _free(path: Path, taken: dict[Path, Placed], inside: set[Path]) -> Path:
    found, number = path, 1
    while found in taken or found in inside:
        number += 1
        found = (*path[:-1], f"{path[-1]}_{number}")
    return found
