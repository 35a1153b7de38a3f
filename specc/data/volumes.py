"""A folder of cases, each a folder of NIfTI volumes: some are channels of the input, one is the mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.data.columns import listed
from specc.data.nifti import SUFFIXES, WORLD, Volume, apart, header
from specc.data.skipped import Bad, Skipped, left_out, unusable
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
    them must have one slice. A mask of 0 and 255 alone is one of two classes. Cases with a file that cannot be read stop
    the load, or are left out if `broken` is "skip".

    Example:
        Volumes(Path("stroke"), ("adc", "cbf"), "lesion", ("z", "y", "x"))
    """

    folder: Path
    channels: tuple[str, ...]
    mask: str
    axes: tuple[str, ...] = ("z", "y", "x")
    broken: Bad = "stop"

    def describe(self) -> DataFacts:
        cases, problems = self._cases()
        return self._facts(cases, left_out(problems, self.sample_names(), self.broken))

    def load(self) -> Dataset:
        """Reads every file once, so that what is broken is found before training starts."""
        cases, problems = self._cases()
        values = [set[int]() for _ in cases]

        def read(at: int) -> None:
            values[at] = _read(cases[at])

        problems = problems | unusable(len(cases), read)
        skipped = left_out(dict(sorted(problems.items())), self.sample_names(), self.broken)
        facts = _with_classes(self._facts(cases, skipped), set[int]().union(*values))
        return VolumeDataset(facts, tuple(cases), self.axes, skipped)

    def sample_names(self) -> list[str]:
        """The names of the cases."""
        return [each.name for each in self._folders()]

    def column(self, name: str) -> list[str]:
        """A column of samples.csv in the folder, for grouping cases (`split kfold(5, group=patient)`)."""
        return listed(self.folder, self.sample_names(), name)

    def _facts(self, cases: list[list[Volume]], skipped: Skipped) -> DataFacts:
        shapes = {_shape(each[0], self.axes) for at, each in enumerate(cases) if at not in skipped.names}
        size: Shape = tuple(each[0] if len(set(each)) == 1 else None for each in zip(*shapes, strict=True))
        return DataFacts(
            input_shapes={"volume": (len(self.channels), *size)},
            dtypes={"volume": "float32"},
            target="classes",
            target_shape=size,
            classes=None,
            class_names=(),
            count=len(cases),
            skipped=len(skipped.names),
        )

    def _cases(self) -> tuple[list[list[Volume]], dict[int, DataProblem]]:
        """The headers of every case, the channels, then the mask, which lie on one another; what is wrong with others."""
        folders = self._folders()
        cases: list[list[Volume]] = [[] for _ in folders]

        def read(at: int) -> None:
            cases[at] = case(folders[at], (*self.channels, self.mask), self.axes)

        return cases, unusable(len(folders), read)

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
    """Cases that are read when asked for; `cases` are the headers of the channels and, last, of the mask, and nothing
    where they cannot be read."""

    facts: DataFacts
    cases: tuple[list[Volume], ...]
    axes: tuple[str, ...]
    skipped: Skipped

    def __len__(self) -> int:
        return len(self.cases)

    def sample(self, index: int) -> tuple[dict[str, Array], Array]:
        *channels, mask = self.cases[index]
        return {"volume": stacked(channels, self.axes)}, self._mask(mask)

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
        first = next(each for each in self.cases if each)
        return {"channels": [_stem(each.path) for each in first[:-1]], "axes": list(self.axes)}

    def _mask(self, mask: Volume) -> Array:
        found = _along(_whole(mask), self.axes)
        return (found // _WHITE if self.facts.class_names == ("0", str(_WHITE)) else found).astype("int64")


def case(folder: Path, channels: Sequence[str], axes: tuple[str, ...]) -> list[Volume]:
    """The headers of volumes of a case; raises DataProblem as `Volumes` does."""
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


def _read(volumes: Sequence[Volume]) -> set[int]:
    """Read a case, its mask last; the numbers in the mask."""
    import numpy as np

    for each in volumes[:-1]:
        each.values()
    found: set[int] = set()
    for mask in volumes[-1:]:  # none where the headers cannot be read
        found = set(np.unique(_whole(mask)).tolist())
        if min(found) < 0 or max(found) >= _CLASSES:
            wrong = min(found) if min(found) < 0 else max(found)
            raise DataProblem(f"the mask holds {wrong}", f"number the classes from 0 to {_CLASSES - 1}", mask.path)
    return found


def _with_classes(facts: DataFacts, values: set[int]) -> DataFacts:
    """The facts with the classes that masks of these numbers have."""
    if values <= {0, _WHITE} and _WHITE in values:
        names: tuple[str, ...] = ("0", str(_WHITE))
    else:
        most = max(values - {_WHITE}, default=0) if _WHITE in values else max(values, default=0)
        names = tuple(str(each) for each in range(max(most + 1, 2)))
    return replace(facts, classes=len(names), class_names=names)


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
