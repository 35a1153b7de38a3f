"""Options of the tests: `--bless` writes the renderings beside tests/wrong anew. No report that a test leaves is broken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="write the expected renderings anew instead of comparing")


@pytest.fixture(autouse=True)
def every_section_of_a_report_is_drawn(request: pytest.FixtureRequest) -> Iterator[None]:
    """A report that cannot draw a section says so and costs no run; here it fails the test."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    for page in folder.rglob("report.html") if folder is not None else ():
        assert "This section could not be drawn" not in page.read_text(encoding="utf-8"), page
