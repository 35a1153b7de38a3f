"""Sweeps and folds: which trainings they are, that each is the training it would be alone, the table, stopping and resuming."""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from dataclasses import fields
from pathlib import Path

import pytest

from specc.compiler import compile_text
from specc.model.program import Sweep
from specc.text.source import Source, Span
from specc.tools import attempt
from specc.tools.cli import main
from specc.tools.commands import train_
from specc.tools.work import Work
from specc.train import outcome
from specc.train.outcome import number, spread
from specc.train.rows import read_rows
from specc.train.sweep import SweepBook, points, sweep_file

ROOT = Path(__file__).parent.parent
NET = "network Net(width: int = 4) { input features: [4]; linear(width); relu; linear(3); softmax }\n"
PLAIN = "data iris; loss cross_entropy; optimizer sgd(lr=0.1); epochs 1; batch 60; metrics accuracy"
FOLDS = f"{PLAIN}; split kfold(3), validation=0.2"


def spec(settings: str, network: str = NET) -> str:
    Path("a.net").write_text(f"{network}train {{ {settings} }}\n", encoding="utf-8")
    return "a.net"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweep(draws: int | None = None, **values: list[str]) -> Sweep:
    return Sweep({key: tuple(each) for key, each in values.items()}, draws, Span(Source("a", "a"), 0, 1))


def rows(name: str) -> list[dict[str, str]]:
    with open(f"runs/Net/{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------------------------------------------- the points
def test_a_grid_is_all_combinations_in_their_order():
    found = list(points(sweep(a=["1", "2"], b=["x", "y", "z"]), 0))
    assert [tuple(each.values()) for each in found] == list(itertools.product("12", "xyz"))
    assert all(list(each) == ["a", "b"] for each in found)
    assert list(points(None, 0)) == [{}]


@pytest.mark.parametrize("seed", range(5))
def test_chance_takes_combinations_once_and_depends_on_the_seed(seed: int):
    grid = sweep(a=["1", "2", "3"], b=["x", "y"], c=["p", "q"])
    whole = {tuple(each.values()) for each in points(grid, 0)}
    some = [tuple(each.values()) for each in points(sweep(7, a=["1", "2", "3"], b=["x", "y"], c=["p", "q"]), seed)]
    assert len(set(some)) == 7
    assert set(some) <= whole
    assert some == [tuple(e.values()) for e in points(sweep(7, a=["1", "2", "3"], b=["x", "y"], c=["p", "q"]), seed)]
    every = [tuple(e.values()) for e in points(sweep(12, a=["1", "2", "3"], b=["x", "y"], c=["p", "q"]), seed)]
    assert set(every) == whole


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("optimizr.lr=[1, 2]", "neither a setting nor a parameter"),
        ("width=3", "needs the list of its values"),
        ("width=[]", "needs the list of its values"),
        ("width=[3, 3]", "takes 3 twice"),
        ("width=[3], width=[4]", "`width` is swept twice"),
        ("random(3), width=[1, 2]", "there are 2 combinations, fewer than 3"),
        ("random(0), width=[1, 2]", "must be a whole number from 1 on"),
        ("random(1), random(2), width=[1, 2]", "takes one way to search"),
        ("grid, width=[1, 2]", "there is no way to search `grid`"),
        ("random(3)", "names nothing that takes values"),
        ("split.fold=[1, 2]", "the folds are no choice"),
        ("sweep=[1]", "cannot be swept"),
        (f"width={list(range(1, 102))}, epochs={list(range(1, 11))}", "these are 1,010 trainings"),
    ],
)
def test_a_sweep_that_is_none_is_refused_by_check(line: str, says: str):
    found = compile_text(f"{NET}train {{ {PLAIN}; sweep {line} }}\n")
    messages = [each.message for each in found.bag if each.severity == "error"]
    assert len(messages) == 1, messages
    assert says in messages[0]


def test_lines_add_up_and_an_empty_text_leaves_a_setting_out():
    text = f"{NET}train {{ {PLAIN}; augment noise(0.1); sweep width=[1, 2]; sweep optimizer=[adam, sgd(lr=1)] }}\n"
    plan = compile_text(text).programs["Net", ""]
    assert plan.sweep is not None
    assert plan.sweep.values == {"width": ("1", "2"), "optimizer": ("adam", "sgd(lr=1)")}
    bare = compile_text(text, settings={"sweep": "", "augment": ""}).programs["Net", ""]
    assert (bare.sweep, bare.augment) == (None, ())


