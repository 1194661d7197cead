"""Who asks the CRM for berths or hands in inquiries: what nginx's access log says of these two routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from acceptance.errors import UnavailableError
from acceptance.excerpt import cut
from acceptance.facts.base import Fact, Noun, Source
from acceptance.guard.commands import ACCOUNT, NGINX_VISITS, call

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.transports.host import Result

KEPT: Final = 100
"""How many visits are kept, the newest."""

OURS: Final = "port-nimara-acceptance"
"""The suite's own User-Agent."""

_NODE = re.compile(r"\bnode\b|undici|ofetch|axios|\bgot\b", re.IGNORECASE)
"""Programs of the website's kind; Node's fetch names itself `node` (seen on Node 20)."""

_BY_HAND = re.compile(r"curl/|wget/|httpie|postman|insomnia|python", re.IGNORECASE)
"""Programs by which people try an address; the website is none of them."""

_LINE = re.compile(
    r'\S+ - \S+ \[(?P<at>[^\]]+)\] "(?P<method>[A-Z]+) (?P<path>[^ ?"]*)[^"]*" (?P<status>\d{3}) \S+ '
    r'"[^"]*" "(?P<agent>[^"]*)"'
)
"""nginx's predefined log format `combined`."""
_BEGINNING = re.compile(r'\S+ - \S+ \[[^\]]+\] "')
"""So begins a line of that format, even about a request that is no HTTP."""
_HEAD = re.compile(r"log (\d+) (.*)")
_END = re.compile(r"until (.*)")
_SECOND = timedelta(seconds=1)
"""The log counts whole seconds."""
_STAMP = "%d/%b/%Y:%H:%M:%S %z"


class Visit(Fact):
    """A request of one of the two routes, without who sent it.

    Attributes:
        at: by the server's clock, whole seconds.
    """

    at: datetime
    method: str
    path: str
    status: int
    agent: str

    @property
    def is_nodes(self) -> bool:
        """Whether a program of the website's kind sent it."""
        return _NODE.search(self.agent) is not None

    @property
    def is_taken(self) -> bool:
        """Whether it was answered with success."""
        return 200 <= self.status < 300

    @property
    def is_the_websites(self) -> bool:
        """Whether it may be the website's: by a program of its kind, or an inquiry that was taken.

        What people try by hand is not, and no stranger's inquiry that was refused.
        """
        return self.is_nodes or (
            self.method == "POST" and self.is_taken and _BY_HAND.search(self.agent) is None
        )

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.method} {self.path} {self.status} by {self.agent}"


