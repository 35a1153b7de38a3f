"""Unrolling bodies: statements in order, choices and loops where they stand, groups, blocks and parallel branches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from specc.model.elaborate import declare, lines
from specc.model.elaborate.body import Body, Shapes
from specc.model.elaborate.claims import Claims
from specc.model.elaborate.evaluate import Evaluator, bind_names
from specc.model.elaborate.fitting import default_of
from specc.model.elaborate.operators import Operators
from specc.model.elaborate.place import Builder
from specc.model.elaborate.problem import Exhausted, Silent, exhausted, problem
from specc.model.elaborate.results import publish
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import (
    LOST,
    MISSING,
    BlockValue,
    Function,
    GroupLayer,
    Label,
    Later,
    Scope,
    TensorList,
    TensorRef,
    awaited,
    handed_in,
    ids_of,
)
from specc.model.graph import Frame, Module, Port
from specc.sizes.conditions import Predicate
from specc.sizes.dim import SizeTooLarge
from specc.syntax import tree
from specc.text.diagnostics import Diagnostic, Note, SpecError
from specc.text.source import Span

DEEPEST = 60
Tensors = tuple[TensorRef | TensorList, ...]


class Walk:
    """One elaboration of one network: the builder, the evaluator and the bodies that are open."""

    def __init__(self, builder: Builder, claims: Claims) -> None:
        self.builder = builder
        self.claims = claims
        self.shapes = Shapes()
        self.bodies: list[Body] = []
        self.outputs: list[Port] = []
        self.inputs: list[Port] = []
        self.open_blocks: list[int] = []
        self.modules: list[Module] = []
        self.declared: dict[str, TensorRef] = {}
        self.sizes: dict[str, int] = {}
        self.input_lost = False
        self.evaluator = Evaluator(Operators(self), builder.budget)

    @property
    def body(self) -> Body:
        return self.bodies[-1]

    # ------------------------------------------------------------------------------------------------ bodies
    def unroll(self, body: Body, node: tree.Body) -> None:
        """All statements of a body, with `body` as the place where they put things."""
        if len(self.bodies) >= 2 * DEEPEST:
            raise problem("nesting-too-deep", node.span, f"bodies are nested more than {2 * DEEPEST} levels deep here")
        self.bodies.append(body)
        try:
            self.statements(node, body.scope)
        finally:
            self.bodies.pop()

    def statements(self, node: tree.Body, scope: Scope) -> None:
        for statement in node.statements:
            self.evaluator.spend(1, statement.span)
            try:
                _STATEMENTS[type(statement)](self, statement, scope)
            except Exhausted:
                raise
            except SpecError as error:
                self.builder.bag.add(self.builder.with_uses(error.diagnostic))
                if self.builder.bag.full:
                    raise Exhausted(error.diagnostic) from None
                self.lost(statement)
            except SizeTooLarge as error:
                found = Diagnostic("number-too-large", statement.span, str(error))
                self.builder.bag.add(self.builder.with_uses(found))
                self.lost(statement)
            except Silent:
                self.lost(statement)

    def lost(self, statement: tree.Statement) -> None:
        """After an error its labels and the flow are unknown, in silence; what has a name already keeps it."""
        body = self.body
        names = body.scope.names
        unknown = self.builder.unknown(statement.span)
        if isinstance(statement, tree.Line):
            for label in statement.labels:
                if len(label.parts) == 1 and isinstance(label.parts[0], str):
                    names.setdefault(label.parts[0], Label(unknown, None))
            if statement.alias:
                names.setdefault(statement.alias, Label(unknown, None))
        elif isinstance(statement, tree.Weight):
            names.setdefault(statement.name, Label(unknown, None))
        elif isinstance(statement, tree.Let):
            names[statement.name] = LOST
        elif isinstance(statement, tree.Input):
            self.input_lost = True
            names.setdefault(statement.name, Label(unknown, None))
            for item in statement.shape.items:
                if isinstance(item, tree.Name):
                    names.setdefault(item.name, LOST)
        if not isinstance(statement, tree.Let | tree.Weight | tree.Publish):
            body.flow = unknown

    def _if(self, node: tree.If, scope: Scope) -> None:
        if self.evaluator.condition(node.condition, scope):
            self.statements(node.body, Scope(scope))
        elif node.other is not None:
            self.statements(node.other, Scope(scope))

    def _repeat(self, node: tree.Repeat, scope: Scope) -> None:
        count = self.evaluator.whole(node.count, scope)
        if count < 0:
            raise problem("bad-count", node.count.span, f"cannot repeat {count} times")
        if count > self.evaluator.budget.evaluations:
            raise exhausted(node.count.span, f"this repeats {count:,} times")
        for _ in range(count):
            self.evaluator.spend(1, node.span)
            self.statements(node.body, Scope(scope))

    def _for(self, node: tree.For, scope: Scope) -> None:
        for item in self.evaluator.sequence(node.source, scope):
            self.evaluator.spend(1, node.span)
            inner = Scope(scope)
            bind_names(inner, node.names, item, node.source.span)
            self.statements(node.body, inner)

    def _let(self, node: tree.Let, scope: Scope) -> None:
        bound: Any = Function(node, scope) if node.parameters is not None else Later(node.value, scope)
        if isinstance(bound, Later) and isinstance(node.value, tree.Chain | tree.Group | tree.Parallel):
            bound.value = lines.recipe(self, node.value, scope)
        elif isinstance(bound, Later):
            bound.value = self.evaluator.evaluate(node.value, scope)
            if isinstance(bound.value, TensorRef):
                scope.names[node.name] = Label(bound.value, None)
                return
        scope.names[node.name] = bound

    def _where(self, node: tree.Where, scope: Scope) -> None:
        self.where(node.condition, scope)

    def where(self, node: tree.Expr, scope: Scope) -> None:
        """A fact about sizes; false for sizes that are known is an error."""
        value = self.evaluator.evaluate(node, scope)
        if isinstance(value, Predicate):
            if self.body.network:
                self.builder.fact(value)
            elif not self.builder.decide(value, node.span):
                raise problem("where-fails", node.span, "this does not hold for the sizes that come in here")
        elif value is False:
            raise problem("where-fails", node.span, f"`{node.span.text}` does not hold here")
        elif value is not True:
            raise problem("not-a-condition", node.span, f"a condition is needed here; this is {say(value)}")

    def _line(self, node: tree.Line, scope: Scope) -> None:
        lines.line(self, node, scope)

    def _publish(self, node: tree.Publish, scope: Scope) -> None:
        publish(self, node, scope)

    def _input(self, node: tree.Input, scope: Scope) -> None:
        declare.network_input(self, node, scope)

    def _weight(self, node: tree.Weight, scope: Scope) -> None:
        declare.weight(self, node, scope)

    # ------------------------------------------------------------------------------------- groups and blocks
    def group(self, layer: GroupLayer, module: Module, frame: Frame, flow: Any, parallel: bool) -> Body:
        """Unroll `{ … }` or `parallel { … }` into a module of its own."""
        record, reserved = self.shapes.of(layer.node.body)
        module.record = record
        body = Body(module, frame, Scope(layer.scope, "group"), record, reserved, flow, parallel=parallel)
        self.unroll(body, layer.node.body)
        frame.scope = body.scope
        if parallel:
            frame.result = tuple(ids_of(body.branches))
            return body
        frame.result = body.flow.id if isinstance(body.flow, TensorRef) else None
        return body

    def block(self, value: BlockValue, module: Module, frame: Frame, inputs: Tensors, span: Span) -> Body:
        """Unroll a block's body on its inputs: the tensor that flows in, then its `tensor` parameters."""
        definition = value.definition
        if id(definition) in self.open_blocks:
            raise problem("recursive-block", span, f"`{definition.name}` contains itself; there is no recursion")
        if len(self.open_blocks) >= DEEPEST:
            raise problem("nesting-too-deep", span, f"blocks are nested more than {DEEPEST} levels deep here")
        if not isinstance(definition, tree.Block):
            help = "make a block of what both have in common"
            raise problem(
                "not-a-layer", span, f"`{definition.name}` is a network; only a block can be a step of another", help
            )
        scope = Scope(value.home, "block")
        self._bind(value, scope, inputs, span)
        frame.inputs, frame.names = handed_in(value, inputs)
        self._signature_in(definition, scope, inputs[0], span)
        record, reserved = self.shapes.of(definition.body)
        module.record = record
        body = Body(module, frame, scope, record, reserved, inputs[0])
        self._describe(frame, value, scope)
        self.open_blocks.append(id(definition))
        self.builder.uses.append((module.path, span))
        try:
            self.unroll(body, definition.body)
            frame.result = body.flow.id if isinstance(body.flow, TensorRef) else None
            self._signature_out(definition, body, span)
        finally:
            self.builder.uses.pop()
            self.open_blocks.pop()
        return body

    def _describe(self, frame: Frame, value: BlockValue, scope: Scope) -> None:
        frame.definition, frame.scope, frame.caller = value.definition, scope, value.scope
        frame.expressions = value.expressions
        frame.given = {
            each.name: self.evaluator.bound(scope.names[each.name], each.span)
            for each in value.definition.parameters
            if each.type != "tensor"
        }

    def _bind(self, value: BlockValue, scope: Scope, inputs: Tensors, span: Span) -> None:
        definition = value.definition
        further = dict(zip(awaited(value), inputs[1:], strict=True))
        scope.names["input"] = Label(inputs[0], None)
        for each in definition.parameters:
            if each.name in further:
                scope.names[each.name] = Label(further[each.name], None)
            elif each.name in value.given:
                given = value.given[each.name]
                scope.names[each.name] = Label(given, None) if isinstance(given, TensorRef) else given
            elif each.default is not None:
                given = default_of(self.evaluator, definition.name, each, Scope(scope))
                scope.names[each.name] = Label(given, None) if isinstance(given, TensorRef) else given
            else:
                raise missing_parameter(definition, each, span)

    def _signature_in(self, definition: tree.Block, scope: Scope, x: TensorRef | TensorList, span: Span) -> None:
        if definition.signature is None:
            return
        if isinstance(x, TensorList):
            takes = definition.signature.takes.span.text
            message = f"`{definition.name}` takes {takes}; a list of {len(x.items)} tensors flows in here"
            raise problem("signature-mismatch", span, message)
        if x.type is None:
            raise Silent
        items, sizes = definition.signature.takes.items, x.type.shape
        stars = [at for at, each in enumerate(items) if isinstance(each, tree.Star)]
        fits = len(sizes) >= len(items) - 1 if stars else len(sizes) == len(items)
        if not fits or len(stars) > 1:
            raise problem(
                "signature-mismatch", span,
                f"`{definition.name}` takes {definition.signature.takes.span.text}; the tensor here has shape {say(sizes)}",
            )  # fmt: skip
        from specc.model.elaborate.scope import Sizes

        split = stars[0] if stars else len(items)
        after = len(items) - split - 1 if stars else 0
        parts: list[Any] = list(sizes[:split])
        if stars:
            parts.append(Sizes(sizes[split : len(sizes) - after]))
            parts += sizes[len(sizes) - after :] if after else ()
        for item, size in zip(items, parts, strict=True):
            inner = item.value if isinstance(item, tree.Star) else item
            if isinstance(inner, tree.Name) and scope.names.get(inner.name, MISSING) is MISSING:
                scope.names[inner.name] = size
                continue
            self._agrees(definition, inner, self.evaluator.evaluate(inner, scope), size, span, "takes")

    def _agrees(self, definition: tree.Block, item: tree.Expr, stated: Any, size: Any, span: Span, verb: str) -> None:
        from specc.model.elaborate.arithmetic import binary

        same = binary("==", stated, size, item.span)
        if same is True or (isinstance(same, Predicate) and self._always(same)):
            return
        raise problem(
            "signature-mismatch", span,
            f"`{definition.name}` {verb} {_stated(item, stated)} by its signature; here it is {size}",
            notes=(Note(item.span, "this is stated"),),
        )  # fmt: skip

    def _always(self, predicate: Predicate) -> bool:
        from specc.sizes.conditions import Proved, decide

        if isinstance(self.builder.answer(predicate), Proved):
            return True
        known = (*self.builder.facts, *(each.predicate for each in self.builder.requirements))
        return isinstance(decide(predicate, known), Proved)

    def _signature_out(self, definition: tree.Block, body: Body, span: Span) -> None:
        if definition.signature is None or definition.signature.gives is None:
            return
        if not isinstance(body.flow, TensorRef) or body.flow.type is None:
            return
        stated = self.evaluator._list(definition.signature.gives, body.scope, ())
        sizes = body.flow.type.shape
        if len(stated) != len(sizes):
            raise problem(
                "signature-mismatch", span,
                f"`{definition.name}` gives {say(tuple(stated))} by its signature; here it gives {say(sizes)}",
                notes=(Note(definition.signature.gives.span, "this is stated"),),
            )  # fmt: skip
        if tuple(stated) == tuple(sizes):
            return
        for at, (claim, size) in enumerate(zip(stated, sizes, strict=True)):
            items = definition.signature.gives.items
            item = items[min(at, len(items) - 1)]
            self._agrees(definition, item, claim, size, span, "gives")


def _stated(item: tree.Expr, value: Any) -> str:
    text = item.span.text
    return f"`{text}`" if text == str(value) else f"`{text}`, which is {value},"


def missing_parameter(definition: tree.Block | tree.Network, parameter: tree.Parameter, span: Span) -> SpecError:
    """A required parameter that nobody gave."""
    needed = [each.name for each in definition.parameters if each.default is None and each.type != "tensor"]
    kind = f": {parameter.type}" if parameter.type else ""
    return problem(
        "missing-argument", span, f"`{definition.name}` needs `{parameter.name}{kind}`",
        f"write `{definition.name}({', '.join(needed)})`",
    )  # fmt: skip


_STATEMENTS: dict[type, Callable[[Walk, Any, Scope], None]] = {
    tree.Line: Walk._line,
    tree.Publish: Walk._publish,
    tree.Input: Walk._input,
    tree.Weight: Walk._weight,
    tree.Where: Walk._where,
    tree.Let: Walk._let,
    tree.If: Walk._if,
    tree.Repeat: Walk._repeat,
    tree.For: Walk._for,
}
