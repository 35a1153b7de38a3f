"""What every op and every setting is: a documented name with typed arguments, validated once, and its cases."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import get_annotations
from typing import TYPE_CHECKING, Any, ClassVar

from specc.catalogue.arguments import Kind, Schema, fits
from specc.text.record import Record

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator, ValidationError


class Misfit(Exception):
    """An entry refuses its arguments or inputs. It knows no position: elaboration turns `argument` or `port` into one.

    `repairs` are arguments that might mend it; the compiler checks each before it shows any.
    """

    def __init__(
        self,
        code: str,
        message: str,
        help: str = "",
        *,
        argument: str = "",
        port: int | str | None = None,
        repairs: tuple[Repair, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help
        self.argument = argument
        self.port = port
        self.repairs = repairs


class Repair(Record):
    """`argument=value` (the value as .net text) instead of what is written, and what that does in words."""

    argument: str
    value: str
    says: str


class Case(Record):
    """A tested example: a call, what shapes it takes and gives, and its number of parameters.

    `shapes` is `"[3, 224, 224] -> [64, 112, 112]"`; several inputs or outputs are separated by `;`.
    `given` are statements that stand before the call in the test network (`"skip: relu"`).
    """

    call: str
    shapes: str
    params: int | str = 0
    macs: int | str | None = None
    given: str = ""


class Wrong(Record):
    """A call that must be refused with `code`, pointing at argument `at` (or at the input)."""

    call: str
    shape: str
    code: str
    at: str = ""


class Field(Record):
    """One declared argument. `default` is `...` for a required one."""

    name: str
    kind: Kind
    default: Any
    positional: bool

    @property
    def required(self) -> bool:
        return self.default is ...


class Arguments(Record):
    """What is wrong with one argument, in the words of its type."""

    code: str
    argument: str
    message: str


class Entry:
    """A documented name with validated arguments. Subclasses declare arguments as annotated class attributes.

    Everything after `_: KeywordOnly` is given by name. `rest` is the kind of any further arguments by position,
    `extra` the kind of arguments with names of the user's own; they arrive as `self.rest_values` and `self.extra_values`.
    """

    name: ClassVar[str] = ""
    fields: ClassVar[Mapping[str, Field]] = {}
    rest: ClassVar[Kind | None] = None
    extra: ClassVar[Kind | None] = None
    cases: ClassVar[tuple[Case | Wrong, ...]] = ()
    _validator: ClassVar[SchemaValidator | None] = None

    rest_values: tuple[Any, ...] = ()
    extra_values: Mapping[str, Any] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.fields = _fields(cls)
        cls._validator = None

    @classmethod
    def make(cls, values: Mapping[str, Any], rest: tuple[Any, ...] = (), extra: Mapping[str, Any] | None = None) -> Any:
        """The entry with these arguments (strictly validated, then frozen).

        Raises `BadArguments` with one item per argument that does not fit. Missing and unknown names are the
        caller's to find (`fields`, `extra`), because only it knows the spelling and the place.
        """
        found = cls.__new__(cls)
        given: dict[str, Any] = {"fields": values, "rest": rest, "extra": extra or {}}
        valid = given if cls._plain(values) and not rest and not extra else cls._validated(given)
        for name, each in cls.fields.items():
            value = valid["fields"].get(name, each.default)
            object.__setattr__(found, name, value)
        if rest:
            object.__setattr__(found, "rest_values", valid["rest"])
        if extra:
            object.__setattr__(found, "extra_values", valid["extra"])
        return found

    def argument(self, name: str) -> Any:
        """The value of an argument, whether it is declared or has a name of the user's own."""
        return self.extra_values[name] if name in self.extra_values else getattr(self, name, None)

    def but(self, **changes: Any) -> Any:
        """A copy with other values of some arguments, not validated again."""
        found = type(self).__new__(type(self))
        found.__dict__.update(self.__dict__)
        own = {name: changes.pop(name) for name in self.extra_values if name in changes}
        found.__dict__.update(changes, extra_values={**self.extra_values, **own})
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    @classmethod
    def _plain(cls, values: Mapping[str, Any]) -> bool:
        """Whether these need no validator: whole numbers, truth values and words that are what their types ask for."""
        return all(name in cls.fields and fits(cls.fields[name].kind.schema, value) for name, value in values.items())

    @classmethod
    def _validated(cls, given: dict[str, Any]) -> Any:
        from pydantic_core import SchemaValidator, ValidationError

        if cls._validator is None:
            cls._validator = SchemaValidator(_schema(cls))
        try:
            return cls._validator.validate_python(given)
        except ValidationError as error:
            raise BadArguments(tuple(_explain(cls, error))) from None


class BadArguments(Exception):
    """Arguments that do not fit their types."""

    def __init__(self, found: tuple[Arguments, ...]) -> None:
        super().__init__("; ".join(each.message for each in found))
        self.found = found


def _fields(cls: type[Entry]) -> dict[str, Field]:
    found = {name: each for base in reversed(cls.__mro__[1:]) for name, each in getattr(base, "fields", {}).items()}
    positional = True
    own: dict[str, Field] = {}
    for attribute, annotation in get_annotations(cls, eval_str=True).items():
        if attribute == "_":
            positional = False
            continue
        metadata = getattr(annotation, "__metadata__", None)
        if metadata and isinstance(metadata[0], Kind):
            name = attribute.removesuffix("_")  # `from_` declares `from`, which Python keeps for itself
            own[name] = Field(name, metadata[0], cls.__dict__.get(attribute, ...), positional)
    return own | {name: each for name, each in found.items() if name not in own}


def _schema(cls: type[Entry]) -> Schema:
    fields = {
        name: {"type": "typed-dict-field", "schema": each.kind.schema, "required": each.required}
        for name, each in cls.fields.items()
        if not each.kind.tensor
    }
    anything: Schema = {"type": "any"}
    rest = cls.rest.schema if cls.rest else anything
    extra = cls.extra.schema if cls.extra else anything
    parts = {
        "fields": {"type": "typed-dict", "fields": fields, "extra_behavior": "forbid"},
        "rest": {"type": "tuple", "items_schema": [rest], "variadic_item_index": 0},
        "extra": {"type": "dict", "keys_schema": {"type": "str"}, "values_schema": extra},
    }
    return {
        "type": "typed-dict",
        "fields": {
            name: {"type": "typed-dict-field", "schema": schema, "required": True} for name, schema in parts.items()
        },
    }


def _explain(cls: type[Entry], error: ValidationError) -> list[Arguments]:
    found: dict[str, Arguments] = {}
    for each in error.errors(include_url=False, include_context=False):
        place = each["loc"]
        part, name = str(place[0]), str(place[1]) if len(place) > 1 else ""
        kind = {"rest": cls.rest, "extra": cls.extra}.get(part) or cls.fields[name].kind
        found.setdefault(name, Arguments("bad-argument", name, f"`{name}` must be {kind.says}"))
    return list(found.values())
