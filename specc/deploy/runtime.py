"""Running an exported file with onnxruntime: on the device that was asked for, with inputs that the network admits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from specc.deploy.described import Description, NotOurs, Side, read, unknowns
from specc.sizes.conditions import examples, holds
from specc.sizes.dim import Dim, evaluate, symbol, symbols

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Device = Literal["auto", "cpu", "cuda"]
TYPES: Final = {"float": "float32", "int": "int64", "bool": "bool", "uint8": "uint8"}
_WARM_UP = 3


class BadInput(Exception):
    """An input that the network does not take: the rule it breaks, and the nearest that would do."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class NoDevice(Exception):
    """The device that was asked for cannot be used."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class Predictor:
    """An exported file, ready to run.

    `providers` are those that onnxruntime really uses; `notice` says so where "auto" found a GPU build but no GPU.

    Raises:
        NotOurs: a file that cannot be read or was not written by specc.
        NoDevice: `device="cuda"` and the session would run on the CPU.

    Example:
        Predictor("digits.onnx").run(picture)["output"]
    """

    def __init__(self, path: Path | str, device: Device = "auto") -> None:
        self.path = Path(path)
        self.description: Description = read(self.path)
        self._session = _open(self.path, device)
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        self.notice = _notice(device, self.providers)

    @property
    def inputs(self) -> tuple[Side, ...]:
        return self.description.inputs

    def run(self, inputs: Mapping[str, Any] | Any) -> dict[str, Array]:
        """The outputs by name, with the batch in front. An array alone is the only input; one without a batch gets one.

        Raises:
            BadInput: a missing or unknown input, a wrong type, or sizes that the network does not admit.
        """
        given = self._named(inputs)
        ready = {side.name: _typed(side, given[side.name]) for side in self.inputs}
        self._admit(ready)
        names = [each.name for each in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, ready), strict=True))

    def _named(self, inputs: Mapping[str, Any] | Any) -> dict[str, Any]:
        wanted = [side.name for side in self.inputs]
        if not isinstance(inputs, Mapping):
            if len(wanted) != 1:
                raise BadInput(f"the network takes {len(wanted)} inputs: {', '.join(wanted)}", "give them by name")
            return {wanted[0]: inputs}
        for name in wanted:
            if name not in inputs:
                raise BadInput(f"the input `{name}` is missing", f"the network takes {', '.join(wanted)}")
        for name in inputs:
            if name not in wanted:
                raise BadInput(f"the network has no input `{name}`", f"it takes {', '.join(wanted)}")
        return dict(inputs)

    def _admit(self, ready: Mapping[str, Array]) -> None:
        """Refuse sizes for which the network is not valid."""
        batches = {len(array) for array in ready.values()}
        if len(batches) > 1:
            raise BadInput(f"the inputs differ in their batch: {', '.join(map(str, sorted(batches)))}")
        sizes: dict[str, int] = {}
        for side in self.inputs:
            _bind(side, ready[side.name].shape[1:], sizes)
        if holds(self.description.admits, sizes):
            return
        rule = "; ".join(self.description.conditions) or "its sizes must agree"
        found = ", ".join(f"{name} = {size}" for name, size in sorted(sizes.items()))
        raise BadInput(f"{found} is not valid: {rule}", _nearest(self.description, sizes))


@dataclass(frozen=True, slots=True)
class Bench:
    """How long one batch takes, in milliseconds, and how many samples pass in a second."""

    batch: int
    sizes: Mapping[str, int]
    rounds: int
    providers: tuple[str, ...]
    mean: float
    median: float
    p90: float
    p99: float
    throughput: float


def bench(
    path: Path | str,
    batch: int = 1,
    rounds: int = 50,
    *,
    device: Device = "auto",
    sizes: Mapping[str, int] | None = None,
) -> Bench:
    """Measure a file on random inputs, after a few rounds that do not count.

    `sizes` fixes unknown sizes; by default they are small ones that the network admits.
    """
    import numpy as np

    if batch < 1 or rounds < 1:
        raise BadInput("batch and rounds are 1 or more")
    predictor = Predictor(path, device)
    chosen = _sizes(predictor.description, sizes or {})
    random = np.random.default_rng(0)
    inputs = {
        side.name: random.integers(0, 2, (batch, *(evaluate(size, chosen) for size in side.shape))).astype(
            TYPES[side.dtype]
        )
        for side in predictor.inputs
    }
    for _ in range(_WARM_UP):
        predictor.run(inputs)
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        predictor.run(inputs)
        took.append((time.perf_counter() - start) * 1e3)
    p50, p90, p99 = (float(each) for each in np.percentile(took, [50, 90, 99]))
    mean = sum(took) / rounds
    return Bench(batch, chosen, rounds, predictor.providers, mean, p50, p90, p99, batch * 1e3 / mean)


# ---------------------------------------------------------------------------------------------------------- session
def _open(path: Path, device: Device) -> Any:
    """A session on the device; an error if it is not used after all."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4 if device == "auto" else 3
    wanted = ["CPUExecutionProvider"]
    if device != "cpu" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        _preload(onnxruntime)
        wanted.insert(0, "CUDAExecutionProvider")
    elif device == "cuda":
        raise NoDevice("this onnxruntime was built without CUDA", "install onnxruntime-gpu; `specc doctor` says more")
    if device == "cuda":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=wanted)
    except Exception as error:  # onnxruntime's own exceptions have no common class
        said = str(error).strip().splitlines()[0]
        if device == "cuda":
            raise NoDevice(f"the GPU cannot be used: {said}", "`specc doctor` says what is missing") from None
        raise NotOurs(f"onnxruntime refuses {path.name}: {said}", "export it again") from None
    if device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise NoDevice(
            "the GPU cannot be used: onnxruntime fell back to the CPU", "`specc doctor` says what is missing"
        )
    return session


