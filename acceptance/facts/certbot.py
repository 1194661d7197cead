"""certbot and the timer that renews certificates."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.facts.asked import ask
from acceptance.facts.base import Attempt, Fact, Noun, Source
from acceptance.guard.commands import CERTBOT_PROGRAM, CERTBOT_TIMERS, call

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.transports.host import Result


class Timer(Fact):
    """A systemd timer, in systemd's own words; `enabled` empty if there is no such unit."""

    name: str
    active: str
    enabled: str

    @property
    def runs(self) -> bool:
        """Whether it runs now and after the next boot."""
        return self.active == "active" and self.enabled == "enabled"

    def __str__(self) -> str:
        return f"{self.name} {self.active}, {self.enabled}" if self.enabled else f"{self.name} not installed"


class Certbot(Fact):
    """certbot as the server has it.

    Attributes:
        programs: where it is installed; it was not run.
        timers: those of Debian's package and of the snap.
    """

    program: str
    programs: Attempt[tuple[str, ...]]
    timers: Attempt[tuple[Timer, ...]]

    @property
    def source(self) -> Source:
        """Where the program was looked for."""
        return Source(where=self.program, again=f"on the server: ls -l {self.program} /snap/bin/certbot")

    @property
    def timer_source(self) -> Source:
        """Where the timers were seen."""
        return Source(
            where="systemd's timers", again="on the server: systemctl list-timers --all '*certbot*'"
        )


def read_programs(result: Result) -> tuple[str, ...]:
    """Return where certbot is."""
    return tuple(dict.fromkeys(result.answered().text.splitlines()))


def read_timers(result: Result) -> tuple[Timer, ...]:
    """Return what `systemctl show` says of each timer.

    Raises:
        UnavailableError: there is no systemd, or the answer is not understood.
    """
    blocks = [block for block in result.answered().text.split("\n\n") if block.strip()]
    shown = [dict(line.partition("=")[::2] for line in block.splitlines() if line) for block in blocks]
    try:
        return tuple(
            Timer(
                name=unit["Id"],
                active=unit["ActiveState"],
                enabled=unit["UnitFileState"] if unit["LoadState"] != "not-found" else "",
            )
            for unit in shown
        )
    except KeyError as error:
        raise UnavailableError(f"{result.call.command.name}: the answer is not understood") from error


async def collect(access: Access) -> Certbot:
    """Look for the program and its timers."""
    tools = access.target.server.tools
    programs, timers = await asyncio.gather(
        ask(access, call(CERTBOT_PROGRAM, tools.certbot), read_programs),
        ask(access, call(CERTBOT_TIMERS, tools.systemctl), read_timers),
    )
    return Certbot(program=tools.certbot, programs=programs, timers=timers)


NOUN = Noun("certbot", Certbot, collect, sources=("server",), host=True)
