"""Renders the measurements as text, and compares them with the targets."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import GATE, Results, Row, Timings

LEAST_RATIO = 10
MOST_ROUND_TRIPS = 3
GATE_S = 8
BOOT_S = 6


@dataclass(frozen=True)
class Goal:
    """A benchmark target: what was wanted, what was seen, and whether that is enough."""

    wanted: str
    seen: str
    met: bool


def goals(results: Results) -> tuple[Goal, ...]:
    """Compare the measurements with the targets."""
    ours, plain, _ = results.rows
    ratio = plain.far.median / ours.far.median
    return (
        Goal(
            f"all host facts in 1 login and at most {MOST_ROUND_TRIPS} round trips",
            f"{ours.logins} login, {ours.round_trips} round trips",
            ours.logins == 1 and ours.round_trips <= MOST_ROUND_TRIPS,
        ),
        Goal(
            f"at {results.delay_ms:g} ms at least {LEAST_RATIO} times faster than plain testinfra",
            f"{ratio:.1f} times",
            ratio >= LEAST_RATIO,
        ),
        Goal(
            f"whole gate at most {GATE_S} s, warm",
            f"{results.gate.median:.1f} s",
            results.gate.median <= GATE_S,
        ),
        Goal(f"boot at most {BOOT_S} s, warm", f"{results.boot.median:.1f} s", results.boot.median <= BOOT_S),
    )


def machine() -> str:
    """Return what the measurements were taken on."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores{_model()}, load {load:.1f}, Python {platform.python_version()}"


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next(
        (f" ({line.split(':', 1)[1].strip()})" for line in lines if line.startswith("model name")), ""
    )


def render(results: Results, measured_on: str) -> str:
    """Return the tables.

    Args:
        results: what was measured.
        measured_on: the machine, as it was before the measurements began.
    """
    ours, plain, _ = results.rows
    watched = ours.side.watched_s
    with_sample = (plain.far.median + watched) / (ours.far.median + watched)
    far = f"+{results.delay_ms:g} ms round trip"
    heading = ("host facts and their checks", "checks", "logins", "waits", "no delay", "ratio", far, "ratio")
    lines = [
        f"measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {measured_on}",
        "",
        *_columns([heading, *(_cells(row, ours) for row in results.rows)]),
        "",
        "Median (least to most, number of runs). Waits: the suite's round trips, testinfra's commands.",
        f"The sample of containers.stable, a declared wait of {watched:g} s, is not counted; with it on both",
        f"sides the ratio at {results.delay_ms:g} ms is {with_sample:.1f}.",
        *(f"The sides disagree about {item}: compare with care." for item in results.disagreements),
        "",
        *_columns(
            [
                ("whole runs", "", ""),
                (GATE, _text(results.gate), f"verdict {', '.join(sorted(set(results.verdicts)))}"),
                ("boot of the rehearsal", _text(results.boot), ""),
            ]
        ),
        "",
        *_columns(
            [
                ("target", "seen", ""),
                *((goal.wanted, goal.seen, "met" if goal.met else "MISSED") for goal in goals(results)),
            ]
        ),
    ]
    return "\n".join(lines) + "\n"


def _cells(row: Row, ours: Row) -> tuple[str, ...]:
    counts = (row.questions, row.logins, row.round_trips)
    near, far = row.near.median / ours.near.median, row.far.median / ours.far.median
    return (row.side.name, *map(str, counts), _text(row.near), f"{near:.1f}", _text(row.far), f"{far:.1f}")


def _text(timings: Timings) -> str:
    seconds = timings.seconds
    return f"{timings.median:.2f} s ({min(seconds):.2f} to {max(seconds):.2f}, {len(seconds)})"


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
