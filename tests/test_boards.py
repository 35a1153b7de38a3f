"""What TensorBoard reads of a run: the rows of metrics.csv, also of a resumed one, and nothing where it is not wanted."""

from __future__ import annotations

import csv
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from specc.compiler import compile_text
from specc.tools.cli import main
from specc.tools.progress import epoch_line
from specc.train import boards
from specc.train.boards import Boards
from specc.train.events import EpochDone, Event, Finished, Started, Stepped
from specc.train.runs import Run
from specc.train.training import train

SPEC = """network Small {
    input features: [4]
    linear(8)
    relu
    linear(3)
    softmax
}
train { data iris; loss cross_entropy; optimizer adam(lr=0.05); schedule cosine; metrics accuracy; epochs 5 }
"""


def shown(folder: Path) -> dict[str, dict[int, float]]:
    """The scalars that TensorBoard shows, by tag and step."""
    reader = EventAccumulator(str(folder / "tensorboard"), purge_orphaned_data=True)
    reader.Reload()
    return {tag: {each.step: each.value for each in reader.Scalars(tag)} for tag in reader.Tags()["scalars"]}


def columns(run: Run) -> dict[str, dict[int, float]]:
    """The rows of metrics.csv and the test figures in the same form."""
    found: dict[str, dict[int, float]] = {}
    with open(run.folder / "metrics.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if name != "epoch":
                    tag = "/".join(reversed(name.split(".")))
                    found.setdefault(tag, {})[int(row["epoch"])] = float(value)
    for name, value in run.results.items():
        found[f"{name}/test"] = {run.config["best_epoch"]: value}
    return found


def go(folder: Path, **options: Any) -> Run:
    compilation = None if "resume" in options else compile_text(SPEC, "a.net")
    return train(compilation, out_root=folder, project=folder, device="cpu", **options)


def same(run: Run) -> None:
    found, expected = shown(run.folder), columns(run)
    assert set(found) == set(expected)
    for tag, values in expected.items():
        assert found[tag] == pytest.approx(values, rel=1e-6), tag


def test_tensorboard_shows_the_rows_of_the_run(tmp_path: Path):
    run = go(tmp_path)
    assert len(columns(run)["loss/train"]) == 5
    same(run)


def test_a_resumed_run_goes_on_in_the_same_curves(tmp_path: Path):
    calls = iter(range(1000))
    stopped = go(tmp_path, stop=lambda: next(calls) >= 9)  # in the third epoch of four steps
    assert stopped.interrupted
    assert set(shown(stopped.folder)["loss/train"]) == {1, 2}
    same(go(tmp_path, resume=stopped.folder))


def test_epochs_past_the_checkpoint_are_forgotten(tmp_path: Path):
    """A run that was killed has shown epochs that its checkpoint does not know."""

    def say(done: int, epochs: range, value: float) -> None:
        logs = Boards(tmp_path)
        logs.saw(Started("N", tmp_path, "cpu", 1, (1, 1, 1), 9, done, 1, 9, "fp32"))
        for epoch in epochs:
            logs.saw(EpochDone(epoch, 9, {"epoch": epoch, "rate": 0.5, "train.loss": value}, False))

    say(0, range(1, 6), 1.0)  # never closed: what was shown is on the disk all the same
    say(3, range(4, 7), 2.0)
    assert shown(tmp_path)["loss/train"] == {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2}


def test_nothing_is_loaded_before_the_first_epoch_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    order: list[str] = []

    def load(name: str) -> Any:
        order.append(name)
        return import_module(name)

    def listen(event: Event) -> None:
        order.append(type(event).__name__)

    monkeypatch.setattr(boards, "import_module", load)
    run = go(tmp_path, report=listen)
    at = order.index("torch.utils.tensorboard")
    assert order.count("torch.utils.tensorboard") == 1
    assert set(order[:at]) == {Started.__name__, Stepped.__name__}
    assert order[at + 1] == EpochDone.__name__
    assert order[-1] == Finished.__name__
    same(run)


def test_without_tensorboard_a_run_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("a.net").write_text(SPEC, encoding="utf-8")
    assert main(["train", "a.net", "--no-tensorboard"]) == 0
    monkeypatch.setattr(boards, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert main(["train", "a.net"]) == 0, capfd.readouterr().err
    monkeypatch.undo()
    one, other, logged = (tmp_path / "runs" / "Small" / "1", tmp_path / "runs" / "Small" / "2", go(tmp_path).folder)
    for name in ("metrics.csv", "best.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes() == (logged / name).read_bytes()
    assert not (one / "tensorboard").exists()
    assert not (other / "tensorboard").exists()
    assert (logged / "tensorboard").is_dir()


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_sweep_leaves_them_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int):
    monkeypatch.chdir(tmp_path)
    Path("a.net").write_text(SPEC, encoding="utf-8")
    sweep = ["--sweep", "optimizer.lr=0.1,0.01", "--jobs", str(jobs), "--set", "epochs=1"]
    assert main(["train", "a.net", *sweep, "--no-tensorboard"]) == 0
    runs = sorted((tmp_path / "runs" / "Small").glob("*/report.html"))
    assert len(runs) == 2
    assert not [each for each in runs if (each.parent / "tensorboard").exists()]


@pytest.mark.parametrize(
    ("row", "best", "line"),
    [
        ({"epoch": 3, "rate": 0.002, "train.loss": 0.161512, "train.accuracy": 0.95553, "validation.loss": 0.16933,
          "validation.accuracy": 0.94444}, True,
         "epoch  3/15  loss 0.1615 / 0.1693  accuracy 0.9555 / 0.9444  rate 0.002  best"),
        ({"epoch": 15, "rate": 1e-6, "train.loss": 1234.56}, False, "epoch 15/15  loss 1235  rate 1e-06"),
    ],
)  # fmt: skip
def test_an_epoch_is_a_line_of_eighty_columns(row: dict[str, float], best: bool, line: str):
    found = epoch_line(EpochDone(int(row["epoch"]), 15, row, best))
    assert found == line
    assert len(found) <= 80
