"""Texts that nobody meant: mutated specs and noise give diagnostics, never a traceback, and not for long."""

from __future__ import annotations

import json
import random
import re
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from test_error_pages import PAGES, blocks

from specc.catalogue import registry
from specc.compiler import compile_text
from specc.model.report import report
from specc.syntax.format import format_text
from specc.text import render
from specc.text.diagnostics import Bag
from specc.text.source import Source

ROOT = Path(__file__).parent.parent
SMALL, LARGE, PART = 400, 10_000, 50
SECONDS = 30.0
TOKEN = re.compile(r'\s+|#[^\n]*|"[^"\n]*"|[A-Za-z_]\w*|[0-9][\w.]*|->|\*\*|//|[<>=!]=|.', re.S)
WORDS = [
    "network", "block", "input", "output", "let", "for", "repeat", "if", "else", "in", "expect", "at", "when", "valid", "where",
    "import", "from", "train", "export", "parallel", "parameter", "buffer", "true", "none", "as", "and", "not", "params", "macs",
    "conv", "linear", "maxpool", "concat", "softmax", "relu", "reshape", "split", "rearrange", "flatten", "upconv", "crop", "pad",
    "same", "stride", "axis", "H", "W", "C", "T", "image", "x", "range", "len", "max", "sum", "int", "tensor", "shape",
    "0", "-1", "1", "2", "3", "7", "64", "0.5", "1e30", "999999999999", "10 ** 40", "(", ")", "[", "]", "{", "}", ",", ":", ";",
    "->", "=", "==", "<", "+", "-", "*", "/", "//", "%", "**", ".", "\n", '"', '"a b -> b a"', "#", "\t", "é", "×", "\u2028", "\ufeff",
]  # fmt: skip


KEYWORDS = {
    "network",
    "block",
    "input",
    "let",
    "for",
    "repeat",
    "if",
    "else",
    "in",
    "expect",
    "import",
    "from",
    "train",
    "export",
}


@cache
def corpus() -> tuple[str, ...]:
    """Specs to start from; the small ones are there more often than the large."""
    files = [
        *(ROOT / "specs").rglob("*.net"),
        *(ROOT / "tests" / "examples").glob("*.net"),
        *(ROOT / "tests" / "wrong").rglob("*.net"),
    ]
    found = [path.read_text(encoding="utf-8") for path in sorted(files)]
    pages = [text for page in PAGES.values() for part in ("Wrong", "Mended") for text in blocks(page, part).values()]
    return (*found, *pages)


