"""Docker's documents (inspect, ps, images, volumes), made from the state of real processes.

Shapes are those of Docker Engine 20.10.24 with the client of the same version, as recorded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime

from rehearsal.host.version import VERSION, Document
from rehearsal.runtime import clock
from rehearsal.runtime.launch import PATH
from rehearsal.runtime.process import (
    HEALTH_INTERVAL_S,
    HEALTH_RETRIES,
    HEALTH_START_PERIOD_S,
    Health,
    RunningContainer,
    Runtime,
)
from rehearsal.runtime.spec import Container, Image, Mount, Published

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104
_SECOND = 1_000_000_000
_SIZE = 232_019_105


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class Documents:
    """Renders what one runtime runs."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._site = runtime.site

    def labels(self, container: RunningContainer) -> dict[str, str]:
        """Return the image's labels and those that compose sets."""
        project = container.spec.project
        directory = self._site.project(project.name)
        return {
            **container.spec.image.labels,
            "com.docker.compose.container-number": "1",
            "com.docker.compose.oneoff": "False",
            "com.docker.compose.project": project.name,
            "com.docker.compose.project.config_files": str(directory / project.compose_file),
            "com.docker.compose.project.working_dir": str(directory),
            "com.docker.compose.service": container.spec.service,
        }

    @staticmethod
    def name(container: RunningContainer) -> str:
        """Return the container's name as compose makes it."""
        return container.spec.name

    def inspect(self, container: RunningContainer) -> Document:
        """Return what `docker inspect` shows of a container."""
        spec = container.spec
        files = f"/var/lib/docker/containers/{container.id}"
        return {
            "Id": container.id,
            "Created": clock.short(container.created_ns),
            "Path": spec.argv[0],
            "Args": list(spec.argv[1:]),
            "State": self._state(container),
            "Image": spec.image.id,
            "ResolvConfPath": f"{files}/resolv.conf",
            "HostnamePath": f"{files}/hostname",
            "HostsPath": f"{files}/hosts",
            "LogPath": container.log_path,
            "Name": f"/{self.name(container)}",
            "RestartCount": container.restart_count,
            "Driver": "overlay2",
            "Platform": "linux",
            "MountLabel": "",
            "ProcessLabel": "",
            "AppArmorProfile": "",
            "ExecIDs": None,
            "HostConfig": _host_config(container),
            "GraphDriver": _graph_driver(container.id),
            "Mounts": [_mount(spec, mount) for mount in spec.mounts],
            "Config": self._config(container),
            "NetworkSettings": self._network_settings(container),
        }

    @staticmethod
    def _state(container: RunningContainer) -> Document:
        state = container.state
        document: Document = {
            "Status": state,
            "Running": state in ("running", "paused", "restarting"),
            "Paused": state == "paused",
            "Restarting": state == "restarting",
            "OOMKilled": container.oom_killed,
            "Dead": False,
            "Pid": container.pid,
            "ExitCode": container.exit_code,
            "Error": "",
            "StartedAt": clock.short(container.started_ns),
            "FinishedAt": clock.short(container.finished_ns),
        }
        if container.health is not None:
            document["Health"] = _health(container.health, stopped=state != "running")
        return document

    def _config(self, container: RunningContainer) -> Document:
        spec = container.spec
        document: Document = {
            "Hostname": container.id[:12],
            "Domainname": "",
            "User": spec.account.name,
            "AttachStdin": False,
            "AttachStdout": False,
            "AttachStderr": False,
            "ExposedPorts": {f"{port}/tcp": {} for port in spec.ports},
            "Tty": False,
            "OpenStdin": False,
            "StdinOnce": False,
            "Env": [*(f"{name}={value}" for name, value in spec.env.items()), f"PATH={PATH}"],
            "Cmd": list(spec.argv),
            "Healthcheck": {
                "Test": ["CMD-SHELL", "healthcheck"],
                "Interval": int(HEALTH_INTERVAL_S * _SECOND),
                "Timeout": 5 * _SECOND,
                "StartPeriod": int(HEALTH_START_PERIOD_S * _SECOND),
                "Retries": HEALTH_RETRIES,
            },
            "Image": spec.reference,
            "Volumes": None,
            "WorkingDir": str(spec.cwd or ""),
            "Entrypoint": None,
            "OnBuild": None,
            "Labels": self.labels(container),
        }
        if spec.health is None:
            del document["Healthcheck"]
        if not spec.ports:
            del document["ExposedPorts"]
        return document

    def _network_settings(self, container: RunningContainer) -> Document:
        spec, live = container.spec, container.pid != 0
        sandbox = _digest("sandbox", container.id, str(container.started_ns))
        ports: dict[str, list[Document] | None] = {f"{port}/tcp": None for port in spec.ports}
        for key, published in _published(spec.published).items():
            ports[key] = [
                {"HostIp": item.host_address, "HostPort": str(item.host_port)} for item in published
            ]
        number = int(spec.address.rsplit(".", 1)[-1])
        network = {
            "IPAMConfig": None,
            "Links": None,
            "Aliases": [spec.service, self.name(container), container.id[:12]],
            "NetworkID": _digest("network", str(self._site.root), spec.network),
            "EndpointID": _digest("endpoint", sandbox) if live else "",
            "Gateway": f"{self._site.net}.1" if live else "",
            "IPAddress": spec.address if live else "",
            "IPPrefixLen": 24 if live else 0,
            "IPv6Gateway": "",
            "GlobalIPv6Address": "",
            "GlobalIPv6PrefixLen": 0,
            "MacAddress": f"02:42:7f:00:00:{number:02x}" if live else "",
            "DriverOpts": None,
        }
        return {
            "Bridge": "",
            "SandboxID": sandbox,
            "HairpinMode": False,
            "LinkLocalIPv6Address": "",
            "LinkLocalIPv6PrefixLen": 0,
            "Ports": ports if live else {},
            "SandboxKey": f"/var/run/docker/netns/{sandbox[:12]}",
            "SecondaryIPAddresses": None,
            "SecondaryIPv6Addresses": None,
            "EndpointID": "",
            "Gateway": "",
            "GlobalIPv6Address": "",
            "GlobalIPv6PrefixLen": 0,
            "IPAddress": "",
            "IPPrefixLen": 0,
            "IPv6Gateway": "",
            "MacAddress": "",
            "Networks": {spec.network: network},
        }

    def ps(self, container: RunningContainer, *, truncate: bool) -> Document:
        """Return one line of `docker ps`."""
        spec, now = container.spec, clock.now()
        command = " ".join(spec.argv)
        if truncate and len(command) > 20:
            command = command[:19] + "…"
        names = [spec.volume_name(mount) for mount in spec.mounts]
        return {
            "Command": json.dumps(command, ensure_ascii=False),
            "CreatedAt": _zone_time(container.created_ns),
            "ID": container.id[:12] if truncate else container.id,
            "Image": spec.reference,
            "Labels": ",".join(f"{key}={value}" for key, value in self.labels(container).items()),
            "LocalVolumes": str(len(names)),
            "Mounts": ",".join(_cut(name, 15) if truncate else name for name in names),
            "Names": self.name(container),
            "Networks": spec.network,
            "Ports": _ports_column(container) if container.pid else "",
            "RunningFor": f"{duration(now - container.created_ns)} ago",
            "Size": "0B (virtual 232MB)",
            "State": container.state,
            "Status": _status(container, now),
        }

    def images(self) -> list[Image]:
        """Return the local images: those that containers were created from."""
        found = {
            container.spec.image.id: container.spec.image for container in self._runtime.containers.values()
        }
        return list(found.values())

    def image_inspect(self, image: Image) -> Document:
        """Return what `docker image inspect` shows."""
        created = clock.short(self._runtime.started_ns)
        config: Document = {
            "Hostname": "",
            "Domainname": "",
            "User": "",
            "AttachStdin": False,
            "AttachStdout": False,
            "AttachStderr": False,
            "Tty": False,
            "OpenStdin": False,
            "StdinOnce": False,
            "Env": [f"PATH={PATH}"],
            "Cmd": None,
            "Image": "",
            "Volumes": None,
            "WorkingDir": "",
            "Entrypoint": None,
            "OnBuild": None,
            "Labels": dict(image.labels) or None,
        }
        return {
            "Id": image.id,
            "RepoTags": list(image.tags),
            "RepoDigests": list(image.digests),
            "Parent": "",
            "Comment": "",
            "Created": created,
            "Container": "",
            "ContainerConfig": config,
            "DockerVersion": VERSION,
            "Author": "",
            "Config": config,
            "Architecture": "amd64",
            "Os": "linux",
            "Size": _SIZE,
            "VirtualSize": _SIZE,
            "GraphDriver": _graph_driver(image.id),
            "RootFS": {"Type": "layers", "Layers": [f"sha256:{_digest('layer', image.id)}"]},
            "Metadata": {"LastTagTime": created},
        }

    def image_lines(self, *, truncate: bool) -> list[Document]:
        """Return the lines of `docker images`: one for each tag."""
        created, now = self._runtime.started_ns, clock.now()
        lines = []
        for image in self.images():
            for reference in image.tags or ("<none>:<none>",):
                repository, _, tag = reference.rpartition(":")
                identity = image.id.removeprefix("sha256:")[:12] if truncate else image.id
                lines.append(
                    {
                        "Containers": "N/A",
                        "CreatedAt": _zone_time(created),
                        "CreatedSince": f"{duration(now - created)} ago",
                        "Digest": "<none>",
                        "ID": identity,
                        "Repository": repository,
                        "SharedSize": "N/A",
                        "Size": "232MB",
                        "Tag": tag,
                        "UniqueSize": "N/A",
                        "VirtualSize": "232MB",
                    }
                )
        return lines

    def volume(self, name: str) -> Document | None:
        """Return what `docker volume inspect` shows; None if no container has a volume of that name."""
        for container in self._runtime.containers.values():
            for mount in container.spec.mounts:
                if container.spec.volume_name(mount) == name:
                    created = datetime.fromtimestamp(mount.source.stat().st_ctime, UTC)
                    anonymous = mount.volume == name
                    labels = {
                        "com.docker.compose.project": container.spec.project.name,
                        "com.docker.compose.volume": mount.volume,
                    }
                    return {
                        "CreatedAt": f"{created:%Y-%m-%dT%H:%M:%SZ}",
                        "Driver": "local",
                        "Labels": None if anonymous else labels,
                        "Mountpoint": str(mount.source),
                        "Name": name,
                        "Options": None,
                        "Scope": "local",
                    }
        return None


