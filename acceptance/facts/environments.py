"""The variables of the CRM and of the website, by the shapes of their contracts and without a value.

Where a container runs, what it holds is the truth; else .env and the compose file, which it would start with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from acceptance import contract
from acceptance.contract import Contract, Host, Requirement, ServiceUrl, Strength, Url, Variable
from acceptance.errors import NotApplicableError, UnavailableError
from acceptance.facts import containers as of_containers
from acceptance.facts import deploy, env_file
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable
from acceptance.facts.host_port import projects_running
from acceptance.facts.shape import Seen, look_at
from acceptance.guard.commands import (
    CONTAINERS_INSPECT,
    PUBLISHED_PORTS,
    WEBSITE_CONTAINER,
    WEBSITE_ENV_FILE,
    Call,
    call,
)
from acceptance.guard.parameters import look_up

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.facts.containers import Container
    from acceptance.target import Target
    from acceptance.transports.host import Result

BLANK = "set but empty"
UNSET = "not set"

_REFERENCE = re.compile(r"\{([\w.]+)\}")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Environment(Fact):
    """The variables that one process gets.

    Attributes:
        place: the container or file it was read from, for people.
        again: how to see it again.
        count: how many variables it holds, those included that the contract does not know.
        variables: those of the contract that are there, by name.
        strangers: the names of the others.
        started: when the container that holds them was started; empty for a file.
        inherited: those that stand in the file without a value; Compose takes them from the shell it is
            started from.
        hosts: under which names and addresses a service of the compose file is reached, by its kind.
    """

    place: str
    again: str
    count: int
    variables: dict[str, Seen]
    strangers: tuple[str, ...] = ()
    started: str = ""
    inherited: tuple[str, ...] = ()
    hosts: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def source(self) -> Source:
        """Where it was seen."""
        return Source(where=self.place, again=self.again)

    def state(self, name: str) -> str:
        """Return `set`, `set but empty` or `not set`.

        Raises:
            UnavailableError: it depends on the shell that Compose is started from.
        """
        if name in self.inherited:
            raise UnavailableError(
                f"{name} has no value in {self.place}: it depends on the shell that starts Compose",
                f"write {name}= with its value, or start the container and run again",
            )
        if name not in self.variables:
            return UNSET
        return BLANK if self.variables[name].blank else "set"

    def state_among_others(self, name: str) -> str:
        """Return `set`, `set but empty`, or `not set` if other variables were seen instead.

        Raises:
            UnavailableError: as for `state`; or there is no variable at all, so the look proves nothing.
        """
        if not self.count:
            raise UnavailableError(
                f"{self.place} holds no variable at all", "see whether it is the right place"
            )
        return self.state(name)

    def is_set(self, name: str) -> bool:
        """Tell whether a variable is there and not blank.

        Raises:
            UnavailableError: as for `state`.
        """
        return self.state(name) == "set"

    def missing(self, requirement: Requirement, of: Contract) -> str:
        """Say what of a requirement is not set, or blank; empty if it is met.

        Raises:
            UnavailableError: as for `state`; or nothing of it is there and every name is assumed.
        """
        states = {name: self.state(name) for name in requirement.names}
        lacking = [[name for name in names if states[name] != "set"] for names in requirement.alternatives]
        if not all(lacking):
            return ""
        assumed = [name for name in requirement.names if of.variable[name].named == "assumed"]
        if set(states.values()) == {UNSET} and len(assumed) == len(states):
            alike = _alike(assumed, self.strangers)
            instead = f"; there is {', '.join(alike)}" if alike else ""
            raise UnavailableError(
                f"assumed name not found: {' or '.join(assumed)} in {self.place}{instead}",
                f"correct the name in contracts/{of.instance}.toml; if it is right, take `named` away there",
            )
        return ", ".join(
            f"{name} {states[name]}" for name in dict.fromkeys(name for names in lacking for name in names)
        )

    def trouble(self, variable: Variable, target: Target) -> str:
        """Say how a variable differs from its shape; empty if it does not.

        Raises:
            UnavailableError: as for `state`, or the target does not say what it must be.
            NotApplicableError: it is not set; or blank though required, which `missing` says.
        """
        seen = self._judged(variable)
        if seen.blank:
            return BLANK
        shape = variable.shape
        if isinstance(shape, Url) and shape.equals:
            return seen.trouble(shape, (filled(shape.equals, target),))
        if isinstance(shape, ServiceUrl | Host) and shape.service:
            service = target.compose.of_kind(shape.service)
            port = {"postgres": target.postgres.port, "redis": target.redis.port}[shape.service]
            return seen.trouble(shape, (service.name, *self.hosts.get(shape.service, ())), port)
        return seen.trouble(shape)

    def expected(self, variable: Variable, target: Target) -> str:
        """Return a variable's shape for people.

        Raises:
            UnavailableError: the target does not say what it must be.
        """
        return f"{variable}: {filled(variable.shape.expected, target)}"

    @property
    def in_touch(self) -> Environment:
        """The environment itself, of a website that knows the CRM by address or by secret.

        Raises:
            NotApplicableError: it knows neither.
            UnavailableError: as for `state`.
        """
        states = {name: self.state(name) for name in ("CRM_INTAKE_URL", "CRM_INTAKE_SECRET")}
        if "set" not in states.values():
            told = ", ".join(f"{name} {state}" for name, state in states.items())
            raise NotApplicableError(f"the website knows nothing of the CRM: {told}")
        return self

    def weaknesses(self, variable: Variable, wanted: Strength) -> tuple[str, ...]:
        """Say what a secret lacks in strength.

        Raises:
            UnavailableError: as for `state`; or it was not looked at as a secret.
            NotApplicableError: it is not set or blank.
        """
        seen = self._judged(variable)
        if seen.blank:
            raise NotApplicableError(f"{variable.name} is {BLANK}")
        if seen.guessable is None:
            raise UnavailableError(
                f"{variable.name} was not looked at as a secret", "look at the target again"
            )
        return seen.guessable.weaknesses(wanted)

    def _judged(self, variable: Variable) -> Seen:
        state = self.state(variable.name)
        if state == UNSET or (state == BLANK and variable.need == "required"):
            raise NotApplicableError(f"{variable.name} is {state}")
        return self.variables[variable.name]

    def differs(self, name: str, other: Environment, others: str) -> str:
        """Say how a secret here is not the same as one there; empty if both are set and equal.

        Raises:
            UnavailableError: as for `state`.
        """
        states = {name: self.state(name), others: other.state(others)}
        lacking = [f"{each} {state}" for each, state in states.items() if state != "set"]
        if lacking:
            return ", ".join(lacking)
        return "" if self.variables[name].equals == other.variables[others].equals else "different values"


class Environments(Fact):
    """The environments of both instances.

    Attributes:
        crm: the app's.
        worker: the CRM's worker's, which sends the mails.
    """

    crm: Attempt[Environment]
    worker: Attempt[Environment]
    website: Attempt[Environment]

    def of(self, whose: str) -> Known[Environment] | Unavailable:
        """Return the environment of `crm`, `worker` or `website`."""
        return {"crm": self.crm, "worker": self.worker, "website": self.website}[whose]


def _alike(names: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return up to three of the other names, those first that share most words with the names."""
    wanted = {word for name in names for word in _words(name)}
    shared = {other: len(wanted & _words(other)) for other in others}
    return [other for other in sorted(shared, key=lambda one: (-shared[one], one)) if shared[other]][:3]


