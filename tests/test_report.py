"""report.html: axes with round numbers, classes by name, the split's hash, nothing that must be fetched."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from pages import pictures, read
from PIL import Image
from safetensors.torch import load_file
from volumes import cases

from specc.backends.pytorch import load as load_module
from specc.compiler import compile_text
from specc.data.shipped import Shipped
from specc.tools.cli import main
from specc.train import showing
from specc.train.report import facts
from specc.train.report.answers import area, roc_points
from specc.train.report.chart import Frame, curves, scatter, spelled, thinned, ticks
from specc.train.report.confusion import confusion
from specc.train.report.figures import curves as report_curves
from specc.train.report.figures import tiles
from specc.train.report.markup import Html, number, percent, section, table
from specc.train.report.picture import bounds, coloured, grey, image, overlaid, signed, slices
from specc.train.training import train

PARTS = ("train", "validation", "test")
SPEC = """network Small {
    input features: [4]
    linear(8)
    relu
    linear(3)
    softmax
}
train { data iris; loss cross_entropy; optimizer adam(lr=0.05); schedule cosine; metrics accuracy, f1; epochs 4 }
"""


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0, 1, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.03, 1.19, False, [0.5, 1]),
        (-8, 2, False, [-8, -6, -4, -2, 0, 2]),
        (1, 15, True, [5, 10, 15]),
        (1, 2, True, [1, 2]),
        (3, 3, False, [3]),
        (0, float("inf"), False, [0]),
    ],
)
def test_marks_of_axes_are_round_numbers(low: float, high: float, whole: bool, expected: list[float]):
    assert ticks(low, high, whole) == pytest.approx(expected)


def test_numbers_on_axes_read_well():
    assert [spelled(each) for each in (0.30000000000000004, 1e-17, 30000.0, 1e-5, 5.0)] == [
        "0.3",
        "0",
        "30,000",
        "1e-05",
        "5",
    ]


@pytest.mark.parametrize(
    "points", [[(1, 0.0), (2, 0.0)], [(1, -3.0), (2, -3.0)], [(1, 1e-9), (2, 1e9)], [(1, 0.3), (9, 1.19)]]
)
def test_everything_lies_inside_the_axes(points: list[tuple[float, float]]):
    frame = Frame(points)
    assert all(0 < x < 460 and 0 < y < 250 for x, y in map(frame.at, points))


def test_what_is_no_number_is_left_out():
    found = curves("loss", {"train": [(1, 1.0), (2, float("nan")), (3, 0.5)]}, 3)
    points = re.search(r'points="([^"]*)"', found)
    assert points is not None
    assert len(points.group(1).split()) == 2
    assert "nan" not in found
    assert curves("loss", {"train": [(1, 1.0)]}, 1) == ""
    assert scatter([(1.0, float("inf"))]) == ""


def trained(spec: str, capfd: pytest.CaptureFixture[str]) -> Path:
    """The run of a spec, in the folder that the test is in."""
    Path("a.net").write_text(spec, encoding="utf-8")
    code = main(["train", "a.net"])
    said = capfd.readouterr()
    assert code == 0, said.err
    return Path(said.out.strip())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_report_of_a_run(here: Path, capfd: pytest.CaptureFixture[str]):
    run = trained(SPEC, capfd)
    page = read(run / "report.html")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    assert page.sections == [
        "verdict",
        "curves",
        "answers",
        "network",
        "split",
        "data",
        "settings",
        "versions",
        "epochs",
    ]
    assert [each.text for each in page.all("b", "curves")] == ["loss", "accuracy", "f1", "learning rate"]
    assert len(page.all("svg", "curves")) == 4
    assert page.text("curves").count(f"best, epoch {config['best_epoch']}") == 4
    assert config["verdict"]["words"] in page.text("verdict")
    assert [each.text for each in page.all("li", "verdict")] == [
        each.replace("`", "") for each in config["verdict"]["try_next"]
    ]
    assert config["data"]["split_sha256"] in page.text("split")
    assert config["spec_sha256"] in page.text("versions")
    settings = page.table("settings")
    assert settings == [list(each) for each in config["settings"]]
    rows = (run / "metrics.csv").read_text(encoding="utf-8").splitlines()
    assert [each[0] for each in page.table("epochs")] == ["epoch", *(str(at) for at in range(1, len(rows)))]
    assert len(page.all("tr", "epochs", "chosen")) == 1
    for name, value in config["results"].items():
        tile = next(each.text for each in page.all("div") if each.text.endswith(f"test {name}") and not each.attributes)
        assert float(tile.removesuffix(f"test {name}").rstrip("%")) == pytest.approx(
            value * (100 if name == "accuracy" else 1), rel=1e-2
        )


def test_the_table_of_classes_and_the_split_count_what_is_there(here: Path, capfd: pytest.CaptureFixture[str]):
    """The confusion table's rows are the test samples of each class, its diagonal the accuracy; the split's are the data's."""
    run = trained(SPEC, capfd)
    page = read(run / "report.html")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    head, *rows = page.table("answers")
    assert head == ["", "setosa", "versicolor", "virginica", "found"]
    counts = [[int(each or 0) for each in row[1:4]] for row in rows[:3]]
    labels = Shipped("iris").load().labels()
    assert labels is not None
    table = (run / "split.csv").read_text(encoding="utf-8").splitlines()[1:]
    of = {
        part: [int(labels[int(name)]) for name, _, its in (line.partition(",") for line in table) if its == part]
        for part in PARTS
    }
    assert [sum(row) for row in counts] == [of["test"].count(each) for each in range(3)]
    right = sum(counts[at][at] for at in range(3)) / sum(map(sum, counts))
    assert right == pytest.approx(config["results"]["accuracy"])
    split = page.table("split")
    assert split[0] == ["", *PARTS, "all"]
    assert split[3:6] == [
        [name, *(str(of[part].count(at)) for part in PARTS), "50"]
        for at, name in enumerate(("setosa", "versicolor", "virginica"))
    ]  # fmt: skip


