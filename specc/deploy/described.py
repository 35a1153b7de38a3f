"""What an exported file says about itself: its spec, the sizes it admits, its classes, and how it was proved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, Final, Literal

import specc
from specc.backends import onnx_file
from specc.catalogue.op import Dtype, TensorType
from specc.deploy.form import TOLERANCES, WHOLE, Form, inputs, insides
from specc.model.graph import Model
from specc.sizes.conditions import All, Compare, Not, Predicate, admissible, both, nearest, symbols_in
from specc.sizes.conditions import Any as AnyOf
from specc.sizes.dim import Dim, Size, parse, text

UNPROVED: Final = "unproved"
PROOF: Final = "specc.proof"
SPEC: Final = "specc.spec"
VERSION: Final = "specc.version"


class NotOurs(Exception):
    """A file that is no ONNX file of specc's, or whose description was changed: the fact, and what to do."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


@dataclass(frozen=True, slots=True)
class Origin:
    """What must be compiled to get the model again.

    `imports` are the texts of the project's own files that the spec imports, by the path it writes.
    """

    text: str
    file: str = "model.net"
    network: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    imports: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Side:
    """An input or an output: sizes without the batch. `makes` says what its numbers are, such as "probabilities".

    The `dtype` is "uint8" for pixels from 0 to 255 that the file divides by 255 itself.
    """

    name: str
    dtype: Dtype | Literal["uint8"]
    shape: tuple[Size, ...]
    makes: str = ""

    def spelled(self) -> str:
        return f"[{', '.join(text(size) for size in self.shape)}]"


@dataclass(frozen=True, slots=True)
class Description:
    """The metadata of an exported file, read.

    `prepare` holds the fitted steps of each input by its name; `prepared_in_graph` says that the file does them itself,
    so that its inputs are the raw ones. `folded`: batch normalisations are folded into the layers before them. `ranges`
    are those of tensors in int8, `threshold` is that of `postprocess` where the file says classes by it, `accuracy` the
    figures on the test part, of this file and of one in fp32.
    """

    network: str
    origin: Origin
    inputs: tuple[Side, ...]
    outputs: tuple[Side, ...]
    asked: tuple[str, ...] | None
    admits: Predicate
    conditions: tuple[str, ...]
    classes: tuple[str, ...]
    tolerance: float
    prepare: Mapping[str, Any]
    prepared_in_graph: bool
    folded: bool
    precision: str
    ranges: Mapping[str, tuple[float, float]]
    threshold: float | None
    accuracy: Mapping[str, Any]
    encoding: Any
    proof: Mapping[str, Any] | None
    weights: Mapping[str, str]
    sources: Mapping[str, Any]

    def form(self, model: Model) -> Form:
        """The form that the file has of its network; raises NotOurs for a preparation that cannot be built in."""
        form = Form(self.asked, {}, self.folded, self.precision, self.ranges, self.threshold)
        if not self.prepared_in_graph:
            return form
        from specc.data.sources import DataProblem

        try:
            return replace(form, inside=insides(model, self.prepare, self.encoding))
        except DataProblem as problem:
            raise NotOurs(f"its preparation does not fit its network: {problem.message}", "export it again") from None

    def nearest(self, sizes: Mapping[str, int]) -> dict[str, tuple[int | None, int | None]]:
        """For each unknown size the nearest admissible ones below and above."""
        return nearest([self.admits], [], sizes)


