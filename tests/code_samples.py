"""Bodies of code nodes, by hand and at random, and the trees of Python that they stand for."""

from __future__ import annotations

import ast
from typing import Any

from hypothesis import strategies as st

from specc.code import nodes as n
from specc.code.nodes import Literal, Name, assign, binary, call, compare, dotted, index, method, value

_LONG = [
    "in_channels",
    "out_channels",
    "intermediate_features",
    "a_rather_long_name_for_a_tensor",
    "self.downsample.norm1",
]
_BINARY = ["+", "-", "*", "/", "//", "%", "**", "@", "|", "&", "^", "<<", ">>"]
_COMPARE = ["<", "<=", "==", "!=", "in", "not in", "is", "is not"]


def _expressions() -> st.SearchStrategy[n.Expression]:
    names = st.sampled_from(["x", "y", "self.conv", "torch", *_LONG]).map(dotted)
    texts = st.text(st.sampled_from("ab \"'\\\n\téü漢{}"), max_size=30)
    numbers = st.integers(-5, 10**6) | st.floats(allow_nan=False, allow_infinity=False)
    plain = names | st.builds(Literal, numbers | texts | st.sampled_from([None, True, False, ...]))
    return st.recursive(names | names | plain, lambda inner: st.deferred(lambda: _larger(inner)), max_leaves=12)


def _larger(inner: st.SearchStrategy[n.Expression]) -> st.SearchStrategy[n.Expression]:
    items = st.lists(inner, max_size=4).map(tuple)
    starred = st.lists(inner | st.builds(n.Starred, inner), max_size=4).map(tuple)
    named = st.lists(
        st.tuples(st.sampled_from(["dim", "bias", "kernel_size"]), inner), max_size=2, unique_by=lambda k: k[0]
    )
    attribute = st.builds(n.Attribute, inner, st.sampled_from(["shape", "relu", "permute", "contiguous"]))
    part = st.none() | inner
    simple = st.builds(binary, st.sampled_from(_BINARY), st.sampled_from(_LONG).map(dotted), st.integers(0, 9))
    slices = inner | st.builds(n.Slice, part, part, part)
    loop_names = st.sampled_from([Name("i"), Name("_"), n.Tuple((Name("i"), Name("width")))])
    loops = st.lists(st.builds(n.Loop, loop_names, inner, part), min_size=1, max_size=2).map(tuple)
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
        st.builds(
            n.Dict, st.lists(st.tuples(st.sampled_from(["a", "key", "a longer key"]), inner), max_size=3).map(tuple)
        ),
        st.builds(n.ListOf, inner, loop_names, inner, part),
        st.builds(n.ListOf, inner, loop_names, inner, part, loops),
        st.builds(n.Unary, st.sampled_from(["-", "~", "not"]), inner),
        st.builds(n.Binary, st.sampled_from(_BINARY), inner, inner),
        st.builds(
            n.Compare, inner, st.lists(st.tuples(st.sampled_from(_COMPARE), inner), min_size=1, max_size=2).map(tuple)
        ),
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
    return tuple(
        part
        for place, part in enumerate(kept)
        if place == 0 or not isinstance(part, str) or not isinstance(kept[place - 1], str)
    )


def _bodies() -> st.SearchStrategy[n.Body]:
    simple = st.lists(_simple(), min_size=1, max_size=4).map(tuple)
    return st.recursive(simple, lambda inner: st.deferred(lambda: _blocks(inner)), max_leaves=5)


def _targets() -> st.SearchStrategy[n.Expression]:
    one = st.sampled_from(["x", "self.weight", *_LONG]).map(dotted) | st.builds(
        n.Index, st.just(Name("cache")), EXPRESSIONS
    )
    return one | st.lists(one, min_size=1, max_size=3).map(tuple).map(n.Tuple)


def _simple() -> st.SearchStrategy[n.Statement]:
    one, names = EXPRESSIONS, st.sampled_from(["x", *_LONG[:4]]).map(Name)
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
    one, docs = EXPRESSIONS, st.sampled_from(["", "One line.", "Two\n\n    lines.", 'Says "so"', "a \\ b"])
    parameter = st.builds(
        n.Parameter, st.text("abcdefgh_", min_size=1, max_size=20).map("p_".__add__), st.none() | one, st.none() | one
    )
    several = st.lists(parameter, max_size=4, unique_by=lambda p: p.name).map(_defaults_last)
    context = one.filter(lambda node: not isinstance(node, n.Tuple))
    contexts = st.lists(st.tuples(context, st.none() | st.just(Name("c"))), min_size=1, max_size=3).map(tuple)
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


EXPRESSIONS = st.deferred(_expressions)
BODIES = st.deferred(_bodies)