def test_names_of_classes_are_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{at},{at % 2},{'<b>&' if at % 2 else 'plain'}\n" for at in range(40))
    Path("rows.csv").write_text(f"one,two,kind\n{rows}", encoding="utf-8")
    spec = (
        SPEC.replace("[4]", "[2]")
        .replace("linear(3)", "linear(2)")
        .replace("data iris", 'data table("rows.csv", target="kind")')
    )
    Path("a.net").write_text(spec, encoding="utf-8")
    assert main(["train", "a.net"]) == 0, capfd.readouterr().err
    read(Path("runs/Small/1/report.html"))
    page = Path("runs/Small/1/report.html").read_text(encoding="utf-8")
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;" in page


PICTURES = """network Seen {
    input image: [1, 8, 8]
    first: conv(5, 3)
    relu
    second: conv(4, 3)
    relu
    flatten
    linear(10)
    softmax
}
train { data digits; loss cross_entropy; optimizer adam(lr=0.01); metrics accuracy; batch 128; epochs 2 }
"""


def test_pictures_are_shown_with_the_surest_mistakes_first(here: Path, capfd: pytest.CaptureFixture[str]):
    run = trained(PICTURES, capfd)
    page = read(run / "report.html")
    cards = page.all("div", "answers", "card")
    wrong = [each for each in cards if "no" in each.attributes["class"].split()]
    assert cards[: len(wrong)] == wrong
    sure = [float(each.text.partition("%")[0].split()[-1].split(" ")[-1]) for each in wrong]
    assert sure == sorted(sure, reverse=True)
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    tests = config["data"]["split"]["test"]
    missed = round((1 - config["results"]["accuracy"]) * tests)
    assert missed > 3
    assert len(wrong) == min(missed, 12)
    assert f"{missed} of {tests} answers are wrong" in page.text("answers")
    shown = pictures(page, "answers")
    assert len(shown) == len(cards)
    data = Shipped("digits").load()
    for picture, card in zip(shown, cards, strict=True):
        raw, label = data.sample(int(card.attributes["title"].split()[1]))
        assert np.array_equal(np.asarray(picture)[..., 0], (raw["image"][0] * 255).round().astype(np.uint8))
        expected = f"is {int(label)}" if card in wrong else "right"
        assert card.text.endswith(expected)
        if card not in wrong:
            assert card.text.startswith(f"{int(label)} ")


