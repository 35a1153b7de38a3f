"""Writing predictions: tables, arrays, masks and overlays as pictures, and NIfTI on the grid of the input."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from specc.data.files import FileProblem, write_bytes
from specc.deploy.given import Sample
from specc.deploy.maps import required
from specc.deploy.predict import Prediction
from specc.deploy.runtime import BadInput, Predictor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

FORMATS: Final = ("csv", "png", "overlay", "nifti", "npy", "npz")
TABLE: Final = "predictions.csv"
_MOST_COLUMNS: Final = 64  # numbers of an output that a table shows
_SHARE: Final = 0.5  # of an overlay that is the mask
_COLOURS: Final = (  # Okabe and Ito (2008): told apart by everyone; the background is black
    (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip


class Table:
    """Predictions as CSV, a row each, written as they come: the input, the class, what it is sure of, and the numbers.

    The columns are those of the first prediction: with classes the probability of each; else the numbers of every
    output that has at most 64.
    """

    def __init__(self, predictor: Predictor, file: IO[str]) -> None:
        self._predictor = predictor
        self._file = file
        self._writer = csv.writer(file, lineterminator="\n")
        self._heads: list[str] = []

    def add(self, prediction: Prediction) -> None:
        row = self._row(prediction)
        if not self._heads:
            self._heads = list(row)
            self._writer.writerow(self._heads)
        self._writer.writerow([row.get(head, "") for head in self._heads])
        self._file.flush()

    def _row(self, prediction: Prediction) -> dict[str, str]:
        row = {"input": prediction.source}
        if prediction.label:
            row["class"] = prediction.label
            if prediction.confidence is not None:
                row["confidence"] = f"{prediction.confidence:.6g}"
            named = zip(self._predictor.classes, prediction.probabilities, strict=False)  # an arg-max has none
            return row | {f"p({name})": f"{share:.6g}" for name, share in named}
        for name, array in prediction.outputs.items():
            flat = array.reshape(-1).tolist()
            if array.size == 1:
                row[name] = f"{flat[0]:.9g}"
            elif array.size <= _MOST_COLUMNS:
                row |= {f"{name}[{at}]": f"{each:.9g}" for at, each in enumerate(flat)}
        if len(row) == 1:
            raise BadInput(f"{prediction.source}: its outputs have too many numbers for a table", "--format npy")
        return row


class Folder:
    """Writes the files of predictions into a folder, in the folders that the inputs lay in, and one table for all.

    Without `formats` a class or a few numbers go to the table, the mask of a picture to png, that of a volume to
    nifti, and anything else to npy.

    Raises:
        FileProblem: what cannot be written, or would take the place of an input.
        BadInput: a prediction that has no such form.
    """

    def __init__(self, predictor: Predictor, folder: Path, formats: Sequence[str] = ()) -> None:
        self._predictor = predictor
        self._folder = folder
        self._formats = tuple(formats)
        self._taken: set[str] = set()
        self._text = io.StringIO()
        self._table = Table(predictor, self._text)
        self.written: list[Path] = []

    def add(self, prediction: Prediction) -> None:
        """Write what belongs to one prediction; its row of the table is written by `close`."""
        assert prediction.sample is not None
        formats = self._formats or (self._natural(prediction),)
        name = self._name(prediction.sample)
        for each in formats:
            if each == "csv":
                self._table.add(prediction)
            else:
                _WRITERS[each](self, prediction, prediction.sample, name)

    def close(self) -> None:
        """Write the table, if any prediction has a row in it."""
        if self._text.getvalue():
            self._write(TABLE, self._text.getvalue().encode("utf-8"))

    def _natural(self, prediction: Prediction) -> str:
        from specc.deploy.maps import mask

        sample = prediction.sample
        if prediction.label or all(array.size <= _MOST_COLUMNS for array in prediction.outputs.values()):
            return "csv"
        if sample is None or mask(self._predictor, prediction) is None:
            return "npy"
        return "nifti" if sample.grid is not None else "png" if len(self._predictor.inputs[0].shape) == 3 else "npy"

    def _name(self, sample: Sample) -> str:
        """The sample's own name; what would have one that is taken is numbered."""
        name, number = sample.name, 1
        while name in self._taken:
            number += 1
            name = f"{sample.name}_{number}"
        self._taken.add(name)
        return name

    def _place(self, name: str, inputs: Sequence[Path] = ()) -> Path:
        path = self._folder / name
        if any(path.exists() and each.exists() and path.samefile(each) for each in inputs):
            raise FileProblem(f"{path} is the input itself", path, "choose another folder: --out DIR")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileProblem(f"cannot make {path.parent}: {error.strerror}", path, "choose another folder") from None
        self.written.append(path)
        return path

    def _write(self, name: str, data: bytes, inputs: Sequence[Path] = ()) -> None:
        write_bytes(self._place(name, inputs), data)

    # ------------------------------------------------------------------------------------------------------- forms
    def _npy(self, prediction: Prediction, sample: Sample, name: str) -> None:
        for output, array in prediction.outputs.items():
            whole = name if len(prediction.outputs) == 1 else f"{name}.{output}"
            self._write(f"{whole}.npy", _saved(array), sample.files)

    def _npz(self, prediction: Prediction, sample: Sample, name: str) -> None:
        import numpy as np

        file = io.BytesIO()
        np.savez_compressed(file, **prediction.outputs)  # type: ignore[arg-type]
        self._write(f"{name}.npz", file.getvalue(), sample.files)

    def _png(self, prediction: Prediction, sample: Sample, name: str) -> None:
        found = self._mask(prediction, 2)
        self._write(f"{name}.png", _coloured(found), sample.files)

    def _overlay(self, prediction: Prediction, sample: Sample, name: str) -> None:
        found = self._mask(prediction, 2)
        (given,) = sample.inputs.values()
        self._write(f"{name}.overlay.png", _laid_over(given, found), sample.files)

    def _nifti(self, prediction: Prediction, sample: Sample, name: str) -> None:
        from specc.data.nifti_file import write_like
        from specc.data.volumes import turned_back

        if sample.grid is None:
            raise BadInput(
                f"{prediction.source}: only a prediction of a volume can be written as NIfTI", "--format npy"
            )
        found = self._mask(prediction, len(sample.axes))
        path = self._place(f"{name}.nii.gz", sample.files)
        write_like(path, turned_back(found.astype("uint8"), sample.axes), sample.grid)

    def _mask(self, prediction: Prediction, rank: int) -> Array:
        found = required(self._predictor, prediction)
        if found.ndim != rank:
            raise BadInput(f"{prediction.source}: its mask has {found.ndim} axes, a picture has {rank}", "--format npy")
        if found.max(initial=0) > 255:
            raise BadInput(f"{prediction.source}: it has class {found.max()}, and 255 is the most", "--format npy")
        return found


