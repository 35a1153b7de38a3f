"""Classes that a generated module brings along for what torch.nn lacks, as they stand in `support/`."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("support")
Imported = tuple[str, str, str]  # module, name ("" for the module itself), alias


@cache
def _known() -> dict[str, tuple[str, frozenset[Imported]]]:
    """Class or function name -> its text, and the imports that it needs."""
    found: dict[str, tuple[str, frozenset[Imported]]] = {}
    for file in sorted(FOLDER.glob("*.py")):
        text = file.read_text(encoding="utf-8")
        parts = ast.parse(text).body
        imports = [each for part in parts for each in _imports(part)]
        for part in parts:
            if isinstance(part, ast.ClassDef | ast.FunctionDef):
                said = _said(part)
                needs = frozenset(each for each in imports if (each[2] or each[1] or each[0]) in said)
                found[part.name] = ("\n".join(text.splitlines()[part.lineno - 1 : part.end_lineno]), needs)
    return found


def brought_along() -> frozenset[str]:
    """Names that are taken by classes in `support/`."""
    return frozenset(_known())


def _imports(part: ast.stmt) -> list[Imported]:
    if isinstance(part, ast.Import):
        return [(each.name, "", each.asname or "") for each in part.names]
    if isinstance(part, ast.ImportFrom) and part.module != "__future__":
        return [(part.module or "", each.name, each.asname or "") for each in part.names]
    return []


def _said(part: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(part) if isinstance(each, ast.Name)}


def supporting(said: Iterable[str]) -> tuple[list[str], set[Imported]]:
    """The texts of the classes among these names, those they need themselves first, and what they import."""
    known = _known()
    texts: list[str] = []
    imports: set[Imported] = set()
    done: set[str] = set()

    def bring(name: str) -> None:
        if name not in known or name in done:
            return
        done.add(name)
        text, needs = known[name]
        for inner in sorted(_said(ast.parse(text))):
            bring(inner)
        texts.append(text)
        imports.update(needs)

    for name in sorted(set(said)):
        bring(name)
    return texts, imports


def import_lines(found: Iterable[Imported]) -> str:
    """The imports in the order that isort gives them: the standard library first."""
    return "\n\n".join("\n".join(block) for block in (_block(found, False), _block(found, True)) if block)


def _block(found: Iterable[Imported], torch: bool) -> list[str]:
    modules: dict[str, list[tuple[str, str]]] = {}
    lines = []
    for module, name, alias in sorted(set(found)):
        if module.split(".")[0].startswith("torch") is not torch:
            continue
        if not name:
            lines.append(f"import {module}" + (f" as {alias}" if alias else ""))
        else:
            modules.setdefault(module, []).append((name, alias))
    for module in sorted(modules):
        each = ", ".join(name + (f" as {alias}" if alias else "") for name, alias in modules[module])
        lines.append(f"from {module} import {each}")
    return lines
