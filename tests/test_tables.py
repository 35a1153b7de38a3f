"""Buffers in generated PyTorch: the comprehension of the spec where it gives the same numbers, else a table of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from specc.backends.pytorch import load, write
from specc.compiler import compile_text
from specc.model.graph import Model

torch = pytest.importorskip("torch")

LETS = """
let between(side, places) = [
    side * (q // places - k // places + places - 1) + q % places - k % places + places - 1
    for q in range(places ** 2) for k in range(places ** 2)
]
let window = 4
let offsets = between(2 * window - 1, window)
let spread(d) = (log2(8 * d + 1) if d >= 0 else -log2(1 - 8 * d)) / 3
let apart = [spread((i - window + 1) / (window - 1)) for i in range(2 * window + 1)]
let row(q, by=2) = [q * by + k for k in range(4)]
let kind = 3
let long = [0.1, 2, -3.5, 4e-7, *[i % 2 for i in range(80)], 7, 7, 7, 8.25, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
            18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42]
let odd(n) = n % 2 == 1
"""
WRITTEN = {
    "a let and a function": (
        "int [256] = offsets",
        "[7 * (q // 4 - k // 4 + 3) + q % 4 - k % 4 + 3 for q in range(16) for k in range(16)]",
    ),
    "nested lists keep their shape": (
        "[9, 9, 2] = [[[y, x] for x in apart] for y in apart]",
        "torch.tensor([[[y, x] for x in apart] for y in apart], dtype=torch.float32)",
    ),
    "a list on a line of its own": ("[9, 9] = [[y - x for x in apart] for y in apart]", "apart = [ ( math.log2(8 *"),
    "another shape": ("int [8, 12] = [i for i in range(96, 0, -1)]", ".reshape(8, 12)"),
    "conditions": (
        "int [100] = [i for i in range(200) if odd(i) and not i < 0]",
        "[i for i in range(200) if i % 2 == 1 and not i < 0]",
    ),
    "choices": (
        "[90] = [0 if i < 5 else 0.5 if i == 7 else i / 3 for i in range(90)]",
        "[0 if i < 5 else 0.5 if i == 7 else i / 3 for i in range(90)]",
    ),
    "truth": ("bool [10, 10] = [[i < j or i == 3 for j in range(10)] for i in range(10)]", "[i < j or i == 3 for j in"),
    "functions": (
        "int [70] = [max(abs(i - 9), min(i, 4)) + round(2.6 * i) + floor(sqrt(i)) for i in range(70)]",
        "max(abs(i - 9), min(i, 4)) + round(2.6 * i) + math.floor(math.sqrt(i))",
    ),
    "several names": (
        "int [80] = [i + 2 * a - b for i, v in enumerate(range(20)) for a, b in zip([v, 1, 2, 3], range(4))]",
        "for i, v in enumerate(range(20)) for a, b in zip([v, 1, 2, 3], range(4))",
    ),
    "a star in the item": (
        "int [80] = [*row(q) for q in range(20)]",
        "[q * 2 + k for q in range(20) for k in range(4)]",
    ),
    "a loop inside of a loop of its name": (
        "int [80] = [*row(k + 1, by=k) for k in range(20)]",
        "[(k + 1) * k + k2 for k in range(20) for k2 in range(4)]",
    ),
    "stars in a list": (
        "int [100] = [*range(10), *[i * i for i in range(90)]]",
        "[*range(10), *[i * i for i in range(90)]]",
    ),
    "repeated": ("int [90] = [1, 2, 3] * 30", "torch.tensor([1, 2, 3] * 30)"),
    "counting": ("int [90] = [i for i in range(90)]", "torch.arange(90)"),
    "a known choice": ("int [70] = [i * 2 if kind == 3 else i for i in range(70)]", "[i * 2 for i in range(70)]"),
    "an item of a list": ("int [70] = [[4, 5, 6][i % 3] + [7, 8][1] for i in range(70)]", "[[4, 5, 6][i % 3] + 8 for"),
    "a name of Python": ("int [70] = [len * torch for len in range(7) for torch in range(10)]", "[len_ * torch2 for"),
}
TABLES = {
    "written one by one": ("[130] = long", 130),
    "a whole number that divides": ("int [70] = [2 * i / 2 + 1 for i in range(70)]", 70),
    "lists of unequal length": ("int [78] = [[j for j in range(i)] for i in range(13)]", 78),
    "too much to read": (
        "int [70] = [" + " + ".join(f"{n} * i ** {n % 3}" for n in range(2, 40)) + " for i in range(70)]",
        70,
    ),
}


def network(buffer: str) -> str:
    return f"{LETS}\nnetwork N {{ input x: [4]; buffer t: {buffer}; x -> linear(2) }}"


def model_of(text: str) -> Model:
    found = compile_text(text)
    assert found.ok, [each.message for each in found.bag]
    return found.model()


def one_line(source: str) -> str:
    """The text with all its lines joined as if they had been short enough for one."""
    joined = " ".join(source.split())
    for before, after in (("( ", "("), (" )", ")"), ("[ ", "["), (" ]", "]"), (", )", ")"), (",)", ")"), (",]", "]")):
        joined = joined.replace(before, after)
    return joined


def same(source: str, model: Model) -> None:
    """The class holds exactly the numbers of the spec, in its shape and type, whatever the text is."""
    state = load(source, "N")().state_dict()
    for weight in model.weights:
        if weight.spec.values is not None:
            types = {"int": torch.int64, "float": torch.float32, "bool": torch.bool}
            wanted = torch.tensor(weight.spec.values, dtype=types[weight.spec.dtype]).reshape(weight.spec.shape)
            assert state[weight.key].dtype == wanted.dtype
            assert torch.equal(state[weight.key], wanted)
            assert torch.equal(torch.signbit(state[weight.key]), torch.signbit(wanted))


def formatted(source: str, tmp_path: Path) -> None:
    ruff = shutil.which("ruff") or str(Path(sys.executable).with_name("ruff"))
    if not Path(ruff).exists():
        pytest.skip("ruff is not installed")
    file = tmp_path / "generated.py"
    file.write_text(source, encoding="utf-8")
    subprocess.run([ruff, "format", "--isolated", "--no-cache", str(file)], check=True, capture_output=True)
    assert file.read_text(encoding="utf-8") == source
    check = [ruff, "check", "--isolated", "--no-cache", "--select", "E4,E7,E9,F,I", str(file)]
    linted = subprocess.run(check, capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("name", WRITTEN)
def test_a_long_buffer_is_written_as_in_the_spec(name: str, tmp_path: Path) -> None:
    buffer, wanted = WRITTEN[name]
    model = model_of(network(buffer))
    source = write(model)
    assert one_line(wanted) in one_line(source)
    assert "fmt:" not in source
    same(source, model)
    formatted(source, tmp_path)


@pytest.mark.parametrize("name", TABLES)
def test_what_python_would_not_give_is_a_table(name: str, tmp_path: Path) -> None:
    buffer, many = TABLES[name]
    model = model_of(network(buffer))
    source = write(model)
    before, _, after = source.partition("T = [\n")
    table = after.partition("]  # fmt: skip")[0]
    assert "class" not in before
    assert "torch.tensor(T" in source
    assert table.count(",") == many
    assert table.count("\n") < many / 5
    same(source, model)
    formatted(source, tmp_path)


def test_equal_tables_are_written_once() -> None:
    text = f"""{LETS}
    block A(n: int) {{ buffer t: [130] = long; buffer T: [130] = long; linear(n) }}
    block B(T: int) {{ buffer t: [130] = long; buffer u: [65] = long[:65]; linear(T) }}
    network N {{ input x: [4]; A(5); A(6); B(7) }}"""
    model = model_of(text)
    source = write(model)
    assert source.count("# fmt: skip") == 3  # `T` is a parameter in B, so there the list needs another name
    assert source.count("4e-07") == 3
    same(source, model)


def test_a_long_list_of_an_op_is_a_table(tmp_path: Path) -> None:
    text = f"""{LETS}
    block A {{ x: input + gather(constant([i * i % 11 + 0.5 for i in range(90)]), constant([3, 4])); linear(2) }}
    network N {{ input x: [2]; A; A; linear(2) }}"""
    model = model_of(text)
    source = write(model)
    assert source.count("# fmt: skip") == 1
    assert "torch.tensor(TABLE, " in one_line(source) or "torch.tensor(TABLE)" in one_line(source)
    formatted(source, tmp_path)
    given = torch.tensor([[1.0, 2.0]])
    first = load(source, "N")().eval()
    first.load_state_dict(
        {key: torch.eye(2) if key.endswith("weight") else torch.zeros(2) for key in first.state_dict()}
    )
    assert torch.equal(first(given), given + 2 * torch.tensor([9.5, 5.5]))


PARAMETERS = {
    "in a short list": ("n: int = 3", "buffer t: int [3] = [n, 2 * n + 1, 0]", {"n": 5}),
    "in a comprehension": ("n: int = 3", "buffer t: int [40] = [i * n - i % n for i in range(40)]", {"n": 7}),
    "in a choice": ("n: int = 3", "buffer t: int [4] = [min(n, 4), n if n > 4 else 0, 1, 1]", {"n": 7}),
    "in a let": ("n: int = 3", "let twice = 2 * n\n buffer t: int [9] = [i * twice for i in range(9)]", {"n": 7}),
    "that is a list": ("n: list = [1, 2]", "buffer t: int [4] = [i * n[1] for i in range(4)]", {"n": (1, 9)}),
    "that divides": ("n: int = 4", "buffer t: [4] = [i / n for i in range(4)]", {"n": 8}),
    "in a slice": ("n: int = 2", "x[:n] -> linear(n)", {"n": 3}),
}
FIXED = {"that divides", "in a choice"}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_of_the_class_changes_its_numbers(name: str) -> None:
    """A class that takes the parameter is with another value what the spec is with it; else it does not take it."""
    parameter, line, given = PARAMETERS[name]
    number = 2 if "list" in parameter else "n"
    text = f"network N({parameter}) {{ input x: [4]\n {line}\n {'x -> ' if 'buffer' in line else ''}linear({number}) }}"
    told = {key: f"[{', '.join(map(str, each))}]" if isinstance(each, tuple) else each for key, each in given.items()}
    other = model_of(text.replace("network N(", "network M(") + f"\nnetwork N = M(n={told['n']})")
    made: Any = load(write(model_of(text)), "N")
    assert "n: " in write(model_of(text)) or name in FIXED
    if name in FIXED:
        with pytest.raises(TypeError):
            made(**given)
        return
    state, wanted = made(**given).state_dict(), load(write(other), "N")().state_dict()
    assert list(state) == list(wanted)
    for key, tensor in wanted.items():
        assert state[key].shape == tensor.shape
        assert tensor.is_floating_point() or torch.equal(state[key], tensor)


def test_a_long_list_may_be_an_argument() -> None:
    """It is told as where it comes from, and its items are not walked at each of its uses."""
    text = f"""{LETS}
    let many = between(25, 13)
    block A(table: list, n: int) {{ buffer t: int [len(table)] = table; inner: B(table, n); linear(n) }}
    block B(table: list, n: int) {{ buffer t: int [len(table)] = table; linear(n) }}
    network N {{ input x: [4]; repeat 12 {{ A(many, 4) }} }}"""
    model = model_of(text)
    began = time.process_time()
    source = write(model)
    assert time.process_time() - began < 10
    assert one_line(source).count("for q in range(169) for k in range(169)]") == 2
    assert len(source) < 3000
    same(source, model)
