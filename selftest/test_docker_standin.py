"""`docker` and `systemctl` on the rehearsal's server against recordings of the real docker."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rehearsal.host.daemon import HostTools
from rehearsal.runtime.process import Runtime, Unit
from rehearsal.runtime.spec import Container, Image, Mount, Program, Published
from rehearsal.site import Credentials, Site, free_net
from selftest.rehearsed import as_ordinary_user

RECORDINGS = Path(__file__).parent / "recordings" / "docker"
IMAGE = Image(
    f"sha256:{'d' * 64}",
    ("registry.acme.example/crm/crm-app:1.4.2",),
    (f"registry.acme.example/crm/crm-app@sha256:{'e' * 64}",),
    {"org.opencontainers.image.revision": "0123456789abcdef0123456789abcdef01234567"},
)
TALK = 'i=0; while :; do i=$((i+1)); echo "GET $i"; echo "error $i" >&2; sleep 0.1; done'
WAIT = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
PORT = 3000


def eventually(done: Callable[[], bool], timeout_s: float = 10) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if done():
            return True
        time.sleep(0.02)
    return False


@dataclass
class Server:
    """A runtime with containers like the recorded ones, and the two tools."""

    site: Site
    runtime: Runtime
    tools: HostTools

    def run(self, line: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        tool, *arguments = shlex.split(line)
        return subprocess.run(
            [self.site.host / "usr" / "bin" / tool, *arguments],
            capture_output=True, text=True, check=False, env={**os.environ, **(env or {})},
        )  # fmt: skip

    def docker(self, line: str) -> str:
        result = self.run(f"docker {line}")
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    def inspect(self, service: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.docker(f"inspect {name(service)}"))[0]
        return document


def name(service: str) -> str:
    return f"pn-crm-{service}-1"


def container(site: Site, service: str, script: str, **changes: Any) -> Container:  # noqa: ANN401
    return replace(
        Container(
            service=service,
            image=IMAGE,
            reference=IMAGE.tags[0],
            argv=("sh", "-c", script),
            env={"NODE_ENV": "production", "EMPTY_VALUE": ""},
            account=site.account("app"),
            address=site.address("crm-app"),
            ready=lambda: True,
        ),
        **changes,
    )


def program(site: Site) -> Program:
    return Program(
        "nginx",
        ("sh", "-c", WAIT),
        site.account("nginx"),
        site.root / "nginx.log",
        lambda: True,
        unit="nginx",
    )


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="standin-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def boot(root: Path) -> Server:
    site = Site(root, free_net(), as_root=False, credentials=Credentials())
    for each in (site.state, site.containers, root / "volume"):
        each.mkdir()
        each.chmod(0o755)
    runtime = Runtime(site)
    runtime.units["certbot.timer"] = Unit("certbot.timer")
    return Server(site, runtime, HostTools(site, runtime))


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[Server]:
    server = boot(directory)
    site, run = server.site, server.runtime.run_container
    data = Mount("crm-data", "/app/data", directory / "volume")
    published = Published(site.address("server"), 7100, PORT)
    run(
        container(
            site, "crm-app", TALK, health=lambda: None, ports=(PORT,), published=(published,), mounts=(data,)
        )
    )
    complaint: list[str | None] = [None]
    run(container(site, "crm-worker", WAIT, health=lambda: complaint[0]))
    complaint[0] = "connection refused"
    run(container(site, "crm-nohealth", WAIT))
    run(container(site, "crm-starting", WAIT, health=lambda: time.sleep(60)), timeout_s=None)
    run(container(site, "crm-migrate", "trap 'exit 1' TERM; " + WAIT.partition("; ")[2]))
    run(container(site, "crm-stopped", WAIT.replace("exit 0", ":")))
    run(container(site, "crm-portal", "sleep 0.05; exit 1"), timeout_s=None)
    server.runtime.run_program(program(site))
    server.runtime.containers["crm-migrate"].stop()
    server.runtime.containers["crm-stopped"].stop(0.1)
    worker = server.runtime.containers["crm-worker"]
    assert eventually(lambda: worker.health is not None and worker.health.status == "unhealthy")
    yield server
    server.tools.close()
    server.runtime.close(0.2)


@pytest.fixture
def own(directory: Path) -> Iterator[Server]:
    """A server whose containers a test may end."""
    root = Path(tempfile.mkdtemp(dir=directory))
    server = boot(root)
    yield server
    server.tools.close()
    server.runtime.close(0.2)


def recorded(file: str) -> Any:  # noqa: ANN401
    text = (RECORDINGS / file).read_text()
    return [json.loads(line) for line in text.splitlines()] if file.endswith("l") else json.loads(text)


# Maps whose keys are data, not structure.
_MAPS = ("Labels", "Ports", "PortBindings", "ExposedPorts", "Networks", "LogConfig.Config", "Data")
# Keys that Docker leaves out where they do not apply.
_OPTIONAL = {"Healthcheck", "ExposedPorts", "StartPeriod", "Timeout", "Retries", "Health"}


def assert_same_shape(theirs: object, ours: object, path: str = "") -> None:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if path.endswith(_MAPS):
            assert_same_shape(list(theirs.values()), list(ours.values()), path)
            return
        assert set(theirs) ^ set(ours) <= _OPTIONAL, path
        for key in set(theirs) & set(ours):
            assert_same_shape(theirs[key], ours[key], f"{path}.{key}")
    elif isinstance(theirs, list) and isinstance(ours, list):
        if theirs and ours:
            assert_same_shape(theirs[0], ours[0], f"{path}[]")
    elif isinstance(theirs, dict | list | None) and isinstance(ours, dict | list | None):
        pass
    else:
        assert type(theirs) is type(ours), path


@pytest.mark.parametrize(
    ("file", "service"),
    [
        ("running-healthy", "crm-app"),
        ("running-unhealthy", "crm-worker"),
        ("running-no-healthcheck", "crm-nohealth"),
        ("health-starting", "crm-starting"),
        ("exited-1", "crm-migrate"),
        ("stopped-by-operator", "crm-stopped"),
        ("restarting", "crm-portal"),
    ],
)
def test_inspect_is_shaped_as_recorded(server: Server, file: str, service: str) -> None:
    theirs = recorded(f"inspect-{file}.json")[0]
    documents: list[dict[str, Any]] = []

    def as_recorded() -> bool:
        documents.append(server.inspect(service))
        return bool(documents[-1]["State"]["Status"] == theirs["State"]["Status"])

    assert eventually(as_recorded)
    ours = documents[-1]
    assert_same_shape(theirs, ours)
    assert ("Health" in ours["State"]) == ("Health" in theirs["State"])
    for key in ("Running", "Paused", "Restarting", "OOMKilled", "Dead", "ExitCode", "Status"):
        assert ours["State"][key] == theirs["State"][key], key
    assert (ours["State"]["Pid"] == 0) == (theirs["State"]["Pid"] == 0)
    assert (ours["RestartCount"] > 0) == (theirs["RestartCount"] > 0)


def between_two_crashes(server: Server, options: str) -> list[dict[str, Any]]:
    """List the containers at a moment when the one that crashes again and again is not up for a blink."""
    for _ in range(100):
        listed = server.docker(f"ps {options} --format '{{{{json .}}}}'").splitlines()
        rows = [json.loads(line) for line in listed]
        if any(row["State"] == "restarting" for row in rows):
            return rows
    raise AssertionError("crm-portal never restarts")


@pytest.mark.parametrize(("file", "options"), [("ps-all", "-a"), ("ps-all-no-trunc", "-a --no-trunc")])
def test_ps_is_shaped_as_recorded(server: Server, file: str, options: str) -> None:
    ours = between_two_crashes(server, options)
    theirs = recorded(f"{file}.jsonl")
    assert {each["Names"] for each in ours} == {name(each["Names"]) for each in theirs}
    for mine in ours:
        other = next(each for each in theirs if name(each["Names"]) == mine["Names"])
        assert_same_shape(other, mine)
        assert list(mine) == sorted(mine)
        assert (
            re.sub(r"\d+", "N", mine["Status"].replace("Less than a second", "N seconds")).replace(
                "N second ", "N seconds "
            )
            == re.sub(r"\d+", "N", other["Status"])
            or mine["State"] == "restarting"
        )
    assert len(ours[0]["ID"]) == len(theirs[0]["ID"])


def test_ps_shows_what_runs_unless_asked(server: Server) -> None:
    shown = server.docker("ps --format '{{.Names}}'").split()
    assert name("crm-migrate") not in shown
    assert name("crm-app") in shown
    assert server.docker("ps --filter label=com.docker.compose.service=nothere").count("\n") == 1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("image-inspect-built.json", f"image inspect {IMAGE.tags[0]}"),
        ("volume-inspect.json", "volume inspect pn-crm_crm-data"),
    ],
)
def test_other_inspects_are_shaped_as_recorded(server: Server, file: str, line: str) -> None:
    assert_same_shape(recorded(file), json.loads(server.docker(line)))


def test_images_and_version_are_shaped_as_recorded(server: Server) -> None:
    images = server.docker("images --no-trunc --format '{{json .}}'").splitlines()
    assert_same_shape(recorded("images.jsonl")[0], json.loads(images[0]))
    ours, theirs = json.loads(server.docker("version --format '{{json .}}'")), recorded("version.json")
    assert_same_shape(theirs, ours)
    assert ours["Client"] == theirs["Client"]
    assert ours["Server"]["Version"] == theirs["Server"]["Version"]


def test_digests_and_labels_are_the_images_own(server: Server) -> None:
    document = json.loads(server.docker(f"image inspect {server.inspect('crm-app')['Image']}"))[0]
    assert document["RepoDigests"] == list(IMAGE.digests)
    assert document["Config"]["Labels"] == IMAGE.labels


_NOT_OFFERED = ("exec-", "run-", "compose")
_CASES = [case for case in recorded("errors.json") if not case["case"].startswith(_NOT_OFFERED)]


@pytest.mark.parametrize("case", _CASES, ids=[case["case"] for case in _CASES])
def test_exit_codes_and_texts_are_the_recorded_ones(server: Server, case: dict[str, Any]) -> None:
    services = "|".join(server.runtime.containers)

    def ours(text: str) -> str:
        text = re.sub(rf"(?<![=\w-])({services})(?![\w-])", lambda match: name(match[1]), text)
        text = text.replace("683e8b2fc7b9", server.runtime.containers["crm-app"].id[:12])
        return text.replace("127.0.0.1:3000", f"{server.site.address('server')}:7100")

    if "without" in case["as"]:
        result = _run_denied(server, ours(case["command"]))
    else:
        result = server.run(ours(case["command"]), case["env"])
    assert (result.returncode, result.stdout, result.stderr) == (
        case["exit_code"], ours(case["stdout"]), ours(case["stderr"]),
    )  # fmt: skip


def _run_denied(server: Server, line: str) -> subprocess.CompletedProcess[str]:
    sock = server.site.state / "docker.sock"
    mode = sock.stat().st_mode
    if os.getuid() != 0:
        sock.chmod(0)
    tool, *arguments = shlex.split(line)
    try:
        return subprocess.run(
            as_ordinary_user(str(server.site.host / "usr" / "bin" / tool), *arguments),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        sock.chmod(mode)


def test_unknown_commands_and_options_are_refused_as_docker_does(server: Server) -> None:
    with server.tools.without_compose():
        unknown = server.run("docker compose version")
    case = next(case for case in recorded("errors.json") if case["case"] == "compose-plugin-missing")
    assert (unknown.returncode, unknown.stdout, unknown.stderr) == (1, case["stdout"], case["stderr"])
    assert server.run("docker ps --nonsense").returncode == 125


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_compose_answers_without_the_engine_and_info_does_not(server: Server, state: str) -> None:
    if state == "stopped":
        server.tools.stop_engine()
    try:
        assert server.docker("compose version").startswith("Docker Compose version v2.")
        assert server.docker("compose version --short").startswith("2.")
        named = server.docker("info --format {{.DockerRootDir}}").strip()
    finally:
        server.tools.start_engine()
    assert named == (str(server.site.engine) if state == "running" else "")


def test_logs_keep_the_streams_apart_with_nanoseconds(server: Server) -> None:
    assert eventually(lambda: "GET" in server.run(f"docker logs {name('crm-app')}").stdout)
    result = server.run(f"docker logs --timestamps {name('crm-app')}")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
    assert all(re.fullmatch(f"{stamp} GET \\d+", line) for line in result.stdout.splitlines())
    assert all(re.fullmatch(f"{stamp} error \\d+", line) for line in result.stderr.splitlines())
    for line in (*recorded_lines("logs-stdout.txt"), *recorded_lines("logs-stderr.txt")):
        assert re.match(f"{stamp} ", line)


def recorded_lines(file: str) -> list[str]:
    return (RECORDINGS / file).read_text().splitlines()


def test_logs_tail_and_since_select_over_both_streams(server: Server) -> None:
    assert eventually(lambda: server.run(f"docker logs -n 8 {name('crm-app')}").stdout.count("GET") >= 3)
    result = server.run(f"docker logs --tail 4 {name('crm-app')}")
    assert len((result.stdout + result.stderr).splitlines()) == 4
    assert server.run(f"docker logs --since 2100-01-01T00:00:00Z {name('crm-app')}").stdout == ""
    started = server.inspect("crm-app")["State"]["StartedAt"]
    assert "GET 1\n" in server.run(f"docker logs --since {started} {name('crm-app')}").stdout


def test_log_driver_none_cannot_be_read(own: Server) -> None:
    own.runtime.run_container(container(own.site, "crm-app", WAIT, log_driver="none"))
    result = own.run(f"docker logs {name('crm-app')}")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "Error response from daemon: configured logging driver does not support reading\n"
    assert own.inspect("crm-app")["LogPath"] == ""


def test_a_killed_process_is_restarted_and_counted(own: Server) -> None:
    own.runtime.run_container(container(own.site, "crm-worker", WAIT))
    before = own.inspect("crm-worker")
    os.kill(before["State"]["Pid"], signal.SIGKILL)
    assert eventually(lambda: own.inspect("crm-worker")["State"]["Pid"] not in (0, before["State"]["Pid"]))
    after = own.inspect("crm-worker")
    assert (after["Id"], after["RestartCount"]) == (before["Id"], before["RestartCount"] + 1)
    assert after["State"]["StartedAt"] > before["State"]["StartedAt"]


def test_a_stopped_container_stays_exited(own: Server) -> None:
    running = own.runtime.run_container(container(own.site, "crm-worker", WAIT))
    running.stop()
    document = own.inspect("crm-worker")
    assert (document["State"]["Status"], document["State"]["Pid"], document["RestartCount"]) == (
        "exited",
        0,
        0,
    )
    assert own.docker("ps -q") == ""


def test_restart_keeps_id_and_log_and_recreate_does_not(own: Server) -> None:
    running = own.runtime.run_container(container(own.site, "crm-worker", f"echo begun; {WAIT}"))
    first = own.inspect("crm-worker")
    running.restart()
    second = own.inspect("crm-worker")
    assert eventually(lambda: own.docker(f"logs {name('crm-worker')}") == "begun\nbegun\n")
    running.recreate(env={"NODE_ENV": "test"})
    third = own.inspect("crm-worker")
    assert first["Id"] == second["Id"] != third["Id"]
    assert first["State"]["StartedAt"] < second["State"]["StartedAt"] < third["State"]["StartedAt"]
    assert second["RestartCount"] == 0
    assert "NODE_ENV=test" in third["Config"]["Env"]
    assert eventually(lambda: own.docker(f"logs {name('crm-worker')}") == "begun\n")


def test_the_kernel_killing_for_memory_is_shown(own: Server) -> None:
    running = own.runtime.run_container(container(own.site, "crm-worker", f"sleep 0.3; {WAIT}"))
    running.kill(out_of_memory=True)
    assert eventually(lambda: own.inspect("crm-worker")["RestartCount"] == 1)
    assert running.restart_count == 1


def test_pause_freezes_the_process(own: Server) -> None:
    # A shell that is stopped between fork and exec of a child is in state D, not T.
    running = own.runtime.run_container(container(own.site, "crm-worker", "exec sleep 600"))
    running.pause()
    state = own.inspect("crm-worker")["State"]
    assert (state["Status"], state["Running"], state["Paused"]) == ("paused", True, True)
    stat = Path(f"/proc/{state['Pid']}/stat")
    assert eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
    assert "(Paused)" in own.docker("ps")
    running.resume()
    assert own.inspect("crm-worker")["State"]["Status"] == "running"


def test_health_turns_after_three_failures_and_back(own: Server) -> None:
    complaint: list[str | None] = [None]
    own.runtime.run_container(container(own.site, "crm-app", WAIT, health=lambda: complaint[0]))

    def status() -> str:
        return str(own.inspect("crm-app")["State"]["Health"]["Status"])

    assert status() == "healthy"
    complaint[0] = "connection refused"
    assert eventually(lambda: status() == "unhealthy")
    assert own.inspect("crm-app")["State"]["Health"]["Log"][-1]["Output"] == "connection refused"
    complaint[0] = None
    assert eventually(lambda: status() == "healthy")


_ECHO = """
import socket, sys
server = socket.create_server((sys.argv[1], 3000))
while True:
    connection, _ = server.accept()
    connection.sendall(connection.recv(100).upper())
    connection.close()
