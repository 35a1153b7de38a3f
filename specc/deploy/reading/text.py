"""Bodies as the text of a spec: labels, names where a tensor is used again, blocks and repeats where lines are alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from specc.catalogue import registry
from specc.catalogue.op import Op
from specc.catalogue.ops.arithmetic import Elementwise
from specc.catalogue.ops.constants import Constant
from specc.catalogue.ops.cut import Slice
from specc.catalogue.ops.reduce import Max, Min
from specc.deploy.reading.bodies import Body, Item
from specc.deploy.reading.made import Step
from specc.sizes.dim import Dim

SLOT = re.compile(r"⟨(\w*)=([^⟩]*)⟩")
MARK = re.compile(r"‹(\d+)›")
WORDS = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
RESERVED = frozenset(
    ("network", "block", "let", "import", "from", "input", "output", "parameter", "buffer", "repeat", "for", "in", "if", "else",
     "parallel", "expect", "when", "at", "where", "as", "and", "or", "not", "true", "false", "train", "export", "none")
)  # fmt: skip


@dataclass(slots=True)
class Names:
    """The names that tensors have where they are used: of the whole network, or of one block.

    While lines are made a tensor is a mark with its number; only at the end is it known which have a label.
    """

    given: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)

    def use(self, tensor: str) -> str:
        if tensor in self.given:
            return self.given[tensor]
        return f"‹{self.numbers.setdefault(tensor, len(self.numbers) + 1)}›"

    def wanted(self, tensor: str) -> bool:
        return tensor in self.numbers or tensor in self.given

    def settled(self, text: str) -> str:
        """The text with names for marks: a tensor's label where it has one, else a letter and its number."""
        by_number = {number: label for label, number in self.labels.items()}
        return MARK.sub(lambda found: by_number.get(int(found.group(1)), f"t{found.group(1)}"), text)


@dataclass(frozen=True, slots=True)
class Block:
    """A block that several groups are: its text, and the names of its parameters."""

    name: str
    parameters: tuple[str, ...]
    lines: tuple[str, ...]


