"""A setting, or a value of one, from its text: which entry a name is in its role, and its validated arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from specc.catalogue import registry
from specc.catalogue.entry import Field
from specc.catalogue.setting import Dotted, Held, Phase, Phased, Setting
from specc.model.elaborate.calls import make
from specc.model.elaborate.evaluate import Evaluator
from specc.model.elaborate.fitting import unknown_argument
from specc.model.elaborate.problem import problem, suggestion
from specc.model.elaborate.scope import Scope
from specc.model.program import Chosen
from specc.syntax import tree
from specc.text.diagnostics import SpecError
from specc.text.source import Span

ROLES = {
    "train": "setting of `train`",
    "export": "setting of `export`",
    "source": "source of data",
    "split": "way to split data",
    "prepare": "step of `prepare`",
    "augment": "step of `augment`",
    "loss": "loss",
    "optimizer": "optimizer",
    "schedule": "schedule",
    "metric": "metric",
    "postprocess": "step of `postprocess`",
    "regularizer": "regularizer",
    "clip": "way to clip",
    "stop": "rule to stop",
    "average": "mean of the weights",
    "search": "way to search",
}
Refer = Callable[[tree.Expr], str]


def find(name: str, role: str, span: Span) -> type[Setting]:
    """The entry of that name; raises `unknown-setting`."""
    kind = registry.setting(name, role)
    if kind is not None:
        return kind
    help = suggestion(name, registry.setting_names(role))
    message = (
        f"`{role}` has no setting `{name}`" if role in ("train", "export") else f"there is no {ROLES[role]} `{name}`"
    )
    raise problem("unknown-setting", span, message, help)


@dataclass
class _Given:
    """The arguments of a call, sorted."""

    values: dict[str, Any] = dataclass_field(default_factory=dict)
    tensors: dict[str, str] = dataclass_field(default_factory=dict)
    extra: dict[str, Any] = dataclass_field(default_factory=dict)
    rest: list[Any] = dataclass_field(default_factory=list)
    expressions: dict[str, tree.Expr] = dataclass_field(default_factory=dict)


class Entries:
    """Makes entries from expressions. `refer` turns one that names a tensor into the name of an input or output."""

    def __init__(self, scope: Scope, refer: Refer) -> None:
        self.evaluator = Evaluator()
        self.scope = scope
        self.refer = refer

    def value(self, node: tree.Expr, role: str) -> Chosen:
        """`sgd(lr=0.1)` or just `digits`, in a role."""
        if isinstance(node, tree.Name):
            return self.entry(find(node.name, role, node.span), (), node.span)
        if isinstance(node, tree.Call) and isinstance(node.function, tree.Name):
            return self.entry(find(node.function.name, role, node.function.span), node.arguments, node.span)
        raise problem("bad-setting", node.span, f"{article(ROLES[role])} is needed here", such_as(role))

    def entry(self, kind: type[Setting], arguments: tuple[tree.Argument, ...], span: Span) -> Chosen:
        """The entry with these arguments, validated; raises SpecError at the argument that does not fit."""
        given = _Given()
        places = [each for each in kind.fields.values() if each.positional]
        for argument in arguments:
            self._take(kind, places, argument, given)
        spans = {name: each.span for name, each in given.expressions.items()}
        found = make(kind, given.values, tuple(given.rest), given.extra, given.expressions, tree.Name(span, kind.name))  # type: ignore[arg-type]
        if given.tensors:
            found = found.but(**given.tensors)
        for misfit in found.refusals():
            raise problem(misfit.code, spans.get(misfit.argument, span), misfit.message, misfit.help)
        return Chosen(found, span, spans)

    def _take(self, kind: type[Setting], places: list[Field], argument: tree.Argument, given: _Given) -> None:
        name, node = argument.name, argument.value
        at = sum(each.name in given.expressions for each in places)
        field = kind.fields.get(name) if name else places[at] if at < len(places) else None
        if name and name in given.expressions:
            raise problem("repeated-argument", argument.span, f"`{name}` is given twice")
        if field is not None:
            kept = given.tensors if field.kind.tensor else given.values
            kept[field.name], given.expressions[field.name] = self._argument(field, node), node
        elif name and kind.extra is not None:
            given.extra[name], given.expressions[name] = self.evaluator.evaluate(node, self.scope), node
        elif name:
            raise unknown_argument(kind.name, argument, kind.fields)
        elif kind.rest is not None:
            given.rest.append(
                _dotted(node) if isinstance(kind.rest, Dotted) else self.evaluator.evaluate(node, self.scope)
            )
        else:
            raise _too_many(kind, argument, places)

    def _argument(self, field: Field, node: tree.Expr) -> Any:
        if field.kind.tensor:
            return self.refer(node)
        if isinstance(field.kind, Held):
            return self.value(node, field.kind.role)
        if isinstance(field.kind, Dotted):
            if isinstance(node, tree.List):
                return tuple(_dotted(each) for each in node.items)
            return _dotted(node)
        if isinstance(field.kind, Phased) and isinstance(node, tree.Name):
            return self._phase(node)
        return self.evaluator.evaluate(node, self.scope, field.kind.words)

    def _phase(self, node: tree.Name) -> Any:
        """What a `let` of that name holds, else the phase."""
        try:
            return self.evaluator.evaluate(node, self.scope)
        except SpecError as error:
            if error.diagnostic.code != "unknown-name":
                raise
            return Phase(node.name)

    def number(self, node: tree.Expr) -> float:
        """A number that is known now."""
        value = self.evaluator.evaluate(node, self.scope)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise problem("not-a-number", node.span, "a number is needed here")
        return value


def _dotted(node: tree.Expr) -> str:
    if isinstance(node, tree.Name):
        return node.name
    if isinstance(node, tree.Attribute):
        return f"{_dotted(node.value)}.{node.name}"
    if isinstance(node, tree.Text):
        return node.value
    raise problem("bad-argument", node.span, "a name such as validation.loss is needed here")


def _too_many(kind: type[Setting], argument: tree.Argument, places: list[Field]) -> Exception:
    by_name = [each.name for each in kind.fields.values() if not each.positional]
    help = f"give by name: {', '.join(by_name)}" if by_name else ""
    takes = ", ".join(f"`{each.name}`" for each in places)
    what = f"takes only {takes} by position" if places else "takes no arguments by position"
    return problem("too-many-arguments", argument.span, f"`{kind.name}` {what}", help)


def article(words: str) -> str:
    """`an optimizer`, `a loss`."""
    return f"{'an' if words[:1] in 'aeiou' else 'a'} {words}"


def such_as(role: str) -> str:
    """Help that names one entry of a role, if there is any."""
    known = registry.setting_names(role)
    return f"such as {known[0]}" if known else ""
