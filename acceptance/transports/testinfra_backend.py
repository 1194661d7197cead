"""testinfra's modules on top of our SSH connection: `host.file("/etc/nginx").is_directory`.

testinfra's own backends log in once per command, have no time limit, and report "permission denied"
as False (seen with pytest-testinfra 10.2). This one uses the run's connection, runs declared reads
only, and raises UnavailableError where there is no answer.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import testinfra.backend
import testinfra.host
from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.modules.service import SystemdService

from acceptance.errors import UnavailableError
from acceptance.guard.commands import Call, Command
from acceptance.guard.testinfra import SHAPES, Shape
from acceptance.loop import Loop
from acceptance.transports.host import Result
from acceptance.transports.ssh import SshHost

NAME = "acceptance"

_NO_ANSWER = re.compile(r"Permission denied|Operation not permitted|Failed to connect to bus")

_connections: dict[str, tuple[SshHost, Loop]] = {}


class _Systemd(SystemdService):  # type: ignore[misc]
    """The server's services are systemd's; testinfra would ask for that first."""

    @classmethod
    def get_module_class(cls, host: testinfra.host.Host) -> type[SystemdService]:  # noqa: ARG003
        return cls


class AcceptanceBackend(BaseBackend):  # type: ignore[misc]
    """Sends what testinfra's modules ask over the connection that `get_host` announced.

    Raises:
        RuntimeError: no connection of that name was announced.
    """

    NAME = NAME

    def __init__(self, hostname: str, **options: object) -> None:
        super().__init__(hostname, **{key: value for key, value in options.items() if key != "connection"})
        if hostname not in _connections:
            raise RuntimeError(f"there is no connection to {hostname}: use get_host")
        self._connection, self._loop = _connections[hostname]
        # else testinfra would run Python on the server to find out
        self._encoding = "utf-8"

    def run(self, command: str, *args: str, **_: object) -> CommandResult:
        """Run what is declared for one of testinfra's own command texts.

        Raises:
            RefusedError: it is none of them; nothing was sent.
            UnavailableError: there is no answer: no login, no right to look, a time limit, a tool that
                is missing.
        """
        shape = SHAPES.get(command)
        if shape is None or (shape.program and PurePosixPath(args[0]).name != shape.program):
            raise self._connection.refuse("testinfra", repr(command))
        result = self._loop.run(self._ask(shape, args))
        return self.result(result.rc, self.encode(self.quote(command, *args)), result.stdout, result.stderr)

    async def _ask(self, shape: Shape, args: tuple[str, ...]) -> Result:
        tool = (str(getattr(self._connection.server.tools, shape.tool)),) if shape.tool else ()
        chosen: Command = shape.command
        if shape.as_root is not None and await self._connection.can_be_root():
            chosen = shape.as_root
        (result,) = await self._connection.run(Call(chosen, (*tool, *args)))
        if result.rc != 0 and _NO_ANSWER.search(result.stderr):
            raise UnavailableError(
                f"{chosen.name} {' '.join(args)}: {result.stderr.strip().splitlines()[-1]}"
            )
        return result.answered(*shape.codes)


def get_host(connection: SshHost, loop: Loop) -> testinfra.host.Host:
    """Return testinfra's host object for a connection.

    Args:
        connection: to the server; it logs in on first need.
        loop: the loop that the connection lives in; the caller is in another thread.
    """
    name = connection.server.address
    _connections[name] = (connection, loop)
    host = testinfra.host.Host(AcceptanceBackend(name))
    host.backend.set_host(host)
    host.service = _Systemd.get_module(host)
    return host


testinfra.backend.BACKENDS[NAME] = f"{__name__}.{AcceptanceBackend.__name__}"
