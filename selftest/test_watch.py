"""Watching over time: nothing is missed or counted twice, what is missed is told, and the page shows it."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acceptance import target as targets
from acceptance.duration import seconds, told
from acceptance.errors import UnavailableError, UsageError
from acceptance.facts import watch as watch_facts
from acceptance.facts.base import Known, Unavailable
from acceptance.facts.log_errors import Errors
from acceptance.facts.log_tail import BEGINNING, LIMIT, Tail
from acceptance.facts.watch import Sample, Watch
from acceptance.facts.watched_log import Follower, Instance, Question, WatchedLog
from acceptance.guard.commands import WATCH_LOG, call
from acceptance.meter import Meter
from acceptance.options import Options
from acceptance.outcome import Outcome
from acceptance.report import chart, signoff
from acceptance.target import Target
from acceptance.transports.host import Result
from rehearsal.client import Rehearsal
from selftest import matrix, records
from selftest.rehearsed import site_of
from selftest.test_gate_run import REPOSITORY, injected, run

GATE = "phase1_verify"
ITEM = "cutover.5-quiet"

# Lengths of time, and how far a watch has come


@pytest.mark.parametrize(
    ("text", "length"), [("90s", 90), ("10m", 600), ("1h", 3600), ("0.5s", 0.5), (" 24h ", 86400)]
)
def test_a_length_of_time(text: str, length: float) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "10", "0s", "-1m", "25h", "10 min", "1h30m", "m", "nan"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90s, 10m or 1h"):
        seconds(text)


@pytest.mark.parametrize(
    ("length", "words"),
    [(2, "2 s"), (0.25, "0.2 s"), (150, "2 min 30 s"), (600, "10 min"), (3900, "1 h 5 min")],
)
def test_a_length_of_time_for_people(length: float, words: str) -> None:
    assert told(length) == words


def test_without_a_terminal_there_is_a_line_every_minute() -> None:
    lines: list[str] = []
    meter = Meter(lines.append)
    meter.begin("watching", 180)
    for done in range(0, 181, 5):
        meter.show(done, "no error")
    meter.end(180, "no error")
    assert lines == [
        "watching for 3 min",
        "1 min of 3 min: no error",
        "2 min of 3 min: no error",
        "3 min of 3 min: no error",
        "watched 3 min: no error",
    ]


def test_on_a_terminal_there_is_a_bar() -> None:
    drawn: list[str] = []
    meter = Meter(redraw=drawn.append)
    meter.begin("watching", 600)
    meter.show(150, "no error")
    assert drawn == ["██████░░░░░░░░░░░░░░░░░░ 2 min 30 s of 10 min · no error"]


# Which lines tell of an error


@pytest.mark.parametrize(
    "line",
    [
        "⨯ Error: berth feed is not available",
        '[crm-intake] FetchError: [POST] "https://crm.example/api": 401 Unauthorized',
        "[worker] email: ConnectionError: Error 111 connecting",
        '{"level":50,"time":1731000000000,"msg":"deal was not saved"}',
        '{"severity":"ERROR","message":"deal was not saved"}',
        "2025-11-02T10:00:00.000Z ERROR deal was not saved",
        "[2025-11-02 10:00:00.000] [ERROR] deal was not saved",
        "\x1b[31m ERROR \x1b[0m [request error] [unhandled] [GET] http://localhost/",
        "error: deal was not saved",
        'time="2025-11-02T10:00:00Z" level=error msg="deal was not saved"',
        "Uncaught exception in the queue",
        "prisma:error Invalid `prisma.deal.create()` invocation",
        "[nitro] [unhandledRejection] deal was not saved",
        "TypeError: Cannot read properties of undefined (reading 'id')",
        "PostgresError [42703]: it is gone",
        '10.0.0.1 - - [02/Nov/2025:10:00:00 +0000] "GET /api HTTP/1.1" 502 12',
        "GET /api/berths 500 in 12ms",
        '{"level":30,"res":{"statusCode":503}}',
        "connect ECONNREFUSED 127.0.0.1:5432",
        'column "x" does not exist',
    ],
)
def test_an_error(line: str) -> None:
    assert Errors().feed(line)


@pytest.mark.parametrize(
    "line",
    [
        "▲ Next.js 16.4.6",
        "✓ Ready in 500ms",
        "[worker] email 500 completed",
        "Listening on http://127.0.0.1:5000",
        "GET /api/berths 200 in 512ms",
        '10.0.0.1 - - [02/Nov/2025:10:00:00 +0000] "GET /api/500 HTTP/1.1" 200 512 "-" "x"',
        '{"level":30,"time":1731000005000,"msg":"ok","responseTime":503}',
        '{"level":"info","message":"0 errors"}',
        "info: no error",
        "level=info msg=uncaught",
        "POST /api/errors 201 in 5ms",
    ],
)
def test_no_error(line: str) -> None:
    assert not Errors().feed(line)


def test_an_error_of_many_lines_counts_once() -> None:
    errors = Errors()
    text = """\
