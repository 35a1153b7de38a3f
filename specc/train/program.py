"""From a compilation to everything that a training run needs: code, module, samples, optimizer and measures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from specc.backends import pytorch
from specc.catalogue import registry
from specc.compiler import Compilation
from specc.data.extras import need
from specc.data.named import check_data
from specc.data.weights import check_weights
from specc.model.graph import Model
from specc.model.heads import outputs
from specc.model.program import Chosen, Measure, Program, before_and_after
from specc.sizes.dim import Dim
from specc.text.diagnostics import Diagnostic
from specc.train import objective
from specc.train.groups import frozen, trained
from specc.train.metrics.answers import answers, meters
from specc.train.metrics.meter import Meter
from specc.train.problem import TrainProblem
from specc.train.samples import Samples, load
from specc.train.speed import Forward, Speed

WIDEST_EVALUATION = 256


@dataclass(frozen=True, slots=True)
class Code:
    """What a program became: sources, and the objects they made. `weights` are the parameters by their keys, `forward`
    is the module's `logits` as `speed` says it runs."""

    model: Model
    program: Program
    model_source: str
    program_source: str
    module: nn.Module
    functions: ModuleType
    weights: dict[str, nn.Parameter]
    measures: tuple[Measure, ...]
    speed: Speed
    forward: Forward

    def outputs(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The logits by name of the output; in training mode the outputs of training are among them."""
        given = [inputs[port.name] for port in self.model.inputs]
        try:
            found = self.forward(*given)
        except ValueError as error:
            raise self._refusal(given, error) from error
        if isinstance(found, dict):
            return found
        names = [name for name, port in outputs(self.model).items() if self.module.training or not port.training]
        return {names[0]: found}

    def _refusal(self, given: list[torch.Tensor], error: ValueError) -> Exception:
        """Samples of a size that the network does not take, where that is the reason."""
        try:
            self.module.check(*given)  # type: ignore[operator]
        except ValueError as said:
            sizes = ", ".join(str(list(each.shape[1:])) for each in given)
            help = "bring all samples to sizes that it takes: `prepare resize(…)`, `crop(…)` or `pad(…)`"
            return TrainProblem("data-shape", f"`{self.model.name}` does not take samples of {sizes}: {said}", help)
        except AttributeError:  # a network that takes every size has no check
            pass
        return error

    def meters(self) -> dict[str, tuple[str, Meter]]:
        """A fresh meter per measure by its label, and the name of the answer that it takes."""
        return meters(self.model, self.program, self.measures)

    def answers(self, scores: Mapping[str, torch.Tensor], target: torch.Tensor) -> dict[str, torch.Tensor]:
        """The outputs of inference by name, from logits, and those that are measured after `postprocess` as well."""
        return answers(self.model, self.program, self.measures, self.functions.heads(scores), target)


def chosen(compilation: Compilation, phase: str = "") -> tuple[Model, Program]:
    """The model and the program to train; raises TrainProblem with what is missing."""
    if not compilation.ok or not compilation.models:
        raise TrainProblem("spec-has-errors", "the spec has errors", "see `specc check`")
    model = compilation.model()
    program = compilation.programs.get((model.name, phase))
    if program is None:
        known = sorted(each for network, each in compilation.programs if network == model.name and each)
        what = f"`train {phase}` section" if phase else "`train` section"
        help = f"its phases are {', '.join(known)}" if known else f"write `train for {model.name} {{ … }}`"
        raise TrainProblem("no-train-section", f"there is no {what} for `{model.name}`", help)
    return model, program


def data_errors(model: Model, program: Program, folder: Path) -> list[Diagnostic]:
    """What stands against training on the data; a missing file is an error here."""
    found = list(check_data(model, program, folder, whole=True))
    return [each for each in found if each.severity == "error" or each.code == "missing-data"]


def weight_errors(model: Model, program: Program, folder: Path, runs: Path) -> list[Diagnostic]:
    """What stands against starting from the weights; a missing file is an error here."""
    found = list(check_weights(model, program, folder, runs))
    return [each for each in found if each.severity == "error" or each.code == "missing-weights"]


def write(
    model: Model,
    program: Program,
    target: str,
    header: str = "",
    counts: tuple[int, ...] = (),
    steps: int = 1,
    shared: bool = False,
) -> tuple[str, str]:
    """The sources of the network's module and of the program; see `objective.write`."""
    return pytorch.write(model, header=header), objective.write(model, program, target, counts, steps, shared)


def build(
    model: Model, program: Program, sources: tuple[str, str], device: torch.device, speed: Speed | None = None
) -> Code:
    """The module with its first weights, all from the program's seed; raises DataProblem for a library that is missing."""
    for each in (*(measure.metric for measure in program.measures), *program.postprocess):
        need(each.entry.library, each.entry.name)
    speed = speed or Speed()
    functions = objective.load(sources[1])
    _known_sizes(model)
    torch.manual_seed(mixed(program.seed, "weights"))
    module = pytorch.load(sources[0], model.name)()
    assert isinstance(module, nn.Module)
    weights = dict(module.named_parameters(remove_duplicate=False))
    functions.initialise(weights)
    kept = {each.key for each in trained(model, program)}
    tied = {each.key: each.tied for each in model.weights if each.tied}
    for key, weight in weights.items():
        weight.requires_grad_(tied.get(key, key) in kept)
    if not kept - frozen(model, program, 0):
        message = f"`{model.name}` has no weights to train" + (" in its first epoch" if kept else "")
        raise TrainProblem("nothing-to-train", message)
    module.to(device)
    forward = speed.applied(module, device)
    return Code(model, program, *sources, module, functions, weights, _measures(model, program), speed, forward)


def _known_sizes(model: Model) -> None:
    """Weights are made now, so their sizes must be numbers."""
    for each in model.weights:
        unknown = sorted({name for size in each.spec.shape if isinstance(size, Dim) for name in size.symbols})
        if unknown:
            message = f"`{each.key}` of `{model.name}` has the unknown size {', '.join(unknown)}"
            help = f"say it: `--size {unknown[0]}=4`, or as a number in the spec"
            raise TrainProblem("unknown-size", message, help)


def samples(model: Model, program: Program, folder: Path, device: torch.device, workers: int | None = None) -> Samples:
    """The data of the program, ready for the network; close them when all is done."""
    return load(model, program, folder, device, workers)


def _measures(model: Model, program: Program) -> tuple[Measure, ...]:
    """The metrics asked for, or the one that goes with the first loss against the data's target."""
    named = tuple(each for each in program.measures if each.metric.entry.column)
    if named:
        return named
    for term in program.terms:
        if term.loss is not None and not term.target and not outputs(model)[term.output].training:
            kind = registry.setting(term.loss.entry.measures, "metric")
            if kind is not None:
                entry: Any = kind.make({})
                measure = Measure(Chosen(entry, term.span), term.output, entry.label)
                return before_and_after(measure, program.postprocess)
    return ()


def mixed(*parts: int | str) -> int:
    """A seed for torch's generator from what it depends on."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def device_of(wanted: str) -> torch.device:
    """auto, cpu or cuda as a device; raises TrainProblem where there is none."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise TrainProblem("no-device", "torch sees no CUDA device here", "`specc doctor` says what is there")
    if wanted not in ("cpu", "cuda"):
        raise TrainProblem("no-device", f"there is no device `{wanted}`", "auto, cpu or cuda")
    return torch.device(wanted)


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """The same numbers every time, and the generators and switches of the caller as they were afterwards."""
    before = torch.get_deterministic_debug_mode()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.set_deterministic_debug_mode("warn")  # `use_deterministic_algorithms` would load the compiler
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(before)
            torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


Stop = Callable[[], bool]
