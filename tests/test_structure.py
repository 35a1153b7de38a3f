"""The house keeps its rules: floors, one home for each op's name, what `check` may import, fresh generated files."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from specc.catalogue import registry

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "specc"
FILES = sorted(PACKAGE.rglob("*.py"))
FLOORS = {
    "text": 1, "sizes": 1, "code": 1, "resources": 1, "syntax": 2, "catalogue": 2, "model": 3, "backends": 4, "compiler": 5,
    "repair": 5, "data": 6, "train": 7, "deploy": 8, "api": 8, "tools": 9, "__main__": 10, "__init__": 9,
}  # fmt: skip
HEAVY = ("torch", "onnx", "onnxruntime", "numpy", "networkx", "pydantic", "rich", "sympy", "PIL", "safetensors")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [each.name for each in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_run_downwards(path: Path) -> None:
    if "support" in path.parts:
        return
    own = FLOORS[part_of(path)]
    for name in imports(parsed(path)):
        parts = name.split(".")
        if parts[0] == "specc" and len(parts) > 1:
            assert FLOORS[parts[1]] <= own, f"{path.name} on floor {own} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_says_why_it_exists_and_stays_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if "support" not in path.parts:
        assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
    assert len(text.splitlines()) <= 350


def test_an_ops_name_is_written_in_one_file() -> None:
    """A string equal to an op's name, in the text of one file of the package only (scatter is 1)."""
    places: dict[str, set[str]] = defaultdict(set)
    names = set(registry.names())
    for path in FILES:
        if "settings" in path.parts:
            continue
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "name" for t in node.targets):
                if isinstance(node.value, ast.Constant) and node.value.value in names:
                    places[str(node.value.value)].add(path.name)
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
    assert set(places) == names


def test_the_index_is_fresh() -> None:
    assert registry.INDEX.read_text(encoding="utf-8") == registry.generate()


def test_check_imports_nothing_heavy() -> None:
    code = (
        "import sys, json\nfrom specc.tools.cli import main\n"
        "code = main(['check', 'specs/resnet.net', 'specs/unet.net', 'specs/lenet5.net'])\n"
        f"print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout.splitlines()[-1]) == [0, []]


def test_the_public_names_are_there_and_import_nothing_before_they_are_used() -> None:
    code = (
        "import sys, json, specc\nbefore = sorted(each for each in sys.modules if each.startswith('specc.'))\n"
        "found = [getattr(specc, name) is not None for name in specc.__all__]\n"
        "print(json.dumps([before, len(found), hasattr(specc, 'Nothing')]))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [[], 6, False]


def test_nothing_reads_pickles_or_runs_text() -> None:
    for path in FILES:
        names = imports(parsed(path))
        assert "pickle" not in names, path
        if path.relative_to(PACKAGE).as_posix() not in (
            "backends/pytorch.py",
            "train/objective.py",
        ):  # specc's own code
            calls = [
                node.func.id
                for node in ast.walk(parsed(path))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            ]
            assert "eval" not in calls, path
            assert "exec" not in calls, path
