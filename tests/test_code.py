"""Generated source means what its nodes say and is what `ruff format` would leave alone."""

from __future__ import annotations

import ast
import math
import re
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from shutil import which

import pytest
from code_samples import BODIES, EXPRESSIONS, SAMPLES, SIGNS, UNARY, to_ast
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from specc.code import nodes
from specc.code.names import Namespace, camel_case, identifier
from specc.code.nodes import Literal, Name, Traced, TracedFloat, binary, call, index, method, value
from specc.code.printer import print_body, print_expression, print_module
from specc.code.reckon import reckoned
from specc.model.elaborate.body import snake as of_block

RUFF = which("ruff") or which("ruff", path=sysconfig.get_path("scripts"))
needs_ruff = pytest.mark.skipif(RUFF is None, reason="ruff is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
growth, width = Traced(32, Name("growth")), Traced(64, Name("width"))


def formatted(texts: list[str]) -> list[str]:
    """What `ruff format` with its default settings makes of each text, in one process."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"module_{place}.py") for place in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text, encoding="utf-8")
        assert RUFF is not None
        done = subprocess.run([RUFF, "format", "--isolated", "--no-cache", folder], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [file.read_text(encoding="utf-8") for file in files]


def check_layout(module: nodes.Module) -> None:
    """Ruff keeps the text, and makes the same text of one with every statement on a single line."""
    text = print_module(module)
    kept, made = formatted([text, print_module(module, width=1_000_000)])
    assert kept == text
    assert made == text


@needs_ruff
@pytest.mark.parametrize("name", SAMPLES)
def test_sample_is_stable(name: str) -> None:
    check_layout(nodes.Module("", SAMPLES[name]))


@needs_ruff
def test_table_is_stable() -> None:
    """Numbers stay many to a line, at every length of the last one, also inside of a class."""
    numbers = (0.5, -1, 2, True, 1e-05, 10**9)
    tables = tuple(nodes.Table(f"T{many}", (numbers * 20)[:many]) for many in (1, 2, *range(90, 120)))
    module = nodes.Module("", (nodes.Import("torch"), *tables, nodes.ClassDef("A", (), tables)))
    text = print_module(module)
    assert formatted([text]) == [text]
    assert max(map(len, text.splitlines())) <= 88
    assert text.count("\n") < 700
    room: dict[str, list[object]] = {}
    exec(print_body(tables), room)
    for each in tables:
        assert room[each.name] == list(each.numbers)


@pytest.mark.parametrize(
    "text",
    [
        "[13 * (q // 7 - k // 7 + 6) + q % 7 for q in range(9) for k in range(q) if not k == 2]",
        "[[i < j and i != 3 or j == 1 for j in range(4)] for i in range(4) if i % 2 if i > -1]",
        "[i / 3 + math.log2(v) ** 2 if v > 2 else -min(v, 3) for i, v in enumerate([1, 2, 8], start=1)]",
        "[*range(3), *[a + b for a, b in zip(range(3), reversed([4, 5, 6]))], [7, 8, 9][1:][-1], n[1]]",
        "sum([[k] * 2 for k in range(3)], [])",
    ],
)
def test_reckoned_as_python_does(text: str) -> None:
    node = from_ast(ast.parse(text, mode="eval").body)
    names = {"n": (5, 6)}
    assert repr(reckoned(node, names)) == repr(eval(text, {"math": math, **names}))


def from_ast(tree: ast.AST) -> nodes.Expression:
    """The nodes of an expression of numbers and lists."""
    match tree:
        case ast.Constant(given):
            return Literal(given)
        case ast.Name(name):
            return Name(name)
        case ast.Attribute(inner, name):
            return nodes.Attribute(from_ast(inner), name)
        case ast.BinOp(left, sign, right):
            return nodes.Binary(sign_of(sign), from_ast(left), from_ast(right))
        case ast.UnaryOp(sign, operand):
            return nodes.Unary(sign_of(sign), from_ast(operand))
        case ast.BoolOp(sign, values):
            return nodes.BoolOp(sign_of(sign), tuple(map(from_ast, values)))
        case ast.Compare(left, [sign], [right]):
            return nodes.compare(from_ast(left), sign_of(sign), from_ast(right))
        case ast.IfExp(test, then, otherwise):
            return nodes.Conditional(from_ast(test), from_ast(then), from_ast(otherwise))
        case ast.Call(function, given, keywords):
            named = tuple((each.arg, from_ast(each.value)) for each in keywords if each.arg)
            return nodes.Call(from_ast(function), tuple(map(from_ast, given)), named)
        case ast.Subscript(inner, ast.Slice(start, stop, step)):
            ends = (None if each is None else from_ast(each) for each in (start, stop, step))
            return nodes.Index(from_ast(inner), nodes.Slice(*ends))
        case ast.Subscript(inner, item):
            return nodes.Index(from_ast(inner), from_ast(item))
        case ast.Starred(inner):
            return nodes.Starred(from_ast(inner))
        case ast.List(items):
            return nodes.List(tuple(map(from_ast, items)))
        case ast.Tuple(items):
            return nodes.Tuple(tuple(map(from_ast, items)))
        case ast.ListComp(element, generators):
            first, *inner = [
                nodes.Loop(from_ast(each.target), from_ast(each.iter), joined(each.ifs)) for each in generators
            ]
            return nodes.ListOf(from_ast(element), first.target, first.iterable, first.condition, tuple(inner))
    raise AssertionError(tree)


def joined(tests: list[ast.expr]) -> nodes.Expression | None:
    found = tuple(map(from_ast, tests))
    return nodes.BoolOp("and", found) if len(found) > 1 else found[0] if found else None


def sign_of(node: ast.AST) -> str:
    return next(sign for sign, kind in (*SIGNS.items(), *UNARY.items()) if isinstance(node, kind))


@pytest.mark.parametrize(
    "node",
    [
        call("os.system", "x"),
        call("open", "x"),
        nodes.Attribute(Name("n"), "real"),
        value({"a": 1}),
        nodes.ListOf(Name("x"), nodes.Attribute(Name("x"), "y"), call("range", 3)),
    ],
)
def test_only_numbers_are_reckoned(node: nodes.Expression) -> None:
    with pytest.raises(ValueError):
        reckoned(node, {"n": 1, "x": 2})


@needs_ruff
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(BODIES)
def test_random_module_is_stable(body: nodes.Body) -> None:
    check_layout(nodes.Module("", body))


def dump(text: str) -> str:
    """The tree of a text, with docstrings as a reader sees them."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Expr(ast.Constant(ast.get_docstring(node)))
    return ast.dump(tree)


def meaning(tree: ast.AST) -> str:
    return dump(ast.unparse(ast.fix_missing_locations(tree)))


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_means_what_it_says(name: str) -> None:
    module = nodes.Module("A sample.", SAMPLES[name])
    assert dump(print_module(module)) == meaning(to_ast(module))


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(EXPRESSIONS)
def test_expression_means_what_it_says(node: nodes.Expression) -> None:
    text = print_expression(node)
    assert dump(text) == meaning(ast.Module([ast.Expr(to_ast(node))], []))


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(BODIES)
def test_body_means_what_it_says(body: nodes.Body) -> None:
    assert dump(print_body(body)) == meaning(to_ast(nodes.Module("", body)))


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(EXPRESSIONS)
def test_brackets_are_few(node: nodes.Expression) -> None:
    """Without any one pair of brackets that stands for grouping, the text would mean something else."""
    text = print_expression(node)
    assume("**" not in text and len(text) < 400 and not {"'", '"'} & set(text))
    meant = ast.dump(ast.parse(text))
    opened: list[int] = []
    for place, sign in enumerate(text):
        if sign == "(":
            opened.append(place)
        elif sign == ")":
            start = opened.pop()
            bare = f"{text[:start]} {text[start + 1 : place]} {text[place + 1 :]}"
            number = re.fullmatch(r"[\d.e-]+", text[start + 1 : place])
            assert number or "," in text[start:place] or not _means(bare, meant)


def _means(text: str, meant: str) -> bool:
    try:
        return ast.dump(ast.parse(text)) == meant
    except SyntaxError:
        return False


def test_printing_is_the_same_every_time() -> None:
    module = nodes.Module("", tuple(node for body in SAMPLES.values() for node in body))
    assert print_module(module) == print_module(module)


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (
            call("nn.Conv2d", 3, 64, 7, stride=2, padding_mode="zeros"),
            'nn.Conv2d(3, 64, 7, stride=2, padding_mode="zeros")',
        ),
        (method("x", "flatten", 1), "x.flatten(1)"),
        (index("x", slice(None), slice(1, None), ..., None), "x[:, 1:, ..., None]"),
        (index("x", slice(None, None, 2)), "x[::2]"),
        (index("x", slice(call("f"), None)), "x[f() :]"),
        (binary("*", binary("+", Name("a"), 1), 2), "(a + 1) * 2"),
        (binary("-", Name("a"), binary("-", Name("b"), Name("c"))), "a - (b - c)"),
        (binary("**", -1, 2), "(-1) ** 2"),
        (nodes.Unary("-", binary("**", Name("a"), 2)), "-(a**2)"),
        (nodes.Attribute(Literal(1), "real"), "(1).real"),
        (binary("**", nodes.Attribute(Literal(-1), "real"), Name("a")), "(-1).real**a"),
        (binary("**", call("f"), Name("a")), "f() ** a"),
        (
            value([1e-05, 1e16, -0.5, float("-inf"), 10**20]),
            '[1e-05, 1e16, -0.5, -float("inf"), 100000000000000000000]',
        ),
        (value((3,)), "(3,)"),
        (value({"a": None, 'b"': True}), '{"a": None, \'b"\': True}'),
        (nodes.FString(("got ", Name("h"), " of {8}")), 'f"got {h} of {{8}}"'),
        (nodes.formula("(H + 1)//2 - min(W, 3*H**2)"), "(H + 1) // 2 - min(W, 3 * H**2)"),
        (
            nodes.Conditional(Name("p"), Name("a"), nodes.Conditional(Name("q"), Name("b"), Name("c"))),
            "a if p else b if q else c",
        ),
    ],
)
def test_expression_text(node: nodes.Expression, text: str) -> None:
    assert print_expression(node) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (4 * growth, "4 * growth"),
        (growth * 1, "growth"),
        (1 * growth + 0, "growth"),
        (growth * 2 * 3, "growth * 6"),
        (growth + 2 + 3, "growth + 5"),
        (growth + 2 - 5, "growth - 3"),
        (growth + 2 - 2, "growth"),
        (growth - -1, "growth + 1"),
        (growth // 1, "growth"),
        (4 * growth // 2, "2 * growth"),
        (growth * 6 // -3, "growth * -2"),
        (2 * (growth // 2) // 2, "growth // 2"),
        (3 * growth // 2, "3 * growth // 2"),
        ((growth + width) // 2, "(growth + width) // 2"),
        (growth * width % 3, "growth * width % 3"),
        (-growth, "-growth"),
        (growth.__neg__().__neg__(), "growth"),
        (growth**2, "growth**2"),
        (growth / 2, "growth / 2"),
        (growth * 0.5, "growth * 0.5"),
        (1 - TracedFloat(0.1, Name("p")), "1 - p"),
        ((growth, [width]), "(growth, [width])"),
        (growth * 0, "0"),
        (growth % 1, "0"),
    ],
)
def test_traced_number_is_printed_as_it_was_reckoned(number: object, text: str) -> None:
    assert print_expression(value(number)) == text


@given(
    st.lists(st.tuples(st.sampled_from(["+", "-", "*", "//", "%"]), st.integers(-4, 9)), max_size=5), st.integers(1, 9)
)
def test_traced_number_equals_its_expression(steps: list[tuple[str, int]], start: int) -> None:
    number, plain = Traced(start, Name("k")), start
    for sign, by in steps:
        if by == 0 and sign in ("//", "%"):
            continue
        number, plain = eval(f"n {sign} b", {"n": number, "b": by}), eval(f"n {sign} b", {"n": plain, "b": by})
    assert number == plain
    assert hash(number) == hash(plain)
    assert eval(print_expression(value(number)), {"k": start}) == plain


def test_traced_number_is_an_int() -> None:
    assert growth == 32
    assert growth < width
    assert list(range(10))[Traced(3, Name("k"))] == 3
    assert f"{growth}" == "32"
    assert {growth: 1}[32] == 1
    assert isinstance(growth / 2, float)
    with pytest.raises(TypeError):
        growth + "a"  # type: ignore[operator]


def test_what_has_no_source_is_refused() -> None:
    for given_value in (object(), 1j, b"a"):
        with pytest.raises(TypeError):
            value(given_value)
    with pytest.raises(ValueError):
        print_expression(Literal(float("nan")))
    with pytest.raises(ValueError):
        print_expression(nodes.FString((index("x", "key"),)))
    with pytest.raises(ValueError):
        nodes.dotted("a b")
    with pytest.raises(ValueError):
        nodes.formula("a if b else c")
    with pytest.raises(ValueError):
        print_body((nodes.Assign((Name("x"),), None),))
    with pytest.raises(ValueError):
        print_body((nodes.With(((value((1, 2)), None),), ()),))


def test_names_are_unique_and_valid() -> None:
    names = Namespace(["self"])
    given_names = [
        names.name(hint) for hint in ("relu", "relu", "relu", "relu_1", "self", "lambda", "min", "3d", "a-b", "")
    ]
    assert given_names == ["relu", "relu_1", "relu_2", "relu_3", "self_1", "lambda_", "min_", "_3d", "a_b", "_"]
    assert names.name("x", of=7) == names.name("y", of=7) == "x"
    inner = names.inner()
    assert inner.name("relu") == "relu_4"
    assert "relu_4" not in names
    assert inner.name("z", of=7) == "x"


@given(st.lists(st.text(max_size=6) | st.sampled_from(["x", "x_1", "class", "class_", "super", "X"]), max_size=30))
def test_any_hints_give_identifiers(hints: list[str]) -> None:
    names = Namespace()
    found = [names.name(hint) for hint in hints]
    assert len(set(found)) == len(hints)
    for name in found:
        assert ast.dump(ast.parse(f"{name} = 1")) == ast.dump(
            ast.Module([ast.Assign([ast.Name(name, ast.Store())], ast.Constant(1))], [])
        )


@pytest.mark.parametrize(
    ("camel", "snake"),
    [
        ("ConvBN", "conv_bn"),
        ("InvertedResidual", "inverted_residual"),
        ("ResNet18", "res_net18"),
        ("HTTPHead", "http_head"),
        ("UNet", "u_net"),
        ("VGG16", "vgg16"),
        ("MobileNetV2", "mobile_net_v2"),
        ("block", "block"),
    ],
)
def test_names_of_blocks_in_snake_case(camel: str, snake: str) -> None:
    assert of_block(camel) == snake
    assert identifier(snake) == snake


def test_camel_case() -> None:
    assert [camel_case(name) for name in ("conv_bn", "res_net18", "ConvBN", "le-net 5")] == [
        "ConvBn",
        "ResNet18",
        "ConvBN",
        "LeNet5",
    ]
