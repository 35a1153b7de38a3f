"""Settings that the language knows and this version does not have yet: they are refused by name, never ignored."""

from __future__ import annotations

LATER: dict[str, tuple[str, ...]] = {
    "export": ("postprocess",),
}
