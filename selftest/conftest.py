"""A booted rehearsal for each file that needs one, and the matrix at the end of the output."""

from __future__ import annotations

import os
import signal
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


def pytest_configure() -> None:
    """Have processes that the tests start obey Ctrl-C, also where a shell started these in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
