"""Specs as text, their generated PyTorch module and their ONNX file, and that the two agree: what several tests share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from specc.backends import onnx as onnx_backend
from specc.backends.onnx_file import write as write_onnx
from specc.backends.onnx_weights import Arrays
from specc.backends.pytorch import load, write
from specc.compiler import compile_text
from specc.deploy.proof import open_session, prove, relative_error
from specc.model.graph import Model
from specc.sizes.conditions import admits
from specc.sizes.dim import Dim, evaluate

DTYPES = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}
torch.set_num_threads(1)


def network(lines: str, *shapes: str) -> str:
    """A network with these steps (one to a line, or parted by `;`); its input is `input`, or `x`, `y`, `z` if several."""
    names = ["input"] if len(shapes) == 1 else ["x", "y", "z"]
    inputs = [f"input {name}: {shape.strip()}" for name, shape in zip(names, shapes, strict=False)]
    return "network N {\n" + "".join(f"    {line}\n" for line in [*inputs, *filter(None, lines.split("\n"))]) + "}\n"


def compiled(text: str, sizes: Mapping[str, int] | None = None) -> Model:
    """The model; asserts that there is nothing to say about the text."""
    found = compile_text(text, sizes=sizes)
    assert not list(found.bag), ([f"{each.code}: {each.message}" for each in found.bag], text)
    return found.model()


def codes(text: str, sizes: Mapping[str, int] | None = None) -> list[str]:
    return [each.code for each in compile_text(text, sizes=sizes, fixes=False).bag]


def source(lines: str, *shapes: str) -> str:
    """The PyTorch source of a network with these steps."""
    return write(compiled(network(lines, *shapes)))


def built(model: Model) -> Any:
    """The generated module in eval mode, with weights that are all different and running statistics that matter."""
    torch.manual_seed(0)
    module = load(write(model), model.name)().eval()
    for key, value in module.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.3)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif key.endswith(("weight", "bias")) and value.dim() == 1:
            value.uniform_(0.4, 1.2)
    return module


def exported(model: Model, module: Any, path: Path) -> Path:
    """The ONNX file of the model with the weights of the module."""
    arrays = {key: value.numpy() for key, value in module.state_dict().items()}
    write_onnx(onnx_backend.lower(model, weights=Arrays(arrays)), path)
    return path


def _trilinear(first: list[int], weight: list[int], *_: Any, **__: Any) -> int:
    """Of nn.Bilinear: each weight once for each row of the inputs."""
    return 2 * first[0] * prod(weight)


_UNCOUNTED = {torch.ops.aten._trilinear: _trilinear}


@contextmanager
def counting() -> Iterator[FlopCounterMode]:
    """PyTorch's count of what runs inside, all of it: fused kernels, which it does not see into, are put aside."""
    before = torch._C._get_mkldnn_enabled(), torch.backends.mha.get_fastpath_enabled()
    torch._C._set_mkldnn_enabled(False)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False, custom_mapping=_UNCOUNTED) as counter:
            yield counter
    finally:
        torch._C._set_mkldnn_enabled(before[0])
        torch.backends.mha.set_fastpath_enabled(before[1])


def hold(model: Model, *sizes: Mapping[str, int], module: Any = None) -> Any:
    """PyTorch and onnxruntime agree: as the compiler proves it, and at these further sizes. Gives the module."""
    module = module or built(model)
    with tempfile.TemporaryDirectory() as folder:
        path = exported(model, module, Path(folder) / "model.onnx")
        prove(model, path, module)
        session = open_session(path) if sizes else None
    for each in sizes:
        assert admits(model.conditions, each), each
        x = inputs_of(model, each, 2)
        got = session.run(None, {port.name: value.numpy() for port, value in zip(model.inputs, x, strict=True)})
        wanted = outputs_of(model, module, x)
        for port, value in zip(model.outputs, got, strict=True):
            assert list(value.shape) == [2, *(evaluate(size, each) for size in model.type(port.value).shape)]
            assert relative_error(value, wanted[port.name].numpy()) <= 1e-4, (each, port.name)
    return module


def inputs_of(model: Model, sizes: Mapping[str, int], batch: int, device: str = "cpu") -> list[torch.Tensor]:
    """Seeded inputs of these sizes: numbers from -1 to 1, whole numbers from 0 to 3, true and false."""
    generator = torch.Generator().manual_seed(batch)
    found = []
    for port in model.inputs:
        kind = model.type(port.value)
        shape = [batch, *(evaluate(size, sizes) for size in kind.shape)]
        if device == "meta":
            found.append(torch.empty(shape, dtype=DTYPES[kind.dtype], device=device))
        elif kind.dtype == "float":
            found.append(torch.rand(shape, generator=generator) * 2 - 1)
        else:
            found.append(
                torch.randint(0, 4 if kind.dtype == "int" else 2, shape, generator=generator).to(DTYPES[kind.dtype])
            )
    return found


def outputs_of(model: Model, module: Any, inputs: Iterable[torch.Tensor]) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        made = module(*inputs)
    return dict(made) if isinstance(made, dict) else {model.outputs[0].name: made}


def symbols_of(model: Model) -> list[str]:
    """The unknown sizes of the inputs."""
    shapes = [model.type(port.value).shape for port in model.inputs]
    return sorted({name for shape in shapes for size in shape if isinstance(size, Dim) for name in size.symbols})


def weighs_unknown(model: Model) -> bool:
    """Whether a weight has an unknown size, so that the module cannot be built before it is bound."""
    return any(isinstance(size, Dim) for weight in model.weights for size in weight.spec.shape)
