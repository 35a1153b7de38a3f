"""A folder of cases, each a folder of NIfTI volumes: some are channels of the input, one is the mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.data.columns import listed
from specc.data.nifti import SUFFIXES, WORLD, Volume, apart, header
from specc.data.sources import DataFacts, DataProblem, Dataset, MissingData, Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_WHITE = 255
_CLASSES = 256  # more of them in a mask are taken for a mistake


@dataclass(frozen=True, slots=True)
class Volumes:
    """Cases as the input "volume": float32 [channels, …] along `axes`, and the mask's number per voxel as the target.

    `folder` has a folder per case; in it `<channel>.nii` or `.nii.gz` for each of `channels`, and the mask. Volumes are
    turned to x (right), y (front), z (up) by what their headers say, then ordered by `axes`; an axis that is not among
    them must have one slice. A mask of 0 and 255 alone is one of two classes.

    Example:
        Volumes(Path("stroke"), ("adc", "cbf"), "lesion", ("z", "y", "x"))
    """

    folder: Path
    channels: tuple[str, ...]
    mask: str
    axes: tuple[str, ...] = ("z", "y", "x")

    def describe(self) -> DataFacts:
        return self._facts(self._cases())

    def load(self) -> Dataset:
        """Reads every file once, so that what is broken is found before training starts."""
        cases = self._cases()
        found = VolumeDataset(self._facts(cases), tuple(cases), self.axes)
        return replace(found, facts=found.checked())

    def sample_names(self) -> list[str]:
        """The names of the cases."""
        return [each.name for each in self._folders()]

    def column(self, name: str) -> list[str]:
        """A column of samples.csv in the folder, for grouping cases (`split kfold(5, group=patient)`)."""
        return listed(self.folder, self.sample_names(), name)

    def _facts(self, cases: list[list[Volume]]) -> DataFacts:
        shapes = {_shape(each[0], self.axes) for each in cases}
        size: Shape = tuple(each[0] if len(set(each)) == 1 else None for each in zip(*shapes, strict=True))
        return DataFacts(
            input_shapes={"volume": (len(self.channels), *size)},
            dtypes={"volume": "float32"},
            target="classes",
            target_shape=size,
            classes=None,
            class_names=(),
            count=len(cases),
        )

    def _cases(self) -> list[list[Volume]]:
        """The headers of every case: the channels, then the mask; they lie on one another."""
        cases = []
        for folder in self._folders():
            cases.append(headers([_file(folder, name) for name in (*self.channels, self.mask)], self.axes))
        return cases

    def _folders(self) -> list[Path]:
        if self.folder.is_file():
            raise DataProblem("this is a file, not a folder", "give the folder that the cases are in", self.folder)
        if not self.folder.is_dir():
            help = "check the path; it starts at the project's folder"
            raise MissingData("there is no such folder", help, self.folder)
        found = sorted(each for each in self.folder.iterdir() if each.is_dir() and not each.name.startswith("."))
        if not found:
            help = f"put {self.channels[0]}.nii and the others of each case into a folder of its own"
            raise DataProblem("there is no folder of a case in it", help, self.folder)
        return found


@dataclass(frozen=True, slots=True)
class VolumeDataset:
    """Cases that are read when asked for; `cases` are the headers of the channels and, last, of the mask."""

    facts: DataFacts
    cases: tuple[list[Volume], ...]
    axes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.cases)

    def sample(self, index: int) -> tuple[dict[str, Array], Array]:
        *channels, mask = self.cases[index]
        return {"volume": stacked(channels, self.axes)}, self._mask(mask)

    def checked(self) -> DataFacts:
        """The facts with the classes; every file is read, and what is wrong with one raises DataProblem."""
        import numpy as np

        values: set[int] = set()
        for *channels, mask in self.cases:
            for each in channels:
                each.values()
            found = _whole(mask)
            values |= set(np.unique(found).tolist())
            if values and (min(values) < 0 or max(values) >= _CLASSES):
                wrong = min(values) if min(values) < 0 else max(values)
                raise DataProblem(f"the mask holds {wrong}", f"number the classes from 0 to {_CLASSES - 1}", mask.path)
        if values <= {0, _WHITE} and _WHITE in values:
            names: tuple[str, ...] = ("0", str(_WHITE))
        else:
            most = max(values - {_WHITE}, default=0) if _WHITE in values else max(values, default=0)
            names = tuple(str(each) for each in range(max(most + 1, 2)))
        return replace(self.facts, classes=len(names), class_names=names)

    def spacing(self, index: int) -> tuple[float, ...]:
        """The distance between voxels along the axes of a sample, in millimetres."""
        found = self.cases[index][0].spacing
        return tuple(found[WORLD.index(each)] for each in self.axes)

    def places(self, index: int) -> tuple[int, ...]:
        """The size of a sample along its axes."""
        return _shape(self.cases[index][0], self.axes)

    def files(self, index: int) -> tuple[Path, ...]:
        """What the inputs of a sample are read from."""
        return tuple(each.path for each in self.cases[index][:-1])

    def arrays(self) -> tuple[dict[str, Array], Array] | None:
        return None

    def labels(self) -> Array | None:
        return None

    def fitted(self, train: Array) -> Dataset:
        return self

    def encoding(self) -> dict[str, Any] | None:
        """The files of a case and the order of the axes, as `case` takes them."""
        return {"channels": [_stem(each.path) for each in self.cases[0][:-1]], "axes": list(self.axes)}

    def _mask(self, mask: Volume) -> Array:
        found = _along(_whole(mask), self.axes)
        return (found // _WHITE if self.facts.class_names == ("0", str(_WHITE)) else found).astype("int64")


def case(folder: Path, channels: Sequence[str], axes: tuple[str, ...]) -> list[Volume]:
    """The headers of a case without a mask; raises DataProblem as `Volumes` does."""
    return headers([_file(folder, name) for name in channels], axes)


def headers(paths: Sequence[Path], axes: tuple[str, ...]) -> list[Volume]:
    """The headers of volumes that lie on one another, with one slice along what is not among the axes."""
    found = [header(path) for path in paths]
    first = found[0]
    for world, size in zip(WORLD, first.shape, strict=True):
        if world not in axes and size != 1:
            help = f"name it among the axes: axes=[{', '.join([world, *axes])}]"
            raise DataProblem(f"it has {size} slices along {world}", help, first.path)
    for other in found[1:]:
        if other.shape != first.shape:
            message = f"it is {_by(other.shape)} voxels, {first.path.name} of the same case {_by(first.shape)}"
            raise DataProblem(message, "bring both to one grid", other.path)
        if apart(first, other) > 0.5:
            message = f"it lies up to {apart(first, other):.1f} voxels away from {first.path.name} of the same case"
            raise DataProblem(message, "bring both to one grid", other.path)
    return found


def stacked(channels: Sequence[Volume], axes: tuple[str, ...]) -> Array:
    """The voxels of several volumes as float32 [channels, …] along `axes`."""
    import numpy as np

    return np.stack([_along(each.values(), axes).astype(np.float32) for each in channels])


def turned_back(values: Array, axes: tuple[str, ...]) -> Array:
    """[…] along `axes` as [x, y, z]: the way back from `stacked` for one channel."""
    left = [each for each in WORLD if each not in axes]
    order = [*axes, *left]
    whole = values.reshape(values.shape + (1,) * len(left))
    return whole.transpose([order.index(each) for each in WORLD])


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _file(folder: Path, name: str) -> Path:
    found = [folder / f"{name}{suffix}" for suffix in SUFFIXES if (folder / f"{name}{suffix}").is_file()]
    if len(found) > 1:
        raise DataProblem(f"{found[1].name} lies beside it", "keep one of them", found[0])
    if not found:
        raise DataProblem(
            "there is no such file", "every case needs every channel and a mask", folder / f"{name}.nii.gz"
        )
    return found[0]


def _whole(mask: Volume) -> Array:
    """The numbers of a mask, which must be whole."""
    import numpy as np

    found = mask.values()
    if found.dtype.kind == "f":
        rounded = np.round(found)
        if not (rounded == found).all():
            wrong = found[rounded != found].flat[0]
            raise DataProblem(f"the mask holds {wrong:g}", "a mask has a whole number per voxel", mask.path)
        found = rounded
    return found.astype(np.int64)


def _shape(volume: Volume, axes: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(volume.shape[WORLD.index(each)] for each in axes)


def _along(values: Array, axes: tuple[str, ...]) -> Array:
    """[x, y, z] in the order of `axes`; what is not among them has one slice."""
    left = [at for at, each in enumerate(WORLD) if each not in axes]
    found: Array = values.transpose([*(WORLD.index(each) for each in axes), *left])
    return found.reshape(found.shape[: len(axes)])


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
