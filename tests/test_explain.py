"""`specc explain`: every page fits 80 columns and says what the declaration says; docs/reference is fresh."""

from __future__ import annotations

from pathlib import Path

import pytest

from specc.catalogue import registry
from specc.tools import reference
from specc.tools.cli import main
from specc.tools.commands.explain_ import WIDTH, errors, pages_of, terminal

SETTINGS = [tuple(each.split(".", 1)) for each in registry.names("settings")]


def explained(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["explain", *words]) == 0
    return capsys.readouterr().out


def test_an_op(capsys: pytest.CaptureFixture[str]) -> None:
    text = explained(capsys, "conv")
    assert text.startswith("conv\n====\n\nConvolution over every axis after the channels")
    assert "- `stride`: How far the window moves. It is a whole number from 1 on" in text
    assert "112] (9,408 parameters, 118,013,952 multiply-adds)" in text
    assert "window-too-large" in text


def test_a_sign_is_its_op(capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(capsys, "+").startswith("add\n===\n")


def test_a_setting_in_each_of_its_roles(capsys: pytest.CaptureFixture[str]) -> None:
    text = explained(capsys, "mse")
    assert "One of the losses" in text
    assert "One of the metrics" in text
    assert "(output - target) ** 2" in text


def test_a_setting_lists_what_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    text = explained(capsys, "optimizer")
    assert "`adam`" in text
    assert "Where a section does not say it: `optimizer adam`." in text


def test_an_error_code(capsys: pytest.CaptureFixture[str]) -> None:
    text = explained(capsys, "shape-mismatch")
    assert "    concat(low, high)             # error: shape-mismatch\n" in text
    assert "```" not in text


def test_without_a_word_everything_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    words = explained(capsys).replace(",", " ").split()
    assert {"conv", "adam", "shape-mismatch"} <= set(words)


def test_an_unknown_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "softmaxx"]) == 2
    assert capsys.readouterr().err == "error: nothing is known of `softmaxx`\nhelp: did you mean `softmax`?\n"


@pytest.mark.parametrize("word", [*registry.names(), *sorted({name for _, name in SETTINGS}), *errors()])
def test_every_page_fits_eighty_columns(word: str) -> None:
    found = pages_of(word)
    assert found
    for page in found:
        prose = [line for line in terminal(page).split("\n") if not line.startswith("    ")]
        assert max(map(len, prose)) <= WIDTH


@pytest.mark.parametrize("name", registry.names())
def test_every_argument_of_an_op_is_documented(name: str) -> None:
    kind = registry.op(name)
    assert kind is not None
    assert kind.__doc__
    assert [each for each in kind.fields if not reference.documented(kind).get(each)] == []


@pytest.mark.parametrize(("role", "name"), SETTINGS)
def test_every_argument_of_a_setting_is_documented(role: str, name: str) -> None:
    kind = registry.setting(name, role)
    assert kind is not None
    assert kind.__doc__
    assert [each for each in kind.fields if not reference.documented(kind).get(each)] == []


def test_the_reference_is_fresh() -> None:
    folder = Path(__file__).parent.parent / "docs" / "reference"
    written = {name: (folder / name).read_text(encoding="utf-8") for name in reference.pages()}
    assert written == reference.pages(), "run `python -m specc.tools.reference`"


def test_powers_in_formulas_are_not_taken_for_bold_words() -> None:
    from specc.tools.commands.explain_ import terminal

    assert "`4*F**2 + 4*F` and `2*F*T**2`" in terminal("A `4*F**2 + 4*F` and `2*F*T**2`, **bold**.")
    assert terminal("a **bold** word") == "a bold word"
