"""Proving `expect`: what a line or a network claims against what was worked out, with both figures where they differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from specc.model.elaborate.arithmetic import binary
from specc.model.elaborate.problem import problem, suggestion
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import Scope, TensorRef
from specc.model.graph import Module
from specc.sizes.conditions import All, Not, Predicate, Proved, Refuted, admissible, decide
from specc.sizes.conditions import Any as AnyOf
from specc.sizes.dim import Dim, Size, product, substitute
from specc.syntax import tree
from specc.text.diagnostics import Diagnostic, SpecError

if TYPE_CHECKING:
    from specc.model.elaborate.expand import Walk
    from specc.model.elaborate.place import Builder

NAMES = ("params", "macs", "buffers", "trainable", "receptive")


@dataclass(frozen=True, slots=True)
class Figures:
    """What can be claimed of a part of the network."""

    params: Size = 0
    trainable: Size = 0
    buffers: Size = 0
    macs: Size = 0
    receptive: tuple[Size, ...] = ()
    parts: Callable[[], tuple[str, ...]] = tuple  # how the parameters come about, asked for when a claim fails


@dataclass
class Claims:
    """Checks claims; `free` is true under --set and --size, where one that no longer holds is only reported."""

    free: bool = False
    notes: list[Diagnostic] = field(default_factory=list)

    def mark(self, builder: Builder, modules: Sequence[Module]) -> tuple[int, int]:
        """Where a line begins, so that its own figures can be told from those before it."""
        return len(builder.steps), len(modules)

    def check_line(
        self, walk: Walk, expects: tuple[tree.Expect, ...], scope: Scope, result: Any, before: tuple[int, int]
    ) -> None:
        """The claims behind one line."""
        if not expects:
            return
        if not isinstance(result, TensorRef) or result.type is None:
            return
        steps, modules = walk.builder.steps[before[0] :], walk.modules[before[1] :]
        macs: Size = 0
        for step in steps:
            macs = macs + step.macs
        found = count(modules)
        figures = Figures(
            found.params, found.trainable, found.buffers, macs, walk.builder.receptive(result.id), found.parts
        )
        self.check(walk, expects, scope, figures, tuple(result.type.shape))

    def check(
        self,
        walk: Walk,
        expects: tuple[tree.Expect, ...],
        scope: Scope,
        figures: Figures,
        shape: tuple[Size, ...] | None,
    ) -> None:
        """Every claim of these; what does not hold goes into the bag."""
        for expect in expects:
            at = {each.name: walk.evaluator.whole(each.value, scope) for each in expect.at}
            inner = Scope(scope)
            inner.names.update(at)
            for claim in expect.claims:
                try:
                    self._claim(walk, claim, inner, figures, shape, at)
                except SpecError as error:
                    found = walk.builder.with_uses(error.diagnostic)
                    if self.free and found.code == "expectation-fails":
                        message = f"not applicable with these settings: {found.message}"
                        found = Diagnostic("not-applicable", found.span, message, severity="note")
                    walk.builder.bag.add(found)

    def _claim(
        self,
        walk: Walk,
        claim: tree.Claim,
        scope: Scope,
        figures: Figures,
        shape: tuple[Size, ...] | None,
        at: dict[str, int],
    ) -> None:
        if claim.name == "valid":
            return _valid(walk, claim, scope)
        if claim.name == "shape":
            actual: Any = shape
        elif claim.name in NAMES:
            actual = getattr(figures, claim.name)
        else:
            message = f"nothing is known of `{claim.name}`"
            raise problem("unknown-claim", claim.span, message, suggestion(claim.name, NAMES))
        stated = walk.evaluator.evaluate(claim.value, scope)
        stated, actual = _filled(stated, at), _filled(actual, at)
        if claim.name == "receptive" and not isinstance(stated, tuple):
            stated = (stated,) * len(actual)
        if isinstance(stated, bool) or not isinstance(stated, int | Dim | tuple):
            raise problem("bad-claim", claim.value.span, f"a claim states whole numbers; this is {say(stated)}")
        if not _equal(walk, stated, actual, claim):
            raise problem("expectation-fails", claim.span, _both(claim.name, stated, actual), _how(claim.name, figures))
        return None


def _filled(value: Any, at: dict[str, int]) -> Any:
    if isinstance(value, tuple):
        return tuple(_filled(each, at) for each in value)
    return substitute(value, dict(at)) if isinstance(value, Dim) else value


def _equal(walk: Walk, stated: Any, actual: Any, claim: tree.Claim) -> bool:
    if stated == actual:
        return True
    if isinstance(stated, tuple) != isinstance(actual, tuple) or (
        isinstance(stated, tuple) and len(stated) != len(actual)
    ):
        return False
    same = binary("==", stated, actual, claim.span)
    if not isinstance(same, Predicate):
        return bool(same)
    known = (*walk.builder.facts, *(each.predicate for each in walk.builder.requirements))
    answer = decide(same, known)
    if isinstance(answer, Proved):
        return True
    if isinstance(answer, Refuted) or getattr(answer, "no", None):
        return False
    raise problem(
        "undecided-claim", claim.span, f"whether {say_figure(actual)} equals {say_figure(stated)} could not be decided"
    )


def _valid(walk: Walk, claim: tree.Claim, scope: Scope) -> None:
    stated = walk.evaluator.evaluate(claim.value, scope)
    parts = [*walk.builder.facts, *(each.predicate for each in walk.builder.requirements)]
    if isinstance(stated, bool):
        stated = All(()) if stated else Not(All(()))
    if not isinstance(stated, Predicate):
        raise problem("not-a-condition", claim.value.span, f"a condition is needed here; this is {say(stated)}")
    actual = All(tuple(parts))
    for question, says in (
        (AnyOf((Not(stated), actual)), "is stated to be valid, but is not"),
        (AnyOf((Not(actual), stated)), "is valid, but is not stated to be"),
    ):
        answer = decide(question, ())
        if isinstance(answer, Proved):
            continue
        example = getattr(answer, "example", None) or getattr(answer, "no", None)
        if example is None:
            raise problem(
                "undecided-claim", claim.span, "whether this states exactly the valid sizes could not be decided"
            )
        sizes = ", ".join(f"{name}={size}" for name, size in sorted(example.items())) or "every size"
        message = f"`valid when` is not exact: {sizes} {says}"
        found = [
            each.text
            for each in admissible([each.predicate for each in walk.builder.requirements], tuple(walk.builder.facts))
        ]
        raise problem("expectation-fails", claim.span, message, f"valid exactly when {'; '.join(found) or 'always'}")


def _both(name: str, stated: Any, actual: Any) -> str:
    if name == "shape":
        return f"the shape is {say_figure(actual)}, not {say_figure(stated)}"
    verb = "is" if name == "receptive" else "are"
    what = {"params": "the parameters", "macs": "the multiply-adds", "receptive": "the receptive field"}.get(
        name, f"the {name}"
    )
    if name == "trainable":
        what = "the trainable parameters"
    return f"{what} {verb} {say_figure(actual)}, not {say_figure(stated)}"


def say_figure(value: Any) -> str:
    """A figure with thousands separators."""
    if isinstance(value, tuple):
        return "[" + ", ".join(say_figure(each) for each in value) + "]"
    return f"{value:_}" if isinstance(value, int) else str(value)


def _how(name: str, figures: Figures) -> str:
    parts = figures.parts() if name in ("params", "trainable") else ()
    if not parts:
        return ""
    shown = parts[:12]
    more = f" + {len(parts) - len(shown)} more" if len(parts) > len(shown) else ""
    return "it comes about as " + " + ".join(shown) + more


def count(modules: Sequence[Module]) -> Figures:
    """Parameters and buffers of these modules' own weights; tied tensors count once, where they first stand."""
    params: Size = 0
    trainable: Size = 0
    buffers: Size = 0
    for module in modules:
        for name, spec in module.weights.items():
            size = product(spec.shape)
            if spec.kind == "buffer":
                buffers = buffers + size
            elif name not in module.tied:
                params = params + size
                trainable = trainable + (0 if is_frozen(module, name) else size)
    return Figures(params, trainable, buffers, parts=lambda: _shapes(modules))


def _shapes(modules: Sequence[Module]) -> tuple[str, ...]:
    """Each parameter with its shape."""
    return tuple(
        f"{module.key(name)} {say_figure(tuple(spec.shape))}"
        for module in modules
        for name, spec in module.weights.items()
        if spec.kind == "parameter" and name not in module.tied
    )


def is_frozen(module: Module, name: str) -> bool:
    """Whether a weight was said not to be trained."""
    return name in module.frozen or (module.step is not None and getattr(module.step.op, "trainable", True) is False)
