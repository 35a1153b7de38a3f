"""What an exported file says about itself: its spec, the sizes it admits, its classes, and how it was proved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Final

import specc
from specc.backends import onnx_file
from specc.catalogue.op import Dtype
from specc.model.graph import Model
from specc.sizes.conditions import All, Compare, Not, Predicate, both, nearest, symbols_in
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
    """An input or an output: sizes without the batch. `makes` says what its numbers are, such as "probabilities"."""

    name: str
    dtype: Dtype
    shape: tuple[Size, ...]
    makes: str = ""

    def spelled(self) -> str:
        return f"[{', '.join(text(size) for size in self.shape)}]"


@dataclass(frozen=True, slots=True)
class Description:
    """The metadata of an exported file, read."""

    network: str
    origin: Origin
    inputs: tuple[Side, ...]
    outputs: tuple[Side, ...]
    asked: tuple[str, ...] | None
    admits: Predicate
    conditions: tuple[str, ...]
    classes: tuple[str, ...]
    tolerance: float
    prepare: Any
    encoding: Any
    proof: Mapping[str, Any] | None
    weights: Mapping[str, str]
    sources: Mapping[str, Any]

    def nearest(self, sizes: Mapping[str, int]) -> dict[str, tuple[int | None, int | None]]:
        """For each unknown size the nearest admissible ones below and above."""
        return nearest([self.admits], [], sizes)


def describe(
    model: Model,
    origin: Origin,
    *,
    outputs: Sequence[str] | None = None,
    classes: Sequence[str] = (),
    tolerance: float = 1e-4,
    prepare: Mapping[str, Any] | None = None,
    encoding: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """The metadata to write into an exported file; it is `unproved` until a proof is put in its place.

    `prepare` is what `Prepared.to_json` gives, `encoding` what a table's data set does; `outputs` are those asked for.
    """
    admits = both([*(each.predicate for each in model.requirements), *model.facts])
    values = {
        "network": model.name,
        "file": PurePath(origin.file).name,
        "arguments": {
            "network": origin.network,
            "settings": dict(origin.settings),
            "sizes": dict(origin.sizes),
            "imports": dict(origin.imports),
        },
        "outputs.asked": None if outputs is None else list(outputs),
        "inputs": [_side(model, port.name, port.value) for port in model.inputs if not port.training],
        "outputs": [_side(model, port.name, port.value) for port in model.outputs if not port.training],
        "sizes": [{"symbols": list(each.symbols), "text": each.text} for each in model.conditions],
        "admits": _plain(admits),
        "classes": list(classes),
        "tolerance": tolerance,
        "prepare": prepare,
        "encoding": encoding,
    }
    found = {f"specc.{key}": json.dumps(value, ensure_ascii=False, sort_keys=True) for key, value in values.items()}
    found |= {VERSION: specc.__version__, SPEC: origin.text, "specc.spec.sha256": spec_hash(origin)}
    found["specc.conditions"] = "; ".join(each.text for each in model.conditions)
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
        value("prepare"),
        value("encoding"),
        None if said[PROOF] == UNPROVED else json.loads(said[PROOF]),
        json.loads(said[onnx_file.WEIGHTS]),
        json.loads(said[onnx_file.SOURCES]),
    )


def _side(model: Model, name: str, value: int) -> dict[str, Any]:
    type, step = model.type(value), model.values[value].step
    makes = "" if step is None else model.steps[step].op.makes
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
