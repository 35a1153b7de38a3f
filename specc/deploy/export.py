"""Exporting: written aside, proved against PyTorch, the proof put into the file, then renamed into place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.backends.onnx_file import put_metadata, write
from specc.backends.onnx_weights import WeightSource, locate
from specc.data.files import aside
from specc.deploy.described import PROOF, Origin, describe
from specc.deploy.form import WHOLE, Form
from specc.model.graph import Model

if TYPE_CHECKING:
    from specc.deploy.proof import Proof


@dataclass(frozen=True, slots=True)
class Exported:
    """The files that were written; `proof` is None for an unproved one, `side` where one file holds all."""

    path: Path
    side: Path | None
    weights: int
    proof: Proof | None


def export(
    model: Model,
    origin: Origin,
    path: Path | str,
    *,
    weights: WeightSource,
    module: Any = None,
    prove: bool = True,
    form: Form = WHOLE,
    classes: Sequence[str] = (),
    tolerance: float | None = None,
    accuracy: Mapping[str, Any] | None = None,
    prepare: Mapping[str, Any] | None = None,
    encoding: Mapping[str, Any] | None = None,
    side_file: bool | None = None,
) -> Exported:
    """Write `path` (and `<path>.data` for large weights); no file appears under its name before it is proved.

    `module` is the PyTorch module with these weights in eval mode; without it one is made from the model. Without a
    proof neither torch nor onnx nor onnxruntime is imported.

    Raises:
        SpecError: a step that ONNX cannot express.
        WeightProblem: weights that are not those of the model.
        Disproved: ONNX and PyTorch differ.
        FileProblem: the file cannot be written.
    """
    path = Path(path)
    graph = form.lower(model, weights)
    said = describe(
        model,
        origin,
        form=form,
        classes=classes,
        tolerance=tolerance,
        prepare=prepare,
        encoding=encoding,
        accuracy=accuracy,
    )
    graph = replace(graph, metadata=said)
    proof = None
    with aside(path) as temporary:
        written = write(graph, temporary, side_file=side_file)
        if prove:
            proof = _prove(model, temporary, weights, module, tolerance, form)
            with_proof = temporary.with_name(temporary.name + ".proved")
            put_metadata(temporary, with_proof, _said(proof))
            os.replace(with_proof, temporary)
    return Exported(path, path.with_name(written.side.name) if written.side else None, written.weights, proof)


def record(path: Path | str, proof: Proof) -> None:
    """Put the proof of a file that was written without one into it; its side file stays as it is."""
    with aside(path) as temporary:
        put_metadata(path, temporary, _said(proof))


def _said(proof: Proof) -> dict[str, str]:
    return {PROOF: json.dumps(proof.to_json(), sort_keys=True)}


def _prove(model: Model, path: Path, weights: WeightSource, module: Any, tolerance: float | None, form: Form) -> Proof:
    from specc.deploy.verify import module_of, prove

    if module is None:
        places = locate(model, weights)
        module = module_of(model, lambda key: weights.array(places[key]), set(places))
    return prove(model, path, module, tolerance=tolerance, form=form)
