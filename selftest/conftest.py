"""A booted rehearsal for each file that needs one, and the matrix at the end of the output."""

from __future__ import annotations

import os
import signal
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from acceptance import target as targets
from acceptance.target import Target
from rehearsal.client import Rehearsal, boot
from rehearsal.site import Credentials, Site
from selftest import hostile
from selftest.matrix import Table

_TABLE = pytest.StashKey[Table]()
_PART = "matrix"

_LONGEST = (
    *("test_matrix", "test_gate_run", "test_hostile_server", "test_cutover", "test_matrix_cutover"),
    *("test_watch", "test_supervisor", "test_gates_go", "test_pages", "test_diff", "test_replay"),
    *("test_doctor", "test_guard", "test_benchmarks", "test_schema", "test_read_only"),
    *("test_markup_injection", "test_website"),
)
"""The files that take longest; they are begun first, so that none is left alone at the end."""

_PARTS = {"test_matrix": 2}
"""Files whose cases may be shared out, each part with a rehearsal of its own, and into how many parts."""


def pytest_configure() -> None:
    """Have processes that the tests start obey Ctrl-C, also where a shell started these in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each file's tests together where tests run side by side, and begin with the longest.

    It comes first, since pytest-xdist's own hook reads the marks.
    """
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (_rank(item), groups[item]))


def _group(item: pytest.Item) -> str:
    file = item.path.stem
    part = zlib.crc32(item.name.encode()) % _PARTS.get(file, 1) if hasattr(item, "callspec") else 0
    return f"{file}-{part}"


def _rank(item: pytest.Item) -> int:
    return _LONGEST.index(item.path.stem) if item.path.stem in _LONGEST else len(_LONGEST)


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[Rehearsal]:
    """A healthy rehearsal for one file's tests; what they leave in its logs, no other file's tests see."""
    with boot(lambda _line: None) as booted:
        yield booted


@pytest.fixture(scope="module")
def target(rehearsal: Rehearsal) -> Target:
    """The rehearsal's own description."""
    return targets.load(rehearsal.target_file)


@pytest.fixture(scope="module")
def site(rehearsal: Rehearsal, target: Target) -> Site:
    """Where the rehearsal keeps its files and which addresses are its own."""
    net = target.server.address.rpartition(".")[0]
    return Site(rehearsal.target_file.resolve().parent, net, os.geteuid() == 0, Credentials())


@pytest.fixture(scope="session")
def hostile_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hostile.Runs]:
    """Runs against a rehearsal of their own that shows secrets and markup wherever it can."""
    with hostile.runs(tmp_path_factory.mktemp("hostile")) as runs:
        yield runs


@pytest.fixture
def record_matrix(request: pytest.FixtureRequest) -> Table:
    """The table of what each fault was seen to do."""
    return request.config.stash.setdefault(_TABLE, Table())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a worker's part of the matrix to the process that prints it."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None and _TABLE in session.config.stash:
        output[_PART] = session.config.stash[_TABLE].parts()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ANN401 - pytest-xdist has no types
    """Take over a worker's part of the matrix."""
    del error
    output = getattr(node, "workeroutput", {})
    for name, red, unknown in output.get(_PART, ()):
        node.config.stash.setdefault(_TABLE, Table()).add(name, set(red), set(unknown))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the matrix."""
    table = config.stash.get(_TABLE, None)
    if table is not None:
        terminalreporter.section("fault matrix")
        for line in table.lines():
            terminalreporter.write_line(line)