SIGNS: dict[str, Any] = {
    "+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "//": ast.FloorDiv, "%": ast.Mod, "**": ast.Pow,
    "@": ast.MatMult, "|": ast.BitOr, "&": ast.BitAnd, "^": ast.BitXor, "<<": ast.LShift, ">>": ast.RShift,
    "and": ast.And, "or": ast.Or,
    "<": ast.Lt, ">": ast.Gt, "<=": ast.LtE, "==": ast.Eq, "!=": ast.NotEq, "in": ast.In, "not in": ast.NotIn,
    "is": ast.Is, "is not": ast.IsNot,
}  # fmt: skip
UNARY: dict[str, Any] = {"-": ast.USub, "+": ast.UAdd, "~": ast.Invert, "not": ast.Not}


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
        case Literal(int() | float() as number) if str(number).startswith("-"):
            return ast.UnaryOp(ast.USub(), ast.Constant(-number))
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
        case n.ListOf(element, target, iterable, condition, inner):
            return ast.ListComp(to_ast(element), list(map(_loop, (n.Loop(target, iterable, condition), *inner))))
        case n.Unary(sign, operand):
            return ast.UnaryOp(UNARY[sign](), to_ast(operand))
        case n.Binary(sign, left, right):
            return ast.BinOp(to_ast(left), SIGNS[sign](), to_ast(right))
        case n.Compare(first, rest):
            return ast.Compare(to_ast(first), [SIGNS[sign]() for sign, _ in rest], [to_ast(x) for _, x in rest])
        case n.BoolOp(sign, values):
            return ast.BoolOp(SIGNS[sign](), to_ast(values))
        case n.Conditional(test, then, otherwise):
            return ast.IfExp(to_ast(test), to_ast(then), to_ast(otherwise))
        case n.FString(parts):
            return ast.JoinedStr(
                [ast.Constant(p) if isinstance(p, str) else ast.FormattedValue(to_ast(p), -1) for p in parts]
            )
    raise AssertionError(node)


def _loop(loop: n.Loop) -> Any:
    kept = [] if loop.condition is None else [to_ast(loop.condition)]
    return ast.comprehension(_expression(loop.target, True), to_ast(loop.iterable), kept, 0)


def _statement(node: Any) -> Any:
    match node:
        case n.Module(docstring, body):
            return ast.Module(_body(body, docstring) if docstring or to_ast(body) else [], [])
        case n.ExpressionStatement(given):
            return ast.Expr(to_ast(given))
        case n.Assign((target,), given, n.Expression() as annotation):
            return ast.AnnAssign(
                _expression(target, True), to_ast(annotation), to_ast(given), int(isinstance(target, Name))
            )
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
    return ast.FunctionDef(
        node.name, arguments, _body(node.body, node.docstring), to_ast(node.decorators), to_ast(node.returns)
    )


def _parameter(name: str, kind: str, default: Any = None) -> n.Parameter:
    return n.Parameter(name, dotted(kind), None if default is None else value(default))


_SELF, _X = n.Parameter("self"), Name("x")
_INIT = n.ExpressionStatement(n.Call(n.Attribute(call("super"), "__init__")))
_GROWTH = n.Traced(32, Name("growth"))

_MODULE: n.Body = (
    n.Comment("From dense.net."),
    n.Import("math"),
    n.Import("torch"),
    n.Import("torch.nn.functional", "F"),
    n.ImportFrom("torch", (("Tensor", ""), ("nn", ""))),
    assign("__all__", ["DenseLayer"]),
    n.ClassDef(
        "DenseLayer",
        (dotted("nn.Module"),),
        (
            n.FunctionDef(
                "__init__",
                (
                    _SELF,
                    _parameter("in_channels", "int"),
                    _parameter("growth", "int", 32),
                    _parameter("dropout", "float", 1e-05),
                ),
                (
                    _INIT,
                    assign("self.conv1", call("nn.Conv2d", Name("in_channels"), 4 * _GROWTH, 1, bias=False)),
                    n.Blank(),
                    n.Comment("Grouped, as in the paper."),
                    assign(
                        "self.conv2",
                        call(
                            "nn.Conv2d", 4 * _GROWTH, _GROWTH, (3, 3), padding=(1, 1), padding_mode="reflect", groups=4
                        ),
                    ),
                    n.Assign((dotted("self.scale"),), Literal(0.5), Name("float")),
                ),
                Literal(None),
            ),
            n.FunctionDef(
                "forward",
                (_SELF, _parameter("x", "Tensor")),
                (
                    assign(("batch", "channels"), index("x.shape", slice(None, 2))),
                    n.If(
                        compare(binary("%", index("x.shape", 2), 8), "!=", 0),
                        (
                            n.Raise(
                                call(
                                    "ValueError",
                                    n.FString(("the height must be a multiple of 8, not ", index("x.shape", 2))),
                                )
                            ),
                        ),
                    ),
                    assign("y", call("self.conv2", call("F.relu", call("self.conv1", _X)))),
                    n.Return(call("torch.cat", (_X, Name("y")), dim=1)),
                ),
                Name("Tensor"),
                "Adds channels.\n\nx: [batch, channels, H, W]",
            ),
        ),
        "One layer of a dense block.",
    ),
    n.If(compare(Name("__name__"), "==", "__main__"), (n.ExpressionStatement(call("print", call("DenseLayer", 64))),)),
)

