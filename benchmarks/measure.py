"""Takes the measurements: boots, then both sides and the whole gate by turns on one rehearsal."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from acceptance import target as targets
from acceptance.errors import UsageError
from acceptance.target import Target
from acceptance.verdict import EXIT_CODES, Verdict
from benchmarks import sides
from benchmarks.sides import Answers, Login
from rehearsal.client import Rehearsal, boot

GATE = "phase1_verify"
BOOTS = 3

_REPOSITORY = Path(__file__).resolve().parent.parent

Say = Callable[[str], None]


@dataclass(frozen=True)
class Side:
    """One way to ask the server.

    Attributes:
        ask: asks everything, starting without a connection.
        rounds: it takes part in that many rounds at most; the slowest side in fewer than the others.
        watched_s: seconds of each run that are a declared wait and are not counted.
    """

    name: str
    ask: Callable[[Target, Path], Answers]
    rounds: int
    watched_s: float = 0


def the_sides(rounds: int) -> tuple[Side, ...]:
    """Return the sides that are compared, the suite first."""
    return (
        Side("the suite", sides.ask_ours, rounds, sides.watched_s()),
        Side("testinfra, as it comes", _plain, min(rounds, 2)),
        Side("testinfra, control path set", _tuned, rounds),
    )


def _plain(target: Target, directory: Path) -> Answers:
    return sides.ask_plain(Login(target, directory))


def _tuned(target: Target, directory: Path) -> Answers:
    return sides.ask_plain(Login(target, directory, control_path=True))


@dataclass
class Timings:
    """The same thing timed several times, in seconds."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self.seconds)


@dataclass
class Row:
    """What was seen of one side.

    Attributes:
        near, far: without and with the added round trip.
        logins: the most that one run needed, as sshd's log counts them.
        round_trips: likewise, as the side counts them.
    """

    side: Side
    near: Timings = field(default_factory=Timings)
    far: Timings = field(default_factory=Timings)
    logins: int = 0
    round_trips: int = 0
    questions: int = 0
    answers: list[Answers] = field(default_factory=list)


@dataclass
class Results:
    """All measurements.

    Attributes:
        delay_ms: the added round trip.
        rows: the sides, the suite first.
        verdicts: what the whole gates ended with.
    """

    delay_ms: float
    rows: tuple[Row, ...]
    boot: Timings = field(default_factory=Timings)
    gate: Timings = field(default_factory=Timings)
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def disagreements(self) -> tuple[str, ...]:
        """Items about which two runs gave different answers; there should be none."""
        answers = [answers.items for row in self.rows for answers in row.answers]
        common = set.intersection(*(set(items) for items in answers))
        return tuple(sorted(item for item in common if len({items[item] for items in answers}) > 1))


def run(delay_ms: float, rounds: int, say: Say) -> Results:
    """Measure everything.

    Raises:
        UsageError: the rehearsal cannot boot here, or a gate did not run.
    """
    results = Results(delay_ms, tuple(Row(side) for side in the_sides(rounds)))
    for _ in range(BOOTS - 1):
        with _timed_boot(results.boot):
            pass
    with _timed_boot(results.boot) as rehearsal, tempfile.TemporaryDirectory(prefix="benchmark-") as place:
        say(f"boot: {BOOTS} times, median {results.boot.median:.1f} s")
        with sides.root_login(rehearsal):
            _compare(rehearsal, results, rounds, Path(place), say)
    return results


@contextmanager
def _timed_boot(timings: Timings) -> Iterator[Rehearsal]:
    begun = time.monotonic()
    with boot(lambda _line: None) as rehearsal:
        timings.seconds.append(time.monotonic() - begun)
        yield rehearsal


def _compare(rehearsal: Rehearsal, results: Results, rounds: int, place: Path, say: Say) -> None:
    near = targets.load(rehearsal.target_file)
    sides.ask_ours(near, place)  # so that neither side pays for what is loaded once
    with ExitStack() as stack:
        far = stack.enter_context(sides.far(near, results.delay_ms))
        for number in range(1, rounds + 1):
            for row in results.rows:
                if number <= row.side.rounds:
                    _time(rehearsal, row, row.near, near, place)
                    _time(rehearsal, row, row.far, far, place)
                    say(
                        f"round {number}, {row.side.name}: {row.near.seconds[-1]:.2f} s, "
                        f"with {results.delay_ms:g} ms added {row.far.seconds[-1]:.2f} s"
                    )
            # once per round and not in a row: the application limits sign-ins to a few in ten seconds
            results.verdicts.append(_time_gate(rehearsal, results.gate, place))
            say(f"round {number}, whole gate: {results.gate.seconds[-1]:.2f} s, {results.verdicts[-1]}")


def _time(rehearsal: Rehearsal, row: Row, timings: Timings, target: Target, place: Path) -> None:
    before = sides.logins(rehearsal)
    begun = time.monotonic()
    answers = row.side.ask(target, place)
    timings.seconds.append(time.monotonic() - begun - row.side.watched_s)
    row.logins = max(row.logins, sides.logins(rehearsal) - before)
    row.round_trips = max(row.round_trips, answers.round_trips)
    row.questions = answers.questions
    row.answers.append(answers)


def _time_gate(rehearsal: Rehearsal, timings: Timings, place: Path) -> Verdict:
    options = [
        f"--target={rehearsal.target_file}",
        f"--reports={place / 'reports'}",
        "-p",
        "no:cacheprovider",
    ]
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", GATE, *options],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    timings.seconds.append(time.monotonic() - begun)
    verdict = _verdict(place / "reports")
    # the exit code alone does not tell a NO-GO from a Python that crashed
    if verdict is None or EXIT_CODES[verdict] != done.returncode:
        raise UsageError(f"the gate did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return verdict


def _verdict(reports: Path) -> Verdict | None:
    path = reports / "latest" / "verdict.json"
    return Verdict(json.loads(path.read_text(encoding="utf-8"))["verdict"]) if path.exists() else None
