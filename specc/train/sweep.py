"""A sweep: which trainings it is made of, how far each is, and the file that says so and lets it be continued."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from specc import __version__
from specc.compiler import Compilation, compile_text
from specc.data.files import made_folder, write_json
from specc.data.parting import number_of_folds
from specc.model.program import Sweep
from specc.train.problem import TrainProblem
from specc.train.program import chosen
from specc.train.runs import SPEC
from specc.train.speed import Wishes

WAITING, RUNNING, FINISHED, FAILED = "waiting", "running", "finished", "failed"
SUFFIXES = (".json", ".csv", ".md")


@dataclass(frozen=True, slots=True)
class Training:
    """One training of a sweep. `settings` are its `--set` texts by key, `fold` is 0 where folds are not trained.

    `run` is the name of its folder, "" before it has one; `status` is "waiting", "running", "finished" or "failed", and
    `message` says why it failed.
    """

    point: int
    settings: dict[str, str]
    fold: int = 0
    run: str = ""
    status: str = WAITING
    message: str = ""

    @property
    def name(self) -> str:
        """`optimizer.lr=0.1 width=32 fold 2`."""
        parts = [f"{key}={text}" for key, text in self.settings.items()]
        return " ".join([*parts, *([f"fold {self.fold}"] if self.fold else [])])


@dataclass
class SweepBook:
    """A sweep on disk, `runs/<network>/sweep-<n>.json` (`folds-<n>` where nothing but the fold changes).

    `spec` is the whole text, so that a file that is changed meanwhile changes nothing; `project` the folder that its
    paths start at; `wishes` how the device is used.
    """

    folder: Path
    name: str
    spec: str
    network: str
    phase: str
    project: Path
    wishes: Wishes = field(default_factory=Wishes)
    trainings: list[Training] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def keys(self) -> list[str]:
        """What differs between the trainings."""
        return list(self.trainings[0].settings) if self.trainings else []

    @property
    def open(self) -> list[int]:
        """The places of the trainings that are not finished."""
        return [at for at, each in enumerate(self.trainings) if each.status != FINISHED]

    def run(self, training: Training) -> Path:
        """The folder of a training's run."""
        return self.folder / training.run

    def mark(self, at: int, **changes: Any) -> None:
        """Note how far a training is."""
        self.trainings[at] = replace(self.trainings[at], **changes)
        self.save()

    def compile(self, training: Training) -> Compilation:
        """The spec with the settings of a training."""
        return self._compile(training.settings | ({"split.fold": str(training.fold)} if training.fold else {}))

    def lay_out(self, sweep: Sweep | None, seed: int, folds: bool) -> None:
        """Fill in the trainings: the points of the sweep, and the folds of each; raises TrainProblem, DataProblem."""
        self.trainings = []
        for number, settings in enumerate(points(sweep, seed), 1):
            count = self._folds(settings) if folds else 0
            numbers = range(1, count + 1) if folds else (0,)
            self.trainings += [Training(number, settings, fold) for fold in numbers]

    def _folds(self, settings: dict[str, str]) -> int:
        found = self._compile(settings)
        count = number_of_folds(chosen(found, self.phase)[1], self.project) if found.ok else 1
        if not count:
            raise TrainProblem("no-folds", "there are no folds to train", "write `split kfold(5)`")
        return count

    def _compile(self, settings: dict[str, str]) -> Compilation:
        return compile_text(self.spec, SPEC, network=self.network, settings={**settings, "sweep": ""})

    # ------------------------------------------------------------------------------------------------ on disk
    def create(self) -> None:
        """Take the first free name and write the file."""
        made_folder(self.folder)
        kind = "sweep" if self.keys else "folds"
        taken = [each.stem.removeprefix(f"{kind}-") for each in self.folder.glob(f"{kind}-*.json")]
        number = max((int(each) for each in taken if each.isdecimal()), default=0)
        while True:
            number += 1
            self.name = f"{kind}-{number}"
            try:
                self.path.touch(exist_ok=False)
                break
            except FileExistsError:
                continue
        self.save()

    def save(self) -> None:
        write_json(
            self.path,
            {
                "schema": 1,
                "specc": __version__,
                "network": self.network,
                "phase": self.phase,
                "project": os.path.relpath(self.project.resolve(), self.folder.resolve()),
                "wishes": asdict(self.wishes),
                "trainings": [asdict(each) for each in self.trainings],
                "spec": self.spec,
            },
        )

    @classmethod
    def load(cls, path: Path) -> SweepBook:
        """Read a sweep by its .json, or by its name without an ending; raises TrainProblem."""
        file = sweep_file(path) or path
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            book = cls(
                file.parent, file.stem, found["spec"], found["network"], found["phase"],
                (file.parent / found["project"]).resolve(), Wishes(**found["wishes"]), [Training(**each) for each in found["trainings"]],
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainProblem("damaged-run", f"{file} cannot be read: {error!r}") from error
        return book


def sweep_file(path: Path) -> Path | None:
    """The file of the sweep that a path names: `runs/Net/sweep-1`, with or without an ending; None for anything else."""
    if path.is_dir():
        return None
    stem = path.with_suffix("") if path.suffix in SUFFIXES else path
    file = stem.with_name(f"{stem.name}.json")
    return file if file.is_file() else None


def points(sweep: Sweep | None, seed: int) -> Iterator[dict[str, str]]:
    """The settings of every point: all combinations, the last key changing fastest, or some of them by chance."""
    if sweep is None:
        yield {}
        return
    keys, lists = list(sweep.values), list(sweep.values.values())
    if sweep.draws is None:
        for texts in product(*lists):
            yield dict(zip(keys, texts, strict=True))
        return
    for place in random.Random(seed).sample(range(prod(map(len, lists))), sweep.draws):
        found = {}
        for key in reversed(keys):
            place, at = divmod(place, len(sweep.values[key]))
            found[key] = sweep.values[key][at]
        yield {key: found[key] for key in keys}
