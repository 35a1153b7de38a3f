"""Half precision, steps in place of epochs, frozen norms, figures of training: against PyTorch written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_tuning import CPU, HARD, compiled, go, last
from torch import Tensor, nn
from torch.nn import functional as F

from specc.compiler import compile_text
from specc.tools.cli import main
from specc.train.evaluate import evaluate
from specc.train.events import Event, Started, Stepped
from specc.train.program import build, write
from specc.train.rows import read_rows
from specc.train.runs import Run
from specc.train.samples import load
from specc.train.speed import Speed, Wishes
from specc.train.training import train

DEEP = HARD.replace("    dropout(0.2)\n", "")
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Plain(nn.Module):
    """The network of DEEP by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleDict({"conv1": nn.Conv2d(1, 4, 3), "norm1": nn.BatchNorm2d(4)})
        self.fc = nn.Linear(144, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.body["norm1"](self.body["conv1"](x))).flatten(1))


def by_hand(settings: str, precision: str, make: Any, clip: float = 0.0) -> dict[str, Tensor]:
    """Mixed precision as PyTorch's own notes have it: autocast for the outputs, a scaler for fp16, clipping unscaled."""
    found = compiled(settings, DEEP, "digits")
    program = next(iter(found.programs.values()))
    code = build(found.model(), program, write(found.model(), program, "class"), CPU)
    samples = load(found.model(), program, Path(), CPU)
    module = Plain()
    module.load_state_dict(code.module.state_dict())
    optimizer = make(module.parameters())
    scaler = torch.amp.GradScaler("cpu", enabled=precision == "fp16")
    for epoch in range(program.epochs):
        dealt = samples.batches(epoch)
        for at in range(0, len(dealt), program.accumulate):
            chunk = dealt[at : at + program.accumulate]
            optimizer.zero_grad()
            for indices in chunk:
                inputs, target = samples.feed.batch(indices)
                with torch.autocast("cpu", TYPES[precision]):
                    scores = module(inputs["image"])
                loss = F.cross_entropy(scores.float(), target) * (len(indices) / sum(map(len, chunk)))
                scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            if clip:
                nn.utils.clip_grad_norm_(module.parameters(), clip)
            scaler.step(optimizer)
            scaler.update()
    return {key: each.detach() for key, each in module.state_dict().items()}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize(
    ("said", "make", "clip"),
    [
        ("optimizer sgd(lr=0.05, momentum=0.9); batch 128, accumulate=2", lambda m: torch.optim.SGD(m, 0.05, 0.9), 0.0),
        ("optimizer adam(lr=0.01); clip norm(0.5); batch 256", lambda m: torch.optim.Adam(m, 0.01), 0.5),
    ],
)
def test_half_precision_is_that_of_a_loop_by_hand(tmp_path: Path, precision: str, said: str, make: Any, clip: float):
    settings = f"{said}; epochs 1; seed 3"
    run = go(tmp_path, f"{settings}; precision {precision}", DEEP, "digits")
    ours, theirs, full = (
        last(run),
        by_hand(settings, precision, make, clip),
        last(go(tmp_path, settings, DEEP, "digits")),
    )
    for key, each in theirs.items():
        torch.testing.assert_close(ours[key], each, rtol=2e-3, atol=2e-4)
    assert not all(torch.equal(ours[key], full[key]) for key in full), "fp32 rounds otherwise"
    assert all(each.dtype != TYPES[precision] for each in ours.values())
    assert run.config["speed"] == {"precision": precision, "compile": False, "channels_last": False, "resident": True}
    assert f"parameters on cpu in {precision}" in (run.folder / "log.txt").read_text()
    assert evaluate(run.folder, device="cpu") == run.results


def test_without_the_setting_the_processor_computes_in_fp32(tmp_path: Path):
    run = go(tmp_path, "epochs 0")
    assert Speed.from_json(run.config["speed"]) == Speed("fp32")


def test_a_run_in_fp16_that_was_stopped_ends_in_the_same_bytes(tmp_path: Path):
    """The scale grows and shrinks on the way: the first steps overflow with a large loss and are left out."""
    text = "optimizer sgd(lr=0.01, momentum=0.9); precision fp16; epochs 3; seed 5; batch 256; average ema(0.9); metrics accuracy"
    settings = text.replace("loss cross_entropy", "")
    network = DEEP
    whole = stopped_and_whole(tmp_path, settings, network)
    state = json.loads((whole.folder / "last" / "state.json").read_text())["state"]
    assert state["scale"] is not None
    assert state["growth"] >= 0


