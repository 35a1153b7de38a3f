"""Holding an exported file against PyTorch: the same random inputs through both, at several admissible sizes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from specc.catalogue.op import Dtype
from specc.deploy.form import TOLERANCES, WHOLE, Form, symbols
from specc.deploy.form import inputs as file_inputs
from specc.model.graph import Model, Step, ValueId
from specc.model.heads import maker
from specc.sizes.conditions import examples
from specc.sizes.dim import evaluate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]

BATCHES: Final = (1, 3)
_SIZES = 3
_LARGEST_SIZE = 1024
_LEAST_SCALE = 1e-12


@dataclass(frozen=True, slots=True)
class Run:
    """One comparison: the sizes, the batch, and the largest difference relative to the output's largest number."""

    sizes: Mapping[str, int]
    batch: int
    error: float


@dataclass(frozen=True, slots=True)
class Proof:
    """That ONNX and PyTorch agree, and how it was found.

    `prepared` is the largest difference between the preparation in the file and that of training, 0 without one, `rounding` how
    far a file in int8 is from the same graph in float32, for which all the rest is said.
    """

    runs: tuple[Run, ...]
    prepared: float
    tolerance: float
    providers: tuple[str, ...]
    versions: Mapping[str, str]
    rounding: float = 0.0

    @property
    def error(self) -> float:
        return max(run.error for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """Plain values; errors are rounded up to one digit, so that the same export gives the same bytes."""
        return {
            "runs": [{"sizes": dict(r.sizes), "batch": r.batch, "error": _rounded_up(r.error)} for r in self.runs],
            "error": _rounded_up(self.error),
            "prepared": _rounded_up(self.prepared),
            "rounding": _rounded_up(self.rounding),
            "tolerance": self.tolerance,
            "providers": list(self.providers),
            "versions": dict(self.versions),
        }


class Disproved(Exception):
    """ONNX and PyTorch do not agree, or the file is not valid ONNX. `step` is where they part, if that is known."""

    def __init__(self, message: str, step: Step | None = None, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.step = step
        self.help = help


def prove(
    model: Model, onnx_path: Path | str, module: Any, *, tolerance: float | None = None, form: Form = WHOLE
) -> Proof:
    """Prove that the file equals the PyTorch module, which has the same weights and is in eval mode.

    The full checker of onnx runs first. Every output is compared, in shape, type and value, and once what goes into
    the heads as well, since a softmax that says 1 for sure would hide differences.

    Raises:
        Disproved: naming the first step at which they part, with its line in the spec.
    """
    tolerance = TOLERANCES[form.precision] if tolerance is None else tolerance
    check(onnx_path)
    if form.precision == "int8":
        return _in_int8(model, onnx_path, module, form)
    prepared = _prepared(model, onnx_path, form)
    session = open_session(onnx_path)
    found = []
    for at, (sizes, batch) in enumerate(trials(model, form)):
        given = random_inputs(model, sizes, batch, at, form)
        error, output = _difference(model, session, module, given, form, sizes, batch)
        if at == 0:
            error, output = max((error, output), _below_heads(model, onnx_path, module, given, form))
        if not error <= tolerance:
            _part(model, Path(onnx_path), module, given, tolerance, (sizes, batch, error, output), form)
        found.append(Run(sizes, batch, error))
    return Proof(tuple(found), prepared, tolerance, tuple(session.get_providers()), _versions())


def _in_int8(model: Model, onnx_path: Path | str, module: Any, form: Form) -> Proof:
    """Whole numbers are no small change of every number, so the same graph without them is proved, with the very
    weights that the whole numbers stand for; how far the file is from it on the same inputs is measured and stated."""
    import tempfile
    from dataclasses import replace

    from specc.backends.onnx_file import write
    from specc.backends.onnx_weights import Arrays

    weights = Arrays({key: each.detach().cpu().numpy() for key, each in module.state_dict().items()})
    single = replace(form, precision="fp32")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "single.onnx"
        write(single.lower(model, weights), path)
        proof = prove(model, path, module, form=single)
    session = open_session(onnx_path)
    found = [
        _difference(model, session, module, random_inputs(model, sizes, batch, at, form), form, sizes, batch)[0]
        for at, (sizes, batch) in enumerate(trials(model, form))
    ]
    return replace(proof, rounding=max(found))


def check(onnx_path: Path | str) -> None:
    """The full check of the onnx package, shapes included; raises Disproved."""
    import onnx

    try:
        onnx.checker.check_model(str(onnx_path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise Disproved(f"the file is not valid ONNX: {str(error).strip()}") from None


def open_session(onnx_path: Path | str) -> Any:
    """An onnxruntime session on the CPU, quiet about what it optimises."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(onnx_path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions have no common class
        raise Disproved(f"onnxruntime refuses the file: {str(error).strip()}") from None


def trials(model: Model, form: Form = WHOLE) -> list[tuple[dict[str, int], int]]:
    """Sizes and batches to try: every batch at least once, and three admissible sizes where sizes are unknown."""
    unknown = sorted(
        {
            name
            for port in file_inputs(model)
            for size in (*model.type(port.value).shape, *form.takes(model, port).shape)
            for name in symbols(size)
        }
    )
    if not unknown:
        return [({}, batch) for batch in BATCHES]
    predicates = [*(each.predicate for each in model.requirements), *form.rules]
    found = examples(predicates, list(model.facts), count=_SIZES, largest=_LARGEST_SIZE, symbols=unknown)
    if not found:
        raise Disproved(
            f"no sizes up to {_LARGEST_SIZE} are known for which {model.name} is valid",
            help="bind the unknown sizes with --size",
        )
    if len(found) == 1:
        found *= len(BATCHES)
    return [(sizes, BATCHES[at % len(BATCHES)]) for at, sizes in enumerate(found)]


def random_inputs(model: Model, sizes: Mapping[str, int], batch: int, seed: int, form: Form = WHOLE) -> Arrays:
    """Seeded inputs of these sizes: normal numbers, 0 and 1 for integers (which may be places), true and false.

    Where the file prepares an input itself it is raw: pixels, or numbers that preparation brings near normal ones.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    places = min([2, *sizes.values()])
    found: Arrays = {}
    for port in file_inputs(model):
        type = form.takes(model, port)
        shape = [*([batch] if type.batched else []), *(evaluate(size, sizes) for size in type.shape)]
        made: dict[Dtype, Any] = {
            "float": lambda shape=shape: random.standard_normal(shape, dtype=np.float32),
            "int": lambda shape=shape: random.integers(0, places, shape, dtype=np.int64),
            "bool": lambda shape=shape: random.integers(0, 2, shape).astype(bool),
        }
        inside = form.inside.get(port.name)
        found[port.name] = made[type.dtype]() if inside is None else inside.random(random, shape)
    return found


def run_torch(model: Model, module: Any, inputs: Arrays) -> Arrays:
    """The outputs of the PyTorch module by name."""
    import torch

    with torch.no_grad():
        made = module(*(torch.from_numpy(array) for array in inputs.values()))
    if not isinstance(made, Mapping):
        made = {next(port.name for port in model.outputs if not port.training): made}
    return {name: tensor.detach().cpu().numpy() for name, tensor in made.items()}


def relative_error(got: NDArray[Any], wanted: NDArray[Any]) -> float:
    """The largest difference over the largest magnitude; infinite for other shapes, types or places not finite."""
    import numpy as np

    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        return math.inf
    if wanted.dtype.kind != "f":
        return 0.0 if np.array_equal(got, wanted) else math.inf
    finite = np.isfinite(wanted)
    if not np.array_equal(got[~finite], wanted[~finite], equal_nan=True) or not np.isfinite(got[finite]).all():
        return math.inf
    if not finite.any():
        return 0.0
    scale = max(float(np.abs(wanted[finite]).max()), _LEAST_SCALE)
    return float(np.abs(got[finite].astype(np.float64) - wanted[finite]).max()) / scale


# ------------------------------------------------------------------------------------------------------ comparing
def _difference(
    model: Model, session: Any, module: Any, given: Arrays, form: Form, sizes: Mapping[str, int], batch: int
) -> tuple[float, str]:
    """The largest relative error over all outputs, and the output that has it."""
    from specc.deploy.ends import errors

    ends = form.gives(model)
    names = [each.name for each in ends]
    at = ", ".join([*(f"{name}={size}" for name, size in sizes.items()), f"batch {batch}"])
    with _refusals("onnxruntime", at):
        got = dict(zip(names, session.run(names, given), strict=True))
    for each in ends:
        type = each.type(model)
        shape = (*([batch] if type.batched else []), *(evaluate(size, sizes) for size in type.shape))
        if got[each.name].shape != shape:
            raise Disproved(f"the output {each.name} is {list(got[each.name].shape)}, the spec says {list(shape)}")
    with _refusals("PyTorch", at):
        found = errors(model, module, ends, form.prepared(given), got, relative_error)
    worst, where = 0.0, names[0]
    for name in names:
        if name not in found:
            raise Disproved(f"the output {name} is not one of the network's, so PyTorch has nothing to compare it with")
        if not found[name] <= worst:
            worst, where = found[name], name
    return worst, where


def _prepared(model: Model, path: Path | str, form: Form) -> float:
    """The largest difference between the preparation in the file and that of training."""
    from specc.deploy.preparation import TOLERANCE, difference

    error, where = difference(model, path, form) if form.inside else (0.0, "")
    if not error <= TOLERANCE:
        raise Disproved(f"the file prepares {where} otherwise than training did, by {error:.2g} of what comes out")
    return error


def _below_heads(model: Model, path: Path | str, module: Any, given: Arrays, form: Form) -> tuple[float, str]:
    """The largest relative error of the tensors that go into the heads, such as a softmax, and what it is in."""
    from specc.deploy.parting import onnx_values

    heads: dict[str, ValueId] = {}
    for port in model.outputs:
        step = maker(model, port.value)
        if not port.training and step is not None and step.op.undone and step.outputs[0] == port.value:
            heads[port.name] = step.inputs[0]
    if not heads:
        return 0.0, ""
    got = onnx_values(model, path, given, heads.values(), form)
    wanted = run_torch(model, module.logits, form.prepared(given))
    errors = [
        (relative_error(got[value], wanted[name]), f"the logits of {name}")
        for name, value in heads.items()
        if value in got
    ]
    return max(errors, default=(0.0, ""))


def _part(
    model: Model,
    path: Path,
    module: Any,
    inputs: Arrays,
    tolerance: float,
    failed: tuple[Mapping[str, int], int, float, str],
    form: Form,
) -> None:
    """Find where they part and say so."""
    from specc.deploy.parting import parting

    sizes, batch, error, output = failed
    at = ", ".join([*(f"{name}={size}" for name, size in sizes.items()), f"batch {batch}"])
    said = f"ONNX and PyTorch differ in `{output}` by {error:.2g} of its scale at {at} (allowed: {tolerance:g})"
    place = parting(model, path, module, inputs, tolerance, form)
    raise Disproved(f"{said}{place.says}", place.step)


@contextlib.contextmanager
def _refusals(who: str, at: str) -> Iterator[None]:
    """What stops one of the two from running at all, in words."""
    try:
        yield
    except Exception as error:  # neither has a common class for its own exceptions
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Disproved(f"{who} cannot run the network at {at}: {said}") from error


def _rounded_up(error: float) -> float:
    if error == 0:
        return 0.0
    power = math.floor(math.log10(error))
    return float(f"{math.ceil(error / 10.0**power)}e{power}")


def _versions() -> dict[str, str]:
    from importlib import metadata

    found = {}
    for name in ("torch", "onnx", "onnxruntime", "onnxruntime-gpu"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
