"""What convolutions of both directions share: groups of channels, the bias, and how their arguments are printed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from specc.catalogue.entry import Misfit
from specc.catalogue.op import Rule, WeightSpec
from specc.code.nodes import Expression, value
from specc.sizes.conditions import Compare
from specc.sizes.dim import Dim, Size


def group_rules(groups: int, channels: Size, made: int) -> Iterable[Rule]:
    if made % groups != 0:
        raise _undivided(f"{made} output channels", groups, made)
    rest = channels % groups
    if isinstance(rest, Dim) or rest != 0:
        predicate = Compare(rest, "==", 0) if isinstance(rest, Dim) else False
        yield Rule(predicate, _undivided(f"{channels} input channels", groups, channels))


def _undivided(what: str, groups: int, count: Size) -> Misfit:
    near = [str(g) for g in range(1, 65) if g != groups and isinstance(count, int) and count % g == 0]
    help = (
        f"numbers that divide: {', '.join(near[:8])}" if near else "choose groups that divide both counts of channels"
    )
    return Misfit("groups-do-not-divide", f"{what} do not split into {groups} groups", help, argument="groups")


def bias_of(wanted: bool, channels: int, fan_in: Size) -> dict[str, WeightSpec]:
    return {"bias": WeightSpec((channels,), fan_in=fan_in, decays=False)} if wanted else {}


def together(values: tuple[Any, ...]) -> Any:
    """One number where all are equal, else the tuple."""
    return values[0] if all(each == values[0] for each in values) else values


def given(rank: int, **arguments: tuple[Any, Any]) -> dict[str, Expression]:
    """The arguments that are not at their default."""
    return {name: value(now) for name, (now, default) in arguments.items() if now not in (default, (default,) * rank)}
