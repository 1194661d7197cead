"""What the server brings along: disks, engine, port, certbot, and what strangers reach."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from acceptance import judge
from acceptance import target as targets
from acceptance.errors import RefusedError, UnavailableError
from acceptance.facts import certbot, engine, host_port, machine
from acceptance.facts import outside as outside_facts
from acceptance.facts.base import Known, Unavailable
from acceptance.facts.host_port import HostPort, Listener, Publication
from acceptance.facts.outside import Knocked, Outside
from acceptance.guard.commands import (
    CAPACITY,
    CERTBOT_TIMERS,
    COMPOSE_VERSION,
    ENGINE_VERSION,
    MEMORY,
    PORT_LISTENERS,
    PUBLISHED_PORTS,
    Command,
    call,
)
from acceptance.ledger import Ledger
from acceptance.outcome import Outcome
from acceptance.secrets import Redactor
from acceptance.sections.host import Versions
from acceptance.sections.outside import Outside as OutsideSection
from acceptance.target import Target
from acceptance.transports.host import Result
from acceptance.transports.ports import Ports
from rehearsal.client import Rehearsal, boot
from selftest import matrix
from selftest.local_host import NOBODY, LocalHost, target_for
from selftest.rehearsed import site_of
from selftest.sshd_fixture import free_port
from tests.preflight import test_access, test_host

RECORDINGS = Path(__file__).parent / "recordings" / "docker"
ERRORS = {one["case"]: one for one in json.loads((RECORDINGS / "errors.json").read_text(encoding="utf-8"))}


def result(command: Command, stdout: str = "", stderr: str = "", rc: int = 0) -> Result:
    return Result(call(command), rc, stdout.encode(), stderr)


def recorded(command: Command, case: str) -> Result:
    """Return what Docker 20.10.24 was recorded to answer."""
    one = ERRORS[case]
    return result(command, one["stdout"], one["stderr"], one["exit_code"])


# a server before the deployment


@pytest.fixture(scope="module")
def bare() -> Iterator[Rehearsal]:
    """A server on which nothing of the CRM runs and whose deploy directory does not exist."""
    with boot(lambda _line: None) as booted:
        for service in ("crm-app", "crm-worker", "redis", "postgres"):
            booted.container(service, "stop")
        deploy = site_of(booted).deploy
        deploy.rename(deploy.with_name("elsewhere"))
        yield booted


@pytest.mark.user
def test_a_server_without_the_crm_can_be_judged(bare: Rehearsal, tmp_path: Path) -> None:
    target = targets.load(bare.target_file)
    checks = [*judge.checks_in(test_access), *judge.checks_in(test_host)]
    look = matrix.Observer(target, tmp_path).look(
        {noun for check in checks for noun in matrix.nouns_of(check)}
    )
    records = [judge.judge(check, look.facts, {"target": target}) for check in checks]
    wrong = [record for record in records if record.outcome in (Outcome.FAIL, Outcome.UNKNOWN)]
    assert {record.name: record.reason for record in wrong} == {}
    seen = look.facts["host_port"]
    assert isinstance(seen, HostPort)
    assert seen.seen == "free"


# disks and memory


def capacity(docker: Path, deploy: Path) -> machine.Filesystems:
    (answer,) = asyncio.run(LocalHost().run(call(CAPACITY, docker, deploy)))
    return machine.read_filesystems(answer)


def fake_docker(directory: Path, script: str) -> Path:
    path = directory / "docker"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_what_does_not_exist_yet_is_measured_where_it_will_be(tmp_path: Path) -> None:
    found = capacity(fake_docker(tmp_path, f"echo {tmp_path}"), tmp_path / "not" / "yet")
    assert [one.holds for one in found.all] == ["system", "deploy", "docker"]
    assert found.all[1].mount == found.all[2].mount
    assert min(one.free_bytes for one in found.all) > 0
    assert found.all[1].path == f"{tmp_path}/not/yet"


def test_docker_may_warn_beside_its_answer(tmp_path: Path) -> None:
    warning = "WARNING: Error loading config file: /root/.docker/config.json: permission denied"
    found = capacity(fake_docker(tmp_path, f"echo '{warning}' >&2; echo {tmp_path}"), tmp_path)
    assert (found.all[2].path, found.unseen) == (str(tmp_path), ())


@pytest.mark.parametrize("script", ["echo; echo 'Cannot connect' >&2", "exit 1", "echo"])
def test_an_engine_that_does_not_name_its_data_root_leaves_it_open(tmp_path: Path, script: str) -> None:
    found = capacity(fake_docker(tmp_path, script), tmp_path)
    assert [one.holds for one in found.all] == ["system", "deploy"]
    with pytest.raises(UnavailableError, match="docker's data root was not measured"):
        found.short_of_space(0)
    assert len(found.short_of_space(10**9)) == 2


def test_a_file_system_without_a_limit_has_inodes_enough() -> None:
    lines = "found|system|/|  1048576 0 0 /\nfound|docker|/data|  1048576 - - /data\n"
    found = machine.read_filesystems(result(CAPACITY, lines))
    assert found.short_of_inodes(10**6) == ()
    assert found.short_of_space(2) == ("/ (on /) 1 MB", "/data (on /data) 1 MB")


def test_memory() -> None:
    (answer,) = asyncio.run(LocalHost().run(call(MEMORY)))
    assert machine.read_memory(answer) > 0
    with pytest.raises(UnavailableError, match="MemAvailable"):
        machine.read_memory(result(MEMORY, "MemTotal: 1 kB\n"))


# the engine


def test_the_engine_answers() -> None:
    document = json.loads((RECORDINGS / "version.json").read_text(encoding="utf-8"))
    seen = engine.read_engine(result(ENGINE_VERSION, json.dumps(document)))
    assert seen.version == "20.10.24+dfsg1"
    assert seen.allowed(Versions(at_least="20.10"))
    assert not seen.allowed(Versions(at_least="20.10.25"))
    assert not seen.allowed(Versions(at_least="19", below="20.10"))


def test_a_stopped_engine_is_an_answer_and_a_forbidden_one_is_not() -> None:
    stopped = engine.read_engine(recorded(ENGINE_VERSION, "daemon-not-reachable-version-json"))
    assert not stopped.allowed(Versions(at_least="0"))
    with pytest.raises(UnavailableError, match="permission denied"):
        engine.read_engine(recorded(ENGINE_VERSION, "permission-denied-version"))
    with pytest.raises(UnavailableError, match="exit code 127"):
        engine.read_engine(result(ENGINE_VERSION, rc=127))


def test_compose() -> None:
    missing = engine.read_compose(recorded(COMPOSE_VERSION, "compose-plugin-missing"))
    assert (missing.version, missing.said) == ("", "docker: 'compose' is not a docker command.")
    for text, version in (
        ("Docker Compose version v2.24.5\n", "2.24.5"),
        ("Docker Compose version 2.26.1-4\n", "2.26.1-4"),
    ):
        assert engine.read_compose(result(COMPOSE_VERSION, text)).version == version
    with pytest.raises(UnavailableError):
        engine.read_compose(result(COMPOSE_VERSION, "", "permission denied", 126))


# the port


@contextmanager
def listening(*addresses: str) -> Iterator[int]:
    """Listen on one port of several addresses."""
    with ExitStack() as stack:
        port = 0
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            port = stack.enter_context(socket.create_server((address, port), family=family)).getsockname()[1]
        yield port


def listeners(port: int, host: LocalHost) -> tuple[Listener, ...]:
    (answer,) = asyncio.run(host.run(call(PORT_LISTENERS, port)))
    return host_port.read_listeners(answer)


def test_who_listens_is_named() -> None:
    with listening("127.0.0.1", "127.9.8.7") as port:
        seen = listeners(port, LocalHost())
    assert {(one.address, one.pid) for one in seen} == {
        ("127.0.0.1", os.getpid()),
        ("127.9.8.7", os.getpid()),
    }
    assert all(one.process for one in seen)
    assert listeners(port, LocalHost()) == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user sees all of his own processes")
def test_a_process_that_may_not_be_seen_still_listens() -> None:
    with listening("127.0.0.1") as port:
        answer = asyncio.run(_as_nobody(port))
    assert [str(one) for one in host_port.read_listeners(answer)] == [
        "a process that may not be seen on 127.0.0.1"
    ]


async def _as_nobody(port: int) -> Result:
    plain = Command("plain", PORT_LISTENERS.script, "self-test")
    (answer,) = await LocalHost(unprivileged_uid=NOBODY).run(call(plain, port))
    return answer


@pytest.mark.parametrize(
    ("hexadecimal", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),
        ("00000000000000000000000000000000", "::"),
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000100007F", "127.0.0.1"),
    ],
)
def test_addresses_of_proc(hexadecimal: str, address: str) -> None:
    lines = f"listens {hexadecimal} 7 nginx\ncomplete\n"
    assert host_port.read_listeners(result(PORT_LISTENERS, lines))[0].address == address


def test_a_list_of_listeners_that_ends_early_is_none() -> None:
    with pytest.raises(UnavailableError, match="no end"):
        host_port.read_listeners(result(PORT_LISTENERS, "listens 0100007F 7 nginx\n"))


LABELS = "com.docker.compose.project=pn-crm,com.docker.compose.service=crm-app,version=1,2"


@pytest.mark.parametrize(
    ("ports", "addresses"),
    [
        ("127.0.0.1:7100->3000/tcp", ["127.0.0.1"]),
        ("0.0.0.0:7100->3000/tcp, :::7100->3000/tcp", ["0.0.0.0", "::"]),
        ("0.0.0.0:7100->3000/tcp, [::]:7100->3000/tcp", ["0.0.0.0", "::"]),
        ("0.0.0.0:7090-7110->90-110/tcp", ["0.0.0.0"]),
        ("0.0.0.0:7100->3000/udp, 7100/tcp, 127.0.0.1:17100->7100/tcp", []),
        ("", []),
    ],
)
def test_published(ports: str, addresses: list[str]) -> None:
    line = json.dumps({"Names": "pn-crm-crm-app-1", "Labels": LABELS, "Ports": ports})
    seen = host_port.read_published(result(PUBLISHED_PORTS, line), 7100)
    assert [one.address for one in seen] == addresses
    assert all((one.project, one.service) == ("pn-crm", "crm-app") for one in seen)


def test_the_recorded_list_of_containers_is_read() -> None:
    text = (RECORDINGS / "ps-running.jsonl").read_text(encoding="utf-8")
    assert [one.container for one in host_port.read_published(result(PUBLISHED_PORTS, text), 3000)] == [
        "crm-app"
    ]


OWN = Publication(container="pn-crm-crm-app-1", project="pn-crm", service="crm-app", address="127.0.0.1")
EVERYWHERE = OWN.model_copy(update={"address": "0.0.0.0"})
OTHER = Publication(container="shop-web-1", project="shop", service="web", address="0.0.0.0")
MOVED = OWN.model_copy(update={"container": "crm-crm-app-1", "project": "crm"})
PROXY = Listener(address="127.0.0.1", process="docker-proxy", pid=7)
NODE = Listener(address="10.0.0.7", process="node", pid=8)


def held(*published: Publication, by: tuple[Listener, ...] = (), assumed: bool = False) -> HostPort:
    return HostPort(
        port=7100,
        project="pn-crm",
        service="crm-app",
        assumed=assumed,
        listeners=Known(value=by),
        published=Known(value=published),
    )


@pytest.mark.parametrize(
    ("port", "strangers"),
    [
        (held(), ()),
        (held(OWN, by=(PROXY,)), ()),
        (held(OWN), ()),
        (held(EVERYWHERE, by=(PROXY, NODE)), ()),
        (held(OWN, by=(PROXY, NODE)), ("node (process 8) on 10.0.0.7",)),
        (held(by=(PROXY,)), ("docker-proxy (process 7) on 127.0.0.1",)),
        (held(OTHER, by=(PROXY,)), ("container shop-web-1 on 0.0.0.0",)),
        (held(MOVED, by=(PROXY,)), ("container crm-crm-app-1 on 127.0.0.1",)),
    ],
)
def test_strangers(port: HostPort, strangers: tuple[str, ...]) -> None:
    assert port.strangers == strangers


def test_the_same_service_of_an_assumed_project_is_no_stranger() -> None:
    with pytest.raises(UnavailableError, match="assumed name not found"):
        _ = held(MOVED, by=(PROXY,), assumed=True).strangers
    assert held(OTHER, assumed=True).strangers == ("container shop-web-1 on 0.0.0.0",)


def test_without_the_engine_a_listener_is_nobodys() -> None:
    port = held(by=(PROXY,)).model_copy(
        update={"published": Unavailable(reason="the engine does not answer")}
    )
    with pytest.raises(UnavailableError, match="the engine does not answer"):
        _ = port.strangers


# certbot's timer

TIMER = "Id={}\nLoadState={}\nActiveState={}\nUnitFileState={}\n"


@pytest.mark.parametrize(
    ("package", "snap", "runs"),
    [
        (("loaded", "active", "enabled"), ("not-found", "inactive", ""), True),
        (("not-found", "inactive", ""), ("loaded", "active", "enabled"), True),
        (("loaded", "active", "disabled"), ("not-found", "inactive", ""), False),
        (("loaded", "inactive", "enabled"), ("loaded", "failed", "enabled"), False),
        (("masked", "inactive", "masked"), ("not-found", "inactive", ""), False),
    ],
)
def test_timers(package: tuple[str, ...], snap: tuple[str, ...], runs: bool) -> None:
    text = TIMER.format("certbot.timer", *package) + "\n" + TIMER.format("snap.certbot.renew.timer", *snap)
    timers = certbot.read_timers(result(CERTBOT_TIMERS, text))
    assert [timer.name for timer in timers] == ["certbot.timer", "snap.certbot.renew.timer"]
    assert any(timer.runs for timer in timers) is runs


def test_without_systemd_nothing_is_known_of_timers() -> None:
    message = "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
    with pytest.raises(UnavailableError, match="not been booted with systemd"):
        certbot.read_timers(result(CERTBOT_TIMERS, "", message, 1))


# what strangers reach


def target_at(address: str, *private: int, control: int) -> Target:
    target = target_for(Path("/nowhere"))
    server = target.server.model_copy(update={"address": address})
    section = OutsideSection(private=private, control=control, timeout_s=0.5)
    return target.model_copy(update={"server": server, "outside": section})


def seen_from_here(tmp_path: Path, target: Target) -> Outside:
    """Knock for real."""
    ledger = Ledger(tmp_path / "ledger.jsonl", Redactor())

    class Access:
        ports = Ports(target, ledger)

    return asyncio.run(outside_facts.collect(Access()))  # type: ignore[arg-type]


def test_closed_ports_count_while_the_control_port_is_open(tmp_path: Path) -> None:
    with listening("127.9.8.7") as control:
        closed = free_port("127.9.8.7")
        seen = seen_from_here(tmp_path, target_at("127.9.8.7", closed, control=control))
        assert seen.open == ()
        open_too = seen_from_here(tmp_path, target_at("127.9.8.7", closed, control, control=control))
        assert open_too.open == (f"127.9.8.7 port {control} open",)
        nothing = seen_from_here(tmp_path, target_at("127.9.8.7", closed, control=closed))
    assert not nothing.answers
    with pytest.raises(UnavailableError, match="the control port does not answer"):
        _ = nothing.open


def test_a_server_that_asks_itself_learns_nothing(tmp_path: Path) -> None:
    with listening("127.0.0.1") as control:
        closed = free_port("127.0.0.1")
        for private in (closed, control):
            seen = seen_from_here(tmp_path, target_at("127.0.0.1", private, control=control))
            with pytest.raises(UnavailableError, match="asked from itself"):
                _ = seen.open


def test_silence_is_an_answer_too(tmp_path: Path) -> None:
    with listening("127.9.8.7") as control, _deaf("127.9.8.8") as deaf:
        seen = seen_from_here(tmp_path, target_at("127.9.8.8", deaf, control=control))
        assert [one.outcome for one in (*seen.private, *seen.control)] == ["filtered", "refused"]


@contextmanager
def _deaf(address: str) -> Iterator[int]:
    """Listen, but leave no room for another connection."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind((address, 0))
        server.listen(0)
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def knocked(outcome: str, **changes: Any) -> Knocked:  # noqa: ANN401
    given: Mapping[str, Any] = {"address": "192.0.2.7", "port": 5432, "detail": "", "from_itself": False}
    return Knocked.model_validate({**given, "outcome": outcome, **changes})


