"""A number that is not finite is traced to the step, the layer and the line that made it; good weights stay on the disk."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_tuning import CPU, compiled, go
from torch import nn

from specc.compiler import compile_text
from specc.train import loop as loops
from specc.train.checkpoint import State
from specc.train.diagnosis import origin, sound
from specc.train.problem import TrainProblem
from specc.train.program import build, write
from specc.train.runs import Run
from specc.train.samples import load
from specc.train.training import train

DEEP = """network Net {
    input image: [1, 8, 8]
    body: { conv1: conv(4, 3); norm1: batchnorm; relu }
    dropout(0.2)
    flatten
    fc: linear(10)
    softmax
}
"""


def fails(folder: Path, settings: str, network: str = DEEP, data: str = "digits", **options: Any) -> tuple[str, Path]:
    """What training says when it has to stop, and its folder."""
    with pytest.raises(TrainProblem) as caught:
        go(folder, settings, network, data, **options)
    assert caught.value.code == "loss-not-finite"
    run = folder / "runs" / "Net" / "1"
    assert Run.load(run).status == "failed"
    assert caught.value.message in (run / "log.txt").read_text()
    return caught.value.message, run


def finite(path: Path) -> bool:
    return all(bool(each.isfinite().all()) for each in load_file(path).values())


def test_a_function_that_leaves_the_numbers_is_named_with_its_line(tmp_path: Path):
    """Scores of both signs have no logarithm."""
    network = DEEP.replace("    dropout(0.2)\n", "    wide: { fc0: conv(4, 1); log }\n")
    message, run = fails(tmp_path, "epochs 2; batch 256; optimizer sgd(lr=0.1)", network)
    assert "the loss became nan in epoch 1, batch 1" in message
    assert "is in the outputs: `log` of `wide` in `" in message
    assert "in step 1; the last good checkpoint is" in message
    assert message.endswith("the first weights")
    number = int(re.search(r"\(model.py, line (\d+)\)", message)[1])  # type: ignore[index]
    assert "log" in (run / "model.py").read_text().splitlines()[number - 1]
    assert finite(run / "last" / "weights.safetensors")


def test_a_layer_that_overflows_is_named(tmp_path: Path):
    """In fp16 the products of large numbers are larger than 65,504."""
    network = "network Net { input image: [1, 8, 8]; flatten; big: linear(16, init=constant(9000)); fc: linear(10); softmax }\n"
    message, _ = fails(tmp_path, "epochs 1; batch 256; precision fp16", network)
    assert "is in the outputs: `big` in `" in message


def test_a_gradient_and_a_step_that_leave_the_numbers_are_told_apart(tmp_path: Path):
    """The root has no slope at 0; a rate of 1e38 makes infinite weights of finite gradients."""
    root = (
        "network Net { input x: [4]; hidden: linear(8, init=zeros, bias_init=zeros); sqrt; fc: linear(3); softmax }\n"
    )
    message, run = fails(tmp_path / "a", "epochs 3; optimizer sgd(lr=0.1); seed 1", root, "iris")
    assert "is in the gradient of `hidden." in message
    assert "in step 1" in message
    assert finite(run / "last" / "weights.safetensors")
    message, run = fails(tmp_path / "b", "epochs 3; optimizer sgd(lr=3e38); batch 40; prepare scale(from=[0, 1], to=[0, 100])", data="iris",
                         network="network Net { input x: [4]; fc: linear(3); softmax }\n")  # fmt: skip
    assert "is in the new weights `fc.weight`, from a gradient of finite numbers, in step 1" in message
    assert finite(run / "last" / "weights.safetensors")


def test_weights_that_are_lost_in_the_last_step_of_an_epoch_are_never_written(tmp_path: Path):
    """One batch an epoch: its loss is finite, and only the weights after it are not."""
    network = "network Net { input x: [4]; fc: linear(3); softmax }\n"
    settings = "epochs 1; optimizer sgd(lr=3e38); batch 500; prepare scale(from=[0, 1], to=[0, 100])"
    message, run = fails(tmp_path, settings, network, "iris")
    assert message.startswith("the weights are no longer finite numbers")
    assert finite(run / "last" / "weights.safetensors")
    assert not (run / "best.safetensors").exists()


def test_the_step_is_found_again_from_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Dropout, momentum and the order of samples are as they were. The 25th step makes huge weights, and the 26th fails."""
    monkeypatch.setattr(loops, "SAVE_AFTER", -1.0)
    monkeypatch.setattr(loops, "SHARE", 0)
    settings = (
        "epochs 4; batch 128; optimizer sgd(lr=0.05, momentum=0.9); schedule table(epochs=[2], lr=[1e38]); seed 2"
    )
    message, run = fails(tmp_path, settings)
    assert "in epoch 3, batch 2" in message
    assert ", in step 26; the last good checkpoint is" in message
    assert message.endswith("of epoch 2, step 24")
    state = json.loads((run / "last" / "state.json").read_text())["state"]
    assert (state["epoch"], state["updates"]) == (2, 24)
    assert finite(run / "last" / "weights.safetensors")
    assert finite(run / "best.safetensors")


