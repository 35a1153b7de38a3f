"""From the text of a spec to its models: parse, load imports, elaborate every network, check; pure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from specc.model.elaborate.evaluate import Budget, Evaluator
from specc.model.elaborate.files import Loader, Unit
from specc.model.elaborate.network import elaborate, unknown_setting
from specc.model.elaborate.problem import Exhausted, Silent, suggestion
from specc.model.graph import Model
from specc.resources import root
from specc.syntax import tree
from specc.syntax.parse import parse, parse_expression
from specc.text.diagnostics import Bag, Diagnostic, SpecError
from specc.text.record import changed
from specc.text.source import Source

if TYPE_CHECKING:
    from specc.model.program import Chosen, Deployment, Program

Read = Callable[[str], str | None]


@dataclass
class Compilation:
    """What came of a text: its models by name in the order of the file, and the diagnostics.

    `imports` are the texts of the project's files that it imports, by path; bundled blocks are not among them.
    """

    source: Source
    bag: Bag
    models: dict[str, Model] = field(default_factory=dict)
    unit: Unit | None = None
    network: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    programs: dict[tuple[str, str], Program] = field(default_factory=dict)  # by network and phase
    deployments: dict[str, Deployment] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)

    @property
    def ok(self) -> bool:
        return not self.bag.failed

    def model(self, name: str | None = None) -> Model:
        """The model of that name, or the chosen one: `--network`, else the last of the file."""
        wanted = name or self.network
        return self.models[wanted] if wanted else list(self.models.values())[-1]

    def postprocess(self, name: str) -> tuple[Chosen, ...]:
        """The steps of `postprocess` of that network; of several phases the last one's."""
        found = [program for (network, _), program in self.programs.items() if network == name]
        return found[-1].postprocess if found else ()


def compile_text(
    text: str,
    name: str = "spec.net",
    *,
    network: str | None = None,
    settings: Mapping[str, str] | None = None,
    sizes: Mapping[str, int] | None = None,
    read: Read | None = None,
    fixes: bool = True,
) -> Compilation:
    """Compile a text. `read(path)` gives the text of an imported file of the project, None if there is none.

    `network` is the one to compile (all of the file by default); `settings` are `--set` texts, `sizes` bind symbols.
    With `fixes`, those that a diagnostic offers are tried, and only what mends it is kept.

    >>> found = compile_text("network N { input x: [3]; linear(2) }")
    >>> found.model().weights[0].key
    'linear1.weight'
    """
    source = Source(name, text)
    bag = Bag()
    found = Compilation(source, bag, network=network, settings=dict(settings or {}), sizes=dict(sizes or {}))
    with deep_recursion():
        _compile(found, dict(settings or {}), dict(sizes or {}), read)
        if fixes and bag.failed:
            found.bag = _mended(found, dict(settings or {}), dict(sizes or {}), read)
    return found


def _mended(found: Compilation, settings: dict[str, str], sizes: dict[str, int], read: Read | None) -> Bag:
    """The bag with fixes that were tried; a fix of a text is judged by compiling the changed text."""
    from specc.repair import with_fixes

    def again(text: str) -> tuple[Bag, list[Model]]:
        other = compile_text(
            text, found.source.name, network=found.network, settings=settings, sizes=sizes, read=read, fixes=False
        )
        return other.bag, list(other.models.values())

    return with_fixes(found.bag, found.source, found.unit, again, found.budget.spent + 5 * len(found.source.text))


def _compile(found: Compilation, settings: dict[str, str], sizes: dict[str, int], read: Read | None) -> None:
    bag = found.bag
    file = parse(found.source, bag)
    loader = Loader(bag, _project(read, found), _library(bag))
    unit = found.unit = loader.load(found.source.name, file)
    if not unit.networks and not bag.failed and not _is_library(file):
        help = "write `network Name { … }`, or start from one: `specc new --help`"
        bag.add(Diagnostic("no-network", None, "this file declares no network", help, file=found.source.name))
    if found.network is not None and found.network not in unit.networks:
        help = suggestion(found.network, unit.networks)
        bag.add(
            Diagnostic("unknown-network", None, f"there is no network `{found.network}`", help, file=found.source.name)
        )
        return
    values = _settings(settings, unit, bag)
    names = [found.network] if found.network else list(unit.networks)
    budget = found.budget
    try:
        for each in names:
            model = elaborate(unit, each, bag, values, sizes, found.network == each, budget)
            if model is not None and model.complete:
                found.models[each] = model
    except Exhausted:  # in the bag already
        return
    _check_sizes(found, sizes)
    if not bag.failed:
        _check_whole(found, unit, bag)


