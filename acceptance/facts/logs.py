"""Each container's log since its start, reduced to what it says about errors."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.excerpt import cut
from acceptance.facts import containers
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.facts.containers import Container, engine_problem, nanoseconds
from acceptance.facts.log_patterns import Dialect, ErrorKind, Scanner, excerpt
from acceptance.guard.commands import CONTAINER_LOG, CONTAINERS_INSPECT, Call, call

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.sections.compose import Service
    from acceptance.transports.host import Result

GREETING_S = 60.0
"""PostgreSQL, Redis and Next.js say that they start; a log that begins later has lost its beginning."""

EXAMPLES = 5
"""How many lines of one kind are kept as evidence; all are counted."""

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
"""What `docker logs --timestamps` puts before each line."""

NOT_READABLE = "logging driver does not support reading"
"""Docker's words for the log drivers `none`, `syslog` and others; a fact about the container."""

_KINDS = ("app", "worker", "postgres", "redis")
_CHUNK = 1024 * 1024
_TRAILER = re.compile(r"exit (\d+)")


class Occurrence(Fact):
    """One error as the log shows it.

    Attributes:
        at: Docker's timestamp.
        line: counted from 1 in what was read.
        judged: False if it happened before the window that is judged.
    """

    kind: ErrorKind
    at: str
    line: int
    excerpt: str
    judged: bool


class ContainerLog(Fact):
    """One container's log.

    Attributes:
        since: what was asked for: the container's start, for PostgreSQL the application's if earlier.
        judged_since: what is judged; earlier errors are counted apart.
        refusal: Docker's words if the log driver keeps nothing readable; empty if it was read.
        bytes: uncompressed, timestamps included.
        first, last: timestamps of the first and last line; empty if there is none.
        started: when the container started.
        greets: whether what runs in it always says something when it starts.
        judged, earlier: errors of each kind in the window and before it.
        examples: the first few of each kind, and all that is kept of them.
    """

    service: str
    container: str
    since: str
    judged_since: str
    refusal: str
    lines: int
    bytes: int
    first: str
    last: str
    started: str
    greets: bool
    judged: dict[ErrorKind, int]
    earlier: dict[ErrorKind, int]
    examples: tuple[Occurrence, ...]

    @property
    def source(self) -> Source:
        """Where it was read."""
        return Source(
            where=f"log of container {self.container} since {self.judged_since}",
            again=f"as root: docker logs --timestamps --since {self.judged_since} {self.container}",
        )

    @property
    def was_read(self) -> bool:
        """True if the log driver keeps a log and there was something in it."""
        return not self.refusal and self.lines > 0

    @property
    def begun_late_s(self) -> float:
        """How many seconds after the container's start the first line was written; 0 if it was before."""
        if not self.first:
            return 0.0
        return max(0, nanoseconds(self.first) - nanoseconds(self.started)) / 1e9

    @property
    def is_headless(self) -> bool:
        """True if the beginning is certainly gone: what always greets did not within a minute."""
        return self.greets and self.begun_late_s > GREETING_S

    @property
    def extent(self) -> str:
        """How much was read, in a few words."""
        if self.refusal:
            return f"not readable: {self.refusal}"
        if not self.lines:
            return f"empty since {self.since}"
        late = self.begun_late_s
        silent = f", the first {late:.0f} s after the start" if late > GREETING_S else ""
        return f"{self.lines} lines from {self.first} to {self.last}{silent}"

    def count(self, *kinds: ErrorKind) -> int:
        """Return the number of errors of these kinds in the judged window."""
        return sum(self.judged.get(kind, 0) for kind in kinds)

    def describe(self, *kinds: ErrorKind) -> str:
        """Say what was seen of these kinds: how often, the first lines, and in how large a log."""
        told = [f"{self.judged[kind]}× {kind}" for kind in kinds if self.judged.get(kind)] or ["none"]
        shown = [
            f"{one.at} (line {one.line}) {one.excerpt}"
            for one in self.examples
            if one.judged and one.kind in kinds
        ]
        before = sum(self.earlier.get(kind, 0) for kind in kinds)
        earlier = f"; {before} before {self.judged_since}, not judged" if before else ""
        return "\n".join([f"{', '.join(told)} in {self.extent}{earlier}", *shown])


