"""Networks of the generator that check: what does not is taken out."""

from __future__ import annotations

from generated import Writer
from proved import symbols_of

from specc.compiler import Compilation, compile_text
from specc.model.graph import Model
from specc.sizes.conditions import examples


def valid(seed: int) -> Compilation | None:
    """A network that checks: lines with errors are taken out until none is left; None if nothing remains."""
    text = Writer(seed).text()
    for _ in range(12):
        found = compile_text(text, f"generated{seed}.net", fixes=False)
        errors = [each for each in found.bag if each.severity == "error"]
        if not errors:
            return found if found.models and found.model().steps and _has_sizes(found.model()) else None
        lines = text.splitlines()
        guilty = {each.span.line for each in errors if each.span is not None}
        guilty -= {at for at, line in enumerate(lines, 1) if line in ("network N {", "}") or "input x:" in line}
        if not guilty:
            return None
        text = "\n".join(line for at, line in enumerate(lines, 1) if at not in guilty) + "\n"
    return None


def _has_sizes(model: Model) -> bool:
    """Whether sizes are known for which it runs; some conditions on several unknowns are beyond what can be solved."""
    predicates = [each.predicate for each in model.requirements]
    return not symbols_of(model) or bool(examples(predicates, list(model.facts), count=1, symbols=symbols_of(model)))
