"""Predictions for what people have: pictures, volumes, arrays and rows go in, named classes and numbers come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from specc.data.sources import DataProblem
from specc.deploy.alone import network_alone, training_prepared
from specc.deploy.described import Side
from specc.deploy.given import Broken, Sample, samples
from specc.deploy.runtime import BadInput, Predictor
from specc.deploy.windows import Window, slide

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_MOST_NUMBERS: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What the network makes of one sample: `source` is the file, with the row or place where it holds several.

    `outputs` leave the batch out. `label` is the class and `confidence` its probability, where classes are known;
    `probabilities` are those of all classes in their order. `sample` is what was predicted.
    """

    source: str
    outputs: dict[str, Array]
    label: str = ""
    confidence: float | None = None
    probabilities: tuple[float, ...] = ()
    sample: Sample | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Plain values; an output of more than 1000 numbers is summed up by its shape and range."""
        found: dict[str, Any] = {"source": self.source}
        if self.label:
            found |= {"class": self.label, "confidence": self.confidence}
        return found | {"outputs": {name: _plain(array) for name, array in self.outputs.items()}}


@dataclass(frozen=True, slots=True)
class How:
    """How to predict: samples of one size `batch` at a time, or, with a `window`, each piece by piece.

    `broken` hears of what cannot be predicted, and the others go on; without it the first of them ends all. `windows`
    hears how many windows of a sample are done.
    """

    batch: int = 1
    window: Window | None = None
    broken: Callable[[Broken], None] | None = None
    windows: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise BadInput(f"a batch has 1 sample or more, not {self.batch}", "--batch 8")

    def refuse(self, found: Broken) -> None:
        if self.broken is None:
            raise BadInput(f"{found.source}: {found.message}", found.help)
        self.broken(found)


def predict_files(predictor: Predictor, paths: Sequence[Path | str]) -> Iterator[Prediction]:
    """A prediction for every sample in these files, in order; `given.samples` says what a file may be.

    Raises:
        BadInput: a file that cannot be read, or that the network does not take; its name is in the message.
    """
    return predict_given(predictor, paths, 1)


def predict_given(predictor: Predictor, given: Iterable[Any], batch: int) -> Iterator[Prediction]:
    """`predict_files` for paths, arrays and Pillow's pictures."""
    return predicted(predictor, samples(predictor, given), How(batch))


def predicted(predictor: Predictor, found: Iterable[Sample | Broken], how: How) -> Iterator[Prediction]:
    """A prediction for every sample, in order."""
    waiting: list[tuple[Sample, dict[str, Array]]] = []
    alone: Predictor | None = None
    for each in found:
        if isinstance(each, Broken):
            how.refuse(each)
            continue
        try:
            if how.window is not None:
                alone = alone or network_alone(predictor)
                yield _named(predictor, each, _slid(predictor, alone, each, how))
                continue
            ready = _ready(predictor, each)
        except (BadInput, DataProblem) as problem:
            how.refuse(Broken(each.source, problem.message, problem.help or _windows(predictor)))
            continue
        if waiting and (len(waiting) == how.batch or _shapes(waiting[0][1]) != _shapes(ready)):
            yield from _together(predictor, waiting)
            waiting = []
        waiting.append((each, ready))
        if len(waiting) == how.batch:
            yield from _together(predictor, waiting)
            waiting = []
    yield from _together(predictor, waiting)


def brief(prediction: Prediction) -> dict[str, str]:
    """A prediction as a row for people, by the heads of the columns."""
    row = {"input": prediction.source}
    if prediction.label:
        row["class"] = prediction.label
    if prediction.confidence is not None:
        row["confidence"] = f"{prediction.confidence:.1%}"
    if not prediction.label or len(prediction.outputs) > 1:
        row |= {name: _short(array) for name, array in prediction.outputs.items()}
    return row


def table(rows: Sequence[Mapping[str, str]]) -> tuple[list[str], list[list[str]]]:
    """The heads and the rows of a table for people, from what `brief` gives."""
    heads = list(dict.fromkeys(head for row in rows for head in row))
    return heads, [[row.get(head, "") for head in heads] for row in rows]


# ------------------------------------------------------------------------------------------------------ running
def _ready(predictor: Predictor, sample: Sample) -> dict[str, Array]:
    """The inputs with a batch of one, prepared and admissible."""
    sides = {side.name: side for side in predictor.inputs}
    inputs = {
        name: _prepared(predictor, sides[name], each) if name in sides else each for name, each in sample.inputs.items()
    }
    for name, each in inputs.items():
        if name in sides and each.ndim == len(sides[name].shape) + 1:
            raise BadInput(
                f"`{name}` is {list(each.shape)}, the network takes {sides[name].spelled()}",
                "give one sample at a time",
            )
    return predictor.ready(inputs)[0]


