"""The LALR(1) machine: moves over tokens by the tables and calls back for every rule that is complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from specc.syntax.scan import Token
from specc.syntax.tables import Rule, Tables

Reduce = Callable[[Rule, list[Any], int, int], Any]


class Machine:
    """One run over a list of tokens that ends with `$END`. Its three stacks are open to the repair of mistakes."""

    def __init__(self, tables: Tables, tokens: list[Token], text: str, start: str, reduce: Reduce) -> None:
        self.tables = tables
        self.tokens = tokens
        self.text = text
        self.start = start
        self.at = 0
        first, self.last = tables.starts[start]
        self.states = [first]
        self.values: list[Any] = []
        self.places: list[tuple[int, int]] = []
        self._reduce = reduce
        self._log: list[tuple[list[int], list[Any] | None, list[tuple[int, int]] | None]] = []
        self._name = tables.terminal("NAME")
        self._end = tables.terminal("$END")

    def run(self, mistake: Callable[[Machine, int], bool]) -> Any:
        """The value of the start rule, or None where `mistake`, called at what does not fit, gives up."""
        actions, tokens = self.tables.actions, self.tokens
        states, values, places = self.states, self.values, self.places
        hops, rules, goto = self.tables.hops, self.tables.rules, self.tables.goto
        log = self._log
        while True:
            token = tokens[self.at]
            kind = self.kind(token, states)
            while True:
                action = actions[states[-1]].get(kind)
                if action is None:
                    self._undo()
                    if not mistake(self, kind):
                        return None
                    break
                if action >= 0:
                    states.append(action)
                    values.append(token)
                    places.append((token.start, token.end))
                    self.at += 1
                    log.clear()
                    break
                rule = rules[~action]
                if rule.alone:
                    key = (states[-2], states[-1], kind)
                    hop = hops.get(key)
                    if hop is None:
                        hop = hops[key] = self._hop(*key)
                    log.append((states[-1:], None, None))
                    states[-1] = hop
                else:
                    self._complete(rule)
                    states.append(goto[states[-1]][rule.origin])
                if kind == self._end and states[-1] == self.last:
                    return values[-1]

    def kind(self, token: Token, states: Sequence[int]) -> int:
        """What a token is where it stands: a word is one only where the grammar has a place for it."""
        if token.kind != self._name:
            return token.kind
        row = self.tables.actions[states[-1]]
        for terminal, condition in self.tables.words.get(token.text, ()):
            if terminal in row and (condition is None or condition.match(self.text, token.end)):
                # A row may promise more than the states below can keep, where Lark merged states.
                if self._name not in row or self.accepts(states, [terminal]):
                    return terminal
        return self._name

    def accepts(self, states: Sequence[int], tokens: Sequence[Token | int]) -> int:
        """How many of the tokens (or terminals) could be read one after the other from these states."""
        states = list(states)
        for count, token in enumerate(tokens):
            kind = token if isinstance(token, int) else self.kind(token, states)
            while True:
                action = self.tables.actions[states[-1]].get(kind)
                if action is None:
                    return count
                if action >= 0:
                    states.append(action)
                    break
                rule = self.tables.rules[~action]
                if rule.size:
                    del states[-rule.size :]
                states.append(self.tables.goto[states[-1]][rule.origin])
                if kind == self._end and states[-1] == self.last:
                    return len(tokens)
        return len(tokens)

    def cut(self, depth: int) -> None:
        """Forgets everything above a depth of the state stack."""
        del self.states[depth:], self.values[depth - 1 :], self.places[depth - 1 :]

    def _hop(self, under: int, state: int, kind: int) -> int:
        """Where a row of rules that only hand their child on leads to."""
        while True:
            action = self.tables.actions[state].get(kind)
            if action is None or action >= 0 or not self.tables.rules[~action].alone:
                return state
            state = self.tables.goto[under][self.tables.rules[~action].origin]

    def _undo(self) -> None:
        """Takes back what was done for the sake of a token that then did not fit after all."""
        while self._log:
            states, values, places = self._log.pop()
            if values is None or places is None:
                self.states[-1:] = states
            else:
                self.states[-1:] = states
                self.values[-1:] = values
                self.places[-1:] = places

    def _complete(self, rule: Rule) -> None:
        """Puts one value in the place of a rule's symbols."""
        size = rule.size
        if size:
            found, places = self.values[-size:], self.places[-size:]
            start, end = places[0][0], places[-1][1]
            self._log.append((self.states[-size:], found, places))
            del self.states[-size:], self.values[-size:], self.places[-size:]
        else:
            found = []
            start = end = self.places[-1][1] if self.places else 0
            self._log.append(([], [], []))
        if not rule.name:
            self.values.append(_grown(rule, found))
        elif not rule.spliced:
            self.values.append(self._reduce(rule, [None if at is None else found[at] for at in rule.plan], start, end))
        else:
            self.values.append(self._reduce(rule, _children(rule, found), start, end))
        self.places.append((start, end))


def _grown(rule: Rule, found: list[Any]) -> tuple[Any, ...]:
    """A row in the making: what it was before, and what came to it. Nothing is changed, so that it can be log."""
    if len(rule.plan) == 1 and not rule.spliced:
        return (None, found[rule.plan[0] or 0])
    row: tuple[Any, ...] | None = None
    for at in rule.plan:
        item = None if at is None else found[at]
        if at in rule.spliced and row is None:
            row = item
        elif at in rule.spliced:
            for each in _flat(item):
                row = (row, each)
        else:
            row = (row, item)
    return row or ()


def _flat(row: tuple[Any, ...] | None) -> list[Any]:
    """The items of a row that was made by `_grown`."""
    items: list[Any] = []
    while row:
        row, item = row
        items.append(item)
    items.reverse()
    return items


def _children(rule: Rule, found: list[Any]) -> list[Any]:
    children: list[Any] = []
    for at in rule.plan:
        if at is None:
            children.append(None)
        elif at in rule.spliced:
            children += _flat(found[at])
        else:
            children.append(found[at])
    return children
