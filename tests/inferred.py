"""Shapes found by others without running a network: PyTorch's meta device, and the shape inference of onnx."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import shape_inference
from proved import counting

from specc.deploy.proof import random_inputs
from specc.model.graph import Model
from specc.sizes.dim import evaluate, parse

# whose code reads numbers of a tensor to know what to do: PyTorch has no shapes for them without values
READS = {"gather": ".item() cannot be called on meta", "lengths": "Cannot copy out of meta tensor"}

KNOWN = "known"


def reads_numbers(model: Model) -> list[str]:
    """What PyTorch says of the steps that cannot run on the meta device; none where all can."""
    bare = [
        READS["gather"]
        for step in model.steps
        if step.op.name == "gather" and model.type(step.inputs[1]).rank == 0 and not model.type(step.inputs[1]).batched
    ]
    return bare + [READS["lengths"] for step in model.steps if "lengths" in step.ports]


def meta(model: Model, module: Any, sizes: Mapping[str, int], batch: int) -> tuple[dict[str, Any], int] | None:
    """The outputs of the module on the meta device and the FLOPs that PyTorch counts; None where it reads numbers."""
    inputs = [torch.from_numpy(each).to("meta") for each in random_inputs(model, sizes, batch, seed=0).values()]
    bare = deepcopy(module).to("meta")
    refusals = reads_numbers(model)
    try:
        with torch.no_grad(), counting() as counter:
            made = bare(*inputs)
    except (RuntimeError, NotImplementedError) as error:
        if not any(each in str(error) for each in refusals):
            raise
        return None
    assert not refusals, "it says that it cannot run on the meta device, and it can"
    outputs = [port for port in model.outputs if not port.training]
    return dict(made) if isinstance(made, dict) else {outputs[0].name: made}, counter.get_total_flops()


def onnx_shapes(path: Path, sizes: Mapping[str, int], batch: int) -> Counter[str]:
    """Every tensor of the file has the shape that onnx infers from inputs of these sizes, and its element type.

    Gives how many sizes it knew, and which kinds of node made those that it does not know.
    """
    model = onnx.load(str(path))
    given = {**sizes, "batch": batch}
    stated = {each.name: each.type.tensor_type for each in (*model.graph.value_info, *model.graph.output)}
    stated = {name: (kind.elem_type, [_size(each, given) for each in kind.shape.dim]) for name, kind in stated.items()}
    del model.graph.value_info[:]
    for port in model.graph.input:
        for each in port.type.tensor_type.shape.dim:
            each.dim_value = _size(each, given)
    for port in model.graph.output:
        port.type.tensor_type.ClearField("shape")
    graph = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    found_out: Counter[str] = Counter()
    given_as_is = {port.name for port in graph.input}
    for info in (*graph.value_info, *(each for each in graph.output if each.name not in given_as_is)):
        dtype, shape = stated.get(info.name, (0, None))
        found = info.type.tensor_type
        assert shape is not None, f"{info.name} has no stated shape"
        assert found.elem_type == dtype, info.name
        if not found.HasField("shape"):
            found_out[makers[info.name]] += len(shape)
            continue
        assert len(found.shape.dim) == len(shape), f"{info.name}: rank {len(found.shape.dim)}, stated {shape}"
        for at, (each, size) in enumerate(zip(found.shape.dim, shape, strict=True)):
            known = each.HasField("dim_value")
            assert not known or each.dim_value == size, f"{info.name}, axis {at}: {each.dim_value}, stated {shape}"
            found_out[KNOWN if known else makers[info.name]] += 1
    return found_out


def _size(dim: Any, given: Mapping[str, int]) -> int:
    return evaluate(parse(dim.dim_param), given) if dim.dim_param else dim.dim_value


__all__ = ["KNOWN", "meta", "onnx_shapes", "reads_numbers"]
