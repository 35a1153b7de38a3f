"""Arithmetic on plain values and sizes: operators, and the functions known to all."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from specc.model.elaborate.problem import problem
from specc.model.elaborate.saying import say
from specc.model.elaborate.scope import Ratio, Sizes
from specc.sizes.conditions import All, Compare, Not, Predicate
from specc.sizes.conditions import Any as AnyOf
from specc.sizes.dim import Dim, SizeTooLarge, ceil_div
from specc.text.diagnostics import SpecError
from specc.text.source import Span

BITS = 2048
LENGTH = 1_000_000
_PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def binary(sign: str, left: Any, right: Any, span: Span) -> Any:
    """`left sign right`; raises SpecError for what has no meaning."""
    if sign in ("and", "or"):
        return _logic(sign, left, right, span)
    if sign in _COMPARE:
        return _compare(sign, left, right, span)
    if isinstance(left, Sizes) or isinstance(right, Sizes):
        return _axis_by_axis(sign, left, right, span)
    if sign == "+" and isinstance(left, tuple) and isinstance(right, tuple):
        return _bounded(left + right, span)
    if sign == "+" and isinstance(left, str) and isinstance(right, str):
        return _bounded(left + right, span)
    if sign == "*" and isinstance(left, tuple) and _whole(right):
        if len(left) * max(right, 0) > LENGTH:
            raise problem("number-too-large", span, f"this list would have more than {LENGTH:,} items")
        return left * right
    _need_numbers(sign, left, right, span)
    try:
        return _number(sign, left, right, span)
    except ZeroDivisionError:
        raise problem("division-by-zero", span, f"`{sign}` by zero") from None
    except (OverflowError, SizeTooLarge):
        raise problem("number-too-large", span, f"the result of `{sign}` is too large here") from None
    except (ValueError, TypeError) as error:
        raise problem("bad-arithmetic", span, f"`{left} {sign} {right}` cannot be computed: {error}") from None


def _axis_by_axis(sign: str, left: Any, right: Any, span: Span) -> Any:
    if not isinstance(left, tuple):
        return Sizes(binary(sign, left, each, span) for each in right)
    if not isinstance(right, tuple):
        return Sizes(binary(sign, each, right, span) for each in left)
    if len(left) != len(right):
        raise problem("wrong-rank", span, f"`{sign}` between sizes of {len(left)} and of {len(right)} axes")
    return Sizes(binary(sign, a, b, span) for a, b in zip(left, right, strict=True))


def _number(sign: str, left: Any, right: Any, span: Span) -> Any:
    if sign == "/":
        return _divide(left, right, span)
    if sign == "**" and _whole(left) and _whole(right):
        if right > 0 and abs(left) > 1 and left.bit_length() * right > BITS:
            raise problem("number-too-large", span, "the result of `**` is too large here")
    if isinstance(left, Dim) or isinstance(right, Dim):
        size, other = (left, right) if isinstance(left, Dim) else (right, left)
        if isinstance(other, float):
            help = "write // for the part that is meant: `C // 2` instead of `0.5 * C`"
            raise problem(
                "unknown-times-real", span, f"the unknown size `{size}` goes with whole numbers, not with {other}", help
            )
    value = _PLAIN[sign](left, right)
    if isinstance(value, complex):
        raise problem("bad-arithmetic", span, f"`{left} {sign} {right}` is no real number")
    if isinstance(value, int) and value.bit_length() > BITS:
        raise problem("number-too-large", span, "this number is too large")
    return value


def _divide(left: Any, right: Any, span: Span) -> Any:
    if isinstance(left, Dim) or isinstance(right, Dim):
        if _whole(right) and right != 0 and left % right == 0:
            return left // right
        if _whole(right) and right > 0:
            return Ratio(left, right)
        raise problem("bad-arithmetic", span, f"`{left} / {right}` cannot be computed for an unknown size")
    if _whole(left) and _whole(right) and left % right == 0:
        return left // right
    return left / right


def _logic(sign: str, left: Any, right: Any, span: Span) -> Any:
    for each in (left, right):
        if not isinstance(each, bool | Predicate):
            raise problem("not-a-condition", span, f"`{sign}` joins conditions")
    if isinstance(left, bool) and isinstance(right, bool):
        return (left and right) if sign == "and" else (left or right)
    if isinstance(left, bool):
        left, right = right, left
    if isinstance(right, bool):
        return left if right == (sign == "and") else right
    return All((left, right)) if sign == "and" else AnyOf((left, right))


def _compare(sign: Any, left: Any, right: Any, span: Span) -> Any:
    if isinstance(left, Dim) or isinstance(right, Dim):
        _need_numbers(sign, left, right, span)
        if isinstance(left, float):
            return _compare_real(_MIRRORED[sign], right, left, span)
        if isinstance(right, float):
            return _compare_real(sign, left, right, span)
        return True if left == right and sign in ("==", "<=", ">=") else Compare(left, sign, right)
    if isinstance(left, tuple) and isinstance(right, tuple) and sign in ("==", "!="):
        return _compare_lists(sign, left, right, span)
    if sign not in ("==", "!="):
        _need_numbers(sign, left, right, span)
    return _COMPARE[sign](left, right)


def _compare_real(sign: Any, size: Dim, real: float, span: Span) -> Any:
    """A size that is not known against a real number: `H > 2.5` is `H > 2`."""
    if not math.isfinite(real):
        raise problem("bad-arithmetic", span, f"the size {size} cannot be compared with {real}")
    if sign in ("==", "!=") and real != int(real):
        return sign == "!="
    return Compare(size, sign, math.floor(real) if sign in (">", "<=") else math.ceil(real))


def _compare_lists(sign: str, left: tuple[Any, ...], right: tuple[Any, ...], span: Span) -> Any:
    same: Any = len(left) == len(right)
    for a, b in zip(left, right, strict=False):
        same = _logic("and", same, _compare("==", a, b, span), span)
    return same if sign == "==" else unary("not", same, span)


def unary(sign: str, value: Any, span: Span) -> Any:
    if sign == "not":
        if isinstance(value, Predicate):
            return Not(value)
        if isinstance(value, bool):
            return not value
        raise problem("not-a-condition", span, "`not` goes before a condition")
    _need_numbers(sign, value, value, span)
    return -value


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _need_numbers(sign: str, left: Any, right: Any, span: Span) -> None:
    for each in (left, right):
        if isinstance(each, Ratio):
            raise inexact(each, span)
        if isinstance(each, bool) or not isinstance(each, int | float | Dim):
            raise problem("not-a-number", span, f"`{sign}` goes with numbers and tensors; this is {say(each)}")


def inexact(ratio: Ratio, span: Span) -> SpecError:
    """The error for a size that was divided and not made whole again."""
    help = "write // to round down, or ceil(… / …) to round up"
    return problem("inexact-division", span, f"`{ratio}` need not be a whole number", help)


def _bounded(value: Any, span: Span) -> Any:
    if len(value) > LENGTH:
        raise problem("number-too-large", span, f"this list would have more than {LENGTH:,} items")
    return value


# ------------------------------------------------------------------------------------------- functions for all
def _range(*bounds: Any) -> range:
    if not all(_whole(each) for each in bounds) or not 1 <= len(bounds) <= 3:
        raise ValueError("it takes one to three whole numbers that are known")
    found = range(*bounds)
    if len(found) > LENGTH:
        raise ValueError(f"it would have more than {LENGTH:,} items")
    return found


def _len(value: Any) -> int:
    if not isinstance(value, tuple | range | str):
        raise ValueError("it takes a list")
    return len(value)


def _rounded(way: Callable[[Any], int], value: Any) -> Any:
    if isinstance(value, Sizes):
        return Sizes(_rounded(way, each) for each in value)
    if isinstance(value, Ratio):
        if way is round:
            raise ValueError("only floor and ceil go with an unknown size")
        return ceil_div(value.above, value.below) if way is math.ceil else value.above // value.below
    if isinstance(value, Dim):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("it takes a number")
    return way(value)


def _zip(*lists: Any) -> tuple[Any, ...]:
    return tuple(zip(*lists, strict=False))


def _enumerate(values: Any, start: int = 0) -> tuple[Any, ...]:
    return tuple(enumerate(values, start))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "range": _range,
    "len": _len,
    "round": lambda value: _rounded(round, value),
    "floor": lambda value: _rounded(math.floor, value),
    "ceil": lambda value: _rounded(math.ceil, value),
    "log2": math.log2,
    "zip": _zip,
    "enumerate": _enumerate,
}
