"""Specs with many mistakes: each is found on its line and nowhere else, and the whole rendering is as it was blessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from marked import compiled, diagnosed, marks

from specc.text import render

FOLDER = Path(__file__).parent / "wrong"
CASES = sorted([path.stem for path in FOLDER.glob("*.net")] + [path.parent.name for path in FOLDER.glob("*/main.net")])


def files_of(case: str) -> tuple[dict[str, str], str]:
    """The files of a case by their path, and the one to compile."""
    folder = FOLDER / case
    if not folder.is_dir():
        return {f"{case}.net": (FOLDER / f"{case}.net").read_text(encoding="utf-8")}, f"{case}.net"
    found = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.net"))
    }
    return found, "main.net"


@pytest.mark.parametrize("case", CASES)
def test_every_mistake_is_found_on_its_line_and_nothing_else(case: str) -> None:
    files, main = files_of(case)
    assert diagnosed(compiled(files, main)) == marks(files)


@pytest.mark.parametrize("case", CASES)
def test_the_rendering_is_as_it_was_blessed(case: str, request: pytest.FixtureRequest) -> None:
    files, main = files_of(case)
    text = render.text(compiled(files, main).bag)
    path = FOLDER / f"{case}.txt"
    if request.config.getoption("--bless"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), "run pytest with --bless if the new rendering is better"


def test_there_are_cases() -> None:
    assert len(CASES) >= 12
    assert sum(len(marks(files_of(case)[0])) for case in CASES) >= 90
