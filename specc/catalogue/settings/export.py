"""The settings of an `export` section, each a line of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from specc.catalogue.arguments import TEXT, KeywordOnly, Kind, Positive, choice, optional, whole
from specc.catalogue.entry import Misfit
from specc.catalogue.setting import OPSET, Dotted, Setting


class Opset(Setting):
    """The version of ONNX's operators."""

    role = "export"
    name = "opset"
    default = str(OPSET)

    number: Positive
    """The version."""


class Precision(Setting):
    """How numbers are kept in the exported file: `precision fp16`, `precision int8(calibrate=256)`."""

    role = "export"
    name = "precision"
    holds = "precision"
    default = "fp32"


class SinglePrecision(Setting):
    """32 bits, as in training."""

    role = "precision"
    name = "fp32"


class HalfPrecision(Setting):
    """16 bits for weights and everything between them; inputs and outputs stay as they are."""

    role = "precision"
    name = "fp16"


class BrainPrecision(Setting):
    """16 bits with the range of 32: not for files, because ONNX's convolution does not take it before opset 22 and
    onnxruntime has no kernels for it on CPUs."""

    role = "precision"
    name = "bf16"

    def refusals(self) -> Iterable[Misfit]:
        message = "onnxruntime has no kernels for `bf16` on CPUs, nor ONNX a convolution in it before opset 22"
        yield Misfit("unsupported-setting", message, "take fp16, or int8")


class WholeNumbers(Setting):
    """8 bits for convolutions and dense layers, a scale for each output channel, by the ranges of training samples."""

    role = "precision"
    name = "int8"

    _: KeywordOnly
    calibrate: Positive = 256
    """How many training samples the ranges of tensors are taken from."""


class Outputs(Setting):
    """What the exported file gives: outputs of the network by name, `softmax`, `argmax`, `classes` (by the `threshold` of
    `postprocess`, where there is one) or `logits` of them; otherwise all outputs of the network, and `classes` where there
    is a `threshold`."""

    role = "export"
    name = "outputs"
    rest = Dotted("the name of an output", TEXT)


class Sizes(Setting):
    """Unknown sizes that are fixed in the exported file: `sizes H=224, W=224`."""

    role = "export"
    name = "sizes"
    extra = Kind("a whole number from 1 on", whole(1))


class PrepareInside(Setting):
    """Whether the file does itself what `prepare` of the training section says, so that it takes raw inputs.

    Pictures then come in as pixels from 0 to 255, of any size where `resize` or `crop` makes them fit.
    """

    role = "export"
    name = "prepare"
    default = "inside"

    kind: optional(Annotated[str, choice("inside")])  # type: ignore[valid-type]
    """`none`: the file takes what the network takes."""


class PostprocessInside(Setting):
    """Whether the file says classes itself as `threshold` of `postprocess` does: as its output `classes`, whole numbers.

    ONNX has no connected regions: `largest_regions` is done by `specc predict`, as all of `postprocess` with `none`.
    """

    role = "export"
    name = "postprocess"
    default = "inside"

    kind: optional(Annotated[str, choice("inside")])  # type: ignore[valid-type]
    """`none`: the file gives what the network gives."""


class BatchNormInside(Setting):
    """What becomes of batch normalisation: its numbers are those of training, so the layer before it can do its work."""

    role = "export"
    name = "batchnorm"
    default = "folded"

    kind: Annotated[str, choice("folded", "kept")]
    """`folded` into the convolution or dense layer right before it, where there is one; `kept` as a node of its own."""
