"""What an op is: one class that holds its arguments, shape rule, weights, cost, and its PyTorch and ONNX forms.

Shapes leave the batch out. `TensorType.batched` says whether the tensor has a batch axis in front at run time
(`parameter`, `buffer`, `arange` have none). Sizes are `int` or, where unknown, `Dim`; write rules with + - * // and they
serve both. Everything here must also work with `specc.code.nodes.Traced` ints, with which the PyTorch backend prints
`4 * growth` instead of 128: only compare and compute, never `type(x) is int`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specc.catalogue.arguments import Flag, Initializer, KeywordOnly, NonNegative, TensorArgument, optional
from specc.catalogue.entry import Entry, Misfit
from specc.sizes.conditions import Predicate
from specc.sizes.dim import Size

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression

Dtype = Literal["float", "int", "bool"]
Layout = Literal["", "first", "last"]


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape without the batch, element type, and which axis holds the features (`layout`; "" if undecided).

    `places` are the spatial sizes of the tensor whose places these whole numbers are, where that is known.
    """

    shape: tuple[Size, ...]
    dtype: Dtype = "float"
    batched: bool = True
    layout: Layout = ""
    places: tuple[Size, ...] = field(default=(), compare=False)

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def channels(self) -> Size:
        return self.shape[0]

    @property
    def spatial(self) -> tuple[Size, ...]:
        return self.shape[1:]

    @property
    def last(self) -> Size:
        return self.shape[-1]

    def to(self, *shape: Size, dtype: Dtype | None = None, layout: Layout | None = None) -> TensorType:
        """The same tensor with another shape."""
        return replace(self, shape=shape, dtype=dtype or self.dtype, layout=self.layout if layout is None else layout)


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """One tensor of the state-dict. `init` names PyTorch's default initialiser of that tensor with its arguments.

    `decays` is false for biases and norms, which weight decay leaves alone. `fan_in` scales the default initialiser.
    """

    shape: tuple[Size, ...]
    kind: Literal["parameter", "buffer"] = "parameter"
    dtype: Dtype = "float"
    init: str = "uniform_fan_in"
    fan_in: Size = 0
    decays: bool = True
    arguments: tuple[tuple[str, float], ...] = ()  # of `init`
    values: tuple[float, ...] | None = None  # a buffer's numbers in row order


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold of the sizes, and the refusal if it does not. Yield only what is not plainly true."""

    predicate: Predicate | bool
    misfit: Misfit


@dataclass(frozen=True, slots=True)
class Reach:
    """How far one axis sees: `extent` inputs per output, `down` inputs per step, `up` outputs per input."""

    extent: int = 1
    down: int = 1
    up: int = 1


EVERYTHING = "everything"


class Op(Entry):
    """A layer or an operator on tensors. Inputs reach the methods in order, tensors given by name as keywords.

    `takes` is the pattern of each input, split by `;`: names of axes, `*s` for any number of them (at least one), `*`
    for any rank. `inputs` is the least and greatest number of tensors by position (None: any number).
    """

    takes: ClassVar[str] = "*"
    inputs: ClassVar[tuple[int, int | None]] = (1, 1)
    tensors_last: ClassVar[bool] = False  # its tensors stand behind its other arguments
    further: ClassVar[tuple[str, ...]] = ()  # names of outputs after the first: `pool.indices`
    operator: ClassVar[str] = ""
    value: ClassVar[Callable[..., Any] | None] = None  # the same function on plain numbers
    for_channels: ClassVar[bool] = False  # its module is built for the input's channels even where no weight shows them
    batchless: ClassVar[bool] = False  # may be used on tensors without a batch
    one_is_itself: ClassVar[bool] = False  # of a list with one tensor it makes that tensor
    mixes: ClassVar[bool] = False  # takes tensors with and without a batch together
    layout: ClassVar[Layout | None] = None  # None: the layout of its first input
    makes: ClassVar[str] = ""  # what its numbers are: "probabilities", "probability", …
    moves: ClassVar[bool] = False  # gives its input's numbers as they are, only in another place or shape
    undone: ClassVar[bool] = False  # as a head, its logits are its input
    dtypes: ClassVar[tuple[Dtype, ...]] = ("float",)  # element types its inputs may have

    def tensors(self) -> tuple[int, int | None]:
        """The least and greatest number of tensors by position, for ops where the arguments say that."""
        return self.inputs

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType | tuple[TensorType, ...]:
        """The output's type; raises Misfit. Called once all rules were found not to be refuted."""
        return x[0]

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        """What must hold of the sizes of the inputs."""
        return ()

    def weights(self, *x: TensorType, **named: TensorType) -> Mapping[str, WeightSpec]:
        """The state-dict entries of the module, in PyTorch's order and with PyTorch's names."""
        return {}

    def macs(self, *x: TensorType, y: TensorType, **named: TensorType) -> Size:
        """Multiply-adds as ARCHITECTURE's "Counting" says; a formula when sizes are unknown."""
        return 0

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        """Per spatial axis; None for an op that looks at one place at a time; EVERYTHING if it sees all of it."""
        return None

    def module(self, *x: TensorType, **named: TensorType) -> Expression | None:
        """How the module is built, `nn.Conv2d(3, 64, 7)`; None if there is no such module."""
        return None

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        """The expression in `forward`: by default the module called on the inputs."""
        return t.run(*x) if t.placed else self.inline(t, *x)

    def inline(self, t: TorchContext, *x: TorchValue) -> Expression:
        """The same where it has no module, because it stands inside an expression: `x + dropout(y)`."""
        raise NotImplementedError(f"{type(self).__name__} has no form without a module")

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue | tuple[OnnxValue, ...]:
        """The nodes of this op, added to the graph; its weights are `g.weight("weight")`."""
        raise NotImplementedError(f"{type(self).__name__} has no ONNX form")


class WeightedOp(Op):
    """An op with weights: the arguments that every such op takes."""

    _: KeywordOnly
    init: optional(Initializer) = None  # type: ignore[valid-type]
    """How the weight starts; by default as in PyTorch, or as the setting `init` says."""
    bias_init: optional(Initializer) = None  # type: ignore[valid-type]
    """How the bias starts."""
    l1: NonNegative = 0
    """What the sum of the weight's magnitudes counts in the loss."""
    l2: NonNegative = 0
    """What the sum of the weight's squares counts in the loss."""
    lr: NonNegative = 1
    """The factor of the optimizer's learning rate for these weights."""
    trainable: Flag = True
    """Whether the weights change in training."""
    weight: TensorArgument = None
    """The tensor that is used as the weight: another layer's (`wte.weight`), then both keys share it."""
