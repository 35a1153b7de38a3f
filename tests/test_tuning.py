"""Optimizers, schedules, rates, frozen parts and means of weights: against PyTorch's own, and bit for bit after a stop."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from specc.catalogue.registry import setting, setting_names
from specc.compiler import compile_text
from specc.data.batching import cuts
from specc.train import objective
from specc.train.problem import TrainProblem
from specc.train.program import build, write
from specc.train.rows import read_rows
from specc.train.runs import Run
from specc.train.samples import load
from specc.train.training import train

CPU = torch.device("cpu")
IRIS = "network Net { input x: [4]; hidden: linear(8); tanh; fc: linear(3); softmax }\n"
HARD = """network Net {
    input image: [1, 8, 8]
    body: {
        conv1: conv(4, 3)
        norm1: batchnorm
        relu
    }
    dropout(0.2)
    flatten
    fc: linear(10)
    softmax
}
"""


def compiled(settings: str, network: str = IRIS, data: str = "iris") -> Any:
    text = f"{network}train {{ data {data}; loss cross_entropy; {settings} }}\n"
    found = compile_text(text, "a.net", fixes=False)
    assert found.ok, [each.message for each in found.bag]
    return found


def go(folder: Path, settings: str, network: str = IRIS, data: str = "iris", **options: Any) -> Run:
    found = compiled(settings, network, data)
    return train(found, out_root=folder / "runs", project=folder, device="cpu", **options)


def coded(settings: str, network: str = IRIS) -> Any:
    found = compiled(settings, network)
    program = next(iter(found.programs.values()))
    return build(found.model(), program, write(found.model(), program, "class"), CPU)


def codes(settings: str, network: str = IRIS) -> list[tuple[str, str]]:
    text = f"{network}train {{ data iris; loss cross_entropy; {settings} }}\n"
    found = compile_text(text, "a.net", fixes=False)
    return [(each.code, each.span.text if each.span else "") for each in found.bag]


def last(run: Run) -> dict[str, Tensor]:
    return load_file(run.folder / "last" / "weights.safetensors")


# ------------------------------------------------------------------------------------------------------ optimizers
class Plain(nn.Module):
    """The network of IRIS by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.fc = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.tanh(self.hidden(x)))


def by_hand(settings: str, make: Any, decay: float = 0.0, schedule: Any = None) -> dict[str, Tensor]:
    """The same training in a few lines of PyTorch, from the same first weights, with the same batches.

    `schedule` makes PyTorch's scheduler, which counts steps: of the optimizer, the steps of an epoch, and of them all.
    """
    found = compiled(settings)
    program = next(iter(found.programs.values()))
    code = build(found.model(), program, write(found.model(), program, "class"), CPU)
    samples = load(found.model(), program, Path(), CPU)
    module = Plain()
    module.load_state_dict(code.module.state_dict())
    optimizer = make(module)
    steps = len(list(samples.batches(0)))
    scheduler = schedule(optimizer, steps, steps * program.epochs) if schedule else None
    for epoch in range(program.epochs):
        for indices in samples.batches(epoch):
            inputs, target = samples.feed.batch(indices)

            def closure(inputs: Any = inputs, target: Any = target) -> Tensor:
                optimizer.zero_grad()
                loss = F.cross_entropy(module(inputs["x"]), target)
                loss = loss + decay / 2 * sum(each.weight.square().sum() for each in (module.hidden, module.fc))
                loss.backward()
                return loss

            optimizer.step(closure)
            if scheduler is not None:
                scheduler.step()
    return {key: each.detach() for key, each in module.state_dict().items()}


OPTIM = torch.optim


