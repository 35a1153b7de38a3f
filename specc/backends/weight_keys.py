"""A network held against a file of weights, key by key: where each tensor is found, and everything that does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from hashlib import sha256
from typing import Any, Final, Protocol

from specc.backends.weight_files import Stored, WeightProblem, kind_of, readable, shown
from specc.catalogue.op import Dtype
from specc.model.graph import Model, Weight

_WRAPPERS: Final = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before every key
_SHOWN: Final = 4
_NARROWED: Final = {"F16": "float32", "BF16": "float32", "F64": "float32, rounded"}


class Listed(Protocol):
    """Tensors by key, of which it is known how they are stored."""

    @property
    def name(self) -> str: ...

    def keys(self) -> tuple[str, ...]: ...

    def stored(self, key: str) -> Stored: ...


@dataclass(frozen=True, slots=True)
class Fault:
    """What does not fit: `kind` is missing, unexpected, shape, type or tied; `path` is where it would be in the network."""

    kind: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Matched:
    """`places` has the key in the file by state-dict key, tied keys too; `fresh` are the weights that keep their first
    values, `faults` what does not fit, `remarks` what was understood (`float16 is read as float32`)."""

    places: Mapping[str, str]
    fresh: tuple[str, ...]
    faults: tuple[Fault, ...]
    remarks: tuple[str, ...]


def match(model: Model, source: Listed, into: str = "", left_out: Sequence[str] = ()) -> Matched:
    """Find the weights of a network in a file.

    The keys of the file stand below `into`. Below a path of `left_out`, as it is in the file or in the network, nothing is
    taken. Of keys that share a tensor in the network one is enough, and a count of batches, which older files lack and
    which only averages without momentum need, may be missing, as in PyTorch.
    """
    prefix = f"{into}." if into else ""
    inside = [each for each in model.weights if each.key.startswith(prefix) and not _below(each.key, prefix, left_out)]
    given, remarks = _given(source, prefix, left_out, {each.key for each in model.weights})
    places = _places(inside, given)
    faults: list[Fault] = []
    missing = [each for each in inside if each.key not in places and not _may_be_missing(each)]
    wanted = {each.key for each in inside}
    unexpected = [key for key in given if key not in wanted]
    for each in missing:
        faults.append(Fault("missing", each.key, f"`{each.key}` {_sizes(each)} is missing"))
    for key in unexpected:
        stored = source.stored(given[key])
        what = f"{list(stored.shape)}" if stored.dtype else "(no tensor)"
        said = f"`{shown(key.removeprefix(prefix))}` {what} is in the file and not in the network"
        faults.append(Fault("unexpected", key.removeprefix(prefix), said))
    kinds: dict[str, int] = {}
    for each in inside:
        if each.key in places:
            stored = source.stored(places[each.key])
            faults += _misfit(each, stored)
            kinds[stored.dtype] = kinds.get(stored.dtype, 0) + 1
    faults = _with_nearest(faults, missing, unexpected, prefix, source, given)
    for kind, count in kinds.items():
        if kind in _NARROWED:
            tensors = "1 tensor" if count == 1 else f"{count} tensors"
            verb = "is" if count == 1 else "are"
            remarks.append(f"{tensors} of {source.name} {verb} {kind}, read as {_NARROWED[kind]}")
    taken = {each.tied or each.key for each in inside if each.key in places}
    fresh = tuple(each.key for each in model.weights if (each.tied or each.key) not in taken)
    return Matched(places, fresh, tuple(faults), (*getattr(source, "remarks", ()), *remarks))


def paths_that_are_not(model: Model, source: Listed | None, into: str, left_out: Sequence[str]) -> list[str]:
    """Those of `into` and `left_out` that name nothing: neither a part of the network nor one of the file."""
    keys = [each.key for each in model.weights]
    wrong = [] if not into or any(key.startswith(f"{into}.") for key in keys) else [into]
    if source is None:
        return wrong
    prefix = f"{into}." if into else ""
    every = [*keys, *_given(source, prefix, (), set(keys))[0]]
    every += [key.removeprefix(prefix) for key in every]
    return wrong + [each for each in left_out if not any(_is_below(key, each) for key in every)]


def report(model: Model, source: Listed, found: Matched, settings: bool = False) -> WeightProblem:
    """Every kind of fault counted, the first of each shown; `settings` says that `into=` and `except=` can be written."""
    words = {"missing": "missing", "unexpected": "unexpected", "shape": "of another shape", "type": "of another type"}
    words["tied"] = "unlike the one that it is tied to"
    kinds: dict[str, list[Fault]] = {kind: [] for kind in words}
    for each in found.faults:
        kinds[each.kind].append(each)
    counts = ", ".join(f"{len(kinds[kind])} {word}" for kind, word in words.items() if kinds[kind])
    lines = [f"{source.name} does not hold the weights of {model.name}: {counts}"]
    for kind, faults in kinds.items():
        lines += [f"  {fault.text}" for fault in faults[:_SHOWN]]
        if len(faults) > _SHOWN:
            lines.append(f"  and {len(faults) - _SHOWN} more {words[kind]}")
    return WeightProblem("\n".join(lines), _help(model, source, found.faults, settings), "weights-differ")


def disagreements(model: Model, source: Any, found: Matched) -> list[Fault]:
    """Keys that share one tensor in the network and hold different numbers in the file; reads those tensors."""
    first: dict[str, str] = {}
    faults = []
    for each in model.weights:
        place = found.places.get(each.key)
        if place is None:
            continue
        other = first.setdefault(each.tied or each.key, each.key)
        dtype = each.spec.dtype
        if found.places[other] != place and _hash(source, place, dtype) != _hash(source, found.places[other], dtype):
            text = f"`{each.key}` and `{other}` are one tensor in the network and differ in the file"
            faults.append(Fault("tied", each.key, text))
    return faults


def _hash(source: Any, key: str, dtype: Dtype) -> bytes:
    digest = sha256()
    for piece in source.chunks(key, dtype):
        digest.update(piece)
    return digest.digest()


def _given(source: Listed, prefix: str, left_out: Sequence[str], known: set[str]) -> tuple[dict[str, str], list[str]]:
    """The file's keys by what they are called in the network, less those that are left out, and remarks."""
    keys = source.keys()
    for wrapper in _WRAPPERS:
        wrapped = len(keys) > 0 and all(key.startswith(wrapper) for key in keys)
        if wrapped and not any(key.startswith(prefix + wrapper) for key in known):
            named = {prefix + key.removeprefix(wrapper): key for key in keys}
            remark = f"`{wrapper}` before every key of {source.name} is left away"
            return _kept(named, prefix, left_out), [remark]
    return _kept({prefix + key: key for key in keys}, prefix, left_out), []