def _words(name: str) -> set[str]:
    return {word.upper() for word in _WORD.findall(name)}


def filled(template: str, target: Target) -> str:
    """Return a contract's text with the target's values in place of `{key}`; pure.

    Raises:
        UnavailableError: the target leaves one out.
    """

    def value(match: re.Match[str]) -> str:
        found = look_up(target, match[1])
        if found is None:
            raise UnavailableError(f"the target file has no {match[1]}", f"set {match[1]} there")
        return found

    return _REFERENCE.sub(value, template)


def reduced(values: Mapping[str, str], of: Contract, access: Access, place: str, again: str) -> Environment:
    """Reduce variables to what their contract asks for, and make the secret ones known to the redactor."""
    classes = env_file.reduce(access, values)
    return Environment(
        place=place,
        again=again,
        count=len(values),
        variables={
            name: look_at(values[name], variable, classes[name].equals)
            for name, variable in of.variable.items()
            if name in values
        },
        strangers=tuple(sorted(values.keys() - of.variable.keys())),
    )


def _from_text(text: str, path: str, *, is_project_file: bool) -> tuple[dict[str, str], tuple[str, ...]]:
    try:
        return env_file.as_compose_passes(text, is_project_file=is_project_file)
    except env_file.EnvFileError as error:
        raise UnavailableError(
            f"{path}, {error}; Docker Compose refuses the file", "correct the file"
        ) from error


