"""Writing a volume as NIfTI-1 (.nii, .nii.gz), as scanners do: whole numbers and the slope that scales them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.data.files import write_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_CODES = {"u1": 2, "i2": 4, "f4": 16}
_HEADER, _START = 348, 352
_MILLIMETRES, _SCANNER = 2, 1


def write_volume(path: Path, values: Array, spacing: tuple[float, float, float], slope: float = 1.0) -> None:
    """Write an array [x, y, z] of uint8, int16 or float32; x runs to the right, y to the front, z upwards.

    `spacing` is the distance between voxels in millimetres, the middle of the volume the origin. Whoever reads the
    file multiplies its numbers with `slope`. The bytes depend on the arguments alone; raises FileProblem.
    """
    kind = values.dtype.str[1:]
    head = bytearray(_START)
    struct.pack_into("<i", head, 0, _HEADER)
    struct.pack_into("<8h", head, 40, 3, *values.shape, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, _CODES[kind], 8 * values.dtype.itemsize)
    struct.pack_into("<8f", head, 76, 1.0, *spacing, 0.0, 0.0, 0.0, 0.0)
    struct.pack_into("<3f", head, 108, _START, slope, 0.0)
    head[123] = _MILLIMETRES
    struct.pack_into("<2h", head, 252, 0, _SCANNER)
    for row in range(3):
        middle = -spacing[row] * (values.shape[row] - 1) / 2
        affine = [spacing[row] if column == row else 0.0 for column in range(3)]
        struct.pack_into("<4f", head, 280 + 16 * row, *affine, middle)
    head[344:348] = b"n+1\0"
    data = bytes(head) + values.astype(values.dtype.newbyteorder("<")).tobytes(order="F")
    write_bytes(path, gzip.compress(data, 6, mtime=0) if path.suffix == ".gz" else data)
