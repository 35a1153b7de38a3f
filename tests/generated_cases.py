"""Pieces of random networks drawn from the ops' own declarations: their cases, with numbers, flags and words changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from math import prod
from random import Random
from typing import Any, NamedTuple

from specc.catalogue import registry
from specc.catalogue.arguments import FLAG, Kind
from specc.catalogue.axes import NAMES
from specc.catalogue.entry import Case, Wrong
from specc.catalogue.op import Op, WeightedOp
from specc.compiler import Compilation, compile_text
from specc.syntax import tree
from specc.syntax.parse import parse
from specc.text.diagnostics import Bag
from specc.text.source import Source

LARGEST = 20_000  # numbers in an input of a drawn case; larger ones stay with the tests of ops
MADE = 200  # numbers that a linear layer makes of the network's input for a case
TRIES = 6
PARTIAL = ("sqrt", "log", "power", "divide", "remainder", "floor_divide")  # may give what is no number
# numbers that places in a tensor are held to when it runs: other ones than in the case would be refused there
HELD = {
    "embedding": ("count",),
    "one_hot": ("count",),
    "unpool": ("kernel", "stride", "padding", "size"),
    "gather": ("axis",),
}


class Target(NamedTuple):
    """What a piece is to show: a case of an op as it stands, or (`argument`, `word`) in one of its cases."""

    op: str
    case: int = 0
    argument: str = ""
    word: str = ""


class Piece(NamedTuple):
    """Lines that make tensors: `inputs` of the network that they need, and the labels of what they give."""

    inputs: list[str]
    lines: list[str]
    gives: list[str]

    def alone(self, before: str) -> Compilation:
        """A network of these lines, its inputs behind those in `before`."""
        ends = [f"output {each}" for each in self.gives]
        body = "\n".join([before, *self.inputs, "x", *self.lines, *ends])
        return compile_text(f"network N {{\n{body}\n}}\n", fixes=False)


# ------------------------------------------------------------------------------------------------ what is to be covered
@cache
def targets() -> tuple[Target, ...]:
    """Every case of every op and every word of every choice, in an order that mixes them."""
    found = [Target(name, at) for name in registry.names() for at, _ in enumerate(cases(name))]
    found += [
        Target(name, 0, argument, word)
        for name in registry.names()
        for argument, words in choices(name).items()
        for word in words
    ]
    found += [Target("linear", 0, argument, word) for argument, words in common().items() for word in words]
    Random(0).shuffle(found)
    return tuple(found)


@cache
def cases(name: str) -> tuple[Case, ...]:
    """The cases of an op that are small enough to be drawn often."""
    return tuple(each for each in _op(name).cases if isinstance(each, Case) and _small(each))


@cache
def choices(name: str) -> dict[str, tuple[str, ...]]:
    """The words that each argument of an op may be, without those that are declared and refused until they are there."""
    kind = _op(name)
    fields = [each for each in kind.fields.values() if each.name not in WeightedOp.fields]
    own = {each.name: each.kind for each in fields if not each.kind.tensor}
    found = {argument: tuple(each for each in _words(said)) for argument, said in own.items() if _words(said)}
    refused = {
        (each.at, word)
        for each in kind.cases
        if isinstance(each, Wrong) and each.code == "unsupported-argument" and each.at in found
        for word in found[each.at]
        if f"{each.at}={word}" in each.call and not any(f"{each.at}={word}" in one.call for one in cases(name))
    }
    return {
        argument: tuple(word for word in words if (argument, word) not in refused) for argument, words in found.items()
    }


def common() -> dict[str, tuple[str, ...]]:
    """The same of the arguments that every layer with weights takes."""
    return {each.name: _words(each.kind) for each in WeightedOp.fields.values() if _words(each.kind)}


def _words(kind: Kind) -> tuple[str, ...]:
    return ("false", "true") if kind.schema == FLAG else tuple(kind.words)


def _op(name: str) -> type[Op]:
    found = registry.op(name)
    assert found is not None
    return found


def _small(case: Case) -> bool:
    return all(prod(int(n) for n in re.findall(r"\b\d+\b", each)) <= LARGEST for each in _shapes(case))


def _shapes(case: Case) -> list[str]:
    return [each.strip() for each in case.shapes.partition("->")[0].split(";")]


# ------------------------------------------------------------------------------------------------------ writing a piece
def piece(target: Target, n: int, random: Random, source: str, before: str) -> Piece | None:
    """The target as lines whose names end in `n`; None if no way to show it was found.

    `source` makes a row of features of the network's input, so that a case whose sizes are known can stand on it;
    `before` are the inputs with which the lines must check.
    """
    every = cases(target.op)
    order = random.sample(every, len(every)) if target.argument else [every[target.case]]
    if target.argument in HELD.get(target.op, ()):
        order = [each for each in order if "constant" not in each.given + each.call]
    for case in order:
        for attempt in range(TRIES):
            call = _changed(case, target, random, plain=attempt == TRIES - 1)
            shapes = _reshaped(case, target.word, random) if target.argument and attempt else _shapes(case)
            found = _written(case, call, shapes, n, random, source, known=target.argument in HELD.get(target.op, ()))
            if found.alone(before).ok:
                return found
    return None


def loose(rank: int, random: Random) -> str:
    """The call of any case with one input of that rank, changed: for the tensor at hand, on which it may not check."""
    every = [
        (name, each)
        for name in registry.names()
        for each in (() if name in PARTIAL else cases(name))
        if not each.given and re.fullmatch(r"\[" + r"[^,;\]]+," * (rank - 1) + r"[^,;\]]+\]", "; ".join(_shapes(each)))
        if ";" not in each.shapes and not re.search(r"\binput\b|\b[A-Z]\b", each.call)
    ]
    name, case = random.choice(every)
    return _changed(case, Target(name), random, plain=False)


def _reshaped(case: Case, word: str, random: Random) -> list[str]:
    """Another rank for a case with one input, one that has the axis of that name; as it stands for several."""
    shapes = _shapes(case)
    ranks = [rank for rank, names in NAMES.items() if word in names] or list(NAMES)
    others = [
        "[]",
        "[6]",
        "[1]",
        "[4, L]",
        "[4, 6]",
        "[3, H, 6]",
        "[2, 4, 5]",
        "[2, 1, L]",
        "[2, D, 4, 6]",
        "[2, 4, 3, 6]",
    ]
    others = [each for each in others if each.count(",") + 1 in ranks]
    return shapes if len(shapes) > 1 else [f"{shapes[0].partition('[')[0]}{random.choice(others)}"]


def _written(case: Case, call: str, shapes: list[str], n: int, random: Random, source: str, known: bool) -> Piece:
    names = ["input"] if len(shapes) == 1 else ["x", "y", "z"][: len(shapes)]
    given = case.given.split("; ") if case.given else []
    labels = {name: f"{name}_{n}" for name in [*names, *_labels(given)]}
    symbols = {
        name: f"{name}{n}" for name in re.findall(r"\b[A-Z]\b", case.shapes + case.given + call + "".join(shapes))
    }
    bound = {name: str(random.randint(2, 7)) for name in symbols if random.random() < 0.5}
    if known or random.random() < 0.3:
        bound = {name: str(random.randint(2, 7)) for name in symbols}
    renamed = symbols | bound | labels

    inputs, lines = [], []
    for name, shape in zip(names, shapes, strict=True):
        stated = _renamed(shape, symbols | bound)
        made = _made(labels[name], stated, source) if random.random() < 0.6 else []
        lines += made
        inputs += [] if made else [f"input {labels[name]}: {stated}"]
    outputs = [f"made_{n}_{at}" for at, _ in enumerate(case.shapes.partition("->")[2].split(";"))]
    lines += [labels["input"]] if len(names) == 1 else []
    lines += [_renamed(each, renamed) for each in given]
    lines.append(f"{', '.join(outputs)}: {_renamed(call, renamed)}")
    return Piece(inputs, lines, outputs)


def _made(name: str, shape: str, source: str) -> list[str]:
    """Lines that make a tensor of a known shape of the network's own input; none where that is not done."""
    dtype, _, sizes = shape.partition("[")
    numbers = re.findall(r"\w+", sizes)
    if dtype.strip() == "int" or not all(each.isdigit() for each in numbers):
        return []
    count = prod(map(int, numbers))
    if count > MADE:
        return []
    row = f"{source} -> linear({count}) -> reshape([{sizes}" + ")"
    return [f"h{name}: {row}", f"{name}: h{name} > 0.1"] if dtype.strip() == "bool" else [f"{name}: {row}"]


