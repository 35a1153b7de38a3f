"""What people give to predict as samples: files, folders, a stream, arrays and Pillow's pictures."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from specc.data import nifti, pictures, volumes
from specc.data.sources import DataProblem
from specc.deploy.described import Side
from specc.deploy.rows import Row, opened, parquet, rows
from specc.deploy.runtime import BadInput, Predictor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

STREAM: Final = "-"
_TABLES: Final = (".csv", ".tsv", ".parquet")
_ARRAYS: Final = (".npy", ".npz")
_CASE: Final = "; the volumes of a case are named by --channels adc,cbf"
_AXES: Final = {1: ("x",), 2: ("y", "x"), 3: ("z", "y", "x")}


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: `inputs` by name without the batch, as its file has them.

    `source` is what to call it, `name` what files made from it are called (a path without a suffix), `files` what it was
    read from. A sample of volumes has the `grid` that it lies on and the order of its `axes`.
    """

    source: str
    name: str
    inputs: dict[str, Array]
    files: tuple[Path, ...] = ()
    grid: nifti.Volume | None = None
    axes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Broken:
    """What cannot be predicted: what it is called, the fact, and what to do."""

    source: str
    message: str
    help: str = ""


def samples(predictor: Predictor, given: Iterable[Any], channels: Sequence[str] = ()) -> Iterator[Sample | Broken]:
    """A sample, or why there is none, for all that is given, in order.

    A path is a picture, a table (a sample a row), an array (one sample or a batch), an .npz (the inputs by name), a
    NIfTI volume, the folder of a case of volumes, a folder of all these, or `-`: .npy or CSV from stdin. `channels`
    name the volumes of a case where the exported file does not say them.
    """
    read = _Reader(predictor, tuple(channels))
    for at, each in enumerate(given):
        yield from read.any(each, at)


def files(predictor: Predictor, given: Sequence[str | Path], channels: Sequence[str] = ()) -> list[tuple[Path, Path]]:
    """The files and cases that paths stand for, folders looked through: each with the folder that was given."""
    read = _Reader(predictor, tuple(channels))
    return [found for each in given for found in read.expanded(Path(each))]


