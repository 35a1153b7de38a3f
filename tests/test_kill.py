"""Killed at any moment, also while writing, and gone on: the run ends in the bytes of one that was not disturbed."""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killed import DIED
from processes import started

from specc.compiler import compile_text
from specc.data import files
from specc.data.files import FileProblem, held
from specc.train.problem import TrainProblem
from specc.train.runs import Run
from specc.train.training import train

TINY = """network Net { input features: [4]; linear(5); batchnorm; tanh; dropout(0.2); linear(3); softmax }
train { data iris; split train=0.4, test=0.3; prepare normalize(per=feature); loss cross_entropy; batch 25; epochs EPOCHS
    seed 4; optimizer adam(lr=0.02); schedule cosine; average ema(0.9); metrics accuracy; stop early(patience=90) }
"""
KEPT = ("best.safetensors", "metrics.csv", "last/weights.safetensors", "last/optimizer.safetensors", "last/state.json")


def begin(folder: Path, epochs: int, **options: Any) -> Run:
    compilation = compile_text(TINY.replace("EPOCHS", str(epochs)), "a.net")
    assert compilation.ok, [each.message for each in compilation.bag]
    return train(compilation, out_root=folder, project=folder, device="cpu", pause=0, **options)


def equal(one: Run, other: Run) -> None:
    assert one.status == other.status == "finished"
    assert one.results == other.results
    for name in KEPT:
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name
    assert (other.folder / "report.html").is_file()
    assert not list(other.folder.glob(".*")), "nothing half written is left"


# ---------------------------------------------------------------------------------------- killed at random moments
def killed_and_resumed(folder: Path, kills: int, world: int, epochs: int, seed: int) -> Run:
    """Kill it so often, each time at a random moment after it has gone on, and let it end."""
    draw, run = random.Random(seed), folder / "Net" / "1"
    first = {"spec": TINY.replace("EPOCHS", str(epochs)), "out_root": str(folder), "pause": 0}
    for at in range(kills + 1):
        given = {"resume": str(run), "pause": 0} if (run / "config.json").is_file() else first
        (folder / "runs.json").write_text(f"[{json.dumps(given)}]")
        before = state(run)
        running = started([str(Path(__file__).parent / "processes.py"), str(folder)], folder, world)
        if at == kills:
            said = [each.communicate(timeout=600) for each in running]
            assert [each.returncode for each in running] == [0] * world, said
            return Run.load(run)
        until = time.monotonic() + 120
        while state(run) == before and time.monotonic() < until and running[0].poll() is None:
            time.sleep(0.002)
        time.sleep(draw.random() * 0.3)
        for each in draw.sample(running, world):
            each.send_signal(signal.SIGKILL)
        for each in running:
            each.communicate()
    raise AssertionError


def state(run: Path) -> bytes:
    try:
        return (run / "last" / "state.json").read_bytes()
    except OSError:
        return b""


def test_a_run_that_was_killed_twice_ends_as_if_nothing_had_been(tmp_path: Path):
    whole = begin(tmp_path / "whole", 40)
    equal(whole, killed_and_resumed(tmp_path, 2, 1, 40, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("world", [1, 2])
def test_a_run_that_was_killed_twenty_times_ends_as_if_nothing_had_been(tmp_path: Path, world: int):
    epochs = 400
    for each in ("whole", "killed"):
        (tmp_path / each).mkdir()
    whole = killed_and_resumed(tmp_path / "whole", 0, world, epochs, seed=0)
    equal(whole, killed_and_resumed(tmp_path / "killed", 20, world, epochs, seed=2))


# ------------------------------------------------------------------------------------- killed at every single write
def ends_as_if_nothing_had_been(root: Path, numbers: list[int]) -> int:
    """Kill a run at each of these calls that change the disk, and go on with it; at how many of them it died."""
    whole = begin(root / "whole", 2)
    (root / "a.net").write_text(TINY.replace("EPOCHS", "2"))
    command = [sys.executable, str(Path(__file__).parent / "killed.py"), str(root), json.dumps(numbers)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr
    died = 0
    for number, ends in json.loads(done.stdout).items():
        if ends[0] != DIED:
            assert ends == [0], (number, done.stderr)
            break
        died += 1
        run = root / number / "Net" / "1"
        if len(ends) == 1:  # before anything of the run was there
            with pytest.raises(TrainProblem, match="is no run folder"):
                train(None, resume=run)
        else:
            assert ends[1] == 0, (number, done.stderr)
            equal(whole, Run.load(run))
    return died


def test_a_run_that_was_killed_while_writing_ends_as_if_nothing_had_been(tmp_path: Path):
    numbers = [*range(1, 100, 17)]
    assert ends_as_if_nothing_had_been(tmp_path, numbers) == len(numbers)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_no_write_at_which_a_run_is_killed_changes_its_end(tmp_path: Path, part: int):
    assert 25 < ends_as_if_nothing_had_been(tmp_path, [*range(1 + part, 1000, 4)]) < 250


# ------------------------------------------------------------------------------------------- disks that are no help
@pytest.mark.parametrize("number", [3, 20, 33, 47])
def test_a_full_disk_is_said_and_the_run_goes_on_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int):
    whole = begin(tmp_path / "whole", 2)
    calls, sync = itertools.count(1), os.fsync

    def full(handle: int) -> None:
        if next(calls) >= number:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(FileProblem, match="the disk is full") as caught:
        begin(tmp_path, 2)
    run = tmp_path / "Net" / "1"
    assert not list(run.glob(".*.part"))
    monkeypatch.setattr(files.os, "fsync", sync)
    if (run / "config.json").is_file():
        assert caught.value.help.endswith(f"then continue: specc train --resume {run}")
        equal(whole, train(None, resume=run, device="cpu", pause=0))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("weights.safetensors", lambda data: data[:-7], "weights.safetensors is not as it was written"),
        ("optimizer.safetensors", lambda data: data[:-1] + b"\x55", "optimizer.safetensors is not as it was written"),
        ("average.safetensors", None, "average.safetensors is missing"),
        ("state.json", lambda data: data[:50], "it cannot be read"),
        ("state.json", None, "state.json is missing"),
    ],
)
def test_a_damaged_checkpoint_is_said_and_stays_as_it_is(
    tmp_path: Path, name: str, change: Callable[[bytes], bytes] | None, message: str
):
    asked = itertools.count()
    run = begin(tmp_path, 3, stop=lambda: next(asked) > 4).folder
    path = run / "last" / name
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    before = {each: each.read_bytes() for each in run.rglob("*") if each.is_file() and each.name != "log.txt"}
    with pytest.raises(TrainProblem, match=message) as caught:
        train(None, resume=run, device="cpu")
    assert caught.value.code == "damaged-checkpoint"
    assert str(run / "last") in caught.value.message
    assert "best.safetensors" in caught.value.help
    assert {each: each.read_bytes() for each in before} == before


def test_rows_that_are_lost_are_said(tmp_path: Path):
    asked = itertools.count()
    run = begin(tmp_path, 4, stop=lambda: next(asked) > 7).folder
    (run / "metrics.csv").unlink()
    with pytest.raises(TrainProblem, match="has 0 rows, and the checkpoint is 2 epochs on"):
        train(None, resume=run, device="cpu")


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = itertools.count()
    run = begin(tmp_path, 3, stop=lambda: next(asked) > 4).folder
    monkeypatch.setattr(files, "PATIENCE", 0.0)
    with held(run), pytest.raises(FileProblem, match="is in use"):
        train(None, resume=run, device="cpu")
    assert train(None, resume=run, device="cpu").status == "finished"
