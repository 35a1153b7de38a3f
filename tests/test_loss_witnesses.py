"""Every loss and each of its settings, as values and as gradients, beside PyTorch, MONAI, torchmetrics or a loop.

specc's loss of a program is compared on random outputs whose targets have 0 to 3 axes of positions, with the classes as
channels and as the last axis, as a mean and as a sum. Where a library divides by something else (MONAI's focal loss by
all classes, its Dice by the number of weights and not by their sum, PyTorch's margin loss by the classes), the
comparison says so and undoes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from reference import medical, torchmetrics
from torch import Tensor, nn
from torch.nn import functional as F

from specc.catalogue.registry import setting, setting_names
from specc.compiler import compile_text
from specc.train import objective

BATCH, COUNT = 3, 4
PLACES: list[tuple[int, ...]] = [(), (5,), (3, 4), (2, 3, 2)]
SAID, WEIGHTS = "[1, 2, 0, 0.5]", [1.0, 2.0, 0.0, 0.5]
Witness = Callable[[Tensor, Tensor, str], Tensor]


def functions(loss: str, network: str, kind: str) -> Any:
    found = compile_text(f"{network}\ntrain {{ data digits; loss {loss} }}\n", "a.net", fixes=False)
    assert found.ok, [each.message for each in found.bag]
    return objective.load(objective.write(found.model(), next(iter(found.programs.values())), kind))


def network(places: tuple[int, ...], last: bool, count: int, head: str) -> str:
    """A network whose output is [count, *places], or [*places, count]."""
    if last:
        head = head.replace("softmax", "softmax(axis=-1)")
    shape = [*places, 3] if last else [3, *places]
    layer = f"conv({count}, 1)" if places and not last else f"linear({count})"
    return f"network Net {{ input x: {shape}; {layer}{f'; {head}' if head else ''} }}"


def compare(
    loss: str, text: str, kind: str, x: Tensor, target: Tensor, wanted: Callable[[Tensor], Tensor], last: bool
) -> None:
    """The value and its gradient by every output; `last` hands specc the same numbers with the classes behind."""
    given = (x.movedim(1, -1) if last else x).clone().contiguous().requires_grad_()
    beside = x.clone().requires_grad_()
    ours, theirs = functions(loss, text, kind).loss({"output": given}, {}, target), wanted(beside)
    torch.testing.assert_close(ours, theirs.to(ours.dtype), rtol=1e-6, atol=1e-9)
    ours.backward()
    theirs.backward()
    assert given.grad is not None
    assert beside.grad is not None
    assert beside.grad.any(), "a witness without a slope shows nothing"
    torch.testing.assert_close(given.grad.movedim(-1, 1) if last else given.grad, beside.grad, rtol=1e-5, atol=1e-8)


def drawn(count: int, places: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(BATCH, count, *places, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def numbers(limit: int, places: tuple[int, ...], seed: int) -> Tensor:
    """Class numbers of which each occurs."""
    found = torch.randint(limit, (BATCH, *places), generator=torch.Generator().manual_seed(seed + 100))
    found.view(-1)[: min(limit, found.numel())] = torch.arange(limit)[: found.numel()]
    return found


def rows(x: Tensor) -> Tensor:
    """One row of classes per place."""
    return x.movedim(1, -1).reshape(-1, x.shape[1])


def reduced(each: Tensor, weight: Tensor, reduce: str) -> Tensor:
    """A mean weighted by class, or a sum per sample."""
    return (each * weight).sum() / (weight.sum() if reduce == "mean" else BATCH)


def per_row(
    loss: Callable[[Tensor, Tensor], Tensor], weights: list[float] | None = None, ignore: int | None = None
) -> Witness:
    """A witness from the loss of rows: without what is ignored, each row as heavy as its class."""

    def witness(x: Tensor, t: Tensor, reduce: str) -> Tensor:
        x, t = rows(x), t.flatten()
        kept = t != ignore if ignore is not None else torch.ones_like(t) == 1
        x, t = x[kept], t[kept]
        weight = torch.ones(len(t), dtype=x.dtype) if weights is None else torch.tensor(weights, dtype=x.dtype)[t]
        return reduced(loss(x, t), weight, reduce)

    return witness


# -------------------------------------------------------------------------------------------------- the witnesses
def entropy(x: Tensor, t: Tensor) -> Tensor:
    return torch.stack([row.exp().sum().log() - row[right] for row, right in zip(x, t.tolist(), strict=True)])


def pytorchs_entropy(**options: Any) -> Witness:
    if "weight" in options:
        options["weight"] = torch.tensor(options["weight"], dtype=torch.float64)

    def witness(x: Tensor, t: Tensor, reduce: str) -> Tensor:
        found: Tensor = nn.CrossEntropyLoss(**options, reduction=reduce)(x, t)
        return found if reduce == "mean" else found / BATCH

    return witness


def margins(margin: float) -> Callable[[Tensor, Tensor], Tensor]:
    """PyTorch's, which divides by the number of classes."""
    return lambda x, t: COUNT * nn.MultiMarginLoss(margin=margin, reduction="none")(x, t)


