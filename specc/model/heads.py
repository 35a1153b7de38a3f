"""What the numbers of an output are: its last step that does more than move them, and whether `logits` undoes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from specc.catalogue.axes import UNSAID, position

if TYPE_CHECKING:
    from specc.catalogue.op import TensorType
    from specc.catalogue.setting import Loss
    from specc.model.graph import Model, Port, Step, ValueId
    from specc.sizes.dim import Size

OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Head:
    """`makes` is the trait of the op behind an output ("" for plain scores); `undone` is true where `logits` gives
    what goes into it instead. `step` is that op's step, None for an output that is an input or a weight."""

    type: TensorType
    makes: str
    undone: bool
    step: Step | None

    def compares(self, loss: Loss) -> str:
        """What the loss takes its numbers for: see `Loss.compares`. Raises Misfit `no-such-axis`."""
        return loss.compares(self.makes, self.numbers(getattr(loss, "axis", UNSAID)))

    def numbers(self, said: Any = UNSAID) -> Size:
        """How many there are along the axis of the classes. Raises Misfit `no-such-axis`."""
        return self.type.shape[self.axis(said)] if self.type.rank else 1

    def axis(self, said: Any = UNSAID) -> int:
        """The axis of the classes: as said, else that of the step, else the first. Raises Misfit `no-such-axis`."""
        if said is not UNSAID:
            return position(said, self.type.rank)
        own = getattr(self.step.op, "axis", None) if self.step is not None and self.makes else None
        return 0 if own is None else position(own, self.type.rank)


def outputs(model: Model) -> dict[str, Port]:
    """The outputs by the names they have in the module, JSON and ONNX."""
    return {port.name or OUTPUT: port for port in model.outputs}


def head(model: Model, output: str) -> Head:
    """The head behind an output of that name."""
    value = outputs(model)[output].value
    kind = model.type(value)
    last = maker(model, value)
    step = last
    while step is not None and step.op.moves:
        step = maker(model, step.inputs[0])
    makes = step.op.makes if step is not None else ""
    undone = last is not None and last.op.undone and last.outputs[0] == value
    return Head(kind, makes, undone, step)


def maker(model: Model, value: ValueId) -> Step | None:
    """The step that makes a tensor; None for inputs and weights."""
    at = model.values[value].step
    return None if at is None else model.steps[at]
