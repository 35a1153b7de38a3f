"""How much memory this process needs at its peak, as the operating system counts it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")


class Peak:
    """Counts from when it is made: `growth` is how far memory rose above what was in use then."""

    def __init__(self) -> None:
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5")  # the peak so far is forgotten (proc(5))
        self._before = _figure("VmRSS")
        self._before_gpu = _on_gpu()

    def growth(self, gpu: bool = False) -> int | None:
        """Bytes of main memory, or of the GPU's; None where the system does not tell."""
        before, now = (self._before_gpu, _on_gpu()) if gpu else (self._before, _figure("VmHWM"))
        return None if before is None or now is None else max(0, now - before)


def _figure(name: str) -> int | None:
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)


def _on_gpu() -> int | None:
    """Bytes that this process holds on GPUs, as nvidia-smi says."""
    command = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    own = [line.split(",")[1] for line in said.splitlines() if line.split(",")[0].strip() == str(os.getpid())]
    return sum(int(each) * 2**20 for each in own if each.strip().isdigit())
