"""Containers, images, logs and logging settings, from recorded answers of Docker through the real scripts."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from acceptance.access import Access
from acceptance.errors import NotApplicableError, UnavailableError
from acceptance.facts import containers, database_settings, logs
from acceptance.facts.base import Known, Unavailable, known
from acceptance.facts.containers import Container, Containers, Port, nanoseconds
from acceptance.facts.env_file import reduce
from acceptance.facts.log_patterns import ErrorKind
from acceptance.facts.registry import Registry, parse
from acceptance.guard.commands import Call
from acceptance.secrets import Redactor, Secrets
from acceptance.sections.compose import Compose, Service
from acceptance.transports.host import Result

RECORDINGS = Path(__file__).parent / "recordings"
APP = "registry.acme.example/crm/crm-app:1.4.2"
ID = "683e8b2fc7b9452e82aa5fe9ae3ac23a9db48832c73d22f006d34a80ab5733f6"
STARTED = "2026-11-23T16:33:05.786551632Z"


def _recorded(name: str) -> Any:  # noqa: ANN401 - JSON is any value
    return json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))


def _inspected(service: str, name: str = "running-healthy", **changes: object) -> dict[str, Any]:
    one = cast("dict[str, Any]", deepcopy(_recorded(f"docker/inspect-{name}")[0]))
    one["Config"]["Labels"]["com.docker.compose.service"] = service
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = one
        for parent in parents:
            place = place[parent]
        place[last] = value
    return one


class _LocalHost:
    """Runs the declared scripts with the local shell."""

    async def run(self, *calls: Call) -> tuple[Result, ...]:
        return tuple([self._run(one) for one in calls])

    def done(self) -> None:
        pass

    def _run(self, one: Call) -> Result:
        done = subprocess.run(
            ["/bin/sh", "-c", one.command.script, one.command.name, *one.arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={"LC_ALL": "C", "PATH": os.defpath},
            check=False,
        )
        return Result(one, done.returncode, done.stdout, done.stderr.decode())


def _services(**images: str) -> tuple[Service, ...]:
    kinds = {"crm-app": "app", "crm-worker": "worker", "postgres": "postgres", "redis": "redis"}
    return tuple(
        Service.model_validate({"name": name, "image": images.get(kind, APP), "kind": kind, "built": True})
        for name, kind in kinds.items()
    )


class _Server:
    """A server whose `docker` replays files of a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.docker = directory / "docker"
        self.assumed = False
        self.max_bytes = 1_000_000
        (directory / "images").write_text(json.dumps(_recorded("docker/image-inspect-built")))
        self.has(_inspected("crm-app"))
        self.says(
            """
case $1 in
  ps) cat ids ;;
  inspect) cat containers ;;
  image) cat images ;;
  logs) cat log ;;
esac"""
        )

    def has(self, *inspected: dict[str, Any]) -> None:
        (self.directory / "containers").write_text(json.dumps(inspected, indent=2))
        (self.directory / "ids").write_text("".join(f"{one['Id']}\n" for one in inspected))

    def says(self, script: str) -> None:
        self.docker.write_text(f"#!/bin/sh\ncd {self.directory} || exit 99\n{script}\n")
        self.docker.chmod(stat.S_IRWXU)

    def fails(self, message: str, code: int = 1) -> None:
        (self.directory / "message").write_text(message)
        self.says(f"cat message >&2; exit {code}")

    def logged(self, *lines: str) -> None:
        (self.directory / "log").write_text("".join(f"{line}\n" for line in lines))

    def access(self) -> Access:
        held = Secrets(Redactor(), b"key")
        target = SimpleNamespace(
            server=SimpleNamespace(tools=SimpleNamespace(docker=str(self.docker))),
            compose=Compose(project="crm", directory="/opt/crm", services=_services()),
            logs=SimpleNamespace(max_bytes=self.max_bytes),
            is_assumed=lambda _: self.assumed,
        )
        return cast(
            "Access",
            SimpleNamespace(
                target=target,
                host=_LocalHost(),
                redactor=held.redactor,
                learn=held.redactor.learn,
                classify=held.classify,
            ),
        )

    def containers(self) -> Containers:
        return asyncio.run(containers.collect(self.access()))

    def log_of(self, service: str = "crm-app") -> logs.ContainerLog:
        return asyncio.run(logs.collect(self.access())).the(service)


@pytest.fixture
def server(tmp_path: Path) -> _Server:
    return _Server(tmp_path)


