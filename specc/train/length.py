"""How long training is: steps of the optimizer in an epoch, and epochs where the spec counts steps."""

from __future__ import annotations

from dataclasses import replace

from specc.model.program import Program
from specc.train.problem import TrainProblem


def updates(batches: int, program: Program) -> int:
    """The steps of the optimizer in an epoch of so many batches."""
    return -(-batches // program.accumulate)


def counted(program: Program, steps: int) -> Program:
    """The program with its `epochs`, of so many steps each, where the spec counts steps; the last may be cut short."""
    if not program.steps:
        return program
    epochs, average = -(-program.steps // steps), program.average
    if average is not None and average.entry.begins >= epochs:
        message = f"`{average.entry.name}` begins after {average.entry.begins} epochs; {program.steps} steps are {epochs} epochs"
        raise TrainProblem("setting-conflict", message, "begin earlier, or train longer")
    return replace(program, epochs=epochs)


def whole(program: Program, batches: int) -> int:
    """All batches of a training with so many in an epoch."""
    if not program.steps:
        return program.epochs * batches
    epochs, rest = divmod(program.steps, updates(batches, program))
    return epochs * batches + min(rest * program.accumulate, batches)
