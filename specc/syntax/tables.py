"""The parser's tables: made once from grammar/net.lark by Lark, kept as JSON in the user's cache folder.

Lark is imported only where the cache does not hold the tables yet. The cache is data, never code: a file that is
missing, unreadable, changed or of another grammar is made again, and one that cannot be written is done without.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from specc.resources import root

_FORMAT = 2
_STARTS = ("file", "expression")
_WORD = re.compile(r"(\w+|\(\?:\w+(?:\|\w+)*\))((?:\(\?[=!].*\))?)")


@dataclass(frozen=True, slots=True)
class Rule:
    """One production: `origin` from `size` symbols; `name` is what the tree builder knows it by.

    `plan` says what its children are: a number is the position of a symbol, None an optional part that is absent,
    and a position in `spliced` is a list whose items stand there. `alone` marks a rule that hands its only child on.
    """

    origin: str
    name: str
    size: int
    plan: tuple[int | None, ...]
    spliced: frozenset[int]
    alone: bool


@dataclass(frozen=True, slots=True)
class Tables:
    """Terminals, rules and the states of the LALR(1) machine.

    `actions[state][terminal]` is a state to go to, or `~rule` to reduce by. `words` gives for a spelling the
    terminal it may be and the condition on what follows it.
    """

    terminals: tuple[str, ...]
    scanner: re.Pattern[str]
    groups: tuple[int, ...]
    words: dict[str, tuple[tuple[int, re.Pattern[str] | None], ...]]
    rules: tuple[Rule, ...]
    actions: tuple[dict[int, int], ...]
    goto: tuple[dict[str, int], ...]
    starts: dict[str, tuple[int, int]]
    hops: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def terminal(self, name: str) -> int:
        """The number of a terminal."""
        return self.terminals.index(name)


@cache
def tables() -> Tables:
    """The tables of the one grammar."""
    grammar = (root("grammar") / "net.lark").read_text(encoding="utf-8")
    key = _digest(f"{_FORMAT}\n{grammar}")
    file = _cache_folder() / f"net-{key[:20]}.json"
    plain = _read(file, key)
    if plain is None:
        plain = _from_lark(grammar)
        _write(file, key, plain)
    return _unpack(plain)


# --------------------------------------------------------------------------------------------------------- the cache
def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path(os.path.expanduser("~")) / ".cache") / "specc"


def _digest(text: str) -> str:
    """Tells a damaged file or another grammar; the cache is data, so nothing has to be kept secret or safe by it."""
    coded = text.encode()
    return f"{zlib.crc32(coded):08x}{zlib.adler32(coded):08x}{len(coded):08x}"


def _read(file: Path, key: str) -> dict[str, Any] | None:
    """What the cache holds, if it is whole: its first line is a digest over the key and the rest."""
    try:
        digest, _, text = file.read_text(encoding="utf-8").partition("\n")
        if digest != _digest(f"{key}\n{text}"):
            return None
        plain = json.loads(text)
    except (OSError, ValueError, RuntimeError):
        return None
    return plain if isinstance(plain, dict) else None


def _write(file: Path, key: str, plain: dict[str, Any]) -> None:
    import tempfile

    text = json.dumps(plain, separators=(",", ":"))
    digest = _digest(f"{key}\n{text}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=file.parent, prefix=file.stem)
    except (OSError, RuntimeError):
        return
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(f"{digest}\n{text}")
        os.replace(aside, file)
    except OSError:
        Path(aside).unlink(missing_ok=True)


# ------------------------------------------------------------------------------------------------------- from Lark
def _from_lark(grammar: str) -> dict[str, Any]:
    """Everything the parser needs as plain data."""
    from lark import Lark
    from lark.grammar import Rule as LarkRule
    from lark.lexer import TerminalDef

    lark = Lark(grammar, parser="lalr", lexer="contextual", start=list(_STARTS))
    data, memo = lark.memo_serialize([TerminalDef, LarkRule])
    machine = data["parser"]["parser"]
    names = [*sorted(each.name for each in lark.terminals), "$END"]
    numbers = {name: number for number, name in enumerate(names)}
    rules = sorted((json.dumps(_plain_rule(each)), key) for key, each in memo.items() if each["__type__"] == "Rule")
    order = {key: number for number, (_, key) in enumerate(rules)}
    number = _numbered(machine)
    actions: list[list[int]] = []
    goto: list[dict[str, int]] = []
    for state in number:
        row: list[int] = []
        beyond: dict[str, int] = {}
        for symbol, (kind, target) in _row(machine, state):
            if symbol in numbers:
                row += (numbers[symbol], ~order[target["@"]] if kind == 1 else number[target])
            else:
                beyond[symbol] = number[target]
        actions.append(row)
        goto.append(beyond)
    return {
        "terminals": names,
        "patterns": {each.name: each.pattern.to_regexp() for each in lark.terminals},
        "rules": [json.loads(each) for each, _ in rules],
        "actions": actions,
        "goto": goto,
        "starts": {name: [number[machine[f"{end}_states"][name]] for end in ("start", "end")] for name in _STARTS},
    }


def _row(machine: dict[str, Any], state: int) -> list[tuple[str, Any]]:
    """A state's actions by the names of their symbols, in their order."""
    return sorted(((machine["tokens"][token], act) for token, act in machine["states"][state].items()), key=_first)


