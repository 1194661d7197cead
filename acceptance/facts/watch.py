"""Health and logs over time: samples taken again and again for as long as the operator or the target says."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from acceptance import duration
from acceptance.errors import UnavailableError
from acceptance.excerpt import cut
from acceptance.facts import health
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.facts.watched_log import Follower, Instance, WatchedLog, instances, newest
from acceptance.guard.commands import WATCH_CONTAINER, WATCH_LOG, WATCH_PROJECT, Call, call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acceptance.access import Access
    from acceptance.target import Target
    from acceptance.transports.host import Result

BURST_WITHIN_S = 60.0
"""The burst that ends a watch is counted over so many seconds."""

SET_BACK_S = 1.0
"""A clock that falls behind by more between two looks was set back; the reads of a log overlap by more."""

_CRM = ("app", "worker")
_WEBSITE = "website"


class Sample(Fact):
    """One look at the health endpoint, and what the logs have told since the one before.

    Attributes:
        at: by the server's clock; reckoned from an earlier sample if the server did not tell it.
        latency_ms: until the last byte; None if there was no answer.
        said: the answer's status and word, or why there was none.
        well: whether the endpoint itself answered and said that all is well.
        errors: that began in each log, by its key in `Watch.logs`; those without any are left out.
    """

    at: datetime
    latency_ms: float | None
    said: str
    well: bool
    errors: dict[str, int]

    @property
    def is_ill(self) -> bool:
        """True if there was an answer, and not a good one."""
        return self.latency_ms is not None and not self.well


class Watch(Fact):
    """What was seen over time.

    Attributes:
        url: the health endpoint.
        planned_s, interval_s: how long it was to be watched, and how often.
        burst: so many troubles within a minute end it.
        begun, until: by the server's clock.
        ended: why: its time was over, there was a burst, or the operator interrupted it.
        logs: of `app`, `worker` and `website`.
    """

    url: str
    planned_s: float
    interval_s: float
    burst: int
    begun: datetime
    until: datetime
    ended: Literal["time", "burst", "interrupted"]
    samples: tuple[Sample, ...]
    logs: dict[str, Attempt[WatchedLog]]

    @property
    def lasted_s(self) -> float:
        """How long it was watched by the server's clock, in seconds; 0 if that was set back."""
        return max(0.0, (self.until - self.begun).total_seconds())

    @property
    def told(self) -> str:
        """How long it was watched and how it ended, for people."""
        planned = duration.told(self.planned_s)
        if self.ended == "time":
            return planned
        why = "interrupted" if self.ended == "interrupted" else f"{self.burst} troubles within a minute"
        return f"{duration.told(self.lasted_s)} of {planned} (ended early: {why})"

    @property
    def source(self) -> Source:
        """Where health was sampled."""
        return Source(
            where=f"{len(self.samples)} × GET {self.url}, {self._window}", again=f"curl -sS -i {self.url}"
        )

    def source_of(self, log: WatchedLog) -> Source:
        """Where a log was followed."""
        span = f"--since {self.begun:%Y-%m-%dT%H:%M:%S}Z --until {self.until:%Y-%m-%dT%H:%M:%S}Z"
        return Source(
            where=f"log of container {log.container}, {self._window}",
            again=f"as root: docker logs --timestamps {span} {log.container}",
        )

    def state_of(self, log: WatchedLog) -> Source:
        """Where the state of a log's container was seen."""
        shown = "{{.State.Status}} {{.RestartCount}} {{.State.StartedAt}}"
        return Source(
            where=f"container {log.container}, {self._window}",
            again=f"as root: docker inspect -f '{shown}' {log.container}",
        )

    @property
    def _window(self) -> str:
        return f"{self.begun:%Y-%m-%d %H:%M:%S} to {self.until:%H:%M:%S} UTC"

    def the(self, instance: str) -> WatchedLog:
        """Return what the log of `app`, `worker` or `website` told.

        Raises:
            UnavailableError: it was not watched.
        """
        return known(self.logs[instance])

    def was_ill(self) -> bool:
        """Tell whether any answer of the health endpoint was not a good one.

        Raises:
            UnavailableError: none was, but some samples had no answer, or there is no sample at all.
        """
        if any(sample.is_ill for sample in self.samples):
            return True
        missing = [sample for sample in self.samples if sample.latency_ms is None]
        if missing or not self.samples:
            why = missing[0].said if missing else "it was not asked"
            raise UnavailableError(
                f"health was not seen in {len(missing)} of {len(self.samples)} samples ({why})",
                "see whether the way from here to the public name is good, then watch again",
            )
        return False

    @property
    def p95_ms(self) -> float | None:
        """The 95th percentile of the latencies by the nearest-rank method; None if nothing answered."""
        seen = sorted(one.latency_ms for one in self.samples if one.latency_ms is not None)
        return seen[math.ceil(0.95 * len(seen)) - 1] if seen else None

    @property
    def health(self) -> str:
        """What health was like, for people."""
        ill = [sample for sample in self.samples if sample.is_ill]
        silent = [sample for sample in self.samples if sample.latency_ms is None]
        p95 = "" if self.p95_ms is None else f", 95 % answered within {self.p95_ms:.0f} ms"
        first = [f"{one.at:%H:%M:%S} {one.said}" for one in (*ill, *silent)[:3]]
        return "\n".join(
            [
                f"{len(self.samples) - len(ill) - len(silent)} of {len(self.samples)} samples well, "
                f"{len(ill)} ill, {len(silent)} without an answer{p95}",
                *first,
            ]
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """What an operator should know of it: errors, ill health, what was missed and restarts."""
        found = []
        ill = sum(sample.is_ill for sample in self.samples)
        if ill:
            found.append(f"health was ill in {ill} of {len(self.samples)} samples")
        for log in self.watched:
            found += [f"{log.count} in {log.service}"] if log.errors else []
            found += [f"{log.service}: {crash}" for crash in log.crashes]
            found += [f"the log of {log.service} was missed in part"] if log.gaps else []
        return tuple(found)

    @property
    def watched(self) -> tuple[WatchedLog, ...]:
        """The logs that were followed."""
        return tuple(log.value for log in self.logs.values() if isinstance(log, Known))

    @property
    def unwatched(self) -> tuple[str, ...]:
        """Why any other log was not."""
        return tuple(log.reason for log in self.logs.values() if isinstance(log, Unavailable))


class Clock:
    """The server's time, told by it or reckoned from when it last told it."""

    def __init__(self) -> None:
        self._told: tuple[datetime, float] | None = None

    def set(self, at: str, asked: float) -> float:
        """Take the server's time and tell by how many seconds it was set back since it was told last.

        Args:
            at: the server's time.
            asked: when it was asked for, by the operator's monotonic clock.
        """
        before, self._told = self._told, (datetime.fromisoformat(at), time.monotonic())
        if before is None:
            return 0.0
        lost = asked - before[1] - (self._told[0] - before[0]).total_seconds()
        return lost if lost > SET_BACK_S else 0.0

    def now(self) -> datetime:
        """Return the server's time now; the operator's as long as the server has told none."""
        if self._told is None:
            return datetime.now(UTC)
        at, when = self._told
        return at + timedelta(seconds=time.monotonic() - when)


class _Course:
    """One watch: takes samples until its time is over or there is a burst."""

    def __init__(self, access: Access, planned_s: float) -> None:
        self._access = access
        self._target = access.target
        self._settings = access.target.watch
        self._planned_s = planned_s
        self._started = time.monotonic()
        self._clock = Clock()
        self._begun: datetime | None = None
        self._samples: list[Sample] = []
        self._recent: deque[tuple[float, int]] = deque()
        self._ended: Literal["time", "burst", "interrupted"] = "time"
        self._followers = {kind: Follower(self._target.compose.of_kind(kind).name) for kind in _CRM}
        if website := _website(self._target):
            self._followers[_WEBSITE] = Follower(website)

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    async def run(self) -> None:
        """Take samples; a cancellation ends it as the operator's interruption, with what it has.

        Raises:
            UnavailableError: the first look at the server failed.
        """
        await self._follow()
        self._started, self._begun = time.monotonic(), self._clock.now()
        services = ", ".join(follower.service for follower in self._followers.values())
        self._access.meter.begin(f"watching health and the logs of {services}", self._planned_s)
        try:
            more = await self._sample()
            while more:
                await asyncio.sleep(self._pause())
                more = await self._sample()
        except asyncio.CancelledError:
            self._ended = "interrupted"
        self._access.meter.end(self._elapsed, self._note)

    async def _sample(self) -> bool:
        """Take one sample and tell whether there is another one to come."""
        before = {name: follower.errors for name, follower in self._followers.items()}
        last = self._elapsed >= self._planned_s
        answer, failure = await asyncio.gather(self._health(), self._attempt())
        if failure is not None:
            for follower in self._followers.values():
                follower.fail(failure)
        grown = {name: one.errors - before[name] for name, one in self._followers.items()}
        sample = answer.model_copy(
            update={"at": self._clock.now(), "errors": {name: n for name, n in grown.items() if n}}
        )
        self._samples.append(sample)
        self._access.meter.show(self._elapsed, self._note)
        if self._bursts(sample):
            self._ended = "burst"
            return False
        return not last

    def _pause(self) -> float:
        """Return how long to wait: until the next multiple of the interval, or the end."""
        interval = self._settings.interval_s
        following = (math.floor(self._elapsed / interval) + 1) * interval
        return max(0.0, min(following, self._planned_s) - self._elapsed)

    def _bursts(self, sample: Sample) -> bool:
        self._recent.append((self._elapsed, sum(sample.errors.values()) + sample.is_ill))
        while self._recent[0][0] < self._elapsed - BURST_WITHIN_S:
            self._recent.popleft()
        return sum(troubles for _, troubles in self._recent) >= self._settings.burst

    @property
    def _note(self) -> str:
        noisy = [f"{one.service} {one.errors}" for one in self._followers.values() if one.errors]
        told = [f"{one.service} down" for one in self._followers.values() if one.stopped]
        told.append(f"errors: {', '.join(noisy)}" if noisy else "no error")
        if self._samples:
            last = self._samples[-1]
            told.insert(0, f"health {_latency(last) if last.well else last.said}")
        return ", ".join(told)

    async def _health(self) -> Sample:
        path = self._target.health.path
        at = self._clock.now()
        try:
            answer = await self._access.http.send("health-public", path=path)
        except UnavailableError as error:
            return Sample(at=at, latency_ms=None, said=error.reason, well=False, errors={})
        seen = health.read(answer, "")
        state = cut(seen.state, 40)
        return Sample(
            at=at,
            latency_ms=round(answer.seconds * 1000, 1),
            said=f"HTTP {seen.http_status}, {f'status {state}' if state else 'no status'}",
            well=seen.is_report and seen.state.lower() in health.WELL,
            errors={},
        )

    async def _attempt(self) -> UnavailableError | None:
        try:
            await self._follow()
        except UnavailableError as error:
            return error
        return None

    async def _follow(self) -> None:
        """See which containers there are and read what their logs have told since.

        Raises:
            UnavailableError: the server could not be asked.
        """
        asked = self._questions(list(self._followers))
        states, asked_at = self._states(), time.monotonic()
        results = await self._access.host.run(*states, *asked.values())
        at, found = self._look(results[: len(states)])
        heard = dict(zip(asked, results[len(states) :], strict=True))
        fresh = {name for name, follower in self._followers.items() if follower.see(found[name], at)}
        if by_s := self._clock.set(at, asked_at):
            fresh |= self._set_back(at, by_s)
        again = self._questions(sorted(fresh))
        answers = await self._access.host.run(*again.values()) if again else ()
        heard.update(zip(again, answers, strict=True))
        for name, result in heard.items():
            self._followers[name].hear(result, at)

    def _set_back(self, at: str, by_s: float) -> set[str]:
        """Have each log be read from its end anew; return whose."""
        for follower in self._followers.values():
            follower.set_back(at, by_s)
        return {*self._followers}

    def _look(self, results: Sequence[Result]) -> tuple[str, dict[str, Instance | None]]:
        """Return the server's time and the container of each service.

        Raises:
            UnavailableError: docker could not be asked.
        """
        at, project = instances(results[0])
        found = {
            name: newest([one for one in project if one.service == follower.service])
            for name, follower in self._followers.items()
        }
        if _WEBSITE in self._followers:
            found[_WEBSITE] = newest(instances(results[1])[1])
        return at, found

    def _states(self) -> list[Call]:
        docker = self._target.server.tools.docker
        website = _website(self._target)
        calls = [call(WATCH_PROJECT, docker, self._target.compose.project)]
        return [*calls, call(WATCH_CONTAINER, docker, website)] if website else calls

    def _questions(self, names: list[str]) -> dict[str, Call]:
        docker, limit = self._target.server.tools.docker, self._target.logs.max_bytes
        asked = {name: self._followers[name].question for name in names}
        return {
            name: call(WATCH_LOG, docker, one.id, one.since, one.limit, limit)
            for name, one in asked.items()
            if one is not None
        }

    def fact(self) -> Watch:
        """Return what was seen so far.

        Raises:
            UnavailableError: it has not begun.
        """
        if self._begun is None:
            raise UnavailableError("the watch had not begun")
        until = self._clock.now()
        logs: dict[str, Known[WatchedLog] | Unavailable] = {
            name: _attempt(follower, f"{until:%Y-%m-%dT%H:%M:%S.%fZ}")
            for name, follower in self._followers.items()
        }
        return Watch(
            url=self._access.http.url(self._target.health.path),
            planned_s=self._planned_s,
            interval_s=self._settings.interval_s,
            burst=self._settings.burst,
            begun=self._begun,
            until=until,
            ended=self._ended,
            samples=tuple(self._samples),
            logs={**logs, _WEBSITE: logs.get(_WEBSITE, _UNKNOWN_WEBSITE)},
        )


_UNKNOWN_WEBSITE = Unavailable(
    reason="website was not watched: the target does not say which container's log is the website's",
    remedy="set website.logs in the target file",
)


def _attempt(follower: Follower, until: str) -> Known[WatchedLog] | Unavailable:
    try:
        return Known(value=follower.fact(until))
    except UnavailableError as error:
        return Unavailable.of(error)


def _website(target: Target) -> str | None:
    return target.website.logs if target.website else None


def _latency(sample: Sample) -> str:
    return f"{sample.latency_ms:.0f} ms"


async def collect(access: Access) -> Watch:
    """Watch for as long as the operator asked, or the target says.

    Raises:
        UnavailableError: neither says how long, or the server could not be looked at when it began.
    """
    planned_s = access.watch_s or access.target.watch.duration_s
    if planned_s is None:
        raise UnavailableError(
            "nothing was watched: neither the operator nor the target says for how long",
            "run again with --watch 10m",
        )
    course = _Course(access, planned_s)
    await course.run()
    return course.fact()


NOUN = Noun("watch", Watch, collect, sources=("engine", "crm"), last=True)
