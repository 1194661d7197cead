"""The chart of a watch: latency, answers and errors over time on a common scale. It judges nothing.

The template draws it as SVG that is stretched to the page's width, so every text stands beside it in HTML and
is as large on a phone as elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

from acceptance import duration
from acceptance.facts.base import Known
from acceptance.facts.containers import nanoseconds
from acceptance.facts.watch import Sample, Watch
from acceptance.report.view import count

WIDTH: Final = 1000.0
"""Of every drawing, in its own units."""

HEIGHT: Final = 100.0
"""Of the latency's; a lane is `LANE` high."""

LANE: Final = 20.0

_COLUMNS: Final = 150
"""More samples than this are drawn together."""

_DOTS: Final = 60
"""Up to so many samples each has a dot."""

_NICE: Final = (1, 1.5, 2, 3, 4, 5, 6, 8)
_FINE_S: Final = 20.0

_LEGEND: Final = (
    ("errors", "errors"),
    ("ill", "health ill"),
    ("silent", "health without an answer"),
    ("gap", "log missed"),
    ("restart", "restart"),
    ("crash", "restart after it had ended by itself"),
    ("stopped", "did not run"),
)


@dataclass(frozen=True)
class Mark:
    """Something in a lane: where, how high, and what it says when it is pointed at.

    Attributes:
        kind: `ill`, `silent`, `errors`, `gap`, `restart`, `crash` or `stopped`.
    """

    kind: str
    x: str
    width: str
    y: str
    height: str
    title: str


@dataclass(frozen=True)
class Lane:
    """One line of the chart: what it shows, in a word and in a few, and its marks."""

    name: str
    told: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Chart:
    """Everything that is drawn.

    Attributes:
        line: the path of the median latency; `spread` that of the lowest to the highest; `dots` one for
            each sample, if they are few.
        top_ms: the latency at the upper edge.
        hours: times of the horizontal axis, evenly spaced from edge to edge.
        description: what the drawing shows, for who cannot see it.
    """

    line: str
    spread: str
    dots: str
    top_ms: str
    hours: tuple[str, ...]
    lanes: tuple[Lane, ...]
    description: str

    @property
    def legend(self) -> tuple[tuple[str, str], ...]:
        """The kinds of marks that occur, and what each means."""
        drawn = {mark.kind for lane in self.lanes for mark in lane.marks}
        return tuple((kind, word) for kind, word in _LEGEND if kind in drawn)


@dataclass(frozen=True)
class _Scale:
    """The horizontal axis; `each` is one sample's share of it."""

    begun: datetime
    seconds: float
    each: float

    def x(self, at: datetime) -> float:
        """Return a moment's place, kept within the drawing."""
        return min(max((at - self.begun).total_seconds() / self.seconds, 0.0), 1.0) * WIDTH


def draw(watch: Watch) -> Chart:
    """Return the chart of a watch."""
    seconds = max(watch.lasted_s, watch.interval_s)
    scale = _Scale(watch.begun, seconds, WIDTH * watch.interval_s / seconds)
    columns = _columns(watch.samples)
    top = _top(watch.samples)
    return Chart(
        line=_line(columns, scale, top),
        spread=_spread(columns, scale, top),
        dots=_dots(watch.samples, scale, top),
        top_ms=f"{top:g} ms",
        hours=_hours(scale),
        lanes=(_health(watch, columns, scale), *_logs(watch, columns, scale)),
        description=_description(watch),
    )


Column = tuple[Sample, ...]


def _columns(samples: Sequence[Sample]) -> tuple[Column, ...]:
    size = max(1, math.ceil(len(samples) / _COLUMNS))
    return tuple(tuple(samples[start : start + size]) for start in range(0, len(samples), size))


def _latencies(samples: Iterable[Sample]) -> list[float]:
    return [sample.latency_ms for sample in samples if sample.latency_ms is not None]


def _top(samples: Iterable[Sample]) -> float:
    """Return a round number above every latency."""
    highest = max(_latencies(samples), default=1.0) or 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in (*_NICE, 10) if step * power >= highest)


def _middle(column: Column, scale: _Scale) -> float:
    return (scale.x(column[0].at) + scale.x(column[-1].at)) / 2


def _y(latency_ms: float, top: float) -> float:
    return HEIGHT * (1 - latency_ms / top)


def _line(columns: Iterable[Column], scale: _Scale, top: float) -> str:
    """Return the path of the medians, broken where nothing answered."""
    path, drawing = [], False
    for column in columns:
        seen = _latencies(column)
        if seen:
            path.append(f"{'L' if drawing else 'M'}{_middle(column, scale):.1f} {_y(median(seen), top):.1f}")
        drawing = bool(seen)
    return "".join(path)