def _seen(*inspected: dict[str, Any], later: tuple[dict[str, Any], ...] | None = None) -> Containers:
    def read(objects: tuple[dict[str, Any], ...], at: str) -> tuple[datetime, tuple[Container, ...]]:
        held = Secrets(Redactor(), b"key")
        access = cast(
            "Access",
            SimpleNamespace(redactor=held.redactor, learn=held.redactor.learn, classify=held.classify),
        )
        answer = Result(
            Call(cast("Any", SimpleNamespace(name="test"))), 0, f"{at}\n{json.dumps(objects)}".encode(), ""
        )
        return containers.read(answer, access)

    at, found = read(inspected, "2026-11-23T16:40:00Z")
    again, found_again = read(inspected if later is None else later, "2026-11-23T16:40:01Z")
    sample = containers.Sample(at=again, states=tuple(one.state for one in found_again))
    images = tuple(containers.Image(id=one.image_id, tags=(), digests=(), revision=None) for one in found)
    return Containers(project="crm", at=at, all=found, images=Known(value=images), again=Known(value=sample))


def test_a_recorded_container_is_read(server: _Server) -> None:
    seen = server.containers()
    (app,) = seen.of("crm-app")
    assert (app.id, app.name, app.status, app.health) == (ID, "crm-app", "running", "healthy")
    assert (app.restart_count, app.started_at, app.log_driver) == (0, STARTED, "json-file")
    assert app.image_reference == APP
    assert [str(port) for port in app.ports or ()] == ["127.0.0.1:3000→3000/tcp"]
    assert [str(mount) for mount in app.mounts] == ["crm_crm-data on /app/data"]
    assert seen.address("crm-app") == "172.19.0.2"
    assert seen.image_of("crm-app").revision == "0123456789abcdef0123456789abcdef01234567"
    assert seen.changed(["crm-app"]) == ()
    assert (seen.looked_again_at - seen.at).total_seconds() >= 1


def test_no_value_of_a_variable_is_kept_and_passwords_are_known_to_the_redactor(server: _Server) -> None:
    access = server.access()
    seen = asyncio.run(containers.collect(access))
    variables = seen.the("crm-app").environment
    assert "example-password" not in seen.model_dump_json()
    assert access.redactor.clean("x example-password x").count("example") == 0
    assert variables["EMPTY_VALUE"].blank
    assert variables["NODE_ENV"].equals == access.classify("production")
    assert Containers.model_validate_json(seen.model_dump_json()) == seen


def test_an_empty_project_is_an_answer_unless_its_name_was_assumed(server: _Server) -> None:
    server.has()
    seen = server.containers()
    assert seen.all == ()
    assert seen.troubles(["redis"]) == ("redis has no container",)
    with pytest.raises(UnavailableError, match="no container of service redis"):
        seen.the("redis")
    server.assumed = True
    with pytest.raises(UnavailableError, match=r"^assumed name not found: "):
        server.containers()


@pytest.mark.parametrize("recording", ["docker/errors", "docker-inspect/errors-client-28.2.2"])
@pytest.mark.parametrize(
    ("case", "reason"),
    [("permission-denied-ps", "permission denied"), ("daemon-not-reachable-ps", "engine does not answer")],
)
def test_why_the_engine_cannot_be_asked(server: _Server, recording: str, case: str, reason: str) -> None:
    error = next(one for one in _recorded(recording) if one["case"] == case)
    server.fails(error["stderr"], error["exit_code"])
    with pytest.raises(UnavailableError, match=reason):
        server.containers()
    with pytest.raises(UnavailableError, match=reason):
        server.log_of()


def test_a_missing_docker_is_unknown(server: _Server) -> None:
    server.docker.unlink()
    with pytest.raises(UnavailableError, match="exit code 127"):
        server.containers()


def test_a_missing_image_leaves_the_containers_known(server: _Server) -> None:
    server.says(
        "case $1 in ps) cat ids ;; inspect) cat containers ;; *) echo 'No such image' >&2; exit 1 ;; esac"
    )
    seen = server.containers()
    assert seen.troubles(["crm-app"]) == ()
    with pytest.raises(UnavailableError, match="No such image"):
        seen.image_of("crm-app")


