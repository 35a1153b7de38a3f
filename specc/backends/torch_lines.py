"""Lines as a person writes them: calls nested where that reads well, then a name for every tensor that is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any

from specc.backends.torch_names import RESERVED_TENSORS, unused, variable
from specc.backends.torch_nodes import names, put_in_place, replaced, times, width
from specc.backends.torch_support import brought_along
from specc.code.nodes import Binary, Call, Expression, List, ListOf, Name
from specc.model.graph import ValueId

LONG = 60  # what is nested is not longer than this
DEEP = 3
_ANY = Name("_v00")  # what a tensor counts for, so that equal bodies are nested alike


@dataclass(frozen=True, slots=True)
class Line:
    """`targets = node`: tensors are names such as `_v12`, each assigned once. `hint` is a name for the result.

    `training` marks what only outputs of training need; `eased` a step that keeps the shape of its single operand.
    """

    targets: tuple[ValueId | None, ...]
    node: Expression
    hint: str = ""
    training: bool = False
    eased: bool = False
    depth: int = 1


def temporary(value: ValueId) -> str:
    """The name of a tensor until it gets its own."""
    return f"_v{value}"


def names_of_tensors(node: Any) -> list[str]:
    """The tensors in a node by their first names, each as often as it occurs."""
    return [each for each in names(node) if each.startswith("_v")]


# ------------------------------------------------------------------------------------------------------- nesting
def listed(lines: list[Line], lists: Iterable[tuple[list[ValueId | None], ListOf]]) -> list[Line]:
    """Branches that are only used together become `[conv(x) for conv in self.convs]` where they are."""
    for targets, every in lists:
        temporaries = [temporary(each) for each in targets if each is not None]
        together = List(tuple(map(Name, temporaries)))
        used = [name for line in lines for name in names_of_tensors(line.node) if name in set(temporaries)]
        users = [line for line in lines if times(line.node, together) == 1]
        if len(users) != 1 or sorted(used) != sorted(temporaries):
            continue
        kept = [line for line in lines if line.targets[0] not in targets]
        lines = [replace(line, node=put_in_place(line.node, together, every)) for line in kept]
    return lines


def nested(lines: list[Line], results: Iterable[ValueId]) -> list[Line]:
    """Calls put into each other where that reads well: `F.relu(self.bn1(self.conv1(x)))`."""
    uses: dict[str, int] = {}
    for name in [*(temporary(each) for each in results), *(name for line in lines for name in names(line.node))]:
        uses[name] = uses.get(name, 0) + 1
    found: list[Line] = []
    for line in lines:
        while found and (joined := _joined(found[-1], line, uses)) is not None:
            found.pop()
            line = joined
        found.append(line)
    return found


def _joined(before: Line, line: Line, uses: Mapping[str, int]) -> Line | None:
    target = before.targets[0]
    if len(before.targets) != 1 or target is None or before.training != line.training:
        return None
    name = temporary(target)
    operands = names_of_tensors(line.node)
    if operands.count(name) != 1 or uses[name] != 1 or not _welcome(before, line, operands):
        return None
    node = replaced(line.node, {name: before.node})
    if width(replaced(node, dict.fromkeys(names_of_tensors(node), _ANY))) > LONG:
        return None
    return replace(line, node=node, eased=before.eased, depth=before.depth + line.depth)


def _welcome(before: Line, line: Line, operands: list[str]) -> bool:
    """Whether a reader would nest these two: short chains of calls that keep the shape, and operands of an operator."""
    if isinstance(line.node, Binary):
        return before.depth == 1 and isinstance(before.node, Call | Binary)
    return line.eased and len(operands) == 1 and before.depth + line.depth <= DEEP


# -------------------------------------------------------------------------------------------------------- naming
FLOWING = ("x", "out", "y", "z")


class Naming:
    """Gives every tensor of a function its name: `x` for what flows on, labels for what is needed later."""

    def __init__(self, lines: list[Line], results: Iterable[ValueId], labels: Mapping[ValueId, str]) -> None:
        self.lines = lines
        self.labels = labels
        self.results = set(results)
        self.last: dict[ValueId, int] = {}
        self.names: dict[ValueId, str] = {}
        for at, line in enumerate(lines):
            for name in names_of_tensors(line.node):
                self.last[int(name[2:])] = at
        self.last.update(dict.fromkeys(self.results, len(lines)))
        self.taken: set[str] = set()
        self.holders: dict[str, ValueId] = {}

    def inputs(self, given: Mapping[ValueId, str]) -> None:
        """The names of the parameters."""
        self.names.update(given)
        self.taken.update(given.values())
        self.holders.update({name: each for each, name in given.items()})

    def give(self) -> dict[str, Expression]:
        """Temporary names and what they become."""
        for at, line in enumerate(self.lines):
            for target in line.targets:
                if target is None:
                    continue
                name = variable(self._label(target, line))
                if name and name not in FLOWING and self._stays(target, at):
                    self.names[target] = unused(name, self.taken | RESERVED_TENSORS | brought_along())
                else:
                    self.names[target] = self._flowing(at, target)
                self.taken.add(self.names[target])
        return {temporary(each): Name(name) for each, name in self.names.items()}

    def _label(self, target: ValueId, line: Line) -> str:
        """Its name in the spec; what comes out of the function may have that of the place where it is called."""
        label = self.labels.get(target, "")
        if len(line.targets) == 1 and (target in self.results or not variable(label)):
            return line.hint or label
        return label or line.hint

    def _stays(self, target: ValueId, at: int) -> bool:
        """Whether it is needed after the line that follows, or stands beside others."""
        last = self.last.get(target, at)
        return last > at + 1 or len(self.lines[at].targets) > 1 or (target in self.labels and self._beside(last))

    def _beside(self, at: int) -> bool:
        """Whether tensors come together there, so that a name helps to tell them apart."""
        if at == len(self.lines):
            return len(self.results) > 1
        node = self.lines[at].node
        while isinstance(node, Call) and len(node.arguments) == 1:
            node = node.arguments[0]
        return not isinstance(node, Binary) and len(set(names_of_tensors(node))) > 1

    def _flowing(self, at: int, target: ValueId) -> str:
        """The first of x, out, y … that nothing holds any more."""
        for name in chain(FLOWING, (f"x{number}" for number in count(2))):
            holder = self.holders.get(name)
            if holder is None or self.last.get(holder, -1) <= at:
                self.holders[name] = target
                return name
        raise AssertionError