def mutated(chance: random.Random) -> str:
    """A spec with a few changes: tokens left out, doubled, swapped, replaced, numbers blown up, noise put in."""
    tokens = TOKEN.findall(chance.choice(corpus()))
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(tokens)) if tokens else 0
        kind = chance.choice((0, 1, 2, 3, 4, 5, 6, 7, *(8, 9, 10) * 6))
        if kind == 0:
            del tokens[at : at + chance.choice((1, 1, 2, 5))]
        elif kind == 1:
            tokens[at:at] = tokens[at : at + chance.choice((1, 2, 10))]
        elif kind == 2 and tokens:
            other = chance.randrange(len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif kind == 3:
            tokens[at : at + 1] = [chance.choice(WORDS)]
        elif kind == 4:
            tokens.insert(at, f" {chance.choice(WORDS)} ")
        elif kind == 5:
            numbers = [place for place, token in enumerate(tokens) if token.isdigit()]
            if numbers:
                tokens[chance.choice(numbers)] = chance.choice(
                    ("0", "1", "9" * chance.randrange(1, 40), "2.5", "-3", "1_000")
                )
        elif kind == 6:
            tokens.insert(
                at,
                chr(
                    chance.choice(
                        (chance.randrange(1, 128), chance.randrange(1, 0x3000), chance.randrange(0x1F000, 0x1F700))
                    )
                ),
            )
        elif kind > 7:
            _meaning(chance, tokens, kind)
        else:
            text = "".join(tokens)
            cut = sorted(chance.randrange(len(text) + 1) for _ in range(2))
            tokens = TOKEN.findall(text[: cut[0]] + text[cut[1] :])
    return "".join(tokens)


def _meaning(chance: random.Random, tokens: list[str], kind: int) -> None:
    """A change that leaves the syntax alone: a name or a number in another's place."""
    words = [at for at, token in enumerate(tokens) if token.isidentifier() and token not in KEYWORDS]
    numbers = [at for at, token in enumerate(tokens) if token.isdigit()]
    if kind == 8 and words:
        tokens[chance.choice(words)] = tokens[chance.choice(words)]
    elif kind == 9 and words:
        tokens[chance.choice(words)] = chance.choice(registry.names())
    elif kind == 10 and numbers:
        other = (
            str(chance.randrange(20)),
            "0.5",
            "H",
            "x",
            "true",
            "[2, 3]",
            '"a"',
            "(1 + 1)",
            "max(1, 2)",
            "none",
            "[]",
        )
        tokens[chance.choice(numbers)] = chance.choice(other)


def noise(chance: random.Random) -> str:
    """Words and signs of the language in no order, or characters of any kind."""
    if chance.random() < 0.7:
        return " ".join(chance.choice(WORDS) for _ in range(chance.randrange(1, 120)))
    return "".join(chr(chance.randrange(1, 0xD7FF)) for _ in range(chance.randrange(1, 300)))


@cache
def imported(path: str) -> str | None:
    file = ROOT / "specs" / path
    return file.read_text(encoding="utf-8") if file.is_file() else None


def made(seed: int) -> str:
    chance = random.Random(seed)
    return noise(chance) if chance.random() < 0.1 else mutated(chance)


def given(seed: int) -> dict[str, Any]:
    """What a command line might add: `--set`, `--size`, `--network`; mostly nothing."""
    chance = random.Random(~seed)
    if chance.random() < 0.7:
        return {}
    keys = (
        "classes",
        "width",
        "depth",
        "unit",
        "depths",
        "epochs",
        "optimizer.lr",
        "batch",
        "loss",
        "opset",
        "nothing",
    )
    value = " ".join(chance.choice(WORDS) for _ in range(chance.randrange(1, 4)))
    found: dict[str, Any] = {"settings": {chance.choice(keys): chance.choice((value, "3", "[2, 2]", "relu", "0.1"))}}
    if chance.random() < 0.5:
        found["sizes"] = {chance.choice("HWCTk"): chance.choice((1, 7, 64, 2**40))}
    if chance.random() < 0.2:
        found["network"] = chance.choice(("Small", "ResNet18", "UNet", "Nobody"))
    return found


def holds(seed: int) -> None:
    """All that must be true of whatever text."""
    text = made(seed)
    begun = time.process_time()
    found = compile_text(text, "fuzz.net", read=imported, fixes=seed % 4 == 0, **given(seed))
    format_text(Source("fuzz.net", text), Bag())
    for each in found.bag:
        assert each.code in PAGES, each.code
        assert each.message
        assert "Traceback" not in each.message
        if each.span is not None:
            assert 0 <= each.span.start <= each.span.end <= len(each.span.source.text)
    render.text(found.bag)
    render.github(found.bag)
    json.dumps(render.data(found.bag))
    if found.ok:
        json.dumps([report(model) for model in found.models.values()])
    elif not found.bag.failed:
        raise AssertionError("neither sound nor wrong")
    assert time.process_time() - begun < SECONDS


def run(first: int, count: int) -> None:
    for seed in range(first, first + count):
        try:
            holds(seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n{made(seed)}") from error


@pytest.mark.parametrize("first", range(0, SMALL, PART))
def test_whatever_the_text_there_are_diagnostics_and_no_traceback(first: int) -> None:
    run(first, PART)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(SMALL, LARGE, 4 * PART))
def test_ten_thousand_texts(first: int) -> None:
    run(first, 4 * PART)
