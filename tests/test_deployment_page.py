"""The Python examples of docs/deployment.md run, on a trained LeNet-5."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from specc.tools.cli import main

ROOT = Path(__file__).parent.parent
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/deployment.md").read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", str(ROOT / "specs/lenet5.net"), "--set", "epochs=3"]) == 0
        assert main(["export", "runs/LeNet5/1", "-o", "lenet5.onnx", "--no-proof"]) == 0
    shutil.copyfile(ROOT / "docs/images/seven.png", folder / "seven.png")
    return folder


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize("text", EXAMPLES, ids=["path", "arrays", "onnxruntime"])
def test_an_example_runs(
    text: str, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trained)
    exec(compile(text, "deployment.md", "exec"), {"__name__": "example"})
    said = capsys.readouterr().out.splitlines()
    if text is EXAMPLES[0]:
        assert re.fullmatch(r"7 \d+% \(10,\)", said[0])
    elif text is EXAMPLES[1]:
        assert said[0].startswith("[('image', '[1, H, W]')] ('0', '1',")
        assert len(said) == 18
        assert said[-1].startswith("`image` is [3, 8, 8], the network takes [1, H, W]")
    else:
        assert said[0] in map(str, range(10))
