"""Kernels stored as lengths and directions: their weights, and the kernel they stand for (arXiv:1602.07868)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from specc.catalogue.op import WeightSpec

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue

WEIGHT_NORM = "nn.utils.parametrizations.weight_norm"
LENGTH, DIRECTION = "parametrizations.weight.original0", "parametrizations.weight.original1"


def weight_normed(weight: WeightSpec) -> dict[str, WeightSpec]:
    """The two weights in the place of one, by PyTorch's names.

    The squares of a kernel are the square of its length, so a decay of the lengths is that of the kernel.
    """
    length = WeightSpec((weight.shape[0], *(1 for _ in weight.shape[1:])), init="norm")
    return {LENGTH: length, DIRECTION: WeightSpec(weight.shape, fan_in=weight.fan_in, decays=False)}


def normed_onnx(g: OnnxGraph, weights: Mapping[str, WeightSpec]) -> OnnxValue:
    """The kernel itself, worked out when the file is written."""

    def compute(arrays: Mapping[str, Any]) -> Any:
        direction = arrays[DIRECTION]
        axes = tuple(range(1, direction.ndim))
        return direction * (arrays[LENGTH] / (direction * direction).sum(axes, keepdims=True) ** 0.5)

    return g.new_weight("weight", WeightSpec(weights[DIRECTION].shape), compute)