def _labels(given: list[str]) -> Iterator[str]:
    """The names that statements give to tensors."""
    for each in given:
        head = re.match(r"(?:parameter |buffer )?(\w+(?:, \w+)*):", each)
        yield from head[1].split(", ") if head else []
        yield from re.findall(r"\bas (\w+)", each)


def _renamed(text: str, names: dict[str, str]) -> str:
    """The text with other names, but for what stands in quotes, behind a dot or before `=`."""
    if not names:
        return text
    one = re.compile(r"(?<![.\w])(" + "|".join(map(re.escape, names)) + r")\b(?!\s*=(?!=))")
    parts = text.split('"')
    return '"'.join(each if at % 2 else one.sub(lambda it: names[it[1]], each) for at, each in enumerate(parts))


# ------------------------------------------------------------------------------------------------- changing its arguments
def _changed(case: Case, target: Target, random: Random, plain: bool) -> str:
    """The call with other numbers, flags and words, and the one that is asked for; as it stands if `plain`."""
    kind, call = _op(target.op), case.call
    rank = _shapes(case)[0].count(",")
    kept = (*WeightedOp.fields, *HELD.get(target.op, ()))
    own = [each for each in kind.fields.values() if each.name not in kept and not each.kind.tensor]
    if not plain and random.random() < 0.7:
        for each in random.sample(own, min(len(own), random.randint(1, 2))):
            value = _value(each.kind, rank, random)
            call = _put(kind, case, call, each.name, value) if value else call
    return _put(kind, case, call, target.argument, target.word) if target.argument else call


