"""What to try next after a verdict, in terms of the spec: the lists of the lecture notes, in the order of the gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from specc.train.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Practice:
    """What the spec does already: whether it drops out, decays, augments, goes through folds; how many epochs it asks
    for, and whether the last of them was the best one (`rising`); whether `pictures` go in, which can be augmented."""

    dropout: bool
    decay: bool
    augment: bool
    rising: bool
    pictures: bool
    folds: bool
    epochs: int


def advice(found: Verdict, practice: Practice) -> tuple[str, ...]:
    """Sentences, what matters most first; what the spec does already is not said again."""
    bias, variance = found.bias, found.variance
    high_bias = bias is not None and bias.high
    high_variance = variance is not None and variance.high
    said: list[str] = []
    if high_bias and high_variance and bias is not None and variance is not None:
        first, then = (_bias, _variance) if bias.size >= variance.size else (_variance, _bias)
        said += [*first(practice), *then(practice)]
    elif high_bias:
        said += _bias(practice)
    elif high_variance:
        said += _variance(practice)
    if found.shifted:
        said += _shift(practice)
    if found.doubtful:
        said.append(_few(practice))
    if bias is None and found.train is not None:
        said.append("say what people reach, `human …`: without it nobody can tell whether the training error is high")
    if not said and bias is not None and variance is not None:
        said.append("nothing is to be mended here; a lower error needs a better network or more samples")
        if found.human is None:
            said.append("if people do better than the training error, say it: `human …`")
    return tuple(dict.fromkeys(said))


def _bias(practice: Practice) -> Iterator[str]:
    """Against underfitting."""
    if practice.rising:
        yield f"train longer, `epochs {2 * practice.epochs}`: the last epoch was the best one"
    yield "try other learning rates, such as `--set optimizer.lr=…`, three times as large and a third"
    yield "take a larger network: more layers, or more channels and units in them"
    if practice.dropout or practice.decay or practice.augment:
        names = [("dropout", practice.dropout), ("`regularize`", practice.decay), ("`augment`", practice.augment)]
        yield f"hold the network back less: {' and '.join(name for name, used in names if used)}"
    yield "try another architecture that suits the data (`specc specs`)"


def _variance(practice: Practice) -> Iterator[str]:
    """Against overfitting."""
    if practice.pictures and not practice.augment:
        yield "augment the training samples, such as `augment flip, rotate(10)`, where that leaves the answer as it is"
    yield "get more training samples"
    yield "`regularize l2(0.0001)`" + (" or more than now" if practice.decay else "")
    yield "more `dropout` before the last layers" if practice.dropout else "`dropout(0.5)` before the last layers"
    yield "stop early, `stop early(patience=10)`, or take a smaller network"


def _shift(practice: Practice) -> Iterator[str]:
    yield (
        "the test part is worse than the validation part: more samples for validation, since the best epoch was chosen "
        "by it, and see that both parts are of one kind (`split group=…`, no `stratify=false`)"
    )


def _few(practice: Practice) -> str:
    more = "larger shares" if practice.folds else "larger shares, or `split kfold(5)` and `specc train --folds`"
    return f"the gap behind training may be chance, as few samples were measured: {more}"
