"""The settings of an `export` section, each a line of its own."""

from __future__ import annotations

from typing import Annotated

from specc.catalogue.arguments import TEXT, Kind, Positive, choice, optional, whole
from specc.catalogue.setting import OPSET, Dotted, Setting


class Opset(Setting):
    """The version of ONNX's operators."""

    role = "export"
    name = "opset"
    default = str(OPSET)

    number: Positive
    """The version."""


class Precision(Setting):
    """How numbers are kept in the exported file."""

    role = "export"
    name = "precision"
    default = "fp32"

    kind: Annotated[str, choice("fp32", "fp16", "bf16", "int8")]
    """Only fp32 for now."""


class Outputs(Setting):
    """What the exported file gives: outputs of the network by name; all of them otherwise."""

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


class BatchNormInside(Setting):
    """What becomes of batch normalisation: its numbers are those of training, so the layer before it can do its work."""

    role = "export"
    name = "batchnorm"
    default = "folded"

    kind: Annotated[str, choice("folded", "kept")]
    """`folded` into the convolution or dense layer right before it, where there is one; `kept` as a node of its own."""
