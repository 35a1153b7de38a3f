"""Worker processes that read samples: the same bytes as without them, the same errors, and none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as multiprocessing
from PIL import Image
from volumes import cases

from specc.compiler import compile_text
from specc.data.sources import DataProblem
from specc.train import feed
from specc.train.loader import Loader, workers_for
from specc.train.program import samples
from specc.train.runs import Run
from specc.train.samples import Samples
from specc.train.training import train

CPU = torch.device("cpu")
VOLUMES = "network Net { input scan: [2, D, H, W]; conv(2, 1); softmax }\n"
PICTURES = (
    "network Net { input image: [1, H, W]; conv(4, 3); relu; dropout(0.2); global_avgpool; linear(2); softmax }\n"
)
CASES = 'data volumes("stroke", channels=["adc", "cbf"], mask="lesion"); loss cross_entropy(ignore=255)'
ONES = f"{CASES}; batch 3, pad=0; epochs 2; prepare normalize; augment flip, noise(0.1)"
KINDS = (
    'data images("p"); loss cross_entropy; batch 4; epochs 3; prepare normalize; augment rotate(20), jitter, mixup(0.4)'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cases of several sizes and pictures, neither of which is kept in memory."""
    monkeypatch.setattr(feed, "IN_MEMORY", 0)
    cases(tmp_path / "stroke", [(4, 5, 3), (3, 4, 4), (5, 5, 5), (4, 4, 4)] * 3)
    chance = np.random.default_rng(0)
    for kind in ("dark", "light"):
        (tmp_path / "p" / kind).mkdir(parents=True)
        for at in range(14):
            values = chance.integers(0, 256, (9, 8), dtype=np.uint8)
            Image.fromarray(values).save(tmp_path / "p" / kind / f"{at}.png")
    return tmp_path


def loaded(folder: Path, settings: str, network: str, workers: int) -> Samples:
    found = compile_text(f"{network}train {{ {settings} }}\n", "a.net")
    assert found.ok, [each.message for each in found.bag]
    return samples(found.model(), next(iter(found.programs.values())), folder, CPU, workers)


def go(folder: Path, settings: str, network: str, out: str, **options: object) -> Run:
    found = compile_text(f"{network}train {{ {settings} }}\n", "a.net")
    return train(found, out_root=folder / out, project=folder, device="cpu", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("settings", "network"), [(ONES, VOLUMES), (KINDS, PICTURES)], ids=["volumes", "pictures"])
def test_batches_are_the_same_bytes_with_any_number_of_workers(folder: Path, settings: str, network: str):
    """Those of training and of validation, also when an iteration is left half way; nothing is drawn from torch."""
    plain = loaded(folder, settings, network, 0)
    before = torch.get_rng_state()
    for number in (1, 3):
        ahead = loaded(folder, settings, network, number)
        try:
            for epoch in (0, 1):
                dealt = ahead.batches(epoch)
                assert [each.tolist() for each in dealt] == [each.tolist() for each in plain.batches(epoch)]
                next(ahead.epoch(dealt, epoch))  # left
                for part in (dealt, dealt[2:]):
                    _same(list(ahead.epoch(part, epoch)), list(plain.epoch(part, epoch)))
                    _same(list(ahead.epoch(part, epoch)), [plain.batch(each, epoch) for each in part])
                held = ahead.parts.validation
                _same(list(ahead.feed.batches(held, 2)), list(plain.feed.batches(held, 2)))
        finally:
            ahead.close()
    assert torch.equal(before, torch.get_rng_state())


def _same(one: list[feed.Batch], other: list[feed.Batch]) -> None:
    assert len(one) == len(other)
    for (inputs, target), (others, wanted) in zip(one, other, strict=True):
        assert inputs.keys() == others.keys()
        assert all(torch.equal(each, others[name]) for name, each in inputs.items())
        assert torch.equal(target, wanted)