def test_filters_and_maps_are_those_of_the_best_weights(here: Path, capfd: pytest.CaptureFixture[str]):
    run = trained(PICTURES, capfd)
    page = read(run / "report.html")
    assert [each.text for each in page.all("code", "layers")] == ["first", "first", "second"]
    weights = load_file(run / "best.safetensors")
    shown = pictures(page, "layers")
    assert [each.size for each in shown] == [(3, 3)] * 5 + [(6, 6)] * 5 + [(4, 4)] * 4
    first = weights["first.weight"]
    most = float(first.abs().max())
    for at in range(5):
        assert np.array_equal(np.asarray(shown[at]), signed(first[at, 0].numpy(), most))
    name = page.all("h3", "layers")[1].text.split("sample ")[1].split(",")[0]
    sample = torch.from_numpy(Shipped("digits").load().sample(int(name))[0]["image"])[None]
    maps = torch.nn.functional.conv2d(sample, first, weights["first.bias"])
    for at in range(5):
        difference = np.asarray(shown[5 + at]).astype(int) - grey(maps[0, at].numpy()).astype(int)
        assert abs(difference).max() <= 1
    second = torch.nn.functional.conv2d(maps.relu(), weights["second.weight"], weights["second.bias"])
    for at in range(4):
        difference = np.asarray(shown[10 + at]).astype(int) - grey(second[0, at].numpy()).astype(int)
        assert abs(difference).max() <= 1


MASKS = """network Masks {
    input image: [1, 16, 16]
    one: conv(8, 3, padding=1)
    relu
    conv(3, 1)
    softmax
}
train { data images("made/pictures", masks="made/masks", channels=1); loss cross_entropy
    optimizer adam(lr=0.02); batch 4; epochs 3; metrics accuracy }
"""


def made_masks(folder: Path, count: int = 20) -> None:
    chance = np.random.default_rng(0)
    for kind in ("pictures", "masks"):
        (folder / kind).mkdir(parents=True)
    for at in range(count):
        mask = np.zeros((16, 16), np.uint8)
        x, y = chance.integers(0, 10, 2)
        mask[x : x + 5, y : y + 5] = 1 + at % 2
        picture = (mask * 80 + chance.integers(0, 60, mask.shape)).astype(np.uint8)
        Image.fromarray(picture).save(folder / "pictures" / f"{at:02}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{at:02}.png")


def test_masks_lie_over_their_pictures(here: Path, capfd: pytest.CaptureFixture[str]):
    made_masks(here / "made")
    run = trained(MASKS, capfd)
    page = read(run / "report.html")
    cards = page.all("div", "answers", "card")
    shown = pictures(page, "answers")
    assert len(shown) == 3 * len(cards) > 0
    module = load_module((run / "model.py").read_text(encoding="utf-8"), "Masks")()
    module.load_state_dict(load_file(run / "best.safetensors"))
    scores = []
    for at, card in enumerate(cards):
        name, _, score = card.text.split()[:3]
        picture = np.asarray(Image.open(here / "made" / "pictures" / name)).astype(np.float32) / 255
        truth = np.asarray(Image.open(here / "made" / "masks" / name)).astype(int)
        with torch.no_grad():
            answer = module(torch.from_numpy(picture)[None, None])[0].argmax(0).numpy()
        under = coloured(picture[None])
        for found, expected in zip(
            shown[3 * at : 3 * at + 3], (under, overlaid(under, truth), overlaid(under, answer)), strict=True
        ):
            assert np.array_equal(np.asarray(found), expected)
        classes = [each for each in (1, 2) if (truth == each).any() or (answer == each).any()]
        dice = np.mean(
            [2 * ((truth == k) & (answer == k)).sum() / ((truth == k).sum() + (answer == k).sum()) for k in classes]
        )
        assert float(score[:5]) == pytest.approx(dice, abs=6e-4)
        scores.append(float(score[:5]))
    assert scores == sorted(scores)