class Logs(Fact):
    """The logs of the four services."""

    services: dict[str, Attempt[ContainerLog]]

    def the(self, service: str) -> ContainerLog:
        """Return a service's log, readable or not.

        Raises:
            UnavailableError: it could not be asked for.
        """
        return known(self.services[service])

    def evidence(self, service: str) -> ContainerLog:
        """Return a service's log if it can testify.

        Raises:
            UnavailableError: it could not be read, is empty, or has lost its beginning, so that it proves no
                absence.
        """
        log = self.the(service)
        if not log.was_read:
            raise UnavailableError(f"the log of {service} proves nothing: {log.extent}")
        if log.is_headless:
            raise UnavailableError(
                f"the log of {service} proves nothing: its beginning is gone ({log.extent})",
                "let the log driver keep more, or restart the container and judge what it says from then on",
            )
        return log


class Inflated:
    """Lines of a gzip stream without Docker's exit code, which is its last line.

    Attributes:
        code: docker's exit code once all lines were taken; None if the stream was cut off before.
    """

    def __init__(self, compressed: bytes) -> None:
        self._compressed = compressed
        self.code: int | None = None

    def __iter__(self) -> Iterator[str]:
        held: str | None = None
        for line in self._lines():
            if held is not None:
                yield held
            held = line
        trailer = _TRAILER.fullmatch(held or "")
        self.code = int(trailer[1]) if trailer else None

    def _lines(self) -> Iterator[str]:
        rest = b""
        for chunk in self._chunks():
            whole, line_break, unfinished = chunk.rpartition(b"\n")
            if line_break:
                yield from (rest + whole).decode("utf-8", errors="replace").split("\n")
                rest = b""
            rest += unfinished

    def _chunks(self) -> Iterator[bytes]:
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        data = self._compressed
        try:
            while data:
                yield inflater.decompress(data, _CHUNK)
                data = inflater.unconsumed_tail
            yield inflater.flush()
        except zlib.error as error:
            raise UnavailableError(f"container-log: the answer is damaged ({error})") from error


class _Tally:
    """What is counted while a log is read."""

    def __init__(self, dialect: Dialect, judged_since: str) -> None:
        self._scanner = Scanner(dialect)
        self._from = nanoseconds(judged_since)
        self.lines = self.bytes = 0
        self.first = self.last = ""
        self.judged: Counter[ErrorKind] = Counter()
        self.earlier: Counter[ErrorKind] = Counter()
        self.examples: list[Occurrence] = []
        self.unstamped = ""

    def take(self, line: str) -> None:
        """Count one line."""
        stamp, _, text = line.partition(" ")
        if STAMP.fullmatch(stamp) is None:
            self.unstamped = line.strip() or self.unstamped
            return
        self.lines += 1
        self.bytes += 1 + (len(line) if line.isascii() else len(line.encode()))
        self.last = stamp
        self.first = self.first or stamp
        for kind in sorted(self._scanner.feed(text)):
            self._note(kind, text)

    def _note(self, kind: ErrorKind, text: str) -> None:
        judged = nanoseconds(self.last) >= self._from
        counter = self.judged if judged else self.earlier
        counter[kind] += 1
        if counter[kind] <= EXAMPLES:
            self.examples.append(
                Occurrence(kind=kind, at=self.last, line=self.lines, excerpt=excerpt(text), judged=judged)
            )


