"""Weights to start from: files of tensors, key by key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from specc.backends.weight_files import WeightProblem
from specc.backends.weight_keys import disagreements, report
from specc.data.weights import matched, opened
from specc.model.program import Chosen
from specc.train.problem import TrainProblem
from specc.train.program import Code


def take_weights(code: Code, project: Path, runs: Path) -> tuple[str, ...]:
    """Copy the files of the `weights` settings into the module, one tensor at a time; sentences about what was done.

    Every weight below `into` that is not below one of `except` must be in the file with the same shape, and the other
    way round. `runs` is where phases have their runs. Raises TrainProblem.
    """
    said: list[str] = []
    for chosen in code.program.weights:
        try:
            said += _take(code, chosen, project, runs)
        except WeightProblem as problem:
            raise TrainProblem(problem.code, problem.message, problem.help) from problem
    return tuple(said)


def _take(code: Code, chosen: Chosen, project: Path, runs: Path) -> list[str]:
    source = opened(chosen, project, code.model.name, runs)
    try:
        found = matched(code.model, chosen, source)
        if not found.faults:
            found = replace(found, faults=tuple(disagreements(code.model, source, found)))
        if found.faults:
            raise report(code.model, source, found, settings=True)
        state = code.module.state_dict()
        with torch.no_grad():
            for key, place in found.places.items():
                state[key].copy_(torch.tensor(source.array(place)))
        count, fresh = len(found.places), ", ".join(found.fresh[:6]) + (", …" if len(found.fresh) > 6 else "")
        rest = f"; as they start: {fresh}" if found.fresh else ""
        return [f"{count} tensors from {source.name}{rest}", *found.remarks]
    finally:
        source.close()
