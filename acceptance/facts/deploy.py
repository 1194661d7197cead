"""The compose file and the .env file on the server, in the deploy directory or in the staging directory."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from acceptance.errors import UnavailableError
from acceptance.facts import containers
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable
from acceptance.facts.compose_file import (
    DEFAULT_NAMES,
    ComposeFile,
    ComposeFileError,
    other_names,
    read,
    variables,
)
from acceptance.facts.env_file import EnvFileError, Kind, as_compose_passes, parse, reduce
from acceptance.guard.commands import (
    CONTAINERS_INSPECT,
    DEPLOY_COMPOSE_FILE,
    DEPLOY_ENV_FILE,
    STAGED_COMPOSE_FILE,
    STAGED_ENV_FILE,
    call,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acceptance.access import Access
    from acceptance.guard.commands import Call
    from acceptance.target import Target
    from acceptance.transports.host import Result

Where = Literal["deploy", "staging"]
_OTHERS = 0o007


class DeployFile(Fact):
    """One of the two files.

    Attributes:
        mode: permission bits in octal, `600`; empty if there is no such file. Likewise owner and group.
    """

    path: str
    kind: Kind
    mode: str = ""
    owner: str = ""
    group: str = ""

    @property
    def is_there(self) -> bool:
        """True if it is a regular file."""
        return self.kind == "file"

    @property
    def is_private(self) -> bool:
        """True if others than its owner and its group have no right to it."""
        return not int(self.mode or "777", 8) & _OTHERS

    @property
    def source(self) -> Source:
        """Where it was seen."""
        return Source(where=self.path, again=f"as root: stat {self.path}")

    def __str__(self) -> str:
        return f"mode {self.mode}, owner {self.owner}, group {self.group}" if self.mode else self.kind


class Place(Fact):
    """A directory and the two files in it."""

    where: Where
    directory: str
    compose_file: DeployFile
    env_file: DeployFile

    @property
    def is_complete(self) -> bool:
        """True if both files are there."""
        return self.compose_file.is_there and self.env_file.is_there

    @property
    def is_empty(self) -> bool:
        """True if neither file is there."""
        return self.compose_file.kind == self.env_file.kind == "missing"


class Deploy(Fact):
    """What the CRM is deployed from.

    Attributes:
        running: the project's services that run; a place of staging counts only while none does.
        place: where the two files are, or would be.
        assumed: the keys of the target file whose places are assumed and hold nothing.
        compose: the compose file of that place.
    """

    running: Attempt[tuple[str, ...]]
    place: Place
    assumed: tuple[str, ...] = ()
    compose: Attempt[ComposeFile]

    @property
    def is_the_place(self) -> bool:
        """True once it is certain that the files must be at this place.

        Raises:
            UnavailableError: the place is assumed and holds nothing, or it is staging and whether something
                runs could not be told.
        """
        if self.assumed:
            raise UnavailableError(
                f"assumed name not found: {self.place.compose_file.path}",
                f"set {' and '.join(self.assumed)} in the target file to the real place",
            )
        if self.place.where == "staging":
            self.running.get()
        return True

    @property
    def said_of_place(self) -> str:
        """Which place it is, in a few words."""
        if self.place.where == "deploy":
            return f"the deploy directory {self.place.directory}"
        return f"the staging directory {self.place.directory}, as nothing runs yet"

    @property
    def source(self) -> Source:
        """Where the compose file was read."""
        path = self.place.compose_file.path
        return Source(where=path, again=f"as root: cat {path}")


def _file(result: Result, path: str) -> DeployFile:
    """Return what a file is.

    Raises:
        UnavailableError: it could not be looked at.
    """
    result.answered(0, 3)
    if result.rc == 3:
        if "No such file" in result.stderr or "Not a directory" in result.stderr:
            return DeployFile(path=path, kind="missing")
        first = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise UnavailableError(f"{path} cannot be looked at ({first})", "check the configured way up to root")
    described, mode, owner, group = result.text.partition("\n")[0].split("|")
    kind: Kind = "directory" if described == "directory" else "other"
    if described.startswith("regular"):
        kind = "file"
    return DeployFile(path=path, kind=kind, mode=mode, owner=owner, group=group)


def _place(where: Where, directory: str, target: Target, compose: Result, env: Result) -> Place:
    return Place(
        where=where,
        directory=directory,
        compose_file=_file(compose, f"{directory}/{target.deploy.compose_file}"),
        env_file=_file(env, f"{directory}/{target.compose.env_file}"),
    )


def choose(deploy: Place, staging: Place | None, *, something_runs: bool) -> Place:
    """Return the place that counts: staging only while nothing runs and if it holds more; pure."""
    if staging is None or something_runs or deploy.is_complete:
        return deploy
    return staging if staging.is_complete or (deploy.is_empty and not staging.is_empty) else deploy


def _running(result: Result, access: Access) -> Known[tuple[str, ...]] | Unavailable:
    try:
        _, found = containers.read(result, access)
    except UnavailableError as error:
        return Unavailable.of(error)
    return Known(value=tuple(sorted({one.service for one in found if one.runs and not one.one_off})))


@dataclass(frozen=True)
class Files:
    """The two files of the place that counts, as the server answered: with their contents, so no fact."""

    place: Place
    compose: Result
    env: Result

    @property
    def env_text(self) -> str:
        """The .env file's text."""
        return self.env.stdout.decode("utf-8", errors="surrogateescape").partition("\n")[2]

    def compose_text(self, target: Target) -> str:
        """Return the compose file's text.

        Raises:
            UnavailableError: an override file stands beside it.
        """
        head, _, text = self.compose.stdout.decode("utf-8", errors="surrogateescape").partition("\n\n")
        overrides = head.splitlines()[1:]
        if overrides and target.deploy.compose_file in DEFAULT_NAMES:
            raise UnavailableError(
                f"{self.place.compose_file.path} is overridden by {overrides[0]}, which is not evaluated"
            )
        return text

    def refused(self, error: EnvFileError | ComposeFileError) -> UnavailableError:
        """Say which of the two files cannot be read as Compose reads it."""
        if isinstance(error, EnvFileError):
            return UnavailableError(
                f"{self.place.env_file.path}, {error}; Docker Compose refuses the file", "correct the file"
            )
        return UnavailableError(
            f"{self.place.compose_file.path}, {error}", "see `docker compose config` on the server"
        )

    def shown_with(self, service: str) -> Source:
        """Where the variables stand that a service would be started with."""
        place = self.place
        paths = [one.path for one in (place.env_file, place.compose_file) if one.is_there]
        beside = f" and {posixpath.basename(paths[1])} ({service})" if len(paths) > 1 else ""
        return Source(where=f"{paths[0]}{beside}", again=f"as root: cat {' '.join(paths)}  # holds secrets")

    def started_with(self, service: str, target: Target) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return the variables that Compose would start a service with, and the names without a value.

        What stands under `environment` in the compose file wins over .env. While there is no compose file,
        all of .env counts. What the image sets is left out.

        Raises:
            UnavailableError: Compose would refuse a file, or the service gets variables from somewhere else.
        """
        name = target.compose.env_file
        try:
            given, shell = as_compose_passes(
                self.env_text, is_project_file=posixpath.basename(name) == ".env"
            )
            if not self.place.compose_file.is_there:
                return given, shell
            project, _ = parse(self.env_text)
            own = variables(self.compose_text(target), project.get, service)
        except (EnvFileError, ComposeFileError) as error:
            raise self.refused(error) from error
        mine = {posixpath.normpath(name), self.place.env_file.path}
        others = [path for path in own.env_files if path not in mine]
        if others:
            raise UnavailableError(
                f"{service} also gets the variables of {', '.join(others)}, which is not read",
                f"put them into {name}, or start the container and run again",
            )
        if not own.env_files:
            given, shell = {}, ()
        named = {*own.values, *own.inherited}
        inherited = (*(each for each in shell if each not in named), *own.inherited)
        kept = {each: value for each, value in given.items() if each not in named}
        return {**kept, **own.values}, inherited

    def other_names(self, service: str, target: Target) -> tuple[str, ...]:
        """Return under which names beside its own a service would be reached; none without a compose file.

        Raises:
            UnavailableError: as for `started_with`.
        """
        if not self.place.compose_file.is_there:
            return ()
        try:
            project, _ = parse(self.env_text)
            return other_names(self.compose_text(target), project.get, service)
        except (EnvFileError, ComposeFileError) as error:
            raise self.refused(error) from error


def file_calls(target: Target) -> tuple[Call, ...]:
    """Return the declared looks at the files of both places."""
    deployed, waiting = target.compose, target.deploy
    staged = (
        call(STAGED_COMPOSE_FILE, waiting.staging, waiting.compose_file),
        call(STAGED_ENV_FILE, waiting.staging, deployed.env_file),
    )
    return (
        call(DEPLOY_COMPOSE_FILE, deployed.directory, waiting.compose_file),
        call(DEPLOY_ENV_FILE, deployed.env_path),
        *(staged if waiting.staging else ()),
    )


def files_of(target: Target, results: Sequence[Result], *, something_runs: bool) -> Files:
    """Return the files of the place that counts.

    Args:
        target: that was asked.
        results: its answers to `file_calls`.
        something_runs: whether a container of the project does.

    Raises:
        UnavailableError: they cannot be looked at.
    """
    deployed = _place("deploy", target.compose.directory, target, *results[:2])
    staged = _place("staging", target.deploy.staging, target, *results[2:]) if target.deploy.staging else None
    place = choose(deployed, staged, something_runs=something_runs)
    return Files(place, *(results[2:] if place.where == "staging" else results[:2]))


def _compose(files: Files, access: Access) -> Known[ComposeFile] | Unavailable:
    place = files.place
    if not place.compose_file.is_there:
        return Unavailable(reason=f"{place.compose_file.path} does not exist, so nothing can be told of it")
    project: dict[str, str] = {}
    try:
        text = files.compose_text(access.target)
        if place.env_file.is_there:
            project, _ = parse(files.env_text)
            reduce(access, project)
        return Known(value=read(text, project.get))
    except (EnvFileError, ComposeFileError) as error:
        return Unavailable.of(files.refused(error))
    except UnavailableError as error:
        return Unavailable.of(error)


async def collect(access: Access) -> Deploy:
    """Look at both places in one round trip, and read the files of the one that counts.

    Raises:
        UnavailableError: they cannot be looked at.
    """
    target = access.target
    inspection = call(CONTAINERS_INSPECT, *containers.inspect_arguments(target))
    inspected, *results = await access.host.run(inspection, *file_calls(target))
    running = _running(inspected, access)
    something_runs = isinstance(running, Known) and bool(running.value)
    files = files_of(target, results, something_runs=something_runs)
    keys = ("compose.directory", *(("deploy.staging",) if target.deploy.staging else ()))
    return Deploy(
        running=running,
        place=files.place,
        assumed=tuple(key for key in keys if target.is_assumed(key)) if files.place.is_empty else (),
        compose=_compose(files, access),
    )


NOUN = Noun("deploy", Deploy, collect, sources=("engine",), host=True, teaches=True)
