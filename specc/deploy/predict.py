"""Predictions for files: pictures, arrays and rows of tables go in, named classes and numbers come out."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from specc.deploy.described import Side
from specc.deploy.runtime import BadInput, Predictor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_PICTURES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_MOST_NUMBERS: Final = 1000


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network makes of one sample: `source` is the file, with the row or place where it holds several.

    `outputs` leave the batch out. `label` is the class and `confidence` its probability, where classes are known.
    """

    source: str
    outputs: dict[str, Array]
    label: str = ""
    confidence: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; an output of more than 1000 numbers is summed up by its shape and range."""
        found: dict[str, Any] = {"source": self.source}
        if self.label:
            found |= {"class": self.label, "confidence": self.confidence}
        return found | {"outputs": {name: _plain(array) for name, array in self.outputs.items()}}


def predict_files(predictor: Predictor, paths: Sequence[Path | str]) -> Iterator[Prediction]:
    """A prediction for every sample in these files, in order.

    A picture is one sample; .npy holds one or a batch; a .csv has one a row; .npz holds the inputs by name.

    Raises:
        BadInput, DataProblem: a file that cannot be read, or that the network does not take.
    """
    for path in map(Path, paths):
        try:
            for source, inputs in _samples(predictor, path):
                yield _named(predictor, source, predictor.run(inputs))
        except BadInput as problem:
            raise BadInput(f"{path}: {problem.message}", problem.help) from None


def table(predictions: Sequence[Prediction]) -> tuple[list[str], list[list[str]]]:
    """The heads and the rows of a table for people."""
    named = any(each.label for each in predictions)
    outputs = list(dict.fromkeys(name for each in predictions for name in each.outputs))
    heads = ["input", *(["class", "confidence"] if named else []), *([] if named and len(outputs) == 1 else outputs)]
    rows = []
    for each in predictions:
        row = [each.source]
        if named:
            row += [each.label, "" if each.confidence is None else f"{each.confidence:.1%}"]
        if not (named and len(outputs) == 1):
            row += [_short(each.outputs[name]) if name in each.outputs else "" for name in outputs]
        rows.append(row)
    return heads, rows


# ------------------------------------------------------------------------------------------------------ reading
def _samples(predictor: Predictor, path: Path) -> Iterator[tuple[str, dict[str, Array]]]:
    """Each sample of a file with a batch of one, and what to call it."""
    kind = path.suffix.lower()
    if kind == ".npz":
        yield str(path), _load_npz(path)
        return
    if len(predictor.inputs) != 1:
        names = ", ".join(side.name for side in predictor.inputs)
        raise BadInput(f"the network takes several inputs: {names}", "give a .npz file that holds them by name")
    side = predictor.inputs[0]
    if kind in _PICTURES:
        found = [(str(path), _picture(predictor, side, path))]
    elif kind == ".npy":
        found = list(_numbered(path, side, _load(path)))
    elif kind == ".csv":
        found = list(_rows(predictor, side, path))
    else:
        raise BadInput(f"a file of the kind `{kind}` cannot be read", "give png, jpg, npy, npz or csv")
    for source, array in found:
        yield source, {side.name: _prepared(predictor, side, array)}


def _picture(predictor: Predictor, side: Side, path: Path) -> Array:
    """A picture as [channels, height, width] in 0..1, or as pixels where the file takes those; in the size that
    pictures were given in training."""
    import numpy as np

    from specc.data.pictures import decode

    if len(side.shape) != 3 or side.shape[0] not in (1, 3):
        raise BadInput(f"`{side.name}` is {side.spelled()}, and a picture has 1 or 3 channels", "give a .npy file")
    size = (predictor.description.encoding or {}).get("size")
    found = decode(path, 1 if side.shape[0] == 1 else 3, None if size is None else (int(size[0]), int(size[1])))
    if side.dtype != "uint8":
        return found
    pixels: Array = np.rint(found * 255)
    if np.abs(found * 255 - pixels).max(initial=0) > 1e-3:
        raise BadInput("the picture has 16 bits a pixel, the network was trained on 8", "save it with 8 bits a pixel")
    return pixels.astype(np.uint8)


def _rows(predictor: Predictor, side: Side, path: Path) -> Iterator[tuple[str, Array]]:
    """The rows of a table: by the names of the columns if the training data had names, else plain numbers in order."""
    import numpy as np

    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = [(at, row) for at, row in enumerate(csv.reader(file), 1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"it cannot be read: {error}") from None
    encoding = predictor.description.encoding
    if encoding is not None and lines:
        from specc.data.schema import Schema

        schema, heads = Schema.from_json(encoding), [head.strip() for head in lines[0][1]]
        for at, row in lines[1:]:
            named = dict(zip(heads, row, strict=False))
            yield f"{path}:{at}", np.array(schema.encode(named, path, at), np.float32)
        return
    if lines and not all(_is_number(cell) for cell in lines[0][1]):
        lines = lines[1:]  # the heads of the columns
    for at, row in lines:
        wrong = next((cell for cell in row if not _is_number(cell)), None)
        if wrong is not None:
            raise BadInput(f"row {at}: {wrong!r} is not a number")
        yield f"{path}:{at}", np.array([float(cell) for cell in row], np.float32)


def _prepared(predictor: Predictor, side: Side, array: Array) -> Array:
    """What training did to every sample before the network, where the file does not do it itself."""
    description = predictor.description
    if description.prepared_in_graph or side.name not in description.prepare:
        return array
    from specc.data.prepare import Prepared

    return Prepared.from_json(description.prepare[side.name]).apply(array)


def _numbered(path: Path, side: Side, array: Array) -> Iterator[tuple[str, Array]]:
    if array.ndim == len(side.shape) + 1:
        yield from ((f"{path}[{at}]", each) for at, each in enumerate(array))
    else:
        yield str(path), array


def _load(path: Path) -> Any:
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"it cannot be read: {error}") from None


def _load_npz(path: Path) -> dict[str, Array]:
    with _load(path) as archive:
        return {name: archive[name] for name in archive.files}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# ------------------------------------------------------------------------------------------------------- naming
def _named(predictor: Predictor, source: str, outputs: dict[str, Array]) -> Prediction:
    """The outputs of a batch of one, and the class that they speak of."""
    single = {name: array[0] for name, array in outputs.items()}
    classes = predictor.description.classes
    for side in predictor.description.outputs:
        array = single.get(side.name)
        if array is None or array.dtype.kind != "f" or array.ndim != 1 or not classes:
            continue
        if len(array) == len(classes):
            shares = array if side.makes == "probabilities" else _softmax(array)
            best = int(shares.argmax())
            return Prediction(source, single, classes[best], float(shares[best]))
        if len(array) == 1 and len(classes) == 2:
            share = float(array[0]) if side.makes == "probability" else float(_sigmoid(array)[0])
            return Prediction(source, single, classes[int(share > 0.5)], max(share, 1 - share))
    return Prediction(source, single)


def _softmax(logits: Array) -> Array:
    import numpy as np

    powers = np.exp(logits - logits.max())
    shares: Array = powers / powers.sum()
    return shares


def _sigmoid(logits: Array) -> Array:
    import numpy as np

    shares: Array = 1 / (1 + np.exp(-logits))
    return shares


def _plain(array: Array) -> Any:
    if array.size <= _MOST_NUMBERS:
        return array.tolist()
    return {"shape": list(array.shape), "least": array.min().item(), "greatest": array.max().item()}


def _short(array: Array) -> str:
    if array.size <= 8:
        return " ".join(f"{each:.4g}" for each in array.reshape(-1).tolist())
    return f"{list(array.shape)} from {array.min():.4g} to {array.max():.4g}"