def test_what_this_machine_prevents_is_not_closed() -> None:
    prevented = Outside(
        control=(knocked("open", port=443),), private=(knocked("failed", detail="not permitted"),)
    )
    with pytest.raises(UnavailableError, match="not permitted"):
        _ = prevented.open


def test_every_address_needs_its_own_control() -> None:
    six = {"address": "2001:db8::7"}
    seen = Outside(
        control=(knocked("open", port=443), knocked("filtered", port=443, **six)),
        private=(knocked("refused"), knocked("filtered", **six)),
    )
    assert seen.answers
    with pytest.raises(UnavailableError, match="2001:db8::7 port 443 filtered"):
        _ = seen.open


def test_what_accepts_every_connection_is_not_the_database() -> None:
    seen = Outside(control=(knocked("open", port=443),), private=(knocked("open"),))
    assert seen.open == ("192.0.2.7 port 5432 open",)
    assert seen.model_copy(update={"nobodys": (knocked("refused", port=1),)}).open == seen.open
    between = seen.model_copy(update={"nobodys": (knocked("open", port=1),)})
    with pytest.raises(UnavailableError, match="port 1 open too, which nobody serves"):
        _ = between.open


def test_an_undeclared_knock_is_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", Redactor())
    ports = Ports(target_at("127.0.0.1", 5432, control=443), ledger)
    with pytest.raises(RefusedError, match="nothing was sent"):
        asyncio.run(ports.knock("port-scan"))
    assert '"kind": "refused"' in (tmp_path / "ledger.jsonl").read_text(encoding="utf-8")


def test_a_name_that_cannot_be_resolved_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"server\.invalid cannot be resolved"):
        seen_from_here(tmp_path, target_at("server.invalid", 5432, control=443))