def _value(kind: Kind, rank: int, random: Random) -> str:
    """A random value of an argument as text; "" where its type does not say enough."""
    words = _words(kind)
    if words and random.random() < 0.6:
        return random.choice(words)
    return _of(kind.schema, rank, random)


def _of(schema: Any, rank: int, random: Random) -> str:
    match schema["type"]:
        case "union" if {each["type"] for each in schema["choices"]} == {"int", "float"}:
            return _of(schema["choices"][1], rank, random)
        case "union":
            return _of(random.choice(schema["choices"]), rank, random)
        case "literal":
            return str(random.choice(schema["expected"]))
        case "bool":
            return random.choice(["true", "false"])
        case "int":
            least = schema.get("ge", -2)
            return str(random.randint(least, least + 3))
        case "float":
            return f"{random.uniform(max(schema.get('ge', 0), schema.get('gt', 0)) + 0.05, 0.95):.2f}"
        case "tuple" if "variadic_item_index" in schema:
            items = [_of(schema["items_schema"][0], rank, random) for _ in range(max(rank, 1))]
            return f"[{', '.join(items)}]" if all(items) else ""
    return ""


def _put(kind: type[Op], case: Case, text: str, argument: str, value: str) -> str:
    """The call with this value for the argument, in its place or by name at the end."""
    head = "network N {\n"
    found = list(_calls(parse(Source("call.net", f"{head}{text}\n}}\n"), Bag()), kind.name))
    if not found:  # written bare, or as a sign
        return re.sub(rf"\b{kind.name}\b(?!\()", f"{kind.name}({argument}={value})", text, count=1)
    call = found[-1]
    tensors = {"input", "x", "y", "z", *_labels(case.given.split("; "))}
    named = [each.value for each in call.arguments if each.name == argument]
    placed = [each.value for each in call.arguments if not each.name]
    placed = [each for each in placed if re.split(r"\W", each.span.text)[0] not in tensors]
    order = [name for name, field in kind.fields.items() if field.positional and not field.kind.tensor]
    if not named and argument in order and order.index(argument) < len(placed):
        named = [placed[order.index(argument)]]
    if named:
        return text[: named[0].span.start - len(head)] + value + text[named[0].span.end - len(head) :]
    end = call.span.end - len(head) - 1
    return text[:end] + (", " if call.arguments else "") + f"{argument}={value}" + text[end:]


def _calls(node: Any, name: str) -> Iterator[tree.Call]:
    if isinstance(node, tuple):
        for each in node:
            yield from _calls(each, name)
    elif isinstance(node, tree.Node):
        if isinstance(node, tree.Call) and isinstance(node.function, tree.Name) and node.function.name == name:
            yield node
        for each in type(node).FIELDS:
            yield from _calls(getattr(node, each), name)