def read(
    result: Result, service: Service, container: Container, dialect: Dialect, judged_since: str
) -> ContainerLog:
    """Turn the answer of the declared command into the fact.

    Raises:
        UnavailableError: the log was cut off, or docker could not be asked.
    """
    result.answered()
    if not result.stdout:
        raise UnavailableError(
            f"the log of {service.name}: no answer ({result.stderr.strip() or 'no message'})"
        )
    tally = _Tally(dialect, judged_since)
    inflated = Inflated(result.stdout)
    for line in inflated:
        tally.take(line)
    if inflated.code is None:
        limit = result.call.arguments[-1]
        raise UnavailableError(
            f"the log of {service.name} was cut off: it is longer than {limit} bytes compressed",
            "raise logs.max_bytes in the target file, or rotate the log",
        )
    return ContainerLog(
        service=service.name,
        container=container.name,
        since=result.call.arguments[2],
        judged_since=judged_since,
        refusal=_refusal(inflated.code, tally.unstamped, service.name),
        lines=tally.lines,
        bytes=tally.bytes,
        first=tally.first,
        last=tally.last,
        started=container.started_at,
        greets=service.kind != "worker",
        judged=dict(tally.judged),
        earlier=dict(tally.earlier),
        examples=tuple(tally.examples),
    )


def _refusal(code: int, message: str, service: str) -> str:
    if code == 0:
        return ""
    if NOT_READABLE in message:
        return message
    said = f"the log of {service}: docker exit code {code} ({cut(message, 200)})"
    raise UnavailableError(*(engine_problem(message) or (said,)))


def window(service: Service, container: Container, app: Container | None) -> tuple[str, str]:
    """Return since when a container's log is read and since when it is judged; pure.

    PostgreSQL is judged since the application's start, because the plan restarts the application after a
    change of the schema: what it asked for before may have been missing then. Everything else is judged
    since its own start.
    """
    if service.kind != "postgres" or app is None or app.started_at == containers.NEVER_STARTED:
        return container.started_at, container.started_at
    return min(container.started_at, app.started_at, key=nanoseconds), app.started_at


_DIALECTS: dict[str, Dialect] = {
    "app": "application",
    "worker": "application",
    "postgres": "postgres",
    "redis": "redis",
}


def _started(found: Iterable[Container], service: Service) -> Container | None:
    candidates = [one for one in found if one.service == service.name and not one.one_off]
    return max(candidates, key=lambda one: nanoseconds(one.started_at), default=None)


async def collect(access: Access) -> Logs:
    """Read the logs of the application, the worker, PostgreSQL and Redis.

    Raises:
        UnavailableError: the Docker engine cannot be asked at all.
    """
    target = access.target
    (inspected,) = await access.host.run(call(CONTAINERS_INSPECT, *containers.inspect_arguments(target)))
    _, found = containers.read(inspected, access)
    services = [target.compose.of_kind(kind) for kind in _KINDS]
    app = _started(found, services[0])
    answers: dict[str, Attempt[ContainerLog]] = {}
    asked: list[tuple[Service, Container, str, Call]] = []
    for service in services:
        container = _started(found, service)
        if container is None or container.started_at == containers.NEVER_STARTED:
            answers[service.name] = Unavailable(reason=f"{service.name} has no container that ever started")
            continue
        since, judged_since = window(service, container, app)
        docker, limit = target.server.tools.docker, target.logs.max_bytes
        asked.append(
            (service, container, judged_since, call(CONTAINER_LOG, docker, container.id, since, limit))
        )
    results = await access.host.run(*(one[3] for one in asked)) if asked else ()
    access.host.done()
    for (service, container, judged_since, _), result in zip(asked, results, strict=True):
        answers[service.name] = await asyncio.to_thread(_attempt, result, service, container, judged_since)
    return Logs(services={service.name: answers[service.name] for service in services})


def _attempt(
    result: Result, service: Service, container: Container, judged_since: str
) -> Known[ContainerLog] | Unavailable:
    try:
        return Known(value=read(result, service, container, _DIALECTS[service.kind], judged_since))
    except UnavailableError as error:
        return Unavailable.of(error)


NOUN = Noun("logs", Logs, collect, sources=("engine",), host=True, teaches=True)
