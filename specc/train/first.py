"""The first values of weights, where a spec asks for others than PyTorch's: statements that set them."""

from __future__ import annotations

import math
from collections.abc import Callable

from specc.catalogue.arguments import Initial
from specc.catalogue.initial import named
from specc.code.nodes import (
    Expression,
    ExpressionStatement,
    For,
    Index,
    List,
    Name,
    Return,
    Statement,
    call,
    method,
    value,
)
from specc.model.graph import Model, Weight
from specc.model.program import Program
from specc.sizes.dim import Size
from specc.train.problem import TrainProblem

ZERO = Initial("zeros")


def initialising(model: Model, program: Program) -> list[Statement]:
    """Statements on `weights`, the parameters by key; weights that start alike are set in one loop."""
    found: dict[tuple[str, Expression], list[str]] = {}
    for weight in model.weights:
        if weight.spec.kind != "parameter" or weight.tied:
            continue
        initial = _of(weight, program)
        if initial is not None:
            for made in _calls(initial, weight):
                found.setdefault((initial.name, made), []).append(weight.key)
    body: list[Statement] = []
    for (_, made), keys in found.items():
        body.append(For(Name("key"), List(tuple(value(each) for each in keys)), (ExpressionStatement(made),)))
    return body or [Return()]


def _of(weight: Weight, program: Program) -> Initial | None:
    """A layer's own initialiser, else the section's for what is a layer's weight or bias, else none.

    Norms keep their ones and zeros, and a declared `parameter` the `init=` of its declaration.
    """
    step = weight.module.step
    if step is None:
        return None
    name = "bias_init" if _is_bias(weight) else "init"
    own: Initial | None = getattr(step.op, name, None)
    if own is not None:
        return own
    if program.init is None or not _is_layer(weight):
        return None
    return ZERO if _is_bias(weight) else program.init


def _is_bias(weight: Weight) -> bool:
    return weight.name.rpartition(".")[2].startswith(("bias", "in_proj_bias"))


def _is_layer(weight: Weight) -> bool:
    """Whether the layer has a weight that decays: convolutions and linear layers have, norms have not.

    A kernel that is stored as a length and a direction starts as one: the length is the norm of the direction.
    """
    specs = weight.module.weights.values()
    return any(each.decays for each in specs) and not any(each.init == "norm" for each in specs)


def _calls(initial: Initial, weight: Weight) -> list[Expression]:
    tensor = Index(Name("weights"), Name("key"))
    return _RULES[initial.name](tensor, weight, named(initial))


def _fan_in(weight: Weight) -> int:
    shape = weight.spec.shape
    fan = weight.spec.fan_in or _count(shape[1:])
    return fan if isinstance(fan, int) and fan else 1


def _count(shape: tuple[Size, ...]) -> int:
    """The number of elements; sizes of weights are known."""
    return math.prod(each for each in shape if isinstance(each, int))


def _plain_fans(weight: Weight) -> bool:
    """Whether torch's own count of inputs, from the shape alone, is the layer's."""
    shape = weight.spec.shape
    return len(shape) >= 2 and _count(shape[1:]) == _fan_in(weight)


def _he(tensor: Expression, weight: Weight, words: dict[str, float]) -> list[Expression]:
    if _plain_fans(weight):
        return [call("nn.init.kaiming_normal_", tensor, nonlinearity="relu")]
    return [call("nn.init.normal_", tensor, std=math.sqrt(2 / _fan_in(weight)))]


def _shaped(function: str) -> Callable[..., list[Expression]]:
    def make(tensor: Expression, weight: Weight, words: dict[str, float]) -> list[Expression]:
        if len(weight.spec.shape) < 2:
            raise TrainProblem(
                "bad-argument", f"`{weight.key}` has one axis; this initialiser needs two", "take another one"
            )
        return [call(function, tensor)]

    return make


def _uniform(tensor: Expression, weight: Weight, words: dict[str, float]) -> list[Expression]:
    bound = words.get("bound", 1 / math.sqrt(_fan_in(weight)))
    return [call("nn.init.uniform_", tensor, -bound, bound)]


def _normal(tensor: Expression, weight: Weight, words: dict[str, float]) -> list[Expression]:
    chosen = {name: words[name] for name in ("mean", "std") if name in words}
    return [call("nn.init.normal_", tensor, **chosen)]


def _constant(tensor: Expression, weight: Weight, words: dict[str, float]) -> list[Expression]:
    return [call("nn.init.constant_", tensor, words["value"])]


def _filled(function: str) -> Callable[..., list[Expression]]:
    return lambda tensor, weight, words: [call(function, tensor)]


def _signs(tensor: Expression, weight: Weight, words: dict[str, float]) -> list[Expression]:
    data = method(tensor, "detach")
    return [method(method(method(method(data, "bernoulli_", 0.5), "mul_", 2.0), "sub_", 1.0), "detach")]


_RULES: dict[str, Callable[[Expression, Weight, dict[str, float]], list[Expression]]] = {
    "he": _he,
    "xavier": _shaped("nn.init.xavier_uniform_"),
    "orthogonal": _shaped("nn.init.orthogonal_"),
    "normal": _normal,
    "uniform": _uniform,
    "constant": _constant,
    "zeros": _filled("nn.init.zeros_"),
    "ones": _filled("nn.init.ones_"),
    "signs": _signs,
}
