"""Placing one op: its rules, its output, its weights and costs become a step of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specc.catalogue.entry import Misfit, Repair
from specc.catalogue.op import EVERYTHING, Op, Reach, Rule, TensorType
from specc.model.elaborate.evaluate import Budget
from specc.model.elaborate.problem import exhausted, problem
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import OpLayer, TensorRef
from specc.model.graph import Module, Requirement, Step, Value
from specc.sizes.conditions import Predicate, Proved, Refuted, decide
from specc.sizes.dim import Size
from specc.syntax import tree
from specc.text.diagnostics import Bag, Diagnostic, Fix, Note, SpecError
from specc.text.source import Span

STEPS = 30_000
Field = tuple[tuple[Size, ...], tuple[Any, ...]]  # extents; jumps are whole, or fractions behind an upconvolution


class Builder:
    """The model under construction: values, steps and requirements in order."""

    def __init__(self, bag: Bag, budget: Budget | None = None) -> None:
        self.bag = bag
        self.budget = budget or Budget()
        self.values: list[Value] = []
        self.steps: list[Step] = []
        self.requirements: list[Requirement] = []
        self.facts: list[Predicate] = []
        self.uses: list[tuple[str, Span]] = []
        self.seen: dict[int, Field | str] = {}  # how far each value sees; EVERYTHING where it sees all
        self.spatial: tuple[Size, ...] | None = None  # the first input's, what "everything" means
        self._answers: dict[Predicate, Any] = {}

    # ------------------------------------------------------------------------------------------------ values
    def value(
        self, kind: TensorType | None, span: Span, name: str = "", step: int | None = None, key: str = ""
    ) -> TensorRef:
        """A new tensor of the model."""
        found = Value(len(self.values), kind, span, name, step, key)
        self.values.append(found)
        return TensorRef(found.id, kind)

    def unknown(self, span: Span) -> TensorRef:
        """A tensor about which an error was said already."""
        return self.value(None, span)

    def input(self, kind: TensorType, span: Span, name: str) -> TensorRef:
        found = self.value(kind, span, name)
        if self.spatial is None:
            self.spatial = kind.spatial
        axes = len(kind.spatial)
        self.seen[found.id] = ((1,) * axes, (1,) * axes)
        return found

    def named(self, tensor: TensorRef, name: str) -> None:
        """Give a tensor its name in the spec, if it has none yet."""
        old = self.values[tensor.id]
        if not old.name:
            self.values[tensor.id] = Value(old.id, old.type, old.span, name, old.step, old.key)

    # --------------------------------------------------------------------------------------------- decisions
    def answer(self, predicate: Predicate) -> Any:
        """Proved, Refuted, Sometimes or Undecided, given the `where` facts."""
        found = self._answers.get(predicate)
        if found is None:
            found = self._answers[predicate] = decide(predicate, tuple(self.facts))
        return found

    def fact(self, predicate: Predicate) -> None:
        self.facts.append(predicate)
        self._answers.clear()

    def decide(self, predicate: Predicate, span: Span) -> bool:
        """A choice that must come out the same for all admissible sizes."""
        answer = self.answer(predicate)
        if not isinstance(answer, Proved | Refuted) and self.requirements:
            answer = decide(predicate, (*self.facts, *(each.predicate for each in self.requirements)))
        if isinstance(answer, Proved | Refuted):
            return isinstance(answer, Proved)
        from specc.sizes.conditions import describe

        raise problem(
            "undecided-choice",
            span,
            f"whether {describe(predicate)} depends on sizes that are not known yet",
            f"narrow them below the inputs: `where {describe(predicate)}`",
        )

    # ------------------------------------------------------------------------------------------------- steps
    def place(
        self,
        layer: OpLayer,
        inputs: tuple[TensorRef, ...],
        path: str,
        module: Module | None,
        known: Mapping[str, Any],
        again: Span | None = None,
    ) -> TensorRef:
        """The step of this op on these inputs, and its first output (the others are in `further`).

        `known` is the module's weights if it is used a second time, and `again` is where that is written.
        """
        if len(self.steps) >= STEPS:
            raise exhausted(layer.node.span, f"this network unrolls into more than {STEPS:,} steps")
        self.budget.steps -= 1
        if self.budget.steps < 0:
            message = f"the networks of this file unroll into more than {self.budget.most_steps:,} steps together"
            raise exhausted(layer.node.span, message, "put them into several files")
        op, named = layer.op, layer.named
        every = (*inputs, *named.values())
        ports = ("",) * len(inputs) + tuple(named)
        kinds: tuple[TensorType, ...] | None = None
        macs: Size = 0
        if all(each.type is not None for each in every):
            try:
                kinds, macs = self._types(op, layer, inputs, module, path)
            except Misfit as misfit:
                self._refuse(misfit, layer, inputs, again)
            except SpecError as error:
                self.bag.add(self.with_uses(error.diagnostic))
        index = len(self.steps)
        made = kinds if kinds is not None else (None,) * (1 + len(op.further))
        outputs = [self.value(each, layer.node.span, step=index) for each in made]
        seen = self._reach(op, inputs, every) if kinds is not None else EVERYTHING
        for each in outputs:
            self.seen[each.id] = seen
        step = Step(
            index, path, op, tuple(each.id for each in every), ports, tuple(each.id for each in outputs), module,
            layer.node.span, layer.node, layer.expressions, layer.scope, tuple(reversed(self.uses)), macs,
            self.receptive(outputs[0].id),
        )  # fmt: skip
        self.steps.append(step)
        if module is not None and module.step is None:
            module.step = step
        return TensorRef(
            outputs[0].id, outputs[0].type, module, dict(zip(self._further(op, outputs), outputs[1:], strict=True))
        )

    def _further(self, op: Op, outputs: list[TensorRef]) -> list[str]:
        names = list(op.further)
        return names + [str(at) for at in range(len(names) + 1, len(outputs))]

    def _types(
        self, op: Op, layer: OpLayer, inputs: tuple[TensorRef, ...], module: Module | None, path: str
    ) -> tuple[tuple[TensorType, ...], Size]:
        x = tuple(each.type for each in inputs if each.type is not None)
        named: dict[str, Any] = {name: each.type for name, each in layer.named.items() if name != "weight"}
        for at, each in enumerate(x):
            _fits_pattern(op, at, each, layer)
        if not op.batchless and (x or named) and not any(each.batched for each in (*x, *named.values())):
            raise Misfit("no-batch", f"`{op.name}` needs an input of the network among its inputs, not only weights")
        for rule in op.rules(*x, **named):
            self._require(rule, layer, path)
        given = op.gives(*x, **named)
        kinds = given if isinstance(given, tuple) else (given,)
        if op.layout is not None:
            kinds = tuple(each.to(*each.shape, layout=op.layout) for each in kinds)
        if module is not None:
            weights = dict(op.weights(*x, **named))
            if module.weights and module.step is not None and weights != module.weights:
                raise _other_shape(op, module, weights)
            if op.for_channels and module.step is not None:
                self._same_channels(op, module, x[0])
            module.weights = module.weights or weights
        return kinds, op.macs(*x, y=kinds[0], **named)

    def _same_channels(self, op: Op, module: Module, x: TensorType) -> None:
        """A module that is used again gets as many channels as it was built for."""
        first = self.values[module.step.inputs[0]].type if module.step is not None else None
        message = other_channels(module, first, x)
        if message:
            raise Misfit("shared-shape", message)

    def _require(self, rule: Rule, layer: OpLayer, path: str) -> None:
        if rule.predicate is True:
            return
        if rule.predicate is False:
            raise rule.misfit
        assert isinstance(rule.predicate, Predicate)
        answer = self.answer(rule.predicate)
        if isinstance(answer, Proved):
            return
        if isinstance(answer, Refuted):
            raise rule.misfit
        self.requirements.append(Requirement(rule.predicate, path, rule.misfit.message, layer.node.span))

    def _refuse(self, misfit: Misfit, layer: OpLayer, inputs: tuple[TensorRef, ...], again: Span | None) -> None:
        span = again or layer.node.span
        if again is None and misfit.argument in layer.expressions:
            span = layer.expressions[misfit.argument].span
        fixes = tuple(fix for repair in misfit.repairs if (fix := repaired(repair, layer)) is not None)
        notes = self._history(inputs, span) if misfit.code in ("shape-mismatch", "shared-shape") else ()
        if again is not None:
            notes = (Note(layer.node.span, f"`{layer.kind.name}` was made here"), *notes)
        found = Diagnostic(misfit.code, span, misfit.message, misfit.help, notes, fixes)
        self.bag.add(self.with_uses(found))

    def with_uses(self, found: Diagnostic) -> Diagnostic:
        """The same diagnostic with a note at each use of a block around it."""
        notes = tuple(
            Note(span, f"in `{path}`, used here") for path, span in reversed(self.uses) if span is not found.span
        )
        return Diagnostic(
            found.code,
            found.span,
            found.message,
            found.help,
            found.notes + notes[:3],
            found.fixes,
            found.severity,
            found.file,
        )

    def _history(self, inputs: tuple[TensorRef, ...], here: Span) -> tuple[Note, ...]:
        """Where the sizes came from: the last steps on either side that changed a shape."""
        notes: list[Note] = []
        for tensor in inputs:
            at, shown = tensor.id, 0
            while shown < 3:
                value = self.values[at]
                if value.type is None:
                    break
                text = f"{say(value.type.shape)} comes from here"
                if value.step is None:
                    notes.append(Note(value.span, text))
                    break
                step = self.steps[value.step]
                before = self.values[step.inputs[0]].type if step.inputs else None
                if before is None or before.shape != value.type.shape:
                    notes.append(Note(value.span, text))
                    shown += 1
                if not step.inputs:
                    break
                at = step.inputs[0]
        unique = {(each.span, each.text): each for each in notes if each.span != here}
        return tuple(unique.values())[:6]

    # --------------------------------------------------------------------------------------- receptive fields
    def _reach(self, op: Op, inputs: tuple[TensorRef, ...], every: tuple[TensorRef, ...]) -> Field | str:
        fields = [self.seen[each.id] for each in every if each.id in self.seen]
        if not fields:
            return EVERYTHING if self.spatial is None else ((1,) * len(self.spatial), (1,) * len(self.spatial))
        kinds = tuple(each.type for each in inputs if each.type is not None)
        reach = op.reach(*kinds)
        if reach == EVERYTHING or any(isinstance(each, str) for each in fields):
            return EVERYTHING
        known = [each for each in fields if not isinstance(each, str)]
        if len({len(each[0]) for each in known}) != 1:
            return EVERYTHING
        together: Field = (
            tuple(max(column, key=_as_int) for column in zip(*(each[0] for each in known), strict=True)),
            tuple(max(column) for column in zip(*(each[1] for each in known), strict=True)),
        )
        return together if reach is None else _further_off(together, reach)

    def receptive(self, value: int) -> tuple[Size, ...]:
        """How many places of the input the value sees, per spatial axis."""
        found = self.seen.get(value, EVERYTHING)
        if isinstance(found, str):
            return self.spatial or ()
        return found[0]


def _as_int(size: Size) -> int:
    return size if isinstance(size, int) else 0


def _divided(jump: Any, by: int) -> Any:
    if jump % by == 0:
        return jump // by
    from fractions import Fraction

    return Fraction(jump) / by


def _further_off(field: Field, reach: tuple[Reach, ...] | str) -> Field | str:
    extents, jumps = field
    if isinstance(reach, str) or len(reach) != len(extents):
        return EVERYTHING
    wider, further = [], []
    for extent, jump, axis in zip(extents, jumps, reach, strict=True):
        now = _divided(jump, axis.up)
        wider.append(extent + int((axis.extent - 1) * now))
        further.append(now * axis.down)
    return tuple(wider), tuple(further)


def _fits_pattern(op: Op, at: int, kind: TensorType, layer: OpLayer) -> None:
    patterns = op.takes.split(";")
    pattern = patterns[min(at, len(patterns) - 1)].split()
    if kind.dtype not in op.dtypes:
        wanted = " or ".join(op.dtypes)
        raise Misfit("wrong-dtype", f"`{op.name}` takes {wanted} numbers; this input has {kind.dtype}", port=at)
    stars = [each for each in pattern if each.startswith("*")]
    least = len(pattern) - (0 if stars != ["*"] else 1)
    most = least + 2 if stars and stars != ["*"] else None if stars else least
    if kind.rank < least or (most is not None and kind.rank > most):
        raise Misfit("wrong-rank", _rank_message(op, pattern, kind), port=at)


def _rank_message(op: Op, pattern: list[str], kind: TensorType) -> str:
    names = {
        "c": "channels",
        "*s": "1 to 3 spatial axes",
        "*d": "2 or 3 spatial axes",
        "f": "features",
        "l": "length",
        "*": "any axes",
    }
    wanted = " and ".join(names.get(each, f"an axis {each}") for each in pattern)
    return f"`{op.name}` takes {wanted}; this tensor has shape {say(kind.shape)}"


def other_channels(module: Module, first: TensorType | None, here: TensorType | None) -> str:
    """A sentence if a module was built for other channels than come in here."""
    if first is None or here is None or first.channels == here.channels:
        return ""
    return f"`{module.path}` was built for {first.channels} channels; here {here.channels} come in"


def _other_shape(op: Op, module: Module, weights: Mapping[str, Any]) -> Misfit:
    for name, spec in weights.items():
        old = module.weights.get(name)
        if old is not None and old.shape != spec.shape:
            return Misfit(
                "shared-shape",
                f"`{module.path}` was built with {name} {say(old.shape)}; here it would need {say(spec.shape)}",
            )
    return Misfit("shared-shape", f"`{module.path}` was built for other shapes")


def repaired(repair: Repair, layer: OpLayer) -> Fix | None:
    """The text change that gives the call this argument; None where the call has no place for it."""
    if repair.argument in layer.expressions:
        return Fix(layer.expressions[repair.argument].span, repair.value, repair.says)
    node = layer.node
    text = f"{repair.argument}={repair.value}"
    if isinstance(node, tree.Name):
        return Fix(node.span, f"{node.name}({text})", repair.says)
    if isinstance(node, tree.Call):
        end = node.span.end - 1
        return Fix(Span(node.span.source, end, end), f", {text}" if node.arguments else text, repair.says)
    return None
