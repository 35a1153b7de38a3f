"""A Caffe network: which of its layers are deployed, what goes in and what comes out, and the walk over them."""

from __future__ import annotations

from pathlib import Path

from specc.deploy.reading.caffe_layers import INPUT, SKIPPED, Layers
from specc.deploy.reading.file import Graph, Input, Unreadable
from specc.deploy.reading.network import READERS, Network, compiled
from specc.deploy.reading.prototxt import Message, blobs, parsed
from specc.deploy.reading.reader import NoCounterpart
from specc.deploy.reading.walk import Walk


def read(path: Path, name: str, weights: Path | None = None) -> tuple[Network, bool]:
    """The network of a deploy prototxt, and whether its weights are those of a caffemodel; zeros otherwise.

    Raises:
        Unreadable: a mistake in the text, or layers without a counterpart, a line for each.
    """
    message = parsed(path)
    layers = [each for each in message.all("layer") if _deployed(each)]
    if not layers:
        older = "its `layers` are of the form before 2014: upgrade it with Caffe" if message.all("layers") else ""
        raise Unreadable(f"{path} holds no layers", older)
    inputs = _inputs(message, layers, path)
    graph = Graph(path, name, tuple(inputs), _outputs(layers, inputs), (), {})
    walk = Walk(graph, READERS)
    walk.begin()
    caffe = Layers(walk, blobs(weights) if weights is not None else {}, weights is not None)
    lacking: list[str] = []
    gone: set[str] = set()
    for at, layer in enumerate(layers):
        if gone & set(layer.all("bottom")):
            gone |= set(layer.all("top"))
            continue
        try:
            caffe.layer(layer, layers[at + 1] if at + 1 < len(layers) else None)
        except NoCounterpart as problem:
            lacking.append(f"{layer.one('type')} {layer.one('name', '')}: {problem}")
            gone |= set(layer.all("top"))
    if lacking:
        raise Unreadable(
            f"{len(lacking)} layers of {path.name} have no counterpart", "nothing was written", tuple(lacking)
        )
    return compiled(walk, name), weights is not None


def _deployed(layer: Message) -> bool:
    phases = [each.one("phase") for each in layer.all("include")]
    return "TEST" in phases or not phases or "TRAIN" not in phases


def _inputs(message: Message, layers: list[Message], path: Path) -> list[Input]:
    names = [str(each) for each in message.all("input")]
    shapes = [each.all("dim") for each in message.all("input_shape")]
    if names and not shapes:
        dims = message.all("input_dim")
        shapes = [dims[4 * at : 4 * at + 4] for at in range(len(names))]
    for layer in layers:
        if layer.one("type") == INPUT:
            names += layer.all("top")
            given = [each.all("dim") for each in (layer.one("input_param") or Message()).all("shape")]
            shapes += given * len(layer.all("top")) if len(given) == 1 else given
    if not names or len(shapes) < len(names) or not all(shapes):
        data = next((each.one("type") for each in layers if str(each.one("type")).endswith("Data")), "")
        what = f"it begins with a {data} layer" if data else "it says no shape of its input"
        raise Unreadable(f"{path}: {what}", 'give the deploy form: layer { type: "Input" input_param { shape { … } } }')
    return [Input(name, "float", tuple(shape)) for name, shape in zip(names, shapes, strict=False)]


def _outputs(layers: list[Message], inputs: list[Input]) -> tuple[str, ...]:
    """What nothing reads."""
    last: dict[str, bool] = {}
    for layer in layers:
        if layer.one("type") in SKIPPED or layer.one("type") == INPUT:
            continue
        for name in layer.all("bottom"):
            last.pop(name, None)
        for name in layer.all("top"):
            last[name] = True
    return tuple(last)
