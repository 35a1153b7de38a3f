"""What is installed, what the GPU can do, and what would silently not work."""

from __future__ import annotations

import platform
from argparse import ArgumentParser, Namespace
from importlib.metadata import PackageNotFoundError, version

import specc

PACKAGES = ("lark", "pydantic_core", "networkx", "torch", "onnx", "numpy", "safetensors", "pillow", "rich")
RUNTIMES = ("onnxruntime-gpu", "onnxruntime")


def arguments(parser: ArgumentParser) -> None:
    del parser


def run(args: Namespace) -> int:
    del args
    print(
        f"specc {specc.__version__}, Python {platform.python_version()} on {platform.system()} {platform.machine()}\n"
    )
    missing = [name for name in PACKAGES if not _line(name)]
    runtimes = [name for name in RUNTIMES if _installed(name)]
    for name in runtimes:
        _line(name)
    problems = [f"{name} is missing: pip install {name}" for name in missing]
    problems += _runtime_problems(runtimes)
    print()
    if runtimes and "torch" not in missing:
        problems += _devices()
    for each in problems:
        print(f"- {each}")
    print("nothing is wrong" if not problems else f"\n{len(problems)} to look at")
    return 0 if not missing and runtimes else 2


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _line(name: str) -> bool:
    found = _installed(name)
    print(f"  {name:<16} {found or 'missing'}")
    return bool(found)


def _runtime_problems(runtimes: list[str]) -> list[str]:
    if not runtimes:
        return ["onnxruntime is missing: pip install onnxruntime-gpu (or onnxruntime on macOS)"]
    if len(runtimes) == 2:
        return [
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: uninstall both, then install one again"
        ]
    return []


def _devices() -> list[str]:
    """What torch and onnxruntime can use here; the providers compiled into a wheel say nothing, a session does."""
    import torch

    problems = []
    if torch.cuda.is_available():
        for at in range(torch.cuda.device_count()):
            print(f"  GPU {at}: {torch.cuda.get_device_name(at)} (torch, CUDA {torch.version.cuda})")
    else:
        print("  torch sees no GPU; training runs on the CPU")
    usable = _providers()
    print(f"  onnxruntime runs on {', '.join(usable)}")
    if torch.cuda.is_available() and "CUDAExecutionProvider" not in usable:
        problems.append(
            "onnxruntime would run on the CPU although there is a GPU: this wheel needs CUDA 13 and cuDNN 9 "
            "(pip install 'onnxruntime-gpu[cuda,cudnn]', a driver for CUDA 13)"
        )
    return problems


def _providers() -> list[str]:
    """The providers a real session ends up with."""
    import onnxruntime
    from onnx import TensorProto, helper

    onnxruntime.set_default_logger_severity(4)
    if hasattr(onnxruntime, "preload_dlls"):
        import contextlib
        import io

        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            onnxruntime.preload_dlls()
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "doctor", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=wanted)
    return list(session.get_providers())