def _health(health: Health, *, stopped: bool) -> Document:
    return {
        "Status": "unhealthy" if stopped else health.status,
        "FailingStreak": health.failing_streak,
        "Log": [
            {
                "Start": clock.short(probe.start_ns),
                "End": clock.short(probe.end_ns),
                "ExitCode": 0 if probe.complaint is None else 1,
                "Output": probe.complaint or "",
            }
            for probe in list(health.probes)
        ],
    }


def _published(published: Iterable[Published]) -> dict[str, list[Published]]:
    grouped: dict[str, list[Published]] = {}
    for item in published:
        grouped.setdefault(f"{item.container_port}/tcp", []).append(item)
    return grouped


def _bindings(published: Iterable[Published]) -> dict[str, list[Document]]:
    bindings: dict[str, list[Document]] = {}
    for key, items in _published(published).items():
        for item in items:
            address = "" if item.host_address in _WILDCARDS else item.host_address
            binding = {"HostIp": address, "HostPort": str(item.host_port)}
            if binding not in bindings.setdefault(key, []):
                bindings[key].append(binding)
    return bindings


def _ports_column(container: RunningContainer) -> str:
    published = _published(container.spec.published)
    columns = []
    for port in container.spec.ports:
        for item in published.get(f"{port}/tcp", []):
            columns.append(f"{item.host_address}:{item.host_port}->{port}/tcp")
        if f"{port}/tcp" not in published:
            columns.append(f"{port}/tcp")
    return ", ".join(columns)


