"""Trainings of a sweep in processes of their own, so many at a time; what each says goes into a log of its own."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from specc.data.files import made_folder
from specc.tools.work import Work
from specc.train.sweep import FAILED, FINISHED, SweepBook

LOOK = 0.1  # seconds between looks at whether a person says stop


class SideBySide:
    """`run` works through what is not finished. Ctrl-C lets every process end at its next batch, a second one at once."""

    def __init__(self, book: SweepBook, jobs: int, work: Work, stop: Callable[[], bool]) -> None:
        self.book, self.jobs, self.work, self.stop = book, jobs, work, stop
        self.lock = threading.Lock()
        self.waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.running: dict[int, subprocess.Popen[str]] = {}
        self.logs = made_folder(book.folder / f"{book.name}-logs")
        self.began = time.monotonic()

    def run(self) -> None:
        places = self.book.open
        for at in places:
            self.waiting.put(at)
        print(f"{len(places)} trainings, {self.jobs} at a time; what they say is in {self.logs}", file=sys.stderr)
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(min(self.jobs, len(places)))]
        for each in workers:
            each.start()
        told: set[int] = set()
        try:
            while any(each.is_alive() for each in workers):
                time.sleep(LOOK)
                if self.stop():
                    with self.lock:
                        fresh = {at: process for at, process in self.running.items() if at not in told}
                    for at, process in fresh.items():
                        told.add(at)
                        process.terminate()
        except KeyboardInterrupt:  # a second Ctrl-C
            with self.lock:
                for process in self.running.values():
                    process.kill()
            raise

    def _work(self) -> None:
        while not self.stop():
            try:
                at = self.waiting.get_nowait()
            except queue.Empty:
                return
            self._train(at)

    def _train(self, at: int) -> None:
        """One process from its start to its end."""
        log = self.logs / f"{at + 1}.txt"
        surroundings = dict(os.environ)
        surroundings.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self.jobs)))
        command = [sys.executable, "-m", "specc.tools.attempt", str(self.book.path), str(at), *self.work.words]
        with open(log, "a", encoding="utf-8") as file:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=file, stdin=subprocess.DEVNULL, text=True, env=surroundings,
                start_new_session=True,  # Ctrl-C in the terminal is for this process, which tells the others once
            )  # fmt: skip
        with self.lock:
            self.running[at] = process
        assert process.stdout is not None
        for line in process.stdout:
            with self.lock:
                self.book.mark(at, **json.loads(line))
        code = process.wait()
        with self.lock:
            del self.running[at]
            if code and self.book.trainings[at].status not in (FINISHED, FAILED) and not self.stop():
                self.book.mark(at, status=FAILED, message=f"its process ended with code {code}; see {log}")
            each = self.book.trainings[at]
            says = f"failed: {each.message}" if each.message else each.status.replace("running", "interrupted")
            print(
                f"{time.monotonic() - self.began:6.0f} s  {each.name}: {says}, run {each.run or '-'}", file=sys.stderr
            )
