"""What is installed, what the GPU can do, and what would silently not work."""

from __future__ import annotations

import json
import platform
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict

import specc
from specc.deploy import gpu

PACKAGES = ("lark", "pydantic_core", "networkx", "torch", "onnx", "numpy", "safetensors", "pillow", "rich")


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(args: Namespace) -> int:
    """0 where all works, 2 where something is missing or a GPU cannot be used."""
    machine = gpu.look(PACKAGES)
    missing = [name for name in PACKAGES if not machine.packages[name]]
    found = [gpu.Finding(f"{name} is missing", f"pip install {name}") for name in missing]
    found += gpu.findings(machine)
    code = 2 if any(each.serious for each in found) else 0
    if args.format == "json":
        said = asdict(machine) | {"libraries": sorted(machine.libraries)}
        json.dump({"schema": 1, "machine": said, "findings": [asdict(each) for each in found]}, sys.stdout, indent=1)
        print()
        return code
    system = f"{platform.system()} {platform.machine()}"
    print(f"specc {specc.__version__}, Python {platform.python_version()} on {system}\n")
    for name, version in machine.packages.items():
        if version or name in PACKAGES:
            print(f"  {name:<16} {version or 'missing'}")
    print()
    for line in _works(machine):
        print(f"  {line}")
    print()
    for each in found:
        print(f"- {each.says}\n  {each.help}")
    print("nothing is wrong" if not code else f"\n{sum(each.serious for each in found)} to look at")
    return code


def _works(machine: gpu.Machine) -> list[str]:
    driver = f"NVIDIA driver {machine.driver}" if machine.driver else "no NVIDIA GPU, or no driver for it"
    lines = [driver]
    if machine.packages["torch"]:
        built = f"CUDA {machine.torch_cuda}" if machine.torch_cuda else "the CPU"
        lines.append(
            f"torch is built for {built} and {'sees a GPU' if machine.torch_works else 'sees no GPU; training runs on the CPU'}"
        )
    if machine.providers:
        names = ", ".join(each.removesuffix("ExecutionProvider") for each in machine.providers)
        built = f" (built for CUDA {machine.runtime_cuda})" if machine.runtime_cuda else ""
        lines.append(f"onnxruntime runs on {names}{built}")
    return lines
