"""What a setting is: an entry with a role in a `train` or `export` section, and the traits by which roles fit together.

The settings that stand at the start of a line have the role "train" or "export". What they hold (a loss, an optimizer,
a source …) are entries too, each in a role of its own, so that `mse` may be a loss and a metric.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from specc.catalogue.arguments import TEXT, KeywordOnly, Kind, TensorArgument, choice, either, items, real
from specc.catalogue.entry import Entry, Misfit
from specc.catalogue.op import TensorType
from specc.code.nodes import Expression
from specc.sizes.dim import Size
from specc.text.record import Record

OPSET = 21  # of the ONNX that is written; onnxruntime loads it, and newer ones only later


class Dotted(Kind):
    """The kind of an argument that is a bare dotted name: a module path, a column of the metrics."""


class Held(Kind):
    """The kind of an argument that is itself an entry of a role: the source that another source is made from."""

    role: str = ""


class Phase(Record):
    """A phase of training by its name, in place of a file that it wrote."""

    name: str


class Phased(Kind):
    """The kind of an argument that is a file in quotes, or the bare name of a phase."""


def _is_phase(value: Any) -> Any:
    if isinstance(value, Phase):
        return value
    raise ValueError("not a phase")


FileOrPhase = Annotated[
    Any,
    Phased(
        'a file in quotes, "resnet18.safetensors", or the name of a phase',
        either(TEXT, {"type": "function-plain", "function": {"type": "no-info", "function": _is_phase}}),
    ),
]
DottedName = Annotated[str, Dotted("a name such as validation.loss", TEXT)]
DottedNames = Annotated[tuple[str, ...], Dotted("a name or a list of names", either(TEXT, items(TEXT)))]
Interval = Annotated[tuple[float, float], Kind("a list of two numbers", items(real(), 2, 2))]
Names = Annotated[tuple[str, ...], Kind("a list of texts", items(TEXT, 1))]

Shape = tuple[int | None, ...]
BALANCED = "balanced"  # weights by which every class has the same share
PER_CLASS = ("probabilities", "scores")  # what the numbers of an output are where each class has its own


class Setting(Entry):
    """A documented name of a section.

    `holds` is the role of the values it takes by position (`optimizer` holds an "optimizer"), `many` whether more than
    one, `default` what it is where the section says nothing, as text. `rival` is the setting that says the same thing
    in another way, of which a section has one. `runs` names the implementation, "specc.data.tables:Table", which only
    the floors that run it resolve, `library` one of an extra that it needs.
    """

    role: ClassVar[str] = "train"
    holds: ClassVar[str] = ""
    many: ClassVar[bool] = False
    default: ClassVar[str] = ""
    rival: ClassVar[str] = ""
    runs: ClassVar[str] = ""
    library: ClassVar[str] = ""

    def refusals(self) -> Iterable[Misfit]:
        """What its type cannot say of its arguments."""
        return ()


class SourceSetting(Setting):
    """A source of data."""

    role = "source"

    def keywords(self, folder: Path) -> Mapping[str, Any]:
        """The arguments of the implementation; paths start at `folder`."""
        raise NotImplementedError


class PrepareSetting(Setting):
    """A step that every split goes through; built into the exported file."""

    role = "prepare"

    def keywords(self) -> Mapping[str, Any]:
        """The arguments of the implementation."""
        raise NotImplementedError

    def gives(self, shape: Shape) -> Shape:
        """The shape of an input after it; None is a size that is not known."""
        return shape


@dataclass(frozen=True, slots=True)
class Facing:
    """What a loss is held against.

    `type` is the output's, `logits` whether what is given are scores before the head, `target` the kind of target as
    the data floor names them ("" for another tensor of the network that has the output's shape), `axis` that of the
    classes without the batch. `scores` is a tensor of the output's shape, `compares` what its numbers are to the loss
    (`Loss.compares`), `counts` how many training samples, or positions, each class has.
    """

    type: TensorType
    scores: Expression
    logits: bool
    target: str
    axis: int = 0
    compares: str = ""
    counts: tuple[int, ...] = ()

    @property
    def each(self) -> bool:
        """Whether there is a number per class, and not one for yes and no."""
        return self.compares in PER_CLASS


class Loss(Setting):
    """A loss. `wants` is what the numbers of its output must be, "" for any number.

    That is "probability" or "score" for yes and no, and "probabilities" or "scores" for a number per class; a loss that
    knows both forms says in `compares` which it is. `undoes` says that it is computed on the scores before the head
    where there is one. `targets` are the kinds of target it compares with: those of the data floor, and "tensor" for
    real numbers of the network itself in the output's shape. `measures` is the metric shown where none is named,
    `advice` says how to end a network. `bounded` is false for one that can fall without end,
    `mixes` true for one that takes shares of classes as its target.
    """

    role = "loss"
    wants: ClassVar[str] = ""
    undoes: ClassVar[bool] = False
    advice: ClassVar[str] = ""
    targets: ClassVar[tuple[str, ...]] = ()
    measures: ClassVar[str] = ""
    bounded: ClassVar[bool] = True
    mixes: ClassVar[bool] = False

    output: TensorArgument = None
    """The output it is held against; may be left out where there is one."""
    _: KeywordOnly
    target: TensorArgument = None
    """What the output is compared with: the data's target, or an input or output by name."""
    reduce: Annotated[str, choice("mean", "sum")] = "mean"
    """The mean over all numbers, or their sum per sample and the mean of that over the batch."""

    def compares(self, makes: str, numbers: Size) -> str:
        """What the numbers of an output must be that makes these (`Op.makes`), so many along the axis of the classes."""
        return self.wants

    def takes(self, compares: str) -> tuple[str, ...]:
        """The kinds of target for an output of that form."""
        return self.targets

    def fits(self, type: TensorType, compares: str, numbers: Size) -> Iterable[Misfit]:
        """What does not go with an output of that type and form."""
        return ()

    def lower(self, output: Expression, target: Expression, facing: Facing) -> Expression:
        """The loss of a batch as code: a tensor without axes."""
        raise NotImplementedError

    def amount(self, output: Expression, target: Expression, facing: Facing) -> Expression | None:
        """What its mean is divided by, where that is not the number of samples: then `reduce=sum` and this make it up."""
        return None


class Optimizer(Setting):
    """An optimizer. `couples` says that its weight decay is that of `regularize l2`: added to the gradient.

    One that is not `grouped` takes all weights as one, with one rate, and asks for the loss as often as it likes.
    """

    role = "optimizer"
    couples: ClassVar[bool] = True
    grouped: ClassVar[bool] = True
    lr: Any

    def lower(self, groups: Expression) -> Expression:
        """The optimizer as code, for parameter groups that have their own `lr` and `weight_decay` where they need."""
        raise NotImplementedError


class Average(Setting):
    """A mean of the weights on their way, of every step or of every epoch after the first `begins`."""

    role = "average"
    stepwise: ClassVar[bool] = True

    @property
    def begins(self) -> int:
        """How many epochs go by before the first weights are taken."""
        return 0

    def lower(self, count: Expression) -> Expression:
        """How much of the mean the weights become that are taken as number `count`, from 1, as code."""
        raise NotImplementedError


class Schedule(Setting):
    """How the learning rate changes. Times are in epochs and may be fractions.

    `ends` says that another one may follow it in a chain, `waits` that it looks at a figure: then its rate depends on
    `drops` too, how often the figure stayed away.
    """

    role = "schedule"
    ends: ClassVar[bool] = False
    waits: ClassVar[bool] = False

    def lower(self, base: Expression, epoch: Expression, epochs: float) -> Expression:
        """The rate at `epoch`, of `epochs` that remain to it, as code."""
        raise NotImplementedError

    def takes(self, steps: int) -> float:
        """How many epochs of so many steps it takes before the next one in a chain begins."""
        return 0


class Metric(Setting):
    """A figure of how good the outputs are. `rises` says that more is better, `column` that it is one number,
    `batchwise` that it costs so little that it may be taken of every batch that trains, `decided` that it needs no more
    than the class that an answer says, so that it is shown after `postprocess` too, `spaced` that it measures lengths.
    `samplewise` are the kinds of target with which one sample has a figure of its own.
    """

    role = "metric"
    column: ClassVar[bool] = True
    batchwise: ClassVar[bool] = True
    decided: ClassVar[bool] = False
    spaced: ClassVar[bool] = False
    samplewise: ClassVar[tuple[str, ...]] = ()
    rises: ClassVar[bool] = True
    targets: ClassVar[tuple[str, ...]] = ()

    output: TensorArgument = None
    """The output it looks at; may be left out where there is one."""

    @property
    def label(self) -> str:
        """What its column is called."""
        return self.name

    def fits(self, target: str, classes: int | None) -> Iterable[Misfit]:
        """What does not go with a target of that kind and so many classes."""
        return ()


class Postprocess(Setting):
    """A step between the probabilities of an output and the classes that it says. `first` says that it makes classes of
    probabilities, so that none may stand before it, `spatial` that it looks at places beside one another."""

    role = "postprocess"
    first: ClassVar[bool] = False
    spatial: ClassVar[bool] = False

    def keywords(self) -> Mapping[str, Any]:
        """The arguments of the implementation."""
        return {name: getattr(self, name) for name in self.fields}
