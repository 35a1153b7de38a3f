"""What a GPU needs, and which of it is here: the findings of `specc doctor`."""

from __future__ import annotations

import ctypes
import importlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

RUNTIMES: Final = ("onnxruntime-gpu", "onnxruntime")
_LEAST_DRIVER: Final = {11: 450, 12: 525, 13: 580}  # by CUDA's major version, on Linux (NVIDIA's compatibility table)
_FFT: Final = {12: 11, 13: 12}  # cuFFT's version by CUDA's
_TENSORRT: Final = "libnvinfer.so.10"


@dataclass(frozen=True, slots=True)
class Machine:
    """What is installed: versions by the names of distributions, the driver ("" if there is none), the CUDA versions
    that torch and onnxruntime were built for ("" for a CPU build), the shared libraries that can be loaded, and what
    works in the end."""

    packages: dict[str, str]
    driver: str = ""
    torch_cuda: str = ""
    runtime_cuda: str = ""
    libraries: frozenset[str] = frozenset()
    torch_works: bool = False
    providers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something missing or wrong, and what to type; `serious` where what is there cannot be used as it should."""

    says: str
    help: str
    serious: bool = True


def findings(machine: Machine) -> Iterator[Finding]:
    """All that is wrong, the first thing to do first. Without a GPU nothing that only a GPU needs is missed."""
    yield from _runtimes(machine)
    if not machine.driver:
        return
    major = int(machine.driver.split(".")[0])
    for who, built in (("torch", machine.torch_cuda), ("onnxruntime", machine.runtime_cuda)):
        needed = _LEAST_DRIVER.get(_major(built), 0)
        if needed > major:
            help = f"update the driver to {needed} or newer, or install {who} for CUDA {_newest(major)}"
            yield Finding(f"the driver {machine.driver} is older than {who} needs: built for CUDA {built}", help)
    yield from _torch(machine)
    yield from _onnxruntime(machine)


def needed(runtime_cuda: str) -> tuple[str, ...]:
    """The libraries that onnxruntime's CUDA provider loads."""
    major = _major(runtime_cuda)
    if not major:
        return ()
    names = (f"libcudart.so.{major}", f"libcublas.so.{major}", f"libcublasLt.so.{major}")
    return (*names, f"libcufft.so.{_FFT.get(major, major)}", "libcudnn.so.9")


def look(packages: tuple[str, ...]) -> Machine:
    """This machine; loads libraries, and torch and onnxruntime if they are there."""
    found = {name: _installed(name) for name in (*packages, *RUNTIMES)}
    driver = _driver()
    torch_cuda, torch_works = _torch_here() if found.get("torch") else ("", False)
    runtime_cuda, providers = _runtime_here() if any(found[name] for name in RUNTIMES) else ("", ())
    wanted = (*needed(runtime_cuda), _TENSORRT) if driver else ()
    loaded = frozenset(name for name in wanted if _loads(name))
    return Machine(found, driver, torch_cuda, runtime_cuda, loaded, torch_works, providers)


# ------------------------------------------------------------------------------------------------------ what is wrong
def _runtimes(machine: Machine) -> Iterator[Finding]:
    here = [name for name in RUNTIMES if machine.packages.get(name)]
    if not here:
        yield Finding("onnxruntime is missing", "pip install onnxruntime-gpu (or onnxruntime on macOS)")
    if len(here) > 1:
        yield Finding(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other",
            "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install onnxruntime-gpu",
        )


def _torch(machine: Machine) -> Iterator[Finding]:
    if not machine.packages.get("torch"):
        return
    if not machine.torch_cuda:
        said = f"torch {machine.packages['torch']} is built for the CPU, and there is a GPU: training runs on the CPU"
        yield Finding(said, "pip uninstall -y torch, then pip install torch from its index for CUDA")
    elif not machine.torch_works:
        yield Finding("torch is built for CUDA and sees no GPU", "nvidia-smi shows whether the driver works")


def _onnxruntime(machine: Machine) -> Iterator[Finding]:
    here = [name for name in RUNTIMES if machine.packages.get(name)]
    if here == ["onnxruntime"]:
        help = "pip uninstall -y onnxruntime, then pip install onnxruntime-gpu"
        yield Finding("this onnxruntime is built for the CPU, and there is a GPU", help)
        return
    if not here or "CUDAExecutionProvider" in machine.providers:
        if here and _TENSORRT not in machine.libraries:
            yield Finding(f"--device tensorrt needs {_TENSORRT}", "pip install tensorrt (only if you want it)", False)
        return
    missing = [name for name in needed(machine.runtime_cuda) if name not in machine.libraries]
    if missing:
        parts = "cuda,cudnn" if any("cudnn" not in name for name in missing) else "cudnn"
        help = f"pip install 'onnxruntime-gpu[{parts}]'; a torch for CUDA {_major(machine.runtime_cuda)} brings all of them"
        yield Finding(f"onnxruntime would run on the CPU: it cannot load {', '.join(missing)}", help)
    else:
        help = "specc predict MODEL.onnx INPUT --device cuda shows what onnxruntime says"
        yield Finding("onnxruntime would run on the CPU although its libraries are there", help)


def _major(cuda: str) -> int:
    head = cuda.split(".")[0]
    return int(head) if head.isdigit() else 0


def _newest(driver: int) -> int:
    return max((cuda for cuda, least in _LEAST_DRIVER.items() if least <= driver), default=min(_LEAST_DRIVER))


# -------------------------------------------------------------------------------------------------- what is installed
def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _driver() -> str:
    """The version of NVIDIA's driver, from the kernel or from nvidia-smi; "" where there is none."""
    try:
        said = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        said = ""
    found = re.search(r"Kernel Module\D*([\d.]+)", said)
    if found:
        return found[1]
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return ""
    return lines[0] if lines and lines[0][0].isdigit() else ""


def _torch_here() -> tuple[str, bool]:
    torch = importlib.import_module("torch")
    return torch.version.cuda or "", bool(torch.cuda.is_available())


def _runtime_here() -> tuple[str, tuple[str, ...]]:
    """The CUDA version of onnxruntime, and the providers that a real session ends up with.

    Those compiled into a wheel say nothing of what works.
    """
    import onnxruntime
    from onnx import TensorProto, helper

    from specc.deploy.providers import CPU, CUDA, quietly

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "doctor", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not hasattr(onnxruntime, "InferenceSession"):  # what is left where two distributions overwrote each other
        return "", ()
    built = [each for each in (CUDA, CPU) if each in onnxruntime.get_available_providers()]
    session = quietly(model.SerializeToString(), options, built)
    cuda = getattr(onnxruntime, "cuda_version", "") if CUDA in built else ""
    return cuda or "", tuple(session.get_providers())


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