OPTIMIZERS: list[tuple[str, Any]] = [
    ("sgd(lr=0.1)", lambda m: OPTIM.SGD(m.parameters(), 0.1)),
    ("sgd(lr=0.1, momentum=0.9, dampening=0.5)", lambda m: OPTIM.SGD(m.parameters(), 0.1, 0.9, 0.5)),
    ("sgd(lr=0.1, momentum=0.9, nesterov=true)", lambda m: OPTIM.SGD(m.parameters(), 0.1, 0.9, nesterov=True)),
    ("adam(lr=0.1, eps=0.001)", lambda m: OPTIM.Adam(m.parameters(), 0.1, eps=0.001)),
    ("adam(lr=0.1, betas=[0.5, 0.9], amsgrad=true)", lambda m: OPTIM.Adam(m.parameters(), 0.1, (0.5, 0.9), amsgrad=True)),
    ("adamw(lr=0.1, decay=0.5, amsgrad=true)", lambda m: OPTIM.AdamW(m.parameters(), 0.1, weight_decay=0.5, amsgrad=True)),
    ("adamw(betas=[0.6, 0.8], eps=0.01)", lambda m: OPTIM.AdamW(m.parameters(), 0.001, (0.6, 0.8), 0.01)),
    ("rmsprop", lambda m: OPTIM.RMSprop(m.parameters())),
    ("rmsprop(lr=0.02, alpha=0.9, eps=0.001)", lambda m: OPTIM.RMSprop(m.parameters(), 0.02, 0.9, 0.001)),
    ("rmsprop(momentum=0.5, centered=true)", lambda m: OPTIM.RMSprop(m.parameters(), momentum=0.5, centered=True)),
    ("adagrad", lambda m: OPTIM.Adagrad(m.parameters())),
    ("adagrad(lr=0.1, decay=0.1, initial=0.5, eps=0.01)",
     lambda m: OPTIM.Adagrad(m.parameters(), 0.1, 0.1, 0, 0.5, 0.01)),
    ("lbfgs", lambda m: OPTIM.LBFGS(m.parameters())),
    ("lbfgs(lr=0.5, iterations=4, history=3)", lambda m: OPTIM.LBFGS(m.parameters(), 0.5, 4, history_size=3)),
    ("lbfgs(search=wolfe)", lambda m: OPTIM.LBFGS(m.parameters(), line_search_fn="strong_wolfe")),
]  # fmt: skip


@pytest.mark.parametrize(("said", "make"), OPTIMIZERS)
def test_every_optimizer_does_what_pytorchs_does(tmp_path: Path, said: str, make: Any):
    settings = f"optimizer {said}; batch 40; epochs 3; seed 2"
    ours, theirs = last(go(tmp_path, settings)), by_hand(settings, make)
    for key, each in theirs.items():
        torch.testing.assert_close(ours[key], each, rtol=1e-4, atol=1e-5)


def test_every_optimizer_and_each_of_its_settings_is_beside_pytorchs():
    assert {said.partition("(")[0] for said, _ in OPTIMIZERS} == set(setting_names("optimizer"))
    for name in setting_names("optimizer"):
        found = setting(name, "optimizer")
        assert found is not None
        for field in found.fields:
            assert any(each.startswith(f"{name}(") and f"{field}=" in each for each, _ in OPTIMIZERS), (name, field)


def test_the_decay_of_lbfgs_is_in_what_it_makes_small(tmp_path: Path):
    settings = "optimizer lbfgs(search=wolfe); regularize l2(0.02); batch 200; epochs 2; seed 2"
    ours = last(go(tmp_path, settings))
    theirs = by_hand(settings, lambda m: OPTIM.LBFGS(m.parameters(), line_search_fn="strong_wolfe"), 0.02)
    for key, each in theirs.items():
        torch.testing.assert_close(ours[key], each, rtol=1e-3, atol=1e-4)


def test_lbfgs_finds_the_minimum_of_a_logistic_regression(tmp_path: Path):
    network = "network Net { input x: [4]; linear(3); softmax }\n"
    more = "optimizer lbfgs(search=wolfe); batch 200; epochs 30; regularize l2(0.01, on=all); seed 1; split test=0.1"
    run = go(tmp_path, more, network)
    found = compiled(more, network)
    program = next(iter(found.programs.values()))
    code = build(found.model(), program, write(found.model(), program, "class"), CPU)
    code.module.load_state_dict(last(run))
    samples = load(found.model(), program, Path(), CPU)
    inputs, target = samples.feed.batch(samples.parts.train)
    code.module.train()
    total = code.functions.loss(code.outputs(inputs), inputs, target) + code.functions.penalty(code.weights)
    total.backward()
    steepest = max(float(each.grad.abs().max()) for each in code.weights.values())
    assert steepest < 1e-4, "a convex loss has no slope at its minimum"


