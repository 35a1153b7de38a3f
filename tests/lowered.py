"""Running one model both ways: the PyTorch expressions of its steps, and its ONNX graph in onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn import functional as F

from specc.backends.onnx import lower
from specc.backends.onnx_file import write
from specc.backends.onnx_weights import Arrays
from specc.backends.support.same_conv import SameConv
from specc.backends.support.table_conv import TableConv
from specc.catalogue.op import Op, TensorType
from specc.code.nodes import Attribute, Expression, Name, call, index, method, value
from specc.code.printer import print_expression
from specc.compiler import compile_text

KNOWN = {"torch": torch, "nn": nn, "F": F, "TableConv": TableConv, "SameConv": SameConv}


def network(line: str, shape: str) -> str:
    return f"network N {{\n    input input: {shape}\n    {line}\n}}\n"


def compiled(line: str, shape: str) -> Any:
    """The model of a network with these steps; asserts that there is no diagnostic."""
    found = compile_text(network(line, shape))
    assert not list(found.bag), [each.message for each in found.bag]
    return found.model()


def codes(line: str, shape: str) -> list[str]:
    return [each.code for each in compile_text(network(line, shape)).bag]


@dataclass
class Tensor:
    node: Expression
    type: TensorType

    def dim(self, axis: int) -> int:
        return axis + 1 if self.type.batched else axis


@dataclass
class Context:
    """The TorchContext of one step whose module is called `module`."""

    types: tuple[TensorType, ...]
    module: Expression = field(default_factory=lambda: Name("module"))

    def run(self, *x: Any) -> Expression:
        return call(self.module, *x)

    def weight(self, name: str) -> Expression:
        return Attribute(self.module, name)

    def size(self, x: Tensor, axis: int) -> Expression:
        found = x.type.shape[axis]
        return value(found) if isinstance(found, int) else index(Attribute(x.node, "shape"), x.dim(axis))

    def function(self, dotted: str, *x: Any, **keywords: Any) -> Expression:
        return call(dotted, *x, **keywords)

    def method(self, x: Any, name: str, *arguments: Any, **keywords: Any) -> Expression:
        return method(value(x), name, *arguments, **keywords)

    def formula(self, size: Any) -> Expression:
        raise AssertionError(f"{size} cannot be read from the inputs of the step")

    def support(self, name: str) -> Expression:
        return Name({"table_conv": "TableConv", "same_conv": "SameConv"}[name])


def built(op: Op, *x: TensorType) -> str:
    """How the module is built, as text; "" if there is none."""
    node = op.module(*x)
    return "" if node is None else print_expression(node)


def written(op: Op, *x: TensorType, gives: tuple[TensorType, ...] = (), names: tuple[str, ...] = ("x",)) -> str:
    """The expression in `forward`, with the inputs by these names."""
    given = [Tensor(Name(name), each) for name, each in zip(names, x, strict=True)]
    return print_expression(op.torch(Context(gives), *given))


class Torch:
    """The steps of a model as PyTorch runs them."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.modules: list[Any] = []
        for step in model.steps:
            ordered = [model.type(v) for v, port in zip(step.inputs, step.ports, strict=True) if not port]
            text = built(step.op, *ordered) if not any(step.ports) else ""
            self.modules.append(eval(text, dict(KNOWN)).eval() if text else None)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        tensors = {self.model.inputs[0].value: x}
        for step, module in zip(self.model.steps, self.modules, strict=True):
            names = {f"x{at}": tensors[each] for at, each in enumerate(step.inputs)}
            given = [Tensor(Name(f"x{at}"), self.model.type(each)) for at, each in enumerate(step.inputs)]
            ordered = [each for each, port in zip(given, step.ports, strict=True) if not port]
            named: Any = {port: each for each, port in zip(given, step.ports, strict=True) if port}
            context = Context(tuple(self.model.type(each) for each in step.outputs))
            text = print_expression(step.op.torch(context, *ordered, **named))
            tensors[step.outputs[0]] = eval(text, {**KNOWN, **names, "module": module})
        return tensors[self.model.outputs[0].value]

    def state(self) -> dict[str, Any]:
        found = {}
        for step, module in zip(self.model.steps, self.modules, strict=True):
            if module is not None and step.module is not None:
                found.update({step.module.key(name): each for name, each in module.state_dict().items()})
        return found


def agree(model: Any, path: Path, *shapes: tuple[int, ...]) -> None:
    """Assert that PyTorch and onnxruntime give the same for random inputs of these shapes."""
    runs = Torch(model)
    for each in runs.modules:
        if isinstance(each, nn.modules.batchnorm._BatchNorm) and each.running_mean is not None:
            each.running_mean.normal_()
            each.running_var.uniform_(0.5, 2)
    state = runs.state()
    assert {w.key: tuple(w.spec.shape) for w in model.weights} == {
        key: tuple(each.shape) for key, each in state.items()
    }
    write(lower(model, weights=Arrays({key: each.numpy() for key, each in state.items()})), path)
    onnx.checker.check_model(str(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    for shape in shapes:
        x = torch.randn(2, *shape)
        with torch.no_grad():
            wanted = runs(x).numpy()
        (given,) = session.run(None, {"input": x.numpy()})
        assert given.shape == wanted.shape
        np.testing.assert_allclose(given, wanted, rtol=1e-4, atol=1e-5)
