"""BullMQ's queues as Redis shows them: who takes jobs, what waits and since when.

Keys, names and timings as seen of BullMQ 6.7.0 and 5.81.5 on Redis 7.0.15. A job's `data` holds personal data
and is never read.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from acceptance.errors import UnavailableError
from acceptance.facts.base import Fact, Noun, Source

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.facts.containers import Containers
    from acceptance.transports.redis import Request

ENDS = 50
"""How many jobs are looked at from each end of a list: workers take from the right, where the oldest job
normally is; recovered and last-in-first-out jobs are put there too."""
BLOCKED_AT_MOST_S = 15
"""A worker without work asks Redis for a job, blocks for 5 s (10 s if jobs are delayed), and asks again."""
ASKS_AGAIN_WITHIN_S = 5
"""A worker that got its answer and took no job asks again at once."""
STARTING_S = 30
"""How long after its start a worker's traces may still be missing."""
STALLED_AFTER_S = 60
"""A job that lost its lock is given back by the stalled check within two of its intervals of 30 s."""

_FIELDS = ("timestamp", "processedOn", "delay", "ats")
_SCHEDULED = re.compile(r"repeat:.*:(\d{13})")
_SCORES_PER_MS = 4096


class Consumer(Fact):
    """A worker's blocking connection, the only one of a worker that has a name.

    Attributes:
        name: the worker's own name, empty if it was given none.
        idle_s: since Redis last heard from it or answered it.
        blocked: True while it waits inside Redis for a job.
    """

    name: str
    idle_s: int
    blocked: bool

    @property
    def is_silent(self) -> bool:
        """True if a worker without work would have asked Redis again by now."""
        return self.idle_s > (BLOCKED_AT_MOST_S if self.blocked else ASKS_AGAIN_WITHIN_S)

    def __str__(self) -> str:
        return f"{'blocked on Redis' if self.blocked else 'not asking'}, idle {self.idle_s} s"


class Waiting(Fact):
    """A job that waits for a worker.

    Attributes:
        seconds: for how long; too much for a job that was delayed first, because BullMQ then forgets that.
    """

    id: str
    seconds: float


class Active(Fact):
    """A job that a worker has taken.

    Attributes:
        seconds: since it was taken; None if it was finished while the suite looked.
    """

    id: str
    seconds: float | None
    locked: bool


class Queue(Fact):
    """One queue.

    Attributes:
        waiting: jobs in `wait` and, of a paused queue of BullMQ 5, in `paused`.
        oldest: the job that waited longest, of the `ENDS` at each end; overdue delayed jobs count.
        active_jobs: the first `ENDS` of the active ones.
        stalled_check_ms: until the mark of the last stalled check ends, whose interval is 30 s; None
            without the mark.
    """

    name: str
    paused: bool
    waiting: int
    prioritized: int
    delayed: int
    active: int
    oldest: Waiting | None
    active_jobs: tuple[Active, ...]
    stalled_check_ms: int | None
    consumers: tuple[Consumer, ...]

    @property
    def is_busy(self) -> bool:
        """True if somebody works: jobs are active, and each has its lock or the stalled check still runs."""
        locked = bool(self.active_jobs) and all(job.locked for job in self.active_jobs)
        return locked or (self.active > 0 and self.stalled_check_ms is not None)

    @property
    def is_consumed(self) -> bool:
        """True if a worker is connected and shows a sign of life."""
        asking = any(not consumer.is_silent for consumer in self.consumers)
        return asking or (bool(self.consumers) and self.is_busy)

    @property
    def state(self) -> str:
        """What is known about its workers, in a few words."""
        workers = "; ".join(map(str, self.consumers)) or "no worker is connected"
        locks = sum(job.locked for job in self.active_jobs)
        check = "no stalled check" if self.stalled_check_ms is None else "stalled check"
        return f"{self.name}: {workers}; {self.active} active with {locks} locks; {check}"

    @property
    def backlog(self) -> str:
        """What waits, in a few words."""
        counted = self.waiting + self.prioritized
        oldest = f", the oldest ({self.oldest.id}) for {self.oldest.seconds:.0f} s" if self.oldest else ""
        return f"{self.name}: {counted} waiting{oldest}"

    def stalled(self, worker_runs_s: float) -> tuple[Active, ...]:
        """Return the active jobs that a running worker should have given back by now."""
        return tuple(
            job
            for job in self.active_jobs
            if not job.locked
            and job.seconds is not None
            and min(job.seconds, worker_runs_s) > STALLED_AFTER_S
        )


