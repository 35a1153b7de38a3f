"""Makes the nodes of the tree: one method for each rule of the grammar that leaves a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from specc.syntax import tree
from specc.syntax.literals import label_parts, number_value, string_value
from specc.syntax.scan import Token
from specc.syntax.tables import Rule, Tables
from specc.text.diagnostics import Bag, Diagnostic
from specc.text.source import Source, Span

TYPES = ("int", "float", "bool", "string", "list", "shape", "block", "tensor")
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
ParsePart = Callable[[int, int], tree.Expr]


class Builder:
    """Called by the machine with a rule's children; a method's name is its rule's, with `_` behind Python's words."""

    def __init__(self, source: Source, tables: Tables, bag: Bag, parse_part: ParsePart) -> None:
        self._source = source
        self._bag = bag
        self._parse_part = parse_part
        names = {rule.name for rule in tables.rules if rule.name}
        self._methods: dict[str, Callable[..., Any]] = {
            name: getattr(self, name, getattr(self, f"{name}_", _unused)) for name in names
        }

    def reduce(self, rule: Rule, children: list[Any], start: int, end: int) -> Any:
        """The node for one complete rule."""
        return self._methods[rule.name](Span(self._source, start, end), *children)

    # -------------------------------------------------------------------------------------------------- the file
    def file(self, span: Span, *declarations: tree.Declaration) -> tree.File:
        return tree.File(Span(self._source, 0, len(self._source.text)), declarations)

    def expression(self, span: Span, value: tree.Expr) -> tree.Expr:
        return value

    def import_quoted(self, span: Span, *parts: Any) -> tree.Import:
        return tree.Import(span, parts[:-1], self._text(parts[-1]), True, self._span(parts[-1]))

    def import_bundled(self, span: Span, *parts: Any) -> tree.Import:
        return tree.Import(span, parts[:-1], parts[-1].text, False, self._span(parts[-1]))

    def imported(self, span: Span, name: Token, alias: Token | None) -> tree.ImportedName:
        return tree.ImportedName(span, name.text, alias.text if alias else "")

    def block(
        self,
        span: Span,
        name: Token,
        parameters: tuple[tree.Parameter, ...] | None,
        signature: tree.Signature | None,
        body: tree.Body,
    ) -> tree.Block:
        return tree.Block(span, name.text, self._span(name), parameters or (), signature, body)

    def signature(self, span: Span, takes: tree.List, gives: tree.List | None) -> tree.Signature:
        return tree.Signature(span, takes, gives)

    def network(
        self,
        span: Span,
        name: Token,
        parameters: tuple[tree.Parameter, ...] | None,
        body: tree.Body,
        *expects: tree.Expect,
    ) -> tree.Network:
        return tree.Network(span, name.text, self._span(name), parameters or (), body, expects)

    def alias(self, span: Span, name: Token, value: tree.Expr, *expects: tree.Expect) -> tree.Alias:
        return tree.Alias(span, name.text, self._span(name), value, expects)

    def parameters(self, span: Span, *parameters: tree.Parameter) -> tuple[tree.Parameter, ...]:
        return parameters

    def parameter(self, span: Span, name: Token, type: Token | None, default: tree.Expr | None) -> tree.Parameter:
        kind = type.text if type else ""
        if type and kind and kind not in TYPES:
            help = f"the types are {', '.join(TYPES[:-1])} and {TYPES[-1]}"
            self._report("unknown-type", self._span(type), f"there is no type `{kind}`", help)
            kind = ""
        return tree.Parameter(span, name.text, cast(Any, kind), default)

    def train(self, span: Span, phase: Token | None, network: Token | None, *settings: tree.Setting) -> tree.Section:
        return tree.Section(span, "train", phase.text if phase else "", network.text if network else "", settings)

    def export(self, span: Span, *settings: tree.Setting) -> tree.Section:
        return tree.Section(span, "export", "", "", settings)

    def setting(self, span: Span, path: tuple[str, Span], *arguments: tree.Argument) -> tree.Setting:
        return tree.Setting(span, *path, arguments)

    def path(self, span: Span, *parts: Token) -> tuple[str, Span]:
        return ".".join(part.text for part in parts), span

    # ------------------------------------------------------------------------------------------------ statements
    def body(self, span: Span, *statements: tree.Statement) -> tree.Body:
        return tree.Body(span, statements)

    def line(
        self,
        span: Span,
        labels: tuple[tree.Label, ...] | None,
        value: tree.Expr,
        alias: Token | None,
        *expects: tree.Expect,
    ) -> tree.Line:
        return tree.Line(span, labels or (), value, *self._alias(alias), expects=expects)

    def labels(self, span: Span, *labels: tree.Label) -> tuple[tree.Label, ...]:
        return labels

    def label(self, span: Span, name: Token) -> tree.Label:
        return tree.Label(span, (name.text,))

    def quoted_label(self, span: Span, text: Token) -> tree.Label:
        return tree.Label(span, label_parts(self._source, text, self._bag, self._parse_part), True)

    def output(
        self,
        span: Span,
        labels: tuple[tree.Label, ...],
        value: tree.Expr,
        alias: Token | None,
        training: bool | None,
        *expects: tree.Expect,
    ) -> tree.Line:
        return tree.Line(span, labels, value, *self._alias(alias), True, bool(training), expects)

    def publish(self, span: Span, name: tree.Expr, training: bool | None, *expects: tree.Expect) -> tree.Publish:
        return tree.Publish(span, name, bool(training), expects)

    def training(self, span: Span) -> bool:
        return True

    def input(
        self, span: Span, name: Token, dtype: Token | None, shape: tree.List, where: tree.Expr | None
    ) -> tree.Input:
        return tree.Input(span, name.text, self._span(name), self._dtype(dtype), shape, where)

    def weight(
        self, span: Span, kind: Token, name: Token, dtype: Token | None, shape: tree.List, *rest: Any
    ) -> tree.Weight:
        value, more = rest[-1] or (None, ())
        arguments = (*rest[:-1], *more)
        word = cast(Any, kind.text)
        return tree.Weight(span, word, name.text, self._span(name), self._dtype(dtype), shape, arguments, value)

    def weight_value(self, span: Span, value: tree.Expr, *named: tree.Argument) -> tuple[tree.Expr, Any]:
        return value, named

    def where(self, span: Span, condition: tree.Expr) -> tree.Where:
        return tree.Where(span, condition)

    def let(self, span: Span, name: Token, parameters: tuple[tree.Parameter, ...] | None, value: tree.Expr) -> tree.Let:
        return tree.Let(span, name.text, self._span(name), parameters, value)

    def if_(self, span: Span, condition: tree.Expr, body: tree.Body, other: tree.Body | tree.If | None) -> tree.If:
        if isinstance(other, tree.If):
            other = tree.Body(other.span, (other,))
        return tree.If(span, condition, body, other)

    def repeat(self, span: Span, count: tree.Expr, body: tree.Body) -> tree.Repeat:
        return tree.Repeat(span, count, body)

    def for_(self, span: Span, names: tuple[str, ...], source: tree.Expr, body: tree.Body) -> tree.For:
        return tree.For(span, names, source, body)

    def names(self, span: Span, *names: Token) -> tuple[str, ...]:
        return tuple(name.text for name in names)

    def expect(self, span: Span, *parts: Any) -> tree.Expect:
        return tree.Expect(span, parts[:-1], parts[-1] or ())

    def shape_claim(self, span: Span, value: tree.Expr) -> tree.Claim:
        return tree.Claim(span, "shape", value)

    def claim(self, span: Span, name: tree.Expr, value: tree.Expr) -> tree.Claim:
        return tree.Claim(span, self._dotted(name), value)

    def valid_claim(self, span: Span, value: tree.Expr) -> tree.Claim:
        return tree.Claim(span, "valid", value)

    def sizes(self, span: Span, *named: tree.Argument) -> tuple[tree.Argument, ...]:
        return named

    def named(self, span: Span, name: Token, value: tree.Expr) -> tree.Argument:
        return tree.Argument(span, name.text, value, self._span(name))

    # ----------------------------------------------------------------------------------------------- expressions
    def chain(self, span: Span, *elements: Any) -> tree.Chain:
        return tree.Chain(span, elements)

    def group(self, span: Span, body: tree.Body) -> tree.Group:
        return tree.Group(span, body)

    def parallel(self, span: Span, body: tree.Body) -> tree.Parallel:
        return tree.Parallel(span, body)

    def choice(self, span: Span, chosen: tree.Expr, condition: tree.Expr, other: tree.Expr) -> tree.Choice:
        return tree.Choice(span, chosen, condition, other)

    def binary(self, span: Span, left: tree.Expr, operator: Token, right: tree.Expr) -> tree.Binary:
        return tree.Binary(span, cast(tree.Operator, operator.text), left, right)

    def comparison(self, span: Span, left: tree.Expr, operator: Token, right: tree.Expr) -> tree.Binary:
        if isinstance(left, tree.Binary) and left.operator in _COMPARISONS and left.span.start == span.start:
            middle = left.right.span.text
            help = f"write `{left.span.text} and {middle} {operator.text} {right.span.text}`"
            help = help if len(help) < 100 and "\n" not in help else "join two comparisons with `and`"
            self._report("chained-comparison", span, "a comparison has two sides", help)
            return tree.Binary(span, cast(tree.Operator, operator.text), left, tree.Name(right.span, ""))
        return tree.Binary(span, cast(tree.Operator, operator.text), left, right)

    def unary(self, span: Span, operator: Token, value: tree.Expr) -> tree.Unary:
        return tree.Unary(span, cast(Any, operator.text), value)

    def call(self, span: Span, function: tree.Expr, *arguments: tree.Argument) -> tree.Call:
        return tree.Call(span, function, arguments)

    def index(self, span: Span, value: tree.Expr, *items: tree.Expr | tree.Slice) -> tree.Index:
        return tree.Index(span, value, items)

    def attribute(self, span: Span, value: tree.Expr, name: Token) -> tree.Attribute:
        return tree.Attribute(span, value, name.text, self._span(name))

    def argument(self, span: Span, value: tree.Expr) -> tree.Argument:
        return tree.Argument(span, "", value)

    def named_argument(self, span: Span, name: tree.Expr, value: tree.Expr) -> tree.Argument:
        return tree.Argument(span, self._dotted(name), value, name.span)

    def slice_(self, span: Span, start: tree.Expr | None, stop: tree.Expr | None, step: tree.Expr | None) -> tree.Slice:
        return tree.Slice(span, start, stop, step)

    def number(self, span: Span, token: Token) -> tree.Expr:
        value = number_value(span, token, self._bag)
        return tree.Name(span, "") if value is None else tree.Number(span, value)

    def text(self, span: Span, token: Token) -> tree.Expr:
        return tree.Text(span, self._text(token)) if token.text else tree.Name(span, "")

    def truth(self, span: Span, token: Token) -> tree.Truth:
        return tree.Truth(span, token.text == "true")

    def name(self, span: Span, token: Token) -> tree.Name:
        return tree.Name(span, token.text)

    def parentheses(self, span: Span, value: tree.Expr) -> tree.Expr:
        return value

    def list_(self, span: Span, *items: tree.Expr) -> tree.List:
        return tree.List(span, items)

    def star(self, span: Span, star: Token, value: tree.Expr) -> tree.Star:
        return tree.Star(span, value)

    def comprehension(self, span: Span, item: tree.Expr, *loops: tuple[Any, ...]) -> tree.Comprehension:
        """Of several loops the inner ones make a list whose items stand in the outer one's."""
        for names, source, condition in reversed(loops[1:]):
            item = tree.Star(span, tree.Comprehension(span, item, names, source, condition))
        return tree.Comprehension(span, item, *loops[0])

    def loop(self, span: Span, *parts: Any) -> tuple[Any, ...]:
        return parts

    # -------------------------------------------------------------------------------------------------- helpers
    def _span(self, token: Token) -> Span:
        return Span(self._source, token.start, token.end)

    def _text(self, token: Token) -> str:
        return string_value(self._source, token, self._bag)

    def _alias(self, alias: Token | None) -> tuple[str, Span | None]:
        return (alias.text, self._span(alias)) if alias else ("", None)

    def _dtype(self, dtype: Token | None) -> Any:
        return dtype.text if dtype else "float"

    def _dotted(self, value: tree.Expr) -> str:
        """The name of an argument, dots and all."""
        parts: list[str] = []
        node = value
        while isinstance(node, tree.Attribute):
            parts.append(node.name)
            node = node.value
        if not isinstance(node, tree.Name):
            help = "write `==` to compare two values" if not isinstance(value, tree.Number) else "leave `=` out"
            self._report("bad-argument-name", value.span, "the name of an argument is a plain word", help)
            return ""
        return ".".join([node.name, *reversed(parts)])

    def _report(self, code: str, span: Span, message: str, help: str) -> None:
        self._bag.add(Diagnostic(code, span, message, help))


def _unused(*children: Any) -> Any:
    """Stands for the rules that only hand their child on; the machine never calls it."""
    raise AssertionError("a rule of the grammar has no method here")
