"""Where a session runs: the providers for a device, opened and read back, so that nothing falls back in silence."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from specc.deploy.described import NotOurs

Device = Literal["auto", "cpu", "cuda", "tensorrt"]
DEVICES: Final = ("auto", "cpu", "cuda", "tensorrt")
CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"
_REAL: Final = (1, 10, 11, 16)  # float, float16, double and bfloat16 in onnx.TensorProto
_LOOK: Final = "`specc doctor` says what is missing"


class NoDevice(Exception):
    """The device that was asked for cannot be used."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


@dataclass(frozen=True, slots=True)
class Where:
    """How a session is to run.

    `threads` of the CPU (0: as many as onnxruntime takes), `gpu` the number of the GPU. `cuda_graph` records a run on
    the GPU once and replays it: for networks without unknown sizes. `engines` is the folder in which TensorRT keeps
    what it built.
    """

    device: Device = "auto"
    threads: int = 0
    gpu: int = 0
    cuda_graph: bool = False
    engines: Path | None = None

    @property
    def on_gpu(self) -> bool:
        return self.device in ("cuda", "tensorrt")


def engines_folder() -> Path:
    """Where TensorRT's engines are kept if nobody says otherwise: beside specc's other caches."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "specc" / "tensorrt"


def chosen(where: Where, built: list[str]) -> list[tuple[str, dict[str, str]]]:
    """The providers to ask for in their order, each with its options; `built` are those compiled into onnxruntime.

    Raises:
        NoDevice: this onnxruntime has no provider for the device, or a CUDA graph is asked for without a GPU.
    """
    cpu: tuple[str, dict[str, str]] = (CPU, {})
    if where.cuda_graph and not where.on_gpu:
        raise NoDevice("a CUDA graph needs a GPU", "add --device cuda")
    if where.device == "cpu" or (where.device == "auto" and CUDA not in built):
        return [cpu]
    if where.on_gpu and CUDA not in built:
        raise NoDevice("this onnxruntime was built without CUDA", "install onnxruntime-gpu; `specc doctor` says more")
    graph = {"enable_cuda_graph": "1"} if where.cuda_graph and where.device == "cuda" else {}
    cuda = (CUDA, {"device_id": str(where.gpu), **graph})
    if where.device != "tensorrt":
        return [cuda, cpu]
    if TENSORRT not in built:
        raise NoDevice("this onnxruntime was built without TensorRT", "use --device cuda")
    folder = str(where.engines or engines_folder())
    options = {
        "device_id": str(where.gpu),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": folder,
    }
    if where.cuda_graph:
        options["trt_cuda_graph_enable"] = "1"
    return [(TENSORRT, options), cuda, cpu]


def opened(path: Path, where: Where) -> Any:
    """A session on the device; an error if the device is not used after all, or not for all that computes.

    Raises:
        NoDevice: the device cannot be used.
        NotOurs: onnxruntime refuses the file.
    """
    import onnxruntime

    wanted = chosen(where, onnxruntime.get_available_providers())
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4 if where.device == "auto" else 3
    options.intra_op_num_threads = where.threads
    if where.on_gpu:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if wanted[0][0] == TENSORRT:
        Path(wanted[0][1]["trt_engine_cache_path"]).mkdir(parents=True, exist_ok=True)
    try:
        session = quietly(str(path), options, wanted)
    except Exception as error:  # onnxruntime's own exceptions have no common class
        said = str(error).strip().splitlines()[0]
        if where.on_gpu:
            raise NoDevice(f"the GPU cannot be used: {said}", _LOOK) from None
        raise NotOurs(f"onnxruntime refuses {path.name}: {said}", "export it again") from None
    if where.on_gpu:
        _hold(session, path, wanted[0][0])
    return session


def notice(where: Where, providers: tuple[str, ...]) -> str:
    """What `auto` came to, where that may surprise: a build for GPUs that runs on the CPU."""
    if where.device != "auto" or CUDA in providers:
        return ""
    import onnxruntime

    built = CUDA in onnxruntime.get_available_providers()
    return "running on the CPU: onnxruntime found no GPU that it can use" if built else ""


def _hold(session: Any, path: Path, wanted: str) -> None:
    """Refuse a session that runs elsewhere than asked, in whole or in a part that computes numbers."""
    if wanted not in session.get_providers():
        what = "TensorRT" if wanted == TENSORRT else "the GPU"
        raise NoDevice(f"{what} cannot be used: onnxruntime fell back to {_spelled(session.get_providers())}", _LOOK)
    assigned = session.get_provider_graph_assignment_info()
    left = [node for part in assigned if part.ep_name == CPU for node in part.get_nodes()]
    if left:
        sizes = _of_sizes(path)
        heavy = [node for node in left if node.name not in sizes]
        if heavy:
            names = ", ".join(f"`{node.name}` ({node.op_type})" for node in heavy[:5])
            more = f" and {len(heavy) - 5} more" if len(heavy) > 5 else ""
            help = "--device auto runs them there all the same"
            raise NoDevice(f"the GPU cannot run all of the network; on the CPU would run {names}{more}", help)


def _of_sizes(path: Path) -> set[str]:
    """The nodes that only work out sizes: whole numbers of at most one axis. onnxruntime keeps them on the CPU."""
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    types = {each.name: each.type.tensor_type for each in (*graph.value_info, *graph.output)}
    return {
        node.name
        for node in graph.node
        if all(
            name in types and types[name].elem_type not in _REAL and len(types[name].shape.dim) <= 1
            for name in node.output
            if name
        )
    }


def _spelled(providers: list[str]) -> str:
    return ", ".join(each.removesuffix("ExecutionProvider") for each in providers)


def quietly(model: str | bytes, options: Any, wanted: Sequence[Any]) -> Any:
    """A session on these providers, without the messages that onnxruntime prints when it falls back.

    The CUDA libraries that Python packages bring (torch's among them) are loaded first where a GPU is asked for.
    """
    import onnxruntime

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if any(each not in (CPU, (CPU, {})) for each in wanted) and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.set_default_logger_severity(4)
            onnxruntime.preload_dlls()
        return onnxruntime.InferenceSession(model, options, providers=list(wanted))
