"""What an ONNX file holds, and its bytes: protobuf's wire format, so that writing one needs no package at all.

Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final, Literal

from specc.catalogue.setting import OPSET

IR_VERSION: Final = 10
# the element types of networks, and what else a graph needs
Kind = Literal["float", "int", "bool", "int32", "uint8", "double", "float16", "int8"]
TYPES: Final[dict[Kind, int]] = {
    "float": 1, "uint8": 2, "int8": 3, "int32": 6, "int": 7, "bool": 9, "float16": 10, "double": 11,
}  # fmt: skip
ITEM_BYTES: Final[dict[Kind, int]] = {"float": 4, "int": 8, "bool": 1, "float16": 2, "int8": 1, "int32": 4}
METADATA_FIELD: Final = 14

_FLOAT, _INT, _STRING, _FLOATS, _INTS, _STRINGS = 1, 2, 3, 6, 7, 8
_ALWAYS_FLOAT = frozenset(
    ["alpha", "beta", "gamma", "epsilon", "momentum", "bias", "lambd", "mean", "scale", "high", "low"]
)


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor's name, element type and dimensions; a dimension that is unknown has a name."""

    name: str
    dtype: Kind
    dims: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One operator of ONNX. `inputs` and `outputs` are names of tensors, "" for one that is left out."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Constant:
    """A small tensor whose bytes (little-endian, row-major) are part of the graph."""

    info: TensorInfo
    data: bytes


@dataclass(frozen=True, slots=True)
class External:
    """Where the bytes of a weight lie in a side file."""

    location: str
    offset: int


def varint(number: int) -> bytes:
    """An integer of at most 64 bits, negative ones in two's complement."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def number(at: int, value: int) -> bytes:
    return varint(at << 3) + varint(value)


def block(at: int, data: bytes) -> bytes:
    return block_head(at, len(data)) + data


def block_head(at: int, length: int) -> bytes:
    """What stands before `length` bytes of a text or of an inner message."""
    return varint(at << 3 | 2) + varint(length)


def text(at: int, value: str) -> bytes:
    return block(at, value.encode("utf-8"))


def entry(at: int, key: str, value: str) -> bytes:
    """A StringStringEntryProto."""
    return block(at, text(1, key) + text(2, value))


def node(each: OnnxNode) -> bytes:
    """A NodeProto, as a field of its graph."""
    body = b"".join(text(1, name) for name in each.inputs) + b"".join(text(2, name) for name in each.outputs)
    body += text(3, each.name) + text(4, each.kind)
    body += b"".join(block(5, _attribute(name, each.attributes[name])) for name in sorted(each.attributes))
    return block(1, body + text(6, each.doc) if each.doc else body)


def value_info(at: int, info: TensorInfo) -> bytes:
    """A ValueInfoProto, as field `at` of its graph: 11 input, 12 output, 13 any other."""
    dims = b"".join(block(1, number(1, dim) if isinstance(dim, int) else text(2, dim)) for dim in info.dims)
    return block(at, text(1, info.name) + block(2, block(1, number(1, TYPES[info.dtype]) + block(2, dims))))


def tensor_head(info: TensorInfo) -> bytes:
    """A TensorProto without its data; every dimension must be a number."""
    dims = b"".join(number(1, int(dim)) for dim in info.dims)
    return dims + number(2, TYPES[info.dtype]) + text(8, info.name)


def constant(each: Constant) -> bytes:
    """An initialiser with its bytes, as a field of its graph."""
    return block(5, tensor_head(each.info) + block(9, each.data))


def external(info: TensorInfo, place: External, length: int) -> bytes:
    """An initialiser whose bytes lie in a side file, as a field of its graph."""
    where = {"location": place.location, "offset": str(place.offset), "length": str(length)}
    body = tensor_head(info) + b"".join(entry(13, key, value) for key, value in where.items())
    return block(5, body + number(14, 1))


def inline_head(info: TensorInfo, length: int) -> bytes:
    """What stands before the `length` bytes of an initialiser's data when they follow in the file."""
    head = tensor_head(info) + block_head(9, length)
    return block_head(5, len(head) + length) + head


def model_head(producer: str, version: str, doc: str) -> bytes:
    """The fields of a ModelProto that stand before its graph."""
    return number(1, IR_VERSION) + text(2, producer) + text(3, version) + text(6, doc)


def model_tail(metadata: Mapping[str, str]) -> bytes:
    """The fields of a ModelProto that stand after its graph: the opset and the metadata, sorted by key."""
    opset = block(8, text(1, "") + number(2, OPSET))
    return opset + b"".join(entry(METADATA_FIELD, key, metadata[key]) for key in sorted(metadata))


def fields(file: IO[bytes], size: int) -> Iterable[tuple[int, int, int]]:
    """The outermost fields of a file: number, where it starts and where it ends; ValueError for what is no protobuf."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(20)
        tag, used = _read_varint(head, 0)
        if tag & 7 == 0:
            _, used = _read_varint(head, used)
            end = at + used
        elif tag & 7 == 2:
            length, used = _read_varint(head, used)
            end = at + used + length
        else:
            end = at + used + {1: 8, 5: 4}.get(tag & 7, size)
        if end > size:
            raise ValueError("the file is cut short or is not an ONNX file")
        yield tag >> 3, at, end
        at = end


def read_metadata(file: IO[bytes], size: int) -> dict[str, str]:
    """The metadata of a file without reading its graph."""
    found = {}
    for number_, start, end in fields(file, size):
        if number_ == METADATA_FIELD:
            file.seek(start)
            key, value = _read_entry(file.read(end - start))
            found[key] = value
    return found


def _read_entry(data: bytes) -> tuple[str, str]:
    _, at = _read_varint(data, 0)
    _, at = _read_varint(data, at)
    found = {1: "", 2: ""}
    while at < len(data):
        tag, at = _read_varint(data, at)
        length, at = _read_varint(data, at)
        found[tag >> 3] = data[at : at + length].decode("utf-8")
        at += length
    return found[1], found[2]


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("the file is cut short or is not an ONNX file")


def _attribute(name: str, value: Any) -> bytes:
    """An AttributeProto; the kind follows from the value, but ONNX's own float attributes stay float."""
    single = not isinstance(value, list | tuple)
    values = [value] if single else list(value)
    if any(isinstance(each, str) for each in values):
        data, kind = b"".join(text(4 if single else 9, each) for each in values), _STRING if single else _STRINGS
    elif name in _ALWAYS_FLOAT or any(isinstance(each, float) for each in values):
        floats = (varint((2 if single else 7) << 3 | 5) + struct.pack("<f", each) for each in values)
        data, kind = b"".join(floats), _FLOAT if single else _FLOATS
    else:
        data = b"".join(number(3 if single else 8, int(each)) for each in values)
        kind = _INT if single else _INTS
    return text(1, name) + data + number(20, kind)
