"""A compose file as Docker Compose reads it, reduced to what the plan says of it; pure."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from acceptance.errors import UnavailableError
from acceptance.facts.base import Fact
from acceptance.facts.env_file import EnvFileError, Lookup, interpolate

if TYPE_CHECKING:
    from acceptance.sections.compose import Service
    from acceptance.target import Target

DEFAULT_NAMES = frozenset({"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"})
"""Only beside a compose file of such a name does Compose look for an override file by itself."""

_LONGEST_MAPPING = 10_000
_LONGEST_RANGE = 1000
_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_UNSET = "\0"


class ComposeFileError(ValueError):
    """The file cannot be read as Compose reads it; the message holds no value of it."""


class _UnclearError(Exception):
    """A part of the file whose meaning depends on something that is not in it."""


class Publication(Fact):
    """A container port that the file publishes.

    Attributes:
        address: the host address it is bound to; empty for every one.
        host: the port on the host; None if the engine chooses one.
    """

    address: str
    host: int | None
    container: int
    protocol: str

    def __str__(self) -> str:
        shown = f"[{self.address}]:" if ":" in self.address else f"{self.address}:" if self.address else ""
        suffix = "" if self.protocol == "tcp" else f"/{self.protocol}"
        return f"{shown}{self.host or 'any port'}→{self.container}{suffix}"


class Mounted(Fact):
    """Something that the file mounts. `name` is a named volume's, and empty for anything else."""

    kind: str
    name: str
    destination: str

    def __str__(self) -> str:
        name = "an anonymous volume" if self.kind == "volume" else f"a {self.kind} mount"
        return f"{self.name or name} on {self.destination}"


class ComposeService(Fact):
    """One service of the file.

    Attributes:
        whole: False if a part of it depends on something else than the two files.
        image: empty if it names none; None if it depends on something else.
        host_network: True if it shares the host's network: each of its ports is one of the host's.
        instances: how many containers are to run.
        env_files: relative to the compose file, or absolute.
    """

    name: str
    whole: bool
    image: str | None = None
    ports: tuple[Publication, ...] = ()
    mounts: tuple[Mounted, ...] = ()
    env_files: tuple[str, ...] = ()
    host_network: bool = False
    instances: int = 1