⨯ Error: Failed query: select "berth"
    at async GET (.next/server/chunks/_1to8btpngdwzh._.js:1:1782) {
  code: '42703',
  [cause]: Error: gone
}
[worker] email 5 completed
TypeError: x is not a function
    at y
 ERROR  one more"""
    assert sum(errors.feed(line) for line in text.split("\n")) == 3
    assert errors.kinds == {"error": 3, "undefined-column": 1}


# Following a log


def line(number: int, text: str = "") -> tuple[str, str]:
    return f"2026-03-04T09:30:{number:02}.000000000Z", text or f"line {number}"


def test_nothing_is_read_twice_and_nothing_missed() -> None:
    tail = Tail(line(0)[0])
    tail.skip([line(1), line(2)])
    assert tail.since == "2026-03-04T09:30:00.000000000Z"
    assert tail.take([line(1), line(2), line(3)], "").fresh == (line(3),)
    assert tail.take([line(2), line(3)], "").fresh == ()
    late = (line(2)[0], "written last, stamped first")
    assert tail.take([line(2), line(3), late, line(4)], "").fresh == (late, line(4))


def test_equal_lines_are_told_by_their_number() -> None:
    tail = Tail(line(0)[0])
    tail.skip([line(1, "again"), line(1, "again")])
    assert tail.take([line(1, "again")] * 5, "").fresh == (line(1, "again"),) * 3
    assert tail.take([line(1, "again")] * 6, "").fresh == (line(1, "again"),)


def test_a_log_that_was_cut_is_a_gap() -> None:
    tail = Tail(line(0)[0])
    tail.skip([line(1), line(5)])
    read = tail.take([line(7)], line(8)[0])
    assert (read.fresh, read.lost_since) == ((line(7),), line(5)[0])
    assert read.why == "the log was rotated or cut"
    assert tail.take([line(7), line(9)], "").why == ""
    assert tail.take([], line(10)[0]).why == "the log was rotated or cut"
    assert tail.since == line(10)[0]
    assert tail.take([line(11)], "").fresh == (line(11),)


def test_more_lines_than_are_read_are_a_gap() -> None:
    tail = Tail(line(0)[0])
    tail.skip([line(1)])
    read = tail.take([line(3)] * LIMIT, line(4)[0])
    assert len(read.fresh) == LIMIT
    assert read.why == f"more than {LIMIT} lines came between two looks"


def watched(**changes: object) -> WatchedLog:
    values = {
        "service": "crm-app",
        "container": "pn-crm-crm-app-1",
        "lines": 0,
        "errors": 0,
        "kinds": {},
        "examples": (),
        "gaps": (),
        "restarts": (),
        "stopped": None,
        "had_lines": True,
    }
    return WatchedLog.model_validate({**values, **changes})


GAP = {"since": line(1)[0], "until": line(2)[0], "why": "the log was rotated or cut"}


def test_a_gap_never_reads_as_quiet() -> None:
    assert not watched().were_errors()
    assert watched(errors=1, gaps=[GAP]).were_errors()
    with pytest.raises(UnavailableError, match="a part of the log of crm-app was missed"):
        watched(gaps=[GAP]).were_errors()
    with pytest.raises(UnavailableError, match="it never held a line"):
        watched(had_lines=False).were_errors()


def sampled(status: str = "running", text: str = "") -> tuple[Instance, Result]:
    """Return a container as a sample shows it, and what is read of its log."""
    instance = Instance("a" * 64, "c", "crm-app", False, status, 0, "2026-03-04T09:00:00Z")
    question = call(WATCH_LOG, "docker", instance.id, "0", 1, 1)
    return instance, Result(question, 0, gzip.compress(f"{text}\nexit 0\n".encode()), "")


def followed(*samples: tuple[int, Instance, Result]) -> Follower:
    """Follow a log by samples, each at a second."""
    follower = Follower("crm-app")
    for at, instance, result in samples:
        follower.see(instance, line(at)[0])
        follower.hear(result, line(at)[0])
    return follower


def test_a_container_that_does_not_run_at_the_end_is_no_quiet_one() -> None:
    up, down = sampled(), sampled("exited")
    assert followed((1, *up)).fact(line(2)[0]).crashes == ()
    assert followed((1, *down), (2, *up)).fact(line(3)[0]).crashes == ()
    gone = followed((1, *up))
    gone.see(None, line(2)[0])
    assert gone.fact(line(3)[0]).crashes == (f"{line(2)[0]} it did not run (removed), and has not since",)
    stopped = followed((1, *up), (2, *down), (3, *down)).fact(line(4)[0])
    assert stopped.crashes == (f"{line(2)[0]} it did not run (exited), and has not since",)


def test_a_clock_that_is_set_back_is_a_gap_and_the_log_is_begun_anew() -> None:
    before = "\n".join(f"{stamp} {text}" for stamp, text in (line(30), line(31, "Error: earlier")))
    follower = followed((40, *sampled(text=before)))
    assert follower.question == Question("a" * 64, "2026-03-04T09:30:29.000000000Z", LIMIT)
    follower.set_back(line(10)[0], 30)
    assert follower.question == Question("a" * 64, "1970-01-01T00:00:00Z", BEGINNING)
    after = f"{before}\n{line(9)[0]} Error: passed over"
    follower.hear(sampled(text=after)[1], line(10)[0])
    follower.hear(sampled(text=f"{after}\n{line(11)[0]} Error: fresh")[1], line(12)[0])
    log = follower.fact(line(12)[0])
    assert [one.excerpt for one in log.examples] == ["Error: fresh"]
    assert [(gap.since, gap.until) for gap in log.gaps] == [(line(10)[0], line(40)[0])]
    assert "set back by 30 s" in log.gaps[0].why


def test_a_clock_tells_that_it_was_set_back() -> None:
    clock = watch_facts.Clock()
    now = datetime.now(UTC)
    assert clock.set(now.isoformat(), time.monotonic()) == 0
    assert clock.set((now + timedelta(hours=1)).isoformat(), time.monotonic()) == 0
    assert clock.set(now.isoformat(), time.monotonic()) == pytest.approx(3600, abs=5)


# The whole noun


@pytest.fixture(scope="module")
def target(rehearsal: Rehearsal) -> Target:
    return targets.load(rehearsal.target_file)


class Middle(Meter):
    """Lets something happen after each of the first samples, while nothing is looked at."""

    def __init__(self, happens: Iterable[Callable[[], object]]) -> None:
        super().__init__()
        self._happens = iter(happens)

    def show(self, done_s: float, note: str) -> None:
        super().show(done_s, note)
        next(self._happens, list)()


def look(
    target: Target, tmp_path: Path, *happens: Callable[[], object], duration: str | None = "1s"
) -> matrix.Look:
    """Watch for a second; after each sample something happens."""
    settings = target.watch.model_copy(update={"duration": duration})
    asked = target.model_copy(update={"watch": settings})
    return matrix.Observer(asked, tmp_path, meter=Middle(happens)).look(["watch"])


def seen(found: matrix.Look) -> Watch:
    watch = found.facts["watch"]
    assert isinstance(watch, Watch), watch
    return watch


def outcome(found: matrix.Look, target: Target) -> Outcome:
    at_the_end = target.model_copy(update={"stage": 5})
    return matrix.outcomes(matrix.judged(found.facts, at_the_end))[ITEM]


@pytest.mark.user
def test_a_quiet_watch(target: Target, tmp_path: Path) -> None:
    found = look(target, tmp_path)
    watch = seen(found)
    assert outcome(found, target) is Outcome.PASS
    assert (found.logins, found.round_trips) == (1, 0)
    assert watch.ended == "time"
    assert len(watch.samples) >= 2
    assert all(sample.well and not sample.errors for sample in watch.samples)
    assert all(log.had_lines and not log.gaps and not log.restarts for log in watch.watched)
    assert watch.remarks == ()
    assert watch.lasted_s >= watch.planned_s == 1
    assert Watch.model_validate_json(watch.model_dump_json()) == watch


def test_a_burst_ends_it_early(rehearsal: Rehearsal, target: Target, tmp_path: Path) -> None:
    with injected(rehearsal, "watch-crm-errors"):
        watch = seen(look(target, tmp_path, duration="10m"))
    app = watch.the("app")
    assert watch.ended == "burst"
    assert app.errors == sum(sample.errors.get("app", 0) for sample in watch.samples) >= 10
    assert app.errors == app.lines / 2
    assert app.examples[0].excerpt == "⨯ Error: no owner found"


def test_health_ill_in_the_middle(rehearsal: Rehearsal, target: Target, tmp_path: Path) -> None:
    try:
        found = look(target, tmp_path, lambda: rehearsal.inject("health-degraded"))
    finally:
        rehearsal.revert("health-degraded")
    watch = seen(found)
    assert watch.samples[0].well
    assert watch.samples[-1].said == "HTTP 503, status degraded"
    assert watch.was_ill()
    assert outcome(found, target) is Outcome.FAIL


def test_a_crash_in_the_middle(rehearsal: Rehearsal, target: Target, tmp_path: Path) -> None:
    pid = rehearsal.describe()["containers"]["crm-worker"]["pid"]
    found = look(target, tmp_path, lambda: os.kill(pid, signal.SIGKILL))
    worker = seen(found).the("worker")
    assert worker.gaps == ()
    (crash,) = worker.crashes
    assert "the engine restarted it" in crash
    assert outcome(found, target) is Outcome.FAIL
    rehearsal.inject("logs-column-pg-object")
    rehearsal.revert("logs-column-pg-object")


def test_a_container_that_ends_and_stays_so(rehearsal: Rehearsal, target: Target, tmp_path: Path) -> None:
    try:
        found = look(target, tmp_path, lambda: rehearsal.container("crm-worker", "stop"))
    finally:
        rehearsal.container("crm-worker", "start")
    worker = seen(found).the("worker")
    assert worker.stopped is not None
    assert worker.gaps == ()
    assert outcome(found, target) is Outcome.FAIL


def test_a_new_container_in_the_middle(rehearsal: Rehearsal, target: Target, tmp_path: Path) -> None:
    rehearsal.inject("logs-column-pg-object")
    found = look(target, tmp_path, lambda: rehearsal.revert("logs-column-pg-object"))
    app = seen(found).the("app")
    assert [restart.by_engine for restart in app.restarts] == [False]
    assert "a new container" in app.restarts[0].how
    assert app.lines > 0, "its greeting"
    assert [gap.why for gap in app.gaps] == ["the container was removed; what it wrote last is gone with it"]
    assert outcome(found, target) is not Outcome.PASS


def test_a_rotation_in_the_middle(rehearsal: Rehearsal, target: Target, tmp_path: Path) -> None:
    (log,) = site_of(rehearsal).containers.glob("crm-worker/*/*-json.log")
    found = look(target, tmp_path, lambda: os.truncate(log, 0))
    worker = seen(found).the("worker")
    assert [gap.why for gap in worker.gaps] == ["the log was rotated or cut"]
    assert outcome(found, target) is Outcome.UNKNOWN
    assert seen(found).remarks == ("the log of crm-worker was missed in part",)


def test_an_engine_that_comes_back_leaves_no_gap(
    rehearsal: Rehearsal, target: Target, tmp_path: Path
) -> None:
    name = "source-engine-unreachable"
    happens = (lambda: rehearsal.inject(name), lambda: rehearsal.revert(name))
    watch = seen(look(target, tmp_path, *happens, duration="3s"))
    assert all(not log.gaps for log in watch.watched)
    assert all(sample.well for sample in watch.samples)


def test_without_a_time_nothing_is_watched(target: Target, tmp_path: Path) -> None:
    found = look(target, tmp_path, duration=None).facts["watch"]
    assert isinstance(found, Unavailable)
    assert found.remedy == "run again with --watch 10m"


# The chart


def a_minute(**errors: int) -> Watch:
    """Return a watch of one minute with ill health and errors in the middle."""
    begun = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
    samples = [
        Sample(
            at=begun + timedelta(seconds=5 * number),
            latency_ms=None if number == 3 else 40 + number,
            said="HTTP 503, status <b>degraded</b>" if number == 6 else "HTTP 200, status ok",
            well=number not in (3, 6),
            errors=errors if number == 6 else {},
        )
        for number in range(13)
    ]
    log = watched(
        lines=9,
        errors=errors.get("app", 0),
        examples=[{"at": line(30)[0], "excerpt": "Error: <script>alert(1)</script>\x1b[2J"}],
        gaps=[GAP],
        restarts=[{"at": line(40)[0], "how": "it was restarted", "by_engine": False}],
    )
    return Watch(
        url="https://crm.example/health",
        planned_s=60,
        interval_s=5,
        burst=20,
        begun=begun,
        until=begun + timedelta(seconds=60),
        ended="time",
        samples=tuple(samples),
        logs={"app": Known(value=log), "website": Unavailable(reason="website was not watched: no <name>")},
    )


def test_the_chart_shows_when_what_went_wrong() -> None:
    drawing = chart.draw(a_minute(app=7))
    health, app = drawing.lanes
    assert drawing.line.count("M") == 2, "broken where nothing answered"
    assert drawing.hours == ("09:30:00", "09:30:15", "09:30:30", "09:30:45", "09:31:00")
    assert [mark.kind for mark in health.marks] == ["silent", "ill"]
    assert [mark.kind for mark in app.marks] == ["gap", "errors", "restart"]
    (errors,) = [mark for mark in app.marks if mark.kind == "errors"]
    assert float(errors.x) <= 500 <= float(errors.x) + float(errors.width)
    assert "app 7" in drawing.description


def test_the_chart_shows_since_when_a_container_did_not_run() -> None:
    minute = a_minute()
    down = watched(stopped={"at": line(45)[0], "status": "exited"})
    drawing = chart.draw(minute.model_copy(update={"logs": {"worker": Known(value=down)}}))
    (mark,) = drawing.lanes[1].marks
    assert (mark.kind, float(mark.x), float(mark.width)) == ("stopped", 750, 250)
    assert ("stopped", "did not run") in drawing.legend
    assert drawing.description.endswith("crm-app did not run at the end.")


def test_the_chart_of_a_day_is_no_larger() -> None:
    minute = a_minute(app=1)
    day = minute.model_copy(update={"samples": minute.samples * 1000})
    assert len(chart.draw(day).line) < 10_000


def test_the_page_stays_a_page() -> None:
    record = records.mixed().model_copy(update={"watch": a_minute(app=7), "samples": 14})
    page = signoff.render(record)
    part = page[page.index('<section class="watch">') : page.index("<h2>Every item")]
    assert "<script" not in page
    assert "\x1b" not in page
    assert "no &lt;name&gt;" in part
    assert "14 samples of the watch" in page
    drawings = re.findall(r"<svg.*?</svg>", part, re.DOTALL)
    assert all(ET.fromstring(drawing) is not None for drawing in drawings)
    titles = [drawing for drawing in drawings if 'role="img"' in drawing]
    assert len(titles) == 3


# The run


def test_a_wrong_time_is_one_sentence_and_exit_code_4(tmp_path: Path) -> None:
    done = run(tmp_path, "-m", GATE, "--watch", "soon")
    assert done.code == 4
    assert "--watch 'soon': must be a length of time up to a day, such as 90s, 10m or 1h." in done.output
    assert not list(tmp_path.iterdir())


def test_a_watch_and_a_replay_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--watch and --replay contradict each other"):
        Options(watch_s=600, replay=tmp_path)


def test_after_a_deploy_the_page_shows_it_and_a_replay_too(rehearsal: Rehearsal, tmp_path: Path) -> None:
    with injected(rehearsal, "watch-crm-errors"):
        done = run(
            tmp_path / "live",
            *("-m", GATE, "--target", str(rehearsal.target_file), "--watch", "1s", "-k", "test_api"),
        )
    assert "watching health and the logs of crm-app, crm-worker" in done.output
    noted = " ".join(done.output.split())
    assert re.search(r"while watched for .* \(ended early: 10 troubles .*\): \d+ errors in crm-app", noted)
    chart = drawn(done.bundle)
    assert 'class="errors"' in chart
    assert "no owner found" in chart
    again = run(tmp_path / "again", "-m", GATE, "--replay", str(done.bundle))
    assert drawn(again.bundle) == chart


def drawn(bundle: Path) -> str:
    """Return the page's part about the watch."""
    page = (bundle / "signoff.html").read_text(encoding="utf-8")
    return page[page.index('<section class="watch">') : page.index("<h2>Every item")]


