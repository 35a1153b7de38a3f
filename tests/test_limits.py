"""Texts that are made to exhaust the compiler: each is a clear error, within seconds and a bounded memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SECONDS = 60
BYTES = 1 << 30
HEAD = "network Bomb {\n    input x: [4]\n"


def network(body: str, before: str = "") -> str:
    return f"{before}\n{HEAD}{body}\n}}\n"


def doubling(levels: int, first: str, more: str) -> str:
    """`levels` declarations, each made of the one before twice."""
    return "\n".join([first, *(more.format(n=level, m=level - 1) for level in range(1, levels))])


BOMBS: dict[str, tuple[str, str]] = {
    "a repeat of a billion": (network("    repeat 1_000_000_000 { relu }"), "expansion-too-large"),
    "repeats in repeats": (network("    repeat 1000 { repeat 1000 { repeat 1000 { relu } } }"), "expansion-too-large"),
    "empty repeats in repeats": (network("    repeat 2000 { repeat 2000 { repeat 2000 { } } }"), "expansion-too-large"),
    "a loop over a billion": (network("    for i in range(10 ** 9) { relu }"), "bad-argument"),
    "loops in loops": (
        network("    for i in range(10_000) { for j in range(10_000) { let k = i * j } }"),
        "expansion-too-large",
    ),
    "a tower of powers": (network("    linear(9 ** 9 ** 9)"), "number-too-large"),
    "a tower of reals": (network("    x * (9.0 ** 9.0 ** 9.0)"), "number-too-large"),
    "a long list": (network("    let many = [0] * 1_000_000_000\n    linear(len(many))"), "number-too-large"),
    "lists of lists": (
        network(
            "    let a = [1] * 1_000_000\n    let b = [a] * 1_000_000\n    let c = [b] * 1_000_000\n    linear(c)",
        ),
        "expansion-too-large",
    ),
    "lists that double": (
        network("    linear(a39)", doubling(40, "let a0 = [1, 1]", "let a{n} = [a{m}, a{m}]")),
        "expansion-too-large",
    ),
    "texts that double": (
        network("    rearrange(a39)", doubling(40, 'let a0 = "ab"', "let a{n} = a{m} + a{m}")),
        "number-too-large",
    ),
    "numbers that square": (
        network("    linear(a39)", doubling(40, "let a0 = 3", "let a{n} = a{m} * a{m}")),
        "number-too-large",
    ),
    "functions that double": (
        network("    linear(f39(1))", doubling(40, "let f0(v) = v + 1", "let f{n}(v) = f{m}(v) + f{m}(v)")),
        "expansion-too-large",
    ),
    "layers that double": (
        network("    f39", doubling(40, "let f0 = { relu }", "let f{n} = {{ f{m}; f{m} }}")),
        "expansion-too-large",
    ),
    "blocks that double": (
        network("    B39", doubling(40, "block B0 { relu }", "block B{n} {{ B{m}; B{m} }}")),
        "expansion-too-large",
    ),
    "blocks a hundred deep": (
        network("    B99", doubling(100, "block B0 { relu }", "block B{n} {{ B{m} }}")),
        "nesting-too-deep",
    ),
    "groups that nest by name": (
        network("    g4999", doubling(5000, "let g0 = { relu }", "let g{n} = {{ g{m} }}")),
        "nesting-too-deep",
    ),
    "a chain of values": (
        network("    linear(a9999)", doubling(10_000, "let a0 = 1", "let a{n} = a{m} + 1")),
        "nesting-too-deep",
    ),
    "a hundred networks, each nearly too large": (
        "\n".join(f"network N{at} {{ input x: [4]; repeat 20_000 {{ relu }} }}" for at in range(100)),
        "expansion-too-large",
    ),
    "round brackets": (network(f"    linear({'(' * 5000}1{')' * 5000})"), "nesting-too-deep"),
    "square brackets": (network(f"    linear({'[' * 5000}1{']' * 5000})"), "nesting-too-deep"),
    "curly brackets": (network("{ " * 5000 + "relu" + " }" * 5000), "nesting-too-deep"),
    "brackets without end": (network("(" * 5000), "nesting-too-deep"),
    "closers without end": (network(")" * 5000), "unmatched-bracket"),
    "a long sum": (network("    linear(1" + " + 1" * 200_000 + ")"), "nesting-too-deep"),
    "a long chain of signs": (network("    linear(" + "-" * 100_000 + "1)"), "nesting-too-deep"),
    "a long tower of powers": (network("    linear(1" + " ** 1" * 100_000 + ")"), "nesting-too-deep"),
    "a long row of choices": (
        network("    if false { relu }" + " else if false { relu }" * 20_000),
        "nesting-too-deep",
    ),
    "one long name": (network("    " + "a" * 900_000), "unknown-name"),
    "one long number": (network("    linear(" + "1" * 900_000 + ")"), "number-too-long"),
    "one long text": (network('    "' + "a" * 900_000), "unterminated-string"),
    "one long comment and a slip": (network("    relu # " + "a" * 900_000 + "\n    linear("), "unclosed-bracket"),
    "a hundred thousand slips": (network("    conv(8 3)\n" * 60_000), "unexpected-token"),
    "a hundred thousand unknown names": (network("    nothing\n" * 80_000), "unknown-name"),
    "more than a file may hold": (network("    relu\n" * 200_000), "file-too-large"),
    "a character of no text": (network("    relu \x00\x01"), "not-text"),
    "sizes to a high power": (
        "network Bomb {\n    input x: [4, H, W]\n    let much = (H + W) ** 60 * (H - W) ** 60\n    reshape([much, 2])\n}\n",
        "number-too-large",
    ),
    "sizes that multiply": (
        "network Bomb {\n    input x: [A, B, C, D]\n    reshape(["
        + " * ".join(["(A + B + C + D)"] * 60)
        + ", 2])\n}\n",
        "number-too-large",
    ),
    "remainders by many numbers": (
        "network Bomb {\n    input x: [1, H, W]\n"
        + "".join(f"    where H % {n} == {n - 1} or W % {n} == 1\n" for n in range(2, 60))
        + "    if H * W % 61 == 3 { relu }\n    conv(8, 3)\n}\n",
        "undecided-choice",
    ),
    "floors in floors": (
        "network Bomb {\n    input x: [1, H]\n    let a0 = H\n"
        + doubling(200, "", "    let a{n} = (a{m} * 3 + 1) // 2")
        + "\n    if a199 % 7 == 3 { relu }\n    conv(8, 3)\n}\n",
        "number-too-large",
    ),
}


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def checked(path: Path) -> subprocess.CompletedProcess[str]:
    """`specc check` of a file in a process that may use one GiB and a minute."""
    return subprocess.run(
        [sys.executable, "-m", "specc", "check", path.name],
        cwd=path.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        preexec_fn=limited,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=4 * SECONDS,
    )


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_an_error_in_bounded_time_and_memory(name: str, tmp_path: Path) -> None:
    text, code = BOMBS[name]
    path = tmp_path / "bomb.net"
    path.write_text(text, encoding="utf-8")
    done = checked(path)
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    assert done.returncode in (1, 2), (done.returncode, done.stderr[-500:])
    assert f"error[{code}]" in done.stderr, done.stderr[:1500]
    assert len(done.stderr) < 200_000


def test_a_chain_of_three_hundred_imports(tmp_path: Path) -> None:
    for at in range(300):
        text = f'import B{at + 1} from "b{at + 1}.net"\nblock B{at} {{ B{at + 1} }}\n'
        (tmp_path / f"b{at}.net").write_text(text, encoding="utf-8")
    (tmp_path / "b300.net").write_text("block B300 { relu }\n", encoding="utf-8")
    main = tmp_path / "main.net"
    main.write_text('import B0 from "b0.net"\nnetwork Bomb { input x: [4]; B0 }\n', encoding="utf-8")
    done = checked(main)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "error[too-many-files]" in done.stderr


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (bytes(range(256)) * 100, "not-text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(1000), "not-text"),
        (b"\xff\xfe" + "network N { input x: [4] }".encode("utf-16-le"), "not-text"),
        (b"network N { input x: [4]; relu }\x00", "not-text"),
        (b"\x00" * 100_000, "not-text"),
        (b"\xef\xbb\xbfnetwork N { input x: [4]; relu ", "unclosed-bracket"),
        (b"x" * 3_000_000, "file-too-large"),
        (b"", "no-network"),
        (b"\r\n\r\r\n", "no-network"),
    ],
)
def test_a_file_that_is_no_spec(content: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "garbage.net"
    path.write_bytes(content)
    done = checked(path)
    assert "Traceback" not in done.stderr
    assert f"error[{code}]" in done.stderr
    assert done.returncode in (1, 2)


def test_what_has_no_end_is_not_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "zeros.net"
    path.symlink_to("/dev/zero")
    done = checked(path)
    assert "error[file-too-large]" in done.stderr
    assert done.returncode == 2
