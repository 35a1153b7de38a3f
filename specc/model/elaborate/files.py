"""The declarations of files: what a file names, and what it imports, confined to the project's folder."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from specc.model.elaborate.problem import problem, suggestion
from specc.model.elaborate.scope import LOST, MISSING, BlockValue, Function, Later, Scope
from specc.syntax import tree
from specc.text.diagnostics import Bag, Note, SpecError
from specc.text.source import Span

Read = Callable[[str], "tree.File | None"]
LIBRARY = "specs/blocks"


@dataclass(eq=False)
class Unit:
    """One loaded file: its tree, its scope, and the networks it declares in order."""

    path: str
    file: tree.File
    scope: Scope
    networks: dict[str, tree.Network | tree.Alias] = field(default_factory=dict)
    sections: list[tree.Section] = field(default_factory=list)


class Loader:
    """Loads files and their imports, each once. Paths are relative to the project's folder, with forward slashes.

    `read(path)` gives the tree of a file of the project, `library(name)` of a bundled block file; both None if there
    is none, and both may raise SpecError.
    """

    def __init__(self, bag: Bag, read: Read, library: Read) -> None:
        self.bag = bag
        self.read = read
        self.library = library
        self.units: dict[str, Unit] = {}
        self.loading: list[str] = []

    def load(self, path: str, file: tree.File) -> Unit:
        """The declarations of a file."""
        unit = Unit(path, file, Scope(None, "file"))
        self.units[path] = unit
        self.loading.append(path)
        places: dict[str, Span] = {}
        for each in file.declarations:
            try:
                self._declare(unit, each, places)
            except SpecError as error:
                self.bag.add(error.diagnostic)
                names = [name.alias or name.name for name in each.names] if isinstance(each, tree.Import) else []
                unit.scope.names.update((name, LOST) for name in names if name not in unit.scope.names)
        self.loading.pop()
        return unit

    def _declare(self, unit: Unit, node: tree.Declaration, places: dict[str, Span]) -> None:
        if isinstance(node, tree.Section):
            unit.sections.append(node)
            return
        if isinstance(node, tree.Import):
            self._import(unit, node, places)
            return
        _new(places, node.name, node.name_span)
        if isinstance(node, tree.Let):
            bound: Any = Later(node.value, unit.scope) if node.parameters is None else Function(node, unit.scope)
            unit.scope.names[node.name] = bound
        elif isinstance(node, tree.Alias):
            unit.networks[node.name] = node
            unit.scope.names[node.name] = Later(node.value, unit.scope)
        else:
            unit.scope.names[node.name] = BlockValue(node, unit.scope)
            if isinstance(node, tree.Network):
                unit.networks[node.name] = node

    def _import(self, unit: Unit, node: tree.Import, places: dict[str, Span]) -> None:
        found = self._imported(unit, node)
        for each in node.names:
            value = found.scope.names.get(each.name, MISSING)
            if value is MISSING:
                message = f"`{node.origin}` has no `{each.name}`"
                self.bag.add(
                    problem("unknown-import", each.span, message, suggestion(each.name, found.scope.names)).diagnostic
                )
                unit.scope.names[each.alias or each.name] = LOST
                continue
            name = each.alias or each.name
            _new(places, name, each.span)
            unit.scope.names[name] = value

    def _imported(self, unit: Unit, node: tree.Import) -> Unit:
        if node.quoted:
            path = _resolve(unit.path, node)
            read: Read = self.read
        else:
            path, read = f"<{node.origin}>", self.library
        if path in self.loading:
            ring = " -> ".join([*self.loading[self.loading.index(path) :], path])
            raise problem("import-cycle", node.origin_span, f"these files import each other: {ring}")
        if path in self.units:
            return self.units[path]
        if len(self.units) >= 200:
            raise problem("too-many-files", node.origin_span, "a spec may import at most 200 files")
        try:
            file = read(path if node.quoted else node.origin)
        except SpecError as error:  # the file cannot be read: said where it is asked for
            found = error.diagnostic
            raise problem(found.code, found.span or node.origin_span, found.message, found.help) from None
        if file is None:
            help = "paths are relative to the importing file" if node.quoted else f"bundled blocks lie in {LIBRARY}"
            raise problem("missing-import", node.origin_span, f"there is no file `{node.origin}`", help)
        return self.load(path, file)


def _resolve(importing: str, node: tree.Import) -> str:
    if importing.startswith("<"):
        raise problem("import-outside", node.origin_span, "a bundled file imports only bundled files")
    origin = node.origin
    if "\\" in origin or "\0" in origin or posixpath.isabs(origin) or (len(origin) > 1 and origin[1] == ":"):
        raise problem(
            "import-outside", node.origin_span, "an import is a relative path inside the project's folder, with /"
        )
    path = posixpath.normpath(posixpath.join(posixpath.dirname(importing), origin))
    if path == ".." or path.startswith("../"):
        raise problem("import-outside", node.origin_span, f"`{origin}` lies outside the project's folder")
    return path


def _new(places: dict[str, Span], name: str, span: Span) -> None:
    if name in places:
        raise problem(
            "duplicate-name", span, f"`{name}` is declared twice", notes=(Note(places[name], "first declared here"),)
        )
    places[name] = span