@pytest.mark.parametrize(
    ("recording", "runs", "well", "summary"),
    [
        ("running-healthy", True, True, "worker running, healthy"),
        ("running-no-healthcheck", True, True, "worker running"),
        ("running-unhealthy", True, False, "worker running, unhealthy"),
        ("health-starting", True, True, "worker running, starting"),
        ("exited-1", False, False, "worker exited, exit code 1"),
        ("stopped-by-operator", False, False, "worker exited, exit code 137"),
        ("restarting", False, False, "worker restarting, exit code 1"),
    ],
)
def test_every_recorded_state(recording: str, runs: bool, well: bool, summary: str) -> None:
    seen = _seen(_inspected("worker", recording))
    container = seen.the("worker")
    assert (container.runs, container.is_well, container.summary) == (runs, well, summary)
    assert seen.troubles(["worker"]) == (() if well else (summary,))


def test_a_health_check_still_to_come_is_unknown() -> None:
    with pytest.raises(UnavailableError, match="still to come: worker"):
        _seen(_inspected("worker", "health-starting")).settled(["worker"])


def test_two_containers_of_a_service_are_seen_and_one_offs_do_not_count() -> None:
    second = _inspected("worker", "exited-1", Id="b" * 64)
    assert _seen(_inspected("worker"), second).troubles(["worker"])[0] == "worker has 2 containers"
    second["Config"]["Labels"]["com.docker.compose.oneoff"] = "True"
    assert _seen(_inspected("worker"), second).troubles(["worker"]) == ()


def test_restarts_before_and_during_the_look() -> None:
    looping = _seen(_inspected("worker", "restarting"))
    assert looping.restarted(["worker"])[0].startswith("worker ")
    restarted = _inspected("worker", RestartCount=1, State__StartedAt="2026-11-23T16:40:00.5Z")
    looping_fast = _seen(_inspected("worker"), later=(restarted,))
    assert looping_fast.troubles(["worker"]) == ("worker restarted while the suite looked",)
    (change,) = looping_fast.changed(["worker"])
    assert "restart count 0 → 1" in change
    assert "started at" in change
    (gone,) = _seen(_inspected("worker"), later=()).changed(["worker"])
    assert gone == "worker: a container is gone"


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.64.1.20", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.0.2.1", False),
    ],
)
def test_which_addresses_are_loopback(address: str, loopback: bool) -> None:
    assert Port(address=address, host=7100, container=3000, protocol="tcp").is_loopback is loopback


def _declared(**more: object) -> Service:
    return Service.model_validate({"name": "crm-app", "image": APP, "kind": "app", **more})


def test_ports_as_declared_or_not() -> None:
    both = [{"HostIp": "0.0.0.0", "HostPort": "7100"}, {"HostIp": "::", "HostPort": "7100"}]
    seen = _seen(_inspected("crm-app", NetworkSettings__Ports={"3000/tcp": both, "9229/tcp": None}))
    declared = _declared(ports=[{"container": 3000, "host": 7100}])
    assert seen.unpublished([declared]) == ()
    assert seen.exposed([declared]) == ("crm-app: 0.0.0.0:7100→3000/tcp", "crm-app: [::]:7100→3000/tcp")
    other = _declared(ports=[{"container": 3000, "host": 7101}])
    assert seen.unpublished([other])[0].startswith("crm-app: no 7101→3000 but 0.0.0.0:7100→3000/tcp")
    with pytest.raises(UnavailableError, match="does not run"):
        _seen(_inspected("crm-app", "exited-1")).unpublished([declared])
    with pytest.raises(UnavailableError, match="does not run"):
        _seen(_inspected("crm-app", "exited-1")).exposed([declared])


@pytest.mark.parametrize("one_off", ["False", "True"])
def test_what_a_service_without_declared_ports_publishes_is_exposed_and_undeclared(one_off: str) -> None:
    def published(address: str) -> dict[str, Any]:
        binding = {"5432/tcp": [{"HostIp": address, "HostPort": "5432"}]}
        database = _inspected("postgres", Id="b" * 64, NetworkSettings__Ports=binding)
        database["Config"]["Labels"]["com.docker.compose.oneoff"] = one_off
        return database

    app = _inspected("crm-app")
    services = [_declared(ports=[{"container": 3000, "host": 3000}]), _declared(name="postgres")]
    public, private = _seen(app, published("0.0.0.0")), _seen(app, published("127.0.0.1"))
    assert public.exposed(services) == ("postgres: 0.0.0.0:5432→5432/tcp",)
    assert private.exposed(services) == ()
    for seen in (public, private):
        assert seen.unpublished(services) == ()
        assert len(seen.undeclared(services)) == 1
    assert _seen(app).undeclared(services) == ()


