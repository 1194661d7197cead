"""What a host collector sees: declared calls in, results out, batched into shared round trips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from acceptance.errors import UnavailableError
from acceptance.guard.commands import Call


@dataclass(frozen=True)
class Result:
    """What a remote command answered.

    Attributes:
        rc: its exit code.
        truncated: True if the output was longer than the command's limit and was cut off.
        timed_out: True if it was ended by its time limit.
        sent: when it left, by our own clock, in seconds since the epoch.
        seconds: how long the answer took since then.
    """

    call: Call
    rc: int
    stdout: bytes
    stderr: str
    truncated: bool = False
    timed_out: bool = False
    sent: float = 0.0
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """Standard output as text; undecodable bytes are replaced."""
        return self.stdout.decode("utf-8", errors="replace")

    def answered(self, *codes: int) -> Result:
        """Return self if the command really answered with one of these exit codes (default 0).

        Raises:
            UnavailableError: it timed out, was cut off, could not be executed, or exited otherwise;
                the reason holds the first line of its stderr.
        """
        name = self.call.command.name
        if self.timed_out:
            raise UnavailableError(f"{name}: no answer within {self.call.command.timeout_s:g} s")
        if self.truncated:
            raise UnavailableError(f"{name}: the output was longer than {self.call.command.max_bytes} bytes")
        if self.rc not in (codes or (0,)):
            first = self.stderr.strip().splitlines()[0] if self.stderr.strip() else "no message"
            raise UnavailableError(f"{name}: exit code {self.rc} ({first})")
        return self


class Host(Protocol):
    """The server behind SSH, as collectors see it."""

    async def run(self, *calls: Call) -> tuple[Result, ...]:
        """Run declared calls and return their results in order.

        Calls of all host collectors that wait at the same time share one round trip, and equal calls
        are sent once per run.

        Raises:
            UnavailableError: no login, no privilege, or the connection broke.
        """
        ...

    def done(self) -> None:
        """Tell that the calling collector will run nothing more, so that the others do not wait for it."""
        ...
