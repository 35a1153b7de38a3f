"""Runs of several processes in tests: this file is what each of them executes, with a list of runs to train.

What stands in the list is given to `train`; each run tells in a file of its own how it ended.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def started(commands: list[str], folder: Path, world: int) -> list[subprocess.Popen[str]]:
    """A Python command in several processes, as torchrun starts them, on a free port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world), "OMP_NUM_THREADS": "1"}
    common["PYTHONPATH"] = str(ROOT)
    return [
        subprocess.Popen(
            [sys.executable, *commands], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(world)
    ]  # fmt: skip


def begun(folder: Path, *words: str) -> list[subprocess.Popen[str]]:
    """A command of specc in two processes."""
    return started(["-m", "specc", *words], folder, 2)


def trained(folder: Path, runs: list[dict[str, Any]], world: int) -> list[str]:
    """Train them, one after the other; what each process said. All must end well."""
    (folder / "runs.json").write_text(json.dumps(runs))
    processes = started([__file__, str(folder)], folder, world)
    said = [each.communicate(timeout=300) for each in processes]
    assert [each.returncode for each in processes] == [0] * world, said
    return [err for _, err in said]


def main(folder: Path) -> None:
    from specc.compiler import compile_text
    from specc.train.events import Noted
    from specc.train.team import team
    from specc.train.training import train

    for each in json.loads((folder / "runs.json").read_text()):
        shard = each.pop("shard", False)
        notes: list[str] = []
        left = each.pop("after", None)
        asked = itertools.count()
        text = each.pop("spec", None)
        compilation = None if text is None else compile_text(text, "a.net")
        assert compilation is None or compilation.ok, [one.message for one in compilation.bag]
        run = train(
            compilation, device="cpu", project=folder, team=team("cpu", shard), **each,
            stop=lambda left=left, asked=asked: left is not None and next(asked) >= left,
            report=lambda event, notes=notes: notes.append(event.sentence) if isinstance(event, Noted) else None,
        )  # fmt: skip
        if int(os.environ["RANK"]) == 0:
            (run.folder / "notes.json").write_text(json.dumps(notes))
        else:
            assert not notes


if __name__ == "__main__":
    main(Path(sys.argv[1]))
