"""The training loop: batches in an order that depends on (seed, epoch) alone, chance on (seed, step) alone."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from specc.data.files import write_text
from specc.data.named import implementation
from specc.model.program import Chosen, Program
from specc.train import checkpoint
from specc.train.average import Means
from specc.train.checkpoint import State
from specc.train.events import EpochDone, Report, Stepped
from specc.train.groups import frozen, trained
from specc.train.measure import measure
from specc.train.objective import begins
from specc.train.problem import TrainProblem
from specc.train.program import Code, Stop, mixed
from specc.train.samples import Indices, Samples, cuts, shuffled

SAVE_AFTER = 2.0  # seconds between checkpoints, so that short epochs do not wait for the disk
VALIDATION = "validation."  # how the columns of that part begin
LOOK_AFTER = 20  # batches between looks at the loss where looking makes the device wait


class Loop:
    """A run under way. `run` goes on until an epoch count, a rule or a person says stop."""

    def __init__(self, code: Code, samples: Samples, folder: Path, report: Report, stop: Stop) -> None:
        self.code, self.samples, self.folder = code, samples, folder
        self.report, self.stop = report, stop
        self.optimizer: torch.optim.Optimizer = code.functions.optimizer(code.weights)
        self.state = State()
        self.means = Means(code)
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] | None = None
        self.saved, self.rate = time.monotonic(), 0.0
        self.device = next(iter(code.weights.values())).device

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(cuts(len(self.samples.parts.train), self.code.program.batch))

    def resume(self) -> None:
        """Continue from `last/`; rows of metrics.csv past it are dropped."""
        self.state = checkpoint.read(self.folder / "last", self.code.module, self.optimizer, self.means.tensors)
        self.rows = read_rows(self.folder / "metrics.csv")[: self.state.epoch]

    def run(self) -> str:
        """Train. Why it ended: "epochs", "early" or "interrupted"."""
        program, validated = self.code.program, bool(len(self.samples.parts.validation))
        watched(self.code, validated)
        if program.schedule[-1].entry.waits:
            figure(self.code, program.schedule[-1], validated)
        while self.state.epoch < program.epochs:
            if self._has_waited():
                return "early"
            if not self._epoch():
                self.save()
                return "interrupted"
            self._close_epoch()
            if time.monotonic() - self.saved > SAVE_AFTER:
                self.save()
        return "early" if self._has_waited() and self.state.epoch < program.epochs else "epochs"

    def save(self) -> None:
        """Write the best weights, the rows and the checkpoint, in this order."""
        if self.best is not None:
            about = {"network": self.code.model.name, "epoch": str(self.state.best_epoch)}
            checkpoint.save_weights(self.folder / "best.safetensors", self.best, about)
            self.best = None
        write_text(self.folder / "metrics.csv", rows_text(self.rows))
        checkpoint.write(self.folder / "last", self.code.module, self.optimizer, self.state, self.means.tensors)
        self.saved = time.monotonic()

    # --------------------------------------------------------------------------------------------- one epoch
    def _epoch(self) -> bool:
        """The batches that are left of an epoch; False when it was stopped between two of them."""
        program, state = self.code.program, self.state
        indices = shuffled(self.samples.parts, program.seed, state.epoch)
        places = cuts(len(indices), program.batch)
        self.code.module.train()
        self._thaw()
        sums = torch.zeros((), dtype=torch.float64, device=self.device)
        looked = state.step
        while state.step < len(places):
            if self.stop():
                self._look(sums, looked)
                return False
            chunk = places[state.step : state.step + program.accumulate]
            self._update([indices[start:end] for start, end in chunk], len(places), sums)
            state.step += len(chunk)
            state.seen += chunk[-1][1] - chunk[0][0]
            if self.device.type == "cpu" or state.step - looked >= LOOK_AFTER or state.step == len(places):
                self._look(sums, looked)
                looked = state.step
                self.report(Stepped(state.epoch + 1, state.step, len(places), state.total / state.seen))
        return True

    def _look(self, sums: torch.Tensor, since: int) -> None:
        """Add the loss of the last batches to the state; NaN and infinity end the run."""
        found = float(sums)
        sums.zero_()
        if not math.isfinite(found):
            place = (
                f"batch {self.state.step}"
                if self.state.step - since <= 1
                else f"batches {since + 1} to {self.state.step}"
            )
            rate = self.rate
            raise TrainProblem(
                "loss-not-finite",
                f"the loss became {found} in epoch {self.state.epoch + 1}, {place}, at a learning rate of {rate:g}",
                "take a smaller learning rate, or add `clip norm(1)`; the last checkpoint is as it was before",
            )
        self.state.total += found

    def _update(self, parts: list[Indices], steps: int, sums: torch.Tensor) -> None:
        """One step of the optimizer, from one batch or several added up."""
        code, state = self.code, self.state
        torch.manual_seed(mixed(code.program.seed, "step", state.updates))
        self.rate = self._rate(state.epoch + state.step / steps)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * group.get("factor", 1.0)
        if code.program.optimizer.entry.grouped:
            self._backward(parts, sums)
            self._clip()
            self.optimizer.step()
        else:
            self._search(parts, sums)
        state.updates += 1
        self.means.stepped(state)

    def _backward(self, parts: list[Indices], sums: torch.Tensor) -> torch.Tensor:
        """The gradients of some batches as those of one; what the optimizer makes small, and the loss added to `sums`."""
        code = self.code
        self.optimizer.zero_grad(set_to_none=True)
        count = sum(len(each) for each in parts)
        total = torch.zeros((), device=self.device)
        for part in parts:
            inputs, target = self.samples.batch(part, self.state.epoch)
            loss = code.functions.loss(code.outputs(inputs), inputs, target)
            whole = loss + code.functions.penalty(code.weights)
            share = whole if len(parts) == 1 else whole * (len(part) / count)
            share.backward()
            total += share.detach()
            sums += loss.detach().double() * len(target)
        return total

    def _search(self, parts: list[Indices], sums: torch.Tensor) -> None:
        """A step of an optimizer that asks for the loss again and again; the first answer is that of the batch."""
        seed, answers = mixed(self.code.program.seed, "step", self.state.updates), [sums]

        def closure() -> float:
            torch.manual_seed(seed)
            return float(self._backward(parts, answers.pop() if answers else torch.zeros_like(sums)))

        self.optimizer.step(closure)

    def _rate(self, epoch: float) -> float:
        schedule = self.code.program.schedule
        if schedule[-1].entry.waits:
            return float(self.code.functions.rate(epoch, self.state.drops))
        return float(self.code.functions.rate(epoch))

    def _thaw(self) -> None:
        """Let those weights train that `freeze` no longer holds."""
        program = self.code.program
        if program.freeze:
            held = frozen(self.code.model, program, self.state.epoch)
            for each in trained(self.code.model, program):
                self.code.weights[each.key].requires_grad_(each.key not in held)

    def _clip(self) -> None:
        clip = self.code.program.clip
        if clip is None:
            return
        trained = [each for group in self.optimizer.param_groups for each in group["params"]]
        implementation(clip.entry.runs)(trained, float(clip.entry.x))

    # ------------------------------------------------------------------------------------- the end of an epoch
    def _close_epoch(self) -> None:
        """Measure, note the row, and keep the weights if they are the best so far."""
        state, parts = self.state, self.samples.parts
        row = {"epoch": float(state.epoch + 1), "rate": self.rate, "train.loss": state.total / state.seen}
        self.means.closed(state)
        with self.means.shown(state, self.samples):
            if len(parts.validation):
                found = measure(self.code, self.samples.feed, parts.validation)
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
        if not chosen.entry.waits or state.epoch <= begins(program, updates(len(self.samples.parts.train), program)):
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


def updates(count: int, program: Program) -> int:
    """The steps of the optimizer in an epoch of so many samples."""
    return -(-len(cuts(count, program.batch)) // program.accumulate)


def watched(code: Code, validated: bool) -> tuple[str, bool]:
    """The column that says which epoch was best, and whether more is better."""
    if code.program.stop is not None:
        return figure(code, code.program.stop, validated)
    if not validated:
        return "train.loss", False
    return next(iter(_rising(code).items()), ("validation.loss", False))


def figure(code: Code, chosen: Chosen, validated: bool) -> tuple[str, bool]:
    """The column that a rule looks at, and whether more is better; raises TrainProblem where it will not be there."""
    name = chosen.entry.on
    if not validated and name.startswith(VALIDATION):
        message = f"`{chosen.entry.name}` watches `{name}`, and there are no samples for validation"
        help = f"write `{chosen.entry.name}(on=train.loss)`, or give validation a share"
        raise TrainProblem("unknown-column", message, help)
    return name, _rising(code).get(name, False)


def _rising(code: Code) -> dict[str, bool]:
    return {f"{VALIDATION}{each.label}": each.metric.entry.rises for each in code.measures}


def rows_text(rows: list[dict[str, float]]) -> str:
    """Rows as CSV; numbers as Python writes them, so that they are read back as they were."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow([int(value) if name == "epoch" else repr(value) for name, value in row.items()])
    return text.getvalue()


def read_rows(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv; none where there is no file."""
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
