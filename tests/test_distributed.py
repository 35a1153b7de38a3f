"""Several processes against one: the same course with the same batches, the same figures, the same bytes when resumed."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from processes import ROOT, begun, trained
from safetensors.torch import load_file

from specc.compiler import Compilation, compile_text
from specc.train.events import Event, Noted
from specc.train.gradients import pieces
from specc.train.problem import TrainProblem
from specc.train.rows import read_rows
from specc.train.runs import Run
from specc.train.team import share, team
from specc.train.training import train

FLOWERS = "network Net { input features: [4]; linear(5); tanh; linear(3); softmax }\n"
DIGITS = "network Net { input image: [1, 8, 8]; conv(3, 3); relu; flatten; linear(10); softmax }\n"
YES = "network Net { input features: [30]; linear(4); tanh; linear(1); sigmoid }\n"
MAPS = "network Net { input image: [1, H, W]; conv(4, 3, padding=1); relu; conv(3, 1); softmax }\n"
SIDES = """network Net {
    input features: [4]
    body: linear(6) -> tanh
    output side: body -> linear(3) -> softmax when training
    output kind: body -> linear(3) -> softmax
    output again: body -> linear(4)
}
"""
IRIS = "data iris; prepare normalize(per=feature); split train=0.4, test=0.3; seed 3; metrics accuracy, f1, confusion; "
CANCER = "data breast_cancer; prepare normalize(per=feature); epochs 2; batch 100; seed 1; "
SHAPES = "data synthetic(shapes, count=23, classes=3); epochs 2; batch 5; metrics accuracy; optimizer sgd(lr=0.3); "

CASES = {
    "plain": FLOWERS + f"train {{ {IRIS} loss cross_entropy; batch 32; optimizer adam(lr=0.05) }}",
    "uneven": FLOWERS + f"train {{ {IRIS} loss cross_entropy; batch 7; optimizer sgd(lr=0.2, momentum=0.9) }}",
    "batches of one": FLOWERS + f"train {{ {IRIS} loss cross_entropy; batch 1; epochs 1 }}",
    "added up": FLOWERS + f"train {{ {IRIS} loss cross_entropy; batch 5, accumulate=3; optimizer adam(lr=0.05) }}",
    "weights": FLOWERS + f"train {{ {IRIS} loss cross_entropy(weights=[1, 5, 25], smoothing=0.1); batch 9 }}",
    "ignored": FLOWERS + f"train {{ {IRIS} loss cross_entropy(weights=[1, 9, 2], ignore=2); batch 4; optimizer sgd(lr=0.3) }}",
    "sums": FLOWERS + f"train {{ {IRIS} loss cross_entropy(reduce=sum, weights=[1, 3, 1]); batch 10 }}",
    "hinge": FLOWERS.replace("; softmax", "") + f"train {{ {IRIS} loss hinge(weights=[4, 1, 1], ignore=1); batch 8 }}",
    "mixed": FLOWERS + f"train {{ {IRIS} augment mixup(0.4); loss cross_entropy(smoothing=0.1); batch 9 }}",
    "yes and no": YES + f"train {{ {CANCER} loss focal(alpha=0.3) + 0.5 * binary_cross_entropy(weights=[1, 7]) }}",
    "balanced": YES + f"train {{ {CANCER} loss binary_cross_entropy(weights=balanced); optimizer rmsprop(lr=0.01) }}",
    "several outputs": SIDES + f"train {{ {IRIS.replace('accuracy, f1, confusion', 'accuracy(kind), f1(kind)')}"
    " batch 11; loss cross_entropy(kind, weights=[1, 2, 6]) + 0.3 * cross_entropy(side)"
    " + 0.1 * mse(again, target=features) }",
    "penalties": FLOWERS + f"train {{ {IRIS} loss cross_entropy; regularize l1(0.01), l2(0.02); clip norm(0.3); batch 13 }}",
    "clipped": FLOWERS + f"train {{ {IRIS} loss cross_entropy; clip value(0.01); batch 13; average ema(0.9) }}",
    "swa": FLOWERS + f"train {{ {IRIS} loss cross_entropy; average swa(from=1); batch 16; schedule cosine }}",
    "lbfgs": FLOWERS + f"train {{ {IRIS} loss cross_entropy; optimizer lbfgs(iterations=4); batch 200; regularize l2(0.01) }}",
    "thawed": FLOWERS.replace("linear(5)", "first: linear(5)")
    + f"train {{ {IRIS} loss cross_entropy; freeze first, until=1; batch 16; optimizer adam(lr=0.05) }}",
    "plateau": FLOWERS + f"train {{ {IRIS} loss cross_entropy; epochs 40; stop early(patience=3); batch 40;"
    " schedule plateau(patience=1, factor=0.5); optimizer sgd(lr=1.0, momentum=0.5) }",
    "maps": MAPS + f"train {{ {SHAPES} loss cross_entropy(weights=[1, 4, 9], ignore=1) + dice }}",
    "pictures": DIGITS + "train { data digits; loss cross_entropy; batch 200; epochs 2; augment crop(8, padding=1), noise(0.1);"
    " metrics accuracy, topk(3) }",
}  # fmt: skip
CASES = {
    name: text if "epochs" in text else text.replace("seed 3;", "seed 3; epochs 2;") for name, text in CASES.items()
}
NORMED = """network Net {
    input image: [1, 8, 8]; conv(3, 3); batchnorm; relu; dropout(0.3); flatten; linear(10); softmax
}
train { data digits; loss cross_entropy; batch 150; epochs 3; seed 2; metrics accuracy; optimizer adam(lr=0.01); average ema(0.9) }
"""
SHARDED = """network Net {
    input features: [30]
    first: Large; second: Large
    linear(1); sigmoid
}
block Large { linear(1100); relu; linear(1100, bias=false); layernorm; linear(30) }
train { data breast_cancer; prepare normalize(per=feature); loss binary_cross_entropy(weights=[1, 3]); batch 120; epochs 2
    optimizer sgd(lr=0.01); regularize l1(0.00001); clip norm(0.5); metrics accuracy; average ema(0.8) }