def test_of_volumes_the_slices_with_the_largest_lesion(here: Path, capfd: pytest.CaptureFixture[str]):
    cases(here / "brains", [(6, 7, 5), (5, 8, 6), (7, 6, 6), (6, 6, 6), (5, 5, 7), (6, 5, 6)])
    spec = """network Lesions {
    input scan: [2, D, H, W]
    conv(4, 3, padding=1)
    relu
    conv(2, 1)
    softmax
}
train {
    data volumes("brains", channels=["adc", "cbf"], mask="lesion", axes=[z, y, x])
    split train=0.5, validation=0.25; prepare normalize(per=volume)
    loss cross_entropy; batch 1; epochs 2; metrics accuracy
}
"""
    page = read(trained(spec, capfd) / "report.html")
    cards = page.all("div", "answers", "card")
    assert len(pictures(page, "answers")) == 9 * len(cards) > 0
    assert "Of 2 channels the first is drawn" in page.text("answers")
    chance = np.random.default_rng(1)
    lesion = chance.random((4, 5, 6)) > 0.6
    for axis, at in slices(lesion, lesion):
        areas = [lesion.take(place, axis).sum() for place in range(lesion.shape[axis])]
        assert areas[at] == max(areas)
    assert slices(lesion, None) == [(0, 2), (1, 2), (2, 3)]


def test_numbers_have_dots_and_their_largest_errors(here: Path, capfd: pytest.CaptureFixture[str]):
    spec = """network Line {
    input features: [10]
    linear(1)
}
train { data diabetes; prepare normalize(per=feature); loss mse; optimizer adam(lr=1); metrics mae; epochs 3 }
"""
    page = read(trained(spec, capfd) / "report.html")
    titles = [each.text for each in page.all("figcaption", "answers")]
    assert titles == ["output against target", "what is missed"]
    head, *rows = page.table("answers")
    assert head == ["sample", "target", "output", "error", *Shipped("diabetes").load().facts.names[:8]]
    errors = [float(row[3].replace(",", "")) for row in rows]
    assert errors == sorted(errors, reverse=True)
    data = Shipped("diabetes").load()
    for row, error in zip(rows, errors, strict=True):
        inputs, target = data.sample(int(row[0]))
        assert float(row[1]) == pytest.approx(float(target.item()), rel=1e-3)
        assert abs(float(row[1]) - float(row[2])) == pytest.approx(error, rel=2e-2)
        assert [float(each) for each in row[4:]] == pytest.approx(inputs["features"][:8].tolist(), rel=1e-3)


