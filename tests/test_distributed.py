"""Several processes against one: the same course with the same batches, the same figures, the same bytes when resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from processes import trained
from safetensors.torch import load_file

from specc.compiler import Compilation, compile_text
from specc.train.rows import read_rows
from specc.train.runs import Run
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
    "several outputs": SIDES + f"train {{ {IRIS.replace('accuracy, f1, confusion', 'accuracy(kind), f1(kind)')} batch 11; loss cross_entropy(kind, weights=[1, 2, 6]) + 0.3 * cross_entropy(side)"
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
    optimizer sgd(lr=0.05, momentum=0.9); regularize l1(0.00001); clip norm(0.5); metrics accuracy; average ema(0.8) }
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