def test_a_target_that_declares_nothing_proves_nothing() -> None:
    seen = _seen(_inspected("crm-app"))
    for look in (seen.unpublished, seen.exposed, seen.unmounted):
        with pytest.raises(UnavailableError, match="the target declares no"):
            look([_declared()])
    with pytest.raises(UnavailableError, match=r"declares no service that gets the \.env file"):
        seen.stale([_declared()], {}, assumed=False)
    with pytest.raises(UnavailableError, match="no variable"):
        seen.stale([_declared(env_file=True)], {}, assumed=False)


def test_volumes_by_name_with_the_projects_prefix() -> None:
    declared = [_declared(volumes=[{"name": "crm-data", "destination": "/app/data"}])]
    mount = {"Type": "volume", "Name": "a" * 64, "Destination": "/app/data"}
    assert _seen(_inspected("crm-app")).unmounted(declared) == ()
    assert _seen(_inspected("crm-app", Mounts=[{**mount, "Name": "crm-data"}])).unmounted(declared) == ()
    anonymous = _seen(_inspected("crm-app", Mounts=[mount])).unmounted(declared)
    assert anonymous == ("crm-app: an anonymous volume on /app/data",)
    bind = _seen(_inspected("crm-app", Mounts=[{"Type": "bind", "Destination": "/app/data"}]))
    assert bind.unmounted(declared) == ("crm-app: a bind mount on /app/data",)
    assert _seen(_inspected("crm-app", Mounts=[])).unmounted(declared) == ("crm-app: nothing on /app/data",)


def test_stale_variables_are_named_without_values() -> None:
    held = Secrets(Redactor(), b"key")
    access = cast(
        "Access", SimpleNamespace(redactor=held.redactor, learn=held.redactor.learn, classify=held.classify)
    )
    wanted = reduce(access, {"PORT": "3000", "NODE_ENV": "development", "MISSING": "x", "EMPTY_VALUE": ""})
    seen = _seen(_inspected("crm-app"))
    services = [_declared(env_file=True)]
    assert seen.stale(services, wanted, assumed=False) == ("crm-app: NODE_ENV", "crm-app: MISSING")
    assert seen.stale(services, wanted, assumed=True) == ("crm-app: NODE_ENV",)
    equal = {name: variable for name, variable in wanted.items() if name != "NODE_ENV"}
    with pytest.raises(UnavailableError, match=r"^assumed name not found: .*crm-app: MISSING$") as caught:
        seen.stale(services, equal, assumed=True)
    assert "compose.interpolation_only" in caught.value.remedy
    assert seen.stale(services, {"PORT": wanted["PORT"]}, assumed=True) == ()


def test_an_image_without_digests_or_revision_proves_nothing() -> None:
    seen = _seen(_inspected("crm-app"))
    with pytest.raises(UnavailableError, match="no RepoDigests"):
        seen.digests_of("crm-app")
    with pytest.raises(UnavailableError, match="no label"):
        seen.revisions(["crm-app"], {})


def test_the_registrys_image_of_the_commit_proves_where_an_unlabelled_one_came_from() -> None:
    commit, digest = "0123abc", f"sha256:{'a' * 64}"
    seen = _seen(_inspected("crm-app"))
    image = known(seen.images)[0].model_copy(update={"digests": (f"registry.example/crm@{digest}",)})
    seen = seen.model_copy(update={"images": Known(value=(image,))})
    registry = Registry(
        references={}, digests={}, of_commit={"crm-app": Known(value=digest), "gone": Known(value=None)}
    )
    assert seen.revisions(["crm-app"], registry.tagged(commit)) == {"crm-app": commit}
    for proves_nothing in (registry.tagged(None), {f"sha256:{'b' * 64}": commit}):
        with pytest.raises(UnavailableError, match="no label"):
            seen.revisions(["crm-app"], proves_nothing)


def test_only_the_target_says_that_an_image_is_not_ours() -> None:
    registry = Registry(references={}, digests={})
    with pytest.raises(NotApplicableError, match="not built by our CI"):
        registry.digest(_declared())
    with pytest.raises(UnavailableError, match="was not asked"):
        registry.digest(_declared(built=True))


def test_other_references_are_named() -> None:
    assert _seen(_inspected("crm-app")).other_references([_declared()]) == ()
    others = _seen(_inspected("crm-app", Config__Image="crm-app:old")).other_references([_declared()])
    assert others == ("crm-app runs crm-app:old",)