def winner(x: Tensor, t: Tensor) -> Tensor:
    return torch.stack([row[int(row.argmax())] - row[right] for row, right in zip(x, t.tolist(), strict=True)])


def nine(rubbish: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Equation 9 of LeCun et al. 1998, number by number."""

    def loss(x: Tensor, t: Tensor) -> Tensor:
        extra = torch.tensor(-rubbish, dtype=x.dtype).exp()
        return torch.stack(
            [
                row[right] + (extra + sum((-y).exp() for y in row)).log()
                for row, right in zip(x, t.tolist(), strict=True)
            ]
        )

    return loss


def focused(gamma: float, alpha: list[float] | None = None) -> Callable[[Tensor, Tensor], Tensor]:
    """MONAI's, whose table has a 0 for every class that is not the right one."""

    def loss(x: Tensor, t: Tensor) -> Tensor:
        criterion = medical().losses.FocalLoss(to_onehot_y=True, use_softmax=True, gamma=gamma, reduction="none")
        found: Tensor = criterion(x.unsqueeze(-1), t.view(-1, 1, 1)).sum((1, 2))
        return found if alpha is None else found * torch.tensor(alpha, dtype=x.dtype)[t]

    return loss


def focused_yes(gamma: float, alpha: float | None = None) -> Callable[[Tensor, Tensor], Tensor]:
    def loss(x: Tensor, t: Tensor) -> Tensor:
        found: Tensor = medical().losses.FocalLoss(gamma=gamma, alpha=alpha, reduction="none")(x, t.view(-1, 1))
        return found.flatten()

    return loss


def ranked(margin: float) -> Callable[[Tensor, Tensor], Tensor]:
    """max(0, margin - t s), PyTorch's ranking of s above 0 or below."""
    return lambda x, t: F.margin_ranking_loss(x[:, 0], torch.zeros_like(x[:, 0]), 2.0 * t - 1, margin, reduction="none")


def yes_or_no(x: Tensor, t: Tensor) -> Tensor:
    return nn.BCELoss(reduction="none")(x.sigmoid()[:, 0], t.double())


def overlap(**options: Any) -> Witness:
    """MONAI's Dice; its weights multiply, and the mean of them is undone."""
    smooth, weights = options.pop("smooth", 1.0), options.pop("weights", None)

    def witness(x: Tensor, t: Tensor, reduce: str) -> Tensor:
        criterion = medical().losses.DiceLoss(smooth_nr=smooth, smooth_dr=smooth, reduction="none", **options)
        table: Tensor = criterion(x, t.to(x.dtype).unsqueeze(1) if options.get("to_onehot_y") or x.shape[1] == 1 else t)
        table = table.flatten(1)
        weight = torch.ones_like(table) if weights is None else torch.tensor(weights, dtype=x.dtype).expand_as(table)
        return reduced(table, weight, reduce)

    return witness


def overlap_without(ignore: int, head: str) -> Witness:
    """The places that are left, laid out in a row, sample by sample."""

    def witness(x: Tensor, t: Tensor, reduce: str) -> Tensor:
        found = []
        for scores, right in zip(x, t, strict=True):
            kept = (right != ignore).flatten()
            p = scores.softmax(0) if head == "softmax" else scores.sigmoid()
            for number, share in enumerate(p.flatten(1)[:, kept]):
                there = right.flatten()[kept] == (number if head == "softmax" else 1)
                found.append(1 - (2 * share[there].sum() + 1) / (share.sum() + there.sum() + 1))
        total = torch.stack(found)
        return total.mean() if reduce == "mean" else total.sum() / BATCH

    return witness


ENTROPY_OPTIONS = {"weight": WEIGHTS, "label_smoothing": 0.2, "ignore_index": 3}
CLASSES: list[tuple[str, str, str, Witness]] = [
    ("cross_entropy", "", "softmax", per_row(entropy)),
    ("cross_entropy", "ignore=1", "softmax", per_row(entropy, ignore=1)),
    ("cross_entropy", f"weights={SAID}", "softmax", per_row(entropy, WEIGHTS)),
    ("cross_entropy", "smoothing=0.2", "softmax", pytorchs_entropy(label_smoothing=0.2)),
    ("cross_entropy", f"weights={SAID}, smoothing=0.2, ignore=3", "softmax", pytorchs_entropy(**ENTROPY_OPTIONS)),
    ("focal", "", "softmax", per_row(focused(2))),
    ("focal", "gamma=0.5, ignore=0", "softmax", per_row(focused(0.5), ignore=0)),
    ("focal", f"gamma=3, alpha={SAID}", "softmax", per_row(focused(3, WEIGHTS))),
    ("hinge", "", "", per_row(margins(1))),
    ("hinge", f"margin=0.5, weights={SAID}, ignore=3", "", per_row(margins(0.5), WEIGHTS, 3)),
    ("perceptron", "", "", per_row(winner)),
    ("perceptron", f"weights={SAID}, ignore=0", "", per_row(winner, WEIGHTS, 0)),
    ("discriminative", "", "", per_row(nine(1))),
    ("discriminative", "rubbish=2.5, ignore=2", "", per_row(nine(2.5), ignore=2)),
]  # fmt: skip

ANSWERS: list[tuple[str, str, str, Witness]] = [
    ("binary_cross_entropy", "", "sigmoid", per_row(yes_or_no)),
    ("binary_cross_entropy", "weights=[0.5, 3]", "sigmoid", per_row(yes_or_no, [0.5, 3])),
    ("focal", "", "sigmoid", per_row(focused_yes(2))),
    ("focal", "gamma=1.5, alpha=0.25", "sigmoid", per_row(focused_yes(1.5, 0.25))),
    ("focal", "gamma=0, alpha=[0.75, 0.25]", "sigmoid", per_row(focused_yes(0, 0.25))),
    ("focal", "ignore=255", "sigmoid", per_row(focused_yes(2), ignore=255)),
    ("hinge", "", "", per_row(ranked(1))),
    ("hinge", "margin=2, weights=[1, 3]", "", per_row(ranked(2), [1, 3])),
    ("perceptron", "", "", per_row(ranked(0))),
    ("hinge", "weights=[1, 3], ignore=255", "", per_row(ranked(1), [1, 3], 255)),
    ("perceptron", "weights=[1, 3]", "sign", per_row(ranked(0), [1, 3])),
    ("perceptron", "ignore=255", "", per_row(ranked(0), ignore=255)),
]

MAPS: list[tuple[str, str, str, Witness]] = [
    ("dice", "", "softmax", overlap(softmax=True, to_onehot_y=True)),
    (
        "dice",
        "squares=true, smooth=0.01",
        "softmax",
        overlap(softmax=True, to_onehot_y=True, squared_pred=True, smooth=0.01),
    ),
    ("dice", f"weights={SAID}", "softmax", overlap(softmax=True, to_onehot_y=True, weights=WEIGHTS)),
    ("dice", "ignore=1", "softmax", overlap_without(1, "softmax")),
]

PAIRS: list[tuple[str, str, str, Callable[[Tensor, Tensor, str], Tensor]]] = [
    ("mse", "", "", lambda x, t, reduce: nn.MSELoss(reduction=reduce)(x, t)),
    ("mae", "", "", lambda x, t, reduce: nn.L1Loss(reduction=reduce)(x, t)),
    ("huber", "", "", lambda x, t, reduce: nn.HuberLoss(reduction=reduce)(x, t)),
    ("huber", "delta=0.3", "", lambda x, t, reduce: nn.HuberLoss(reduction=reduce, delta=0.3)(x, t)),
    ("bias_error", "", "", lambda x, t, reduce: sum(b - a for a, b in zip(x.flatten(), t.flatten(), strict=True))
     / (x.numel() if reduce == "mean" else 1)),
]  # fmt: skip


def labels(cases: list[Any]) -> list[str]:
    return [
        "-".join([f"{word}({options})", *([head] if head else []), *map(str, more)])
        for word, options, head, _, *more in cases
    ]


def written(word: str, *options: str) -> str:
    return f"{word}({', '.join(each for each in options if each)})"


LAYOUTS = [(places, last) for places in PLACES for last in ((False, True) if places else (False,))]
PLACED = [(*case, *layout) for layout in LAYOUTS for case in (CLASSES + MAPS if layout[0] else CLASSES)]


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize(("word", "options", "head", "witness", "places", "last"), PLACED, ids=labels(PLACED))
def test_losses_of_classes(
    word: str, options: str, head: str, witness: Witness, places: tuple[int, ...], last: bool, reduce: str
) -> None:
    """An axis that is said is the same as that of the softmax; without a head it has to be said."""
    x, target = drawn(COUNT, places, 1), numbers(COUNT, places, 1)
    axis = "axis=-1" if last and (not head or reduce == "sum") else ""
    text, kind = network(places, last, COUNT, head), "classes" if places else "class"
    said = written(word, options, axis, f"reduce={reduce}")
    compare(said, text, kind, x, target, lambda each: witness(each, target, reduce), last)


YES_MAPS: list[tuple[str, str, str, Witness]] = [
    ("dice", "", "sigmoid", overlap(sigmoid=True)),
    ("dice", "squares=true, smooth=0.5", "sigmoid", overlap(sigmoid=True, squared_pred=True, smooth=0.5)),
    ("dice", "ignore=255", "sigmoid", overlap_without(255, "sigmoid")),
]
ANSWERED = [(*case, places) for places in PLACES for case in (ANSWERS + YES_MAPS if places else ANSWERS)]


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize(("word", "options", "head", "witness", "places"), ANSWERED, ids=labels(ANSWERED))
def test_losses_of_yes_and_no(
    word: str, options: str, head: str, witness: Witness, places: tuple[int, ...], reduce: str
) -> None:
    x, target = drawn(1, places, 2), numbers(2, places, 2)
    if "255" in options:
        target.view(-1)[::4] = 255
    text, kind = network(places, False, 1, head), "classes" if places else "class"
    said = written(word, options, f"reduce={reduce}")
    compare(said, text, kind, x, target, lambda each: witness(each, target, reduce), False)


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize(("word", "options", "head", "witness"), PAIRS, ids=labels(PAIRS))
def test_losses_of_numbers(
    word: str, options: str, head: str, witness: Any, places: tuple[int, ...], reduce: str
) -> None:
    x, target = drawn(COUNT, places, 3), drawn(COUNT, places, 4)
    said = written(word, options, f"reduce={reduce}")
    if word == "bias_error":
        said = f"0 * mse + {said}"  # alone it has no smallest value
    text, kind = network(places, False, COUNT, ""), "image" if places else "real"
    compare(
        said,
        text,
        kind,
        x,
        target,
        lambda each: witness(each, target, reduce) / (1 if reduce == "mean" else BATCH),
        False,
    )


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize("places", PLACES)
def test_binary_cross_entropy_of_several_maps(places: tuple[int, ...], reduce: str) -> None:
    """Shares from 0 to 1 as targets, without weights and with those of no and yes."""
    x, target = drawn(COUNT, places, 5), drawn(COUNT, places, 6).sigmoid()
    text, kind = network(places, False, COUNT, "sigmoid"), "image" if places else "real"
    over = 1 if reduce == "mean" else BATCH
    compare(f"binary_cross_entropy(reduce={reduce})", text, kind, x, target,
            lambda each: nn.BCELoss(reduction=reduce)(each.sigmoid(), target) / over, False)  # fmt: skip

    def weighted(each: Tensor) -> Tensor:
        no, yes = 0.5 * (1 - target), 3 * target
        total = -(no * (1 - each.sigmoid()).log() + yes * each.sigmoid().log()).sum()
        return total / ((no + yes).sum() if reduce == "mean" else BATCH)

    compare(f"binary_cross_entropy(weights=[0.5, 3], reduce={reduce})", text, kind, x, target, weighted, False)


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize(("places", "last"), LAYOUTS)
def test_kl_equals_torchmetrics(places: tuple[int, ...], last: bool, reduce: str) -> None:
    x, target = drawn(COUNT, places, 7), drawn(COUNT, places, 8).softmax(1)
    text, kind = network(places, last, COUNT, "softmax"), "image" if places else "real"
    given = target.movedim(1, -1).contiguous() if last else target
    axis = "axis=-1" if last and reduce == "sum" else ""

    def witness(each: Tensor) -> Tensor:
        found: Tensor = torchmetrics().kl_divergence(rows(target), rows(each.softmax(1)), reduction=reduce)
        return found if reduce == "mean" else found / BATCH

    compare(written("kl", axis, f"reduce={reduce}"), text, kind, x, given, witness, last)


@pytest.mark.parametrize("places", PLACES[1:])
def test_dice_of_soft_masks_equals_monais(places: tuple[int, ...]) -> None:
    x, target = drawn(COUNT, places, 9), drawn(COUNT, places, 10).sigmoid()
    text, witness = network(places, False, COUNT, "sigmoid"), overlap(sigmoid=True, smooth=0.3)
    compare("dice(smooth=0.3)", text, "image", x, target, lambda each: witness(each, target, "mean"), False)


@pytest.mark.parametrize("places", PLACES[1:])
def test_cross_entropy_with_dice_equals_monais(places: tuple[int, ...]) -> None:
    x, target = drawn(COUNT, places, 11), numbers(COUNT, places, 11)
    criterion = medical().losses.DiceCELoss(
        softmax=True, to_onehot_y=True, smooth_nr=1, smooth_dr=1, lambda_dice=0.5, lambda_ce=2
    )
    text = network(places, False, COUNT, "softmax")
    compare("2 * cross_entropy + 0.5 * dice", text, "classes", x, target,
            lambda each: criterion(each, target.unsqueeze(1)), False)  # fmt: skip


def test_every_loss_has_a_witness_for_each_of_its_settings() -> None:
    """`reduce` is said in all of the tests above, `axis` in those with the classes behind; which `output` is meant, and
    which tensor is its `target`, changes no loss."""
    said: dict[str, list[str]] = {"kl": []}
    for word, options, *_ in CLASSES + ANSWERS + MAPS + YES_MAPS + PAIRS:
        said.setdefault(word, []).append(options)
    assert set(said) == set(setting_names("loss"))
    by_class = {word for word, *_ in CLASSES + MAPS} | {"kl"}
    for word, every in said.items():
        for field in _fields(word):
            known = field in ("reduce", "output", "target") or (field == "axis" and word in by_class)
            assert known or any(f"{field}=" in each for each in every), f"{word}({field}=…) has no witness"


def _fields(word: str) -> Any:
    found = setting(word, "loss")
    assert found is not None
    return found.fields
