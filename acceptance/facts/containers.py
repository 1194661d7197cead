"""The containers of the compose project as `docker inspect` shows them, twice, and their images."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from acceptance.errors import NotApplicableError, UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.facts.env_file import Variable, reduce
from acceptance.guard.commands import CONTAINERS_INSPECT, CONTAINERS_SAMPLE, IMAGES_INSPECT, call

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.sections.compose import Compose, Service
    from acceptance.target import Target
    from acceptance.transports.host import Result

REVISION_LABEL = "org.opencontainers.image.revision"
NEVER_STARTED = "0001-01-01T00:00:00Z"
"""What the engine gives as start of a container that was only created."""


class Port(Fact):
    """A published port of a running container.

    Attributes:
        address: the host address it is bound to; `0.0.0.0` and `::` mean every one.
    """

    address: str
    host: int
    container: int
    protocol: str

    @property
    def is_loopback(self) -> bool:
        """True if only the host itself reaches it, by IPv4 or IPv6."""
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback

    def __str__(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{shown}:{self.host}→{self.container}/{self.protocol}"


class Mount(Fact):
    """Something mounted into a container. `name` is a volume's name, and empty for anything else."""

    kind: str
    name: str
    destination: str

    @property
    def is_anonymous(self) -> bool:
        """True for a volume that nobody named: Docker gives it 64 hexadecimal digits."""
        return re.fullmatch(r"[0-9a-f]{64}", self.name) is not None

    def __str__(self) -> str:
        name = "an anonymous volume" if self.is_anonymous else self.name or f"a {self.kind} mount"
        return f"{name} on {self.destination}"


class Image(Fact):
    """A local image.

    Attributes:
        digests: RepoDigests, `repository@sha256:…`: a set, empty for what was never pulled.
        revision: the commit it was built from, as its label says; None without the label.
    """

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    revision: str | None


class State(Fact):
    """What may change while the suite looks."""

    id: str
    service: str
    status: str
    restart_count: int
    started_at: str