class Visits(Fact):
    """The requests of both routes by others than the suite and people's own tools.

    Attributes:
        log: the file, and what was rotated out of it last.
        lines: how many requests it holds, of whatever kind.
        first, last: when the first and the last of them came; None if there is none.
        found: what was handed in by anybody, and berths that were asked for by a Node program.
    """

    log: str
    lines: int
    first: datetime | None
    last: datetime | None
    found: tuple[Visit, ...]

    @property
    def source(self) -> Source:
        """Where they were seen."""
        return Source(where=self.log, again=f"as root: grep /api/public/ {self.log}")

    def since(self, started: datetime | None, written_to: str) -> tuple[Visit, ...]:
        """Return the website's visits after a moment.

        Args:
            started: that moment; None for an unknown one.
            written_to: the log that nginx's configuration names for the two routes.

        Raises:
            UnavailableError: the log cannot testify: nginx writes to another one, it is empty or ends before
                that moment, or what it shows may have been before an unknown moment.
        """
        self._testify(written_to)
        found = self._of_the_website
        if found and started is None:
            raise UnavailableError(
                f"the CRM was contacted ({found[-1]}), and since when the website runs is not known",
                "read the website's variables from its container, or see whether it was before the last flip",
            )
        if started is not None and self.last is not None and self.last + _SECOND < started:
            raise UnavailableError(
                f"{self.log} ends at {self.last:%Y-%m-%d %H:%M:%S}, before the website was started",
                "see whether nginx still writes to it, or ask for a page and run again",
            )
        return tuple(visit for visit in found if started is None or visit.at > started)

    def readings(self, started: datetime | None, written_to: str) -> tuple[Visit, ...]:
        """Return how the website asked for berths after a moment.

        Args:
            started: that moment; None for an unknown one, then since ever.
            written_to: the log that nginx's configuration names for the two routes.

        Raises:
            UnavailableError: it did not, or the log cannot testify.
        """
        self._testify(written_to)
        asked = [visit for visit in self.found if visit.method == "GET" and visit.is_nodes]
        begun = started.replace(microsecond=0) if started else None
        found = tuple(visit for visit in asked if begun is None or visit.at >= begun)
        if not found:
            raise UnavailableError(
                f"nobody like the website asked the CRM for its berths in {self.extent}",
                "run again: the website may have asked only because of this run; then read its log",
            )
        return found

    @property
    def _of_the_website(self) -> tuple[Visit, ...]:
        return tuple(visit for visit in self.found if visit.is_the_websites)

    def _testify(self, written_to: str) -> None:
        if written_to != self.log:
            raise UnavailableError(
                f"nginx logs these requests to {written_to or 'no file that its configuration names'}, "
                f"not to {self.log}",
                "correct nginx.access_log in the target file",
            )
        if not self.lines:
            raise UnavailableError(
                f"{self.log} is empty, so it proves nothing", "ask for a page, then run again"
            )

    @property
    def extent(self) -> str:
        """How much was looked at, in a few words."""
        return f"{self.lines} requests since {self.first:%Y-%m-%d %H:%M:%S}" if self.first else "no request"


def read(result: Result, log: str, intake: str, *, assumed: bool) -> Visits:
    """Turn the answer of the declared command into the fact.

    Raises:
        UnavailableError: there is no such log, it may not be read, or it is in another format.
    """
    result.answered(0, 4)
    if result.rc == 4:
        unsure = "assumed name not found: " if assumed else ""
        raise UnavailableError(f"{unsure}there is no {log}", "correct nginx.access_log in the target file")
    lines, first, last = 0, None, None
    matches = []
    for line in result.text.splitlines():
        if head := _HEAD.fullmatch(line):
            lines += int(head[1])
            first = first or _moment(head[2])
        elif end := _END.fullmatch(line):
            last = _moment(end[1]) or last
        else:
            matches += _parsed(line, log)
    found = tuple(_of_others(matches, intake))[-KEPT:]
    return Visits(log=log, lines=lines, first=first, last=last, found=found)


def _parsed(line: str, log: str) -> list[Visit]:
    if not _BEGINNING.match(line):
        raise UnavailableError(
            f"{log} is not in nginx's format `combined`", "name a log in that format as nginx.access_log"
        )
    match = _LINE.match(line)
    at = _moment(match["at"]) if match else None
    if match is None or at is None:
        return []
    agent = cut(match["agent"], 60)
    return [
        Visit(
            at=at,
            method=match["method"],
            path=cut(match["path"], 80),
            status=int(match["status"]),
            agent=agent,
        )
    ]


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, _STAMP).astimezone(UTC)
    except ValueError:
        return None


def _of_others(visits: Iterable[Visit], intake: str) -> Iterator[Visit]:
    for visit in visits:
        handed_in = visit.method == "POST" and visit.path == intake
        if visit.agent != OURS and (handed_in or visit.is_nodes):
            yield visit


async def collect(access: Access) -> Visits:
    """Read what the log says of the two routes, in the round trip after the first.

    Until then what the run itself asks for has come to the log, directly and through the website.

    Raises:
        UnavailableError: the log cannot be read.
    """
    target = access.target
    log = target.nginx.access_log
    await access.host.run(call(ACCOUNT))
    (result,) = await access.host.run(call(NGINX_VISITS, log, target.api.intake, target.api.berths))
    return read(result, log, target.api.intake, assumed=target.is_assumed("nginx.access_log"))


NOUN = Noun("visits", Visits, collect, sources=("root",), host=True)
