"""`python benchmarks/train.py [lenet|resnet|start|lightning|keras …] [rounds]`: `specc train` against loops written by hand.

Each loop is a process of its own, in turns, on the same arrays with as many threads; a ratio is the median of those of
pairs that ran one after the other, so that a busy machine is busy for both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
SHAPES = {"lenet": (1, 32, 32), "resnet": (3, 64, 64)}
SETTINGS = """
train {
    data       arrays("data.npz", target="y")
    split      train=0.8, validation=0.2, test=0
    loss       cross_entropy
    optimizer  adam(lr=0.001)
    metrics    accuracy
}
"""


NAMES = {"step": "a step", "work": "the processor's time of a step", "start": "start to the end of the first step"}


def prepare(folder: str, model: str, samples: int) -> None:
    """Random pictures that both sides read, and the spec: that of `specs/`, with these settings."""
    import numpy as np

    chance = np.random.default_rng(0)
    x = chance.standard_normal((samples, *SHAPES[model]), dtype=np.float32)
    np.savez(f"{folder}/data.npz", image=x, y=chance.integers(0, 10, samples))
    text = (HERE / "training" / f"{model}.net").read_text(encoding="utf-8")
    Path(folder, f"{model}.net").write_text(text + SETTINGS, encoding="utf-8")


def once(kind: str, model: str, folder: str, epochs: int, batch: int) -> dict[str, float]:
    """Train in a process of its own."""
    command = [sys.executable, str(HERE / "peer_training.py"), kind, model, folder, str(epochs), str(batch)]
    ran = subprocess.run([*command, str(time.monotonic())], capture_output=True, text=True, cwd=HERE.parent)
    if ran.returncode:
        sys.exit(f"{kind} failed:\n{ran.stderr}")
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def ratio(what: str, peer: str, model: str, size: tuple[int, int, int], rounds: int, aims: dict[str, float]) -> None:
    """Ours over theirs, for each figure that is aimed at; at most that."""
    samples, batch, epochs = size
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder, model, samples)
        for kind in ("specc", peer):
            once(kind, model, folder, 1, batch)  # for caches
        pairs = []
        for at in range(rounds):
            order = ("specc", peer) if at % 2 else (peer, "specc")
            found = {kind: once(kind, model, folder, epochs, batch) for kind in order}
            pairs.append((found["specc"], found[peer]))
    for figure, aim in aims.items():
        ratios = sorted(ours[figure] / theirs[figure] for ours, theirs in pairs)
        us, them = (statistics.median(each[at][figure] for each in pairs) for at in (0, 1))
        print(
            f"{what}, {NAMES[figure]}: {statistics.median(ratios):.3f} "
            f"of the time (at most {aim:g}; pairs {ratios[0]:.3f} to {ratios[-1]:.3f})"
        )
        print(f"    specc {us * 1000:.2f} ms, {peer} {them * 1000:.2f} ms; {rounds} rounds")


SMALL = (4_000, 32, 6)  # samples, batch, epochs: 600 steps
PARTS = {
    "lenet": lambda rounds: ratio(
        "LeNet-5 against a plain loop", "plain", "lenet", SMALL, rounds, {"step": 1.0, "work": 1.0}
    ),
    "resnet": lambda rounds: ratio(
        "ResNet-18 against a plain loop", "plain", "resnet", (160, 16, 3), rounds, {"step": 1.02, "work": 1.02}
    ),
    "start": lambda rounds: ratio(
        "LeNet-5 against a plain loop", "plain", "lenet", (400, 32, 1), rounds, {"start": 1.15}
    ),
    "lightning": lambda rounds: ratio(
        "LeNet-5 against Lightning", "lightning", "lenet", SMALL, rounds, {"step": 1.0, "start": 1.0}
    ),
    "keras": lambda rounds: ratio(
        "LeNet-5 against Keras on torch", "keras", "lenet", SMALL, rounds, {"step": 1.0, "start": 1.0}
    ),
}

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # both sides keep their bytecode, as installed packages do
    numbers = [int(each) for each in sys.argv[1:] if each.isdigit()] or [7]
    for each in [each for each in sys.argv[1:] if not each.isdigit()] or list(PARTS):
        PARTS[each](numbers[0])
