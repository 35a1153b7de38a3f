"""A run folder: what is written into it, and reading it back. Nothing in it is code that is run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specc.compiler import Compilation, compile_text
from specc.data.prepare import Prepared
from specc.model.graph import Model
from specc.model.inline import inlined
from specc.train.problem import TrainProblem

SPEC, MODEL, PROGRAM, CONFIG, METRICS = "spec.net", "model.py", "program.py", "config.json", "metrics.csv"
BEST, LAST, REPORT, LOG, SPLIT = "best.safetensors", "last", "report.html", "log.txt", "split.csv"
TEST = "test.csv"


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was trained, wholly or in part.

    `status` is "running", "finished", "interrupted" or "failed"; `results` are the figures of the test part with the
    best weights, empty until training is over. `prepared` holds the fitted steps by input, `encoding` how a file
    becomes an input (data floor), `project` the folder that the paths of the spec start at.
    """

    folder: Path
    network: str
    phase: str
    spec: str
    status: str
    config: Mapping[str, Any]
    results: Mapping[str, float]
    class_names: tuple[str, ...]
    prepared: Mapping[str, Prepared]
    encoding: Mapping[str, Any] | None
    project: Path

    @property
    def weights(self) -> Path:
        """The weights of the best epoch, a safetensors file."""
        return self.folder / BEST

    @property
    def interrupted(self) -> bool:
        return self.status == "interrupted"

    @property
    def model(self) -> Model:
        """The network, compiled again from the run's own spec."""
        return self.compile().model()

    def compile(self) -> Compilation:
        """The run's spec, compiled; raises TrainProblem where this version of specc refuses it."""
        found = compile_text(self.spec, SPEC, network=self.network)
        if not found.ok or not found.models:
            first = next((each.message for each in found.bag if each.severity == "error"), "no network")
            raise TrainProblem("damaged-run", f"{self.folder / SPEC} does not compile: {first}")
        return found

    @classmethod
    def load(cls, folder: Path | str) -> Run:
        """Read a run folder; raises TrainProblem for what is none."""
        return cls.of(Path(folder), cls.written(Path(folder)))

    @staticmethod
    def written(folder: Path) -> dict[str, str]:
        """What a run is read from: the texts of its files by their names. Raises TrainProblem."""
        try:
            return {name: (folder / name).read_text(encoding="utf-8") for name in (CONFIG, SPEC)}
        except FileNotFoundError as error:
            missing = Path(error.filename or folder)
            help = "a run folder looks like runs/LeNet5/1"
            if (folder / SPEC).is_file():
                help = "the run ended before it had begun, so there is nothing to continue: train its spec.net"
            raise TrainProblem("not-a-run", f"{folder} is no run folder: there is no {missing.name}", help) from None
        except (OSError, ValueError) as error:
            raise TrainProblem("damaged-run", f"{folder} cannot be read: {error!r}") from error

    @classmethod
    def of(cls, folder: Path, texts: Mapping[str, str]) -> Run:
        """The run of these texts; raises TrainProblem for those of none."""
        try:
            config, spec = json.loads(texts[CONFIG]), texts[SPEC]
            return cls(
                folder, config["network"], config["phase"], spec, config["status"], config, config["results"],
                tuple(config["data"]["classes"]),
                {name: Prepared.from_json(each) for name, each in config["prepare"].items()},
                config["data"]["encoding"], (folder / config["project"]).resolve(),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TrainProblem("damaged-run", f"{folder} cannot be read: {error!r}") from error


def self_contained(compilation: Compilation, model: Model) -> str:
    """The spec of a run: one text that compiles to the same model by itself."""
    assert compilation.unit is not None
    text = inlined(compilation.unit, model, compilation.settings, compilation.sizes, compilation.bag)
    again = compile_text(text, SPEC, network=model.name)
    same = again.ok and bool(again.models) and _keys(again.model()) == _keys(model)
    if not same:
        first = next((each.message for each in again.bag if each.severity == "error"), "its weights differ")
        raise AssertionError(f"the spec written into the run does not give the same model: {first}")
    return text


def _keys(model: Model) -> list[tuple[str, tuple[Any, ...]]]:
    return [(each.key, tuple(each.spec.shape)) for each in model.weights]
