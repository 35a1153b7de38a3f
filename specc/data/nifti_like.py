"""Writing numbers on the grid of a NIfTI file: with its header, so that they lie where the file's voxels lie."""

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
_START: Final = 352


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
    kind = values.dtype.str[1:]
    data = bytearray(head(like.path))
    end = like.kind[0]
    struct.pack_into(f"{end}8h", data, 40, 3, *like.stored, 1, 1, 1, 1)
    struct.pack_into(f"{end}2h", data, 70, _CODES[kind], 8 * values.dtype.itemsize)
    struct.pack_into(f"{end}3f", data, 108, _START, 1.0, 0.0)
    struct.pack_into(f"{end}2f", data, 124, 0.0, 0.0)  # the brightness to show it with
    stored = values[tuple(slice(None, None, -1 if each else 1) for each in like.flipped)]
    stored = stored.transpose([like.order.index(axis) for axis in range(3)])
    content = bytes(data) + bytes(_START - len(data)) + stored.astype(f"{end}{kind}").tobytes(order="F")
    write_bytes(path, gzip.compress(content, 6, mtime=0) if path.suffix == ".gz" else content)