# ------------------------------------------------------------------------------------------------------- schedules
def rate(schedule: str, epochs: int = 10, steps: int = 4) -> Any:
    found = compiled(f"optimizer sgd(lr=1.0); epochs {epochs}; schedule {schedule}")
    program = next(iter(found.programs.values()))
    return objective.load(objective.write(found.model(), program, "class", steps=steps)).rate


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("multistep([3, 6])", {0: 1, 2.9: 1, 3: 0.1, 5.9: 0.1, 6: 0.01, 9: 0.01}),
        ("multistep([1, 2, 3], gamma=0.5)", {0: 1, 1: 0.5, 2: 0.25, 3: 0.125, 9: 0.125}),
        ("inverse", {0: 1, 1: 1 / 2, 2: 1 / 3, 9: 1 / 10}),
        ("inverse(4)", {0: 1, 4: 1 / 2, 8: 1 / 3}),
        ("polynomial", {0: 1, 5: 0.5, 10: 0}),
        ("polynomial(2, to=0.5)", {0: 1, 5: 0.5 + 0.5 / 4, 10: 0.5}),
        ("cosine(restarts=1)", {0: 1, 2.5: 0.5, 4.999999999: 0, 5: 1, 7.5: 0.5}),
        ("cosine(restarts=1, growth=4, to=0.5)", {0: 1, 1: 0.75, 2: 1, 6: 0.75, 10: 0.5}),
        (
            "cosine(restarts=2, growth=3)",
            {0: 1, 10 / 26: 0.5, 10 / 13 + 1e-9: 1, 40 / 13 + 1e-9: 1, 85 / 13: 0.5, 10: 0},
        ),
        ("table(epochs=[0, 2, 5], lr=[0.3, 0.2, 0])", {0: 0.3, 1.9: 0.3, 2: 0.2, 4.9: 0.2, 5: 0, 9: 0}),
        ("table(epochs=[0], lr=[0.3])", {0: 0.3, 9: 0.3}),
        ("table(epochs=[2, 5], lr=[0.3, 0.2])", {0: 1, 1.9: 1, 2: 0.3, 4.9: 0.3, 5: 0.2, 9: 0.2}),
        ("table(epochs=[3], lr=[0.3])", {0: 1, 2.9: 1, 3: 0.3}),
        ("warmup(epochs=2)", {0: 0, 1: 0.5, 2: 1, 9: 1}),
        ("warmup(steps=6) -> exponential(0.5)", {0: 0, 0.75: 0.5, 1.5: 1, 2.5: 0.5}),
        ("warmup(epochs=1) -> warmup(epochs=1) -> polynomial", {0.5: 0.5, 1.5: 0.5, 2: 1, 6: 0.5}),
        ("warmup -> constant", {0: 0, 2.5: 0.5, 5: 1}),
        ("plateau(factor=0.5)", {0: 1, 9: 1}),
    ],
)
def test_schedules(schedule: str, expected: dict[float, float]):
    found = rate(schedule)
    for epoch, value in expected.items():
        assert math.isclose(found(epoch), value, abs_tol=1e-9), (schedule, epoch)


