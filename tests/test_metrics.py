"""Metrics against torchmetrics, MONAI and brute force, and what several meters make of one data set."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from reference import medical, torchmetrics
from torch import Tensor, nn

from specc.catalogue import registry
from specc.catalogue.setting import Metric
from specc.train.metrics.meter import Meter, Reading, meter

G = torch.Generator().manual_seed(11)
CLASSES = Reading(1)
YES = Reading(None, 0.0)
ARGUMENTS: dict[str, dict[str, Any]] = {"topk": {"k": 2}}


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=G)


def whole(limit: int, *shape: int) -> Tensor:
    return torch.randint(limit, shape, generator=G)


def entry(name: str, **values: Any) -> Metric:
    kind = registry.setting(name, "metric")
    assert kind is not None
    found = kind.make(ARGUMENTS.get(name, {}) | values)
    assert isinstance(found, Metric)
    return found


def new(name: str, reading: Reading, **values: Any) -> Meter:
    return meter(entry(name, **values), reading)


def metered(name: str, reading: Reading, output: Tensor, target: Tensor, **values: Any) -> float:
    """The value after two batches of different size."""
    found = new(name, reading, **values)
    at = len(output) // 3
    found.add(output[:at], target[:at])
    found.add(output[at:], target[at:])
    return found.value()


def answers(name: str, places: tuple[int, ...]) -> tuple[Reading, Tensor, Tensor]:
    """Random answers and targets that go with a metric."""
    kinds = entry(name).targets
    if "real" in kinds:
        return CLASSES, draw(23, 3, *places), draw(23, 3, *places)
    target = whole(7, 23, *places)
    right = nn.functional.one_hot(target, 7).movedim(-1, 1)
    output = draw(23, 7, *places) + 1.5 * right
    output[-2:] -= 9 * right[-2:]  # those are wrong everywhere
    return CLASSES, output, target


# ------------------------------------------------------------------------------------------------------ classes
PLACES = [(), (9,), (5, 6), (2, 5, 4)]
COMMON = {"task": "multiclass", "num_classes": 4}


def scored(places: tuple[int, ...], classes: int = 4, count: int = 40) -> tuple[Tensor, Tensor]:
    """Scores that are right more often than not, and the classes."""
    target = whole(classes, count, *places)
    return draw(count, classes, *places) + nn.functional.one_hot(target, classes).movedim(-1, 1), target


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("ignore", [None, 2, 255])
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_rates_equal_torchmetrics(name: str, average: str, ignore: int | None, places: tuple[int, ...]):
    output, target = scored(places)
    if ignore == 255:
        target[target == 1] = 255  # class 1 is found and never there
    witness = getattr(torchmetrics(), {"f1": "f1_score"}.get(name, name))
    expected = float(witness(output, target, average=average, ignore_index=ignore, **COMMON))
    reading = Reading(1, ignore=ignore)
    assert metered(name, reading, output, target, average=average) == pytest.approx(expected, rel=1e-6)
    found = new(name, reading, each=True)
    found.add(output, target)
    each = witness(output, target, average="none", ignore_index=ignore, **COMMON)
    assert list(found.more()) == ["0", "1", "2", "3"]
    for at in range(4):
        assert found.more()[str(at)] == pytest.approx(float(each[at]), rel=1e-6)


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("name", ["precision", "recall", "f1", "accuracy"])
def test_rates_of_yes_and_no_equal_torchmetrics(name: str, places: tuple[int, ...]):
    logits, target = draw(40, 1, *places), whole(2, 40, *places)
    witness = getattr(torchmetrics(), {"f1": "f1_score"}.get(name, name))
    expected = float(witness(torch.sigmoid(logits).view_as(target), target, task="binary"))
    values = {} if name == "accuracy" else {"average": "binary"}
    assert metered(name, YES, logits, target, **values) == pytest.approx(expected, rel=1e-6)
    assert metered(name, Reading(None), torch.sigmoid(logits), target, **values) == pytest.approx(expected, rel=1e-6)


def test_a_class_that_never_occurs_is_left_out_of_the_mean_and_the_background_where_it_is_said():
    output = nn.functional.one_hot(torch.tensor([0, 0, 1, 1, 1]), 4).float()
    target = torch.tensor([0, 1, 1, 1, 0])
    assert metered("recall", CLASSES, output, target) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert metered("precision", CLASSES, output, target) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert metered("recall", CLASSES, output, target, background=False) == pytest.approx(2 / 3)
    assert metered("recall", CLASSES, output[:0], target[:0]) != metered("recall", CLASSES, output[:0], target[:0])


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("ignore", [None, 1])
def test_accuracy_topk_and_confusion_equal_torchmetrics(places: tuple[int, ...], ignore: int | None):
    output, target = scored(places)
    reading = Reading(1, ignore=ignore)
    for name, k in (("accuracy", 1), ("topk", 2)):
        flat = output.movedim(1, -1).reshape(-1, 4), target.flatten()
        expected = torchmetrics().accuracy(*flat, top_k=k, average="micro", ignore_index=ignore, **COMMON)
        assert metered(name, reading, output, target) == pytest.approx(float(expected), rel=1e-6)
    table: Any = new("confusion", reading)
    table.add(output, target)
    expected = torchmetrics().confusion_matrix(output, target, ignore_index=ignore, **COMMON)
    assert table.counts.tolist() == expected.tolist()


# ----------------------------------------------------------------------------------------------------------- ranks
@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("ties", [False, True])
def test_auc_of_several_classes_equals_torchmetrics(places: tuple[int, ...], ties: bool):
    output, target = scored(places)
    shares = (output.softmax(1) * 8).round() / 8 if ties else output.softmax(1)
    # torchmetrics makes probabilities of what lies outside of 0 and 1, and takes ties together as the ranks do
    expected = float(torchmetrics().auroc(shares, target, average="macro", thresholds=None, **COMMON))
    assert metered("auc", CLASSES, shares, target) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("places", PLACES)
def test_auc_of_yes_and_no_counts_the_pairs_in_order(places: tuple[int, ...]):
    count = 14
    output, target = draw(count, 1, *places).round(), whole(2, count, *places)
    there, beside = output.view_as(target)[target == 1].tolist(), output.view_as(target)[target == 0].tolist()
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(there, beside)]
    assert 0.5 in pairs
    assert metered("auc", YES, output, target) == pytest.approx(sum(pairs) / len(pairs), rel=1e-12)


def test_auc_leaves_out_classes_that_are_never_there_and_those_to_ignore():
    output, target = draw(30, 4), whole(3, 30)
    reading = Reading(1, ignore=1)
    found = new("auc", reading, each=True)
    found.add(output, target)
    kept = target != 1
    areas = [torchmetrics().auroc(output[kept][:, at], (target[kept] == at).int(), task="binary") for at in (0, 2)]
    assert found.value() == pytest.approx(float(sum(areas)) / 2, rel=1e-6)
    assert math.isnan(found.more()["1"])
    assert math.isnan(found.more()["3"])
    assert math.isnan(metered("auc", CLASSES, output, torch.zeros(30, dtype=torch.int64)))


# --------------------------------------------------------------------------------------------------------- numbers
@pytest.mark.parametrize("places", PLACES)
def test_errors_and_r2_equal_torchmetrics(places: tuple[int, ...]):
    target = draw(20, 3, *places) * 3 + 100
    output = target + draw(20, 3, *places)
    witness = torchmetrics()
    flat = output.reshape(20, -1).double(), target.reshape(20, -1).double()
    assert metered("mse", CLASSES, output, target) == pytest.approx(float(witness.mean_squared_error(*flat)), rel=1e-6)
    assert metered("mae", CLASSES, output, target) == pytest.approx(float(witness.mean_absolute_error(*flat)), rel=1e-6)
    # torchmetrics takes squares of numbers far from 0; brute force does not
    y, x = flat[1], flat[0]
    shares = 1 - (y - x).square().sum(0) / (y - y.mean(0)).square().sum(0)
    assert metered("r2", CLASSES, output, target) == pytest.approx(float(shares.mean()), rel=1e-9)
    assert float(witness.r2_score(*flat)) == pytest.approx(float(shares.mean()), rel=1e-6)


# ---------------------------------------------------------------------------------------------------- masks: areas
FIELDS = [(12,), (7, 8), (4, 6, 5)]


def masks(places: tuple[int, ...], classes: int = 4, count: int = 9) -> tuple[Tensor, Tensor]:
    """Scores and masks in which classes are missing here and there."""
    target, output = whole(classes, count, *places), draw(count, classes, *places)
    target[0], target[1][target[1] == 2] = 0, 0
    output[1, 2], output[2, 1], output[3, 1:] = -9, -9, -9
    return output, target


def sets(output: Tensor, target: Tensor, classes: int) -> list[list[tuple[set[Any], set[Any]]]]:
    """The places of every class but 0 in every sample: found and there."""
    said = output.argmax(1)
    return [
        [
            ({tuple(p) for p in (s == c).nonzero().tolist()}, {tuple(p) for p in (t == c).nonzero().tolist()})
            for c in range(1, classes)
        ]
        for s, t in zip(said, target, strict=True)
    ]


def mean(values: list[float]) -> float:
    known = [each for each in values if not math.isnan(each)]
    return sum(known) / len(known) if known else math.nan


@pytest.mark.parametrize("places", FIELDS)
@pytest.mark.parametrize("name", ["dice", "iou"])
def test_overlaps_equal_brute_force_and_monai(name: str, places: tuple[int, ...]):
    output, target = masks(places)

    def figure(a: set[Any], b: set[Any]) -> float:
        if not a | b:
            return math.nan
        return 2 * len(a & b) / (len(a) + len(b)) if name == "dice" else len(a & b) / len(a | b)

    table = [[figure(a, b) for a, b in row] for row in sets(output, target, 4)]
    empty = sum(math.isnan(each) for row in table for each in row)
    assert empty >= 1
    found = new(name, CLASSES)
    found.add(output[:4], target[:4])
    found.add(output[4:], target[4:])
    assert found.value() == pytest.approx(mean([mean(row) for row in table]), rel=1e-12)
    more = {str(at + 1): mean(list(column)) for at, column in enumerate(zip(*table, strict=True))} | {"empty": empty}
    assert found.more() == pytest.approx(more, rel=1e-12)
    ones = mean([mean([1.0 if math.isnan(each) else each for each in row]) for row in table])
    assert metered(name, CLASSES, output, target, empty="one") == pytest.approx(ones, rel=1e-12)
    metrics = medical().metrics
    hot = [nn.functional.one_hot(each, 4).movedim(-1, 1) for each in (output.argmax(1), target)]
    if name == "dice":
        witness = metrics.DiceHelper(include_background=False, ignore_empty=False, activate=False, reduction="none")
        theirs = witness(*hot)[0]
        theirs = theirs[0] if isinstance(theirs, tuple) else theirs
    else:
        theirs = metrics.compute_iou(*hot, include_background=False, ignore_empty=False)
    ours = [[1.0 if math.isnan(each) else each for each in row] for row in table]
    assert np.allclose(theirs.numpy(), ours, rtol=1e-6)


@pytest.mark.parametrize("places", FIELDS)
def test_overlaps_over_all_data_equal_torchmetrics(places: tuple[int, ...]):
    output, target = masks(places)
    witness = torchmetrics()
    expected = witness.jaccard_index(output, target, average="none", **COMMON)
    found = new("iou", CLASSES, over="data")
    found.add(output, target)
    assert found.value() == pytest.approx(float(expected[1:].mean()), rel=1e-6)
    assert found.more() == pytest.approx({str(at): float(expected[at]) for at in (1, 2, 3)}, rel=1e-6)
    assert metered("iou", CLASSES, output, target, over="data", background=True) == pytest.approx(
        float(expected.mean()), rel=1e-6
    )
    scores = witness.f1_score(output, target, average="none", **COMMON)
    assert metered("dice", CLASSES, output, target, over="data") == pytest.approx(float(scores[1:].mean()), rel=1e-6)


@pytest.mark.parametrize("places", FIELDS)
def test_overlap_of_yes_and_no_and_places_that_count_for_nothing(places: tuple[int, ...]):
    logits, target = draw(6, 1, *places), whole(2, 6, *places)
    target[:, ::3] = 255
    for reading in (YES, Reading(None, 0.0, ignore=255)):
        found = new("dice", reading)
        found.add(logits, target)
        said = (logits[:, 0] > 0) & (target != 255)
        there = target == 1
        shares = [2 * int((a & b).sum()) / int(a.sum() + b.sum()) for a, b in zip(said, there, strict=True)]
        assert found.value() == pytest.approx(sum(shares) / 6, rel=1e-12)
        assert found.more() == {"empty": 0}


# ------------------------------------------------------------------------------------------------- masks: surfaces
SPACINGS = {1: (2.5,), 2: (0.7, 3.0), 3: (5.0, 0.9, 1.1)}


def blobs(places: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    """A few boxes, which may touch and may lie at the edge."""
    chance = np.random.default_rng(seed)
    found = np.zeros(places, bool)
    for _ in range(chance.integers(1, 4)):
        start = [int(chance.integers(0, size)) for size in places]
        found[tuple(slice(at, at + int(chance.integers(1, 4))) for at in start)] = True
    return found


def border(mask: np.ndarray[Any, Any]) -> list[tuple[int, ...]]:
    """Places with a neighbour across a face that is outside, or with none."""
    found = []
    for at in map(tuple, np.argwhere(mask)):
        near = [(*at[:axis], at[axis] + by, *at[axis + 1 :]) for axis in range(mask.ndim) for by in (-1, 1)]
        if not all(all(0 <= p < n for p, n in zip(each, mask.shape, strict=True)) and mask[each] for each in near):
            found.append(tuple(map(int, at)))
    return found


def directed(one: Any, other: Any, spacing: tuple[float, ...]) -> list[float]:
    a, b = (np.array(border(each)) * np.array(spacing) for each in (one, other))
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)).min(1).tolist()


@pytest.mark.parametrize("places", FIELDS)
@pytest.mark.parametrize("seed", range(4))
def test_surface_distances_equal_brute_force_and_monai(places: tuple[int, ...], seed: int):
    spacing = SPACINGS[len(places)]
    one, other = blobs(places, seed), blobs(places, seed + 50)
    there, back = directed(one, other, spacing), directed(other, one, spacing)
    expected = {
        ("hausdorff", 100.0): max(*there, *back),
        ("hausdorff", 95.0): max(np.percentile(there, 95), np.percentile(back, 95)),
        ("hausdorff", 40.0): max(np.percentile(there, 40), np.percentile(back, 40)),
        ("assd", 0.0): (sum(there) + sum(back)) / (len(there) + len(back)),
    }
    logits = torch.from_numpy(one)[None, None].float() - 0.5
    target = torch.from_numpy(other)[None].long()
    for (name, percentile), value in expected.items():
        found = new(name, YES, **({"percentile": percentile} if percentile else {}))
        found.add(logits, target, [spacing])
        assert found.value() == pytest.approx(value, rel=1e-9, abs=1e-12)
    if len(places) > 1:
        metrics = medical().metrics
        hot = [torch.from_numpy(each)[None, None].float() for each in (one, other)]
        common = {"include_background": True, "spacing": list(spacing)}
        for percentile in (100.0, 95.0):
            theirs = metrics.compute_hausdorff_distance(*hot, percentile=percentile, **common)
            assert float(theirs) == pytest.approx(expected["hausdorff", percentile], rel=1e-5)
        theirs = metrics.compute_average_surface_distance(*hot, symmetric=True, **common)
        assert float(theirs) == pytest.approx(expected["assd", 0.0], rel=1e-5)


def test_a_cube_that_is_shifted_by_three_is_three_away():
    target = torch.zeros(1, 12, 12, 12, dtype=torch.int64)
    target[0, 2:6, 2:6, 2:6] = 1
    logits = target.roll(3, 1)[:, None].float() - 0.5
    assert metered("hausdorff", YES, logits, target) == 3
    found = new("hausdorff", YES)
    found.add(logits, target, [(2.0, 1.0, 1.0)])
    assert found.value() == 6


@pytest.mark.parametrize("name", ["hausdorff", "assd"])
def test_a_missing_surface_costs_the_diagonal_or_is_left_out_and_is_counted(name: str):
    target = torch.zeros(4, 5, 7, dtype=torch.int64)
    target[0, 1:3, 1:3] = 1  # found where it is
    target[1, 1:3, 1:3] = 1  # not found
    logits = torch.full((4, 1, 5, 7), -1.0)
    logits[0, 0, 1:3, 1:3] = 1
    logits[2, 0, 4, 6] = 1  # found, and not there; in the last sample there is nothing
    spacing = [(2.0, 0.5)] * 4
    diagonal = math.hypot(4 * 2.0, 6 * 0.5)
    found = new(name, YES)
    found.add(logits, target, spacing)
    assert found.value() == pytest.approx((0 + 2 * diagonal) / 3)
    assert found.more() == {"empty": 1, "missed": 2}
    left = new(name, YES, missed="skip")
    left.add(logits, target, spacing)
    assert left.value() == 0
    assert left.more() == {"empty": 1, "missed": 2}
    nothing = new(name, YES)
    nothing.add(logits[3:], target[3:])
    assert math.isnan(nothing.value())


def test_surfaces_of_several_classes_are_those_of_each():
    output, target = masks((6, 7))
    spacing = [(1.5, 1.0)] * len(target)
    found = new("assd", CLASSES)
    found.add(output, target, spacing)
    each = []
    for at in (1, 2, 3):
        alone = new("assd", Reading(None))
        alone.add((output.argmax(1) == at).float()[:, None], (target == at).long(), spacing)
        each.append(alone.value())
        assert found.more()[str(at)] == pytest.approx(alone.value())
    assert found.more()["empty"] + found.more()["missed"] > 0


# ------------------------------------------------------------------------------------------------- several meters
@pytest.mark.parametrize("name", registry.setting_names("metric"))
@pytest.mark.parametrize("places", [(), (5, 6)])
def test_several_meters_that_take_in_each_other_are_one(name: str, places: tuple[int, ...]):
    if places == () and "class" not in entry(name).targets and "real" not in entry(name).targets:
        places = (4, 3, 2)
    reading, output, target = answers(name, places)
    one = new(name, reading)
    one.add(output, target)
    parts = [new(name, reading) for _ in range(4)]
    for part, (start, end) in zip(parts, [(0, 8), (8, 8), (8, 19), (19, 23)], strict=True):
        for at in range(start, end):  # the second sees nothing
            part.add(output[at : at + 1], target[at : at + 1])
    total = new(name, reading)
    for part in parts:
        state = part.state()
        assert all(isinstance(each, Tensor) for each in state.values())
        total.absorb(state)
    assert total.value() == pytest.approx(one.value(), rel=1e-12)
    assert total.state().keys() == one.state().keys()
    for key, value in one.state().items():
        torch.testing.assert_close(total.state()[key], value, rtol=1e-12, atol=1e-12)
    assert parts[-1].value() != pytest.approx(one.value(), rel=1e-12)  # what is taken in counts
