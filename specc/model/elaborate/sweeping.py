"""The setting `sweep`: what takes which values in turn."""

from __future__ import annotations

from math import prod

from specc.catalogue import registry
from specc.model.elaborate.changes import is_setting
from specc.model.elaborate.entries import Entries
from specc.model.elaborate.problem import problem, suggestion
from specc.model.program import Sweep
from specc.syntax import tree
from specc.text.diagnostics import Bag, SpecError
from specc.text.source import Span

MOST = 1000  # trainings that are taken for meant


def swept(entries: Entries, settings: tuple[tree.Setting, ...], parameters: tuple[str, ...], bag: Bag) -> Sweep | None:
    """The lines of `sweep` among the settings of a section as one; None where there are none, or a mistake."""
    try:
        return _joined(entries, tuple(each for each in settings if each.name == "sweep"), parameters)
    except SpecError as error:
        bag.add(error.diagnostic)
        return None


def _joined(entries: Entries, lines: tuple[tree.Setting, ...], parameters: tuple[str, ...]) -> Sweep | None:
    values: dict[str, tuple[str, ...]] = {}
    search = None
    for argument in (each for line in lines for each in line.arguments):
        if argument.name:
            if argument.name in values:
                raise problem("repeated-argument", argument.span, f"`{argument.name}` is swept twice")
            _is_known(argument, parameters)
            values[argument.name] = _texts(argument)
        elif search is not None:
            raise problem("too-many-arguments", argument.span, "`sweep` takes one way to search")
        else:
            search = entries.value(argument.value, "search")
    if not lines or not (values or search):
        return None
    span = Span(lines[0].span.source, lines[0].span.start, lines[-1].span.end)
    if not values:
        help = "such as `sweep random(2), optimizer.lr=[0.1, 0.01, 0.001]`"
        raise problem("missing-argument", span, "`sweep` names nothing that takes values", help)
    count = prod(len(each) for each in values.values())
    if search is not None and search.entry.n > count:
        message = f"there are {count} combinations, fewer than {search.entry.n}"
        raise problem("bad-argument", search.place("n"), message, "leave `random` out to train all of them")
    if search is None and count > MOST:
        raise problem(
            "bad-argument", span, f"these are {count:,} trainings", "take some by chance: `sweep random(50), …`"
        )
    return Sweep(values, search.entry.n if search is not None else None, span)


def _is_known(argument: tree.Argument, parameters: tuple[str, ...]) -> None:
    name, head = argument.name, argument.name.partition(".")[0]
    if name == "split.fold":
        message = "the folds are no choice: `--folds` trains all of them, and their mean counts"
        raise problem("bad-argument", argument.span, message, "specc train FILE --folds")
    if head == "sweep":
        raise problem("bad-argument", argument.span, "`sweep` itself cannot be swept")
    if name not in parameters and not is_setting(name):
        message = f"`{name}` is neither a setting nor a parameter of the network"
        known = (*parameters, *registry.setting_names("train"))
        raise problem("unknown-setting", argument.span, message, suggestion(head, known))


def _texts(argument: tree.Argument) -> tuple[str, ...]:
    node = argument.value
    if not isinstance(node, tree.List) or not node.items:
        help = f"such as `{argument.name}=[{node.span.text}]`" if not isinstance(node, tree.List) else ""
        raise problem("bad-argument", node.span, f"`{argument.name}` needs the list of its values", help)
    found = tuple(each.span.text for each in node.items)
    for at, each in enumerate(found):
        if each in found[:at]:
            raise problem("bad-argument", node.items[at].span, f"`{argument.name}` takes {each} twice")
    return found