def _preload(onnxruntime: Any) -> None:
    """Load the CUDA libraries that Python packages bring, without its messages about those that are missing."""
    import contextlib
    import io

    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.set_default_logger_severity(4)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            onnxruntime.preload_dlls()


def _notice(device: Device, providers: tuple[str, ...]) -> str:
    if device != "auto" or "CUDAExecutionProvider" in providers:
        return ""
    import onnxruntime

    built = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    return "running on the CPU: onnxruntime found no GPU that it can use" if built else ""


# ----------------------------------------------------------------------------------------------------------- inputs
def _typed(side: Side, given: Any) -> Array:
    """The input as the file takes it: its element type, with a batch in front."""
    import numpy as np

    array = np.asarray(given)
    kinds = {"float": "fiub", "int": "iu", "bool": "b", "uint8": "iu"}[side.dtype]
    if array.dtype.kind not in kinds:
        raise BadInput(f"`{side.name}` takes {TYPES[side.dtype]}, not {array.dtype}")
    if side.dtype == "uint8" and array.size and not 0 <= array.min() <= array.max() <= 255:
        raise BadInput(f"`{side.name}` takes pixels from 0 to 255, not from {array.min()} to {array.max()}")
    if array.ndim == len(side.shape):
        array = array[None]
    if array.ndim != len(side.shape) + 1:
        raise BadInput(f"`{side.name}` is {list(array.shape)}, the network takes {side.spelled()} and a batch in front")
    return np.ascontiguousarray(array, dtype=TYPES[side.dtype])


def _bind(side: Side, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    """Read the unknown sizes off an input, and hold its other sizes against them."""
    for size, given in zip(side.shape, shape, strict=True):
        if isinstance(size, Dim) and len(names := symbols(size)) == 1:
            (name,) = names
            ahead = size - symbol(name)  # such as H - 4, where the file pads
            if isinstance(ahead, int):
                sizes.setdefault(name, given - ahead)
    for at, (size, given) in enumerate(zip(side.shape, shape, strict=True)):
        if not all(name in sizes for name in symbols(size)):
            continue
        if (wanted := evaluate(size, sizes)) != given:
            known = f" (axis {at}: {given} instead of {wanted})" if len(shape) > 1 else ""
            raise BadInput(f"`{side.name}` is {list(shape)}, the network takes {side.spelled()}{known}")


def _nearest(description: Description, sizes: Mapping[str, int]) -> str:
    parts = []
    for name, (below, above) in sorted(description.nearest(sizes).items()):
        near = [str(each) for each in (below, above) if each is not None]
        if sizes[name] not in (below, above) and near:
            parts.append(f"{name} = {' or '.join(dict.fromkeys(near))}")
    return f"the nearest that are: {', '.join(parts)}" if parts else ""


def _sizes(description: Description, given: Mapping[str, int]) -> dict[str, int]:
    """Values for all unknown sizes: the given ones, or small ones."""
    names = unknowns(description.inputs, description.admits)
    if not names or set(names) <= given.keys():
        return {name: given[name] for name in names}
    from specc.sizes.conditions import Compare

    facts = [Compare(symbol(name), "==", size) for name, size in given.items() if name in names]
    found = examples([description.admits], facts, symbols=names)
    if not found:
        raise BadInput(f"no sizes are known that the network admits with {dict(given)}", "give all of them with --size")
    return found[-1]