# -------------------------------------------------------------------------------------------------------- trainings
def test_every_point_is_the_training_that_it_would_be_alone(capfd: pytest.CaptureFixture[str]):
    file = spec(PLAIN)
    assert main(["train", file, "--sweep", "optimizer.lr=0.1,1", "--sweep", "width=3,8"]) == 0
    said = capfd.readouterr()
    assert said.out.split() == [f"runs/Net/{each}" for each in (1, 2, 3, 4)]
    for run, (lr, width) in enumerate(itertools.product(("0.1", "1"), ("3", "8")), 1):
        assert main(["train", file, "--set", f"optimizer.lr={lr}", "--set", f"width={width}", "--out", "alone"]) == 0
        for name in ("best.safetensors", "metrics.csv", "split.csv"):
            assert Path(f"runs/Net/{run}/{name}").read_bytes() == Path(f"alone/Net/{run}/{name}").read_bytes()
        assert "sweep" not in Path(f"runs/Net/{run}/spec.net").read_text()
    found = rows("sweep-1")
    assert [(each["optimizer.lr"], each["width"], each["run"]) for each in found] == [
        ("0.1", "3", "1"), ("0.1", "8", "2"), ("1", "3", "3"), ("1", "8", "4"),
    ]  # fmt: skip
    for row in found:
        config = json.loads(Path(f"runs/Net/{row['run']}/config.json").read_text())
        assert float(row["test.accuracy"]) == config["results"]["accuracy"]
        last = read_rows(Path(f"runs/Net/{row['run']}/metrics.csv"))[config["best_epoch"] - 1]
        assert float(row["validation.loss"]) == last["validation.loss"]
    best = min(found, key=lambda row: (-float(row["validation.accuracy"]), float(row["validation.loss"])))
    assert [row for row in found if row["best"] == "1"] == [best]
    assert f"optimizer.lr={best['optimizer.lr']} width={best['width']}" in said.err
    assert all(len(line) <= 80 for line in said.err.splitlines()[-12:-2])
    page = Path("runs/Net/sweep-1.md").read_text()
    assert page.count("**best**") == 1


def test_a_sweep_of_the_spec_is_trained_and_folds_lie_inside_its_points(capfd: pytest.CaptureFixture[str]):
    assert main(["train", spec(f"{FOLDS}; sweep optimizer.lr=[0.1, 0.5]"), "--folds"]) == 0
    found = rows("sweep-1")
    assert [(each["point"], each["fold"]) for each in found] == [(p, f) for p in "12" for f in "123"]
    means = {p: statistics.fmean(float(r["validation.accuracy"]) for r in found if r["point"] == p) for p in "12"}
    losses = {p: statistics.fmean(float(r["validation.loss"]) for r in found if r["point"] == p) for p in "12"}
    best = min("12", key=lambda p: (-means[p], losses[p]))
    assert {row["point"] for row in found if row["best"] == "1"} == {best}
    values = [float(row["test.loss"]) for row in found if row["point"] == "2"]
    text = f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}"
    assert text in Path("runs/Net/sweep-1.md").read_text()
    tests = [Path(f"runs/Net/{run}/split.csv").read_text().count(",test") for run in (1, 2, 3)]
    assert tests == [50, 50, 50]


def test_folds_alone_have_a_table_of_their_figures(capfd: pytest.CaptureFixture[str]):
    assert main(["train", spec(FOLDS), "--folds"]) == 0
    said = capfd.readouterr()
    values = [float(row["test.accuracy"]) for row in rows("folds-1")]
    line = next(line for line in said.err.splitlines() if line.strip().startswith("test.accuracy"))
    assert [float(each) for each in line.replace("±", " ").split()[1:]] == pytest.approx(
        [*values, statistics.fmean(values), statistics.stdev(values)], abs=5e-5
    )
    assert "over 3 of 3 folds" in said.err


def test_what_cannot_be_trained_is_refused_before_the_first(capfd: pytest.CaptureFixture[str]):
    assert main(["train", spec(PLAIN), "--sweep", "width=4,0", "--sweep", "optimizer.lr=0.1,-1"]) == 1
    said = capfd.readouterr().err
    assert "3 of 4 points cannot be trained, so nothing was started" in said
    assert "width=4 optimizer.lr=-1:\nerror[bad-argument]: `lr` must be a number above 0" in said
    assert not Path("runs").exists()
    assert main(["train", spec(PLAIN), "--folds"]) == 1
    assert "error[no-folds]" in capfd.readouterr().err
    assert main(["train", spec(PLAIN), "--jobs", "2"]) == 2
    assert main(["train", spec(PLAIN), "--sweep", "width=1,2", "--jobs", "0"]) == 2
    assert main(["train", spec(PLAIN), "--sweep", "data=digits,iris"]) == 1
    assert "data=digits" in capfd.readouterr().err
    assert not Path("runs").exists()


