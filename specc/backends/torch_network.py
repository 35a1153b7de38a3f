"""The module as a whole: its imports, its classes, and the network's class with `logits`, `forward` and `check`."""

from __future__ import annotations

from dataclasses import replace

from specc.backends.torch_check import checking
from specc.backends.torch_classes import Writer
from specc.backends.torch_forward import Flow, StepLine, Tensor
from specc.backends.torch_home import CannotPrint, Home
from specc.backends.torch_lines import Line, nested
from specc.backends.torch_names import plain
from specc.backends.torch_nodes import names, replaced
from specc.backends.torch_plan import Plan, plan
from specc.backends.torch_statements import in_training, statements, with_parameters
from specc.backends.torch_support import Imported, import_lines, supporting
from specc.backends.torch_words import network_home, structural
from specc.code.nodes import (
    Body,
    ClassDef,
    Dict,
    Expression,
    ExpressionStatement,
    FunctionDef,
    Module,
    Name,
    Parameter,
    Return,
    Statement,
    Table,
    assign,
    call,
    index,
    method,
)
from specc.code.printer import print_body, print_module
from specc.model.graph import Model, Port, ValueId


def network_module(model: Model, name: str, header: str) -> str:
    """The text of the whole module."""
    if not plain(name):
        raise CannotPrint(f"`{name}` cannot be the name of a class")
    found = plan(model)
    fixed: frozenset[str] = frozenset()
    while True:
        network = _Network(found, name, fixed)
        definitions = network.definitions()
        if network.fixed <= fixed:
            break
        fixed |= network.fixed
    return _assembled(header, definitions)


