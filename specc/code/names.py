"""Names for generated code: one valid identifier for each thing, never a keyword and never the same twice."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Hashable, Iterable

_BUILTINS = frozenset(
    {
        "abs", "all", "any", "bool", "bytes", "callable", "dict", "enumerate", "float", "getattr", "hasattr", "int",
        "isinstance", "iter", "len", "list", "map", "max", "min", "next", "object", "pow", "print", "property",
        "range", "repr", "reversed", "round", "set", "setattr", "sorted", "str", "sum", "super", "tuple", "type",
        "zip", "ArithmeticError", "AssertionError", "Exception", "IndexError", "KeyError", "NotImplementedError",
        "RuntimeError", "TypeError", "ValueError",
    }
)  # fmt: skip
_NUMBERED = re.compile(r"^(.*\D)_([1-9]\d*)$")


class Namespace:
    """Gives names from hints: `relu`, then `relu_1`, `relu_2`; `lambda` becomes `lambda_` and `3d` `_3d`.

    Builtins that generated code calls (`min`, `super` …) are kept free; others (`input`, `filter`) may be names.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._names: dict[Hashable, str] = {}

    def name(self, hint: str, of: Hashable = None) -> str:
        """A name that nothing else has; asked again `of` the same thing, the same name."""
        if of is not None and of in self._names:
            return self._names[of]
        found = self._free(identifier(hint))
        self._taken.add(found)
        if of is not None:
            self._names[of] = found
        return found

    def inner(self) -> Namespace:
        """A scope within this one: what is named here is not named there again."""
        scope = Namespace(self._taken)
        scope._names = dict(self._names)
        return scope

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def _free(self, name: str) -> str:
        if name not in self._taken:
            return name
        numbered = _NUMBERED.match(name)
        stem, number = (numbered[1], int(numbered[2]) + 1) if numbered else (name.rstrip("_") or name, 1)
        while f"{stem}_{number}" in self._taken:
            number += 1
        return f"{stem}_{number}"


def identifier(hint: str) -> str:
    """The hint as an identifier: what cannot stand in one becomes `_`, keywords and builtins get a `_` at the end."""
    text = "".join(c if f"_{c}".isidentifier() else "_" for c in unicodedata.normalize("NFKC", hint))
    if not text.isidentifier() and not keyword.iskeyword(text):
        text = f"_{text}"
    return f"{text}_" if keyword.iskeyword(text) or text in _BUILTINS else text


def camel_case(name: str) -> str:
    """`conv_bn` -> `ConvBn`, `res_net18` -> `ResNet18`; capitals that are there stay: `ConvBN` -> `ConvBN`."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", name))