def _mount(spec: Container, mount: Mount) -> Document:
    return {
        "Type": "volume",
        "Name": spec.volume_name(mount),
        "Source": str(mount.source),
        "Destination": mount.destination,
        "Driver": "local",
        "Mode": "z",
        "RW": True,
        "Propagation": "",
    }


def _graph_driver(identity: str) -> Document:
    layer = f"/var/lib/docker/overlay2/{_digest('layer', identity)}"
    return {
        "Data": {
            "LowerDir": f"{layer}-init/diff",
            "MergedDir": f"{layer}/merged",
            "UpperDir": f"{layer}/diff",
            "WorkDir": f"{layer}/work",
        },
        "Name": "overlay2",
    }


_HOST_CONFIG: Document = {
    "ContainerIDFile": "",
    "AutoRemove": False,
    "VolumeDriver": "",
    "VolumesFrom": None,
    "CapAdd": None,
    "CapDrop": None,
    "CgroupnsMode": "host",
    "Dns": [],
    "DnsOptions": [],
    "DnsSearch": [],
    "ExtraHosts": None,
    "GroupAdd": None,
    "IpcMode": "private",
    "Cgroup": "",
    "Links": None,
    "OomScoreAdj": 0,
    "PidMode": "",
    "Privileged": False,
    "PublishAllPorts": False,
    "ReadonlyRootfs": False,
    "SecurityOpt": None,
    "UTSMode": "",
    "UsernsMode": "",
    "ShmSize": 67108864,
    "Runtime": "runc",
    "ConsoleSize": [0, 0],
    "Isolation": "",
    "CpuShares": 0,
    "Memory": 0,
    "NanoCpus": 0,
    "CgroupParent": "",
    "BlkioWeight": 0,
    "BlkioWeightDevice": [],
    "BlkioDeviceReadBps": None,
    "BlkioDeviceWriteBps": None,
    "BlkioDeviceReadIOps": None,
    "BlkioDeviceWriteIOps": None,
    "CpuPeriod": 0,
    "CpuQuota": 0,
    "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0,
    "CpusetCpus": "",
    "CpusetMems": "",
    "Devices": [],
    "DeviceCgroupRules": None,
    "DeviceRequests": None,
    "KernelMemory": 0,
    "KernelMemoryTCP": 0,
    "MemoryReservation": 0,
    "MemorySwap": 0,
    "MemorySwappiness": None,
    "OomKillDisable": False,
    "PidsLimit": None,
    "Ulimits": None,
    "CpuCount": 0,
    "CpuPercent": 0,
    "IOMaximumIOps": 0,
    "IOMaximumBandwidth": 0,
    "MaskedPaths": [
        "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
    ],
    "ReadonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
}  # fmt: skip


