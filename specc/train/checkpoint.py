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


@dataclass(slots=True)
class State:
    """Where training stands: `epoch` whole epochs and `step` batches of the next are done; `updates` counts the
    optimizer's steps; `total` and `seen` add up the loss of the epoch under way. `best` is the figure of the epoch
    `best_epoch` (from 1; 0 while there is none), `tie` its loss, and `waited` the epochs since then."""

    epoch: int = 0
    step: int = 0
    updates: int = 0
    total: float = 0.0
    seen: int = 0
    best: float | None = None
    tie: float | None = None
    best_epoch: int = 0
    waited: int = 0


def tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the state-dict on the processor; what is shared is written once per key."""
    return {key: each.detach().to("cpu", copy=True).contiguous() for key, each in module.state_dict().items()}


def save_weights(path: Path, weights: Mapping[str, torch.Tensor], about: Mapping[str, str]) -> None:
    """A safetensors file, written aside. The format's metadata have no fixed order, so `about` is one entry of JSON."""
    write_bytes(path, save(dict(weights), {"specc": json.dumps(dict(about))}))


def write(folder: Path, module: torch.nn.Module, optimizer: torch.optim.Optimizer, state: State) -> None:
    """Replace `folder` by a checkpoint of now; a crash leaves the one before or this one."""
    numbers: dict[str, Any] = {}
    held: dict[str, torch.Tensor] = {}
    for index, entries in optimizer.state_dict()["state"].items():
        for name, value in entries.items():
            if isinstance(value, torch.Tensor):
                held[f"{index}.{name}"] = value.detach().to("cpu", copy=True).contiguous()
            elif value is not None:
                numbers[f"{index}.{name}"] = value
    with folder_aside(folder) as aside:
        (aside / WEIGHTS).write_bytes(save(tensors(module)))
        (aside / OPTIMIZER).write_bytes(save(held))
        text = json.dumps({"state": asdict(state), "optimizer": numbers}, indent=2, allow_nan=False)
        (aside / STATE).write_text(text + "\n", encoding="utf-8")


def read(folder: Path, module: torch.nn.Module, optimizer: torch.optim.Optimizer) -> State:
    """Put module and optimizer back to where a checkpoint left them; raises TrainProblem for a damaged one."""
    recover_folder(folder)
    if not (folder / STATE).is_file():
        raise TrainProblem(
            "no-checkpoint", f"there is no checkpoint in {folder}", "the run did not get as far; start it again"
        )
    try:
        saved = json.loads((folder / STATE).read_text(encoding="utf-8"))
        module.load_state_dict(load_file(folder / WEIGHTS))
        entries: dict[int, dict[str, Any]] = {}
        for key, value in (load_file(folder / OPTIMIZER) | saved["optimizer"]).items():
            index, _, name = key.partition(".")
            entries.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
        return State(**saved["state"])
    except TrainProblem:
        raise
    except Exception as error:  # json, safetensors and torch each raise their own for a damaged file
        raise TrainProblem("damaged-checkpoint", f"the checkpoint in {folder} cannot be read: {error}") from error


def load_best(path: Path, module: torch.nn.Module, epoch: int) -> None:
    """Put the best weights into the module; where no epoch was better than none, it stays as it is."""
    if epoch and path.is_file():
        module.load_state_dict(load_file(path))
