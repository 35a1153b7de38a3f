"""What happens inside: the tensors between inputs and outputs in ONNX and in PyTorch, and where the two part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.deploy.form import Form
from specc.model.graph import Model, Step, ValueId

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Place:
    """The step at which they part (None if it cannot be told), and the words for it."""

    step: Step | None
    says: str


def onnx_values(
    model: Model, onnx_path: Path | str, inputs: Arrays, values: Iterable[ValueId], form: Form
) -> dict[ValueId, NDArray[Any]]:
    """These tensors as the file computes them, without those it has not."""
    return exposed(model, onnx_path, values, form)(inputs)


def exposed(
    model: Model, onnx_path: Path | str, values: Iterable[ValueId], form: Form
) -> Callable[[Arrays], dict[ValueId, NDArray[Any]]]:
    """What gives these tensors for inputs: a copy of the file in memory, with the nodes that lead to them alone."""
    import onnx
    import onnxruntime

    path = Path(onnx_path)
    proto = onnx.load(str(path), load_external_data=False)
    places = form.lower(model, None).places
    known = {each.name: each for each in (*proto.graph.value_info, *proto.graph.output)}
    wanted = {value: places[value] for value in values if places.get(value) in known}
    names = list(dict.fromkeys(wanted.values()))
    if not names:
        return lambda inputs: {}
    _keep(proto.graph, [known[name] for name in names])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    folder = str(path.absolute().parent)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(inputs: Arrays) -> dict[ValueId, NDArray[Any]]:
        taken = {each.name for each in session.get_inputs()}
        ready = {name: array for name, array in inputs.items() if name in taken}
        found = dict(zip(names, session.run(names, ready), strict=True))
        return {value: _single(found[name]) for value, name in wanted.items()}

    return run


def _single(array: NDArray[Any]) -> NDArray[Any]:
    """Half precision as float32, to be compared with PyTorch's."""
    return array.astype("float32") if array.dtype == "float16" else array


def _keep(graph: Any, ends: Sequence[Any]) -> None:
    """Leave what these outputs depend on."""
    wanted = {each.name for each in ends}
    kept = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    for part, left in (
        (graph.node, kept[::-1]),
        (graph.output, ends),
        (graph.input, [each for each in graph.input if each.name in wanted]),
        (graph.initializer, [each for each in graph.initializer if each.name in wanted]),
    ):
        copies = [type(each).FromString(each.SerializeToString()) for each in left]
        del part[:]
        part.extend(copies)


def parting(model: Model, onnx_path: Path | str, module: Any, inputs: Arrays, tolerance: float, form: Form) -> Place:
    """The first step that differs.

    PyTorch shows what its modules give; of a step that runs no module of its own it is only known that it lies between
    two that do.
    """
    from specc.deploy.proof import relative_error

    wanted = _torch_values(model, module, form.prepared(inputs))
    got = onnx_values(model, onnx_path, inputs, [step.outputs[0] for step in model.steps], form)
    agrees = {
        index: relative_error(got[model.steps[index].outputs[0]], array) <= tolerance
        for index, array in wanted.items()
        if model.steps[index].outputs[0] in got and got[model.steps[index].outputs[0]].shape == array.shape
    }
    first = next((step for step in model.steps if agrees.get(step.index) is False), None)
    suspects = [step for step in _between(model, first, agrees) if step.outputs[0] in got]
    if not suspects:
        return Place(None, "")
    step = suspects[0]
    line = f"{step.span.source.name}:{step.span.line}: {step.span.source.line(step.span.line).strip()}"
    if len(suspects) == 1:
        return Place(step, f"; they part at `{step.path}` ({line})")
    others = ", ".join(f"`{each.path}`" for each in suspects[1:6])
    return Place(step, f"; they part at `{step.path}` ({line}) or at {others}")


def _between(model: Model, first: Step | None, agrees: Mapping[int, bool]) -> list[Step]:
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
    return [found[index] for index in sorted(found)]


def _torch_values(model: Model, module: Any, inputs: Arrays) -> dict[int, NDArray[Any]]:
    """What the steps give that are modules of their own, in the order in which each module is called."""
    from specc.deploy.proof import run_torch

    calls: dict[str, list[Any]] = {}

    def keep(name: str) -> Any:
        def hook(_: Any, __: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            if hasattr(first, "detach"):  # a packed sequence is no tensor
                calls.setdefault(name, []).append(first.detach().numpy())

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
