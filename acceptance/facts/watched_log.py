"""One container's log while it is watched: what came, what was missed, and the container's restarts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.facts.base import Fact
from acceptance.facts.containers import NEVER_STARTED, engine_problem, nanoseconds
from acceptance.facts.log_errors import ERROR, Errors
from acceptance.facts.log_patterns import excerpt
from acceptance.facts.log_tail import BEGINNING, LIMIT, Line, Tail
from acceptance.facts.logs import NOT_READABLE, STAMP, Inflated

if TYPE_CHECKING:
    from acceptance.transports.host import Result

EXAMPLES = 10
"""How many errors of one log are kept as evidence, the first ones; all are counted."""

_EVER = "1970-01-01T00:00:00Z"
_FIELDS = 7
_ABSENT = re.compile(r"no such (?:object|container)", re.IGNORECASE)
_ENDED = ("created", "exited", "dead")
_RUNS = "running"
_REMOVED = "removed"
_NO_CONTAINER = ("it has no container", "see docker ps -a, and correct the name in the target file")


@dataclass(frozen=True)
class Instance:
    """A container as a sample shows it."""

    id: str
    name: str
    service: str
    one_off: bool
    status: str
    restart_count: int
    started_at: str


class Gap(Fact):
    """A part of the log that could not be read, so that an error may have stood there."""

    since: str
    until: str
    why: str


class Restart(Fact):
    """A restart while it was watched; `by_engine` if the container had ended by itself."""

    at: str
    how: str
    by_engine: bool


class Stop(Fact):
    """That the container does not run: since which sample, and Docker's word for its state, or `removed`."""

    at: str
    status: str


class Example(Fact):
    """A line that tells of an error, with Docker's timestamp."""

    at: str
    excerpt: str


class WatchedLog(Fact):
    """What one container's log told while it was watched.

    Attributes:
        lines: that came meanwhile.
        errors: that began in them; `kinds` tells which, and one may be of two.
        stopped: if it did not run when the watch ended, and since when.
        had_lines: whether the log ever held a line, before the watch too.
    """

    service: str
    container: str
    lines: int
    errors: int
    kinds: dict[str, int]
    examples: tuple[Example, ...]
    gaps: tuple[Gap, ...]
    restarts: tuple[Restart, ...]
    stopped: Stop | None
    had_lines: bool

    def were_errors(self) -> bool:
        """Tell whether there was an error.

        Raises:
            UnavailableError: none was seen, but one could have been missed.
        """
        if self.errors:
            return True
        if self.gaps:
            gap = self.gaps[0]
            raise UnavailableError(
                f"a part of the log of {self.service} was missed: {gap.since} to {gap.until} ({gap.why})",
                "watch again, and leave the containers and their logs alone meanwhile",
            )
        if not self.had_lines:
            raise UnavailableError(
                f"the log of {self.service} proves nothing: it never held a line",
                f"see by hand whether {self.container} writes its errors to standard output or error",
            )
        return False

    @property
    def count(self) -> str:
        """How many errors there were, in words."""
        return {0: "no error", 1: "1 error"}.get(self.errors, f"{self.errors} errors")

    @property
    def crashes(self) -> tuple[str, ...]:
        """The restarts after the container had ended by itself, and that it does not run any more."""
        crashes = tuple(f"{one.at} {one.how}" for one in self.restarts if one.by_engine)
        if self.stopped is None:
            return crashes
        return (*crashes, f"{self.stopped.at} it did not run ({self.stopped.status}), and has not since")

    @property
    def summary(self) -> str:
        """What was seen, with the first errors, what was missed, and restarts."""
        special = [f"{number}× {kind}" for kind, number in sorted(self.kinds.items()) if kind != ERROR]
        kinds = f" ({', '.join(special)})" if special else ""
        return "\n".join(
            [
                f"{self.count}{kinds} in {self.lines} {'line' if self.lines == 1 else 'lines'}",
                *(f"{one.at} {one.excerpt}" for one in self.examples),
                *(f"missed {gap.since} to {gap.until}: {gap.why}" for gap in self.gaps),
                *(f"{one.at} {one.how}" for one in self.restarts if not one.by_engine),
                *self.crashes,
            ]
        )


