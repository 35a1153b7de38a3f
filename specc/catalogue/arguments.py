"""The types of arguments: what each admits, in words for people and as a pydantic-core schema for the machine.

A field of an entry is annotated with one of the names below, e.g. `channels: Positive`. Words (`padding=same`) are
written bare in a spec and arrive as `str`. An argument of type `Size` may be symbolic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from specc.sizes.dim import Dim, Size
from specc.text.record import Record

Schema = dict[str, Any]
LARGEST = 10**12


class Kind(Record):
    """One type of argument.

    `says` completes "must be …". `words` are the bare words it knows. `tensor` marks a further input by name.
    """

    says: str
    schema: Schema
    words: tuple[str, ...] = ()
    tensor: bool = False
    symbolic: bool = False


def _is_size(value: Any) -> Any:
    if isinstance(value, Dim):
        return value
    raise ValueError("not a size")


def _function(check: Callable[[Any], Any]) -> Schema:
    return {"type": "function-plain", "function": {"type": "no-info", "function": check}}


def either(*schemas: Schema) -> Schema:
    return {"type": "union", "choices": list(schemas), "mode": "left_to_right"}


def items(schema: Schema, least: int = 0, most: int | None = None) -> Schema:
    """A list whose items fit the schema, kept as a tuple."""
    found: Schema = {"type": "tuple", "items_schema": [schema], "variadic_item_index": 0, "min_length": least}
    return found if most is None else found | {"max_length": most}


def whole(least: int | None = None, most: int = LARGEST) -> Schema:
    found: Schema = {"type": "int", "strict": True, "le": most}
    return found if least is None else found | {"ge": least}


def real(**bounds: float) -> Schema:
    """A finite number; a whole number stays whole."""
    found: Schema = {"type": "float", "strict": True, "allow_inf_nan": False, **bounds}
    return either({"type": "int", "strict": True, **bounds}, found)


def fits(schema: Schema, value: Any) -> bool:
    """Whether a value is plainly what a schema asks for, and needs no conversion; false says nothing.

    Most arguments are whole numbers, truth values and words: for them the validator is never built, nor pydantic loaded.
    """
    kind = schema["type"]
    if kind == "int":
        if type(value) is not int or "gt" in schema or "lt" in schema:
            return False
        return bool(schema.get("ge", value) <= value <= schema.get("le", value))
    if kind == "bool":
        return value is True or value is False
    if kind == "literal":
        return type(value) is str and value in schema["expected"]
    if kind == "union":
        return any(fits(each, value) for each in schema["choices"])
    if kind == "tuple" and "variadic_item_index" in schema:
        most = schema.get("max_length", len(value)) if type(value) is tuple else -1
        each_fits = schema["items_schema"][0]
        return (
            schema.get("min_length", 0) <= len(value) <= most and all(fits(each_fits, each) for each in value)
            if most >= 0
            else False
        )
    return False


def literal(*words: str) -> Schema:
    return {"type": "literal", "expected": list(words)}


SIZE: Schema = either(whole(), _function(_is_size))
TEXT: Schema = {"type": "str", "strict": True}
FLAG: Schema = {"type": "bool", "strict": True}
_PAIR = {"type": "tuple", "items_schema": [whole(0), whole(0)], "strict": False}


def choice(*words: str) -> Kind:
    """One of these bare words. Use as `Annotated[str, choice("exact", "down", "up")]`."""
    return Kind(_or(words), literal(*words), words)


def _or(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


AXES = ("features", "channels", "length", "depth", "height", "width")
_PAD_WORDS = ("same", "valid", "full", "causal")
_axis = either(whole(), literal(*AXES))

Positive = Annotated[int, Kind("a whole number from 1 on", whole(1))]
Count = Annotated[int, Kind("a whole number from 0 on", whole(0))]
Whole = Annotated[int, Kind("a whole number", whole())]
Real = Annotated[float, Kind("a number", real())]
PositiveReal = Annotated[float, Kind("a number above 0", real(gt=0))]
NonNegative = Annotated[float, Kind("a number from 0 on", real(ge=0))]
Rate = Annotated[float, Kind("a number from 0 up to, but not including, 1", real(ge=0, lt=1))]
Flag = Annotated[bool, Kind("true or false", FLAG)]
String = Annotated[str, Kind('a text such as "name"', TEXT)]
Window = Annotated[
    int | tuple[int, ...],
    Kind("a whole number from 1 on, or a list with one per axis", either(whole(1), items(whole(1), 1, 3))),
]
Pads = Annotated[
    int | tuple[int | tuple[int, int], ...],
    Kind(
        "a whole number from 0 on, or a list with a number or [before, after] per axis",
        either(whole(0), items(either(whole(0), _PAIR), 1, 3)),
    ),
]
Padding = Annotated[
    int | str | tuple[int | tuple[int, int], ...],
    Kind(
        "same, valid, full, causal, a whole number, or a list with a number or [before, after] per axis",
        either(whole(0), literal(*_PAD_WORDS), items(either(whole(0), _PAIR), 1, 3)),
        _PAD_WORDS,
    ),
]
Axis = Annotated[int | str, Kind("an axis: a whole number or its name", _axis, AXES)]
AxisList = Annotated[
    int | str | tuple[int | str, ...],
    Kind("an axis or a list of axes", either(_axis, items(_axis)), AXES),
]
SizeArgument = Annotated[Size, Kind("a size", SIZE, symbolic=True)]
Shape = Annotated[tuple[Size, ...], Kind("a list of sizes", items(SIZE), symbolic=True)]
Table = Annotated[
    tuple[tuple[int, ...], ...],
    Kind("a list with the input channels of each output channel", items(items(whole(0), 1), 1)),
]
_INITIALIZERS = ("he", "xavier", "normal", "uniform", "constant", "zeros", "ones", "orthogonal", "signs")


class Initial(Record):
    """An initialiser with arguments: `normal(std=0.01)`; a name is "" for an argument by position."""

    name: str
    arguments: tuple[tuple[str, float], ...] = ()


def _is_initial(value: Any) -> Any:
    if isinstance(value, Initial):
        return value
    if value in _INITIALIZERS:
        return Initial(value)
    raise ValueError("not an initialiser")


Initializer = Annotated[
    Any,
    Kind(
        _or(_INITIALIZERS) + ", or one with arguments such as normal(std=0.01)", _function(_is_initial), _INITIALIZERS
    ),
]
TensorArgument = Annotated[Any, Kind("a tensor", {"type": "any"}, tensor=True)]
KeywordOnly = Annotated[None, "what follows is given by name"]


def optional(annotated: Any, word: str = "none") -> Any:
    """The same type, or the bare word `none` (arrives as Python's None)."""
    kind = annotated.__metadata__[0]
    none = _function(_none_for(word))
    says = f"{kind.says}, or {word}"
    found = Kind(says, either(none, kind.schema), (*kind.words, word), kind.tensor, kind.symbolic)
    return Annotated[Any, found]


def _none_for(word: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value is None or value == word:
            return None
        raise ValueError(word)

    return check