def _kept(named: Mapping[str, str], prefix: str, left_out: Sequence[str]) -> dict[str, str]:
    return {key: each for key, each in named.items() if not _below(key, prefix, left_out)}


def _places(inside: Sequence[Weight], given: Mapping[str, str]) -> dict[str, str]:
    owners: dict[str, str] = {}
    for each in inside:
        if each.key in given:
            owners.setdefault(each.tied or each.key, given[each.key])
    found = {}
    for each in inside:
        place = given.get(each.key) or owners.get(each.tied or each.key)
        if place is not None:
            found[each.key] = place
    return found


def _below(key: str, prefix: str, paths: Iterable[str]) -> bool:
    return any(_is_below(key, each) or (prefix and _is_below(key.removeprefix(prefix), each)) for each in paths)


def _is_below(key: str, path: str) -> bool:
    return key == path or key.startswith(f"{path}.")


def _may_be_missing(weight: Weight) -> bool:
    spec = weight.spec
    return weight.name == "num_batches_tracked" and spec.kind == "buffer" and spec.shape == ()


def _sizes(weight: Weight) -> str:
    return f"[{', '.join(map(str, weight.spec.shape))}]"


def _misfit(weight: Weight, stored: Stored) -> list[Fault]:
    shape, key = weight.spec.shape, weight.key
    if not stored.dtype:
        return [Fault("type", key, f"`{key}` is no tensor in the file")]
    if len(shape) != len(stored.shape) or any(
        isinstance(want, int) and want != have for want, have in zip(shape, stored.shape, strict=True)
    ):
        text = f"`{key}` is {list(stored.shape)} in the file, {_sizes(weight)} in the network"
        return [Fault("shape", key, text)]
    if not readable(stored.dtype) or kind_of(stored.dtype) != weight.spec.dtype:
        text = f"`{key}` is stored as {shown(stored.dtype)}, the network has {weight.spec.dtype}"
        return [Fault("type", key, text)]
    return []