class Container(Fact):
    """One container of the project.

    Attributes:
        service: the compose service it belongs to.
        one_off: True for what `docker compose run` left behind; it is not an instance of the service.
        status: the engine's word: created, running, paused, restarting, removing, exited or dead.
        health: starting, healthy or unhealthy; None without a health check.
        started_at: RFC 3339 with up to nine decimals.
        image_reference: as the compose file gives it; says nothing about which image it is today.
        ports: None unless it runs; a stopped container publishes nothing.
        addresses: its address in each network, empty while it does not run.
        environment: its variables, reduced.
    """

    id: str
    name: str
    service: str
    one_off: bool
    status: str
    restarting: bool
    health: str | None
    exit_code: int
    oom_killed: bool
    restart_count: int
    started_at: str
    image_id: str
    image_reference: str
    ports: tuple[Port, ...] | None
    mounts: tuple[Mount, ...]
    addresses: dict[str, str]
    log_driver: str
    environment: dict[str, Variable]

    @property
    def runs(self) -> bool:
        """True if it is up and not between two crashes, whatever its health check says."""
        return self.status == "running" and not self.restarting

    @property
    def is_well(self) -> bool:
        """True if it runs and is not unhealthy."""
        return self.runs and self.health != "unhealthy"

    @property
    def state(self) -> State:
        """What may change while the suite looks."""
        return State(
            id=self.id,
            service=self.service,
            status=self.status,
            restart_count=self.restart_count,
            started_at=self.started_at,
        )

    @property
    def summary(self) -> str:
        """Its state in a few words."""
        told = [self.status] + ([self.health] if self.runs and self.health else [])
        if not self.runs and self.status != "created":
            told.append(f"exit code {self.exit_code}")
        if self.oom_killed:
            told.append("out of memory")
        return f"{self.service} {', '.join(told)}"

    def lacking(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """Return the names of the variables that it lacks, sorted."""
        return tuple(sorted(set(wanted) - self.environment.keys()))

    def differing(self, wanted: Mapping[str, Variable]) -> tuple[str, ...]:
        """Return the names of the variables that it holds with another value, sorted."""
        own = self.environment
        return tuple(
            sorted(name for name in wanted.keys() & own.keys() if own[name].equals != wanted[name].equals)
        )


class Sample(Fact):
    """A later look at the same containers, by the server's clock."""

    at: datetime
    states: tuple[State, ...]


class Containers(Fact):
    """Every container of the compose project, stopped ones included.

    Attributes:
        at: when they were inspected, by the server's clock.
        images: the images they use.
        again: a later look, at least a second after the first.
    """

    project: str
    at: datetime
    all: tuple[Container, ...]
    images: Attempt[tuple[Image, ...]]
    again: Attempt[Sample]

    @property
    def source(self) -> Source:
        """Where the project as a whole was seen."""
        label = f"label=com.docker.compose.project={self.project}"
        return Source(
            where=f"docker inspect of compose project {self.project}",
            again=f"as root: docker ps -a --no-trunc --filter {label}",
        )

    def source_of(self, service: str) -> Source:
        """Where one service was seen."""
        names = " ".join(container.name for container in self.of(service)) or service
        return Source(where=f"container {names}", again=f"as root: docker inspect {names}")

    def of(self, service: str) -> tuple[Container, ...]:
        """Return the containers of a service, the one started last first; left-over one-offs do not count."""
        found = [one for one in self.all if one.service == service and not one.one_off]
        return tuple(sorted(found, key=lambda one: nanoseconds(one.started_at), reverse=True))

    def the(self, service: str) -> Container:
        """Return the service's container; of several, a running one before the others.

        Raises:
            UnavailableError: it has none.
        """
        found = sorted(self.of(service), key=lambda one: not one.runs)
        if not found:
            raise UnavailableError(f"there is no container of service {service} in project {self.project}")
        return found[0]

    def running(self, service: str) -> Container:
        """Return the service's running container.

        Raises:
            UnavailableError: it has none.
        """
        container = self.the(service)
        if not container.runs:
            raise UnavailableError(f"{service} does not run ({container.summary})")
        return container

    def address(self, service: str) -> str:
        """Return the service's address in the project's network.

        Raises:
            UnavailableError: it has none, because it does not run or shares the host's network.
        """
        addresses = [address for address in self.running(service).addresses.values() if address]
        if not addresses:
            raise UnavailableError(f"{service} has no address of its own")
        return addresses[0]

    def troubles(self, services: Iterable[str]) -> tuple[str, ...]:
        """Say of each service what keeps it from being exactly one container that is well in both looks."""
        later = {state.id: state for state in self.again.value.states} if self.again.state == "known" else {}
        found = []
        for service in services:
            containers = self.of(service)
            if not containers:
                found.append(f"{service} has no container")
            elif len(containers) > 1:
                found.append(f"{service} has {len(containers)} containers")
            found += [container.summary for container in containers if not container.is_well]
            found += [
                f"{service} restarted while the suite looked"
                for container in containers
                if container.is_well and later.get(container.id, container.state) != container.state
            ]
        return tuple(found)

    def summary(self, services: Iterable[str]) -> str:
        """The state of these services in a few words."""
        return "; ".join(one.summary for service in services for one in self.of(service)) or "no container"

    def settled(self, services: Iterable[str]) -> bool:
        """Return True once no health check is still to come.

        Raises:
            UnavailableError: one is.
        """
        starting = [service for service in services for one in self.of(service) if one.health == "starting"]
        if starting:
            raise UnavailableError(
                f"the first health check is still to come: {', '.join(starting)}", "run again in a minute"
            )
        return True

    def restarted(self, services: Iterable[str]) -> tuple[str, ...]:
        """Name the services the engine has restarted since they were started."""
        return tuple(
            f"{one.service} {one.restart_count} times"
            for service in services
            for one in self.of(service)
            if one.restart_count
        )

    def changed(self, services: Iterable[str]) -> tuple[str, ...]:
        """Name the services whose containers changed between the two looks, and how.

        Raises:
            UnavailableError: there was no second look.
        """
        names = set(services)
        before = {one.id: one.state for one in self.all if one.service in names and not one.one_off}
        after = {state.id: state for state in known(self.again).states if state.service in names}
        gone = [f"{before[key].service}: a container is gone" for key in before.keys() - after.keys()]
        changes = [_change(before[key], after[key]) for key in before.keys() & after.keys()]
        return tuple(sorted(gone + [change for change in changes if change]))

    @property
    def looked_again_at(self) -> datetime:
        """When the second look was taken, by the server's clock.

        Raises:
            UnavailableError: there was none.
        """
        return known(self.again).at

    def image_of(self, service: str) -> Image:
        """Return the image that the service's container was made from.

        Raises:
            UnavailableError: it has no container, or its image could not be inspected.
        """
        wanted = self.the(service).image_id
        for image in known(self.images):
            if image.id == wanted:
                return image
        raise UnavailableError(f"the image of {service} ({wanted[:19]}…) could not be inspected")

    def digests_of(self, service: str) -> tuple[str, ...]:
        """Return the digests under which the service's image was pulled, `sha256:…`.

        Raises:
            UnavailableError: there is none, so nothing can be said about where it came from.
        """
        digests = tuple(sorted({entry.rpartition("@")[2] for entry in self.image_of(service).digests}))
        if not digests:
            raise UnavailableError(
                f"the image of {service} has no RepoDigests: it was not pulled, or its tag was removed",
                "pull the image and recreate the container",
            )
        return digests

    def revisions(self, services: Collection[str], tagged: Mapping[str, str]) -> dict[str, str]:
        """Return the commit each service's image was built from.

        Its label tells it, or that the registry has the same image under the commit's tag.

        Args:
            services: those whose image our CI builds.
            tagged: a commit by the digest of the image that the registry has under that tag.

        Raises:
            UnavailableError: neither tells it.
            NotApplicableError: there is no such service.
        """
        if not services:
            raise NotApplicableError("the target declares no image that our CI builds")
        found = {service: self._revision(service, tagged) for service in services}
        silent = [service for service, revision in found.items() if not revision]
        if silent:
            raise UnavailableError(
                f"no label {REVISION_LABEL} on the image of {', '.join(silent)}",
                "set compose.commit in the target file; then the registry's image of that tag tells it",
            )
        return found

    def _revision(self, service: str, tagged: Mapping[str, str]) -> str:
        image = self.image_of(service)
        digests = [entry.rpartition("@")[2] for entry in image.digests]
        return image.revision or next((tagged[digest] for digest in digests if digest in tagged), "")

    def other_references(self, services: Iterable[Service]) -> tuple[str, ...]:
        """Name the services whose container was made from another image reference than declared."""
        return tuple(
            f"{one.service} runs {one.image_reference}"
            for service in services
            for one in self.of(service.name)
            if one.image_reference != service.image
        )

    def ports_of(self, service: str) -> tuple[Port, ...]:
        """Return the service's published ports.

        Raises:
            UnavailableError: it does not run, so it publishes nothing now.
        """
        return self.running(service).ports or ()

    @property
    def _published(self) -> tuple[tuple[str, Port], ...]:
        return tuple((one.service or one.name, port) for one in self.all for port in one.ports or ())

    def undeclared(self, services: Iterable[Service]) -> tuple[str, ...]:
        """Name what any container of the project publishes now that the target does not declare."""
        declared = {
            (service.name, port.host, port.container, "tcp") for service in services for port in service.ports
        }
        return tuple(
            f"{service}: {port}, which is not declared"
            for service, port in self._published
            if (service, port.host, port.container, port.protocol) not in declared
        )

    def unpublished(self, services: Iterable[Service]) -> tuple[str, ...]:
        """Name the declared port mappings that are not there.

        Raises:
            UnavailableError: none is declared, or a service that must publish does not run.
        """
        services = tuple(services)
        _declares(any(service.ports for service in services), "published port", "ports")
        return tuple(
            f"{service.name}: no {wanted.host}→{wanted.container} but {_listed(self.ports_of(service.name))}"
            for service in services
            for wanted in service.ports
            if not any(
                (port.host, port.container, port.protocol) == (wanted.host, wanted.container, "tcp")
                for port in self.ports_of(service.name)
            )
        )

    def exposed(self, services: Iterable[Service]) -> tuple[str, ...]:
        """Name the published ports of any container of the project that others than the host can reach.

        Raises:
            UnavailableError: there is none, but a service that must publish does not run or none is declared.
        """
        found = tuple(f"{service}: {port}" for service, port in self._published if not port.is_loopback)
        publishing = [service.name for service in services if service.ports]
        if not found:
            _declares(bool(publishing), "published port", "ports")
        for name in publishing if not found else ():
            self.running(name)
        return found

    def unmounted(self, services: Iterable[Service]) -> tuple[str, ...]:
        """Name the declared volumes that are not mounted where they should be, and what is there.

        Compose prefixes a volume's name with the project's, unless the compose file gives it a fixed name.

        Raises:
            UnavailableError: none is declared, or a service has no container.
        """
        services = tuple(services)
        _declares(any(service.volumes for service in services), "volume", "volumes")
        missing = []
        for service in services:
            for volume in service.volumes:
                there = [
                    mount
                    for mount in self.the(service.name).mounts
                    if mount.destination == volume.destination
                ]
                names = {volume.name, f"{self.project}_{volume.name}"}
                if not any(mount.kind == "volume" and mount.name in names for mount in there):
                    seen = ", ".join(str(mount) for mount in there) or f"nothing on {volume.destination}"
                    missing.append(f"{service.name}: {seen}")
        return tuple(missing)

    def sharers(self, service: Service) -> tuple[str, ...]:
        """Name the other running containers of the project that mount one of the service's volumes.

        Raises:
            UnavailableError: the service does not run.
        """
        own = self.running(service.name)
        volumes = {mount.name for mount in own.mounts if mount.kind == "volume"}
        return tuple(
            f"{one.name}: {mount}"
            for one in self.all
            if one.runs and one.id != own.id
            for mount in one.mounts
            if mount.kind == "volume" and mount.name in volumes
        )

    def stale(
        self, services: Iterable[Service], wanted: Mapping[str, Variable], *, assumed: bool
    ) -> tuple[str, ...]:
        """Name, per service with an env_file, the variables that differ from it or are missing; no values.

        Args:
            services: those of the target.
            wanted: the variables of the file.
            assumed: True if the plan does not say which services get the whole file.

        Raises:
            UnavailableError: no service is declared to get the file, one has no container, the file is empty,
                or variables are only missing and that they should be there is assumed.
        """
        containers = {service.name: self.the(service.name) for service in services if service.env_file}
        _declares(bool(containers), "service that gets the .env file", "env_file")
        if not wanted:
            raise UnavailableError("the .env file holds no variable that could be compared")
        differing = _named({name: one.differing(wanted) for name, one in containers.items()})
        lacking = _named({name: one.lacking(wanted) for name, one in containers.items()})
        if lacking and assumed and not differing:
            raise UnavailableError(
                f"assumed name not found: variables of the .env file that are not in {'; '.join(lacking)}",
                "list those that only the compose file uses under compose.interpolation_only in the target "
                "file, then take compose.services.env_file off `assumed`",
            )
        return differing + (() if assumed else lacking)

    def killed_for_memory(self) -> tuple[str, ...]:
        """Name the services with a container that the kernel killed for want of memory."""
        return tuple(sorted({one.service for one in self.all if one.oom_killed}))


def _declares(declared: bool, what: str, key: str) -> None:
    if not declared:
        raise UnavailableError(
            f"the target declares no {what}, so nothing can be compared", f"set compose.services.{key}"
        )


def _named(names: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    return tuple(f"{service}: {', '.join(found)}" for service, found in names.items() if found)


def _listed(ports: Iterable[Port]) -> str:
    return ", ".join(str(port) for port in ports) or "nothing published"


def _change(before: State, after: State) -> str:
    differing = [
        f"{name.replace('_', ' ')} {getattr(before, name)} → {getattr(after, name)}"
        for name in ("status", "restart_count", "started_at")
        if getattr(before, name) != getattr(after, name)
    ]
    return f"{after.service}: {', '.join(differing)}" if differing else ""


def nanoseconds(timestamp: str) -> int:
    """Return an RFC 3339 timestamp as nanoseconds since the epoch; Docker drops trailing zeros or not.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"([0-9-]{10}T[0-9:]{8})(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)", timestamp)
    if match is None:
        raise ValueError(f"not a timestamp: {timestamp[:40]!r}")
    whole = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    return int(whole.timestamp()) * 1_000_000_000 + int((match[2] or "").ljust(9, "0"))


def answered(result: Result) -> Result:
    """Return a docker command's result if it succeeded.

    Raises:
        UnavailableError: it did not; the reason tells a missing permission from a stopped engine.
    """
    if not result.timed_out and not result.truncated and result.rc != 0:
        explained = engine_problem(result.stderr)
        if explained:
            raise UnavailableError(*explained)
    return result.answered()


def engine_problem(message: str) -> tuple[str, str] | None:
    """Return reason and remedy if docker's message says that the engine cannot be asked.

    The texts are those of the clients 20.10.24 and 28.2.2.
    """
    if re.search(r"permission denied while trying to connect to the docker", message, re.IGNORECASE):
        return (
            "the login may not ask the Docker engine (permission denied)",
            "set server.privilege in the target file",
        )
    if re.search(r"cannot connect to the docker daemon|is the docker daemon running", message, re.IGNORECASE):
        return "the Docker engine does not answer", "as root: systemctl status docker"
    return None


def looked_at(result: Result) -> tuple[datetime, list[Any]]:
    """Split the answer into the server's time and the inspected objects.

    Raises:
        UnavailableError: it is not what docker prints.
    """
    first, _, document = answered(result).text.partition("\n")
    try:
        at, objects = datetime.fromisoformat(first.strip()), json.loads(document)
    except ValueError as error:
        raise UnavailableError(f"{result.call.command.name}: the answer is not what docker prints") from error
    if not isinstance(objects, list):
        raise UnavailableError(f"{result.call.command.name}: the answer is not a list")
    return at, objects


def _states(result: Result) -> Sample:
    at, objects = looked_at(result)
    return Sample(
        at=at,
        states=tuple(
            State(
                id=one["Id"],
                service=_labels(one).get("com.docker.compose.service", ""),
                status=one["State"]["Status"],
                restart_count=one["RestartCount"],
                started_at=one["State"]["StartedAt"],
            )
            for one in objects
        ),
    )


def _labels(inspected: Mapping[str, Any]) -> dict[str, str]:
    return inspected["Config"].get("Labels") or {}


def environment_of(inspected: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of an inspected container."""
    pairs = (entry.partition("=") for entry in inspected["Config"].get("Env") or ())
    return {name: value for name, separator, value in pairs if separator}


def _ports(inspected: Mapping[str, Any]) -> tuple[Port, ...]:
    published = []
    for exposed, bindings in (inspected["NetworkSettings"].get("Ports") or {}).items():
        number, _, protocol = exposed.partition("/")
        published += [
            Port(
                address=binding["HostIp"],
                host=int(binding["HostPort"]),
                container=int(number),
                protocol=protocol,
            )
            for binding in bindings or ()
        ]
    return tuple(published)


def _container(inspected: Mapping[str, Any], environment: dict[str, Variable]) -> Container:
    state, labels = inspected["State"], _labels(inspected)
    networks = inspected["NetworkSettings"].get("Networks") or {}
    return Container(
        id=inspected["Id"],
        name=inspected["Name"].removeprefix("/"),
        service=labels.get("com.docker.compose.service", ""),
        one_off=labels.get("com.docker.compose.oneoff", "False").lower() == "true",
        status=state["Status"],
        restarting=state["Restarting"],
        health=(state.get("Health") or {}).get("Status"),
        exit_code=state["ExitCode"],
        oom_killed=state["OOMKilled"],
        restart_count=inspected["RestartCount"],
        started_at=state["StartedAt"],
        image_id=inspected["Image"],
        image_reference=inspected["Config"]["Image"],
        ports=_ports(inspected) if state["Status"] == "running" else None,
        mounts=tuple(
            Mount(kind=mount["Type"], name=mount.get("Name", ""), destination=mount["Destination"])
            for mount in inspected.get("Mounts") or ()
        ),
        addresses={
            name: network.get("IPAddress") or network.get("GlobalIPv6Address") or ""
            for name, network in sorted(networks.items())
        },
        log_driver=inspected["HostConfig"]["LogConfig"]["Type"],
        environment=environment,
    )


def read(result: Result, access: Access) -> tuple[datetime, tuple[Container, ...]]:
    """Turn the answer of `docker inspect` into containers, without any value of a variable.

    Raises:
        UnavailableError: the engine could not be asked, or answered something else.
    """
    at, objects = looked_at(result)
    try:
        return at, tuple(_container(one, reduce(access, environment_of(one))) for one in objects)
    except (KeyError, TypeError, AttributeError) as error:
        raise UnavailableError(f"docker inspect: the answer lacks {error}") from error


def read_images(result: Result) -> tuple[Image, ...]:
    """Turn the answer of `docker image inspect` into images.

    Raises:
        UnavailableError: the engine could not be asked, or an image is gone.
    """
    try:
        return tuple(
            Image(
                id=one["Id"],
                tags=tuple(one.get("RepoTags") or ()),
                digests=tuple(one.get("RepoDigests") or ()),
                revision=((one.get("Config") or {}).get("Labels") or {}).get(REVISION_LABEL),
            )
            for one in json.loads(answered(result).stdout)
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnavailableError("docker image inspect: the answer is not what docker prints") from error


def inspect_arguments(target: Target, compose: Compose | None = None) -> tuple[str, str]:
    """Return the arguments of the declared inspection; whoever asks with them shares one answer.

    Args:
        target: whose tools are meant.
        compose: whose project is meant; the CRM's if none is given.
    """
    return target.server.tools.docker, (compose or target.compose).project


async def collect(access: Access) -> Containers:
    """Inspect the project's containers, then their images and their state once more.

    Raises:
        UnavailableError: the engine cannot be asked, or only the assumed project name has no container.
    """
    return await inspected(access, access.target.compose, "compose")


async def inspected(access: Access, compose: Compose, section: str) -> Containers:
    """Inspect the containers of a compose project, then their images and their state once more.

    Args:
        access: of the run.
        compose: describes the project.
        section: the target file's section that describes the project.

    Raises:
        UnavailableError: the engine cannot be asked, or only the assumed project name has no container.
    """
    target = access.target
    arguments = inspect_arguments(target, compose)
    (first,) = await access.host.run(call(CONTAINERS_INSPECT, *arguments))
    at, containers = read(first, access)
    if not containers and target.is_assumed(f"{section}.project"):
        raise UnavailableError(
            f"assumed name not found: no container of compose project {compose.project}",
            f"set {section}.project in the target file; `docker compose ls` shows the names",
        )
    image_ids = sorted({container.image_id for container in containers})
    later = await access.host.run(
        call(CONTAINERS_SAMPLE, *arguments),
        *([call(IMAGES_INSPECT, target.server.tools.docker, *image_ids)] if image_ids else ()),
    )
    return Containers(
        project=compose.project,
        at=at,
        all=containers,
        images=_images(later[1]) if image_ids else Known(value=()),
        again=_sample(later[0]),
    )


def _images(result: Result) -> Known[tuple[Image, ...]] | Unavailable:
    try:
        return Known(value=read_images(result))
    except UnavailableError as error:
        return Unavailable.of(error)


def _sample(result: Result) -> Known[Sample] | Unavailable:
    try:
        return Known(value=_states(result))
    except UnavailableError as error:
        return Unavailable.of(error)
    except (KeyError, TypeError) as error:
        return Unavailable(reason=f"docker inspect: the answer lacks {error}")


NOUN = Noun("containers", Containers, collect, sources=("engine",), host=True, teaches=True)
