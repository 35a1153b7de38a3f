"""Functions of each number, and operators between two tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from specc.catalogue.op import Op
from specc.catalogue.ops import (
    activations,
    arithmetic,
    choose,
    constants,
    further_activations,
    pointwise,
    reduce,
    whole,
)
from specc.catalogue.ops.arithmetic import Elementwise
from specc.catalogue.ops.dense import Linear, OneHot
from specc.catalogue.ops.random import Dropout
from specc.deploy.reading.reader import KINDS, Reader, Reading
from specc.deploy.reading.uniform import Uniform
from specc.deploy.reading.values import CASTS, NUMPY, Known, shortened
from specc.deploy.reading.view import View


def plain(kind: type[Op], **words: tuple[str, Any]) -> Reader:
    """An op of one tensor whose arguments are attributes of that name, with their defaults in ONNX."""

    def read(n: Reading) -> None:
        found = {ours: n.attribute(theirs, default) for ours, (theirs, default) in words.items()}
        x = n.view(0)
        n.give(*n.add(kind, without_defaults(kind, found), x))

    return read


def without_defaults(kind: type[Op], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments that are not at their default; numbers of single precision as short as they were written."""
    short = {name: shortened(value) for name, value in arguments.items()}
    return {name: value for name, value in short.items() if value != kind.fields[name].default}


def fixed(kind: type[Op], **expected: Any) -> Reader:
    """An op of one tensor without arguments; attributes must have the values that it stands for."""

    def read(n: Reading) -> None:
        for name, (default, wanted) in expected.items():
            if not np.isclose(n.attribute(name, default), wanted, rtol=1e-5):
                n.refuse(f"its {name} is {n.attribute(name, default)}; only {wanted:g} has a counterpart")
        n.give(*n.add(kind, {}, n.view(0)))

    return read


def clip(n: Reading) -> None:
    """A lower and an upper bound, as inputs or in older versions as attributes."""
    low, high = (float(n.known(at, name)) if n.has(at) else n.attribute(name)
                 for at, name in ((1, "min"), (2, "max")))  # fmt: skip
    low = None if low is None or low <= -3.4e38 else shortened(float(low))
    high = None if high is None or high >= 3.4e38 else shortened(float(high))
    x = n.view(0)
    if low == 0 and high is None:
        n.give(*n.add(activations.Relu, {}, x))
    elif low == 0 and high == 6:
        n.give(*n.add(activations.Relu6, {}, x))
    elif low is not None and high is not None:
        words = without_defaults(further_activations.Hardtanh, {"low": low, "high": high})
        n.give(*n.add(further_activations.Hardtanh, words, x))
    else:
        found = x
        bounds: list[tuple[type[Op], Any]] = [(reduce.Max, low), (reduce.Min, high)]
        for kind, bound in bounds:
            if bound is not None:
                (found,) = n.add(kind, {"other": bound}, found)
        n.give(found)


def softmax(kind: type[Op]) -> Reader:
    """Along one axis; version 12 and older flattened from there on, which is the same for the last axis alone."""

    def read(n: Reading) -> None:
        x = n.view(0)
        n.give(*n.add(kind, {"axis": n.own(x, n.attribute("axis", -1))}, x))

    return read


def prelu(n: Reading) -> None:
    x, slope = n.view(0), n.known(1, "slope")
    if slope.size == 1:
        n.give(*n.add(activations.Prelu, {}, x, weights={"weight": slope.reshape(1)}))
        return
    if slope.size != x.type.shape[0]:
        n.refuse("its slopes are neither one nor one for each channel")
    n.give(*n.add(activations.Prelu, {"per": "channel"}, x, weights={"weight": slope.reshape(-1)}))


def gelu(n: Reading) -> None:
    words = {"approximate": True} if n.attribute("approximate", "none") == "tanh" else {}
    n.give(*n.add(activations.Gelu, words, n.view(0)))


def shrink(n: Reading) -> None:
    bound, bias = shortened(n.attribute("lambd", 0.5)), shortened(n.attribute("bias", 0.0))
    if bias not in (0, bound):
        n.refuse("its bias is neither 0 nor its bound")
    kind = further_activations.Softshrink if bias else further_activations.Hardshrink
    n.give(*n.add(kind, without_defaults(kind, {"bound": bound}), n.view(0)))


def identity(n: Reading) -> None:
    """Nothing is left of it."""
    n.give(n.value(0))