_WRITERS: Final = {
    "npy": Folder._npy,
    "npz": Folder._npz,
    "png": Folder._png,
    "overlay": Folder._overlay,
    "nifti": Folder._nifti,
}


def _saved(array: Array) -> bytes:
    import numpy as np

    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _palette() -> list[tuple[int, int, int]]:
    """A colour for each of 256 classes: black, seven that everyone tells apart, then darker ones of them."""
    shades = [_COLOURS[1 + (at - 1) % 7] for at in range(1, 256)]
    return [(0, 0, 0), *(_dark(colour, 0.8 ** ((at - 1) // 7 % 5)) for at, colour in enumerate(shades, 1))]


def _dark(colour: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(each * share) for each in colour)
    return red, green, blue


def _coloured(found: Array) -> bytes:
    """A mask as a PNG whose pixels are the classes and whose palette shows them in colours."""
    from PIL import Image

    picture = Image.fromarray(found.astype("uint8"))
    picture.putpalette([part for colour in _palette() for part in colour])
    return _png_bytes(picture)


def _laid_over(given: Array, found: Array) -> bytes:
    """The picture in colour with its mask over it, the background clear."""
    import numpy as np
    from PIL import Image

    whole = given if given.dtype.kind == "u" else np.rint(np.clip(given, 0, 1) * 255)
    picture = np.broadcast_to(whole, (3, *found.shape)).transpose(1, 2, 0).astype(np.float32)
    colours = np.array(_palette(), np.float32)[found]
    mixed = np.where(found[..., None] == 0, picture, (1 - _SHARE) * picture + _SHARE * colours)
    return _png_bytes(Image.fromarray(np.rint(mixed).astype(np.uint8)))


def _png_bytes(picture: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