@dataclass(frozen=True)
class _Look:
    """The answers of the server, and whose environments are made of them."""

    access: Access
    answers: Mapping[Call, Result | UnavailableError]

    @property
    def target(self) -> Target:
        return self.access.target

    def answer(self, wanted: Call) -> Result:
        """Return an answer.

        Raises:
            UnavailableError: there is none.
        """
        found = self.answers[wanted]
        if isinstance(found, UnavailableError):
            raise found
        return found

    def crm(self, kind: str) -> Environment:
        """Return the environment of the app or the worker: its running container's, else the file's.

        Raises:
            UnavailableError: neither can be read.
        """
        result = self.answer(_inspection(self.target))
        _, objects = of_containers.looked_at(result)
        _, containers = of_containers.read(result, self.access)
        hosts = {each: _reached(objects, containers, self.target, each) for each in ("postgres", "redis")}
        running = [one for one in _of(containers, self.target, kind) if one.runs]
        if not containers:
            self._require_project(kind)
        if not running:
            others = any(one.runs and not one.one_off for one in containers)
            service = self.target.compose.of_kind(kind).name
            found = self._file(service, something_runs=others)
            known = {each: (*found.hosts[each], *hosts[each]) for each in hosts}
            return found.model_copy(update={"hosts": known})
        chosen = max(running, key=lambda one: of_containers.nanoseconds(one.started_at))
        values = next(of_containers.environment_of(one) for one in objects if one["Id"] == chosen.id)
        again = _shown(chosen.name)
        found = reduced(values, contract.of("crm"), self.access, f"container {chosen.name}", again)
        return found.model_copy(update={"hosts": hosts, "started": chosen.started_at})

    def _require_project(self, kind: str) -> None:
        """See that nothing runs under another name of the project, if that was only assumed."""
        target = self.target
        service = target.compose.of_kind(kind).name
        wanted = _elsewhere(target)
        found = projects_running(self.answer(wanted[0]), service) if wanted else ()
        if found:
            raise UnavailableError(
                f"assumed name not found: project {target.compose.project}; {service} runs in {found[0]}",
                "correct compose.project in the target file",
            )

    def _file(self, service: str, *, something_runs: bool) -> Environment:
        target = self.target
        looks = [self.answer(wanted) for wanted in deploy.file_calls(target)]
        files = deploy.files_of(target, looks, something_runs=something_runs)
        file = files.place.env_file
        if file.kind == "missing":
            raise self._no_file()
        if not file.is_there:
            raise UnavailableError(f"{file.path} is no file, but a {file.kind}")
        values, inherited = files.started_with(service, target)
        source = files.shown_with(service)
        hosts = {
            each: files.other_names(target.compose.of_kind(each).name, target)
            for each in ("postgres", "redis")
        }
        found = reduced(values, contract.of("crm"), self.access, source.where, source.again)
        more = {"inherited": inherited, "count": found.count + len(inherited), "hosts": hosts}
        return found.model_copy(update=more)

    def _no_file(self) -> UnavailableError:
        compose, staging = self.target.compose, self.target.deploy.staging
        unsure = "assumed name not found: " if self.target.is_assumed("compose.directory") else ""
        return UnavailableError(
            f"{unsure}no container runs and there is no {compose.env_path}"
            + (f" and no {staging}/{compose.env_file}" if staging else ""),
            "put the .env file there, or correct compose.directory and deploy.staging in the target file",
        )

    def _server_file(self, wanted: Call, path: str) -> Environment | None:
        result = self.answer(wanted).answered(0, 3)
        if result.rc == 3:
            if "No such file" in result.stderr or "Not a directory" in result.stderr:
                return None
            last = (result.stderr.strip().splitlines() or ["no message"])[-1]
            raise UnavailableError(
                f"{path} cannot be looked at ({last})", "check the configured way up to root"
            )
        status, _, text = result.stdout.decode("utf-8", errors="surrogateescape").partition("\n")
        if not status.startswith("regular"):
            raise UnavailableError(f"{path} is a {status.partition('|')[0]}, not a file")
        return self._parsed(text, path, f"as root: cat {path}  # holds secrets")

    def _parsed(self, text: str, path: str, again: str) -> Environment:
        is_project_file = path.rpartition("/")[2] == ".env"
        values, inherited = _from_text(text, path, is_project_file=is_project_file)
        found = reduced(values, contract.of("website"), self.access, path, again)
        return found.model_copy(update={"inherited": inherited, "count": found.count + len(inherited)})

    def website(self) -> Environment:
        """Return the website's environment, from where the target says.

        Raises:
            UnavailableError: the target does not say, or it cannot be read.
        """
        website = self.target.website
        if website is None:
            raise UnavailableError("the target file has no [website]", "describe it there: [website]")
        where = website.environment
        if where.container is not None:
            return self._website_container(where.container)
        if where.local_file is not None:
            return self._local(where.local_file)
        path = str(where.env_file)
        found = self._server_file(call(WEBSITE_ENV_FILE, path), path)
        if found is None:
            raise self._absent(f"{path} does not exist")
        return found

    def _website_container(self, name: str) -> Environment:
        result = self.answer(call(WEBSITE_CONTAINER, self.target.server.tools.docker, name))
        if result.rc == 1 and re.search(r"no such (?:container|object)", result.stderr, re.IGNORECASE):
            raise self._absent(f"there is no container {name}")
        try:
            (inspected,) = json.loads(of_containers.answered(result).stdout)
            values, state = of_containers.environment_of(inspected), inspected["State"]
            status, started = state["Status"], state["StartedAt"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnavailableError(
                "docker container inspect: the answer is not what docker prints"
            ) from error
        place = f"container {name}" + ("" if status == "running" else f" ({status})")
        found = reduced(values, contract.of("website"), self.access, place, _shown(name))
        return found.model_copy(update={"started": started})

    def _local(self, path: str) -> Environment:
        try:
            text = Path(path).expanduser().read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise self._absent(f"{path} does not exist") from error
            raise UnavailableError(f"{path} cannot be read ({error.strerror})") from error
        return self._parsed(text, path, f"cat {path}  # holds secrets")

    def _absent(self, what: str) -> UnavailableError:
        assumed = self.target.is_assumed("website.environment")
        return UnavailableError(
            f"{'assumed name not found: ' if assumed else ''}{what}",
            "correct website.environment in the target file",
        )


def _shown(container: str) -> str:
    variables = "{{range .Config.Env}}{{println .}}{{end}}"
    return f"as root: docker inspect -f '{variables}' {container}  # holds secrets"


def _of(containers: Iterable[Container], target: Target, kind: str) -> list[Container]:
    name = target.compose.of_kind(kind).name
    return [one for one in containers if one.service == name and not one.one_off]


def _reached(
    objects: Iterable[dict[str, Any]], containers: Iterable[Container], target: Target, kind: str
) -> tuple[str, ...]:
    """Return the names and addresses of a service's containers, and their aliases in a network."""
    found = {one.id: one for one in _of(containers, target, kind)}
    places = {place for one in found.values() for place in (one.name, *one.addresses.values())}
    aliases = {
        alias
        for each in objects
        if each["Id"] in found
        for network in (each["NetworkSettings"]["Networks"] or {}).values()
        for alias in network.get("Aliases") or ()
        if not each["Id"].startswith(alias)
    }
    return tuple(sorted((places | aliases) - {""}))


def _inspection(target: Target) -> Call:
    return call(CONTAINERS_INSPECT, *of_containers.inspect_arguments(target))


def _elsewhere(target: Target) -> tuple[Call, ...]:
    assumed = target.is_assumed("compose.project")
    return (call(PUBLISHED_PORTS, target.server.tools.docker),) if assumed else ()


def _calls(target: Target) -> tuple[Call, ...]:
    website = target.website.environment if target.website else None
    return (
        _inspection(target),
        *_elsewhere(target),
        *deploy.file_calls(target),
        *(
            [call(WEBSITE_CONTAINER, target.server.tools.docker, website.container)]
            if website and website.container
            else []
        ),
        *([call(WEBSITE_ENV_FILE, website.env_file)] if website and website.env_file else []),
    )


async def collect(access: Access) -> Environments:
    """Read each environment where the target says it is."""
    calls = _calls(access.target)
    try:
        answers: dict[Call, Result | UnavailableError] = dict(
            zip(calls, await access.host.run(*calls), strict=True)
        )
    except UnavailableError as error:
        answers = dict.fromkeys(calls, error)
    look = _Look(access, answers)
    return Environments(
        crm=_attempt(partial(look.crm, "app")),
        worker=_attempt(partial(look.crm, "worker")),
        website=_attempt(look.website),
    )


def _attempt(look: Callable[[], Environment]) -> Known[Environment] | Unavailable:
    try:
        return Known(value=look())
    except UnavailableError as error:
        return Unavailable.of(error)


NOUN = Noun(
    "environments", Environments, collect, sources=("engine", "website-file"), host=True, teaches=True
)
