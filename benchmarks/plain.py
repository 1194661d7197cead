"""The host checks as an ordinary author writes them with pytest-testinfra: ask, then assert.

Every check asks the server itself, in the words of testinfra's own documentation. What several checks of
the suite ask of several routes or services is asked once here wherever one command answers it, so there are
fewer questions than the suite has checks; and the nginx files are searched with `grep` instead of being
understood. Both favour the plain side.
"""

from __future__ import annotations

import json
import re
import shlex
from datetime import datetime, timedelta
from typing import Any

import pytest
from testinfra.host import Host

from acceptance.target import Target

TOLERANCE = timedelta(seconds=2)
"""`ps` counts a start from the kernel's boot, whose time is known to the second only."""

HEADERS = ("Host", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "CF-Connecting-IP")

each_service = pytest.mark.parametrize("kind", ["app", "worker", "postgres", "redis"])
each_witness = pytest.mark.parametrize("kind", ["app", "worker", "postgres"])


def _vhost(target: Target) -> str:
    return f"{target.nginx.root}/sites-available/{target.nginx.vhost}"


def _container(target: Target, service: str) -> str:
    return f"{target.compose.project}-{service}-1"


def _inspect(host: Host, *names: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(host.check_output(f"docker inspect {shlex.join(names)}"))
    return found


def _inspect_all(host: Host, target: Target) -> dict[str, dict[str, Any]]:
    names = target.compose.names
    found = _inspect(host, *(_container(target, name) for name in names))
    return dict(zip(names, found, strict=True))


def _log(host: Host, target: Target, kind: str) -> str:
    log: str = host.check_output("docker logs %s 2>&1", _container(target, target.compose.of_kind(kind).name))
    return log


@pytest.mark.item("nginx.enabled")
def test_vhost_exists(host: Host, target: Target) -> None:
    """The vhost is in sites-available."""
    assert host.file(_vhost(target)).exists


@pytest.mark.item("nginx.enabled")
def test_vhost_is_linked(host: Host, target: Target) -> None:
    """A link in sites-enabled leads to it."""
    link = host.file(f"{target.nginx.root}/sites-enabled/{target.nginx.vhost}")
    assert link.is_symlink
    assert link.linked_to == _vhost(target)


@pytest.mark.item("nginx.enabled")
def test_vhost_is_included(host: Host, target: Target) -> None:
    """The configuration includes sites-enabled."""
    assert host.file(target.nginx.config).contains(f"include {target.nginx.root}/sites-enabled/\\*;")


@pytest.mark.item("nginx.valid")
def test_nginx_accepts_it(host: Host, target: Target) -> None:
    """`nginx -t` accepts the configuration."""
    assert host.run("%s -t -c %s", target.server.tools.nginx, target.nginx.config).rc == 0


@pytest.mark.item("nginx.valid")
@pytest.mark.parametrize("name", ["fullchain.pem", "privkey.pem"])
def test_named_files_exist(host: Host, target: Target, name: str) -> None:
    """Certificate and key exist."""
    assert host.file(f"{target.tls.letsencrypt}/live/{target.public.name}/{name}").exists


@pytest.mark.item("nginx.loaded")
def test_running_nginx_has_read_its_files(host: Host, target: Target) -> None:
    """No worker is older than the vhost."""
    pid_file = re.findall(r"^pid (.*);$", host.file(target.nginx.config).content_string, re.MULTILINE)[0]
    master = host.file(pid_file).content_string.strip()
    started = host.check_output("LC_ALL=C ps -o lstart= --ppid %s", master).splitlines()
    oldest = min(datetime.strptime(line.strip(), "%a %b %d %H:%M:%S %Y") for line in started)  # noqa: DTZ007
    assert oldest + TOLERANCE >= host.file(_vhost(target)).mtime


@pytest.mark.item("nginx.upstream")
def test_requests_reach_the_app(host: Host, target: Target) -> None:
    """Requests go to the app's port."""
    upstream = target.nginx.upstream
    assert host.file(_vhost(target)).contains(f"proxy_pass http://{upstream.address}:{upstream.port};")


@pytest.mark.item("nginx.headers")
@pytest.mark.parametrize("header", HEADERS)
def test_header_is_passed_on(host: Host, target: Target, header: str) -> None:
    """The app learns the host, the scheme and the client's address."""
    assert host.file(_vhost(target)).contains(f"proxy_set_header {header} ")


@pytest.mark.item("nginx.websocket")
@pytest.mark.parametrize(
    "line",
    [
        "proxy_http_version 1.1;",
        "proxy_set_header Upgrade $http_upgrade;",
        'proxy_set_header Connection "upgrade";',
    ],
)
def test_websocket(host: Host, target: Target, line: str) -> None:
    """Websockets can be opened through the proxy."""
    assert host.file(_vhost(target)).contains(line)


@pytest.mark.item("nginx.limits")
def test_body_size(host: Host, target: Target) -> None:
    """Uploads of the declared size pass."""
    assert host.file(_vhost(target)).contains(f"client_max_body_size {target.nginx.body_size_mb}M;")


@pytest.mark.item("nginx.limits")
def test_read_timeout(host: Host, target: Target) -> None:
    """Slow answers are waited for."""
    assert host.file(_vhost(target)).contains(f"proxy_read_timeout {target.nginx.read_timeout_s};")


@pytest.mark.item("nginx.limits")
def test_buffering(host: Host, target: Target) -> None:
    """Answers are passed on as they come."""
    assert host.file(_vhost(target)).contains("proxy_buffering off;")


@pytest.mark.item("containers.running")
def test_running(host: Host, target: Target) -> None:
    """Each service runs and is not unhealthy."""
    for found in _inspect_all(host, target).values():
        assert found["State"]["Status"] == "running"
        assert found["State"].get("Health", {}).get("Status", "healthy") == "healthy"


@pytest.mark.item("containers.stable")
def test_never_restarted(host: Host, target: Target) -> None:
    """The engine restarted nothing."""
    for found in _inspect_all(host, target).values():
        assert found["RestartCount"] == 0


@pytest.mark.item("containers.stable")
def test_stable_while_watched(host: Host, target: Target) -> None:
    """Nothing restarts between two looks; the wait between them is left out, as it is for the suite."""
    before, after = _inspect_all(host, target), _inspect_all(host, target)
    for name, found in after.items():
        assert found["State"]["StartedAt"] == before[name]["State"]["StartedAt"]


@pytest.mark.item("containers.images")
def test_image_references(host: Host, target: Target) -> None:
    """Each service was made from its declared image."""
    found = _inspect_all(host, target)
    for service in target.compose.services:
        assert found[service.name]["Config"]["Image"] == service.image


@pytest.mark.item("containers.images")
def test_images_of_one_commit(host: Host, target: Target) -> None:
    """App and worker come from one commit."""
    found = _inspect(host, *(_container(target, name) for name in target.compose.built_names))
    images = json.loads(
        host.check_output(f"docker image inspect {shlex.join(each['Image'] for each in found)}")
    )
    revisions = {image["Config"]["Labels"]["org.opencontainers.image.revision"] for image in images}
    assert len(revisions) == 1


@pytest.mark.item("containers.port")
def test_port(host: Host, target: Target) -> None:
    """The app publishes its port."""
    service = target.compose.of_kind("app")
    (found,) = _inspect(host, _container(target, service.name))
    bound = found["NetworkSettings"]["Ports"][f"{service.ports[0].container}/tcp"]
    assert str(service.ports[0].host) in {binding["HostPort"] for binding in bound}


@pytest.mark.item("containers.port-private")
def test_port_is_private(host: Host, target: Target) -> None:
    """Nothing is published beyond loopback."""
    for found in _inspect_all(host, target).values():
        for bound in found["NetworkSettings"]["Ports"].values():
            assert all(binding["HostIp"].startswith("127.") for binding in bound or ())


@pytest.mark.item("containers.volumes")
def test_volumes(host: Host, target: Target) -> None:
    """The named volumes are mounted."""
    found = _inspect_all(host, target)
    for service in target.compose.services:
        mounted = {mount["Destination"]: mount.get("Name") for mount in found[service.name]["Mounts"]}
        for volume in service.volumes:
            assert mounted[volume.destination] == f"{target.compose.project}_{volume.name}"


@pytest.mark.item("containers.env-current")
@pytest.mark.parametrize("kind", ["app", "worker"])
def test_environment_is_current(host: Host, target: Target, kind: str) -> None:
    """The container holds the values of the .env file."""
    wanted = set(host.file(target.compose.env_path).content_string.splitlines())
    (found,) = _inspect(host, _container(target, target.compose.of_kind(kind).name))
    assert wanted <= set(found["Config"]["Env"])


@pytest.mark.item("logs.readable")
@each_service
def test_readable(host: Host, target: Target, kind: str) -> None:
    """The log is not empty."""
    assert _log(host, target, kind)


@pytest.mark.item("logs.no-42703")
@each_witness
def test_no_undefined_column(host: Host, target: Target, kind: str) -> None:
    """No query asked for a column that does not exist."""
    assert not re.search(r"42703|column .* does not exist", _log(host, target, kind))


@pytest.mark.item("logs.no-schema-drift")
@each_witness
def test_no_schema_drift(host: Host, target: Target, kind: str) -> None:
    """No query asked for a table, function or type that does not exist."""
    drift = r"42P01|42883|42704|(relation|function|type) .* does not exist"
    assert not re.search(drift, _log(host, target, kind))


@pytest.mark.item("logs.no-crash")
@each_service
def test_no_crash(host: Host, target: Target, kind: str) -> None:
    """No unhandled rejection and no want of memory."""
    assert not re.search(r"(?i)unhandled ?rejection|out of memory", _log(host, target, kind))


@pytest.mark.item("logs.no-crash")
@each_service
def test_no_storm(host: Host, target: Target, kind: str) -> None:
    """Connections are not refused again and again."""
    assert _log(host, target, kind).count("ECONNREFUSED") <= target.logs.storm


@pytest.mark.item("logs.no-crash")
def test_not_killed_for_memory(host: Host, target: Target) -> None:
    """The kernel killed no container for want of memory."""
    for found in _inspect_all(host, target).values():
        assert not found["State"]["OOMKilled"]