class _Network:
    """Writes the network's class after those of its blocks. `fixed` are parameters that turn out not to be free."""

    def __init__(self, found: Plan, name: str, fixed: frozenset[str]) -> None:
        self.plan = found
        self.model = found.model
        self.name = name
        self.frame = found.model.root
        self.writer = Writer(found, name)
        self.home: Home = network_home(found, self.writer.tree, self.frame, fixed)
        self.fixed: frozenset[str] = frozenset()

    def definitions(self) -> tuple[Table | ClassDef, ...]:
        writer, home = self.writer, self.home
        if not self.frame.module.record and self._is_chain():
            bases, body = writer.contents(self.frame, home)
            port = self.model.inputs[0].name
            inner: tuple[Statement, ...] = (Return(method(call("super"), "forward", Name(port))),)
            functions = self._functions((self._checked(), *inner))
            body = (*body, *functions, checking(self.model))
        else:
            functions = self._functions((self._checked(), *self._trunk()))
            bases, body = writer.assembled(self.frame, home, functions, (checking(self.model),))
        said = set(names(body[:-1]))
        words = tuple(each for each in home.words.values() if each.name in said)
        self.fixed = frozenset(home.words) - {each.name for each in words} | home.dropped | structural(self.frame, home)
        classes = (*writer.classes, ClassDef(self.name, bases, with_parameters(body, words)))
        writer.tables.taken.update(names(classes))
        classes = writer.tables.lifted(classes)
        return (*writer.tables.written(), *classes)

    def _is_chain(self) -> bool:
        single = len(self.model.inputs) == len(self.model.outputs) == 1
        return single and self.writer.chains.pure(self.frame)

    def _functions(self, trunk: Body) -> tuple[FunctionDef, ...]:
        parameters = (Parameter("self"), *(Parameter(each.name) for each in self.model.inputs))
        heads = self._heads()
        if heads is None:
            same = (Return(call("self", *(Name(each.name) for each in self.model.inputs))),)
            says = "What the loss works on: here the outputs themselves."
            return (
                FunctionDef("forward", parameters, trunk),
                FunctionDef("logits", parameters, same, docstring=says),
            )
        says = "What the loss works on: the outputs without their last activation."
        return (
            FunctionDef("forward", parameters, heads),
            FunctionDef("logits", parameters, trunk, docstring=says),
        )

    def _checked(self) -> Statement:
        return ExpressionStatement(call("self.check", *(Name(each.name) for each in self.model.inputs)))

    def _logits_call(self) -> Expression:
        return call("self.logits", *(Name(each.name) for each in self.model.inputs))

    # --------------------------------------------------------------------------------------------------- forward
    def _heads(self) -> Body | None:
        """The body of `forward`: the heads on the logits; None where it only passes them on."""
        deployed = [each for each in self.model.outputs if not each.training]
        training = [each for each in self.model.outputs if each.training]
        heads = self.plan.heads
        if not training and not any(each.name in heads for each in deployed):
            return None
        logits = self._logits_call()
        if len(deployed) == 1:
            port = deployed[0]
            if not training:
                return (Return(self._head(port, logits)),)
            chosen = in_training([assign("logits", index("logits", port.name))])
            return (assign("logits", logits), chosen, Return(self._head(port, Name("logits"))))
        items = tuple((each.name, self._head(each, index("logits", each.name))) for each in deployed)
        return (assign("logits", logits), Return(Dict(items)))

    def _head(self, port: Port, node: Expression) -> Expression:
        head = self.plan.heads.get(port.name)
        if head is None:
            return node
        flow = Flow(self.home)
        one_line = StepLine(flow, head.step)
        operand = Tensor(node, self.model.type(head.logits))
        return head.step.op.torch(one_line, operand)

    # ----------------------------------------------------------------------------------------------------- logits
    def _trunk(self) -> Body:
        """The lines of the network, and its outputs with their heads undone."""
        flow = Flow(self.home)
        lines = flow.body(self.frame)
        given = {each.value: each.name for each in self.model.inputs}
        deployed = [each for each in self.model.outputs if not each.training]
        training = [each for each in self.model.outputs if each.training]
        results = tuple(dict.fromkeys(flow.final(self.plan.wanted(each)) for each in (*deployed, *training)))
        if len(deployed) == 1 and not training:
            return self.writer.finished(flow, lines, results, given)
        outputs = {flow.final(self.plan.wanted(each)): each.name for each in (*training, *deployed)}
        lines = [self._as_output(each, outputs) for each in nested(lines, results)]
        shown = self.writer.naming(lines, results, given).give()
        return (*statements(lines, shown), *self._returned(flow, deployed, training, shown))

    def _as_output(self, line: Line, outputs: dict[ValueId, str]) -> Line:
        """An output that no layer with a label makes is called what the dictionary of outputs calls it."""
        target = line.targets[0]
        name = outputs.get(target, "") if target is not None and len(line.targets) == 1 else ""
        at = self.model.values[target].step if name and target is not None else None
        module = self.model.steps[at].module if at is not None else None
        labelled = module is not None and not module.name.isdigit()
        return line if at is None or labelled else replace(line, hint=name)

    def _returned(self, flow: Flow, deployed: list[Port], training: list[Port], shown: dict[str, Expression]) -> Body:
        def node(port: Port) -> Expression:
            found: Expression = replaced(flow.node(self.plan.wanted(port)), shown)
            return found

        usual = node(deployed[0]) if len(deployed) == 1 else Dict(tuple((each.name, node(each)) for each in deployed))
        if not training:
            return (Return(usual),)
        everything = Dict(tuple((each.name, node(each)) for each in (*deployed, *training)))
        return (in_training([Return(everything)]), Return(usual))


_COMMON: dict[str, Imported] = {
    "OrderedDict": ("collections", "OrderedDict", ""),
    "math": ("math", "", ""),
    "F": ("torch.nn", "functional", "F"),
    "nn": ("torch", "nn", ""),
    "torch": ("torch", "", ""),
}


def _assembled(header: str, definitions: tuple[Table | ClassDef, ...]) -> str:
    """The text: docstring, imports, classes brought along, then tables and classes of the model's own."""
    said = set(names(definitions))
    texts, imports = supporting(said - {each.name for each in definitions})
    imports |= {needed for name, needed in _COMMON.items() if name in said}
    top = print_module(Module(header, ())).rstrip("\n")
    apart = "\n\n" if not texts and isinstance(definitions[0], Table) else "\n\n\n"
    return apart.join([f"{top}\n\n{import_lines(imports)}", *texts, print_body(definitions)])