def _host_config(container: RunningContainer) -> Document:
    spec = container.spec
    return {
        "Binds": [f"{spec.volume_name(mount)}:{mount.destination}" for mount in spec.mounts] or None,
        **_HOST_CONFIG,
        "LogConfig": {"Type": spec.log_driver, "Config": {}},
        "NetworkMode": spec.network,
        "PortBindings": _bindings(spec.published),
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
    }


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _zone_time(nanoseconds: int) -> str:
    return f"{datetime.fromtimestamp(nanoseconds // _SECOND, UTC):%Y-%m-%d %H:%M:%S} +0000 UTC"


def _status(container: RunningContainer, now: int) -> str:
    since_end = f"{duration(now - container.finished_ns)} ago"
    if container.state == "created":
        return "Created"
    if container.state == "exited":
        return f"Exited ({container.exit_code}) {since_end}"
    if container.state == "restarting":
        return f"Restarting ({container.exit_code}) {since_end}"
    up = f"Up {duration(now - container.started_ns)}"
    if container.state == "paused":
        return f"{up} (Paused)"
    if container.health is None:
        return up
    status = container.health.status
    return f"{up} ({'health: starting' if status == 'starting' else status})"


_STEPS = (
    (1, "Less than a second", 0, ""),
    (2, "1 second", 0, ""),
    (60, "", 1, "seconds"),
    (120, "About a minute", 0, ""),
    (3600, "", 60, "minutes"),
    (7200, "About an hour", 0, ""),
    (48 * 3600, "", 3600, "hours"),
    (14 * 86400, "", 86400, "days"),
    (60 * 86400, "", 7 * 86400, "weeks"),
    (730 * 86400, "", 30 * 86400, "months"),
)


def duration(nanoseconds: int) -> str:
    """Return a length of time in Docker's words (`About a minute`, `3 hours`)."""
    seconds = nanoseconds // _SECOND
    for below, words, unit, name in _STEPS:
        if seconds < below:
            return words or f"{seconds // unit} {name}"
    return f"{seconds // (365 * 86400)} years"
