"""Caffe's own formats: the text of a prototxt as layers with their words, and the blobs of a caffemodel.

Field numbers are those of caffe.proto (https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from specc.deploy.reading.file import Unreadable
from specc.deploy.reading.values import Array

TOKEN = re.compile(
    r'\s+|#[^\n]*|(?P<text>"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\')|(?P<sign>[{}:;,<>\[\]])|(?P<word>[^\s{}:;,<>\[\]"\'#]+)'
)
LAYER, NAME, BLOBS = 100, 1, 7


@dataclass(slots=True)
class Message:
    """Fields by name, each as often as it is given; texts, numbers and messages."""

    fields: dict[str, list[Any]] = field(default_factory=dict)

    def all(self, name: str) -> list[Any]:
        return self.fields.get(name, [])

    def one(self, name: str, default: Any = None) -> Any:
        """The last value of a field; of a path `a.b` that of a message inside."""
        first, _, rest = name.partition(".")
        values = self.all(first)
        if not values:
            return default
        if rest:
            return values[-1].one(rest, default) if isinstance(values[-1], Message) else default
        return values[-1]


def parsed(path: Path) -> Message:
    """The message of a prototxt; raises Unreadable with the line of a mistake."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path} cannot be read: {error}") from None
    tokens = list(_tokens(text, path))
    found, at = _message(tokens, 0, path, "")
    if at < len(tokens):
        raise Unreadable(f"{path}, line {tokens[at][2]}: `{tokens[at][1]}` closes nothing")
    return found


Token = tuple[str, str, int]


def _tokens(text: str, path: Path) -> Iterator[Token]:
    at, line = 0, 1
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise Unreadable(f"{path}, line {line}: this is no prototxt")
        kind = found.lastgroup
        if kind is not None:
            yield kind, found.group(kind), line
        line += found.group().count("\n")
        at = found.end()


def _message(tokens: list[Token], at: int, path: Path, close: str) -> tuple[Message, int]:
    found = Message()
    while at < len(tokens):
        kind, word, line = tokens[at]
        if kind == "sign" and word in ",;":
            at += 1
            continue
        if kind == "sign" and word == close and close:
            return found, at + 1
        if kind != "word":
            raise Unreadable(f"{path}, line {line}: a name should stand here, not `{word}`")
        value, at = _value(tokens, at + 1, path, line)
        found.fields.setdefault(word, []).extend(value)
    if close:
        raise Unreadable(f"{path}: a `{close}` is missing at the end")
    return found, at


def _value(tokens: list[Token], at: int, path: Path, line: int) -> tuple[list[Any], int]:
    if at < len(tokens) and tokens[at][1] == ":" and tokens[at][0] == "sign":
        at += 1
    if at >= len(tokens):
        raise Unreadable(f"{path}, line {line}: a value is missing")
    kind, word, line = tokens[at]
    if kind == "sign" and word in "{<":
        inner, at = _message(tokens, at + 1, path, "}" if word == "{" else ">")
        return [inner], at
    if kind == "sign" and word == "[":
        values: list[Any] = []
        at += 1
        while at < len(tokens) and tokens[at][1] != "]":
            if tokens[at][1] == ",":
                at += 1
                continue
            more, at = _value(tokens, at, path, line)
            values += more
        return values, at + 1
    if kind == "sign":
        raise Unreadable(f"{path}, line {line}: a value should stand here, not `{word}`")
    return [word[1:-1] if kind == "text" else _plain(word)], at + 1


def _plain(word: str) -> Any:
    if word in ("true", "false"):
        return word == "true"
    try:
        return int(word)
    except ValueError:
        try:
            return float(word.rstrip("fF"))
        except ValueError:
            return word


# ------------------------------------------------------------------------------------------------------ caffemodel
def blobs(path: Path) -> dict[str, list[Array]]:
    """The weights of a caffemodel by the names of the layers; raises Unreadable."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}") from None
    found: dict[str, list[Array]] = {}
    try:
        for number, value in _fields(memoryview(data)):
            if number == LAYER and isinstance(value, memoryview):
                inner = list(_fields(value))
                name = next(
                    (bytes(each).decode() for at, each in inner if at == NAME and not isinstance(each, int)), ""
                )
                arrays = [_blob(each) for at, each in inner if at == BLOBS and isinstance(each, memoryview)]
                if arrays:
                    found[name] = arrays
    except (IndexError, ValueError) as error:
        raise Unreadable(f"{path} is no caffemodel, or is cut short") from error
    if not found:
        raise Unreadable(f"{path} holds no layers with weights", "models from before 2014 must be upgraded with Caffe")
    return found


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of every field: whole numbers, or the bytes of anything longer."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        length = {1: 8, 5: 4}.get(kind, -1)
        if kind == 2:
            length, at = _varint(data, at)
        if length < 0 or at + length > len(data):
            raise ValueError("cut short")
        yield tag >> 3, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("too long a number")


def _blob(data: memoryview) -> Array:
    """A BlobProto: its numbers in the shape that it says, the older four sizes included."""
    numbers: list[bytes] = []
    kind, shape, older = "<f4", list[int](), dict[int, int]()
    for at, value in _fields(data):
        if at == 7 and isinstance(value, memoryview):
            for inner, sizes in _fields(value):
                if inner == 1 and isinstance(sizes, memoryview):
                    place = 0
                    while place < len(sizes):
                        size, place = _varint(sizes, place)
                        shape.append(size)
                elif inner == 1 and isinstance(sizes, int):
                    shape.append(sizes)
        elif at in (5, 8) and isinstance(value, memoryview):
            kind = "<f4" if at == 5 else "<f8"
            numbers.append(bytes(value))
        elif at in (1, 2, 3, 4) and isinstance(value, int):
            older[at] = value
    found = np.frombuffer(b"".join(numbers), kind).astype(np.float32)
    return found.reshape(shape or [older.get(at, 1) for at in (1, 2, 3, 4)])
