"""Bodies of code nodes, by hand and at random, and the trees of Python that they stand for."""

from __future__ import annotations

import ast
from typing import Any

from hypothesis import strategies as st

from specc.code import nodes as n
from specc.code.nodes import Literal, Name, assign, binary, call, compare, dotted, index, method, value

_LONG = ["in_channels", "out_channels", "intermediate_features", "a_rather_long_name_for_a_tensor", "self.downsample.norm1"]
_BINARY = ["+", "-", "*", "/", "//", "%", "**", "@", "|", "&", "^", "<<", ">>"]
_COMPARE = ["<", "<=", "==", "!=", "in", "not in", "is", "is not"]


def expressions() -> st.SearchStrategy[n.Expression]:
    names = st.sampled_from(["x", "y", "self.conv", "torch", *_LONG]).map(dotted)
    texts = st.text(st.sampled_from("ab \"'\\\n\téü漢{}"), max_size=30)
    numbers = st.integers(-5, 10**6) | st.floats(allow_nan=False, allow_infinity=False)
    plain = names | st.builds(Literal, numbers | texts | st.sampled_from([None, True, False, ...]))
    return st.recursive(names | names | plain, _larger, max_leaves=12)


def _larger(inner: st.SearchStrategy[n.Expression]) -> st.SearchStrategy[n.Expression]:
    items = st.lists(inner, max_size=4).map(tuple)
    starred = st.lists(inner | st.builds(n.Starred, inner), max_size=4).map(tuple)
    named = st.lists(st.tuples(st.sampled_from(["dim", "bias", "kernel_size"]), inner), max_size=2, unique_by=lambda k: k[0])
    attribute = st.builds(n.Attribute, inner, st.sampled_from(["shape", "relu", "permute", "contiguous"]))
    part = st.none() | inner
    simple = st.builds(binary, st.sampled_from(_BINARY), st.sampled_from(_LONG).map(dotted), st.integers(0, 9))
    slices = inner | st.builds(n.Slice, part, part, part)
    chain = st.lists(st.tuples(st.sampled_from(["view", "transpose", "contiguous"]), items), min_size=1, max_size=4)
    return st.one_of(
        attribute,
        st.builds(_chained, inner, chain),
        st.builds(n.FString, st.lists(st.text("ab'{\"", max_size=9) | simple, max_size=3).map(_apart)),
        st.builds(n.Call, inner | attribute, starred, named.map(tuple)),
        st.builds(n.Call, attribute, items, named.map(tuple)),
        st.builds(n.Index, inner, slices | st.lists(slices, min_size=1, max_size=3).map(tuple).map(n.Tuple)),
        st.builds(n.Tuple, starred),
        st.builds(n.List, starred),
        st.builds(n.Dict, st.lists(st.tuples(st.sampled_from(["a", "key", "a longer key"]), inner), max_size=3).map(tuple)),
        st.builds(n.ListOf, inner, st.sampled_from(["i", "_"]).map(Name), inner, part),
        st.builds(n.Unary, st.sampled_from(["-", "~", "not"]), inner),
        st.builds(n.Binary, st.sampled_from(_BINARY), inner, inner),
        st.builds(n.Compare, inner, st.lists(st.tuples(st.sampled_from(_COMPARE), inner), min_size=1, max_size=2).map(tuple)),
        st.builds(n.BoolOp, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=4).map(tuple)),
        st.builds(n.Conditional, inner, inner, inner),
    )


def _chained(node: n.Expression, calls: list[tuple[str, tuple[n.Expression, ...]]]) -> n.Expression:
    for name, given in calls:
        node = n.Call(n.Attribute(node, name), given)
    return node


def _apart(parts: list[str | n.Expression]) -> tuple[str | n.Expression, ...]:
    """No two texts side by side and none empty, which an f-string could not tell from one."""
    kept = [part for part in parts if part != ""]
    return tuple(part for place, part in enumerate(kept) if place == 0 or not isinstance(part, str) or not isinstance(kept[place - 1], str))


def bodies() -> st.SearchStrategy[n.Body]:
    simple = st.lists(_simple(), min_size=1, max_size=4).map(tuple)
    return st.recursive(simple, _blocks, max_leaves=5)


def _targets() -> st.SearchStrategy[n.Expression]:
    one = st.sampled_from(["x", "self.weight", *_LONG]).map(dotted) | st.builds(n.Index, st.just(Name("cache")), expressions())
    return one | st.lists(one, min_size=1, max_size=3).map(tuple).map(n.Tuple)


