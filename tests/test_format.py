"""The formatter: one form, the same meaning, nothing lost."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import Phase, given, settings
from netexamples import EXAMPLES, Spelled, trees

from specc.syntax.format import format_text
from specc.syntax.parse import parse
from specc.syntax.same import same_meaning
from specc.text.diagnostics import Bag
from specc.text.source import Source


def formatted(text: str) -> str:
    bag = Bag()
    result = format_text(Source("test.net", text), bag)
    assert result is not None, [each.message for each in bag]
    return result


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples_are_fixed_points(name: str) -> None:
    assert formatted(EXAMPLES[name]) == EXAMPLES[name]


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_formatting_undoes_careless_blanks(name: str) -> None:
    """Whatever an author does to indentation and blanks, the meaning stays and the second time changes nothing."""
    rng = random.Random(name)
    for _ in range(4):
        text = re.sub(
            r"\"[^\"]*\"|#.*|^ *| +",
            lambda found: " " * rng.randrange(1, 5) if not found[0].strip() else found[0],
            EXAMPLES[name],
            flags=re.M,
        )
        once = formatted(text)
        assert formatted(once) == once
        assert same_meaning(parse(Source("a", once), Bag()), parse(Source("a", EXAMPLES[name]), Bag()))
        assert sorted(re.findall("#.*", once)) == sorted(re.findall("#.*", EXAMPLES[name]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("let  a=1+2", "let a = 1 + 2\n"),
        ("let a = f( x ,y = - 1,z=[ 1,2 ] )", "let a = f(x, y=-1, z=[1, 2])\n"),
        ("let f(a,b = 2)=a**-b//2", "let f(a, b=2) = a ** -b // 2\n"),
        ("let a = x [ : H , 1 : , a : b ]", "let a = x[:H, 1:, a:b]\n"),
        ("let a = [ * S,*ceil( S/2 ) ]", "let a = [*S, *ceil(S / 2)]\n"),
        ("let a = not ( b==c ) and-d<2", "let a = not (b == c) and -d < 2\n"),
        ("let a = 'x\"y' + 'it\\'s'", 'let a = "x\\"y" + "it\'s"\n'),
        ("let a = 138_357_544 * 1E-5", "let a = 138_357_544 * 1E-5\n"),
        ("let a = b  # why\n\n\n\n# then\nlet c=d", "let a = b  # why\n\n# then\nlet c = d\n"),
        ("block A( x:int=1 ):[C]->[x]{conv( x,3 );relu}", "block A(x: int = 1): [C] -> [x] { conv(x, 3); relu }\n"),
        ("block A {\nrelu\n}\nblock B {\n\nrelu\n\n}", "block A {\n    relu\n}\n\nblock B {\n    relu\n}\n"),
        ("block A {\nif a { b }\n else { c }\n}", "block A {\n    if a { b } else { c }\n}\n"),
        ("block A {\na\n-> b\n-> c\n}", "block A {\n    a\n        -> b\n        -> c\n}\n"),
        ("network A { relu }\n   expect params=1", "network A { relu }\nexpect params=1\n"),
        ("block A {\n  a: relu\n  bcd:   tanh\n}", "block A {\n    a:     relu\n    bcd:   tanh\n}\n"),
        ("block A {\n  a: relu\n  bcd: tanh\n}", "block A {\n    a: relu\n    bcd: tanh\n}\n"),
        ("block A {\n  a:   relu\n  bcdefgh: tanh\n}", "block A {\n    a:       relu\n    bcdefgh: tanh\n}\n"),
        ("train { \n loss mse\n batch 32,accumulate = 4\n}", "train {\n    loss  mse\n    batch 32, accumulate=4\n}\n"),
        (
            "block A {\na: relu expect [1]\nbc: conv(3) expect [64]  # x\n}",
            "block A {\n    a: relu      expect [1]\n    bc: conv(3)  expect [64]  # x\n}\n",
        ),
        ("let a = [\n[1, 16],\n[160, 2],\n]", "let a = [\n    [  1, 16],\n    [160,  2],\n]\n"),
        ("", ""),
        (
            "let t = [\n[3, 16, true, relu, 'a', 1],\n[5, -6, false, hardswish, \"b c\", 2],\n]\n",
            'let t = [\n    [3, 16, true,  relu,      "a",   1],\n    [5, -6, false, hardswish, "b c", 2],\n]\n',
        ),
        ("# alone", "# alone\n"),
        ("\n\n  # a\r\nlet b = 1\r\n", "# a\nlet b = 1\n"),
    ],
)
def test_forms(text: str, expected: str) -> None:
    assert formatted(text) == expected
    assert formatted(expected) == expected


def test_long_lines_are_broken_inside_brackets() -> None:
    items = ", ".join(str(number) for number in range(60))
    text = formatted(f"let table = [{items}]\nblock A {{\n    x: f({items})  expect [{items}]\n}}\n")
    assert max(map(len, text.split("\n"))) <= 124
    assert text.startswith("let table = [\n    0, 1, 2,")
    assert formatted(text) == text


def test_a_file_with_mistakes_is_left_alone() -> None:
    bag = Bag()
    assert format_text(Source("a.net", "let a = (1 2)"), bag) is None
    assert [each.code for each in bag] == ["unexpected-token"]


@settings(max_examples=40, deadline=None, derandomize=True, phases=[Phase.generate])
@given(trees())
def test_formatting_any_tree_keeps_its_meaning(made: Spelled) -> None:
    text = formatted(made.text)
    assert same_meaning(parse(Source("a.net", text), Bag()), made.file)
    assert formatted(text) == text
