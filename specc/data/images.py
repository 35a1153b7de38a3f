"""Folders of pictures: one folder per class, or a folder of pictures and one of masks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.data.columns import SAMPLES, listed
from specc.data.pictures import SUFFIXES, Look, decode, decode_mask, look, mask_values
from specc.data.skipped import Bad, Skipped, left_out, unusable
from specc.data.sources import BrokenFile, DataFacts, DataProblem, Dataset, MissingData, Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_LOOKED_AT = 32  # pictures whose headers (and masks whose pixels) are read to describe a folder
_IGNORED_NAMES = frozenset({"thumbs.db", "desktop.ini", SAMPLES})
Listing = list[tuple[Path, Path | int]]  # a picture and its mask or its class
_IGNORE = 255  # a mask pixel that counts for no class


@dataclass(frozen=True, slots=True)
class Images:
    """Pictures (png, jpg, bmp, gif) as the input "image": float32 [channels, height, width] in 0..1.

    Without `masks` every folder inside `folder` is a class, in the order of their names. With `masks`, a picture's mask
    is the picture of the same name there, and the target is its number per pixel; a mask of 0 and 255 alone is one of
    two classes, in any other 255 is kept (`ignore=255`). `size` is (height, width), to which pictures are brought;
    without it, pictures must be alike, or the size is unknown (None). `channels` is 1 for grey and 3 for colour;
    without it the pictures decide. `spacing` is how far the pixels of the files lie apart, down and across. Files that
    cannot be read stop the load, or are left out if `broken` is "skip".

    Example:
        Images(Path("flowers"), size=(224, 224), channels=3)
    """

    folder: Path
    size: tuple[int, int] | None = None
    masks: Path | None = None
    channels: int | None = None
    spacing: tuple[float, float] | None = None
    broken: Bad = "stop"

    def describe(self) -> DataFacts:
        return self._facts(self._listing(), self.broken)

    def load(self) -> Dataset:
        """Reads every file once, so that what is broken is found before training starts."""
        listing = self._listing()
        facts = self._facts(listing, "skip")  # all of them are read below
        binary = self.masks is not None and facts.class_names == ("0", "255")
        paths, targets = tuple(path for path, _ in listing), tuple(which for _, which in listing)
        found = ImageDataset(facts, paths, targets, self.size, binary, self.spacing, Skipped())
        problems = unusable(len(found), found.sample)
        return replace(found, skipped=left_out(problems, self._names(listing), self.broken))

    def sample_names(self) -> list[str]:
        """Paths from the folder on, `rose/3.png`."""
        return self._names(self._listing())

    def column(self, name: str) -> list[str]:
        """A column of samples.csv in the folder, for grouping pictures (`split group=patient`)."""
        return listed(self.folder, self.sample_names(), name)

    def _names(self, listing: Listing) -> list[str]:
        return [path.relative_to(self.folder).as_posix() for path, _ in listing]

    def _looked_at(self, listing: Listing, bad: Bad) -> tuple[list[Look], list[set[int]]]:
        """The headers of some pictures, spread evenly over the listing, and the numbers in their masks."""
        looks, masks, problems = [], [], dict[int, DataProblem]()
        for at, (path, mask) in enumerate(listing):
            try:
                found = look(path)
                masks += [mask_values(mask)] if isinstance(mask, Path) else []
                looks.append(found)
            except BrokenFile as problem:
                problems[at] = problem
        left_out(problems, self._names(listing), bad)
        return looks, masks

    def _facts(self, listing: Listing, bad: Bad) -> DataFacts:
        """What the headers of some pictures tell of all; those that cannot be read are raised, or passed over."""
        some = listing[:: max(1, len(listing) // _LOOKED_AT)][:_LOOKED_AT]
        looks, masks = self._looked_at(some, bad)
        sizes = {(each.height, each.width) for each in looks}
        known = self.size or (sizes.pop() if len(sizes) == 1 else (None, None))
        channels = self.channels or (1 if all(each.grey for each in looks) else 3)
        image: Shape = (channels, *known)
        if self.masks is None:
            names: tuple[str, ...] = tuple(each.name for each in _folders(self.folder))
        else:
            names = _mask_classes(set[int]().union(*masks), len(some) == len(listing))
        return DataFacts(
            input_shapes={"image": image},
            dtypes={"image": "float32"},
            target="class" if self.masks is None else "classes",
            target_shape=() if self.masks is None else known,
            classes=len(names) or None,
            class_names=names,
            count=len(listing),
        )

    def _listing(self) -> Listing:
        """Every picture with its class or its mask, in the order of the names."""
        if self.masks is not None:
            return _paired(_pictures(self.folder), _pictures(self.masks), self.masks)
        folders = _folders(self.folder)
        loose = [each for each in _entries(self.folder) if each.suffix.lower() in SUFFIXES and each.is_file()]
        if folders and loose:
            raise DataProblem("this picture lies beside the folders of the classes", "move it into one", min(loose))
        if not folders:
            raise DataProblem(
                "there is no folder per class in it",
                "put the pictures of each class into a folder of its own",
                self.folder,
            )
        return [(path, number) for number, folder in enumerate(folders) for path in _pictures(folder)]


@dataclass(frozen=True, slots=True)
class ImageDataset:
    """Pictures that are decoded when asked for."""

    facts: DataFacts
    paths: tuple[Path, ...]
    targets: tuple[Path | int, ...]
    size: tuple[int, int] | None
    binary: bool
    apart: tuple[float, float] | None
    skipped: Skipped

    def __len__(self) -> int:
        return len(self.paths)

    def sample(self, index: int) -> tuple[dict[str, Array], Array]:
        import numpy as np

        path, target = self.paths[index], self.targets[index]
        channels, height, width = self.facts.input_shapes["image"]
        image = decode(path, channels or 3, self.size)
        if height is not None and image.shape[1:] != (height, width):
            raise DataProblem(
                f"the picture is {image.shape[1]} x {image.shape[2]} pixels where others are {height} x {width}",
                f"bring all to one size: images(…, size=[{height}, {width}])",
                path,
            )
        if isinstance(target, int):
            return {"image": image}, np.asarray(target, dtype=np.int64)
        return {"image": image}, self._mask(path, target, image.shape[1:])

    def places(self, index: int) -> tuple[int, ...]:
        """Height and width of a picture."""
        return self.size or self._stored(index)

    def spacing(self, index: int) -> tuple[float, ...] | None:
        """How far its pixels lie apart, down and across, after it was brought to `size`; None where it is not said."""
        if self.apart is None:
            return None
        sides = zip(self.apart, self._stored(index), self.places(index), strict=True)
        return tuple(apart * have / to for apart, have, to in sides)

    def _stored(self, index: int) -> tuple[int, int]:
        found = look(self.paths[index])
        return found.height, found.width

    def files(self, index: int) -> tuple[Path, ...]:
        """What the inputs of a sample are read from."""
        return (self.paths[index],)

    def arrays(self) -> tuple[dict[str, Array], Array] | None:
        return None

    def labels(self) -> Array | None:
        import numpy as np

        return np.array(self.targets, dtype=np.int64) if self.facts.target == "class" else None

    def fitted(self, train: Array) -> Dataset:
        return self

    def encoding(self) -> dict[str, Any] | None:
        """Channels and size, as `pictures.decode` takes them, and the bits that each number of a picture has."""
        size = list(self.size) if self.size else None
        there = [path for at, path in enumerate(self.paths) if at not in self.skipped.names]
        some = there[:: max(1, len(there) // _LOOKED_AT)][:_LOOKED_AT]
        bits = 16 if any(look(path).deep for path in some) else 8
        return {"channels": self.facts.input_shapes["image"][0], "size": size, "bits": bits}

    def _mask(self, path: Path, file: Path, size: tuple[int, ...]) -> Array:
        mask = decode_mask(file, self.size)
        if mask.shape != size:
            raise DataProblem(
                f"the mask is {mask.shape[0]} x {mask.shape[1]} pixels, its picture {size[0]} x {size[1]}",
                f"the picture is {path}",
                file,
            )
        if self.binary:
            strange = mask[(mask != 0) & (mask != _IGNORE)]
            if strange.size:
                raise DataProblem(
                    f"the mask holds {strange.flat[0]} where others hold 0 and 255", "use 0 and 255, or 0, 1, 2 …", file
                )
            mask = mask // _IGNORE
        elif self.facts.classes is not None and ((mask >= self.facts.classes) & (mask != _IGNORE)).any():
            raise DataProblem("the mask has changed since the folder was read", "start again", file)
        return mask.astype("int64")


def _mask_classes(values: set[int], all_of_them: bool) -> tuple[str, ...]:
    """Names of the classes in the masks; none where not all masks were looked at and so not all may be known."""
    if values <= {0, _IGNORE} and _IGNORE in values:
        return ("0", "255")
    if not all_of_them:
        return ()
    return tuple(str(each) for each in range(max(values - {_IGNORE}, default=0) + 1))


def _paired(pictures: list[Path], masks: list[Path], folder: Path) -> Listing:
    by_name = {each.stem: each for each in masks}
    named = {each.stem for each in pictures}
    for what, each in (("pictures", pictures), ("masks", masks)):
        if len({path.stem for path in each}) < len(each):
            stems = [path.stem for path in each]
            twice = next(path for path in each if stems.count(path.stem) > 1)
            raise DataProblem(f"two {what} are called {twice.stem}", "give each a name of its own", twice)
    for path in pictures:
        if path.stem not in by_name:
            raise DataProblem("the picture has no mask", f"{folder} needs a mask called {path.stem}.png", path)
    for path in masks:
        if path.stem not in named:
            raise DataProblem("the mask has no picture", "remove it or add the picture", path)
    return [(path, by_name[path.stem]) for path in pictures]


def _folders(folder: Path) -> list[Path]:
    return sorted((each for each in _entries(folder) if each.is_dir()), key=lambda each: each.name)


def _pictures(folder: Path) -> list[Path]:
    """The pictures straight inside a folder by name; anything else there but hidden files is refused."""
    found = sorted(_entries(folder), key=lambda each: each.name)
    for each in found:
        if each.suffix.lower() not in SUFFIXES:
            what = "a folder" if each.is_dir() else "not a png, jpg, bmp or gif picture"
            tiff = ", or save it as PNG" if each.suffix.lower() in (".tif", ".tiff") else ""
            raise DataProblem(f"this is {what}, among pictures", f"move it elsewhere{tiff}", each)
    if not found:
        raise DataProblem("there are no pictures in the folder", "add pictures or remove the folder", folder)
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return [each for each in folder.iterdir() if each.name[0] != "." and each.name.lower() not in _IGNORED_NAMES]
    except FileNotFoundError:
        raise MissingData(
            "there is no such folder", "check the path; it starts at the project's folder", folder
        ) from None
    except NotADirectoryError:
        raise DataProblem("this is a file, not a folder", "give the folder that the pictures are in", folder) from None
    except OSError as error:
        raise DataProblem(f"the folder cannot be read: {error.strerror}", "check its permissions", folder) from error
