"""How a run makes use of its device: precision, compilation, the order of memory. Chosen once, and kept with the run."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from specc.model.graph import Model
from specc.model.program import Program
from specc.train.feed import Feed
from specc.train.problem import TrainProblem
from specc.train.samples import Samples

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}  # by the number of axes
PACE = 2e13  # operations that a GPU does in a second of training, for the guess whether compiling pays
PAYS = 600.0  # seconds of training from which on compiling pays

Forward = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line says of it; None leaves the choice to specc."""

    compile: bool | None = None
    channels_last: bool | None = None
    resident: bool | None = None


@dataclass(frozen=True, slots=True)
class Speed:
    """`precision` is that of the outputs: weights, losses and the optimizer's steps are fp32 always. `compile` says
    that the network runs through torch.compile, `channels_last` that pictures and volumes have their channels last in
    memory, `resident` that the prepared samples stay on the device."""

    precision: str = "fp32"
    compile: bool = False
    channels_last: bool = False
    resident: bool = True

    @property
    def words(self) -> str:
        """In a line of the log."""
        parts = [self.precision, "compiled" if self.compile else "", "channels last" if self.channels_last else ""]
        return ", ".join(each for each in parts if each)

    @property
    def scales(self) -> bool:
        """Whether the loss is scaled so that small gradients are not lost."""
        return self.precision == "fp16"

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """Where outputs are computed in this precision."""
        return torch.autocast(device.type, TYPES.get(self.precision), enabled=self.precision in TYPES)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Speed:
        """That of a run; of one that says nothing the plain way."""
        return cls(**saved)

    def applied(self, module: nn.Module, device: torch.device) -> Forward:
        """`module.logits` in this way, its outputs fp32. The module's keys stay what they are."""
        forward: Forward = module.logits  # type: ignore[assignment]
        if self.channels_last:
            for each in module.parameters():
                if each.dim() in FORMATS:
                    each.data = each.data.contiguous(memory_format=FORMATS[each.dim()])
        if self.compile:
            _importable(module)
            forward = torch.compile(forward)
        if self.precision == "fp32" and not self.channels_last:
            return forward

        def run(*inputs: Tensor) -> Any:
            given = [self._laid(each) for each in inputs]
            with self.autocast(device):
                found = forward(*given)
            return {name: _full(each) for name, each in found.items()} if isinstance(found, dict) else _full(found)

        return run

    def _laid(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=FORMATS[x.dim()]) if self.channels_last and x.dim() in FORMATS else x


def _importable(module: nn.Module) -> None:
    """Let the compiler find the generated module again, which it does by its name."""
    names = type(module).logits.__globals__  # type: ignore[attr-defined]
    names["__name__"] = f"specc_generated_{id(names)}"
    sys.modules[names["__name__"]] = names["__self__"]


def _full(x: Tensor) -> Tensor:
    return x.float() if x.dtype in TYPES.values() else x


def choose(
    model: Model, program: Program, device: torch.device, samples: Samples, wishes: Wishes | None = None
) -> Speed:
    """What fits network, data and device, or what is wished; raises TrainProblem for what cannot be had here."""
    wishes, cuda = wishes or Wishes(), device.type == "cuda"
    precision = program.precision
    if not precision:
        plain = not cuda or not program.optimizer.entry.grouped
        precision = "fp32" if plain or not torch.cuda.is_bf16_supported(including_emulation=False) else "bf16"
    last, compiled = wishes.channels_last, wishes.compile
    if last is None:
        last = cuda and any(each.spec.decays and len(each.spec.shape) in FORMATS for each in model.weights)
    if compiled is None:
        compiled = cuda and find_spec("triton") is not None and _pays(model, program, len(samples.parts.train))
    elif compiled:
        _hold_compiler(device)
    return Speed(precision, compiled, last, _resident(samples.feed, device, wishes.resident))


def _resident(feed: Feed, device: torch.device, wish: bool | None) -> bool:
    if wish is None:
        return feed.resident
    if wish and feed.whole is None:
        fact = "`--resident` keeps samples on the device, and these are read from files when they are needed"
        raise TrainProblem("setting-conflict", fact, "leave it out")
    if not wish and device.type == "cpu":
        fact = "`--no-resident` keeps samples away from a GPU, and this run is on the processor"
        raise TrainProblem("setting-conflict", fact, "leave it out")
    return feed.settle(wish)


def _pays(model: Model, program: Program, samples: int) -> bool:
    """Whether training takes so long that the minutes of compiling are made up for; unknown sizes compile anew."""
    products = [each.macs for each in model.inference]
    known = [each for each in products if isinstance(each, int)]
    if len(known) < len(products):
        return False
    return 6 * sum(known) * samples * program.epochs / PACE > PAYS


def _hold_compiler(device: torch.device) -> None:
    """Refuse to compile where the machine lacks what PyTorch compiles with."""
    if device.type == "cuda" and find_spec("triton") is None:
        raise TrainProblem("no-compiler", "PyTorch compiles for a GPU with triton, which is not installed", HELP)
    if device.type == "cpu" and not (os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")):
        raise TrainProblem("no-compiler", "PyTorch compiles with a C++ compiler, and there is none here", HELP)


HELP = "install it, or leave `--compile` out"
