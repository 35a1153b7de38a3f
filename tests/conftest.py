"""Options of the tests: `--bless` writes the renderings beside tests/wrong anew."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="write the expected renderings anew instead of comparing")