_LONG_NAME = Name("a_rather_long_name_for_the_tensor_that_comes_in")

_WIDE: n.Body = (
    n.Return(n.Tuple((_LONG_NAME, call("self.head", _LONG_NAME)))),
    n.Return(n.Tuple((_LONG_NAME, _LONG_NAME, Name("y")))),
    n.Return(n.Dict((("logits", _LONG_NAME), ("features", binary("+", _LONG_NAME, _LONG_NAME))))),
    assign(("first", "second"), call("torch.chunk", _LONG_NAME, 2, dim=n.Unary("-", Name("axis_of_the_channels")))),
    assign("x", binary("+", method(_LONG_NAME, "mean"), method(_LONG_NAME, "amax"), 1)),
    assign("x", binary("*", 2, call("self.attention", _LONG_NAME, _LONG_NAME, need_weights=False))),
    assign("x", method(method(method(_LONG_NAME, "reshape", 1, 2, 3, 4), "permute", 0, 2, 1, 3), "flatten", 2)),
    assign("x", n.Conditional(Name("training"), call("F.dropout", _LONG_NAME, 0.5), call("self.norm", _LONG_NAME))),
    assign("x", n.BoolOp("and", (compare(_LONG_NAME, "<", 3), n.Unary("not", compare(_LONG_NAME, ">", 5))))),
    assign("self.a_parameter_of_the_module", dotted("self.another_module_of_the_network.projection.weight")),
    assign("self.widths", [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144]),
    assign("table", n.List(tuple(value([i, i + 1, i + 2]) for i in range(6)))),
    n.Assert(
        compare(_LONG_NAME, "==", 3), Literal("the tensor that comes in has three channels, and this one has not")
    ),
    n.Raise(
        call("ValueError", "a message that is far too long for one line of a Python program, by quite a bit"),
        Name("error"),
    ),
    n.With(
        (
            (call("torch.no_grad"), None),
            (call("torch.autocast", "cuda", dtype=dotted("torch.bfloat16")), Name("context")),
        ),
        (_INIT,),
    ),
    n.For(
        value((Name("i"), Name("block"))),
        call("enumerate", dotted("self.blocks_of_the_encoder"), start=Name("first_one_of_them")),
        (_INIT,),
    ),
    n.Assign(
        (Name("sizes"),),
        n.ListOf(binary("//", Name("s"), 2), Name("s"), Name("sizes_of_the_input"), compare(Name("s"), ">", Name("t"))),
        index("list", Name("int")),
    ),
    assign(
        "index",
        n.ListOf(
            binary("+", binary("*", 13, binary("-", Name("q"), Name("k"))), Name("q"), 6),
            Name("q"),
            call("range", 49),
            compare(Name("q"), "!=", 7),
            (n.Loop(n.Tuple((Name("k"), Name("j"))), call("enumerate", Name("apart"))),),
        ),
    ),
    n.ExpressionStatement(
        call("self.register_buffer", "relative_position_index", call("torch.zeros", 49, 49), persistent=False)
    ),
    n.ImportFrom(
        "torch.nn.utils.parametrizations", tuple((name, "") for name in ("orthogonal", "spectral_norm", "weight_norm"))
    ),
)

_SPACING: n.Body = (
    n.Import("torch"),
    n.Comment("After an import."),
    assign("x", 1),
    n.Blank(),
    n.Blank(),
    assign("y", 2),
    n.FunctionDef("f", (), ()),
    n.FunctionDef("g", (), (n.Blank(), n.FunctionDef("inner", (), (n.Return(),)), n.Return(Name("inner")))),
    n.Comment("Of the class."),
    n.ClassDef("A", (), (n.Comment("Only a comment."),)),
    n.ClassDef("B", (), (), "Only a docstring."),
    n.ClassDef(
        "C",
        (),
        (assign("x", 1), n.FunctionDef("f", (_SELF,), (), decorators=(Name("property"),)), assign("y", 2)),
        "Both.",
    ),
    n.If(Name("x"), (n.Blank(), n.ClassDef("D", (), ())), (n.If(Name("y"), (assign("z", 1),), (assign("z", 2),)),)),
    n.Comment("The end."),
)

SAMPLES: dict[str, n.Body] = {"module": _MODULE, "wide": _WIDE, "spacing": _SPACING}
