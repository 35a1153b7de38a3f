"""The training loop: batches in an order that depends on (seed, epoch) alone, chance on (seed, step) alone."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from specc.data.files import write_text
from specc.train import checkpoint
from specc.train.average import Means
from specc.train.checkpoint import State
from specc.train.diagnosis import origin, sound
from specc.train.events import EpochDone, Report, Stepped
from specc.train.length import updates
from specc.train.measure import measure
from specc.train.modes import begin
from specc.train.objective import begins
from specc.train.passing import Passing
from specc.train.problem import TrainProblem
from specc.train.program import Code, Stop
from specc.train.rows import figure, read_rows, rows_text, watched
from specc.train.samples import Samples
from specc.train.step import Stepper, chunks
from specc.train.team import ALONE, Alone

SAVE_AFTER = 2.0  # seconds between checkpoints at the end of epochs, so that short ones do not wait for the disk
SAVE_WITHIN = 300.0  # seconds between checkpoints within an epoch
SHARE = 100  # times as long as saving takes nothing is saved, where that is longer
MOST_AGAIN = 300.0  # seconds since the last checkpoint up to which its steps are taken again to find a cause
LOOK_AFTER = 20  # batches between looks at the loss where looking makes the device wait


class Loop:
    """A run under way. `run` goes on until a count of epochs or steps, a rule or a person says stop."""

    def __init__(
        self,
        code: Code,
        samples: Samples,
        folder: Path,
        report: Report,
        stop: Stop,
        team: Alone = ALONE,
        pause: float | None = None,
    ) -> None:
        self.code, self.samples, self.folder = code, samples, folder
        self.report, self.stop, self.team = report, stop, team
        self.passing = Passing(code, team)
        self.stepper = Stepper(code, self.passing, team)
        self.state = State()
        self.means = Means(code)
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] | None = None
        self.saved, self.fixed = time.monotonic(), pause
        self.pause = SAVE_AFTER if pause is None else pause

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.samples.steps

    def resume(self) -> None:
        """Continue from `last/`; rows of metrics.csv past it are dropped."""
        last, stepper = self.folder / "last", self.stepper
        self.state, passing = checkpoint.read(last, self.code.module, stepper.optimizer, self.means.tensors)
        stepper.restored(self.state)
        self.passing.restore({key: each.to(stepper.device, copy=True) for key, each in passing.items()})
        self.rows = read_rows(self.folder / "metrics.csv")[: self.state.epoch]
        if len(self.rows) < self.state.epoch:
            message = f"{self.folder / 'metrics.csv'} has {len(self.rows)} rows, and the checkpoint is {self.state.epoch} epochs on"
            help = "put the file back, or begin another run with `weights` from this one"
            raise TrainProblem("damaged-checkpoint", message, help)

    def run(self) -> str:
        """Train. Why it ended: "epochs", "early" or "interrupted"."""
        program, validated = self.code.program, bool(len(self.samples.parts.validation))
        watched(self.code, validated)
        if program.schedule[-1].entry.waits:
            figure(self.code, program.schedule[-1], validated)
        while self.state.epoch < program.epochs:
            if self._has_waited():
                return "early"
            drops = self.state.drops
            if not self._epoch():
                self.save()
                return "interrupted"
            self._close_epoch()
            if self.team.decided(self._due(self.pause)) or self.state.drops != drops:
                self.save()  # after a drop too, so that the steps since a checkpoint depend on it alone
        return "early" if self._has_waited() and self.state.epoch < program.epochs else "epochs"

    def save(self) -> None:
        """Write the best weights, the rows and the checkpoint, in this order: what is left of a killed process is a
        checkpoint and what lies ahead of it, which comes again with the same bytes."""
        began = time.monotonic()
        self.stepper.noted(self.state)
        passing = self.passing.state()
        now = checkpoint.gathered(self.code.module, self.stepper.optimizer, self.state, self.means.tensors, passing)
        if self.team.leads:
            if self.best is not None:
                about = {"network": self.code.model.name, "epoch": str(self.state.best_epoch)}
                checkpoint.save_weights(self.folder / "best.safetensors", self.best, about)
            write_text(self.folder / "metrics.csv", rows_text(self.rows))
            checkpoint.write(self.folder / "last", now)
        self.best = None
        self.saved = time.monotonic()
        if self.fixed is None:
            self.pause = max(SAVE_AFTER, SHARE * (self.saved - began))

    def _due(self, pause: float) -> bool:
        return time.monotonic() - self.saved >= pause

    # --------------------------------------------------------------------------------------------- one epoch
    def _epoch(self) -> bool:
        """The batches that are left of an epoch; False when it was stopped between two of them."""
        program, state = self.code.program, self.state
        begin(self.code, state.epoch)
        steps, looked, patience = self.steps, state.step, 1 if self.stepper.device.type == "cpu" else LOOK_AFTER
        done = True
        within = SAVE_WITHIN if self.fixed is None else self.fixed
        for number, count, made in chunks(self.samples, program, state, self.team):
            if self._has_all_steps():
                break
            stop, due = self.team.asked(self.stop(), self._due(max(self.pause, within)))
            if stop:
                done = False
                break
            if due:
                self._look()
                looked = state.step
                self.save()
            self.stepper.take(made, count, state, steps)
            self.means.stepped(state)
            state.step += number
            state.seen += count
            if state.step - looked >= patience or state.step == steps:
                self._look()
                looked = state.step
                self.report(Stepped(state.epoch + 1, state.step, steps, state.total / state.seen))
        self._look()
        if not sound(self.code):
            raise self._lost("the weights are no longer finite numbers")
        return done

    def _has_all_steps(self) -> bool:
        return 0 < self.code.program.steps <= self.state.updates

    def _look(self) -> None:
        """Add the losses of the last batches to the state; NaN and infinity end the run."""
        taken = self.stepper.taken()
        for at, (loss, count) in enumerate(taken, self.state.step - len(taken) + 1):
            if not math.isfinite(loss):
                raise self._lost(f"the loss became {loss} in epoch {self.state.epoch + 1}, batch {at}")
            self.state.total += loss * count
        if taken and self.stepper.starved:
            raise self._lost("no gradient is a finite number in fp16")

    def _lost(self, fact: str) -> TrainProblem:
        """Why training cannot go on: where numbers are lost, as far as it can be found, and what is left."""
        return TrainProblem(
            "loss-not-finite",
            self.team.told(self._origin(fact) if self.team.leads else ""),
            "take a smaller learning rate, or add `clip norm(1)`",
        )

    def _origin(self, fact: str) -> str:
        """The fact with what is known of it; all samples go through this process alone."""
        last, rate = self.folder / "last", self.stepper.rate
        found = None
        if not self.team.sharded and time.monotonic() - self.saved < MOST_AGAIN:
            found = origin(self.code, self.samples, last, self.state)
        where = f"; the first number that is not finite is in {found.where}, in step {found.update}" if found else ""
        kept = checkpoint.place(last)
        return f"{fact}, at a learning rate of {rate:g}{where}; the last good checkpoint is {last}, {kept}"

    # ------------------------------------------------------------------------------------- the end of an epoch
    def _close_epoch(self) -> None:
        """Measure, note the row, and keep the weights if they are the best so far."""
        state, parts = self.state, self.samples.parts
        row = {"epoch": float(state.epoch + 1), "rate": self.stepper.rate, "train.loss": state.total / state.seen}
        row |= {f"train.{label}": value for label, value in self.passing.closed().items()}
        self.means.closed(state)
        self.team.level(self.code.module)
        with self.means.shown(state, self.samples):
            if len(parts.validation):
                found = measure(self.code, self.samples.feed, parts.validation, team=self.team)
                row |= {f"validation.{name}": value for name, value in found.items()}
            state.epoch, state.step, state.total, state.seen = state.epoch + 1, 0, 0.0, 0
            self.rows.append(row)
            better = self._is_best(row)
            if better:
                self.best = checkpoint.tensors(self.code.module)
        state.best_epoch, state.waited = (state.epoch, 0) if better else (state.best_epoch, state.waited + 1)
        self._watch(row)
        self.report(EpochDone(state.epoch, self.code.program.epochs, row, better))

    def _watch(self, row: Mapping[str, float]) -> None:
        """Count the epochs without a better figure for a schedule that waits for one, from its own first epoch on."""
        program, state = self.code.program, self.state
        chosen = program.schedule[-1]
        if not chosen.entry.waits or state.epoch <= begins(program, updates(self.samples.steps, program)):
            return
        name, rises = figure(self.code, chosen, validated=bool(len(self.samples.parts.validation)))
        value, best = row[name], state.plateau
        if math.isfinite(value) and (best is None or (value > best if rises else value < best)):
            state.plateau, state.level = value, 0
            return
        state.level += 1
        if state.level >= chosen.entry.patience:
            state.drops, state.level = state.drops + 1, 0

    def _is_best(self, row: Mapping[str, float]) -> bool:
        """Whether the watched figure is better than ever; among equals the smaller loss decides."""
        name, rises = watched(self.code, validated=bool(len(self.samples.parts.validation)))
        value, tie = row[name], row.get("validation.loss", row["train.loss"])
        if not math.isfinite(value) or not math.isfinite(tie):
            return self.state.best_epoch == 0  # kept only while there are no others
        best, second = self.state.best, self.state.tie
        better = best is None or (value > best if rises else value < best)
        if better or (value == best and second is not None and tie < second):
            self.state.best, self.state.tie = value, tie
            return True
        return False

    def _has_waited(self) -> bool:
        stop = self.code.program.stop
        return stop is not None and self.state.waited >= stop.entry.patience