def instances(result: Result) -> tuple[str, tuple[Instance, ...]]:
    """Return the server's time and the containers of a sample.

    Raises:
        UnavailableError: docker could not be asked.
    """
    if not result.timed_out and not result.truncated and result.rc != 0:
        if explained := engine_problem(result.stderr):
            raise UnavailableError(*explained)
        if not _ABSENT.search(result.stderr):
            result.answered()
    at, *lines = result.answered(result.rc).text.split("\n")
    if STAMP.fullmatch(at) is None:
        raise UnavailableError(f"{result.call.command.name}: the server did not tell its time")
    return at, tuple(_instance(line.split("|")) for line in lines if line.count("|") == _FIELDS - 1)


def _instance(fields: Sequence[str]) -> Instance:
    identity, name, service, one_off, status, restarts, started_at = fields
    return Instance(
        id=identity,
        name=name.removeprefix("/"),
        service=service,
        one_off=one_off.lower() == "true",
        status=status,
        restart_count=int(restarts),
        started_at=started_at,
    )


def newest(found: Sequence[Instance]) -> Instance | None:
    """Return the one that was started last, left-over one-offs aside."""
    candidates = [one for one in found if not one.one_off and one.started_at != NEVER_STARTED]
    return max(candidates, key=lambda one: nanoseconds(one.started_at), default=None)


@dataclass(frozen=True)
class Question:
    """The next read of a log."""

    id: str
    since: str
    limit: int


