"""Writing an ONNX model: weights go from where they lie straight into the file, or into a side file, once."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import specc
from specc.backends import onnx_proto as proto
from specc.backends.onnx import OnnxModel
from specc.backends.onnx_graph import WeightUse
from specc.backends.onnx_weights import CHUNK, WeightProblem, length, locate
from specc.backends.weight_files import chunks_of

LARGE: Final = 32 << 20
LARGEST: Final = (1 << 31) - 1
PAGE: Final = 4096
_SMALLEST_ASIDE: Final = 1024
WEIGHTS: Final = "specc.weights"
SOURCES: Final = "specc.sources"
SEAL: Final = "specc.seal"
_ARRAYS: Final = {"float": "<f4", "int": "<i8", "bool": "?", "float16": "<f2", "int8": "i1", "int32": "<i4"}
_MOST_SOURCES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """The files of an exported model and how many bytes its weights take. `side` is None when there is one file."""

    path: Path
    side: Path | None
    weights: int


def write(model: OnnxModel, path: Path | str, *, side_file: bool | None = None) -> Written:
    """Write the file; weights of 32 MiB and more go to `<name>.data` beside it unless `side_file` says otherwise.

    The same model gives the same bytes. The hash of every weight is added to the metadata.

    Raises:
        WeightProblem: weights that cannot be read, or one file that would pass protobuf's 2 GiB.
    """
    path = Path(path)
    size = sum(_bytes_of(use) for use in model.weights)
    aside = size >= LARGE if side_file is None else side_file
    if not aside and size > LARGEST - (1 << 24):
        raise WeightProblem("the weights do not fit in one file of ONNX, which ends at 2 GiB", "write with --side-file")
    copying = _Copying(model)
    side = path.with_name(path.name + ".data") if aside else None
    places = copying.to_side(side) if side else {}
    with open(path, "wb") as file:
        file.write(proto.model_head("specc", specc.__version__, model.doc))
        copying.to_graph(file, places)
        hashes = {use.info.name: copying.hashes[use.info.name] for use in model.weights}
        said = {**model.metadata, WEIGHTS: json.dumps(hashes), SOURCES: json.dumps(copying.sources())}
        file.write(proto.model_tail({**said, SEAL: seal(said)}))
    return Written(path, side if places else None, size)


def skeleton(model: OnnxModel) -> bytes:
    """The model as ONNX without the bytes of its weights: what a file is compared with."""
    heads = [proto.block(5, proto.tensor_head(use.info)) for use in model.weights]
    before, after = _graph_parts(model)
    graph = b"".join((*before, *heads, *after))
    return proto.model_head("specc", specc.__version__, model.doc) + proto.block(7, graph) + proto.model_tail({})


def metadata(path: Path | str) -> dict[str, str]:
    """The metadata of an ONNX file; ValueError for a file that is none."""
    path = Path(path)
    with open(path, "rb") as file:
        return proto.read_metadata(file, path.stat().st_size)


def put_metadata(path: Path | str, target: Path | str, changes: Mapping[str, str]) -> None:
    """Copy an ONNX file with other metadata; all else stays byte for byte."""
    path = Path(path)
    size = path.stat().st_size
    with open(path, "rb") as file, open(target, "wb") as out:
        found = {**proto.read_metadata(file, size), **changes}
        found[SEAL] = seal(found)
        for number, start, end in list(proto.fields(file, size)):
            if number != proto.METADATA_FIELD:
                file.seek(start)
                for at in range(start, end, CHUNK):
                    out.write(file.read(min(CHUNK, end - at)))
        for key in sorted(found):
            out.write(proto.entry(proto.METADATA_FIELD, key, found[key]))


def seal(said: Mapping[str, str]) -> str:
    """A hash over all that specc says about a file: what was changed by accident is found."""
    ours = {key: value for key, value in said.items() if key.startswith("specc.") and key != SEAL}
    return hashlib.sha256(json.dumps(ours, ensure_ascii=False, sort_keys=True).encode("utf-8")).hexdigest()


# ------------------------------------------------------------------------------------------------------- the parts
def _graph_parts(model: OnnxModel) -> tuple[list[bytes], list[bytes]]:
    """The fields of the GraphProto before and after the weights."""
    before = [proto.node(each) for each in model.nodes] + [proto.text(2, model.name)]
    after = [proto.constant(each) for each in model.constants]
    after += [proto.value_info(11, each) for each in model.inputs]
    after += [proto.value_info(12, each) for each in model.outputs]
    after += [proto.value_info(13, each) for each in model.values]
    return before, after


class _Copying:
    """Weights on their way from their source into the file or its side file."""

    def __init__(self, model: OnnxModel) -> None:
        self.model = model
        self.hashes: dict[str, str] = {}
        self._keys = locate(model.model, model.source) if model.source else {}
        self._read: dict[str, None] = {}

    def to_graph(self, file: IO[bytes], places: Mapping[str, proto.External]) -> None:
        """Write the graph; weights without a place in the side file follow in it."""
        before, after = _graph_parts(self.model)
        heads: list[tuple[WeightUse, bytes, int]] = []
        for use in self.model.weights:
            size = _bytes_of(use)
            if use.info.name in places:
                heads.append((use, proto.external(use.info, places[use.info.name], size), 0))
            else:
                heads.append((use, proto.inline_head(use.info, size), size))
        total = sum(map(len, before)) + sum(map(len, after)) + sum(len(head) + size for _, head, size in heads)
        file.write(proto.block_head(7, total) + b"".join(before))
        for use, head, _ in heads:
            file.write(head)
            if use.info.name not in places:
                self._copy(use, file)
        file.write(b"".join(after))

    def to_side(self, side: Path) -> dict[str, proto.External]:
        """Write every weight of 1 KiB and more, each from the start of a page so that it can be mapped."""
        places: dict[str, proto.External] = {}
        uses = [use for use in self.model.weights if _bytes_of(use) >= _SMALLEST_ASIDE]
        if not uses:
            return places
        with open(side, "wb", buffering=0) as file:
            at = 0
            for use in uses:
                gap = -at % (PAGE if _bytes_of(use) >= PAGE else 64)
                file.write(bytes(gap))
                places[use.info.name] = proto.External(side.name, at + gap)
                self._copy(use, file)
                at += gap + _bytes_of(use)
        return places

    def sources(self) -> dict[str, Any]:
        """Weights that were only read to compute others, to have the state-dict back; not if they are large."""
        known = {use.info.name for use in self.model.weights}
        found: dict[str, Any] = {}
        for key in self._read:
            if key not in known and self.model.source is not None:
                array = self.model.source.array(self._keys[key])
                found[key] = {"shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode("ascii")}
        return found if sum(len(each["data"]) for each in found.values()) <= _MOST_SOURCES else {}

    def _copy(self, use: WeightUse, file: IO[bytes]) -> None:
        """Copy one weight in pieces and keep its hash."""
        digest, written = hashlib.sha256(), 0
        for piece in self._pieces(use):
            digest.update(piece)
            file.write(piece)
            written += len(piece)
        if written != _bytes_of(use):
            raise WeightProblem(f"the weight {use.info.name} has {written} bytes instead of {_bytes_of(use)}")
        self.hashes[use.info.name] = digest.hexdigest()

    def _pieces(self, use: WeightUse) -> Iterator[memoryview]:
        source = self.model.source
        if source is None:
            raise WeightProblem("there are no weights to write", "give a run or --weights")
        if use.compute is None:
            yield from source.chunks(self._keys[use.sources[""]], use.info.dtype)  # type: ignore[arg-type]
            return
        yield from chunks_of(compute(use, lambda key: source.array(self._keys[key]), self._read if use.exact else {}))


def compute(use: WeightUse, array: Callable[[str], Any], read: dict[str, None]) -> Any:
    """The array of a weight that is worked out from others, `array` giving those, which may be changed; the keys it
    reads are added to `read`."""

    class Reading(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            key = use.sources[name]
            read[key] = None
            return array(key)

    import numpy as np

    made: Any = np.ascontiguousarray(use.compute(Reading()), _ARRAYS[use.info.dtype])
    if tuple(made.shape) != use.info.dims:
        raise WeightProblem(
            f"the computed weight {use.info.name} is {list(made.shape)} instead of {list(use.info.dims)}"
        )
    return made


def _bytes_of(use: WeightUse) -> int:
    return length(use.info.dtype, tuple(int(size) for size in use.info.dims))
