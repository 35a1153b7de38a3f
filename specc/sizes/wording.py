"""An exact set of sizes in the fewest words: period, residues, bounds, exceptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from specc.sizes.numbers import Numbers

MOST_LISTED = 12
MOST_TRIED = 4096


@dataclass(frozen=True, slots=True)
class Summary:
    """`H % period in residues` between the bounds, and `also` some more, `excluded` some fewer.

    Without a period the set is too irregular for this form, or empty.
    """

    period: int | None = None
    residues: tuple[int, ...] | None = None
    at_least: int | None = None
    at_most: int | None = None
    also: tuple[int, ...] = ()
    excluded: tuple[int, ...] = ()


def summarise(numbers: Numbers) -> Summary:
    """The shortest description; bounds alone where the set is too irregular."""
    numbers = numbers.regular()
    least = numbers.first()
    if least is None:
        return Summary()
    residues = numbers.endless()
    if residues:
        return _summarise_endless(numbers, least, *_shortest(residues, numbers.period))
    most = numbers.last(numbers.settles())
    assert most is not None
    return _summarise_finite(numbers, least, most)


def _summarise_endless(numbers: Numbers, least: int, period: int, residues: tuple[int, ...]) -> Summary:
    settled = numbers.first(numbers.settles())
    assert settled is not None
    starts = [settled] if settled == least else [_first_of(residues, period, least), settled]
    choices = []
    for start in starts:
        if settled - start > MOST_TRIED:
            continue
        also = _listed(numbers, 1, start)
        tail = range(start, settled)
        more = [number for number in tail if number in numbers and number % period not in residues]
        excluded = [number for number in tail if number % period in residues and number not in numbers]
        if also is not None and len(also) + len(more) + len(excluded) <= MOST_LISTED:
            choices.append(Summary(period, residues, start, None, (*also, *more), tuple(excluded)))
    if not choices:
        return Summary(at_least=least)
    return min(choices, key=lambda choice: len(choice.also) + len(choice.excluded))


def _first_of(residues: tuple[int, ...], period: int, start: int) -> int:
    return min(start + (residue - start) % period for residue in residues)


def _summarise_finite(numbers: Numbers, least: int, most: int) -> Summary:
    members = _listed(numbers, least, most + 1, 4096)
    if members is None:
        whole = _is_range(numbers, least, most)
        return Summary(1, (0,), least, most) if whole else Summary(at_least=least, at_most=most)
    for period in (1, *(d for d in range(2, numbers.period + 1) if numbers.period % d == 0)):
        residues = tuple(sorted({number % period for number in members}))
        count = sum((most - residue) // period - (least - 1 - residue) // period for residue in residues)
        if count == len(members):
            return Summary(period, residues, least, most)
    if len(members) <= MOST_LISTED:
        return Summary(1, (0,), members[0], members[0], also=tuple(members[1:]))
    return Summary(at_least=least, at_most=most)


def _is_range(numbers: Numbers, least: int, most: int) -> bool:
    outside = (~numbers).first(least)
    return outside is None or outside > most


def _listed(numbers: Numbers, start: int, stop: int, most: int = MOST_LISTED) -> list[int] | None:
    """Members from start up to, not including, stop; None when there are more than can be listed."""
    found = list(islice(takewhile(lambda number: number < stop, numbers.members(start)), most + 1))
    return found if len(found) <= most else None


def _shortest(residues: tuple[int, ...], period: int) -> tuple[int, tuple[int, ...]]:
    kept = set(residues)
    for length in range(1, period + 1):
        if period % length == 0 and all((residue + length) % period in kept for residue in kept):
            return length, tuple(sorted({residue % length for residue in kept}))
    return period, residues


# --------------------------------------------------------------------------------------------------------------- words
def word(name: str, summary: Summary) -> str | None:
    """The summary as a sentence about one symbol; None where there is no short one."""
    if summary.period is None or summary.residues is None or len(summary.residues) > MOST_LISTED:
        return None
    least, most = summary.at_least or 1, summary.at_most
    text = _main_clause(name, summary.period, summary.residues, least, most)
    if most == least and summary.also:
        return f"{name} is {_list([least, *summary.also], 'or')}"
    if summary.excluded:
        text += f", but not {_list(summary.excluded, 'or')}"
    if summary.also:
        text += f", or {name} is {_list(summary.also, 'or')}"
    return text


def _main_clause(name: str, period: int, residues: tuple[int, ...], least: int, most: int | None) -> str:
    if most == least:
        return f"{name} is {least}"
    if period == 1:
        if most is not None:
            return f"{name} is between {least} and {most}"
        return f"{name} is at least {least}" if least > 1 else f"{name} is any size"
    kind, natural = _kind(name, period, residues)
    if most is not None:
        return f"{kind}, between {least} and {most}"
    return kind if least <= natural else f"{kind}, at least {least}"


def _kind(name: str, period: int, residues: tuple[int, ...]) -> tuple[str, int]:
    """The words for the residues, and the bound below which none needs to be named."""
    if len(residues) == 1:
        residue = residues[0]
        if residue == 0:
            return (f"{name} is even" if period == 2 else f"{name} is a multiple of {period}"), 0
        if period == 2:
            return f"{name} is odd", 1
        away = f"{residue} more" if residue < period - 1 else "1 less"
        return f"{name} is {away} than a multiple of {period}", 0
    missing = [residue for residue in range(period) if residue not in residues]
    if missing == [0]:
        return f"{name} is not a multiple of {period}", 1
    if len(missing) == 1:
        return f"{name} % {period} is not {missing[0]}", 1 if missing != [1] else 2
    return f"{name} % {period} is {_list(residues, 'or')}", 0


def _list(numbers: Sequence[int], last: str) -> str:
    *most, final = map(str, numbers)
    return f"{', '.join(most)} {last} {final}" if most else final
