"""A pickle read without making the objects in it: nothing it names is imported or called.

A pickle is a program for a small stack machine. Here that machine knows numbers, texts, tuples, lists and dictionaries,
and the few names that a state-dict is made of; any other name becomes a mark that says only what it was called.
"""

from __future__ import annotations

import pickletools
import struct
from dataclasses import dataclass
from typing import IO, Any, Final

from specc.backends.weight_files import item_bytes, shown

STORAGES: Final = {
    "Double": "F64", "Float": "F32", "Half": "F16", "BFloat16": "BF16", "Long": "I64", "Int": "I32", "Short": "I16",
    "Char": "I8", "Byte": "U8", "Bool": "BOOL",
}  # fmt: skip
_OTHER_BYTES: Final = {"ComplexFloat": 8, "ComplexDouble": 16, "QInt8": 1, "QUInt8": 1, "QInt32": 4, "Untyped": 1}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that is not made: a class, a function, an object; by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers of one kind under one key."""

    kind: str
    key: str
    count: int

    @property
    def bytes(self) -> int:
        """The bytes of an element."""
        if self.kind in STORAGES:
            return item_bytes(STORAGES[self.kind])
        if self.kind in _OTHER_BYTES:
            return _OTHER_BYTES[self.kind]
        raise ValueError(f"it holds numbers of the unknown kind {shown(self.kind)}")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage; offset and strides are in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Machine:
    """Runs one pickle over values that do nothing. `storages` are the storages it refers to, by key."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def run(self) -> Any:
        """What the pickle gives; ValueError for what is none, or does what a state-dict never needs."""
        try:
            for op, argument, _ in pickletools.genops(self._file):
                if op.name == "STOP":
                    return self._stack.pop()
                self._do(op.name, argument)
        except (IndexError, TypeError, UnicodeDecodeError, struct.error) as error:
            raise ValueError(f"its index makes no sense ({type(error).__name__})") from None
        raise ValueError("its index is cut short")

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in ("PROTO", "FRAME"):
            return
        if name == "MARK":
            self._marks.append(len(stack))
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            stack.append(argument)
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            stack.append(tuple(self._several(int(name[-1]))))
        elif name in ("TUPLE", "LIST"):
            items = self._marked()
            stack.append(tuple(items) if name == "TUPLE" else items)
        elif name == "DICT":
            stack.append(_filled({}, self._marked()))
        elif name in ("SETITEM", "SETITEMS"):
            items = self._several(2) if name == "SETITEM" else self._marked()
            if isinstance(stack[-1], dict):
                _filled(stack[-1], items)
        elif name in ("APPEND", "APPENDS"):
            items = [stack.pop()] if name == "APPEND" else self._marked()
            if isinstance(stack[-1], list):
                stack[-1] += items
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            if argument not in self._memo:
                raise ValueError("its index makes no sense")
            stack.append(self._memo[argument])
        else:
            self._make(name, argument)

    def _make(self, name: str, argument: Any) -> None:
        """What would name, call or build something."""
        stack = self._stack
        if name == "GLOBAL":
            stack.append(Mark(argument.replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            module, called = self._several(2)
            stack.append(Mark(f"{module}.{called}" if isinstance(module, str) and isinstance(called, str) else "?"))
        elif name in ("REDUCE", "NEWOBJ"):
            function, arguments = self._several(2)
            stack.append(_reduced(function, arguments))
        elif name == "NEWOBJ_EX":
            stack.append(self._several(3)[0])
        elif name in ("OBJ", "INST"):
            items = self._marked()
            stack.append(items[0] if name == "OBJ" and items else Mark(str(argument).replace(" ", ".")))
        elif name == "BUILD":
            stack.pop()
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name in ("EMPTY_SET", "FROZENSET", "ADDITEMS"):
            items = self._marked() if name != "EMPTY_SET" else []
            if name != "ADDITEMS":
                stack.append(Mark("builtins.set"))
        elif name in ("POP", "POP_MARK"):
            _ = stack.pop() if name == "POP" else self._marked()
        else:
            raise ValueError(f"its index does what no state-dict needs ({name})")

    def _several(self, count: int) -> list[Any]:
        if count > len(self._stack) - (self._marks[-1] if self._marks else 0):
            raise ValueError("its index makes no sense")
        found = self._stack[-count:]
        del self._stack[-count:]
        return found

    def _marked(self) -> list[Any]:
        at = self._marks.pop()
        found = self._stack[at:]
        del self._stack[at:]
        return found

    def _storage(self, said: Any) -> Any:
        if isinstance(said, tuple) and len(said) > 1 and said[0] == "module" and isinstance(said[1], Mark):
            return said[1]
        if not (isinstance(said, tuple) and len(said) >= 5 and said[0] == "storage" and isinstance(said[1], Mark)):
            raise ValueError("its index refers to what is no storage")
        kind, key, count = said[1].name.rpartition(".")[2].removesuffix("Storage"), said[2], said[4]
        if not isinstance(key, str) or type(count) is not int or count < 0 or said[5:] not in ((), (None,)):
            raise ValueError("its index refers to a storage in a way that is no longer written")
        found = Storage(kind, key, count)
        if self.storages.setdefault(key, found) != found:
            raise ValueError(f"its storage {shown(key)} is said to be of two kinds")
        return found


_CONSTANTS: Final[dict[str, Any]] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS: Final = frozenset(
    (
        "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
        "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
        "BYTEARRAY8",
    )
)  # fmt: skip


def _filled(found: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
    """A dictionary with these keys and values by turns; keys that are no text or number are left out."""
    pairs = zip(items[::2], items[1::2], strict=True)
    found.update((key, each) for key, each in pairs if isinstance(key, str | int))
    return found


def _reduced(function: Any, arguments: Any) -> Any:
    """What a call stands for: a tensor, a dictionary, or a mark that says what would have been called."""
    name = function.name if isinstance(function, Mark) else "?"
    if not isinstance(arguments, tuple):
        raise ValueError("its index makes no sense")
    if name == "collections.OrderedDict" and not arguments:
        return {}
    if name in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state") and arguments:
        return arguments[0]
    if name not in ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor") or len(arguments) < 4:
        return Mark(name)
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        return Mark(name)
    numbers = (offset, *shape, *strides)
    fits = len(shape) == len(strides) <= 64
    if not fits or not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
        raise ValueError("it says of a tensor what makes no sense")
    return Tensor(storage, offset, shape, strides)
