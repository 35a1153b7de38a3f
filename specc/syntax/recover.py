"""Mends a token stream where it does not fit: says what is wrong, tries small changes, else goes on at the next line."""

from __future__ import annotations

from dataclasses import dataclass

from specc.syntax.build import TYPES
from specc.syntax.machine import Machine
from specc.syntax.scan import Token, shown
from specc.syntax.words import SPELLINGS, expectation
from specc.text.diagnostics import Bag, Diagnostic, Fix
from specc.text.source import Source, Span

_AHEAD = 6
_INSERTED = ("COMMA", "COLON", "EQUAL", "_IN", "SEMICOLON", "ARROW")
_REPLACED = {"EQUAL": ("COMPARES", "COLON"), "COLON": ("EQUAL",), "SEMICOLON": ("COMMA",), "COMPARES": ("EQUAL",)}
_MADE_UP = {"COMPARES": "=="}
_BRACKETS = "()[]{}"


@dataclass(frozen=True, slots=True)
class Repair:
    """A small change at a token that lets the parser go on: tokens put there, and how many are dropped."""

    put: tuple[Token, ...]
    drop: int
    help: str
    text: str = ""


_BEHIND = frozenset([",", ")", "]", ":"])
_PAIRS = frozenset(["unclosed-bracket", "unmatched-bracket"])