def _with_nearest(
    faults: list[Fault],
    missing: Sequence[Weight],
    unexpected: Sequence[str],
    prefix: str,
    source: Listed,
    given: Mapping[str, str],
) -> list[Fault]:
    """The missing ones that will be shown, each with the nearest name that the network does not know."""
    found = []
    for at, fault in enumerate(faults):
        if fault.kind == "missing" and at < _SHOWN:
            near = _nearest(missing[at], unexpected, source, given)
            if near:
                shape = list(source.stored(given[near]).shape)
                said = f"{fault.text}; the file has `{shown(near.removeprefix(prefix))}` {shape}"
                fault = Fault(fault.kind, fault.path, said)
        found.append(fault)
    return found


def _nearest(weight: Weight, keys: Sequence[str], source: Listed, given: Mapping[str, str]) -> str:
    """The likeliest of the names: one like it, the same shape counting for it."""
    best, found = 0.6, ""
    for key in keys[:1000]:
        if len(key) > 200:
            continue
        same = source.stored(given[key]).shape == weight.spec.shape
        last = 0.1 if key.rpartition(".")[2] == weight.name.rpartition(".")[2] else 0.0
        score = SequenceMatcher(None, weight.key, key).ratio() + last + (0.15 if same else -0.1)
        if score > best:
            best, found = score, key
    return found


def _help(model: Model, source: Listed, faults: Sequence[Fault], settings: bool) -> str:
    """What to do: name the part that the file is of, or the parts that are not to be taken from it."""
    keys, known = source.keys(), {each.key for each in model.weights}
    missing = sum(fault.kind == "missing" for fault in faults)
    if keys and missing * 2 > len(known):
        for key in sorted(known):
            if settings and key.endswith(f".{keys[0]}") and _fits(known, key.removesuffix(f".{keys[0]}") + ".", keys):
                return f"the keys fit below a part of the network: into={key.removesuffix(f'.{keys[0]}')}"
        prefix = keys[0].partition(".")[0] + "."
        if all(key.startswith(prefix) for key in keys) and any(key.removeprefix(prefix) in known for key in keys):
            before = shown(prefix)
            return f'every key of the file begins with `{before}`: save it without, as `key.removeprefix("{before}")`'
    if any("; the file has " in fault.text for fault in faults):
        return "call the labels of the spec what the keys of the file are called: a label is the path of its weights"
    parts = list(dict.fromkeys(fault.path.rpartition(".")[0] or fault.path for fault in faults))
    if settings and len(parts) <= 3 and all(each.replace(".", "").replace("_", "").isalnum() for each in parts):
        named = parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"
        return f"to leave them out: except={named}"
    return "the keys are the paths of the labels; `specc check --format json` lists them under state_dict"


def _fits(known: set[str], prefix: str, keys: Sequence[str]) -> bool:
    return sum(prefix + key in known for key in keys) * 2 > len(keys)