def _simple() -> st.SearchStrategy[n.Statement]:
    one, names = expressions(), st.sampled_from(["x", *_LONG[:4]]).map(Name)
    aliases = st.tuples(st.sampled_from(["nn", "functional", "a_module_of_a_long_name"]), st.sampled_from(["", "F"]))
    return st.one_of(
        st.builds(n.Assign, st.lists(_targets(), min_size=1, max_size=3).map(tuple), one),
        st.builds(n.Assign, _targets().map(lambda target: (target,)), one),
        st.builds(n.Assign, names.map(lambda name: (name,)), one | st.none(), one),
        st.builds(n.Return, one | st.lists(one, min_size=1, max_size=3).map(tuple).map(n.Tuple)),
        st.builds(n.Raise, one, st.none() | one),
        st.builds(n.Assert, one, st.none() | one),
        st.builds(n.ExpressionStatement, one),
        st.builds(n.Import, st.just("torch.nn"), st.sampled_from(["", "nn"])),
        st.builds(n.ImportFrom, st.just("torch.nn.utils"), st.lists(aliases, min_size=1, max_size=4).map(tuple)),
        st.builds(n.Comment, st.sampled_from(["a note", "two\nlines"])),
        st.just(n.Blank()),
    )


def _blocks(inner: st.SearchStrategy[n.Body]) -> st.SearchStrategy[n.Body]:
    one, docs = expressions(), st.sampled_from(["", "One line.", "Two\n\n    lines.", 'Says "so"', "a \\ b"])
    parameter = st.builds(n.Parameter, st.text("abcdefgh_", min_size=1, max_size=20).map("p_".__add__), st.none() | one, st.none() | one)
    several = st.lists(parameter, max_size=4, unique_by=lambda p: p.name).map(_defaults_last)
    contexts = st.lists(st.tuples(one, st.none() | st.just(Name("c"))), min_size=1, max_size=3).map(tuple)
    block = st.one_of(
        st.builds(n.If, one, inner, inner | st.just(())),
        st.builds(n.For, st.just(Name("i")) | st.just(value((Name("i"), Name("x")))), one, inner),
        st.builds(n.With, contexts, inner),
        st.builds(n.ClassDef, st.just("Net"), st.lists(one, max_size=2).map(tuple), inner, docs),
        st.builds(
            n.FunctionDef,
            st.sampled_from(["forward", "a_function_of_a_somewhat_longer_name"]),
            several,
            inner,
            st.none() | one,
            docs,
            st.none() | st.just(n.Parameter("rest")),
            st.just(()) | st.just((n.Parameter("p", Name("int"), Literal(3)), n.Parameter("q"))),
            st.lists(one, max_size=1).map(tuple),
        ),
    )
    return st.lists(block.map(lambda node: (node,)) | inner, min_size=1, max_size=3).map(
        lambda parts: tuple(node for part in parts for node in part)
    )


def _defaults_last(parameters: list[n.Parameter]) -> tuple[n.Parameter, ...]:
    return tuple(sorted(parameters, key=lambda parameter: parameter.default is not None))


_SIGNS: dict[str, Any] = {
    "+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "//": ast.FloorDiv, "%": ast.Mod, "**": ast.Pow, "@": ast.MatMult,
    "|": ast.BitOr, "&": ast.BitAnd, "^": ast.BitXor, "<<": ast.LShift, ">>": ast.RShift, "and": ast.And, "or": ast.Or,
    "<": ast.Lt, "<=": ast.LtE, "==": ast.Eq, "!=": ast.NotEq, "in": ast.In, "not in": ast.NotIn, "is": ast.Is, "is not": ast.IsNot,
}  # fmt: skip
_UNARY: dict[str, Any] = {"-": ast.USub, "+": ast.UAdd, "~": ast.Invert, "not": ast.Not}


def to_ast(node: Any) -> Any:
    """The tree of the standard library for a node, written without the printer's knowledge."""
    if isinstance(node, tuple):
        return [to_ast(item) for item in node if not isinstance(item, n.Comment | n.Blank)]
    return _expression(node) if isinstance(node, n.Expression) else None if node is None else _statement(node)


