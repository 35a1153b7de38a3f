"""Where the files that come with specc lie: inside an installed package or in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def root(kind: Literal["grammar", "specs", "docs"]) -> Path:
    """The folder `grammar/`, `specs/` or `docs/`. Raises FileNotFoundError where the installation is broken."""
    package = Path(__file__).resolve().parent
    for folder in (package / "_data" / kind, package.parent / kind):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"specc is not installed whole: its folder {kind}/ is missing")