# ---------------------------------------------------------------------------------------------------------- one step
def spelled(value: Any) -> str:
    """A value as a spec writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:_}"
    if isinstance(value, Dim):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(spelled(each) for each in value) + "]"
    if isinstance(value, float):
        return repr(value)
    return str(value)


def call(kind: type[Op], arguments: Mapping[str, Any], rest: tuple[Any, ...], names: list[str]) -> str:
    """`conv(64, 3, padding=1)`: numbers are put between marks, so that calls that differ in them alone are alike."""
    words: list[str] = []
    positional = True
    for name, each in kind.fields.items():
        if name not in arguments:
            positional = False
            continue
        value = arguments[name]
        text = f"⟨{name}={spelled(value)}⟩" if _varies(value) else _word(value)
        words.append(text if each.positional and positional else f"{name.removesuffix('_')}={text}")
    words += [spelled(each) for each in rest]
    given = [*words, *names] if kind.tensors_last else [*names, *words]
    return f"{kind.name}({', '.join(given)})" if given else kind.name


def _varies(value: Any) -> bool:
    return isinstance(value, int | float | Dim | list | tuple) and not isinstance(value, bool)


def _word(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) and not WORDS.match(value) else spelled(value)


def line(step: Step, flow: str, names: Names) -> tuple[str, bool]:
    """The step as text, and whether it is a layer that takes a number in a sequence."""
    kind = step.kind
    tensors = {**step.arguments, **{name: names.use(each) for name, each in step.named.items()}}
    if issubclass(kind, Elementwise) or (kind.operator not in ("", "[]") and len(step.inputs) == 2):
        sides = [names.use(each) for each in step.inputs]
        left, right = step.arguments.get("left"), step.arguments.get("right")
        if left is not None:
            sides.insert(0, spelled(left))
        elif right is not None:
            sides.append(f"({spelled(right)})" if right < 0 else spelled(right))
        return f" {kind.operator} ".join(sides), False
    if kind.operator and kind.operator != "[]" and len(step.inputs) == 1:
        sign = f"{kind.operator} " if kind.operator.isalpha() else kind.operator[0]
        return f"({sign}{names.use(step.inputs[0])})", False
    if kind in (Max, Min) and "other" in step.arguments:
        return f"{kind.name}({names.use(step.inputs[0])}, {spelled(step.arguments['other'])})", False
    if kind is Slice:
        return f"{names.use(step.inputs[0])}[{_items(step.arguments['items'])}]", False
    if kind is Constant:
        return call(kind, tensors, step.rest, []), False
    if len(step.inputs) > 1:
        return call(kind, tensors, step.rest, [names.use(each) for each in step.inputs]), bool(step.weights)
    text = call(kind, tensors, step.rest, [])
    if step.inputs and step.inputs[0] != flow:
        text = f"{names.use(step.inputs[0])} -> {text}"
    return text, True


def _items(items: Any) -> str:
    found = []
    for each in items:
        if isinstance(each, tuple):
            start, stop, by = ("" if end is None else spelled(end) for end in each)
            found.append(f"{start}:{stop}" + (f":{by}" if by else ""))
        else:
            found.append(spelled(each))
    return ", ".join(found)


def filled(text: str) -> str:
    """The text with the numbers that stand between its marks."""
    return SLOT.sub(lambda found: found.group(2), text)


def slots(text: str) -> list[tuple[str, str]]:
    """The arguments between marks and their numbers."""
    return [(found.group(1), found.group(2)) for found in SLOT.finditer(text)]


# --------------------------------------------------------------------------------------------------------- a body
@dataclass(slots=True)
class Line:
    """A line with its label, its text with marks, and the names of what it leaves behind."""

    label: str
    head: str
    text: str
    made: tuple[str, ...]
    numbered: bool
    inner: list[Line] | None = None  # of a group that is no block
    weighted: bool = False


def is_sequence(lines: list[Line]) -> bool:
    """Whether the labels are those that the lines get by themselves: 0, 1, 2 …"""
    at = 0
    for each in lines:
        if len(each.made) > 1:
            return False
        if each.numbered:
            if each.label and each.label != str(at):
                return False
            at += 1
        elif each.label:
            return False
    return True


def printed(
    lines: list[Line], names: Names, indent: str, fold: bool = True, result: str = "", record: bool = False
) -> list[str]:
    """The lines as text with marks; where `fold`, lines that are alike are written once.

    `result` is a tensor that has its name outside: what the group of these lines leaves behind. A `record` has labels
    beside these lines, so that they get no numbers by themselves.
    """
    plain = not record and is_sequence(lines)
    found: list[str] = []
    for each in lines:
        label = "" if plain else each.label
        said = f"{_label(label)}: " if label and each.weighted else ""
        if len(each.made) > 1:
            said = ", ".join(names.use(name) for name in each.made) + ": "
        called = ""
        if len(each.made) == 1 and each.made[0] != result and names.wanted(each.made[0]):
            called = "" if said and _names(label, each.made[0], names) else f" as {names.use(each.made[0])}"
        if each.inner is None:
            found.append(f"{indent}{said}{each.head}{each.text}{called}")
        else:
            found.append(f"{indent}{said}{each.head}{{")
            found += printed(each.inner, names, indent + "    ", fold, each.made[0])
            found.append(f"{indent}}}{called}")
    return repeated(found, indent) if fold else found


def _names(label: str, tensor: str, names: Names) -> bool:
    """Whether a label can name the tensor too: it is a word, and no other line has it."""
    if tensor in names.given or not WORDS.match(label) or label in RESERVED or label in names.given.values():
        return False
    if label in registry.names():
        return False  # where it is read it would be the op
    return names.labels.setdefault(label, names.numbers[tensor]) == names.numbers[tensor]


def _label(label: str) -> str:
    return label if WORDS.match(label) and label not in RESERVED else f'"{label}"'


def repeated(lines: list[str], indent: str) -> list[str]:
    """Lines that follow each other and are alike as `repeat`, those whose labels count up as `for`."""
    found: list[str] = []
    at = 0
    while at < len(lines):
        same = at
        while (
            same + 1 < len(lines)
            and lines[same + 1] == lines[at]
            and lines[at].startswith(indent + lines[at].strip()[:1])
        ):
            same += 1
        count = same - at + 1
        if count > 1 and _alone(lines[at], indent):
            found.append(f"{indent}repeat {count} {{ {lines[at].strip()} }}")
            at = same + 1
            continue
        run = _counted(lines, at, indent)
        if run > 2:
            label, rest = _stem(lines[at].strip())
            stem, start = label
            found.append(f'{indent}for i in range({start}, {start + run}) {{ "{stem}{{i}}": {rest} }}')
            at += run
            continue
        found.append(lines[at])
        at += 1
    return found


def _alone(line_: str, indent: str) -> bool:
    text = line_[len(indent) :]
    return (
        not text.startswith(" ") and "{" not in text and "}" not in text and " as " not in text and " -> " not in text
    )


def _stem(text: str) -> tuple[tuple[str, int], str]:
    """`denselayer3: Dense(32)` as (("denselayer", 3), "Dense(32)")."""
    found = re.match(r'"?([A-Za-z0-9_.-]*?)(\d+)"?: (.*)\Z', text)
    return (("", -1), text) if found is None else ((found.group(1), int(found.group(2))), found.group(3))


def _counted(lines: list[str], at: int, indent: str) -> int:
    (stem, start), rest = _stem(lines[at].strip())
    if start < 0 or not _alone(lines[at], indent):
        return 0
    run = 1
    while at + run < len(lines) and _alone(lines[at + run], indent):
        (other, number), text = _stem(lines[at + run].strip())
        if other != stem or number != start + run or text != rest:
            break
        run += 1
    return run


def of_body(body: Body, names: Names, blocks: Mapping[int, tuple[str, tuple[str, ...]]]) -> list[Line]:
    """The lines of a body; groups that are blocks are calls of them."""
    found: list[Line] = []
    flow = body.takes
    for item in body.items:
        if item.body is not None:
            found.append(_group(item, flow, names, blocks))
            flow = item.result
            continue
        assert item.placed is not None
        step = item.placed.step
        text, numbered = line(step, flow, names)
        if item.placed.again is not None:
            text = _again(item, flow, names)
            numbered = False
        label = "" if item.placed.again is not None else item.label
        found.append(Line(label, "", text, step.outputs, numbered or bool(step.weights), weighted=bool(step.weights)))
        flow = step.outputs[0]
    return found


def _again(item: Item, flow: str, names: Names) -> str:
    """The same module once more."""
    assert item.placed is not None
    step = item.placed.step
    head = "" if step.inputs[0] == flow else f"{names.use(step.inputs[0])} -> "
    return f"{head or names.use(flow) + ' -> '}{_label(item.label)}"


def _group(item: Item, flow: str, names: Names, blocks: Mapping[int, tuple[str, tuple[str, ...]]]) -> Line:
    assert item.body is not None
    head = "" if item.body.takes in ("", flow) else f"{names.use(item.body.takes)} -> "
    made = (item.result,)
    if id(item.body) in blocks:
        name, arguments = blocks[id(item.body)]
        text = name + (f"({', '.join(arguments)})" if arguments else "")
        return Line(item.label, head, text, made, True, weighted=True)
    inner = of_body(item.body, names, blocks)
    return Line(item.label, head, "", made, True, inner, weighted=True)
