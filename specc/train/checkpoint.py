"""Everything that resuming needs, in a folder: weights and optimizer as tensors, the rest as JSON; no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from specc.data.files import folder_aside, recover_folder, write_bytes
from specc.train.problem import TrainProblem

WEIGHTS, OPTIMIZER, STATE = "weights.safetensors", "optimizer.safetensors", "state.json"
MEANS, PASSING = "average.safetensors", "passing.safetensors"
TENSOR = "tensor"  # says in the JSON which tensor stands there


@dataclass(slots=True)
class State:
    """Where training stands: `epoch` whole epochs and `step` batches of the next are done; `updates` counts the
    optimizer's steps; `total` and `seen` add up the loss of the epoch under way. `best` is the figure of the epoch
    `best_epoch` (from 1; 0 while there is none), `tie` its loss, and `waited` the epochs since then. `averaged` counts
    what went into the means of the weights; `plateau` is the best figure of a schedule that waits for one, `level` the
    epochs since then, and `drops` how often the rate went down. `scale` is what the loss is multiplied with in fp16,
    and `growth` the steps since that changed."""

    epoch: int = 0
    step: int = 0
    updates: int = 0
    total: float = 0.0
    seen: int = 0
    best: float | None = None
    tie: float | None = None
    best_epoch: int = 0
    waited: int = 0
    averaged: int = 0
    plateau: float | None = None
    level: int = 0
    drops: int = 0
    scale: float | None = None
    growth: int = 0


def tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the state-dict on the processor; what is shared is written once per key."""
    return {key: each.detach().to("cpu", copy=True).contiguous() for key, each in module.state_dict().items()}


def save_weights(path: Path, weights: Mapping[str, torch.Tensor], about: Mapping[str, str]) -> None:
    """A safetensors file, written aside. The format's metadata have no fixed order, so `about` is one entry of JSON."""
    write_bytes(path, save(dict(weights), {"specc": json.dumps(dict(about))}))


def write(
    folder: Path,
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    state: State,
    means: Mapping[str, torch.Tensor] | None = None,
    passing: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Replace `folder` by a checkpoint of now; a crash leaves the one before or this one.

    `means` are the averages of weights by key, `passing` what an epoch under way has gathered of its metrics.
    """
    numbers: dict[str, Any] = {}
    held: dict[str, torch.Tensor] = {}
    for index, entries in optimizer.state_dict()["state"].items():
        for name, value in entries.items():
            kept = _taken_apart(value, f"{index}.{name}", held)
            if kept != {TENSOR: f"{index}.{name}"} and kept is not None:
                numbers[f"{index}.{name}"] = kept
    with folder_aside(folder) as aside:
        (aside / WEIGHTS).write_bytes(save(tensors(module)))
        (aside / OPTIMIZER).write_bytes(save(held))
        for name, more in ((MEANS, means), (PASSING, passing)):
            if more:
                copies = {key: each.to("cpu", copy=True).contiguous() for key, each in more.items()}
                (aside / name).write_bytes(save(copies))
        text = json.dumps({"state": asdict(state), "optimizer": numbers}, indent=2, allow_nan=False)
        (aside / STATE).write_text(text + "\n", encoding="utf-8")


def _taken_apart(value: Any, key: str, held: dict[str, torch.Tensor]) -> Any:
    """A value of an optimizer's state as JSON; its tensors go into `held` and leave their keys."""
    if isinstance(value, torch.Tensor):
        held[key] = value.detach().to("cpu", copy=True).contiguous()
        return {TENSOR: key}
    if isinstance(value, list):
        return [_taken_apart(each, f"{key}.{at}", held) for at, each in enumerate(value)]
    return value


def _put_together(value: Any, held: Mapping[str, torch.Tensor]) -> Any:
    """The value again."""
    if isinstance(value, dict):
        return held[value[TENSOR]]
    if isinstance(value, list):
        return [_put_together(each, held) for each in value]
    return value


def read(
    folder: Path,
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    means: Mapping[str, torch.Tensor] | None = None,
) -> State:
    """Put module, optimizer and `means` back to where a checkpoint left them; raises TrainProblem for a damaged one."""
    recover_folder(folder)
    if not (folder / STATE).is_file():
        raise TrainProblem(
            "no-checkpoint", f"there is no checkpoint in {folder}", "the run did not get as far; start it again"
        )
    try:
        saved = json.loads((folder / STATE).read_text(encoding="utf-8"))
        module.load_state_dict(load_file(folder / WEIGHTS))
        held = load_file(folder / OPTIMIZER)
        entries: dict[int, dict[str, Any]] = {}
        for key, value in (held | saved["optimizer"]).items():
            index, _, name = key.partition(".")
            if "." not in name:  # else it is part of a list
                entries.setdefault(int(index), {})[name] = _put_together(value, held)
        kept = load_file(folder / MEANS) if means else {}
        for key, mean in (means or {}).items():
            mean.copy_(kept[key])
        optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
        _lay_out(optimizer)
        return State(**saved["state"])
    except TrainProblem:
        raise
    except Exception as error:  # json, safetensors and torch each raise their own for a damaged file
        raise TrainProblem("damaged-checkpoint", f"the checkpoint in {folder} cannot be read: {error}") from error


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Give the tensors of an optimizer's state memory of their own, in the order of the weight they belong to. Those of
    a file lie wherever its header ends, and kernels round differently at other addresses."""
    for weight, entries in optimizer.state.items():
        for name, value in entries.items():
            entries[name] = _owned(value, weight)


def _owned(value: Any, weight: torch.Tensor) -> Any:
    if isinstance(value, torch.Tensor):
        like = weight if value.shape == weight.shape else value
        return torch.empty_like(like, dtype=value.dtype, device=value.device).copy_(value)
    return [_owned(each, weight) for each in value] if isinstance(value, list) else value


def place(folder: Path) -> str:
    """Where training stood in a checkpoint, in words."""
    saved = json.loads((folder / STATE).read_text(encoding="utf-8"))["state"]
    return f"of epoch {saved['epoch']}, step {saved['updates']}" if saved["updates"] else "the first weights"


def passing(folder: Path, device: torch.device) -> dict[str, torch.Tensor]:
    """What the epoch under way had gathered of its metrics when a checkpoint was written."""
    path = folder / PASSING
    return {key: each.to(device, copy=True) for key, each in load_file(path).items()} if path.is_file() else {}


def load_best(path: Path, module: torch.nn.Module, epoch: int) -> None:
    """Put the best weights into the module; where no epoch was better than none, it stays as it is."""
    if epoch and path.is_file():
        module.load_state_dict(load_file(path))