def stopped_and_whole(folder: Path, settings: str, network: str) -> Run:
    """A run, after it was held against one that was stopped within its second epoch and resumed."""
    whole = go(folder, settings, network, "digits")
    asked = iter(range(9))
    half = go(folder, settings, network, "digits", stop=lambda: next(asked, None) is None)
    assert half.interrupted
    resumed = train(None, resume=half.folder, device="cpu")
    files = sorted(each.name for each in (whole.folder / "last").iterdir())
    assert files == sorted(each.name for each in (resumed.folder / "last").iterdir())
    for name in ("best.safetensors", "metrics.csv", *(f"last/{each}" for each in files)):
        assert (whole.folder / name).read_bytes() == (resumed.folder / name).read_bytes(), name
    assert resumed.results == whole.results
    return whole


def test_lbfgs_refuses_fp16():
    text = f"{DEEP}train {{ data digits; loss cross_entropy; optimizer lbfgs; precision fp16 }}\n"
    assert [(each.code, each.span.text) for each in compile_text(text, "a.net").bag] == [("setting-conflict", "lbfgs")]


def test_the_command_line_says_how_the_device_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    spec = tmp_path / "a.net"
    spec.write_text(f"{DEEP}train {{ data digits; loss cross_entropy; epochs 1; batch 256 }}\n")
    out = ["--out", str(tmp_path / "runs"), "--device", "cpu"]
    assert main(["train", str(spec), "--precision", "bf16", "--channels-last", *out]) == 0
    run = Run.load(capsys.readouterr().out.strip())
    assert run.config["speed"] == {"precision": "bf16", "compile": False, "channels_last": True, "resident": True}
    assert ["precision", "bf16"] in run.config["settings"]
    assert main(["train", str(spec), "--no-resident", *out]) == 1
    assert "error[setting-conflict]: `--no-resident` keeps samples away from a GPU" in capsys.readouterr().err
    for option in (["--precision", "fp32"], ["--compile"], ["--no-channels-last"], ["--resident"]):
        assert main(["train", "--resume", str(run.folder), *option]) == 2
        assert "a run is continued as it was begun" in capsys.readouterr().err


def test_channels_last_changes_the_order_of_memory_and_nothing_else(tmp_path: Path):
    settings = "optimizer adam(lr=0.01); epochs 2; batch 256; seed 1"
    plain = go(tmp_path, settings, DEEP, "digits")
    other = go(tmp_path, settings, DEEP, "digits", wishes=Wishes(channels_last=True))
    for key, each in last(plain).items():
        torch.testing.assert_close(last(other)[key], each, rtol=1e-4, atol=1e-5)
    asked = iter(range(7))
    half = go(
        tmp_path, settings, DEEP, "digits", wishes=Wishes(channels_last=True), stop=lambda: next(asked, None) is None
    )
    resumed = train(None, resume=half.folder, device="cpu")
    assert resumed.config["speed"]["channels_last"]
    for name in ("weights", "optimizer"):
        path = f"last/{name}.safetensors"
        assert (other.folder / path).read_bytes() == (resumed.folder / path).read_bytes()


def test_samples_stay_on_the_device_or_are_sent_there_batch_by_batch():
    """The device without memory stands for a GPU: what lies on it has a shape and no numbers."""
    found = compiled("seed 0", DEEP, "digits")
    feed = load(found.model(), next(iter(found.programs.values())), Path(), torch.device("meta")).feed
    for resident, home in ((None, "meta"), (False, "cpu"), (True, "meta")):
        if resident is False:  # from a feed that has its numbers still
            feed = load(found.model(), next(iter(found.programs.values())), Path(), CPU).feed
            feed.device = torch.device("meta")
        assert feed.settle(resident) is (home == "meta")
        assert feed.whole is not None
        assert feed.whole[0]["image"].device.type == feed.whole[1].device.type == home
        for inputs, target in (feed.batch(np.arange(5)), *feed.batches(np.arange(5), 5)):
            assert inputs["image"].device.type == target.device.type == "meta"
            assert inputs["image"].shape == (5, 1, 8, 8)


@pytest.mark.slow
def test_a_compiled_network_trains_as_one_that_is_not(tmp_path: Path):
    settings = "optimizer sgd(lr=0.1); epochs 1; batch 512; seed 1"
    plain = last(go(tmp_path, settings, DEEP, "digits"))
    run = go(tmp_path, settings, DEEP, "digits", wishes=Wishes(compile=True))
    assert run.config["speed"]["compile"]
    assert list(last(run)) == list(plain)
    for key, each in plain.items():
        torch.testing.assert_close(last(run)[key], each, rtol=1e-4, atol=1e-5)


