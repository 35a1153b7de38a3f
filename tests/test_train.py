"""Training: the loop, its run folder, resuming bit for bit, and what it refuses. Losses and metrics against formulas."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from specc.backends.pytorch import load as load_module
from specc.compiler import compile_text
from specc.data.batching import cuts
from specc.data.shipped import Shipped
from specc.data.splits import split as split_of
from specc.train import feed, objective
from specc.train.checkpoint import State
from specc.train.evaluate import evaluate
from specc.train.events import EpochDone, Event, Finished, Started, Stepped
from specc.train.interrupt import interruptible
from specc.train.metrics.classification import F1, Accuracy, Confusion, TopK
from specc.train.metrics.meter import Reading
from specc.train.metrics.regression import R2, AbsoluteError, SquaredError
from specc.train.problem import TrainProblem
from specc.train.program import build, device_of, write
from specc.train.rows import read_rows
from specc.train.runs import Run
from specc.train.training import train

CPU = torch.device("cpu")
HARD = """network Net {
    input image: [1, 8, 8]
    conv(4, 3)
    batchnorm
    relu
    dropout(0.2)
    flatten
    linear(10)
    softmax
}
"""
EASY = "network Net { input image: [1, 8, 8]; flatten; linear(10); softmax }\n"
FLOWERS = "network Net { input features: [4]; linear(3); softmax }\n"
ROW = "network Net { input features: [WIDTH]; linear(OUT); HEAD }\n"


def go(
    folder: Path, settings: str, network: str = HARD, report: Callable[[Event], None] | None = None, **options: object
) -> Run:
    text = f"{network}train {{ {settings} }}\n"
    compilation = compile_text(text, "a.net", settings=options.pop("settings", None))  # type: ignore[arg-type]
    assert compilation.ok, [each.message for each in compilation.bag]
    listen = report or (lambda event: None)
    return train(compilation, out_root=folder / "runs", project=folder, report=listen, device="cpu", **options)  # type: ignore[arg-type]


BASIC = "data digits; loss cross_entropy; batch 128; epochs 3; seed 5"


# --------------------------------------------------------------------------------------------------------- a run
def test_a_run_leaves_all_that_belongs_into_its_folder(tmp_path: Path):
    said: list[Event] = []
    run = go(tmp_path, f"{BASIC}; prepare normalize; metrics accuracy, topk(3), f1, confusion", report=said.append)
    assert run.folder == tmp_path / "runs" / "Net" / "1"
    names = sorted(each.name for each in run.folder.iterdir())
    assert names == sorted(
        [
            "spec.net",
            "model.py",
            "program.py",
            "config.json",
            "metrics.csv",
            "best.safetensors",
            "last",
            "report.html",
            "log.txt",
            "split.csv",
            "tensorboard",
            "test.csv",
        ]
    )
    rows = read_rows(run.folder / "metrics.csv")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert list(rows[0]) == [
        "epoch", "rate", "train.loss", "train.accuracy", "train.top3", "train.f1",
        "validation.loss", "validation.accuracy", "validation.top3", "validation.f1",
    ]  # fmt: skip
    assert run.status == "finished"
    assert set(run.results) == {"loss", "accuracy", "top3", "f1"}
    assert run.results["top3"] >= run.results["accuracy"] > 0.5
    config = json.loads((run.folder / "config.json").read_text())
    assert config["data"]["split"] == {"train": 1437, "validation": 180, "test": 180}
    assert config["prepare"]["image"]["steps"][0]["step"] == "Affine"
    assert str(tmp_path) not in json.dumps(config), "the folder must be able to move"
    assert run.class_names == tuple("0123456789")
    page = (run.folder / "report.html").read_text()
    assert "<svg" in page
    assert "class=good" in page
    assert "http:" not in page
    assert "https:" not in page
    assert [type(each) for each in (said[0], said[-1])] == [Started, Finished]
    assert sum(isinstance(each, EpochDone) for each in said) == 3
    assert sum(isinstance(each, Stepped) for each in said) == 3 * 12


def test_the_best_weights_load_strictly_and_give_the_figures_of_the_run(tmp_path: Path):
    run = go(tmp_path, f"{BASIC}; prepare normalize")
    assert evaluate(run.folder, device="cpu") == run.results
    module = load_module((run.folder / "model.py").read_text(), "Net")().eval()
    module.load_state_dict(load_file(run.weights))
    dataset = Shipped("digits").load()
    arrays = dataset.arrays()
    assert arrays is not None
    split = split_of(1797, (0.8, 0.1, 0.1), 5, dataset.labels())
    with torch.no_grad():
        answers = module(torch.from_numpy(run.prepared["image"].apply(arrays[0]["image"][split.test]))).argmax(1)
    assert (answers.numpy() == arrays[1][split.test]).mean() == run.results["accuracy"]


def test_other_data_are_prepared_as_those_of_the_run(tmp_path: Path):
    run = go(tmp_path, f"{BASIC}; prepare normalize")
    arrays = Shipped("digits").load().arrays()
    assert arrays is not None
    np.savez(tmp_path / "more.npz", image=arrays[0]["image"][:50], t=arrays[1][:50])
    found = evaluate(run.folder, 'arrays("more.npz", target="t")', device="cpu")
    assert found["accuracy"] > 0.6
    np.savez(tmp_path / "odd.npz", image=np.zeros((4, 1, 9, 9), np.float32), t=np.arange(4))
    with pytest.raises(TrainProblem, match=r"takes \[1, 8, 8\]"):
        evaluate(run.folder, 'arrays("odd.npz", target="t")', device="cpu")
    with pytest.raises(TrainProblem, match="no source"):
        evaluate(run.folder, "nonsense(", device="cpu")


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path):
    first, second = go(tmp_path, BASIC), go(tmp_path, BASIC)
    other = go(tmp_path, BASIC.replace("seed 5", "seed 6"))
    for name in (
        "best.safetensors",
        "metrics.csv",
        "spec.net",
        "last/weights.safetensors",
        "last/optimizer.safetensors",
    ):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes(), name
    assert first.weights.read_bytes() != other.weights.read_bytes()
    assert [each.folder.name for each in (first, second, other)] == ["1", "2", "3"]


def test_training_leaves_the_callers_chance_alone(tmp_path: Path):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    go(tmp_path, BASIC.replace("epochs 3", "epochs 1"), EASY)
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()


# ------------------------------------------------------------------------------------------- stopping, resuming
@pytest.mark.parametrize("optimizer", ["sgd(lr=0.05, momentum=0.9)", "adam", "adamw(decay=0.1)"])
@pytest.mark.parametrize("after", [12, 17])
def test_a_run_that_was_stopped_and_resumed_is_bit_for_bit_the_same(tmp_path: Path, optimizer: str, after: int):
    """12 batches are an epoch; 17 stop in the middle of the second."""
    more = f"optimizer {optimizer}; schedule warmup(epochs=1) -> cosine; clip norm(1); regularize l1(1e-5)"
    whole = go(tmp_path, f"{BASIC}; {more}")
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > after

    half = go(tmp_path, f"{BASIC}; {more}", stop=stop)
    assert half.interrupted
    assert half.results == {}
    assert len(read_rows(half.folder / "metrics.csv")) == 1
    resumed = train(None, resume=half.folder, device="cpu")
    assert resumed.folder == half.folder
    assert resumed.status == "finished"
    for name in ("best.safetensors", "metrics.csv", "last/weights.safetensors", "last/optimizer.safetensors"):
        assert (whole.folder / name).read_bytes() == (resumed.folder / name).read_bytes(), name
    assert resumed.results == whole.results


def test_rows_past_the_checkpoint_are_dropped(tmp_path: Path):
    run = go(tmp_path, BASIC, EASY, stop=lambda: False)
    state = json.loads((run.folder / "last" / "state.json").read_text())
    assert State(**state["state"]).epoch == 3
    config = json.loads((run.folder / "config.json").read_text())
    (run.folder / "config.json").write_text(json.dumps(config | {"status": "running"}))
    table = (run.folder / "metrics.csv").read_text()
    (run.folder / "metrics.csv").write_text(table + "4" + table.splitlines()[-1][1:] + "\n")
    train(None, resume=run.folder, device="cpu")
    assert (run.folder / "metrics.csv").read_text() == table


def test_a_finished_run_is_not_trained_again(tmp_path: Path):
    run = go(tmp_path, BASIC, EASY)
    before = run.weights.read_bytes()
    assert train(None, resume=run.folder).results == run.results
    assert run.weights.read_bytes() == before


def test_ctrl_c_stops_after_the_batch_and_leaves_a_usable_checkpoint(tmp_path: Path):
    def press(event: Event) -> None:
        if isinstance(event, Stepped) and (event.epoch, event.step) == (2, 4):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with interruptible() as stop:
        run = go(tmp_path, BASIC, report=press, stop=stop)
    assert run.interrupted
    state = json.loads((run.folder / "last" / "state.json").read_text())["state"]
    assert (state["epoch"], state["step"]) == (1, 4)
    assert run.weights.is_file()
    assert (run.folder / "report.html").is_file()
    assert evaluate(run.folder, device="cpu")["accuracy"] > 0.1
    assert train(None, resume=run.folder, device="cpu").status == "finished"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_ends_at_once():
    with pytest.raises(KeyboardInterrupt), interruptible() as stop:  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        os.kill(os.getpid(), signal.SIGINT)


def test_a_damaged_or_missing_checkpoint_is_a_clear_error(tmp_path: Path):
    run = go(tmp_path, BASIC, stop=lambda: True)
    (run.folder / "last" / "optimizer.safetensors").write_bytes(b"no")
    (run.folder / "last" / "weights.safetensors").write_bytes(b"no")
    with pytest.raises(TrainProblem, match=r"weights\.safetensors is not as it was written"):
        train(None, resume=run.folder, device="cpu")
    with pytest.raises(TrainProblem, match="is no run folder"):
        Run.load(tmp_path)
    (run.folder / "config.json").write_text("{}")
    with pytest.raises(TrainProblem, match="cannot be read"):
        Run.load(run.folder)


def test_a_loss_that_is_no_number_ends_the_run_clearly(tmp_path: Path):
    with pytest.raises(TrainProblem, match=r"became (nan|inf) in epoch 1, batch \d+, at a learning rate of") as caught:
        go(tmp_path, f"{BASIC}; optimizer sgd(lr=1e38)", EASY)
    assert caught.value.code == "loss-not-finite"
    folder = tmp_path / "runs" / "Net" / "1"
    assert Run.load(folder).status == "failed"
    weights = load_file(folder / "last" / "weights.safetensors")
    assert all(each.isfinite().all() for each in weights.values())


# ------------------------------------------------------------------------------------------------ what is learnt
def test_early_stop_and_best_by_what_is_watched(tmp_path: Path):
    run = go(tmp_path, "data iris; loss cross_entropy; epochs 200; seed 1; optimizer sgd(lr=2.0); stop early(patience=4)",
             ROW.replace("WIDTH", "4").replace("OUT", "3").replace("HEAD", "softmax"))  # fmt: skip
    rows = read_rows(run.folder / "metrics.csv")
    losses = [row["validation.loss"] for row in rows]
    best = losses.index(min(losses))
    assert len(rows) == best + 1 + 4 < 200
    assert run.config["best_epoch"] == best + 1


@pytest.mark.parametrize(
    ("data", "width", "out", "head", "loss", "metric", "least"),
    [
        ("iris", 4, 3, "softmax", "cross_entropy", "accuracy", 0.9),
        ("wine", 13, 3, "softmax", "cross_entropy", "f1", 0.9),
        ("breast_cancer", 30, 1, "sigmoid", "binary_cross_entropy", "accuracy", 0.9),
        ("diabetes", 10, 1, "identity", "mse", "r2", 0.25),
    ],
)
def test_textbook_problems_are_learnt(
    tmp_path: Path, data: str, width: int, out: int, head: str, loss: str, metric: str, least: float
):
    network = ROW.replace("WIDTH", str(width)).replace("OUT", str(out)).replace("HEAD", head)
    more = "prepare normalize(per=feature); optimizer adam(lr=0.05); epochs 40; split test=0.2; init xavier"
    scaled = "0.001 * " if data == "diabetes" else ""
    run = go(
        tmp_path,
        f"data {data}; loss {scaled}{loss}; metrics {metric}; {more.replace('0.05', '2') if scaled else more}",
        network,
    )
    assert run.results[metric] > least, run.results


def test_lenet_learns_the_digits(tmp_path: Path):
    network = """network LeNet5 {
        input image: [1, 32, 32]
        conv(6, 5); tanh; avgpool(2); conv(16, 5); tanh; avgpool(2); conv(120, 5); tanh; flatten
        linear(84); tanh; linear(10); softmax
    }
    """
    run = go(
        tmp_path,
        "data digits; prepare resize(32); loss cross_entropy; epochs 2; optimizer sgd(lr=0.05, momentum=0.9)",
        network,
    )
    assert run.results["accuracy"] > 0.9, run.results


def test_pictures_give_the_same_whether_they_are_kept_or_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from PIL import Image

    rng = np.random.default_rng(0)
    for kind in ("dark", "light"):
        (tmp_path / "p" / kind).mkdir(parents=True)
        for at in range(12):
            low = 0 if kind == "dark" else 128
            Image.fromarray(rng.integers(low, low + 128, (6, 6), dtype=np.uint8)).save(
                tmp_path / "p" / kind / f"{at}.png"
            )
    settings = 'data images("p"); loss cross_entropy; batch 4; epochs 8; prepare normalize; optimizer adam(lr=0.02); '
    settings += "split test=0.25, validation=0.25"
    network = "network Net { input image: [1, 6, 6]; flatten; linear(2); softmax }\n"
    kept = go(tmp_path, settings, network)
    monkeypatch.setattr(feed, "IN_MEMORY", 0)
    again = go(tmp_path, settings, network)
    assert kept.weights.read_bytes() == again.weights.read_bytes()
    assert kept.results["accuracy"] == 1


def test_outputs_of_training_only_count_in_training(tmp_path: Path):
    network = """network Net {
        input image: [1, 8, 8]
        body: flatten -> linear(20) -> relu
        output side: body -> linear(10) -> softmax when training
        output digit: body -> linear(10) -> softmax
    }
    """
    run = go(
        tmp_path,
        "data digits; loss cross_entropy(digit) + 0.3 * cross_entropy(side); epochs 3; metrics accuracy(digit); optimizer adam(lr=0.01)",
        network,
    )
    assert run.results["digit.accuracy" if "digit.accuracy" in run.results else "accuracy"] > 0.8
    assert 'if "side" in outputs' in (run.folder / "program.py").read_text()


# ------------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("network", "settings", "code"),
    [
        (EASY.replace("linear(10)", "linear(3)"), "data digits; loss cross_entropy", "classes-differ"),
        (EASY.replace("8, 8", "9, 9"), "data digits; loss cross_entropy", "data-shape"),
        (EASY, 'data table("none.csv", target="x"); loss cross_entropy', "missing-data"),
        (EASY, 'data digits; loss cross_entropy; weights "none.safetensors"', "missing-weights"),
        (
            EASY.replace("linear(10)", "linear(10, trainable=false)"),
            "data digits; loss cross_entropy",
            "nothing-to-train",
        ),
        (EASY, "data digits; loss cross_entropy; split validation=0; stop early", "unknown-column"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_it_starts(tmp_path: Path, network: str, settings: str, code: str):
    with pytest.raises(TrainProblem) as caught:
        go(tmp_path, settings, network)
    assert caught.value.code == code


def test_fractions_that_leave_nothing_are_refused(tmp_path: Path):
    with pytest.raises(TrainProblem, match="the parts do not make a whole") as caught:
        go(tmp_path, "data iris; loss cross_entropy; split train=0.9, validation=0.3", FLOWERS)
    assert caught.value.code == "bad-data"


def test_without_a_train_section_there_is_nothing_to_do(tmp_path: Path):
    with pytest.raises(TrainProblem, match="no `train` section"):
        train(compile_text(EASY, "a.net"), out_root=tmp_path)
    with pytest.raises(TrainProblem, match="no device"):
        device_of("tpu")


def test_weights_to_start_from(tmp_path: Path):
    network = "network Net { input image: [1, 8, 8]; flatten; body: linear(5); fc: linear(10); softmax }\n"
    given = {"weight": torch.full((5, 64), 0.25), "bias": torch.arange(5.0)}
    save_file(given, tmp_path / "body.safetensors")
    run = go(tmp_path, 'data digits; loss cross_entropy; epochs 0; weights "body.safetensors", into=body', network)
    kept = load_file(run.folder / "last" / "weights.safetensors")
    assert torch.equal(kept["body.weight"], given["weight"])
    assert torch.equal(kept["body.bias"], given["bias"])
    save_file({"weight": given["weight"]}, tmp_path / "body.safetensors")
    with pytest.raises(TrainProblem, match=r"`body.bias` \[5\] is missing"):
        go(tmp_path, 'data digits; loss cross_entropy; weights "body.safetensors", into=body', network)
    run = go(
        tmp_path,
        'data digits; loss cross_entropy; epochs 0; weights "body.safetensors", into=body, except=body.bias',
        network,
    )
    assert torch.equal(load_file(run.folder / "last" / "weights.safetensors")["body.weight"], given["weight"])
    save_file({"weight": torch.zeros(2), "bias": torch.zeros(5)}, tmp_path / "body.safetensors")
    with pytest.raises(TrainProblem, match=r"`body.weight` is \[2\]"):
        go(tmp_path, 'data digits; loss cross_entropy; weights "body.safetensors", into=body', network)


# --------------------------------------------------------------------------------------------------- the program
def functions(settings: str, network: str, target: str):
    found = compile_text(f"{network}train {{ data digits; {settings} }}\n", "a.net")
    assert found.ok, [each.message for each in found.bag]
    return objective.load(objective.write(found.model(), next(iter(found.programs.values())), target))


MAPS = "network Net { input image: [3, 5, 4]; conv(6, 1); softmax }\n"
NUMBERS = "network Net { input image: [7]; linear(6) }\n"
YES = "network Net { input image: [7]; linear(6); sigmoid }\n"
G = torch.Generator().manual_seed(1)
SCORES = torch.randn(9, 6, generator=G, dtype=torch.float64)
MAP = torch.randn(2, 6, 5, 4, generator=G, dtype=torch.float64)
CLASS = torch.randint(6, (9,), generator=G)
PIXELS = torch.randint(6, (2, 5, 4), generator=G)
REAL = torch.randn(9, 6, generator=G, dtype=torch.float64)
SHARE = torch.rand(9, 6, generator=G, dtype=torch.float64)


def log_p(x: Tensor) -> Tensor:
    return x - x.exp().sum(1, keepdim=True).log()


def right(x: Tensor, t: Tensor) -> Tensor:
    return log_p(x).gather(1, t.unsqueeze(1)).squeeze(1)


def smooth(x: Tensor, t: Tensor, e: float) -> Tensor:
    return -((1 - e) * right(x, t) + e * log_p(x).mean(1)).mean()


def weighted(x: Tensor, t: Tensor, w: Tensor) -> Tensor:
    return -(w[t] * right(x, t)).sum() / w[t].sum()


def binary(x: Tensor, t: Tensor) -> Tensor:
    p = 1 / (1 + (-x).exp())
    return -(t * p.log() + (1 - t) * (1 - p).log())


def huber(d: Tensor, delta: float) -> Tensor:
    return torch.where(d.abs() < delta, d.square() / 2, delta * (d.abs() - delta / 2))


W = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 0.0], dtype=torch.float64)
SOFT = "network Net { input image: [7]; linear(6); softmax }\n"


@pytest.mark.parametrize(
    ("text", "network", "kind", "output", "target", "expected"),
    [
        ("cross_entropy", SOFT, "class", SCORES, CLASS, -right(SCORES, CLASS).mean()),
        ("cross_entropy(smoothing=0.1)", SOFT, "class", SCORES, CLASS, smooth(SCORES, CLASS, 0.1)),
        ("cross_entropy(weights=[1, 2, 0.5, 1, 3, 0])", SOFT, "class", SCORES, CLASS, weighted(SCORES, CLASS, W)),
        ("cross_entropy(ignore=2)", SOFT, "class", SCORES, CLASS, -right(SCORES, CLASS)[CLASS != 2].mean()),
        ("cross_entropy(reduce=sum)", SOFT, "class", SCORES, CLASS, -right(SCORES, CLASS).sum() / 9),
        ("cross_entropy", MAPS, "classes", MAP, PIXELS, -right(MAP, PIXELS).mean()),
        ("cross_entropy(reduce=sum)", MAPS, "classes", MAP, PIXELS, -right(MAP, PIXELS).sum() / 2),
        ("2 * cross_entropy - cross_entropy / 4", SOFT, "class", SCORES, CLASS, -1.75 * right(SCORES, CLASS).mean()),
        ("binary_cross_entropy", YES, "real", SCORES, SHARE, binary(SCORES, SHARE).mean()),
        ("binary_cross_entropy(reduce=sum)", YES, "real", SCORES, SHARE, binary(SCORES, SHARE).sum() / 9),
        ("mse", NUMBERS, "real", SCORES, REAL, (SCORES - REAL).square().mean()),
        ("mse(reduce=sum)", NUMBERS, "real", SCORES, REAL, (SCORES - REAL).square().sum() / 9),
        ("mse", YES, "real", SCORES, REAL, (SCORES.sigmoid() - REAL).square().mean()),
        ("mae", NUMBERS, "real", SCORES, REAL, (SCORES - REAL).abs().mean()),
        ("huber", NUMBERS, "real", SCORES, REAL, huber(SCORES - REAL, 1).mean()),
        ("huber(delta=0.3)", NUMBERS, "real", SCORES, REAL, huber(SCORES - REAL, 0.3).mean()),
    ],
)
def test_losses_equal_their_formulas(
    text: str, network: str, kind: str, output: Tensor, target: Tensor, expected: Tensor
):
    found = functions(f"loss {text}", network, kind).loss({"output": output}, {}, target)
    assert math.isclose(float(found), float(expected), rel_tol=1e-6), text


def test_a_class_target_of_binary_cross_entropy_takes_the_shape_of_the_output():
    network = "network Net { input image: [7]; linear(1); sigmoid }\n"
    x, t = SCORES[:, :1], (CLASS > 2).long()
    found = functions("loss binary_cross_entropy", network, "class").loss({"output": x}, {}, t)
    assert math.isclose(float(found), float(binary(x[:, 0], t).mean()), rel_tol=1e-6)


def test_an_input_may_be_the_target():
    network = "network Net { input image: [6]; linear(2); linear(6) }\n"
    found = functions("loss mse(target=image)", network, "class").loss({"output": SCORES}, {"image": REAL}, CLASS)
    assert math.isclose(float(found), float((SCORES - REAL).square().mean()))


def test_classes_on_the_last_axis():
    network = "network Net { input image: [5, 3]; linear(6); softmax(axis=-1) }\n"
    x = MAP[:, :, :, 0].transpose(1, 2)  # [batch, 5, classes]
    found = functions("loss cross_entropy", network, "classes").loss({"output": x}, {}, PIXELS[:, :, 0])
    assert math.isclose(float(found), float(-right(MAP[..., 0], PIXELS[..., 0]).mean()), rel_tol=1e-6)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", {0: 1.0, 7: 1.0}),
        ("step(3, gamma=0.5)", {0: 1.0, 2.9: 1.0, 3: 0.5, 6: 0.25}),
        ("exponential(0.5)", {0: 1.0, 2: 0.25}),
        ("cosine", {0: 1.0, 5: 0.5, 10: 0.0}),
        ("cosine(to=0.5)", {0: 1.0, 5: 0.75, 10: 0.5}),
        ("warmup(epochs=2) -> cosine", {0: 0.0, 1: 0.5, 2: 1.0, 6: 0.5, 10: 0.0}),
    ],
)
def test_schedules(schedule: str, expected: dict[float, float]):
    rate = functions(f"loss cross_entropy; optimizer sgd(lr=1.0); epochs 10; schedule {schedule}", SOFT, "class").rate
    for epoch, value in expected.items():
        assert math.isclose(rate(epoch), value, abs_tol=1e-12), (schedule, epoch)


def coded(network: str, settings: str):
    found = compile_text(f"{network}train {{ data digits; loss cross_entropy; {settings} }}\n", "a.net")
    assert found.ok, [each.message for each in found.bag]
    program = next(iter(found.programs.values()))
    return build(found.model(), program, write(found.model(), program, "class"), CPU)


LAYERS = """network Net {
    input image: [1, 8, 8]
    a: conv(64, 3, lr=0.1, l2=0.5)
    n: batchnorm
    b: conv(64, 3, init=ones, bias_init=constant(0.5))
    c: upconv(32, 2, stride=2)
    flatten
    d: linear(100, trainable=false)
    e: linear(10)
    softmax
}
"""


def test_initialisers_reach_weights_and_leave_norms_alone():
    weights = coded(LAYERS, "init he").weights
    assert abs(float(weights["a.weight"].detach().std()) / math.sqrt(2 / 9) - 1) < 0.1
    assert not weights["a.bias"].any()
    assert not weights["e.bias"].any()
    assert bool((weights["n.weight"] == 1).all())
    assert bool((weights["b.weight"] == 1).all())
    assert bool((weights["b.bias"] == 0.5).all())
    plain = coded(LAYERS, "").weights
    assert plain["a.bias"].any(), "PyTorch's own start where nothing is said"
    drawn = coded(LAYERS, "init uniform(bound=0.25)").weights["e.weight"]
    assert 0.24 < float(drawn.detach().abs().max()) <= 0.25
    square = coded(LAYERS, "init orthogonal").weights["e.weight"]
    assert torch.allclose(square @ square.T, torch.eye(10), atol=1e-5)
    assert set(coded(LAYERS, "init signs").weights["e.weight"].unique().tolist()) == {-1.0, 1.0}


def test_layers_have_their_own_rate_decay_and_freedom():
    code = coded(LAYERS, "regularize l2(0.01), l1(0.25)")
    keys = {id(weight): key for key, weight in code.weights.items()}
    groups = code.functions.optimizer(code.weights).param_groups
    found = {
        keys[id(each)]: (group["weight_decay"], group.get("factor", 1)) for group in groups for each in group["params"]
    }
    assert found["a.weight"] == (0.5, 0.1)
    assert found["a.bias"] == (0, 0.1)
    assert found["b.weight"] == (0.01, 1)
    assert found["n.weight"] == (0, 1)
    assert found["e.bias"] == (0, 1)
    assert "d.weight" not in found
    assert not code.weights["d.weight"].requires_grad
    decayed = ("a.weight", "b.weight", "c.weight", "e.weight")
    expected = 0.25 * sum(float(code.weights[key].double().abs().sum()) for key in decayed)
    assert math.isclose(float(code.functions.penalty(code.weights)), expected, rel_tol=1e-5)
    every = coded(LAYERS.replace(", l2=0.5", ""), "regularize l2(0.01, on=all)")
    assert {group["weight_decay"] for group in every.functions.optimizer(every.weights).param_groups} == {0.01}


def test_accumulated_batches_make_the_step_of_one_large_batch(tmp_path: Path):
    settings = "data digits; loss cross_entropy; optimizer sgd(lr=0.1); epochs 1; split train=0.8; "
    large = go(tmp_path, settings + "batch 400", EASY)
    small = go(tmp_path, settings + "batch 100, accumulate=4", EASY)
    ours, theirs = (load_file(each.folder / "last" / "weights.safetensors") for each in (large, small))
    assert all(torch.allclose(ours[key], theirs[key], atol=2e-4) for key in ours)


def test_batches_cover_everything_and_leave_no_single_sample():
    assert cuts(10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert cuts(9, 4) == [(0, 4), (4, 9)]
    assert cuts(3, 1) == [(0, 1), (1, 2), (2, 3)]
    assert cuts(1, 4) == [(0, 1)]
    assert cuts(0, 4) == []


# ------------------------------------------------------------------------------------------------------- metrics
class Entry:
    k = 2
    average, background, each = "macro", True, False


def test_metrics_equal_their_definitions():
    rng = np.random.default_rng(0)
    scores, target = torch.from_numpy(rng.normal(size=(40, 4))), torch.from_numpy(rng.integers(0, 4, 40))
    answers = scores.argmax(1)
    meters = [kind(Entry, Reading(1)) for kind in (Accuracy, TopK, F1, Confusion)]
    for meter in meters:
        for at in range(0, 40, 7):
            meter.add(scores[at : at + 7], target[at : at + 7])
    accuracy, top, f1, table = meters
    assert accuracy.value() == float((answers == target).double().mean())
    ranked = [sorted(range(4), key=lambda c: -row[c])[:2] for row in scores.tolist()]
    assert top.value() == sum(t in r for t, r in zip(target.tolist(), ranked, strict=True)) / 40
    assert isinstance(table, Confusion)
    counts = [[sum((answers == j) & (target == i)).item() for j in range(4)] for i in range(4)]
    assert table.counts.tolist() == counts
    scores_f1 = []
    for c in range(4):
        hits = counts[c][c]
        precision, recall = hits / sum(row[c] for row in counts), hits / sum(counts[c])
        scores_f1.append(2 * precision * recall / (precision + recall))
    assert math.isclose(f1.value(), sum(scores_f1) / 4)


def test_yes_and_no_and_classes_that_count_for_nothing():
    meter = Accuracy(None, Reading(None))
    meter.add(torch.tensor([[0.9], [0.2], [0.7]]), torch.tensor([1, 0, 0]))
    assert math.isclose(meter.value(), 2 / 3)
    scores = Accuracy(None, Reading(None, 0.0))
    scores.add(torch.tensor([[2.0], [-1.0]]), torch.tensor([1, 0]))
    assert scores.value() == 1
    pixels = Accuracy(None, Reading(1))
    pixels.add(torch.tensor([[[3.0, 0.0, 1.0], [0.0, 2.0, 5.0]]]), torch.tensor([[0, 255, 0]]))
    assert pixels.value() == 0.5


def test_errors_of_numbers_equal_their_definitions():
    rng = np.random.default_rng(1)
    x, y = rng.normal(100, 3, size=(50, 2)), rng.normal(100, 3, size=(50, 2))
    meters = [kind(None, Reading(1)) for kind in (SquaredError, AbsoluteError, R2)]
    for meter in meters:
        for at in range(0, 50, 16):
            meter.add(torch.from_numpy(x[at : at + 16]), torch.from_numpy(y[at : at + 16]))
    expected = [
        ((x - y) ** 2).mean(),
        abs(x - y).mean(),
        (1 - ((x - y) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)).mean(),
    ]
    for meter, value in zip(meters, expected, strict=True):
        assert math.isclose(meter.value(), value, rel_tol=1e-9)


def test_a_sample_of_a_size_that_the_network_does_not_take_is_said(tmp_path: Path):
    for at, size in enumerate((16, 16, 16, 16, 18)):
        for name in ("dark", "light"):
            (tmp_path / "pictures" / name).mkdir(parents=True, exist_ok=True)
            shade = np.full((16, size), 40 + 150 * (name == "light") + at, dtype=np.uint8)
            Image.fromarray(shade).save(tmp_path / "pictures" / name / f"{at}.png")
    text = """network Halves {
        input image: [1, H, W]; a: maxpool(4) -> interpolate(scale=4); a + image; global_avgpool; linear(2); softmax
    }
    train { data images("pictures", channels=1); split train=0.6, validation=0.2, test=0.2; loss cross_entropy; batch 1; epochs 3 }
    """
    compilation = compile_text(text, "a.net")
    assert compilation.ok, [each.message for each in compilation.bag]
    with pytest.raises(TrainProblem, match=r"`Halves` does not take samples of \[1, 16, 18\]: ") as caught:
        train(compilation, out_root=tmp_path / "runs", project=tmp_path, device="cpu")
    assert caught.value.code == "data-shape"
