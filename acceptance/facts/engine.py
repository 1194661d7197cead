"""Docker Engine and its compose plugin: whether they answer, and their versions."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.facts.asked import ask
from acceptance.facts.base import Attempt, Fact, Noun, Source
from acceptance.guard.commands import COMPOSE_VERSION, ENGINE_VERSION, call

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.sections.host import Versions
    from acceptance.transports.host import Result

_STOPPED = re.compile(
    r"Cannot connect to the Docker daemon|failed to connect to the docker API.*is running", re.DOTALL
)
_NO_PLUGIN = re.compile(r"'compose' is not a docker command|unknown command: docker compose")
_VERSION = re.compile(r"\bversion v?(\d+(?:\.\d+)+[\w.+~-]*)")


class Program(Fact):
    """A program that was asked for its version.

    Attributes:
        version: as it says; empty if it does not answer.
        said: what was answered instead, or the version.
    """

    version: str
    said: str

    def allowed(self, versions: Versions) -> bool:
        """Tell whether it answers, with a version that is allowed."""
        mine = _numbers(self.version)
        below = versions.below is None or mine < _numbers(versions.below)
        return bool(mine) and mine >= _numbers(versions.at_least) and below


class Engine(Fact):
    """The container engine as root's `docker` reaches it.

    Attributes:
        docker: the client's path.
    """

    docker: str
    server: Attempt[Program]
    compose: Attempt[Program]

    @property
    def source(self) -> Source:
        """Where the engine was asked."""
        return Source(where="docker version", again=f"as root: {self.docker} version")

    @property
    def compose_source(self) -> Source:
        """Where the plugin was asked."""
        return Source(where="docker compose version", again=f"as root: {self.docker} compose version")


def wanted(versions: Versions) -> str:
    """Return which versions are allowed, for people."""
    return f"{versions.at_least} or later" + (f", below {versions.below}" if versions.below else "")


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of `20.10.24+dfsg1`."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def read_engine(result: Result) -> Program:
    """Return what `docker version` says of the engine.

    Without the engine Docker 20.10.24 prints the client's half and exits 1.

    Raises:
        UnavailableError: the engine could not be asked.
    """
    if result.rc == 1 and _STOPPED.search(result.stderr):
        return Program(version="", said=result.stderr.strip().splitlines()[0])
    try:
        version = str(json.loads(result.answered().text)["Server"]["Version"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnavailableError(f"{result.call.command.name}: the answer is not understood") from error
    return Program(version=version, said=version)


def read_compose(result: Result) -> Program:
    """Return what `docker compose version` says.

    Raises:
        UnavailableError: docker could not be run.
    """
    if result.rc != 0 and _NO_PLUGIN.search(result.stderr):
        return Program(version="", said=result.stderr.strip().splitlines()[0])
    told = _VERSION.search(result.answered().text)
    if told is None:
        raise UnavailableError(f"{result.call.command.name}: the answer is not understood")
    return Program(version=told[1], said=told[1])


async def collect(access: Access) -> Engine:
    """Ask both."""
    docker = access.target.server.tools.docker
    server, compose = await asyncio.gather(
        ask(access, call(ENGINE_VERSION, docker), read_engine),
        ask(access, call(COMPOSE_VERSION, docker), read_compose),
    )
    return Engine(docker=docker, server=server, compose=compose)


NOUN = Noun("engine", Engine, collect, sources=("engine",), host=True)
