"""Which arguments an initialiser takes, and what is wrong with those that are given."""

from __future__ import annotations

from collections.abc import Iterable

from specc.catalogue.arguments import Initial
from specc.catalogue.entry import Misfit

# by name: the argument that may stand without its name, all arguments, those that must be there
TAKES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "normal": ("", ("std", "mean"), ("std",)),
    "uniform": ("bound", ("bound",), ()),
    "constant": ("value", ("value",), ("value",)),
}
ABOVE_ZERO = ("std", "bound")


def named(initial: Initial) -> dict[str, float]:
    """The arguments by their names."""
    positional = TAKES.get(initial.name, ("", (), ()))[0]
    return {name or positional: float(number) for name, number in initial.arguments}


def misfits(initial: Initial, argument: str) -> Iterable[Misfit]:
    """What is wrong with the arguments of an initialiser, which is itself the argument of that name."""
    positional, known, required = TAKES.get(initial.name, ("", (), ()))
    says = f"it takes {', '.join(known)}" if known else "it takes none"
    for name, _ in initial.arguments:
        if name and name not in known:
            message = f"the initialiser `{initial.name}` has no argument `{name}`"
            yield Misfit("unknown-argument", message, says, argument=argument)
            return
        elif not name and not positional:
            message = f"the initialiser `{initial.name}` takes no argument by position"
            yield Misfit("too-many-arguments", message, says, argument=argument)
            return
    given = named(initial)
    for name in required:
        if name not in given:
            message = f"the initialiser `{initial.name}` needs its {name}"
            example = f"{initial.name}({name}=0.01)"
            yield Misfit("missing-argument", message, f"write `{example}`", argument=argument)
    for name in ABOVE_ZERO:
        if given.get(name, 1) <= 0:
            yield Misfit("bad-argument", f"`{name}` must be a number above 0", argument=argument)
