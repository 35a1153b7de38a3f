"""What must agree on a network: shapes, counts and values of specc, PyTorch and onnxruntime."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from covered import Coverage
from inferred import meta, onnx_shapes
from proved import DTYPES, built, compiled, counting, exported, symbols_of, weighs_unknown
from torch.overrides import TorchFunctionMode

from specc.compiler import Compilation
from specc.deploy.proof import Disproved, open_session, prove, random_inputs, relative_error, trials
from specc.model.graph import Model, Step
from specc.model.report import report
from specc.sizes.conditions import admits, examples
from specc.sizes.dim import evaluate, product
from specc.text.diagnostics import SpecError

TOLERANCE = 5e-4  # some of these networks lose digits on the way
NUDGE = 3e-7


def agree(found: Compilation, coverage: Coverage) -> None:
    """Everything that must agree on one network."""
    model = found.model()
    if weighs_unknown(model):
        predicates = [each.predicate for each in model.requirements]
        (sizes, *_) = examples(predicates, list(model.facts), count=1, symbols=symbols_of(model))
        model = compiled_quietly(found.source.text, sizes)
    module = built(model)
    _same_weights(model, module)
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = exported(model, module, Path(folder) / "model.onnx")
        except SpecError:  # what ONNX cannot say is refused, and counted here
            coverage.marks["refused in ONNX"] += 1
            return
        try:
            prove(model, path, module, tolerance=TOLERANCE)
        except Disproved:
            if open_after_nan(model, path, module):
                coverage.marks["not a number"] += 1
            elif unstable(model, module):
                coverage.marks["unstable"] += 1
            else:
                raise
        _same_shapes(model, module, path, coverage)
    coverage.add(model, found.source.text)


class Standing(TorchFunctionMode):
    """Where a function makes NaN of numbers, as a logarithm of what is below 0 does, another number stands for it."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def __torch_function__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        result = function(*given, **(named or {}))
        with torch._C.DisableTorchFunction():
            if type(result) is not torch.Tensor or not result.is_floating_point() or not bool(result.isnan().any()):
                return result
            floats = [each for each in given if type(each) is torch.Tensor and each.is_floating_point()]
            made = bool(floats) and not any(bool(each.isnan().any()) for each in floats)
            return result.nan_to_num(self.number, posinf=math.inf, neginf=-math.inf) if made else result


def open_after_nan(model: Model, path: Path, module: Any) -> bool:
    """Whether the two part only in outputs that follow from a NaN which a step makes of numbers.

    ONNX leaves open what a maximum, an arg-max or a clamp makes of it, and the running sums of onnxruntime's LRN carry it
    on. An output follows from it where it is another one when something else stands in its place; all others must agree.
    """
    session = open_session(path)
    follows = False
    for inputs in _trials(model):
        with torch.no_grad():
            wanted = _tensors(module(*inputs))
            others = []
            for number in (0.0, math.inf, -math.inf):
                with Standing(number):
                    others.append(_tensors(module(*inputs)))
        names = [port.name for port in model.outputs if not port.training]
        fed = dict(zip((each.name for each in session.get_inputs()), (each.numpy() for each in inputs), strict=True))
        for at, got in enumerate(session.run(names, fed)):
            one = wanted[at].numpy()
            if not all(np.array_equal(one, each[at].numpy(), equal_nan=one.dtype.kind == "f") for each in others):
                follows = True
            elif relative_error(got, one) > TOLERANCE:
                return False
    return follows


def _trials(model: Model) -> Iterator[list[torch.Tensor]]:
    """The inputs that the proof tries."""
    for at, (sizes, batch) in enumerate(trials(model)):
        yield [torch.from_numpy(each) for each in random_inputs(model, sizes, batch, seed=at).values()]


