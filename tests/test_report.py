"""report.html: axes with round numbers, classes by name, the split's hash, nothing that must be fetched."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from specc.tools.cli import main
from specc.train.report.chart import Frame, curves, scatter, spelled, ticks

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
    found = curves("loss", {"train.loss": [(1, 1.0), (2, float("nan")), (3, 0.5)]}, 3)
    points = re.search(r'points="([^"]*)"', found)
    assert points is not None
    assert len(points.group(1).split()) == 2
    assert "nan" not in found
    assert curves("loss", {"train.loss": [(1, 1.0)]}, 1) == ""
    assert scatter([(1.0, float("inf"))]) == ""


def test_the_report_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    Path("a.net").write_text(SPEC, encoding="utf-8")
    assert main(["train", "a.net"]) == 0
    run = Path(capfd.readouterr().out.strip())
    page = (run / "report.html").read_text(encoding="utf-8")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    assert page.count("<svg") == 4  # loss, accuracy, f1 and the learning rate
    assert re.findall(r"<figcaption><b>([^<]*)", page) == ["loss", "accuracy", "f1", "learning rate"]
    assert f"best, epoch {config['best_epoch']}" in page
    assert all(f"<th>{name}" in page for name in ("setosa", "versicolor", "virginica"))
    assert config["data"]["split_sha256"] in page
    assert all(f"<td>{name}<td><code>" in page for name, _ in config["settings"])
    assert page.count("<tr class=chosen>") == 1
    assert not re.search(r"(src|href)=|http|@import|<script", page)


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
    page = Path("runs/Small/1/report.html").read_text(encoding="utf-8")
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;" in page