class Repairs:
    """The mending of one text. After 20 mistakes it gives up."""

    def __init__(self, source: Source, bag: Bag) -> None:
        self._source = source
        self._bag = bag

    def mend(self, machine: Machine, kind: int) -> bool:
        """Reports what does not fit and changes the tokens or the stacks so that the machine can go on."""
        if len(self._bag) >= self._bag.limit:
            return False
        token = machine.tokens[machine.at]
        expected = _expected(machine)
        best = self._best(machine, kind, expected)
        self._report(machine, token, expected, best)
        if best is not None:
            machine.tokens[machine.at : machine.at + best.drop] = best.put
            return True
        return self._skip(machine)

    # --------------------------------------------------------------------------------------------- small changes
    def _best(self, machine: Machine, kind: int, expected: list[str]) -> Repair | None:
        """The change after which most of what follows can be read; the first of equals."""
        names = machine.tables.terminals
        line_end = names.index("_NEWLINE")
        ahead: list[Token] = []
        for token in machine.tokens[machine.at : machine.at + _AHEAD]:
            ahead.append(token)
            if token.kind == line_end and len(ahead) > 1:
                break
        best, most = None, 1
        for repair in self._candidates(machine, names[kind], expected):
            rest = ahead[repair.drop :]
            reach = machine.accepts(machine.states, [*repair.put, *rest]) - len(repair.put)
            whole = reach == len(rest)
            score = reach + repair.drop + (2 if whole else 0)
            if reach >= min(2, len(rest)) and reach >= (not repair.drop) and score > most:
                best, most = repair, score
        return best

    def _candidates(self, machine: Machine, found: str, expected: list[str]) -> list[Repair]:
        tables, token = machine.tables, machine.tokens[machine.at]

        def made(terminal: str, text: str) -> Token:
            return Token(tables.terminal(terminal), token.start, token.start, text)

        def stands(terminal: str) -> Token:
            return Token(tables.terminal(terminal), token.start, token.end, _MADE_UP.get(terminal, ""))

        place = "" if not token.text.strip() else f" before `{shown(token.text)}`"
        result: list[Repair] = []
        if found == "NAME":
            result += _misspelt(machine, token, expected)
        for terminal in _inserted(expected, token):
            if terminal in expected:
                text = SPELLINGS[terminal]
                help = f"write `{text}`{place}"
                if terminal == "SEMICOLON":
                    help = f"begin a new line{place}, or write `;` between"
                result.append(Repair((made(terminal, text),), 0, help, "\n" if terminal == "SEMICOLON" else text))
        for terminal in sorted(_REPLACED.get(found, ()), key=lambda each: each != "COLON" and "_NEWLINE" in expected):
            if terminal in expected:
                spelling = _MADE_UP.get(terminal) or SPELLINGS[terminal]
                result.append(Repair((stands(terminal),), 1, f"write `{spelling}` instead", spelling))
        if found == "_NEWLINE" and machine.tokens[machine.at + 1].text == "{":
            result.append(Repair((), 1, "write `{` at the end of this line"))
        if found in ("EQUAL", "COLON"):
            result.append(Repair((), 1, f"leave `{shown(token.text)}` out"))
        after = machine.tokens[machine.at + 1] if found != "$END" else token
        if found == "DOT" and "NUMBER" in expected and after.kind == tables.terminal("DIGITS"):
            result.append(Repair((made("NUMBER", ""),), 2, f"write `0.{after.text}`"))
        if found == "COMMA":
            result.append(Repair((), 1, "leave the comma out, or write the value that is missing"))
        if "NAME" in expected:
            result.append(Repair((made("NAME", ""),), 0, f"write what is missing{place}"))
            if found not in ("_NEWLINE", "$END") and token.text not in _BRACKETS:
                result.append(Repair((stands("NAME"),), 1, "write a name or a value instead"))
        if found not in ("_NEWLINE", "$END") and token.text not in _BRACKETS:
            result.append(Repair((), 1, f"leave `{shown(token.text)}` out"))
        return result

    # ------------------------------------------------------------------------------------------------- next line
    def _skip(self, machine: Machine) -> bool:
        """Goes on at the end of this line or body, with the part of the step that was understood."""
        names = machine.tables.terminals
        name = Token(names.index("NAME"), machine.tokens[machine.at].start, machine.tokens[machine.at].start, "")
        for at in self._resting_places(machine):
            target = machine.tokens[at]
            for depth in range(len(machine.states), 0, -1):
                for put in ((name,), ()):
                    wanted = [*put, target]
                    if machine.accepts(machine.states[:depth], wanted) == len(wanted):
                        machine.cut(depth)
                        machine.tokens[machine.at : at] = put
                        return True
        return False

    def _resting_places(self, machine: Machine) -> list[int]:
        """Where parsing could be taken up again: the end of the step, else of the body, else of the file."""
        names = machine.tables.terminals
        ends = (names.index("_NEWLINE"), names.index("SEMICOLON"))
        last = len(machine.tokens) - 1
        places: list[int] = []
        depth = 0
        for at in range(machine.at, last):
            token = machine.tokens[at]
            if token.text == "{":
                depth += 1
            elif token.text == "}":
                depth -= 1
                if depth < 0:
                    places.append(at)
                    break
            elif depth == 0 and token.kind in ends and not places and at > machine.at:
                places.append(at)
        return [*places, last]

    # -------------------------------------------------------------------------------------------------- messages
    def _report(self, machine: Machine, token: Token, expected: list[str], repair: Repair | None) -> None:
        if self._said(machine, token):
            return
        names = machine.tables.terminals
        span = Span(self._source, token.start, token.end)
        if machine.start == "expression":
            expected = [each for each in expected if each not in ("$END", "_NEWLINE", "SEMICOLON")]
        wanted = expectation(expected)
        if names[token.kind] == "$END":
            code, found = "unexpected-end", "the file ends"
            span = self._behind(machine)
        elif names[token.kind] == "_NEWLINE":
            code, found = "unexpected-end", "the line ends"
            span = self._behind(machine)
        else:
            code, found = (
                "unexpected-token",
                f"`{shown(token.text or self._source.text[token.start : token.end])}` stands",
            )
        fixes: tuple[Fix, ...] = ()
        if repair and repair.text:
            fixes = (Fix(self._place(machine, token, repair), repair.text, repair.help),)
        message = f"{found} where {wanted} should stand" if wanted else f"{found} where nothing more fits"
        help = repair.help if repair else "the rest of this line was not read"
        self._bag.add(Diagnostic(code, span, message, help, fixes=fixes))

    def _behind(self, machine: Machine) -> Span:
        """The place behind what was read last."""
        before = [each.end for each in machine.tokens[: machine.at] if each.text.strip()]
        end = before[-1] if before else 0
        return Span(self._source, end, end)

    def _said(self, machine: Machine, token: Token) -> bool:
        """Whether what is missing here is a character that was refused already, or a bracket in this line."""
        before = machine.tokens[machine.at - 1].end if machine.at else 0
        spans = [each.span for each in self._bag if each.code == "unexpected-character"]
        if any(span is not None and before <= span.start < token.start for span in spans):
            return True
        line = self._source.position(token.start)[0]
        return any(each.code in _PAIRS and each.span is not None and each.span.line == line for each in self._bag)

    def _place(self, machine: Machine, token: Token, repair: Repair) -> Span:
        """Where a repair changes the text; what closes or separates is put right behind what stands before."""
        if repair.drop:
            return Span(self._source, token.start, token.end)
        before = machine.tokens[machine.at - 1].end if machine.at else token.start
        blank = not self._source.text[before : token.start].strip(" \t")
        at = before if blank and repair.text in _BEHIND else token.start
        return Span(self._source, at, at)


def _inserted(expected: list[str], token: Token) -> tuple[str, ...]:
    """What might be missing, the likeliest first: a colon before a type and behind a label."""
    if "RSQB" in expected or ("RPAR" in expected and token.text not in TYPES):
        return _INSERTED
    return ("COLON", *_INSERTED)


def _expected(machine: Machine) -> list[str]:
    """The terminals that could really be read now."""
    row = machine.tables.actions[machine.states[-1]]
    return [machine.tables.terminals[each] for each in sorted(row) if machine.accepts(machine.states, [each])]


def _misspelt(machine: Machine, token: Token, expected: list[str]) -> list[Repair]:
    """The word of the grammar that was probably meant."""
    from difflib import get_close_matches

    words = {SPELLINGS[each]: each for each in expected if SPELLINGS.get(each, "").isalpha()}
    found = get_close_matches(token.text.lower(), sorted(words), n=1, cutoff=0.6)
    return [
        Repair(
            (Token(machine.tables.terminal(words[each]), token.start, token.end, each),),
            1,
            f"did you mean `{each}`?",
            each,
        )
        for each in found
    ]
