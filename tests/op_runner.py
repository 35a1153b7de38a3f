"""Runs models step by step: what each op says it is in PyTorch, and the ONNX file in onnxruntime."""

from __future__ import annotations

from functools import cache
from typing import Any

import onnxruntime
import torch
import torch.nn.functional as F
from torch import nn

from specc.backends import onnx, onnx_file
from specc.backends.onnx_weights import Arrays
from specc.backends.support.transposed_linear import TransposedLinear
from specc.catalogue.op import TensorType
from specc.catalogue.run_time import read
from specc.code.nodes import Attribute, Name, call, index, value
from specc.code.printer import print_expression
from specc.compiler import Compilation, compile_text
from specc.model.graph import Model, Step
from specc.sizes.dim import Dim, evaluate


@cache
def compiled(call: str, shape: str, given: str = "") -> Compilation:
    text = f"block Case() {{\n    {given}\n    {call}\n}}\n\nnetwork Test {{\n    input x: {shape}\n    Case()\n}}\n"
    return compile_text(text)


def model_of(call: str, shape: str, given: str = "") -> Model:
    found = compiled(call, shape, given)
    assert not list(found.bag), [f"{each.code}: {each.message}" for each in found.bag]
    return found.model()


# ------------------------------------------------------------------------------------------ a small PyTorch backend
class Value:
    def __init__(self, name: str, kind: TensorType) -> None:
        self.node, self.type = Name(name), kind

    def dim(self, axis: int) -> int:
        return axis + self.type.batched


class Context:
    """The TorchContext of one step: what it prints is run by `run`."""

    module = Name("module")

    def __init__(self, model: Model) -> None:
        self.inputs = [Value(f"input{at}", model.type(port.value)) for at, port in enumerate(model.inputs)]

    def formula(self, size: Any) -> Any:
        return read(self, size, self.inputs)

    def run(self, *x: Any) -> Any:
        return call(self.module, *x)

    def weight(self, name: str) -> Any:
        return Attribute(self.module, name)

    def size(self, x: Value, axis: int) -> Any:
        found = x.type.shape[axis]
        return index(Attribute(x.node, "shape"), x.dim(axis)) if isinstance(found, Dim) else value(found)

    def function(self, dotted: str, *x: Any, **keywords: Any) -> Any:
        return call(dotted, *x, **keywords)

    def support(self, name: str) -> Any:
        return Name("TransposedLinear")


SCOPE = {"nn": nn, "F": F, "torch": torch, "TransposedLinear": TransposedLinear}


def filled(model: Model, sizes: dict[str, int]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    found = {}
    for weight in model.weights:
        shape = [evaluate(size, sizes) for size in weight.spec.shape]
        found[weight.key] = torch.randn(shape, generator=generator)
    return found


def run(model: Model, x: Any, state: dict[str, torch.Tensor], as_modules: bool = False) -> list[list[torch.Tensor]]:
    """The outputs of every step, each as PyTorch runs what the op prints."""
    inputs = x if isinstance(x, tuple) else (x,)
    values = {port.value: each for port, each in zip(model.inputs, inputs, strict=True)}
    values |= {at.id: state[at.key] for at in model.values if at.key}
    scope = {f"input{at}": each for at, each in enumerate(inputs)}
    found = []
    for step in model.steps:
        given = [values[each] for each in step.inputs]
        made = run_step(model, step, given, state, as_modules, scope)
        outputs = list(made) if isinstance(made, tuple | list) else [made]
        values.update(zip(step.outputs, outputs, strict=True))
        found.append(outputs)
    return found


def run_step(
    model: Model, step: Step, given: list[torch.Tensor], state: dict[str, torch.Tensor], as_modules: bool, scope: Any
) -> Any:
    kinds = [model.type(each) for each in step.inputs]
    if not step.op.mixes and any(kind.batched for kind in kinds):
        batch = next(each.shape[0] for each, kind in zip(given, kinds, strict=True) if kind.batched)
        pairs = zip(given, kinds, strict=True)
        given = [each if kind.batched else each.expand(batch, *each.shape) for each, kind in pairs]
    names = {f"x{at}": each for at, each in enumerate(given)}
    built = step.op.module(*kinds)
    module = None
    if built is not None:
        module = eval(print_expression(built), SCOPE)
        if step.module is not None:
            module.requires_grad_(False)
            specs = step.op.weights(*kinds)
            assert {k: list(v.shape) for k, v in module.state_dict().items()} == {
                k: [*v.shape] for k, v in specs.items()
            }
            module.load_state_dict({name: state[step.module.key(name)] for name in specs})
    if as_modules and module is not None:
        return module(*given)
    node = step.op.torch(Context(model), *(Value(f"x{at}", kind) for at, kind in enumerate(kinds)))
    return eval(print_expression(node), {**SCOPE, **scope, **names, "module": module})


def printed(model: Model, path: str) -> str:
    step = next(each for each in model.steps if each.path.endswith(path))
    kinds = [model.type(each) for each in step.inputs]
    return print_expression(step.op.torch(Context(model), *(Value("xyz"[at], kind) for at, kind in enumerate(kinds))))


def example(model: Model, sizes: dict[str, int]) -> torch.Tensor:
    shape = [evaluate(size, sizes) for size in model.type(model.inputs[0].value).shape]
    return torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)) * 1.6 + 0.1


def sizes_of(model: Model) -> dict[str, int]:
    names = sorted(
        {name for size in model.type(model.inputs[0].value).shape if isinstance(size, Dim) for name in size.symbols}
    )
    return {name: 6 + 2 * at for at, name in enumerate(names)}


def in_onnxruntime(model: Model, x: Any, state: dict[str, torch.Tensor], folder: Any) -> list[Any]:
    """What onnxruntime makes of the model's file."""
    source = Arrays({key: each.numpy() for key, each in state.items()})
    graph = onnx.lower(model, weights=source)
    onnx_file.write(graph, folder / "model.onnx")
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = x if isinstance(x, tuple) else (x,)
    return session.run(None, {port.name: each.numpy() for port, each in zip(model.inputs, inputs, strict=True)})