def test_a_point_that_fails_does_not_lose_the_others_and_is_tried_again(capfd: pytest.CaptureFixture[str]):
    huge = "network Net(width: int = 4) { input features: [4]; linear(width); linear(1) }\n"
    file = spec('data table("t.csv", target="y"); loss mse; epochs 3; batch 8; optimizer sgd(lr=0.01)', huge)
    Path("t.csv").write_text("a,b,c,d,y\n" + "".join(f"{n},1,2,{n % 7},{n * 0.5}\n" for n in range(60)))
    assert main(["train", file, "--sweep", "optimizer.lr=1e9,1e-5"]) == 1
    said = capfd.readouterr()
    assert said.out == "runs/Net/2\n"
    assert "failed: optimizer.lr=1e9: the loss became" in said.err
    assert [row["status"] for row in rows("sweep-1")] == ["failed", "finished"]
    assert [row["best"] for row in rows("sweep-1")] == ["0", "1"]
    assert "optimizer.lr=1e9: the loss became" in Path("runs/Net/sweep-1.md").read_text()
    assert main(["train", "--resume", "runs/Net/sweep-1"]) == 1
    assert [row["run"] for row in rows("sweep-1")] == ["3", "2"], "what is finished is not trained again"


def test_points_of_other_losses_are_not_compared_by_them(capfd: pytest.CaptureFixture[str]):
    loss = "data diabetes; loss mse; epochs 1; batch 128"
    net = "network Net { input features: [10]; linear(1) }\n"
    file = spec(f"{loss}; stop early(on=validation.loss)", net)
    assert main(["train", file, "--sweep", "loss=mse,mae"]) == 0
    assert "their losses differ" in capfd.readouterr().err
    assert {row["best"] for row in rows("sweep-1")} == {"0"}
    assert main(["train", spec(loss, net), "--sweep", "loss=mse,mae"]) == 0
    assert "Best by validation.mae" in capfd.readouterr().err
    assert sorted(row["best"] for row in rows("sweep-2")) == ["0", "1"]