def test_an_old_checkpoint_is_not_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loops, "MOST_AGAIN", 0.0)
    message, _ = fails(tmp_path, "epochs 1; optimizer sgd(lr=1e38); batch 128")
    assert "the first number" not in message
    assert "the last good checkpoint is" in message


def test_data_and_first_weights_that_are_no_numbers_are_named(tmp_path: Path):
    settings = "epochs 1; batch 256; optimizer sgd(lr=0.1)"
    found = compiled(settings, DEEP, "digits")
    program = next(iter(found.programs.values()))
    for broken, expected in (
        ("data", "the data: `image`"),
        ("weights", "`fc.bias`, a weight that training started from"),
    ):
        code = build(found.model(), program, write(found.model(), program, "class"), CPU)
        samples = load(found.model(), program, Path(), CPU)
        run = go(tmp_path, f"{settings}; epochs 0".replace("epochs 1; ", ""), DEEP, "digits")
        path = run.folder / "last" / "weights.safetensors"
        if broken == "data":
            samples.feed.whole[0]["image"][samples.parts.train[0], 0, 0, 0] = float("inf")  # type: ignore[index]
        else:
            from safetensors.torch import save_file

            save_file(load_file(path) | {"fc.bias": torch.full((10,), float("nan"))}, path)
            state = json.loads((path.parent / "state.json").read_text())
            state["sha256"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
            (path.parent / "state.json").write_text(json.dumps(state))
        place = origin(code, samples, run.folder / "last", State(updates=6))
        assert place is not None
        assert place.where == expected


def test_masks_of_infinity_are_no_cause(tmp_path: Path):
    """Attention hides places with -inf on purpose; what is wrong comes later."""
    network = """network Net {
        input x: [4]
        rows: reshape([2, 2])
        look: attend(rows, rows, rows, causal=true)
        flatten
        hidden: linear(4, init=constant(-1), bias_init=constant(-100))
        sqrt
        fc: linear(3)
        softmax
    }
    """
    compilation = compile_text(f"{network}train {{ data iris; loss cross_entropy; epochs 1 }}\n", "a.net")
    assert compilation.ok, [each.message for each in compilation.bag]
    message, _ = fails(tmp_path, "epochs 1", network, "iris")
    assert "is in the outputs: `sqrt` in `" in message


def test_weights_are_sound_or_not():
    code = build(*_parts())
    assert sound(code)
    norm = code.module.body.norm1  # type: ignore[union-attr]
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        norm.running_var[1] = np.inf  # type: ignore[index]
    assert not sound(code)


def _parts() -> Any:
    found = compiled("seed 0", DEEP, "digits")
    program = next(iter(found.programs.values()))
    return found.model(), program, write(found.model(), program, "class"), CPU


def test_a_run_that_failed_can_go_on_from_its_last_checkpoint(tmp_path: Path):
    """Resumed as it was, it fails at the same place."""
    message, run = fails(tmp_path, "epochs 2; optimizer sgd(lr=1e38); batch 128")
    with pytest.raises(TrainProblem) as caught:
        train(None, resume=run, device="cpu")
    assert caught.value.message == message
