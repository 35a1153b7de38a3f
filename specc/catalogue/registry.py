"""Finding an entry by name: the generated index says which file declares it, and only that file is loaded."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from specc.catalogue.entry import Entry
from specc.catalogue.op import Op
from specc.catalogue.setting import Setting

INDEX = Path(__file__).with_name("index.txt")
FAMILIES = ("ops", "settings")


@cache
def _index() -> dict[str, dict[str, tuple[str, str, tuple[str, ...]]]]:
    """family -> name -> (module, class, operators)."""
    found: dict[str, dict[str, tuple[str, str, tuple[str, ...]]]] = {family: {} for family in FAMILIES}
    for line in INDEX.read_text(encoding="utf-8").splitlines():
        family, name, module, kind, *operators = line.split()
        found[family][name] = (module, kind, tuple(operators))
    return found


@cache
def op(name: str) -> type[Op] | None:
    """The op of that name, loaded now if need be; None if there is none."""
    found: type[Op] | None = _load("ops", name)
    return found


@cache
def setting(name: str, role: str) -> type[Setting] | None:
    """The setting of that name in that role ("loss", "metric", "source" …); None if there is none."""
    found: type[Setting] | None = _load("settings", f"{role}.{name}")
    return found


def setting_names(role: str) -> tuple[str, ...]:
    """All names in a role, sorted; nothing is loaded."""
    return tuple(name.partition(".")[2] for name in names("settings") if name.partition(".")[0] == role)


def names(family: str = "ops") -> tuple[str, ...]:
    """All names of a family, sorted; nothing is loaded."""
    return tuple(sorted(_index()[family]))


@cache
def operator(sign: str) -> type[Op] | None:
    """The op that is written as this operator."""
    for name, (_, _, operators) in _index()["ops"].items():
        if sign in operators:
            return op(name)
    return None


def _load(family: str, name: str) -> Any:
    found = _index()[family].get(name)
    return found and getattr(import_module(f"specc.catalogue.{family}.{found[0]}"), found[1])


def generate() -> str:
    """The text of the index, from the declarations themselves. `python -m specc.catalogue.registry` writes it."""
    lines = []
    for family in FAMILIES:
        for file in sorted((Path(__file__).parent / family).glob("*.py")):
            if file.stem == "__init__":
                continue
            module = import_module(f"specc.catalogue.{family}.{file.stem}")
            for kind in vars(module).values():
                if isinstance(kind, type) and issubclass(kind, Entry) and kind.__module__ == module.__name__:
                    if "name" in kind.__dict__:
                        sign = getattr(kind, "operator", "")
                        name = f"{kind.role}.{kind.name}" if issubclass(kind, Setting) else kind.name
                        lines.append(" ".join([family, name, file.stem, kind.__name__, sign]).strip())
    return "\n".join(sorted(lines)) + "\n"


if __name__ == "__main__":
    INDEX.write_text(generate(), encoding="utf-8")
