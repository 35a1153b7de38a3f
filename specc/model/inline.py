"""A spec as one text that needs nothing else: imports written out, `--set` and `--size` worked in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from specc.model.elaborate.changes import Edit, edits, is_setting
from specc.model.elaborate.files import Unit
from specc.model.elaborate.problem import problem
from specc.model.elaborate.scope import MISSING, BlockValue, Function, Later, Scope
from specc.model.graph import Model
from specc.syntax import tree
from specc.text.diagnostics import Bag
from specc.text.source import Source, Span


def inlined(unit: Unit, model: Model, settings: Mapping[str, str], sizes: Mapping[str, int], bag: Bag) -> str:
    """The text of a file, for one of its networks. Compiled again with that network it gives the same model.

    Claims that the bag says do not apply under these settings are left out. Raises SpecError where two imported
    files give one name to different things.
    """
    source = unit.file.span.source
    return _Inliner(unit, model, source).text(settings, sizes, bag)


@dataclass
class _Inliner:
    unit: Unit
    model: Model
    source: Source
    edits: list[Edit] = field(default_factory=list)
    taken: dict[str, Any] = field(default_factory=dict)
    texts: list[tuple[Span, str]] = field(default_factory=list)  # a declaration and what stands before it

    def text(self, settings: Mapping[str, str], sizes: Mapping[str, int], bag: Bag) -> str:
        imports = [each for each in self.unit.file.declarations if isinstance(each, tree.Import)]
        for each in self.unit.file.declarations:
            if not isinstance(each, tree.Import | tree.Section):
                self.taken[each.name] = each
        for each in imports:
            self._import(each)
        for section in self.unit.sections:
            self.edits += edits(section, settings, bag)
        self._parameters({key: text for key, text in settings.items() if not self._is_setting(key)})
        self._sizes(sizes)
        self._drop_claims(bag)
        self._write_out(imports)
        return _edited(Span(self.source, 0, len(self.source.text)), self.edits)

    def _is_setting(self, key: str) -> bool:
        known = self.model.definition.parameters if self.model.definition else ()
        return is_setting(key) and key not in [each.name for each in known]

    # ----------------------------------------------------------------------------------------------- imports
    def _import(self, node: tree.Import) -> None:
        for each in node.names:
            name = each.alias or each.name
            bound = self.unit.scope.names.get(name, MISSING)
            if bound is not MISSING:
                self._declare(name, bound, each.span)

    def _declare(self, name: str, bound: Any, asked: Span) -> None:
        """Write out what a name of another file stands for, after all that it needs."""
        thing = bound.node if isinstance(bound, Function | Later) else bound.definition
        known = self.taken.setdefault(name, thing)
        if known is not thing:
            message = f"two files give the name `{name}` to different things, so they cannot be written into one"
            raise problem("name-clash", asked, message, "rename one of them")
        if any(span is thing.span for span, _ in self.texts):
            return
        home = bound.home if isinstance(bound, BlockValue) else bound.scope
        for needed in _names(thing):
            inner = _file_scope(home).names.get(needed, MISSING)
            if isinstance(inner, BlockValue | Function | Later) and needed != name and not self._written(inner):
                self._declare(needed, inner, asked)
        own = name if isinstance(bound, Later) else thing.name
        if own != name:
            self.taken.setdefault(own, thing)
        self.texts.append((thing.span, f"let {name} = " if isinstance(bound, Later) else ""))
        if own != name:
            alias = Source("<alias>", f"let {name} = {own}")
            self.texts.append((Span(alias, 0, len(alias.text)), ""))

    def _written(self, bound: Any) -> bool:
        thing = bound.node if isinstance(bound, Function | Later) else bound.definition
        return any(span is thing.span for span, _ in self.texts)

    def _write_out(self, imports: list[tree.Import]) -> None:
        if not imports:
            return
        first = min(each.span.start for each in imports)
        networks = [
            each.span.start for each in self.unit.file.declarations if isinstance(each, tree.Network | tree.Alias)
        ]
        start = first if first < min(networks, default=first + 1) else 0
        text = "\n\n".join(before + _edited(span, self.edits) for span, before in self.texts)
        self.edits = [each for each in self.edits if each.span.source is self.source]
        self.edits += [Edit(each.span, "") for each in imports if each.span.start != start]
        end = next((each.span.end for each in imports if each.span.start == start), start)
        self.edits.append(Edit(Span(self.source, start, end), text + ("" if end > start else "\n\n")))

    # --------------------------------------------------------------------------------------- --set and --size
    def _declared(self) -> tree.Network | tree.Alias:
        return self.unit.networks[self.model.name]

    def _parameters(self, settings: Mapping[str, str]) -> None:
        declared, definition = self._declared(), self.model.definition
        given = (
            {each.name: settings[each.name] for each in definition.parameters if each.name in settings}
            if definition
            else {}
        )
        if not given:
            return
        if isinstance(declared, tree.Alias):
            replaced = [each for name, each in self.model.root.expressions.items() if name in given]
            self.edits.append(_called(declared.value, given, replaced))
            return
        for each in declared.parameters:
            if each.name in given:
                kind = f": {each.type}" if each.type else ""
                self.edits.append(Edit(each.span, f"{each.name}{kind} = {given[each.name]}"))

    def _sizes(self, sizes: Mapping[str, int]) -> None:
        """A `let` at the head of the network: a size that has a name already is no symbol."""
        definition = self.model.definition
        if not sizes or definition is None:
            return
        at = definition.body.span.start + 1
        lines = "".join(f"\n    let {name} = {size}" for name, size in sizes.items())
        if definition.body.span.source.text[at - 1] != "{":
            at -= 1
        self.edits.append(Edit(Span(definition.body.span.source, at, at), f"{lines}\n"))

    def _drop_claims(self, bag: Bag) -> None:
        failed = [each.span for each in bag if each.code == "not-applicable" and each.span is not None]
        if not failed:
            return
        everything: list[Any] = [*self.unit.file.declarations, *(each for each in self.taken.values())]
        done: set[tuple[int, int, int]] = set()
        for expect in (each for node in everything for each in _walk(node) if isinstance(each, tree.Expect)):
            place = (id(expect.span.source), expect.span.start, expect.span.end)
            if place not in done and any(_inside(span, expect.span) for span in failed):
                done.add(place)
                self.edits.append(Edit(expect.span, ""))


def _called(value: tree.Expr, given: Mapping[str, str], replaced: list[tree.Expr]) -> Edit:
    """A call with these arguments by name in place of those it has, or a name called with them."""
    added = [f"{name}={text}" for name, text in given.items()]
    if not isinstance(value, tree.Call):
        return Edit(value.span, f"{value.span.text}({', '.join(added)})")
    kept = [each.span.text for each in value.arguments if not any(each.value is other for other in replaced)]
    return Edit(value.span, f"{value.function.span.text}({', '.join([*kept, *added])})")


def _edited(span: Span, changes: list[Edit]) -> str:
    """The text of a span with the changes that lie in it."""
    inside = sorted(
        (each for each in changes if _inside(each.span, span)),
        key=lambda each: (each.span.start, each.span.end),
        reverse=True,
    )
    text = span.source.text
    end = span.end
    parts: list[str] = []
    for each in inside:
        parts += [text[each.span.end : end], each.text]
        end = each.span.start
    parts.append(text[span.start : end])
    return "".join(reversed(parts))


def _inside(span: Span, other: Span) -> bool:
    return span.source is other.source and other.start <= span.start and span.end <= other.end


def _file_scope(scope: Scope) -> Scope:
    while scope.parent is not None:
        scope = scope.parent
    return scope


def _names(node: Any) -> Iterator[str]:
    seen: set[str] = set()
    for each in _walk(node):
        if isinstance(each, tree.Name) and each.name not in seen:
            seen.add(each.name)
            yield each.name


def _walk(node: Any) -> Iterator[Any]:
    """A node and all below it, in the order of the text."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, tuple):
            waiting += reversed(each)
        elif isinstance(each, tree.Node):
            yield each
            waiting += [getattr(each, name) for name in reversed(each.FIELDS)]
