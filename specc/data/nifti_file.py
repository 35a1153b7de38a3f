"""Writing volumes as NIfTI-1 (.nii, .nii.gz): as scanners do, or on the grid of another file."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from specc.data.files import write_bytes
from specc.data.nifti import Volume, head
from specc.data.sources import DataProblem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_CODES: Final = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i8": 1024}
_HEADER: Final = 348
_START: Final = 352
_MILLIMETRES, _SCANNER = 2, 1


def write_volume(path: Path, values: Array, spacing: tuple[float, float, float], slope: float = 1.0) -> None:
    """Write an array [x, y, z]; x runs to the right, y to the front, z upwards.

    `spacing` is the distance between voxels in millimetres, the middle of the volume the origin. Whoever reads the
    file multiplies its numbers with `slope`. The bytes depend on the arguments alone; raises FileProblem.
    """
    header = bytearray(_START)
    struct.pack_into("<i", header, 0, _HEADER)
    struct.pack_into("<8f", header, 76, 1.0, *spacing, 0.0, 0.0, 0.0, 0.0)
    header[123] = _MILLIMETRES
    struct.pack_into("<2h", header, 252, 0, _SCANNER)
    for row in range(3):
        middle = -spacing[row] * (values.shape[row] - 1) / 2
        affine = [spacing[row] if column == row else 0.0 for column in range(3)]
        struct.pack_into("<4f", header, 280 + 16 * row, *affine, middle)
    header[344:348] = b"n+1\0"
    _write(path, header, values, "<", slope)


def write_like(path: Path, values: Array, like: Volume) -> None:
    """Write [x, y, z], turned as `Volume.values` turns them, in the stored order and with the affine of `like`.

    Spacing, orientation and units are those of its header, byte for byte; the type is that of `values`, unscaled. The
    same arguments give the same bytes.

    Raises:
        FileProblem: it cannot be written.
        DataProblem: `like` has another size, or its file has gone.
    """
    if values.shape != like.shape:
        raise DataProblem(f"{list(values.shape)} does not lie on a volume of {list(like.shape)}", "", like.path)
    header = bytearray(head(like.path))
    end = like.kind[0]
    struct.pack_into(f"{end}2f", header, 124, 0.0, 0.0)  # the brightness to show it with
    stored = values[tuple(slice(None, None, -1 if each else 1) for each in like.flipped)]
    _write(path, header, stored.transpose([like.order.index(axis) for axis in range(3)]), end, 1.0)


def _write(path: Path, header: bytearray, values: Array, end: str, slope: float) -> None:
    """The file of these voxels, the first axis the fastest; the header gets their sizes and type."""
    kind = values.dtype.str[1:]
    struct.pack_into(f"{end}8h", header, 40, 3, *values.shape, 1, 1, 1, 1)
    struct.pack_into(f"{end}2h", header, 70, _CODES[kind], 8 * values.dtype.itemsize)
    struct.pack_into(f"{end}3f", header, 108, _START, slope, 0.0)
    content = bytes(header) + bytes(_START - len(header)) + values.astype(f"{end}{kind}").tobytes(order="F")
    write_bytes(path, gzip.compress(content, 6, mtime=0) if path.suffix == ".gz" else content)
