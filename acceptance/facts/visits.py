"""Who asks the CRM for berths or hands in inquiries: what nginx's access log says of these two routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from acceptance.errors import UnavailableError
from acceptance.excerpt import cut
from acceptance.facts.base import Fact, Noun, Source
from acceptance.guard.commands import NGINX_VISITS, call

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.transports.host import Result

KEPT: Final = 100
"""How many visits are kept, the newest."""

OURS: Final = "port-nimara-acceptance"
"""The suite's own User-Agent."""

_NODE = re.compile(r"\bnode\b|undici|ofetch|axios|\bgot\b", re.IGNORECASE)
"""Programs of the website's kind; Node's fetch names itself `node` (seen on Node 20)."""

_LINE = re.compile(
    r'\S+ - \S+ \[(?P<at>[^\]]+)\] "(?P<method>[A-Z]+) (?P<path>[^ ?"]*)[^"]*" (?P<status>\d{3}) \S+ '
    r'"[^"]*" "(?P<agent>[^"]*)"'
)
"""nginx's predefined log format `combined`."""
_BEGINNING = re.compile(r'\S+ - \S+ \[[^\]]+\] "')
"""So begins a line of that format, even about a request that is no HTTP."""
_HEAD = re.compile(r"log (\d+) ?(.*)")
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

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.method} {self.path} {self.status} by {self.agent}"


class Visits(Fact):
    """The requests of both routes by others than the suite and people's own tools.

    Attributes:
        log: the file, and what was rotated out of it last.
        lines: how many requests it holds, of whatever kind.
        first: when the first of them came; None if there is none.
        found: what was handed in by anybody, and berths that were asked for by a Node program.
    """

    log: str
    lines: int
    first: datetime | None
    found: tuple[Visit, ...]

    @property
    def source(self) -> Source:
        """Where they were seen."""
        return Source(where=self.log, again=f"as root: grep /api/public/ {self.log}")

    def since(self, started: datetime | None, written_to: str) -> tuple[Visit, ...]:
        """Return the visits after a moment.

        Args:
            started: that moment; None for an unknown one.
            written_to: the log that nginx's configuration names for the two routes.

        Raises:
            UnavailableError: the log cannot testify: nginx writes to another one, it is empty, or what it
                shows may have been before an unknown moment.
        """
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
        if self.found and started is None:
            raise UnavailableError(
                f"the CRM was contacted ({self.found[-1]}), and since when the website runs is not known",
                "read the website's variables from its container, or see whether it was before the last flip",
            )
        return tuple(visit for visit in self.found if started is None or visit.at > started)

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
    lines, first = 0, None
    matches = []
    for line in result.text.splitlines():
        head = _HEAD.fullmatch(line)
        if head is None:
            matches += _parsed(line, log)
            continue
        lines += int(head[1])
        first = first or _moment(head[2])
    return Visits(log=log, lines=lines, first=first, found=tuple(_of_others(matches, intake))[-KEPT:])


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
    """Read what the log says of the two routes.

    Raises:
        UnavailableError: the log cannot be read.
    """
    target = access.target
    log = target.nginx.access_log
    (result,) = await access.host.run(call(NGINX_VISITS, log, target.api.intake, target.api.berths))
    return read(result, log, target.api.intake, assumed=target.is_assumed("nginx.access_log"))


NOUN = Noun("visits", Visits, collect, host=True)
