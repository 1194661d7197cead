"""What the process runtime runs: programs of the server, and containers."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.site import PROJECT, Account


@dataclass(frozen=True)
class Program:
    """A process of the server itself (nginx, sshd, the object store, the registry).

    Attributes:
        ready: returns True once it serves; polled. It must not block for long.
        unit: the systemd unit under which `systemctl` shows it; empty if it has none.
        reload: signal number that makes it read its configuration again, if it knows one.
    """

    name: str
    argv: tuple[str, ...]
    account: Account
    log: Path
    ready: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    unit: str = ""
    reload: int | None = None


@dataclass(frozen=True)
class Image:
    """A local image as `docker image inspect` shows it.

    Attributes:
        id: `sha256:…` of the image configuration.
        digests: RepoDigests, `repository@sha256:…`.
    """

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A published port: relayed from the host address to the container's.

    Attributes:
        bind: the address that is really listened on, if it is not `host_address`: a fault can say
            0.0.0.0 without opening anything to the network.
    """

    host_address: str
    host_port: int
    container_port: int
    bind: str = ""


@dataclass(frozen=True)
class Mount:
    """A named volume, its place inside the container and its real directory."""

    volume: str
    destination: str
    source: Path


@dataclass(frozen=True)
class Project:
    """A compose project: its name, which is its directory's too, and its file there."""

    name: str
    compose_file: str


CRM = Project(PROJECT, "docker-compose.prod.yml")


@dataclass(frozen=True)
class Container:
    """One service of a compose project as a supervised process.

    Attributes:
        service: its name, which no other project's service has.
        address: its own loopback address, what `inspect` reports as its network address.
        ports: the ports it exposes.
        health: run repeatedly; returns None while well, else a sentence. None: no health check.
        inherit_env: environment of the process that its image would bring; `inspect` does not show it.
        log_driver: `json-file`, or `none` to keep no log.
        stop_signal: ends it in order, like an image's STOPSIGNAL.
    """

    service: str
    image: Image
    reference: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    account: Account
    address: str
    ready: Callable[[], bool]
    ports: tuple[int, ...] = ()
    published: tuple[Published, ...] = ()
    mounts: tuple[Mount, ...] = ()
    health: Callable[[], str | None] | None = None
    cwd: Path | None = None
    inherit_env: Mapping[str, str] = field(default_factory=dict)
    log_driver: str = "json-file"
    stop_signal: int = signal.SIGTERM
    project: Project = CRM

    @property
    def name(self) -> str:
        """The container's name as compose makes it."""
        return f"{self.project.name}-{self.service}-1"

    @property
    def network(self) -> str:
        """The project's network."""
        return f"{self.project.name}_default"

    def volume_name(self, mount: Mount) -> str:
        """Return the engine's name of a volume: with the project's, unless it is an anonymous one."""
        anonymous = re.fullmatch("[0-9a-f]{64}", mount.volume)
        return mount.volume if anonymous else f"{self.project.name}_{mount.volume}"
