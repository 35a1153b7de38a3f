"""Phases that begin with the weights of another one: its newest finished run, and what is said where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from specc.compiler import compile_text
from specc.data.weights import check_weights
from specc.tools.cli import main
from specc.train.runs import Run

TEXT = """network Net(classes: int = 3) {
    input features: [4]
    body: { linear(6); relu }
    fc: linear(classes)
    softmax
}

train { data iris; loss cross_entropy; epochs 1 }

train base { data iris; loss cross_entropy; epochs 1; seed 7 }

train tune { data iris; loss cross_entropy; epochs 1; weights base, except=fc; freeze body }

train again { data iris; loss cross_entropy; epochs 1; optimizer sgd(lr=1e-30); weights train }
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.net").write_text(TEXT)
    return tmp_path


def trained(capfd: pytest.CaptureFixture[str], *more: str, code: int = 0) -> str:
    assert main(["train", "a.net", "--device", "cpu", *more]) == code
    out, err = capfd.readouterr()
    return out.strip().splitlines()[-1] if not code else err


def test_a_phase_begins_with_the_newest_finished_run_of_another(project: Path, capfd: pytest.CaptureFixture[str]):
    err = trained(capfd, "--train", "tune", code=2)
    assert "there is no finished run of the phase `base` of Net in runs/Net" in " ".join(err.split())
    assert "specc train FILE --train base" in " ".join(err.split())
    trained(capfd)
    first = trained(capfd, "--train", "base")
    second = trained(capfd, "--train", "base", "--set", "seed=8")
    tuned = Run.load(trained(capfd, "--train", "tune"))
    kept, taken = load_file(Path(second) / "best.safetensors"), load_file(tuned.weights)
    assert (kept["body.0.weight"] == taken["body.0.weight"]).all()
    assert not (kept["fc.weight"] == taken["fc.weight"]).all(), "the head starts anew"
    log = (tuned.folder / "log.txt").read_text()
    assert "2 tensors from best.safetensors; as they start: fc" in log
    for path in (second,):  # a run that did not end does not count
        config = json.loads((Path(path) / "config.json").read_text())
        (Path(path) / "config.json").write_text(json.dumps(config | {"status": "interrupted"}))
    taken = load_file(Run.load(trained(capfd, "--train", "tune")).weights)
    assert (load_file(Path(first) / "best.safetensors")["body.0.weight"] == taken["body.0.weight"]).all()
    plain = load_file(Run.load("runs/Net/1").weights)
    taken = load_file(Run.load(trained(capfd, "--train", "again")).weights)
    assert all((plain[key] == each).all() for key, each in taken.items())


def test_another_root_and_another_network(project: Path, capfd: pytest.CaptureFixture[str]):
    trained(capfd, "--train", "base", "--out", "elsewhere")
    assert trained(capfd, "--train", "tune", "--out", "elsewhere").startswith("elsewhere/Net/2")
    err = trained(capfd, "--train", "tune", code=2)
    assert "no finished run" in err


def test_check_says_it_as_a_note_and_holds_the_weights_against_the_network(
    project: Path, capfd: pytest.CaptureFixture[str]
):
    def notes(text: str) -> list[tuple[str, str]]:
        found = compile_text(text, "a.net")
        assert found.ok, [each.message for each in found.bag]
        program = found.programs[("Net", "tune")]
        return [(each.code, each.severity) for each in check_weights(found.model(), program, project)]

    assert notes(TEXT) == [("missing-weights", "note")]
    trained(capfd, "--train", "base")
    assert notes(TEXT) == []
    assert notes(TEXT.replace("linear(6)", "linear(5)")) == [("weights-differ", "error")]
    assert notes(TEXT.replace("classes: int = 3", "classes: int = 4")) == []  # fc is left out
    named = TEXT.replace("train tune", 'let base = "none.safetensors"\n\ntrain tune')
    assert notes(named) == [("missing-weights", "note")]  # a `let` of that name is what it was
