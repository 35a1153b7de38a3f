"""One class for each block and branch taken: its constructor, its forward, and how it is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from specc.backends.torch_chain import Chains
from specc.backends.torch_forward import Flow, declared_in, step_hint
from specc.backends.torch_home import CannotPrint, Home, Tree, Word, words_in
from specc.backends.torch_lines import Line, Naming, nested
from specc.backends.torch_names import RESERVED_CLASSES, camel, plain, unused
from specc.backends.torch_nodes import names, replaced
from specc.backends.torch_plan import Plan, steps_of
from specc.backends.torch_start import Tables
from specc.backends.torch_statements import (
    attribute,
    constructor,
    labelled,
    repeated,
    statements,
    super_init,
    with_last_defaults,
    with_parameters,
)
from specc.backends.torch_support import brought_along
from specc.backends.torch_words import block_home, incoming, structural
from specc.code.nodes import (
    Attribute,
    Body,
    ClassDef,
    Dict,
    Expression,
    FunctionDef,
    List,
    Name,
    Parameter,
    Return,
    Statement,
    Tuple,
    assign,
    call,
    dotted,
)
from specc.model.graph import Frame, Module, ValueId, Weight


@dataclass(frozen=True, slots=True)
class Written:
    """A class that is written. `fixed` are parameters that it lacks, or that have one value only."""

    name: str
    words: tuple[Word, ...]
    fixed: frozenset[str]


@dataclass
class Writer:
    """Writes the classes of a model, the inner ones first; equal ones once."""

    plan: Plan
    root_name: str
    classes: list[ClassDef] = field(default_factory=list)
    _known: dict[Any, str] = field(default_factory=dict)
    _done: dict[int, Written] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.tree = Tree(self.plan)
        self.labels = {
            output: f"{step_hint(step)}_{name}"
            for step in self.plan.model.steps
            for output, name in zip(step.outputs[1:], step.op.further, strict=False)
        }
        self.labels |= {self.plan.seen(each.id): each.name for each in self.plan.model.values if each.name}
        self.tied = [each for each in self.plan.model.weights if each.tied]
        self.chains = Chains(self.plan, self.tree)
        self._taken = {self.root_name, *RESERVED_CLASSES, *brought_along()}
        self.tables = Tables(self.plan, self._taken)
        self._plainest: dict[int, tuple[str, ...]] = {}
        for frames in self.plan.frames.values():
            for frame in frames:
                self._note_labels(frame)

    def _note_labels(self, frame: Frame) -> None:
        if frame.definition is None:
            return
        labels = tuple(each.name for each in frame.module.children)
        known = self._plainest.get(id(frame.definition))
        if known is None or len(labels) < len(known):
            self._plainest[id(frame.definition)] = labels

    # ------------------------------------------------------------------------------------------------- children
    def child(self, module: Module, home: Home) -> Expression | None:
        """How a child is built in a constructor; None for what needs no module."""
        if module.kind == "op":
            return self._op(module, home)
        if module.kind == "parallel":
            return self._parallel(module, home)
        frame = self.plan.frames[id(module)][0]
        if module.kind != "block" and self.chains.pure(frame):
            return self._sequential(frame, home)
        return self._use(frame, home)

    def _op(self, module: Module, home: Home) -> Expression:
        assert module.step is not None
        node = home.module_of(module.step)
        if node is None:
            raise CannotPrint(f"`{module.path}` ({module.step.op.name}) has no module in PyTorch")
        home.shown(module.step, node)
        return node

    def _sequential(self, frame: Frame, home: Home) -> Expression:
        children = self.chains.modules(frame)
        parts = [self._must(each, home) for each in children]
        if [each.name for each in children] == [str(at) for at in range(len(children))]:
            return call("nn.Sequential", *repeated(parts))
        pairs = labelled([each.name for each in children], parts)
        return call("nn.Sequential", call("OrderedDict", pairs))

    def _parallel(self, module: Module, home: Home) -> Expression:
        children = self.tree.children(module)
        parts = [self._must(each, home) for each in children]
        if self.tree.style(module) == "list":
            return call("nn.ModuleList", List(repeated(parts)))
        return call("nn.ModuleDict", Dict(tuple((each.name, part) for each, part in zip(children, parts, strict=True))))

    def _must(self, module: Module, home: Home) -> Expression:
        found = self.child(module, home)
        assert found is not None
        return found

    def _use(self, frame: Frame, home: Home) -> Expression:
        """A class called with the arguments of this use, in the words of the class around it."""
        written = self.written(frame, home)
        given = self._given(frame, home)
        for name, number in given.items():
            if name in written.fixed:
                home.dropped.update(words_in(number))
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        by_place = len([each for each in written.words if each.name not in frame.given]) + 1
        for word in written.words:
            number = given[word.name]
            if word.default is ... and len(positional) < by_place and not keywords:
                positional.append(number)
            elif word.default is ... or number != word.default or words_in(number):
                keywords[word.name] = number
        return call(written.name, *positional, **keywords)

    def _given(self, frame: Frame, home: Home) -> dict[str, Any]:
        if frame.definition is None:
            return {name: Name(name) for name in home.words}
        found = dict(home.trace.arguments.get(id(frame), frame.given))
        found.update({name: Name(name) for name in self.plan.unknown})
        for name, (tensor, axis) in incoming(self.plan, frame).items():
            found[name] = home.trace.type(self.plan.seen(tensor)).shape[axis]
        return found

    # -------------------------------------------------------------------------------------------------- classes
    def written(self, frame: Frame, around: Home) -> Written:
        """The class of a block, or of a group that is no plain chain; written now if it is new."""
        found = self._done.get(id(frame.module))
        if found is None:
            if frame.definition is None:
                words = {each.name: Word(each.name, each.annotation) for each in around.words.values()}
                home = Home(self.plan, self.tree, frame.module, around.trace, words)
            else:
                home = block_home(self.plan, self.tree, frame)
            found = self._done[id(frame.module)] = self._write(frame, home)
            if frame.definition is None:
                around.dropped.update(found.fixed)
        return found

    def _write(self, frame: Frame, home: Home) -> Written:
        bases, body = self.contents(frame, home)
        said = set(names(body))
        words = tuple(each for each in home.words.values() if each.name in said)
        fixed = frozenset(home.dropped)
        if frame.definition is not None:
            fixed |= frozenset(home.words) - {each.name for each in words} | structural(frame, home)
        words = with_last_defaults(words)
        body = with_parameters(body, words)
        key = (id(frame.definition) if frame.definition else camel(frame.module.name), bases, body)
        name = self._known.get(key)
        if name is None:
            name = self._known[key] = self._name(frame)
            self._taken.add(name)
            self.classes.append(ClassDef(name, bases, body))
        return Written(name, words, fixed)

    def _name(self, frame: Frame) -> str:
        if frame.definition is None:
            above = self.tree.parents.get(id(frame.module))
            own = camel(frame.module.name) or (camel(above.name) if above else "") or "Part"
            return unused(own, self._taken)
        base = frame.definition.name
        more = [each.name for each in frame.module.children if each.name not in self._plainest[id(frame.definition)]]
        telling = base + "".join(camel(each) for each in more)
        if 0 < len(more) <= 2 and telling != base and telling not in self._taken and all(map(camel, more)):
            return telling
        return unused(base, self._taken)

    def contents(self, frame: Frame, home: Home) -> tuple[tuple[Expression, ...], Body]:
        """Bases and body of a class. The constructor has no parameters yet: they are the free words of the body."""
        module = frame.module
        if not module.record and self.chains.pure(frame):
            parts = [self._must(each, home) for each in self.chains.modules(frame)]
            return (dotted("nn.Sequential"),), constructor([super_init(*repeated(parts))])
        frames = self.plan.frames[id(module)]
        clearest = max(frames, key=self._distinct)
        if self._distinct(clearest) > self._distinct(frame):
            home = home if frame.definition is None else block_home(self.plan, self.tree, clearest)
            frame = clearest
        forward = self.forward(frame, home)
        for each in frames:
            self._same(frame, each, home, forward)
        return self.assembled(frame, home, (forward,))

    def _distinct(self, frame: Frame) -> int:
        """How many different tensors come in; at one use of a group two of them may be one."""
        return len(set(self.plan.crossing(frame).inputs))

    def _same(self, frame: Frame, again: Frame, home: Home, forward: FunctionDef) -> None:
        """Every use of one module must do the same; one that no line calls may do less."""
        if not self.plan.called(again):
            return
        other = home if frame.definition is None else block_home(self.plan, self.tree, again)
        if self._distinct(again) < self._distinct(frame):
            same = [type(each.op) for each in steps_of(again)] == [type(each.op) for each in steps_of(frame)]
        else:
            same = again is frame or self.forward(again, other) == forward
        if not same:
            raise CannotPrint(f"`{frame.module.path}` is used twice, with different steps inside")

    def assembled(
        self, frame: Frame, home: Home, functions: tuple[FunctionDef, ...], apart: tuple[FunctionDef, ...] = ()
    ) -> tuple[tuple[Expression, ...], Body]:
        """Constructor and functions of a class that is more than a chain; `apart` are those with names of their own."""
        module = frame.module
        stored = [each for each in home.words if each in set(names(functions))]
        functions = replaced(functions, {name: Attribute(Name("self"), name) for name in stored})
        style = self.tree.style(module)
        start: list[Statement] = [super_init()]
        kept: list[Statement] = [assign(Attribute(Name("self"), name), Name(name)) for name in stored]
        kept += self.tables.starting(declared_in(frame), frame, home)
        if style == "named":
            for child in module.children:
                if id(child) in home.ran or self.tree.stands(module, child):
                    kept.append(attribute(child.name, self._must(child, home)))
            base = "nn.Module"
        else:
            children = self.tree.children(module)
            parts = [self._must(each, home) for each in children]
            base = "nn.ModuleList" if style == "list" else "nn.ModuleDict"
            if children and style == "list":
                start = [super_init(List(repeated(parts)))]
            elif children:
                start = [super_init(Dict(tuple((each.name, part) for each, part in zip(children, parts, strict=True))))]
            else:
                base = "nn.Module"
        kept += [self._tie(each, home) for each in self.ties(module)]
        if not kept and start == [super_init()]:
            return (dotted(base),), (*functions, *apart)
        return (dotted(base),), (*constructor([*start, *kept]), *functions, *apart)

    # -------------------------------------------------------------------------------------------------- forward
    def forward(self, frame: Frame, home: Home) -> FunctionDef:
        """`def forward(self, x, …)` of a block or a group."""
        crossing = self.plan.crossing(frame)
        flow = Flow(home)
        lines = flow.body(frame)
        given = self._parameters(frame, crossing.inputs)
        body = self.finished(flow, lines, tuple(map(flow.final, crossing.outputs)), given)
        parameters = tuple(Parameter(each) for each in given.values())
        return FunctionDef("forward", (Parameter("self"), *parameters), body)

    def _parameters(self, frame: Frame, inputs: Iterable[ValueId]) -> dict[ValueId, str]:
        found: dict[ValueId, str] = {}
        for each in inputs:
            at = frame.inputs.index(each) if each in frame.inputs else -1
            name = self.plan.model.values[each].name if at < 0 else "x"
            if at >= 0 and frame.names:
                name = frame.names[at]
            found[each] = unused(name if plain(name) and name != "self" else "y", found.values())
        return found

    def finished(
        self, flow: Flow, lines: list[Line], results: tuple[ValueId, ...], given: Mapping[ValueId, str]
    ) -> Body:
        """The lines as statements, and what is returned."""
        lines = nested(lines, results)
        shown = self.naming(lines, results, given).give()
        last = lines[-1] if lines else None
        if last and len(results) == 1 and last.targets == results and not last.training:
            return (*statements(lines[:-1], shown), Return(replaced(last.node, shown)))
        nodes = [replaced(flow.node(each), shown) for each in results]
        return (*statements(lines, shown), Return(nodes[0] if len(nodes) == 1 else Tuple(tuple(nodes))))

    def naming(self, lines: list[Line], results: Iterable[ValueId], given: Mapping[ValueId, str]) -> Naming:
        naming = Naming(lines, results, self.labels)
        naming.inputs(given)
        return naming

    # ----------------------------------------------------------------------------------------------------- ties
    def ties(self, module: Module) -> list[Weight]:
        """The shared weights that meet in this class and in none below it."""
        return [each for each in self.tied if self.chains.meeting(each) is module]

    def _tie(self, weight: Weight, home: Home) -> Statement:
        return assign(home.weight_at(weight.key), home.weight_at(weight.tied))
