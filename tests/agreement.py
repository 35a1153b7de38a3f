"""What must agree on a network: shapes, counts and values of specc, PyTorch and onnxruntime."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from proved import DTYPES, built, compiled, exported, symbols_of, weighs_unknown
from torch.utils.flop_counter import FlopCounterMode

from specc.compiler import Compilation
from specc.deploy.proof import Disproved, open_session, prove, random_inputs, relative_error, trials
from specc.model.graph import Model, Step
from specc.model.report import report
from specc.sizes.conditions import admits, examples
from specc.sizes.dim import evaluate

TOLERANCE = 5e-4  # some of these networks lose digits on the way
NUDGE = 1e-6


@dataclass
class Coverage:
    """How often each op, and each of the modes worth telling apart, was in a network that agreed."""

    ops: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)

    def add(self, model: Model, text: str) -> None:
        for step in model.steps:
            self.ops[step.op.name] += 1
        self.marks["unknown sizes" if symbols_of(model) else "known sizes"] += 1
        self.marks[f"rank {model.type(model.inputs[0].value).rank}"] += 1
        self.marks["several inputs"] += len(model.inputs) > 1
        self.marks["several outputs"] += len([port for port in model.outputs if not port.training]) > 1
        self.marks["training outputs"] += any(port.training for port in model.outputs)
        self.marks["declared weights"] += "parameter " in text or "buffer " in text
        self.marks["blocks"] += "block " in text
        modules = [id(step.module) for step in model.steps if step.module is not None]
        self.marks["shared modules"] += len(set(modules)) < len(modules)
        self.marks["tied weights"] += any(weight.tied for weight in model.weights)
        self.marks["parallel"] += "parallel" in text


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
        path = exported(model, module, Path(folder) / "model.onnx")
        try:
            prove(model, path, module, tolerance=TOLERANCE)
        except Disproved:
            if not unstable(model, module):
                raise
            coverage.marks["unstable"] += 1
        _same_shapes(model, module, path)
    coverage.add(model, found.source.text)


def unstable(model: Model, module: Any) -> bool:
    """Whether PyTorch by itself does not stand by its result: rounding decides, as in an arg-max of equal numbers.

    Inputs and weights are moved by a millionth, about what the order of a long sum changes, and the
    outputs move by more than what is allowed between PyTorch and ONNX.
    """
    from copy import deepcopy

    draw = torch.Generator().manual_seed(0)

    def moved(value: torch.Tensor) -> torch.Tensor:
        if not value.is_floating_point():
            return value
        return value * (1 + NUDGE * torch.randn(value.shape, generator=draw))

    for at, (sizes, batch) in enumerate(trials(model)):
        inputs = [torch.from_numpy(each) for each in random_inputs(model, sizes, batch, seed=at).values()]
        with torch.no_grad():
            first = _tensors(module(*inputs))
            for _ in range(8):
                other = deepcopy(module)
                for value in other.state_dict().values():
                    value.copy_(moved(value))
                for one, two in zip(first, _tensors(other(*map(moved, inputs))), strict=True):
                    if relative_error(one.numpy(), two.numpy()) > TOLERANCE:
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


def _same_shapes(model: Model, module: Any, path: Path) -> None:
    """Output shapes, element types and multiply-adds at the sizes of the proof, and onnxruntime's own shapes."""
    session = open_session(path)
    names = [each.name for each in session.get_outputs()]
    outputs = [port for port in model.outputs if not port.training]
    for sizes, batch in trials(model)[:2]:
        assert admits(model.conditions, sizes)
        inputs = random_inputs(model, sizes, batch, seed=1)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            result = module(*(torch.from_numpy(value) for value in inputs.values()))
        made = result if isinstance(result, dict) else {outputs[0].name: result}
        ran = dict(zip(names, session.run(None, dict(inputs)), strict=True))
        for port in outputs:
            kind = model.type(port.value)
            wanted = [batch] * kind.batched + [evaluate(size, sizes) for size in kind.shape]
            assert list(made[port.name].shape) == list(ran[port.name].shape) == wanted, port.name
            assert made[port.name].dtype == DTYPES[kind.dtype], port.name
        if not any("table" in step.expressions for step in model.steps):  # PyTorch multiplies with its zeros too
            least, most = (products(model, steps, sizes, batch) for steps in (model.inference, model.steps))
            assert (
                2 * least <= counter.get_total_flops() <= 2 * most
            )  # a block runs whole, also where a part is not used


def products(model: Model, steps: Iterable[Step], sizes: dict[str, int], batch: int) -> int:
    """The multiply-adds of a batch, as the steps state them for one sample."""
    found = 0
    for step in steps:
        found += evaluate(step.macs, sizes) * (batch if model.type(step.outputs[0]).batched else 1)
    return found


__all__ = ["Coverage", "agree", "compiled", "products"]
