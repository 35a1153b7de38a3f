"""Groups that are alike become blocks; numbers in which they differ become parameters."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from specc.deploy.reading.bodies import Body
from specc.deploy.reading.text import SLOT, Block, Line, Names, filled, of_body, printed, repeated, slots

INDENT = "    "
Calls = dict[int, tuple[str, tuple[str, ...]]]


def recovered(body: Body, labels: list[str], symbols: Collection[str] = ()) -> tuple[list[Block], Calls]:
    """The blocks of a network, and for each group that is one its name and the numbers that it gives.

    Innermost groups come first, so that a block of blocks is seen as such. `symbols` are the unknown sizes of the inputs,
    which a block that speaks of them is given.
    """
    found: list[Block] = []
    calls: Calls = {}
    taken = set(labels)
    for depth in sorted({depth for depth, _, _ in _groups(body, 0)}, reverse=True):
        alike: dict[str, list[tuple[Body, str, list[str]]]] = {}
        for at, label, group in _groups(body, 0):
            if at == depth and not _free(group):
                text, values = _template(group, calls)
                alike.setdefault(text, []).append((group, label, values))
        for text, members in alike.items():
            if len(members) > 1:
                found.append(_block(text, members, calls, taken, symbols))
    return found, calls


def _groups(body: Body, depth: int, within: str = "") -> Iterator[tuple[int, str, Body]]:
    for each in body.items:
        if each.body is not None:
            path = f"{within}.{each.label}"
            yield depth, path, each.body
            yield from _groups(each.body, depth + 1, path)


def _free(group: Body) -> bool:
    """Whether it reads a tensor from outside other than the one that flows in, or runs a module again."""
    made = {group.takes}
    for each in group.steps():
        if each.again is not None:
            return True
        if any(name not in made for name in (*each.step.inputs, *each.step.named.values())):
            return True
        made.update(each.step.outputs)
    return False


def _lines(group: Body, calls: Calls) -> tuple[list[Line], Names]:
    names = Names({group.takes: "input"})
    lines = of_body(group, names, calls)
    return lines, names


def _template(group: Body, calls: Calls) -> tuple[str, list[str]]:
    """The text of a group with marks, the numbers taken out, and these."""
    lines, names = _lines(group, calls)
    text = names.settled("\n".join(printed(lines, names, INDENT, fold=False)))
    values = [number for _, number in slots(text)]
    return SLOT.sub(lambda each: f"⟨{each.group(1)}=⟩", text), values


def _block(
    text: str, members: list[tuple[Body, str, list[str]]], calls: Calls, taken: set[str], symbols: Collection[str]
) -> Block:
    """The block of some groups; columns of numbers that are alike throughout are one parameter, or none."""
    words = [name for name, _ in slots(text)]
    columns = list(zip(*(values for _, _, values in members), strict=True))
    parameters: dict[tuple[str, ...], str] = {}
    spelled: list[str] = []
    for word, column in zip(words, columns, strict=True):
        if len(set(column)) == 1:
            spelled.append(f"⟨{word}={column[0]}⟩")
            continue
        if column not in parameters:
            parameters[column] = _unused(
                word.rstrip("0123456789") or "size", [*parameters.values(), *_labels(text), *taken, *symbols]
            )
        spelled.append(parameters[column])
    values = iter(spelled)
    body = SLOT.sub(lambda _: next(values), text)
    name = _title(members[0][1], taken)
    taken.add(name)
    body = filled(body)
    order = list(parameters.items())
    order += [((each,) * len(members), each) for each in symbols if re.search(rf"\b{each}\b", body)]
    for at, (group, _, _) in enumerate(members):
        calls[id(group)] = name, tuple(f"⟨{word}={column[at]}⟩" for column, word in order)
    return Block(name, tuple(word for _, word in order), tuple(repeated(body.split("\n"), INDENT)))


def _labels(text: str) -> list[str]:
    return [line.strip().split(":")[0] for line in text.split("\n") if ":" in line]


def _unused(word: str, taken: list[str]) -> str:
    found, number = word, 1
    while found in taken:
        number += 1
        found = f"{word}{number}"
    return found


def _title(label: str, taken: set[str]) -> str:
    """A name for a block after the last word in the path of its first use: `layer1.0` is Layer."""
    parts = [re.sub(r"[^A-Za-z]*\Z", "", each) for each in label.split(".")]
    last = next((each for each in reversed(parts) if each), "block")
    word = "".join(each[:1].upper() + each[1:] for each in re.findall(r"[A-Za-z0-9]+", last)).lstrip("0123456789")
    return _unused(word, sorted(taken))
