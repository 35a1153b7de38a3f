"""The page of docs/browser: a trained network answers in Chromium as it does in Python."""

from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from onnx_files import exported

from specc.deploy.runtime import Predictor
from specc.tools.cli import main

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "browser"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=60000",
    "--timeout=60000",
    "--dump-dom",
]


def test_the_page_and_its_script_belong_together() -> None:
    """The short form: what the script looks for is in the page, and what it imports is what the manual installs."""
    page, script = ((PAGE / name).read_text(encoding="utf-8") for name in ("index.html", "predict.js"))
    assert 'src="predict.js"' in page
    for name in re.findall(r'show\("(\w+)"', script):
        assert f'id="{name}"' in page
    manual = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert "npm install onnxruntime-web" in manual
    assert "./node_modules/onnxruntime-web/dist/" in script


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None or shutil.which("npm") is None, reason="needs npm and chromium")
def test_a_trained_network_answers_in_the_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(PAGE, tmp_path, dirs_exist_ok=True)
    assert CHROMIUM is not None
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "onnxruntime-web@1.30.0"], check=True, timeout=600)
    assert main(["train", str(ROOT / "specs/lenet5.net"), "--set", "epochs=6"]) == 0
    assert main(["export", "runs/LeNet5/1", "-o", "model.onnx"]) == 0
    shutil.copyfile(ROOT / "docs/images/seven.png", "seven.png")
    text = "network Colours {\n    input image: [3, H, W]\n    conv(4, 3) -> relu\n    global_avgpool -> softmax\n}\n"
    (tmp_path / "colour").mkdir()
    shutil.copytree(PAGE, "colour", dirs_exist_ok=True)
    exported(text, tmp_path / "colour", prove=False).rename("colour/model.onnx")
    (tmp_path / "colour/node_modules").symlink_to(tmp_path / "node_modules")
    shutil.copyfile(ROOT / "docs/images/seven.png", "colour/seven.png")
    for folder in (tmp_path, tmp_path / "colour"):
        found = shown(folder, "index.html?picture=seven.png")
        wanted = Predictor(folder / "model.onnx", "cpu").predict(folder / "seven.png").outputs
        assert found.keys() == wanted.keys()
        for name in wanted:
            np.testing.assert_allclose(found[name], wanted[name].reshape(-1), rtol=1e-4, atol=1e-6)
    assert Predictor("model.onnx", "cpu").predict("seven.png").label == "7"


def shown(folder: Path, address: str) -> dict[str, list[float]]:
    """What the page says after it ran, in a Chromium without a window."""
    kind = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/{address}"
        command = [str(CHROMIUM), *QUIET, f"--user-data-dir={folder / 'profile'}", url]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
        server.shutdown()
    said = re.search(r'<pre id="outputs">(.*?)</pre>', ran.stdout, re.S)
    assert said is not None, ran.stdout
    assert said[1].startswith("{"), said[1]
    found: dict[str, list[float]] = json.loads(said[1])
    return found


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Says nothing of what is asked for."""

    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, format: str, *args: object) -> None:
        del format, args
