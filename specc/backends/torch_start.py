"""Weights that a spec declares itself, `parameter` and `buffer`: how a constructor makes them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from specc.backends.torch_home import CannotPrint, Home
from specc.backends.torch_names import plain, unused
from specc.backends.torch_numbers import FEW, Numbers, counts
from specc.backends.torch_plan import Plan
from specc.catalogue.op import WeightSpec
from specc.code.names import identifier
from specc.code.nodes import (
    Attribute,
    Binary,
    Expression,
    ExpressionStatement,
    List,
    Literal,
    Name,
    Statement,
    Table,
    Unary,
    assign,
    call,
    dotted,
    index,
    method,
    value,
)
from specc.model.graph import Declared, Frame
from specc.text.record import Record

_FILLED = re.compile("zeros|ones")
_SIGNS = re.compile("signs")
_DRAWN = {
    "uniform": "nn.init.uniform_",
    "normal": "nn.init.normal_",
    "constant": "nn.init.constant_",
    "he": "nn.init.kaiming_normal_",
    "xavier": "nn.init.xavier_uniform_",
    "orthogonal": "nn.init.orthogonal_",
}
_TYPES = {"int": "torch.int64", "bool": "torch.bool"}


@dataclass
class Tables:
    """The long lists of numbers that stand above the classes, each once. `taken` are the names of a module."""

    plan: Plan
    taken: set[str]
    known: dict[str, tuple[str, tuple[float, ...]]] = field(default_factory=dict)

    @cached_property
    def givers(self) -> dict[int, Frame]:
        """The frames of blocks by the scope in which their parameters stand."""
        frames = (each for some in self.plan.frames.values() for each in some)
        return {id(each.scope): each for each in frames if each.definition is not None and each.scope is not None}

    def starting(self, declared: list[Declared], frame: Frame, home: Home) -> list[Statement]:
        """The lines of a constructor for the weights that a body declares itself."""
        numbers = Numbers(home, self.givers)
        made: list[Statement] = []
        for each in declared:
            apart = set(numbers.apart)
            line = self._line(each, frame, home, numbers)
            made += [assign(name, node) for name, node in numbers.apart.items() if name not in apart]
            made.append(line)
        return made

    def _line(self, declared: Declared, frame: Frame, home: Home, numbers: Numbers) -> Statement:
        spec = frame.module.weights[declared.key.rpartition(".")[2]]
        shape = _stored_shape(declared, spec, home)
        if spec.values is None:
            return _kept(declared, spec, _start(spec, shape, declared.key))
        told = numbers.told(declared, spec)
        if told is not None:
            made = call("torch.tensor", told.node, **_real(spec))
            return _kept(declared, spec, made if told.shape == spec.shape else method(made, "reshape", *shape))
        if len(spec.values) > FEW and not counts(spec):
            made = call("torch.tensor", Name(self._named(declared, spec, home)), **_real(spec))
            return _kept(declared, spec, made if len(shape) == 1 else method(made, "reshape", *shape))
        return _kept(declared, spec, _numbers(spec, shape))

    def _named(self, declared: Declared, spec: WeightSpec, home: Home) -> str:
        """The name of the numbers as a list above the classes."""
        key = (spec.dtype, _written(spec))
        for name, known in self.known.items():
            if known == key and name not in home.words:
                return name
        name = unused(identifier(declared.key.rpartition(".")[2]).upper(), self.taken | set(home.words))
        self.known[name] = key
        self.taken.add(name)
        return name

    def lifted(self, node: Any) -> Any:
        """Classes with the long lists of numbers that stand in their lines put above them, too."""
        numbers = _numbers_in(node)
        if len(numbers) > FEW:
            key = (" ".join(type(each).__name__ for each in numbers), numbers)
            name = next((name for name, known in self.known.items() if known == key), "")
            if not name:
                name = unused("TABLE", self.taken)
                self.known[name] = key
                self.taken.add(name)
            return Name(name)
        if isinstance(node, tuple):
            return tuple(map(self.lifted, node))
        if not isinstance(node, Record):
            return node
        parts = [self.lifted(getattr(node, each)) for each in node.FIELDS]
        return type(node)(*parts)

    def written(self) -> tuple[Table, ...]:
        return tuple(Table(name, numbers) for name, (_, numbers) in self.known.items())


def _numbers_in(node: Any) -> tuple[float, ...]:
    """The numbers of a list that holds nothing else."""
    items = node.items if isinstance(node, List) else ()
    found = tuple(each.value for each in items if isinstance(each, Literal) and isinstance(each.value, int | float))
    return found if len(found) == len(items) else ()


def _kept(declared: Declared, spec: WeightSpec, made: Expression) -> Statement:
    """`self.scale = nn.Parameter(torch.ones(channels, 1, 1))`, or a buffer."""
    name = declared.key.rpartition(".")[2]
    if not plain(name):
        made = made if spec.kind == "buffer" else call("nn.Parameter", made)
        return assign(index(dotted(f"self._{spec.kind}s"), name), made)
    if spec.kind == "buffer":
        return ExpressionStatement(method("self", "register_buffer", name, made))
    return assign(Attribute(Name("self"), name), call("nn.Parameter", made))


def _stored_shape(declared: Declared, spec: WeightSpec, home: Home) -> tuple[Any, ...]:
    """The shape in the state-dict, in the words of the class where the spec gives it in words."""
    spoken = home.trace.shapes.get(declared.key, spec.shape)
    return spoken if tuple(spoken) == tuple(spec.shape) else tuple(spec.shape)


def _numbers(spec: WeightSpec, shape: tuple[Any, ...]) -> Expression:
    """A tensor of the numbers in the spec."""
    numbers = list(_written(spec))
    if counts(spec):
        made: Expression = call("torch.arange", len(numbers))
    elif not shape:
        return call("torch.tensor", numbers[0], **_real(spec))
    else:
        made = call("torch.tensor", numbers, **_real(spec))
    return made if len(shape) == 1 else method(made, "reshape", *shape)


def _written(spec: WeightSpec) -> tuple[float, ...]:
    assert spec.values is not None
    return tuple(map(bool, spec.values)) if spec.dtype == "bool" else spec.values


def _real(spec: WeightSpec) -> dict[str, Expression]:
    return {"dtype": dotted("torch.float32")} if spec.dtype == "float" else {}


def _start(spec: WeightSpec, shape: tuple[Any, ...], key: str) -> Expression:
    dtype = {"dtype": dotted(_TYPES[spec.dtype])} if spec.dtype in _TYPES else {}
    size = [value(each) for each in shape] if shape else [value(())]
    if _FILLED.fullmatch(spec.init):
        return call(f"torch.{spec.init}", *size, **dtype)
    if _SIGNS.fullmatch(spec.init):
        coin = call("torch.randint", 2, value(tuple(shape)))
        return Binary("-", Binary("*", Literal(2), method(coin, "float") if not dtype else coin), Literal(1))
    function = _DRAWN.get(spec.init)
    if function is None:
        raise CannotPrint(f"`{key}` cannot start as {spec.init}")
    empty = call("torch.empty", *size, **dtype)
    positional = [_plain(number) for name, number in spec.arguments if not name]
    named = {name: _plain(number) for name, number in spec.arguments if name}
    if "bound" in named:
        bound = named.pop("bound")
        positional = [Unary("-", bound), bound]
    return call(function, empty, *positional, **named)


def _plain(number: float) -> Expression:
    return value(number)
