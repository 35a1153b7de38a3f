"""Ctrl-C as a wish to stop: training finishes its batch, writes a checkpoint and ends."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

DEAF = 5.0  # seconds after Ctrl-C


@contextmanager
def interruptible(several: bool = False) -> Iterator[Callable[[], bool]]:
    """What to ask whether Ctrl-C was pressed (or the process told to end); a second time raises KeyboardInterrupt.

    With `several` processes torchrun passes Ctrl-C on to each, which may hear it twice: there a second one counts only
    after some seconds. Only the main thread can hear signals; elsewhere the answer is always no.

    Example:
        with interruptible() as stop:
            train(compilation, stop=stop)
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = False
    first = 0.0

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked, first
        if asked and not (several and time.monotonic() - first < DEAF):
            raise KeyboardInterrupt
        asked, first = True, first or time.monotonic()

    before = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
