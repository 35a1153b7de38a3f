"""The parser: every construct gives its tree, every mistake one diagnostic, no text an exception."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from netexamples import EXAMPLES, Spelled, trees

from specc.resources import root
from specc.syntax import tables as tables_module
from specc.syntax import tree
from specc.syntax.parse import parse, parse_expression
from specc.syntax.same import same_meaning
from specc.syntax.words import expectation, word
from specc.text.diagnostics import Bag
from specc.text.source import Source


def dump(node: object) -> str:
    """A tree on one line, without spans."""
    if isinstance(node, tree.Node):
        names = [name for name in node.FIELDS if not name.endswith("span")]
        return f"{type(node).__name__}({', '.join(dump(getattr(node, name)) for name in names)})"
    if isinstance(node, tuple):
        return "[" + " ".join(dump(each) for each in node) + "]"
    return repr(node)


def read(text: str) -> tuple[tree.File, list[str]]:
    bag = Bag()
    return parse(Source("test.net", text), bag), [each.code for each in bag]


def statements(text: str) -> tuple[tree.Statement, ...]:
    file, codes = read("block B {\n" + text + "\n}\n")
    assert codes == []
    (block,) = file.declarations
    assert isinstance(block, tree.Block)
    return block.body.statements


def expression(text: str) -> str:
    bag = Bag()
    value = parse_expression(text, "--set", bag)
    assert not len(bag), [each.message for each in bag]
    return dump(value)


# ------------------------------------------------------------------------------------------------------- constructs
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples_are_clean(name: str) -> None:
    file, codes = read(EXAMPLES[name])
    assert codes == []
    assert file.declarations


def test_examples_in_the_grammar_are_clean() -> None:
    """The comment of every rule holds an example; the declarations and statements among them are read."""
    grammar = (root("grammar") / "net.lark").read_text(encoding="utf-8")
    found = re.findall(r"^// {5}(.*)$\n(?=(?://.*\n)*[?]?\w+:)", grammar, re.M)
    assert len(found) > 25
    whole = [each for each in found if re.match(r"(let|import|block|network|train|export)\b", each)]
    assert len(whole) >= 6
    for text in whole:
        assert read(text)[1] == [], text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-2 ** 2", "Unary('-', Binary('**', Number(2), Number(2)))"),
        ("2 ** -n ** 2", "Binary('**', Number(2), Unary('-', Binary('**', Name('n'), Number(2))))"),
        ("2 ** 3 ** 4", "Binary('**', Number(2), Binary('**', Number(3), Number(4)))"),
        ("a - b - c", "Binary('-', Binary('-', Name('a'), Name('b')), Name('c'))"),
        ("not a == b", "Unary('not', Binary('==', Name('a'), Name('b')))"),
        ("a or b and not c", "Binary('or', Name('a'), Binary('and', Name('b'), Unary('not', Name('c'))))"),
        ("a if b else c if d else e", "Choice(Name('a'), Name('b'), Choice(Name('c'), Name('d'), Name('e')))"),
        ("138_357_544", "Number(138357544)"),
        ("1e-5", "Number(1e-05)"),
        ("0.5", "Number(0.5)"),
        ('"a\\n\\"\\u00e9"', "Text('a\\n\"é')"),
        ("'it\\'s'", 'Text("it\'s")'),
        ("true", "Truth(True)"),
        ("x[:H, 1:, 0, :]",
         "Index(Name('x'), [Slice(None, Name('H'), None) Slice(Number(1), None, None) Number(0) Slice(None, None, None)])"),
        ("x[::2, 1::k]", "Index(Name('x'), [Slice(None, None, Number(2)) Slice(Number(1), None, Name('k'))])"),
        ("[2 * w for w in ws if w > 8]",
         "Comprehension(Binary('*', Number(2), Name('w')), ['w'], Name('ws'), Binary('>', Name('w'), Number(8)))"),
        ("[C, *S]", "List([Name('C') Star(Name('S'))])"),
        ("units[i](64).hidden", "Attribute(Call(Index(Name('units'), [Name('i')]), [Argument('', Number(64))]), 'hidden')"),
        ("classifier.6.weight", "Attribute(Attribute(Name('classifier'), '6'), 'weight')"),
        ("f(from=1, if=2, not=3, a.b=4)",
         "Call(Name('f'), [Argument('from', Number(1)) Argument('if', Number(2)) "
         "Argument('not', Number(3)) Argument('a.b', Number(4))])"),
        ("a -> b -> c", "Chain([Name('a') Name('b') Name('c')])"),
        ("f(a -> b, x=c -> d)",
         "Call(Name('f'), [Argument('', Chain([Name('a') Name('b')])) Argument('x', Chain([Name('c') Name('d')]))])"),
        ("[\n1,\n2,\n]", "List([Number(1) Number(2)])"),
        ("input * output + expect", "Binary('+', Binary('*', Name('input'), Name('output')), Name('expect'))"),
    ],
)  # fmt: skip
def test_expressions(text: str, expected: str) -> None:
    assert expression(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input image: [1, H]", "Input"),
        ("input tokens: int [T] where T < 9", "Input"),
        ("input -> conv(3)", "Line"),
        ("input as shortcut", "Line"),
        ("input * 2", "Line"),
        ("input: conv(3)", "Line"),
        ("input", "Line"),
        ("parameter w: [3], stored=[1, 3], init=zeros", "Weight"),
        ("buffer w: int [3] = [1, 2, 3], stored=[3]", "Weight"),
        ("parameter * 2", "Line"),
        ("output low", "Publish"),
        ("output enc.low when training", "Publish"),
        ("output low: conv(3)", "Line"),
        ("output: conv(3)", "Line"),
        ("output -> conv(3)", "Line"),
        ("repeat n - 1 { relu }", "Repeat"),
        ("repeat: relu", "Line"),
        ("for i, w in enumerate(ws) { conv(w, 3) }", "For"),
        ("for: relu", "Line"),
        ("if (a) { relu } else if b { tanh } else { silu }", "If"),
        ("if: relu", "Line"),
        ("let half(v) = v // 2", "Let"),
        ("let: relu", "Line"),
        ("where H % 2 == 0", "Where"),
        ("where: relu", "Line"),
        ("parallel { relu; tanh }", "Line"),
        ("parallel: relu", "Line"),
        ("{ relu } as path", "Line"),
        ("left, right: split(2)", "Line"),
        ('"layer{i}": relu', "Line"),
        ("-input", "Line"),
        ("(input)", "Line"),
    ],
)
def test_a_word_is_reserved_only_where_it_begins_a_construct(text: str, expected: str) -> None:
    found = statements(text)
    assert [type(each).__name__ for each in found] == [expected]


LABELS = """block conv relu input output if else for repeat let where expect when at valid train training parallel
    network import export from as in and or not true false int"""


@pytest.mark.parametrize("label", LABELS.split())
def test_any_word_with_a_colon_is_a_label(label: str) -> None:
    line, second = statements(f"first: relu\n{label}: conv(3)")
    assert isinstance(second, tree.Line)
    assert second.labels[0].parts == (label,)
    assert isinstance(line, tree.Line)
    assert not line.expects


def test_line_with_everything() -> None:
    (line,) = statements(
        "output aux: a -> b as c when training\n\n  # note\n  expect [1], params=2,\n valid when H > 1\n"
        "expect macs=3 at H=5, W=6"
    )
    assert dump(line) == (
        "Line([Label(['aux'], False)], Chain([Name('a') Name('b')]), 'c', True, True, "
        "[Expect([Claim('shape', List([Number(1)])) Claim('params', Number(2)) "
        "Claim('valid', Binary('>', Name('H'), Number(1)))], []) "
        "Expect([Claim('macs', Number(3))], [Argument('H', Number(5)) Argument('W', Number(6))])])"
    )


@pytest.mark.parametrize(
    "text",
    ["a -> b", "a\n-> b", "a\n\n  # why\n  -> b", "a ->\n b", "a -> # why\n b", "(\n a\n -> b)", "a -> b;", "\n;a -> b\n;\n"],
)  # fmt: skip
def test_where_lines_go_on(text: str) -> None:
    assert same_meaning(statements(text), statements("a -> b"))


def test_lines_inside_braces_inside_brackets_count() -> None:
    (line,) = statements("f(\n a,\n {\n b\n c\n },\n)")
    assert dump(line).count("Line(") == 3


def test_string_labels() -> None:
    (line,) = statements('"block{i + 1}-{names[j]}{{x}}": relu')
    assert isinstance(line, tree.Line)
    assert dump(line.labels) == (
        "[Label(['block' Binary('+', Name('i'), Number(1)) '-' Index(Name('names'), [Name('j')]) '{x}'], True)]"
    )
    part = line.labels[0].parts[1]
    assert isinstance(part, tree.Binary)
    assert part.span.text == "i + 1"


def test_declarations() -> None:
    file, codes = read(
        'import A, B as C from "x/y.net"\nimport R from residual\n'
        "block S(a: int = 1, b=2, c):\n    [C, *S] -> [a, *S] { relu }\nblock T: [C] { relu }\n"
        "network N(unit: block) { input x: [3]; unit(4) }\nexpect params=1\nexpect macs=2\nnetwork M = N(S) expect params=1\n"
        "train tune for N { schedule warmup(epochs=5) -> cosine(to=1e-6); optimizer.lr 0.1\n seed 0 }\nexport { opset 21 }"
    )
    assert codes == []
    names = [type(each).__name__ for each in file.declarations]
    assert names == ["Import", "Import", "Block", "Block", "Network", "Alias", "Section", "Section"]
    network, section = file.declarations[4], file.declarations[6]
    assert isinstance(network, tree.Network)
    assert len(network.expects) == 2
    assert isinstance(section, tree.Section)
    assert (section.phase, section.network) == ("tune", "N")
    assert [each.name for each in section.settings] == ["schedule", "optimizer.lr", "seed"]


def test_spans_point_at_the_text() -> None:
    text = "network A {\n    c: conv((1 + 2) * 3, stride=2)\n}\n"
    network = read(text)[0].declarations[0]
    assert isinstance(network, tree.Network)
    (line,) = network.body.statements
    assert isinstance(line, tree.Line)
    assert isinstance(line.value, tree.Call)
    assert line.value.span.text == "conv((1 + 2) * 3, stride=2)"
    first, second = line.value.arguments
    assert first.value.span.text == "(1 + 2) * 3"
    assert second.name_span is not None
    assert second.name_span.text == "stride"
    assert network.name_span.text == "A"


def test_odd_line_ends_and_marks() -> None:
    plain = read("let a = 1\nlet b = 2\n")[0]
    for text in ("\ufefflet a = 1\r\nlet b = 2\r\n", "let a = 1\rlet b = 2", "\tlet a = 1 \n\n\n\tlet\tb = 2"):
        file, codes = read(text)
        assert codes == []
        assert same_meaning(file, plain)


# --------------------------------------------------------------------------------------------------------- mistakes
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("conv(64 7)", "unexpected-token"),
        ("conv(64, 7", "unclosed-bracket"),
        ("conv(64, 7))", "unmatched-bracket"),
        ("conv(64, 7]", "unmatched-bracket"),
        ('f("abc)', "unterminated-string"),
        ('f("a\\qb")', "bad-escape"),
        ("conv(1., 2)", "bad-number"),
        ("conv(0x10)", "bad-number"),
        ("conv(1__0)", "bad-number"),
        ("conv(1e999)", "bad-number"),
        ("conv(" + "9" * 31 + ")", "number-too-long"),
        ("if a < b < c { relu }", "chained-comparison"),
        ("if stride = 1 { relu }", "unexpected-token"),
        ("f(1=2)", "bad-argument-name"),
        ("conv1 conv(64)", "unexpected-token"),
        ("conv1 = conv(64)", "unexpected-token"),
        ("conv(.5)", "unexpected-token"),
        ("conv(64, stride: 2)", "unexpected-token"),
        ("x \u2192 conv(3)", "unexpected-character"),
        ("relu relu", "unexpected-token"),
        ("x: conv(64, , 7)", "unexpected-token"),
        ("repeat { relu }", "unexpected-token"),
        ("for i 3 { relu }", "unexpected-token"),
        ("let x 3", "unexpected-token"),
        ('"a{b": relu', "unmatched-bracket"),
        ("(" * 200 + "1" + ")" * 200, "nesting-too-deep"),
        ("+".join(["1"] * 600), "nesting-too-deep"),
        ("x: " + "-" * 600 + "1", "nesting-too-deep"),
        ("if a { b }" + " else if a { b }" * 300, "nesting-too-deep"),
        ("data: f(\u201cstroke\u201d, 2)", "unexpected-character"),
    ],
)
def test_one_mistake_one_diagnostic(text: str, code: str) -> None:
    file, codes = read(f"let one = 1\nnetwork A {{\n    first: relu\n    {text}\n    last: relu\n}}\nlet two = 2\n")
    assert codes == [code]
    if code != "nesting-too-deep":
        names = [getattr(each, "name", "") for each in file.declarations]
        assert names == ["one", "A", "two"]
        network = file.declarations[1]
        assert isinstance(network, tree.Network)
        labels = [
            each.labels[0].parts[0] for each in network.body.statements if isinstance(each, tree.Line) and each.labels
        ]
        assert labels[0] == "first"
        assert labels[-1] == "last"


EIGHT = """network A {
    input image: [3, 64, 64]
    conv1: conv(64 7)
    conv2 conv(64, 3)
    conv3: conv(64, 3
    relu relu
    x: linear(3 +)
    conv(3, stride: 2)
    § conv(3)
    y: "abc
    last: relu
}
"""


def test_eight_mistakes_give_eight_diagnostics() -> None:
    bag = Bag()
    file = parse(Source("a.net", EIGHT), bag)
    assert [each.span.line for each in bag if each.span] == [3, 4, 5, 6, 7, 8, 9, 10]
    network = file.declarations[0]
    assert isinstance(network, tree.Network)
    assert "Line([Label(['last'], False)], Name('relu')" in dump(network)
    assert all(each.help and each.message for each in bag)


def test_fixes_mend_what_they_say() -> None:
    for text in ("conv(64 7)", "conv1 conv(3)", "conv(3, stride: 2)", "if a = 1 { relu }", "conv(3", "conv(3))"):
        bag = Bag()
        source = Source("a.net", "network A {\n    " + text + "\n}\n")
        parse(source, bag)
        (found,) = bag
        (fix,) = found.fixes
        mended = source.text[: fix.span.start] + fix.replacement + source.text[fix.span.end :]
        assert read(mended)[1] == [], (text, mended)


def test_misspelt_words_are_suggested() -> None:
    bag = Bag()
    parse(Source("a.net", "netwrok A { relu }\nblok B { relu }\n"), bag)
    assert [each.help for each in bag] == ["did you mean `network`?", "did you mean `block`?"]


def test_unclosed_braces_are_found_by_indentation() -> None:
    bag = Bag()
    file = parse(Source("a.net", "network A {\n    x: {\n        relu\n    y: relu\n}\nnetwork B { relu }\n"), bag)
    (found,) = bag
    assert found.span is not None
    assert (found.code, found.span.line) == ("unclosed-bracket", 2)
    assert len(file.declarations) == 2


def test_more_than_twenty_mistakes_are_cut_off() -> None:
    assert len(read("network A {\n" + "f(1 2)\n" * 100 + "}")[1]) == 20


def test_not_a_text() -> None:
    for text in ("let a\x00 = 1", "\ud800", "# \x7f"):
        file, codes = read(text)
        assert codes == ["not-text"]
        assert file.declarations == ()
    assert read("x" * 1_000_001)[1] == ["file-too-large"]


@pytest.mark.parametrize(
    "text",
    ["(" * 200_000, "}" * 50_000, "§ " * 50_000, '"\n' * 50_000, "\n" * 200_000, "# x\n" * 50_000, "[1\n" * 20_000,
     "let a = " + "2**" * 5_000 + "2", "let a = a" + ".b" * 5_000, "1" + "_1" * 100_000, "network A { " + "relu\n" * 5_000 + "}"],
)  # fmt: skip
def test_large_texts_take_bounded_time(text: str) -> None:
    start = time.process_time()
    read(text)
    assert time.process_time() - start < 5


# ------------------------------------------------------------------------------------------------------- properties
@settings(max_examples=100, deadline=None, derandomize=True, phases=[Phase.generate])
@given(trees())
def test_trees_printed_and_read_are_equal(made: Spelled) -> None:
    file, codes = read(made.text)
    assert codes == []
    assert same_meaning(file, made.file)


@settings(max_examples=300, deadline=None, derandomize=True, phases=[Phase.generate])
@given(st.text(alphabet=st.characters(), max_size=80))
def test_no_text_raises(text: str) -> None:
    read(text)
    parse_expression(text, "x", Bag())


def mutated(rng: random.Random, words: list[str]) -> str:
    text = rng.choice(sorted(EXAMPLES.values()))
    begin = rng.randrange(len(text))
    text = text[begin : begin + 400]
    for _ in range(rng.randrange(1, 6)):
        at, kind = rng.randrange(len(text) + 1), rng.randrange(4)
        if kind == 0:
            text = text[:at] + text[at + rng.randrange(1, 4) :]
        elif kind == 1:
            text = text[:at] + " " + rng.choice(words) + " " + text[at:]
        elif kind == 2:
            text = (
                text[:at] + chr(rng.choice([9, 10, 13, 34, 39, 92, 0xA0, 0x2028, 0xFEFF, 0x301, 0x1F600])) + text[at:]
            )
        else:
            other = rng.randrange(len(text) + 1)
            text = text[:at] + text[other : other + 30] + text[at:]
    return text


def test_mutated_examples_never_raise() -> None:
    rng = random.Random(0)
    words = sorted({word for text in EXAMPLES.values() for word in re.findall(r"\w+|\S", text)})
    for _ in range(1000):
        text = mutated(rng, words)
        file, codes = read(text)
        assert isinstance(file, tree.File)
        assert len(codes) <= 20


# ------------------------------------------------------------------------------------------------ tables and words
def test_every_terminal_has_a_word() -> None:
    for terminal in tables_module.tables().terminals:
        assert word(terminal)
    assert expectation(["COMMA", "RPAR", "PLUS"]) == "a comma or `)`"


def test_a_broken_cache_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tables_module.tables.cache_clear()
    whole = tables_module.tables()
    (file,) = (tmp_path / "specc").iterdir()
    content = file.read_bytes()
    for broken in (b"", b"\xff\xfe", content[: len(content) // 2], content.replace(b"_NEWLINE", b"_NEWLINF"), b"x\n[]"):
        file.write_bytes(broken)
        tables_module.tables.cache_clear()
        assert tables_module.tables().rules == whole.rules
        assert file.read_bytes() == content
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    tables_module.tables.cache_clear()
    assert tables_module.tables().rules == whole.rules


def test_the_grammar_has_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    """Lark resolves conflicts between shifting and reducing silently, unless it is asked to tell."""
    lark = pytest.importorskip("lark")
    grammar = (root("grammar") / "net.lark").read_text(encoding="utf-8")
    with caplog.at_level("DEBUG", logger=lark.logger.name):
        lark.Lark(grammar, parser="lalr", lexer="contextual", start=["file", "expression"], debug=True)
        assert "onflict" not in caplog.text
        lark.Lark('start: "a" start | start "a" | "b"', parser="lalr", debug=True)
        assert "onflict" in caplog.text