class Queues(Fact):
    """Every queue below the prefix: those with a `meta` key, and those a worker is connected for.

    Attributes:
        at: when, by Redis's clock; every age is by that clock.
    """

    at: datetime
    prefix: str
    all: tuple[Queue, ...]

    @property
    def source(self) -> Source:
        """Where they were seen."""
        return Source(
            where=f"Redis, keys {self.prefix}:*",
            again=f"redis-cli CLIENT LIST; redis-cli LRANGE {self.prefix}:QUEUE:wait -{ENDS} -1",
        )

    def judged(self, declared: Collection[str]) -> tuple[Queue, ...]:
        """Return the declared queues, or all of them if none is declared.

        Raises:
            UnavailableError: a declared queue does not exist.
        """
        missing = sorted(set(declared) - {queue.name for queue in self.all})
        if missing:
            raise UnavailableError(
                f"there is no queue {', '.join(missing)}",
                "correct worker.queues and redis.prefix in the target",
            )
        return tuple(queue for queue in self.all if not declared or queue.name in declared)

    def running_s(self, containers: Containers, service: str) -> float:
        """Return for how long the worker has been running since it was last started by somebody.

        One that the engine restarted by itself counts as running for ever: it is no excuse.
        """
        started = [
            (self.at - datetime.fromisoformat(one.started_at)).total_seconds()
            for one in containers.of(service)
            if one.runs and one.restart_count == 0
        ]
        return min(started, default=float("inf"))

    def unconsumed(self, queues: Iterable[Queue], worker_runs_s: float) -> tuple[str, ...]:
        """Say of each queue that nobody consumes what is known about its workers.

        Raises:
            UnavailableError: every one of them lacks only a connected worker, and the worker has only
                just been started.
        """
        dead = [queue for queue in queues if not queue.is_consumed]
        found = tuple(queue.state for queue in dead)
        if dead and worker_runs_s < STARTING_S and not any(queue.consumers for queue in dead):
            raise UnavailableError(
                f"the worker started {worker_runs_s:.0f} s ago; not there yet: {'; '.join(found)}",
                "run again in a minute",
            )
        return found

    def overdue(self, queues: Iterable[Queue], allowed_s: float) -> tuple[str, ...]:
        """Say of each queue whose oldest waiting job is older than allowed how old it is."""
        return tuple(
            queue.backlog for queue in queues if queue.oldest is not None and queue.oldest.seconds > allowed_s
        )

    def stalled(self, queues: Iterable[Queue], worker_runs_s: float) -> tuple[str, ...]:
        """Name the active jobs that nobody works on and nobody gives back."""
        return tuple(
            f"{queue.name}: job {job.id} for {job.seconds:.0f} s"
            for queue in queues
            for job in queue.stalled(worker_runs_s)
        )


def consumers(clients: Iterable[Mapping[str, str]], prefix: str) -> dict[str, tuple[Consumer, ...]]:
    """Return the workers' connections by queue, from CLIENT LIST; pure.

    A worker's connection is named `PREFIX:BASE64(QUEUE)`, with `:w:NAME` behind it if the worker has a name;
    `:qe` behind it is somebody who listens to events.
    """
    found: dict[str, list[Consumer]] = {}
    for client in clients:
        match = re.fullmatch(rf"{re.escape(prefix)}:([A-Za-z0-9+/]+=*)(?::w:(.*))?", client.get("name", ""))
        queue = _decoded(match[1]) if match else ""
        if match and queue:
            consumer = Consumer(
                name=match[2] or "", idle_s=int(client["idle"]), blocked="b" in client.get("flags", "")
            )
            found.setdefault(queue, []).append(consumer)
    return {queue: tuple(entries) for queue, entries in found.items()}


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def waited_s(id_: str, fields: Sequence[str | None], now_ms: int) -> float | None:
    """Return for how many seconds a job has waited, from `_FIELDS` of its hash; None if it is gone; pure.

    A retried job waits since it was last taken, one of a scheduler since it was due.
    """
    added, taken, delay, _ = (int(value) if value else 0 for value in fields)
    if not added:
        return None
    scheduled = _SCHEDULED.fullmatch(id_)
    since = max(added + delay, taken, int(scheduled[1]) if scheduled else 0)
    return max(0.0, (now_ms - since) / 1000)


@dataclass(frozen=True)
class _Contents:
    """What is in a queue: the first of two steps; the second asks what the jobs' hashes say."""

    paused: bool
    stalled_check_ms: int | None
    waiting_count: int
    active_count: int
    prioritized: int
    delayed: int
    next_delayed: Sequence[str]
    active: Sequence[str]
    waiting: Sequence[str]


def _ask_contents(key: str) -> list[Request]:
    return [
        ("HMGET", f"{key}:meta", "paused"),
        ("PTTL", f"{key}:stalled-check"),
        ("LLEN", f"{key}:wait"),
        ("LLEN", f"{key}:paused"),
        ("LLEN", f"{key}:active"),
        ("ZCARD", f"{key}:prioritized"),
        ("ZCARD", f"{key}:delayed"),
        ("ZRANGE", f"{key}:delayed", 0, 0, "WITHSCORES"),
        ("LRANGE", f"{key}:active", 0, ENDS - 1),
        *(
            (command, f"{key}:{name}", *ends)
            for command, name in (("LRANGE", "wait"), ("LRANGE", "paused"), ("ZRANGE", "prioritized"))
            for ends in ((-ENDS, -1), (0, ENDS - 1))
        ),
    ]