def describe(
    model: Model,
    origin: Origin,
    *,
    form: Form = WHOLE,
    classes: Sequence[str] = (),
    tolerance: float | None = None,
    accuracy: Mapping[str, Any] | None = None,
    prepare: Mapping[str, Any] | None = None,
    encoding: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """The metadata to write into an exported file; it is `unproved` until a proof is put in its place.

    `prepare` is what `Prepared.to_json` gives for each input, `encoding` what a data set does to a file,
    `accuracy` figures of the test part.
    """
    admits = both([*(each.predicate for each in model.requirements), *model.facts, *form.rules])
    conditions = [*model.conditions, *(admissible(form.rules) if form.rules else ())]
    values = {
        "network": model.name,
        "file": PurePath(origin.file).name,
        "arguments": {
            "network": origin.network,
            "settings": dict(origin.settings),
            "sizes": dict(origin.sizes),
            "imports": dict(origin.imports),
        },
        "outputs.asked": None if form.outputs is None else list(form.outputs),
        "inputs": [_side(port.name, form.takes(model, port)) for port in inputs(model)],
        "outputs": [_side(each.name, each.type(model), each.makes(model)) for each in form.gives(model)],
        "sizes": [{"symbols": list(each.symbols), "text": each.text} for each in conditions],
        "admits": _plain(admits),
        "classes": list(classes),
        "tolerance": TOLERANCES[form.precision] if tolerance is None else tolerance,
        "precision": form.precision,
        "ranges": {name: list(each) for name, each in form.ranges.items()},
        "threshold": form.threshold,
        "accuracy": dict(accuracy or {}),
        "prepare": dict(prepare or {}),
        "prepared_in_graph": bool(form.inside),
        "folded": form.folded,
        "encoding": encoding,
    }
    found = {f"specc.{key}": json.dumps(value, ensure_ascii=False, sort_keys=True) for key, value in values.items()}
    found |= {VERSION: specc.__version__, SPEC: origin.text, "specc.spec.sha256": spec_hash(origin)}
    found["specc.conditions"] = "; ".join(each.text for each in conditions)
    return found | {PROOF: UNPROVED}


def read(path: Path | str) -> Description:
    """The description of an exported file.

    Raises:
        NotOurs: no such file, not one that specc wrote, or one whose spec no longer has the hash it was written with.
    """
    path = Path(path)
    try:
        said = onnx_file.metadata(path)
    except OSError as error:
        raise NotOurs(f"cannot read {path.name}: {error.strerror or error}") from error
    except ValueError as error:
        raise NotOurs(f"{path.name} cannot be read: {error}") from error
    if SPEC not in said:
        raise NotOurs(f"{path.name} was not written by specc", "export it with `specc export`")
    try:
        return _read(said, path.name)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise NotOurs(f"the description in {path.name} was changed: {error!r}", "export it again") from None


def spec_hash(origin: Origin) -> str:
    """The hash of the spec and of all that it imports."""
    whole = json.dumps([origin.text, dict(origin.imports)], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(whole.encode("utf-8")).hexdigest()


# --------------------------------------------------------------------------------------------------------- reading
def _read(said: Mapping[str, str], name: str) -> Description:
    def value(key: str) -> Any:
        return json.loads(said[f"specc.{key}"])

    given = value("arguments")
    origin = Origin(said[SPEC], value("file"), given["network"], given["settings"], given["sizes"], given["imports"])
    if onnx_file.seal(said) != said[onnx_file.SEAL]:
        raise NotOurs(f"the description in {name} was changed after it was written", "export it again")
    if spec_hash(origin) != said["specc.spec.sha256"]:
        raise NotOurs(f"the spec in {name} is not the one it was exported from", "export it again")
    asked = value("outputs.asked")
    return Description(
        value("network"),
        origin,
        tuple(_read_side(each) for each in value("inputs")),
        tuple(_read_side(each) for each in value("outputs")),
        None if asked is None else tuple(asked),
        _predicate(value("admits")),
        tuple(each["text"] for each in value("sizes")),
        tuple(value("classes")),
        float(value("tolerance")),
        _prepare(value("prepare"), value("inputs")),
        json.loads(said.get("specc.prepared_in_graph", "false")),
        json.loads(said.get("specc.folded", "false")),
        json.loads(said.get("specc.precision", '"fp32"')),
        {name: (each[0], each[1]) for name, each in json.loads(said.get("specc.ranges", "{}")).items()},
        json.loads(said.get("specc.threshold", "null")),
        json.loads(said.get("specc.accuracy", "{}")),
        value("encoding"),
        None if said[PROOF] == UNPROVED else json.loads(said[PROOF]),
        json.loads(said[onnx_file.WEIGHTS]),
        json.loads(said[onnx_file.SOURCES]),
    )


def _prepare(kept: Any, sides: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The fitted steps by input; files of the first version keep those of their only input without its name."""
    if kept is None or "steps" not in kept:
        return kept or {}
    return {sides[0]["name"]: kept}


def _side(name: str, type: TensorType, makes: str = "") -> dict[str, Any]:
    shape = [int(size) if isinstance(size, int) else text(size) for size in type.shape]
    return {"name": name, "dtype": type.dtype, "shape": shape, "makes": makes}


def _read_side(each: Mapping[str, Any]) -> Side:
    shape = tuple(size if isinstance(size, int) else parse(size) for size in each["shape"])
    return Side(each["name"], each["dtype"], shape, each["makes"])


def _plain(predicate: Predicate) -> list[Any]:
    match predicate:
        case Compare(left, op, right):
            return [op, text(left), text(right)]
        case All(parts):
            return ["all", *map(_plain, parts)]
        case AnyOf(parts):
            return ["any", *map(_plain, parts)]
        case Not(part):
            return ["not", _plain(part)]


def _predicate(plain: Sequence[Any]) -> Predicate:
    head, *parts = plain
    if head == "all":
        return All(tuple(map(_predicate, parts)))
    if head == "any":
        return AnyOf(tuple(map(_predicate, parts)))
    if head == "not":
        return Not(_predicate(parts[0]))
    if head not in ("==", "!=", "<", "<=", ">", ">="):
        raise ValueError(f"{head!r} compares nothing")
    return Compare(parse(parts[0]), head, parse(parts[1]))


def unknowns(sides: Sequence[Side], admits: Predicate) -> list[str]:
    """The names of all unknown sizes, sorted."""
    names = set(symbols_in(admits))
    for side in sides:
        names.update(*(size.symbols for size in side.shape if isinstance(size, Dim)))
    return sorted(names)
