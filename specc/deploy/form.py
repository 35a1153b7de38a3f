"""In which form a network is put into a file: what the file takes and gives, and what is built in around the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from specc.backends.onnx import OnnxModel, lower
from specc.backends.onnx_half import half
from specc.backends.onnx_int8 import quantised
from specc.backends.onnx_weights import WeightSource
from specc.catalogue.op import TensorType
from specc.model.graph import Model, Port
from specc.model.heads import End, ends
from specc.sizes.conditions import Predicate
from specc.sizes.dim import Dim, Size

if TYPE_CHECKING:
    from specc.data.prepare_onnx import Inside


@dataclass(frozen=True, slots=True)
class Form:
    """`outputs` are those asked for, None for all; `inside` is what is done to inputs before the network.

    `folded` says that batch normalisations are folded into the layers before them, `precision` how numbers are kept,
    `ranges` for int8 between which numbers each tensor lies. `threshold` is the probability from which classes are said,
    None where no `postprocess` is inside.
    """

    outputs: tuple[str, ...] | None = None
    inside: Mapping[str, Inside] = field(default_factory=dict)
    folded: bool = True
    precision: str = "fp32"
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    threshold: float | None = None

    def lower(self, model: Model, weights: WeightSource | None) -> OnnxModel:
        """The graph of the file."""
        found = lower(
            model,
            weights=weights,
            outputs=self.outputs,
            prepare=self.inside,
            folded=self.folded,
            threshold=self.threshold,
        )
        if self.precision == "fp16":
            return half(found)
        if self.precision == "int8":
            prepared = {f"{name}.prepared": each for name, each in self.ranges.items() if name in self.inside}
            return quantised(found, {**self.ranges, **prepared})
        return found

    def gives(self, model: Model) -> list[End]:
        """The outputs of the file."""
        return ends(model, self.outputs, self.threshold)

    def takes(self, model: Model, port: Port) -> TensorType:
        """The type of an input of the file."""
        inside = self.inside.get(port.name)
        return model.type(port.value) if inside is None else inside.raw

    def prepared(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What the network gets where the file gets these arrays, by the data floor's own functions."""
        return {name: self.inside[name].apply(each) if name in self.inside else each for name, each in given.items()}

    @property
    def rules(self) -> list[Predicate]:
        """What holds for the sizes of inputs beside the network's own conditions."""
        return [rule for each in self.inside.values() for rule in each.rules]


WHOLE: Final = Form()
TOLERANCES: Final = {"fp32": 1e-4, "fp16": 2e-2, "int8": 0.5}  # of the largest number of an output


def inputs(model: Model) -> list[Port]:
    """The inputs of a file."""
    return [port for port in model.inputs if not port.training]


def insides(model: Model, prepare: Mapping[str, Any], encoding: Mapping[str, Any] | None) -> dict[str, Inside]:
    """How the fitted steps of each input (`Prepared.to_json`) are built in.

    Pictures come in as pixels from 0 to 255 where training read them from files with 8 bits a pixel.

    Raises:
        DataProblem: a step without an ONNX form, or one that does not give what the network takes.
    """
    if not prepare:
        return {}  # nor is numpy needed
    from specc.data.prepare import Prepared
    from specc.data.prepare_onnx import inside

    known = [port for port in inputs(model) if port.name in prepare]
    pixels = (encoding or {}).get("bits") == 8
    taken = {name for port in inputs(model) for size in model.type(port.value).shape for name in symbols(size)}
    found: dict[str, Inside] = {}
    for port in known:
        found[port.name] = inside(Prepared.from_json(prepare[port.name]), model.type(port.value), taken, pixels)
        taken.update(name for size in found[port.name].raw.shape for name in symbols(size))
    return found


def sizes_of(model: Model, prepare: Mapping[str, Any]) -> dict[str, int]:
    """The unknown sizes of the network that `prepare` makes known."""
    from specc.data.prepare import Prepared
    from specc.data.prepare_onnx import fixed

    found: dict[str, int] = {}
    for port in inputs(model):
        if port.name in prepare:
            shape = model.type(port.value).shape
            made = fixed(Prepared.from_json(prepare[port.name]), len(shape))
            for size, number in zip(shape, made, strict=True):
                if number is not None and isinstance(size, Dim) and str(size) in size.symbols:
                    found.setdefault(str(size), number)
    return found


def symbols(size: Size) -> Sequence[str]:
    """The unknowns in a size, sorted."""
    return sorted(size.symbols) if isinstance(size, Dim) else ()
