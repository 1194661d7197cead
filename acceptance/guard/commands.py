"""Every remote command the suite may run. What is not declared here cannot be sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A declared remote command.

    Attributes:
        name: how the ledger and the printed list call it.
        script: POSIX sh; takes its arguments as "$1", "$2", …, so nothing is ever interpolated.
        purpose: why the suite runs it, for the server's owner.
        privileged: needs root on an ordinary server.
        footprint: what looking leaves behind on the server; "none" for nothing but access times.
        action: name of the approval it needs; empty for a read.
        max_bytes: a longer output is cut off, and what depends on it is UNKNOWN.
    """

    name: str
    script: str
    purpose: str
    privileged: bool = False
    footprint: str = "none"
    action: str = ""
    timeout_s: float = 20
    max_bytes: int = 8 * 1024 * 1024


@dataclass(frozen=True)
class Call:
    """A declared command with its arguments."""

    command: Command
    arguments: tuple[str, ...] = ()


def call(command: Command, *arguments: object) -> Call:
    """Bind arguments to a declared command."""
    return Call(command, tuple(str(argument) for argument in arguments))