def dropout(n: Reading) -> None:
    """It does nothing in inference; the rate is kept for training."""
    rate = shortened(float(n.known(1, "ratio"))) if n.has(1) else shortened(n.attribute("ratio", 0.5))
    if not n.unused(1):
        n.refuse("its mask is used")
    n.give(*n.add(Dropout, without_defaults(Dropout, {"rate": rate}), n.view(0)))


def cast(n: Reading) -> None:
    to = CASTS.get(n.attribute("to"))
    x = n.view(0)
    if to is None:
        n.refuse("a spec has float, int and bool")
    n.give(x if x.type.dtype == to else n.add(choose.Cast, {"to": to}, x)[0])


def cast_like(n: Reading) -> None:
    given, like = n.value(0), n.value(1)
    array = like.number if isinstance(like, Uniform) else like.array if isinstance(like, Known) else None
    to = n.view(1).type.dtype if array is None else KINDS.get(array.dtype.kind, "int")
    if isinstance(given, Uniform):
        n.give(Uniform(given.number.astype(NUMPY[to]), given.sizes))
    elif isinstance(given, Known):
        n.give(Known(given.array.astype(NUMPY[to]), given.name))
    else:
        x = n.view(0)
        n.give(x if x.type.dtype == to else n.add(choose.Cast, {"to": to}, x)[0])


def between(kind: type[Op]) -> Reader:
    """An operator between two tensors, or a tensor and a number."""

    def read(n: Reading) -> None:
        left, right = n.value(0), n.value(1)
        if kind is arithmetic.Divide and any(
            isinstance(each, View) and each.type.dtype != "float" for each in (left, right)
        ):
            n.refuse("it divides whole numbers and cuts off the rest")
        for at, other in ((0, right), (1, left)):
            number = n.number(at, other) if issubclass(kind, Elementwise) else None
            if number is not None:
                n.give(*n.add(kind, {"left" if at == 0 else "right": number}, n.view(1 - at)))
                return
        if kind is arithmetic.Add and _bias(n):
            return
        n.give(*n.add(kind, {}, *_meeting(n)))

    return read


def _meeting(n: Reading) -> tuple[View, View]:
    """Both sides with the same axes."""
    views = [value if isinstance(value, View) else None for value in (n.value(0), n.value(1))]
    largest = max((each for each in views if each), key=lambda each: (each.rank, each.type.batched))
    return n.meeting(largest, 0), n.meeting(largest, 1)


def _bias(n: Reading) -> bool:
    """A row of numbers added to what a dense layer without a bias made is its bias."""
    for at in (0, 1):
        other, bias = n.value(at), n.value(1 - at)
        if isinstance(other, View) and isinstance(bias, Known) and bias.array.ndim == 1 and n.only_use(at):
            step = n.step_of(other)
            if step is not None and step.kind is Linear and "bias" in step.arguments and not step.named:
                if bias.array.size == step.arguments["features"] and step.outputs == (other.name,):
                    step.arguments = {k: v for k, v in step.arguments.items() if k != "bias"}
                    step.weights["bias"] = bias.array
                    step.path = n.node.scope or step.path
                    n.give(other)
                    return True
    return False


def several(kind: type[Op], pairwise: bool) -> Reader:
    """Min, Max and Sum of any number of tensors."""

    def read(n: Reading) -> None:
        found = n.view(0)
        for at in range(1, len(n.node.inputs)):
            number = n.number(at, found) if pairwise else None
            if number is not None:
                (found,) = n.add(kind, {"other": number}, found)
            else:
                (found,) = n.add(kind, {}, found, n.meeting(found, at))
        n.give(found)

    return read


def where(n: Reading) -> None:
    """A mask and what stands where it is true and where not; either may be one number."""
    views = [each for each in (n.value(at) for at in range(3)) if isinstance(each, View)]
    largest = max(views, key=lambda each: (each.rank, each.type.batched))
    numbers = {at: n.number(at, largest) for at in (1, 2)}
    at = next((at for at in (2, 1) if numbers[at] == -np.inf), 2 if numbers[2] is not None else 1)
    number, other = numbers[at], numbers[3 - at]
    if number is None:
        n.give(*n.add(choose.Select, {}, *(n.meeting(largest, at) for at in range(3))))
    elif number == -np.inf and (other is None or other == 0):
        added = _masked(n, largest, inverted=at == 1)
        n.give(added if other == 0 else n.add(arithmetic.Add, {}, n.meeting(largest, 3 - at), added)[0])
    else:
        mask = n.meeting(largest, 0)
        if at == 1:
            (mask,) = n.add(pointwise.Not, {}, mask)
        n.give(*n.add(choose.Select, {"other": number}, mask, n.meeting(largest, 3 - at)))


