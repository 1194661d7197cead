"""The compose file and the .env file on the server, in the deploy directory or in the staging directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from acceptance.errors import UnavailableError
from acceptance.facts import containers
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable
from acceptance.facts.compose_file import DEFAULT_NAMES, ComposeFile, ComposeFileError, read
from acceptance.facts.env_file import EnvFileError, Kind, parse, reduce
from acceptance.guard.commands import (
    CONTAINERS_INSPECT,
    DEPLOY_COMPOSE_FILE,
    DEPLOY_ENV_FILE,
    STAGED_COMPOSE_FILE,
    STAGED_ENV_FILE,
    call,
)

if TYPE_CHECKING:
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


def _compose(place: Place, compose: Result, env: Result, access: Access) -> Known[ComposeFile] | Unavailable:
    path = place.compose_file.path
    if not place.compose_file.is_there:
        return Unavailable(reason=f"{path} does not exist, so nothing can be told of it")
    head, _, text = compose.stdout.decode("utf-8", errors="surrogateescape").partition("\n\n")
    overrides = head.splitlines()[1:]
    if overrides and access.target.deploy.compose_file in DEFAULT_NAMES:
        return Unavailable(reason=f"{path} is overridden by {overrides[0]}, which is not evaluated")
    variables: dict[str, str] = {}
    try:
        if place.env_file.is_there:
            content = env.stdout.decode("utf-8", errors="surrogateescape").partition("\n")[2]
            variables, _ = parse(content)
            reduce(access, variables)
        return Known(value=read(text, variables.get))
    except EnvFileError as error:
        return Unavailable(reason=f"{place.env_file.path}, {error}; Docker Compose refuses the file")
    except ComposeFileError as error:
        return Unavailable(reason=f"{path}, {error}", remedy="see `docker compose config` on the server")


def _calls(target: Target) -> tuple[Call, ...]:
    deployed, waiting = target.compose, target.deploy
    staged = (
        call(STAGED_COMPOSE_FILE, waiting.staging, waiting.compose_file),
        call(STAGED_ENV_FILE, waiting.staging, deployed.env_file),
    )
    return (
        call(CONTAINERS_INSPECT, *containers.inspect_arguments(target)),
        call(DEPLOY_COMPOSE_FILE, deployed.directory, waiting.compose_file),
        call(DEPLOY_ENV_FILE, deployed.env_path),
        *(staged if waiting.staging else ()),
    )


async def collect(access: Access) -> Deploy:
    """Look at both places in one round trip, and read the files of the one that counts.

    Raises:
        UnavailableError: they cannot be looked at.
    """
    target = access.target
    inspected, *results = await access.host.run(*_calls(target))
    running = _running(inspected, access)
    something_runs = isinstance(running, Known) and bool(running.value)
    deployed = _place("deploy", target.compose.directory, target, *results[:2])
    staged = _place("staging", target.deploy.staging, target, *results[2:]) if target.deploy.staging else None
    place = choose(deployed, staged, something_runs=something_runs)
    compose, env = results[2:] if place.where == "staging" else results[:2]
    keys = ("compose.directory", *(("deploy.staging",) if staged else ()))
    return Deploy(
        running=running,
        place=place,
        assumed=tuple(key for key in keys if target.is_assumed(key)) if place.is_empty else (),
        compose=_compose(place, compose, env, access),
    )


NOUN = Noun("deploy", Deploy, collect, host=True)
