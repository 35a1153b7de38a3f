"""Runs that end without a word at one of their writes, and are gone on with: what `test_kill.py` executes.

Each run is a fork of this process, which has loaded everything and trained nothing, so that no thread is copied.
Arguments: the folder, and the numbers of the calls that change the disk; it prints what became of each as JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch._dynamo
import torch.utils.tensorboard

from specc.compiler import compile_text
from specc.train import training
from specc.train.report import page

DIED = 9
LOADED = (torch._dynamo, torch.utils.tensorboard, page)  # what every run loads on its way
CALLS = ("replace", "rename", "fsync", "mkdir")


def in_a_fork(work: Callable[[], object]) -> int:
    """How it ended: 0, or DIED, or 1 with what it raised on stderr."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def dying_at(number: int) -> None:
    """From now on the process ends at that call that changes the disk; at one that writes, with half of it written."""
    calls = itertools.count(1)
    write = Path.write_bytes

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*x: Any, **words: Any) -> Any:
            if next(calls) == number:
                if call is write:
                    write(x[0], x[1][: len(x[1]) // 2])
                os._exit(DIED)
            return call(*x, **words)

        return called

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name)))
    Path.write_bytes = deadly(write)  # type: ignore[method-assign]


def begun(folder: Path, text: str, number: int) -> None:
    compilation = compile_text(text, "a.net")
    dying_at(number)
    training.train(compilation, out_root=folder, project=folder, device="cpu", pause=0)


def main(root: Path, numbers: list[int]) -> None:
    text = (root / "a.net").read_text()
    found: dict[int, list[int]] = {}
    for number in numbers:
        folder = root / str(number)
        folder.mkdir()
        found[number] = [in_a_fork(lambda folder=folder, number=number: begun(folder, text, number))]
        run = folder / "Net" / "1"
        if found[number][0] == DIED and (run / "config.json").is_file():
            found[number].append(in_a_fork(lambda run=run: training.train(None, resume=run, device="cpu", pause=0)))
        elif found[number][0] != DIED:
            break
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