def _check_whole(found: Compilation, unit: Unit, bag: Bag) -> None:
    """The rules for whole models, and the sections that belong to them."""
    from specc.model.check import check_model, check_program

    for model in found.models.values():
        for each in check_model(model):
            bag.add(each)
    if not unit.sections:
        return
    from specc.model.elaborate.sections import deployment, program

    for model in found.models.values():
        for phase in sorted({section.phase for section in unit.sections if section.kind == "train"}):
            inner = Bag()
            plan = program(unit, model, inner, found.settings, phase)
            refused = _add_mildly(bag, inner)
            if plan is not None and not refused:
                found.programs[model.name, phase] = plan
                for each in check_program(model, plan):
                    bag.add(each)
        inner = Bag()
        deployed = deployment(unit, model, inner, found.settings)
        if not _add_mildly(bag, inner) and deployed is not None:
            found.deployments[model.name] = deployed


def _add_mildly(bag: Bag, inner: Bag) -> bool:
    """Add what was found in a section; what this version cannot do yet is a warning of `check`. Whether it was an error.

    The section then has no program, and what would need one refuses with an error.
    """
    for each in inner:
        later = each.code == "unsupported-setting"
        bag.add(changed(each, severity="warning") if later else each)
    return inner.failed


def _is_library(file: tree.File) -> bool:
    return any(isinstance(each, tree.Block | tree.Let) for each in file.declarations)


def _settings(settings: Mapping[str, str], unit: Unit, bag: Bag) -> dict[str, Any]:
    """The values of `--set` that name a parameter of a network of this file."""
    known: dict[str, None] = {}
    for each in unit.networks.values():
        if isinstance(each, tree.Network):
            known.update(dict.fromkeys(parameter.name for parameter in each.parameters))
    found: dict[str, Any] = {}
    for key, text in settings.items():
        if key not in known:
            if not _names_setting(key, unit):
                bag.add(unknown_setting(key, list(known)))
            continue
        node = parse_expression(text, f"--set {key}", bag)
        try:
            if node is not None:
                found[key] = Evaluator().evaluate(node, unit.scope)
        except SpecError as error:
            bag.add(error.diagnostic)
        except Silent:  # what was not understood in parsing is in the bag already
            continue
    return found


def _names_setting(key: str, unit: Unit) -> bool:
    from specc.model.elaborate.changes import is_setting

    return any(is_setting(key, section.kind) for section in unit.sections)


def _check_sizes(found: Compilation, sizes: Mapping[str, int]) -> None:
    from specc.model.elaborate.scope import MISSING

    for name in sizes:
        bound = [
            each.root.scope.names.get(name, MISSING) for each in found.models.values() if each.root.scope is not None
        ]
        if found.models and not any(each == sizes[name] for each in bound):
            message = f"no input has an unknown size `{name}`"
            found.bag.add(Diagnostic("unknown-size", None, message, file=found.source.name))


def _project(read: Read | None, found: Compilation) -> Callable[[str], tree.File | None]:
    def load(path: str) -> tree.File | None:
        text = read(path) if read is not None else None
        if text is None:
            return None
        found.imports[path] = text
        return parse(Source(path, text), found.bag)

    return load


def _library(bag: Bag) -> Callable[[str], tree.File | None]:
    def load(name: str) -> tree.File | None:
        path = root("specs") / "blocks" / f"{name}.net"
        if not name.isidentifier() or not path.is_file():
            return None
        return parse(Source(f"<{name}>", path.read_text(encoding="utf-8")), bag)

    return load


@contextmanager
def deep_recursion(limit: int = 20_000) -> Iterator[None]:
    """Room for specs that nest deeply; the parser and the budgets bound how deep that can be."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, limit))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
