"""`train` and `export` sections to frozen programs: every setting once, repeated ones added up, defaults filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from specc.catalogue import registry
from specc.catalogue.entry import Misfit
from specc.catalogue.setting import OPSET, Setting
from specc.model.elaborate.belonging import section_of
from specc.model.elaborate.changes import changed
from specc.model.elaborate.entries import Entries, article, find, such_as
from specc.model.elaborate.files import Unit
from specc.model.elaborate.problem import Silent, problem, suggestion
from specc.model.elaborate.scope import Scope
from specc.model.elaborate.splitting import dealt
from specc.model.elaborate.sweeping import swept
from specc.model.graph import Model
from specc.model.heads import APPLIED, ends, outputs
from specc.model.program import Chosen, Deployment, Measure, Program, Term, before_and_after
from specc.sizes.dim import product
from specc.syntax import tree
from specc.syntax.parse import parse_expression
from specc.text.diagnostics import Bag, SpecError
from specc.text.source import Span


def program(
    unit: Unit, model: Model, bag: Bag, overrides: Mapping[str, str] | None = None, phase: str = ""
) -> Program | None:
    """How a network of this file is trained; None if the file does not say, or says it wrongly (see the bag).

    `overrides` are `--set` texts by key, `{"optimizer.lr": "0.01", "batch": "16"}`; those that name no setting are not
    for us and left alone.
    """
    section = section_of(unit, "train", model.name, phase, bag)
    if section is None:
        return None
    reader = _Reader(unit, model, bag, changed(section, overrides or {}, bag))
    found: Program | None = reader.attempt(lambda: reader.program(section, phase))
    return found


def deployment(unit: Unit, model: Model, bag: Bag, overrides: Mapping[str, str] | None = None) -> Deployment | None:
    """How a network of this file is deployed: its `export` section, or the defaults; None after a mistake in it."""
    section = section_of(unit, "export", model.name, "", bag)
    settings = changed(section, overrides or {}, bag) if section is not None else ()
    reader = _Reader(unit, model, bag, settings)
    found: Deployment | None = reader.attempt(lambda: reader.deployment(section))
    return found


class _Reader:
    """One section on its way to a program."""

    def __init__(self, unit: Unit, model: Model, bag: Bag, settings: tuple[tree.Setting, ...]) -> None:
        self.model = model
        self.bag = bag
        self.settings = settings
        self.outputs = outputs(model)
        scope = Scope(unit.scope, "section")
        scope.names.update(model.parameters)
        self.entries = Entries(scope, self.refer)

    def attempt(self, make: Any) -> Any:
        """What `make` gives; None after a mistake, which is then in the bag."""
        before = len(self.bag)
        try:
            found = make()
        except SpecError as error:
            self.bag.add(error.diagnostic)
            return None
        except Silent:
            return None
        fresh = len(self.bag) > before and self.bag.failed
        return None if fresh else found

    # ------------------------------------------------------------------------------------------------ train
    def program(self, section: tree.Section, phase: str) -> Program | None:
        """The whole section; each setting's mistake is reported, so that all are seen at once."""
        self._names("train")
        split, post = self._each("split", self._split), self._many("postprocess")
        held: dict[str, Any] = {
            "source": self._one("data"), "terms": self._all("loss", self._terms), "prepare": self._many("prepare"),
            "augment": self._many("augment"),
            "optimizer": self._one("optimizer"), "schedule": self._all("schedule", self._chain),
            "regularize": self._many("regularize"), "clip": self._one("clip"), "measures": self._measures(post),
            "postprocess": post,
            "weights": self._each("weights", self._plain), "stop": self._one("stop"),
            "rates": self._each("rates", self._plain), "freeze": self._each("freeze", self._plain),
            "average": self._one("average"), "sweep": swept(self.entries, self.settings, tuple(self.model.parameters), self.bag),
        }  # fmt: skip
        init, human = self._each("init", self._plain), self._single("human")
        batch, epochs, seed = (self._single(name) for name in ("batch", "epochs", "seed"))
        steps, precision = (self._single(name) for name in ("steps", "precision"))
        for name in ("data", "loss"):
            if not any(each.name == name for each in self.settings):
                help = "data digits" if name == "data" else "loss cross_entropy"
                raise problem("missing-setting", section.span, f"`train` needs `{name}`", f"for example `{help}`")
        if not held["source"] or not held["terms"] or not held["optimizer"] or not (batch and epochs and seed):
            raise Silent
        parts = split[-1][0].entry if split else None
        return Program(
            network=self.model.name, phase=phase, span=section.span, **held,
            parts=(parts.train, parts.validation, parts.test) if parts else (None, None, None),
            split=split[-1][0] if split else None, folds=split[-1][1] if split else None,
            init=init[-1].entry.initializer if init else None, human=human.entry.error if human else None,
            batch=batch.entry.size, accumulate=batch.entry.accumulate, padding=batch.entry.padding, batching=batch,
            epochs=0 if steps else epochs.entry.count, steps=steps.entry.count if steps else 0,
            precision=precision.entry.kind if precision else "", seed=seed.entry.number, texts=tuple(self._texts()),
        )  # fmt: skip

    def _names(self, role: str) -> None:
        """Refuse settings that do not exist, single ones that are said twice, and two that say the same thing."""
        seen: dict[str, Span] = {}
        for each in self.settings:
            try:
                kind = find(each.name, role, each.name_span)
                if each.name in seen and not (
                    kind.many or kind.rest or kind.extra or each.name in ("loss", "weights", "sweep")
                ):
                    raise problem("repeated-setting", each.name_span, f"`{each.name}` is said twice")
                if kind.rival in seen:
                    message = f"`{each.name}` and `{kind.rival}` say the same thing in two ways"
                    raise problem("setting-conflict", each.name_span, message, "leave one of them out")
                seen.setdefault(each.name, each.name_span)
            except SpecError as error:
                self.bag.add(error.diagnostic)

    def _each(self, name: str, read: Any, role: str = "train") -> tuple[Any, ...]:
        """What each line of that name holds, or its default."""
        lines = [each for each in self.settings if each.name == name]
        kind = registry.setting(name, role)
        assert kind is not None
        if not lines and kind.default:
            value = parse_expression(kind.default, f"the default of {name}", self.bag)
            lines = [tree.Setting(value.span, name, value.span, (tree.Argument(value.span, "", value),))]
        found = []
        for line in lines:
            try:
                found.append(read(kind, line))
            except SpecError as error:
                self.bag.add(error.diagnostic)
        return tuple(found)

    def _all(self, name: str, read: Any) -> tuple[Any, ...]:
        return tuple(item for line in self._each(name, read) for item in line)

    def _many(self, name: str) -> tuple[Chosen, ...]:
        return self._all(name, self._values)

    def _one(self, name: str) -> Chosen | None:
        found = self._all(name, self._values)
        if len(found) > 1:
            self.bag.add(problem("too-many-arguments", found[1].span, f"`{name}` takes one {name}").diagnostic)
        return found[0] if found else None

    def _single(self, name: str, role: str = "train") -> Chosen | None:
        found = self._each(name, self._plain, role)
        return found[-1] if found else None

    def _plain(self, kind: type[Setting], line: tree.Setting) -> Chosen:
        """A setting with arguments of its own."""
        return self.entries.entry(kind, line.arguments, line.span)

    def _split(self, kind: type[Setting], line: tree.Setting) -> tuple[Chosen, Chosen | None]:
        return dealt(self.entries, kind, line)

    def _values(self, kind: type[Setting], line: tree.Setting) -> list[Chosen]:
        """The values of a setting that holds others."""
        if not line.arguments:
            raise problem(
                "missing-argument", line.span, f"`{line.name}` needs {article(kind.holds)}", such_as(kind.holds)
            )
        found = []
        for argument in line.arguments:
            if argument.name:
                raise problem("unknown-argument", argument.span, f"`{line.name}` has no argument `{argument.name}`")
            found.append(self.entries.value(argument.value, kind.holds))
        return found

    def _chain(self, kind: type[Setting], line: tree.Setting) -> list[Chosen]:
        """Schedules one after the other."""
        if len(line.arguments) != 1 or line.arguments[0].name:
            raise problem("bad-setting", line.span, f"`{line.name}` takes one schedule, or several joined by `->`")
        value = line.arguments[0].value
        parts = value.elements if isinstance(value, tree.Chain) else (value,)
        found = [self.entries.value(part, kind.holds) for part in parts]
        for each in found[:-1]:
            if not each.entry.ends:
                raise problem("bad-setting", each.span, f"`{each.entry.name}` has no end, so nothing can follow it")
        return found

    # ------------------------------------------------------------------------------------------------ the loss
    def _terms(self, kind: type[Setting], line: tree.Setting) -> list[Term]:
        for argument in line.arguments:
            if argument.name:
                raise problem("unknown-argument", argument.span, f"`loss` has no argument `{argument.name}`")
        return [term for argument in line.arguments for term in self._sum(argument.value, 1)]

    def _sum(self, node: tree.Expr, factor: float) -> list[Term]:
        """A sum of losses times numbers, as terms."""
        if isinstance(node, tree.Unary) and node.operator == "-":
            return self._sum(node.value, -factor)
        if isinstance(node, tree.Binary) and node.operator in ("+", "-"):
            return self._sum(node.left, factor) + self._sum(node.right, factor if node.operator == "+" else -factor)
        if isinstance(node, tree.Binary) and node.operator in ("*", "/"):
            number, loss = (node.left, node.right) if node.operator == "*" else (node.right, node.left)
            if node.operator == "*" and self._is_loss(number):
                number, loss = loss, number
            by = self.entries.number(number)
            if node.operator == "/" and by == 0:
                raise problem("bad-setting", number.span, "this divides by 0")
            return self._sum(loss, factor * by if node.operator == "*" else factor / by)
        if isinstance(node, tree.Name) and node.name in self.outputs and registry.setting(node.name, "loss") is None:
            return [self._scalar(node, factor)]
        found = self.entries.value(node, "loss")
        output = found.entry.output or self._only(found)
        if output not in self.outputs:
            raise problem(
                "unknown-output", found.place("output"), f"`{output}` is an input, not an output of the network"
            )
        return [Term(factor, output, found, found.entry.target or "", found.span)]

    def _is_loss(self, node: tree.Expr) -> bool:
        """Whether there is a loss in it, so that what it is multiplied with is the number."""
        if isinstance(node, tree.Unary):
            return self._is_loss(node.value)
        if isinstance(node, tree.Binary):
            return self._is_loss(node.left) or self._is_loss(node.right)
        name = node.function if isinstance(node, tree.Call) else node
        return isinstance(name, tree.Name) and (
            name.name in registry.setting_names("loss") or name.name in self.outputs
        )

    def _scalar(self, node: tree.Name, factor: float) -> Term:
        kind = self.model.type(self.outputs[node.name].value)
        if product(kind.shape) != 1:
            raise problem(
                "bad-setting",
                node.span,
                f"`{node.name}` is not one number, so it is no loss by itself",
                "such as `mse(…)`",
            )
        return Term(factor, node.name, None, "", node.span)

    def _only(self, found: Chosen) -> str:
        """The output that is meant where none is named."""
        named = [name for name, port in self.outputs.items() if not port.training] or list(self.outputs)
        if len(named) == 1:
            return named[0]
        name = found.entry.name
        raise problem(
            "ambiguous-output", found.span, f"`{name}` must say which output it looks at: {', '.join(named)}",
            f"write `{name}({named[0]})`",
        )  # fmt: skip

    def refer(self, node: tree.Expr) -> str:
        """The name of the input or output that an expression names."""
        name = node.span.text
        inputs = [port.name for port in self.model.inputs]
        if name in self.outputs or name in inputs:
            return name
        help = suggestion(name, [*self.outputs, *inputs])
        raise problem("unknown-output", node.span, f"the network has no output `{name}`", help)

    def _measures(self, post: tuple[Chosen, ...]) -> tuple[Measure, ...]:
        found: list[Measure] = []
        for each in self._many("metrics"):
            try:
                output = each.entry.output or self._only(each)
                label = (
                    f"{output}.{each.entry.label}" if each.entry.output and len(self.outputs) > 1 else each.entry.label
                )
                found.append(Measure(each, output, label))
            except SpecError as error:
                self.bag.add(error.diagnostic)
        return tuple(more for each in found for more in before_and_after(each, post))

    def _texts(self) -> Iterable[tuple[str, str]]:
        said = {each.name for each in self.settings}
        for name in registry.setting_names("train"):
            kind = registry.setting(name, "train")
            if name not in said and kind is not None and kind.default and kind.rival not in said:
                yield name, kind.default
        for each in self.settings:
            yield each.name, ", ".join(argument.span.text for argument in each.arguments)

    # ----------------------------------------------------------------------------------------------- export
    def deployment(self, section: tree.Section | None) -> Deployment:
        """The export settings; outputs must be known, sizes unknown."""
        self._names("export")
        whole = {name: self._single(name, "export") for name in ("opset", "prepare", "postprocess", "batchnorm")}
        precisions = [one for line in self._each("precision", self._values, "export") for one in line]
        if len(precisions) > 1:
            raise problem("setting-conflict", precisions[1].span, "a file has one precision", "export twice")
        found = {name: each.entry for name, each in whole.items() if each is not None}
        opset = whole["opset"]
        if opset is not None and opset.entry.number != OPSET:
            message = f"opset {opset.entry.number} is not yet there in this version"
            raise problem("unsupported-setting", opset.place("number"), message, f"leave it at {OPSET}")
        sizes: dict[str, int] = {}
        for each in self._each("sizes", self._plain, "export"):
            sizes |= each.entry.extra_values
        named = [name for each in self._each("outputs", self._plain, "export") for name in self._deployed(each)]
        if len(found) < len(whole) or not precisions:
            raise Silent
        kinds = [found[name].kind for name in ("prepare", "postprocess", "batchnorm")]
        precision = precisions[0].entry
        return Deployment(
            found["opset"].number,
            precision.name,
            tuple(named),
            sizes,
            prepare=kinds[0] is not None,
            postprocess=kinds[1] is not None,
            folded=kinds[2] == "folded",
            calibrate=getattr(precision, "calibrate", 0),
            span=section.span if section else None,
        )

    def _deployed(self, chosen: Chosen) -> list[str]:
        """Outputs by name, and heads of outputs; what stands inside the network is for programs."""
        known = [name for name, port in self.outputs.items() if not port.training]
        for name in chosen.entry.rest_values:
            if name in known:
                continue
            if name.rsplit(".", 1)[-1] not in APPLIED:
                help = suggestion(name, [*known, *APPLIED])
                raise problem("unknown-output", chosen.span, f"the network has no output `{name}`", help)
            try:
                ends(self.model, [name])
            except Misfit as misfit:
                raise problem(misfit.code, chosen.span, misfit.message, misfit.help) from None
        return list(chosen.entry.rest_values)
