"""How fast an exported file runs: latency, throughput and memory, and in turns with the same network in PyTorch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from specc.deploy.memory import Peak
from specc.deploy.providers import CPU, Device
from specc.deploy.runtime import TYPES, BadInput, Predictor, filled
from specc.sizes.dim import evaluate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Contender = Literal["eager", "compiled"]
CONTENDERS: Final[tuple[Contender, ...]] = ("eager", "compiled")
_WARM_UP: Final = 3
_AGREE: Final = 1e-3  # of an output's scale: further apart, two programs do not compute the same


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one batch takes, in milliseconds, and how many samples pass in a second."""

    mean: float
    median: float
    p90: float
    p99: float
    throughput: float


@dataclass(frozen=True, slots=True)
class Against:
    """The same network in PyTorch: its times, and how many times as long as onnxruntime it takes.

    `ratio` is the median over the rounds, each of which runs both, `low` and `high` its quartiles.
    """

    name: Contender
    timing: Timing
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bench:
    """A file at one batch size. `memory` is what the process grew by at its peak, in bytes, for the session and its
    runs; None where the system does not tell. `threads` of the CPU."""

    batch: int
    sizes: Mapping[str, int]
    rounds: int
    threads: int
    providers: tuple[str, ...]
    timing: Timing
    memory: int | None
    against: tuple[Against, ...] = ()


def bench(
    path: Path | str,
    batch: int = 1,
    rounds: int = 50,
    *,
    device: Device = "auto",
    sizes: Mapping[str, int] | None = None,
    threads: int = 0,
    cuda_graph: bool = False,
    engines: Path | str | None = None,
    against: Sequence[Contender] = (),
) -> Bench:
    """Measure a file on random inputs, after a few rounds that do not count.

    `sizes` fixes unknown sizes; by default they are small ones that the network admits. `threads` are those of the
    CPU, by default as many as this process may use, for PyTorch as well. On a GPU the inputs lie there already and the
    outputs stay there, for both.

    Raises:
        NotOurs, NoDevice: as `Predictor`.
        BadInput: sizes that the network does not admit, or numbers that PyTorch and the file do not agree on.
    """
    if batch < 1 or rounds < 1 or threads < 0:
        raise BadInput("batch and rounds are 1 or more, threads 0 or more")
    threads = threads or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else threads
    peak = Peak()
    predictor = Predictor(path, device, threads=threads, cuda_graph=cuda_graph, engines=engines)
    chosen = filled(predictor.description, sizes or {})
    inputs = _inputs(predictor, batch, chosen)
    runs = {"onnx": _onnx(predictor, inputs)}
    runs["onnx"]()
    memory = peak.growth(predictor.providers[0] != CPU)
    if against:
        from specc.deploy.contenders import contenders

        others = contenders(predictor, inputs, against, threads)
        for name, (made, run) in others.items():
            _agree(predictor.run(inputs), made, name)
            runs[name] = run
    took = _in_turns(runs, rounds)
    rivals = tuple(_against(name, took[name], took["onnx"], batch) for name in against)
    return Bench(batch, chosen, rounds, threads, predictor.providers, _timing(took["onnx"], batch), memory, rivals)


def _inputs(predictor: Predictor, batch: int, sizes: Mapping[str, int]) -> dict[str, Array]:
    import numpy as np

    random = np.random.default_rng(0)
    return {
        side.name: random.integers(0, 2, (batch, *(evaluate(size, sizes) for size in side.shape))).astype(
            TYPES[side.dtype]
        )
        for side in predictor.inputs
    }


def _onnx(predictor: Predictor, inputs: Mapping[str, Array]) -> Callable[[], object]:
    if predictor.providers[0] == CPU:
        return lambda: predictor.run(inputs)
    buffers = predictor.bound(inputs)
    buffers(inputs)
    return buffers.run


def _in_turns(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every run; each round runs all, every other round the other way round."""
    took: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(-_WARM_UP, rounds):
        order = list(runs) if number % 2 == 0 else list(runs)[::-1]
        for name in order:
            start = time.perf_counter()
            runs[name]()
            if number >= 0:
                took[name].append((time.perf_counter() - start) * 1e3)
    return took


def _timing(took: Sequence[float], batch: int) -> Timing:
    import numpy as np

    p50, p90, p99 = (float(each) for each in np.percentile(took, [50, 90, 99]))
    mean = sum(took) / len(took)
    return Timing(mean, p50, p90, p99, batch * 1e3 / mean)


def _against(name: Contender, took: Sequence[float], onnx: Sequence[float], batch: int) -> Against:
    import numpy as np

    ratios = [one / other for one, other in zip(took, onnx, strict=True)]
    low, ratio, high = (float(each) for each in np.percentile(ratios, [25, 50, 75]))
    return Against(name, _timing(took, batch), ratio, low, high)


def _agree(onnx: Mapping[str, Array], torch: Mapping[str, Array], name: str) -> None:
    from specc.deploy.proof import relative_error

    for output, wanted in torch.items():
        error = relative_error(onnx[output], wanted)
        if not error <= _AGREE:
            raise BadInput(
                f"`{output}` of the file and of PyTorch ({name}) differ by {error:.1e} of its scale",
                "specc verify says where they part",
            )
