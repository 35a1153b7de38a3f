"""What generated networks covered: ops, the words of their arguments, ranks, paddings, and ways of putting a network together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from generated_cases import cases, choices, common
from proved import network, symbols_of

from specc.catalogue import registry
from specc.catalogue.entry import Field
from specc.compiler import compile_text
from specc.model.graph import Model, Step


@dataclass
class Coverage:
    """How many steps each op had, at which ranks and with which words; how many networks were of which kind."""

    ops: Counter[str] = field(default_factory=Counter)
    words: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # op, argument, word
    ranks: Counter[tuple[str, int]] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    inferred: Counter[str] = field(default_factory=Counter)  # sizes that onnx infers, and nodes whose sizes it does not

    def add(self, model: Model, text: str) -> None:
        for step in model.steps:
            self.ops[step.op.name] += 1
            self.words.update(words_of(step))
            if step.inputs:
                self.ranks[step.op.name, model.type(step.inputs[0]).rank] += 1
        self.marks["networks"] += 1
        self.marks["unknown sizes" if symbols_of(model) else "known sizes"] += 1
        self.marks[f"rank {model.type(model.inputs[0].value).rank}"] += 1
        self.marks["several inputs"] += len(model.inputs) > 1
        self.marks["several outputs"] += len([port for port in model.outputs if not port.training]) > 1
        self.marks["training outputs"] += any(port.training for port in model.outputs)
        self.marks["declared weights"] += "parameter " in text or "buffer " in text
        self.marks["blocks"] += "block " in text
        modules = [id(step.module) for step in model.steps if step.module is not None]
        self.marks["shared modules"] += len(set(modules)) < len(modules)
        self.marks["tied weights"] += any(weight.tied for weight in model.weights)
        self.marks["parallel"] += "parallel" in text

    def table(self) -> str:
        """A line for each op: its steps, how many at each rank, and each word of each argument."""
        lines = [", ".join(f"{name} {count}" for name, count in sorted(self.marks.items()))]
        for name in registry.names():
            ranks = ", ".join(f"rank {rank}: {n}" for (op, rank), n in sorted(self.ranks.items()) if op == name)
            words = ", ".join(f"{a}={w}: {n}" for (op, a, w), n in sorted(self.words.items()) if op == name)
            lines.append(f"{name} {self.ops[name]} ({ranks}) {words}".rstrip())
        lines.append(", ".join(f"{a}={w}: {n}" for (op, a, w), n in sorted(self.words.items()) if not op))
        lines.append("sizes that onnx infers, and kinds of node where it does not: " + str(dict(self.inferred)))
        return "\n".join(lines)

    def gaps(self, least: int) -> list[str]:
        """What is missing: ops met less than `least` times, words never drawn, ranks of an op's cases never met."""
        found = [f"{name}: {self.ops[name]} times" for name in registry.names() if self.ops[name] < least]
        found += [f"{op}({argument}={word})" for op, argument, word in wanted() if not self.words[op, argument, word]]
        return found + [f"{op} at rank {rank}" for op, rank in wanted_ranks() if not self.ranks[op, rank]]


def words_of(step: Step) -> Iterator[tuple[str, str, str]]:
    """The words and flags that the arguments of a step are, with what nobody wrote; of common ones without the op."""
    said = common()
    for each in type(step.op).fields.values():
        words = choices(step.op.name).get(each.name) or said.get(each.name, ())
        op = "" if each.name in said else step.op.name
        yield from ((op, each.name, word) for word in words if word in _spelled(each, getattr(step.op, each.name)))


def _spelled(argument: Field, value: Any) -> set[str]:
    """The words behind a value: `none` and its like for None, those of a list one by one."""
    if value is None:
        return {argument.kind.words[-1]} if argument.kind.words else set()
    if isinstance(value, bool):
        return {"true" if value else "false"}
    return {str(getattr(each, "name", each)) for each in (value if isinstance(value, tuple) else (value,))}


def wanted() -> list[tuple[str, str, str]]:
    """Every word of every argument of every op."""
    own = [(op, name, word) for op in registry.names() for name, said in choices(op).items() for word in said]
    return own + [("", name, word) for name, said in common().items() for word in said]


@cache
def wanted_ranks() -> tuple[tuple[str, int], ...]:
    """The ranks of the first input that each op has in its own cases."""
    found: dict[tuple[str, int], None] = {}
    for name in registry.names():
        for case in cases(name):
            lines = "\n".join([*case.given.split("; "), f"last: {case.call}"])
            made = compile_text(network(lines, *case.shapes.partition("->")[0].split(";")), fixes=False)
            for step in made.model().steps if made.models else ():
                if step.op.name == name and step.inputs:
                    found[name, made.model().type(step.inputs[0]).rank] = None
    return tuple(found)