def test_compiling_is_asked_for_once_and_the_keys_stay(monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(torch, "compile", lambda function: seen.append(function) or function)
    found = compiled("seed 0", DEEP, "digits")
    program = next(iter(found.programs.values()))
    code = build(found.model(), program, write(found.model(), program, "class"), CPU, Speed(compile=True))
    assert [each.__name__ for each in seen] == ["logits"]
    assert list(code.module.state_dict()) == [each.key for each in found.model().weights]


# ------------------------------------------------------------------------------------------------ steps, not epochs
def test_steps_are_counted_and_schedules_end_with_them(tmp_path: Path):
    said: list[Event] = []
    settings = "optimizer sgd(lr=0.1); batch 50; seed 1; split train=0.8, validation=0.2, test=0"  # 3 batches an epoch
    run = go(tmp_path, f"{settings}; steps 7; schedule polynomial", report=said.append)
    rows = read_rows(run.folder / "metrics.csv")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["rate"] for row in rows] == pytest.approx([0.1 * (1 - step / 7) for step in (2, 5, 6)])
    assert sum(isinstance(each, Stepped) for each in said) == 7
    assert next(each for each in said if isinstance(each, Started)).batches == 7
    state = json.loads((run.folder / "last" / "state.json").read_text())["state"]
    assert (state["updates"], state["epoch"], state["step"]) == (7, 3, 0)
    plain = go(tmp_path, f"{settings}; epochs 2")
    same = go(tmp_path, f"{settings}; steps 6")
    assert all(torch.equal(last(plain)[key], each) for key, each in last(same).items())
    assert ["steps", "6"] in same.config["settings"]
    assert all(name != "epochs" for name, _ in same.config["settings"])


def test_steps_with_accumulation_and_a_stop(tmp_path: Path):
    more = "seed 2; metrics accuracy"
    whole = stopped_and_whole(tmp_path, f"batch 128; steps 20; {more}", HARD)  # 12 batches an epoch
    assert len(read_rows(whole.folder / "metrics.csv")) == 2
    settings = f"batch 128, accumulate=5; steps 8; {more}"  # 3 steps an epoch
    run = go(tmp_path, settings, HARD, "digits")
    assert len(read_rows(run.folder / "metrics.csv")) == 3


def test_steps_and_epochs_are_one_or_the_other():
    text = f"{DEEP}train {{ data digits; loss cross_entropy; epochs 3; steps 100 }}\n"
    found = compile_text(text, "a.net")
    assert [(each.code, each.span.text) for each in found.bag] == [("setting-conflict", "steps")]
    for said, other in (("epochs 3", {"steps": "100"}), ("steps 100", {"epochs": "3"})):
        fine = compile_text(text.replace("epochs 3; steps 100", said), "a.net", settings=other)
        assert fine.ok, [each.message for each in fine.bag]
        program = next(iter(fine.programs.values()))
        assert (program.epochs, program.steps) == ((0, 100) if "steps" in other else (3, 0))


# --------------------------------------------------------------------------------------------------- frozen norms
@pytest.mark.parametrize("said", ["freeze body", "freeze body.norm1", "trainable"])
def test_a_frozen_norm_keeps_its_statistics(tmp_path: Path, said: str):
    network = DEEP.replace("norm1: batchnorm", "norm1: batchnorm(trainable=false)") if said == "trainable" else DEEP
    settings = "optimizer sgd(lr=0.1); epochs 2; batch 256; prepare normalize" + (
        f"; {said}" if said != "trainable" else ""
    )
    found = last(go(tmp_path, settings, network, "digits"))
    assert torch.equal(found["body.norm1.running_mean"], torch.zeros(4))
    assert torch.equal(found["body.norm1.running_var"], torch.ones(4))
    assert int(found["body.norm1.num_batches_tracked"]) == 0


