"""NIfTI-1 files for tests, written field by field from the format's definition."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024, "u8": 1280}


def nifti(
    path: Path,
    values: np.ndarray,
    *,
    end: str = "<",
    sform: np.ndarray | None = None,
    qform: tuple[float, ...] | None = None,
    distances: tuple[float, ...] = (1.0, 1.0, 1.0),
    qfac: float = 1.0,
    scale: tuple[float, float] = (0.0, 0.0),
    **fields: object,
) -> None:
    """Write an array [i, j, k]; `sform` is [3, 4], `qform` the quaternion b, c, d and the shift x, y, z.

    `fields` replace bytes of the header: `at_344=b"ni1\\0"`.
    """
    head = bytearray(352)
    struct.pack_into(f"{end}i", head, 0, 348)
    sizes = [values.ndim, *values.shape, *[1] * (7 - values.ndim)]
    struct.pack_into(f"{end}8h", head, 40, *sizes)
    struct.pack_into(f"{end}2h", head, 70, CODES[values.dtype.str[1:]], 8 * values.dtype.itemsize)
    struct.pack_into(f"{end}8f", head, 76, qfac, *distances, *[1.0] * 4)
    struct.pack_into(f"{end}3f", head, 108, 352, *scale)
    struct.pack_into(f"{end}2h", head, 252, int(qform is not None), int(sform is not None))
    if qform is not None:
        struct.pack_into(f"{end}6f", head, 256, *qform)
    if sform is not None:
        struct.pack_into(f"{end}12f", head, 280, *np.asarray(sform, np.float32).ravel())
    head[344:348] = b"n+1\0"
    for name, content in fields.items():
        at = int(name.removeprefix("at_"))
        assert isinstance(content, bytes)
        head[at : at + len(content)] = content
    data = bytes(head) + values.astype(values.dtype.newbyteorder(end)).tobytes(order="F")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def cases(folder: Path, sizes: list[tuple[int, int, int]], seed: int = 0) -> None:
    """A folder of cases with the channels adc and cbf and the mask lesion: where both are large, there is one."""
    chance = np.random.default_rng(seed)
    for at, size in enumerate(sizes):
        adc, cbf = chance.normal(100, 20, (2, *size)).astype(np.float32)
        nifti(folder / f"case{at:02}" / "adc.nii.gz", adc)
        nifti(folder / f"case{at:02}" / "cbf.nii", cbf)
        nifti(folder / f"case{at:02}" / "lesion.nii.gz", (adc + cbf > 210).astype(np.uint8))