KINDS = {
    "signals": ("network N { input signal: [2, 12]; conv(3, 3); relu; flatten; linear(2); softmax }", "cross_entropy"),
    "yes and no": ("network N { input signal: [2, 12]; flatten; linear(1); sigmoid }", "binary_cross_entropy"),
    "scores": ("network N { input signal: [2, 12]; flatten; linear(1) }", "hinge"),
    "a class per place": ("network N { input signal: [2, 12]; conv(3, 3, padding=1); softmax }", "cross_entropy"),
    "pictures of numbers": ("network N { input signal: [2, 12]; conv(2, 3, padding=1) }", "mse"),
    "itself": ("network N { input signal: [2, 12]; output code: conv(2, 3, padding=1) }", "mse(code, target=signal)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_has_a_whole_report(here: Path, capfd: pytest.CaptureFixture[str], kind: str):
    chance = np.random.default_rng(0)
    signal = chance.normal(size=(40, 2, 12)).astype(np.float32)
    target = {
        "a class per place": (signal[:, 0] > 0).astype(np.int64) + (signal[:, 1] > 0),
        "pictures of numbers": signal[:, ::-1].copy(),
    }.get(kind, (signal.mean((1, 2)) > 0).astype(np.int64))
    np.savez("data.npz", signal=signal, answer=target)
    network, loss = KINDS[kind]
    run = trained(f'{network}\ntrain {{ data arrays("data.npz", target="answer"); loss {loss}; epochs 2 }}\n', capfd)
    page = read(run / "report.html")
    assert ("answers" in page.sections) == (kind != "itself")
    assert ("layers" in page.sections) == ("conv" in network)
    assert "verdict" in page.sections
    if kind in ("signals", "yes and no", "scores"):
        assert "ROC for 1" in page.text("answers")
    if kind not in ("yes and no", "itself"):
        assert page.all("svg", "answers")


def test_an_interrupted_run_has_a_report_too(here: Path):
    calls = iter(range(100))
    found = compile_text(SPEC, "a.net")
    run = train(found, out_root=here, project=here, device="cpu", stop=lambda: next(calls) > 8)
    assert run.interrupted
    page = read(run.folder / "report.html")
    assert page.sections == ["curves", "network", "split", "data", "settings", "versions", "epochs"]
    assert "it was interrupted and can be resumed" in (run.folder / "report.html").read_text(encoding="utf-8")


def test_a_section_that_cannot_be_drawn_costs_no_run(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object) -> Html:
        raise KeyError("<nothing>")

    monkeypatch.setattr(facts, "network", broken)
    run = trained(SPEC, capfd)
    page = read(run / "report.html")
    said = "This section could not be drawn: KeyError: '<nothing>'"
    assert said in page.text("network")
    assert f"report, Network: {said}" in (run / "log.txt").read_text(encoding="utf-8")
    assert json.loads((run / "config.json").read_text(encoding="utf-8"))["status"] == "finished"
    (run / "report.html").unlink()  # a report left by any other test may not say so


def test_answers_that_cannot_be_gathered_cost_no_figures(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object) -> None:
        raise ValueError("no room")

    monkeypatch.setattr(showing._Classes, "add", broken)
    run = trained(SPEC, capfd)
    said = "This section could not be drawn: RuntimeError: ValueError: no room"
    assert said in read(run / "report.html").text("answers")
    assert said in (run / "log.txt").read_text(encoding="utf-8")
    monkeypatch.undo()
    monkeypatch.chdir(here)
    other = trained(SPEC, capfd)
    results = [json.loads((each / "config.json").read_text(encoding="utf-8"))["results"] for each in (run, other)]
    assert results[0] == results[1]
    (run / "report.html").unlink()


@pytest.mark.parametrize("classes", [2, 3, 7, 20, 21, 40, 41, 100])
def test_tables_of_many_classes(classes: int):
    chance = np.random.default_rng(classes)
    counts = chance.integers(0, 30, (classes, classes)).tolist()
    counts[0][0] = counts[0][1] = 0
    names = [f"class <{at}>" for at in range(classes)]
    found = confusion(counts, names)
    assert "<0>" not in found
    if classes <= 40:
        cells = re.findall(r'<td[^>]*title="([^"]*)">([^<]*)', found)
        assert len(cells) == classes**2
        for at, row in enumerate(counts):
            for to, count in enumerate(row):
                said, text = cells[at * classes + to]
                assert said.startswith(f"class &lt;{at}&gt; taken for class &lt;{to}&gt;: {count} of {sum(row)}")
                assert text == (str(count) if count and classes <= 20 else "")
    else:
        rows = re.findall(r"<tr><td class=w>class &lt;(\d+)&gt;<td class=w>class &lt;(\d+)&gt;<td>(\d+)", found)
        most = sorted((counts[a][b] for a in range(classes) for b in range(classes) if a != b), reverse=True)[:20]
        assert [int(count) for _, _, count in rows] == most
        assert all(counts[int(a)][int(b)] == int(count) for a, b, count in rows)


def test_the_area_under_the_curve_is_the_chance_that_a_yes_lies_above_a_no():
    """By comparing every pair; equal scores count half."""
    chance = np.random.default_rng(5)
    for _ in range(20):
        right = chance.integers(0, 2, 60)
        scores = (chance.random(60) * 8).round() / 8  # many are equal
        points = roc_points(scores.tolist(), right.tolist())
        above = scores[right == 1][:, None] - scores[right == 0][None]
        assert area(points) == pytest.approx(((above > 0) + 0.5 * (above == 0)).mean(), abs=1e-12)
        assert points[0] == (0, 0)
        assert points[-1] == (1, 1)
    assert roc_points([0.1, 0.9], [1, 1]) == []


def test_colours_of_pictures():
    plane = np.array([[0.0, 0.5], [1.0, 2.0]])
    assert grey(plane, 0, 1).tolist() == [[0, 128], [255, 255]]
    assert grey(np.full((2, 2), 7.0)).tolist() == [[0, 0], [0, 0]]
    assert bounds(np.array([0.0, 1.0])) == (0, 1)
    assert grey(np.array([[np.nan, 0.0, 1.0]])).tolist() == [[0, 0, 255]]
    found = coloured(np.stack([plane / 2] * 3))
    assert found.shape == (2, 2, 3)
    assert (found[..., 0] == found[..., 2]).all()
    both = signed(np.array([[-1.0, 0.0, 1.0]]), 1.0)
    assert both[0].tolist() == [[33, 102, 172], [247, 247, 247], [178, 24, 43]]
    under = np.full((1, 3, 3), 100, np.uint8)
    over = overlaid(under, np.array([[0, 1, 255]]))
    assert over[0, 0].tolist() == [100, 100, 100]
    assert over[0, 1].tolist() != over[0, 2].tolist()


def test_noise_of_the_largest_size_keeps_the_page_small():
    """What 24 samples, 54 views of masks, 32 filters and 48 maps can take at most, all noise in colour."""
    noise = np.random.default_rng(0).integers(0, 256, (400, 300, 3)).astype(np.uint8)
    tag = image(noise, "noise")
    assert "width=96 height=128" in tag
    assert len(tag) * (24 + 54) + len(image(noise[..., 0], "noise")) * (32 + 48) < 6 * 2**20


def test_pieces_of_pages_escape_what_they_are_given():
    assert table(["<a>"], [["<b>", 1234567]]) == (
        "<div class=scroll><table><thead><tr><th class=w>&lt;a&gt;</thead><tbody><tr><td class=w>&lt;b&gt;<td>1,234,567</table></div>"
    )
    assert section("Empty", Html(""), anchor="x") == ""
    assert section("<T>", "<t>", anchor="x") == "<section id=x><h2>&lt;T&gt;</h2>&lt;t&gt;</section>\n"
    assert [number(each) for each in (0, 5, 12345, 0.123456, 1e-9, 12345.0, 1e300)] == [
        "0",
        "5",
        "12,345",
        "0.1235",
        "1e-09",
        "12,345",
        "1e+300",
    ]
    assert [percent(each) for each in (0, 1, 0.5, 0.00001, 0.0004, 0.99999, 0.9997)] == [
        "0.0%",
        "100.0%",
        "50.0%",
        "<0.01%",
        "0.04%",
        ">99.99%",
        "99.97%",
    ]


@pytest.mark.parametrize("count", [0, 1, 399, 400, 401, 5000])
def test_long_curves_keep_their_ends(count: int):
    points = [(float(at), 0.0) for at in range(count)]
    kept = thinned(points)
    assert len(kept) == min(count, 400)
    assert not count or (kept[0], kept[-1]) == (points[0], points[-1])
    assert len(set(kept)) == len(kept)


def test_a_figure_and_what_post_processing_made_of_it_stand_together():
    """One drawing and one tile for both; counts of nothing are in the table of all figures alone."""
    rows = [
        {"epoch": at, "rate": 0.1, "train.dice": 0.5, "validation.dice": at / 10, "validation.dice.post": at / 9,
         "validation.dice.empty": 0.0, "validation.dice.post.empty": 0.0, "validation.dice.missed": float(at == 2)}
        for at in (1, 2, 3)
    ]  # fmt: skip
    found = report_curves(rows, 3)
    assert re.findall("<b>(.*?)</b>", found) == ["dice", "dice.missed"]
    assert "validation, post-processed, epoch 3: 0.333333" in found
    shown = tiles(
        {"dice": 0.25, "dice.post": 0.75, "dice.empty": 0.0, "dice.missed": 2.0, "accuracy": 0.5, "loss": 1.0}
    )
    said = [re.findall("<span>(.*?)</span>", each) for each in shown.partition("<details>")[0].split("<b>")[1:]]
    assert said == [["test dice", "0.75 post-processed", "2 missed"], ["test accuracy"], ["test loss"]]
    assert "<td class=w>dice.empty<td>0" in shown
    assert tiles({}) == ""
    assert "<details>" not in tiles({"accuracy": 0.5, "loss": 1.0}), "there is nothing more to show"