LR = OPTIM.lr_scheduler
SCHEDULES: list[tuple[str, Any]] = [
    ("constant", lambda o, steps, total: LR.ConstantLR(o, 1.0, 1)),
    ("step(2, gamma=0.3)", lambda o, steps, total: LR.StepLR(o, 2 * steps, 0.3)),
    ("multistep([1, 4], gamma=0.3)", lambda o, steps, total: LR.MultiStepLR(o, [steps, 4 * steps], 0.3)),
    ("exponential(0.5)", lambda o, steps, total: LR.ExponentialLR(o, 0.5 ** (1 / steps))),
    ("inverse(2)", lambda o, steps, total: LR.LambdaLR(o, lambda step: 2 / (2 + step / steps))),
    ("polynomial(2)", lambda o, steps, total: LR.PolynomialLR(o, total, 2.0)),
    ("polynomial(3, to=0.02)", lambda o, steps, total: LR.LambdaLR(o, lambda step: 0.1 + 0.9 * (1 - step / total) ** 3)),
    ("cosine(to=0.01)", lambda o, steps, total: LR.CosineAnnealingLR(o, total, 0.01)),
    ("cosine(restarts=2)", lambda o, steps, total: LR.CosineAnnealingWarmRestarts(o, 2 * steps)),
    ("cosine(restarts=1, growth=2)", lambda o, steps, total: LR.CosineAnnealingWarmRestarts(o, 2 * steps, 2)),
    ("onecycle(up=0.25, start=10, end=1000)", lambda o, steps, total: LR.OneCycleLR(
        o, 0.2, total_steps=total + 1, pct_start=(0.25 * total + 1) / (total + 1), cycle_momentum=False,
        div_factor=10, final_div_factor=100)),
    ("table(epochs=[1, 4], lr=[0.4, 0.05])", lambda o, steps, total: LR.LambdaLR(
        o, lambda step: 1 if step < steps else 2 if step < 4 * steps else 0.25)),
    ("warmup(epochs=2)", lambda o, steps, total: LR.LambdaLR(o, lambda step: min(1, step / (2 * steps)))),
    ("warmup(steps=4) -> cosine", lambda o, steps, total: LR.SequentialLR(
        o, [LR.LambdaLR(o, lambda step: step / 4), LR.CosineAnnealingLR(o, total - 4)], [4])),
    ("warmup(epochs=1) -> multistep([2])", lambda o, steps, total: LR.SequentialLR(
        o, [LR.LambdaLR(o, lambda step: step / steps), LR.MultiStepLR(o, [2 * steps])], [steps])),
]  # fmt: skip


PLATEAU = "plateau(patience={}, factor={}, to={}, on=validation.loss)"


@pytest.mark.parametrize(("said", "make"), SCHEDULES, ids=[said for said, _ in SCHEDULES])
def test_a_training_under_every_schedule_is_pytorchs(tmp_path: Path, said: str, make: Any):
    """Weights after six epochs, the rate changed before each step."""
    settings = f"optimizer sgd(lr=0.2, momentum=0.5); schedule {said}; batch 40; epochs 6; seed 2"
    ours = last(go(tmp_path, settings))
    plain = lambda m: OPTIM.SGD(m.parameters(), 0.2, 0.5)  # noqa: E731
    theirs = by_hand(settings, plain, schedule=make)
    for key, each in theirs.items():
        torch.testing.assert_close(ours[key], each, rtol=1e-4, atol=1e-5)
    if said != "constant":
        other = by_hand(settings, plain)
        assert any(not torch.allclose(ours[key], other[key], rtol=1e-3, atol=1e-3) for key in other)


@pytest.mark.parametrize(("patience", "factor", "least"), [(1, 0.5, 0.0), (2, 0.1, 0.0), (1, 0.5, 0.1)])
def test_plateau_equals_pytorchs_on_the_figures_of_a_run(tmp_path: Path, patience: int, factor: float, least: float):
    """PyTorch lets `patience` bad epochs pass and lowers the rate after one more; specc counts that one too."""
    said = PLATEAU.format(patience, factor, least)
    rows = read_rows(
        go(tmp_path, f"optimizer sgd(lr=2.0, momentum=0.9); epochs 25; seed 3; schedule {said}").folder / "metrics.csv"
    )
    optimizer = OPTIM.SGD([nn.Parameter(torch.zeros(1))], 2.0)
    theirs = LR.ReduceLROnPlateau(optimizer, patience=patience - 1, factor=factor, threshold=0, min_lr=least, eps=0)
    for row in rows:
        assert row["rate"] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
        theirs.step(row["validation.loss"])
    assert rows[-1]["rate"] < rows[0]["rate"], "a rate that never falls shows nothing"


def test_every_schedule_and_each_of_its_settings_is_beside_pytorchs():
    beside = [part for said, _ in SCHEDULES for part in said.split(" -> ")]
    beside.append(PLATEAU)
    assert {part.partition("(")[0] for part in beside} == set(setting_names("schedule"))
    for name in setting_names("schedule"):
        found = setting(name, "schedule")
        assert found is not None
        for position, field in enumerate(found.fields):
            texts = [each for each in beside if each.startswith(f"{name}(")]
            first = position == 0 and any("=" not in each.partition("(")[2].partition(",")[0] for each in texts)
            assert first or any(f"{field}=" in each for each in texts), (name, field)


