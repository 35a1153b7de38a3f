"""Where ONNX and PyTorch part: the first step whose values differ, found by looking at every step's output."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.model.graph import Model, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Place:
    """The step at which they part (None if it cannot be told), and the words for it."""

    step: Step | None
    says: str


def parting(model: Model, onnx_path: Path, module: Any, inputs: Arrays, tolerance: float) -> Place:
    """The first step that differs.

    PyTorch shows what its modules give; of a step that runs no module of its own it is only known that it lies between
    two that do.
    """
    from specc.deploy.proof import relative_error

    got = _onnx_values(model, onnx_path, inputs)
    wanted = _torch_values(model, module, inputs)
    agrees = {
        index: relative_error(got[index], wanted[index]) <= tolerance
        for index in got.keys() & wanted.keys()
        if got[index].shape == wanted[index].shape
    }
    first = next((step for step in model.steps if agrees.get(step.index) is False), None)
    suspects = _between(model, first, agrees, got)
    if not suspects:
        return Place(None, "")
    step = suspects[0]
    line = f"{step.span.source.name}:{step.span.line}: {step.span.source.line(step.span.line).strip()}"
    if len(suspects) == 1:
        return Place(step, f"; they part at `{step.path}` ({line})")
    others = ", ".join(f"`{each.path}`" for each in suspects[1:6])
    return Place(step, f"; they part at `{step.path}` ({line}) or at {others}")


def _between(model: Model, first: Step | None, agrees: Mapping[int, bool], got: Mapping[int, Any]) -> list[Step]:
    """The steps that may be to blame: the first that differs, and those before it of which nothing is known."""
    maker = {value: step for step in model.steps for value in step.outputs}
    if first is not None:
        ends = [first]
    else:
        ends = [maker[port.value] for port in model.outputs if not port.training and port.value in maker]
    found: dict[int, Step] = {}
    while ends:
        step = ends.pop()
        if step.index in found or agrees.get(step.index) is True:
            continue
        found[step.index] = step
        ends += [maker[value] for value in step.inputs if value in maker]
    return [found[index] for index in sorted(found) if index in got]


def _onnx_values(model: Model, path: Path, inputs: Arrays) -> dict[int, NDArray[Any]]:
    """What every step gives in the file, from a copy that has all of them as outputs."""
    import onnx

    from specc.deploy.proof import open_session

    proto = onnx.load(str(path))
    paths = {step.path: step.index for step in model.steps}
    known = {each.name: each for each in (*proto.graph.value_info, *proto.graph.output)}
    names = {node.output[0]: paths[node.name] for node in proto.graph.node if node.name in paths}
    given = {each.name for each in proto.graph.output}
    proto.graph.output.extend(known[name] for name in names if name not in given)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "steps.onnx"
        onnx.save(proto, str(copy), save_as_external_data=True, location="steps.data")
        values = open_session(copy).run(list(names), dict(inputs))
    return dict(zip(names.values(), values, strict=True))


def _torch_values(model: Model, module: Any, inputs: Arrays) -> dict[int, NDArray[Any]]:
    """What the steps give that are modules of their own, in the order in which each module is called."""
    from specc.deploy.proof import run_torch

    calls: dict[str, list[Any]] = {}

    def keep(name: str) -> Any:
        def hook(_: Any, __: Any, output: Any) -> None:
            calls.setdefault(name, []).append((output[0] if isinstance(output, tuple) else output).detach().numpy())

        return hook

    hooks = [part.register_forward_hook(keep(name)) for name, part in module.named_modules() if name]
    try:
        run_torch(model, module, dict(inputs))
    finally:
        for each in hooks:
            each.remove()
    found: dict[int, NDArray[Any]] = {}
    for step in model.steps:
        if step.module is not None and calls.get(step.module.path):
            found[step.index] = calls[step.module.path].pop(0)
    return found