def _masked(n: Reading, largest: View, inverted: bool) -> View:
    """0 where the mask is true, elsewhere what is below all numbers, which added to one leaves nothing of it."""
    mask = n.value(0)
    if isinstance(mask, Known):
        kept = ~mask.array if inverted else mask.array
        added = np.where(kept, np.float32(0), np.float32(-np.inf))
        return n.meeting(largest, 0, Known(added, mask.name and f"{mask.name}.added"))
    kept_ = n.meeting(largest, 0)
    if inverted:
        (kept_,) = n.add(pointwise.Not, {}, kept_)
    (number,) = n.add(choose.Cast, {"to": "float"}, kept_)
    return n.add(pointwise.Log, {}, number)[0]


def modulo(n: Reading) -> None:
    """The rest with the sign of the divisor."""
    if n.attribute("fmod", 0):
        n.refuse("its rest has the sign of what is divided (fmod)")
    between(whole.Remainder)(n)


def counted(n: Reading) -> None:
    """0, 1, 2 … as a tensor without a batch."""
    start, limit, step = (n.sizes(at, name)[0] for at, name in ((0, "start"), (1, "limit"), (2, "step")))
    if start != 0 or step != 1:
        n.refuse("it does not count from 0 by 1")
    n.give(*n.add(constants.Arange, {"size": limit}))


def one_hot(n: Reading) -> None:
    x = n.view(0)
    values = n.known(2, "values")
    if n.attribute("axis", -1) != -1 or values.tolist() != [0, 1]:
        n.refuse("it is not 0 and 1 along a last axis")
    count = int(n.known(1, "depth").reshape(-1)[0])
    n.give(*n.add(OneHot, {"count": count}, x, axes=(*x.axes, (count,))))


def threshold(n: Reading) -> None:
    n.give(*n.add(further_activations.Threshold, {"above": shortened(n.attribute("alpha", 1.0))}, n.view(0)))


def reciprocal(n: Reading) -> None:
    n.give(*n.add(arithmetic.Divide, {"left": 1.0}, n.view(0)))


def _by_node() -> dict[str, Reader]:
    """Every function of each number, and every operator, whose class names its node and has no arguments."""
    found: dict[str, Reader] = {}
    for module in (activations, further_activations, pointwise, arithmetic):
        for kind in vars(module).values():
            node = getattr(kind, "node", "")
            if not isinstance(kind, type) or not issubclass(kind, Op) or not node or not kind.name:
                continue
            if issubclass(kind, Elementwise) or kind.inputs == (1, 2):
                found.setdefault(node, between(kind))
            elif not kind.fields:
                found.setdefault(node, plain(kind))
    return found


READERS: dict[str, Reader] = _by_node() | {
    "Clip": clip, "PRelu": prelu, "Gelu": gelu, "Shrink": shrink, "Identity": identity, "Dropout": dropout, "Cast": cast,
    "CastLike": cast_like, "Mod": modulo, "Range": counted, "OneHot": one_hot, "ThresholdedRelu": threshold,
    "Where": where, "Reciprocal": reciprocal,
    "Softmax": softmax(activations.Softmax), "LogSoftmax": softmax(activations.LogSoftmax),
    "LeakyRelu": plain(activations.LeakyRelu, slope=("alpha", 0.01)), "Elu": plain(activations.Elu, alpha=("alpha", 1.0)),
    "Celu": plain(further_activations.Celu, alpha=("alpha", 1.0)),
    "Selu": fixed(further_activations.Selu, alpha=(1.67326319, 1.67326319), gamma=(1.05070102, 1.05070102)),
    "HardSigmoid": fixed(activations.Hardsigmoid, alpha=(0.2, 1 / 6), beta=(0.5, 0.5)),
    "Softplus": plain(activations.Softplus),
    "Min": several(reduce.Min, True), "Max": several(reduce.Max, True), "Sum": several(arithmetic.Add, False),
    "Not": plain(pointwise.Not),
}  # fmt: skip
