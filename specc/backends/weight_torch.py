"""Where the tensors are in a file of `torch.save`, in both of its forms.

They are the zip archive (since PyTorch 1.6), and the row of pickles before it, in which many published files are. What is
in a pickle is read by a machine that runs nothing (`weight_pickle`).
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Mapping
from typing import IO, Any, Final

from specc.backends.weight_files import Region, Stored, WeightProblem, exactly, readable, shown
from specc.backends.weight_pickle import STORAGES, Machine, Mark, Storage, Tensor

_LARGEST_INDEX: Final = 4 << 20
_LARGEST_DIRECTORY: Final = 16 << 20
_MAGIC: Final = 0x1950A86A20F9469CFC6C
_SAVE: Final = "load it where you trust it and save `module.state_dict()` as safetensors"
Found = tuple[dict[str, Region], tuple[str, ...]]


def of_zip(file: IO[bytes], size: int, name: str) -> Found:
    """The regions of a zip archive as PyTorch writes it: nothing compressed, so that no small file is a large one."""
    _hold_directory(file, size)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, struct.error, NotImplementedError) as error:
        raise ValueError(f"the archive is damaged ({error})") from None
    members = {each.filename: each for each in archive.infolist()}
    index = [each for each in members if each.endswith("data.pkl") and each.count("/") <= 1]
    if len(index) != 1:
        raise ValueError("the archive has no data.pkl")
    folder = index[0].removesuffix("data.pkl")

    def start(member: str) -> tuple[int, int]:
        info = members.get(member)
        if info is None:
            raise ValueError(f"the archive has no {shown(member)}")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.file_size != info.compress_size:
            raise ValueError(f"{shown(member)} is compressed, which torch.save never does")
        file.seek(info.header_offset)
        local = exactly(file, 30)
        begin = info.header_offset + 30 + sum(struct.unpack("<HH", local[26:30]))
        if local[:4] != b"PK\x03\x04" or begin + info.file_size > size:
            raise ValueError(f"{shown(member)} is cut short")
        return begin, info.file_size

    if f"{folder}byteorder" in members:
        begin, count = start(f"{folder}byteorder")
        file.seek(begin)
        if exactly(file, min(count, 16)) != b"little":
            raise ValueError("it was written on a machine with the other order of bytes")
    begin, count = start(index[0])
    if count > _LARGEST_INDEX:
        raise ValueError(f"its index has {count} bytes")
    file.seek(begin)
    machine = Machine(io.BytesIO(exactly(file, count)))
    state, remarks = _state(machine.run(), name)
    starts = {each: start(f"{folder}data/{each}") for each in dict.fromkeys(machine.storages)}
    return _regions(state, machine.storages, starts), remarks


def of_pickles(file: IO[bytes], size: int, name: str) -> Found:
    """The regions of the older form: five pickles, then every storage, its number of elements before it."""
    buffer = io.BytesIO(exactly(file, min(size, _LARGEST_INDEX)))
    if Machine(buffer).run() != _MAGIC:
        raise WeightProblem(
            f"{name} is a pickle that torch.save did not write; reading it could run code", _SAVE, "bad-weights"
        )
    Machine(buffer).run()
    about = Machine(buffer).run()
    if not isinstance(about, dict) or about.get("little_endian") is not True:
        raise ValueError("it was written on a machine with the other order of bytes")
    machine = Machine(buffer)
    state, remarks = _state(machine.run(), name)
    keys = Machine(buffer).run()
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in machine.storages for key in keys):
        raise ValueError("its list of storages makes no sense")
    at, starts = buffer.tell(), {}
    for key in keys:
        storage = machine.storages[key]
        file.seek(at)
        (count,) = struct.unpack("<q", exactly(file, 8))
        if count != storage.count or at + 8 + count * storage.bytes > size:
            raise ValueError(f"its storage {shown(key)} is cut short")
        starts[key] = (at + 8, count * storage.bytes)
        at += 8 + count * storage.bytes
    return _regions(state, machine.storages, starts), remarks


def _hold_directory(file: IO[bytes], size: int) -> None:
    """Refuse an archive whose directory alone would fill the memory."""
    file.seek(max(0, size - 65_557))
    tail = exactly(file, min(size, 65_557))
    at = tail.rfind(b"PK\x05\x06")
    wide = tail.rfind(b"PK\x06\x06", 0, max(at, 0))
    if at < 0 or at + 22 > len(tail):
        raise ValueError("the archive is cut short")
    count = struct.unpack("<I", tail[at + 12 : at + 16])[0]
    if wide >= 0 and wide + 56 <= len(tail):
        count = max(struct.unpack("<Q", tail[wide + 40 : wide + 48])[0], count if count < 0xFFFFFFFF else 0)
    file.seek(0)
    if count > _LARGEST_DIRECTORY:
        raise ValueError(f"the directory of the archive has {count} bytes")


def _state(found: Any, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The state-dict: what was saved, or the one dictionary of tensors in it."""
    if not isinstance(found, dict):
        made = isinstance(found, Mark)
        message = f"{name} holds {f'an object of {shown(found.name)}' if made else 'no dictionary'}, not a state-dict"
        message += "; making it could run code" if made else ""
        raise WeightProblem(message, _SAVE, "bad-weights")
    inner = {
        key: each
        for key, each in found.items()
        if isinstance(key, str)
        and isinstance(each, dict)
        and any(isinstance(tensor, Tensor) for tensor in each.values())
    }
    if len(inner) == 1:
        ((key, state),) = inner.items()
        return state, (f"the weights are those under `{shown(key)}` in {name}",)
    if inner:
        names = ", ".join(f"`{shown(key)}`" for key in list(inner)[:5])
        message = f"{name} holds several dictionaries of tensors: {names}"
        raise WeightProblem(message, "save the one that is meant as safetensors", "bad-weights")
    if not any(isinstance(each, Tensor) for each in found.values()):
        raise WeightProblem(f"{name} holds no tensors", _SAVE, "bad-weights")
    return found, ()


def _regions(
    state: Mapping[Any, Any], storages: Mapping[str, Storage], starts: Mapping[str, tuple[int, int]]
) -> dict[str, Region]:
    found: dict[str, Region] = {}
    for key, each in state.items():
        if isinstance(each, Tensor):
            found[str(key)] = _placed(str(key), each, starts)
        else:
            found[str(key)] = Region(Stored("", ()), 0, 0)
    return found


def _placed(key: str, tensor: Tensor, starts: Mapping[str, tuple[int, int]]) -> Region:
    storage = tensor.storage
    if storage.key not in starts:
        raise ValueError(f"the numbers of {shown(key)} are not there")
    begin, count = starts[storage.key]
    item = storage.bytes
    dtype = STORAGES.get(storage.kind, storage.kind)
    last = tensor.offset + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.strides, strict=True))
    if 0 in tensor.shape:
        return Region(Stored(dtype, tensor.shape), begin, begin)
    if (last + 1) * item > min(count, storage.count * item):
        raise ValueError(f"the numbers of {shown(key)} are cut short")
    region = begin + tensor.offset * item, begin + (last + 1) * item
    plain = _row_major(tensor.shape, tensor.strides) or not readable(dtype)
    return Region(Stored(dtype, tensor.shape), *region, None if plain else tensor.strides)


def _row_major(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    wanted = [math.prod(shape[at + 1 :]) for at in range(len(shape))]
    return all(size == 1 or step == want for size, step, want in zip(shape, strides, wanted, strict=True))
