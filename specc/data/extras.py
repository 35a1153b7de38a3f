"""Libraries that only some settings need: asked for by name before anything starts, loaded when they are used."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from specc.data.sources import DataProblem

EXTRAS = {"scipy": "medical"}


def need(library: str, what: str) -> None:
    """Raise DataProblem where the library is not installed that the setting of that name needs; "" is none."""
    if library and find_spec(library) is None:
        message = f"`{what}` needs {library}, which is not installed"
        raise DataProblem(message, f"pip install 'specc[{EXTRAS[library]}]'")


def ndimage() -> Any:
    """`scipy.ndimage`."""
    return import_module("scipy.ndimage")
