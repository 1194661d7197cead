"""Who holds the CRM's port on the server: nobody, the CRM's own container, or somebody else."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.facts.asked import ask
from acceptance.facts.base import Attempt, Fact, Noun, Source, known
from acceptance.guard.commands import PORT_LISTENERS, PUBLISHED_PORTS, call

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.target import Target
    from acceptance.transports.host import Result

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104
_PUBLISHED = re.compile(r"(?P<address>\[[^\]]+\]|\S+):(?P<first>\d+)(?:-(?P<last>\d+))?->\d+(?:-\d+)?/tcp")
_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"


class Listener(Fact):
    """A process that listens on the port.

    Attributes:
        address: the address it listens on; `0.0.0.0` and `::` mean every one.
        process: its name; empty if it may not be seen.
        pid: likewise None.
    """

    address: str
    process: str
    pid: int | None

    def __str__(self) -> str:
        who = f"{self.process} (process {self.pid})" if self.process else "a process that may not be seen"
        return f"{who} on {self.address}"


class Publication(Fact):
    """A running container that publishes the port. `project` and `service` are empty without compose."""

    container: str
    project: str
    service: str
    address: str

    def __str__(self) -> str:
        return f"container {self.container} on {self.address}"

    def covers(self, listener: Listener) -> bool:
        """Tell whether a listener is the engine's own, on behalf of this container."""
        return self.address in (*_WILDCARDS, listener.address)


class HostPort(Fact):
    """The port and who has it.

    Attributes:
        project, service: the CRM's own; `assumed` if the plan does not state the project.
        published: as the engine says; without its userland proxy nothing listens.
    """

    port: int
    project: str
    service: str
    assumed: bool
    listeners: Attempt[tuple[Listener, ...]]
    published: Attempt[tuple[Publication, ...]]

    @property
    def source(self) -> Source:
        """Where it was seen."""
        again = (
            f"on the server, as root: ss -ltnp 'sport = :{self.port}'; docker ps --filter publish={self.port}"
        )
        return Source(where=f"port {self.port} of the server", again=again)

    @property
    def _own(self) -> tuple[Publication, ...]:
        return tuple(
            one for one in known(self.published) if (one.project, one.service) == (self.project, self.service)
        )

    @property
    def strangers(self) -> tuple[str, ...]:
        """Whoever holds the port besides the CRM's own container.

        Raises:
            UnavailableError: the processes or the containers may not be seen, or it is the same service of
                another project and the project's name was only assumed.
        """
        others = [one for one in known(self.published) if one not in self._own]
        relatives = [one for one in others if self.assumed and one.service == self.service]
        if relatives:
            raise UnavailableError(
                f"assumed name not found: project {self.project}; {relatives[0]}, of project "
                f"{relatives[0].project or 'none'}, has the port",
                "correct compose.project in the target file",
            )
        strange = [
            listener
            for listener in known(self.listeners)
            if not any(one.covers(listener) for one in known(self.published))
        ]
        return (*map(str, others), *map(str, strange))

    @property
    def seen(self) -> str:
        """Who holds it, for people."""
        holders = self.strangers or tuple(map(str, self._own))
        return "; ".join(holders) or "free"


def read_listeners(result: Result) -> tuple[Listener, ...]:
    """Return who listens.

    Raises:
        UnavailableError: the answer is not whole.
    """
    lines = result.answered().text.splitlines()
    if lines[-1:] != ["complete"]:
        raise UnavailableError(f"{result.call.command.name}: the answer has no end")
    found = []
    for line in lines[:-1]:
        _, address, pid, process = line.split(" ", 3)
        found.append(
            Listener(
                address=_address(address), process=process.strip(), pid=int(pid) if pid.isdigit() else None
            )
        )
    return tuple(sorted(found, key=str))


def _of(target: Target, listeners: tuple[Listener, ...]) -> tuple[Listener, ...]:
    """Leave out the listeners of other rehearsals: each has a network of the machine's loopback to itself."""
    if not target.rehearsal:
        return listeners
    own = ipaddress.ip_network(f"{target.server.endpoint.address}/24", strict=False)
    return tuple(one for one in listeners if ipaddress.ip_address(one.address) in own)


def _address(hexadecimal: str) -> str:
    """Return an address of /proc/net/tcp: 32-bit words, each in the machine's byte order (little endian)."""
    words = [hexadecimal[start : start + 8] for start in range(0, len(hexadecimal), 8)]
    packed = b"".join(bytes.fromhex(word)[::-1] for word in words)
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def read_published(result: Result, port: int) -> tuple[Publication, ...]:
    """Return which containers publish a port, by `docker ps`.

    Raises:
        UnavailableError: the engine does not answer.
    """
    try:
        containers = [json.loads(line) for line in result.answered().text.splitlines()]
        return tuple(one for container in containers for one in _publications(container, port))
    except (ValueError, KeyError, TypeError) as error:
        raise UnavailableError(f"{result.call.command.name}: the answer is not understood") from error


def projects_running(result: Result, service: str) -> tuple[str, ...]:
    """Return the compose projects that have a running container of a service, by `docker ps`.

    Raises:
        UnavailableError: the engine does not answer.
    """
    try:
        every = [_labels(json.loads(line)) for line in result.answered().text.splitlines()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnavailableError(f"{result.call.command.name}: the answer is not understood") from error
    return tuple(sorted({one.get(_PROJECT, "") for one in every if one.get(_SERVICE) == service}))


def _labels(container: dict[str, str]) -> dict[str, str]:
    return dict(label.partition("=")[::2] for label in container["Labels"].split(","))


def _publications(container: dict[str, str], port: int) -> Iterator[Publication]:
    labels = _labels(container)
    for part in container["Ports"].split(", "):
        match = _PUBLISHED.fullmatch(part)
        if match and int(match["first"]) <= port <= int(match["last"] or match["first"]):
            yield Publication(
                container=container["Names"],
                project=labels.get(_PROJECT, ""),
                service=labels.get(_SERVICE, ""),
                address=match["address"].strip("[]"),
            )


async def collect(access: Access) -> HostPort:
    """Look at the sockets and ask the engine.

    Raises:
        UnavailableError: the target declares no port for the application.
    """
    target = access.target
    port = target.compose.app_port
    if port is None:
        raise UnavailableError("the target declares no port of the application", "add it to compose.services")
    listeners, published = await asyncio.gather(
        ask(access, call(PORT_LISTENERS, port), lambda result: _of(target, read_listeners(result))),
        ask(
            access,
            call(PUBLISHED_PORTS, target.server.tools.docker),
            lambda result: read_published(result, port),
        ),
    )
    return HostPort(
        port=port,
        project=target.compose.project,
        service=target.compose.of_kind("app").name,
        assumed=target.is_assumed("compose.project"),
        listeners=listeners,
        published=published,
    )


NOUN = Noun("host_port", HostPort, collect, sources=("engine",), host=True)