def test_schedules_equal_pytorchs():
    """Epoch by epoch, the schedules that PyTorch has too."""
    for said, make in (
        ("step(3)", lambda o: OPTIM.lr_scheduler.StepLR(o, 3)),
        ("multistep([2, 7], gamma=0.3)", lambda o: OPTIM.lr_scheduler.MultiStepLR(o, [2, 7], 0.3)),
        ("exponential(0.9)", lambda o: OPTIM.lr_scheduler.ExponentialLR(o, 0.9)),
        ("polynomial(1.5)", lambda o: OPTIM.lr_scheduler.PolynomialLR(o, 10, 1.5)),
        ("cosine(to=0.1)", lambda o: OPTIM.lr_scheduler.CosineAnnealingLR(o, 10, 0.1)),
        ("cosine(restarts=1, to=0.1)", lambda o: OPTIM.lr_scheduler.CosineAnnealingWarmRestarts(o, 5, 1, 0.1)),
        ("cosine(restarts=1, growth=4)", lambda o: OPTIM.lr_scheduler.CosineAnnealingWarmRestarts(o, 2, 4)),
    ):
        optimizer = OPTIM.SGD([nn.Parameter(torch.zeros(1))], 1.0)
        theirs, ours = make(optimizer), rate(said)
        for epoch in range(10):
            assert math.isclose(ours(epoch), optimizer.param_groups[0]["lr"], abs_tol=1e-9), (said, epoch)
            optimizer.step()
            theirs.step()


def test_one_cycle_equals_pytorchs():
    """PyTorch counts steps and ends on the last one: 101 of them are 100 stretches."""
    optimizer = OPTIM.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    theirs = OPTIM.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=101, pct_start=31 / 101, cycle_momentum=False)
    ours = rate("onecycle", epochs=100)
    for step in range(101):
        assert math.isclose(ours(step), optimizer.param_groups[0]["lr"], abs_tol=1e-9), step
        if step < 100:
            optimizer.step()
            theirs.step()


def test_plateau_counts_epochs_without_a_better_figure(tmp_path: Path):
    """At a rate of almost nothing the loss stands still, so that the rate falls by the clock."""
    settings = "optimizer sgd(lr=1e-30); epochs 9; schedule plateau(patience=2, factor=0.5)"
    rows = read_rows(go(tmp_path, settings).folder / "metrics.csv")
    assert [row["rate"] / 1e-30 for row in rows] == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    settings = settings.replace("schedule ", "schedule warmup(epochs=3) -> ").replace(
        "factor=0.5", "factor=0.5, to=4e-31"
    )
    rows = read_rows(go(tmp_path, settings).folder / "metrics.csv")
    found = [row["rate"] / 1e-30 for row in rows[3:]]
    assert found == pytest.approx([1, 1, 1, 0.5, 0.5, 0.4])


def test_plateau_follows_a_figure_that_gets_better(tmp_path: Path):
    settings = (
        "optimizer sgd(lr=0.5); epochs 40; seed 3; schedule plateau(patience=3, factor=0.1, on=validation.accuracy)"
    )
    rows = read_rows(go(tmp_path, f"{settings}; metrics accuracy").folder / "metrics.csv")
    drops, best, waited = 0, -1.0, 0
    for row in rows:
        assert row["rate"] == pytest.approx(0.5 * 0.1**drops)
        if row["validation.accuracy"] > best:
            best, waited = row["validation.accuracy"], 0
        else:
            waited += 1
            if waited == 3:
                drops, waited = drops + 1, 0
    assert drops > 1
    with pytest.raises(TrainProblem, match="no samples for validation"):
        go(tmp_path, "schedule plateau; split train=0.8, validation=0, test=0.2")