class _Reader:
    """Reads for one network; `channels` and `axes` are those of the training data if they are known."""

    def __init__(self, predictor: Predictor, channels: tuple[str, ...]) -> None:
        said = predictor.description.encoding or {}
        self._predictor = predictor
        self._encoding: Mapping[str, Any] = said
        side = predictor.inputs[0]
        self._channels = channels or (tuple(said["channels"]) if "axes" in said else ())
        self._axes: tuple[str, ...] = tuple(said.get("axes", _AXES.get(len(side.shape) - 1, ())))

    def any(self, given: Any, at: int) -> Iterator[Sample | Broken]:
        if isinstance(given, str | Path):
            if str(given) == STREAM:
                yield from self._guarded(STREAM, self._stream())
                return
            for path, folder in self.expanded(Path(given)):
                yield from self._guarded(str(path), self._file(path, _stem(path, folder)))
            return
        yield from self._guarded(f"input {at}", self._object(given, f"input {at}"))

    def expanded(self, path: Path) -> Iterator[tuple[Path, Path]]:
        if not path.is_dir() or self._is_case(path):
            yield path, path.parent
            return
        found = list(self._inside(path))
        yield from ((each, path) for each in found)
        if not found:
            yield path, path.parent

    def _inside(self, folder: Path) -> Iterator[Path]:
        for each in sorted(folder.iterdir()):
            if each.name.startswith("."):
                continue
            if each.is_dir() and not self._is_case(each):
                yield from self._inside(each)
            elif each.is_dir() or each.name.lower().endswith(self._suffixes()):
                yield each

    def _suffixes(self) -> tuple[str, ...]:
        """What to take from a folder: the files that a network with such inputs can be given."""
        if len(self._predictor.inputs) != 1:
            return (".npz",)
        rank = len(self._predictor.inputs[0].shape)
        if rank == 1:
            return (*_ARRAYS, *_TABLES)
        return (*_ARRAYS, *(pictures.SUFFIXES if _of_picture(self._predictor.inputs[0]) else ()), *nifti.SUFFIXES)

    def _is_case(self, folder: Path) -> bool:
        """Whether a folder holds every channel of a case of volumes."""
        return bool(self._channels) and all(
            any((folder / f"{name}{suffix}").is_file() for suffix in nifti.SUFFIXES) for name in self._channels
        )

    def _guarded(self, source: str, found: Iterator[Sample | Broken]) -> Iterator[Sample | Broken]:
        """What goes wrong while reading ends this file, not the others."""
        try:
            yield from found
        except (BadInput, DataProblem) as problem:
            yield Broken(source, _local(problem, source), problem.help)

    # ------------------------------------------------------------------------------------------------ one kind each
    def _file(self, path: Path, name: str) -> Iterator[Sample | Broken]:
        kind = path.suffix.lower()
        if not path.exists():
            raise BadInput("there is no such file", "check the path")
        if path.is_dir() or path.name.lower().endswith(nifti.SUFFIXES):
            yield self._volume(path, name)
        elif kind == ".npz":
            yield from self._npz(path, name)
        elif kind == ".npy":
            yield from self._numbered(str(path), name, _load(path), (path,))
        elif kind in pictures.SUFFIXES:
            yield Sample(str(path), name, {self._side().name: self._picture(path)}, (path,))
        elif kind == ".parquet":
            yield from self._table(parquet(path, self._side(), self._encoding), str(path), name, (path,))
        elif kind in _TABLES:
            with _text(path) as file:
                yield from self._table(rows(file, self._side(), self._encoding), str(path), name, (path,))
        else:
            raise BadInput(
                f"a file of the kind `{kind}` cannot be read",
                "give png, jpg, bmp, gif, npy, npz, csv, parquet, nii or nii.gz, a folder of these, or - for stdin",
            )

    def _side(self) -> Side:
        inputs = self._predictor.inputs
        if len(inputs) != 1:
            names = ", ".join(side.name for side in inputs)
            raise BadInput(f"the network takes several inputs: {names}", "give a .npz file that holds them by name")
        return inputs[0]

    def _picture(self, path: Any) -> Array:
        """A picture as [channels, height, width], brought to the size that pictures were given in training.

        The numbers are 0..1, or whole pixels where the file takes those.
        """
        import numpy as np

        side = self._side()
        if not _of_picture(side):
            raise BadInput(f"`{side.name}` is {side.spelled()}, and a picture has 1 or 3 channels", "give a .npy file")
        size = self._encoding.get("size")
        channels = 1 if side.shape[0] == 1 else 3
        found = pictures.decode(path, channels, None if size is None else (int(size[0]), int(size[1])))
        if side.dtype != "uint8":
            return found
        pixels: Array = np.rint(found * 255)
        if np.abs(found * 255 - pixels).max(initial=0) > 1e-3:
            raise BadInput(
                "the picture has 16 bits a pixel, the network was trained on 8", "save it with 8 bits a pixel"
            )
        return pixels.astype(np.uint8)

    def _volume(self, path: Path, name: str) -> Sample:
        side = self._side()
        if path.is_dir():
            if not self._is_case(path):
                kinds = ", ".join(self._suffixes())
                raise BadInput("there is nothing in this folder that the network takes", f"it takes {kinds}{_CASE}")
            found = volumes.case(path, self._channels, self._axes)
        else:
            found = volumes.headers([path], self._axes)
        if len(self._axes) + 1 != len(side.shape):
            raise BadInput(
                f"`{side.name}` is {side.spelled()}, and a volume has {len(self._axes) + 1} axes", "give a .npy file"
            )
        if side.shape[0] != len(found) and isinstance(side.shape[0], int):
            help = f"give the folder of a case{_CASE}"
            raise BadInput(f"`{side.name}` has {side.shape[0]} channels, and this is {len(found)}", help)
        files = tuple(each.path for each in found)
        return Sample(str(path), name, {side.name: volumes.stacked(found, self._axes)}, files, found[0], self._axes)

    def _npz(self, path: Path, name: str) -> Iterator[Sample]:
        """The inputs by name: one sample, or, with one more axis in front of all, a batch."""
        with _load(path) as archive:
            arrays = {each: archive[each] for each in archive.files}
        ranks = {side.name: len(side.shape) for side in self._predictor.inputs}
        batched = [each for each, array in arrays.items() if array.ndim == ranks.get(each, -1) + 1]
        if not batched:
            yield Sample(str(path), name, arrays, (path,))
            return
        counts = {len(arrays[each]) for each in batched}
        if len(batched) != len(arrays) or len(counts) != 1:
            raise BadInput("its arrays differ in their batch", "give every array the same axis in front, or none")
        for at in range(counts.pop()):
            inputs = {each: array[at] for each, array in arrays.items()}
            yield Sample(f"{path}[{at}]", f"{name}_{at}", inputs, (path,))

    def _numbered(self, source: str, name: str, array: Array, files: tuple[Path, ...] = ()) -> Iterator[Sample]:
        side = self._side()
        if array.ndim != len(side.shape) + 1:
            yield Sample(source, name, {side.name: array}, files)
            return
        for at, each in enumerate(array):
            yield Sample(f"{source}[{at}]", f"{name}_{at}", {side.name: each}, files)

    def _table(
        self, found: Iterable[Row], source: str, name: str, files: tuple[Path, ...] = ()
    ) -> Iterator[Sample | Broken]:
        side = self._side()
        for line, row in found:
            if isinstance(row, BadInput | DataProblem):
                yield Broken(f"{source}:{line}", row.message, row.help)
            else:
                yield Sample(f"{source}:{line}", f"{name}_{line}", {side.name: row}, files)

    def _stream(self) -> Iterator[Sample | Broken]:
        """Arrays one after another, or the rows of a table, each as soon as it is there."""
        found = opened(sys.stdin.buffer)
        if isinstance(found, io.TextIOWrapper):
            yield from self._table(rows(found, self._side(), self._encoding), STREAM, "stdin")
            return
        for at, array in enumerate(found):
            yield from self._numbered(f"{STREAM}({at})", f"stdin_{at}", array)

    def _object(self, given: Any, source: str) -> Iterator[Sample]:
        """An array without a batch, a picture of Pillow's, or a mapping of arrays by the names of the inputs."""
        import numpy as np

        name = source.replace(" ", "_")
        if isinstance(given, Mapping):
            yield Sample(source, name, {key: np.asarray(value) for key, value in given.items()})
        elif hasattr(given, "getbands"):
            yield Sample(source, name, {self._side().name: self._picture(_encoded(given))})
        else:
            yield Sample(source, name, {self._side().name: np.asarray(given)})