def _together(predictor: Predictor, waiting: Sequence[tuple[Sample, dict[str, Array]]]) -> Iterator[Prediction]:
    """The predictions of samples of one size, in one run."""
    import numpy as np

    if not waiting:
        return
    names = waiting[0][1]
    made = predictor.run({name: np.concatenate([ready[name] for _, ready in waiting]) for name in names})
    for at, (sample, _) in enumerate(waiting):
        yield _named(predictor, sample, {name: array[at] for name, array in made.items()})


def _slid(predictor: Predictor, alone: Predictor, sample: Sample, how: How) -> dict[str, Array]:
    """The maps of a sample, window by window; what `prepare` does is done to the whole of it, as in training."""
    assert how.window is not None
    side = predictor.inputs[0]
    if len(predictor.inputs) != 1 or sample.inputs.keys() != {side.name}:
        raise BadInput("windows are for networks with one input", "leave --window out")
    given = sample.inputs[side.name]
    if given.ndim != len(side.shape):
        raise BadInput(f"`{side.name}` is {list(given.shape)}, the network takes {side.spelled()}")
    array = training_prepared(predictor, side, given)
    made = slide(alone.run, array, how.window, how.batch, how.windows)
    return {
        each.name: made[each.name] if each.name in made else _decided(predictor, each, made)
        for each in predictor.outputs
    }


def _decided(predictor: Predictor, side: Side, made: Mapping[str, Array]) -> Array:
    """The classes that the file says by its threshold, of probabilities that were blended."""
    from specc.data.postprocess import Threshold

    above = predictor.description.threshold
    assert above is not None
    of = side.name.removesuffix(".classes")
    shares = made[of] if of in made else next(iter(made.values()))
    found: Array = Threshold(above).classes(shares[None], 1 if len(shares) > 1 else None)[0]
    return found if len(shares) > 1 else found[0]


def _windows(predictor: Predictor) -> str:
    """What to type where a network of a fixed size gives maps: another size can be gone over in windows."""
    side = predictor.inputs[0]
    sizes = side.shape[1:]
    if len(predictor.inputs) != 1 or not sizes or not all(isinstance(each, int) for each in sizes):
        return ""
    if not any(each.shape[1:] == sizes for each in predictor.outputs):
        return ""
    return f"go over it in windows: --window {','.join(map(str, sizes))}"


def _shapes(ready: dict[str, Array]) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, each.shape) for name, each in ready.items()]


def _prepared(predictor: Predictor, side: Side, array: Array) -> Array:
    """What training did to every sample before the network, where the file does not do it itself."""
    return array if predictor.description.prepared_in_graph else training_prepared(predictor, side, array)


# ------------------------------------------------------------------------------------------------------- naming
def _named(predictor: Predictor, sample: Sample, outputs: dict[str, Array]) -> Prediction:
    """The outputs of one sample, and the class that they speak of."""
    import numpy as np

    classes = predictor.classes
    for side in predictor.outputs:
        array = outputs[side.name]
        if array.dtype.kind != "f" or array.ndim != 1 or not classes:
            continue
        if len(array) == len(classes):
            shares = array if side.makes == "probabilities" else _softmax(array)
        elif len(array) == 1 and len(classes) == 2:
            share = float(array[0]) if side.makes == "probability" else float(_sigmoid(array)[0])
            yes = bool(_chosen(predictor, np.array([share]), None))
            return _sure(sample, outputs, classes, (1 - share, share), int(yes))
        else:
            continue
        return _sure(sample, outputs, classes, tuple(shares.tolist()), _chosen(predictor, shares[None], 1))
    chosen = next((outputs[side.name] for side in predictor.outputs if side.makes == "class"), None)
    label = classes[int(chosen)] if chosen is not None and chosen.ndim == 0 and classes else ""
    return Prediction(sample.source, outputs, label, sample=sample)


def _chosen(predictor: Predictor, shares: Array, axis: int | None) -> int:
    """The class that the probabilities of a batch of one say, by the threshold of `postprocess` if there is one."""
    return int(predictor.postprocess.apply(shares, axis)[0])


def _sure(
    sample: Sample, outputs: dict[str, Array], classes: Sequence[str], shares: tuple[float, ...], chosen: int
) -> Prediction:
    return Prediction(sample.source, outputs, classes[chosen], shares[chosen], shares, sample)


def _softmax(logits: Array) -> Array:
    import numpy as np

    powers = np.exp(logits - logits.max())
    shares: Array = powers / powers.sum()
    return shares


def _sigmoid(logits: Array) -> Array:
    import numpy as np

    shares: Array = 1 / (1 + np.exp(-logits))
    return shares


def _plain(array: Array) -> Any:
    if array.size <= _MOST_NUMBERS:
        return array.tolist()
    return {"shape": list(array.shape), "least": array.min().item(), "greatest": array.max().item()}


def _short(array: Array) -> str:
    if array.size <= 8:
        return " ".join(f"{each:.4g}" for each in array.reshape(-1).tolist())
    return f"{list(array.shape)} from {array.min():.4g} to {array.max():.4g}"
