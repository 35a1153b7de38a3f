"""What the backends hand to an op: the interfaces of PyTorch and ONNX lowering, so that ops import neither."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from specc.catalogue.op import TensorType, WeightSpec
from specc.code.nodes import Expression
from specc.sizes.dim import Size


class TorchValue(Protocol):
    """A tensor in `forward`: the expression that names it, and its type."""

    @property
    def node(self) -> Expression: ...
    @property
    def type(self) -> TensorType: ...
    def dim(self, axis: int) -> int:
        """PyTorch's dimension of an axis counted without the batch (axis 0 is 1 where there is a batch)."""


class TorchContext(Protocol):
    """One step in `forward`."""

    @property
    def placed(self) -> bool:
        """Whether the step has a module: it is a line of its own and not part of an expression such as `x + f(y)`."""

    @property
    def module(self) -> Expression:
        """The step's module, `self.conv1`; only for ops whose `module` is not None."""

    @property
    def types(self) -> tuple[TensorType, ...]:
        """The types of the outputs; without the further ones where nothing needs any of them."""

    @property
    def device(self) -> Expression | None:
        """Where a tensor that comes from no input is made: where the others are, `x.device`."""

    def run(self, *x: TorchValue | Expression) -> Expression:
        """The module called on these inputs."""

    def weight(self, name: str) -> Expression:
        """A weight of the step's module: `self.conv1.weight`."""

    def size(self, x: TorchValue, axis: int) -> Expression:
        """A size at run time: the number where it is known, else `x.shape[2]`."""

    def formula(self, size: Size) -> Expression:
        """Any size at run time, its unknowns read from whatever tensor at hand has them."""

    def function(self, dotted: str, *x: Any, **keywords: Any) -> Expression:
        """A call of a function of torch (`"F.relu"`, `"torch.cat"`); values become nodes, the import is seen to."""

    def support(self, name: str) -> Expression:
        """The name of a class that the module brings along (specc/backends/support/<name>.py, written out verbatim)."""


class OnnxValue(Protocol):
    """A tensor in the graph."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> TensorType: ...
    def dim(self, axis: int) -> int:
        """ONNX's dimension of an axis counted without the batch."""


class OnnxGraph(Protocol):
    """Builds the nodes of one step."""

    @property
    def types(self) -> tuple[TensorType, ...]:
        """The types of the step's outputs; without the further ones where nothing needs any of them."""

    def weight(self, name: str) -> OnnxValue:
        """An initialiser: the step's weight of that name in the state-dict."""

    def node(
        self,
        kind: str,
        *x: OnnxValue | str,
        type: TensorType | tuple[TensorType, ...] | None = None,
        outputs: int = 1,
        **attributes: Any,
    ) -> Any:
        """Add a node and give its output (a tuple where `outputs` > 1).

        `type` is the type of the output where it is not the step's own output, or a tuple with the type of each of
        several; "" is an input left out.
        """

    def maker(self, x: OnnxValue) -> tuple[str, tuple[OnnxValue, ...]]:
        """The kind and the inputs of the node that a tensor comes from; "" if it comes from none."""

    def equal(self, one: Size, other: Size) -> bool:
        """Whether two sizes are found to be equal for all sizes that the network takes."""

    def constant(self, value: Any, dtype: str = "float") -> OnnxValue:
        """A constant from nested Python numbers; equal ones are stored once. dtype is float, int or bool."""

    def shape(self, *sizes: Any, batch: bool = True) -> OnnxValue:
        """A 1-D int64 tensor of these sizes, if `batch` with the batch in front where the step's output has one.

        Unknown sizes are computed in the graph from the inputs' run-time shapes.
        """

    def once(self, key: object, make: Callable[[], Any]) -> Any:
        """What `make` gives, made by the first step that asks for this key: only of sizes, never of a step's tensors."""

    def new_weight(self, name: str, spec: WeightSpec, compute: Any) -> OnnxValue:
        """An initialiser computed from the step's weights when they are written (a dense kernel from a compact one)."""
