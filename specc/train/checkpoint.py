"""Everything that resuming needs, in a folder: weights and optimizer as tensors, the rest as JSON; no pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from specc.data.files import folder_aside, recover_folder, write_bytes
from specc.train.problem import TrainProblem

WEIGHTS, OPTIMIZER, STATE = "weights.safetensors", "optimizer.safetensors", "state.json"
MEANS, PASSING = "average.safetensors", "passing.safetensors"
TENSOR = "tensor"  # says in the JSON which tensor stands there

Tensors = Mapping[str, torch.Tensor]


@runtime_checkable
class InPieces(Protocol):
    """A tensor of which every process has a piece, as PyTorch's DTensor is, which takes long to import."""

    device: torch.device
    device_mesh: Any
    placements: Any

    def full_tensor(self) -> torch.Tensor: ...


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
    """A copy of the state-dict on the processor; what is shared is written once per key. All processes call it."""
    return {key: _copy(each) for key, each in module.state_dict().items()}


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    """On the processor; of a tensor in pieces, the whole."""
    found = tensor.detach()
    found = found.full_tensor() if isinstance(found, InPieces) else found
    return found.to("cpu", copy=True).contiguous()


def save_weights(path: Path, weights: Mapping[str, torch.Tensor], about: Mapping[str, str]) -> None:
    """A safetensors file, written aside. The format's metadata have no fixed order, so `about` is one entry of JSON."""
    write_bytes(path, save(dict(weights), {"specc": json.dumps(dict(about))}))


def gathered(
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    state: State,
    means: Tensors | None = None,
    passing: Tensors | None = None,
) -> dict[str, bytes]:
    """The files of a checkpoint of now. All processes call it, and one writes.

    `means` are the averages of weights by key, `passing` what an epoch under way has gathered of its metrics.
    """
    numbers: dict[str, Any] = {}
    held: dict[str, torch.Tensor] = {}
    for index, entries in sorted(optimizer.state_dict()["state"].items()):
        for name, value in sorted(entries.items()):  # in one order, whatever order a file was read in
            kept = _taken_apart(value, f"{index}.{name}", held)
            if kept != {TENSOR: f"{index}.{name}"} and kept is not None:
                numbers[f"{index}.{name}"] = kept
    files = {WEIGHTS: save(tensors(module)), OPTIMIZER: save(held)}
    for name, more in ((MEANS, means), (PASSING, passing)):
        if more:
            files[name] = save({key: _copy(each) for key, each in sorted(more.items())})
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    text = json.dumps({"state": asdict(state), "optimizer": numbers, "sha256": sums}, indent=2, allow_nan=False)
    return files | {STATE: (text + "\n").encode()}


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace `folder` by a checkpoint; a crash leaves the one before or this one."""
    with folder_aside(folder) as aside:
        for name, data in files.items():
            (aside / name).write_bytes(data)


def _taken_apart(value: Any, key: str, held: dict[str, torch.Tensor]) -> Any:
    """A value of an optimizer's state as JSON; its tensors go into `held` and leave their keys."""
    if isinstance(value, torch.Tensor):
        held[key] = _copy(value)
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


def begun(folder: Path) -> bool:
    """Whether there is a checkpoint, whole or damaged; one that a crash had set aside is put back."""
    recover_folder(folder)
    return folder.is_dir()


def read(
    folder: Path, module: torch.nn.Module, optimizer: torch.optim.Optimizer, means: Tensors | None = None
) -> tuple[State, dict[str, torch.Tensor]]:
    """Put module, optimizer and `means` back to where a checkpoint left them; where it stood, and what the epoch under
    way had gathered. Raises TrainProblem for a damaged one, which stays as it is."""
    saved, files = _files(folder)
    try:
        held = files[OPTIMIZER]
        put(module, files[WEIGHTS])
        entries: dict[int, dict[str, Any]] = {}
        for key, value in (held | saved["optimizer"]).items():
            index, _, name = key.partition(".")
            if "." not in name:  # else it is part of a list
                entries.setdefault(int(index), {})[name] = _put_together(value, held)
        for key, mean in (means or {}).items():
            mean.copy_(_like(files[MEANS][key], mean))
        optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
        _lay_out(optimizer)
        return State(**saved["state"]), files.get(PASSING, {})
    except Exception as error:  # of another network, or of a version that knows more
        raise _damaged(folder, f"it does not fit the run: {error}") from error


def _files(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, torch.Tensor]]]:
    """The JSON and the tensors of a checkpoint, each file held against its sum."""
    try:
        saved = json.loads((folder / STATE).read_text(encoding="utf-8"))
        files = {}
        for name, digest in saved["sha256"].items():
            data = (folder / name).read_bytes()
            if hashlib.sha256(data).hexdigest() != digest:
                raise _damaged(folder, f"{name} is not as it was written")
            files[name] = load(data)
        return saved, files
    except FileNotFoundError as error:
        raise _damaged(folder, f"{Path(error.filename).name} is missing") from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError) as error:
        raise _damaged(folder, f"it cannot be read: {error}") from error


def _damaged(folder: Path, why: str) -> TrainProblem:
    help = "put the folder back from a copy"
    best = folder.parent / "best.safetensors"
    if best.is_file():
        help += f', or begin another run from the best weights: `weights "{best}"`'
    return TrainProblem("damaged-checkpoint", f"the checkpoint in {folder} is damaged: {why}", help)


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Give the tensors of an optimizer's state memory of their own, in the order of the weight they belong to. Those of
    a file lie wherever its header ends, and kernels round differently at other addresses."""
    for weight, entries in optimizer.state.items():
        for name, value in entries.items():
            entries[name] = _owned(value, weight)


def _owned(value: Any, weight: torch.Tensor) -> Any:
    if isinstance(value, torch.Tensor):
        like = weight if value.shape == weight.shape else value
        if isinstance(weight, InPieces):
            return _like(value, weight) if value.shape == weight.shape else value
        return torch.empty_like(like, dtype=value.dtype, device=value.device).copy_(value)
    return [_owned(each, weight) for each in value] if isinstance(value, list) else value


def place(folder: Path) -> str:
    """Where training stood in a checkpoint, in words."""
    saved = json.loads((folder / STATE).read_text(encoding="utf-8"))["state"]
    return f"of epoch {saved['epoch']}, step {saved['updates']}" if saved["updates"] else "the first weights"


def load_best(path: Path, module: torch.nn.Module, epoch: int) -> None:
    """Put the best weights into the module; where no epoch was better than none, it stays as it is."""
    if epoch and path.is_file():
        try:
            put(module, load(path.read_bytes()))
        except (SafetensorError, RuntimeError, KeyError) as error:
            message = f"{path} is damaged: {error}"
            raise TrainProblem(
                "damaged-checkpoint", message, "put the file back from a copy, or train again"
            ) from error


def put(module: torch.nn.Module, weights: Tensors) -> None:
    """Put whole weights into a module, which may hold them in pieces."""
    state = module.state_dict()
    module.load_state_dict({key: _like(each, state.get(key)) for key, each in weights.items()})


def _like(whole: torch.Tensor, other: torch.Tensor | None) -> torch.Tensor:
    """A whole tensor in pieces where the other is in pieces."""
    if not isinstance(other, InPieces):
        return whole
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(whole.to(other.device), other.device_mesh, other.placements, src_data_rank=None)