def test_timestamps_compare_with_and_without_trailing_zeros() -> None:
    assert nanoseconds("2026-11-23T16:33:05.7Z") == nanoseconds("2026-11-23T16:33:05.700000000Z")
    assert nanoseconds("2026-11-23T17:33:05+01:00") == nanoseconds("2026-11-23T16:33:05Z")
    assert nanoseconds("2026-11-23T16:33:05.000000001Z") - nanoseconds("2026-11-23T16:33:05Z") == 1
    assert nanoseconds(containers.NEVER_STARTED) < 0
    with pytest.raises(ValueError, match="not a timestamp"):
        nanoseconds("today")


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("registry.example/a/b:1.2", ("registry.example", "a/b", "1.2")),
        ("registry.example:5000/a/b", ("registry.example:5000", "a/b", "latest")),
        (f"localhost/a:x@sha256:{'0' * 64}", ("localhost", "a", f"sha256:{'0' * 64}")),
    ],
)
def test_image_references(reference: str, parts: tuple[str, str, str]) -> None:
    found = parse(reference)
    assert (found.host, found.repository, found.tag) == parts


@pytest.mark.parametrize("reference", ["postgres:16-alpine", "library/postgres", "a.b/c:d:e"])
def test_references_without_a_registry_are_refused(reference: str) -> None:
    with pytest.raises(ValueError, match=r"names no registry|is not an image reference"):
        parse(reference)


def test_a_log_is_read_through_the_real_script(server: _Server) -> None:
    server.logged(
        "2026-11-23T16:33:06.000000000Z ready on port 3000",
        '2026-11-23T16:33:07.000000000Z error: column "colour" does not exist',
        "2026-11-23T16:33:07.000000001Z     at run (app.js:1)",
        "2026-11-23T16:33:07.000000002Z   code: '42703',",
        "2026-11-23T16:33:07.000000003Z }",
    )
    log = server.log_of()
    assert (log.lines, log.count(ErrorKind.UNDEFINED_COLUMN)) == (5, 1)
    assert (log.first, log.last) == ("2026-11-23T16:33:06.000000000Z", "2026-11-23T16:33:07.000000003Z")
    assert log.examples[0].line == 2
    assert 'column "colour"' in log.describe(ErrorKind.UNDEFINED_COLUMN)


def test_a_log_without_its_beginning_proves_nothing(server: _Server) -> None:
    start = "2026-11-23T16:00:00Z"
    server.has(
        *(
            _inspected(name, Id=letter * 64, State__StartedAt=start)
            for name, letter in (("crm-app", "a"), ("crm-worker", "b"), ("postgres", "c"), ("redis", "d"))
        )
    )
    server.logged("2026-11-23T16:00:59Z ready")
    early = asyncio.run(logs.collect(server.access()))
    server.logged("2026-11-23T16:01:01Z query")
    late = asyncio.run(logs.collect(server.access()))
    for name in ("crm-app", "postgres", "redis"):
        assert early.evidence(name).begun_late_s == 59
        assert late.the(name).was_read
        with pytest.raises(UnavailableError, match="its beginning is gone"):
            late.evidence(name)
    assert "the first 61 s after the start" in late.evidence("crm-worker").describe(ErrorKind.OUT_OF_MEMORY)


