"""Replaying the proof of an exported file from what it says about itself: spec, graph, weights and numbers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.backends.onnx import OnnxModel
from specc.backends.onnx_file import compute, metadata, skeleton
from specc.backends.onnx_graph import WeightUse
from specc.compiler import Compilation, compile_text
from specc.deploy.described import PROOF, VERSION, Description, NotOurs, describe, read
from specc.deploy.form import Form
from specc.deploy.proof import Disproved, Proof, check, prove
from specc.model.graph import Model, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Disproved", "NotOurs", "Proof", "Verdict", "module_of", "prove", "verify"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a file is what it says: what was found in order, and the first thing that is wrong ("" if nothing)."""

    network: str
    held: tuple[str, ...]
    wrong: str = ""
    help: str = ""
    proof: Proof | None = None
    step: Step | None = None
    was_proved: bool = False

    @property
    def ok(self) -> bool:
        return not self.wrong


def verify(onnx_path: Path | str, weights: Mapping[str, NDArray[Any]] | None = None) -> Verdict:
    """Compile the spec in the file again, compare graph, description and weights, and run the proof anew.

    `weights` are compared with those in the file if they are given.

    Raises:
        NotOurs: a file that cannot be read or was not written by specc.
    """
    path = Path(onnx_path)
    said = read(path)
    held: list[str] = []
    proof = None
    try:
        for claim in _claims(path, said, weights):
            if isinstance(claim, Proof):
                proof = claim
            else:
                held.append(claim)
    except NotOurs as problem:
        return Verdict(said.network, tuple(held), problem.message, problem.help, was_proved=said.proof is not None)
    except Disproved as problem:
        step, proved = problem.step, said.proof is not None
        return Verdict(said.network, tuple(held), problem.message, problem.help, None, step, proved)
    return Verdict(said.network, tuple(held), proof=proof, was_proved=said.proof is not None)


def module_of(model: Model, arrays: Callable[[str], NDArray[Any]], needed: set[str]) -> Any:
    """The PyTorch module of a model with these weights, in eval mode.

    `arrays` raises KeyError for keys that inference does not need; those keep what the module starts with.
    """
    import torch

    from specc.backends import pytorch

    module = pytorch.load(pytorch.write(model), model.name)()
    state = module.state_dict()
    for key in state:
        try:
            state[key] = torch.from_numpy(arrays(key).copy())
        except KeyError:
            if key in needed:
                raise NotOurs(f"the file does not hold the weight {key}", "export it again") from None
    module.load_state_dict(state, strict=True)
    return module.eval()


@dataclass(frozen=True, slots=True)
class Inner:
    """The network inside of an exported file: compiled from its spec, with its weights by key, and the file's form."""

    said: Description
    model: Model
    form: Form
    arrays: Callable[[str], NDArray[Any]]
    needed: frozenset[str]

    def module(self) -> Any:
        """It as a PyTorch module in eval mode."""
        return module_of(self.model, self.arrays, set(self.needed))


def inner(onnx_path: Path | str) -> Inner:
    """The network inside of an exported file, without what is built in around it.

    Raises:
        NotOurs: a file that cannot be read, was not written by specc, or whose spec no longer compiles.
    """
    path = Path(onnx_path)
    said = read(path)
    model = _compiled(said)
    form = said.form(model)
    graph = form.lower(model, None)
    return Inner(said, model, form, _Stored(path, said, graph), frozenset(_needed(graph)))


# -------------------------------------------------------------------------------------------------------- the claims
def _claims(path: Path, said: Description, weights: Mapping[str, NDArray[Any]] | None) -> Iterator[str | Proof]:
    """Every claim that holds, in order; the first that does not is raised."""
    yield "the description is the one that was written, and its spec has the hash it states"
    model = _compiled(said)
    yield f"the spec compiles to {model.name}"
    form = said.form(model)
    _compare_descriptions(path, said, model, form)
    graph = form.lower(model, None)
    check(path)
    _compare_graphs(path, graph)
    yield f"the graph is the one that the spec gives: {len(graph.nodes)} nodes"
    arrays = _Stored(path, said, graph)
    arrays.compare(weights)
    yield f"the weights are those that were exported: {len(said.weights)} tensors"
    yield prove(model, path, module_of(model, arrays, _needed(graph)), tolerance=said.tolerance, form=form)


def _needed(graph: OnnxModel) -> set[str]:
    """The keys of the weights that the file holds as they are."""
    return {key for use in graph.weights if use.compute is None for key in use.sources.values()}


def _compiled(said: Description) -> Model:
    return compilation(said).model(said.network)