@pytest.mark.parametrize(("settings", "network"), [(ONES, VOLUMES), (KINDS, PICTURES)], ids=["volumes", "pictures"])
def test_a_run_is_the_same_bytes_also_after_it_was_stopped_in_an_epoch(folder: Path, settings: str, network: str):
    alone = go(folder, settings, network, "alone", workers=0)
    asked = iter(range(100))
    part = go(folder, settings, network, "ahead", workers=2, stop=lambda: next(asked) >= 4)
    assert part.interrupted
    done = train(None, resume=part.folder, device="cpu", workers=1)
    for name in ("best.safetensors", "metrics.csv", "last/weights.safetensors"):
        assert (alone.folder / name).read_bytes() == (done.folder / name).read_bytes(), name
    assert _children() == []


def test_a_worker_says_what_is_wrong_as_the_process_itself_does(folder: Path):
    """A file that became unreadable on the way: same message, same file."""
    said = []
    for number in (0, 2):
        found = loaded(folder, KINDS.replace("mixup(0.4)", "flip"), PICTURES, number)
        path = found.feed.dataset.paths[int(found.parts.train[0])]  # type: ignore[attr-defined]
        whole = path.read_bytes()
        path.write_bytes(whole[:40])
        with pytest.raises(DataProblem) as caught:
            list(found.epoch(found.batches(0), 0))
        said.append((str(caught.value), caught.value.help, caught.value.file))
        path.write_bytes(whole)
        found.close()
    assert said[0] == said[1]
    assert said[0][2] == path
    assert _children() == []


def _dies(indices: np.ndarray, epoch: int | None) -> feed.Batch:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_a_worker_that_is_killed_is_said(folder: Path):
    loader = Loader(_dies, 1, CPU)
    with pytest.raises(DataProblem, match="worker") as caught:
        list(loader([(np.arange(2), 0)]))
    assert "--workers 0" in caught.value.help
    loader.close()
    assert _children() == []


def test_how_many_workers_are_taken(monkeypatch: pytest.MonkeyPatch):
    for have, local, taken in ((1, "1", 0), (2, "1", 1), (6, "1", 5), (64, "1", 8), (16, "4", 3), (2, "2", 0)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda who, have=have: set(range(have)), raising=False)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", local)
        assert workers_for(None, in_memory=False) == taken
        assert workers_for(5, in_memory=False) == 5
        assert workers_for(5, in_memory=True) == workers_for(None, in_memory=True) == 0


def test_workers_that_are_no_copies_of_the_process_get_all_they_need(folder: Path):
    """As on macOS and Windows, where they start anew: what they are given is sent to them."""
    plain = loaded(folder, ONES, VOLUMES, 0)
    dealt = plain.batches(0)
    again = ForkingPickler.loads(ForkingPickler.dumps(plain.feed.made))
    _same([again(each, 0) for each in dealt], list(plain.epoch(dealt, 0)))


# --- Ctrl-C --------------------------------------------------------------------------------------------------
def _children() -> list[int]:
    """Processes below this one that still live."""
    return [each.pid for each in multiprocessing.active_children() if each.pid is not None]


def _group(leader: int) -> list[int]:
    """Processes of a session, from /proc; the dead that wait for their parent do not count."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                state, _, _, session = (each / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(session) == leader and state != "Z":
                found.append(int(each.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="counts processes in /proc")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_leaves_no_processes(folder: Path, times: int):
    """As a terminal does it: to all processes of the group. Once ends tidily, twice at once."""
    cases(folder / "stroke", [(40, 40, 30), (41, 40, 30)] * 6)
    text = f"{VOLUMES}train {{ {ONES.replace('epochs 2', 'epochs 100_000')} }}\n"
    (folder / "a.net").write_text(text)
    command = [sys.executable, "-m", "specc", "train", "a.net", "--device", "cpu", "--workers", "2"]
    process = subprocess.Popen(
        command, cwd=folder, start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    rows = folder / "runs" / "Net" / "1" / "metrics.csv"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (rows.is_file() and rows.read_text()):
        time.sleep(0.05)
    assert len(_group(process.pid)) >= 3
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.02)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    deadline = time.monotonic() + 10
    while _group(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _group(process.pid) == []
