"""Averages of the weights on their way, and which weights train: settings of a `train` section."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from specc.catalogue.arguments import TEXT, Count, KeywordOnly, Kind, Positive, optional, real
from specc.catalogue.entry import Misfit
from specc.catalogue.setting import Average, Dotted, Setting
from specc.code.nodes import Expression, binary

_Decay = Annotated[float, Kind("a number above 0 and below 1", real(gt=0, lt=1))]


class AverageSetting(Setting):
    """Which mean of the weights is measured, kept and exported in place of the weights of the last step."""

    name = "average"
    holds = "average"


class Ema(Average):
    """A running mean that forgets: after every step, mean = decay * mean + (1 - decay) * weights (Polyak and Juditsky
    1992). It starts at the first weights. Buffers, such as the averages of `batchnorm`, stay those of the network."""

    name = "ema"

    decay: _Decay = 0.999
    """How slowly it forgets."""

    def lower(self, count: Expression) -> Expression:
        return binary("-", 1, float(self.decay))


class Swa(Average):
    """The mean of the weights at the end of every epoch after the first `from` (Izmailov et al. 2018). The averages of
    `batchnorm` are made anew with it, in a pass over the training samples; until then the weights are the live ones."""

    name = "swa"
    stepwise = False

    _: KeywordOnly
    from_: Count
    """How many epochs go by before."""

    @property
    def begins(self) -> int:
        found: int = getattr(self, "from")
        return found

    def lower(self, count: Expression) -> Expression:
        return binary("/", 1, count)


class Rates(Setting):
    """Factors on the learning rate for parts of the network, `backbone=0.1, backbone.layer4=0.5`; of two that hold a
    weight the longer path counts, and an `lr=` of the layer itself stands in place of both."""

    name = "rates"
    extra = Kind("a number from 0 on", real(ge=0))

    def refusals(self) -> Iterable[Misfit]:
        if not self.extra_values:
            yield Misfit("missing-argument", "`rates` needs a path and a factor", "such as `rates backbone=0.1`")


class Freeze(Setting):
    """Parts of the network that keep their weights, as with `trainable=false`: no gradient and no decay."""

    name = "freeze"
    rest = Dotted("a path such as backbone.layer1", TEXT)

    _: KeywordOnly
    until: optional(Positive) = None  # type: ignore[valid-type]
    """How many epochs long; without it, to the end."""

    def refusals(self) -> Iterable[Misfit]:
        if not self.rest_values:
            yield Misfit("missing-argument", "`freeze` needs the path of a part", "such as `freeze backbone`")