def compilation(said: Description) -> Compilation:
    """The spec in a file compiled again; raises NotOurs where it no longer does."""
    origin = said.origin
    found = compile_text(
        origin.text,
        origin.file,
        network=origin.network or None,
        settings=dict(origin.settings),
        sizes=dict(origin.sizes),
        read=lambda path: origin.imports.get(path),
    )
    if not found.ok:
        first = next(each for each in found.bag if each.severity == "error")
        raise NotOurs(f"the spec no longer compiles: {first.message}", first.help)
    return found


def _compare_descriptions(path: Path, said: Description, model: Model, form: Form) -> None:
    """What the file says of its inputs, outputs and sizes must follow from its spec."""
    given = metadata(path)
    wanted = describe(
        model,
        said.origin,
        form=form,
        classes=said.classes,
        tolerance=said.tolerance,
        prepare=said.prepare,
        encoding=said.encoding,
        accuracy=said.accuracy,
    )
    for key in sorted(wanted.keys() - {PROOF, VERSION}):
        if given.get(key) != wanted[key]:
            raise NotOurs(f"what the file says under {key} does not follow from its spec", "export it again")


def _compare_graphs(path: Path, graph: OnnxModel) -> None:
    """The file without the bytes of its weights must equal what the spec lowers to."""
    import onnx

    wanted = onnx.ModelProto.FromString(skeleton(graph))
    given = onnx.load(str(path), load_external_data=False)
    weights = {use.info.name for use in graph.weights}
    for each in given.graph.initializer:
        if each.name in weights:
            for name in ("raw_data", "external_data", "data_location"):
                each.ClearField(name)
    for kind in ("node", "initializer", "input", "output", "value_info"):
        for at, each in enumerate(getattr(wanted.graph, kind)):
            found = getattr(given.graph, kind)
            if at >= len(found) or found[at] != each:
                what = kind.replace("_", " ")
                raise NotOurs(f"the {what} `{each.name}` is not the one that the spec gives", "export it again")
    given.ClearField("metadata_props")
    given.producer_version = wanted.producer_version
    if given != wanted:
        raise NotOurs("the graph holds more than the spec gives", "export it again")


class _Stored:
    """The weights in an exported file by state-dict key."""

    def __init__(self, path: Path, said: Description, graph: OnnxModel) -> None:
        import onnx

        self._said = said
        self._graph = graph
        try:
            proto = onnx.load(str(path))
        except (OSError, onnx.checker.ValidationError) as error:
            raise NotOurs(
                f"the weights beside {path.name} cannot be read: {error}", "keep both files together"
            ) from None
        self._tensors = {each.name: each for each in proto.graph.initializer}
        self._owners = {weight.key: weight.tied or weight.key for weight in graph.model.weights}
        self._folded = {key: (use.info.name, undo) for use in graph.weights for key, undo in use.gives.items()}

    def __call__(self, key: str) -> NDArray[Any]:
        import numpy as np
        import onnx

        kept = self._said.sources.get(key)
        if kept is not None:
            flat = np.frombuffer(base64.b64decode(kept["data"]), dtype=np.float32)
            return flat.reshape(kept["shape"])
        if key in self._folded:
            name, undo = self._folded[key]
            array: NDArray[Any] = undo(self._array, name)
            return array
        return onnx.numpy_helper.to_array(self._tensors[self._owners[key]])

    def compare(self, weights: Mapping[str, NDArray[Any]] | None) -> None:
        """Every weight must have the hash it was exported with, and be the given one if some are given."""
        import numpy as np

        for use in self._graph.weights:
            name = use.info.name
            tensor = self._tensors.get(name)
            if tensor is None or hashlib.sha256(tensor.raw_data).hexdigest() != self._said.weights.get(name):
                raise NotOurs(f"the weight {name} is not the one that was exported", "export it again")
            if use.compute is not None and use.exact and not np.array_equal(compute(use, self, {}), self._array(name)):
                raise NotOurs(f"the weight {name} is not what its sources give", "export it again")
            if weights is not None and not np.array_equal(self._of(use, weights), self._array(name)):
                raise NotOurs(f"the weight {name} is not the given one", "export these weights")

    def _of(self, use: WeightUse, weights: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """What a weight of the file is where the network has these weights; keys that share a tensor stand for each
        other."""

        def given(key: str) -> NDArray[Any]:
            owner = self._owners[key]
            found = next(
                (weights[each] for each, other in self._owners.items() if other == owner and each in weights), None
            )
            if found is None:
                raise NotOurs(f"the given weights have no {key}", "give those of this network")
            return found

        if use.compute is not None:
            made: NDArray[Any] = compute(use, lambda key: given(key).copy(), {})
            return made
        return given(use.sources[""]).astype(self._array(use.info.name).dtype)

    def _array(self, name: str) -> NDArray[Any]:
        import onnx

        return onnx.numpy_helper.to_array(self._tensors[name])