# ------------------------------------------------------------------------------------------ side by side, stopping
def begin(*arguments: str) -> subprocess.Popen[str]:
    surroundings = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")
    return subprocess.Popen(
        [sys.executable, "-m", "specc", "train", *arguments], env=surroundings, stderr=subprocess.PIPE, text=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip


def await_(file: str, seconds: float = 90) -> None:
    last = time.monotonic() + seconds
    while not Path(file).is_file():
        assert time.monotonic() < last, file
        time.sleep(0.05)


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_sweep_that_was_stopped_is_continued_to_the_same_bytes(jobs: str, capfd: pytest.CaptureFixture[str]):
    settings = PLAIN.replace("epochs 1", "epochs 25").replace("batch 60", "batch 5")
    file = spec(settings)
    running = begin(file, "--sweep", "width=4,5", "--set", "epochs=100000", "--jobs", jobs, "--out", "stopped")
    try:
        await_("stopped/Net/1/last/state.json")
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130, err
    assert "Traceback" not in err
    assert "continue with: specc train --resume stopped/Net/sweep-1" in err
    book = Path("stopped/Net/sweep-1.json")
    state = json.loads(book.read_text())
    assert out == ""
    assert {each["status"] for each in state["trainings"]} <= {"running", "waiting"}
    for each in [book, *Path("stopped").glob("Net/*/spec.net")]:  # so that they end
        each.write_text(each.read_text().replace("100000", "25"))
    assert main(["train", "--resume", "stopped/Net/sweep-1", "--jobs", jobs]) == 0
    assert main(["train", file, "--sweep", "width=4,5"]) == 0
    for width in ("4", "5"):
        pair = []
        for path in ("stopped/Net/sweep-1", "runs/Net/sweep-1"):
            book = SweepBook.load(Path(path))
            (one,) = [each for each in book.trainings if each.settings["width"] == width]
            pair.append((book.run(one) / "best.safetensors").read_bytes())
        assert pair[0] == pair[1]


def test_side_by_side_gives_what_one_after_another_gives(capfd: pytest.CaptureFixture[str]):
    file = spec(PLAIN)
    assert main(["train", file, "--sweep", "width=3,8", "--jobs", "2", "--out", "both"]) == 0
    said = capfd.readouterr()
    assert len(said.out.split()) == 2
    assert "2 trainings, 2 at a time" in said.err
    assert main(["train", file, "--sweep", "width=3,8"]) == 0
    one, other = (SweepBook.load(Path(f"{each}/Net/sweep-1.json")) for each in ("both", "runs"))
    for a, b in zip(one.trainings, other.trainings, strict=True):
        assert (one.run(a) / "metrics.csv").read_bytes() == (other.run(b) / "metrics.csv").read_bytes()
    logs = [Path(f"both/Net/sweep-1-logs/{each}.txt").read_text() for each in (1, 2)]
    assert all("test: loss" in each and "Traceback" not in each for each in logs)


# ------------------------------------------------------------------------------------------------------ run options
def parsed(*words: str) -> Namespace:
    parser = ArgumentParser()
    train_.arguments(parser)
    return parser.parse_args(words)


def test_every_option_is_told_to_each_training_or_has_another_place():
    elsewhere = {
        "file", "settings", "size", "network", "precision",  # in the text of the spec
        "phase", "out", "compile", "channels_last", "resident",  # kept with the sweep
        "folds", "sweep", "jobs", "resume",  # which trainings there are
        "strict", "format",  # how the spec is looked at, once
        "shard",  # refused
    }  # fmt: skip
    told = {each.name for each in fields(Work)}
    assert told.isdisjoint(elsewhere)
    assert told | elsewhere == set(vars(parsed()))
    assert Work.of(parsed()) == Work(), "one default in both places"
    assert Work().words == []


@pytest.mark.parametrize("seed", range(6))
def test_the_process_of_a_training_is_told_what_was_said(seed: int, monkeypatch: pytest.MonkeyPatch):
    said = [["--device", "cpu"], ["--workers", "0"], ["--no-tensorboard"], ["--allow-python"]]
    chance = random.Random(seed)
    words = [word for each in chance.sample(said, chance.randint(1, 4) if seed else 4) for word in each]
    work = Work.of(parsed("a.net", *words))
    assert (work == Work()) == (not words)
    got = []

    def instead(book: SweepBook, at: int, work: Work, *rest: object) -> tuple[str, str]:
        got.append((at, work))
        return "finished", ""

    monkeypatch.setattr(attempt, "attempt", instead)
    monkeypatch.setattr(SweepBook, "load", lambda path: path)
    assert attempt.main(["book.json", "3", *work.words]) == 0
    assert got == [(3, work)]
    for word, (name, value) in {
        "--device": ("device", "cpu"), "--workers": ("workers", 0), "--no-tensorboard": ("tensorboard", False),
        "--allow-python": ("allow_python", True),
    }.items():  # fmt: skip
        assert getattr(work, name) == (value if word in words else getattr(Work(), name))


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_run_options_hold_for_every_training(jobs: str, monkeypatch: pytest.MonkeyPatch):
    Path("mine.py").write_text(
        "import numpy as np\ndef points():\n    x = np.random.default_rng(0).normal(size=(40, 1, 6)).astype('f4')\n"
        "    return {'x': x}, (x[:, 0, 0] > 0).astype('i8')\n"
    )
    net = "network Net(width: int = 4) { input x: [1, 6]; conv(width, 3); flatten; linear(2); softmax }\n"
    file = spec('data python("mine:points"); loss cross_entropy; epochs 1; batch 8', net)
    words = ["train", file, "--sweep", "width=2,3", "--jobs", jobs, "--device", "cpu", "--workers", "0"]
    monkeypatch.setattr("specc.train.training.installed", lambda: True)
    assert main(words) == 1, "no code is run that is not allowed"
    wishes = ["--allow-python", "--no-tensorboard", "--precision", "bf16", "--channels-last", "--resident"]
    assert main([*words, *wishes]) == 0
    runs = sorted(Path("runs/Net").glob("*/config.json"))
    assert len(runs) == 2
    for each in runs:
        speed = json.loads(each.read_text())["speed"]
        assert (speed["precision"], speed["channels_last"], speed["resident"]) == ("bf16", True, True)
        assert not (each.parent / "tensorboard").exists()


def test_a_sweep_is_not_parted_between_processes(capfd: pytest.CaptureFixture[str]):
    assert main(["train", spec(PLAIN), "--sweep", "width=3,4"]) == 0
    for words in (["a.net", "--sweep", "width=3,4"], ["a.net", "--folds"], ["--resume", "runs/Net/sweep-1"]):
        assert main(["train", *words, "--shard"]) == 2
        assert "trained by one process each" in capfd.readouterr().err


# ----------------------------------------------------------------------------------------------------------- figures
def test_numbers_are_short_and_say_something():
    assert spread([1.0, 2.0, 4.0]) == "2.3333 ± 1.5275"
    assert spread([0.5]) == "0.5000"
    assert spread([]) == ""
    assert spread([1.0, float("inf")]) == "inf"
    assert [number(each) for each in (0.0, -0.25, 3e-7, 1.5e9)] == ["0.0000", "-0.2500", "3.00e-07", "1.50e+09"]


def test_a_sweep_is_found_by_any_of_its_names():
    Path("runs/Net").mkdir(parents=True)
    Path("runs/Net/sweep-1.json").write_text("{")
    for name in ("sweep-1", "sweep-1.json", "sweep-1.md", "sweep-1.csv"):
        assert sweep_file(Path("runs/Net") / name) == Path("runs/Net/sweep-1.json")
    assert sweep_file(Path("runs/Net")) is None
    assert main(["train", "--resume", "runs/Net/sweep-1"]) == 2
    assert outcome.spread([2.0]) == "2.0000"
