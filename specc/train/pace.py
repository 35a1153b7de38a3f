"""How long epochs take."""

from __future__ import annotations

import time

from specc.train.events import EpochDone, Event, Started


class Pace:
    """Listens to training; `seconds` are those of each epoch, of a resumed one those since then."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last: float | None = None

    def saw(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, Started | EpochDone):
            now = time.monotonic()
            if isinstance(event, EpochDone) and self._last is not None:
                self.seconds.append(now - self._last)
            self._last = now
