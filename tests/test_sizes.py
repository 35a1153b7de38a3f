"""Sizes and conditions, held against plain whole numbers, brute force, sympy and z3."""

from __future__ import annotations

import copy
import random
from itertools import pairwise
from itertools import product as combinations
from time import perf_counter

import pytest
import sympy
import z3
from hypothesis import given, settings
from hypothesis import strategies as st

from specc.sizes.conditions import (
    ALWAYS,
    NEVER,
    All,
    Any,
    Compare,
    Condition,
    Not,
    Predicate,
    Proved,
    Refuted,
    Sometimes,
    Undecided,
    admissible,
    admits,
    compare,
    decide,
    describe,
    examples,
    holds,
    nearest,
    substitute_in,
)
from specc.sizes.dim import (
    Dim,
    Size,
    SizeTooLarge,
    bounds,
    ceil_div,
    evaluate,
    maximum,
    minimum,
    parse,
    product,
    substitute,
    symbol,
    symbols,
    text,
)
from specc.sizes.numbers import OverBudget
from specc.sizes.signs import sign_runs
from specc.sizes.single import numbers_of

D, H, W, M, N, T, k = map(symbol, ("D", "H", "W", "M", "N", "T", "k"))
HALF = 0.5


# ------------------------------------------------------------------------------------------------ sizes as expressions
@st.composite
def expressions(draw: st.DrawFn, depth: int = 4, names: tuple[str, ...] = ("H", "W")) -> str:
    """A Python expression over the names, whose value a Dim must reproduce."""
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from([*names, *names, "1", "2", "3", "7", "12"]))
    left = draw(expressions(depth - 1, names))
    kind = draw(st.sampled_from(["+", "-", "*", "//", "//", "%", "min", "max", "**", "neg"]))
    if kind in ("//", "%"):
        return f"({left}) {kind} {draw(st.sampled_from([1, 2, 3, 4, 6, 8, -2]))}"
    if kind == "neg":
        return f"-({left})"
    if kind == "**":
        return f"({left})**2"
    right = draw(expressions(depth - 1, names))
    return f"{kind}({left}, {right})" if kind in ("min", "max") else f"({left}) {kind} ({right})"


def build(expression: str) -> Size:
    return eval(expression, {"H": H, "W": W, "min": minimum, "max": maximum})


@settings(max_examples=250, deadline=None)
@given(expressions(), st.integers(1, 60), st.integers(1, 60))
def test_a_size_is_worth_what_the_whole_numbers_are_worth(expression: str, h: int, w: int) -> None:
    wanted = eval(expression, {"H": h, "W": w})
    size = build(expression)
    assert evaluate(size, {"H": h, "W": w}) == wanted
    assert substitute(size, {"H": h, "W": w}) == wanted
    assert eval(text(size), {"H": h, "W": w}) == wanted
    assert parse(text(size)) == size
    assert not isinstance(size, Dim) or size.symbols
    least, most = bounds(size)
    assert least is None or least <= wanted
    assert most is None or wanted <= most


@settings(max_examples=80, deadline=None)
@given(expressions(depth=3), expressions(depth=2, names=("N",)), st.integers(1, 40), st.integers(1, 40))
def test_substituting_then_evaluating_is_evaluating(expression: str, inner: str, n: int, w: int) -> None:
    put = eval(inner, {"N": N, "min": minimum, "max": maximum})
    value = evaluate(put, {"N": n})
    wanted = eval(expression, {"H": value, "W": w})
    if value >= 1:
        assert evaluate(substitute(build(expression), {"H": put}), {"N": n, "W": w}) == wanted


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=6))
def test_polynomials_agree_with_sympy(terms: list[tuple[int, int, int]]) -> None:
    h, w = sympy.symbols("H W")
    ours: Size = 1
    theirs: sympy.Expr = sympy.Integer(1)
    for factor, i, j in terms:
        ours, theirs = ours * (H + factor) + W**i * factor, theirs * (h + factor) + w**i * factor
        ours, theirs = ours - H**j, theirs - h**j
    assert sympy.expand(theirs - sympy.sympify(text(ours))) == 0


