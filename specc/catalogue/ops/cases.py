"""The cases that many ops have in common: every rank, unknown sizes, and two inputs that stretch to one shape."""

from __future__ import annotations

from specc.catalogue.entry import Case

SHAPES = ("[L]", "[4, L]", "[3, H, W]", "[2, D, 4, W]")
MEETING = ("[L]; [L] -> [L]", "[4, L]; [1, L] -> [4, L]", "[4, H, 1]; [4, 1, 5] -> [4, H, 5]")


def at_every_rank(call: str) -> tuple[Case, ...]:
    """A call that keeps the shape, whatever it is."""
    return tuple(Case(call, f"{shape} -> {shape}") for shape in SHAPES)


def between(sign: str, made: str = "", taken: str = "") -> tuple[Case, ...]:
    """An operator between two tensors; `made` and `taken` are their element types where those are not float."""
    found = []
    for shapes in MEETING:
        before, after = shapes.split(" -> ")
        inputs = "; ".join(f"{taken} {each}".strip() for each in before.split("; "))
        found.append(Case(f"x {sign} y", f"{inputs} -> {f'{made} {after}'.strip()}"))
    return tuple(found)