"""


def test_a_published_port_reaches_the_container_while_it_runs(own: Server) -> None:
    address = own.site.address("server")
    spec = container(own.site, "crm-app", "", ports=(PORT,), published=(Published(address, 7100, PORT),))
    python = shutil.which("python3", path="/usr/bin") or "python3"
    running = own.runtime.run_container(replace(spec, argv=(python, "-c", _ECHO, spec.address)))

    def ask() -> bytes:
        with socket.create_connection((address, 7100), timeout=5) as connection:
            connection.sendall(b"ping")
            return connection.recv(100)

    assert eventually(lambda: ask() == b"PING")
    running.stop()
    with pytest.raises(ConnectionRefusedError):
        ask()
    assert own.inspect("crm-app")["NetworkSettings"]["Ports"] == {}


def test_a_stopped_engine_says_so_and_its_containers_run_on(own: Server) -> None:
    running = own.runtime.run_container(container(own.site, "crm-app", WAIT))
    own.tools.stop_engine()
    result = own.run("docker ps")
    assert result.stderr == (
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n"
    )
    assert result.returncode == 1
    assert own.run("systemctl is-active docker").returncode == 3
    assert running.pid
    own.tools.start_engine()
    assert own.docker("ps -q") == f"{running.id[:12]}\n"


def test_systemctl_answers_from_the_processes(own: Server) -> None:
    nginx = own.runtime.run_program(program(own.site))
    active = own.run("systemctl is-active nginx certbot.timer")
    assert (active.returncode, active.stdout) == (0, "active\nactive\n")
    shown = own.run("systemctl show nginx.service -p MainPID,ActiveState --value").stdout
    assert shown == f"{nginx.pid}\nactive\n"
    assert own.run("systemctl is-enabled nginx").stdout == "enabled\n"
    os.kill(nginx.pid, signal.SIGKILL)
    assert eventually(lambda: own.run("systemctl is-active nginx").stdout == "failed\n")
    nginx.start()
    nginx.stop()
    stopped = own.run("systemctl is-active nginx")
    assert (stopped.returncode, stopped.stdout) == (3, "inactive\n")


def test_systemctl_knows_what_it_does_not_know(own: Server) -> None:
    unknown = own.run("systemctl is-active nothere")
    assert (unknown.returncode, unknown.stdout) == (4, "inactive\n")
    assert own.run("systemctl show nothere -p LoadState").stdout == "LoadState=not-found\n"
    assert own.run("systemctl is-enabled nothere").returncode == 1
