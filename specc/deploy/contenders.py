"""The network of an exported file in PyTorch, as it is and compiled, to be measured beside the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from specc.deploy.providers import CPU
from specc.deploy.runtime import BadInput, Predictor
from specc.deploy.verify import inner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specc.deploy.benchmark import Contender

    Array = NDArray[Any]

Made = tuple[Mapping[str, "Array"], Callable[[], object]]


def contenders(
    predictor: Predictor, inputs: Mapping[str, Array], names: Sequence[Contender], threads: int
) -> dict[str, Made]:
    """For each name what PyTorch makes of the inputs, and a run of it to be timed, on the device of the session.

    What `prepare` does, which a file may do itself, is done beforehand and not timed.

    Raises:
        BadInput: torch cannot compile here, or has no GPU where the session runs on one.
    """
    import torch

    gpu = predictor.providers[0] != CPU
    if gpu and not torch.cuda.is_available():
        raise BadInput("torch sees no GPU, and the file runs on one", "`specc doctor` says what is missing")
    if threads:
        torch.set_num_threads(threads)
    place = torch.device("cuda" if gpu else "cpu")
    network = inner(predictor.path)
    module = network.module().to(place)
    ready = network.form.prepared(inputs)
    given = [torch.from_numpy(ready[side.name]).to(place) for side in predictor.inputs]
    output = next(port.name for port in network.model.outputs if not port.training)
    modules = {name: module if name == "eager" else torch.compile(module) for name in names}
    return {name: _made(predictor, output, each, given, gpu) for name, each in modules.items()}


def _made(predictor: Predictor, output: str, module: Any, given: Sequence[Any], gpu: bool) -> Made:
    import torch

    def run() -> Any:
        with torch.inference_mode():
            found = module(*given)
        if gpu:
            torch.cuda.synchronize()
        return found

    try:
        first = run()
    except Exception as error:
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            said = str(error).strip().splitlines()[0]
            raise BadInput(f"torch cannot compile here: {said}", "install a C++ compiler, or leave it out") from None
        raise
    found = first if isinstance(first, dict) else {output: first}
    wanted = {side.name for side in predictor.outputs}
    return {name: value.cpu().numpy() for name, value in found.items() if name in wanted}, run
