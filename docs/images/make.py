"""Makes the pictures of README.md from a real session: `python docs/images/make.py`, wherever specc is installed.

seven.png is the first seven of the digits' test part, in the split that specs/lenet5.net trains with (seed 0).
session.svg is what the commands of README's first run print, in their order; only what is marked with an ellipsis is
left out. It changes with every release that prints something else.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from specc.data.shipped import Shipped
from specc.data.splits import split

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WIDTH = 106
STEPS = (
    ("check specs/lenet5.net", 9, 3),
    ("train specs/lenet5.net", 5, 5),
    ("export runs/LeNet5/1 -o lenet5.onnx", 99, 0),
    ("verify lenet5.onnx", 99, 0),
    ("predict lenet5.onnx docs/images/seven.png", 99, 0),
)  # a command, and how many lines of what it prints are shown from its start and from its end
THEME = TerminalTheme((13, 17, 23), (201, 209, 217), [(72, 79, 88)] * 8, [(110, 118, 129)] * 8)
SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">
{matrix}
</g></g>
</svg>
"""


def seven() -> Image.Image:
    """A digit as it is in the data set, 8 x 8 grey pixels."""
    digits = Shipped("digits").load()
    labels = digits.labels()
    assert labels is not None
    test = split(len(digits), seed=0, labels=labels).test
    first = next(int(each) for each in test if labels[each] == 7)
    pixels = digits.sample(first)[0]["image"][0]
    return Image.fromarray(np.rint(pixels * 255).astype(np.uint8), mode="L")


def session(folder: Path) -> list[tuple[str, list[str]]]:
    """The commands and the lines they print, run in a folder that holds what they name."""
    shutil.copytree(ROOT / "specs", folder / "specs")
    (folder / "docs" / "images").mkdir(parents=True)
    shutil.copy(HERE / "seven.png", folder / "docs" / "images")
    surroundings = dict(os.environ, PYTHONPATH=str(ROOT), COLUMNS=str(WIDTH), NO_COLOR="1")
    found = []
    for command, first, last in STEPS:
        done = subprocess.run(
            [sys.executable, "-m", "specc", *command.split()], cwd=folder, env=surroundings, check=True, text=True,
            encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        found.append((command, shortened(done.stdout.rstrip("\n").split("\n"), first, last)))
    return found


def shortened(lines: list[str], first: int, last: int) -> list[str]:
    """The first and the last of some lines, an ellipsis for those between."""
    if len(lines) <= first + last:
        return lines
    return [*lines[:first], "  …", *(lines[-last:] if last else [])]


def drawing(parts: list[tuple[str, list[str]]]) -> str:
    """The session as SVG; it names no fonts that would have to be fetched."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for at, (command, lines) in enumerate(parts):
        if at:
            console.print()
        console.print(Text("$ ", "bold #3fb950") + Text(f"specc {command}", "bold #f0f6fc"))
        for line in lines:
            console.print(Text(line, "#6e7681" if line.strip() == "…" else "#c9d1d9"), soft_wrap=True)
    console.print()
    return console.export_svg(title="", theme=THEME, code_format=SVG, unique_id="session")


def main() -> None:
    seven().save(HERE / "seven.png", optimize=True)
    with tempfile.TemporaryDirectory() as folder:
        text = drawing(session(Path(folder)))
    (HERE / "session.svg").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
