"""Samples that are in two parts at once: the same numbers, or the same files, under two names."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

import numpy as np

from specc.data.sources import Dataset
from specc.data.splits import Split

_SHOWN = 3
_LOOKED_AT = 4096  # bytes at the end of a file that are compared before the whole is


def leaks(dataset: Dataset, parts: Split, names: Sequence[str]) -> tuple[str, ...]:
    """A sentence for every two parts that share inputs; samples are compared as they are, not as they look."""
    alike = dict(_alike(dataset))
    found = []
    for later, earlier in (("validation", "train"), ("test", "train"), ("test", "validation")):
        kept = {alike[at]: at for at in map(int, getattr(parts, earlier)) if at in alike}
        pairs = [(at, kept[alike[at]]) for at in map(int, getattr(parts, later)) if alike.get(at) in kept]
        if pairs:
            shown = ", ".join(f"{names[one]} and {names[other]}" for one, other in pairs[:_SHOWN])
            more = ", …" if len(pairs) > _SHOWN else ""
            what = "1 sample" if len(pairs) == 1 else f"{len(pairs):,} samples"
            are = "is" if len(pairs) == 1 else "are"
            where = {"train": "the training part", "validation": "the validation part"}[earlier]
            found.append(f"{what} of the {later} part {are} in {where} too, under another name: {shown}{more}")
    return tuple(found)


def _alike(dataset: Dataset) -> Iterator[tuple[int, Hashable]]:
    """The samples whose inputs others have too, and what they have in common."""
    arrays = dataset.arrays()
    if arrays is not None:
        inputs = [np.ascontiguousarray(each) for each in arrays[0].values()]
        yield from _repeated((at, _digest(*(each[at].tobytes() for each in inputs))) for at in range(len(dataset)))
        return
    find = getattr(dataset, "files", None)
    if find is None:
        return
    # Files are read only where others are as long and end alike.
    files: dict[int, tuple[Path, ...]] = {at: find(at) for at in range(len(dataset))}
    sizes = list(_repeated((at, tuple(each.stat().st_size for each in paths)) for at, paths in files.items()))
    ends = list(_repeated((at, (size, _digest(*map(_end, files[at])))) for at, size in sizes))
    yield from _repeated((at, _digest(*(each.read_bytes() for each in files[at]))) for at, _ in ends)


def _repeated(keyed: Iterator[tuple[int, Hashable]]) -> Iterator[tuple[int, Hashable]]:
    members: dict[Hashable, list[int]] = defaultdict(list)
    for at, key in keyed:
        members[key].append(at)
    for key, found in members.items():
        if len(found) > 1:
            yield from ((at, key) for at in found)


def _digest(*contents: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for each in contents:
        digest.update(len(each).to_bytes(8, "little"))
        digest.update(each)
    return digest.digest()


def _end(path: Path) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _LOOKED_AT))
        return file.read()
