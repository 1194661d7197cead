"""A stack that Docker Compose runs: its project, its services, what they publish and mount."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from acceptance.sections.base import AbsolutePath, Port, Section


class PublishedPort(Section):
    """A container port that must be reachable on the host."""

    container: Port
    host: Port


class Volume(Section):
    """A named volume that must be mounted: its name in the compose file and where."""

    name: str
    destination: AbsolutePath


class Service(Section):
    """One service of the compose file.

    Attributes:
        image: the reference that must run.
        built: True if our CI builds it; then its digest is compared with the registry's, and all
            built images must come from one commit.
        env_file: True if it gets every variable of the .env file.
        kind: what its log looks like.
    """

    name: str
    image: str
    kind: Literal["app", "worker", "postgres", "redis", "other"] = "other"
    built: bool = False
    env_file: bool = False
    ports: tuple[PublishedPort, ...] = ()
    volumes: tuple[Volume, ...] = ()


class Compose(Section):
    """The deployed stack.

    Attributes:
        interpolation_only: variables of the .env file that only the compose file itself uses.
        commit: the commit that is deployed, if the operator wants it compared; in full, as CI tags images.
    """

    project: str
    directory: AbsolutePath
    env_file: str = ".env"
    interpolation_only: tuple[str, ...] = ()
    commit: str | None = None
    services: tuple[Service, ...] = Field(min_length=1)

    @field_validator("commit")
    @classmethod
    def _commit_is_whole(cls, commit: str | None) -> str | None:
        if commit is not None and not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
            raise ValueError("give the whole commit, all 40 hexadecimal digits: CI tags the images with it")
        return commit

    @property
    def env_path(self) -> str:
        """The .env file's absolute path."""
        return f"{self.directory}/{self.env_file}"

    @property
    def names(self) -> tuple[str, ...]:
        """The services' names."""
        return tuple(service.name for service in self.services)

    @property
    def app_port(self) -> int | None:
        """The host port on which the application is published; None if the target declares none."""
        ports = [port.host for service in self.services if service.kind == "app" for port in service.ports]
        return ports[0] if ports else None

    @property
    def built_names(self) -> tuple[str, ...]:
        """The names of the services whose images our CI builds."""
        return tuple(service.name for service in self.services if service.built)

    @property
    def published(self) -> tuple[str, ...]:
        """The declared port mappings, for people."""
        return tuple(
            f"{service.name} {port.host}→{port.container}"
            for service in self.services
            for port in service.ports
        )

    @property
    def mounted(self) -> tuple[str, ...]:
        """The declared volumes and where they must be mounted, for people."""
        return tuple(
            f"{service.name} {volume.name} on {volume.destination}"
            for service in self.services
            for volume in service.volumes
        )

    def of_kind(self, kind: str) -> Service:
        """Return the service of that kind.

        Raises:
            KeyError: none is declared; the target file's validation prevents it.
        """
        for service in self.services:
            if service.kind == kind:
                return service
        raise KeyError(kind)
