"""Frozen records without code generation: what `dataclass(frozen=True, slots=True)` gives, at a tenth of its cost.

Importing a module of fifty dataclasses takes as long as checking a network; most of that is source text that
`dataclass` writes and compiles for each class. A record shares one `__init__`, one `__eq__` and one `__repr__`.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar, dataclass_transform

_set = object.__setattr__


@dataclass_transform(frozen_default=True)
class _RecordType(type):
    """Makes slots of the annotated fields and keeps their defaults apart."""

    def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> _RecordType:
        own = [each for each, kind in space.get("__annotations__", {}).items() if not str(kind).startswith("ClassVar")]
        inherited: tuple[str, ...] = next((base.FIELDS for base in bases if isinstance(base, _RecordType)), ())
        defaults = dict(next((base.DEFAULTS for base in bases if isinstance(base, _RecordType)), {}))
        defaults |= {each: space.pop(each) for each in own if each in space}
        space["__slots__"] = tuple(each for each in own if each not in inherited)
        fields = (*inherited, *space["__slots__"])
        space["__match_args__"] = fields
        found = super().__new__(cls, name, bases, space)
        found.FIELDS = fields
        found.DEFAULTS = defaults
        return found

    FIELDS: tuple[str, ...]
    DEFAULTS: dict[str, Any]


class Record(metaclass=_RecordType):
    """A frozen value with the annotated fields of its class.

    >>> class Point(Record):
    ...     x: int
    ...     y: int = 0
    >>> Point(1) == Point(1, y=0), changed(Point(1), y=2)
    (True, Point(x=1, y=2))
    """

    FIELDS: ClassVar[tuple[str, ...]]
    DEFAULTS: ClassVar[dict[str, Any]]

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = type(self).FIELDS
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} has {len(fields)} fields, not {len(values)}")
        for name, value in zip(fields, values, strict=False):
            _set(self, name, value)
        if len(values) == len(fields) and not named:
            return
        defaults = type(self).DEFAULTS
        for name in fields[len(values) :]:
            if name in named:
                _set(self, name, named.pop(name))
            elif name in defaults:
                _set(self, name, defaults[name])
            else:
                raise TypeError(f"{type(self).__name__} needs `{name}`")
        if named:
            raise TypeError(f"{type(self).__name__} has no `{next(iter(named))}`, or it is given twice")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in type(self).FIELDS)

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in type(self).FIELDS)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in type(self).FIELDS)
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, name) for name in type(self).FIELDS)


R = TypeVar("R", bound=Record)


def changed(record: R, **changes: Any) -> R:
    """The same record with other values of some fields."""
    values = {name: getattr(record, name) for name in type(record).FIELDS}
    return type(record)(**(values | changes))
