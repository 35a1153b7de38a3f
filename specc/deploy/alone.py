"""The network of a file without what `prepare` and `postprocess` built in around it, for what they must see whole."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from specc.deploy.described import Side
from specc.deploy.runtime import Predictor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


def training_prepared(predictor: Predictor, side: Side, array: Array) -> Array:
    """An input as the network gets it, by the functions that training uses."""
    import numpy as np

    description = predictor.description
    if side.name not in description.prepare:
        return array
    from specc.data.prepare import Prepared

    whole = array.astype(np.float32) / np.float32(255) if side.dtype == "uint8" else array
    return Prepared.from_json(description.prepare[side.name]).apply(whole)


def network_alone(predictor: Predictor) -> Predictor:
    """A predictor of the network alone, on the same device; the one given, where nothing is built in around it."""
    said = predictor.description
    if not said.prepared_in_graph and said.threshold is None:
        return predictor
    from specc.backends.onnx_weights import Arrays
    from specc.deploy.export import export
    from specc.deploy.form import Form
    from specc.deploy.verify import inner

    found = inner(predictor.path)
    arrays = {}
    for weight in found.model.weights:
        with suppress(KeyError):  # what only training needs
            arrays[weight.key] = found.arrays(weight.key)
    with TemporaryDirectory() as folder:
        path = Path(folder) / predictor.path.name
        form = Form(found.said.asked, folded=found.form.folded)
        export(
            found.model,
            found.said.origin,
            path,
            weights=Arrays(arrays),
            prove=False,
            form=form,
            classes=found.said.classes,
        )
        return predictor.like(path)