class Rounding(TorchFunctionMode):
    """Every result of a function of PyTorch is moved by what rounding may move it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.draw = torch.Generator().manual_seed(seed)

    def __torch_function__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        return self._moved(function(*given, **(named or {})))

    def _moved(self, result: Any) -> Any:
        if isinstance(result, tuple | list) and any(isinstance(each, torch.Tensor) for each in result):
            return type(result)(map(self._moved, result)) if type(result) in (tuple, list) else result
        if type(result) is not torch.Tensor or not result.is_floating_point():
            return result
        with torch._C.DisableTorchFunction():
            return result * (1 + NUDGE * torch.randn(result.shape, generator=self.draw))


def unstable(model: Model, module: Any) -> bool:
    """Whether PyTorch by itself does not stand by its result: rounding decides, as in an arg-max of equal numbers.

    The result of each step is moved by about what rounding does, or all is computed in double precision (which shows
    what cancels inside one function), and the outputs move by a good part of what is allowed between PyTorch and ONNX.
    """
    double = deepcopy(module).double()
    for inputs in _trials(model):
        with torch.no_grad():
            first = _tensors(module(*inputs))
            others = [_tensors(double(*(each.double() if each.is_floating_point() else each for each in inputs)))]
            for seed in range(8):
                with Rounding(seed):
                    others.append(_tensors(module(*inputs)))
        for other in others:
            for one, two in zip(first, other, strict=True):
                if relative_error(one.numpy(), two.to(one.dtype).numpy()) > TOLERANCE / 2:
                    return True
    return False


def _tensors(result: Any) -> list[torch.Tensor]:
    return list(result.values()) if isinstance(result, dict) else [result]


def compiled_quietly(text: str, sizes: dict[str, int]) -> Model:
    """The same text with its sizes bound; warnings may be said."""
    from specc.compiler import compile_text

    found = compile_text(text, sizes=sizes, fixes=False)
    assert found.ok, [each.message for each in found.bag]
    return found.model()


def _same_weights(model: Model, module: Any) -> None:
    said = report(model)
    state = {key: list(value.shape) for key, value in module.state_dict().items()}
    assert list(state.items()) == [(key, shape) for key, shape in said["state_dict"]]
    assert said["parameters"] == sum(value.numel() for value in module.parameters())
    parameters = dict(module.named_parameters(remove_duplicate=False))
    assert said["buffers"] == sum(value.numel() for key, value in module.state_dict().items() if key not in parameters)


def _same_shapes(model: Model, module: Any, path: Path, coverage: Coverage) -> None:
    """Output shapes, element types and multiply-adds, in PyTorch with and without numbers, and every shape of the file."""
    outputs = [port for port in model.outputs if not port.training]
    (least, one), (sizes, batch), *_ = trials(model)
    coverage.inferred += onnx_shapes(path, sizes, batch)
    shapes = meta(model, module, sizes, batch)
    if shapes is None:
        coverage.marks["not on the meta device"] += 1
    else:
        _as_stated(model, *shapes, sizes, batch)
    assert admits(model.conditions, least)
    inputs = random_inputs(model, least, one, seed=1)
    with torch.no_grad(), counting() as counter:
        result = module(*(torch.from_numpy(value) for value in inputs.values()))
    made = result if isinstance(result, dict) else {outputs[0].name: result}
    _as_stated(model, made, counter.get_total_flops(), least, one)


def _as_stated(model: Model, made: Mapping[str, Any], flops: int, sizes: dict[str, int], batch: int) -> None:
    for port in model.outputs:
        if not port.training:
            kind = model.type(port.value)
            wanted = [batch] * kind.batched + [evaluate(size, sizes) for size in kind.shape]
            assert list(made[port.name].shape) == wanted, (port.name, list(made[port.name].shape), wanted)
            assert made[port.name].dtype == DTYPES[kind.dtype], port.name
    if any("table" in step.expressions or "lengths" in step.ports for step in model.steps):
        return  # PyTorch multiplies with the zeros of a table too, and skips what is behind a length
    summed = [step for step in model.inference if not _multiplied(model, step)]
    least, most = (products(model, steps, sizes, batch) for steps in (summed, model.steps))
    assert 2 * least <= flops <= 2 * most, (2 * least, flops, 2 * most)  # a block runs whole, also a part nobody uses


def _multiplied(model: Model, step: Step) -> bool:
    """Whether each number of an einsum is one product: PyTorch's multiplies then, and its counter does not see that."""
    return step.op.name in ("local_conv", "einsum") and step.macs == product(model.type(step.outputs[0]).shape)


def products(model: Model, steps: Iterable[Step], sizes: dict[str, int], batch: int) -> int:
    """The multiply-adds of a batch, as the steps state them for one sample."""
    found = 0
    for step in steps:
        found += evaluate(step.macs, sizes) * (batch if model.type(step.outputs[0]).batched else 1)
    return found


__all__ = ["agree", "compiled", "products"]
