"""A model repository for the Triton Inference Server: the file, its configuration, a warm-up and a self-test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from specc.data.files import FileProblem, folder_aside, write_json, write_text
from specc.deploy.described import Description, Side, read
from specc.deploy.runtime import TYPES, Predictor, filled
from specc.sizes.dim import evaluate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_KINDS: Final = {"float": "FP32", "int": "INT64", "bool": "BOOL", "uint8": "UINT8"}
_LARGEST_BATCH: Final = 64
_PREFERRED: Final = (8, 16, 32, 64)
_DELAY: Final = 500  # microseconds that a request waits for others
_LABELS: Final = "labels.txt"


def write_repository(onnx_path: Path | str, folder: Path | str) -> Path:
    """Write `<folder>/<network>/` for an exported file, in place of what was there under this name; the model's folder.

    It holds `1/model.onnx` (and its side file), `config.pbtxt`, the names of the classes, and under `self_test` a
    request of Triton's HTTP protocol (KServe v2) with the answer that onnxruntime gives on the CPU.

    Raises:
        NotOurs: a file that cannot be read or was not written by specc.
        FileProblem: what cannot be written.
    """
    path, root = Path(onnx_path), Path(folder)
    said = read(path)
    name = said.network
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileProblem(
            f"cannot make {root}: {error.strerror}", root, "choose another folder: --triton DIR"
        ) from None
    with folder_aside(root / name) as made:
        version = made / "1"
        version.mkdir()
        shutil.copyfile(path, version / "model.onnx")
        side = path.with_name(f"{path.name}.data")
        if side.is_file():
            shutil.copyfile(side, version / side.name)  # the file refers to it by this name
        request, response = self_test(path)
        write_text(made / "config.pbtxt", config(said, [each["name"] for each in response["outputs"]]))
        if said.classes:
            write_text(made / _LABELS, "".join(f"{each}\n" for each in said.classes))
        (made / "self_test").mkdir()
        write_json(made / "self_test" / "request.json", request)
        write_json(made / "self_test" / "response.json", response)
    return root / name


def config(said: Description, outputs: Sequence[str]) -> str:
    """The text of config.pbtxt (model_config.proto of Triton); `outputs` are those that the file gives."""
    sides = {side.name: side for side in said.outputs}
    given = [sides[name] for name in outputs]
    lines = [
        f"# {said.network}, exported by specc; sizes of -1 are unknown" + _conditions(said),
        f"name: {_text(said.network)}",
        'backend: "onnxruntime"',
        'default_model_filename: "model.onnx"',
        f"max_batch_size: {_LARGEST_BATCH}",
        *(line for side in said.inputs for line in _tensor("input", side)),
        *(line for side in given for line in _tensor("output", side, _labelled(said, side))),
        "dynamic_batching {",
        f"  preferred_batch_size: [ {', '.join(map(str, _PREFERRED))} ]",
        f"  max_queue_delay_microseconds: {_DELAY}",
        "}",
        "instance_group [ { count: 1, kind: KIND_AUTO } ]  # on every GPU, or on the CPU where there is none",
        *_warm_up(said),
        f'parameters {{ key: "specc.spec.sha256" value {{ string_value: {_text(_hash(said))} }} }}',
    ]
    return "\n".join(lines) + "\n"


def self_test(onnx_path: Path | str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request on fixed random numbers at small sizes, and what onnxruntime answers to it on the CPU."""
    import numpy as np

    with Predictor(onnx_path, "cpu") as predictor:
        sizes, random = filled(predictor.description, {}), np.random.default_rng(0)
        inputs = {side.name: _numbers(side, _shape(side, sizes), random) for side in predictor.inputs}
        made = predictor.run(inputs)
        request = {
            "inputs": [_said(side, inputs[side.name]) for side in predictor.inputs],
            "outputs": [{"name": name} for name in made],
        }
        answer = {
            "model_name": predictor.description.network,
            "outputs": [_said(side, made[side.name]) for side in predictor.outputs],
        }
        return request, answer


# ----------------------------------------------------------------------------------------------------- config.pbtxt
def _tensor(kind: str, side: Side, labels: str = "") -> Iterator[str]:
    """An input or an output; the batch in front is Triton's own. A number alone is said to be reshaped."""
    dims = ", ".join(str(size) if isinstance(size, int) else "-1" for size in side.shape)
    yield f"{kind} {{"
    yield f"  name: {_text(side.name)}"
    yield f"  data_type: TYPE_{_KINDS[side.dtype]}"
    yield f"  dims: [ {dims or '1'} ]"
    if not side.shape:
        yield "  reshape { shape: [ ] }"
    if labels:
        yield f"  label_filename: {_text(labels)}"
    yield "}"


def _labelled(said: Description, side: Side) -> str:
    """The file of the class names, for the output that has a number per class."""
    return _LABELS if said.classes and side.dtype == "float" and side.shape == (len(said.classes),) else ""


def _warm_up(said: Description) -> Iterator[str]:
    """A batch of one and of the largest preferred size on zeros, before a server says that it is ready."""
    sizes = filled(said, {})
    for batch in (1, _PREFERRED[0]):
        yield "model_warmup {"
        yield f'  name: "batch of {batch}"'
        yield f"  batch_size: {batch}"
        for side in said.inputs:
            dims = ", ".join(map(str, _shape(side, sizes))) or "1"
            kind = f"data_type: TYPE_{_KINDS[side.dtype]} dims: [ {dims} ] zero_data: true"
            yield f"  inputs {{ key: {_text(side.name)} value {{ {kind} }} }}"
        yield "}"


def _conditions(said: Description) -> str:
    return "".join(f"\n# {each}" for each in said.conditions)


def _hash(said: Description) -> str:
    from specc.deploy.described import spec_hash

    return spec_hash(said.origin)


def _text(value: str) -> str:
    """A string of protobuf's text format; the escapes of JSON are among its own."""
    return json.dumps(value, ensure_ascii=False)


# -------------------------------------------------------------------------------------------------------- self-test
def _shape(side: Side, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(evaluate(size, sizes) for size in side.shape)


def _numbers(side: Side, shape: tuple[int, ...], random: Any) -> Array:
    """A batch of two. Whole numbers keep the text short; 0 and 1 are admissible wherever whole numbers go in."""
    import numpy as np

    found: Array = random.integers(0, 256 if side.dtype == "uint8" else 2, (2, *shape)).astype(
        np.dtype(TYPES[side.dtype])
    )
    return found


def _said(side: Side, array: Array) -> dict[str, Any]:
    """A tensor of the KServe v2 protocol."""
    return {
        "name": side.name,
        "shape": list(array.shape),
        "datatype": _KINDS[side.dtype],
        "data": array.reshape(-1).tolist(),
    }
