"""Holding the preparation that is built into a file against the data floor's own, on raw inputs of many sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from specc.deploy.form import Form, inputs
from specc.deploy.parting import exposed
from specc.model.graph import Model
from specc.sizes.conditions import examples, holds
from specc.sizes.dim import Dim, Size, evaluate, text

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE: Final = 1e-6
_SIZES: Final = 4


def difference(model: Model, onnx_path: Path | str, form: Form) -> tuple[float, str]:
    """The largest difference relative to what comes out, and where it is: input and raw size."""
    import numpy as np

    from specc.deploy.proof import relative_error

    worst, where = 0.0, ""
    for port in inputs(model):
        inside = form.inside.get(port.name)
        if inside is None:
            continue
        run = exposed(model, onnx_path, [port.value], form)
        for at, shape in enumerate(_shapes(model, form, inside.raw.shape)):
            batch = [1 + at % 3] if inside.raw.batched else []
            raw = inside.random(np.random.default_rng([7, at]), [*batch, *shape])
            wanted: NDArray[Any] = inside.apply(raw)
            for got in run({port.name: raw}).values():  # nothing where the graph has no node for it
                error = relative_error(got, wanted)
                if not error <= worst:
                    worst, where = error, f"`{port.name}` {list(raw.shape)}"
    return worst, where


def _shapes(model: Model, form: Form, raw: tuple[Size, ...]) -> Iterator[list[int]]:
    """Raw sizes: small and large ones, even and odd, different along each axis."""
    rules = [*(each.predicate for each in model.requirements), *form.rules]
    names = sorted({name for size in raw for name in (size.symbols if isinstance(size, Dim) else ())})
    free = [text(size) for size in raw if isinstance(size, Dim) and text(size) in size.symbols]
    for at, sizes in enumerate(examples(rules, list(model.facts), count=_SIZES, symbols=names)):
        yield [evaluate(size, sizes) for size in raw]
        larger = sizes | {name: sizes[name] + _STEPS[(at + place) % len(_STEPS)] for place, name in enumerate(free)}
        if free and all(holds(rule, larger) for rule in (*rules, *model.facts)):
            yield [evaluate(size, larger) for size in raw]


_STEPS: Final = (61, 128, 250, 37, 16, 93)