def _expression(node: n.Expression, store: bool = False) -> Any:
    context = ast.Store() if store else ast.Load()
    match node:
        case Name(name):
            return ast.Name(name, context)
        case Literal(given):
            return ast.Constant(given)
        case n.Attribute(inner, name):
            return ast.Attribute(to_ast(inner), name, context)
        case n.Call(function, given, keywords):
            return ast.Call(to_ast(function), to_ast(given), [ast.keyword(k, to_ast(v)) for k, v in keywords])
        case n.Index(inner, item):
            return ast.Subscript(to_ast(inner), to_ast(item), context)
        case n.Slice(start, stop, step):
            return ast.Slice(to_ast(start), to_ast(stop), to_ast(step))
        case n.Starred(inner):
            return ast.Starred(to_ast(inner), context)
        case n.Tuple(items) | n.List(items):
            kind: Any = ast.Tuple if isinstance(node, n.Tuple) else ast.List
            return kind([_expression(item, store) for item in items], context)
        case n.Dict(pairs):
            return ast.Dict([ast.Constant(key) for key, _ in pairs], [to_ast(item) for _, item in pairs])
        case n.ListOf(element, target, iterable, condition):
            kept = [] if condition is None else [to_ast(condition)]
            return ast.ListComp(to_ast(element), [ast.comprehension(_expression(target, True), to_ast(iterable), kept, 0)])
        case n.Unary(sign, operand):
            return ast.UnaryOp(_UNARY[sign](), to_ast(operand))
        case n.Binary(sign, left, right):
            return ast.BinOp(to_ast(left), _SIGNS[sign](), to_ast(right))
        case n.Compare(first, rest):
            return ast.Compare(to_ast(first), [_SIGNS[sign]() for sign, _ in rest], [to_ast(x) for _, x in rest])
        case n.BoolOp(sign, values):
            return ast.BoolOp(_SIGNS[sign](), to_ast(values))
        case n.Conditional(test, then, otherwise):
            return ast.IfExp(to_ast(test), to_ast(then), to_ast(otherwise))
        case n.FString(parts):
            return ast.JoinedStr([ast.Constant(p) if isinstance(p, str) else ast.FormattedValue(to_ast(p), -1) for p in parts])
    raise AssertionError(node)


def _statement(node: Any) -> Any:
    match node:
        case n.Module(docstring, body):
            return ast.Module(_body(body, docstring), [])
        case n.ExpressionStatement(given):
            return ast.Expr(to_ast(given))
        case n.Assign((target,), given, n.Expression() as annotation):
            return ast.AnnAssign(_expression(target, True), to_ast(annotation), to_ast(given), int(isinstance(target, Name)))
        case n.Assign(targets, given):
            return ast.Assign([_expression(target, True) for target in targets], to_ast(given))
        case n.Return(given):
            return ast.Return(to_ast(given))
        case n.Raise(exception, cause):
            return ast.Raise(to_ast(exception), to_ast(cause))
        case n.Assert(test, message):
            return ast.Assert(to_ast(test), to_ast(message))
        case n.Import(module, alias):
            return ast.Import([ast.alias(module, alias or None)])
        case n.ImportFrom(module, names):
            return ast.ImportFrom(module, [ast.alias(name, alias or None) for name, alias in names], 0)
        case n.If(test, body, otherwise):
            return ast.If(to_ast(test), _body(body), _body(otherwise) if otherwise else [])
        case n.For(target, iterable, body):
            return ast.For(_expression(target, True), to_ast(iterable), _body(body), [])
        case n.With(items, body):
            given = [ast.withitem(to_ast(context), target and _expression(target, True)) for context, target in items]
            return ast.With(given, _body(body))
        case n.ClassDef(name, bases, body, docstring, decorators):
            return ast.ClassDef(name, to_ast(bases), [], _body(body, docstring), to_ast(decorators))
        case n.FunctionDef():
            return _function(node)
    raise AssertionError(node)


def _body(body: n.Body, docstring: str = "") -> list[Any]:
    import inspect

    text = inspect.cleandoc(docstring)
    found = [ast.Expr(ast.Constant(text))] if text else []
    return found + (to_ast(body) or ([] if found else [ast.Pass()]))


def _function(node: n.FunctionDef) -> Any:
    def argument(parameter: n.Parameter) -> ast.arg:
        return ast.arg(parameter.name, to_ast(parameter.annotation))

    arguments = ast.arguments(
        [],
        [argument(parameter) for parameter in node.parameters],
        node.variadic and argument(node.variadic),
        [argument(parameter) for parameter in node.keyword_only],
        [to_ast(parameter.default) for parameter in node.keyword_only],
        None,
        [to_ast(parameter.default) for parameter in node.parameters if parameter.default is not None],
    )
    return ast.FunctionDef(node.name, arguments, _body(node.body, node.docstring), to_ast(node.decorators), to_ast(node.returns))


SAMPLES: dict[str, n.Body] = {}