def test_parts_thaw_one_after_the_other_with_their_norms(tmp_path: Path):
    """As by hand: `eval()` and no gradients for a part until its epoch has come."""
    network = """network Net {
        input image: [1, 8, 8]
        layer1: { conv1: conv(4, 3); norm1: batchnorm; relu }
        layer2: { conv2: conv(4, 3); norm2: batchnorm(affine=false); relu }
        flatten
        fc: linear(10)
        softmax
    }\n"""
    settings = "optimizer sgd(lr=0.05, momentum=0.9); epochs 4; batch 256; seed 3"
    run = go(tmp_path, f"{settings}; freeze layer1, until=3; freeze layer2, until=1", network, "digits")
    found = compiled(settings, network, "digits")
    program = next(iter(found.programs.values()))
    code = build(found.model(), program, write(found.model(), program, "class"), CPU)
    samples = load(found.model(), program, Path(), CPU)
    module: Any = code.module
    optimizer = torch.optim.SGD(module.parameters(), 0.05, 0.9)
    for epoch in range(4):
        module.train()
        for part, until in ((module.layer1, 3), (module.layer2, 1)):
            part.train(epoch >= until)
            part.requires_grad_(epoch >= until)
        for indices in samples.batches(epoch):
            inputs, target = samples.feed.batch(indices)
            optimizer.zero_grad()
            F.cross_entropy(module.logits(inputs["image"]), target).backward()
            optimizer.step()
    for key, each in module.state_dict().items():
        torch.testing.assert_close(last(run)[key], each, rtol=1e-4, atol=1e-5)


# --------------------------------------------------------------------------------------------- figures of training
def test_the_figures_of_training_are_those_of_the_outputs_as_they_came(tmp_path: Path):
    """With one batch an epoch they are the figures of the weights before the step, in training mode."""
    settings = "optimizer sgd(lr=0.5); batch 2000; epochs 2; seed 4; metrics accuracy, topk(2); split train=1, validation=0, test=0"
    rows = read_rows(go(tmp_path, settings).folder / "metrics.csv")
    for epochs in (0, 1):
        weights = last(go(tmp_path, settings.replace("epochs 2", f"epochs {epochs}")))
        found = compiled(settings)
        program = next(iter(found.programs.values()))
        samples = load(found.model(), program, Path(), CPU)
        inputs, target = samples.feed.batch(np.arange(150))
        scores = torch.tanh(inputs["x"] @ weights["hidden.weight"].T + weights["hidden.bias"])
        scores = scores @ weights["fc.weight"].T + weights["fc.bias"]
        assert rows[epochs]["train.accuracy"] == pytest.approx(float((scores.argmax(1) == target).float().mean()))
        two = (scores.topk(2).indices == target[:, None]).any(1).float().mean()
        assert rows[epochs]["train.top2"] == pytest.approx(float(two))
        assert rows[epochs]["train.loss"] == pytest.approx(float(F.cross_entropy(scores, target)), rel=1e-5)


def test_a_rule_may_watch_a_figure_of_training_but_not_one_of_mixed_targets(tmp_path: Path):
    run = go(tmp_path, "epochs 30; metrics accuracy; optimizer adam(lr=0.1); stop early(on=train.accuracy, patience=3)")
    rows = [row["train.accuracy"] for row in read_rows(run.folder / "metrics.csv")]
    assert max(rows) == max(rows[: run.config["best_epoch"]])
    mixed = "epochs 2; metrics accuracy; augment mixup(0.2)"
    assert "train.accuracy" not in read_rows(go(tmp_path, mixed).folder / "metrics.csv")[0]
    text = f"{DEEP}train {{ data digits; loss cross_entropy; {mixed}; stop early(on=train.accuracy) }}\n"
    assert [each.code for each in compile_text(text, "a.net").bag] == ["unknown-column"]


def test_figures_of_real_numbers_are_the_same_after_a_stop(tmp_path: Path):
    network = "network Net { input features: [10]; linear(8); tanh; dropout(0.1); linear(1) }\n"
    text = f"{network}train {{ data diabetes; loss mse; prepare normalize; epochs 2; batch 5; metrics mse, r2 }}\n"
    made = []
    for after in (None, 40, 110):
        asked = iter(range(after or 0))
        stop = (lambda: False) if after is None else (lambda asked=asked: next(asked, None) is None)
        run = train(compile_text(text, "a.net"), out_root=tmp_path / "runs", device="cpu", stop=stop)
        if run.interrupted:
            assert (run.folder / "last" / "passing.safetensors").is_file()
            assert load_file(run.folder / "last" / "passing.safetensors")
            run = train(None, resume=run.folder, device="cpu")
        assert not (run.folder / "last" / "passing.safetensors").exists()
        made.append((run.folder / "metrics.csv").read_bytes())
    assert made[0] == made[1] == made[2]
