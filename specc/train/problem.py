"""Why training cannot go on: the fact, and what to do."""

from __future__ import annotations


class TrainProblem(Exception):
    """Training was refused or had to stop: `code` is its slug, `message` the fact, `help` what to do about it."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help
