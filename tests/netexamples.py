"""Specs that the tests of the language share, and random trees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from specc.syntax import tree
from specc.syntax.spell import spell
from specc.text.source import Source, Span

EXAMPLES = {
    file.stem: file.read_text(encoding="utf-8") for file in sorted((Path(__file__).parent / "examples").glob("*.net"))
}
_SPAN = Span(Source("made.net", ""), 0, 0)
_NAMES = st.sampled_from(
    ["a", "b", "conv", "relu", "input", "output", "block", "x1", "Big", "H", "expect", "at", "width", "repeat"]
)
_PLAIN = st.sampled_from(["a", "b", "conv", "relu", "x1", "Big", "H"])


def _made(kind: type[Any], *parts: Any) -> st.SearchStrategy[Any]:
    return st.builds(lambda *given: kind(_SPAN, *given), *parts)


def _tuples(items: st.SearchStrategy[Any], least: int = 0, most: int = 3) -> st.SearchStrategy[Any]:
    return st.lists(items, min_size=least, max_size=most).map(tuple)


def _expressions(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(leaf, _compound, max_leaves=8)


def _compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    arguments = _tuples(st.one_of(_made(tree.Argument, st.just(""), inner), _made(tree.Argument, _NAMES, inner)))
    optional = st.one_of(st.none(), inner)
    bound = st.one_of(st.none(), inner.filter(lambda node: not spell(node).endswith(("true", "false"))))
    arithmetic = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "and", "or", "==", "<="])
    return st.one_of(
        _made(tree.Binary, arithmetic, inner, inner),
        _made(tree.Unary, st.sampled_from(["-", "not"]), inner),
        _made(tree.Choice, inner, inner, inner),
        _made(tree.Call, inner, arguments),
        _made(tree.Index, inner, _tuples(st.one_of(inner, _made(tree.Slice, bound, bound, optional)), 1)),
        _made(tree.Attribute, inner, _NAMES, st.just(_SPAN)),
        _made(tree.List, _tuples(st.one_of(inner, _made(tree.Star, inner)))),
        _made(tree.Comprehension, inner, _tuples(_PLAIN, 1, 2), inner, optional),
        _made(tree.Chain, _tuples(inner, 2)),
    )


_NUMBER = _made(tree.Number, st.one_of(st.integers(0, 10**12), st.floats(0, 1e9, allow_nan=False)))
_TEXT = _made(
    tree.Text, st.text(st.characters(min_codepoint=9, max_codepoint=0x2FF, exclude_categories=["Cc"]), max_size=8)
)
_LEAF = st.one_of(_NUMBER, _TEXT, _made(tree.Truth, st.booleans()), _made(tree.Name, _PLAIN))
_EXPR = _expressions(_LEAF)
_SHAPE = _made(
    tree.List, _tuples(st.one_of(_NUMBER, _made(tree.Name, _PLAIN), _made(tree.Star, _made(tree.Name, _PLAIN))))
)
_NAMED = st.builds(lambda name, value: tree.Argument(_SPAN, name, value), _NAMES, _EXPR)
_CLAIM = st.one_of(
    _made(tree.Claim, st.just("shape"), _SHAPE),
    _made(tree.Claim, st.sampled_from(["params", "valid", "macs"]), _EXPR),
)
_EXPECTS = _tuples(_made(tree.Expect, _tuples(_CLAIM, 1), _tuples(_NAMED, 0, 2)), 0, 2)
_LABEL = st.one_of(
    _made(tree.Label, _NAMES.map(lambda name: (name,)), st.just(False)),
    _made(tree.Label, st.tuples(st.sampled_from(["layer", "a{b}", "-"]), _made(tree.Name, _PLAIN)), st.just(True)),
)
_DTYPE = st.sampled_from(["float", "int", "bool"])
_SPANNED = st.just(_SPAN)


def _lines(body: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    layers = st.one_of(_EXPR, _made(tree.Group, body), _made(tree.Parallel, body))
    value = st.one_of(layers, _made(tree.Chain, _tuples(layers, 2)))
    alias = st.one_of(st.just(""), _PLAIN)
    return st.one_of(
        st.builds(
            lambda labels, value, alias, expects: tree.Line(_SPAN, labels, value, alias, expects=expects),
            _tuples(_LABEL, 0, 2), value, alias, _EXPECTS,
        ),
        st.builds(
            lambda label, value, training: tree.Line(_SPAN, (label,), value, output=True, training=training),
            _LABEL, value, st.booleans(),
        ),
    )  # fmt: skip


def _statements(body: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        _lines(body),
        _made(tree.If, _EXPR, body, st.one_of(st.none(), body)),
        _made(tree.Repeat, _made(tree.Number, st.integers(0, 9)), body),
        _made(tree.For, _tuples(_PLAIN, 1, 2), _EXPR, body),
        _made(tree.Where, _EXPR),
        _made(tree.Input, _NAMES, _SPANNED, _DTYPE, _SHAPE, st.one_of(st.none(), _EXPR)),
        _made(
            tree.Weight, st.sampled_from(["parameter", "buffer"]), _NAMES, _SPANNED, _DTYPE, _SHAPE,
            _tuples(_NAMED, 0, 2), st.one_of(st.none(), _EXPR),
        ),
        _made(tree.Publish, _made(tree.Name, _PLAIN), st.booleans(), _EXPECTS),
        _made(tree.Let, _PLAIN, _SPANNED, st.one_of(st.none(), _tuples(_PARAMETER)), _EXPR),
    )  # fmt: skip


_PARAMETER = _made(
    tree.Parameter, _PLAIN, st.sampled_from(["", "int", "block", "list"]), st.one_of(st.none(), _LEAF)
)  # fmt: skip
_BODY = st.deferred(lambda: _made(tree.Body, _tuples(_statements(_INNER), 0, 4)))
_INNER = _made(tree.Body, _tuples(_lines(_made(tree.Body, _tuples(_made(tree.Line, st.just(()), _EXPR), 0, 2))), 0, 2))


class Spelled:
    """A random tree that shows itself as text."""

    def __init__(self, file: tree.File) -> None:
        self.file = file
        self.text = spell(file)

    def __repr__(self) -> str:
        return self.text


@st.composite
def trees(draw: st.DrawFn) -> Spelled:
    """Random files that follow the grammar, whatever they would mean."""
    return Spelled(draw(_FILE))


def _files() -> st.SearchStrategy[tree.File]:
    parameters = _tuples(_PARAMETER)
    signature = st.one_of(st.none(), _made(tree.Signature, _SHAPE, st.one_of(st.none(), _SHAPE)))
    setting = _made(tree.Setting, st.sampled_from(["data", "loss", "optimizer.lr"]), _SPANNED, _tuples(_NAMED, 0, 3))
    imported = _made(tree.ImportedName, _PLAIN, st.one_of(st.just(""), _PLAIN))
    declaration = st.one_of(
        _made(tree.Let, _PLAIN, _SPANNED, st.one_of(st.none(), parameters), _EXPR),
        _made(tree.Block, _PLAIN, _SPANNED, parameters, signature, _BODY),
        _made(tree.Network, _PLAIN, _SPANNED, parameters, _BODY, _EXPECTS),
        _made(tree.Alias, _PLAIN, _SPANNED, _EXPR, _EXPECTS),
        _made(
            tree.Section,
            st.just("train"),
            st.sampled_from(["", "tune"]),
            st.sampled_from(["", "Big"]),
            _tuples(setting),
        ),
        _made(tree.Import, _tuples(imported, 1), st.sampled_from(["residual", "a"]), st.booleans(), _SPANNED),
    )
    return _made(tree.File, _tuples(declaration, 0, 4))


_FILE = _files()
