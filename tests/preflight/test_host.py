"""What the server must bring along: room, an engine, a free port, nginx, certbot, and closed databases."""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.certbot import Certbot
from acceptance.facts.engine import Engine, wanted
from acceptance.facts.host_port import HostPort
from acceptance.facts.machine import Machine
from acceptance.facts.nginx import Nginx
from acceptance.facts.outside import Outside
from acceptance.target import Target


@pytest.mark.item("host.capacity")
def test_disk_space(machine: Machine, target: Target) -> None:
    """Enough disk space is left where the system, the deploy directory and the engine's data are.

    A pull onto a full disk stops halfway, and takes down what already runs there: PostgreSQL first.
    """
    filesystems = known(machine.filesystems)
    floor = target.host.capacity.disk_free_mb
    verify(
        not filesystems.short_of_space(floor),
        expected=f"at least {floor} MB left on each",
        seen="; ".join(one.space for one in filesystems.all),
        source=filesystems.source,
    )


@pytest.mark.item("host.capacity")
def test_inodes(machine: Machine, target: Target) -> None:
    """Enough inodes are left on the same file systems.

    An image is tens of thousands of small files; without inodes the disk is full while `df` shows space.
    """
    filesystems = known(machine.filesystems)
    floor = target.host.capacity.inodes_free
    verify(
        not filesystems.short_of_inodes(floor),
        expected=f"at least {floor} inodes left on each",
        seen="; ".join(one.inodes for one in filesystems.all),
        source=filesystems.source,
    )


@pytest.mark.item("host.capacity")
def test_memory(machine: Machine, target: Target) -> None:
    """Enough memory is available.

    Four more containers where none is left end with the kernel killing one: perhaps Documenso's database.
    """
    available = known(machine.memory_available_mb)
    floor = target.host.capacity.memory_available_mb
    verify(
        available >= floor,
        expected=f"at least {floor} MB available",
        seen=f"{available} MB",
        source=machine.memory_source,
    )


@pytest.mark.item("host.engine")
def test_engine_answers(engine: Engine, target: Target) -> None:
    """Docker Engine answers, at a version that the target allows.

    Upgrading it later restarts every container of the server.
    """
    server = known(engine.server)
    verify(
        server.allowed(target.host.engine),
        expected=f"version {wanted(target.host.engine)}",
        seen=server.said,
        source=engine.source,
    )


@pytest.mark.item("host.engine")
def test_compose_answers(engine: Engine, target: Target) -> None:
    """Root has the compose plugin, at a version that the target allows.

    The plan's commands are `docker compose`; an old `docker-compose` reads the file differently.
    """
    compose = known(engine.compose)
    verify(
        compose.allowed(target.host.compose),
        expected=f"version {wanted(target.host.compose)}",
        seen=compose.said,
        source=engine.compose_source,
    )


@pytest.mark.item("host.port-free")
def test_port_is_free(host_port: HostPort) -> None:
    """The CRM's host port is free, or held by the CRM's own container.

    Taken by somebody else, `docker compose up` fails at its last step, or the vhost shows another app.
    """
    verify(
        not host_port.strangers,
        expected=f"port {host_port.port} free, or held by {host_port.service}",
        seen=host_port.seen,
        source=host_port.source,
    )


@pytest.mark.item("host.nginx-ready")
def test_nginx_runs(nginx: Nginx) -> None:
    """The reverse proxy runs.

    A site that is added to a stopped proxy is not served.
    """
    active = nginx.active
    verify(active.holds, expected="a master process with workers", seen=active.seen, source=active.source)


@pytest.mark.item("host.nginx-ready")
def test_present_configuration_parses(nginx: Nginx) -> None:
    """The present configuration parses as a whole.

    If it is broken already, the reload after the new vhost fails for every site of the server.
    """
    parsed = nginx.parsed
    verify(parsed.holds, expected="files that parse", seen=parsed.seen, source=parsed.source)


@pytest.mark.item("host.nginx-ready")
def test_present_configuration_is_complete(nginx: Nginx) -> None:
    """Every file that the present configuration names exists.

    nginx refuses the whole configuration for one certificate that is gone.
    """
    missing = nginx.missing_files
    verify(missing.holds, expected="no named file missing", seen=missing.seen, source=missing.source)


@pytest.mark.item("host.nginx-ready")
def test_nginx_accepts_its_present_configuration(nginx: Nginx) -> None:
    """Where `nginx -t` is approved, it accepts the present configuration; the evidence says if it was run.

    Only nginx itself knows its modules.
    """
    accepted = nginx.accepted
    verify(
        accepted.holds,
        expected="nginx -t, where it is approved, exits 0",
        seen=accepted.seen,
        source=accepted.source,
    )


@pytest.mark.item("host.nginx-ready")
def test_template_exists(nginx: Nginx) -> None:
    """The vhost that the CRM's is to be modelled on is there.

    It holds what works on this very server: header block, certificates, limits.
    """
    template = nginx.template
    verify(
        template.holds,
        expected=f"the file {nginx.template_file}",
        seen=template.seen,
        source=template.source,
    )


@pytest.mark.item("host.certbot-ready")
def test_certbot_is_installed(certbot: Certbot) -> None:
    """There is a certbot.

    Step 2 of the plan has it get the certificate; without it the site stays on plain HTTP.
    """
    programs = known(certbot.programs)
    verify(
        bool(programs),
        expected=f"an executable {certbot.program}",
        seen=", ".join(programs) or "no such program",
        source=certbot.source,
    )


@pytest.mark.item("host.certbot-ready")
def test_certificates_are_renewed(certbot: Certbot) -> None:
    """A timer that renews certificates is active, and will be after the next boot.

    Without it the new certificate works for ninety days and then, one night, does not.
    """
    timers = known(certbot.timers)
    verify(
        any(timer.runs for timer in timers),
        expected="one timer active and enabled",
        seen="; ".join(map(str, timers)),
        source=certbot.timer_source,
    )


@pytest.mark.item("host.databases-private")
def test_databases_cannot_be_reached(outside: Outside) -> None:
    """No database port of the server answers the operator's machine.

    The plan found 5432 open to the world and under attack: one guessed password is all customers' data.
    """
    verify(
        not outside.open,
        expected="every database port closed, while the control port is open",
        seen=outside.seen,
        source=outside.source,
    )