# ------------------------------------------------------------------------------------------- rates and frozen parts
def test_rates_are_those_of_the_longest_path():
    network = HARD.replace("fc: linear(10)", "fc: linear(10, lr=3)")
    code = coded("rates body=0.1, body.norm1=0.5, fc=7; rates body.norm1.bias=0", network.replace("10", "3"))
    names = {id(weight): key for key, weight in code.weights.items()}
    groups = code.functions.optimizer(code.weights).param_groups
    found = {names[id(each)]: group.get("factor", 1) for group in groups for each in group["params"]}
    assert found == {
        "body.conv1.weight": 0.1, "body.conv1.bias": 0.1, "body.norm1.weight": 0.5, "body.norm1.bias": 0,
        "fc.weight": 3, "fc.bias": 3,
    }  # fmt: skip


def test_a_rate_is_the_step_that_is_taken(tmp_path: Path):
    settings = "optimizer sgd(lr=0.1); epochs 1; batch 200"
    start = last(go(tmp_path, settings.replace("epochs 1", "epochs 0")))
    plain, slow = last(go(tmp_path, settings)), last(go(tmp_path, f"{settings}; rates hidden=0.25, fc.bias=0"))
    torch.testing.assert_close(slow["hidden.weight"] - start["hidden.weight"],
                               0.25 * (plain["hidden.weight"] - start["hidden.weight"]), rtol=1e-3, atol=1e-6)  # fmt: skip
    assert torch.equal(slow["fc.bias"], start["fc.bias"])
    assert torch.equal(slow["fc.weight"], plain["fc.weight"])


def test_what_is_frozen_keeps_its_bytes_until_it_thaws(tmp_path: Path):
    settings = "optimizer adamw(lr=0.05); seed 4; "
    start = last(go(tmp_path, f"{settings}epochs 0"))
    frozen = last(go(tmp_path, f"{settings}epochs 3; freeze hidden"))
    assert all(torch.equal(frozen[key], start[key]) for key in ("hidden.weight", "hidden.bias"))
    assert not torch.equal(frozen["fc.weight"], start["fc.weight"])
    said = last(go(tmp_path, f"{settings}epochs 3", IRIS.replace("linear(8)", "linear(8, trainable=false)")))
    assert all(torch.equal(frozen[key], said[key]) for key in said)
    two = last(go(tmp_path, f"{settings}epochs 2; freeze hidden, until=2"))
    three = last(go(tmp_path, f"{settings}epochs 3; freeze hidden, until=2"))
    assert torch.equal(two["hidden.weight"], start["hidden.weight"])
    assert not torch.equal(three["hidden.weight"], start["hidden.weight"])
    with pytest.raises(TrainProblem, match="no weights to train in its first epoch"):
        go(tmp_path, f"{settings}epochs 3; freeze hidden, fc, until=2")


# ------------------------------------------------------------------------------------------------ means of weights
def each_step(folder: Path, settings: str, count: int, **more: Any) -> list[dict[str, Tensor]]:
    """The weights after 0, 1, … steps, from runs that were stopped there."""
    found = []
    for number in range(count + 1):
        asked = iter(range(number))
        run = go(folder, settings, stop=lambda asked=asked: next(asked, None) is None, **more)
        found.append(last(run))
    return found


def test_ema_is_the_running_mean_of_every_step(tmp_path: Path):
    settings = "optimizer sgd(lr=0.5); batch 30; epochs 2; seed 1; split train=0.8, validation=0.2, test=0"
    steps = each_step(tmp_path / "a", settings, 8)
    run = go(tmp_path / "b", f"{settings}; average ema(0.75)")
    assert torch.equal(last(run)["fc.weight"], steps[-1]["fc.weight"]), "the live weights are not changed by it"
    mean = {key: each.double() for key, each in steps[0].items()}
    for step in steps[1:]:
        mean = {key: 0.75 * each + 0.25 * step[key].double() for key, each in mean.items()}
    kept = load_file(run.folder / "last" / "average.safetensors")
    assert set(kept) == set(mean)
    for key, each in mean.items():
        torch.testing.assert_close(kept[key].double(), each, rtol=1e-5, atol=1e-6)
    assert run.config["best_epoch"] == 2
    best = load_file(run.weights)
    assert all(torch.equal(best[key], kept[key]) for key in kept)


