"""Losses against PyTorch's own, against their formulas one number at a time, and against the worked examples."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from specc.backends.pytorch import load, write
from specc.compiler import compile_text
from specc.data.named import check_data
from specc.train import objective
from specc.train.criteria import sources
from specc.train.program import chosen, samples
from specc.train.training import train

G = torch.Generator().manual_seed(3)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=G, dtype=torch.float64)


def whole(limit: int, *shape: int) -> Tensor:
    return torch.randint(limit, shape, generator=G)


def functions(loss: str, network: str, kind: str, counts: tuple[int, ...] = ()) -> Any:
    found = compile_text(f"{network}\ntrain {{ data digits; loss {loss} }}\n", "a.net", fixes=False)
    assert found.ok, [each.message for each in found.bag]
    program = next(iter(found.programs.values()))
    return objective.load(objective.write(found.model(), program, kind, counts))


def lossed(loss: str, network: str, kind: str, output: Tensor, target: Tensor, **more: Any) -> float:
    return float(functions(loss, network, kind, **more).loss({"output": output}, {}, target))


def codes(network: str, train: str) -> list[tuple[str, str]]:
    found = compile_text(f"{network}\ntrain {{ {train} }}\n", "a.net", fixes=False)
    return [(each.code, each.span.text if each.span else "") for each in found.bag]


def against_data(network: str, train: str, folder: Any) -> list[str]:
    found = compile_text(f"{network}\ntrain {{ {train} }}\n", "a.net", fixes=False)
    assert found.ok, [each.message for each in found.bag]
    return [each.code for each in check_data(found.model(), next(iter(found.programs.values())), folder)]


ROW = "network Net { input x: [7]; linear(4) }"
ONE = "network Net { input x: [7]; linear(1) }"
SIGN = "network Net { input x: [7]; linear(1); sign }"
SOFT = "network Net { input x: [7]; linear(4); softmax }"
YES = "network Net { input x: [7]; linear(1); sigmoid }"
LINE = "network Net { input x: [3, 6]; conv(4, 1) }"
MAP = "network Net { input x: [3, 5, 6]; conv(4, 1) }"
VOLUME = "network Net { input x: [3, 2, 5, 6]; conv(4, 1) }"
LAST = "network Net { input x: [6, 3]; linear(4); softmax(axis=-1) }"
PLACES: dict[str, tuple[int, ...]] = {ROW: (), LINE: (6,), MAP: (5, 6), VOLUME: (2, 5, 6)}


def soft(network: str) -> str:
    return network.replace(" }", "; softmax }")


def single(network: str, head: str = "sigmoid") -> str:
    return network.replace("(4", "(1").replace(" }", f"; {head} }}" if head else " }")


def every(network: str) -> tuple[Tensor, Tensor]:
    """Scores and class numbers for a network of four classes."""
    return draw(5, 4, *PLACES[network]), whole(4, 5, *PLACES[network])


def walked(scores: Tensor, target: Tensor) -> list[tuple[list[float], int]]:
    """The scores of the classes and the right one, place by place."""
    return list(
        zip(scores.movedim(1, -1).reshape(-1, scores.shape[1]).tolist(), target.flatten().tolist(), strict=True)
    )


# ------------------------------------------------------------------------------------------------ worked examples
DOG = torch.tensor([[-0.39, 1.49, 4.21], [-4.61, 3.28, 1.46], [1.03, -2.37, -2.27]])


@pytest.mark.parametrize(("at", "right", "expected"), [(0, 0, 8.48), (1, 1, 0), (2, 2, 5.2)])
def test_the_three_hinge_losses_of_dog_cat_and_horse(at: int, right: int, expected: float):
    """The sum leaves out the right class: with it each would be 1 more."""
    network = "network Net { input x: [7]; linear(3) }"
    assert math.isclose(
        lossed("hinge", network, "class", DOG[at : at + 1], torch.tensor([right])), expected, abs_tol=1e-6
    )


def test_the_hinge_of_the_three_examples_together_and_as_a_sum():
    network = "network Net { input x: [7]; linear(3) }"
    classes = torch.tensor([0, 1, 2])
    assert math.isclose(lossed("hinge", network, "class", DOG, classes), (8.48 + 5.2) / 3, rel_tol=1e-6)
    assert math.isclose(lossed("hinge(reduce=sum)", network, "class", DOG, classes), (8.48 + 5.2) / 3, rel_tol=1e-6)


def test_the_perceptron_takes_from_the_wrong_winner_and_gives_to_the_right_class():
    """Scores -6.96, -9.56 and 8.2 of the slides: class 2 wins. The right one gets +x, the winner -x, the third nothing."""
    network = "network Net { input x: [7]; linear(3) }"
    x = torch.tensor([1.1, -2.0, 1.0])
    weights = torch.tensor([[-3.6, 0.5, -2.0], [2.4, 4.1, -4.0], [4.0, -4.9, -6.0]], requires_grad=True)
    scores = (weights @ x).unsqueeze(0)
    torch.testing.assert_close(scores[0], torch.tensor([-6.96, -9.56, 8.2]))
    loss = functions("perceptron", network, "class").loss({"output": scores}, {}, torch.tensor([0]))
    assert math.isclose(float(loss.detach()), 8.2 + 6.96, rel_tol=1e-6)
    loss.backward()
    torch.testing.assert_close(weights.grad, torch.stack([-x, torch.zeros(3), x]))
    right = functions("perceptron", network, "class").loss({"output": scores.detach()}, {}, torch.tensor([2]))
    assert float(right) == 0


def test_the_two_class_perceptron_is_the_sum_over_what_is_wrongly_classified():
    scores, classes = torch.tensor([[2.0], [-3.0], [0.5], [-0.25]]), torch.tensor([1, 1, 0, 0])
    assert math.isclose(lossed("perceptron", SIGN, "class", scores, classes), (3.0 + 0.5) / 4)
    at_zero = torch.zeros(1, 1, requires_grad=True)
    functions("perceptron", SIGN, "class").loss({"output": at_zero}, {}, torch.tensor([1])).backward()
    assert at_zero.grad is not None
    assert float(at_zero.grad) == -1, "weights that start at 0 must be able to leave it"


def test_the_mean_bias_error_keeps_its_sign():
    network = "network Net { input x: [7]; linear(2) }"
    output, target = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.5, 4.0], [2.0, 4.5]])
    assert math.isclose(lossed("mse + bias_error", network, "real", output, target), (0.25 + 4 + 1 + 0.25) / 4 + 0.5)
    assert math.isclose(lossed("mse - bias_error", network, "real", output, target), 5.5 / 4 - 0.5)
    assert math.isclose(lossed("0 * mse + bias_error(reduce=sum)", network, "real", output, target), 2.0 / 2)


def test_dice_of_one_volume_is_that_of_the_slides():
    """2 sum(y p) / (sum(y) + sum(p)), as a loss 1 minus it, over the voxels of one volume."""
    network = "network Net { input x: [3, 2, 5, 6]; conv(1, 1); sigmoid }"
    scores, target = draw(1, 1, 2, 5, 6), whole(2, 1, 2, 5, 6)
    p = 1 / (1 + (-scores).exp()).flatten()
    y = target.flatten().double()
    expected = 1 - 2 * float((y * p).sum()) / float(y.sum() + p.sum())
    assert math.isclose(lossed("dice(smooth=1e-12)", network, "classes", scores, target), expected, rel_tol=1e-6)


# --------------------------------------------------------------------------------------- against PyTorch and formulas
@pytest.mark.parametrize("network", list(PLACES))
@pytest.mark.parametrize("margin", [1.0, 0.5])
def test_hinge_equals_pytorchs_multi_margin(network: str, margin: float):
    """PyTorch divides by the number of classes, and knows no positions."""
    scores, target = every(network)
    rows, flat = scores.movedim(1, -1).reshape(-1, 4), target.flatten()
    expected = 4 * F.multi_margin_loss(rows, flat, margin=margin)
    kind = "classes" if PLACES[network] else "class"
    said = "hinge" if margin == 1 else f"hinge(margin={margin})"
    assert math.isclose(lossed(said, network, kind, scores, target), float(expected), rel_tol=1e-9)
    weights = torch.tensor([1.0, 2.0, 0.0, 0.5], dtype=torch.float64)
    each = 4 * F.multi_margin_loss(rows, flat, margin=margin, reduction="none") * weights[flat]
    found = lossed(f"hinge(margin={margin}, weights=[1, 2, 0, 0.5])", network, kind, scores, target)
    assert math.isclose(found, float(each.sum() / weights[flat].sum()), rel_tol=1e-9)
    summed = lossed(f"hinge(margin={margin}, reduce=sum)", network, kind, scores, target)
    assert math.isclose(summed, float(4 * F.multi_margin_loss(rows, flat, margin=margin, reduction="sum")) / 5)


@pytest.mark.parametrize("network", list(PLACES))
def test_perceptron_is_the_winner_less_the_right_one(network: str):
    scores, target = every(network)
    kind = "classes" if PLACES[network] else "class"
    each = [max(row) - row[right] for row, right in walked(scores, target)]
    assert math.isclose(lossed("perceptron", network, kind, scores, target), sum(each) / len(each), rel_tol=1e-9)
    kept = [value for value, (_, right) in zip(each, walked(scores, target), strict=True) if right != 3]
    found = lossed("perceptron(ignore=3)", network, kind, scores, target)
    assert math.isclose(found, sum(kept) / len(kept), rel_tol=1e-9)


@pytest.mark.parametrize("network", list(PLACES))
def test_one_score_of_hinge_and_perceptron(network: str):
    network, places = single(network, ""), PLACES[network]
    scores, target = draw(5, 1, *places), whole(2, 5, *places)
    kind = "classes" if places else "class"
    signed = [(2 * t - 1) * s for s, t in zip(scores.flatten().tolist(), target.flatten().tolist(), strict=True)]
    count = len(signed)
    hinge = sum(max(0, 1 - each) for each in signed) / count
    assert math.isclose(lossed("hinge", network, kind, scores, target), hinge, rel_tol=1e-9)
    assert math.isclose(lossed("hinge(reduce=sum)", network, kind, scores, target), hinge * count / 5, rel_tol=1e-9)
    perceptron = sum(max(0, -each) for each in signed) / count
    assert math.isclose(lossed("perceptron", network, kind, scores, target), perceptron, rel_tol=1e-9)
    weighted = [(3 if t else 1, max(0, 2 - each)) for each, t in zip(signed, target.flatten().tolist(), strict=True)]
    expected = sum(w * each for w, each in weighted) / sum(w for w, _ in weighted)
    found = lossed("hinge(margin=2, weights=[1, 3])", network, kind, scores, target)
    assert math.isclose(found, expected, rel_tol=1e-9)


@pytest.mark.parametrize("network", list(PLACES))
@pytest.mark.parametrize("rubbish", [1, 0.5, 3])
def test_discriminative_equals_equation_nine_and_its_gradient_the_posteriors(network: str, rubbish: float):
    distances, target = every(network)
    distances = distances.square().requires_grad_()
    expected = [
        y[c] + math.log(math.exp(-rubbish) + sum(math.exp(-each) for each in y)) for y, c in walked(distances, target)
    ]
    loss = f"discriminative(rubbish={rubbish})"
    found = functions(loss, network, "classes" if PLACES[network] else "class").loss({"output": distances}, {}, target)
    assert float(found.detach()) == pytest.approx(sum(expected) / len(expected), rel=1e-12)
    found.backward()
    more = torch.full_like(distances[:, :1], -rubbish)
    shares = torch.cat((-distances, more), 1).detach().softmax(1)[:, :4]
    slope = (F.one_hot(target, 4).movedim(-1, 1) - shares) / target.numel()
    torch.testing.assert_close(distances.grad, slope)
    target[0] = 2
    kept = [
        y[c] + math.log(math.exp(-rubbish) + sum(math.exp(-each) for each in y))
        for y, c in walked(distances, target)
        if c != 2
    ]
    said = lossed(f"discriminative(rubbish={rubbish}, ignore=2)", network, "class", distances.detach(), target)
    assert said == pytest.approx(sum(kept) / len(kept), rel=1e-12)


def test_lenet_of_1998_learns_by_it_and_its_smallest_distance_is_the_answer(tmp_path: Any):
    text = """network Codes {
    input image: [1, 8, 8]
    flatten; f6: linear(20); tanh
    buffer codes: [10, 20], init=signs
    row: rearrange("k -> 1 k")
    near: sum((row - codes) ** 2, axis=1)
    output penalty: near
    output digit: argmin(near)
}
train { data digits; loss discriminative(penalty); optimizer adam(lr=0.01); epochs 8; metrics accuracy(digit) }
"""
    found = compile_text(text, "a.net")
    assert [each.message for each in found.bag] == []
    run = train(found, out_root=tmp_path / "runs", project=tmp_path, device="cpu")
    model, program = chosen(found)
    data = samples(model, program, tmp_path, torch.device("cpu"))
    module = load(write(model), "Codes")()
    module.load_state_dict(load_file(run.weights))
    inputs, right = data.feed.batch(data.parts.test)
    with torch.no_grad():
        near = module.eval()(inputs["image"])["penalty"]
    wins = sum(
        min(range(10), key=row.__getitem__) == one for row, one in zip(near.tolist(), right.tolist(), strict=True)
    )
    assert run.results["digit.accuracy"] == wins / len(right)
    assert wins / len(right) > 0.5  # one in ten by chance


@pytest.mark.parametrize("network", list(PLACES))
@pytest.mark.parametrize("gamma", [0, 0.5, 2, 3.5])
def test_focal_equals_its_formula_and_with_gamma_0_the_cross_entropy(network: str, gamma: float):
    scores, target = every(network)
    kind = "classes" if PLACES[network] else "class"
    each = []
    for row, right in walked(scores, target):
        p = math.exp(row[right]) / sum(map(math.exp, row))
        each.append(-((1 - p) ** gamma) * math.log(p))
    found = lossed(f"focal(gamma={gamma})", soft(network), kind, scores, target)
    assert math.isclose(found, sum(each) / len(each), rel_tol=1e-7)
    if gamma == 0:
        assert math.isclose(found, float(F.cross_entropy(scores, target)), rel_tol=1e-9)
    alpha = [0.25, 1.0, 2.0, 0.5]
    scaled = [alpha[t] * value for value, t in zip(each, target.flatten().tolist(), strict=True)]
    found = lossed(f"focal(gamma={gamma}, alpha=[0.25, 1, 2, 0.5])", soft(network), kind, scores, target)
    assert math.isclose(found, sum(scaled) / len(scaled), rel_tol=1e-7)
    kept = [value for value, t in zip(each, target.flatten().tolist(), strict=True) if t != 1]
    found = lossed(f"focal(gamma={gamma}, ignore=1)", soft(network), kind, scores, target)
    assert math.isclose(found, sum(kept) / len(kept), rel_tol=1e-7)


@pytest.mark.parametrize("network", list(PLACES))
def test_focal_of_yes_and_no_equals_its_formula(network: str):
    places = PLACES[network]
    scores, target = draw(5, 1, *places), whole(2, 5, *places)
    kind = "classes" if places else "class"
    for (no, yes), said in (
        ((1, 1), "focal"),
        ((0.75, 0.25), "focal(alpha=0.25)"),
        ((0.75, 0.25), "focal(alpha=[0.75, 0.25])"),
        ((2, 5), "focal(alpha=[2, 5])"),
    ):
        each = []
        for x, t in zip(scores.flatten().tolist(), target.flatten().tolist(), strict=True):
            p = 1 / (1 + math.exp(-x if t else x))
            each.append(-(yes if t else no) * (1 - p) ** 2 * math.log(p))
        expected = sum(each) / len(each)
        assert math.isclose(lossed(said, single(network), kind, scores, target), expected, rel_tol=1e-9)


def test_focal_has_a_gradient_where_the_answer_is_certain():
    for gamma in (0.5, 1, 2):
        scores = torch.tensor([[200.0, 0.0, 0.0, 0.0], [-200.0, 0, 0, 0]], requires_grad=True)
        functions(f"focal(gamma={gamma})", SOFT, "class").loss({"output": scores}, {}, torch.tensor([0, 0])).backward()
        assert scores.grad is not None
        assert scores.grad.isfinite().all()


def dice(p: list[float], t: list[float], smooth: float, power: int) -> float:
    both = sum(a * b for a, b in zip(p, t, strict=True))
    return 1 - (2 * both + smooth) / (sum(a**power for a in p) + sum(b**power for b in t) + smooth)


@pytest.mark.parametrize("network", [LINE, MAP, VOLUME])
@pytest.mark.parametrize(("smooth", "power"), [(1.0, 1), (0.01, 2)])
def test_dice_equals_its_formula_class_by_class(network: str, smooth: float, power: int):
    scores, target = every(network)
    squares = ", squares=true" if power == 2 else ""
    shares = scores.exp() / scores.exp().sum(1, keepdim=True)
    table = np.zeros((5, 4))
    for n, c in itertools.product(range(5), range(4)):
        table[n, c] = dice(shares[n, c].flatten().tolist(), (target[n] == c).double().flatten().tolist(), smooth, power)
    said = f"smooth={smooth}{squares}"
    assert math.isclose(lossed(f"dice({said})", soft(network), "classes", scores, target), table.mean(), rel_tol=1e-9)
    found = lossed(f"dice({said}, reduce=sum)", soft(network), "classes", scores, target)
    assert math.isclose(found, table.sum() / 5, rel_tol=1e-9)
    found = lossed(f"dice({said}, weights=[0, 1, 1, 2])", soft(network), "classes", scores, target)
    assert math.isclose(found, (table * [0, 1, 1, 2]).sum() / 20, rel_tol=1e-9)


def test_dice_leaves_out_what_belongs_to_no_class():
    scores, target = every(MAP)
    target[:, 2] = 255
    keep = torch.tensor([0, 1, 3, 4])
    found = lossed("dice(ignore=255)", soft(MAP), "classes", scores, target)
    expected = lossed("dice", soft(MAP), "classes", scores[:, :, keep], target[:, keep])
    assert math.isclose(found, expected, rel_tol=1e-9)
    yes, mask = scores[:, :1], torch.where(target == 255, 255, target % 2)
    found = lossed("dice(ignore=255)", single(MAP), "classes", yes, mask)
    expected = lossed("dice", single(MAP), "classes", yes[:, :, keep], mask[:, keep])
    assert math.isclose(found, expected, rel_tol=1e-9)


@pytest.mark.parametrize("network", [LINE, MAP, VOLUME])
def test_dice_of_maps_of_their_own(network: str):
    """Behind a sigmoid; four maps against masks from 0 to 1 of the same shape."""
    scores = draw(5, 4, *PLACES[network])
    masks = torch.rand(5, 4, *PLACES[network], generator=G, dtype=torch.float64)
    table = [
        dice((1 / (1 + (-scores[n, c]).exp())).flatten().tolist(), masks[n, c].flatten().tolist(), 1, 1)
        for n, c in itertools.product(range(5), range(4))
    ]
    found = lossed("dice", network.replace(" }", "; sigmoid }"), "image", scores, masks)
    assert math.isclose(found, sum(table) / len(table), rel_tol=1e-9)


def test_dice_without_anything_there_or_found_is_nothing():
    network, none = single(MAP), torch.zeros(2, 5, 6, dtype=torch.int64)
    scores = torch.full((2, 1, 5, 6), -200.0, requires_grad=True)
    loss = functions("dice", network, "classes").loss({"output": scores}, {}, none)
    loss.backward()
    assert float(loss) == 0
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_what_is_no_probability_of_a_sigmoid_is_read_as_one():
    """hardsigmoid gives a probability and has no logits: the losses find them again, or need none."""
    network = "network Net { input x: [3, 5, 6]; conv(1, 1); hardsigmoid }"
    p = torch.rand(4, 1, 5, 6, generator=G, dtype=torch.float64) * 0.9 + 0.05
    target = whole(2, 4, 5, 6)
    flat = list(zip(p.flatten().tolist(), target.flatten().tolist(), strict=True))
    right = [a if t else 1 - a for a, t in flat]
    focal = sum(-((1 - q) ** 2) * math.log(q) for q in right) / len(right)
    assert math.isclose(lossed("focal", network, "classes", p, target), focal, rel_tol=1e-5)
    weighted = [(2.0 if t else 0.5, -math.log(q)) for q, (_, t) in zip(right, flat, strict=True)]
    entropy = sum(w * each for w, each in weighted) / sum(w for w, _ in weighted)
    found = lossed("binary_cross_entropy(weights=[0.5, 2])", network, "classes", p, target)
    assert math.isclose(found, entropy, rel_tol=1e-5)
    table = [dice(p[n].flatten().tolist(), target[n].double().flatten().tolist(), 1, 1) for n in range(4)]
    assert math.isclose(lossed("dice", network, "classes", p, target), sum(table) / 4, rel_tol=1e-9)


@pytest.mark.parametrize(("network", "axis"), [(ROW, 1), (MAP, 1), (LAST, -1)])
def test_kl_equals_its_formula(network: str, axis: int):
    last = network == LAST
    scores = draw(5, 6, 4) if last else draw(5, 4, *PLACES[network])
    target = draw(*scores.shape).softmax(axis)
    text = network if last else soft(network)
    t, p = target.movedim(axis, -1).reshape(-1, 4), scores.softmax(axis).movedim(axis, -1).reshape(-1, 4)
    each = [
        sum(a * math.log(a / b) for a, b in zip(one, other, strict=True))
        for one, other in zip(t.tolist(), p.tolist(), strict=True)
    ]
    assert math.isclose(lossed("kl", text, "real", scores, target), sum(each) / len(each), rel_tol=1e-9)
    assert math.isclose(lossed("kl(reduce=sum)", text, "real", scores, target), sum(each) / 5, rel_tol=1e-9)


def test_classes_on_the_last_axis_of_every_loss():
    scores, target = draw(5, 6, 4), whole(4, 5, 6)
    turned = scores.movedim(-1, 1)
    line = "network Net { input x: [3, 6]; conv(4, 1) }"
    for loss in ("focal", "dice"):
        found = lossed(loss, LAST, "classes", scores, target)
        assert math.isclose(found, lossed(loss, soft(line), "classes", turned, target), rel_tol=1e-12)
    for loss in ("hinge", "perceptron"):
        found = lossed(f"{loss}(axis=-1)", LAST.replace("; softmax(axis=-1)", ""), "classes", scores, target)
        assert math.isclose(found, lossed(loss, line, "classes", turned, target), rel_tol=1e-12)


# --------------------------------------------------------------------------------------------------------- weights
def test_weights_of_yes_and_no_are_those_of_two_classes():
    """A sigmoid and a softmax of two classes, the first score 0, are one model: their weighted losses agree."""
    x, t = draw(9, 1), whole(2, 9)
    both = torch.cat([torch.zeros_like(x), x], 1)
    two = "network Net { input x: [7]; linear(2); softmax }"
    for more in ("weights=[0.5, 3]", "weights=[0.5, 3], reduce=sum", "weights=[0, 1]"):
        found = lossed(f"binary_cross_entropy({more})", YES, "class", x, t)
        assert math.isclose(found, lossed(f"cross_entropy({more})", two, "class", both, t), rel_tol=1e-7), more
    p = 1 / (1 + (-x).exp())
    share = torch.rand(9, 1, generator=G, dtype=torch.float64)
    no, yes = 0.5 * (1 - share), 3 * share
    expected = -(no * (1 - p).log() + yes * p.log()).sum() / (no + yes).sum()
    found = lossed("binary_cross_entropy(weights=[0.5, 3])", YES, "real", x, share)
    assert math.isclose(found, float(expected), rel_tol=1e-9)


def test_balanced_weights_give_every_class_the_same_share():
    counts = (10, 30, 60, 0)
    weights = [100 / (4 * each) if each else 0 for each in counts]
    scores, target = draw(9, 4), whole(3, 9)
    expected = F.cross_entropy(scores, target, weight=torch.tensor(weights, dtype=torch.float64))
    found = lossed("cross_entropy(weights=balanced)", SOFT, "class", scores, target, counts=counts)
    assert math.isclose(found, float(expected), rel_tol=1e-6)
    x, t = draw(9, 1), whole(2, 9)
    said = lossed("binary_cross_entropy(weights=[2.5, 0.625])", YES, "class", x, t)
    assert math.isclose(
        lossed("binary_cross_entropy(weights=balanced)", YES, "class", x, t, counts=(20, 80)), said, rel_tol=1e-7
    )


# ------------------------------------------------------------------------------------------- tensors of the network
def test_a_tensor_of_the_network_is_the_target():
    network = """network Net {
        input x: [7]
        input word: int []
        input words: int [6]
        body: x -> linear(8)
        output teacher: body -> linear(4) -> softmax
        output student: body -> linear(4) -> softmax
        output first: body -> linear(4) -> softmax
    }
    """
    a, b = draw(5, 4), draw(5, 4)
    outputs, word = {"teacher": a, "student": b, "first": a}, whole(4, 5)
    module = functions("kl(student, target=teacher) + 0.5 * cross_entropy(first, target=word)", network, "class")
    p, q = a.softmax(1), b.softmax(1)
    expected = (p * (p / q).log()).sum(1).mean() + 0.5 * F.cross_entropy(a, word)
    assert math.isclose(float(module.loss(outputs, {"word": word}, None)), float(expected), rel_tol=1e-9)
    soft_target = functions("cross_entropy(student, target=teacher)", network, "class")
    expected = -(p * q.log()).sum(1).mean()
    assert math.isclose(float(soft_target.loss(outputs, {}, None)), float(expected), rel_tol=1e-9)
    train = "data digits; loss {}(student, target={})"
    assert codes(network, train.format("cross_entropy", "words")) == [("target-shape", "words")]
    assert codes(network, train.format("cross_entropy", "x")) == [("target-shape", "x")]
    assert codes(network, train.format("kl", "word")) == [("target-type", "word")]
    assert codes(network, train.format("hinge", "word"))[0][0] == "loss-mismatch"
    balanced = "data digits; loss cross_entropy(student, target=word, weights=balanced)"
    assert codes(network, balanced) == [("bad-argument", "balanced")]


def test_a_target_of_training_is_only_asked_for_there():
    network = """network Net {
        input x: [7]
        output out: x -> linear(4)
        output aim: x -> linear(4) when training
    }
    """
    module = functions("mse(out, target=aim)", network, "real")
    a, b = draw(3, 4), draw(3, 4)
    assert math.isclose(float(module.loss({"out": a, "aim": b}, {}, None)), float((a - b).square().mean()))
    assert float(module.loss({"out": a}, {}, None)) == 0


def test_a_number_of_the_network_is_a_term():
    network = """network Net {
        input x: [7]
        body: linear(4)
        output out: body -> linear(4)
        output size: body -> linear(1) when training
    }
    """
    module = functions("mse(out) + 0.25 * size", network, "real")
    a, b, size = draw(3, 4), draw(3, 4), draw(3, 1)
    expected = (a - b).square().mean() + 0.25 * size.mean()
    assert math.isclose(float(module.loss({"out": a, "size": size}, {}, b)), float(expected))
    assert math.isclose(float(module.loss({"out": a}, {}, b)), float((a - b).square().mean()))


# ---------------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("network", "loss", "expected"),
    [
        (SOFT, "hinge", [("loss-mismatch", "hinge")]),
        (YES, "perceptron", [("loss-mismatch", "perceptron")]),
        (ROW.replace("linear(4)", "linear(4); relu"), "hinge", [("loss-mismatch", "hinge")]),
        (ROW.replace("linear(4)", "linear(4); sign"), "perceptron", [("loss-mismatch", "perceptron")]),
        (SIGN, "mse", [("loss-mismatch", "mse")]),
        (SIGN, "binary_cross_entropy", [("loss-mismatch", "binary_cross_entropy")]),
        (SIGN, "perceptron", []),
        (SIGN, "hinge", []),
        (SIGN.replace("sign", "sign; identity"), "perceptron", [("loss-mismatch", "perceptron")]),
        (ROW, "focal", [("missing-head", "focal")]),
        (MAP, "dice", [("missing-head", "dice")]),
        (soft(MAP), "dice + cross_entropy", []),
        (SOFT, "dice", [("target-shape", "dice")]),
        (MAP.replace("conv(4, 1)", "conv(4, 1); relu"), "dice", [("loss-mismatch", "dice")]),
        (ROW, "kl", [("missing-head", "kl")]),
        (YES, "kl", [("loss-mismatch", "kl")]),
        (ROW, "bias_error", [("loss-mismatch", "bias_error")]),
        (ROW, "mse + 0.1 * bias_error", []),
        (SOFT, "cross_entropy(weights=[1, 2])", [("bad-argument", "[1, 2]")]),
        (SOFT, "cross_entropy(weights=[0, 0, 0, 0])", [("bad-argument", "[0, 0, 0, 0]")]),
        (ROW, "hinge(weights=[1, 2])", [("bad-argument", "[1, 2]")]),
        (ONE, "hinge(weights=[1, 2])", []),
        (YES, "binary_cross_entropy(weights=[1, 2, 3])", [("bad-argument", "[1, 2, 3]")]),
        (SOFT, "focal(alpha=0.25)", [("bad-argument", "0.25")]),
        (YES, "focal(alpha=0.25)", []),
        (YES, "focal(alpha=1.5)", [("bad-argument", "1.5")]),
        (YES, "focal(gamma=-1)", [("bad-argument", "-1")]),
        (ROW, "hinge(margin=0)", [("bad-argument", "0")]),
        (soft(MAP), "dice(smooth=0)", [("bad-argument", "0")]),
        (single(MAP), "dice(weights=[1, 2])", [("bad-argument", "[1, 2]")]),
        (ROW, "hinge(axis=3)", [("no-such-axis", "3")]),
        (ROW, "hinge(margn=2)", [("unknown-argument", "margn")]),
    ],
)  # fmt: skip
def test_what_check_says_of_a_loss_and_its_head(network: str, loss: str, expected: list[tuple[str, str]]):
    assert codes(network, f"data digits; loss {loss}") == expected


@pytest.mark.parametrize(
    ("network", "loss", "data", "expected"),
    [
        ("network Net { input x: [4]; linear(3) }", "hinge", "iris", []),
        ("network Net { input x: [4]; linear(2) }", "hinge", "iris", ["classes-differ"]),
        ("network Net { input x: [4]; linear(1) }", "hinge", "iris", ["classes-differ"]),
        ("network Net { input x: [4]; linear(3); softmax }", "kl", "iris", ["target-type"]),
        ("network Net { input x: [10]; linear(1) }", "hinge", "diabetes", ["target-type"]),
        ("network Net { input x: [10]; linear(1) }", "mse + bias_error", "diabetes", []),
        ("network Net { input x: [30]; linear(1); sign }", "perceptron", "breast_cancer", []),
        ("network Net { input x: [30]; linear(1); sigmoid }", "focal(alpha=0.3)", "breast_cancer", []),
        ("network Net { input x: [3, 5, 6]; conv(2, 1); softmax }", "dice", 'arrays("m.npz", x="x", target="t")', []),
        ("network Net { input x: [3, 5, 6]; conv(1, 1); sigmoid }", "dice", 'arrays("m.npz", x="x", target="t")', []),
        ("network Net { input x: [3, 5, 6]; conv(1, 1) }", "hinge", 'arrays("m.npz", x="x", target="t")', []),
        ("network Net { input x: [3, 5, 6]; conv(2, 3); softmax }", "dice", 'arrays("m.npz", x="x", target="t")',
         ["target-shape"]),
        ("network Net { input x: [3, 5, 6]; conv(1, 3); sigmoid }", "dice", 'arrays("m.npz", x="x", target="t")',
         ["target-shape"]),
        ("network Net { input x: [3, 5, 6]; conv(1, 1); sigmoid }", "binary_cross_entropy(weights=balanced)",
         'arrays("m.npz", x="x", target="r")', ["target-type"]),
    ],
)  # fmt: skip
def test_what_check_says_of_a_loss_and_the_data(network: str, loss: str, data: str, expected: list[str], tmp_path: Any):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "m.npz", x=rng.normal(size=(20, 3, 5, 6)).astype("f4"), t=rng.integers(0, 2, (20, 5, 6)),
             r=rng.random((20, 1, 5, 6)).astype("f4"))  # fmt: skip
    assert against_data(network, f"data {data}; loss {loss}", tmp_path) == expected


def test_a_program_carries_what_it_calls_and_nothing_else():
    text = objective.write(*_first("hinge", ROW), "class")
    assert "def hinge(" in text
    assert "def mean_of(" in text
    assert "def binary_hinge(" not in text
    assert "def dice(" not in text
    plain = objective.write(*_first("cross_entropy", SOFT), "class")
    assert plain.count("def ") == 7
    assert sources(["no_such_function"]) == []


def _first(loss: str, network: str) -> Any:
    found = compile_text(f"{network}\ntrain {{ data digits; loss {loss} }}\n", "a.net")
    return found.model(), next(iter(found.programs.values()))
