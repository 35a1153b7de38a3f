"""Ctrl-C as a wish to stop: training finishes its batch, writes a checkpoint and ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """What to ask whether Ctrl-C was pressed (or the process told to end); a second time raises KeyboardInterrupt.

    Only the main thread can hear signals; elsewhere the answer is always no.

    Example:
        with interruptible() as stop:
            train(compilation, stop=stop)
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
