"""The pages of the errors are run: what is marked wrong is found there and nothing else, what is mended is clean."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from marked import compiled, diagnosed, marks

from specc.tools.cli import main

ROOT = Path(__file__).parent.parent
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "errors").glob("*.md"))}
SLUG = re.compile(r"[a-z]+(-[a-z]+)+")
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
SEVERITIES = ("error", "warning", "note")


# ------------------------------------------------------------------------------------------- the codes in the source
def codes() -> dict[str, set[str]]:
    """Every code that the source gives to a parameter called `code`, or to a name `code`, and the files it is in."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "specc").rglob("*.py"))}
    places = _code_places(trees)
    found: dict[str, set[str]] = defaultdict(set)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            for slug in _given(node, places):
                found[slug].add(path.relative_to(ROOT).as_posix())
    return found


def _code_places(trees: dict[Path, ast.Module]) -> dict[str, set[int]]:
    """At which place each function and class of that name takes `code`."""
    found: dict[str, set[int]] = defaultdict(set)
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                names = [each.arg for each in node.args.args if each.arg not in ("self", "cls")]
                if "code" in names:
                    found[node.name].add(names.index("code"))
            elif isinstance(node, ast.ClassDef):
                fields = [
                    each.target.id
                    for each in node.body
                    if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
                ]
                if "code" in fields:
                    found[node.name].add(fields.index("code"))
                for each in node.body:
                    if isinstance(each, ast.FunctionDef) and each.name == "__init__":
                        names = [argument.arg for argument in each.args.args[1:]]
                        if "code" in names:
                            found[node.name].add(names.index("code"))
    return found


def _given(node: ast.AST, places: dict[str, set[int]]) -> Iterator[str]:
    values: list[ast.expr] = []
    if isinstance(node, ast.Call):
        function = node.func
        name = (
            function.id
            if isinstance(function, ast.Name)
            else function.attr
            if isinstance(function, ast.Attribute)
            else ""
        )
        if name in places and name != "Wrong":
            values += [node.args[at] for at in places[name] if at < len(node.args)]
            values += [each.value for each in node.keywords if each.arg == "code"]
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id == "code":
                values.append(node.value)
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts, strict=False)
                values += [value for name, value in pairs if isinstance(name, ast.Name) and name.id == "code"]
    for value in values:
        for each in (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,):
            if isinstance(each, ast.Constant) and isinstance(each.value, str) and SLUG.fullmatch(each.value):
                yield each.value


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    known = codes()
    assert len(known) > 100
    missing = {slug: sorted(files) for slug, files in known.items() if slug not in PAGES}
    assert missing == {}, "codes without a page in docs/errors"
    assert sorted(set(PAGES) - set(known)) == [], "pages of codes that nothing says"


# ---------------------------------------------------------------------------------------------------------- the pages
def blocks(text: str, part: str) -> dict[str, str]:
    """The specs of one part of a page by file name; one without a name is `wrong.net` or `mended.net`."""
    found = {}
    for chunk in re.split(r"^## ", text, flags=re.M):
        if chunk.startswith(part):
            for kind, name, body in FENCE.findall(chunk):
                if kind == "net":
                    found[name or f"{part.lower()}.net"] = body
    return found


@pytest.mark.parametrize("slug", PAGES)
def test_the_page_has_its_form(slug: str) -> None:
    text = PAGES[slug]
    assert text.startswith(f"# {slug}\n\n")
    assert "**Why it is" in text
    assert "## What to do" in text
    assert max(map(len, text.split("\n"))) <= 200
    shown = [code for *_, code in marks(blocks(text, "Wrong"))]
    assert slug in shown or f"[{slug}]" in text, "the page does not show its own code"
    assert ("## Wrong" in text) == ("## Mended" in text)


@pytest.mark.parametrize("slug", [slug for slug, text in PAGES.items() if "## Wrong" in text])
def test_what_is_marked_wrong_is_found_and_nothing_else(slug: str) -> None:
    files = blocks(PAGES[slug], "Wrong")
    found = compiled(files, "wrong.net")
    assert diagnosed(found) == marks(files)


@pytest.mark.parametrize("slug", [slug for slug, text in PAGES.items() if "## Mended" in text])
def test_what_is_mended_is_clean(slug: str) -> None:
    files = blocks(PAGES[slug], "Mended")
    found = compiled(files, "mended.net")
    assert [(each.code, each.message) for each in found.bag] == []
    assert found.models


def _sessions() -> list[str]:
    return [slug for slug, text in PAGES.items() if "\n$ specc " in text]


@pytest.mark.parametrize("slug", _sessions())
def test_the_session_on_the_page_is_a_real_one(
    slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each `$ specc …` prints the lines under it, in their order; others may stand between, `…` stands for anything."""
    monkeypatch.chdir(tmp_path)
    for kind, name, body in FENCE.findall(PAGES[slug]):
        if name:
            (tmp_path / name).write_bytes(bytes.fromhex(body) if kind == "hex" else body.encode())
        if kind != "console":
            continue
        for session in body.split("$ specc ")[1:]:
            command, *expected = session.rstrip("\n").split("\n")
            main(_words(command))
            printed = "".join(capfd.readouterr()).split("\n")
            at = 0
            for line in expected:
                found = [place for place, text in enumerate(printed[at:], at) if _same(line, text)]
                assert found, f"{command!r} does not print {line!r} but\n" + "\n".join(printed)
                at = found[0] + 1


def _same(shown: str, printed: str) -> bool:
    """Whether a line is as the page shows it; `…` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, shown.split("…"))), printed) is not None


def _words(command: str) -> list[str]:
    from shlex import split

    return split(command)
