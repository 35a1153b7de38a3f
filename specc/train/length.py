"""How long training is: batches in an epoch, steps of the optimizer, and epochs where the spec counts steps."""

from __future__ import annotations

from dataclasses import replace

from specc.model.program import Program
from specc.train.problem import TrainProblem
from specc.train.samples import cuts


def batches(count: int, program: Program) -> int:
    """Those in an epoch of so many samples."""
    return len(cuts(count, program.batch))


def updates(count: int, program: Program) -> int:
    """The steps of the optimizer in an epoch of so many samples."""
    return -(-batches(count, program) // program.accumulate)


def counted(program: Program, steps: int) -> Program:
    """The program with its `epochs`, of so many steps each, where the spec counts steps; the last may be cut short."""
    if not program.steps:
        return program
    epochs, average = -(-program.steps // steps), program.average
    if average is not None and average.entry.begins >= epochs:
        message = f"`{average.entry.name}` begins after {average.entry.begins} epochs; {program.steps} steps are {epochs} epochs"
        raise TrainProblem("setting-conflict", message, "begin earlier, or train longer")
    return replace(program, epochs=epochs)


def whole(program: Program, count: int) -> int:
    """All batches of a training with so many samples."""
    each = batches(count, program)
    if not program.steps:
        return program.epochs * each
    epochs, rest = divmod(program.steps, updates(count, program))
    return epochs * each + min(rest * program.accumulate, each)
