"""Weights to start from: a safetensors file, key by key."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from specc.model.program import Chosen
from specc.train.problem import TrainProblem
from specc.train.program import Code


def take_weights(code: Code, project: Path) -> None:
    """Copy the files of the `weights` settings into the module.

    Every key below `into` that is not below one of `except` must be in the file with the same shape, and the other
    way round. Raises TrainProblem.
    """
    for chosen in code.program.weights:
        _take(code, chosen, project)


def _take(code: Code, chosen: Chosen, project: Path) -> None:
    entry = chosen.entry
    path = project / entry.file
    found = _read(path)
    into = f"{entry.into}." if entry.into else ""
    left_out = getattr(entry, "except")
    left_out = (left_out,) if isinstance(left_out, str) else left_out
    state = code.module.state_dict()
    wanted = {key for key in state if key.startswith(into) and not _below(key, left_out)}
    given = {into + key: each for key, each in found.items() if not _below(into + key, left_out)}
    if not wanted:
        raise TrainProblem("weights-differ", f"the network has no weights below `{entry.into}`")
    missing, more = sorted(wanted - set(given)), sorted(set(given) - wanted)
    if missing or more:
        what = f"{path} has no `{missing[0]}`" if missing else f"the network has no `{more[0]}`, which is in {path}"
        count = len(missing) + len(more) - 1
        raise TrainProblem(
            "weights-differ",
            what + (f" (and {count} more differ)" if count else ""),
            "name parts to leave out: except=…",
        )
    with torch.no_grad():
        for key in sorted(wanted):
            if state[key].shape != given[key].shape:
                shapes = f"{list(given[key].shape)} in {path}, {list(state[key].shape)} in the network"
                raise TrainProblem("weights-differ", f"`{key}` is {shapes}", "name parts to leave out: except=…")
            state[key].copy_(given[key])


def _below(key: str, paths: tuple[str, ...]) -> bool:
    return any(key == each or key.startswith(f"{each}.") for each in paths)


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise TrainProblem("missing-weights", f"there is no file {path}", "paths start at the project's folder")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise TrainProblem("bad-weights", f"{path} is no readable safetensors file: {error}") from error
