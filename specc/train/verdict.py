"""High bias, high variance, both or neither: what the errors of people, training, development and test say together."""

from __future__ import annotations

import math
from dataclasses import dataclass

POINTS = 0.02  # a gap between errors that are shares is large from two points of a hundred on
PART = 0.25  # a gap between other errors is large from a quarter of the smaller one on
DEVIATIONS = 2.0  # a gap smaller than so many standard errors may be chance


@dataclass(frozen=True, slots=True)
class Gap:
    """How much an error exceeds another one. `margin` is from where on that is large, `chance` what chance alone may
    make of it (0 where that is not known)."""

    size: float
    margin: float
    chance: float = 0.0

    @property
    def wide(self) -> bool:
        return self.size > 0 and self.size >= self.margin * (1 - 1e-9)

    @property
    def high(self) -> bool:
        """Whether it is large, and more than chance."""
        return self.wide and self.size > self.chance


@dataclass(frozen=True, slots=True)
class Verdict:
    """The errors, and the gaps between them; a gap is None where one of its errors is not known.

    `bias` is train - human, `dev_gap` dev - train, `test_gap` test - train, `shift` test - dev.
    """

    human: float | None
    train: float | None
    dev: float | None
    test: float | None
    share: bool
    bias: Gap | None
    dev_gap: Gap | None
    test_gap: Gap | None
    shift: Gap | None

    @property
    def variance(self) -> Gap | None:
        """The larger of the gaps behind training; one that is high goes before one that is not."""
        gaps = [each for each in (self.dev_gap, self.test_gap) if each is not None]
        return max(gaps, key=lambda each: (each.high, each.size), default=None)

    @property
    def doubtful(self) -> bool:
        """Whether the gap behind training is large but may be chance: too few samples were measured."""
        return self.variance is not None and self.variance.wide and not self.variance.high

    @property
    def shifted(self) -> bool:
        """Whether the test part is worse than the development part, by more than chance."""
        return self.shift is not None and self.shift.high

    @property
    def words(self) -> str:
        """The verdict in words."""
        bias, variance = self.bias, self.variance
        high = [
            f"high {name}" for name, gap in (("bias", bias), ("variance", variance)) if gap is not None and gap.high
        ]
        unknown = [name for name, gap in (("bias", bias), ("variance", variance)) if gap is None]
        if len(unknown) == 2:
            return "neither bias nor variance can be judged"
        if not unknown:
            return " and ".join(high) or "neither high bias nor high variance"
        known = "variance" if unknown == ["bias"] else "bias"
        return f"{high[0] if high else f'no high {known}'}; {unknown[0]} cannot be judged"


def verdict(
    human: float | None,
    train: float | None,
    dev: float | None,
    test: float | None,
    *,
    share: bool = True,
    counts: tuple[int, int, int] = (0, 0, 0),
) -> Verdict:
    """Judge a network by its errors on four occasions; None, NaN and infinity are errors that are not known.

    The rules are those of the lecture notes (human, train, dev and test error; Ng, Machine Learning Yearning, 2018,
    chapters 20 to 23):

    - bias is train - human: what people can do stands for what can be done at all. Where `human` is not known a share
      is compared with 0; for other errors there is no such bound, and bias is not judged.
    - variance is dev - train or test - train, whichever is worse. A gap that opens between dev and test only is high
      variance too, as in the notes' second example, and `shifted` besides.
    - a gap between shares is large from 2 points of a hundred on (the notes: 4 points are, 0.3 are not), between other
      errors (`share=False`) from a quarter of the smaller error on.
    - a large gap is high if it is also more than chance: more than two standard errors of the difference, from e(1-e)/n
      of each share, which no mean of numbers from 0 to 1 over n independent samples exceeds. `counts` are the samples
      that stand for more of their kind behind train, dev and test; 0 for an error that is no estimate, as that of all
      training samples is.
    """
    human, train, dev, test = (_finite(each) for each in (human, train, dev, test))
    of_train, of_dev, of_test = counts if share else (0, 0, 0)
    floor = 0.0 if human is None and share else human
    return Verdict(
        human,
        train,
        dev,
        test,
        share,
        bias=_gap(floor, train, share, 0, of_train),
        dev_gap=_gap(train, dev, share, of_train, of_dev),
        test_gap=_gap(train, test, share, of_train, of_test),
        shift=_gap(dev, test, share, of_dev, of_test),
    )


def _finite(error: float | None) -> float | None:
    return error if error is not None and math.isfinite(error) else None


def _gap(lower: float | None, upper: float | None, share: bool, below: int, above: int) -> Gap | None:
    if lower is None or upper is None:
        return None
    margin = POINTS if share else PART * min(abs(lower), abs(upper))
    chance = DEVIATIONS * math.sqrt(_square(lower, below) + _square(upper, above))
    return Gap(upper - lower, margin, chance)


def _square(error: float, count: int) -> float:
    """The squared standard error of a share."""
    kept = min(max(error, 0.0), 1.0)
    return kept * (1 - kept) / count if count else 0.0
