"""Weights that a spec declares itself, `parameter` and `buffer`: how a constructor makes them."""

from __future__ import annotations

import re
from typing import Any

from specc.backends.torch_home import CannotPrint, Home
from specc.backends.torch_names import plain
from specc.catalogue.op import WeightSpec
from specc.code.nodes import (
    Attribute,
    Binary,
    Expression,
    ExpressionStatement,
    Literal,
    Name,
    Statement,
    Unary,
    assign,
    call,
    dotted,
    index,
    method,
    value,
)
from specc.model.graph import Declared, Frame

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


def starting(declared: Declared, frame: Frame, home: Home) -> Statement:
    """`self.scale = nn.Parameter(torch.ones(channels, 1, 1))`, or a buffer with its numbers."""
    name = declared.key.rpartition(".")[2]
    spec = frame.module.weights[name]
    shape = _stored_shape(declared, spec, home)
    made = _numbers(spec, shape) if spec.values is not None else _start(spec, shape, declared.key)
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
    assert spec.values is not None
    numbers = list(spec.values)
    if spec.dtype == "bool":
        numbers = [bool(each) for each in numbers]
    keywords = {"dtype": dotted("torch.float32")} if spec.dtype == "float" else {}
    if spec.dtype == "int" and numbers == list(range(len(numbers))) and len(numbers) > 1:
        made: Expression = call("torch.arange", len(numbers))
    elif not shape:
        return call("torch.tensor", numbers[0], **keywords)
    else:
        made = call("torch.tensor", numbers, **keywords)
    return made if len(shape) == 1 else method(made, "reshape", *shape)


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