def test_nobody_waits_while_a_log_is_read(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.logged("2026-11-23T16:33:06Z fine")
    access, told = server.access(), list[str]()

    def attempt(*_: object) -> Unavailable:
        told.append("read")
        return Unavailable(reason="not read")

    monkeypatch.setattr(access.host, "done", lambda: told.append("done"))
    monkeypatch.setattr(logs, "_attempt", attempt)
    asyncio.run(logs.collect(access))
    assert told == ["done", "read"]


def test_an_empty_log_and_one_without_reader_prove_nothing(server: _Server) -> None:
    server.logged()
    assert server.log_of().extent == f"empty since {STARTED}"
    server.says(
        "case $1 in ps) cat ids ;; inspect) cat containers ;; "
        "*) echo 'Error response from daemon: configured logging driver does not support reading' >&2;"
        " exit 1 ;; esac"
    )
    refused = asyncio.run(logs.collect(server.access()))
    assert not refused.the("crm-app").was_read
    assert "does not support reading" in refused.the("crm-app").extent
    with pytest.raises(UnavailableError, match="proves nothing"):
        refused.evidence("crm-app")


def test_a_log_that_was_cut_off_is_unknown(server: _Server) -> None:
    server.max_bytes = 200
    server.logged(*(f"2026-11-23T16:33:06.{os.urandom(4).hex()}Z {os.urandom(40).hex()}" for _ in range(50)))
    with pytest.raises(UnavailableError, match="cut off"):
        server.log_of()


def test_docker_failing_halfway_is_unknown(server: _Server) -> None:
    server.says(
        "case $1 in ps) cat ids ;; inspect) cat containers ;; "
        "*) echo '2026-11-23T16:33:06Z fine'; echo 'error from daemon in stream: bad record' >&2;"
        " exit 1 ;; esac"
    )
    with pytest.raises(UnavailableError, match="bad record"):
        server.log_of()


def test_a_service_without_container_has_no_log(server: _Server) -> None:
    server.logged("2026-11-23T16:33:06Z fine")
    with pytest.raises(UnavailableError, match="redis has no container"):
        server.log_of("redis")


def test_postgres_is_judged_since_the_applications_start(server: _Server) -> None:
    earlier, later = "2026-11-23T16:00:00Z", "2026-11-23T16:30:00Z"
    server.has(
        _inspected("postgres", Id="b" * 64, State__StartedAt=earlier),
        _inspected("crm-app", State__StartedAt=later),
    )
    error = 'UTC [1] ERROR:  column "colour" does not exist at character 8'
    server.logged(f"2026-11-23T16:10:00Z {error}", f"2026-11-23T16:30:00.1Z {error}")
    log = server.log_of("postgres")
    assert (log.since, log.judged_since) == (earlier, later)
    assert log.judged == {ErrorKind.UNDEFINED_COLUMN: 1}
    assert log.earlier == {ErrorKind.UNDEFINED_COLUMN: 1}
    assert "1 before 2026-11-23T16:30:00Z, not judged" in log.describe(ErrorKind.UNDEFINED_COLUMN)


def test_the_window_of_a_database_restarted_after_the_application() -> None:
    def container(started: str) -> Container:
        return _seen(_inspected("x", State__StartedAt=started)).the("x")

    app, database = container("2026-11-23T16:00:00Z"), container("2026-11-23T16:30:00Z")
    postgres = Service.model_validate({"name": "postgres", "image": "postgres:16", "kind": "postgres"})
    assert logs.window(postgres, database, app) == (app.started_at, app.started_at)
    assert logs.window(_declared(), app, app) == (app.started_at, app.started_at)


SETTINGS: dict[str, object] = {
    "server_version": "15.20",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "log_min_error_statement": "error",
    "log_error_verbosity": "default",
    "log_line_prefix": "%m [%p] ",
    "lc_messages": "en_US.utf8",
    "overrides": [],
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lc_messages": "C"},
        {"lc_messages": ""},
        {"log_destination": "stderr,syslog"},
        {"log_min_messages": "error"},
        {"lc_messages": "de_DE.utf8", "log_line_prefix": "%m [%p] %e "},
        {"lc_messages": "de_DE.utf8", "log_error_verbosity": "verbose"},
        {"overrides": ["log_min_messages=error"]},
        {"log_line_prefix": ""},
        {"log_line_prefix": "%t:%r:%u@%d:[%p]:"},
        {"log_line_prefix": "%m [%p]%q %u@%d|"},
        {"log_line_prefix": "%m [%p] %q"},
        {"log_line_prefix": "(%m)"},
        {"log_line_prefix": "%m,"},
    ],
)
def test_settings_under_which_postgres_testifies(changes: dict[str, object]) -> None:
    assert "errors are logged" in database_settings.read({**SETTINGS, **changes}).witness()


@pytest.mark.parametrize(
    "changes",
    [
        {"log_destination": "syslog"},
        {"logging_collector": "on"},
        {"log_min_messages": "log"},
        {"log_min_messages": "fatal"},
        {"log_min_messages": "panic"},
        {"lc_messages": "de_DE.utf8"},
        {"lc_messages": "de_DE.utf8", "log_line_prefix": "%e %m "},
        {"overrides": ["log_min_messages=panic"]},
        {"overrides": ["lc_messages=fr_FR.utf8"]},
        {"log_line_prefix": "user=%u,db=%d"},
        {"log_line_prefix": "%m [%p] %q%u@%d"},
        {"log_line_prefix": "%m %e"},
        {"log_line_prefix": "%m [%p] -"},
    ],
)
def test_settings_under_which_its_silence_proves_nothing(changes: dict[str, object]) -> None:
    with pytest.raises(UnavailableError, match="cannot testify"):
        database_settings.read({**SETTINGS, **changes}).witness()


def test_the_images_of_a_project_are_known(server: _Server) -> None:
    (image,) = known(server.containers().images)
    assert image.tags == (APP,)
    assert image.digests == ()
