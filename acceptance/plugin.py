"""The pytest plugin: options, markers from the checklist, facts as fixtures, outcomes, exit codes.

It is inert for the suite's own tests (selftest/, benchmarks/) and for --collect-only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from _pytest.capture import CaptureManager
from testinfra.host import Host

from acceptance import checklist, contract, duration, judge
from acceptance.check import Evidence, recording
from acceptance.errors import NotApplicableError, UsageError
from acceptance.evidence.record import CheckRecord
from acceptance.evidence.stored import Baseline
from acceptance.facts.base import Fact
from acceptance.facts.catalogue import NOUNS, actions_of
from acceptance.gate_run import GateRun
from acceptance.meter import Meter
from acceptance.observer import Wanted
from acceptance.options import REHEARSAL, Options
from acceptance.outcome import Outcome, graded
from acceptance.outlets import Outlets
from acceptance.position import Position
from acceptance.report import pytest_html, summary
from acceptance.target import Target
from acceptance.verdict import EXIT_CODES

RUN = pytest.StashKey[GateRun]()
OUTLETS = pytest.StashKey[Outlets]()
EVIDENCE: pytest.StashKey[list[Evidence]] = pytest.StashKey()
OUTCOME = "acceptance_outcome"
OWN_TESTS = ("selftest", "benchmarks")

_SHOWN = {
    Outcome.PASS: ("passed", "✓", "PASS"),
    Outcome.FAIL: ("failed", "✗", "FAIL"),
    Outcome.WARN: ("warned", "!", "WARN"),
    Outcome.UNKNOWN: ("unknown", "?", "UNKNOWN"),
    Outcome.WAIVED: ("waived", "w", "WAIVED"),
    Outcome.NOT_APPLICABLE: ("skipped", "–", "NOT APPLICABLE"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the suite's options."""
    group = parser.getgroup("acceptance", "acceptance gates")
    group.addoption(
        "--target",
        default=REHEARSAL,
        metavar="NAME|FILE",
        help="what is judged (default: a rehearsal, booted for it)",
    )
    group.addoption(
        "--approve",
        action="append",
        default=[],
        metavar="ACTION",
        help="approve one action for this run (repeatable)",
    )
    group.addoption(
        "--reports",
        type=Path,
        default=Options.reports,
        metavar="DIR",
        help="where the run's directory is made",
    )
    group.addoption(
        "--approved-by",
        default=Options.approved_by,
        metavar="NAME",
        help="who approved; --approve needs it for a target that is no rehearsal",
    )
    group.addoption(
        "--ticket", default=Options.ticket, metavar="TEXT", help="what the approval is recorded under"
    )
    group.addoption("--no-approvals", action="store_true", help="approve nothing, not even on the rehearsal")
    group.addoption(
        "--waivers",
        type=Path,
        default=Options.waivers,
        metavar="FILE",
        help="the waivers (default: waivers.toml)",
    )
    group.addoption("--replay", type=Path, metavar="BUNDLE", help="judge a bundle's facts again, offline")
    group.addoption("--baseline", type=Path, metavar="BUNDLE", help="an earlier run, for checks that compare")
    group.addoption(
        "--fingerprint-key",
        default=Options.fingerprint_key,
        metavar="REFERENCE",
        help="makes secrets comparable between runs (env:NAME, file:PATH or cmd:COMMAND)",
    )
    group.addoption(
        "--stage",
        type=int,
        choices=range(checklist.LAST_STAGE + 1),
        help="the stage of the cutover (default: the target's)",
    )
    group.addoption(
        "--watch",
        metavar="TIME",
        help="watch health and logs for so long: 90s, 10m, 1h (default: the target's)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Declare the gates' markers, and begin a run if a gate was asked for."""
    try:
        gates = checklist.load()
        contract.check()
        for gate, title in gates.titles.items():
            config.addinivalue_line("markers", f"{gate}: {title}")
        if _inert(config):
            return
        gate = _gate(config, gates)
        config.stash[RUN] = GateRun(gates, gate, _options(config, gate))
        config.stash[RUN].narrowed = ", ".join(_narrowed(config))
        config.stash[RUN].collected_all = "paths" not in _narrowed(config)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error
    run = config.stash[RUN]
    pytest_html.configure(config, run.bundle.path / "report.html")
    rows = pytest_html.HtmlRows(
        run.check_named,
        {item.id: (item.claim, item.severity) for item in run.items},
        {"Gate": run.gate, "Target": run.name},
    )
    config.pluginmanager.register(rows, "acceptance-html-rows")
    config.stash[OUTLETS] = Outlets(run.redactor)
    config.pluginmanager.register(config.stash[OUTLETS], "acceptance-outlets")


def _options(config: pytest.Config, gate: str) -> Options:
    return Options(
        gate=gate,
        target=config.getoption("--target"),
        approve=tuple(config.getoption("--approve")),
        approved_by=config.getoption("--approved-by"),
        ticket=config.getoption("--ticket"),
        no_approvals=config.getoption("--no-approvals"),
        reports=config.getoption("--reports"),
        waivers=config.getoption("--waivers"),
        replay=config.getoption("--replay"),
        baseline=config.getoption("--baseline"),
        fingerprint_key=config.getoption("--fingerprint-key"),
        stage=config.getoption("--stage"),
        watch_s=_watch_s(config.getoption("--watch")),
    )


def _watch_s(given: str | None) -> float | None:
    try:
        return duration.seconds(given) if given is not None else None
    except ValueError as error:
        raise UsageError(f"--watch {given!r}: {error}.") from error


def _inert(config: pytest.Config) -> bool:
    options = config.option
    if options.collectonly or options.help or options.version or options.markers or options.showfixtures:
        return True
    roots = [Path(argument.split("::")[0]) for argument in config.args]
    own = [
        any((config.rootpath / name) in [path, *path.parents] for name in OWN_TESTS)
        for path in map(Path.resolve, roots)
    ]
    if any(own) and not all(own):
        raise UsageError("the suite's own tests and a gate cannot run together; name one of them.")
    return any(own)


def _gate(config: pytest.Config, gates: checklist.Checklist) -> str:
    expression: str = config.option.markexpr
    if expression not in gates.titles:
        given = f"-m {expression!r} is not a gate" if expression else "no gate is named"
        raise UsageError(f"{given}; use -m with one of: {', '.join(gates.gates)}.")
    return expression


def _narrowed(config: pytest.Config) -> tuple[str, ...]:
    options = config.option
    testpaths = [str(path) for path in config.getini("testpaths")]
    ways = {
        "-k": options.keyword,
        "--lf": getattr(options, "lf", False),
        "--sw": getattr(options, "stepwise", False),
        "--deselect": options.deselect,
        "--ignore": options.ignore or options.ignore_glob,
        "-x or --maxfail": options.maxfail,
        "paths": [argument for argument in config.args if argument.rstrip("/") not in testpaths],
    }
    return tuple(way for way, value in ways.items() if value)


def _item_id(item: pytest.Item) -> str:
    marker = item.get_closest_marker("item")
    return str(marker.args[0]) if marker and marker.args else ""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each check the markers of its item's gates, before pytest selects by marker."""
    gates = checklist.load()
    for item in items:
        known = gates.items.get(_item_id(item))
        for gate in known.gates if known else ():
            item.add_marker(gate)
    run = config.stash.get(RUN, None)
    if run is not None:
        try:
            run.known(item_id for item in items if (item_id := _item_id(item)))
        except UsageError as error:
            raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Boot the rehearsal if it is the target, and look once for all selected checks."""
    run = session.config.stash.get(RUN, None)
    if run is not None and not session.testsfailed:
        say = _teller(session.config)
        try:
            judged = [item for item in session.items if not run.excuse(_item_id(item))]
            needed = sorted(run.besides.union(*(_nouns_of(item) for item in judged)))
            run.open(say, Wanted(actions_of(needed), _asker(session.config), _meter(session.config)))
            if run.target is not None and run.target.rehearsal:
                say("REHEARSAL — not evidence about production")
            run.look(needed, NOUNS)
        except UsageError as error:
            raise pytest.UsageError(session.config.stash[OUTLETS].shown(str(error))) from error
    result = yield
    if run is not None and not (session.shouldstop or session.shouldfail):
        run.incomplete = ""
    return result


def _teller(config: pytest.Config) -> Callable[[str], None]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")

    def say(line: str) -> None:
        if reporter is not None:
            reporter.write_line(line)

    return say


def _meter(config: pytest.Config) -> Meter:
    """Return what shows how far a watch has come: a bar on a terminal, else lines."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return Meter()

    shown = config.stash[OUTLETS].shown

    def redraw(line: str) -> None:
        reporter._tw.write(f"\r\x1b[K{shown(line)[: reporter._tw.fullwidth - 1]}", flush=True)

    return Meter(lambda line: reporter.write_line(shown(line)), redraw if reporter.isatty else None)


def _asker(config: pytest.Config) -> Callable[[str], str] | None:
    """Return how the operator can be asked; None where there is no terminal to ask on."""
    capture = config.pluginmanager.get_plugin("capturemanager")

    def ask(question: str) -> str:
        with _uncaptured(capture):
            return input(f"\n{question}")

    with _uncaptured(capture):
        return ask if sys.stdin.isatty() and sys.stdout.isatty() else None


@contextmanager
def _uncaptured(capture: CaptureManager | None) -> Iterator[None]:
    """Give standard input back for a moment, between tests: there pytest holds that alone, not the output."""
    if capture is None:
        yield
        return
    capture.suspend_global_capture(in_=True)
    try:
        yield
    finally:
        capture.resume_global_capture()
        capture.suspend_global_capture(in_=False)


def _nouns_of(item: pytest.Item) -> tuple[str, ...]:
    return tuple(name for name in getattr(item, "fixturenames", ()) if name in NOUNS)


def _fact_fixture(name: str) -> object:
    def fact(request: pytest.FixtureRequest) -> Fact:
        return request.config.stash[RUN].fact(name)

    fact.__doc__ = f"The fact `{name}`; the check is UNKNOWN if it could not be looked at."
    return pytest.fixture(name=name)(fact)


globals().update({f"fact_{name}": _fact_fixture(name) for name in NOUNS})


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Target:
    """The target that is judged."""
    found = request.config.stash[RUN].target
    assert found is not None
    return found


@pytest.fixture
def position(request: pytest.FixtureRequest) -> Position:
    """Where in the plan the run stands: the cutover's stage."""
    return request.config.stash[RUN].position


@pytest.fixture
def baseline(request: pytest.FixtureRequest) -> Baseline:
    """The facts of the run given with --baseline; the check is UNKNOWN if none was."""
    return request.config.stash[RUN].baseline


@pytest.fixture(scope="session")
def host(request: pytest.FixtureRequest) -> Host:
    """The server through testinfra's modules, over the run's own login; declared reads only."""
    return request.config.stash[RUN].testinfra_host()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Collect the evidence of the claims a check makes."""
    if RUN not in item.config.stash:
        return (yield)
    with recording() as evidence:
        item.stash[EVIDENCE] = evidence
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what is not judged where the run stands, before its facts are asked for."""
    run = item.config.stash.get(RUN, None)
    if run is not None and (excuse := run.excuse(_item_id(item))):
        raise NotApplicableError(excuse)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn what a check raised into its outcome, and the outcome into what pytest shows."""
    report = yield
    run = item.config.stash.get(RUN, None)
    if run is None or (call.when != "call" and call.excinfo is None):
        return report
    evidence = item.stash[EVIDENCE]
    outcome, reason, remedy = judge.outcome_of(call.excinfo.value if call.excinfo else None, evidence)
    listed = run.checklist.items[_item_id(item)]
    title, why = judge.titles(getattr(item, "function", item))
    record = CheckRecord(
        name=item.nodeid,
        item=listed.id,
        title=title,
        why=why,
        outcome=outcome,
        reason=reason,
        remedy=remedy,
        evidence=tuple(evidence),
        facts=_nouns_of(item),
        seconds=round(call.duration, 3),
    )
    run.add(record)
    _show(report, graded(outcome, listed.severity), item.config.stash[OUTLETS].shown(reason))
    return report


def _show(report: pytest.TestReport, outcome: Outcome, reason: str) -> None:
    setattr(report, OUTCOME, outcome)
    if outcome in (Outcome.PASS, Outcome.WARN):
        report.outcome, report.longrepr = "passed", None
    elif outcome is Outcome.NOT_APPLICABLE:
        report.outcome, report.longrepr = "skipped", (report.location[0], report.location[1] or 0, reason)
    else:
        report.outcome, report.longrepr = "failed", reason


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Show our outcomes: never an unknown as a failure or a skip."""
    outcome = getattr(report, OUTCOME, None)
    return _SHOWN[outcome] if outcome is not None else None


_JUDGED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
"""How a session ends whose verdict is the answer; otherwise pytest's own exit code stays."""


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the reports and turn the verdict into the exit code."""
    run = session.config.stash.get(RUN, None)
    if run is None:
        return
    if exitstatus not in _JUDGED:
        run.incomplete = f"pytest ended with exit code {int(exitstatus)}"
    try:
        record = run.finish()
    finally:
        run.close()
    if exitstatus in _JUDGED:
        session.exitstatus = EXIT_CODES[record.verdict]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """End with a table by section, what failed and what to do, and where the report is."""
    run = config.stash.get(RUN, None)
    if run is None or run.final is None:
        return
    terminalreporter.ensure_newline()
    for line in summary.lines(
        run.final,
        width=terminalreporter._tw.fullwidth,
        colour=terminalreporter.hasmarkup,
        report_path=str(run.bundle.path),
    ):
        terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Replace the incomplete verdict, after every other report is written."""
    run = config.stash.get(RUN, None)
    if run is not None:
        run.seal()