"""


def compiled(text: str) -> Compilation:
    found = compile_text(text, "a.net")
    assert found.ok, [each.message for each in found.bag]
    return found


def alone(text: str, folder: Path, **options) -> Run:
    return train(compiled(text), out_root=folder, project=folder, device="cpu", **options)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case, trained by two processes that meet once."""
    folder = tmp_path_factory.mktemp("two")
    trained(folder, [{"spec": text, "out_root": str(folder / name)} for name, text in CASES.items()], 2)
    return folder


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of three processes: an odd number, parts of a network, and both stopped by a short `epochs` and gone on."""
    folder = tmp_path_factory.mktemp("three")
    runs = [
        {"spec": CASES["ignored"], "out_root": str(folder / "odd")},
        {"spec": SHARDED, "out_root": str(folder / "parts"), "shard": True},
    ]
    trained(folder, runs, 3)
    return folder


def near(one: Run, other: Run, name: str = "") -> None:
    """The curves, the figures and the weights are the same to 1e-5."""
    rows, others = (read_rows(each.folder / "metrics.csv") for each in (one, other))
    assert len(rows) == len(others)
    for row, second in zip(rows, others, strict=True):
        assert row == pytest.approx(second, rel=1e-5, abs=1e-7), name
    assert one.results == pytest.approx(other.results, rel=1e-5), name
    mine, theirs = load_file(one.weights), load_file(other.weights)
    assert list(mine) == list(theirs)
    for key, each in mine.items():
        torch.testing.assert_close(each, theirs[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_take_the_course_of_one(name: str, shared: Path, tmp_path: Path):
    near(alone(CASES[name], tmp_path), Run.load(shared / name / "Net" / "1"), name)


@pytest.mark.slow
def test_three_processes_and_parts_of_a_network_too(three: Path, tmp_path: Path):
    near(alone(CASES["ignored"], tmp_path / "odd"), Run.load(three / "odd" / "Net" / "1"))
    near(alone(SHARDED, tmp_path / "parts"), Run.load(three / "parts" / "Net" / "1"))
    whole, parts = (each / "parts" / "Net" / "1" / "last" for each in (tmp_path, three))
    for name in ("weights", "optimizer", "average"):
        mine, theirs = (load_file(each / f"{name}.safetensors") for each in (whole, parts))
        assert {key: each.shape for key, each in mine.items()} == {key: each.shape for key, each in theirs.items()}


OPTIMIZERS = {"normed": NORMED, "parts": SHARDED.replace("sgd(lr=0.01)", "adamw(lr=0.001)")}


def test_runs_that_go_on_end_in_the_same_bytes_and_another_number_of_processes_is_said(tmp_path: Path):
    """Stopped after some batches by every process at once, in the middle of an epoch, and gone on from there."""
    runs = [
        {"spec": text, "out_root": str(tmp_path / part / name), "shard": name == "parts", "after": after}
        for name, text in OPTIMIZERS.items()
        for part, after in (("whole", None), ("cut", 5))
    ]
    trained(tmp_path, runs, 2)
    cut = [tmp_path / "cut" / name / "Net" / "1" for name in OPTIMIZERS]
    assert [Run.load(each).status for each in cut] == ["interrupted"] * 2
    once = tmp_path / "alone" / "Net" / "1"
    shutil.copytree(cut[0], once)
    trained(tmp_path, [{"resume": str(each), "shard": each == cut[1]} for each in cut], 2)
    for name, each in zip(OPTIMIZERS, cut, strict=True):
        for file in ("best.safetensors", "metrics.csv", "last/weights.safetensors", "last/optimizer.safetensors"):
            assert (each / file).read_bytes() == (tmp_path / "whole" / name / "Net" / "1" / file).read_bytes(), (
                name,
                file,
            )
    said: list[Event] = []
    train(None, resume=once, device="cpu", report=said.append)
    assert "2 processes have trained so far, now there are 1: the same course to rounding, not to the bit" in [
        each.sentence for each in said if isinstance(each, Noted)
    ]
    assert [row["epoch"] for row in read_rows(once / "metrics.csv")] == [1, 2, 3]


def test_what_batchnorm_does_is_said_and_its_averages_are_those_of_process_0(tmp_path: Path):
    said = trained(tmp_path, [{"spec": NORMED, "out_root": str(tmp_path)}], 2)
    notes = json.loads((tmp_path / "Net" / "1" / "notes.json").read_text())
    assert any("each of the 2 processes" in each for each in notes), said
    weights = load_file(tmp_path / "Net" / "1" / "last" / "weights.safetensors")
    assert weights["1.num_batches_tracked"] == 3 * 10  # as often as one process saw a batch


# ------------------------------------------------------------------------------------------------ ends and errors
def test_an_error_ends_all_processes_and_is_said_once(tmp_path: Path):
    lost = FLOWERS + f"train {{ {IRIS} loss cross_entropy; optimizer sgd(lr=1e38); epochs 2 }}"
    (tmp_path / "lost.net").write_text(lost)
    codes, errors = commands(tmp_path, "train", "lost.net", "--device", "cpu")
    assert codes == [1, 1]
    assert sum("error[loss-not-finite]" in each for each in errors) == 1, errors
    assert not any("Traceback" in each for each in errors), errors
    (tmp_path / "wrong.net").write_text("network Net { input x: [4]; liner(3) }")
    codes, errors = commands(tmp_path, "train", "wrong.net", "--device", "cpu")
    assert codes == [1, 1]
    assert sum("liner" in each for each in errors) == 1, errors


def test_ctrl_c_on_one_process_ends_all_with_a_checkpoint(tmp_path: Path):
    # no epoch is better than the first, so little is said: nobody reads the pipes
    long = FLOWERS + f"train {{ {IRIS} loss cross_entropy; optimizer sgd(lr=1e-30); epochs 100_000; batch 32 }}"
    (tmp_path / "long.net").write_text(long)
    running = begun(tmp_path, "train", "long.net", "--device", "cpu")
    table = tmp_path / "runs" / "Net" / "1" / "metrics.csv"
    wait_for(lambda: table.is_file() and len(table.read_text().splitlines()) > 2, running)
    for _ in range(2):  # torchrun sends it on, and the terminal did
        running[1].send_signal(signal.SIGINT)
    said = [each.communicate(timeout=60) for each in running]
    assert [each.returncode for each in running] == [130, 130], said
    run = Run.load(tmp_path / "runs" / "Net" / "1")
    assert run.status == "interrupted"
    assert read_rows(table)


def test_a_process_that_is_killed_ends_the_others_with_a_word(tmp_path: Path):
    # no epoch is better than the first, so little is said: nobody reads the pipes
    long = FLOWERS + f"train {{ {IRIS} loss cross_entropy; optimizer sgd(lr=1e-30); epochs 100_000; batch 32 }}"
    (tmp_path / "long.net").write_text(long)
    running = begun(tmp_path, "train", "long.net", "--device", "cpu")
    wait_for((tmp_path / "runs" / "Net" / "1" / "last" / "state.json").is_file, running)
    running[1].kill()
    said = running[0].communicate(timeout=60)
    assert running[0].returncode == 2, said
    assert "error[process-lost]: another of the 2 processes has ended" in said[1]
    assert "Traceback" not in said[1]


def test_shard_needs_processes_and_says_what_it_cannot_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(TrainProblem, match="this is the only one") as caught:
        team("cpu", shard=True)
    assert caught.value.code == "one-process"


def test_lbfgs_and_fp16_are_refused_in_parts(tmp_path: Path):
    for optimizer, word in (
        ("optimizer lbfgs", "`lbfgs` takes all weights as one vector"),
        ("precision fp16", "fp16 scales"),
    ):
        (tmp_path / "a.net").write_text(FLOWERS + f"train {{ {IRIS} loss cross_entropy; {optimizer} }}")
        codes, errors = commands(tmp_path, "train", "a.net", "--device", "cpu", "--shard")
        assert codes == [1, 1]
        assert sum(f"error[not-sharded]: {word}" in each for each in errors) == 1, errors


# ------------------------------------------------------------------------------------------------------- shares
@pytest.mark.parametrize("least", [1, 2])
def test_shares_hold_every_sample_once(least: int):
    for count, world in itertools.product(range(least, 40), range(1, 6)):
        found = [share(count, rank, world, least) for rank in range(world)]
        counted = [each for each in found if each.part]
        assert [place for each in counted for place in range(each.start, each.end)] == list(range(count))
        assert sum(each.part for each in found) == pytest.approx(1)
        assert all(each.end - each.start >= min(least, count) for each in found)
        assert len(counted) == max(1, min(world, count // least))


def test_pieces_of_gradients_hold_every_weight_once_from_the_last_on():
    weights = [torch.nn.Parameter(torch.zeros(each)) for each in (3, 2**22, 5, 2**23, 7)]
    found = [each for piece in pieces(weights) for each in piece]
    assert [id(each) for each in found] == [id(each) for each in reversed(weights)]
    assert len(pieces(weights)) == 3


def test_one_process_loads_nothing_for_several():
    text = "import sys, specc.train.training; print([each for each in sys.modules if each.startswith('specc.train.distrib')])"
    assert subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=ROOT).stdout.strip() == "[]"


def commands(folder: Path, *words: str) -> tuple[list[int], list[str]]:
    """A command in two processes: how each ended and what it said."""
    running = begun(folder, *words)
    errors = [each.communicate(timeout=120)[1] for each in running]
    return [each.returncode for each in running], errors


def wait_for(what: Callable[[], bool], running: list[subprocess.Popen[str]]) -> None:
    until = time.monotonic() + 300  # two processes that start on a busy machine
    while not what():
        assert all(each.poll() is None for each in running), [each.communicate() for each in running]
        assert time.monotonic() < until
        time.sleep(0.05)