class ComposeFile(Fact):
    """The compose file.

    Attributes:
        whole: False if it takes parts from other files.
        volumes: the named volumes, each with the fixed name that it is given; empty if Compose names it.
        unclear: what cannot be told from the two files alone, in sentences.
    """

    whole: bool
    services: tuple[ComposeService, ...]
    volumes: dict[str, str]
    unclear: tuple[str, ...] = ()

    def of(self, name: str) -> ComposeService | None:
        """Return a service, None if the file has none of that name."""
        return next((service for service in self.services if service.name == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        """The services' names, sorted."""
        return tuple(sorted(service.name for service in self.services))

    def other_services(self, declared: Iterable[str]) -> tuple[str, ...]:
        """Say which services are missing, are not declared, or do not run exactly once."""
        wanted = set(declared)
        return (
            *(f"no {name}" for name in sorted(wanted - set(self.names)) if self.whole),
            *(f"{name}, which is not declared" for name in self.names if name not in wanted),
            *(f"{one.name} {one.instances} times" for one in self.services if one.instances != 1),
        )

    def other_images(self, services: Iterable[Service]) -> tuple[str, ...]:
        """Name the services with another image than declared."""
        pairs = ((service, self.of(service.name)) for service in services)
        return tuple(
            f"{service.name} has {found.image or 'none'}"
            for service, found in pairs
            if found and found.image is not None and _plain(found.image) != _plain(service.image)
        )

    def other_ports(self, services: Iterable[Service]) -> tuple[str, ...]:
        """Name what is published and not declared, and what is declared and not published."""
        declared = {
            (service.name, port.host, port.container, "tcp") for service in services for port in service.ports
        }
        found = {
            (one.name, port.host, port.container, port.protocol): f"{one.name} {port}"
            for one in self.services
            for port in one.ports
        }
        whole = {one.name for one in self.services if one.whole}
        return (
            *(f"{one.name} shares the host's network" for one in self.services if one.host_network),
            *(f"{found[key]}, which is not declared" for key in sorted(found.keys() - declared, key=str)),
            *(
                f"{name} does not publish {host}→{container}"
                for name, host, container, _ in sorted(declared - found.keys())
                if name in whole
            ),
        )

    def public_databases(self, target: Target) -> tuple[str, ...]:
        """Name the services that open PostgreSQL or Redis to others than the project's own network."""
        kinds = {service.name: service.kind for service in target.compose.services}
        numbers = {target.postgres.port, target.redis.port}
        opened = []
        for one in self.services:
            is_database = kinds.get(one.name) in ("postgres", "redis")
            if is_database and one.host_network:
                opened.append(f"{one.name} shares the host's network")
            opened += [f"{one.name} {port}" for port in one.ports if is_database or port.container in numbers]
        return tuple(opened)

    def other_volumes(self, target: Target) -> tuple[str, ...]:
        """Name the volumes that are missing, mounted elsewhere, renamed or not declared."""
        compose = target.compose
        declared = {volume.name for service in compose.services for volume in service.volumes}
        return (
            *(f"no volume {name}" for name in sorted(declared - self.volumes.keys()) if self.whole),
            *(f"volume {name}, which is not declared" for name in sorted(self.volumes.keys() - declared)),
            *(
                f"volume {name} is named {fixed}"
                for name, fixed in sorted(self.volumes.items())
                if fixed not in ("", name, f"{compose.project}_{name}")
            ),
            *(text for service in compose.services for text in self._mismatched(service)),
        )

    def _mismatched(self, service: Service) -> Iterator[str]:
        found = self.of(service.name)
        if found is None:
            return
        wanted = {(volume.name, volume.destination) for volume in service.volumes}
        mounted = {(mount.name, mount.destination): mount for mount in found.mounts if mount.kind == "volume"}
        for name, destination in sorted(wanted - mounted.keys() if found.whole else ()):
            there = next((mount for mount in found.mounts if mount.destination == destination), None)
            yield f"{service.name}: {name} is not on {destination}" + (f" but {there}" if there else "")
        for key in sorted(mounted.keys() - wanted):
            yield f"{service.name}: {mounted[key]}, which is not declared"

    def without_env_file(self, target: Target) -> tuple[str, ...]:
        """Name the services that are declared to get the .env file and do not.

        Raises:
            UnavailableError: some do not, and that they should is assumed.
        """
        names = {target.compose.env_file, target.compose.env_path}
        pairs = (
            (service.name, self.of(service.name)) for service in target.compose.services if service.env_file
        )
        missing = tuple(
            name for name, found in pairs if found and found.whole and not names & set(found.env_files)
        )
        if missing and target.is_assumed("compose.services.env_file"):
            raise UnavailableError(
                f"assumed name not found: {', '.join(missing)} has no env_file {target.compose.env_file}",
                "correct compose.services.env_file in the target file",
            )
        return missing

    def storage_services(self) -> tuple[str, ...]:
        """Name the services that bring a storage server of their own, told by the word MinIO."""
        return tuple(one.name for one in self.services if "minio" in f"{one.name} {one.image or ''}".lower())

    @property
    def is_clear(self) -> bool:
        """True if everything could be told from the two files.

        Raises:
            UnavailableError: something could not, with what it was.
        """
        if self.unclear:
            raise UnavailableError(
                f"the compose file cannot be told as a whole: {'; '.join(self.unclear)}",
                "see `docker compose config` on the server, which shows secrets too",
            )
        return True


def _plain(image: str) -> str:
    """Return an image's reference without what Docker would add itself."""
    return image.removeprefix("docker.io/").removeprefix("library/")


class _Loader(yaml.SafeLoader):
    """Reads every plain scalar as text but null and the merge key, as Compose's own types would have it.

    YAML 1.1, which PyYAML reads, takes 22:22 for a number in base 60; Compose does not.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name for it
        "<": [("tag:yaml.org,2002:merge", re.compile(r"^<<$"))],
        **{first: [("tag:yaml.org,2002:null", _NULL)] for first in ("~", "n", "N", "")},
    }

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge `<<` into a mapping; merges of merges must not grow beyond reason."""
        self._refuse_duplicates(node)
        super().flatten_mapping(node)
        if len(node.value) > _LONGEST_MAPPING:
            raise ComposeFileError("a mapping is too long")

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        if getattr(node, "is_checked", False):
            return
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        twice = [key for key, count in keys.items() if count > 1 and key != "<<"]
        if twice:
            raise ComposeFileError(f"line {node.start_mark.line + 1}: the key {twice[0]} stands twice")
        node.is_checked = True  # type: ignore[attr-defined]


def _document(text: str, lookup: Lookup) -> Any:  # noqa: ANN401 - YAML is any value
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _interpolate(node, lookup)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise ComposeFileError(f"{where}{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ComposeFileError("not YAML") from error
    except RecursionError as error:
        raise ComposeFileError("nested too deeply") from error


def _interpolate(root: yaml.Node, lookup: Lookup) -> None:
    """Replace the references in every value; a name that is not set leaves a mark."""
    seen: set[int] = set()
    ahead: list[yaml.Node] = [root]
    while ahead:
        node = ahead.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            ahead += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            ahead += node.value
        else:
            try:
                node.value = interpolate(node.value, lookup, lambda name: f"{_UNSET}{name}{_UNSET}")
            except EnvFileError as error:
                raise ComposeFileError(f"line {node.start_mark.line + 1}: {error}") from error


def read(text: str, lookup: Lookup = lambda _: None) -> ComposeFile:
    """Read a compose file.

    Args:
        text: the file's text.
        lookup: the value of a variable of the project's .env file, None if it has none. That the shell
            which starts Compose may set others is left out of account.

    Raises:
        ComposeFileError: it is no compose file, needs more than plain YAML, or Compose would refuse it.
    """
    document = _mapping(_document(text, lookup), "the file")
    unclear: list[str] = []
    if document.get("include"):
        unclear.append("it includes other files")
    declared = _mapping(document.get("services"), "services")
    services = tuple(_service(name, _mapping(body, name), unclear) for name, body in declared.items())
    volumes = {
        name: _fixed_name(name, body, unclear)
        for name, body in _mapping(document.get("volumes") or {}, "volumes").items()
    }
    return ComposeFile(
        whole=not document.get("include"), services=services, volumes=volumes, unclear=tuple(unclear)
    )


@dataclass(frozen=True)
class ServiceVariables:
    """The variables that a service is given in the file, with their values: no fact.

    Attributes:
        values: under `environment`; they win over those of the files.
        inherited: names there that take their values from the shell that starts Compose.
        env_files: relative to the compose file, or absolute; of equal names the last file's wins.
    """

    values: dict[str, str]
    inherited: tuple[str, ...]
    env_files: tuple[str, ...]


def variables(text: str, lookup: Lookup, service: str) -> ServiceVariables:
    """Return the variables that a compose file gives to a service; pure.

    Args:
        text: the file's text.
        lookup: as for `read`.
        service: its name.

    Raises:
        ComposeFileError: as for `read`.
        UnavailableError: some of them stand in another file, or are written in a way that is not known here.
    """
    document = _mapping(_document(text, lookup), "the file")
    body = _mapping(document.get("services"), "services").get(service)
    if body is None or _mapping(body, service).get("extends") or document.get("include"):
        raise UnavailableError(f"the compose file does not say by itself what {service} is started with")
    entries = body.get("env_file") or []
    if any(isinstance(entry, Mapping) and entry.get("format") for entry in entries):
        raise UnavailableError(f"{service}.env_file has a format of its own, which is not evaluated")
    values: dict[str, str] = {}
    inherited = []
    for name, value in _assignments(body.get("environment") or {}, f"{service}.environment"):
        try:
            found = lookup(name) if value is None else _text(value, f"{service}.environment")
        except _UnclearError:
            found = None
        if found is None:
            inherited.append(name)
        else:
            values[name] = found
    return ServiceVariables(values, tuple(inherited), _env_files(body, service))


def other_names(text: str, lookup: Lookup, service: str) -> tuple[str, ...]:
    """Return under which names beside its own a service is reached by the others; pure.

    Raises:
        ComposeFileError: as for `read`.
    """
    document = _mapping(_document(text, lookup), "the file")
    body = _mapping(_mapping(document.get("services"), "services").get(service) or {}, service)
    networks = body.get("networks")
    joined = networks.values() if isinstance(networks, dict) else ()
    aliases = [alias for each in joined if isinstance(each, dict) for alias in each.get("aliases") or ()]
    given = [body.get("container_name"), *aliases]
    return tuple(name for name in given if isinstance(name, str) and name and _UNSET not in name)


def _assignments(given: object, where: str) -> Iterator[tuple[str, object]]:
    """Return each variable with its value, None if it stands without one."""
    if isinstance(given, list):
        for entry in given:
            if not isinstance(entry, str):
                raise ComposeFileError(f"{where} holds what is no text")
            name, equals, value = entry.partition("=")
            yield name, value if equals else None
        return
    yield from _mapping(given, where).items()


def _fixed_name(name: str, body: object, unclear: list[str]) -> str:
    given = _mapping(body or {}, name)
    fixed = _attempt(lambda: _text(given.get("name") or "", f"{name}.name"), f"volume {name}", unclear)
    external = str(given.get("external", "false")).lower() == "true"
    return (fixed or "") or (name if external else "")


def _service(name: str, body: Mapping[str, Any], unclear: list[str]) -> ComposeService:
    before = len(unclear)
    unclear += [f"{name} has `{key}`" for key in ("extends", "profiles") if body.get(key)]
    found = {
        "image": _attempt(lambda: _image(body, name), f"{name}.image", unclear),
        "ports": _attempt(lambda: _all(body, "ports", name, _publications), f"{name}.ports", unclear),
        "mounts": _attempt(lambda: _all(body, "volumes", name, _mounts), f"{name}.volumes", unclear),
        "env_files": _attempt(lambda: _env_files(body, name), f"{name}.env_file", unclear),
        "host_network": _attempt(
            lambda: _text(body.get("network_mode") or "", name) == "host", f"{name}.network_mode", unclear
        ),
        "instances": _attempt(lambda: _instances(body, name), f"{name}.scale", unclear),
    }
    whole = len(unclear) == before
    return ComposeService(
        name=name, whole=whole, **{key: value for key, value in found.items() if value is not None}
    )


def _attempt(evaluate: Callable[[], Any], what: str, unclear: list[str]) -> Any:  # noqa: ANN401 - any part
    try:
        return evaluate()
    except _UnclearError as error:
        unclear.append(f"{what}: {error}")
        return None


def _image(body: Mapping[str, Any], name: str) -> str | None:
    if not body.get("image"):
        return None if body.get("extends") else ""
    return _text(body["image"], f"{name}.image")


def _all(
    body: Mapping[str, Any], key: str, name: str, each: Callable[[object, str], Iterable[Fact]]
) -> tuple[Fact, ...]:
    where = f"{name}.{key}"
    entries = body.get(key) or []
    if not isinstance(entries, list):
        raise ComposeFileError(f"{where} is no list")
    return tuple(found for entry in entries for found in each(entry, where))


def _publications(entry: object, where: str) -> Iterator[Publication]:
    if isinstance(entry, Mapping):
        protocol = _text(entry.get("protocol") or "tcp", where)
        address = _text(entry.get("host_ip") or "", where)
        host, container = _text(entry.get("published") or "", where), _text(entry.get("target"), where)
    else:
        text, _, protocol = _text(entry, where).partition("/")
        *front, container = text.split(":")
        host = front.pop() if front else ""
        address = ":".join(front).strip("[]")
    inside = _numbers(container, where)
    outside = _numbers(host, where) if host else [None] * len(inside)
    if len(outside) != len(inside):
        raise _UnclearError(f"the engine chooses a port of {host}")
    for published, port in zip(outside, inside, strict=True):
        if port is not None:
            yield Publication(address=address, host=published, container=port, protocol=protocol or "tcp")


def _numbers(text: str, where: str) -> list[int | None]:
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    if match is None:
        raise ComposeFileError(f"{where} holds what is no port")
    first, last = int(match[1]), int(match[2] or match[1])
    if last - first > _LONGEST_RANGE:
        raise _UnclearError(f"the range {text} is too long to be judged")
    return list(range(first, last + 1))


def _mounts(entry: object, where: str) -> Iterator[Mounted]:
    if isinstance(entry, Mapping):
        kind = _text(entry.get("type") or "volume", where)
        source = _text(entry.get("source") or "", where)
        destination = _text(entry.get("target"), where)
    else:
        parts = _text(entry, where).split(":")
        source, destination = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])
        kind = "bind" if source.startswith(("/", ".", "~")) else "volume"
    name = source if kind == "volume" else ""
    yield Mounted(kind=kind, name=name, destination=destination.rstrip("/") or "/")


def _env_files(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    where = f"{name}.env_file"
    given = body.get("env_file") or []
    entries = given if isinstance(given, list) else [given]
    paths = (entry.get("path") if isinstance(entry, Mapping) else entry for entry in entries)
    return tuple(posixpath.normpath(_text(path, where)) for path in paths)


def _instances(body: Mapping[str, Any], name: str) -> int:
    replicas = _mapping(body.get("deploy") or {}, f"{name}.deploy").get("replicas")
    given = next((value for value in (body.get("scale"), replicas) if value is not None), 1)
    text = _text(given, f"{name}.scale")
    if not re.fullmatch(r"\d{1,4}", text):
        raise ComposeFileError(f"{name}.scale is no number")
    return int(text)


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ComposeFileError(f"{where} is no mapping")
    return value


def _text(value: object, where: str) -> str:
    """Return a scalar's text.

    Raises:
        ComposeFileError: it is none.
        _UnclearError: it refers to a variable that is not set.
    """
    if not isinstance(value, str | int | float):
        raise ComposeFileError(f"{where} holds what is no text")
    text = str(value)
    if _UNSET in text:
        name = text.split(_UNSET)[1]
        raise _UnclearError(f"{name} is not in the .env file, so a shell may set it or not")
    return text
