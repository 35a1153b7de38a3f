"""Fixes that are worked out and checked again: what a mistake offers, sizes that would fit, and crops that would."""

from __future__ import annotations

import re
from collections.abc import Callable

from specc.model.elaborate.files import Unit
from specc.model.graph import Model
from specc.sizes.conditions import nearest
from specc.syntax import tree
from specc.text.diagnostics import Bag, Diagnostic, Fix
from specc.text.record import changed
from specc.text.source import Source, Span

SIZED = frozenset({"window-does-not-fit", "window-too-large", "shape-mismatch"})
MOST_TRIES = 24
MOST_WORK = 2_000_000
Compile = Callable[[str], tuple[Bag, list[Model]]]


def with_fixes(bag: Bag, source: Source, unit: Unit | None, compile_again: Compile, work: int = 0) -> Bag:
    """The same diagnostics, each with those fixes alone that mend it: applied to the text and compiled again.

    `compile_again(text)` gives the bag and the models of a changed text. A fix is kept if its diagnostic is gone and
    no other came in its place. `work` is what one compilation takes; the more, the fewer are tried.
    """
    tries = min(MOST_TRIES, MOST_WORK // max(work, 1))
    found = Bag(bag.limit)
    errors = sum(each.severity == "error" for each in bag)
    for each in bag:
        candidates = list(each.fixes)
        if each.code in SIZED and unit is not None and tries > 0:
            tries -= 1
            candidates += _crops(each, unit) + _sizes(each, source, unit, compile_again)
        kept: list[Fix] = []
        for fix in candidates:
            if tries <= 0 or fix.span.source is not source:
                continue
            tries -= 1
            if _mends(fix, source, errors, compile_again):
                kept.append(fix)
        found.add(changed(each, fixes=tuple(kept)))
    return found


def applied(text: str, fix: Fix) -> str:
    """The text with the fix in it."""
    return text[: fix.span.start] + fix.replacement + text[fix.span.end :]


def _mends(fix: Fix, source: Source, errors: int, compile_again: Compile) -> bool:
    bag, _ = compile_again(applied(source.text, fix))
    return sum(each.severity == "error" for each in bag) < errors


def _network_at(unit: Unit, found: Diagnostic) -> tree.Network | None:
    """The network in which the mistake shows: around its place, or around the outermost use of its block."""
    spans = [span for span in (found.span, *(note.span for note in reversed(found.notes))) if span is not None]
    for each in unit.networks.values():
        if isinstance(each, tree.Network) and any(_inside(span, each.span) for span in spans):
            return each
    return None


def _inside(span: Span, outer: Span) -> bool:
    return span.source is outer.source and outer.start <= span.start < outer.end


def _sizes(found: Diagnostic, source: Source, unit: Unit, compile_again: Compile) -> list[Fix]:
    """The nearest input sizes that the whole network admits, from the same network with these sizes unknown."""
    network = _network_at(unit, found)
    if network is None or network.span.source is not source:
        return []
    inputs = [each for each in network.body.statements if isinstance(each, tree.Input)]
    if len(inputs) != 1:
        return []
    numbers = [item for item in inputs[0].shape.items[1:] if isinstance(item, tree.Number)]
    names = _fresh(source.text, len(numbers))
    if not numbers:
        return []
    text = source.text
    for number, name in sorted(zip(numbers, names, strict=True), key=lambda pair: -pair[0].span.start):
        text = text[: number.span.start] + name + text[number.span.end :]
    _, models = compile_again(text)
    model = next(
        (each for each in models if each.definition is not None and each.definition.name == network.name), None
    )
    if model is None:
        return []
    old = {name: int(number.value) for name, number in zip(names, numbers, strict=True)}
    around = nearest([each.predicate for each in model.requirements], model.facts, old)
    choices = [{name: size for name, pair in around.items() if (size := pair[side]) is not None} for side in (0, 1)]
    return [_resized(inputs[0].shape, numbers, names, each) for each in choices if len(each) == len(around)]


def _resized(shape: tree.List, numbers: list[tree.Number], names: list[str], sizes: dict[str, int]) -> Fix:
    text = shape.span.text
    start = shape.span.start
    for number, name in sorted(zip(numbers, names, strict=True), key=lambda pair: -pair[0].span.start):
        at = number.span.start - start
        text = text[:at] + str(sizes.get(name, number.value)) + text[at + number.span.end - number.span.start :]
    return Fix(shape.span, text, f"an input of {text} would fit")


def _fresh(text: str, count: int) -> list[str]:
    taken = set(re.findall(r"\w+", text))
    return [name for name in (f"Q{at}_" for at in range(count + 50)) if name not in taken][:count]


def _crops(found: Diagnostic, unit: Unit) -> list[Fix]:
    """For two tensors that differ in size: the larger one cropped to the smaller, either way round."""
    if found.code != "shape-mismatch" or found.span is None:
        return []
    call = next((each for each in _calls(unit) if each.span == found.span), None)
    if call is None:
        return []
    names = [each.value for each in call.arguments if not each.name and isinstance(each.value, tree.Name)]
    if len(names) != 2 or len(names) != len(call.arguments):
        return []
    first, second = names
    return [
        Fix(large.span, f"crop({large.name}, like={small.name})", f"crop `{large.name}` to the size of `{small.name}`")
        for large, small in ((first, second), (second, first))
    ]


def _calls(unit: Unit) -> list[tree.Call]:
    found: list[tree.Call] = []
    waiting: list[object] = [unit.file]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tree.Call):
            found.append(node)
        if isinstance(node, tuple):
            waiting += node
        elif isinstance(node, tree.Node):
            waiting += [getattr(node, name) for name in node.FIELDS if name != "span"]
    return found
