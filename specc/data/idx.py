"""MNIST and its kin in their own format (idx, LeCun, Cortes and Burges 1998), gzipped or not."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, cast

from specc.data.sources import DataFacts, DataProblem, Dataset, MissingData

_PARTS = ("train", "t10k")
_HELP = "it holds train-images-idx3-ubyte, train-labels-idx1-ubyte and the same for t10k, as they are or with .gz"


@dataclass(frozen=True, slots=True)
class Mnist:
    """A folder with the four files of MNIST (or of a data set in its format) as the input "image" [1, 28, 28] in 0..1.

    The samples of `train-…` come first, those of `t10k-…` last; these are the official test part.

    Example:
        Mnist(Path("mnist")).describe().test  ->  10000
    """

    folder: Path

    def describe(self) -> DataFacts:
        count, test, classes = 0, 0, 0
        size: tuple[int, ...] = ()
        for part in _PARTS:
            images, labels = _file(self.folder, part, "images", 3), _file(self.folder, part, "labels", 1)
            (test, *shape), (given,) = _sizes(images, 3), _sizes(labels, 1)
            if given != test:
                raise DataProblem(f"it has {given} labels for the {test} pictures of {images.name}", "", labels)
            if size and tuple(shape) != size:
                message = f"its pictures are {shape[0]} x {shape[1]}, those that train {size[0]} x {size[1]}"
                raise DataProblem(message, "take both from one data set", images)
            count, size = count + test, tuple(shape)
            classes = max(classes, max(_content(labels, (given,)), default=0) + 1)
        names = tuple(map(str, range(max(classes, 10))))
        return DataFacts({"image": (1, *size)}, {"image": "float32"}, "class", (), len(names), names, count, test=test)

    def load(self) -> Dataset:
        import numpy as np

        from specc.data.memory import MemoryDataset

        facts = self.describe()
        shape = facts.input_shapes["image"][1:]
        images, labels = [], []
        for part in _PARTS:
            file = _file(self.folder, part, "images", 3)
            sizes = _sizes(file, 3)
            images.append(np.frombuffer(_content(file, sizes), np.uint8).reshape(-1, 1, *sizes[1:]))
            file = _file(self.folder, part, "labels", 1)
            labels.append(np.frombuffer(_content(file, _sizes(file, 1)), np.uint8))
        pixels = np.concatenate(images).astype(np.float32)
        pixels /= np.float32(255)
        assert pixels.shape[2:] == shape
        return MemoryDataset(facts, {"image": pixels}, np.concatenate(labels).astype(np.int64))


def _file(folder: Path, part: str, what: str, axes: int) -> Path:
    """The file of a part, by any of the names it goes by."""
    if folder.is_file():
        raise DataProblem("this is a file, not a folder", f"give the folder: {_HELP}", folder)
    for dot in ("-", "."):
        for end in ("", ".gz"):
            path = folder / f"{part}-{what}{dot}idx{axes}-ubyte{end}"
            if path.is_file():
                return path
    if not folder.is_dir():
        raise MissingData("there is no such folder", "check the path; it starts at the project's folder", folder)
    raise MissingData("there is no such file", _HELP, folder / f"{part}-{what}-idx{axes}-ubyte")


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            yield cast("IO[bytes]", file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataProblem(f"it is damaged: {error}", "copy the file again", path) from error
    except OSError as error:
        raise DataProblem(f"it cannot be read: {error.strerror or error}", "check its permissions", path) from error


def _sizes(path: Path, axes: int) -> tuple[int, ...]:
    """What the header says; that the file is as long as it says is seen from its length, or from the end of the gzip."""
    with _opened(path) as file:
        head = file.read(4 * (1 + axes))
        if len(head) < 4 * (1 + axes) or head[:4] != bytes((0, 0, 8, axes)):
            raise DataProblem(f"it is not an idx file of bytes with {axes} axes", "copy the file again", path)
    sizes = struct.unpack(f">{axes}I", head[4:])
    wanted = len(head) + prod(sizes)
    if path.suffix == ".gz":
        with open(path, "rb") as raw:
            raw.seek(-4, 2)
            whole = struct.unpack("<I", raw.read(4))[0] == wanted % 2**32
    else:
        whole = path.stat().st_size == wanted
    if not whole:
        raise DataProblem(f"it does not hold the {prod(sizes):,} bytes that its header says", "copy it again", path)
    if not all(sizes):
        raise DataProblem("it holds nothing", "copy the file again", path)
    return sizes


def _content(path: Path, sizes: tuple[int, ...]) -> bytes:
    with _opened(path) as file:
        file.read(4 * (1 + len(sizes)))
        data = file.read()
    if len(data) != prod(sizes):
        raise DataProblem(f"it holds {len(data):,} bytes where its header says {prod(sizes):,}", "copy it again", path)
    return data
