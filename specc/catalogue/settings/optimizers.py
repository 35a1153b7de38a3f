"""Optimizers: how a gradient changes the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from specc.catalogue.arguments import Flag, KeywordOnly, Kind, NonNegative, PositiveReal, Rate, items, real
from specc.catalogue.entry import Misfit
from specc.catalogue.setting import Optimizer
from specc.code.nodes import Expression, call

_Betas = Annotated[
    tuple[float, float], Kind("a list of two numbers from 0 up to, but not including, 1", items(real(ge=0, lt=1), 2, 2))
]


class Sgd(Optimizer):
    """Gradient descent batch by batch, with momentum as PyTorch has it (v = m * v + g; w = w - lr * v)."""

    name = "sgd"

    _: KeywordOnly
    lr: PositiveReal = 0.01
    """The learning rate."""
    momentum: Rate = 0
    """The share of the last step that is taken again (Polyak 1964)."""
    nesterov: Flag = False
    """Look ahead along the last step first (Nesterov 1983)."""

    def refusals(self) -> Iterable[Misfit]:
        if self.nesterov and not self.momentum:
            yield Misfit("bad-argument", "`nesterov` needs a momentum above 0", "momentum=0.9", argument="nesterov")

    def lower(self, groups: Expression) -> Expression:
        words: dict[str, Any] = {"lr": float(self.lr)}
        if self.momentum:
            words["momentum"] = float(self.momentum)
        if self.nesterov:
            words["nesterov"] = True
        return call("torch.optim.SGD", groups, **words)


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and its square (Kingma and Ba 2015)."""

    name = "adam"

    _: KeywordOnly
    lr: PositiveReal = 0.001
    """The learning rate."""
    betas: _Betas = (0.9, 0.999)
    """How slowly the two means forget."""

    def lower(self, groups: Expression) -> Expression:
        return call("torch.optim.Adam", groups, **self._words())

    def _words(self) -> dict[str, Any]:
        betas = tuple(float(each) for each in self.betas)
        return {"lr": float(self.lr)} | ({} if betas == (0.9, 0.999) else {"betas": betas})


class AdamW(Adam):
    """Adam with weight decay apart from the gradient, on every weight (Loshchilov and Hutter 2019)."""

    name = "adamw"
    couples = False

    _: KeywordOnly
    decay: NonNegative = 0.01
    """The share of a weight, times the learning rate, that each step takes away."""

    def lower(self, groups: Expression) -> Expression:
        words = {} if self.decay == 0.01 else {"weight_decay": float(self.decay)}
        return call("torch.optim.AdamW", groups, **self._words(), **words)
