"""Importing a file: the spec, the weights beside it, and the proof that both give what the file gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.numpy import save

from specc.backends.onnx import lower
from specc.backends.onnx_file import write
from specc.backends.onnx_weights import Arrays
from specc.data.files import aside, write_bytes, write_text
from specc.deploy.proof import open_session, random_inputs, relative_error, trials
from specc.deploy.reading import caffe
from specc.deploy.reading.file import Graph, Unreadable, opened
from specc.deploy.reading.network import Network, read

TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Imported:
    """What was written, and the largest relative difference between the file and the spec's own export.

    `trials` is how often both were run, 0 where there was nothing to compare with.
    """

    spec: Path
    weights: Path | None
    network: Network
    error: float
    trials: int


def import_onnx(path: Path | str, spec: Path | str, name: str = "") -> Imported:
    """Write `spec` and, where it has weights, `<spec>.safetensors` beside it.

    Nothing appears before the new spec was exported again and gave the outputs of the file, at several sizes and
    batches where the file leaves them open, to 1e-4 of the output's scale.

    Raises:
        Unreadable: the file is no ONNX, holds what a spec cannot say (a line for each), or the outputs differ.
        FileProblem: the folder cannot be written to.

    Example:
        import_onnx("resnet18.onnx", "resnet18.net")
    """
    path, spec = Path(path), Path(spec)
    graph = opened(path)
    network = read(graph, name or title(path.stem))
    beside = spec.with_suffix(".safetensors") if network.weights else None
    with aside(spec) as temporary:
        temporary.write_text(network.text, encoding="utf-8")
        runs, error = _compared(graph, network, temporary.with_name("again.onnx"))
    if beside is not None:
        write_bytes(beside, save(dict(network.weights)))
    write_text(spec, network.text)
    return Imported(spec, beside, network, error, runs)


def import_caffe(path: Path | str, spec: Path | str, name: str = "", weights: Path | str | None = None) -> Imported:
    """Write `spec` from a deploy prototxt; with a caffemodel its weights beside it. There is no Caffe to compare with.

    Raises:
        Unreadable: a mistake in the text, layers without a counterpart (a line for each), weights of other shapes.
        FileProblem: the folder cannot be written to.
    """
    path, spec = Path(path), Path(spec)
    network, whole = caffe.read(path, name or title(path.stem), Path(weights) if weights else None)
    beside = spec.with_suffix(".safetensors") if whole else None
    if beside is not None:
        write_bytes(beside, save(dict(network.weights)))
    write_text(spec, network.text)
    return Imported(spec, beside, network, 0.0, 0)


def title(stem: str) -> str:
    """A name for a network after its file: `resnet18-v1` is Resnet18V1."""
    parts = "".join(each if each.isascii() and each.isalnum() else " " for each in stem).split()
    found = "".join(each[:1].upper() + each[1:] for each in parts)
    return found if found[:1].isalpha() else f"Net{found}"


def _compared(graph: Graph, network: Network, again: Path) -> tuple[int, float]:
    """Both through onnxruntime on the same random inputs; raises Unreadable where they differ."""
    write(lower(network.model, weights=Arrays(network.weights)), again, side_file=False)
    theirs, ours = open_session(graph.path), open_session(again)
    again.unlink()
    names = dict(zip((each.name for each in network.model.inputs), theirs.get_inputs(), strict=True))
    most, count = 0.0, 0
    for at, (sizes, batch) in enumerate(trials(network.model)):
        fixed = _fixed_batch(graph)
        inputs = random_inputs(network.model, sizes, fixed or batch, seed=at)
        given = {names[name].name: _typed(array, names[name].type) for name, array in inputs.items()}
        for mine, other in zip(ours.run(None, dict(inputs)), theirs.run(None, given), strict=True):
            most = max(most, relative_error(mine.astype(other.dtype), other))
        count += 1
        if not most <= TOLERANCE:
            message = f"the spec that was read from {graph.path.name} gives other outputs: they differ by {most:.2g}"
            raise Unreadable(message, "nothing was written; this is a fault of specc")
    return count, most


def _fixed_batch(graph: Graph) -> int | None:
    """The batch that the file insists on."""
    sizes: list[int | str] = [each.shape[0] for each in graph.inputs]
    return next((each for each in sizes if isinstance(each, int) and each), None)


def _typed(array: Any, kind: str) -> Any:
    types: Mapping[str, str] = {"tensor(int32)": "int32", "tensor(float16)": "float16", "tensor(double)": "float64"}
    return array.astype(types[kind]) if kind in types else array