# ------------------------------------------------------------------------------------------------------------ parts
def _text(path: Path) -> IO[str]:
    try:
        return open(path, encoding="utf-8-sig", newline="")
    except OSError as error:
        raise BadInput(f"it cannot be read: {error.strerror or error}") from None


def _load(path: Path) -> Any:
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"it cannot be read: {error}") from None


def _of_picture(side: Side) -> bool:
    return len(side.shape) == 3 and side.shape[0] in (1, 3)


def _encoded(picture: Any) -> io.BytesIO:
    """A picture of Pillow's as a PNG file in memory, so that it is read as files are."""
    if picture.mode not in ("1", "L", "LA", "I;16", "P", "RGB", "RGBA", "I"):
        picture = picture.convert("RGBA" if picture.mode in ("La", "PA", "RGBa") else "RGB")
    file = io.BytesIO()
    picture.save(file, "PNG")
    file.seek(0)
    return file


def _stem(path: Path, folder: Path) -> str:
    """The path from the folder on, without its suffix."""
    inside = path.relative_to(folder)
    name = inside.name.removesuffix(".gz") if inside.name.lower().endswith(".nii.gz") else inside.name
    return (inside.parent / (name if path.is_dir() else Path(name).stem)).as_posix()


def _local(problem: BadInput | DataProblem, source: str) -> str:
    """The fact, with the file that it is about where `source` is not that file."""
    if isinstance(problem, BadInput) or problem.file is None or str(problem.file) == source:
        return problem.message
    return f"{problem.file.name}: {problem.message}"