@pytest.mark.parametrize(
    ("size", "spelling"),
    [
        (5 * (k + 1) + 6, "5*k + 11"),
        (H // 2, "H//2"),
        ((H - 1) // 2 + 1, "(H + 1)//2"),
        (ceil_div(H, 2), "(H + 1)//2"),
        (2 * (H // 8), "2*(H//8)"),
        (18_432 * T**2 + 123_532_032 * T, "18432*T**2 + 123532032*T"),
        (3 - H, "-H + 3"),
        (minimum(8, H), "min(H, 8)"),
        (H % 2, "H % 2"),
        ((H // 2) % 2, "(H//2) % 2"),
        (H % W, "H % W"),
        (-(H // 2), "-(H//2)"),
        (-H // 2, "-((H + 1)//2)"),
        ((8 * H + 3) // 4, "2*H"),
        (((H + 1) // 2 + 1) // 2, "(H + 3)//4"),
        ((H // 2) ** 2 * W, "W*(H//2)**2"),
        (7, "7"),
    ],
)
def test_spelling(size: Size, spelling: str) -> None:
    assert text(size) == spelling
    assert parse(spelling) == size


def test_equal_sizes_have_equal_forms() -> None:
    assert N * (M + 1) == N * M + N
    assert hash(N * (M + 1)) == hash(N * M + N)
    assert (H - 1) // 2 + 1 == (H + 1) // 2
    assert (H // 2) // 2 == H // 4
    assert (H * W * 64) // (H * W) == 64
    assert (H * W + H) // (W + 1) == H
    assert (H * W) // (H * D) == W // D
    assert H - H == 0
    assert isinstance(H - H, int)
    assert (2 * H) % 2 == 0
    assert ceil_div(H, W) == -(-H // W)
    assert minimum(H, H + 2) == H
    assert maximum(H, 0) == H
    assert maximum(H - 1, 0) == H - 1
    assert maximum(H, minimum(W, 3), W) == maximum(W, H)
    assert product([2, H, 3]) == 6 * H
    assert product([]) == 1
    assert symbols(H // W + 3) == {"H", "W"}
    assert symbols(4) == frozenset()


def test_a_size_is_a_value() -> None:
    with pytest.raises(TypeError):
        bool(H)
    with pytest.raises(AttributeError):
        H.terms = {}  # type: ignore[misc]
    with pytest.raises(TypeError):
        _ = H < W  # type: ignore[operator]
    with pytest.raises(TypeError):
        _ = H * HALF  # type: ignore[operator]
    with pytest.raises(ZeroDivisionError):
        _ = H // 0
    with pytest.raises(ValueError, match="negative"):
        _ = H**-1
    assert copy.copy(H // 2 + W) == H // 2 + W
    assert copy.deepcopy(minimum(H, W)) == minimum(H, W)
    assert H != "H"
    assert H != 1


def test_formulas_have_a_budget() -> None:
    with pytest.raises(SizeTooLarge):
        _ = H**65
    many = sum((symbol(f"s{n}") for n in range(100)), H)
    with pytest.raises(SizeTooLarge):
        _ = many**3


@pytest.mark.parametrize(
    "wrong",
    ["", "H +", "H / 2", "(H", "H)", "H ** W", "H ** -1", "2 H", "H // 0", "min()", "H..", "H**99", "(" * 999, "é$"],
)
def test_what_is_no_size(wrong: str) -> None:
    with pytest.raises(ValueError):
        parse(wrong)


def test_many_layers_cost_little() -> None:
    def walk(layers: int) -> float:
        start, size, count = perf_counter(), H, 0
        for layer in range(layers):
            size = (size + 2 - 3) // 1 + 1
            if layer % (layers // 8) == 0:
                size = (size - 2) // 2 + 1
            count = count + 9 * 64 * size * W
        assert text(size) == "H//256" or layers % 8
        return perf_counter() - start

    assert min(walk(8000) for _ in range(2)) < 2.0


# ------------------------------------------------------------------------------------------------------- polynomials
@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(-60, 60), min_size=1, max_size=5))
def test_signs_of_a_polynomial(factors: list[int]) -> None:
    runs = sign_runs(factors)
    assert runs[0][0] == 0
    assert runs[-1][1] is None
    for (_, end, sign), (start, _, after) in pairwise(runs):
        assert end is not None
        assert start == end + 1
        assert sign != after
    for q in range(150):
        value = sum(factor * q**power for power, factor in enumerate(factors))
        (found,) = (sign for start, end, sign in runs if start <= q and (end is None or q <= end))
        assert found == (value > 0) - (value < 0)


# --------------------------------------------------------------------------------------------- sets of a single symbol
def random_size(rng: random.Random, depth: int) -> Size:
    kind = rng.random()
    if depth == 0 or kind < 0.3:
        return H * rng.randint(1, 3) + rng.randint(-9, 9)
    one, two = random_size(rng, depth - 1), random_size(rng, depth - 1)
    if kind < 0.5:
        return one + rng.choice([-1, 1, 2]) * two
    if kind < 0.75:
        return one // rng.choice([2, 3, 4, 6])
    if kind < 0.85:
        return one % rng.choice([2, 3, 4, 5])
    if kind < 0.9:
        return one * two
    return rng.choice([minimum, maximum])(one, two)


def random_predicate(rng: random.Random, depth: int) -> Predicate:
    kind = rng.random()
    if depth == 0 or kind < 0.4:
        right = random_size(rng, 1) if rng.random() < HALF else rng.randint(-5, 900)
        return Compare(random_size(rng, 2), rng.choice(["==", "!=", "<", "<=", ">", ">="]), right)
    one, two = random_predicate(rng, depth - 1), random_predicate(rng, depth - 1)
    return All((one, two)) if kind < 0.65 else Any((one, two)) if kind < 0.85 else Not(one)


def described(condition: Condition, number: int) -> bool:
    """What the fields of a condition say, read on their own."""
    assert condition.period is not None
    assert condition.residues is not None
    assert condition.at_least is not None
    bounded = condition.at_least <= number and (condition.at_most is None or number <= condition.at_most)
    regular = bounded and number % condition.period in condition.residues and number not in condition.excluded
    return regular or number in condition.also


@pytest.mark.parametrize("seed", range(8))
def test_random_predicates_against_every_size_up_to_2000(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(12):
        predicates = [random_predicate(rng, 1) for _ in range(rng.randint(1, 3))]
        wanted = {n for n in range(1, 2001) if all(holds(each, {"H": n}) for each in predicates)}
        conditions = admissible(predicates)
        assert {n for n in range(1, 2001) if admits(conditions, {"H": n})} == wanted
        numbers = numbers_of(All(tuple(predicates))).regular()
        assert {n for n in range(1, 2001) if n in numbers} == wanted
        if not conditions:
            assert len(wanted) == 2000
            continue
        (condition,) = conditions
        assert condition.decided
        assert condition.empty <= (not wanted)
        if condition.period is not None:
            assert {n for n in range(1, 2001) if described(condition, n)} == wanted, condition.text
        for index, each in enumerate(predicates):
            if condition.symbols and not all(holds(each, {"H": n}) for n in range(1, 2001)):
                assert index in condition.causes
        found = [each["H"] for each in examples(predicates, count=4, largest=2000)]
        assert set(found) <= wanted
        assert not wanted or found[0] == min(wanted)
        if not condition.symbols:
            continue
        around = nearest(predicates, [], {"H": 1000})["H"]
        assert around[0] == max((n for n in wanted if n <= 1000), default=None)
        assert around[1] is None or around[1] == min((n for n in wanted if n >= 1000), default=around[1])


@pytest.mark.parametrize("seed", range(6))
def test_random_questions_with_facts(seed: int) -> None:
    rng = random.Random(100 + seed)
    for _ in range(12):
        question, fact = random_predicate(rng, 1), random_predicate(rng, 0)
        inside = [n for n in range(1, 2001) if holds(fact, {"H": n})]
        values = {holds(question, {"H": n}) for n in inside}
        match decide(question, [fact]):
            case Proved():
                assert values <= {True}
            case Refuted(example):
                assert values <= {False}
                assert holds(fact, example)
                assert not holds(question, example)
            case Sometimes(yes, no):
                assert holds(fact, yes)
                assert holds(question, yes)
                assert holds(fact, no)
                assert not holds(question, no)
            case Undecided(why):
                assert not inside
                assert "no sizes meet" in why


# -------------------------------------------------------------------------------------------------------------- U-Nets
def padded_unet(size: Size) -> list[Predicate]:
    asked: list[Predicate] = []
    skips = []
    for _ in range(4):
        asked += [compare(size % 2, "==", 0), compare(size // 2, ">=", 1)]
        skips.append(size)
        size = size // 2
    for skip in reversed(skips):
        size = 2 * size
        asked.append(compare(size, "==", skip))
    return asked


def valid_unet(size: Size) -> tuple[Size, list[Predicate]]:
    asked: list[Predicate] = []

    def double(before: Size) -> Size:
        asked.extend((compare(before - 2, ">=", 1), compare(before - 4, ">=", 1)))
        return before - 4

    skips = []
    for _ in range(4):
        size = double(size)
        skips.append(size)
        asked.append(compare(size % 2, "==", 0))
        size = size // 2
    size = double(size)
    for skip in reversed(skips):
        size = 2 * size
        asked.append(compare(skip, ">=", size))
        size = double(size)
    return size, asked


def test_padded_unet() -> None:
    asked = padded_unet(H) + padded_unet(W)
    h, w = admissible(asked)
    assert h.text == "H is a multiple of 16, at least 16"
    assert w.text == "W is a multiple of 16, at least 16"
    assert (h.period, h.residues, h.at_least, h.at_most) == (16, (0,), 16, None)
    assert (h.causes, w.causes) == (tuple(range(12)), tuple(range(12, 24)))
    assert nearest(asked, [], {"H": 30, "W": 7}) == {"H": (16, 32), "W": (None, 16)}
    first, *_ = found = examples(asked, count=4)
    assert first == {"H": 16, "W": 16}
    assert len(found) == 4
    assert any(each["H"] != each["W"] for each in found)


@pytest.mark.parametrize("which", [slice(0, 8), slice(8, 12)], ids=["pools", "concats"])
def test_pools_and_concats_of_the_padded_unet_agree(which: slice) -> None:
    (condition,) = admissible(padded_unet(H)[which])
    assert condition.text == "H is a multiple of 16, at least 16"


def test_concats_that_would_differ_are_named_by_how_much() -> None:
    concat = 2 * (H // 16)
    assert [describe(each) for each in padded_unet(H)[8:9]] == ["2*(H//16) == H//8"]
    assert text(H // 8 - concat) == "(H//8) % 2"


def test_valid_unet() -> None:
    result, asked = valid_unet(H)
    (condition,) = admissible(asked)
    assert condition.text == "H is 12 more than a multiple of 16, at least 188"
    assert (condition.period, condition.residues, condition.at_least) == (16, (12,), 188)
    assert substitute(result, {"H": 572}) == 388
    assert substitute(result, {"H": 188}) == 4
    (same,) = admissible([compare(H % 16, "==", 12), compare(H, ">=", 188)])
    assert same.text == condition.text


def test_conditions_are_quick() -> None:
    def seconds(asked: list[Predicate]) -> float:
        times = []
        for _ in range(5):
            start = perf_counter()
            admissible(asked)
            times.append(perf_counter() - start)
        return min(times)

    assert seconds(padded_unet(H)) < 0.02
    many = [compare(((H + n) // 2 - 3) // 4 * 8 // 16 + n, ">=", H // 64) for n in range(200)]
    assert seconds(many) < 0.2


# --------------------------------------------------------------------------------------------------------------- words
@pytest.mark.parametrize(
    ("predicates", "wanted"),
    [
        ([compare(H % 8, "==", 0)], "H is a multiple of 8, at least 8"),
        ([compare(H % 16, "==", 4), compare(H, ">=", 180)], "H is 4 more than a multiple of 16, at least 180"),
        ([compare(H % 16, "==", 15)], "H is 1 less than a multiple of 16, at least 15"),
        ([Any((compare(H % 6, "==", 1), compare(H % 6, "==", 5))), compare(H, ">", 5)], "H % 6 is 1 or 5, at least 7"),
        ([compare(H, ">", 31)], "H is at least 32"),
        ([compare(2 * H, "==", 14)], "H is 7"),
        ([compare(H, ">=", 3), compare(H, "<", 10)], "H is between 3 and 9"),
        ([compare(H % 2, "==", 1)], "H is odd"),
        ([compare(H % 2, "==", 0)], "H is even, at least 2"),
        ([compare(H % 3, "!=", 0)], "H is not a multiple of 3"),
        ([compare(H % 8, "==", 0), compare(H, "<=", 70)], "H is a multiple of 8, between 8 and 64"),
        ([compare(H, "!=", 7)], "H is any size, but not 7"),
        ([compare(100 % H, "==", 0)], "H is 1, 2, 4, 5, 10, 20, 25, 50 or 100"),
        ([compare(H % 2, "==", 1), compare(H % 4, "==", 2)], "no size of H will do"),
        ([compare(H, ">=", 10**9), compare(H % 2, "==", 0)], "H is even, at least 1000000000"),
        ([compare(H, "==", W)], "H and W are equal"),
        ([compare(H, "==", W + 2), compare(W % 8, "==", 0)], "H is W + 2, and W is a multiple of 8, at least 8"),
        ([compare(H // 2, "==", W // 2)], "H//2 == W//2"),
        ([compare(H // 2, "==", W), compare(H % 4, "==", 0)], "W is H//2, and H is a multiple of 4, at least 4"),
        ([compare(3 * H, "==", 2 * W)], "W is H + H//2, and H is even, at least 2"),
        ([compare(H, ">=", W), compare(W, ">", H)], "no sizes of H and W will do"),
        ([compare(8 * H * W, "==", 100)], "no sizes of H and W will do"),
        ([compare(minimum(H, 8), "==", 8)], "H is at least 8"),
        ([compare(1, "==", 2)], "no size will do"),
    ],
)
def test_words(predicates: list[Predicate], wanted: str) -> None:
    (condition,) = admissible(predicates)
    assert condition.text == wanted
    assert condition.decided
    assert condition.empty == wanted.startswith("no size")


def test_no_condition_is_any_size() -> None:
    assert admissible([compare(H, ">=", 1), compare(H * W, ">", 0), compare((H + 1) // 2, "<=", H), ALWAYS]) == []
    assert admissible([Any((compare(H % 2, "==", 0), compare(H % 2, "==", 1)))]) == []


def test_products_of_floors_come_apart() -> None:
    h, w = admissible([compare(4 * (H // 2) * (W // 2), "==", H * W)])
    assert (h.text, w.text) == ("H is even, at least 2", "W is even, at least 2")
    assert h.causes == w.causes == (0,)


def test_facts_join_in_and_cause_nothing() -> None:
    asked = [compare(H % 2, "==", 0), compare(H, ">=", 4), compare(W % 2, "==", 0)]
    h, w = admissible(asked, [compare(H % 16, "==", 0), compare(H, ">=", 32)])
    assert h.text == "H is a multiple of 16, at least 32"
    assert h.causes == ()
    assert w.text == "W is even, at least 2"
    assert w.causes == (2,)


def test_over_the_budget_is_undecided_and_not_guessed() -> None:
    question = compare(H % 4097, "==", 0)
    with pytest.raises(OverBudget):
        numbers_of(question)
    (condition,) = admissible([question])
    assert not condition.decided
    assert "H % 4097 == 0" in condition.text
    assert isinstance(decide(compare((H % 4097) * (H % 4099), "==", 4096 * 4098)), Undecided)
    (joint,) = admissible([compare(H**3 + W**3, "==", T**3)])
    assert not joint.decided
    assert "H**3" in joint.text


# ------------------------------------------------------------------------------------------------------ several symbols
@pytest.mark.parametrize(
    ("question", "facts"),
    [
        (compare(H, "==", W), [compare(H, "<=", W), compare(W, "<=", H)]),
        (compare((H + W) // 2, "<=", H + W), []),
        (compare(H + W, ">=", 2), []),
        (compare(maximum(H, W), ">=", W), []),
        (compare((H + W) % 2, "==", 0), [compare(H % 2, "==", 1), compare(W % 2, "==", 1)]),
        (compare(H * W, ">=", H), []),
        (compare(H, ">", W), [compare(H, "==", W + 3)]),
        (compare(H, "!=", D), [compare(H, ">", W), compare(W, ">", D)]),
        (compare(H % 2, "==", 0), [compare(H, "==", 2 * W)]),
        (compare(H % 4, "==", 0), [compare(H, "==", W), compare(W % 8, "==", 0)]),
    ],
    ids=lambda each: describe(each) if isinstance(each, Compare) else "",
)
def test_proved_for_several_symbols(question: Predicate, facts: list[Predicate]) -> None:
    assert decide(question, facts) == Proved()
    assert isinstance(decide(Not(question), facts), Refuted)
    for sizes in small_sizes(6):
        assert holds(question, sizes) or not all(holds(fact, sizes) for fact in facts)


def small_sizes(most: int) -> list[dict[str, int]]:
    return [dict(zip("HWD", each, strict=True)) for each in combinations(range(1, most + 1), repeat=3)]


def test_sometimes_gives_both() -> None:
    assert decide(compare(H, "==", W)) == Sometimes({"H": 1, "W": 1}, {"H": 1, "W": 2})
    answer = decide(compare(H * W, "==", 35), [compare(H, ">", W)])
    assert isinstance(answer, Sometimes)
    assert answer.yes["H"] * answer.yes["W"] == 35


@pytest.mark.parametrize("seed", range(8))
def test_random_predicates_of_two_symbols(seed: int) -> None:
    rng = random.Random(seed)
    grid = [{"H": h, "W": w} for h in range(1, 25) for w in range(1, 25)]
    for _ in range(6):
        pieces: list[Predicate] = []
        for _ in range(rng.randint(1, 3)):
            left = rng.choice([H, W, H + W, H // 2 + W, (H + W) // 3, H - W, H * W, H % 3, W % 2, maximum(H, W)])
            right = rng.choice([rng.randint(0, 20), W, 2 * (H // 2), W % 3 + 4])
            pieces.append(compare(left, rng.choice(["==", "<=", ">=", "!=", ">"]), right))
        wanted = [sizes for sizes in grid if all(holds(piece, sizes) for piece in pieces)]
        conditions = admissible(pieces)
        assert [sizes for sizes in grid if admits(conditions, sizes)] == wanted
        if any(condition.empty for condition in conditions):
            assert not wanted
        for sizes in examples(pieces, count=5, symbols=("H", "W")):
            assert all(holds(piece, sizes) for piece in pieces)
        question, facts = pieces[0], pieces[1:]
        values = {holds(question, sizes) for sizes in grid if all(holds(fact, sizes) for fact in facts)}
        match decide(question, facts):
            case Proved():
                assert values <= {True}
            case Refuted():
                assert values <= {False}
            case Sometimes(yes, no):
                assert holds(question, yes | {"H": yes.get("H", 1)})
                assert not holds(question, no)


def test_predicates_fold_and_substitute() -> None:
    assert compare(3, "<", 4) == ALWAYS
    assert compare(H, ">", H) == NEVER
    asked = All((compare(H % 2, "==", 0), Not(compare(W, ">=", 4))))
    assert describe(asked) == "H % 2 == 0 and not (W >= 4)"
    assert substitute_in(asked, {"H": 8, "W": 3}) == ALWAYS
    assert describe(substitute_in(asked, {"H": 8})) == "W < 4"
    assert describe(Any((asked, compare(H, ">", 1)))) == "(H % 2 == 0 and not (W >= 4)) or H > 1"
    assert not holds(compare(H // (W - 1), ">=", 0), {"H": 3, "W": 1})


# ------------------------------------------------------------------------------------------------------------------ z3
def prove_with_z3(asked: list[Predicate], claim: object, h: z3.ArithRef) -> bool:
    solver = z3.Solver()
    # For a positive whole divisor z3's integer division rounds down, as ours does.
    said = [eval(describe(each).replace("//", "/"), {"H": h, "true": True}) for each in asked]
    solver.add(h >= 1, z3.And(*said) != claim)
    return solver.check() == z3.unsat


def test_unets_agree_with_z3() -> None:
    h = z3.Int("H")
    assert prove_with_z3(padded_unet(H), z3.And(h % 16 == 0, h >= 16), h)
    assert prove_with_z3(valid_unet(H)[1], z3.And(h % 16 == 12, h >= 188), h)
    assert not prove_with_z3(padded_unet(H), z3.And(h % 8 == 0, h >= 8), h)


def test_mixed_strides_agree_with_z3() -> None:
    h = z3.Int("H")
    asked = [compare(((H + 1) // 2 + 2) // 3, "==", (H + 5) // 6), compare((H // 3) % 2, "==", 1), compare(H, "<", 40)]
    (condition,) = admissible(asked)
    claim = z3.Or(*[h == n for n in range(1, 40) if described(condition, n)])
    assert prove_with_z3(asked, claim, h)


def test_never_negative_is_never_wrong_and_sees_floors() -> None:
    """Against brute force on random sums of products of floors; and on what networks ask."""
    from specc.sizes.relax import never_negative

    draw, seen = random.Random(4), 0
    H, W = symbol("H"), symbol("W")
    for _ in range(400):
        least = {"H": draw.randint(1, 9), "W": draw.randint(1, 9)}
        size: Size = draw.randint(-40, 40)
        for _ in range(draw.randint(1, 4)):
            factors = [(each + draw.randint(-3, 9)) // draw.randint(1, 5) for each in draw.choices([H, W], k=2)]
            size = size + draw.randint(-4, 9) * product(factors[: draw.randint(1, 2)])
        places = [{"H": h, "W": w} for h in range(least["H"], 30) for w in range(least["W"], 30)]
        if never_negative(size, least):
            seen += 1
            assert all(evaluate(size, place) >= 0 for place in places), (size, least)
    assert seen > 60
    assert never_negative(1024 * H * W - 256 * H * W - 1024 * (H // 2) * (W // 2), {})
    assert not never_negative(H - 5, {"H": 4})
    assert never_negative(H - 5, {"H": 5})