def _first(pair: tuple[str, Any]) -> str:
    return pair[0]


def _numbered(machine: dict[str, Any]) -> dict[int, int]:
    """New numbers for the states, in the order in which they are reached: Lark's own differ from run to run."""
    found = [machine["start_states"][name] for name in _STARTS]
    number = {state: at for at, state in enumerate(found)}
    for state in found:
        for _, (kind, target) in _row(machine, state):
            if kind == 0 and target not in number:
                number[target] = len(number)
                found.append(target)
    return number


def _plain_rule(rule: dict[str, Any]) -> list[Any]:
    """Origin, name, size, plan, spliced positions, and whether the rule only hands its child on."""
    origin = rule["origin"]["name"]
    symbols = rule["expansion"]
    absent = list(rule["options"]["empty_indices"]) or [False] * (len(symbols))
    plan: list[int | None] = []
    at = 0
    for empty in absent:
        if empty:
            plan.append(None)
            continue
        if at < len(symbols):
            if not symbols[at].get("filter_out"):
                plan.append(at)
            at += 1
    spliced = [
        at
        for at, each in enumerate(symbols)
        if each["__type__"] == "NonTerminal" and each["name"].startswith("_") and at in plan
    ]
    inner = origin.startswith("_")
    alone = len(symbols) == 1 and rule["alias"] is None
    alone = alone and (bool(rule["options"]["expand1"]) or (inner and bool(spliced))) and plan == [0]
    return [origin, "" if inner else rule["alias"] or origin, len(symbols), plan, spliced, alone]


# ----------------------------------------------------------------------------------------------------------- to use
def _unpack(plain: dict[str, Any]) -> Tables:
    names = plain["terminals"]
    numbers = {name: number for number, name in enumerate(names)}
    words: dict[str, list[tuple[int, re.Pattern[str] | None]]] = {}
    scanned: list[tuple[int, str]] = []
    for name, pattern in plain["patterns"].items():
        word = _WORD.fullmatch(pattern)
        if word is None:
            scanned.append((numbers[name], pattern))
            continue
        condition = re.compile(word[2]) if word[2] else None
        for spelling in word[1].removeprefix("(?:").removesuffix(")").split("|"):
            words.setdefault(spelling, []).append((numbers[name], condition))
    first = ["_NEWLINE", "CONTINUATION", "BLANK", "DIGITS", "NAME", "NUMBER", "STRING", "COMMENT", "COMPARES"]
    order = {name: at for at, name in enumerate(first)}
    scanned.sort(key=lambda each: (order.get(names[each[0]], len(first)), -len(each[1]), each[1]))
    return Tables(
        terminals=tuple(names),
        scanner=re.compile("|".join(f"({pattern})" for _, pattern in scanned)),
        groups=(-1, *(number for number, _ in scanned)),
        words={spelling: tuple(found) for spelling, found in words.items()},
        rules=tuple(
            Rule(origin, name, size, tuple(plan), frozenset(spliced), alone)
            for origin, name, size, plan, spliced, alone in plain["rules"]
        ),
        actions=tuple(dict(zip(row[::2], row[1::2], strict=True)) for row in plain["actions"]),
        goto=tuple(plain["goto"]),
        starts={name: (first, last) for name, (first, last) in plain["starts"].items()},
    )