def _contents(replies: Sequence[Any]) -> _Contents:
    (paused,), expires_ms, wait, held, active_count, prioritized, delayed = replies[:7]
    next_delayed, active, *waiting = replies[7:]
    return _Contents(
        paused=paused == "1" or held > 0,
        stalled_check_ms=expires_ms if expires_ms >= 0 else None,
        waiting_count=wait + held,
        active_count=active_count,
        prioritized=prioritized,
        delayed=delayed,
        next_delayed=next_delayed,
        active=active,
        waiting=sorted({job for jobs in waiting for job in jobs}),
    )


def _ask_jobs(key: str, contents: _Contents) -> list[Request]:
    """Ask for the jobs' times and locks, and last what is active still: a job may end meanwhile."""
    return [
        *(("HMGET", f"{key}:{job}", *_FIELDS) for job in (*contents.waiting, *contents.active)),
        *(("EXISTS", f"{key}:{job}:lock") for job in contents.active),
        ("LRANGE", f"{key}:active", 0, -1),
    ]


def _queue(
    name: str,
    contents: _Contents,
    replies: Sequence[Any],
    workers: tuple[Consumer, ...],
    now_ms: int,
) -> Queue:
    first_active, first_lock = len(contents.waiting), len(contents.waiting) + len(contents.active)
    taken, locks, still = replies[first_active:first_lock], replies[first_lock:-1], set(replies[-1])
    active = zip(contents.active, taken, locks, strict=True)
    return Queue(
        name=name,
        paused=contents.paused,
        waiting=contents.waiting_count,
        prioritized=contents.prioritized,
        delayed=contents.delayed,
        active=contents.active_count,
        oldest=_oldest(contents, replies[:first_active], now_ms),
        active_jobs=tuple(
            Active(id=job, seconds=_since_taken(fields, now_ms), locked=bool(locked))
            for job, fields, locked in active
            if job in still
        ),
        stalled_check_ms=contents.stalled_check_ms,
        consumers=workers,
    )


def _oldest(contents: _Contents, hashes: Sequence[Sequence[str | None]], now_ms: int) -> Waiting | None:
    found = {job: waited_s(job, fields, now_ms) for job, fields in zip(contents.waiting, hashes, strict=True)}
    if contents.next_delayed:
        job, score = contents.next_delayed
        late_s = (now_ms - int(float(score)) // _SCORES_PER_MS) / 1000
        found[job] = late_s if late_s > 0 else None
    jobs = [Waiting(id=job, seconds=age) for job, age in found.items() if age is not None]
    return max(jobs, key=lambda job: job.seconds, default=None)


def _since_taken(fields: Sequence[str | None], now_ms: int) -> float | None:
    return (now_ms - int(fields[1])) / 1000 if fields[1] else None


async def _names(access: Access, prefix: str) -> set[str]:
    pattern = re.sub(r"([\[\]?*\\])", r"\\\1", prefix) + ":*:meta"
    keys: set[str] = set()
    cursor = -1
    while cursor != 0:
        scan: Request = ("SCAN", max(cursor, 0), "MATCH", pattern, "COUNT", 5000, "TYPE", "hash")
        ((cursor, found),) = await access.redis.send([scan])
        keys |= set(found)
    names = {key[len(prefix) + 1 : -len(":meta")] for key in keys}
    return {name for name in names if ":" not in name}


async def _ask(access: Access, batches: Sequence[list[Request]]) -> list[list[Any]]:
    """Send several batches in one go and return each one's replies."""
    replies = iter(await access.redis.send([request for batch in batches for request in batch]))
    return [[next(replies) for _ in batch] for batch in batches]


async def collect(access: Access) -> Queues:
    """Find the queues and look into each.

    Raises:
        UnavailableError: Redis cannot be asked, or holds no queue.
    """
    prefix = access.target.redis.prefix
    found = await _names(access, prefix)
    (seconds, microseconds), clients = await access.redis.send([("TIME",), ("CLIENT LIST",)])
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    workers = consumers(clients, prefix)
    names = sorted(found | workers.keys())
    if not names:
        unsure = "assumed name not found: " if access.target.is_assumed("redis.prefix") else ""
        raise UnavailableError(
            f"{unsure}Redis holds no BullMQ queue with the prefix {prefix}",
            "correct redis.prefix in the target",
        )
    keys = [f"{prefix}:{name}" for name in names]
    contents = [_contents(replies) for replies in await _ask(access, [_ask_contents(key) for key in keys])]
    jobs = await _ask(access, [_ask_jobs(*pair) for pair in zip(keys, contents, strict=True)])
    return Queues(
        at=datetime.fromtimestamp(now_ms / 1000, UTC),
        prefix=prefix,
        all=tuple(
            _queue(name, inside, replies, workers.get(name, ()), now_ms)
            for name, inside, replies in zip(names, contents, jobs, strict=True)
        ),
    )


NOUN = Noun("queues", Queues, collect, sources=("redis",), needs=("containers",))
