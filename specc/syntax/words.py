"""How the grammar's terminals are called when speaking to people."""

from __future__ import annotations

from collections.abc import Iterable

SPELLINGS = {
    "COLON": ":", "COMMA": ",", "DOT": ".", "DOUBLE_SLASH": "//", "EQUAL": "=", "LBRACE": "{", "LPAR": "(",
    "LSQB": "[", "MINUS": "-", "PERCENT": "%", "PLUS": "+", "POWER": "**", "RBRACE": "}", "RPAR": ")", "RSQB": "]",
    "SEMICOLON": ";", "SLASH": "/", "STAR": "*", "ARROW": "->",
    "AND": "and", "OR": "or", "NOT": "not", "TRUE": "true", "FALSE": "false",
    "PARAMETER": "parameter", "BUFFER": "buffer", "_AS": "as", "_AT": "at", "_BLOCK": "block", "_ELSE": "else",
    "_EXPECT": "expect", "_EXPORT": "export", "_FOR": "for", "_FROM": "from", "_IF": "if", "_IMPORT": "import",
    "_IN": "in", "_INPUT": "input", "_LET": "let", "_NETWORK": "network", "_OUTPUT": "output",
    "_PARALLEL": "parallel", "_REPEAT": "repeat", "_TRAIN": "train", "_TRAINING": "training", "_VALID": "valid",
    "_WHEN": "when", "_WHERE": "where",
}  # fmt: skip
_KINDS = {
    "COMPARES": "a comparison",
    "DIGITS": "a number",
    "DTYPE": "`int`, `float` or `bool`",
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a string",
    "_NEWLINE": "the end of the line",
    "BLANK": "a blank",
    "COMMENT": "a comment",
    "CONTINUATION": "the end of the line",
    "$END": "the end of the file",
}
_VALUES = frozenset(
    ["NUMBER", "STRING", "NAME", "LPAR", "LSQB", "MINUS", "NOT", "TRUE", "FALSE", "STAR", "LBRACE", "_PARALLEL"]
)
_STEPS = frozenset(["NAME", "_IF", "_REPEAT", "_FOR", "_LET", "_INPUT", "_OUTPUT", "PARAMETER", "BUFFER", "_WHERE"])
_DECLARATIONS = frozenset(["_BLOCK", "_NETWORK", "_LET", "_IMPORT", "_TRAIN", "_EXPORT"])
_GOES_ON = frozenset(
    [
        "PLUS",
        "MINUS",
        "STAR",
        "SLASH",
        "DOUBLE_SLASH",
        "PERCENT",
        "POWER",
        "COMPARES",
        "AND",
        "OR",
        "DOT",
        "LPAR",
        "LSQB",
        "_IF",
        "ARROW",
        "_FOR",
        "_AS",
    ]
)


def word(terminal: str) -> str:
    """One terminal in words: `,` as "a comma", `_NETWORK` as "`network`"."""
    if terminal == "COMMA":
        return "a comma"
    spelling = SPELLINGS.get(terminal)
    return f"`{spelling}`" if spelling else _KINDS[terminal]


def expectation(terminals: Iterable[str]) -> str:
    """What could stand somewhere, in few words: "a comma or `)`".

    >>> expectation(["COMMA", "RPAR", "PLUS", "STAR", "DOT"])
    'a comma or `)`'
    """
    left = set(terminals)
    said: list[str] = []
    for names, spoken in ((_DECLARATIONS, "a declaration"), (_STEPS, "a step"), (_VALUES - {"STAR"}, "a value")):
        if len(names & left) > len(names) // 2:
            said.append(spoken)
            left -= _STEPS | _VALUES if spoken == "a step" else _VALUES if spoken == "a value" else names
    if "LSQB" in left and not said and not left & {"RPAR", "DOT"}:
        said.append("a list")
        left -= {"LSQB"}
    if left - _GOES_ON or said:
        left -= _GOES_ON
    left -= {"SEMICOLON"} if "_NEWLINE" in left else set()
    if {"_EXPECT", "_NEWLINE"} <= left:
        left -= {"_EXPECT", "_WHEN", "_AT", "$END"}
    if left & _GOES_ON:
        left -= _GOES_ON
        said.append("an operator")
    words = said + [word(each) for each in sorted(left, key=_order)]
    if len(words) > 4:
        words = [*words[:3], "something of the kind"]
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _order(terminal: str) -> tuple[int, str]:
    first = ["NAME", "STRING", "NUMBER", "COMMA", "COLON", "EQUAL", "RPAR", "RSQB", "LBRACE", "RBRACE"]
    return (first.index(terminal) if terminal in first else len(first), terminal)