def test_interrupted_on_a_terminal(rehearsal: Rehearsal, tmp_path: Path) -> None:
    """Ctrl-C keeps what was seen: exit code 2, an incomplete verdict, and the chart until then."""
    reports = tmp_path / "reports"
    command = [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--reports={reports}", "-m", GATE),
        *(f"--target={rehearsal.target_file}", "--watch=10m", "-k", "test_api"),
    ]
    ours, its = pty.openpty()
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=its, stdout=its, stderr=its, start_new_session=True
    ) as process:
        os.close(its)
        screen = b""
        while b"of 10 min \xc2\xb7" not in screen:
            assert select.select([ours], [], [], 60)[0], screen
            screen += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 2
    os.close(ours)
    bundle = (reports / "latest").resolve()
    verdict = json.loads((bundle / "verdict.json").read_text(encoding="utf-8"))
    assert (verdict["verdict"], verdict["finished"]) == ("HOLD", None)
    assert "incomplete" in verdict["reason"]
    fact = json.loads((bundle / "facts" / "watch.json").read_text(encoding="utf-8"))
    assert fact["value"]["ended"] == "interrupted"
    assert fact["value"]["samples"]
    assert json.loads((bundle / "facts" / "api.json").read_text(encoding="utf-8"))["state"] == "known"
    assert "interrupted" in drawn(bundle)