class Follower:
    """Follows the log of one service through restarts, new containers and rotation.

    Args:
        service: its name.

    Attributes:
        stopped: if its container does not run, and since when.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self._instance: Instance | None = None
        self._tail: Tail | None = None
        self._begins = True
        self._covered = ""
        self._ended = False
        self._was_read = False
        self.stopped: Stop | None = None
        self._trouble: tuple[str, str] | None = _NO_CONTAINER
        self._restarting = False
        self._container = ""
        self._had_lines = False
        self._lines = self._errors = 0
        self._counter = Errors()
        self._examples: list[Example] = []
        self._gaps: list[Gap] = []
        self._restarts: list[Restart] = []

    @property
    def errors(self) -> int:
        """How many there were so far."""
        return self._errors

    @property
    def question(self) -> Question | None:
        """The next read; None if there is no container."""
        if self._instance is None or self._tail is None:
            return None
        if self._begins:
            return Question(self._instance.id, _EVER, BEGINNING)
        return Question(self._instance.id, self._tail.since, LIMIT)

    def see(self, instance: Instance | None, at: str) -> bool:
        """Take which container the service has now, by the server's clock.

        Returns:
            True if it is a new one, whose log is to be read at once.
        """
        before, self._instance = self._instance, instance
        self._covered = self._covered or at
        self.stopped = self._seen_stopped(instance, at)
        if instance is not None and before is not None and instance.id == before.id:
            self._compare(before, instance, at)
            return False
        if before is not None:
            self._leave(instance.started_at if instance else at)
        if instance is None:
            self._begins, self._covered, self._trouble = False, at, _NO_CONTAINER
            return False
        self._arrive(instance, at, first=before is None and self._begins)
        return True

    def _seen_stopped(self, instance: Instance | None, at: str) -> Stop | None:
        status = instance.status if instance else _REMOVED
        if status == _RUNS or not (instance or self._container):
            return None
        return Stop(at=self.stopped.at if self.stopped else at, status=status)

    def set_back(self, at: str, by_s: float) -> None:
        """Take that the server's clock was set back: what was stamped since may have been passed over.

        Args:
            at: its time now, which was before.
            by_s: by how much, in seconds.
        """
        if self._instance is None or not self._was_read:
            return
        why = f"the server's clock was set back by {by_s:.0f} s, so the log could not be followed"
        self._gaps.append(Gap(since=at, until=self._covered, why=why))
        self._tail, self._begins, self._covered = Tail(at), True, at

    def _arrive(self, instance: Instance, at: str, *, first: bool) -> None:
        self._container = instance.name
        self._trouble, self._ended, self._restarting = ("its log was not read", ""), False, False
        self._tail = Tail(at if first else instance.started_at)
        self._begins = first
        if not first:
            how = f"a new container ({instance.id[:12]}) was started"
            self._restarts.append(Restart(at=instance.started_at, how=how, by_engine=False))
            self._covered = instance.started_at

    def _leave(self, until: str) -> None:
        if not self._ended:
            why = "the container was removed; what it wrote last is gone with it"
            self._gaps.append(Gap(since=self._covered, until=until, why=why))

    def _compare(self, before: Instance, now: Instance, at: str) -> None:
        if now.restart_count > before.restart_count:
            count = now.restart_count - before.restart_count
            often = f", {count} times" if count > 1 else ""
            how = f"the engine restarted it after it had ended by itself{often}"
            self._restarts.append(Restart(at=at, how=how, by_engine=True))
            self._restarting = now.started_at == before.started_at
        elif now.started_at != before.started_at:
            if not self._restarting:
                self._restarts.append(Restart(at=now.started_at, how="it was restarted", by_engine=False))
            self._restarting = False

    def hear(self, result: Result, at: str) -> None:
        """Take what was read of the log; that of a container which is gone meanwhile does not count.

        Args:
            result: the answer to `question`.
            at: the server's time before it was read.
        """
        if self._instance is None or self._tail is None or result.call.arguments[1] != self._instance.id:
            return
        try:
            lines = _lines(result)
        except UnavailableError as error:
            self.fail(error)
            return
        if self._begins:
            self._begin(self._tail, lines, at)
        else:
            self._take(self._tail, lines, at)
        self._trouble, self._ended = None, self._instance.status in _ENDED
        self._covered = at
        self._was_read, self._had_lines = True, self._had_lines or self._tail.had_lines

    def _begin(self, tail: Tail, lines: Sequence[Line], at: str) -> None:
        tail.skip(lines)
        self._begins = False
        if self._trouble is not None and at != self._covered:
            self._gaps.append(Gap(since=self._covered, until=at, why=self._trouble[0]))

    def _take(self, tail: Tail, lines: Sequence[Line], at: str) -> None:
        read = tail.take(lines, at)
        if read.why:
            until = read.fresh[0][0] if read.fresh else at
            self._gaps.append(Gap(since=read.lost_since, until=until, why=read.why))
        for stamp, text in read.fresh:
            self._lines += 1
            if self._counter.feed(text):
                self._errors += 1
                if len(self._examples) < EXAMPLES:
                    self._examples.append(Example(at=stamp, excerpt=excerpt(text)))

    def fail(self, error: UnavailableError) -> None:
        """Take that the log could not be read this time; a later read may make up for it."""
        self._trouble = (error.reason, error.remedy)

    def fact(self, until: str) -> WatchedLog:
        """Return what was seen when the watch ends at that time of the server's clock.

        Raises:
            UnavailableError: the log was never read.
        """
        gaps = list(self._gaps)
        if self._trouble is not None:
            if not self._was_read:
                reason, remedy = self._trouble
                raise UnavailableError(f"{self.service} was not watched: {reason}", remedy)
            gaps.append(Gap(since=self._covered, until=until, why=self._trouble[0]))
        return WatchedLog(
            service=self.service,
            container=self._container,
            lines=self._lines,
            errors=self._errors,
            kinds=dict(self._counter.kinds),
            examples=tuple(self._examples),
            gaps=tuple(gaps),
            restarts=tuple(self._restarts),
            stopped=self.stopped,
            had_lines=self._had_lines,
        )


def _lines(result: Result) -> tuple[Line, ...]:
    """Return the lines of an answer.

    Raises:
        UnavailableError: docker could not read the log, or the answer was cut off.
    """
    result.answered()
    inflated = Inflated(result.stdout)
    lines: list[Line] = []
    unstamped = ""
    for line in inflated:
        stamp, _, text = line.partition(" ")
        if STAMP.fullmatch(stamp):
            lines.append((stamp, text))
        else:
            unstamped = line.strip() or unstamped
    if inflated.code is None:
        raise UnavailableError("more was written between two looks than is read at once")
    if inflated.code != 0:
        raise UnavailableError(*_explained(unstamped))
    return tuple(lines)


def _explained(message: str) -> tuple[str, str]:
    if NOT_READABLE in message:
        return f"its log cannot be read ({message})", "give it a log driver that docker logs can read"
    return engine_problem(message) or (f"its log cannot be read ({message or 'no message'})", "")
