"""One booted rehearsal for all tests that need one, and the matrix at the end of the output."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rehearsal.client import Rehearsal, boot
from selftest import hostile
from selftest.matrix import Table

_TABLE = pytest.StashKey[Table]()


@pytest.fixture(scope="session")
def rehearsal() -> Iterator[Rehearsal]:
    """A healthy rehearsal; a test that changes it must put it back."""
    with boot(lambda _line: None) as booted:
        yield booted


@pytest.fixture(scope="session")
def hostile_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hostile.Runs]:
    """Runs against a rehearsal of their own that shows secrets and markup wherever it can."""
    with hostile.runs(tmp_path_factory.mktemp("hostile")) as runs:
        yield runs


@pytest.fixture
def record_matrix(request: pytest.FixtureRequest) -> Table:
    """The table of what each fault was seen to do."""
    return request.config.stash.setdefault(_TABLE, Table())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the matrix."""
    table = config.stash.get(_TABLE, None)
    if table is not None:
        terminalreporter.section("fault matrix")
        for line in table.lines():
            terminalreporter.write_line(line)
