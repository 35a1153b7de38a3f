"""The command line: every command, its exit codes, what goes to stdout and what to stderr, and never a traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from specc.tools.cli import COMMANDS, main

ROOT = Path(__file__).parent.parent

GOOD = """network Small(classes: int = 3) {
    input features: [4]
    hidden: linear(8)
    relu
    fc: linear(classes)    expect [3], params=27
    softmax
}
expect params=67

train {
    data iris
    loss cross_entropy
    optimizer adam(lr=0.05)
    epochs 3
}
"""
WRONG = "network Wrong {\n    input x: [3]\n    linear(2)    expect [3]\n}\n"
WARNS = GOOD.replace("    softmax\n", "")
OPEN = "network Open {\n    input image: [1, H, W]\n    maxpool(4)\n    global_avgpool\n    linear(2)\n}\n"
TWO = "network First {\n    input x: [3]\n    linear(2)\n}\n\n" + GOOD.replace("network Small", "network Second")
TEMPLATE = "network Shape(n: int) {\n    input x: [3]\n    linear(n)\n}\n"


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)


Specc = Callable[..., Said]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained run, its export and one that was not proved."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "good.net").write_text(GOOD, encoding="utf-8")
    (folder / "open.net").write_text(OPEN, encoding="utf-8")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["train", "good.net"]) == 0
        assert main(["export", "runs/Small/1", "-o", "small.onnx"]) == 0
        weights = load_file("runs/Small/1/best.safetensors")
        save_file(
            {"2.weight": weights["hidden.bias"][:2, None].contiguous(), "2.bias": weights["fc.bias"][:2].clone()},
            "open.safetensors",
        )
        assert main(["export", "open.net", "--weights", "open.safetensors", "-o", "open.onnx", "--no-proof"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def specc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Specc:
    """Runs a command in a folder of its own with the specs above; no test may end in a traceback."""
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("good", GOOD),
        ("wrong", WRONG),
        ("warns", WARNS),
        ("open", OPEN),
        ("two", TWO),
        ("template", TEMPLATE),
    ):
        (tmp_path / f"{name}.net").write_text(text, encoding="utf-8")
    (tmp_path / "rows.csv").write_text("a,b,c,d\n5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n", encoding="utf-8")
    (tmp_path / "plain").write_text("no folder", encoding="utf-8")
    (tmp_path / "bytes.net").write_bytes(b"\xff\xfe\x00")

    def run(*arguments: str | Path) -> Said:
        capfd.readouterr()
        code = main([str(each) for each in arguments])
        found = Said(code, *capfd.readouterr())
        assert "Traceback" not in found.err + found.out
        return found

    return run


# ----------------------------------------------------------------------------------------------------------- wrong use
@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], ["--version"], ["check", "--help"]])
def test_help_is_no_mistake(specc: Specc, arguments: list[str]):
    said = specc(*arguments)
    assert said.code == 0
    assert said.out
    assert not said.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_says_what_it_does(specc: Specc, command: str):
    said = specc(command, "--help")
    assert said.code == 0
    assert said.out.startswith(f"usage: specc {command}")
    assert len(said.out.split("\n\n")[1]) > 15


@pytest.mark.parametrize(
    "line",
    [
        "", "chekc good.net", "check", "check good.net --frmat json", "check good.net --format xml", "check good.net --set",
        "check good.net --set epochs", "check good.net --set =3", "check good.net --size H", "check good.net --size H=0",
        "check good.net --size H=x", "check missing.net", "check bytes.net", "check .", "check good.net missing.net",
        "fmt", "fmt missing.net", "fmt bytes.net", "compile", "compile missing.net", "compile good.net -o plain/model.py",
        "compile good.net -o nowhere/model.py", "compile good.net -o .", "train", "train good.net --resume runs/Small/1",
        "train missing.net", "train --resume missing", "train --resume .", "train --resume plain", "train good.net --out plain",
        "train good.net --device tpu", "train good.net --set epochs", "train --resume . --set epochs=3",
        'train good.net --set data=table("missing.csv",target="y")', "evaluate", "evaluate missing", "export", "export good.net",
        "export good.net -o x.onnx", "export missing -o x.onnx", "export good.net --weights missing.safetensors -o x.onnx",
        "export good.net --weights rows.csv -o x.onnx", "export good.net --single-file --side-file -o x.onnx", "predict",
        "predict missing.onnx rows.csv", "predict good.net rows.csv", "verify", "verify missing.onnx", "verify good.net",
        "bench", "bench missing.onnx", "explain nothing-like-this", "specs nothing", "new", "new good", "new mine --from nothing",
        "new nowhere/mine", "import model.onnx", "doctor now",
    ],
)  # fmt: skip
def test_wrong_use_and_missing_files_are_2(specc: Specc, line: str):
    said = specc(*line.split())
    assert said.code == 2
    assert said.err or not line
    assert not list(Path().glob("*.onnx")), "nothing is left behind"


@pytest.mark.parametrize(
    ("line", "help"),
    [
        ("chekc good.net", "check"),
        ("specs lenet", "lenet5"),
        ("new mine --from lenet", "lenet5"),
        ("explain conf", "conv"),
    ],
)
def test_what_was_meant_is_suggested(specc: Specc, line: str, help: str):
    assert f"`{help}`" in specc(*line.split()).err


def test_errors_and_help_go_to_stderr(specc: Specc):
    said = specc("check", "missing.net")
    assert said.out == ""
    assert "error[missing-file]: there is no file `missing.net`" in said.err


def test_ctrl_c_is_130(specc: Specc, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("specc.tools.commands.specs_.bundled", interrupted)
    said = specc("specs")
    assert (said.code, said.err) == (130, "interrupted\n")


def test_a_fault_of_specc_is_3_and_says_where_to_report_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    def broken(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("specc.tools.commands.specs_.bundled", broken)
    assert main(["specs"]) == 3
    said = capfd.readouterr().err
    assert "RuntimeError: a fault" in said
    assert "Please report it" in said


# --------------------------------------------------------------------------------------------------------------- check
def test_check_prints_the_report_and_nothing_else(specc: Specc):
    said = specc("check", "good.net")
    assert (said.code, said.err) == (0, "")
    assert re.search(r"^  hidden +linear +8 +40 +32$", said.out, re.M)
    assert re.search(r"^  parameters +67$", said.out, re.M)


def test_check_shows_errors_with_their_line(specc: Specc):
    said = specc("check", "wrong.net")
    assert said.code == 1
    assert "error[expectation-fails]: the shape is [2], not [3]" in said.err
    assert "wrong.net:3:25" in said.err
    assert said.err.endswith("1 error\n")


def test_warnings_are_errors_when_asked(specc: Specc):
    said = specc("check", "warns.net")
    assert said.code == 0
    assert "warning[missing-head]" in said.err
    assert specc("check", "warns.net", "--strict").code == 1
    assert specc("compile", "warns.net", "--strict").code == 1


def test_the_worst_of_several_files_counts(specc: Specc):
    assert specc("check", "good.net", "open.net").code == 0
    assert specc("check", "good.net", "wrong.net").code == 1
    assert specc("check", "wrong.net", "missing.net").code == 2


def test_check_as_json(specc: Specc):
    said = specc("check", "good.net", "--format", "json")
    assert (said.code, said.err) == (0, "")
    assert list(said.json) == ["schema", "networks", "diagnostics"]
    assert said.json["schema"] == 1
    assert said.json["diagnostics"] == []
    (network,) = said.json["networks"]
    fields = {
        "name", "file", "inputs", "outputs", "parameters", "trainable", "buffers", "macs", "receptive", "memory", "tied",
        "conditions", "steps", "state_dict",
    }  # fmt: skip
    assert fields <= set(network)
    assert (network["name"], network["file"]) == ("Small", "good.net")
    assert network["inputs"] == [{"name": "features", "dtype": "float32", "shape": [4]}]
    assert [(each["name"], each["shape"]) for each in network["outputs"]] == [("output", [3])]
    assert (network["parameters"], network["trainable"], network["buffers"], network["macs"]) == (67, 67, 0, 56)
    assert set(network["memory"]) == {"inference", "training"}
    assert network["steps"][0] == {
        "path": "hidden", "op": "linear", "inputs": ["features"], "shape": [8], "parameters": 40, "macs": 32, "line": 3
    }  # fmt: skip
    assert network["state_dict"] == [
        ["hidden.weight", [8, 4]],
        ["hidden.bias", [8]],
        ["fc.weight", [3, 8]],
        ["fc.bias", [3]],
    ]


def test_diagnostics_as_json(specc: Specc):
    said = specc("check", "wrong.net", "--format", "json")
    assert (said.code, said.err) == (1, "")
    (found,) = said.json["diagnostics"]
    assert {
        "code": "expectation-fails", "severity": "error", "file": "wrong.net", "line": 3, "column": 25, "end_line": 3,
        "end_column": 28, "message": "the shape is [2], not [3]",
    }.items() <= found.items()  # fmt: skip
    assert "help" in found
    missing = specc("check", "missing.net", "--format", "json")
    assert missing.code == 2
    assert [(each["code"], each["file"], each["line"]) for each in missing.json["diagnostics"]] == [
        ("missing-file", "missing.net", None)
    ]


def test_unknown_sizes_as_json(specc: Specc):
    (network,) = specc("check", "open.net", "--format", "json").json["networks"]
    assert network["inputs"][0]["shape"] == [1, "H", "W"]
    assert network["steps"][0]["shape"] == [1, "H//4", "W//4"]
    assert [
        (each["symbol"], each["text"], each["period"], each["residues"], each["at_least"])
        for each in network["conditions"]
    ] == [
        ("H", "H is a multiple of 4, at least 4", 4, [0], 4),
        ("W", "W is a multiple of 4, at least 4", 4, [0], 4),
    ]


def test_check_for_github(specc: Specc):
    said = specc("check", "wrong.net", "--format", "github")
    assert said.code == 1
    place = "file=wrong.net,title=expectation-fails,line=3,col=25,endLine=3,endColumn=28"
    assert said.out == f"::error {place}::the shape is [2], not [3]\n"
    assert specc("check", "good.net", "--format", "github").out == ""


def test_sizes_and_settings_are_overridden(specc: Specc):
    (network,) = specc("check", "open.net", "--size", "H=8,W=4", "--format", "json").json["networks"]
    assert network["inputs"][0]["shape"] == [1, 8, 4]
    (network,) = specc("check", "open.net", "--size", "H=8", "--size", "W=12", "--format", "json").json["networks"]
    assert network["steps"][0]["shape"] == [1, 2, 3]
    said = specc("check", "good.net", "--set", "classes=5", "--format", "json")
    assert said.json["networks"][0]["outputs"][0]["shape"] == [5]
    assert {each["code"] for each in said.json["diagnostics"]} == {"not-applicable", "classes-differ"}
    for wrong in (["--set", "clases=5"], ["--size", "Q=3"], ["--set", "epochs=many"], ["--size", "H=7"]):
        assert specc("check", "open.net" if "H=7" in wrong else "good.net", *wrong).code == 1, wrong


def test_a_network_is_chosen_by_name(specc: Specc):
    assert "class Second(" in specc("compile", "two.net").out
    said = specc("compile", "two.net", "--network", "First")
    assert "class First(" in said.out
    assert specc("compile", "two.net", "--network", "Third").code == 1
    assert "--all prints" in specc("check", "two.net").out
    assert specc("check", "two.net", "--all").out.count("multiply-adds  ") == 2


# ------------------------------------------------------------------------------------------------------ fmt and compile
def test_fmt_writes_the_one_form_and_only_where_needed(specc: Specc):
    plain = "network A{\n input x:[3]\n linear( 2 )\n}\n"
    path = Path("a.net")
    path.write_text(plain)
    checked = specc("fmt", "a.net", "--check")
    assert (checked.code, path.read_text()) == (1, plain)
    shown = specc("fmt", "a.net", "--diff")
    assert (shown.code, path.read_text()) == (0, plain)
    assert "-network A{\n" in shown.out
    assert "+network A {\n" in shown.out
    assert specc("fmt", "a.net", "--check", "--diff").code == 1
    assert specc("fmt", "a.net").code == 0
    assert path.read_text() == "network A {\n    input x: [3]\n    linear(2)\n}\n"
    again = specc("fmt", "a.net", "--check")
    assert (again.code, again.out, again.err) == (0, "", "")
    path.write_text("network A {")
    assert specc("fmt", "a.net").code == 1
    assert path.read_text() == "network A {"


def test_compile_writes_a_module_that_needs_torch_alone(specc: Specc):
    said = specc("compile", "good.net")
    assert said.code == 0
    assert "specc" not in [line.split()[1] for line in said.out.split("\n") if line.startswith(("import ", "from "))]
    assert specc("compile", "good.net", "-o", "model.py").out == ""
    assert Path("model.py").read_text() == said.out
    wrong = specc("compile", "wrong.net", "-o", "model.py")
    assert (wrong.code, wrong.out) == (1, "")
    assert Path("model.py").read_text() == said.out
    assert specc("compile", "template.net").code == 1
    assert specc("compile", "template.net", "--set", "n=4").code == 0


# --------------------------------------------------------------------------------------------------- train and evaluate
def test_train_prints_the_folder_alone_on_stdout(specc: Specc):
    said = specc("train", "good.net", "--set", "epochs=1", "--out", "there")
    assert (said.code, said.out) == (0, "there/Small/1\n")
    assert "120 samples to train, 15 to validate, 15 to test" in said.err
    assert specc("train", "good.net", "--set", "epochs=1", "--out", "there").out == "there/Small/2\n"
    assert "epochs 1\n" in Path("there/Small/1/spec.net").read_text()


@pytest.mark.parametrize(
    ("line", "slug"),
    [
        ("train open.net", "no-train-section"),
        ("train good.net --train tune", "no-train-section"),
        ("train good.net --set data=wine", "data-shape"),
        ("train good.net --set optimizer.lr=1e30", "loss-not-finite"),
        ("train wrong.net", "expectation-fails"),
        ("train good.net --set epochs=-1", "bad-argument"),
    ],
)
def test_training_that_is_refused_is_1_and_says_why(specc: Specc, line: str, slug: str):
    said = specc(*line.split())
    assert (said.code, said.out) == (1, "")
    assert f"error[{slug}]" in said.err


def test_a_device_that_is_not_there_is_2(specc: Specc, made: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for line in (["train", "good.net"], ["evaluate", made / "runs/Small/1"]):
        said = specc(*line, "--device", "cuda")
        assert said.code == 2
        assert "error[no-device]" in said.err


def test_ctrl_c_in_training_leaves_a_run_that_goes_on(tmp_path: Path):
    (tmp_path / "good.net").write_text(GOOD, encoding="utf-8")
    command = [sys.executable, "-m", "specc", "train"]
    surroundings = dict(os.environ, PYTHONPATH=str(ROOT))
    running = subprocess.Popen(
        [*command, "good.net", "--set", "epochs=100000"],
        cwd=tmp_path,
        env=surroundings,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        last = time.monotonic() + 60
        while not (tmp_path / "runs/Small/1/last/state.json").is_file() and time.monotonic() < last:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "Traceback" not in err
    assert "continue with: specc train --resume runs/Small/1" in err
    assert json.loads((tmp_path / "runs/Small/1/config.json").read_text())["status"] == "interrupted"


def test_resume_takes_a_run_as_it_is(specc: Specc, made: Path):
    said = specc("train", "--resume", made / "runs/Small/1")
    assert (said.code, said.out) == (0, f"{made / 'runs/Small/1'}\n")
    assert specc("train", "--resume", made / "runs/Small/1", "--set", "epochs=9").code == 2


def test_evaluate(specc: Specc, made: Path):
    run = made / "runs/Small/1"
    text, data = specc("evaluate", run), specc("evaluate", run, "--format", "json")
    assert (text.code, data.code) == (0, 0)
    assert list(data.json) == ["schema", "run", "figures"]
    assert text.out == "".join(f"{name:<8}  {value:.6g}\n" for name, value in data.json["figures"].items())
    assert json.loads((run / "config.json").read_text())["results"] == data.json["figures"]
    assert specc("evaluate", run, "--data", "iris").code == 0
    wrong = [specc("evaluate", run, "--data", each) for each in ("wine", "conv", "(((", 'table("no.csv", target="y")')]
    assert [each.code for each in wrong] == [1, 1, 1, 2]
    assert "no.csv" in wrong[-1].err


# ------------------------------------------------------------------------------------- export, verify, predict and bench
def test_export_says_what_was_proved(specc: Specc, made: Path):
    said = specc("export", made / "runs/Small/1", "-o", "a.onnx")
    assert (said.code, said.out) == (0, "")
    assert "proved equal to PyTorch: largest relative error" in said.err
    bare = specc("export", made / "runs/Small/1", "-o", "b.onnx", "--no-proof")
    assert bare.code == 0
    assert "unproved" in bare.err
    assert specc("verify", "b.onnx").code == 0


@pytest.mark.parametrize("output", ["plain/a.onnx", "nowhere/a.onnx", "."])
def test_export_to_where_nothing_can_be_written(specc: Specc, made: Path, output: str):
    said = specc("export", made / "runs/Small/1", "-o", output)
    assert said.code == 2
    assert "cannot write" in said.err


def test_export_holds_weights_against_the_spec(specc: Specc, made: Path):
    said = specc("export", "good.net", "--weights", made / "open.safetensors", "-o", "a.onnx")
    assert said.code == 1
    assert "error[weights-differ]" in said.err
    assert "hidden.weight" in said.err
    assert specc("export", made / "runs/Small/1", "--set", "classes=4", "-o", "a.onnx").code == 2
    assert specc("export", "wrong.net", "--weights", made / "open.safetensors", "-o", "a.onnx").code == 1
    assert not Path("a.onnx").exists()


def test_verify_replays_the_proof(specc: Specc, made: Path):
    said = specc("verify", made / "small.onnx")
    assert (said.code, said.err) == (0, "")
    assert said.out.endswith("small.onnx is Small, proved\n")
    assert all(line.startswith("ok: ") for line in said.out.split("\n")[:-2])


def test_verify_refuses_a_changed_file(specc: Specc, made: Path):
    whole = (made / "small.onnx").read_bytes()
    fc = load_file(made / "runs/Small/1/best.safetensors")["fc.bias"].numpy().tobytes()
    assert whole.count(fc) == 1
    Path("changed.onnx").write_bytes(whole.replace(fc, bytes([fc[0] ^ 1]) + fc[1:]))
    Path("short.onnx").write_bytes(whole[: len(whole) // 2])
    changed, short = specc("verify", "changed.onnx"), specc("verify", "short.onnx")
    assert changed.code == 1
    assert "does not hold" in changed.err
    assert short.code in (1, 2)


def test_predict_names_the_class(specc: Specc, made: Path):
    said = specc("predict", made / "small.onnx", "rows.csv")
    assert said.code == 0
    heads, *rows = said.out.splitlines()
    assert heads.split() == ["input", "class", "confidence"]
    assert [row.split()[0] for row in rows] == ["rows.csv:2", "rows.csv:3"]
    data = specc("predict", made / "small.onnx", "rows.csv", "--format", "json").json
    assert data["schema"] == 1
    assert [set(each) for each in data["predictions"]] == [{"source", "class", "confidence", "outputs"}] * 2
    assert {each["class"] for each in data["predictions"]} <= {"setosa", "versicolor", "virginica"}


def test_predict_refuses_what_does_not_fit(specc: Specc, made: Path):
    Path("three.csv").write_text("1,2,3\n")
    for given in ("three.csv", "good.net", "missing.csv", ROOT / "docs/images/seven.png"):
        said = specc("predict", made / "small.onnx", given)
        assert (said.code, said.out) == (2, ""), given
    wrong = specc("predict", made / "open.onnx", ROOT / "docs/images/seven.png")
    assert wrong.code == 0
    Path("rows.npy").write_bytes(b"no array")
    assert specc("predict", made / "open.onnx", "rows.npy").code == 2


def test_json_has_no_nan(specc: Specc, made: Path):
    Path("nan.csv").write_text("a,b,c,d\nnan,1,1,1\n")
    said = specc("predict", made / "small.onnx", "nan.csv", "--format", "json")
    assert said.code in (0, 2)
    assert "NaN" not in said.out


def test_bench(specc: Specc, made: Path):
    said = specc("bench", made / "small.onnx", "--rounds", "3", "--batch", "1", "--batch", "4", "--format", "json")
    assert said.code == 0
    assert [each["batch"] for each in said.json["runs"]] == [1, 4]
    assert said.json["runs"][0]["timing"]["median"] > 0
    assert ", at H=8, W=4\n" in specc("bench", made / "open.onnx", "--rounds", "2", "--size", "H=8,W=4").out
    for wrong in (["--rounds", "0"], ["--batch", "0"], ["--size", "H=3"], ["--size", "H"], ["--rounds", "x"]):
        assert specc("bench", made / "small.onnx", "--rounds", "2", *wrong).code == 2, wrong


# ---------------------------------------------------------------------------------------- explain, specs, new and doctor
def test_explain(specc: Specc):
    for word in ("shape-mismatch", "conv", "optimizer", "+"):
        said = specc("explain", word)
        assert (said.code, said.err) == (0, "")
        assert said.out
    assert max(map(len, specc("explain", "conv").out.split("\n"))) <= 100
    assert "error codes" in specc("explain").out


def test_specs_are_listed_and_printed(specc: Specc):
    said = specc("specs")
    assert said.code == 0
    assert {line.split()[0] for line in said.out.split("\n\n")[0].split("\n")} == {
        each.stem for each in (ROOT / "specs").glob("*.net")
    }
    assert specc("specs", "lenet5").out == (ROOT / "specs/lenet5.net").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["mine", "mine.net", "3 strange-names"])
def test_a_new_spec_checks_and_is_formatted(specc: Specc, name: str):
    said = specc("new", name)
    assert (said.code, said.out) == (0, "")
    path = f"{name.removesuffix('.net')}.net"
    assert specc("check", path, "--strict").code == 0
    assert specc("fmt", path, "--check").code == 0
    assert specc("new", name).code == 2


def test_a_new_spec_from_a_bundled_one(specc: Specc):
    for each in sorted((ROOT / "specs").glob("*.net")):
        assert specc("new", f"my_{each.stem}", "--from", each.stem).code == 0
    assert specc("check", *sorted(str(each) for each in Path().glob("my_*.net"))).code == 0


def test_doctor(specc: Specc):
    said = specc("doctor")
    assert said.code == 0
    assert "torch" in said.out
    assert "onnxruntime runs on" in said.out


def test_output_that_nobody_reads_is_no_error(tmp_path: Path):
    """`specc explain | head -1`"""
    surroundings = dict(os.environ, PYTHONPATH=str(ROOT))
    command = [sys.executable, "-m", "specc", "check", str(ROOT / "specs/densenet121.net")]
    running = subprocess.Popen(command, cwd=tmp_path, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    running.stdout.close()
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, b"")
