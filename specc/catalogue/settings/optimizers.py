"""Optimizers: how a gradient changes the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from specc.catalogue.arguments import (
    Flag,
    KeywordOnly,
    Kind,
    NonNegative,
    Positive,
    PositiveReal,
    Rate,
    choice,
    items,
    real,
)
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
    dampening: Rate = 0
    """The share of the gradient that momentum leaves out: v = m * v + (1 - dampening) * g, from the second step on."""

    def refusals(self) -> Iterable[Misfit]:
        if self.nesterov and not self.momentum:
            yield Misfit("bad-argument", "`nesterov` needs a momentum above 0", "momentum=0.9", argument="nesterov")
        if self.nesterov and self.dampening:
            yield Misfit("bad-argument", "`nesterov` goes without `dampening`", "leave one out", argument="dampening")
        if self.dampening and not self.momentum:
            yield Misfit("bad-argument", "`dampening` needs a momentum above 0", "momentum=0.9", argument="dampening")

    def lower(self, groups: Expression) -> Expression:
        words: dict[str, Any] = {"lr": float(self.lr)}
        if self.momentum:
            words["momentum"] = float(self.momentum)
        if self.dampening:
            words["dampening"] = float(self.dampening)
        if self.nesterov:
            words["nesterov"] = True
        words |= {"foreach": True} if self.momentum else {"fused": True}  # fused, all momenta must begin in one step
        return call("torch.optim.SGD", groups, **words)


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and its square (Kingma and Ba 2015)."""

    name = "adam"

    _: KeywordOnly
    lr: PositiveReal = 0.001
    """The learning rate."""
    betas: _Betas = (0.9, 0.999)
    """How slowly the two means forget."""
    eps: PositiveReal = 1e-8
    """Added to the root of the mean of squares, so that nothing is divided by 0."""
    amsgrad: Flag = False
    """Take the largest mean of squares so far (Reddi et al. 2018)."""

    def lower(self, groups: Expression) -> Expression:
        return call("torch.optim.Adam", groups, **self._words(), fused=True)

    def _words(self) -> dict[str, Any]:
        betas = tuple(float(each) for each in self.betas)
        words: dict[str, Any] = {"lr": float(self.lr)}
        if betas != (0.9, 0.999):
            words["betas"] = betas
        if self.eps != 1e-8:
            words["eps"] = float(self.eps)
        if self.amsgrad:
            words["amsgrad"] = True
        return words


class AdamW(Adam):
    """Adam with weight decay apart from the gradient, on every weight (Loshchilov and Hutter 2019)."""

    name = "adamw"
    couples = False

    _: KeywordOnly
    decay: NonNegative = 0.01
    """The share of a weight, times the learning rate, that each step takes away."""

    def lower(self, groups: Expression) -> Expression:
        words = {} if self.decay == 0.01 else {"weight_decay": float(self.decay)}
        return call("torch.optim.AdamW", groups, **self._words(), **words, fused=True)


class RmsProp(Optimizer):
    """Steps divided by the root of a running mean of squared gradients (Hinton, Srivastava and Swersky 2012)."""

    name = "rmsprop"

    _: KeywordOnly
    lr: PositiveReal = 0.01
    """The learning rate."""
    alpha: Rate = 0.99
    """How slowly the mean forgets."""
    eps: PositiveReal = 1e-8
    """Added to the root, so that nothing is divided by 0."""
    momentum: Rate = 0
    """The share of the last step that is taken again."""
    centered: Flag = False
    """Divide by the spread: take the squared mean away from the mean of squares (Graves 2013)."""

    def lower(self, groups: Expression) -> Expression:
        words: dict[str, Any] = {"lr": float(self.lr)}
        for name, usual in (("alpha", 0.99), ("eps", 1e-8), ("momentum", 0)):
            if getattr(self, name) != usual:
                words[name] = float(getattr(self, name))
        if self.centered:
            words["centered"] = True
        return call("torch.optim.RMSprop", groups, **words)


class AdaGrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far (Duchi, Hazan and Singer 2011)."""

    name = "adagrad"

    _: KeywordOnly
    lr: PositiveReal = 0.01
    """The learning rate."""
    decay: NonNegative = 0
    """The rate is divided by 1 + decay * steps, beside what the schedule does."""
    initial: NonNegative = 0
    """What the sums start at."""
    eps: PositiveReal = 1e-10
    """Added to the root, so that nothing is divided by 0."""

    def lower(self, groups: Expression) -> Expression:
        words: dict[str, Any] = {"lr": float(self.lr)}
        names = (("decay", "lr_decay", 0), ("initial", "initial_accumulator_value", 0), ("eps", "eps", 1e-10))
        for name, theirs, usual in names:
            if getattr(self, name) != usual:
                words[theirs] = float(getattr(self, name))
        return call("torch.optim.Adagrad", groups, **words)


class Lbfgs(Optimizer):
    """A quasi-Newton method that looks several times at one batch (Liu and Nocedal 1989): for small networks and one
    batch that holds all samples. All weights are one vector to it, so they have one rate."""

    name = "lbfgs"
    grouped = False

    _: KeywordOnly
    lr: PositiveReal = 1
    """The learning rate: the share of a step that is taken, or tried first with a line search."""
    iterations: Positive = 20
    """How many directions it follows on a batch."""
    history: Positive = 100
    """How many of the last steps make the picture of the curvature."""
    search: Annotated[str, choice("none", "wolfe")] = "none"
    """How long a step is: as the rate says, or searched for until the strong Wolfe conditions hold."""

    def lower(self, groups: Expression) -> Expression:
        words: dict[str, Any] = {"lr": float(self.lr)}
        if self.iterations != 20:
            words["max_iter"] = self.iterations
        if self.history != 100:
            words["history_size"] = self.history
        if self.search == "wolfe":
            words["line_search_fn"] = "strong_wolfe"
        return call("torch.optim.LBFGS", groups, **words)
