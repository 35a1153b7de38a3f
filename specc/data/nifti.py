"""NIfTI-1 files (.nii, .nii.gz; Cox et al. 2004): where a volume lies, how it is turned, and its numbers.

Headers are read without numpy. A volume is turned so that its axes run to the right, to the front and upwards (x, y, z
of its own coordinates, rounded to whole axes), whatever the order that it is stored in.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from specc.data.sources import BrokenFile, DataProblem, MissingData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

SUFFIXES = (".nii", ".nii.gz")
WORLD = "xyz"
_LENGTH = 348
_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_OTHER_TYPES = {1: "bits", 32: "complex numbers", 128: "colours", 1792: "complex numbers", 2304: "colours"}
_MOST = 2**31  # voxels

Row = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Volume:
    """What the header of a file says.

    `stored` are the sizes as they are in the file (the first runs fastest), `kind` numpy's name of their type, `affine`
    takes a voxel's place to millimetres. `order` gives for each of x, y, z the stored axis that is nearest to it, and
    `flipped` whether that runs the other way.
    """

    path: Path
    stored: tuple[int, int, int]
    kind: str
    start: int
    slope: float
    intercept: float
    affine: tuple[Row, Row, Row]
    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @property
    def shape(self) -> tuple[int, int, int]:
        """The sizes along x, y and z."""
        x, y, z = (self.stored[axis] for axis in self.order)
        return x, y, z

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The distance between voxels along x, y and z in millimetres."""
        x, y, z = (math.hypot(*(row[axis] for row in self.affine)) for axis in self.order)
        return x, y, z

    def corners(self) -> list[tuple[float, ...]]:
        """Where the first voxel and the last along each of x, y and z lie, after turning."""
        places = []
        for last in (None, 0, 1, 2):
            stored = [0, 0, 0]
            for world, (axis, flipped) in enumerate(zip(self.order, self.flipped, strict=True)):
                stored[axis] = (self.stored[axis] - 1) * ((world == last) != flipped)
            places.append(tuple(sum(a * b for a, b in zip(row, (*stored, 1), strict=True)) for row in self.affine))
        return places

    def values(self) -> Array:
        """The numbers [x, y, z], scaled as the header says: float32, or whole numbers where there is no scale."""
        import numpy as np

        dtype = np.dtype(self.kind)
        count = math.prod(self.stored)
        with _opened(self.path) as file:
            _skip(file, self.start)
            content = bytearray()
            while len(content) < count * dtype.itemsize:
                more = file.read(min(2**24, count * dtype.itemsize - len(content)))
                if not more:
                    message = f"it is cut short: {len(content):,} bytes of the {count * dtype.itemsize:,} of its voxels"
                    raise BrokenFile(message, "copy the file again", self.path)
                content += more
            if self.path.suffix == ".gz":
                while file.read(2**24):  # to the end, where the checksum is
                    pass
        found: Array = np.frombuffer(content, dtype).reshape(self.stored, order="F").transpose(self.order)
        found = found[tuple(slice(None, None, -1 if each else 1) for each in self.flipped)]
        if (self.slope, self.intercept) != (1, 0):
            found = found.astype(np.float64) * self.slope + self.intercept
        if found.dtype.kind != "f":
            return found.astype(found.dtype.newbyteorder("="))
        with np.errstate(over="ignore"):
            narrow = found.astype(np.float32)
        good = np.isfinite(narrow)
        if not good.all():
            at = np.argwhere(~good)[0].tolist()
            message = f"voxel x={at[0]}, y={at[1]}, z={at[2]} is {found[tuple(at)]}, no number that float32 can hold"
            raise DataProblem(message, "replace such voxels before training", self.path)
        return narrow


def head(path: Path) -> bytes:
    """The bytes of the header, whatever they say; raises DataProblem naming the file."""
    with _opened(path) as file:
        data = file.read(_LENGTH)
    if len(data) < _LENGTH:
        raise BrokenFile(f"it is {len(data)} bytes long, shorter than a header", "copy the file again", path)
    return data


