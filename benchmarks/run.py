"""`python benchmarks/run.py [check|export|runtime|scale …]`: speed as ratios against peers, both measured in one run.

Whole processes, taken in turns so that a busy machine is busy for both; the ratio is of medians, the spread is beside it.
"""

from __future__ import annotations

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
PEER = [sys.executable, str(HERE / "peer_resnet.py")]
SPECC = [sys.executable, "-m", "specc"]
RESNET = [str(ROOT / "specs" / "resnet.net"), "--network", "ResNet50"]


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds and peak memory in MiB of a process."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{said.decode()}")
    return time.perf_counter() - start, used.ru_maxrss / 1024


def ratio(name: str, ours: list[str], theirs: list[str], rounds: int, aim: float) -> None:
    """Run both in turns and print how many times as long the peer takes."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    peaks: dict[str, float] = {}
    timed(ours), timed(theirs)  # once each for caches
    for _ in range(rounds):
        for who, command in (("ours", ours), ("theirs", theirs)):
            seconds, peak = timed(command)
            times[who].append(seconds)
            peaks[who] = max(peaks.get(who, 0), peak)
    us, them = (statistics.median(times[who]) for who in ("ours", "theirs"))
    pairs = sorted(b / a for a, b in zip(times["ours"], times["theirs"], strict=True))
    print(f"{name}: {them / us:.1f} times as fast (aim {aim:g}; pairs {pairs[0]:.1f} to {pairs[-1]:.1f})")
    print(
        f"    specc {us:.3f} s, {peaks['ours']:.0f} MiB; peer {them:.3f} s, {peaks['theirs']:.0f} MiB; {rounds} rounds"
    )


def check(rounds: int) -> None:
    """`specc check` of ResNet-50 against building it in PyTorch and torchinfo."""
    ratio("check ResNet-50 against torchinfo", [*SPECC, "check", *RESNET], [*PEER, "summarise"], rounds, 15)
    small, large = (_file_time(name, rounds) for name in ("ResNet18", "ResNet152"))
    print(f"check ResNet-152 against ResNet-18: {large / small:.2f} times as long (at most 1.5)")


def _file_time(network: str, rounds: int) -> float:
    command = [*SPECC, "check", RESNET[0], "--network", network]
    return statistics.median(timed(command)[0] for _ in range(rounds))


def export(rounds: int) -> None:
    """`specc export` of ResNet-50 without proof, from safetensors, against torch.onnx.export(dynamo=True)."""
    with tempfile.TemporaryDirectory() as folder:
        weights, path = f"{folder}/weights.safetensors", f"{folder}/model.onnx"
        subprocess.run([*PEER, "save", weights], check=True)
        ours = [*SPECC, "export", *RESNET, "--weights", weights, "--no-proof", "-o", path]
        ratio(
            "export ResNet-50 against torch.onnx.export(dynamo=True)",
            ours,
            [*PEER, "export", weights, path],
            rounds,
            25,
        )
        idle = timed([*SPECC, "check", *RESNET])[1]
        peak = timed(ours)[1]
        size = os.path.getsize(weights) / 2**20
        print(
            f"    memory over `check`: {peak - idle:.0f} MiB for {size:.0f} MiB of weights (at most {0.15 * size + 20:.0f})"
        )


def runtime(rounds: int) -> None:
    """onnxruntime on the two files of ResNet-50, ours and torch's optimised export of the same weights, in turns."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    with tempfile.TemporaryDirectory() as folder:
        weights, paths = f"{folder}/weights.safetensors", (f"{folder}/ours.onnx", f"{folder}/theirs.onnx")
        subprocess.run([*PEER, "save", weights], check=True)
        timed([*SPECC, "export", *RESNET, "--weights", weights, "--no-proof", "-o", paths[0]])
        timed([*PEER, "export", weights, paths[1]])
        opened = [  # which is opened first makes a difference of one or two hundredths, so each is once
            (who, onnxruntime.InferenceSession(paths[who], options, providers=["CPUExecutionProvider"]))
            for who in (0, 1, 1, 0)
        ]
    draw = random.Random(0)  # any fixed order favours one of them
    for batch in (1, 8):
        x = np.random.default_rng(0).standard_normal((batch, 3, 224, 224), dtype=np.float32)
        seconds: tuple[list[float], list[float]] = ([], [])
        answers: dict[int, Any] = {}
        for _ in range(3 * rounds):
            for who, session in draw.sample(opened, len(opened)):
                start = time.perf_counter()
                answers[who] = session.run(None, {session.get_inputs()[0].name: x})[0]
                seconds[who].append(time.perf_counter() - start)
        us, them = (statistics.median(each) * 1000 for each in seconds)
        apart = float(np.abs(answers[0] - answers[1]).max())
        print(f"onnxruntime on ResNet-50, batch {batch}: {us / them:.3f} of the time of torch's file (at most 1.02)")
        print(f"    specc {us:.1f} ms, torch {them:.1f} ms; {len(seconds[0])} runs each; answers within {apart:.1e}")


def scale(rounds: int) -> None:
    """The cost of checking 100, 1,000 and 10,000 layers, in one process each, by turns; start-up is measured apart."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {layers: Path(folder) / f"layers{layers}.net" for layers in (1, 100, 1_000, 10_000)}
        for layers, path in paths.items():
            path.write_text(f"network N {{ input x: [8, 16, 16]; repeat {layers} {{ conv(8, 3, padding=1) }} }}\n")
        costs: dict[int, list[float]] = {layers: [] for layers in paths}
        for _ in range(rounds):
            seconds = {
                layers: timed([*SPECC, "check", "--format", "json", str(path)])[0] for layers, path in paths.items()
            }
            for layers, found in seconds.items():
                costs[layers].append(found - seconds[1])
        for layers in (100, 1_000, 10_000):
            cost = statistics.median(costs[layers])
            print(f"check {layers:>6} layers: {cost * 1e6 / layers:7.0f} us a layer ({cost:.3f} s over start-up)")
        ratios = [more / less for more, less in zip(costs[10_000], costs[1_000], strict=True)]
        low, high = min(ratios), max(ratios)
        print(
            f"10,000 layers cost {statistics.median(ratios):.1f} times what 1,000 cost (about 10; {low:.1f} to {high:.1f})"
        )


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # both sides keep their bytecode, as installed packages do
    wanted = [each for each in sys.argv[1:] if not each.isdigit()] or ["check", "export", "runtime", "scale"]
    numbers = [int(each) for each in sys.argv[1:] if each.isdigit()] or [7]
    for each in wanted:
        {"check": check, "export": export, "runtime": runtime, "scale": scale}[each](numbers[0])