def test_swa_is_the_mean_of_the_last_epochs_with_statistics_of_its_own(tmp_path: Path):
    settings = "optimizer sgd(lr=0.2, momentum=0.9); batch 300; seed 1; prepare normalize; "
    network = HARD.replace("    dropout(0.2)\n", "")
    ends = [last(go(tmp_path, f"{settings}epochs {count}", network, "digits")) for count in (3, 4, 5)]
    run = go(tmp_path, f"{settings}epochs 5; average swa(from=2); stop early(on=train.loss)", network, "digits")
    kept = load_file(run.folder / "last" / "average.safetensors")
    for key, each in kept.items():
        torch.testing.assert_close(each, sum(end[key] for end in ends) / 3, rtol=1e-5, atol=1e-6)
    assert run.config["best_epoch"] == 5
    best = load_file(run.weights)
    assert all(torch.equal(best[key], kept[key]) for key in kept)
    found = compiled(f"{settings}epochs 5", network, "digits")
    program = next(iter(found.programs.values()))
    samples = load(found.model(), program, tmp_path, CPU)
    conv = nn.Conv2d(1, 4, 3)
    conv.load_state_dict({"weight": best["body.conv1.weight"], "bias": best["body.conv1.bias"]})
    places = cuts(len(samples.parts.train), 300)
    with torch.no_grad():
        maps = [conv(samples.feed.batch(samples.parts.train[a:b])[0]["image"]) for a, b in places]
    mean = torch.stack([each.mean((0, 2, 3)) for each in maps]).mean(0)
    spread = torch.stack([each.var((0, 2, 3)) for each in maps]).mean(0)
    torch.testing.assert_close(best["body.norm1.running_mean"], mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(best["body.norm1.running_var"], spread, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------------------------------ stopped and resumed
@pytest.mark.parametrize(
    "settings",
    [
        "optimizer rmsprop(momentum=0.5, centered=true); schedule inverse(2)",
        "optimizer adagrad(initial=0.1); schedule onecycle",
        "optimizer adam(amsgrad=true); schedule cosine(restarts=1)",
        "optimizer sgd(lr=0.05, momentum=0.9, dampening=0.1); average ema(0.9); clip value(0.1)",
        "optimizer adam; average swa(from=1); freeze body, until=1",
        "optimizer sgd(lr=0.5); schedule warmup(steps=2) -> plateau(patience=1, factor=0.5, on=validation.accuracy)",
        "optimizer lbfgs(iterations=3, history=4); regularize l2(0.001)",
        "optimizer lbfgs(iterations=2, search=wolfe); average ema(0.5)",
        "optimizer adam; rates body=0.1; batch 256, accumulate=2",
    ],
)
@pytest.mark.parametrize("after", [6, 9])
def test_a_run_that_was_stopped_and_resumed_is_bit_for_bit_the_same(tmp_path: Path, settings: str, after: int):
    """Six batches are an epoch: stopped between two epochs and within one, with all that optimizers and means hold."""
    settings = f"{settings}; epochs 3; seed 5; metrics accuracy" + ("" if "batch" in settings else "; batch 256")
    whole = go(tmp_path, settings, HARD, "digits")
    asked = iter(range(after if "accumulate" not in settings else after // 2))
    half = go(tmp_path, settings, HARD, "digits", stop=lambda: next(asked, None) is None)
    assert half.interrupted
    resumed = train(None, resume=half.folder, device="cpu")
    assert resumed.status == "finished"
    files = sorted(each.name for each in (whole.folder / "last").iterdir())
    assert files == sorted(each.name for each in (resumed.folder / "last").iterdir())
    for name in ("best.safetensors", "metrics.csv", "program.py", *(f"last/{each}" for each in files)):
        assert (whole.folder / name).read_bytes() == (resumed.folder / name).read_bytes(), name
    assert resumed.results == whole.results


# ---------------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("optimizer sgd(dampening=0.5)", [("bad-argument", "0.5")]),
        ("optimizer sgd(momentum=0.9, dampening=0.5, nesterov=true)", [("bad-argument", "0.5")]),
        ("optimizer rmsprop(alpha=1)", [("bad-argument", "1")]),
        ("optimizer rmsprop(rho=0.9)", [("unknown-argument", "rho")]),
        ("optimizer adam(eps=0)", [("bad-argument", "0")]),
        ("optimizer lbfgs(search=armijo)", [("unknown-name", "armijo")]),
        ("optimizer lbfgs; clip norm(1)", [("setting-conflict", "norm(1)")]),
        ("optimizer lbfgs; rates fc=0.1", [("setting-conflict", "rates fc=0.1")]),
        ("rates fx=0.1", [("unknown-name", "0.1")]),
        ("rates", [("missing-argument", "rates")]),
        ("rates fc=-1", [("bad-argument", "-1")]),
        ("freeze fc.weigh", [("unknown-name", "freeze fc.weigh")]),
        ("freeze", [("missing-argument", "freeze")]),
        ("freeze fc, until=0", [("bad-argument", "0")]),
        ("average ema(1)", [("bad-argument", "1")]),
        ("average swa", [("missing-argument", "swa")]),
        ("average swa(from=10)", [("setting-conflict", "10")]),
        ("average ema(0.9), ema(0.99)", [("too-many-arguments", "ema(0.99)")]),
        ("schedule plateau(on=validation.f1)", [("unknown-column", "validation.f1")]),
        ("schedule plateau -> cosine", [("bad-setting", "plateau")]),
        ("schedule multistep([3, 2])", [("bad-argument", "[3, 2]")]),
        ("schedule table(epochs=[2, 1], lr=[1, 2])", [("bad-argument", "[2, 1]")]),
        ("schedule table(epochs=[0, 2], lr=[1])", [("bad-argument", "[1]")]),
        ("schedule warmup(epochs=2, steps=3) -> cosine", [("bad-argument", "3")]),
        ("schedule cosine(growth=2)", [("bad-argument", "2")]),
        ("schedule onecycle(up=1)", [("bad-argument", "1")]),
        ("init normal(sd=1)", [("unknown-argument", "normal(sd=1)")]),
        ("init normal", [("missing-argument", "normal")]),
        ("init normal(0.1)", [("too-many-arguments", "normal(0.1)")]),
        ("init normal(std=-1)", [("bad-argument", "normal(std=-1)")]),
        ("init constant", [("missing-argument", "constant")]),
        ("init he(1)", [("too-many-arguments", "he(1)")]),
        ("init uniform(bound=0)", [("bad-argument", "uniform(bound=0)")]),
        ("init xavir", [("unknown-name", "xavir")]),
    ],
)
def test_what_check_says(settings: str, expected: list[tuple[str, str]]):
    assert codes(settings) == expected


def test_check_looks_at_the_initialisers_of_layers():
    network = IRIS.replace("linear(8)", "linear(8, init=normal(sd=1), bias_init=constant)")
    assert codes("seed 0", network) == [("unknown-argument", "normal(sd=1)"), ("missing-argument", "constant")]


@pytest.mark.parametrize(
    ("said", "least", "most", "spread"),
    [
        ("he", -9, 9, math.sqrt(2 / 400)),
        ("xavier", -math.sqrt(6 / 700), math.sqrt(6 / 700), math.sqrt(2 / 700)),
        ("normal(std=0.25, mean=3)", 0, 6, 0.25),
        ("uniform(bound=0.5)", -0.5, 0.5, 1 / math.sqrt(12)),
        ("uniform", -0.05, 0.05, 0.1 / math.sqrt(12)),
        ("constant(0.75)", 0.75, 0.75, 0),
        ("zeros", 0, 0, 0),
        ("ones", 1, 1, 0),
        ("signs", -1, 1, 1),
        ("orthogonal", -1, 1, math.sqrt(1 / 400)),
    ],
)
def test_what_initialisers_make_of_a_layer_of_400_to_300(said: str, least: float, most: float, spread: float):
    network = "network Net { input x: [400]; fc: linear(300); softmax }\n"
    weights = coded(f"init {said}", network).weights
    found = weights["fc.weight"].detach()
    assert float(found.min()) >= least - 1e-6
    assert float(found.max()) <= most + 1e-6
    assert float(found.std()) == pytest.approx(spread, rel=0.02, abs=1e-7)
    assert not weights["fc.bias"].any()