def header(path: Path) -> Volume:
    """Read the header alone; raises DataProblem naming the file."""
    data = head(path)
    end = next((each for each in "<>" if struct.unpack_from(f"{each}i", data)[0] == _LENGTH), "")
    if not end:
        newer = any(struct.unpack_from(f"{each}i", data)[0] == 540 for each in "<>")
        what = "this is NIfTI-2, which is not yet read" if newer else "this is no NIfTI file"
        raise (DataProblem if newer else BrokenFile)(what, "save it as NIfTI-1", path)
    if data[344:348] != b"n+1\0":
        pair = data[344:348] == b"ni1\0"
        what = "its voxels are in another file (.img)" if pair else "this is no NIfTI-1 file"
        raise DataProblem(what, "save it as one .nii file", path)
    rank, *dims = struct.unpack_from(f"{end}8h", data, 40)
    if not 1 <= rank <= 7 or any(each < 1 for each in dims[:rank]):
        raise BrokenFile(f"its sizes are {dims[: max(0, min(rank, 7))]}", "save the file again", path)
    if math.prod(dims[3:rank]) != 1:
        raise DataProblem(
            f"it has {rank} axes, of sizes {dims[:rank]}", "save each volume in a file of its own: channels=[…]", path
        )
    stored = (dims[0], dims[1] if rank > 1 else 1, dims[2] if rank > 2 else 1)
    (code,) = struct.unpack_from(f"{end}h", data, 70)
    if code not in _TYPES:
        what = _OTHER_TYPES.get(code, f"of the type {code}")
        raise DataProblem(f"its voxels are {what}", "save it as float32 or as whole numbers", path)
    offset, slope, intercept = struct.unpack_from(f"{end}3f", data, 108)
    if not (math.isfinite(offset) and offset >= _LENGTH) or math.prod(stored) > _MOST:
        raise BrokenFile(f"its voxels start at {offset:g} and are {math.prod(stored):,}", "save the file again", path)
    kind = end + _TYPES[code]
    wanted = int(offset) + math.prod(stored) * int(kind[2])
    if path.suffix != ".gz" and path.stat().st_size < wanted:
        raise BrokenFile(f"it is cut short: {path.stat().st_size:,} bytes of {wanted:,}", "copy the file again", path)
    scaled = math.isfinite(slope) and slope != 0 and math.isfinite(intercept)
    affine = _affine(data, end, path)
    order, flipped = _turned(affine)
    return Volume(
        path, stored, kind, int(offset), slope if scaled else 1.0, intercept if scaled else 0.0, affine, order, flipped
    )


def apart(one: Volume, other: Volume) -> float:
    """How far two volumes of one shape lie apart at most, in voxels of the first."""
    pairs = zip(one.corners(), other.corners(), strict=True)
    return max(math.dist(a, b) for a, b in pairs) / min(one.spacing)


def _affine(data: bytes, end: str, path: Path) -> tuple[Row, Row, Row]:
    """The sform if it is said, else the qform, else the distances alone."""
    qform, sform = struct.unpack_from(f"{end}2h", data, 252)
    qfac, *distances = struct.unpack_from(f"{end}4f", data, 76)
    sizes = [abs(each) or 1.0 for each in distances]
    rows: list[Sequence[float]]
    if sform > 0:
        rows = [struct.unpack_from(f"{end}4f", data, at) for at in (280, 296, 312)]
    elif qform > 0:
        b, c, d, *shift = struct.unpack_from(f"{end}6f", data, 256)
        a = math.sqrt(max(0.0, 1 - b * b - c * c - d * d))
        turn = (
            (a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)),
            (2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)),
            (2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c),
        )
        sizes[2] *= -1 if qfac < 0 else 1
        rows = [
            (*(each * size for each, size in zip(row, sizes, strict=True)), by)
            for row, by in zip(turn, shift, strict=True)
        ]
    else:
        rows = [tuple(sizes[at] if at == axis else 0.0 for at in range(3)) + (0.0,) for axis in range(3)]
    columns = [math.hypot(*(row[axis] for row in rows)) for axis in range(3)]
    if not all(math.isfinite(each) for row in rows for each in row) or not all(columns):
        raise DataProblem("its header says no place in space (the affine is singular)", "save the file again", path)
    first, second, third = ((row[0], row[1], row[2], row[3]) for row in rows)
    return first, second, third


def _turned(affine: Sequence[Row]) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """The stored axis nearest to each of x, y and z, all different, and whether it runs the other way."""
    lengths = [math.hypot(*(row[axis] for row in affine)) for axis in range(3)]

    def nearness(order: tuple[int, ...]) -> float:
        return sum(abs(affine[world][axis]) / lengths[axis] for world, axis in enumerate(order))

    x, y, z = max(permutations(range(3)), key=nearness)
    return (x, y, z), (affine[0][x] < 0, affine[1][y] < 0, affine[2][z] < 0)


def _skip(file: IO[bytes], count: int) -> None:
    while count > 0:
        got = len(file.read(min(count, 2**20)))
        if not got:
            raise EOFError("it ends before its voxels begin")
        count -= got


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            yield cast("IO[bytes]", file)
    except FileNotFoundError:
        raise MissingData("there is no such file", "check the path", path) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BrokenFile(f"it is damaged or cut short: {error}", "copy the file again", path) from error
    except OSError as error:
        raise BrokenFile(f"it cannot be read: {error.strerror or error}", "check its permissions", path) from error
