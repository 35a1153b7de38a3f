"""Running an exported file with onnxruntime: on the device that was asked for, with inputs that the network admits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from specc.deploy import providers
from specc.deploy.buffers import Buffers
from specc.deploy.described import Description, Side, read, unknowns
from specc.deploy.providers import CPU, Device, NoDevice, Where
from specc.sizes.conditions import examples, holds
from specc.sizes.dim import Dim, evaluate, symbol, symbols

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specc.data.postprocess import Postprocess
    from specc.deploy.predict import Prediction

    Array = NDArray[Any]

TYPES: Final = {"float": "float32", "int": "int64", "bool": "bool", "uint8": "uint8"}
_MOST_BUFFERS: Final = 4  # shapes whose buffers on a GPU are kept


class BadInput(Exception):
    """An input that the network does not take: the rule it breaks, and the nearest that would do."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class Predictor:
    """An exported file, ready to run; many threads may use one at the same time.

    `device` is "auto" (a GPU if there is one, and `notice` says where that failed), "cpu", "cuda" or "tensorrt"; of the
    last three anything else than what was asked for is an error. `threads` of the CPU are as many as onnxruntime takes
    if it is 0. `cuda_graph` records a run on the GPU once and replays it, for networks without unknown sizes.
    `engines` is the folder in which TensorRT keeps what it built.

    `providers` are those that onnxruntime really uses. `classes` are the names of the classes, `sizes` the rules for
    unknown sizes, `inputs` and `outputs` what goes in and comes out.

    Raises:
        NotOurs: a file that cannot be read or was not written by specc.
        NoDevice: the device cannot be used.
        BadInput: fewer than 0 threads.

    Example:
        with Predictor("digits.onnx") as digits:
            print(digits.predict("seven.png").label)
    """

    def __init__(
        self,
        path: Path | str,
        device: Device = "auto",
        *,
        threads: int = 0,
        gpu: int = 0,
        cuda_graph: bool = False,
        engines: Path | str | None = None,
    ) -> None:
        self.path = Path(path)
        self.description: Description = read(self.path)
        if threads < 0:
            raise BadInput(f"there are {threads} threads", "0 takes as many as onnxruntime does")
        if cuda_graph and self._unknown():
            names = ", ".join(self._unknown())
            raise NoDevice(
                f"a CUDA graph needs known sizes, and {names} is not known", "fix it in the `export` section"
            )
        self._where = Where(device, threads, gpu, cuda_graph, None if engines is None else Path(engines))
        self._session: Any = providers.opened(self.path, self._where)
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        self.notice = providers.notice(self._where, self.providers)
        sides = {side.name: side for side in self.description.outputs}
        self.outputs: tuple[Side, ...] = tuple(sides[each.name] for each in self._session.get_outputs())
        self._buffers: dict[tuple[tuple[int, ...], ...], Buffers] = {}
        self._lock = Lock()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back; what is closed does not run again."""
        with self._lock:
            self._session = None
            self._buffers.clear()

    @property
    def inputs(self) -> tuple[Side, ...]:
        return self.description.inputs

    @property
    def classes(self) -> tuple[str, ...]:
        return self.description.classes

    @property
    def sizes(self) -> tuple[str, ...]:
        """What the network asks of its unknown sizes, a sentence each."""
        return self.description.conditions

    @cached_property
    def postprocess(self) -> Postprocess:
        """The steps of `postprocess` in the spec of the file, by which predictions get their classes; none if it has
        none. Of several phases the last one's."""
        from specc.data.named import implementation
        from specc.data.postprocess import Postprocess
        from specc.deploy.verify import compilation

        if "postprocess" not in self.description.origin.text:
            return Postprocess(())  # nor need it be compiled
        steps = compilation(self.description).postprocess(self.description.network)
        return Postprocess(tuple(implementation(each.entry.runs)(**each.entry.keywords()) for each in steps))

    def run(self, inputs: Mapping[str, Any] | Any) -> dict[str, Array]:
        """The outputs by name, with the batch in front. An array alone is the only input; one without a batch gets one.

        Raises:
            BadInput: a missing or unknown input, a wrong type, or sizes that the network does not admit.
        """
        ready, sizes = self.ready(inputs)
        if self.providers[0] == CPU or not sizes.keys() >= set(self._unknown()):
            names = [each.name for each in self.outputs]
            return dict(zip(names, self._open().run(names, ready), strict=True))
        with self._lock:
            return self._bound(ready, sizes)(ready)

    def ready(self, inputs: Mapping[str, Any] | Any) -> tuple[dict[str, Array], dict[str, int]]:
        """The inputs as the file takes them, with a batch, and the unknown sizes that they have; raises as `run`."""
        given = self._named(inputs)
        ready = {side.name: _typed(side, given[side.name]) for side in self.inputs}
        return ready, self._admit(ready)

    def predict(self, given: Any) -> Prediction:
        """What the network makes of one sample, read and named as `specc predict` does.

        `given` is the path of a picture, an array without a batch, a picture of Pillow's, or a mapping of these by the
        names of the inputs.

        Raises:
            BadInput: what cannot be read, or what the network does not take.
        """
        return next(iter(self.predict_all([given])))

    def predict_all(self, given: Iterable[Any], batch: int = 1) -> Iterator[Prediction]:
        """`predict` for many, `batch` of them at a time where their sizes are the same, in the order given."""
        from specc.deploy.predict import predict_given

        return predict_given(self, given, batch)

    def warm_up(self, batch: int = 1, rounds: int = 3, **sizes: int) -> None:
        """Run on zeros, so that the first real run is as fast as the others; `sizes` are those that are not known.

        Raises:
            BadInput: sizes that the network does not admit.
        """
        import numpy as np

        found = filled(self.description, sizes)
        shapes = {side.name: (batch, *(evaluate(size, found) for size in side.shape)) for side in self.inputs}
        zeros = {side.name: np.zeros(shapes[side.name], TYPES[side.dtype]) for side in self.inputs}
        for _ in range(rounds):
            self.run(zeros)

    def like(self, path: Path) -> Predictor:
        """Another file in the same place."""
        where = self._where
        return Predictor(
            path, where.device, threads=where.threads, gpu=where.gpu, cuda_graph=where.cuda_graph, engines=where.engines
        )

    def bound(self, inputs: Mapping[str, Any]) -> Buffers:
        """New buffers for inputs of these shapes, on the device that the session runs on."""
        ready, sizes = self.ready(inputs)
        return self._made(ready, sizes, len(self._buffers))

    def _unknown(self) -> list[str]:
        return unknowns(self.description.inputs, self.description.admits)

    def _open(self) -> Any:
        if self._session is None:
            raise BadInput("the predictor is closed", "make a new one")
        return self._session

    def _bound(self, ready: Mapping[str, Array], sizes: Mapping[str, int]) -> Buffers:
        key = tuple(ready[side.name].shape for side in self.inputs)
        if key not in self._buffers:
            if len(self._buffers) >= _MOST_BUFFERS and not self._where.cuda_graph:
                del self._buffers[next(iter(self._buffers))]
            self._buffers[key] = self._made(ready, sizes, len(self._buffers))
        return self._buffers[key]

    def _made(self, ready: Mapping[str, Array], sizes: Mapping[str, int], number: int) -> Buffers:
        batch = len(next(iter(ready.values())))
        inputs = {side.name: (ready[side.name].shape, TYPES[side.dtype]) for side in self.inputs}
        outputs = {
            side.name: ((batch, *(evaluate(size, sizes) for size in side.shape)), TYPES[side.dtype])
            for side in self.outputs
        }
        device = "cpu" if self.providers[0] == CPU else "cuda"
        return Buffers(self._open(), inputs, outputs, device, self._where.gpu, number)

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

    def _admit(self, ready: Mapping[str, Array]) -> dict[str, int]:
        """The unknown sizes that inputs have; refuse those for which the network is not valid."""
        batches = {len(array) for array in ready.values()}
        if len(batches) > 1:
            raise BadInput(f"the inputs differ in their batch: {', '.join(map(str, sorted(batches)))}")
        sizes: dict[str, int] = {}
        for side in self.inputs:
            _bind(side, ready[side.name].shape[1:], sizes)
        if holds(self.description.admits, sizes):
            return sizes
        rule = "; ".join(self.description.conditions) or "its sizes must agree"
        found = ", ".join(f"{name} = {size}" for name, size in sorted(sizes.items()))
        raise BadInput(f"{found} is not valid: {rule}", _nearest(self.description, sizes))


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


def filled(description: Description, given: Mapping[str, int]) -> dict[str, int]:
    """Values for all unknown sizes: the given ones, or small ones."""
    names = unknowns(description.inputs, description.admits)
    for name in given:
        if name not in names:
            raise BadInput(f"there is no unknown size `{name}`", f"there is {', '.join(names) or 'none'}")
    if set(names) <= given.keys():
        return {name: given[name] for name in names}
    from specc.sizes.conditions import Compare

    facts = [Compare(symbol(name), "==", size) for name, size in given.items()]
    found = examples([description.admits], facts, symbols=names)
    if not found:
        raise BadInput(f"no sizes are known that the network admits with {dict(given)}", "give all of them with --size")
    return found[-1]