def _spread(columns: Iterable[Column], scale: _Scale, top: float) -> str:
    return "".join(
        f"M{_middle(column, scale):.1f} {_y(max(seen), top):.1f}V{_y(min(seen), top):.1f}"
        for column in columns
        if len(seen := _latencies(column)) > 1
    )


def _dots(samples: Sequence[Sample], scale: _Scale, top: float) -> str:
    """Return strokes without length: round caps make dots of them that no stretching bends."""
    if len(samples) > _DOTS:
        return ""
    return "".join(
        f"M{scale.x(sample.at):.1f} {_y(sample.latency_ms, top):.1f}h0"
        for sample in samples
        if sample.latency_ms is not None
    )


def _hours(scale: _Scale) -> tuple[str, ...]:
    moments = [scale.begun + timedelta(seconds=scale.seconds * part / 4) for part in range(5)]
    tenths = [f".{moment.microsecond // 100_000}" if scale.seconds < _FINE_S else "" for moment in moments]
    return tuple(f"{moment:%H:%M:%S}{tenth}" for moment, tenth in zip(moments, tenths, strict=True))


def _health(watch: Watch, columns: Iterable[Column], scale: _Scale) -> Lane:
    marks: list[Mark] = []
    for column in columns:
        ill = [sample for sample in column if sample.is_ill]
        silent = [sample for sample in column if sample.latency_ms is None]
        for kind, found, part in (("ill", ill, 1.0), ("silent", silent, 0.2)):
            if found:
                title = f"{found[0].at:%H:%M:%S} {found[0].said}"
                marks.append(_bar(kind, column, scale, part, title))
    well = sum(sample.well for sample in watch.samples)
    return Lane("Health", f"well in {well} of {count(len(watch.samples), 'sample')}", tuple(marks))


def _logs(watch: Watch, columns: Sequence[Column], scale: _Scale) -> Iterable[Lane]:
    highest = max((_errors(column, instance) for column in columns for instance in watch.logs), default=0)
    for instance, log in watch.logs.items():
        if not isinstance(log, Known):
            continue
        followed = log.value
        marks = [
            Mark("gap", *_span(gap.since, gap.until, scale), "0", f"{LANE:g}", f"missed: {gap.why}")
            for gap in followed.gaps
        ]
        for column in columns:
            errors = _errors(column, instance)
            if errors:
                title = f"{column[0].at:%H:%M:%S} {count(errors, 'error')}"
                marks.append(_bar("errors", column, scale, errors / highest, title))
        marks += [
            Mark(
                "crash" if one.by_engine else "restart",
                *_span(one.at, one.at, scale),
                "0",
                f"{LANE:g}",
                one.how,
            )
            for one in followed.restarts
        ]
        if stop := followed.stopped:
            until = f"{watch.until:%Y-%m-%dT%H:%M:%S.%fZ}"
            place = _span(stop.at, until, scale)
            marks.append(Mark("stopped", *place, "0", f"{LANE:g}", f"did not run: {stop.status}"))
        told = f"{followed.count} in {count(followed.lines, 'line')}"
        yield Lane(followed.service, told, tuple(marks))


def _errors(column: Column, instance: str) -> int:
    return sum(sample.errors.get(instance, 0) for sample in column)


def _bar(kind: str, column: Column, scale: _Scale, part: float, title: str) -> Mark:
    """Return a mark as broad as its samples, but one that can be seen; `part` of a lane high."""
    width = min(max(scale.each * len(column) * 0.8, 3.0), WIDTH / 20)
    height = LANE * (0.3 + 0.7 * part)
    x = min(max(_middle(column, scale) - width / 2, 0.0), WIDTH - width)
    return Mark(kind, f"{x:.1f}", f"{width:.1f}", f"{LANE - height:.1f}", f"{height:.1f}", title)


def _span(since: str, until: str, scale: _Scale) -> tuple[str, str]:
    begin, end = (scale.x(datetime.fromtimestamp(nanoseconds(one) / 1e9, UTC)) for one in (since, until))
    width = max(end - begin, 3.0)
    return f"{min(begin, WIDTH - width):.1f}", f"{width:.1f}"


def _description(watch: Watch) -> str:
    p95 = "" if watch.p95_ms is None else f"; 95 % of the answers came within {watch.p95_ms:.0f} ms"
    logs = ", ".join(f"{log.service} {log.errors}" for log in watch.watched)
    samples = count(len(watch.samples), "sample")
    down = "".join(f" {log.service} did not run at the end." for log in watch.watched if log.stopped)
    return (
        f"{samples} of health and logs over {duration.told(watch.lasted_s)}{p95}. "
        f"Errors in the logs: {logs or 'no log was watched'}.{down}"
    )
