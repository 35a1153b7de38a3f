"""What README.md and docs/ promise: their specs compile, their examples train, their commands do what they say."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from volumes import cases

from specc.backends.pytorch import load as load_module
from specc.catalogue import registry
from specc.compiler import compile_text
from specc.data.arrays import Arrays
from specc.data.images import Images
from specc.data.shipped import Shipped
from specc.data.sources import Source
from specc.data.splits import split
from specc.data.tables import Table
from specc.model.report import parameters
from specc.sizes.dim import evaluate, symbols
from specc.tools.cli import COMMANDS, main, usage
from specc.tools.formulas import formula
from specc.tools.reference import op_page
from specc.train.runs import Run

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "reference").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)


def specs() -> list[tuple[str, str]]:
    """Every spec of the pages, by page and place."""
    found = []
    for page in PAGES:
        blocks = FENCE.findall(page.read_text(encoding="utf-8"))
        nets = [(name, body) for kind, name, body in blocks if kind == "net"]
        found += [(f"{page.name}:{name or at}", body) for at, (name, body) in enumerate(nets)]
    return found


def test_there_are_specs_to_look_at():
    names = [name for name, _ in specs()]
    assert len(names) >= 9
    assert "training.md:digits.net" in names


@pytest.mark.parametrize(("name", "text"), specs(), ids=[name for name, _ in specs()])
def test_every_spec_on_a_page_compiles(name: str, text: str):
    found = compile_text(text, "page.net")
    assert [(each.severity, each.code, each.message) for each in found.bag] == []
    assert found.models


def test_the_spec_in_the_readme_is_the_bundled_one():
    text = re.search(r"^```\n(network LeNet5.*?)^```$", README, re.M | re.S)
    assert text is not None
    assert text.group(1).strip() in (ROOT / "specs" / "lenet5.net").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------------- the README's commands
def test_two_commands_set_everything_up():
    assert re.findall(r"<!-- (\w+) -->\s*```sh\n", README) == ["main", "tests"]
    assert README.count("```sh\n") == 2


def test_every_command_that_is_named_is_there():
    named = set(re.findall(r"(?:`|/|\$ )specc ([a-z]+)", README))
    assert {"check", "train", "export", "verify", "predict", "evaluate", "doctor"} <= named
    help = usage()
    assert [name for name in sorted(named) if name not in COMMANDS or f"\n  {name} " not in help] == []


def test_every_page_that_is_linked_is_there():
    missing = []
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in link and not (page.parent / link).exists():
                missing.append(f"{page.name}: {link}")
    assert missing == []


# ------------------------------------------------------------------------------------------- the reference of the ops
@pytest.mark.parametrize("name", registry.names())
def test_the_formulas_on_a_page_hold_for_numbers(name: str) -> None:
    """The call on the page with numbers for its names: the shape, parameters and products that the formulas say."""
    found = formula(name)
    if found is None:
        return
    page = op_page(name)
    assert f"`{found.call}`" in page
    inputs = re.findall(r"\b(input|x|y|z)\b", found.call) or ["input"]
    names = ["input"] if "input" in inputs or len(found.takes) == 1 else ["x", "y", "z"][: len(found.takes)]
    sizes = (*found.gives.shape, found.parameters, found.macs, *(size for each in found.takes for size in each.shape))
    every = sorted({each for size in sizes for each in symbols(size)} | set(_open(found.call, name)))
    checked = 0
    for large, small in (([12, 8, 16, 24, 20], 2), ([36, 18, 27, 9, 45], 3), ([8, 16, 24, 32, 40], 1)):
        at = {each: small if each.islower() else large.pop(0) for each in every}
        call = re.sub(r"(?<![\w.])(\w+)\b(?!=|\()", lambda it, at=at: str(at.get(it[1], it[1])), found.call)
        taken = [f"{each.dtype} {[evaluate(size, at) for size in each.shape]}" for each in found.takes[: len(names)]]
        lines = [f"input {one}: {shape.removeprefix('float ')}" for one, shape in zip(names, taken, strict=False)]
        lines = lines or ["input input: [2, 6, 8]"]
        text = "network N {\n" + "\n".join([*lines, f"made: {call}", "output made"]) + "\n}\n"
        made = compile_text(text, fixes=False)
        if not made.ok:
            continue  # a condition of the op on its sizes
        model = made.model()
        step = next(each for each in model.steps if each.op.name == name)
        if found.takes:
            assert model.type(step.outputs[0]).shape == tuple(evaluate(size, at) for size in found.gives.shape), text
        assert parameters(model) == evaluate(found.parameters, at), text
        assert step.macs == evaluate(found.macs, at), text
        checked += 1
    assert checked, found


def _open(call: str, name: str) -> list[str]:
    """The arguments that stand for any number in a call: `groups` in `groupnorm(groups)`."""
    kind = registry.op(name)
    assert kind is not None
    return [each for each in kind.fields if re.search(rf"[(=, ]{each}\b(?!=)", call)]


def test_the_page_of_the_ops_lists_each_once() -> None:
    page = (ROOT / "docs" / "reference" / "ops.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[(\w+)\]\(#(\w+)\): \S", page, re.M)
    assert sorted(name for name, _ in listed) == sorted(registry.names())
    assert [name for name, _ in listed] == re.findall(r"^### (\w+)$", page, re.M)


def steps() -> list[list[str]]:
    """The commands of the first run, as arguments."""
    block = re.search(r"<!-- main -->\s*```sh\n(.*?)```", README, re.S)
    assert block is not None
    parts = block.group(1).replace("\\\n", " ").split("&&")
    return [shlex.split(each)[1:] for each in parts if "/specc " in each]


def first_run(folder: Path, capfd: pytest.CaptureFixture[str], *more: str) -> dict[str, str]:
    """Run them in a folder with what they name; what each printed. `more` goes to train."""
    (folder / "specs").symlink_to(ROOT / "specs")
    (folder / "docs").symlink_to(ROOT / "docs")
    said = {}
    for each in steps():
        capfd.readouterr()
        code = main([*each, *more] if each[0] == "train" else each)
        out, err = capfd.readouterr()
        said[each[0]] = out
        assert code == 0, f"specc {' '.join(each)}: {code}\n{out}{err}"
    return said


def figures(capfd: pytest.CaptureFixture[str]) -> dict[str, float]:
    assert main(["evaluate", "runs/LeNet5/1", "--format", "json"]) == 0
    return dict(json.loads(capfd.readouterr().out)["figures"])


def test_the_first_run_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    said = first_run(tmp_path, capfd, "--set", "epochs=2")
    assert list(said) == ["check", "train", "export", "verify", "predict"]
    assert "61,706" in said["check"]
    assert said["train"] == "runs/LeNet5/1\n"
    assert said["verify"].endswith("lenet5.onnx is LeNet5, proved\n")
    assert re.search(r"seven\.png +7 +\d", said["predict"])
    assert figures(capfd)["accuracy"] > 0.85


@pytest.mark.slow
def test_the_first_run_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    said = first_run(tmp_path, capfd)
    assert re.search(r"seven\.png +7 +\d", said["predict"])
    error = re.search(r"largest relative error (\S+)", said["verify"])
    assert error is not None
    assert float(error.group(1)) <= 1e-4
    assert figures(capfd)["accuracy"] >= 0.97


def test_the_picture_is_a_digit_of_the_test_part():
    digits = Shipped("digits").load()
    labels = digits.labels()
    assert labels is not None
    with Image.open(ROOT / "docs" / "images" / "seven.png") as picture:
        assert (picture.size, picture.mode) == ((8, 8), "L")
        pixels = np.asarray(picture, dtype=np.float32) / 255
    same = [
        int(at)
        for at in split(len(digits), seed=0, labels=labels).test
        if abs(digits.sample(int(at))[0]["image"][0] - pixels).max() < 0.5 / 255 + 1e-6
    ]
    assert [int(labels[at]) for at in same] == [7]


# ------------------------------------------------------------------------------------------- the examples of training.md
def _digits(folder: Path) -> None:
    """Nothing: the data come along."""


def _houses(folder: Path) -> None:
    chance = np.random.default_rng(0)
    with open(folder / "houses.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["rooms", "area", "town", "price"])
        for at in range(40):
            rooms = int(chance.integers(1, 7))
            rows.writerow([rooms, 20.5 * rooms, ("Ulm", "Bonn", "Trier")[at % 3], 50_000 * rooms + at])


def _flowers(folder: Path) -> None:
    for at, name in enumerate(("daisy", "rose", "tulip")):
        (folder / "flowers" / name).mkdir(parents=True)
        for number in range(10):
            pixels = np.full((20 + number, 30, 3), 80 * at, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "flowers" / name / f"{number}.png")


def _signals(folder: Path) -> None:
    chance = np.random.default_rng(0)
    kinds = np.array(["high", "low", "mid"])[np.arange(60) % 3]
    np.savez(folder / "signals.npz", signal=chance.normal(size=(60, 2, 128)).astype(np.float32), kind=kinds)


def _cifar(folder: Path) -> None:
    at = folder / "cifar-10-batches-bin"
    at.mkdir()
    chance = np.random.default_rng(0)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        records = chance.integers(0, 256, (20, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(20) % 10
        (at / f"{name}.bin").write_bytes(records.tobytes())


def _lesions(folder: Path) -> None:
    cases(folder / "stroke", [(6, 5, 4), (5, 5, 4)] * 6)
    rows = [f"case{at:02},p{at // 2}" for at in range(12)]
    (folder / "stroke" / "samples.csv").write_text("\n".join(["sample,patient", *rows]))


def _tuned(folder: Path) -> None:
    (folder / "runs" / "Digits" / "1").mkdir(parents=True)
    shapes = {"conv1.weight": (16, 1, 3, 3), "conv1.bias": (16,), "fc.weight": (10, 256), "fc.bias": (10,)}
    save_file({key: torch.randn(shape) for key, shape in shapes.items()}, folder / "runs/Digits/1/best.safetensors")


def _sizes(folder: Path) -> None:
    for at, name in enumerate(("daisy", "rose", "tulip")):
        (folder / "flowers" / name).mkdir(parents=True)
        for count in range(12):
            shade = np.full((20 + count, 40 - at), 80 * at, dtype=np.uint8)
            Image.fromarray(shade).save(folder / "flowers" / name / f"{count}.png")


EXAMPLES = {
    "digits": _digits, "autoencoder": _digits, "balanced": _digits, "spots": _digits, "tuned": _tuned,
    "houses": _houses, "flowers": _flowers, "signals": _signals, "cifar": _cifar, "lesions": _lesions, "valid": _sizes,
    "sweep": _digits,
}  # fmt: skip


def test_all_examples_are_trained_here():
    assert [f"training.md:{name}.net" for name in EXAMPLES] == [
        name for name, _ in specs() if name.startswith("training")
    ]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_page_train(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    EXAMPLES[name](tmp_path)
    Path(f"{name}.net").write_text(dict(specs())[f"training.md:{name}.net"], encoding="utf-8")
    assert main(["check", f"{name}.net", "--strict"]) == 0, capfd.readouterr().err
    capfd.readouterr()
    code = main(["train", f"{name}.net", "--set", "epochs=1"])
    out, err = capfd.readouterr()
    assert code == 0, err
    assert main(["evaluate", out.split()[0], "--format", "json"]) == 0
    assert np.isfinite(json.loads(capfd.readouterr().out)["figures"]["loss"])


def answer(run: Run, sample: dict[str, np.ndarray]) -> np.ndarray:
    """What the PyTorch of a run says of a sample that was not prepared yet."""
    module = load_module((run.folder / "model.py").read_text(encoding="utf-8"), run.network)()
    module.load_state_dict(load_file(run.weights))
    ready = [torch.from_numpy(run.prepared[name].apply(each)[None]) for name, each in sample.items()]
    return module.eval()(*ready).detach().numpy()[0]


@pytest.mark.parametrize(
    ("name", "given", "source", "at"),
    [
        ("flowers", "flowers/rose/3.png", Images(Path("flowers"), size=(64, 64), channels=3), 13),
        ("houses", "houses.csv", Table(Path("houses.csv"), target="price"), 0),
        ("signals", "signals.npy", Arrays(Path("signals.npz"), target="kind"), 0),
    ],
)
def test_prediction_prepares_as_training_did(
    name: str, given: str, source: Source, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):  # fmt: skip
    """Pictures of any size, rows of a table with words, arrays: the file says what PyTorch says of the prepared sample."""
    monkeypatch.chdir(tmp_path)
    EXAMPLES[name](tmp_path)
    if name == "signals":
        np.save("signals.npy", np.load("signals.npz")["signal"])
    Path(f"{name}.net").write_text(dict(specs())[f"training.md:{name}.net"], encoding="utf-8")
    assert main(["train", f"{name}.net", "--set", "epochs=1"]) == 0
    run = Run.load(capfd.readouterr().out.strip())
    assert main(["export", str(run.folder), "-o", f"{name}.onnx"]) == 0
    assert main(["predict", f"{name}.onnx", given, "--format", "json"]) == 0
    found = json.loads(capfd.readouterr().out)["predictions"][0]["outputs"]["output"]
    expected = answer(run, source.load().sample(at)[0])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
