"""A booted rehearsal for each file that needs one, and the matrix at the end of the output."""

from __future__ import annotations

import os
import signal
import zlib
from collections.abc import Iterator
from pathlib import Path
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, and keep the tests of a part of a file together."""
    items.sort(key=lambda item: (_rank(item), part_of(item.nodeid)))


def _rank(item: pytest.Item) -> int:
    return _LONGEST.index(item.path.stem) if item.path.stem in _LONGEST else len(_LONGEST)


def part_of(nodeid: str) -> str:
    """Return the name of what one process runs as a whole: a file, or a part of one."""
    file, _, case = nodeid.partition("::")
    parts = _PARTS.get(Path(file).stem, 1) if "[" in case else 1
    return f"{file}::{zlib.crc32(case.encode()) % parts}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:  # noqa: ANN401 - pytest-xdist has no types
    """Share the tests out by `part_of`, where `--dist=loadfile` asks for whole files."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]  # noqa: PLC0415

    scheduler = LoadFileScheduling(config, log)
    scheduler._split_scope = part_of
    return scheduler


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
